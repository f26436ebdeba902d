/* Who may send: the bearer token and the list of clients.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/auth.h"

#include <string.h>
#include <strings.h>

/* The characters of RFC 6750's b64token; '=' may only end it. */
#define TOKEN_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"

int cs_auth_is_bearer(const char *authorization)
{
    size_t length;

    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return 0;
    authorization += 7 + strspn(authorization + 7, " ");
    length = strspn(authorization, TOKEN_CHARACTERS);
    authorization += length;
    authorization += strspn(authorization, "=");
    return length > 0 && authorization[strspn(authorization, " \t")] == '\0';
}

int cs_auth_knows(const apr_array_header_t *clients, const char *id)
{
    if (!id || !*id)
        return 0;
    for (int i = 0; clients && i < clients->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(clients, i, cs_client_t).id, id) == 0)
            return 1;
    }
    return clients == NULL;
}
