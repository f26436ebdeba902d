/* A client's token: a JWT (RFC 7519) in the compact form, signed (RFC 7515). Pure: the clock is an argument, and what a
 * token points to (jku, x5u, jwk, kid) is never looked at. No state, for any number of threads.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_JWT_H
#define CS_JWT_H

#include <apr_time.h>

#include "common/key.h"
#include "common/text.h"

#define CS_JWT_MOST 8192                    /* longer tokens are not looked at */
#define CS_JWT_LEEWAY apr_time_from_sec(60) /* by how much the clocks may differ; RFC 7519, 4.1.4 and 4.1.5 */

/* Whether the token is `issuer`'s: written in the one form that there is, signed with the key by the algorithm that
 * the key is for, with `iss` the issuer, before `exp` and not before `nbf`. All but `iss` may be missing; what is there
 * has its right type, and no name is there twice. Needs some 20 KiB of stack. */
int cs_jwt_verify(cs_span_t token, const cs_key_t *key, const char *issuer, apr_time_t now, apr_pool_t *pool);

#endif
