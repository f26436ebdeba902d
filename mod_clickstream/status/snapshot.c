/* What is known of a stream at one moment.
 * SPDX-License-Identifier: Apache-2.0 */
#include "status/snapshot.h"

#include <apr_strings.h>
#include <string.h>

static const struct {
    const char *name, *about;
} states[] = {
#define STATE(NAME, name, about) {name, about},
    CS_STATES(STATE)
#undef STATE
};

const char *cs_state_name(cs_state_t state)
{
    return states[state].name;
}

const char *cs_state_about(cs_state_t state)
{
    return states[state].about;
}

/* --- latency --- */

double cs_latency_bound(int bucket)
{
#define BOUND(milliseconds) (milliseconds) / 1000.0,
    static const double bounds[] = {CS_LATENCY_BOUNDS(BOUND) - 1};
#undef BOUND

    _Static_assert(sizeof(bounds) / sizeof(bounds[0]) == CS_LATENCY_BUCKETS, "a bound for each bucket");
    return bounds[bucket];
}

double cs_latency_quantile(const apr_uint64_t latency[CS_LATENCY_BUCKETS], double share)
{
    double total = 0, below = 0, wanted;
    int i = 0;

    for (i = 0; i < CS_LATENCY_BUCKETS; i++)
        total += (double)latency[i];
    if (total < 1)
        return -1;
    wanted = share * total;
    for (i = 0; i < CS_LATENCY_BUCKETS - 1; i++) {
        double lower = i ? cs_latency_bound(i - 1) : 0;
        if (latency[i] && below + (double)latency[i] >= wanted)
            return lower + (cs_latency_bound(i) - lower) * (wanted - below) / (double)latency[i];
        below += (double)latency[i];
    }
    return cs_latency_bound(CS_LATENCY_BUCKETS - 2);
}

/* The newest numbers without those of the oldest sample. */
static void fill_quantiles(cs_snapshot_t *snapshot)
{
    apr_uint64_t recent[CS_LATENCY_BUCKETS];
    const cs_sample_t *oldest = &snapshot->samples[0];

    snapshot->p50 = snapshot->p99 = -1;
    if (!snapshot->sampled)
        return;
    for (int i = 0; i < CS_LATENCY_BUCKETS; i++)
        recent[i] = snapshot->latency[i] > oldest->latency[i] ? snapshot->latency[i] - oldest->latency[i] : 0;
    snapshot->window = snapshot->now - oldest->at;
    snapshot->p50 = cs_latency_quantile(recent, 0.50);
    snapshot->p99 = cs_latency_quantile(recent, 0.99);
}

/* --- the numbers --- */

static void fill_queue(cs_snapshot_t *snapshot, const cs_queue_stats_t *stats)
{
    apr_interval_time_t oldest = stats->oldest ? snapshot->now - stats->oldest : 0;

    snapshot->waiting = stats->waiting;
    snapshot->waiting_bytes = stats->waiting_bytes;
    snapshot->oldest = stats->waiting && oldest > 0 ? oldest : 0;
    snapshot->oldest_seconds = (apr_uint64_t)apr_time_sec(snapshot->oldest);
    snapshot->used = (apr_uint64_t)stats->used;
    snapshot->capacity = (apr_uint64_t)stats->capacity;
    snapshot->percent = snapshot->used * 100 / snapshot->capacity;
    snapshot->appended = stats->appended;
    snapshot->delivered = stats->delivered;
    snapshot->delivered_bytes = stats->delivered_bytes;
    snapshot->rejected = stats->rejected;
    snapshot->lost = stats->lost;
    snapshot->deaths = stats->owner_deaths;
}

static void fill_counters(cs_snapshot_t *snapshot, const cs_queue_t *queue)
{
    snapshot->batches = cs_queue_counted(queue, CS_METRIC_BATCHES);
    snapshot->batches_failed = cs_queue_counted(queue, CS_METRIC_BATCHES_FAILED);
    snapshot->retried = cs_queue_counted(queue, CS_METRIC_EVENTS_RETRIED);
    snapshot->maybe_twice = cs_queue_counted(queue, CS_METRIC_MAYBE_TWICE);
    snapshot->records = cs_queue_counted(queue, CS_METRIC_RECORDS_DELIVERED);
    snapshot->sent_bytes = cs_queue_counted(queue, CS_METRIC_BYTES_SENT);
    snapshot->billed_bytes = cs_queue_counted(queue, CS_METRIC_BYTES_BILLED);
    snapshot->opted_out = cs_queue_counted(queue, CS_METRIC_OPTED_OUT);
    snapshot->rejects_lost = cs_queue_counted(queue, CS_METRIC_REJECTS_LOST);
    for (int i = 0; i < CS_REASON_COUNT; i++) {
        snapshot->refusals[i] = cs_queue_counted(queue, CS_METRIC_REFUSED + i);
        snapshot->refused += snapshot->refusals[i];
    }
    for (int i = 0; i < CS_LATENCY_BUCKETS; i++) {
        snapshot->latency[i] = cs_queue_counted(queue, CS_METRIC_LATENCY + i);
        snapshot->latency_count += snapshot->latency[i];
    }
    snapshot->latency_sum = (apr_interval_time_t)cs_queue_counted(queue, CS_METRIC_LATENCY_SUM);
}

static void fill_board(cs_snapshot_t *snapshot, const cs_scoreboard_t *board)
{
    snapshot->seen = __atomic_load_n(&board->seen, __ATOMIC_RELAXED);
    snapshot->trouble = cs_scoreboard_trouble(board);
    snapshot->sampled = cs_scoreboard_samples(snapshot->samples, board, snapshot->now);
}

/* --- what follows from them --- */

static int is_full(const cs_snapshot_t *snapshot)
{
    return snapshot->used * 100 >= snapshot->capacity * CS_FULL_PERCENT;
}

static cs_state_t state_of(const cs_snapshot_t *snapshot)
{
    if (is_full(snapshot))
        return CS_STATE_FULL;
    if (!snapshot->waiting)
        return CS_STATE_IDLE;
    if (snapshot->trouble.since)
        return CS_STATE_RETRYING;
    return snapshot->now - snapshot->seen > CS_SENDER_ABSENT ? CS_STATE_WAITING : CS_STATE_DELIVERING;
}

static const char *why_unhealthy(const cs_snapshot_t *snapshot, apr_interval_time_t health_age, apr_pool_t *pool)
{
    const cs_stream_t *stream = snapshot->stream;
    apr_interval_time_t most = health_age + stream->linger + (stream->sink == CS_SINK_FILE ? stream->interval : 0);
    const char *full = NULL, *late = NULL;

    if (is_full(snapshot))
        full = apr_psprintf(pool, "its queue is %" APR_UINT64_T_FMT "%% full, the limit is %d%%", snapshot->percent,
                            CS_FULL_PERCENT);
    if (snapshot->oldest > most)
        late = apr_psprintf(
            pool, "its oldest event has waited for %" APR_UINT64_T_FMT " s, the limit is %" APR_TIME_T_FMT " s",
            snapshot->oldest_seconds, apr_time_sec(most));
    return full && late ? apr_pstrcat(pool, full, "; ", late, NULL) : full ? full : late;
}

static cs_snapshot_t *new_snapshot(const cs_stream_t *stream, cs_state_t state, apr_time_t now, apr_pool_t *pool)
{
    cs_snapshot_t *snapshot = apr_pcalloc(pool, sizeof(*snapshot));

    snapshot->stream = stream;
    snapshot->state = state;
    snapshot->now = now;
    snapshot->p50 = snapshot->p99 = -1;
    return snapshot;
}

const cs_snapshot_t *cs_snapshot_no_queue(const cs_stream_t *stream, apr_time_t now, apr_pool_t *pool)
{
    return new_snapshot(stream, CS_STATE_NO_QUEUE, now, pool);
}

const cs_snapshot_t *cs_snapshot_take(const cs_stream_t *stream, cs_queue_t *queue, apr_interval_time_t health_age,
                                      apr_time_t now, apr_pool_t *pool)
{
    cs_snapshot_t *snapshot = new_snapshot(stream, CS_STATE_UNUSABLE, now, pool);
    cs_queue_stats_t stats;

    if (!queue || cs_queue_stats(&stats, queue) != APR_SUCCESS) {
        snapshot->why = "its queue file cannot be used";
        return snapshot;
    }
    fill_queue(snapshot, &stats);
    fill_counters(snapshot, queue);
    fill_board(snapshot, cs_queue_board(queue));
    fill_quantiles(snapshot);
    snapshot->state = state_of(snapshot);
    snapshot->why = why_unhealthy(snapshot, health_age, pool);
    return snapshot;
}

/* --- for those who write it down --- */

int cs_snapshot_has_numbers(const cs_snapshot_t *snapshot)
{
    return snapshot->state != CS_STATE_NO_QUEUE && snapshot->state != CS_STATE_UNUSABLE;
}

apr_uint64_t cs_snapshot_number(const cs_snapshot_t *snapshot, apr_size_t offset)
{
    apr_uint64_t number;

    memcpy(&number, (const char *)snapshot + offset, sizeof(number));
    return number;
}

const char *cs_snapshot_kind(const cs_snapshot_t *snapshot)
{
    return snapshot->stream->sink == CS_SINK_FIREHOSE ? "firehose" : "file";
}

double cs_snapshot_events_per_record(const cs_snapshot_t *snapshot)
{
    return snapshot->records ? (double)snapshot->latency_count / (double)snapshot->records : 0;
}
