/* What a request to AWS is signed with: the region, the credentials, the time. Found when they are first needed, in the
 * sender's thread, and kept in force from then on: chain.h, credentials.h and clock.h, put together.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_ACCESS_H
#define CS_ACCESS_H

#include "deliver/credentials.h"
#include "deliver/sink.h"

typedef struct cs_access_t cs_access_t;

apr_status_t cs_access_create(cs_access_t **access, const cs_sink_options_t *options);

/* Both for the request of now; the credentials are valid until the next call. It may take some seconds, less when the
 * options' halt comes. Returns 0 where one of them is missing; `lack` says why, until the next call. */
int cs_access_get(const char **region, const cs_credentials_t **credentials, cs_access_t *access, cs_lack_t *lack);

/* AWS's time. */
apr_time_t cs_access_now(const cs_access_t *access);

/* An answer of AWS's came with this date, 0 for none. Returns 1 where that is news, and a signature of before could not
 * but be refused. */
int cs_access_learn(cs_access_t *access, apr_time_t date);

/* AWS refused the credentials. */
void cs_access_refused(cs_access_t *access);

void cs_access_destroy(cs_access_t *access);

#endif
