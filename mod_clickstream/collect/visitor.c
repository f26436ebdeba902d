/* The visitor's cookie.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/visitor.h"

#include <apr_strings.h>
#include <string.h>

const char *cs_visitor_find(const char *cookies, const char *name, apr_pool_t *pool)
{
    size_t length = strlen(name);

    while (cookies && *cookies) { /* RFC 6265, section 4.2.1: name=value pairs, a "; " between two */
        size_t pair = strcspn(cookies, ";");
        if (pair == length + 1 + APR_UUID_FORMATTED_LENGTH && memcmp(cookies, name, length) == 0 &&
            cookies[length] == '=' && cs_is_uuid(cookies + length + 1, APR_UUID_FORMATTED_LENGTH))
            return apr_pstrmemdup(pool, cookies + length + 1, APR_UUID_FORMATTED_LENGTH);
        cookies += pair;
        cookies += strspn(cookies, "; ");
    }
    return NULL;
}

const char *cs_visitor_create(const unsigned char *random, apr_pool_t *pool)
{
    cs_uuid_text_t id;

    cs_uuid_random(id, random);
    return apr_pstrdup(pool, id);
}

const char *cs_visitor_cookie(const cs_cookie_t *cookie, const char *id, int secure, apr_pool_t *pool)
{
    return apr_psprintf(pool, "%s=%s; Path=/; Max-Age=%" APR_TIME_T_FMT "%s%s; HttpOnly; SameSite=Lax%s", cookie->name,
                        id, apr_time_sec(cookie->max_age), cookie->domain ? "; Domain=" : "",
                        cookie->domain ? cookie->domain : "", secure ? "; Secure" : "");
}
