/* The record made of an event: its own members, then what only the server knows. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_ENRICH_H
#define CS_ENRICH_H

#include "collect/event.h"

/* What the server adds to every event of one request. */
typedef struct cs_additions_t {
    const char *client_id;
    const char *client_ip;
    const char *user_agent; /* NULL: left out */
} cs_additions_t;

/* The additions as JSON members without braces, made once a request: "client_id":"…","client_ip":"…". */
cs_span_t cs_additions_write(const cs_additions_t *additions, apr_pool_t *pool);

/* One line of JSON, without a newline, allocated from `pool`. A member that the client named like one of
 * the server's is left out: it cannot be forged. */
cs_span_t cs_record_write(const cs_event_t *event, cs_span_t additions, apr_pool_t *pool);

#endif
