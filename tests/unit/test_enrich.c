/* Records: an event's own members, and what only the server knows; and what was refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "collect/enrich.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char *text_of(cs_span_t span)
{
    return apr_pstrmemdup(pool, span.at, span.length);
}

#define OTHERS 4

/* The three that are always the server's, and others, with a value or without one. */
static const struct {
    const char *client_id, *client_ip, *user_agent;
    const char *others[OTHERS][2];
    const char *written;
} additions[] = {
    {"app", "192.0.2.1", "Mozilla/5.0 (iPhone; \"x\")",
     .written = "\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\",\"user_agent\":\"Mozilla/5.0 (iPhone; \\\"x\\\")\""},
    {"app", "90.200.187.19, 165.225.197.24", NULL,
     .written = "\"client_id\":\"app\",\"client_ip\":\"90.200.187.19, 165.225.197.24\""},
    {"app", "2001:db8::1", "", .written = "\"client_id\":\"app\",\"client_ip\":\"2001:db8::1\",\"user_agent\":\"\""},
    {"app", NULL, "curl", .written = "\"client_id\":\"app\",\"user_agent\":\"curl\""},
    {"app", NULL, NULL, .written = "\"client_id\":\"app\""},
    {"a\\b\n\"},{", "x", NULL, .written = "\"client_id\":\"a\\\\b\\u000a\\\"},{\",\"client_ip\":\"x\""},
    {"Z\xC3\xBCrich", "x", "caf\xE9 \xFF\xED\xA0\x80",
     .written = "\"client_id\":\"Z\xC3\xBCrich\",\"client_ip\":\"x\","
                "\"user_agent\":\"caf\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {"app",
     "x",
     "y",
     {{"country", "CH"}, {"city", NULL}, {"visitor_id", ""}},
     .written =
         "\"client_id\":\"app\",\"client_ip\":\"x\",\"user_agent\":\"y\",\"country\":\"CH\",\"visitor_id\":\"\""},
    {"app", NULL, NULL, {{"a\"b", "\"\\\t"}}, .written = "\"client_id\":\"app\",\"a\\\"b\":\"\\\"\\\\\\u0009\""},
};

START_TEST(writes_additions)
{
    cs_additions_t added;

    cs_additions_begin(&added, additions[_i].client_id, additions[_i].client_ip, additions[_i].user_agent, pool);
    for (int i = 0; i < OTHERS && additions[_i].others[i][0]; i++)
        cs_additions_add(&added, additions[_i].others[i][0], additions[_i].others[i][1]);
    ck_assert_str_eq(text_of(added.members), additions[_i].written);
}
END_TEST

static const struct {
    const char *event, *record; /* the record without what the server adds */
} records[] = {
    {"{}", "{"},
    {"{\"a\":1}", "{\"a\":1,"},
    {" { \"b\" : [ 1 , {\"x y\" : null} ] ,\r\n\t\"a\" : \" s \" } ", "{\"b\":[1,{\"x y\":null}],\"a\":\" s \","},
    {"{\"n\":123456789012345678901234567890,\"f\":1.10E+5}", "{\"n\":123456789012345678901234567890,\"f\":1.10E+5,"},
    {"{\"\\u0061\\/\":\"\\u00e9\"}", "{\"\\u0061\\/\":\"\\u00e9\","},
    {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2,"},
    /* forged */
    {"{\"client_id\":\"evil\"}", "{"},
    {"{\"a\":1,\"client_ip\":\"evil\",\"b\":2}", "{\"a\":1,\"b\":2,"},
    {"{\"user_agent\":[{}],\"client_id\":{},\"client_ip\":null,\"a\":1}", "{\"a\":1,"},
    {"{\"client\\u005fid\":\"evil\",\"a\":1}", "{\"a\":1,"},
    {"{\"a\":1,\"\\u0063lient_\\u0069p\":\"evil\"}", "{\"a\":1,"},
    {"{\"user\\u005Fagent\":1,\"user_agent\":2}", "{"},
    {"{\"client_id\":1,\"a\":1,\"client_id\":2}", "{\"a\":1,"},
    /* only like them */
    {"{\"Client_id\":1,\"client_i\":2,\"client_ids\":3,\"client-id\":4}",
     "{\"Client_id\":1,\"client_i\":2,\"client_ids\":3,\"client-id\":4,"},
    {"{\"a\":{\"client_id\":\"its own\"}}", "{\"a\":{\"client_id\":\"its own\"},"},
    {"{\"a\":\"\\\",\\\"client_id\\\":\\\"evil\"}", "{\"a\":\"\\\",\\\"client_id\\\":\\\"evil\","},
};

static const char *written;
static const char *event_id; /* of the record to be written */

static cs_reason_t write_event(void *to, const cs_event_t *event)
{
    const cs_additions_t *added = to;
    cs_span_t record = cs_record_write(event, added, event_id, pool);
    apr_size_t id = event_id ? strlen(",\"event_id\":\"\"") + strlen(event_id) : 0;

    ck_assert_uint_le(record.length, event->json->text.length + added->members.length + id + 2);
    written = text_of(record);
    return CS_REASON_COUNT;
}

static void fail_event(void *to, const cs_rejection_t *rejection)
{
    (void)to;
    ck_abort_msg("%s", cs_reason_name(rejection->reason));
}

static const char *record_of(const char *event, cs_additions_t *added)
{
    cs_event_sink_t sink = {.take = write_event, .reject = fail_event, .to = added};
    cs_event_rules_t rules = {
        .max_events = 1, .max_event = 1000, .max_depth = 8, .require = apr_array_make(pool, 1, sizeof(const char *))};

    cs_events_read((cs_span_t){event, strlen(event)}, 0, &rules, &sink, pool);
    return written;
}

START_TEST(writes_record)
{
    const char *record;
    cs_additions_t added;

    cs_additions_begin(&added, "app", "192.0.2.1", NULL, pool);
    event_id = NULL;
    record = record_of(records[_i].event, &added);
    ck_assert_str_eq(record, apr_pstrcat(pool, records[_i].record, text_of(added.members), "}", NULL));
    ck_assert_ptr_null(strchr(record, '\n'));
}
END_TEST

/* Names that are the server's since its configuration says so, with a value or without one. */
static const struct {
    const char *event, *record;
} configured[] = {
    {"{\"a\":1}", "{\"a\":1,"},
    {"{\"country\":\"evil\",\"a\":1,\"city\":\"evil\"}", "{\"a\":1,"},
    {"{\"event_id\":\"evil\",\"visitor_id\":null}", "{"},
    {"{\"c\\u006funtry\":\"evil\",\"ev\\u0065nt_id\":[]}", "{"},
    {"{\"city\":1,\"a\":2,\"city\":3}", "{\"a\":2,"},
    {"{\"received_at\":1,\"cities\":2,\"event-id\":3}", "{\"received_at\":1,\"cities\":2,\"event-id\":3,"},
};

START_TEST(writes_record_with_an_id)
{
    cs_additions_t added;

    cs_additions_begin(&added, "app", NULL, NULL, pool);
    cs_additions_add(&added, "country", "CH");
    cs_additions_add(&added, "city", NULL);
    cs_additions_add(&added, "visitor_id", NULL);
    cs_additions_reserve(&added, "event_id");
    event_id = "7";
    ck_assert_str_eq(
        record_of(configured[_i].event, &added),
        apr_pstrcat(pool, configured[_i].record, "\"client_id\":\"app\",\"country\":\"CH\",\"event_id\":\"7\"}", NULL));
}
END_TEST

/* --- what was refused --- */

static const struct {
    cs_refused_t refused;
    const char *record;
} refusals[] = {
    {{"missing_field", "tag", "2026-01-31T23:59:59.123Z", "app", "192.0.2.1", {"{\"a\": 1}", 8}},
     "{\"reason\":\"missing_field\",\"field\":\"tag\",\"received_at\":\"2026-01-31T23:59:59.123Z\",\"client_id\":"
     "\"app\","
     "\"client_ip\":\"192.0.2.1\",\"event\":\"{\\\"a\\\": 1}\"}"},
    {{"malformed_json", NULL, "x", "app", NULL, {"", 0}},
     "{\"reason\":\"malformed_json\",\"received_at\":\"x\",\"client_id\":\"app\",\"event\":\"\"}"},
    {{"too_large", NULL, NULL, NULL, NULL, {"a\0b\xFF\n", 5}},
     "{\"reason\":\"too_large\",\"event\":\"a\\u0000b\xEF\xBF\xBD\\u000a\"}"},
    {{"missing_field", "a\"b", NULL, "c\\d\xFF", "e\tf", {"x", 1}},
     "{\"reason\":\"missing_field\",\"field\":\"a\\\"b\",\"client_id\":\"c\\\\d\xEF\xBF\xBD\",\"client_ip\":"
     "\"e\\u0009f\","
     "\"event\":\"x\"}"},
};

START_TEST(writes_what_was_refused)
{
    ck_assert_str_eq(text_of(cs_refused_write(&refusals[_i].refused, pool)), refusals[_i].record);
}
END_TEST

#define EURO "\xE2\x82\xAC"
#define SMILE "\xF0\x9F\x98\x80"
#define BAD "\xEF\xBF\xBD"

/* An event of `before` bytes and `end`, and what stands of the end when it has been cut. */
static const struct {
    apr_size_t before;
    const char *end, *left;
} cuts[] = {
    {8191, "", ""},
    {8191, "x", "x"},
    {8191, "xy", "x"},
    {8192, "xyz", ""},
    /* between two characters */
    {8189, EURO "x", EURO},
    {8188, SMILE EURO, SMILE},
    {8192, EURO, ""},
    /* within one */
    {8191, EURO, ""},
    {8190, EURO, ""},
    {8190, EURO "x", ""},
    {8191, SMILE, ""},
    {8190, SMILE, ""},
    {8189, SMILE, ""},
    {8191, "\xC3\xA9", ""},
    {8190, "\xC3\xA9", "\xC3\xA9"},
    /* no characters at all: at most three bytes more go */
    {8188, "\x80\x80\x80\x80\x80\x80", BAD},
    {8189, "\xFF\xFF\xFF\xFF", BAD BAD BAD},
};

START_TEST(cuts_where_a_character_begins)
{
    size_t before = cuts[_i].before, length = before + strlen(cuts[_i].end);
    cs_refused_t refused = {.reason = "r"};
    char *event = malloc(length); /* not from the pool: nothing may be read behind it */
    const char *xs, *record;

    memset(event, 'x', before);
    memcpy(event + before, cuts[_i].end, length - before);
    xs = apr_pstrmemdup(pool, event, before);
    refused.event = (cs_span_t){event, length};
    record = text_of(cs_refused_write(&refused, pool));
    ck_assert_str_eq(record, apr_pstrcat(pool, "{\"reason\":\"r\",\"event\":\"", xs, cuts[_i].left, "\"}", NULL));
    free(event);
}
END_TEST

/* Six bytes each: the most that there can be. */
START_TEST(has_room_for_what_is_quoted)
{
    cs_refused_t refused = {.reason = "r", .event = {apr_pcalloc(pool, 10000), 10000}};
    cs_span_t record = cs_refused_write(&refused, pool);

    ck_assert_uint_eq(record.length, 6 * CS_REFUSED_MOST + strlen("{\"reason\":\"r\",\"event\":\"\"}"));
}
END_TEST

static const struct {
    apr_time_t time;
    const char *text;
} times[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {999, "1970-01-01T00:00:00.000Z"},
    {1000, "1970-01-01T00:00:00.001Z"},
    {APR_INT64_C(1700000000999999), "2023-11-14T22:13:20.999Z"},
    {APR_INT64_C(1709164800000000), "2024-02-29T00:00:00.000Z"},
    {APR_INT64_C(1769903999123456), "2026-01-31T23:59:59.123Z"},
    {APR_INT64_C(253402300799999999), "9999-12-31T23:59:59.999Z"},
};

START_TEST(writes_times)
{
    char text[CS_TIME_TEXT];

    cs_time_text(text, times[_i].time);
    ck_assert_str_eq(text, times[_i].text);
}
END_TEST

Suite *enrich_suite(void)
{
    Suite *suite = suite_create("enrich");
    TCase *tests = test_case("enrich");

    tcase_add_loop_test(tests, writes_additions, 0, ELEMENTS(additions));
    tcase_add_loop_test(tests, writes_record, 0, ELEMENTS(records));
    tcase_add_loop_test(tests, writes_record_with_an_id, 0, ELEMENTS(configured));
    tcase_add_loop_test(tests, writes_what_was_refused, 0, ELEMENTS(refusals));
    tcase_add_loop_test(tests, cuts_where_a_character_begins, 0, ELEMENTS(cuts));
    tcase_add_test(tests, has_room_for_what_is_quoted);
    tcase_add_loop_test(tests, writes_times, 0, ELEMENTS(times));
    suite_add_tcase(suite, tests);
    return suite;
}
