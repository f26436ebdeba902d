/* Events in the query of a GET: the answer is a picture, or says as JSON what is wrong.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "collect/pixel.h"
#include "requests.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define QUERY "token=t&timestamp=2022-02-22T18:37:28.205Z&tag=LIKE_WOOD"
#define MALFORMED_AT(position) INVALID "{\"index\":0,\"reason\":\"malformed_json\",\"position\":" #position "}]}"

static const char *const open_to_all[] = {"ClickstreamPixel on", "ClickstreamAuth none", NULL};

static const struct {
    const char *query;
    int status;
    const char *answer; /* NULL: the picture */
    const char *record;
} queries[] = {
    {QUERY "&client_id=app", 200, NULL, RECORD},
    {"client_id=app&" QUERY "&value=3&note=two+words", 200, NULL,
     "{" MEMBERS ",\"value\":3,\"note\":\"two words\"" ADDED},
    {"client_id=app&" QUERY "&value=1e400", 200, NULL, "{" MEMBERS ",\"value\":1e400" ADDED},
    {"client_id=app&" QUERY "&value=-0", 200, NULL, "{" MEMBERS ",\"value\":-0" ADDED},
    {"client_id=app&" QUERY "&client_ip=forged&user_agent=forged", 200, NULL, RECORD},
    {"client_id=app&" QUERY "&tag=OTHER", 200, NULL,
     "{\"token\":\"t\",\"timestamp\":\"2022-02-22T18:37:28.205Z\",\"tag\":\"OTHER\"" ADDED},
    {"client_id=app&" QUERY "&value=%C3%A9%FF", 200, NULL, "{" MEMBERS ",\"value\":\"\xC3\xA9\xEF\xBF\xBD\"" ADDED},
    {"client_id=app&token=7&timestamp=2022-02-22T18%3A37%3A28%2B01%3A00&tag=true", 200, NULL,
     "{\"token\":\"7\",\"timestamp\":\"2022-02-22T18:37:28+01:00\",\"tag\":\"true\"" ADDED},
    {"client_id=app", 400, INVALID "{\"index\":0,\"reason\":\"missing_field\",\"field\":\"token\"}]}", NULL},
    {"client_id=app&token=t&timestamp=today&tag=x", 400,
     INVALID "{\"index\":0,\"reason\":\"bad_timestamp\",\"field\":\"timestamp\"}]}", NULL},
    {"client_id=app&" QUERY "&value=%zz", 400, MALFORMED_AT(71), NULL},
    {"client_id=app&" QUERY "&value=a%00b", 400, MALFORMED_AT(71), NULL},
    {"client_id=app&%zz=1&" QUERY, 400, MALFORMED_AT(14), NULL},
    {QUERY, 403, "{\"response_code\":\"403\",\"message\":\"Unknown client\"}", NULL},
    {NULL, 403, "{\"response_code\":\"403\",\"message\":\"Unknown client\"}", NULL},
};

static void get(cs_collect_t *collect, const char *const *headers, const char *query, const cs_location_t *settings)
{
    const cs_request_t request = request_of("GET", headers, query);

    if (cs_collect_begin(collect, &request, settings, pool))
        request_body(collect, "");
}

static void check_picture(const cs_collect_t *collect)
{
    ck_assert_int_eq(collect->status, 200);
    ck_assert_uint_eq(collect->body.length, 43);
    ck_assert_mem_eq(collect->body.at, cs_pixel_gif.at, 43);
    ck_assert_str_eq(apr_table_get(collect->headers, "Content-Type"), "image/gif");
    ck_assert_str_eq(apr_table_get(collect->headers, "Cache-Control"), "no-store");
}

static void check_json(const cs_collect_t *collect, int status, const char *answer)
{
    ck_assert_str_eq(request_text(collect->body), answer);
    ck_assert_int_eq(collect->status, status);
    ck_assert_str_eq(apr_table_get(collect->headers, "Content-Type"), "application/json");
    ck_assert_str_eq(apr_table_get(collect->headers, "Cache-Control"), "no-store");
    ck_assert_int_eq(collect->records->nelts, 0);
}

START_TEST(answers_a_query)
{
    static const char *const headers[] = {"Host: www.example.com", NULL};
    cs_collect_t collect;

    get(&collect, headers, queries[_i].query, test_location(open_to_all));
    if (collect.records->nelts)
        cs_collect_end(&collect, APR_SUCCESS);
    if (queries[_i].answer)
        check_json(&collect, queries[_i].status, queries[_i].answer);
    else
        check_picture(&collect);
    ck_assert_pstr_eq(request_last(collect.records), queries[_i].record);
}
END_TEST

/* Without a query, and with a client in a header. */
START_TEST(answers_an_empty_query)
{
    static const char *const lines[] = {"ClickstreamPixel on", "ClickstreamRequire a", NULL};
    cs_collect_t collect;

    get(&collect, request_good, NULL, test_location(lines));
    check_json(&collect, 400, INVALID "{\"index\":0,\"reason\":\"missing_field\",\"field\":\"a\"}]}");
    get(&collect, request_good, "", test_location(lines));
    check_json(&collect, 400, INVALID "{\"index\":0,\"reason\":\"missing_field\",\"field\":\"a\"}]}");
    get(&collect, request_good, "a=1", test_location(lines));
    check_picture(&collect);
    ck_assert_str_eq(request_last(collect.records), "{\"a\":1" ADDED);
}
END_TEST

/* A body that comes with it is not looked at, and neither is what it says to be. */
START_TEST(looks_at_no_body)
{
    static const char *const headers[] = {TOKEN, CLIENT, "Content-Type: application/xml", NULL};
    static const char *const bodies[] = {"nonsense", "\x1f\x8b", "{\"tag\":1}"};
    static const char *const lines[] = {"ClickstreamPixel on", NULL};
    cs_collect_t collect;

    for (int i = 0; i < ELEMENTS(bodies); i++) {
        request_begin(&collect, "GET", headers, QUERY, test_location(lines), 1);
        request_body(&collect, bodies[i]);
        check_picture(&collect);
        ck_assert_str_eq(request_last(collect.records), RECORD);
    }
}
END_TEST

/* A POST is what it is elsewhere, whatever its query. */
START_TEST(leaves_posts_alone)
{
    static const char *const lines[] = {"ClickstreamPixel on", NULL};
    cs_collect_t collect;

    request_begin(&collect, "POST", request_good, "tag=%zz&value=7", test_location(lines), 1);
    request_body(&collect, EVENT);
    ck_assert_str_eq(request_text(collect.body), COLLECTED "}");
    ck_assert_str_eq(apr_table_get(collect.headers, "Content-Type"), "application/json");
    ck_assert_str_eq(request_last(collect.records), RECORD);
}
END_TEST

START_TEST(keeps_a_refused_query)
{
    static const char *const lines[] = {"ClickstreamPixel on", "ClickstreamRejectTo refused", NULL};
    cs_collect_t collect;

    get(&collect, request_good, "a=\"%zz", test_location(lines));
    ck_assert_int_eq(collect.refused[CS_REASON_MALFORMED_JSON], 1);
    ck_assert_str_eq(request_last(collect.rejects),
                     "{\"reason\":\"malformed_json\",\"received_at\":\"" NOW_TEXT
                     "\",\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\",\"event\":\"a=\\\"%zz\"}");
    get(&collect, request_good, "token=t&timestamp=1", test_location(lines));
    ck_assert_int_eq(collect.refused[CS_REASON_MISSING_FIELD], 1);
    ck_assert_str_eq(request_last(collect.rejects),
                     "{\"reason\":\"missing_field\",\"field\":\"tag\",\"received_at\":\"" NOW_TEXT
                     "\",\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\","
                     "\"event\":\"{\\\"token\\\":\\\"t\\\",\\\"timestamp\\\":\\\"1\\\"}\"}");
}
END_TEST

static const struct {
    apr_status_t appended;
    int status;
    const char *answer;
} ends[] = {
    {APR_ENOSPC, 503, "{\"response_code\":\"503\",\"message\":\"Queue full, try again later.\"}"},
    {APR_EGENERAL, 500, FAILED},
};

START_TEST(shows_no_picture_that_promises_nothing)
{
    static const char *const lines[] = {"ClickstreamPixel on", "ClickstreamVisitorCookie cs", NULL};
    cs_collect_t collect;

    get(&collect, request_good, QUERY, test_location(lines));
    check_picture(&collect);
    ck_assert_ptr_nonnull(apr_table_get(collect.headers, "Set-Cookie"));
    cs_collect_end(&collect, ends[_i].appended);
    check_json(&collect, ends[_i].status, ends[_i].answer);
    ck_assert_ptr_null(apr_table_get(collect.headers, "Set-Cookie"));
}
END_TEST

/* Whoever does not want to be tracked gets the picture all the same. */
START_TEST(shows_a_picture_for_what_is_dropped)
{
    static const char *const lines[] = {"ClickstreamPixel on", "ClickstreamOptOut drop", "ClickstreamVisitorCookie cs",
                                        NULL};
    static const char *const headers[] = {TOKEN, CLIENT, "Sec-GPC: 1", NULL};
    cs_collect_t collect;

    get(&collect, headers, QUERY, test_location(lines));
    check_picture(&collect);
    ck_assert_int_eq(collect.records->nelts, 0);
    ck_assert_int_eq(collect.opted_out, 1);
    ck_assert_ptr_null(apr_table_get(collect.headers, "Set-Cookie"));
}
END_TEST

/* --- methods --- */

static const struct {
    const char *directive, *method;
    int status; /* 0: it is taken */
    const char *allow;
} methods[] = {
    {"ClickstreamPixel on", "GET", 0, NULL},
    {"ClickstreamPixel on", "POST", 0, NULL},
    {"ClickstreamPixel on", "HEAD", 405, "GET, POST, OPTIONS"},
    {"ClickstreamPixel on", "get", 405, "GET, POST, OPTIONS"},
    {"ClickstreamPixel on", "PUT", 405, "GET, POST, OPTIONS"},
    {"ClickstreamPixel on", "OPTIONS", 204, "GET, POST, OPTIONS"},
    {"ClickstreamPixel off", "GET", 405, "POST, OPTIONS"},
    {"ClickstreamPixel off", "HEAD", 405, "POST, OPTIONS"},
    {"ClickstreamPixel off", "OPTIONS", 204, "POST, OPTIONS"},
    {"ClickstreamMaxBody 1M", "GET", 405, "POST, OPTIONS"}, /* off is the default */
};

START_TEST(allows_methods)
{
    const char *lines[] = {methods[_i].directive, "ClickstreamAllowOrigin https://app.example.com", NULL};
    static const char *const headers[] = {TOKEN, CLIENT, "Origin: https://app.example.com", NULL};
    int preflight = methods[_i].status == 204;
    cs_collect_t collect;

    request_begin(&collect, methods[_i].method, headers, QUERY, test_location(lines), !methods[_i].status);
    ck_assert_int_eq(collect.status, methods[_i].status);
    ck_assert_pstr_eq(apr_table_get(collect.headers, "Allow"), methods[_i].allow);
    ck_assert_str_eq(apr_table_get(collect.headers, "Access-Control-Allow-Origin"), "https://app.example.com");
    ck_assert_pstr_eq(apr_table_get(collect.headers, "Access-Control-Allow-Methods"),
                      preflight ? methods[_i].allow : NULL);
}
END_TEST

Suite *collect_pixel_suite(void)
{
    Suite *suite = suite_create("collect_pixel");
    TCase *tests = test_case("collect_pixel");

    tcase_add_loop_test(tests, answers_a_query, 0, ELEMENTS(queries));
    tcase_add_test(tests, answers_an_empty_query);
    tcase_add_test(tests, looks_at_no_body);
    tcase_add_test(tests, leaves_posts_alone);
    tcase_add_test(tests, keeps_a_refused_query);
    tcase_add_loop_test(tests, shows_no_picture_that_promises_nothing, 0, ELEMENTS(ends));
    tcase_add_test(tests, shows_a_picture_for_what_is_dropped);
    tcase_add_loop_test(tests, allows_methods, 0, ELEMENTS(methods));
    suite_add_tcase(suite, tests);
    return suite;
}
