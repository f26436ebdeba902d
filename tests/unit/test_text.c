/* Text: which bytes are UTF-8, how any bytes are quoted, and what is a time.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SPAN(literal) ((cs_span_t){literal, sizeof(literal) - 1})

static const struct {
    cs_span_t text;
    int length;
} sequences[] = {
    {SPAN("\0"), 1},
    {SPAN("a"), 1},
    {SPAN("\x7F"), 1},
    {SPAN("\x80"), 0},
    {SPAN("\xBF"), 0},
    {SPAN("\xC0\x80"), 0}, /* overlong NUL */
    {SPAN("\xC1\xBF"), 0},
    {SPAN("\xC2\x80"), 2},
    {SPAN("\xDF\xBF"), 2},
    {SPAN("\xC2"), 0},
    {SPAN("\xC2\x7F"), 0},
    {SPAN("\xC2\xC0"), 0},
    {SPAN("\xE0\x9F\xBF"), 0}, /* overlong */
    {SPAN("\xE0\xA0\x80"), 3},
    {SPAN("\xE2\x82\xAC and more"), 3},
    {SPAN("\xE2\x82"), 0},
    {SPAN("\xE2\x82\x28"), 0},
    {SPAN("\xED\x9F\xBF"), 3},
    {SPAN("\xED\xA0\x80"), 0}, /* the first surrogate */
    {SPAN("\xED\xBF\xBF"), 0}, /* the last one */
    {SPAN("\xEE\x80\x80"), 3},
    {SPAN("\xEF\xBF\xBF"), 3},
    {SPAN("\xF0\x8F\xBF\xBF"), 0}, /* overlong */
    {SPAN("\xF0\x90\x80\x80"), 4},
    {SPAN("\xF0\x9F\x98"), 0},
    {SPAN("\xF0\x9F\x98\x80"), 4},
    {SPAN("\xF4\x8F\xBF\xBF"), 4}, /* U+10FFFF */
    {SPAN("\xF4\x90\x80\x80"), 0}, /* beyond it */
    {SPAN("\xF5\x80\x80\x80"), 0},
    {SPAN("\xFF"), 0},
};

START_TEST(measures_utf8)
{
    cs_span_t text = sequences[_i].text;
    char *exact = malloc(text.length); /* not from the pool: nothing may be read behind it */

    memcpy(exact, text.at, text.length);
    ck_assert_int_eq(cs_utf8_length(exact, exact + text.length), sequences[_i].length);
    free(exact);
}
END_TEST

static const struct {
    cs_span_t text;
    const char *quoted;
} quotes[] = {
    {SPAN(""), "\"\""},
    {SPAN("plain / text"), "\"plain / text\""},
    {SPAN("say \"hi\""), "\"say \\\"hi\\\"\""},
    {SPAN("back\\slash"), "\"back\\\\slash\""},
    {SPAN("a\nb\rc\td"), "\"a\\u000ab\\u000dc\\u0009d\""},
    {SPAN("nul\0nul"), "\"nul\\u0000nul\""},
    {SPAN("\x1F\x7F"), "\"\\u001f\x7F\""},
    {SPAN("Z\xC3\xBCrich \xF0\x9F\x98\x80"), "\"Z\xC3\xBCrich \xF0\x9F\x98\x80\""},
    {SPAN("caf\xE9"), "\"caf\xEF\xBF\xBD\""},
    {SPAN("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {SPAN("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {SPAN("\xFF\"\xFE"), "\"\xEF\xBF\xBD\\\"\xEF\xBF\xBD\""},
};

START_TEST(quotes_any_bytes)
{
    cs_span_t text = quotes[_i].text;
    size_t length = strlen(quotes[_i].quoted);
    char *to = malloc(CS_QUOTED(text.length)); /* not from the pool: nothing may be written behind it */

    ck_assert_uint_eq((size_t)(cs_text_quote(to, text) - to), length);
    ck_assert_mem_eq(to, quotes[_i].quoted, length);
    free(to);
}
END_TEST

START_TEST(worst_case_fills_the_room)
{
    char quoted[CS_QUOTED(3)];

    ck_assert_ptr_eq(cs_text_quote(quoted, SPAN("\x01\x02\x03")), quoted + sizeof(quoted));
}
END_TEST

#define TIME (APR_INT64_C(1700000000) * 1000000)

static const struct {
    const char *text;
    apr_time_t time; /* 0: it is none */
} times[] = {
    {"2023-11-14T22:13:20Z", TIME},
    {"2023-11-14T22:13:20.999Z", TIME},
    {"2023-11-14T22:13:20.123456789Z", TIME},
    {"2023-11-14T22:13:20+00:00", TIME},
    {"2023-11-14T23:43:20+01:30", TIME},
    {"2023-11-14T17:13:20.5-05:00", TIME},
    {"2024-02-29T00:00:00Z", APR_INT64_C(1709164800) * 1000000},
    {"2023-11-14T22:13:20", 0},
    {"2023-11-14T22:13:20z", 0},
    {"2023-11-14T22:13:20Z ", 0},
    {"2023-11-14T22:13:20+0100", 0},
    {"2023-11-14T22:13:20+01", 0},
    {"2023-11-14T22:13:20+01:00x", 0},
    {"2023-11-14 22:13:20Z", 0},
    {"2023-11-14T22:13Z", 0},
    {"2023-13-14T22:13:20Z", 0},
    {"2023-00-14T22:13:20Z", 0},
    {"2023-11-32T22:13:20Z", 0},
    {"2023-11-00T22:13:20Z", 0},
    {"2023-11-14T24:13:20Z", 0},
    {"2023-11-14T22:60:20Z", 0},
    {"2023-11-14T22:13:61Z", 0},
    {"2023-11--1T22:13:20Z", 0},
    {" 2023-11-14T22:13:20Z", 0},
    {"2023-1-14T22:13:20.000Z", 0},
    {"1700000000", 0},
    {"", 0},
};

START_TEST(reads_time)
{
    apr_time_t time = 0;

    ck_assert_int_eq(cs_time_read(&time, times[_i].text), times[_i].time != 0);
    ck_assert_int_eq(times[_i].time ? time : 0, times[_i].time);
}
END_TEST

Suite *text_suite(void)
{
    Suite *suite = suite_create("text");
    TCase *tests = test_case("text");

    tcase_add_loop_test(tests, measures_utf8, 0, ELEMENTS(sequences));
    tcase_add_loop_test(tests, quotes_any_bytes, 0, ELEMENTS(quotes));
    tcase_add_test(tests, worst_case_fills_the_room);
    tcase_add_loop_test(tests, reads_time, 0, ELEMENTS(times));
    suite_add_tcase(suite, tests);
    return suite;
}
