/* Who may send: the bearer token and the list of clients. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_AUTH_H
#define CS_AUTH_H

#include "common/settings.h"

/* Whether the value of an Authorization header is a bearer token (RFC 6750, section 2.1). NULL is not. */
int cs_auth_is_bearer(const char *authorization);

/* Whether a client of that id may send. Without a list every id may, but there must be one. */
int cs_auth_knows(const apr_array_header_t *clients, const char *id);

#endif
