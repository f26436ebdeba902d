/* Who may send: the bearer token and the list of clients.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/auth.h"

#include <string.h>
#include <strings.h>

#include "collect/jwt.h"

/* The characters of RFC 6750's b64token; '=' may only end it. */
static const char is_token[256] = {['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['0' ... '9'] = 1, ['-'] = 1, ['.'] = 1,
                                   ['_'] = 1,         ['~'] = 1,         ['+'] = 1,         ['/'] = 1};

int cs_auth_bearer(cs_span_t *token, const char *authorization)
{
    const char *end;

    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return 0;
    token->at = authorization + 7 + strspn(authorization + 7, " ");
    for (end = token->at; is_token[(unsigned char)*end];)
        end++;
    if (end == token->at)
        return 0;
    end += strspn(end, "=");
    token->length = (apr_size_t)(end - token->at);
    return end[strspn(end, " \t")] == '\0';
}

static const cs_client_t *find(const apr_array_header_t *clients, const char *id)
{
    for (int i = 0; clients && i < clients->nelts; i++) {
        const cs_client_t *client = &APR_ARRAY_IDX(clients, i, cs_client_t);
        if (strcmp(client->id, id) == 0)
            return client;
    }
    return NULL;
}

int cs_auth_knows(const apr_array_header_t *clients, const char *id)
{
    return id && *id && strlen(id) <= CS_CLIENT_ID_MOST && (!clients || find(clients, id));
}

int cs_auth_verifies(const apr_array_header_t *clients, const char *id, cs_span_t token, apr_time_t now,
                     apr_pool_t *pool)
{
    const cs_client_t *client = find(clients, id);

    return client && client->key && cs_jwt_verify(token, client->key, id, now, pool);
}
