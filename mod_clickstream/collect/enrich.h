/* The record made of an event: its own members, then what only the server knows. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_ENRICH_H
#define CS_ENRICH_H

#include "collect/event.h"

/* What the server adds to the events of one request, as JSON members without braces: "client_id":"…","client_ip":"…".
 * A name belongs to the server whether it has a value or not: where the client sent it, it is left out. */
typedef struct cs_additions_t {
    cs_span_t members;
    apr_array_header_t *names; /* cs_span_t */
    apr_pool_t *pool;
} cs_additions_t;

/* What a value is cut at, in bytes. Each event gets it, of which a request may have hundreds, so that without a bound a
 * few long headers make of a small request more than a queue holds. 2048: what URLs in a Referer keep to, and many
 * times an honest User-Agent or X-Forwarded-For. */
#define CS_ADDED_MOST 2048

/* The three that belong to the server everywhere. NULL as a value: the record is without. */
void cs_additions_begin(cs_additions_t *additions, const char *client_id, const char *client_ip, const char *user_agent,
                        apr_pool_t *pool);
void cs_additions_add(cs_additions_t *additions, const char *name, const char *value);

/* The name of a member that cs_record_write() gets with each event. */
void cs_additions_reserve(cs_additions_t *additions, const char *name);

/* One line of JSON, without a newline, allocated from `pool`. `event_id` is the value of a last member, or NULL. */
cs_span_t cs_record_write(const cs_event_t *event, const cs_additions_t *additions, const char *event_id,
                          apr_pool_t *pool);

/* A refused event as a record: {"reason":…,"field":…,"received_at":…,"client_id":…,"client_ip":…,"event":…}. The event
 * is text, cut at CS_REFUSED_MOST bytes, since it may be anything; the client's address is cut at CS_ADDED_MOST;
 * members without a value are left out. */
#define CS_REFUSED_MOST 8192
typedef struct cs_refused_t {
    const char *reason, *field, *received_at, *client_id, *client_ip;
    cs_span_t event;
} cs_refused_t;
cs_span_t cs_refused_write(const cs_refused_t *refused, apr_pool_t *pool);

#endif
