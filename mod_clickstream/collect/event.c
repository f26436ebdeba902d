/* A body's events: found, checked against the contract, and laid open for writing.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/event.h"

#include <string.h>

#define REASON_NAME(NAME, name) #name,
const char *cs_reason_name(cs_reason_t reason)
{
    static const char *const names[] = {CS_REASONS(REASON_NAME)};

    return names[reason];
}

/* What one call of cs_events_read works on. */
typedef struct reading_t {
    cs_span_t body; /* where positions count from */
    const cs_event_rules_t *rules;
    const cs_event_sink_t *sink;
    apr_pool_t *pool;
    apr_array_header_t *members; /* cs_member_t, of the event at hand */
    int index;                   /* of the event at hand */
} reading_t;

/* --- one event --- */

static void reject(reading_t *reading, cs_reason_t reason, const char *field, cs_span_t text)
{
    cs_rejection_t rejection = {.index = reading->index, .reason = reason, .field = field, .text = text};

    reading->sink->reject(reading->sink->to, &rejection);
}

static void reject_text(reading_t *reading, cs_reason_t reason, const char *culprit, cs_span_t text)
{
    cs_rejection_t rejection = {
        .index = reading->index, .reason = reason, .position = (apr_size_t)(culprit - reading->body.at), .text = text};

    reading->sink->reject(reading->sink->to, &rejection);
}

/* What can be told of an event without a look at its members. */
static cs_reason_t check_shape(const cs_json_t *json, const cs_event_rules_t *rules)
{
    if (cs_json_kind(json->text) != CS_JSON_OBJECT)
        return CS_REASON_NOT_AN_OBJECT;
    if ((apr_int64_t)json->text.length > rules->max_event)
        return CS_REASON_TOO_LARGE;
    return json->depth > rules->max_depth ? CS_REASON_TOO_DEEP : CS_REASON_COUNT;
}

/* The members are laid open. CS_REASON_COUNT: the event was taken. */
static cs_reason_t take_event(const char **field, reading_t *reading, const cs_json_t *json)
{
    int united = cs_json_unite(reading->members, reading->pool) > 0;
    const cs_event_t event = {.members = (const cs_member_t *)(const void *)reading->members->elts,
                              .count = reading->members->nelts,
                              .json = json,
                              .united = united};
    cs_reason_t reason = cs_event_check(field, event.members, event.count, reading->rules, reading->pool);

    if (reason != CS_REASON_COUNT)
        return reason;
    *field = NULL;
    return reading->sink->take(reading->sink->to, &event);
}

/* Hands on what was measured: taken, or rejected. */
static void hand_on(reading_t *reading, const cs_json_t *json)
{
    cs_reason_t reason = check_shape(json, reading->rules);
    const char *field = NULL, *culprit = NULL;

    if (reason == CS_REASON_COUNT && !(culprit = cs_json_nul(reading->members)))
        reason = take_event(&field, reading, json);
    if (culprit)
        reject_text(reading, CS_REASON_MALFORMED_JSON, culprit, json->text);
    else if (reason != CS_REASON_COUNT)
        reject(reading, reason, field, json->text);
    reading->index++;
}

/* --- a body --- */

/* Measures the value at `at`, and lays it open where it is an object that can be an event. One that is too large for
 * that is only measured: its members might take thirty times its room. */
static int measure(cs_json_t *json, reading_t *reading, const char *at, const char *end)
{
    apr_int64_t most = reading->rules->max_event;

    at = cs_json_skip_space(at, end);
    if (at < end && *at == '{' &&
        cs_json_object(reading->members, json, at, end - at > most ? at + most : end, reading->pool))
        return 1;
    return cs_json_measure(json, at, end);
}

/* For what measure() stopped at. */
static void reject_culprit(reading_t *reading, const cs_json_t *json, cs_span_t text)
{
    reject_text(reading, json->depth > CS_JSON_DEEPEST ? CS_REASON_TOO_DEEP : CS_REASON_MALFORMED_JSON, json->text.at,
                text);
}

/* Nothing but white space may follow in `text`. */
static int is_last(reading_t *reading, const char *after, cs_span_t text)
{
    const char *end = text.at + text.length, *more = cs_json_skip_space(after, end);

    if (more < end)
        reject_text(reading, CS_REASON_MALFORMED_JSON, more, text);
    return more == end;
}

static const char *end_of(const cs_json_t *json)
{
    return json->text.at + json->text.length;
}

/* The next line that is not blank; 0 when there is none. */
static int next_line(cs_span_t *line, const char **at, const char *end)
{
    while (*at < end) {
        const char *newline = memchr(*at, '\n', (size_t)(end - *at));
        const char *stop = newline ? newline : end;
        *line = (cs_span_t){*at, (apr_size_t)(stop - *at)};
        *at = newline ? newline + 1 : end;
        if (cs_json_skip_space(line->at, stop) < stop)
            return 1;
    }
    return 0;
}

static cs_body_t read_lines(reading_t *reading)
{
    const char *at = reading->body.at, *end = at + reading->body.length;
    apr_int64_t count = 0;
    cs_json_t json;
    cs_span_t line;

    while (next_line(&line, &at, end))
        count++;
    if (count > reading->rules->max_events)
        return CS_BODY_TOO_MANY;
    for (at = reading->body.at; next_line(&line, &at, end);) {
        int good = measure(&json, reading, line.at, line.at + line.length);
        if (!good)
            reject_culprit(reading, &json, line);
        if (good && is_last(reading, end_of(&json), line))
            hand_on(reading, &json);
        else
            reading->index++;
    }
    return CS_BODY_MANY;
}

/* Hands on the elements of the array at `at`, while there may be so many, and counts them all. Returns what is behind
 * it; or NULL, with `element` at the culprit. */
static const char *read_elements(cs_json_t *element, reading_t *reading, const char *at, const char *end)
{
    at = cs_json_skip_space(at + 1, end);
    if (at < end && *at == ']')
        return at + 1;
    for (;; at++) {
        if (!measure(element, reading, at, end))
            return NULL;
        if (reading->index < reading->rules->max_events)
            hand_on(reading, element);
        else
            reading->index++;
        at = cs_json_skip_space(end_of(element), end);
        if (at < end && *at == ']')
            return at + 1;
        if (at == end || *at != ',') {
            *element = (cs_json_t){.text = {at, 0}};
            return NULL;
        }
    }
}

static cs_body_t read_array(reading_t *reading, const char *at)
{
    const char *end = reading->body.at + reading->body.length;
    cs_json_t culprit;
    const char *after = read_elements(&culprit, reading, at, end);
    const char *more = after ? cs_json_skip_space(after, end) : NULL;

    if (more == end && reading->index <= reading->rules->max_events)
        return CS_BODY_MANY;
    reading->sink->forget(reading->sink->to);
    if (more == end)
        return CS_BODY_TOO_MANY;
    if (after)
        culprit = (cs_json_t){.text = {more, 0}};
    reading->index = 0;
    reject_culprit(reading, &culprit, reading->body);
    return CS_BODY_ONE;
}

/* Whether something is on a line of its own behind an object: then the body is lines. */
static int is_lines(const cs_json_t *json, const char *end)
{
    const char *more = cs_json_skip_space(end_of(json), end);

    return *json->text.at == '{' && more < end && memchr(end_of(json), '\n', (size_t)(more - end_of(json)));
}

cs_body_t cs_events_read(cs_span_t body, int lines, const cs_event_rules_t *rules, const cs_event_sink_t *sink,
                         apr_pool_t *pool)
{
    reading_t reading = {.body = body,
                         .rules = rules,
                         .sink = sink,
                         .pool = pool,
                         .members = apr_array_make(pool, 16, sizeof(cs_member_t))};
    const char *end = body.at + body.length, *start = cs_json_skip_space(body.at, end);
    cs_json_t json;

    if (lines)
        return read_lines(&reading);
    if (start < end && *start == '[')
        return read_array(&reading, start);
    if (!measure(&json, &reading, start, end))
        reject_culprit(&reading, &json, body);
    else if (is_lines(&json, end))
        return read_lines(&reading);
    else if (is_last(&reading, end_of(&json), body))
        hand_on(&reading, &json);
    return CS_BODY_ONE;
}
