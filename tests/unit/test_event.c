/* Events: how they are found in a body, what they are checked for, and which rejection stands where.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "collect/event.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* --- what the two callbacks get, as text: take(a=1,b=2) and reject(INDEX REASON FIELD @POSITION) --- */

static const char *heard;

static const char *text_of(cs_span_t span)
{
    return apr_pstrmemdup(pool, span.at, span.length);
}

static cs_reason_t hear_event(void *to, const cs_event_t *event)
{
    const char *members = "";

    (void)to;
    for (int i = 0; i < event->count; i++)
        members = apr_pstrcat(pool, members, i ? "," : "", text_of(event->members[i].name), "=",
                              text_of(event->members[i].value.text), NULL);
    heard = apr_pstrcat(pool, heard, "take(", members, ")", NULL);
    return strstr(members, "refuse") ? CS_REASON_TOO_LARGE : CS_REASON_COUNT;
}

static void hear_rejection(void *to, const cs_rejection_t *rejection)
{
    (void)to;
    heard = apr_psprintf(pool, "%sreject(%d %s", heard, rejection->index, cs_reason_name(rejection->reason));
    if (rejection->field)
        heard = apr_pstrcat(pool, heard, " ", rejection->field, NULL);
    if (rejection->reason == CS_REASON_MALFORMED_JSON)
        heard = apr_psprintf(pool, "%s @%d", heard, (int)rejection->position);
    heard = apr_pstrcat(pool, heard, ")", NULL);
}

static void hear_forget(void *to)
{
    (void)to;
    heard = apr_pstrcat(pool, heard, "forget()", NULL);
}

static const cs_event_sink_t hearing = {.take = hear_event, .reject = hear_rejection, .forget = hear_forget};

/* At most three events, of 60 bytes, three deep, with the members given. */
static cs_event_rules_t rules_for(const char *require)
{
    apr_array_header_t *names = apr_array_make(pool, 1, sizeof(const char *));

    if (*require)
        APR_ARRAY_PUSH(names, const char *) = require;
    return (cs_event_rules_t){.max_events = 3, .max_event = 60, .max_depth = 3, .require = names};
}

static cs_body_t read_body(cs_span_t body, int lines, const cs_event_rules_t *rules)
{
    heard = "";
    return cs_events_read(body, lines, rules, &hearing, pool);
}

enum { TEXT, LINES };

static const struct {
    const char *require, *body;
    int lines; /* whether the sender said so */
    cs_body_t kind;
    const char *heard;
} bodies[] = {
    /* one */
    {"a", "{\"a\":1}", TEXT, CS_BODY_ONE, "take(a=1)"},
    {"a", " \r\n{\"a\" : [ 1 ] }\n\n", TEXT, CS_BODY_ONE, "take(a=[ 1 ])"},
    {"a", "{\n\"a\":1,\n\"b\":2\n}", TEXT, CS_BODY_ONE, "take(a=1,b=2)"},
    {"", "{}", TEXT, CS_BODY_ONE, "take()"},
    {"a", "{\"\\u0061\":1}", TEXT, CS_BODY_ONE, "take(a=1)"},
    {"a", "{\"a\":null}", TEXT, CS_BODY_ONE, "take(a=null)"},
    {"a", "{\"b\":1}", TEXT, CS_BODY_ONE, "reject(0 missing_field a)"},
    {"", "{\"refuse\":1}", TEXT, CS_BODY_ONE, "take(refuse=1)reject(0 too_large)"},
    /* not an object */
    {"a", "1", TEXT, CS_BODY_ONE, "reject(0 not_an_object)"},
    {"a", "\"a\"", TEXT, CS_BODY_ONE, "reject(0 not_an_object)"},
    {"a", "null", TEXT, CS_BODY_ONE, "reject(0 not_an_object)"},
    {"a", " true ", TEXT, CS_BODY_ONE, "reject(0 not_an_object)"},
    {"a", "1\n2", TEXT, CS_BODY_ONE, "reject(0 malformed_json @2)"},
    /* an array */
    {"a", "[]", TEXT, CS_BODY_MANY, ""},
    {"a", "[{\"a\":1}]", TEXT, CS_BODY_MANY, "take(a=1)"},
    {"a", " [ {\"a\":1} ,\n {\"a\":2} ] \n", TEXT, CS_BODY_MANY, "take(a=1)take(a=2)"},
    {"a", "[{\"a\":1},{},{\"a\":3}]", TEXT, CS_BODY_MANY, "take(a=1)reject(1 missing_field a)take(a=3)"},
    {"a", "[[],null,3]", TEXT, CS_BODY_MANY, "reject(0 not_an_object)reject(1 not_an_object)reject(2 not_an_object)"},
    {"a", "[{\"a\":1},{\"a\":2},{\"a\":3},{\"a\":4}]", TEXT, CS_BODY_TOO_MANY, "take(a=1)take(a=2)take(a=3)forget()"},
    {"a", "[1,2,3,4]", TEXT, CS_BODY_TOO_MANY,
     "reject(0 not_an_object)reject(1 not_an_object)reject(2 not_an_object)forget()"},
    {"a", "[{\"a\":1},{\"a\":NaN}]", TEXT, CS_BODY_ONE, "take(a=1)forget()reject(0 malformed_json @14)"},
    {"a", "[{\"a\":1}]\n{\"a\":2}", TEXT, CS_BODY_ONE, "take(a=1)forget()reject(0 malformed_json @10)"},
    {"a", "[{\"a\":1},]", TEXT, CS_BODY_ONE, "take(a=1)forget()reject(0 malformed_json @9)"},
    {"a", "[{\"a\":1},{},3,4,NaN]", TEXT, CS_BODY_ONE,
     "take(a=1)reject(1 missing_field a)reject(2 not_an_object)forget()reject(0 malformed_json @16)"},
    /* lines, announced or not */
    {"a", "{\"a\":1}\n{\"a\":2}", TEXT, CS_BODY_MANY, "take(a=1)take(a=2)"},
    {"a", "{\"a\":1}\r\n\r\n \t\n{\"a\":2}\r\n", TEXT, CS_BODY_MANY, "take(a=1)take(a=2)"},
    {"a", "{\"a\":1}\n{\"a\":2}\n", LINES, CS_BODY_MANY, "take(a=1)take(a=2)"},
    {"a", "{\"a\":1}", LINES, CS_BODY_MANY, "take(a=1)"},
    {"a", "", LINES, CS_BODY_MANY, ""},
    {"a", "\n \n", LINES, CS_BODY_MANY, ""},
    {"a", "{\"a\":1}\nnonsense\n{\"a\":3}", TEXT, CS_BODY_MANY, "take(a=1)reject(1 malformed_json @9)take(a=3)"},
    {"a", "{\"a\":1}\n{\"a\":\n{\"a\":3}", LINES, CS_BODY_MANY, "take(a=1)reject(1 malformed_json @13)take(a=3)"},
    {"a", "{\"a\":1}\n[{\"a\":2}]", TEXT, CS_BODY_MANY, "take(a=1)reject(1 not_an_object)"},
    {"a", "{\"a\":1} {\"a\":2}\n{\"a\":3}", LINES, CS_BODY_MANY, "reject(0 malformed_json @8)take(a=3)"},
    {"a", "{\"a\":1}\n{}\n7", LINES, CS_BODY_MANY, "take(a=1)reject(1 missing_field a)reject(2 not_an_object)"},
    {"a", "1\n2\n3\n4", LINES, CS_BODY_TOO_MANY, ""},
    {"a", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}", TEXT, CS_BODY_TOO_MANY, ""},
    {"a", "\n1\n\n2\n\n3\n\n", LINES, CS_BODY_MANY,
     "reject(0 not_an_object)reject(1 not_an_object)reject(2 not_an_object)"},
    /* no JSON */
    {"a", "", TEXT, CS_BODY_ONE, "reject(0 malformed_json @0)"},
    {"a", "  ", TEXT, CS_BODY_ONE, "reject(0 malformed_json @2)"},
    {"a", "hello", TEXT, CS_BODY_ONE, "reject(0 malformed_json @0)"},
    {"a", "{\"a\":1", TEXT, CS_BODY_ONE, "reject(0 malformed_json @6)"},
    {"a", "{\"a\":1,}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @7)"},
    {"a", "{\"a\":1} x", TEXT, CS_BODY_ONE, "reject(0 malformed_json @8)"},
    {"a", "{\"a\":1}{\"a\":2}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @7)"},
    {"a", "{\"a\":1} /* c */", TEXT, CS_BODY_ONE, "reject(0 malformed_json @8)"},
    {"a", "{\"a\":-01}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @7)"},
    {"a", "{\"a\":01}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @6)"},
    {"a", "{\"a\":1.}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @7)"},
    {"a", "{'a':1}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @1)"},
    {"a", "{\"a\":\"x\ny\"}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @7)"},
    {"a", "{\"a\":\"\xED\xA0\x80\"}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @6)"},
    /* the contract's own members */
    {"", "{\"token\":1}", TEXT, CS_BODY_ONE, "reject(0 wrong_type token)"},
    {"", "{\"tag\":null}", TEXT, CS_BODY_ONE, "reject(0 wrong_type tag)"},
    {"", "{\"timestamp\":20220222}", TEXT, CS_BODY_ONE, "reject(0 wrong_type timestamp)"},
    {"", "{\"timestamp\":\"today\"}", TEXT, CS_BODY_ONE, "reject(0 bad_timestamp timestamp)"},
    {"", "{\"timestamp\":\"2022-02-22T18:37:28Z\\u0000\"}", TEXT, CS_BODY_ONE, "reject(0 bad_timestamp timestamp)"},
    {"", "{\"t\\u0061g\":7}", TEXT, CS_BODY_ONE, "reject(0 wrong_type tag)"},
    {"", "{\"tag\":\"\"}", TEXT, CS_BODY_ONE, "take(tag=\"\")"},
    {"", "{\"tag\":1,\"tag\":\"x\"}", TEXT, CS_BODY_ONE, "take(tag=\"x\")"},
    {"", "{\"tag\":\"x\",\"tag\":1}", TEXT, CS_BODY_ONE, "reject(0 wrong_type tag)"},
    /* limits: 60 bytes, three deep */
    {"", "{\"a\":\"4567890123456789012345678901234567890123456789012345678\"}", TEXT, CS_BODY_ONE,
     "reject(0 too_large)"},
    {"", "{\"a\":\"456789012345678901234567890123456789012345678901234\"}", TEXT, CS_BODY_ONE,
     "take(a=\"456789012345678901234567890123456789012345678901234\")"},
    {"", "{\"a\":1                                                      }", TEXT, CS_BODY_ONE, "reject(0 too_large)"},
    {"", "{\"a\":[[]]}", TEXT, CS_BODY_ONE, "take(a=[[]])"},
    {"", "{\"a\":[[[]]]}", TEXT, CS_BODY_ONE, "reject(0 too_deep)"},
    {"", "[{\"a\":[[]]},{\"a\":{\"b\":{\"c\":{}}}}]", TEXT, CS_BODY_MANY, "take(a=[[]])reject(1 too_deep)"},
    /* names */
    {"", "{\"a\":1,\"b\":2,\"a\":3}", TEXT, CS_BODY_ONE, "take(a=3,b=2)"},
    {"", "{\"a\":1,\"\\u0061\":2,\"c\":[],\"b\":4,\"c\":5}", TEXT, CS_BODY_ONE, "take(a=2,c=5,b=4)"},
    {"", "{\"\":1,\"\":2}", TEXT, CS_BODY_ONE, "take(=2)"},
    {"", "{\"a\\u0000b\":1}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @1)"},
    {"", "{\"x\":1,\"\\u0000\":1}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @7)"},
    {"", "{\"a\":1,\"a\\u0000\":2}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @7)"},
    {"", "{\"\\\\u0000\":1}", TEXT, CS_BODY_ONE, "take(\\u0000=1)"},
    {"", "{\"\\\\\\u0000\":1}", TEXT, CS_BODY_ONE, "reject(0 malformed_json @1)"},
    {"", "{\"a\":\"\\u0000\"}", TEXT, CS_BODY_ONE, "take(a=\"\\u0000\")"},
    /* digit for digit */
    {"", "{\"a\":123456789012345678901234567890}", TEXT, CS_BODY_ONE, "take(a=123456789012345678901234567890)"},
    {"", "{\"a\":-0.0,\"b\":1e400,\"c\":0.10}", TEXT, CS_BODY_ONE, "take(a=-0.0,b=1e400,c=0.10)"},
    {"", "{\"a\":9223372036854775808}", TEXT, CS_BODY_ONE, "take(a=9223372036854775808)"},
    {"", "{\"b\":1,\"a\":\"\\u00e9\\/\"}", TEXT, CS_BODY_ONE, "take(b=1,a=\"\\u00e9\\/\")"},
};

START_TEST(reads_body)
{
    cs_event_rules_t rules = rules_for(bodies[_i].require);
    apr_size_t length = strlen(bodies[_i].body);
    char *exact = malloc(length); /* not from the pool: nothing may be read behind it */

    memcpy(exact, bodies[_i].body, length);
    ck_assert_int_eq(read_body((cs_span_t){exact, length}, bodies[_i].lines, &rules), bodies[_i].kind);
    ck_assert_msg(strcmp(heard, bodies[_i].heard) == 0, "%s\n%s", bodies[_i].body, heard);
    free(exact);
}
END_TEST

START_TEST(nul_ends_no_body)
{
    static const char body[] = "{\"a\":1}\0{\"b\":2}";
    cs_event_rules_t rules = rules_for("");

    ck_assert_int_eq(read_body((cs_span_t){body, sizeof(body) - 1}, TEXT, &rules), CS_BODY_ONE);
    ck_assert_str_eq(heard, "reject(0 malformed_json @7)");
    read_body((cs_span_t){body, sizeof(body) - 1}, LINES, &rules);
    ck_assert_str_eq(heard, "reject(0 malformed_json @7)");
}
END_TEST

/* Memory is not looked at where a text breaks off within an escape or within half a surrogate pair. */
START_TEST(breaks_off_anywhere)
{
    static const char whole[] =
        "{\"client\\u005fid\":\"\\ud83d\\ude00\\n\xC3\xBC\",\"n\":-1.5e+10,\"l\":[true,false,null]}";
    cs_event_rules_t rules = rules_for("");

    rules.max_event = sizeof(whole);
    for (apr_size_t length = 0; length < sizeof(whole); length++) {
        char *exact = malloc(length);
        memcpy(exact, whole, length);
        read_body((cs_span_t){exact, length}, TEXT, &rules);
        ck_assert_int_eq(strncmp(heard, "take(", 5) == 0, length == sizeof(whole) - 1);
        free(exact);
    }
}
END_TEST

static cs_span_t nested(int depth)
{
    char *text = apr_palloc(pool, (apr_size_t)(2 * depth + 6)), *to = text;

    memcpy(to, "{\"a\":", 5);
    to += 5;
    memset(to, '[', (size_t)depth - 1);
    to += depth - 1;
    memset(to, ']', (size_t)depth - 1);
    to += depth - 1;
    *to++ = '}';
    return (cs_span_t){text, (apr_size_t)(to - text)};
}

/* The deepest that ClickstreamMaxDepth allows is not too deep for the scanner, in an array either. */
START_TEST(takes_the_deepest)
{
    cs_event_rules_t rules = {.max_events = 3, .max_event = 100000, .max_depth = 64, .require = rules_for("").require};
    cs_span_t event = nested(64);
    const char *array = apr_pstrcat(pool, "[", text_of(event), "]", NULL);

    read_body(event, TEXT, &rules);
    ck_assert_int_eq(strncmp(heard, "take(", 5), 0);
    ck_assert_int_eq(read_body((cs_span_t){array, strlen(array)}, TEXT, &rules), CS_BODY_MANY);
    ck_assert_int_eq(strncmp(heard, "take(", 5), 0);
    read_body(nested(65), TEXT, &rules);
    ck_assert_str_eq(heard, "reject(0 too_deep)");
    read_body(nested(50000), TEXT, &rules);
    ck_assert_str_eq(heard, "reject(0 too_deep)");
}
END_TEST

START_TEST(names_reasons)
{
    ck_assert_str_eq(cs_reason_name(CS_REASON_MALFORMED_JSON), "malformed_json");
    ck_assert_str_eq(cs_reason_name(CS_REASON_QUEUE_FULL), "queue_full");
    ck_assert_str_eq(cs_reason_name((cs_reason_t)(CS_REASON_COUNT - 1)), "queue_full");
}
END_TEST

Suite *event_suite(void)
{
    Suite *suite = suite_create("event");
    TCase *tests = test_case("event");

    tcase_add_loop_test(tests, reads_body, 0, ELEMENTS(bodies));
    tcase_add_test(tests, nul_ends_no_body);
    tcase_add_test(tests, breaks_off_anywhere);
    tcase_add_test(tests, takes_the_deepest);
    tcase_add_test(tests, names_reasons);
    suite_add_tcase(suite, tests);
    return suite;
}
