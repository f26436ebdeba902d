/* What a collected request becomes: records in a queue, and counts. Both front doors end here.
 * For any thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_INTAKE_H
#define CS_INTAKE_H

#include "collect/collect.h"
#include "queue/queue.h"

/* How a stream's queue is opened, by whichever process. */
cs_queue_options_t cs_intake_queue(const cs_server_t *server, const cs_stream_t *stream);

/* Appends the records to `queue`, and then what was refused to `rejects`; completes the answer by what became of the
 * records, and counts. Either queue is NULL where there is none, or it cannot be used. Returns what became of the
 * records, for the log; what cannot be kept of the refused ones is counted, and changes nothing else. */
apr_status_t cs_intake(cs_collect_t *collect, cs_queue_t *queue, cs_queue_t *rejects, apr_time_t now);

#endif
