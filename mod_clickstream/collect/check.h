/* One event against the contract: its members, their types and ranges. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_CHECK_H
#define CS_CHECK_H

#include <apr_tables.h>

#include "collect/json.h"
#include "collect/reason.h"

/* What an event is checked against; see the directives of the same names. */
typedef struct cs_event_rules_t {
    apr_int64_t max_events, max_event, max_depth;
    const apr_array_header_t *require; /* const char * */
    const apr_array_header_t *tags;    /* cs_tag_t; NULL: none */
    apr_int64_t unknown_tags;          /* CS_UNKNOWN_TAGS_… */
} cs_event_rules_t;

/* Looks at the members of one event, in which no name is twice. Returns why it is refused, with the name of the member
 * that is at fault in `*field` (or NULL), which lives as long as the rules; CS_REASON_COUNT: it is good. */
cs_reason_t cs_event_check(const char **field, const cs_member_t *members, int count, const cs_event_rules_t *rules,
                           apr_pool_t *pool);

/* Whether `text` is an RFC 3339 date-time, as JavaScript's toISOString() writes it. */
int cs_is_timestamp(const char *text, apr_size_t length);

#endif
