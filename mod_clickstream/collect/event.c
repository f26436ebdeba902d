/* A body's events: found, checked against the contract, and laid open for writing.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/event.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* Deeper than any ClickstreamMaxDepth plus the array around the events. */
#define PARSER_DEPTH 70

#define REASON_NAME(NAME, name) #name,
const char *cs_reason_name(cs_reason_t reason)
{
    static const char *const names[] = {CS_REASONS(REASON_NAME)};

    return names[reason];
}

/* What one call of cs_events_read works on. */
typedef struct reading_t {
    struct json_tokener *tokener;
    const char *body; /* where positions count from */
    const cs_event_rules_t *rules;
    const cs_event_sink_t *sink;
    apr_pool_t *pool;
    apr_array_header_t *members; /* cs_member_t, of the event at hand */
    int index;                   /* of the event at hand */
} reading_t;

cs_parser_t *cs_parser_create(void)
{
    struct json_tokener *tokener = json_tokener_new_ex(PARSER_DEPTH);

    if (tokener)
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    return (cs_parser_t *)tokener;
}

void cs_parser_free(void *parser)
{
    json_tokener_free(parser);
}

/* --- one event --- */

static void reject(reading_t *reading, cs_reason_t reason, const char *field, cs_span_t text)
{
    cs_rejection_t rejection = {.index = reading->index, .reason = reason, .field = field, .text = text};

    reading->sink->reject(reading->sink->to, &rejection);
}

static void reject_text(reading_t *reading, cs_reason_t reason, const char *culprit, cs_span_t text)
{
    cs_rejection_t rejection = {
        .index = reading->index, .reason = reason, .position = (apr_size_t)(culprit - reading->body), .text = text};

    reading->sink->reject(reading->sink->to, &rejection);
}

static cs_span_t span_of(const char *text)
{
    return (cs_span_t){text, strlen(text)};
}

/* Where each name of an object with repeated names has its last value: name -> index into `members`. */
static struct json_object *last_places(const cs_member_t *members, int count)
{
    struct json_object *places = json_object_new_object();
    struct json_tokener *tokener = json_tokener_new();

    for (int i = 0; i < count; i++) {
        struct json_object *name =
            json_tokener_parse_ex(tokener, members[i].raw_name.at, (int)members[i].raw_name.length);
        json_object_object_add(places, json_object_get_string(name), json_object_new_int(i));
        json_object_put(name);
        json_tokener_reset(tokener);
    }
    json_tokener_free(tokener);
    return places;
}

/* Lays the event open in `reading->members`. Returns the culprit where a name is not acceptable. */
static const char *find_members(reading_t *reading, const cs_json_t *json)
{
    cs_member_t member = {.name = {NULL, 0}};
    const char *cursor = NULL;
    cs_json_t value;

    apr_array_clear(reading->members);
    while (cs_json_next(&member.raw_name, &value, &cursor, json)) {
        if (cs_json_has_nul(member.raw_name))
            return member.raw_name.at;
        member.value = value.text;
        APR_ARRAY_PUSH(reading->members, cs_member_t) = member;
    }
    return NULL;
}

static void take(reading_t *reading, struct json_object *object, const cs_json_t *json)
{
    cs_member_t *members = (cs_member_t *)reading->members->elts;
    int count = json_object_object_length(object), at = 0;
    struct json_object *places = NULL;
    cs_reason_t reason;

    if (reading->members->nelts == count) { /* the usual case: json-c has them in the same order */
        json_object_object_foreach(object, name, unused)
        {
            (void)unused;
            members[at++].name = span_of(name);
        }
    }
    else {
        places = last_places(members, reading->members->nelts);
        count = json_object_object_length(places);
        members = apr_pcalloc(reading->pool, (apr_size_t)count * sizeof(*members));
        json_object_object_foreach(places, name, place)
        {
            members[at] = APR_ARRAY_IDX(reading->members, json_object_get_int(place), cs_member_t);
            members[at++].name = span_of(name);
        }
    }
    reason = reading->sink->take(reading->sink->to, &(cs_event_t){members, count, json->text.length});
    if (reason != CS_REASON_COUNT)
        reject(reading, reason, NULL, json->text);
    json_object_put(places);
}

static void read_event(reading_t *reading, struct json_object *object, const cs_json_t *json)
{
    const char *field, *culprit;
    cs_reason_t reason = cs_event_check(&field, object, json, reading->rules);

    if (reason != CS_REASON_COUNT)
        reject(reading, reason, field, json->text);
    else if ((culprit = find_members(reading, json)))
        reject_text(reading, CS_REASON_MALFORMED_JSON, culprit, json->text);
    else
        take(reading, object, json);
    reading->index++;
}

/* --- a body --- */

/* Where a text breaks off within a surrogate pair, json-c keeps the first half through json_tokener_reset(), and
 * reads it into the next \u of whatever text comes next: perhaps another client's, perhaps a name. */
static void forget_surrogate(struct json_tokener *tokener)
{
    json_tokener_reset(tokener);
    json_object_put(json_tokener_parse_ex(tokener, "\"\\u0020\"", -1));
}

/* Parses one value. Returns 1 with `*object` (to be put; NULL is JSON's null) and `*json` within `text`.
 * Only white space may follow it, unless `trailing` is allowed. Otherwise rejects what is there, and
 * returns 0. */
static int parse(struct json_object **object, cs_json_t *json, reading_t *reading, cs_span_t text, int trailing)
{
    struct json_tokener *tokener = reading->tokener;
    const char *culprit = text.at + text.length;
    enum json_tokener_error error;

    json_tokener_reset(tokener);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
                                        (trailing ? JSON_TOKENER_ALLOW_TRAILING_CHARS : 0));
    *object = json_tokener_parse_ex(tokener, text.at, (int)text.length);
    error = json_tokener_get_error(tokener);
    if (error == json_tokener_continue) { /* a number or a word might go on: the NUL says that this is all */
        *object = json_tokener_parse_ex(tokener, "", -1);
        error = json_tokener_get_error(tokener);
    }
    else
        culprit = text.at + json_tokener_get_parse_end(tokener);
    if (error != json_tokener_success) {
        reject_text(reading, error == json_tokener_error_depth ? CS_REASON_TOO_DEEP : CS_REASON_MALFORMED_JSON, culprit,
                    text);
        forget_surrogate(tokener);
        return 0;
    }
    if (!cs_json_measure(json, text.at, text.at + text.length)) {
        reject_text(reading, CS_REASON_MALFORMED_JSON, json->text.at, text);
        json_object_put(*object);
        return 0;
    }
    return 1;
}

/* The next line that is not blank; 0 when there is none. */
static int next_line(cs_span_t *line, const char **at, const char *end)
{
    while (*at < end) {
        const char *newline = memchr(*at, '\n', (size_t)(end - *at));
        const char *stop = newline ? newline : end;
        *line = (cs_span_t){*at, (apr_size_t)(stop - *at)};
        *at = newline ? newline + 1 : end;
        for (apr_size_t i = 0; i < line->length; i++) {
            if (!strchr(" \t\r", line->at[i]))
                return 1;
        }
    }
    return 0;
}

static cs_body_t read_lines(reading_t *reading, cs_span_t body)
{
    const char *end = body.at + body.length, *at = body.at;
    struct json_object *object;
    apr_int64_t count = 0;
    cs_json_t json;
    cs_span_t line;

    while (next_line(&line, &at, end))
        count++;
    if (count > reading->rules->max_events)
        return CS_BODY_TOO_MANY;
    for (at = body.at; next_line(&line, &at, end);) {
        if (parse(&object, &json, reading, line, 0)) {
            read_event(reading, object, &json);
            json_object_put(object);
        }
        else
            reading->index++;
    }
    return CS_BODY_MANY;
}

static cs_body_t read_array(reading_t *reading, struct json_object *array, const cs_json_t *json)
{
    const char *cursor = NULL;
    cs_json_t element;
    cs_span_t none;

    if ((apr_int64_t)json_object_array_length(array) > reading->rules->max_events)
        return CS_BODY_TOO_MANY;
    while (cs_json_next(&none, &element, &cursor, json))
        read_event(reading, json_object_array_get_idx(array, (size_t)reading->index), &element);
    return CS_BODY_MANY;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && strchr(" \t\r\n", *at))
        at++;
    return at;
}

cs_body_t cs_events_read(cs_parser_t *parser, cs_span_t body, int lines, const cs_event_rules_t *rules,
                         const cs_event_sink_t *sink, apr_pool_t *pool)
{
    reading_t reading = {.tokener = (struct json_tokener *)parser,
                         .body = body.at,
                         .rules = rules,
                         .sink = sink,
                         .pool = pool,
                         .members = apr_array_make(pool, 16, sizeof(cs_member_t))};
    const char *end = body.at + body.length;
    const char *nul = memchr(body.at, '\0', body.length);
    struct json_object *root;
    cs_body_t kind = CS_BODY_ONE;
    cs_json_t json;

    if (nul) { /* to json-c it would be the end of the text */
        reject_text(&reading, CS_REASON_MALFORMED_JSON, nul, body);
        return CS_BODY_ONE;
    }
    if (lines)
        return read_lines(&reading, body);
    if (!parse(&root, &json, &reading, body, 1))
        return CS_BODY_ONE;
    const char *after = json.text.at + json.text.length, *more = skip_space(after, end);
    /* Something on a line of its own behind an object: then the body is lines. */
    if (json_object_is_type(root, json_type_object) && more < end && memchr(after, '\n', (size_t)(more - after)))
        kind = read_lines(&reading, body);
    else if (more < end)
        reject_text(&reading, CS_REASON_MALFORMED_JSON, more, body);
    else if (json_object_is_type(root, json_type_array))
        kind = read_array(&reading, root, &json);
    else
        read_event(&reading, root, &json);
    json_object_put(root);
    return kind;
}
