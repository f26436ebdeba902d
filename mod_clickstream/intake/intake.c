/* What a collected request becomes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "intake/intake.h"

#include "common/metrics.h"

cs_queue_options_t cs_intake_queue(const cs_server_t *server, const cs_stream_t *stream)
{
    return (cs_queue_options_t){.directory = server->queue_dir,
                                .name = stream->name,
                                .group = server->queue_group,
                                .capacity = stream->queue,
                                .synced = stream->ack == CS_ACK_SYNCED};
}

/* All records, or none; what the status means is said at cs_collect_end(). */
static apr_status_t append(cs_queue_t *queue, const apr_array_header_t *records, apr_time_t now)
{
    return queue ? cs_queue_append(queue, (const cs_span_t *)(const void *)records->elts, records->nelts, now)
                 : APR_EGENERAL;
}

static void count(const cs_collect_t *collect, cs_queue_t *queue)
{
    for (int reason = 0; reason < CS_REASON_COUNT; reason++) {
        if (collect->refused[reason])
            cs_queue_count(queue, CS_METRIC_REFUSED + reason, (apr_uint64_t)collect->refused[reason]);
    }
    if (collect->opted_out)
        cs_queue_count(queue, CS_METRIC_OPTED_OUT, (apr_uint64_t)collect->opted_out);
}

apr_status_t cs_intake(cs_collect_t *collect, cs_queue_t *queue, cs_queue_t *rejects, apr_time_t now)
{
    apr_status_t status = APR_SUCCESS;
    int lost = 0;

    if (collect->records->nelts) {
        status = append(queue, collect->records, now);
        cs_collect_end(collect, status);
    }
    if (collect->rejects->nelts && append(rejects, collect->rejects, now) != APR_SUCCESS)
        lost = collect->rejects->nelts;
    if (queue) {
        count(collect, queue);
        if (lost)
            cs_queue_count(queue, CS_METRIC_REJECTS_LOST, (apr_uint64_t)lost);
    }
    return status;
}
