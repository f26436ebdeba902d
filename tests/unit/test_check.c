/* The contract, member by member: timestamps, and what a tag asks of a value.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "collect/event.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* --- timestamps --- */

static const struct {
    const char *text;
    int good;
} timestamps[] = {
    {"2022-02-22T18:37:28.205Z", 1},
    {"2022-02-22T18:37:28Z", 1},
    {"2022-02-22t18:37:28z", 1},
    {"2022-02-22T18:37:28.2Z", 1},
    {"2022-02-22T18:37:28.123456789012Z", 1},
    {"2022-02-22T18:37:28+00:00", 1},
    {"2022-02-22T18:37:28.5-11:30", 1},
    {"2022-02-22T18:37:28+23:59", 1},
    {"0000-01-01T00:00:00Z", 1},
    {"9999-12-31T23:59:59Z", 1},
    {"2016-12-31T23:59:60Z", 1},
    {"2024-02-29T00:00:00Z", 1},
    {"2000-02-29T00:00:00Z", 1},
    {"", 0},
    {"2022-02-22", 0},
    {"2022-02-22T18:37:28", 0},
    {"2022-02-22T18:37:28.Z", 0},
    {"2022-02-22T18:37:28.205", 0},
    {"2022-02-22T18:37:28,205Z", 0},
    {"2022-02-22 18:37:28Z", 0},
    {"2022-02-22_18:37:28Z", 0},
    {"2022-02-22T18:37Z", 0},
    {"2022-2-22T18:37:28Z", 0},
    {"22-02-22T18:37:28.20Z", 0},
    {"2022/02/22T18:37:28Z", 0},
    {"2022-02-22T18.37.28Z", 0},
    {"2022-00-22T18:37:28Z", 0},
    {"2022-13-22T18:37:28Z", 0},
    {"2022-02-00T18:37:28Z", 0},
    {"2022-02-30T18:37:28Z", 0},
    {"2022-04-31T18:37:28Z", 0},
    {"2023-02-29T00:00:00Z", 0},
    {"2100-02-29T00:00:00Z", 0},
    {"2022-02-22T24:00:00Z", 0},
    {"2022-02-22T18:60:28Z", 0},
    {"2022-02-22T18:37:61Z", 0},
    {"2022-02-22T18:37:28ZZ", 0},
    {"2022-02-22T18:37:28Z ", 0},
    {" 2022-02-22T18:37:28Z", 0},
    {"2022-02-22T18:37:28+0000", 0},
    {"2022-02-22T18:37:28+00", 0},
    {"2022-02-22T18:37:28+24:00", 0},
    {"2022-02-22T18:37:28+00:60", 0},
    {"2022-02-22T18:37:28+00:000", 0},
    {"2022-02-22T18:37:28 00:00", 0},
    {"-022-02-22T18:37:28Z", 0},
    {"2022-02-22T18:37:-1Z", 0},
    {"+2022-02-22T18:37:28Z", 0},
    {"Tue, 22 Feb 2022 18:37:28 GMT", 0},
};

START_TEST(knows_timestamps)
{
    size_t length = strlen(timestamps[_i].text);
    char *exact = malloc(length); /* not from the pool: nothing may be read behind it */

    memcpy(exact, timestamps[_i].text, length);
    ck_assert_msg(cs_is_timestamp(exact, length) == timestamps[_i].good, "%s", timestamps[_i].text);
    free(exact);
}
END_TEST

START_TEST(timestamp_with_a_nul_is_none)
{
    static const char text[] = "2022-02-22T18:37:28Z\0";

    ck_assert_int_eq(cs_is_timestamp(text, sizeof(text) - 1), 0);
}
END_TEST

/* --- tags --- */

static const char *verdict; /* "", or "reason" or "reason field" */

static cs_reason_t take_event(void *to, const cs_event_t *event)
{
    (void)to;
    (void)event;
    return CS_REASON_COUNT;
}

static void hear_rejection(void *to, const cs_rejection_t *rejection)
{
    (void)to;
    verdict = cs_reason_name(rejection->reason);
    if (rejection->field)
        verdict = apr_pstrcat(pool, verdict, " ", rejection->field, NULL);
}

/* Holds `event` against these lines. */
static void judge(const char *event, const char *const *lines, const char *expected)
{
    const cs_location_t *settings = test_location(lines);
    const cs_event_rules_t rules = {.max_events = 1,
                                    .max_event = 10000,
                                    .max_depth = 8,
                                    .require = apr_array_make(pool, 1, sizeof(const char *)),
                                    .tags = settings->tags,
                                    .unknown_tags = settings->unknown_tags};
    const cs_event_sink_t sink = {.take = take_event, .reject = hear_rejection};

    verdict = "";
    cs_events_read((cs_span_t){event, strlen(event)}, 0, &rules, &sink, pool);
    ck_assert_msg(strcmp(verdict, expected) == 0, "%s, %s: %s", lines[0] ? lines[0] : "no line", event, verdict);
}

#define TYPE "wrong_type value"
#define RANGE "out_of_range value"
#define E_ACUTE "\xC3\xA9"
#define SMILE "\xF0\x9F\x98\x80"

/* A tag's type and range, the text of `value`, and what is said of it; "": it is good. */
static const struct {
    const char *type, *value, *verdict;
} values[] = {
    {"any", "1", ""},
    {"any", "null", ""},
    {"any", "{\"a\":[]}", ""},
    /* integers: digits only, whatever their size */
    {"integer", "0", ""},
    {"integer", "-1", ""},
    {"integer", "-0", ""},
    {"integer", "9223372036854775807", ""},
    {"integer", "-9223372036854775808", ""},
    {"integer", "18446744073709551616", ""},
    {"integer", "-123456789012345678901234567890", ""},
    {"integer", "3.0", TYPE},
    {"integer", "1e2", TYPE},
    {"integer", "1E2", TYPE},
    {"integer", "-0.0", TYPE},
    {"integer", "0e0", TYPE},
    {"integer", "\"1\"", TYPE},
    {"integer", "true", TYPE},
    {"integer", "null", TYPE},
    {"integer", "[1]", TYPE},
    {"integer", "{}", TYPE},
    {"integer 0..1000", "0", ""},
    {"integer 0..1000", "-0", ""},
    {"integer 0..1000", "1000", ""},
    {"integer 0..1000", "-1", RANGE},
    {"integer 0..1000", "1001", RANGE},
    {"integer 0..1000", "123456789012345678901234567890", RANGE},
    {"integer 0..1000", "-123456789012345678901234567890", RANGE},
    {"integer 0..1000", "1.5", TYPE},
    {"integer -3..-3", "-3", ""},
    {"integer -3..-3", "-2", RANGE},
    {"integer -3..-3", "-4", RANGE},
    {"integer 5..", "5", ""},
    {"integer 5..", "4", RANGE},
    {"integer 5..", "123456789012345678901234567890", ""},
    {"integer ..5", "5", ""},
    {"integer ..5", "6", RANGE},
    {"integer ..5", "-123456789012345678901234567890", ""},
    {"integer 0.5..2.5", "1", ""},
    {"integer 0.5..2.5", "2", ""},
    {"integer 0.5..2.5", "0", RANGE},
    {"integer 0.5..2.5", "3", RANGE},
    {"integer ..9007199254740991", "9007199254740991", ""},
    {"integer ..9007199254740991", "9007199254740992", RANGE},
    {"integer -9007199254740991..", "-9007199254740991", ""},
    {"integer -9007199254740991..", "-9007199254740992", RANGE},
    /* numbers */
    {"number", "0", ""},
    {"number", "3.25", ""},
    {"number", "1e2", ""},
    {"number", "-0.0", ""},
    {"number", "1e400", ""},
    {"number", "\"1\"", TYPE},
    {"number", "false", TYPE},
    {"number", "null", TYPE},
    {"number 0..1", "0", ""},
    {"number 0..1", "-0.0", ""},
    {"number 0..1", "1", ""},
    {"number 0..1", "1.0", ""},
    {"number 0..1", "10e-1", ""},
    {"number 0..1", "1.0000001", RANGE},
    {"number 0..1", "-0.0000001", RANGE},
    {"number 0..1", "1e400", RANGE},
    {"number 0..1", "-1e400", RANGE},
    {"number 0..", "1e400", ""},
    {"number -1.5..1e3", "-1.5", ""},
    {"number -1.5..1e3", "1000", ""},
    {"number -1.5..1e3", "1000.1", RANGE},
    {"number ..0.5", "0.5", ""},
    {"number ..0.5", "0.51", RANGE},
    /* strings: characters, not bytes */
    {"string", "\"\"", ""},
    {"string", "\"abc\"", ""},
    {"string", "1", TYPE},
    {"string", "null", TYPE},
    {"string", "[]", TYPE},
    {"string 1..3", "\"\"", RANGE},
    {"string 1..3", "\"a\"", ""},
    {"string 1..3", "\"abc\"", ""},
    {"string 1..3", "\"abcd\"", RANGE},
    {"string 3..3", "\"" E_ACUTE E_ACUTE E_ACUTE "\"", ""},
    {"string 3..3", "\"" E_ACUTE E_ACUTE "\"", RANGE},
    {"string 3..3", "\"" SMILE "\xE2\x82\xAC" E_ACUTE "\"", ""},
    {"string 3..3", "\"\\u00e9\\n\\\"\"", ""},
    {"string 1..1", "\"\\ud83d\\ude00\"", ""},
    {"string 1..1", "\"" SMILE "\"", ""},
    {"string 3..3", "\"a\\u0000b\"", ""},
    {"string 1..2", "\"a\\u0000b\"", RANGE},
    {"string 2..", "\"a\"", RANGE},
    {"string 2..", "\"ab\"", ""},
    {"string ..2", "\"\"", ""},
    {"string ..2", "\"abc\"", RANGE},
    /* the others */
    {"boolean", "true", ""},
    {"boolean", "false", ""},
    {"boolean", "1", TYPE},
    {"boolean", "\"true\"", TYPE},
    {"boolean", "null", TYPE},
    {"object", "{}", ""},
    {"object", "[]", TYPE},
    {"object", "null", TYPE},
    {"object 1..2", "{}", RANGE},
    {"object 1..2", "{\"a\":1}", ""},
    {"object 1..2", "{\"a\":1,\"b\":{\"c\":1,\"d\":2}}", ""},
    {"object 1..2", "{\"a\":1,\"b\":2,\"c\":3}", RANGE},
    {"object ..1", "{\"a\":1,\"a\":2}", ""},
    {"array", "[]", ""},
    {"array", "{}", TYPE},
    {"array", "\"[]\"", TYPE},
    {"array 1..2", "[]", RANGE},
    {"array 1..2", "[null]", ""},
    {"array 1..2", "[[1,2,3],4]", ""},
    {"array 1..2", "[1,2,3]", RANGE},
    /* languages: the form of BCP 47 */
    {"language", "\"en\"", ""},
    {"language", "\"EN\"", ""},
    {"language", "\"yue\"", ""},
    {"language", "\"abcdefgh\"", ""},
    {"language", "\"de-CH\"", ""},
    {"language", "\"zh-Hant-TW\"", ""},
    {"language", "\"sl-rozaj-biske-1994\"", ""},
    {"language", "\"es-419\"", ""},
    {"language", "\"en-US-x-twain\"", ""},
    {"language", "\"de-12345678\"", ""},
    {"language", "\"\\u0065n\"", ""},
    {"language", "\"\"", TYPE},
    {"language", "\"e\"", TYPE},
    {"language", "\"abcdefghi\"", TYPE},
    {"language", "\"e1\"", TYPE},
    {"language", "\"12\"", TYPE},
    {"language", "\"en_US\"", TYPE},
    {"language", "\"en-\"", TYPE},
    {"language", "\"-en\"", TYPE},
    {"language", "\"en--US\"", TYPE},
    {"language", "\"de-123456789\"", TYPE},
    {"language", "\"en US\"", TYPE},
    {"language", "\" en\"", TYPE},
    {"language", "\"en\\n\"", TYPE},
    {"language", "\"en,de\"", TYPE},
    {"language", "\"en-US;q=0.5\"", TYPE},
    {"language", "\"d" E_ACUTE "\"", TYPE},
    {"language", "\"en\\u0000\"", TYPE},
    {"language", "\"en\\u0000-US\"", TYPE},
    {"language", "\"e\\u0000n\"", TYPE},
    {"language", "7", TYPE},
    {"language", "null", TYPE},
    {"language", "[\"en\"]", TYPE},
};

START_TEST(checks_a_value)
{
    const char *lines[] = {apr_pstrcat(pool, "ClickstreamTag T ", values[_i].type, NULL), NULL};

    judge(apr_pstrcat(pool, "{\"tag\":\"T\",\"value\":", values[_i].value, "}", NULL), lines, values[_i].verdict);
}
END_TEST

#define PLACE(latitude, longitude) "{\"tag\":\"P\",\"latitude\":" latitude ",\"longitude\":" longitude "}"

static const struct {
    const char *event, *verdict;
} places[] = {
    {PLACE("0", "0"), ""},
    {PLACE("-0", "-0.0"), ""},
    {PLACE("47.3769", "8.5417"), ""},
    {PLACE("90", "180"), ""},
    {PLACE("-90.0", "-180.0"), ""},
    {PLACE("9e1", "18E1"), ""},
    {PLACE("90.0000001", "0"), "out_of_range latitude"},
    {PLACE("-90.0000001", "0"), "out_of_range latitude"},
    {PLACE("91", "181"), "out_of_range latitude"},
    {PLACE("0", "180.0000001"), "out_of_range longitude"},
    {PLACE("0", "-180.0000001"), "out_of_range longitude"},
    {PLACE("90", "-181"), "out_of_range longitude"},
    {PLACE("1e400", "0"), "out_of_range latitude"},
    {PLACE("0", "-123456789012345678901234567890"), "out_of_range longitude"},
    {PLACE("\"47.3769\"", "8.5417"), "wrong_type latitude"},
    {PLACE("47.3769", "\"8.5417\""), "wrong_type longitude"},
    {PLACE("null", "0"), "wrong_type latitude"},
    {PLACE("0", "[0]"), "wrong_type longitude"},
    {PLACE("0", "true"), "wrong_type longitude"},
    {"{\"tag\":\"P\"}", "missing_field latitude"},
    {"{\"tag\":\"P\",\"longitude\":0}", "missing_field latitude"},
    {"{\"tag\":\"P\",\"latitude\":0}", "missing_field longitude"},
    {"{\"tag\":\"P\",\"value\":{\"latitude\":0,\"longitude\":0}}", "missing_field latitude"},
    {"{\"tag\":\"P\",\"latitude\":0,\"longitude\":0,\"value\":\"any\"}", ""},
    {"{\"tag\":\"P\",\"latitude\":100,\"latitude\":0,\"longitude\":0}", ""},
    {"{\"tag\":\"P\",\"latitude\":0,\"latitude\":100,\"longitude\":0}", "out_of_range latitude"},
};

START_TEST(checks_a_place)
{
    static const char *const lines[] = {"ClickstreamTag P geo", NULL};

    judge(places[_i].event, lines, places[_i].verdict);
}
END_TEST

#define REJECT "ClickstreamUnknownTags reject"

/* Which line an event's tag leads to. */
static const struct {
    const char *lines[4], *event, *verdict;
} tags[] = {
    {{NULL}, "{\"tag\":\"T\"}", ""},
    {{"ClickstreamTag T integer"}, "{\"tag\":\"T\"}", "missing_field value"},
    {{"ClickstreamTag T integer"}, "{\"tag\":\"T\",\"Value\":1}", "missing_field value"},
    {{"ClickstreamTag T any"}, "{\"tag\":\"T\"}", ""},
    {{"ClickstreamTag T integer", "ClickstreamTag U string"}, "{\"tag\":\"U\",\"value\":\"x\"}", ""},
    {{"ClickstreamTag T integer", "ClickstreamTag U string"}, "{\"tag\":\"U\",\"value\":1}", TYPE},
    {{"ClickstreamTag T integer", "ClickstreamTag t string"}, "{\"tag\":\"t\",\"value\":\"x\"}", ""},
    /* the value that counts is the last one */
    {{"ClickstreamTag T integer"}, "{\"tag\":\"T\",\"value\":\"x\",\"value\":1}", ""},
    {{"ClickstreamTag T integer"}, "{\"tag\":\"T\",\"value\":1,\"value\":\"x\"}", TYPE},
    {{"ClickstreamTag T integer"}, "{\"tag\":\"U\",\"value\":\"x\",\"tag\":\"T\"}", TYPE},
    /* the same name, written otherwise */
    {{"ClickstreamTag LIKE_WOOD integer", REJECT}, "{\"tag\":\"LIKE\\u005fWOOD\",\"value\":1}", ""},
    {{"ClickstreamTag LIKE_WOOD integer", REJECT}, "{\"t\\u0061g\":\"LIKE_W\\u004fOD\",\"value\":\"x\"}", TYPE},
    {{"ClickstreamTag LIKE_WOOD integer"}, "{\"tag\":\"LIKE_WOOD\",\"v\\u0061lue\":\"x\"}", TYPE},
    {{"ClickstreamTag Gr\xC3\xBC\xC3\x9F"
      "e boolean",
      REJECT},
     "{\"tag\":\"Gr\\u00fc\\u00dfe\",\"value\":true}",
     ""},
    {{"ClickstreamTag 'two words' boolean", REJECT}, "{\"tag\":\"two words\",\"value\":true}", ""},
    /* unknown ones */
    {{"ClickstreamTag T integer"}, "{\"tag\":\"U\"}", ""},
    {{"ClickstreamTag T integer", "ClickstreamUnknownTags accept"}, "{\"tag\":\"U\"}", ""},
    {{"ClickstreamTag T integer", REJECT}, "{\"tag\":\"T\",\"value\":1}", ""},
    {{"ClickstreamTag T integer", REJECT}, "{\"tag\":\"U\"}", "unknown_tag tag"},
    {{"ClickstreamTag T integer", REJECT}, "{\"tag\":\"t\",\"value\":1}", "unknown_tag tag"},
    {{"ClickstreamTag T integer", REJECT}, "{\"tag\":\"\",\"value\":1}", "unknown_tag tag"},
    {{"ClickstreamTag T integer", REJECT}, "{\"tag\":\"T \",\"value\":1}", "unknown_tag tag"},
    {{"ClickstreamTag T integer", REJECT}, "{\"tag\":\"TT\",\"value\":1}", "unknown_tag tag"},
    {{"ClickstreamTag TT integer", REJECT}, "{\"tag\":\"T\",\"value\":1}", "unknown_tag tag"},
    {{"ClickstreamTag T any", REJECT}, "{\"tag\":\"T\\u0000\"}", "unknown_tag tag"},
    {{"ClickstreamTag T any", REJECT}, "{\"tag\":\"T\\u0000x\"}", "unknown_tag tag"},
    {{REJECT}, "{\"tag\":\"T\"}", "unknown_tag tag"},
    /* no tag, or none that is one */
    {{REJECT}, "{}", ""},
    {{"ClickstreamTag T integer", REJECT}, "{}", ""},
    {{"ClickstreamTag T integer", REJECT}, "{\"value\":\"x\"}", ""},
    {{"ClickstreamTag T integer", REJECT}, "{\"tag\":1}", "wrong_type tag"},
    {{"ClickstreamTag T integer", REJECT}, "{\"tag\":null}", "wrong_type tag"},
    /* what every event is held against comes first */
    {{"ClickstreamTag T integer"}, "{\"tag\":\"T\",\"timestamp\":\"today\"}", "bad_timestamp timestamp"},
};

START_TEST(finds_the_line_of_a_tag)
{
    judge(tags[_i].event, tags[_i].lines, tags[_i].verdict);
}
END_TEST

Suite *check_suite(void)
{
    Suite *suite = suite_create("check");
    TCase *tests = test_case("check");

    tcase_add_loop_test(tests, knows_timestamps, 0, ELEMENTS(timestamps));
    tcase_add_test(tests, timestamp_with_a_nul_is_none);
    tcase_add_loop_test(tests, checks_a_value, 0, ELEMENTS(values));
    tcase_add_loop_test(tests, checks_a_place, 0, ELEMENTS(places));
    tcase_add_loop_test(tests, finds_the_line_of_a_tag, 0, ELEMENTS(tags));
    suite_add_tcase(suite, tests);
    return suite;
}
