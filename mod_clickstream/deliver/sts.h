/* AWS Security Token Service: temporary credentials of a role. "AssumeRole" and "AssumeRoleWithWebIdentity" in its API
 * reference. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_STS_H
#define CS_STS_H

#include "deliver/search.h"

typedef struct cs_role_t {
    const char *arn;
    const char *session;     /* its name, in AWS's logs; NULL: mod_clickstream */
    const char *external_id; /* NULL: none */
    const char *duration;    /* in seconds; NULL: AWS's default, an hour */
} cs_role_t;

/* Assumes the role with these credentials. */
cs_found_t cs_sts_assume(cs_credentials_t *found, cs_search_t *search, const cs_role_t *role,
                         const cs_credentials_t *with);

/* Assumes the role with the web identity token in this file, which is read anew each time. */
cs_found_t cs_sts_assume_with_token(cs_credentials_t *found, cs_search_t *search, const cs_role_t *role,
                                    const char *path);

/* Reads a good answer. NULL, or what is wrong with it, in few words and with nothing secret. Pure. */
const char *cs_sts_read(cs_credentials_t *credentials, cs_span_t body, apr_pool_t *pool);

/* Reads an error: its code ("AccessDenied", "" where there is none) and the first line of its message. Pure. */
void cs_sts_read_error(const char **code, const char **message, cs_span_t body, apr_pool_t *pool);

#endif
