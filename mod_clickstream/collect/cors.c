/* Which web pages may send.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/cors.h"

#include <string.h>
#include <strings.h>

typedef enum { NO_MATCH, MATCH, ANYBODY } match_t;

/* A pattern with *.example.com takes a.example.com and a.b.example.com of the same scheme and port, and
 * neither example.com nor evilexample.com. */
static int matches_subdomain(const char *pattern, const char *origin)
{
    const char *star = strstr(pattern, "://*.");
    size_t scheme, rest, length = strlen(origin), label;

    if (!star)
        return 0;
    scheme = (size_t)(star + 3 - pattern);
    rest = strlen(star + 4); /* ".example.com" */
    if (length <= scheme + rest || strncasecmp(pattern, origin, scheme) != 0 ||
        strcasecmp(star + 4, origin + length - rest) != 0)
        return 0;
    label = strspn(origin + scheme, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.");
    return label >= length - rest - scheme && origin[scheme] != '.';
}

static match_t match(const apr_array_header_t *allowed, const char *origin)
{
    match_t best = NO_MATCH;

    for (int i = 0; allowed && i < allowed->nelts; i++) {
        const char *pattern = APR_ARRAY_IDX(allowed, i, const char *);
        if (strcmp(pattern, "*") == 0)
            best = ANYBODY;
        else if (strcasecmp(pattern, origin) == 0 || matches_subdomain(pattern, origin))
            return MATCH;
    }
    return best;
}

void cs_cors_headers(apr_table_t *headers, const apr_array_header_t *allowed, const char *origin, const char *methods)
{
    match_t matched;

    if (!allowed)
        return;
    apr_table_mergen(headers, "Vary", "Origin"); /* also where there is none: caches must know */
    matched = origin ? match(allowed, origin) : NO_MATCH;
    if (matched == NO_MATCH)
        return;
    apr_table_setn(headers, "Access-Control-Allow-Origin", matched == ANYBODY ? "*" : origin);
    if (matched == MATCH)
        apr_table_setn(headers, "Access-Control-Allow-Credentials", "true");
    if (methods) {
        apr_table_setn(headers, "Access-Control-Allow-Methods", methods);
        apr_table_setn(headers, "Access-Control-Allow-Headers",
                       "Content-Type, Content-Encoding, Cache-Control, Authorization, client_id, client-id");
        apr_table_setn(headers, "Access-Control-Max-Age", "86400");
    }
}

void cs_cors_expose(apr_table_t *headers, const char *name)
{
    if (apr_table_get(headers, "Access-Control-Allow-Origin"))
        apr_table_setn(headers, "Access-Control-Expose-Headers", name);
}
