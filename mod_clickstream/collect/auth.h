/* Who may send: the bearer token and the list of clients. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_AUTH_H
#define CS_AUTH_H

#include <apr_time.h>

#include "common/settings.h"
#include "common/text.h"

/* Whether the value of an Authorization header is a bearer token (RFC 6750, section 2.1), and where the token is. NULL
 * is not. */
int cs_auth_bearer(cs_span_t *token, const char *authorization);

/* Whether a client of that id may send. Without a list every id may, but there must be one. */
int cs_auth_knows(const apr_array_header_t *clients, const char *id);

/* Whether the token is one of that client's (see jwt.h), which is on the list. */
int cs_auth_verifies(const apr_array_header_t *clients, const char *id, cs_span_t token, apr_time_t now,
                     apr_pool_t *pool);

#endif
