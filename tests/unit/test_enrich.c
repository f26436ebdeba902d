/* The record: an event's own members, and what only the server knows.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "collect/enrich.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char *text_of(cs_span_t span)
{
    return apr_pstrmemdup(pool, span.at, span.length);
}

static const struct {
    cs_additions_t additions;
    const char *written;
} additions[] = {
    {{"app", "192.0.2.1", "Mozilla/5.0 (iPhone; \"x\")"},
     "\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\",\"user_agent\":\"Mozilla/5.0 (iPhone; \\\"x\\\")\""},
    {{"app", "90.200.187.19, 165.225.197.24", NULL},
     "\"client_id\":\"app\",\"client_ip\":\"90.200.187.19, 165.225.197.24\""},
    {{"app", "2001:db8::1", ""}, "\"client_id\":\"app\",\"client_ip\":\"2001:db8::1\",\"user_agent\":\"\""},
    {{"app", NULL, "curl"}, "\"client_id\":\"app\",\"user_agent\":\"curl\""},
    {{"a\\b\n\"},{", "x", NULL}, "\"client_id\":\"a\\\\b\\u000a\\\"},{\",\"client_ip\":\"x\""},
    {{"Z\xC3\xBCrich", "x", "caf\xE9 \xFF\xED\xA0\x80"},
     "\"client_id\":\"Z\xC3\xBCrich\",\"client_ip\":\"x\","
     "\"user_agent\":\"caf\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
};

START_TEST(writes_additions)
{
    ck_assert_str_eq(text_of(cs_additions_write(&additions[_i].additions, pool)), additions[_i].written);
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

static cs_reason_t write_event(void *to, const cs_event_t *event)
{
    const cs_span_t *added = to;
    cs_span_t record = cs_record_write(event, *added, pool);

    ck_assert_uint_le(record.length, event->length + added->length + 2);
    written = text_of(record);
    return CS_REASON_COUNT;
}

static void fail_event(void *to, const cs_rejection_t *rejection)
{
    (void)to;
    ck_abort_msg("%s", cs_reason_name(rejection->reason));
}

START_TEST(writes_record)
{
    cs_span_t added = cs_additions_write(&(cs_additions_t){"app", "192.0.2.1", NULL}, pool);
    cs_event_sink_t sink = {.take = write_event, .reject = fail_event, .to = &added};
    cs_event_rules_t rules = {
        .max_events = 1, .max_event = 1000, .max_depth = 8, .require = apr_array_make(pool, 1, sizeof(const char *))};
    cs_parser_t *parser = cs_parser_create();

    cs_events_read(parser, (cs_span_t){records[_i].event, strlen(records[_i].event)}, 0, &rules, &sink, pool);
    ck_assert_str_eq(written, apr_pstrcat(pool, records[_i].record, text_of(added), "}", NULL));
    ck_assert_ptr_null(strchr(written, '\n'));
    cs_parser_free(parser);
}
END_TEST

Suite *enrich_suite(void)
{
    Suite *suite = suite_create("enrich");
    TCase *tests = test_case("enrich");

    tcase_add_loop_test(tests, writes_additions, 0, ELEMENTS(additions));
    tcase_add_loop_test(tests, writes_record, 0, ELEMENTS(records));
    suite_add_tcase(suite, tests);
    return suite;
}
