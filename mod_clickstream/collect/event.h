/* A body's events: found, checked against the contract, and laid open for writing.
 * Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_EVENT_H
#define CS_EVENT_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "collect/check.h"
#include "collect/json.h"
#include "collect/reason.h"

/* An event that holds what the contract asks. All points into the body or into the pool; the members are gone when the
 * callback returns. */
typedef struct cs_event_t {
    const cs_member_t *members; /* no name is there twice */
    int count;
    const cs_json_t *json; /* the text as it was sent: nothing written from `members` is longer */
    int united;            /* a name was there twice, so that the text has more than the members */
} cs_event_t;

typedef struct cs_rejection_t {
    int index; /* of the event in the body, from 0 */
    cs_reason_t reason;
    const char *field;   /* the member that is at fault, or NULL */
    apr_size_t position; /* malformed_json: the byte in the body, from 0 */
    cs_span_t text;      /* the event as it was sent, as far as it could be told from others */
} cs_rejection_t;

/* Gets each event of a body, in order: `take` for a good one, `reject` for a bad one. `take` may refuse it
 * after all by returning a reason; CS_REASON_COUNT means taken. `forget` says that all of it was too soon, as what came
 * behind is no JSON, or there are too many. */
typedef struct cs_event_sink_t {
    cs_reason_t (*take)(void *to, const cs_event_t *event);
    void (*reject)(void *to, const cs_rejection_t *rejection);
    void (*forget)(void *to);
    void *to;
} cs_event_sink_t;

typedef enum {
    CS_BODY_ONE,      /* one object, or something that is no list: at most one event was in it */
    CS_BODY_MANY,     /* an array, or lines */
    CS_BODY_TOO_MANY, /* more than max_events: there is none */
} cs_body_t;

/* Reads a body: one JSON object, an array of objects, or one object a line (`lines` says that the sender
 * told us so; otherwise it is seen from the text). */
cs_body_t cs_events_read(cs_span_t body, int lines, const cs_event_rules_t *rules, const cs_event_sink_t *sink,
                         apr_pool_t *pool);

#endif
