/* What AWS answered, read. The only user of json-c in deliver/. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_ANSWER_H
#define CS_ANSWER_H

#include "deliver/batch.h"
#include "deliver/credentials.h"

/* Reads the answer to a PutRecordBatch that has HTTP status 200 (its API reference: RequestResponses[i]
 * answers record i, and has a RecordId or an ErrorCode). Sets the outcome of each record: delivered only
 * where it is said in so many words. Returns how many were not, with the first error code in `*code` (in
 * `pool`), or -1 where the answer is not understood. */
int cs_answer_records(cs_batch_t *batch, const char **code, cs_span_t body, apr_pool_t *pool);

/* Reads an error: its type without the namespace ("ThrottlingException", "" where there is none) and the first line of
 * its message, both in `pool`. The lines after it may repeat our headers, the session token among them. */
void cs_answer_error(const char **type, const char **message, cs_span_t body, apr_pool_t *pool);

/* Reads the credentials that a container's endpoint, instance metadata or a credential_process gives: AccessKeyId,
 * SecretAccessKey, Token or SessionToken, Expiration; in `pool`. NULL, or what is wrong with them, in few words and
 * with nothing secret. `version`: what Version must be; 0: there need be none. */
const char *cs_answer_credentials(cs_credentials_t *credentials, cs_span_t body, int version, apr_pool_t *pool);

#endif
