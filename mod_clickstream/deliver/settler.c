/* What becomes of a batch.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/settler.h"

#include <apr_strings.h>
#include <openssl/rand.h>

#include "common/metrics.h"
#include "deliver/backoff.h"
#include "deliver/rejects.h"

/* However long the other side asks to wait: longer, and a mistake there would stop us for good. */
#define RETRY_AFTER_MOST apr_time_from_sec(300)

/* Parts of the largest batch that one which is too slow is not divided below: where all is silent it is no use. */
#define PARTS_MOST 16

void cs_settler_begin(cs_settler_t *settler)
{
    APR_RING_INIT(&settler->retries, cs_batch_t, link);
}

static void retry_at(cs_settler_t *settler, cs_batch_t *batch, apr_time_t when)
{
    batch->not_before = when;
    APR_RING_INSERT_TAIL(&settler->retries, batch, cs_batch_t, link);
    settler->waiting++;
    cs_queue_count(settler->queue, CS_METRIC_EVENTS_RETRIED, (apr_uint64_t)batch->events->nelts);
}

/* Both halves wait until then, in the batch's place. */
static void halve(cs_settler_t *settler, cs_batch_t *batch, apr_time_t until)
{
    cs_batch_t *halves[2];

    cs_batch_split(halves, batch, &settler->sink->limits, settler->pool);
    for (int i = 0; i < 2; i++)
        retry_at(settler, halves[i], until);
    settler->troubled += batch->attempts > 0; /* two in the place of one */
    apr_pool_destroy(batch->pool);
}

/* The events from `first` up to, but not, `end`. */
static void deliver_events(cs_settler_t *settler, const cs_batch_t *batch, int first, int end)
{
    const cs_batch_event_t *events = (const cs_batch_event_t *)(const void *)batch->events->elts;

    if (first < end)
        cs_queue_deliver(settler->queue, &events[first].id, sizeof(*events), end - first);
}

static void settle_delivered(cs_settler_t *settler, const cs_batch_t *batch, const cs_sink_result_t *result)
{
    apr_time_t now = apr_time_now();
    int first = 0, end = 0; /* of those that are delivered in a row */

    for (int i = 0; i < batch->records->nelts; i++) {
        const cs_batch_record_t *record = &APR_ARRAY_IDX(batch->records, i, cs_batch_record_t);
        if (record->outcome != CS_OUTCOME_DELIVERED)
            continue;
        if (record->first != end) {
            deliver_events(settler, batch, first, end);
            first = record->first;
        }
        end = record->first + record->count;
        cs_report_delivered(settler->report, batch, record, settler->sink->rounding, now);
        if (result->maybe_taken)
            cs_queue_count(settler->queue, CS_METRIC_MAYBE_TWICE, (apr_uint64_t)record->count);
    }
    deliver_events(settler, batch, first, end);
}

static apr_uint32_t random_bits(void)
{
    apr_uint32_t bits = 0;

    /* Jitter only: without randomness there is none. */
    if (RAND_bytes((unsigned char *)&bits, sizeof(bits)) != 1)
        bits = APR_UINT32_MAX;
    return bits;
}

static apr_time_t backoff(int failures, const cs_sink_result_t *result)
{
    apr_interval_time_t delay = cs_backoff_delay(failures, random_bits());
    apr_interval_time_t asked = result->retry_after < RETRY_AFTER_MOST ? result->retry_after : RETRY_AFTER_MOST;

    return cs_monotonic() + (delay > asked ? delay : asked);
}

/* What the sink did not take waits until then. */
static void retry(cs_settler_t *settler, cs_batch_t *batch, apr_time_t until, const cs_sink_result_t *result)
{
    if (!batch->attempts++)
        settler->troubled++;
    if (result->maybe_taken)
        cs_queue_count(settler->queue, CS_METRIC_MAYBE_TWICE, (apr_uint64_t)batch->events->nelts);
    cs_report_failed(settler->report, result, apr_time_now());
    if (result->too_slow && batch->events->nelts > 1 && batch->cost > settler->sink->limits.batch / PARTS_MOST)
        halve(settler, batch, until);
    else
        retry_at(settler, batch, until);
}

/* Nothing of the batch is left to be sent. */
static void finish(cs_settler_t *settler, cs_batch_t *batch)
{
    settler->troubled -= batch->attempts > 0;
    if (!settler->troubled)
        cs_report_recovered(settler->report, apr_time_now());
    apr_pool_destroy(batch->pool);
}

/* Nothing of the batch was taken, and all of it may be later: then others need not try meanwhile. But where only this
 * one fails, it waits for longer than they do. */
static void hold_off(cs_settler_t *settler, cs_batch_t *batch, const cs_sink_result_t *result)
{
    apr_time_t until = backoff(++settler->failures, result);

    cs_queue_count(settler->queue, CS_METRIC_BATCHES_FAILED, 1);
    settler->unsent = result->unsent;
    if (until > settler->not_before)
        settler->not_before = until;
    retry(settler, batch, batch->attempts < settler->failures ? until : backoff(batch->attempts + 1, result), result);
}

/* The one bad event, found by bisecting. Where it cannot be set aside, it alone waits. */
static void reject(cs_settler_t *settler, cs_batch_t *batch, const cs_sink_result_t *result)
{
    cs_batch_event_t event = APR_ARRAY_IDX(batch->events, 0, cs_batch_event_t);
    apr_time_t now = apr_time_now();
    apr_pool_t *scratch; /* it may be tried for days */
    apr_status_t status;

    apr_pool_create(&scratch, batch->pool);
    status = cs_rejects_append(settler->rejected_path, settler->group, event.data, result->reason, now, scratch);
    if (status != APR_SUCCESS) {
        char why[120];
        const char *reason =
            apr_psprintf(scratch, "%s: %s", settler->rejected_path, apr_strerror(status, why, sizeof(why)));
        const cs_sink_result_t mine = {.reason = reason, .advice = cs_disk_advice(status)};
        cs_queue_count(settler->queue, CS_METRIC_BATCHES_FAILED, 1);
        retry(settler, batch, backoff(batch->attempts + 1, &mine), &mine);
        apr_pool_destroy(scratch);
        return;
    }
    cs_report_rejected(settler->report, result->reason, settler->rejected_path, now);
    cs_queue_settle(settler->queue, event.id, CS_SETTLED_REJECTED);
    finish(settler, batch);
}

static int count_outcome(const cs_batch_t *batch, cs_outcome_t outcome)
{
    int count = 0;

    for (int i = 0; i < batch->records->nelts; i++)
        count += APR_ARRAY_IDX(batch->records, i, cs_batch_record_t).outcome == outcome;
    return count;
}

void cs_settler_settle(cs_settler_t *settler, cs_batch_t *batch, const cs_sink_result_t *result)
{
    cs_batch_t *again;

    if (count_outcome(batch, CS_OUTCOME_INVALID)) {
        if (batch->events->nelts == 1)
            reject(settler, batch, result);
        else
            halve(settler, batch, 0);
        cs_queue_advance(settler->queue);
        return;
    }
    if (!count_outcome(batch, CS_OUTCOME_DELIVERED)) {
        hold_off(settler, batch, result);
        return;
    }
    settle_delivered(settler, batch, result);
    settler->failures = settler->unsent = 0;
    again = cs_batch_select(batch, CS_OUTCOME_RETRY, &settler->sink->limits, settler->pool);
    if (!again) {
        finish(settler, batch);
        return;
    }
    again->attempts = batch->attempts;
    retry(settler, again, backoff(batch->attempts + 1, result), result);
    apr_pool_destroy(batch->pool);
}

cs_batch_t *cs_settler_due(cs_settler_t *settler, apr_time_t now)
{
    cs_batch_t *batch;

    for (batch = APR_RING_FIRST(&settler->retries); batch != APR_RING_SENTINEL(&settler->retries, cs_batch_t, link);
         batch = APR_RING_NEXT(batch, link)) {
        if (batch->not_before > now)
            continue;
        APR_RING_REMOVE(batch, link);
        settler->waiting--;
        return batch;
    }
    return NULL;
}
