/* What a sender says about its work.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/report.h"

#include <apr_strings.h>

/* The scoreboard is written no more often than this: each time makes the disk write a page, in the end. */
#define SEEN_INTERVAL apr_time_from_sec(1)

_Static_assert(sizeof(cs_scoreboard_t) <= CS_QUEUE_BOARD, "the scoreboard has its place in the queue file");

cs_report_t cs_report_begin(cs_queue_t *queue, const char *name, const cs_log_t *log)
{
    cs_report_t report = {.queue = queue, .name = name, .log = log, .board = cs_queue_board(queue)};

    report.trouble = cs_scoreboard_trouble(report.board);
    /* Of these only a sender knew that is gone, as it ended with posts under way. */
    cs_queue_count(queue, CS_METRIC_MAYBE_TWICE, report.board->under_way);
    report.board->under_way = 0;
    return report;
}

/* --- the scoreboard --- */

static apr_uint64_t count_refused(cs_queue_t *queue)
{
    apr_uint64_t refused = 0;

    for (int counter = CS_METRIC_REFUSED; counter < CS_METRIC_BATCHES; counter++) /* one for each reason */
        refused += cs_queue_counted(queue, counter);
    return refused;
}

static void take_sample(cs_report_t *report, const cs_queue_stats_t *stats, apr_time_t now)
{
    cs_sample_t sample = {.at = now,
                          .accepted = stats->appended,
                          .delivered = stats->delivered,
                          .refused = count_refused(report->queue),
                          .retried = cs_queue_counted(report->queue, CS_METRIC_EVENTS_RETRIED),
                          .waiting = stats->waiting,
                          .used = (apr_uint64_t)stats->used};

    for (int i = 0; i < CS_LATENCY_BUCKETS; i++)
        sample.latency[i] = cs_queue_counted(report->queue, CS_METRIC_LATENCY + i);
    cs_scoreboard_put_sample(report->board, &sample);
}

static int has_passed(apr_time_t since, apr_interval_time_t interval, apr_time_t now)
{
    return now - since >= interval || now < since; /* somebody has set the clock back */
}

static void note_waiting(cs_report_t *report, const cs_queue_stats_t *stats)
{
    if (!report->trouble.since || stats->waiting <= report->trouble.most_waiting)
        return;
    report->trouble.most_waiting = stats->waiting;
    cs_scoreboard_put_trouble(report->board, &report->trouble);
}

void cs_report_at_work(cs_report_t *report, apr_time_t now)
{
    cs_queue_stats_t stats;

    if (!has_passed(report->board->seen, SEEN_INTERVAL, now) || cs_queue_stats(&stats, report->queue) != APR_SUCCESS)
        return;
    __atomic_store_n(&report->board->seen, now, __ATOMIC_RELAXED);
    note_waiting(report, &stats);
    if (has_passed(cs_scoreboard_last_sample(report->board), CS_SAMPLE_INTERVAL, now))
        take_sample(report, &stats, now);
}

void cs_report_sent(cs_report_t *report, int events)
{
    report->board->under_way += (apr_uint64_t)events;
}

void cs_report_settled(cs_report_t *report, int events)
{
    report->board->under_way -= (apr_uint64_t)events;
}

/* --- the counters --- */

static int bucket_of(apr_interval_time_t latency)
{
#define BOUND(milliseconds) apr_time_from_msec((apr_interval_time_t)(milliseconds)),
    static const apr_interval_time_t bounds[] = {CS_LATENCY_BOUNDS(BOUND)};
#undef BOUND
    int i = 0;

    _Static_assert(sizeof(bounds) / sizeof(bounds[0]) == CS_LATENCY_BUCKETS - 1, "and one for the rest");
    while (i < CS_LATENCY_BUCKETS - 1 && latency > bounds[i])
        i++;
    return i;
}

/* Added up here first: the counters are shared with whoever collects. */
static void count_latency(cs_queue_t *queue, const cs_batch_t *batch, const cs_batch_record_t *record, apr_time_t now)
{
    apr_uint64_t counts[CS_LATENCY_BUCKETS] = {0}, sum = 0;

    for (int i = record->first; i < record->first + record->count; i++) {
        apr_interval_time_t latency = now - APR_ARRAY_IDX(batch->events, i, cs_batch_event_t).queued_at;
        if (latency < 0)
            latency = 0;
        counts[bucket_of(latency)]++;
        sum += (apr_uint64_t)latency;
    }
    for (int i = 0; i < CS_LATENCY_BUCKETS; i++) {
        if (counts[i])
            cs_queue_count(queue, CS_METRIC_LATENCY + i, counts[i]);
    }
    cs_queue_count(queue, CS_METRIC_LATENCY_SUM, sum);
}

void cs_report_delivered(cs_report_t *report, const cs_batch_t *batch, const cs_batch_record_t *record,
                         apr_size_t rounding, apr_time_t now)
{
    apr_size_t billed = rounding ? (record->size + rounding - 1) / rounding * rounding : 0;

    cs_queue_count(report->queue, CS_METRIC_RECORDS_DELIVERED, 1);
    cs_queue_count(report->queue, CS_METRIC_BYTES_SENT, record->size);
    cs_queue_count(report->queue, CS_METRIC_BYTES_BILLED, billed);
    count_latency(report->queue, batch, record, now);
}

/* --- the log --- */

static apr_time_t seconds_of(const cs_trouble_t *trouble, apr_time_t now)
{
    return now > trouble->since ? apr_time_sec(now - trouble->since) : 0;
}

static void log_failure(cs_report_t *report, int begins, apr_uint64_t waiting, apr_time_t now)
{
    const cs_trouble_t *trouble = &report->trouble;

    if (begins)
        cs_log(report->log, CS_LOG_WARNING, APR_SUCCESS,
               "stream %s: delivery has failed: %s; %s; %" APR_UINT64_T_FMT
               " events wait, nothing is lost, and all is sent again",
               report->name, trouble->reason, trouble->advice, waiting);
    else
        cs_log(report->log, CS_LOG_WARNING, APR_SUCCESS,
               "stream %s: delivery still fails after %" APR_TIME_T_FMT " s, %" APR_UINT64_T_FMT
               " failures: %s; %s; %" APR_UINT64_T_FMT " events wait",
               report->name, seconds_of(trouble, now), trouble->failures, trouble->reason, trouble->advice, waiting);
}

void cs_report_failed(cs_report_t *report, const cs_sink_result_t *result, apr_time_t now)
{
    cs_trouble_t *trouble = &report->trouble;
    int begins = !trouble->since;
    cs_queue_stats_t stats = {.waiting = 0};

    if (!result->reason)
        return;
    cs_queue_stats(&stats, report->queue);
    if (begins)
        trouble->failures = trouble->most_waiting = 0;
    if (begins || now < trouble->since) /* somebody has set the clock back */
        trouble->since = now;
    trouble->failures++;
    trouble->last = now;
    if (stats.waiting > trouble->most_waiting)
        trouble->most_waiting = stats.waiting;
    apr_cpystrn(trouble->reason, result->reason, sizeof(trouble->reason));
    apr_cpystrn(trouble->advice, result->advice, sizeof(trouble->advice));
    if (has_passed(trouble->logged, CS_REPORT_INTERVAL, now)) {
        log_failure(report, begins, stats.waiting, now);
        trouble->logged = now;
    }
    cs_scoreboard_put_trouble(report->board, trouble);
}

void cs_report_recovered(cs_report_t *report, apr_time_t now)
{
    cs_trouble_t *trouble = &report->trouble;

    if (!trouble->since)
        return;
    if (trouble->logged >= trouble->since) /* it was not so short that nobody heard of it */
        cs_log(report->log, CS_LOG_NOTICE, APR_SUCCESS,
               "stream %s: delivers again after %" APR_TIME_T_FMT " s and %" APR_UINT64_T_FMT
               " failures; at most %" APR_UINT64_T_FMT " events waited",
               report->name, seconds_of(trouble, now), trouble->failures, trouble->most_waiting);
    trouble->since = 0;
    cs_scoreboard_put_trouble(report->board, trouble);
}

void cs_report_rejected(cs_report_t *report, const char *reason, const char *path, apr_time_t now)
{
    report->rejects++;
    if (!has_passed(report->rejects_logged, CS_REPORT_INTERVAL, now))
        return;
    report->rejects_logged = now;
    cs_log(report->log, CS_LOG_ERROR, APR_SUCCESS,
           "stream %s: will never take an event: %s; it is in %s now, %" APR_UINT64_T_FMT
           " since this sender began. Mend what sends such events, then see clickstreamctl requeue",
           report->name, reason, path, report->rejects);
}
