/* The visitor's cookie: found in a request, made, and set in an answer. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_VISITOR_H
#define CS_VISITOR_H

#include "collect/identity.h"
#include "common/settings.h"

/* The visitor's id in a Cookie header (or NULL), where there is one that we may have made; otherwise NULL. */
const char *cs_visitor_find(const char *cookies, const char *name, apr_pool_t *pool);

/* A new id, of 16 random bytes. */
const char *cs_visitor_create(const unsigned char *random, apr_pool_t *pool);

/* The value of Set-Cookie. */
const char *cs_visitor_cookie(const cs_cookie_t *cookie, const char *id, int secure, apr_pool_t *pool);

#endif
