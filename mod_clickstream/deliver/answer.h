/* What AWS answered, read. The only user of json-c in deliver/. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_ANSWER_H
#define CS_ANSWER_H

#include "deliver/batch.h"

/* Reads the answer to a PutRecordBatch that has HTTP status 200 (its API reference: RequestResponses[i]
 * answers record i, and has a RecordId or an ErrorCode). Sets the outcome of each record: delivered only
 * where it is said in so many words. Returns how many were not, with the first error code in `*code` (in
 * `pool`), or -1 where the answer is not understood. */
int cs_answer_records(cs_batch_t *batch, const char **code, cs_span_t body, apr_pool_t *pool);

/* Reads an error: its type without the namespace ("ThrottlingException", "" where there is none) and its
 * message, both in `pool`. */
void cs_answer_error(const char **type, const char **message, cs_span_t body, apr_pool_t *pool);

#endif
