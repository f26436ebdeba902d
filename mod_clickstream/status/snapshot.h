/* What is known of a stream at one moment: its queue, its counters, its scoreboard, and what follows from them.
 *
 * Properties: one place decides what a stream's state is and whether it is healthy; the page, JSON, Prometheus and
 *   clickstreamctl only write it down.
 * Safety: for any thread of any process that has the queue open; nothing is changed by looking.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_SNAPSHOT_H
#define CS_SNAPSHOT_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "collect/reason.h"
#include "common/metrics.h"
#include "common/scoreboard.h"
#include "common/settings.h"
#include "queue/queue.h"

/* The states: one closed list, in words for programs and for people. */
#define CS_STATES(X)                                                                                                   \
    X(IDLE, "idle", "nothing waits")                                                                                   \
    X(DELIVERING, "delivering", "events wait for their batch, or are on their way")                                    \
    X(WAITING, "waiting", "events wait, and no sender is at work")                                                     \
    X(RETRYING, "retrying", "delivery fails; all is sent again until it is through")                                   \
    X(FULL, "full", "the queue is at least 90% full: soon clients get 503, or do already")                             \
    X(NO_QUEUE, "no_queue", "nothing was ever queued")                                                                 \
    X(UNUSABLE, "unusable", "the queue file cannot be used; the error log says why")
#define CS_STATE_ENUM(NAME, name, about) CS_STATE_##NAME,
typedef enum { CS_STATES(CS_STATE_ENUM) CS_STATE_COUNT } cs_state_t;
#undef CS_STATE_ENUM

const char *cs_state_name(cs_state_t state);
const char *cs_state_about(cs_state_t state);

/* Of the queue; from here on a stream is full, and not healthy. */
#define CS_FULL_PERCENT 90
/* A sender that has not been at work for so long is not there; it writes about once a second. */
#define CS_SENDER_ABSENT apr_time_from_sec(15)

/* What the numbers below mean stands in common/metrics.h and queue/queue.h. All are 64 bits wide, so that a table can
 * say where each one is: cs_snapshot_number(). */
typedef struct cs_snapshot_t {
    const cs_stream_t *stream;
    apr_time_t now;
    cs_state_t state;
    const char *why; /* it is not healthy; NULL: it is */

    /* now: zero in the states NO_QUEUE and UNUSABLE, as is all that follows */
    apr_uint64_t waiting, waiting_bytes, used, capacity, percent, oldest_seconds;
    apr_interval_time_t oldest; /* how long the oldest has waited; 0: nothing waits */

    /* since the queue file was made */
    apr_uint64_t appended, delivered, delivered_bytes, rejected, lost, opted_out, rejects_lost;
    apr_uint64_t refused, refusals[CS_REASON_COUNT];
    apr_uint64_t batches, batches_failed, retried, maybe_twice, records, sent_bytes, billed_bytes, deaths;
    apr_uint64_t latency[CS_LATENCY_BUCKETS], latency_count;
    apr_interval_time_t latency_sum;

    /* of the time since the oldest sample, ten minutes at the most; negative where nothing was delivered then */
    double p50, p99; /* seconds */
    apr_interval_time_t window;

    apr_time_t seen; /* when its sender was last at work, or 0 */
    cs_trouble_t trouble;
    cs_sample_t samples[CS_SAMPLES]; /* the oldest first */
    int sampled;
} cs_snapshot_t;

/* The snapshots of some streams, all of the same moment. */
typedef struct cs_status_t {
    apr_time_t now;
    apr_array_header_t *streams; /* const cs_snapshot_t *, in the order of their declaration; may be empty */
} cs_status_t;

/* Looks at a stream. `queue` is NULL where it cannot be used. The stream is not healthy where its oldest event has
 * waited for longer than `health_age`, beyond what the stream's linger= and interval= hold back on purpose. */
const cs_snapshot_t *cs_snapshot_take(const cs_stream_t *stream, cs_queue_t *queue, apr_interval_time_t health_age,
                                      apr_time_t now, apr_pool_t *pool);

/* Of a stream whose queue file is not there yet. */
const cs_snapshot_t *cs_snapshot_no_queue(const cs_stream_t *stream, apr_time_t now, apr_pool_t *pool);

/* Whether its numbers say anything. */
int cs_snapshot_has_numbers(const cs_snapshot_t *snapshot);

/* The number at this offset. */
apr_uint64_t cs_snapshot_number(const cs_snapshot_t *snapshot, apr_size_t offset);

/* "firehose" or "file". */
const char *cs_snapshot_kind(const cs_snapshot_t *snapshot);

/* How many events came in one of the sink's records, of those that it took; 0: it took none yet. */
double cs_snapshot_events_per_record(const cs_snapshot_t *snapshot);

/* The upper bound of a bucket of latency[], in seconds; negative for the last one, which has none. */
double cs_latency_bound(int bucket);

/* The latency within which `share` of the deliveries of these buckets were done, in seconds: as if they were spread
 * evenly over their bucket. Those of the last bucket count as its lower bound. Negative where there are none. */
double cs_latency_quantile(const apr_uint64_t latency[CS_LATENCY_BUCKETS], double share);

#endif
