/* The expressions of ClickstreamField where there is no httpd to read them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/expression.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>
#include <strings.h>

/* httpd's variables that a CGI program finds under the same name, and with the same value, in its environment. Those
 * from request headers are read as the headers that they are. */
static const char *const variables[] = {
    "AUTH_TYPE",      "DOCUMENT_ROOT",  "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "REMOTE_USER",
    "REQUEST_METHOD", "REQUEST_SCHEME", "SERVER_ADMIN", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL",
};
static const struct {
    const char *name, *header;
} headers[] = {
    {"HTTP_ACCEPT", "Accept"}, {"HTTP_COOKIE", "Cookie"},   {"HTTP_FORWARDED", "Forwarded"},
    {"HTTP_HOST", "Host"},     {"HTTP_REFERER", "Referer"}, {"HTTP_USER_AGENT", "User-Agent"},
};

#define POSSIBLE "text, %%{ENV:NAME}, %%{HTTP:Header}, and variables such as %%{HTTP_HOST} or %%{REMOTE_ADDR}"

typedef enum { LITERAL, VARIABLE, HEADER } part_kind_t;

typedef struct part_t {
    part_kind_t kind;
    const char *text; /* itself, or the name */
} part_t;

struct cs_expression_t {
    apr_array_header_t *parts; /* part_t */
};

/* What stands between %{ and }. Returns 0 where it is nothing that we know. */
static int read_name(part_t *part, const char *name)
{
    const char *header = NULL;

    if (strncasecmp(name, "ENV:", 4) == 0 && name[4]) {
        *part = (part_t){VARIABLE, name + 4};
        return 1;
    }
    if (strncasecmp(name, "HTTP:", 5) == 0 && name[5])
        header = name + 5;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (strcasecmp(headers[i].name, name) == 0)
            header = headers[i].header;
    }
    if (header) {
        *part = (part_t){HEADER, header};
        return 1;
    }
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (strcasecmp(variables[i], name) == 0) {
            *part = (part_t){VARIABLE, variables[i]};
            return 1;
        }
    }
    return 0;
}

const char *cs_expression_parse(cs_expression_t **expression, const char *text, apr_pool_t *pool)
{
    cs_expression_t *parsed = apr_palloc(pool, sizeof(*parsed));
    part_t part;

    parsed->parts = apr_array_make(pool, 4, sizeof(part_t));
    while (*text) {
        const char *next = strstr(text, "%{"), *end;
        size_t length = next ? (size_t)(next - text) : strlen(text);
        size_t special = strcspn(text, "\\$"); /* to httpd an escape, and what a regular expression found */
        if (special < length)
            return apr_psprintf(pool, "\"%c\" is not possible here: write " POSSIBLE, text[special]);
        if (length)
            APR_ARRAY_PUSH(parsed->parts, part_t) = (part_t){LITERAL, apr_pstrmemdup(pool, text, length)};
        if (!next)
            break;
        if (!(end = strchr(next, '}')))
            return apr_psprintf(pool, "\"%s\" has no end: write %%{…}", next);
        if (!read_name(&part, apr_pstrmemdup(pool, next + 2, (apr_size_t)(end - next - 2))))
            return apr_psprintf(pool, "\"%.*s\" is not possible here: write " POSSIBLE, (int)(end + 1 - next), next);
        APR_ARRAY_PUSH(parsed->parts, part_t) = part;
        text = end + 1;
    }
    *expression = parsed;
    return NULL;
}

const char *cs_expression_value(const cs_expression_t *expression, const cs_expression_values_t *values,
                                apr_pool_t *pool)
{
    apr_array_header_t *words = apr_array_make(pool, expression->parts->nelts, sizeof(const char *));

    for (int i = 0; i < expression->parts->nelts; i++) {
        const part_t *part = &APR_ARRAY_IDX(expression->parts, i, part_t);
        const char *word = part->kind == LITERAL    ? part->text
                           : part->kind == VARIABLE ? values->variable(part->text)
                                                    : values->header(values->from, part->text);
        APR_ARRAY_PUSH(words, const char *) = word ? word : "";
    }
    return apr_array_pstrcat(pool, words, 0);
}
