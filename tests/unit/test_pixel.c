/* Events in a query: one value, the whole event, and the picture that answers.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "collect/event.h"
#include "collect/pixel.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct {
    const char *query;
    const char *value; /* of client_id; NULL: none */
} queries[] = {
    {"client_id=app", "app"},
    {"a=b&client_id=app&c=d", "app"},
    {"client_id=app&client_id=web", "app"},
    {"client_id=", ""},
    {"client_id=&client_id=app", ""},
    {"client_id=a=b", "a=b"},
    {"client_id=two+words", "two words"},
    {"client_id=two%20words", "two words"},
    {"client_id=a%2Bb", "a+b"},
    {"client_id=a%26b%3Dc", "a&b=c"},
    {"client_id=Z%C3%bcrich", "Z\xC3\xBCrich"},
    {"client_id=%25", "%"},
    {"&&client_id=app&&", "app"},
    {"client_id=app#x", "app#x"},
    {"", NULL},
    {"&", NULL},
    {"=", NULL},
    {"client_id", NULL},
    {"client_id&x=app", NULL},
    {"client_idx=app", NULL},
    {"xclient_id=app", NULL},
    {"Client_id=app", NULL},
    {"a=client_id=app", NULL},
    {"a=b?client_id=app", NULL},
    {"client_id=%", NULL},
    {"client_id=%4", NULL},
    {"client_id=%zz", NULL},
    {"client_id=a%00b", NULL},
    {"client_id=%&client_id=app", NULL},
};

START_TEST(finds_a_value)
{
    const char *query = queries[_i].query, *before = apr_pstrdup(pool, query);

    ck_assert_pstr_eq(cs_query_value(query, "client_id", pool), queries[_i].value);
    ck_assert_str_eq(query, before);
}
END_TEST

static const struct {
    const char *query;
    const char *event; /* NULL: wrongly encoded, at `culprit` */
    int culprit;
} events[] = {
    {"", "{}", 0},
    {"&&", "{}", 0},
    {"a=b", "{\"a\":\"b\"}", 0},
    {"a=b&c=d", "{\"a\":\"b\",\"c\":\"d\"}", 0},
    {"&a=b&&c=d&", "{\"a\":\"b\",\"c\":\"d\"}", 0},
    {"a=b&a=c", "{\"a\":\"b\",\"a\":\"c\"}", 0},
    {"a=", "{\"a\":\"\"}", 0},
    {"a=b=c", "{\"a\":\"b=c\"}", 0},
    {"a==", "{\"a\":\"=\"}", 0},
    {"a.b[c]=d", "{\"a.b[c]\":\"d\"}", 0},
    /* decoded, and quoted */
    {"a=two+words&b%20c=%2B", "{\"a\":\"two words\",\"b c\":\"+\"}", 0},
    {"a%3Db=c%26d", "{\"a=b\":\"c&d\"}", 0},
    {"a=%22%5C%0A", "{\"a\":\"\\\"\\\\\\u000a\"}", 0},
    {"%22=x\",\"y\":\"z", "{\"\\\"\":\"x\\\",\\\"y\\\":\\\"z\"}", 0},
    {"a=Z%C3%BCrich", "{\"a\":\"Z\xC3\xBCrich\"}", 0},
    {"a=%FF&%C3=x", "{\"a\":\"\xEF\xBF\xBD\",\"\xEF\xBF\xBD\":\"x\"}", 0},
    /* what is no text */
    {"a=1&b=-1&c=0&d=-0", "{\"a\":1,\"b\":-1,\"c\":0,\"d\":-0}", 0},
    {"a=1.50&b=1e5&c=1E-5&d=1e%2B5", "{\"a\":1.50,\"b\":1e5,\"c\":1E-5,\"d\":1e+5}", 0},
    {"a=123456789012345678901234567890", "{\"a\":123456789012345678901234567890}", 0},
    {"a=0e0&b=-0e-0&c=0.0E5&d=-0.0", "{\"a\":0e0,\"b\":-0e-0,\"c\":0.0E5,\"d\":-0.0}", 0},
    {"a=true&b=false&c=null", "{\"a\":true,\"b\":false,\"c\":null}", 0},
    {"a=%31%32&b=t%72ue", "{\"a\":12,\"b\":true}", 0},
    /* what is text all the same */
    {"a=01&b=1.&c=.5&d=%2B1&e=-", "{\"a\":\"01\",\"b\":\"1.\",\"c\":\".5\",\"d\":\"+1\",\"e\":\"-\"}", 0},
    {"a=1e5x&b=1+2&c=1e+5&d=0x10", "{\"a\":\"1e5x\",\"b\":\"1 2\",\"c\":\"1e 5\",\"d\":\"0x10\"}", 0},
    {"a=+1&b=1+&c=1%0A", "{\"a\":\" 1\",\"b\":\"1 \",\"c\":\"1\\u000a\"}", 0},
    {"a=1,2&b=1:2&c=1]&d=1}", "{\"a\":\"1,2\",\"b\":\"1:2\",\"c\":\"1]\",\"d\":\"1}\"}", 0},
    {"a=TRUE&b=tru&c=truely&d=nul&e=NaN&f=Infinity&g=-Infinity",
     "{\"a\":\"TRUE\",\"b\":\"tru\",\"c\":\"truely\",\"d\":\"nul\",\"e\":\"NaN\",\"f\":\"Infinity\","
     "\"g\":\"-Infinity\"}",
     0},
    {"a={}&b=[]&c=\"x\"", "{\"a\":\"{}\",\"b\":\"[]\",\"c\":\"\\\"x\\\"\"}", 0},
    {"token=1&timestamp=2&tag=3&value=4", "{\"token\":\"1\",\"timestamp\":\"2\",\"tag\":\"3\",\"value\":4}", 0},
    {"t%61g=true&tags=true&Tag=true", "{\"tag\":\"true\",\"tags\":true,\"Tag\":true}", 0},
    /* what is no member */
    {"client_id=app", "{}", 0},
    {"client_id=app&a=b", "{\"a\":\"b\"}", 0},
    {"a=b&client%5Fid=app&c=d", "{\"a\":\"b\",\"c\":\"d\"}", 0},
    {"client_id=app&client_id=web", "{}", 0},
    {"client-id=app", "{\"client-id\":\"app\"}", 0},
    {"a&b=c", "{\"b\":\"c\"}", 0},
    {"=a&b=c", "{\"b\":\"c\"}", 0},
    {"=", "{}", 0},
    {"%zz&b=c", "{\"b\":\"c\"}", 0},
    {"=%zz&b=c", "{\"b\":\"c\"}", 0},
    /* wrongly encoded */
    {"%=a", NULL, 0},
    {"a=%", NULL, 0},
    {"a=b&c=%4", NULL, 4},
    {"a=b&&c=%zz", NULL, 5},
    {"a=b&c%g0=d&e=%", NULL, 4},
    {"a=%00", NULL, 0},
    {"a=b&c=x%00y", NULL, 4},
    {"a%00b=c", NULL, 0},
    {"a=b&client_id=%", NULL, 4},
};

START_TEST(makes_an_event)
{
    const char *query = events[_i].query, *before = apr_pstrdup(pool, query), *culprit = NULL;
    cs_span_t event;
    int good = cs_pixel_event(&event, &culprit, query, pool);

    ck_assert_int_eq(good, events[_i].event != NULL);
    if (good)
        ck_assert_str_eq(apr_pstrmemdup(pool, event.at, event.length), events[_i].event);
    else
        ck_assert_int_eq(culprit - query, events[_i].culprit);
    ck_assert_str_eq(query, before);
}
END_TEST

static cs_reason_t take_event(void *to, const cs_event_t *event)
{
    (void)event;
    ++*(int *)to;
    return CS_REASON_COUNT;
}

static void fail_event(void *to, const cs_rejection_t *rejection)
{
    (void)to;
    ck_abort_msg("%s", cs_reason_name(rejection->reason));
}

/* Whatever is written, it is JSON. */
START_TEST(is_json_to_the_parser)
{
    int taken = 0;
    const cs_event_sink_t sink = {.take = take_event, .reject = fail_event, .to = &taken};
    const cs_event_rules_t rules = {
        .max_events = 1, .max_event = 10000, .max_depth = 8, .require = apr_array_make(pool, 1, sizeof(const char *))};
    const char *culprit;
    cs_span_t event;

    for (int i = 0; i < ELEMENTS(events); i++) {
        /* The types of these three are not what is looked at here. */
        if (!events[i].event || strstr(events[i].event, "timestamp"))
            continue;
        ck_assert(cs_pixel_event(&event, &culprit, events[i].query, pool));
        taken = 0;
        cs_events_read(event, 0, &rules, &sink, pool);
        ck_assert_int_eq(taken, 1);
    }
}
END_TEST

/* All bytes but NUL, each of which may take six; many short ones, whose quotes take more than they do. */
START_TEST(has_room_for_anything)
{
    char *query = apr_pcalloc(pool, 3 * 1000 + 3 * 255 + 10), *to = query;
    const char *culprit;
    cs_span_t event;

    for (int i = 0; i < 1000; i++) {
        memcpy(to, "\1=&", 3);
        to += 3;
    }
    memcpy(to, "x=", 2);
    to += 2;
    for (int byte = 1; byte < 256; byte++)
        to += apr_snprintf(to, 4, "%%%02X", (unsigned)byte);
    ck_assert(cs_pixel_event(&event, &culprit, query, pool));
    ck_assert_uint_gt(event.length, 11 * 1000 + 255);
    ck_assert_int_eq(event.at[event.length - 1], '}');
}
END_TEST

/* --- the picture --- */

static int number_at(const unsigned char *at)
{
    return at[0] | at[1] << 8;
}

/* GIF89a specification: 17 header, 18 screen, 23 graphic control, 20 image, 22 data, 27 trailer. */
START_TEST(picture_is_one_transparent_pixel)
{
    const unsigned char *gif = (const unsigned char *)cs_pixel_gif.at;

    ck_assert_uint_eq(cs_pixel_gif.length, 43);
    ck_assert_mem_eq(gif, "GIF89a", 6);
    ck_assert_int_eq(number_at(gif + 6), 1); /* wide */
    ck_assert_int_eq(number_at(gif + 8), 1); /* high */
    ck_assert_int_eq(gif[10], 0x80);         /* a table of two colours */
    ck_assert_mem_eq(gif + 19, "\x21\xF9\x04", 3);
    ck_assert_int_eq(gif[22] & 1, 1); /* one colour is transparent: */
    ck_assert_int_eq(gif[25], 0);     /* the first */
    ck_assert_int_eq(gif[27], 0x2C);
    ck_assert_int_eq(number_at(gif + 32), 1);
    ck_assert_int_eq(number_at(gif + 34), 1);
    ck_assert_int_eq(gif[37], 2); /* bits a code, less one */
    ck_assert_int_eq(gif[38], 2); /* bytes: the codes clear, 0 and end, 3 bits each */
    ck_assert_int_eq(number_at(gif + 39) & 7, 4);
    ck_assert_int_eq(number_at(gif + 39) >> 3 & 7, 0);
    ck_assert_int_eq(number_at(gif + 39) >> 6 & 7, 5);
    ck_assert_int_eq(gif[41], 0);
    ck_assert_int_eq(gif[42], 0x3B);
}
END_TEST

Suite *pixel_suite(void)
{
    Suite *suite = suite_create("pixel");
    TCase *tests = test_case("pixel");

    tcase_add_loop_test(tests, finds_a_value, 0, ELEMENTS(queries));
    tcase_add_loop_test(tests, makes_an_event, 0, ELEMENTS(events));
    tcase_add_test(tests, is_json_to_the_parser);
    tcase_add_test(tests, has_room_for_anything);
    tcase_add_test(tests, picture_is_one_transparent_pixel);
    suite_add_tcase(suite, tests);
    return suite;
}
