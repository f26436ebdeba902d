/* A body's events, from bytes to records. What comes out is one line of strict JSON each; read once more it is one good
 * event with the same text; and what the server adds is there once, at the end, whatever the client sent.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <apr_strings.h>
#include <json-c/json.h>
#include <string.h>

#include "collect/enrich.h"
#include "common/settings.h"

#define ADDED "\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\"}"

typedef struct seen_t {
    apr_pool_t *pool;
    cs_additions_t additions;
    apr_array_header_t *records; /* cs_span_t */
    cs_span_t body;
    int events; /* taken or rejected */
} seen_t;

static cs_reason_t take(void *to, const cs_event_t *event)
{
    seen_t *seen = to;
    cs_span_t record = cs_record_write(event, &seen->additions, NULL, seen->pool);

    FUZZ_CHECK(record.length <= event->json->text.length + seen->additions.members.length + 2);
    APR_ARRAY_PUSH(seen->records, cs_span_t) = record;
    seen->events++;
    return CS_REASON_COUNT;
}

static void reject(void *to, const cs_rejection_t *rejection)
{
    seen_t *seen = to;

    FUZZ_CHECK(rejection->reason < CS_REASON_COUNT && rejection->index >= 0);
    FUZZ_CHECK(rejection->position <= seen->body.length);
    FUZZ_CHECK(rejection->text.at >= seen->body.at &&
               rejection->text.at + rejection->text.length <= seen->body.at + seen->body.length);
    seen->events++;
}

static void forget(void *to)
{
    seen_t *seen = to;

    seen->events = 0;
    apr_array_clear(seen->records);
}

static const char *const required[] = {"token", "timestamp", "tag"};
static cs_tag_t tags[] = {{"GEO_LOC", CS_TAG_GEO, 0, 0},    {"LANG", CS_TAG_LANGUAGE, 0, 0},
                          {"INT", CS_TAG_INTEGER, -5, 5},   {"NUM", CS_TAG_NUMBER, 0, 1},
                          {"TEXT", CS_TAG_STRING, 1, 3},    {"LIST", CS_TAG_ARRAY, 0, 2},
                          {"THING", CS_TAG_OBJECT, 1, 1e9}, {"YES", CS_TAG_BOOLEAN, 0, 0}};

static cs_event_rules_t rules_of(uint8_t choice, apr_pool_t *pool)
{
    apr_array_header_t *require = apr_array_make(pool, 3, sizeof(char *)),
                       *known = apr_array_make(pool, 8, sizeof(cs_tag_t));

    for (size_t i = 0; choice & 2 && i < sizeof(required) / sizeof(required[0]); i++)
        APR_ARRAY_PUSH(require, const char *) = required[i];
    for (size_t i = 0; choice & 4 && i < sizeof(tags) / sizeof(tags[0]); i++)
        APR_ARRAY_PUSH(known, cs_tag_t) = tags[i];
    return (cs_event_rules_t){.max_events = choice & 8 ? 3 : 100000,
                              .max_event = choice & 16 ? 100 : 1024000,
                              .max_depth = choice & 32 ? 3 : 64,
                              .require = require,
                              .tags = known,
                              .unknown_tags = choice & 64 ? CS_UNKNOWN_TAGS_REJECT : CS_UNKNOWN_TAGS_ACCEPT};
}

static cs_body_t read_body(seen_t *seen, cs_span_t body, int lines, const cs_event_rules_t *rules, apr_pool_t *pool)
{
    cs_event_sink_t sink = {.take = take, .reject = reject, .forget = forget, .to = seen};

    *seen = (seen_t){.pool = pool, .records = apr_array_make(pool, 4, sizeof(cs_span_t)), .body = body};
    cs_additions_begin(&seen->additions, "app", "192.0.2.1", NULL, pool);
    return cs_events_read(body, lines, rules, &sink, pool);
}

static void check_record(cs_span_t record, apr_pool_t *pool)
{
    const cs_event_rules_t any = {.max_events = 1,
                                  .max_event = APR_INT64_MAX,
                                  .max_depth = 64,
                                  .require = apr_array_make(pool, 1, sizeof(char *)),
                                  .unknown_tags = CS_UNKNOWN_TAGS_ACCEPT};
    char *exact = fuzz_exactly(record.at, record.length);
    seen_t again;

    FUZZ_CHECK(!memchr(record.at, '\n', record.length) && !memchr(record.at, '\r', record.length));
    FUZZ_CHECK(record.length >= sizeof(ADDED) &&
               memcmp(record.at + record.length - sizeof(ADDED) + 1, ADDED, sizeof(ADDED) - 1) == 0);
    FUZZ_CHECK(fuzz_is_json(record.at, record.length));
    read_body(&again, (cs_span_t){exact, record.length}, 0, &any, pool);
    FUZZ_CHECK(again.events == 1 && again.records->nelts == 1);
    cs_span_t second = APR_ARRAY_IDX(again.records, 0, cs_span_t);
    FUZZ_CHECK(second.length == record.length && memcmp(second.at, record.at, record.length) == 0);
}

/* What is good JSON to us is that to json-c, with the same names in the same order. It takes more than RFC 8259 does,
 * so that nothing follows the other way round: tests/httpd/cases_json.py has those. */
static void check_against_json_c(cs_span_t body, apr_pool_t *pool)
{
    apr_array_header_t *members = apr_array_make(pool, 16, sizeof(cs_member_t));
    const char *end = body.at + body.length;
    cs_json_t json;
    int at = 0;

    if (!cs_json_measure(&json, body.at, end) || cs_json_skip_space(json.text.at + json.text.length, end) < end)
        return;
    FUZZ_CHECK(fuzz_is_json(body.at, body.length));
    if (cs_json_kind(json.text) != CS_JSON_OBJECT)
        return;
    FUZZ_CHECK(cs_json_object(members, &json, body.at, end, pool));
    if (cs_json_nul(members))
        return;
    cs_json_unite(members, pool);
    struct json_tokener *tokener = json_tokener_new_ex(200);
    struct json_object *object = json_tokener_parse_ex(tokener, body.at, (int)body.length);
    FUZZ_CHECK(json_object_object_length(object) == members->nelts);
    json_object_object_foreach(object, name, value)
    {
        (void)value;
        cs_span_t ours = APR_ARRAY_IDX(members, at++, cs_member_t).name;
        FUZZ_CHECK(strlen(name) == ours.length && memcmp(name, ours.at, ours.length) == 0);
    }
    json_object_put(object);
    json_tokener_free(tokener);
}

FUZZ_TARGET(event)
{
    apr_pool_t *pool = fuzz_pool();
    uint8_t choice = fuzz_byte(&data, &size);
    cs_event_rules_t rules = rules_of(choice, pool);
    cs_span_t body = {fuzz_exactly(data, size), size};
    seen_t seen;
    cs_body_t kind = read_body(&seen, body, choice & 1, &rules, pool);

    check_against_json_c(body, pool);
    FUZZ_CHECK(kind != CS_BODY_ONE || seen.events == 1);
    FUZZ_CHECK(kind != CS_BODY_TOO_MANY || seen.events == 0);
    FUZZ_CHECK(seen.events <= rules.max_events);
    for (int i = 0; i < seen.records->nelts; i++)
        check_record(APR_ARRAY_IDX(seen.records, i, cs_span_t), pool);
    return 0;
}
