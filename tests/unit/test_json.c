/* JSON text: what is refused, and at which byte; and where the values lie.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "collect/json.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static cs_span_t span_of(const char *text)
{
    return (cs_span_t){text, strlen(text)};
}

static const char *text_of(cs_span_t span)
{
    return apr_pstrmemdup(pool, span.at, span.length);
}

static const struct {
    const char *text, *value;
    int depth;
} good[] = {
    {"null", "null", 0},
    {"true", "true", 0},
    {"false,1", "false", 0},
    {"0", "0", 0},
    {"-0", "-0", 0},
    {"10 ", "10", 0},
    {"-1.5e-10]", "-1.5e-10", 0},
    {"1E+5}", "1E+5", 0},
    {"0.0", "0.0", 0},
    {"0e0", "0e0", 0},
    {"123456789012345678901234567890", "123456789012345678901234567890", 0},
    {"\"\"", "\"\"", 0},
    {" \t\r\n\"a\\\"b\" ", "\"a\\\"b\"", 0},
    {"\"\\\\\"", "\"\\\\\"", 0},
    {"\"{[\"", "\"{[\"", 0},
    {"\"\x7F\xC3\xBC\xF4\x8F\xBF\xBF\"", "\"\x7F\xC3\xBC\xF4\x8F\xBF\xBF\"", 0},
    {"{}", "{}", 1},
    {"[]", "[]", 1},
    {"{} {}", "{}", 1},
    {"[{}]", "[{}]", 2},
    {"[[[]],[]]", "[[[]],[]]", 3},
    {"{\"a\":[1,{\"b\":\"]\"}],\"c\":[]}", "{\"a\":[1,{\"b\":\"]\"}],\"c\":[]}", 3},
    {"  [ 1 , 2 ]  ", "[ 1 , 2 ]", 1},
};

/* An object that is laid open is measured in the same way. */
static void check_object(const cs_json_t *expected, int is_good, const char *text, const char *end)
{
    apr_array_header_t *members = apr_array_make(pool, 1, sizeof(cs_member_t));
    cs_json_t json;

    ck_assert_int_eq(cs_json_object(members, &json, text, end, pool), is_good);
    ck_assert_ptr_eq(json.text.at, expected->text.at);
    ck_assert_uint_eq(json.text.length, expected->text.length);
    if (is_good) {
        ck_assert_int_eq(json.depth, expected->depth);
        ck_assert_int_eq(json.spaced, expected->spaced);
    }
}

START_TEST(measures)
{
    const char *text = good[_i].text;
    cs_json_t json;

    ck_assert_int_eq(cs_json_measure(&json, text, text + strlen(text)), 1);
    ck_assert_str_eq(text_of(json.text), good[_i].value);
    ck_assert_int_eq(json.depth, good[_i].depth);
    if (json.text.at[0] == '{')
        check_object(&json, 1, text, text + strlen(text));
}
END_TEST

static const struct {
    const char *text;
    int position; /* of the culprit */
} bad[] = {
    {"", 0},
    {"  ", 2},
    {"[", 1},
    {"{", 1},
    {"[1", 2},
    {"[1,", 3},
    {"[1,]", 3},
    {"[1 2]", 3},
    {"[,1]", 1},
    {"[1}", 2},
    {"{\"a\":1]", 6},
    {"{\"a\":1,}", 7},
    {"{\"a\" 1}", 5},
    {"{\"a\",1}", 4},
    {"{\"a\":}", 5},
    {"{\"a\"}", 4},
    {"{:1}", 1},
    {"{1:1}", 1},
    {"{a:1}", 1},
    {"{[]:1}", 1},
    {"[1:2]", 2},
    {"[[],{]}", 5},
    {"]", 0},
    {"}", 0},
    {",", 0},
    {":", 0},
    {"\"\\", 2},
    {"\"\\x\"", 2},
    {"\"\\u12\"", 5},
    {"\"\\u12G4\"", 5},
    {"\"\\u", 3},
    {"\"\\\"", 3},
    {"tru", 3},
    {"[tru]", 4},
    {"truE", 3},
    {"[nul", 4},
    {"\"abc", 4},
    {"NaN", 0},
    {"[1,NaN]", 3},
    {"nan", 1},
    {"Infinity", 0},
    {"-Infinity", 1},
    {"{\"a\":-Infinity}", 6},
    {"-", 1},
    {"-NaN", 1},
    {"1.", 2},
    {"[1.]", 3},
    {"1.e5", 2},
    {"1.5e", 4},
    {"1e+", 3},
    {"01", 1},
    {"-01", 2},
    {"[00]", 2},
    {".5", 0},
    {"+1", 0},
    {"TRUE", 0},
    {"nulx", 3},
    {"'a'", 0},
    {"{'a':1}", 1},
    {"{\"a\":1,'b':2}", 7},
    {"/**/1", 0},
    {"\"a\tb\"", 2},
    {"\"a\nb\"", 2},
    {"{\"a\x01\":1}", 3},
    {"\"\x1F\"", 1},
    {"\"caf\xE9\"", 4},
    {"\"\x80\"", 1},
    {"\"\xC0\xAF\"", 1},
    {"\"\xE0\x80\xAF\"", 1},
    {"\"\xF0\x80\x80\xAF\"", 1},
    {"\"ab\xED\xA0\x80\"", 3},
    {"\"\xED\xBF\xBF\"", 1},
    {"\"\xF4\x90\x80\x80\"", 1},
    {"\"\xE2\x82\"", 1},
    {"{\"\xFF\":1}", 2},
};

START_TEST(refuses)
{
    size_t length = strlen(bad[_i].text);
    char *exact = malloc(length); /* not from the pool: nothing may be read behind it */
    cs_json_t json;

    memcpy(exact, bad[_i].text, length);
    ck_assert_int_eq(cs_json_measure(&json, exact, exact + length), 0);
    ck_assert_int_eq((int)(json.text.at - exact), bad[_i].position);
    if (length && exact[0] == '{')
        check_object(&json, 0, exact, exact + length);
    free(exact);
}
END_TEST

/* What lies behind the end would make the value another one. */
START_TEST(stops_at_the_end)
{
    static const struct {
        const char *text;
        int length, good;
    } parts[] = {{"1234", 3, 1},  {"-1.5e9", 4, 1},       {"0.5", 2, 0}, {"true", 3, 0},
                 {"\"a\"", 2, 0}, {"\"\xC3\xBC\"", 2, 0}, {"{}", 1, 0},  {"\"\\\"\"", 3, 0}};

    for (int i = 0; i < ELEMENTS(parts); i++) {
        cs_json_t json;
        ck_assert_msg(cs_json_measure(&json, parts[i].text, parts[i].text + parts[i].length) == parts[i].good, "%s",
                      parts[i].text);
        if (parts[i].good)
            ck_assert_uint_eq(json.text.length, (apr_size_t)parts[i].length);
    }
}
END_TEST

static const struct {
    const char *text, *compact;
    int spaced;
} compacts[] = {
    {"1", "1", 0},
    {" 1 ", "1", 0},
    {"\"a b\\\" \\n\"", "\"a b\\\" \\n\"", 0},
    {"{ \"a b\" : [ 1 ,\t2\r\n, { } ] }", "{\"a b\":[1,2,{}]}", 1},
    {"[\n]", "[]", 1},
    {"[]", "[]", 0},
    {"[1, 2]", "[1,2]", 1},
    {"[1 ,2]", "[1,2]", 1},
    {"{\"a\" :1}", "{\"a\":1}", 1},
    {"{\"a\": 1}", "{\"a\":1}", 1},
    {"{\"a\":1 }", "{\"a\":1}", 1},
    {"{ \"a\":1}", "{\"a\":1}", 1},
    {"{\"a\":[{\"b\": 1}]}", "{\"a\":[{\"b\":1}]}", 1},
    {"{\"a b\":[{\"b\\\" \":\" \"}]}", "{\"a b\":[{\"b\\\" \":\" \"}]}", 0},
    {"1234567890123456789012345.10e+05", "1234567890123456789012345.10e+05", 0},
    {"\"\\u0041\"", "\"\\u0041\"", 0},
};

START_TEST(compacts_text)
{
    cs_span_t text = span_of(compacts[_i].text);
    char *to, *end;
    cs_json_t json;

    ck_assert_int_eq(cs_json_measure(&json, text.at, text.at + text.length), 1);
    ck_assert_int_eq(json.spaced, compacts[_i].spaced);
    if (json.text.at[0] == '{')
        check_object(&json, 1, text.at, text.at + text.length);
    to = malloc(json.text.length); /* not from the pool: nothing may be written behind it */
    end = cs_json_compact(to, &json);
    ck_assert_str_eq(text_of((cs_span_t){to, (apr_size_t)(end - to)}), compacts[_i].compact);
    free(to);
}
END_TEST

/* Eight bytes are looked at at once: each byte of such a word, and each of those behind the last one. */
START_TEST(finds_each_byte_of_a_string)
{
    static const struct {
        char byte;
        int good;
    } bytes[] = {{'\0', 0}, {'\x01', 0}, {'\x1F', 0}, {'\n', 0},   {'\x20', 1}, {'!', 1},    {'#', 1},
                 {'[', 1},  {']', 1},    {'~', 1},    {'\x7F', 1}, {'\x80', 0}, {'\xBF', 0}, {'\xFF', 0}};

    for (int i = 0; i < ELEMENTS(bytes); i++) {
        for (int place = 1; place <= 20; place++) {
            char text[22];
            cs_json_t json;
            memset(text, 'x', sizeof(text));
            text[0] = text[sizeof(text) - 1] = '"';
            text[place] = bytes[i].byte;
            ck_assert_int_eq(cs_json_measure(&json, text, text + sizeof(text)), bytes[i].good);
            ck_assert_int_eq((int)(json.text.at - text), bytes[i].good ? 0 : place);
            text[place] = '"'; /* and where it ends there */
            ck_assert_int_eq(cs_json_measure(&json, text, text + sizeof(text)), 1);
            ck_assert_uint_eq(json.text.length, (apr_size_t)place + 1);
        }
    }
}
END_TEST

/* As deep as it looks, and one deeper; each kind of bracket closes its own. */
START_TEST(looks_so_deep)
{
    char text[2 * (CS_JSON_DEEPEST + 1)];
    cs_json_t json;

    for (int depth = 1; depth <= CS_JSON_DEEPEST + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        ck_assert_int_eq(cs_json_measure(&json, text, text + 2 * depth), depth <= CS_JSON_DEEPEST);
        ck_assert_int_eq(json.depth, depth);
        if (depth > CS_JSON_DEEPEST)
            continue;
        text[2 * depth - 1] = '}';
        ck_assert_int_eq(cs_json_measure(&json, text, text + 2 * depth), 0);
        ck_assert_int_eq((int)(json.text.at - text), 2 * depth - 1);
    }
}
END_TEST

Suite *json_suite(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = test_case("json");

    tcase_add_loop_test(tests, measures, 0, ELEMENTS(good));
    tcase_add_loop_test(tests, refuses, 0, ELEMENTS(bad));
    tcase_add_test(tests, stops_at_the_end);
    tcase_add_loop_test(tests, compacts_text, 0, ELEMENTS(compacts));
    tcase_add_test(tests, finds_each_byte_of_a_string);
    tcase_add_test(tests, looks_so_deep);
    suite_add_tcase(suite, tests);
    return suite;
}
