/* A batch: events on their way to a sink together, packed into the sink's records.
 * It knows neither the queue nor the sink: an event is an id and bytes. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_BATCH_H
#define CS_BATCH_H

#include <apr_pools.h>
#include <apr_ring.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "common/text.h"

/* What a sink takes at once. Sizes of a record are its events with their delimiters. */
typedef struct cs_batch_limits_t {
    int records;                           /* of a batch */
    apr_size_t record_target;              /* no further event goes into a record beyond this size; 1: one event each */
    apr_size_t batch;                      /* of the batch, by `cost` */
    apr_size_t batch_overhead;             /* what a batch costs before its first record */
    apr_size_t (*cost)(apr_size_t record); /* what a record of that size adds to the batch */
    apr_size_t delimiter;                  /* bytes behind each event */
} cs_batch_limits_t;

typedef struct cs_batch_event_t {
    apr_uint64_t id;
    cs_span_t data;       /* belongs to whoever added it, and stays until the batch is done with */
    apr_time_t queued_at; /* by the wall clock; 0: nobody knows */
} cs_batch_event_t;

typedef enum {
    CS_OUTCOME_RETRY, /* the sink did not take it, as far as we know */
    CS_OUTCOME_DELIVERED,
    CS_OUTCOME_INVALID, /* something in this record's batch is not acceptable, ever */
} cs_outcome_t;

/* One record of the sink: consecutive events that are taken or refused as one. */
typedef struct cs_batch_record_t {
    int first, count; /* into `events` */
    apr_size_t size;
    cs_outcome_t outcome; /* set by the sink */
} cs_batch_record_t;

typedef struct cs_batch_t cs_batch_t;
struct cs_batch_t {
    APR_RING_ENTRY(cs_batch_t)
    link;                        /* for whoever holds the batch */
    apr_pool_t *pool;            /* its own; destroying it destroys the batch */
    apr_array_header_t *events;  /* cs_batch_event_t */
    apr_array_header_t *records; /* cs_batch_record_t */
    apr_size_t cost;
    int attempts;          /* how often it was sent in vain */
    apr_time_t not_before; /* by the monotonic clock; see cs_monotonic() */
};
APR_RING_HEAD(cs_batch_ring_t, cs_batch_t);

/* With room for so many events before it has to grow. */
cs_batch_t *cs_batch_create(const cs_batch_limits_t *limits, int room, apr_pool_t *parent);

/* Adds an event, to the last record or to a new one. Returns 0 where the batch has no room for it. An empty
 * batch takes any event. */
int cs_batch_add(cs_batch_t *batch, const cs_batch_limits_t *limits, cs_batch_event_t event);

/* A batch of those records whose outcome is `outcome`, packed as they were; NULL where there are none. */
cs_batch_t *cs_batch_select(const cs_batch_t *batch, cs_outcome_t outcome, const cs_batch_limits_t *limits,
                            apr_pool_t *parent);

/* Divides a batch of more than one event into two: between records, or within the only record. */
void cs_batch_split(cs_batch_t *halves[2], const cs_batch_t *batch, const cs_batch_limits_t *limits,
                    apr_pool_t *parent);

/* All of a batch's records have the same outcome. */
void cs_batch_outcome(cs_batch_t *batch, cs_outcome_t outcome);

/* Microseconds of a clock that nobody sets. */
apr_time_t cs_monotonic(void);

#endif
