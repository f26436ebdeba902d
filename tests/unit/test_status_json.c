/* The status as JSON, and its health.
 * SPDX-License-Identifier: Apache-2.0 */
#include "snapshots.h"

#include <json-c/json.h>
#include <string.h>

#define HOSTILE "\"\\\n\x01</script>\xff"
#define HOSTILE_JSON "\"\\\"\\\\\\u000a\\u0001</script>\xEF\xBF\xBD\""

static void check_valid(const char *text)
{
    struct json_tokener *parser = json_tokener_new();
    struct json_object *document;

    json_tokener_set_flags(parser, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    document = json_tokener_parse_ex(parser, text, (int)strlen(text) - 1); /* its last byte is a newline */
    ck_assert_msg(document != NULL, "%s: %s", json_tokener_error_desc(json_tokener_get_error(parser)), text);
    ck_assert_uint_eq(json_tokener_get_parse_end(parser), strlen(text) - 1);
    json_object_put(document);
    json_tokener_free(parser);
}

static const char *const pieces[] = {
    "{\"version\":\"" PACKAGE_VERSION "\",\"generated_at\":\"2026-01-31T23:59:59.123Z\",\"streams\":[\n{\"name\":",
    "{\"name\":\"clicks\",\"kind\":\"firehose\",\"state\":\"retrying\",\"healthy\":false,\"why\":\"it is <late>\","
    "\"waiting\":600,\"waiting_bytes\":60000,\"oldest_seconds\":125,\"used_percent\":6,\"used_bytes\":65536,"
    "\"capacity_bytes\":1048576,\"appended\":3000,\"delivered\":2400,\"delivered_bytes\":240000,"
    "\"records_delivered\":24,\"rejected\":3,\"lost\":4,\"refused_total\":1234574,\"opted_out\":5,\"rejects_lost\":6,"
    "\"batches\":30,\"batches_failed\":8,\"retried\":90,\"maybe_duplicates\":10,\"sent_bytes\":242400,"
    "\"billed_bytes\":245760,\"owner_deaths\":11,\"events_per_record\":100.000,\"refused\":{\"malformed_json\":0,",
    "\"missing_field\":7,",
    "\"queue_full\":1234567},\"latency\":{\"window_seconds\":100.000,\"p50_seconds\":0.750,\"p99_seconds\":86400.000,"
    "\"count\":2400,\"sum_seconds\":1000.250000,\"buckets\":[{\"within_seconds\":0.05,\"count\":400},",
    "{\"within_seconds\":1.00,\"count\":2390},{\"within_seconds\":1.50,\"count\":2390},",
    "{\"within_seconds\":86400.00,\"count\":2390},{\"within_seconds\":null,\"count\":2400}]},",
    "\"last_error\":{\"at\":\"2026-01-31T23:59:47.123Z\",\"since\":\"2026-01-31T23:57:59.123Z\",\"failures\":9,"
    "\"most_waiting\":700,\"reason\":" HOSTILE_JSON ",\"advice\":\"do\"},\"sender_seen\":\"2026-01-31T23:59:58.123Z\","
    "\"trend\":[{\"at\":\"2026-01-31T23:58:19.123Z\",\"appended\":1000,\"delivered\":900,\"refused_total\":0,"
    "\"retried\":0,\"waiting\":100,\"used_bytes\":10000,\"latency\":[",
    "\"used_bytes\":55000,\"latency\":[9,9,9,9,9,27,27,27,27,27,27,27,27,27,27,27,27,27,54]}]}\n]}\n",
};

START_TEST(says_all_there_is)
{
    const char *text = cs_status_json(test_status(test_full_snapshot(HOSTILE, "do"), NULL), NULL, pool);

    check_valid(text);
    ck_assert_msg(strstr(text, pieces[_i]) != NULL, "no %s in %s", pieces[_i], text);
    ck_assert_ptr_null(strstr(text, "queue_dir"));
}
END_TEST

START_TEST(null_is_what_is_not_known)
{
    const char *text =
        cs_status_json(test_status(test_snapshot("clicks file path=/x", CS_STATE_IDLE), NULL), NULL, pool);

    check_valid(text);
    ck_assert_ptr_nonnull(strstr(text, "\"state\":\"idle\",\"healthy\":true,\"why\":null,\"waiting\":0,"));
    ck_assert_ptr_nonnull(strstr(text, "\"events_per_record\":null,"));
    ck_assert_ptr_nonnull(strstr(text, "\"p50_seconds\":null,\"p99_seconds\":null,\"count\":0,"));
    ck_assert_ptr_nonnull(strstr(text, "\"last_error\":null,\"sender_seen\":null,\"trend\":[]}"));
}
END_TEST

START_TEST(an_error_that_is_over)
{
    cs_snapshot_t *snapshot = test_full_snapshot("r", "a");
    const char *text;

    snapshot->trouble.since = 0;
    text = cs_status_json(test_status(snapshot, NULL), NULL, pool);
    check_valid(text);
    ck_assert_ptr_nonnull(strstr(text, "\"last_error\":{\"at\":\"2026-01-31T23:59:47.123Z\",\"since\":null,"));
}
END_TEST

START_TEST(an_unusable_queue_has_no_numbers)
{
    const char *text =
        cs_status_json(test_status(test_snapshot("clicks file path=/x", CS_STATE_UNUSABLE), NULL), NULL, pool);

    check_valid(text);
    ck_assert_ptr_nonnull(strstr(text, "\"waiting\":null,"));
    ck_assert_ptr_nonnull(strstr(text, "\"owner_deaths\":null,"));
}
END_TEST

START_TEST(several_streams_and_none)
{
    const char *none = cs_status_json(test_status(NULL), NULL, pool);
    const char *two = cs_status_json(test_status(test_snapshot("a file path=/x", CS_STATE_IDLE),
                                                 test_snapshot("b file path=/x", CS_STATE_NO_QUEUE), NULL),
                                     "/with \"quotes\"", pool);

    check_valid(none);
    check_valid(two);
    ck_assert_ptr_nonnull(strstr(none, "\"streams\":[\n]}\n"));
    ck_assert_ptr_nonnull(strstr(two, ",\"queue_dir\":\"/with \\\"quotes\\\"\",\"streams\":[\n{\"name\":\"a\","));
    ck_assert_ptr_nonnull(
        strstr(two, "},\n{\"name\":\"b\",\"kind\":\"file\",\"state\":\"no_queue\",\"healthy\":true,"));
}
END_TEST

START_TEST(health_is_that_of_all)
{
    cs_snapshot_t *good = test_snapshot("a file path=/x", CS_STATE_IDLE);
    cs_snapshot_t *bad = test_snapshot("b firehose region=x", CS_STATE_FULL);
    int healthy = -1;

    bad->why = "its queue is \"full\"";
    ck_assert_str_eq(cs_status_health(&healthy, test_status(NULL), pool), "{\"healthy\":true,\"streams\":[\n]}\n");
    ck_assert_int_eq(healthy, 1);
    ck_assert_str_eq(cs_status_health(&healthy, test_status(good, NULL), pool),
                     "{\"healthy\":true,\"streams\":[\n{\"name\":\"a\",\"kind\":\"file\",\"state\":\"idle\","
                     "\"healthy\":true,\"why\":null}\n]}\n");
    ck_assert_int_eq(healthy, 1);
    ck_assert_str_eq(cs_status_health(&healthy, test_status(bad, good, NULL), pool),
                     "{\"healthy\":false,\"streams\":[\n{\"name\":\"b\",\"kind\":\"firehose\",\"state\":\"full\","
                     "\"healthy\":false,\"why\":\"its queue is \\\"full\\\"\"},\n{\"name\":\"a\",\"kind\":\"file\","
                     "\"state\":\"idle\",\"healthy\":true,\"why\":null}\n]}\n");
    ck_assert_int_eq(healthy, 0);
}
END_TEST

Suite *status_json_suite(void)
{
    Suite *suite = suite_create("status_json");
    TCase *tests = test_case("status_json");

    tcase_add_loop_test(tests, says_all_there_is, 0, sizeof(pieces) / sizeof(pieces[0]));
    tcase_add_test(tests, null_is_what_is_not_known);
    tcase_add_test(tests, an_error_that_is_over);
    tcase_add_test(tests, an_unusable_queue_has_no_numbers);
    tcase_add_test(tests, several_streams_and_none);
    tcase_add_test(tests, health_is_that_of_all);
    suite_add_tcase(suite, tests);
    return suite;
}
