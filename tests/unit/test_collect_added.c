/* What the server adds to the events, and what it leaves out for those who do not want to be tracked.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "requests.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define HEADERS 5
#define DIRECTIVES 6

#define MINIMAL "{\"a\":1}"
#define HEAD "{\"a\":1,\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\""
#define PROXIES "X-Forwarded-For: 198.51.100.7:80, 2001:db8:1:2::6"
#define ID "919108f7-52d1-4320-9bac-f847db4148a8"
#define NEW_ID "11111111-1111-4111-9111-111111111111" /* of the first random bytes */
#define COOKIE(id) "cs=" id "; Path=/; Max-Age=34128000; HttpOnly; SameSite=Lax"
#define VISITOR ",\"visitor_id\":\""

/* One event, `{"a":1}` where no other is given. */
static const struct {
    const char *directives[DIRECTIVES];
    const char *headers[HEADERS]; /* besides the client */
    int secure;
    const char *event;
    const char *record;
    const char *cookie; /* Set-Cookie; NULL: none */
} cases[] = {
    {.record = HEAD "}"},
    /* the address */
    {{"ClickstreamClientIP forwarded"}, .record = HEAD "}"},
    {{"ClickstreamClientIP forwarded"},
     {PROXIES},
     .record = "{\"a\":1,\"client_id\":\"app\",\"client_ip\":\"198.51.100.7:80, 2001:db8:1:2::6\"}"},
    {{"ClickstreamClientIP forwarded"},
     {"X-Forwarded-For: unknown"},
     .record = "{\"a\":1,\"client_id\":\"app\",\"client_ip\":\"unknown\"}"},
    {{"ClickstreamClientIP forwarded"}, {"X-Forwarded-For: "}, .record = HEAD "}"},
    {{"ClickstreamClientIP remote"}, {PROXIES}, .record = HEAD "}"},
    {{"ClickstreamClientIP remote"}, .record = HEAD "}"},
    {{"ClickstreamClientIP anonymized"}, .record = "{\"a\":1,\"client_id\":\"app\",\"client_ip\":\"192.0.2.0\"}"},
    {{"ClickstreamClientIP anonymized"},
     {PROXIES},
     .record = "{\"a\":1,\"client_id\":\"app\",\"client_ip\":\"198.51.100.0, 2001:db8:1::\"}"},
    {{"ClickstreamClientIP anonymized"},
     {"X-Forwarded-For: unknown"},
     .record = "{\"a\":1,\"client_id\":\"app\",\"client_ip\":\"192.0.2.0\"}"},
    {{"ClickstreamClientIP off"}, {PROXIES}, .record = "{\"a\":1,\"client_id\":\"app\"}"},
    {{"ClickstreamClientIP off"},
     .event = "{\"client_ip\":\"forged\",\"a\":1}",
     .record = "{\"a\":1,\"client_id\":\"app\"}"},
    /* fields */
    {{"ClickstreamField country X-Country", "ClickstreamField city X-City"},
     {"X-City: Z\"rich", "X-Country: CH"},
     .record = HEAD ",\"country\":\"CH\",\"city\":\"Z\\\"rich\"}"},
    {{"ClickstreamField country X-Country", "ClickstreamField city X-City"},
     {"X-City: ", "User-Agent: u"},
     .event = "{\"country\":\"forged\",\"a\":1,\"city\":\"forged\"}",
     .record = HEAD ",\"user_agent\":\"u\"}"},
    {{"ClickstreamField country X-Country"},
     {"X-Country: CH"},
     .event = "{\"c\\u006funtry\":\"forged\",\"a\":1}",
     .record = HEAD ",\"country\":\"CH\"}"},
    /* the visitor */
    {{"ClickstreamVisitorCookie cs"}, .record = HEAD VISITOR NEW_ID "\"}", .cookie = COOKIE(NEW_ID)},
    {{"ClickstreamVisitorCookie cs"},
     .secure = 1,
     .record = HEAD VISITOR NEW_ID "\"}",
     .cookie = COOKIE(NEW_ID) "; Secure"},
    {{"ClickstreamVisitorCookie cs"}, {"Cookie: a=b; cs=" ID}, .record = HEAD VISITOR ID "\"}", .cookie = COOKIE(ID)},
    {{"ClickstreamVisitorCookie cs"},
     {"Cookie: cs=" ID "0"},
     .record = HEAD VISITOR NEW_ID "\"}",
     .cookie = COOKIE(NEW_ID)},
    {{"ClickstreamVisitorCookie other"},
     {"Cookie: cs=" ID},
     .record = HEAD VISITOR NEW_ID "\"}",
     .cookie = "other=" NEW_ID "; Path=/; Max-Age=34128000; HttpOnly; SameSite=Lax"},
    {{"ClickstreamVisitorCookie cs max-age=1h domain=example.com"},
     {"Cookie: cs=" ID},
     .secure = 1,
     .record = HEAD VISITOR ID "\"}",
     .cookie = "cs=" ID "; Path=/; Max-Age=3600; Domain=example.com; HttpOnly; SameSite=Lax; Secure"},
    {{"ClickstreamVisitorCookie cs"},
     {"Cookie: cs=" ID},
     .event = "{\"visitor_id\":\"forged\",\"a\":1}",
     .record = HEAD VISITOR ID "\"}",
     .cookie = COOKIE(ID)},
    {.headers = {"Cookie: cs=" ID}, .record = HEAD "}"},
    {.event = "{\"a\":1,\"visitor_id\":\"the client's\"}",
     .record = "{\"a\":1,\"visitor_id\":\"the client's\",\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\"}"},
    /* time and id */
    {{"ClickstreamAdd none"}, .record = HEAD "}"},
    {{"ClickstreamAdd received_at"}, .record = HEAD ",\"received_at\":\"" NOW_TEXT "\"}"},
    {{"ClickstreamAdd event_id"}, .record = HEAD ",\"event_id\":\"018bcfe5-687b-7111-9111-111111111111\"}"},
    {{"ClickstreamAdd event_id received_at"},
     .event = "{\"event_id\":1,\"a\":1,\"received_at\":2}",
     .record = HEAD ",\"received_at\":\"" NOW_TEXT "\",\"event_id\":\"018bcfe5-687b-7111-9111-111111111111\"}"},
    {{"ClickstreamAdd received_at"},
     .event = "{\"a\":1,\"event_id\":\"x\"}",
     .record =
         "{\"a\":1,\"event_id\":\"x\",\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\",\"received_at\":\"" NOW_TEXT
         "\"}"},
    /* all of it, in its order */
    {{"ClickstreamAdd received_at", "ClickstreamAdd event_id", "ClickstreamVisitorCookie cs",
      "ClickstreamField country X-Country"},
     {"User-Agent: u", "X-Country: CH"},
     .record = HEAD ",\"user_agent\":\"u\",\"country\":\"CH\"" VISITOR NEW_ID "\",\"received_at\":\"" NOW_TEXT
                    "\",\"event_id\":\"018bcfe5-687b-7222-a222-222222222222\"}",
     .cookie = COOKIE(NEW_ID)},
};

#define COMMON "ClickstreamAuth none", "ClickstreamRequire a"

/* Collects one event, with the client and what every case has in common added to it. */
static void collect_one(cs_collect_t *collect, const char *const *directives, const char *const *headers, int secure,
                        const char *event)
{
    const char *all[DIRECTIVES + 3] = {COMMON}, *head[HEADERS + 2] = {CLIENT};
    cs_request_t request = request_of("POST", head, NULL);

    memcpy(all + 2, directives, DIRECTIVES * sizeof(*all));
    memcpy(head + 1, headers, HEADERS * sizeof(*head));
    request.secure = secure;
    ck_assert_int_eq(cs_collect_begin(collect, &request, test_location(all), pool), 1);
    request_body(collect, event);
}

START_TEST(adds)
{
    cs_collect_t collect;

    collect_one(&collect, cases[_i].directives, cases[_i].headers, cases[_i].secure,
                cases[_i].event ? cases[_i].event : MINIMAL);
    ck_assert_str_eq(request_text(collect.body), COLLECTED "}");
    ck_assert_pstr_eq(request_last(collect.records), cases[_i].record);
    ck_assert_pstr_eq(apr_table_get(collect.headers, "Set-Cookie"), cases[_i].cookie);
    ck_assert_int_eq(collect.opted_out, 0);
}
END_TEST

/* --- several events --- */

static const char *const several[] = {"ClickstreamAdd event_id received_at", "ClickstreamVisitorCookie cs", COMMON,
                                      NULL};

START_TEST(ids_of_a_request_ascend)
{
    static const char *const headers[] = {CLIENT, NULL};
    cs_collect_t collect;

    request_begin(&collect, "POST", headers, NULL, test_location(several), 1);
    request_body(&collect, "[" MINIMAL "," BAD "," MINIMAL "," MINIMAL "]");
    ck_assert_int_eq(collect.records->nelts, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(request_text(APR_ARRAY_IDX(collect.records, i, cs_span_t)),
                         apr_psprintf(pool,
                                      HEAD VISITOR NEW_ID "\",\"received_at\":\"" NOW_TEXT
                                                          "\",\"event_id\":\"018bcfe5-687b-7222-a222-22222222222%d\"}",
                                      2 + i));
}
END_TEST

/* Which of them all are refused does not matter: nobody is told who the visitor is. */
START_TEST(sets_no_cookie_with_a_refusal)
{
    static const char *const headers[] = {CLIENT, NULL};
    cs_collect_t collect;

    request_begin(&collect, "POST", headers, NULL, test_location(several), 1);
    request_body(&collect, "[" BAD "]");
    ck_assert_int_eq(collect.status, 400);
    ck_assert_ptr_null(apr_table_get(collect.headers, "Set-Cookie"));
    request_begin(&collect, "POST", headers, NULL, test_location(several), 1);
    cs_collect_too_large(&collect);
    ck_assert_ptr_null(apr_table_get(collect.headers, "Set-Cookie"));
    request_begin(&collect, "OPTIONS", headers, NULL, test_location(several), 0);
    ck_assert_ptr_null(apr_table_get(collect.headers, "Set-Cookie"));
    request_begin(&collect, "PUT", headers, NULL, test_location(several), 0);
    ck_assert_ptr_null(apr_table_get(collect.headers, "Set-Cookie"));
}
END_TEST

/* --- without randomness --- */

static int no_randomness(unsigned char *bytes, int count)
{
    (void)bytes;
    (void)count;
    return 0;
}

static const struct {
    const char *directive, *header;
    int goes; /* since none is needed */
} needs[] = {
    {"ClickstreamVisitorCookie cs", "Cookie: cs=x", 0},
    {"ClickstreamVisitorCookie cs", "Cookie: cs=" ID, 1},
    {"ClickstreamAdd event_id", "Cookie: cs=" ID, 0},
    {"ClickstreamAdd received_at", "Cookie: cs=" ID, 1},
};

START_TEST(fails_without_randomness)
{
    const char *lines[] = {COMMON, needs[_i].directive, NULL}, *headers[] = {CLIENT, needs[_i].header, NULL};
    cs_request_t request = request_of("POST", headers, NULL);
    cs_collect_t collect;

    request.random = no_randomness;
    ck_assert_int_eq(cs_collect_begin(&collect, &request, test_location(lines), pool), needs[_i].goes);
    if (needs[_i].goes)
        return;
    ck_assert_int_eq(collect.status, 500);
    ck_assert_str_eq(request_text(collect.body), FAILED);
    ck_assert_ptr_null(apr_table_get(collect.headers, "Set-Cookie"));
}
END_TEST

/* A front door that does not know whom it talks to. */
START_TEST(goes_without_an_address)
{
    static const char *const modes[] = {"forwarded", "remote", "anonymized", "off"};
    static const char *const headers[] = {CLIENT, NULL};

    for (int i = 0; i < ELEMENTS(modes); i++) {
        const char *lines[] = {COMMON, apr_pstrcat(pool, "ClickstreamClientIP ", modes[i], NULL), NULL};
        cs_request_t request = request_of("POST", headers, NULL);
        cs_collect_t collect;
        request.remote_address = NULL;
        ck_assert_int_eq(cs_collect_begin(&collect, &request, test_location(lines), pool), 1);
        request_body(&collect, MINIMAL);
        ck_assert_str_eq(request_last(collect.records), "{\"a\":1,\"client_id\":\"app\"}");
    }
}
END_TEST

/* --- those who do not want to be tracked --- */

enum { AS_USUAL, ANONYMIZED, DROPPED };

static const struct {
    const char *directive, *header;
    int becomes;
} wishes[] = {
    {"ClickstreamOptOut ignore", "Sec-GPC: 1", AS_USUAL},      {"ClickstreamOptOut ignore", "DNT: 1", AS_USUAL},
    {"ClickstreamUnknownTags accept", "Sec-GPC: 1", AS_USUAL}, /* ignore is the default */
    {"ClickstreamOptOut anonymize", "Sec-GPC: 1", ANONYMIZED}, {"ClickstreamOptOut anonymize", "DNT: 1", ANONYMIZED},
    {"ClickstreamOptOut anonymize", "sec-gpc: 1", ANONYMIZED}, {"ClickstreamOptOut anonymize", "Sec-GPC: 0", AS_USUAL},
    {"ClickstreamOptOut anonymize", "Sec-GPC: ", AS_USUAL},    {"ClickstreamOptOut anonymize", "Sec-GPC: 10", AS_USUAL},
    {"ClickstreamOptOut anonymize", "Sec-GPC: ?1", AS_USUAL},  {"ClickstreamOptOut anonymize", "DNT: 0", AS_USUAL},
    {"ClickstreamOptOut anonymize", "DNT: null", AS_USUAL},    {"ClickstreamOptOut anonymize", "Host: 1", AS_USUAL},
    {"ClickstreamOptOut drop", "Sec-GPC: 1", DROPPED},         {"ClickstreamOptOut drop", "DNT: 1", DROPPED},
    {"ClickstreamOptOut drop", "Sec-GPC: 0", AS_USUAL},        {"ClickstreamOptOut drop", "DNT: unspecified", AS_USUAL},
    {"ClickstreamOptOut drop", "Host: 1", AS_USUAL},
};

/* Two good events and a bad one, of somebody known. */
static void collect_of(cs_collect_t *collect, const char *wish, const char *said)
{
    const char *lines[] = {COMMON, wish, "ClickstreamVisitorCookie cs", "ClickstreamRejectTo refused", NULL};
    const char *headers[] = {CLIENT, PROXIES, "Cookie: cs=" ID, said, NULL};

    request_begin(collect, "POST", headers, NULL, test_location(lines), 1);
    request_body(collect, "[" MINIMAL ",1,{\"visitor_id\":\"forged\",\"a\":1}]");
    if (collect->records->nelts)
        cs_collect_end(collect, APR_SUCCESS);
}

static const char *const opted_records[] = {
    [AS_USUAL] = "{\"a\":1,\"client_id\":\"app\",\"client_ip\":\"198.51.100.7:80, 2001:db8:1:2::6\"" VISITOR ID "\"}",
    [ANONYMIZED] = "{\"a\":1,\"client_id\":\"app\",\"client_ip\":\"198.51.100.0, 2001:db8:1::\"}",
    [DROPPED] = NULL,
};

START_TEST(heeds_the_wish)
{
    int becomes = wishes[_i].becomes;
    cs_collect_t collect;

    collect_of(&collect, wishes[_i].directive, wishes[_i].header);
    ck_assert_int_eq(collect.status, 200);
    ck_assert_str_eq(request_text(collect.body),
                     COLLECTED ",\"accepted\":2,\"rejected\":[{\"index\":1,\"reason\":\"not_an_object\"}]}");
    ck_assert_pstr_eq(request_last(collect.records), opted_records[becomes]);
    ck_assert_int_eq(collect.records->nelts, becomes == DROPPED ? 0 : 2);
    ck_assert_int_eq(collect.rejects->nelts, becomes == DROPPED ? 0 : 1);
    ck_assert_int_eq(collect.opted_out, becomes == DROPPED ? 2 : 0);
    ck_assert_int_eq(collect.refused[CS_REASON_NOT_AN_OBJECT], 1);
    ck_assert_pstr_eq(apr_table_get(collect.headers, "Set-Cookie"), becomes == AS_USUAL ? COOKIE(ID) : NULL);
}
END_TEST

/* What was refused is somebody's as well. */
START_TEST(anonymizes_what_is_refused)
{
    cs_collect_t collect;

    collect_of(&collect, "ClickstreamOptOut anonymize", "DNT: 1");
    ck_assert_str_eq(request_last(collect.rejects),
                     "{\"reason\":\"not_an_object\",\"received_at\":\"" NOW_TEXT
                     "\",\"client_id\":\"app\",\"client_ip\":\"198.51.100.0, 2001:db8:1::\",\"event\":\"1\"}");
}
END_TEST

static const struct {
    const char *client_ip, *left;
} modes[] = {
    {"forwarded", ",\"client_ip\":\"198.51.100.0, 2001:db8:1::\"}"},
    {"remote", ",\"client_ip\":\"192.0.2.0\"}"},
    {"anonymized", ",\"client_ip\":\"198.51.100.0, 2001:db8:1::\"}"},
    {"off", "}"},
};

START_TEST(anonymizes_each_kind_of_address)
{
    const char *lines[] = {COMMON, "ClickstreamOptOut anonymize",
                           apr_pstrcat(pool, "ClickstreamClientIP ", modes[_i].client_ip, NULL), NULL};
    static const char *const headers[] = {CLIENT, PROXIES, "Sec-GPC: 1", NULL};
    cs_collect_t collect;

    request_begin(&collect, "POST", headers, NULL, test_location(lines), 1);
    request_body(&collect, MINIMAL);
    ck_assert_str_eq(request_last(collect.records),
                     apr_pstrcat(pool, "{\"a\":1,\"client_id\":\"app\"", modes[_i].left, NULL));
}
END_TEST

/* What was wrong is said as usual, and it needs no randomness to drop something. */
START_TEST(drops_and_refuses)
{
    static const char *const lines[] = {COMMON, "ClickstreamOptOut drop", "ClickstreamVisitorCookie cs",
                                        "ClickstreamRejectTo refused", NULL};
    static const char *const headers[] = {CLIENT, "Sec-GPC: 1", NULL};
    cs_request_t request = request_of("POST", headers, NULL);
    cs_collect_t collect;

    request.random = no_randomness;
    ck_assert_int_eq(cs_collect_begin(&collect, &request, test_location(lines), pool), 1);
    request_body(&collect, "{}");
    ck_assert_int_eq(collect.status, 400);
    ck_assert_int_eq(collect.rejects->nelts, 0);
    ck_assert_int_eq(collect.opted_out, 0);
    ck_assert_int_eq(collect.refused[CS_REASON_MISSING_FIELD], 1);
}
END_TEST

Suite *collect_added_suite(void)
{
    Suite *suite = suite_create("collect_added");
    TCase *tests = test_case("collect_added");

    tcase_add_loop_test(tests, adds, 0, ELEMENTS(cases));
    tcase_add_test(tests, ids_of_a_request_ascend);
    tcase_add_test(tests, sets_no_cookie_with_a_refusal);
    tcase_add_loop_test(tests, fails_without_randomness, 0, ELEMENTS(needs));
    tcase_add_test(tests, goes_without_an_address);
    tcase_add_loop_test(tests, heeds_the_wish, 0, ELEMENTS(wishes));
    tcase_add_test(tests, anonymizes_what_is_refused);
    tcase_add_loop_test(tests, anonymizes_each_kind_of_address, 0, ELEMENTS(modes));
    tcase_add_test(tests, drops_and_refuses);
    suite_add_tcase(suite, tests);
    return suite;
}
