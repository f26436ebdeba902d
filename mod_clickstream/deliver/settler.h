/* What becomes of a batch when its sink is done with it: what was delivered is acknowledged in the queue, what will
 * never be taken is set aside in DIR/NAME.rejected, and all else waits for its time to be sent again.
 *
 * Properties: an event is in exactly one place: acknowledged, set aside, or in a batch that waits here. Nothing is
 *   forgotten, however often it fails.
 * Operation: a batch of which nothing was taken holds all others off for as long as it waits itself; but where others
 *   are taken in between, it waits longer than they do, each time. Where something in a batch is not acceptable, its
 *   halves are sent, until the one bad event stands alone; one that cannot be set aside waits alone.
 *   What is too slow, as on a line that carries no full request in time, goes in halves, too.
 * Safety: for the sender's thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_SETTLER_H
#define CS_SETTLER_H

#include "common/disk.h"
#include "deliver/batch.h"
#include "deliver/report.h"
#include "deliver/sink.h"
#include "queue/queue.h"

typedef struct cs_settler_t {
    /* Whose batches these are; for the sender to set. */
    cs_queue_t *queue;
    const cs_sink_t *sink;
    cs_report_t *report;
    const char *rejected_path;
    const cs_group_t *group; /* of that file */
    apr_pool_t *pool;        /* for the batches that it makes of others */

    /* For the sender to read. */
    int waiting;           /* batches that wait to be sent again */
    int troubled;          /* batches that failed, and wait or are under way again */
    int failures;          /* whole batches failed in a row */
    int unsent;            /* nothing of the last one of these went out: it was not for what is in it */
    apr_time_t not_before; /* nothing is sent until then, by cs_monotonic() */

    struct cs_batch_ring_t retries;
} cs_settler_t;

/* With what is for the sender to set in place, and all else 0. */
void cs_settler_begin(cs_settler_t *settler);

/* Takes the batch, with its records' outcomes. */
void cs_settler_settle(cs_settler_t *settler, cs_batch_t *batch, const cs_sink_result_t *result);

/* A batch whose time to be sent again has come, which is the caller's then; NULL: there is none. */
cs_batch_t *cs_settler_due(cs_settler_t *settler, apr_time_t now);

#endif
