/* JSON text: what values mean, and the members of an object.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collect/json.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char *text_of(cs_span_t span)
{
    return apr_pstrmemdup(pool, span.at, span.length);
}

static apr_array_header_t *members_of(const char *text)
{
    apr_array_header_t *members = apr_array_make(pool, 1, sizeof(cs_member_t));
    cs_json_t json;

    ck_assert_int_eq(cs_json_object(members, &json, text, text + strlen(text), pool), 1);
    return members;
}

static cs_json_t measured(const char *text)
{
    cs_json_t json;

    ck_assert_int_eq(cs_json_measure(&json, text, text + strlen(text)), 1);
    return json;
}

START_TEST(tells_kinds)
{
    static const struct {
        const char *text;
        cs_json_kind_t kind;
    } kinds[] = {{"{}", CS_JSON_OBJECT},    {"[]", CS_JSON_ARRAY},      {"\"1\"", CS_JSON_STRING},
                 {"0", CS_JSON_INTEGER},    {"-0", CS_JSON_INTEGER},    {"12345678901234567890", CS_JSON_INTEGER},
                 {"3.0", CS_JSON_DECIMAL},  {"1e2", CS_JSON_DECIMAL},   {"-1E2", CS_JSON_DECIMAL},
                 {"true", CS_JSON_BOOLEAN}, {"false", CS_JSON_BOOLEAN}, {"null", CS_JSON_NULL}};

    for (int i = 0; i < ELEMENTS(kinds); i++)
        ck_assert_msg(cs_json_kind(measured(kinds[i].text).text) == kinds[i].kind, "%s", kinds[i].text);
}
END_TEST

static const struct {
    const char *text, *means;
} strings[] = {
    {"\"\"", ""},
    {"\"plain\"", "plain"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
    {"\"a\\u0041\\u005a\\u005A\"", "aAZZ"},
    {"\"\\u007f\\u0080\\u07FF\\u0800\\uffff\"", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"},
    {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80"},
    {"\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"},
    /* half a pair */
    {"\"\\ud83d\"", "\xEF\xBF\xBD"},
    {"\"\\ude00\"", "\xEF\xBF\xBD"},
    {"\"\\ud83dx\"", "\xEF\xBF\xBDx"},
    {"\"\\ud83d\\n\"", "\xEF\xBF\xBD\n"},
    {"\"\\ud83d\\u0041\"", "\xEF\xBF\xBD"
                           "A"},
    {"\"\\ud83d\\ud83d\\ude00\"", "\xEF\xBF\xBD\xF0\x9F\x98\x80"},
    {"\"\\ude00\\ud83d\"", "\xEF\xBF\xBD\xEF\xBF\xBD"},
    {"\"\xF0\x9F\x98\x80\\u00e9\xC3\xA9\"", "\xF0\x9F\x98\x80\xC3\xA9\xC3\xA9"},
};

START_TEST(reads_strings)
{
    ck_assert_str_eq(text_of(cs_json_string(measured(strings[_i].text).text, pool)), strings[_i].means);
}
END_TEST

START_TEST(reads_a_nul)
{
    cs_span_t text = cs_json_string(measured("\"a\\u0000b\"").text, pool);

    ck_assert_uint_eq(text.length, 3);
    ck_assert_int_eq(memcmp(text.at, "a\0b", 3), 0);
}
END_TEST

START_TEST(reads_numbers)
{
    static const struct {
        const char *text;
        double number;
    } numbers[] = {{"0}", 0},
                   {"-1,", -1},
                   {"0.5 ", 0.5},
                   {"1e3}", 1000},
                   {"-2.5E-1]", -0.25},
                   {"9007199254740993}", 9007199254740992.0},
                   {"1e400,", HUGE_VAL},
                   {"-1e400,", -HUGE_VAL}};

    for (int i = 0; i < ELEMENTS(numbers); i++)
        ck_assert_msg(cs_json_number(measured(numbers[i].text).text) == numbers[i].number, "%s", numbers[i].text);
}
END_TEST

/* In a thread that writes 0,5. */
START_TEST(reads_numbers_whatever_the_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "C.UTF-8"};
    locale_t other = (locale_t)0, before;

    for (int i = 0; i < ELEMENTS(names) && !other; i++)
        other = newlocale(LC_ALL_MASK, names[i], (locale_t)0);
    ck_assert(other != (locale_t)0);
    before = uselocale(other);
    ck_assert(cs_json_number(measured("0.5}").text) == 0.5);
    ck_assert(uselocale(before) == other); /* it is as it was */
    freelocale(other);
}
END_TEST

static const struct {
    const char *object, *members; /* NAME=VALUE; for each; after | what is left of them once they are united */
} objects[] = {
    {"{}", "|"},
    {"{\"a\":1}", "a=1;|a=1;"},
    {"{ \"b\" : [ ] , \"a\" : {\"c\":1} }", "b=[ ];a={\"c\":1};|b=[ ];a={\"c\":1};"},
    {"{\"a\":1,\"b\":2,\"a\":3}", "a=1;b=2;a=3;|a=3;b=2;"},
    {"{\"a\":1,\"\\u0061\":2,\"c\":[],\"b\":4,\"c\":5}", "a=1;a=2;c=[];b=4;c=5;|a=2;c=5;b=4;"},
    {"{\"\":1,\"\":2,\"\":3}", "=1;=2;=3;|=3;"},
    {"{\"a\":1,\"aa\":2,\"A\":3,\"b\":4}", "a=1;aa=2;A=3;b=4;|a=1;aa=2;A=3;b=4;"},
    {"{\"\\ud83d\":1,\"\\ude00\":2}", "\xEF\xBF\xBD=1;\xEF\xBF\xBD=2;|\xEF\xBF\xBD=2;"},
};

static const char *told(const apr_array_header_t *members, const char *so_far)
{
    for (int i = 0; i < members->nelts; i++) {
        const cs_member_t *member = &APR_ARRAY_IDX(members, i, cs_member_t);
        so_far = apr_psprintf(pool, "%s%s=%s;", so_far, text_of(member->name), text_of(member->value.text));
    }
    return so_far;
}

START_TEST(lays_open_and_unites)
{
    apr_array_header_t *members = members_of(objects[_i].object);
    int all = members->nelts;
    const char *seen = apr_pstrcat(pool, told(members, ""), "|", NULL);
    ck_assert_int_eq(cs_json_unite(members, pool), all - members->nelts);
    ck_assert_str_eq(told(members, seen), objects[_i].members);
}
END_TEST

/* Many names, where they are put in order rather than compared each with each: those of K names, N times in a row. */
START_TEST(unites_many)
{
    apr_array_header_t *members;
    enum { NAMES = 100, TIMES = 5 };
    const char *text = "{";

    for (int i = 0; i < NAMES * TIMES; i++)
        text = apr_psprintf(pool, "%s%s\"%s%d\":%d", text, i ? "," : "", i % 3 ? "k" : "\\u006b", i * 7 % NAMES, i);
    members = members_of(apr_pstrcat(pool, text, "}", NULL));
    ck_assert_int_eq(cs_json_unite(members, pool), NAMES * (TIMES - 1));
    for (int i = 0; i < NAMES; i++) {
        const cs_member_t *member = &APR_ARRAY_IDX(members, i, cs_member_t);
        ck_assert_str_eq(text_of(member->name), apr_psprintf(pool, "k%d", i * 7 % NAMES));
        ck_assert_str_eq(text_of(member->value.text), apr_itoa(pool, i + NAMES * (TIMES - 1)));
    }
    ck_assert_int_eq(cs_json_unite(members, pool), 0);
}
END_TEST

START_TEST(names_with_a_nul)
{
    static const struct {
        const char *object;
        int at; /* -1: none */
    } names[] = {{"{\"\\u0000\":1}", 1},
                 {"{\"x\":1,\"iss\\u0000\":1}", 7},
                 {"{\"\\\\\\u0000x\":1}", 1},
                 {"{\"\\n\\u0000\":1}", 1},
                 {"{\"\":1}", -1},
                 {"{\"u0000\":1}", -1},
                 {"{\"\\\\u0000\":1}", -1},
                 {"{\"\\u0001\":1}", -1},
                 {"{\"\\u00000\":1,\"\\u0000\":1}", 1},
                 {"{\"\\u1000\":1}", -1},
                 {"{\"a\":\"\\u0000\"}", -1}};

    for (int i = 0; i < ELEMENTS(names); i++) {
        const char *culprit = cs_json_nul(members_of(names[i].object));
        ck_assert_msg((culprit ? (int)(culprit - names[i].object) : -1) == names[i].at, "%s", names[i].object);
    }
}
END_TEST

START_TEST(counts)
{
    static const struct {
        const char *text;
        int count;
    } containers[] = {{"{}", 0},
                      {"{ }", 0},
                      {"{\"a\":[1,2],\"b\":{\"c\":1,\"d\":2}}", 2},
                      {"{\"a\":1,\"a\":2}", 1},
                      {"{\"a\\u0000\":1,\"b\":2}", 2},
                      {"[]", 0},
                      {"[ ]", 0},
                      {"[1]", 1},
                      {"[ 1 , [2, 3] ,{\"a\":4},\"]\" ]", 4}};

    for (int i = 0; i < ELEMENTS(containers); i++) {
        cs_json_t json = measured(containers[i].text);
        ck_assert_msg(cs_json_count(&json, pool) == containers[i].count, "%s", containers[i].text);
    }
}
END_TEST

START_TEST(finds_members)
{
    const cs_member_t *all = (const cs_member_t *)(void *)members_of("{\"tag\":1,\"t\\u0061gs\":2,\"\":3}")->elts;

    ck_assert_str_eq(text_of(cs_json_find(all, 3, "tag")->text), "1");
    ck_assert_str_eq(text_of(cs_json_find(all, 3, "tags")->text), "2");
    ck_assert_str_eq(text_of(cs_json_find(all, 3, "")->text), "3");
    ck_assert_ptr_eq(cs_json_find(all, 3, "ta"), NULL);
    ck_assert_ptr_eq(cs_json_find(all, 1, "tags"), NULL);
    ck_assert_ptr_eq(cs_json_find(all, 0, "tag"), NULL);
}
END_TEST

Suite *json_value_suite(void)
{
    Suite *suite = suite_create("json_value");
    TCase *tests = test_case("json_value");

    tcase_add_test(tests, tells_kinds);
    tcase_add_loop_test(tests, reads_strings, 0, ELEMENTS(strings));
    tcase_add_test(tests, reads_a_nul);
    tcase_add_test(tests, reads_numbers);
    tcase_add_test(tests, reads_numbers_whatever_the_locale);
    tcase_add_loop_test(tests, lays_open_and_unites, 0, ELEMENTS(objects));
    tcase_add_test(tests, unites_many);
    tcase_add_test(tests, names_with_a_nul);
    tcase_add_test(tests, counts);
    tcase_add_test(tests, finds_members);
    suite_add_tcase(suite, tests);
    return suite;
}
