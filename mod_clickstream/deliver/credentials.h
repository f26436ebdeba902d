/* AWS credentials: where they come from, and when they are looked at again.
 *
 * In this order: the stream's profile= and credentials=; the environment (AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN); the shared credentials file (AWS_SHARED_CREDENTIALS_FILE or
 * ~/.aws/credentials, section AWS_PROFILE or default).
 * A source belongs to the sender's thread. No secret ever leaves in a message.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_CREDENTIALS_H
#define CS_CREDENTIALS_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct cs_credentials_t {
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* NULL: long-term credentials have none */
} cs_credentials_t;

typedef struct cs_credentials_source_t cs_credentials_source_t;

/* `profile` and `file` may be NULL. */
cs_credentials_source_t *cs_credentials_source(const char *profile, const char *file, apr_pool_t *pool);

/* The credentials of now; they are valid until the next call for this source. A file is read again when it
 * changed. NULL: there are none, and `*why` says what was looked for and what to do. */
const cs_credentials_t *cs_credentials_get(cs_credentials_source_t *source, const char **why);

/* AWS refused them: look again, whatever the file's time says. At most once a minute has an effect. */
void cs_credentials_refused(cs_credentials_source_t *source, apr_time_t monotonic);

#endif
