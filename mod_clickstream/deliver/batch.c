/* A batch: events on their way to a sink together.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/batch.h"

#include <time.h>

cs_batch_t *cs_batch_create(const cs_batch_limits_t *limits, int room, apr_pool_t *parent)
{
    apr_pool_t *pool;
    cs_batch_t *batch;

    apr_pool_create(&pool, parent);
    batch = apr_pcalloc(pool, sizeof(*batch));
    APR_RING_ELEM_INIT(batch, link);
    batch->pool = pool;
    batch->events = apr_array_make(pool, room, sizeof(cs_batch_event_t));
    batch->records = apr_array_make(pool, 8, sizeof(cs_batch_record_t));
    batch->cost = limits->batch_overhead;
    return batch;
}

static cs_batch_record_t *last_record(const cs_batch_t *batch)
{
    return batch->records->nelts ? &APR_ARRAY_IDX(batch->records, batch->records->nelts - 1, cs_batch_record_t) : NULL;
}

static void push(cs_batch_t *batch, cs_batch_record_t *record, cs_batch_event_t event, apr_size_t size)
{
    APR_ARRAY_PUSH(batch->events, cs_batch_event_t) = event;
    record->count++;
    record->size += size;
}

static cs_batch_record_t *new_record(cs_batch_t *batch)
{
    cs_batch_record_t *record = apr_array_push(batch->records);

    *record = (cs_batch_record_t){.first = batch->events->nelts};
    return record;
}

int cs_batch_add(cs_batch_t *batch, const cs_batch_limits_t *limits, cs_batch_event_t event)
{
    cs_batch_record_t *record = last_record(batch);
    apr_size_t size = event.data.length + limits->delimiter;
    apr_size_t cost;

    if (record && record->size + size <= limits->record_target) {
        cost = limits->cost(record->size + size) - limits->cost(record->size);
        if (batch->cost + cost > limits->batch)
            return 0;
    }
    else {
        cost = limits->cost(size);
        if (record && (batch->records->nelts == limits->records || batch->cost + cost > limits->batch))
            return 0;
        record = new_record(batch);
    }
    push(batch, record, event, size);
    batch->cost += cost;
    return 1;
}

/* Copies events of `from` into one new record of `to`. */
static void copy_record(cs_batch_t *to, const cs_batch_limits_t *limits, const cs_batch_t *from, int first, int count)
{
    cs_batch_record_t *record = new_record(to);

    for (int i = first; i < first + count; i++) {
        cs_batch_event_t event = APR_ARRAY_IDX(from->events, i, cs_batch_event_t);
        push(to, record, event, event.data.length + limits->delimiter);
    }
    to->cost += limits->cost(record->size);
}

cs_batch_t *cs_batch_select(const cs_batch_t *batch, cs_outcome_t outcome, const cs_batch_limits_t *limits,
                            apr_pool_t *parent)
{
    cs_batch_t *selected = NULL;

    for (int i = 0; i < batch->records->nelts; i++) {
        const cs_batch_record_t *record = &APR_ARRAY_IDX(batch->records, i, cs_batch_record_t);
        if (record->outcome != outcome)
            continue;
        if (!selected)
            selected = cs_batch_create(limits, batch->events->nelts, parent);
        copy_record(selected, limits, batch, record->first, record->count);
    }
    return selected;
}

void cs_batch_split(cs_batch_t *halves[2], const cs_batch_t *batch, const cs_batch_limits_t *limits, apr_pool_t *parent)
{
    int records = batch->records->nelts, events = batch->events->nelts;

    for (int half = 0; half < 2; half++) {
        halves[half] = cs_batch_create(limits, events, parent);
        halves[half]->attempts = batch->attempts;
        if (records == 1) {
            int first = half ? events / 2 : 0;
            copy_record(halves[half], limits, batch, first, half ? events - first : events / 2);
            continue;
        }
        for (int i = half ? records / 2 : 0; i < (half ? records : records / 2); i++) {
            const cs_batch_record_t *record = &APR_ARRAY_IDX(batch->records, i, cs_batch_record_t);
            copy_record(halves[half], limits, batch, record->first, record->count);
        }
    }
}

void cs_batch_outcome(cs_batch_t *batch, cs_outcome_t outcome)
{
    for (int i = 0; i < batch->records->nelts; i++)
        APR_ARRAY_IDX(batch->records, i, cs_batch_record_t).outcome = outcome;
}

apr_time_t cs_monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (apr_time_t)now.tv_sec * APR_USEC_PER_SEC + now.tv_nsec / 1000;
}
