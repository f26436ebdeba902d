/* The contract: for each request its response and its records.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "requests.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define HEADERS 8
#define DIRECTIVES 4

#define GOOD TOKEN, CLIENT
#define NO_HEADERS "Host: www.example.com"
#define NO_CLIENT "{\"response_code\":\"403\",\"message\":\"Unknown client\"}"
#define NO_METHOD "{\"response_code\":\"405\",\"message\":\"Method not allowed\"}"
#define NO_TYPE "{\"response_code\":\"415\",\"message\":\"Unsupported media type\"}"
#define NO_TAG(index) "{\"index\":" #index ",\"reason\":\"missing_field\",\"field\":\"tag\"}"

static const struct {
    const char *directives[DIRECTIVES];
    const char *method;           /* NULL: POST */
    const char *headers[HEADERS]; /* none: what is needed */
    const char *query;
    const char *body; /* NULL: it must not be asked for */
    int status;
    const char *answer;
    int records;
    const char *record; /* the last one; NULL: there is none */
} cases[] = {
    /* one event */
    {.body = EVENT, .status = 200, .answer = COLLECTED "}", .records = 1, .record = RECORD},
    {.headers = {TOKEN, CLIENT, "User-Agent: curl/8 \"x\""},
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = "{" MEMBERS ",\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\",\"user_agent\":\"curl/8 \\\"x\\\"\"}"},
    {.headers = {TOKEN, CLIENT, "X-Forwarded-For: 90.200.187.19, 165.225.197.24"},
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = "{" MEMBERS ",\"client_id\":\"app\",\"client_ip\":\"90.200.187.19, 165.225.197.24\"}"},
    {.body = "{\n \"client_id\": \"forged\", " MEMBERS ", \"value\": 12345678901234567890.10 }\n",
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = "{" MEMBERS ",\"value\":12345678901234567890.10" ADDED},
    {.body = BAD, .status = 400, .answer = INVALID NO_TAG(0) "]}"},
    {.body = "{\"token\":1,\"timestamp\":\"x\",\"tag\":\"x\"}",
     .status = 400,
     .answer = INVALID "{\"index\":0,\"reason\":\"wrong_type\",\"field\":\"token\"}]}"},
    {.body = "{\"token\":\"t\",\"timestamp\":\"x\",\"tag\":\"x\"}",
     .status = 400,
     .answer = INVALID "{\"index\":0,\"reason\":\"bad_timestamp\",\"field\":\"timestamp\"}]}"},
    {.body = "null", .status = 400, .answer = INVALID "{\"index\":0,\"reason\":\"not_an_object\"}]}"},
    {.body = "{\"a\":}",
     .status = 400,
     .answer = INVALID "{\"index\":0,\"reason\":\"malformed_json\",\"position\":5}]}"},
    {.body = "", .status = 400, .answer = INVALID "{\"index\":0,\"reason\":\"malformed_json\",\"position\":0}]}"},
    {.directives = {"ClickstreamRequire 'a\"b'"},
     .body = EVENT,
     .status = 400,
     .answer = INVALID "{\"index\":0,\"reason\":\"missing_field\",\"field\":\"a\\\"b\"}]}"},
    {.directives = {"ClickstreamRequire user"},
     .body = "{\"user\":7}",
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = "{\"user\":7" ADDED},
    /* tags */
    {.directives = {"ClickstreamTag LIKE_WOOD integer 0..1000"},
     .body = "{" MEMBERS ",\"value\":1000}",
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = "{" MEMBERS ",\"value\":1000" ADDED},
    {.directives = {"ClickstreamTag LIKE_WOOD integer 0..1000"},
     .body = "[{" MEMBERS ",\"value\":1001}," EVENT "]",
     .status = 400,
     .answer = INVALID "{\"index\":0,\"reason\":\"out_of_range\",\"field\":\"value\"},"
                       "{\"index\":1,\"reason\":\"missing_field\",\"field\":\"value\"}]}"},
    {.directives = {"ClickstreamTag GEO_LOC geo", "ClickstreamUnknownTags reject"},
     .body = EVENT,
     .status = 400,
     .answer = INVALID "{\"index\":0,\"reason\":\"unknown_tag\",\"field\":\"tag\"}]}"},
    /* several */
    {.body = "[" EVENT "]", .status = 200, .answer = COLLECTED ",\"accepted\":1}", .records = 1, .record = RECORD},
    {.body = "[" EVENT ", " EVENT "]",
     .status = 200,
     .answer = COLLECTED ",\"accepted\":2}",
     .records = 2,
     .record = RECORD},
    {.body = EVENT "\n" EVENT "\n",
     .status = 200,
     .answer = COLLECTED ",\"accepted\":2}",
     .records = 2,
     .record = RECORD},
    {.headers = {TOKEN, CLIENT, "Content-Type: application/x-ndjson"},
     .body = EVENT "\n",
     .status = 200,
     .answer = COLLECTED ",\"accepted\":1}",
     .records = 1,
     .record = RECORD},
    {.headers = {TOKEN, CLIENT, "Content-Type: APPLICATION/X-NDJSON; charset=utf-8"},
     .body = "{\n" MEMBERS "}",
     .status = 400,
     .answer = INVALID "{\"index\":0,\"reason\":\"malformed_json\",\"position\":1},"
                       "{\"index\":1,\"reason\":\"malformed_json\",\"position\":9}]}"},
    {.body = "[" BAD "," EVENT "," BAD "]",
     .status = 200,
     .answer = COLLECTED ",\"accepted\":1,\"rejected\":[" NO_TAG(0) "," NO_TAG(2) "]}",
     .records = 1,
     .record = RECORD},
    {.body = EVENT "\n{\n" EVENT,
     .status = 200,
     .answer = COLLECTED ",\"accepted\":2,\"rejected\":[{\"index\":1,\"reason\":\"malformed_json\",\"position\":72}]}",
     .records = 2,
     .record = RECORD},
    {.body = "[" BAD "]", .status = 400, .answer = INVALID NO_TAG(0) "]}"},
    {.body = "[]", .status = 400, .answer = INVALID "]}"},
    /* limits */
    {.directives = {"ClickstreamMaxEvents 1"},
     .body = "[" EVENT "]",
     .status = 200,
     .answer = COLLECTED ",\"accepted\":1}",
     .records = 1,
     .record = RECORD},
    {.directives = {"ClickstreamMaxEvents 1"},
     .body = "[" EVENT "," EVENT "]",
     .status = 413,
     .answer = "{\"response_code\":\"413\",\"message\":\"Too many events: at most 1 in a request\"}"},
    {.directives = {"ClickstreamMaxEvents 1"},
     .body = EVENT "\n" EVENT,
     .status = 413,
     .answer = "{\"response_code\":\"413\",\"message\":\"Too many events: at most 1 in a request\"}"},
    {.directives = {"ClickstreamMaxEvent 20"},
     .body = EVENT,
     .status = 400,
     .answer = INVALID "{\"index\":0,\"reason\":\"too_large\"}]}"},
    {.directives = {"ClickstreamMaxDepth 1"},
     .body = "[{" MEMBERS ",\"x\":[]}," EVENT "]",
     .status = 200,
     .answer = COLLECTED ",\"accepted\":1,\"rejected\":[{\"index\":0,\"reason\":\"too_deep\"}]}",
     .records = 1,
     .record = RECORD},
    /* media types */
    {.headers = {TOKEN, CLIENT, "Content-Type: application/json"},
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    {.headers = {TOKEN, CLIENT, "Content-Type:   Application/JSON ; charset=utf-8"},
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    {.headers = {TOKEN, CLIENT, "Content-Type: text/plain;charset=UTF-8"},
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    {.headers = {TOKEN, CLIENT, "Content-Type: "},
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    {.headers = {TOKEN, CLIENT, "Content-Type: application/x-www-form-urlencoded"}, .status = 415, .answer = NO_TYPE},
    {.headers = {TOKEN, CLIENT, "Content-Type: application/jsonp"}, .status = 415, .answer = NO_TYPE},
    /* authorization */
    {.headers = {CLIENT}, .status = 401, .answer = NO_TOKEN},
    {.headers = {CLIENT, "Authorization: Basic dTpw"}, .status = 401, .answer = NO_TOKEN},
    {.headers = {NO_HEADERS}, .status = 401, .answer = NO_TOKEN},
    {.directives = {"ClickstreamAuth none"},
     .headers = {CLIENT},
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    /* clients */
    {.headers = {TOKEN}, .status = 403, .answer = NO_CLIENT},
    {.headers = {TOKEN, "client_id: "}, .status = 403, .answer = NO_CLIENT},
    {.headers = {TOKEN, "client-id: app"},
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    {.headers = {TOKEN, "client-id: other", CLIENT},
     .query = "client_id=third",
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    {.headers = {TOKEN},
     .query = "client_id=app",
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    {.headers = {TOKEN},
     .query = "a=b&client_id=a%70p&c",
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    {.headers = {TOKEN},
     .query = "client_id=two+words",
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = "{" MEMBERS ",\"client_id\":\"two words\",\"client_ip\":\"192.0.2.1\"}"},
    {.headers = {TOKEN}, .query = "client_id=", .status = 403, .answer = NO_CLIENT},
    {.headers = {TOKEN}, .query = "client_id=%zz", .status = 403, .answer = NO_CLIENT},
    {.headers = {TOKEN}, .query = "client_id=a%00b", .status = 403, .answer = NO_CLIENT},
    {.headers = {TOKEN}, .query = "xclient_id=app", .status = 403, .answer = NO_CLIENT},
    {.directives = {"ClickstreamClient web", "ClickstreamClient app"},
     .body = EVENT,
     .status = 200,
     .answer = COLLECTED "}",
     .records = 1,
     .record = RECORD},
    {.directives = {"ClickstreamClient web"}, .status = 403, .answer = NO_CLIENT},
    /* methods: before anything else */
    {.method = "GET", .status = 405, .answer = NO_METHOD},
    {.method = "HEAD", .status = 405, .answer = NO_METHOD},
    {.method = "PUT", .headers = {NO_HEADERS}, .status = 405, .answer = NO_METHOD},
    {.method = "post", .status = 405, .answer = NO_METHOD},
    {.method = "OPTIONS", .headers = {NO_HEADERS}, .status = 204},
};

START_TEST(answers)
{
    cs_collect_t collect;

    request_begin(&collect, cases[_i].method ? cases[_i].method : "POST",
                  cases[_i].headers[0] ? cases[_i].headers : request_good, cases[_i].query,
                  test_location(cases[_i].directives), cases[_i].body != NULL);
    if (cases[_i].body)
        request_body(&collect, cases[_i].body);
    if (collect.records->nelts)
        cs_collect_end(&collect, APR_SUCCESS);
    ck_assert_pstr_eq(request_text(collect.body), cases[_i].answer);
    ck_assert_int_eq(collect.status, cases[_i].status);
    ck_assert_int_eq(collect.records->nelts, cases[_i].records);
    ck_assert_pstr_eq(request_last(collect.records), cases[_i].record);
    ck_assert_pstr_eq(apr_table_get(collect.headers, "Content-Type"), cases[_i].answer ? "application/json" : NULL);
    ck_assert_pstr_eq(apr_table_get(collect.headers, "Cache-Control"), "no-store");
    ck_assert_pstr_eq(apr_table_get(collect.headers, "WWW-Authenticate"), cases[_i].status == 401 ? "Bearer" : NULL);
    ck_assert_pstr_eq(apr_table_get(collect.headers, "Allow"),
                      cases[_i].status == 405 || cases[_i].status == 204 ? "POST, OPTIONS" : NULL);
    ck_assert_ptr_null(apr_table_get(collect.headers, "Retry-After"));
    ck_assert_ptr_null(apr_table_get(collect.headers, "Vary"));
}
END_TEST

/* --- what is counted as refused --- */

static const struct {
    const char *headers[3], *body;
    cs_reason_t reason; /* CS_REASON_COUNT: none */
    int count;
} refusals[] = {
    {{GOOD}, EVENT, CS_REASON_COUNT, 0},
    {{GOOD}, "[" BAD "," BAD "]", CS_REASON_MISSING_FIELD, 2},
    {{GOOD}, "nonsense", CS_REASON_MALFORMED_JSON, 1},
    {{GOOD}, "[1,2,3]", CS_REASON_TOO_MANY_EVENTS, 1},
    {{GOOD}, "[1,NaN]", CS_REASON_MALFORMED_JSON, 1},
    {{GOOD}, "[1,2]", CS_REASON_NOT_AN_OBJECT, 2},
    {{CLIENT}, NULL, CS_REASON_UNAUTHORIZED, 1},
    {{TOKEN}, NULL, CS_REASON_UNKNOWN_CLIENT, 1},
};

/* That of `reason` is `count`, and all others are 0. */
static void check_refused(const cs_collect_t *collect, cs_reason_t reason, int count)
{
    for (cs_reason_t one = 0; one < CS_REASON_COUNT; one++)
        ck_assert_msg(collect->refused[one] == (one == reason ? count : 0), "%s: %d", cs_reason_name(one),
                      collect->refused[one]);
}

START_TEST(counts_refusals)
{
    static const char *const directives[] = {"ClickstreamMaxEvents 2", NULL};
    cs_collect_t collect;

    request_begin(&collect, "POST", refusals[_i].headers, NULL, test_location(directives), refusals[_i].body != NULL);
    if (refusals[_i].body)
        request_body(&collect, refusals[_i].body);
    check_refused(&collect, refusals[_i].reason, refusals[_i].count);
}
END_TEST

static const char *const no_directives[] = {NULL};

START_TEST(answers_too_large)
{
    static const char *const directives[] = {"ClickstreamMaxBody 2K", NULL};
    cs_collect_t collect;

    request_begin(&collect, "POST", request_good, NULL, test_location(directives), 1);
    cs_collect_too_large(&collect);
    ck_assert_int_eq(collect.status, 413);
    ck_assert_str_eq(request_text(collect.body),
                     "{\"response_code\":\"413\",\"message\":\"Body too large: at most 2048 bytes\"}");
    ck_assert_int_eq(collect.records->nelts, 0);
    check_refused(&collect, CS_REASON_TOO_LARGE, 1);
}
END_TEST

/* --- what became of the records --- */

static const struct {
    apr_status_t appended;
    int status;
    const char *answer, *retry_after;
    int records;
    cs_reason_t reason;
} ends[] = {
    {APR_SUCCESS, 200, COLLECTED ",\"accepted\":2}", NULL, 2, CS_REASON_COUNT},
    {APR_ENOSPC, 503, "{\"response_code\":\"503\",\"message\":\"Queue full, try again later.\"}", "5", 0,
     CS_REASON_QUEUE_FULL},
    {APR_EINVAL, 413,
     "{\"response_code\":\"413\",\"message\":\"More events than the queue can hold: send fewer at once\"}", NULL, 0,
     CS_REASON_TOO_LARGE},
    {APR_EGENERAL, 500, FAILED, NULL, 0, CS_REASON_COUNT},
    {APR_EACCES, 500, FAILED, NULL, 0, CS_REASON_COUNT},
};

START_TEST(ends_with)
{
    cs_collect_t collect;

    request_begin(&collect, "POST", request_good, NULL, test_location(no_directives), 1);
    request_body(&collect, "[" EVENT "," EVENT "]");
    cs_collect_end(&collect, ends[_i].appended);
    ck_assert_int_eq(collect.status, ends[_i].status);
    ck_assert_str_eq(request_text(collect.body), ends[_i].answer);
    ck_assert_pstr_eq(apr_table_get(collect.headers, "Retry-After"), ends[_i].retry_after);
    ck_assert_int_eq(collect.records->nelts, ends[_i].records);
    check_refused(&collect, ends[_i].reason, 2);
}
END_TEST

/* --- a record has to fit into one of Firehose's, with its newline --- */

/* An event that, with what the server adds, has `length` bytes. */
static const char *event_for(size_t length)
{
    static const char head[] = "{" MEMBERS ",\"x\":\"", tail[] = "\"}";
    size_t fill = length - (sizeof(head) - 1) - (sizeof("\"" ADDED) - 1);
    char *event = apr_palloc(pool, sizeof(head) + fill + sizeof(tail));

    memcpy(event, head, sizeof(head) - 1);
    memset(event + sizeof(head) - 1, 'x', fill);
    memcpy(event + sizeof(head) - 1 + fill, tail, sizeof(tail));
    return event;
}

START_TEST(keeps_to_the_largest_record)
{
    static const char *const directives[] = {"ClickstreamMaxEvent 1000K", NULL};
    cs_collect_t collect;

    request_begin(&collect, "POST", request_good, NULL, test_location(directives), 1);
    request_body(&collect, event_for(CS_RECORD_MAX - 1));
    ck_assert_int_eq(collect.status, 200);
    ck_assert_uint_eq(strlen(request_last(collect.records)), CS_RECORD_MAX - 1);

    request_begin(&collect, "POST", request_good, NULL, test_location(directives), 1);
    request_body(&collect, event_for(CS_RECORD_MAX));
    ck_assert_int_eq(collect.status, 400);
    ck_assert_str_eq(request_text(collect.body), INVALID "{\"index\":0,\"reason\":\"too_large\"}]}");
    check_refused(&collect, CS_REASON_TOO_LARGE, 1);
}
END_TEST

/* --- bodies that nobody can read --- */

static const struct {
    const char *body;
    size_t length;
    int status;
} packed[] = {
    {"\x1f\x8b\x08\0\0\0\0\0", 8, 415},
    {"\x1f\x8b", 2, 415},
    {"\x1f", 1, 400},
    {"\x8b\x1f", 2, 400},
    {"\x78\x9c", 2, 400}, /* zlib's has no such mark */
};

START_TEST(says_that_a_body_is_packed)
{
    cs_collect_t collect;
    int is_gzip = packed[_i].status == 415;

    request_begin(&collect, "POST", request_good, NULL, test_location(no_directives), 1);
    request_bytes(&collect, packed[_i].body, packed[_i].length);
    ck_assert_int_eq(collect.status, packed[_i].status);
    if (is_gzip)
        ck_assert_str_eq(request_text(collect.body),
                         "{\"response_code\":\"415\",\"message\":\"Unsupported content encoding\"}");
    check_refused(&collect, is_gzip ? CS_REASON_COUNT : CS_REASON_MALFORMED_JSON, !is_gzip);
}
END_TEST

static const int unreadable[] = {400, 408, 413, 500};

START_TEST(answers_unreadable)
{
    static const char *const directives[] = {"ClickstreamVisitorCookie cs", NULL};
    int status = unreadable[_i];
    cs_collect_t collect;

    request_begin(&collect, "POST", request_good, NULL, test_location(directives), 1);
    cs_collect_unreadable(&collect, status);
    ck_assert_int_eq(collect.status, status);
    ck_assert_str_eq(request_text(collect.body),
                     apr_psprintf(pool, "{\"response_code\":\"%d\",\"message\":\"The body cannot be read\"}", status));
    ck_assert_str_eq(apr_table_get(collect.headers, "Content-Type"), "application/json");
    ck_assert_ptr_null(apr_table_get(collect.headers, "Set-Cookie"));
    ck_assert_int_eq(collect.records->nelts, 0);
    check_refused(&collect, CS_REASON_COUNT, 0);
}
END_TEST

/* --- signed tokens --- */

/* Who signs what, with which key, and who is said to send. */
static const struct {
    const char *issuer, *secret, *client;
    int status; /* 0: it may */
    cs_reason_t reason;
} signatures[] = {
    {"app", "secret of app", "client_id: app", 0, CS_REASON_COUNT},
    {"web", "secret of web", "client_id: web", 0, CS_REASON_COUNT},
    {"app", "secret of web", "client_id: app", 401, CS_REASON_UNAUTHORIZED},
    {"web", "secret of web", "client_id: app", 401, CS_REASON_UNAUTHORIZED},
    {"app", "secret of app", "client_id: web", 401, CS_REASON_UNAUTHORIZED},
    {"app", "secret of app", "client_id: other", 403, CS_REASON_UNKNOWN_CLIENT},
    {"app", "secret of app", "client_id: ", 403, CS_REASON_UNKNOWN_CLIENT},
    {NULL, NULL, "client_id: app", 401, CS_REASON_UNAUTHORIZED},     /* signed by nobody */
    {NULL, NULL, "client_id: other", 403, CS_REASON_UNKNOWN_CLIENT}, /* likewise */
};

START_TEST(lets_in_who_signed)
{
    const char *directives[] = {
        "ClickstreamAuth jwt", apr_pstrcat(pool, "ClickstreamClient app secret=", test_file("secret of app\n"), NULL),
        apr_pstrcat(pool, "ClickstreamClient web secret=", test_file("secret of web\n"), NULL), NULL};
    const char *token = signatures[_i].issuer ? test_token(signatures[_i].issuer, signatures[_i].secret) : "t";
    const char *headers[] = {apr_pstrcat(pool, "Authorization: Bearer ", token, NULL), signatures[_i].client, NULL};
    int status = signatures[_i].status;
    cs_collect_t collect;

    request_begin(&collect, "POST", headers, NULL, test_location(directives), !status);
    check_refused(&collect, signatures[_i].reason, 1);
    ck_assert_int_eq(collect.status, status);
    ck_assert_pstr_eq(apr_table_get(collect.headers, "WWW-Authenticate"), status == 401 ? "Bearer" : NULL);
    if (status == 401)
        ck_assert_str_eq(request_text(collect.body), NO_TOKEN);
}
END_TEST

/* --- what was refused, as records --- */

#define REFUSED(reason, field, event)                                                                                  \
    "{\"reason\":\"" reason "\"," field "\"received_at\":\"" NOW_TEXT                                                  \
    "\",\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\",\"event\":\"" event "\"}"

static const struct {
    const char *body;
    const char *rejects[4];
} refused_events[] = {
    {EVENT, {NULL}},
    {"[]", {NULL}},
    {"{\"tag\": 1}", {REFUSED("missing_field", "\"field\":\"token\",", "{\\\"tag\\\": 1}")}},
    {"[" EVENT ", 7 ,null,\"\xE2\x82\xAC\"]",
     {REFUSED("not_an_object", "", "7"), REFUSED("not_an_object", "", "null"),
      REFUSED("not_an_object", "", "\\\"\xE2\x82\xAC\\\"")}},
    {"nonsense", {REFUSED("malformed_json", "", "nonsense")}},
    {"", {REFUSED("malformed_json", "", "")}},
    {"[" EVENT ",\xFF\n]",
     {REFUSED("malformed_json", "",
              "[{\\\"token\\\":\\\"t\\\",\\\"timestamp\\\":\\\"2022-02-22T18:37:28.205Z\\\","
              "\\\"tag\\\":\\\"LIKE_WOOD\\\"},\xEF\xBF\xBD\\u000a]")}},
    {EVENT "\n {\"a\":\n" EVENT "\n[1]",
     {REFUSED("malformed_json", "", " {\\\"a\\\":"), REFUSED("not_an_object", "", "[1]")}},
    {"[1,2,3,4,5]", {NULL}}, /* a whole request that is refused leaves none */
};

START_TEST(keeps_what_is_refused)
{
    static const char *const directives[] = {"ClickstreamRejectTo refused", "ClickstreamMaxEvents 4", NULL};
    cs_collect_t collect;
    int count = 0;

    request_begin(&collect, "POST", request_good, NULL, test_location(directives), 1);
    request_body(&collect, refused_events[_i].body);
    for (; refused_events[_i].rejects[count]; count++) {
        ck_assert_int_lt(count, collect.rejects->nelts);
        ck_assert_str_eq(request_text(APR_ARRAY_IDX(collect.rejects, count, cs_span_t)),
                         refused_events[_i].rejects[count]);
    }
    ck_assert_int_eq(collect.rejects->nelts, count);
}
END_TEST

START_TEST(keeps_nothing_refused_unless_it_is_told_to)
{
    cs_collect_t collect;

    request_begin(&collect, "POST", request_good, NULL, test_location(no_directives), 1);
    request_body(&collect, "[1,2]");
    ck_assert_int_eq(collect.rejects->nelts, 0);
    check_refused(&collect, CS_REASON_NOT_AN_OBJECT, 2);
}
END_TEST

/* 8 KiB end within the last character that is here. */
START_TEST(cuts_what_is_refused)
{
    static const char *const directives[] = {"ClickstreamRejectTo refused", "ClickstreamMaxEvent 9000", NULL};
    static const char reject[] = REFUSED("missing_field", "\"field\":\"token\",", "{\\\"a\\\":\\\"");
    char *xs = apr_pcalloc(pool, CS_REFUSED_MOST);
    cs_collect_t collect;

    memset(xs, 'x', CS_REFUSED_MOST - strlen("{'a':'") - 2);
    request_begin(&collect, "POST", request_good, NULL, test_location(directives), 1);
    request_body(&collect, apr_pstrcat(pool, "{\"a\":\"", xs, "\xE2\x82\xAC\"}", NULL));
    ck_assert_int_eq(collect.rejects->nelts, 1);
    ck_assert_str_eq(request_last(collect.rejects),
                     apr_pstrcat(pool, apr_pstrmemdup(pool, reject, sizeof(reject) - 3), xs, "\"}", NULL));
}
END_TEST

/* Whoever is told to come again, or that nothing was kept, brings it all again. */
START_TEST(a_request_without_a_promise_leaves_nothing)
{
    static const char *const directives[] = {"ClickstreamRejectTo refused", "ClickstreamVisitorCookie cs", NULL};
    static const apr_status_t failures[] = {APR_ENOSPC, APR_EINVAL, APR_EGENERAL};
    cs_collect_t collect;

    for (int i = 0; i < ELEMENTS(failures); i++) {
        request_begin(&collect, "POST", request_good, NULL, test_location(directives), 1);
        request_body(&collect, "[" EVENT ",1]");
        ck_assert_int_eq(collect.rejects->nelts, 1);
        ck_assert_ptr_nonnull(apr_table_get(collect.headers, "Set-Cookie"));
        cs_collect_end(&collect, failures[i]);
        ck_assert_int_eq(collect.rejects->nelts, 0);
        ck_assert_int_eq(collect.records->nelts, 0);
        ck_assert_ptr_null(apr_table_get(collect.headers, "Set-Cookie"));
    }
}
END_TEST

/* --- browsers --- */

static const struct {
    const char *method, *headers[4];
    int status;
} visits[] = {
    {"OPTIONS", {"Origin: https://app.example.com"}, 204},           {"POST", {"Origin: https://app.example.com"}, 401},
    {"POST", {"Origin: https://app.example.com", TOKEN}, 403},       {"GET", {"Origin: https://app.example.com"}, 405},
    {"POST", {"Origin: https://app.example.com", TOKEN, CLIENT}, 0},
};

/* Also of a refusal a page must be able to read why. */
START_TEST(lets_pages_read_the_answer)
{
    static const char *const directives[] = {"ClickstreamAllowOrigin https://app.example.com", NULL};
    int preflight = visits[_i].status == 204;
    cs_collect_t collect;

    request_begin(&collect, visits[_i].method, visits[_i].headers, NULL, test_location(directives), !visits[_i].status);
    ck_assert_int_eq(collect.status, visits[_i].status);
    ck_assert_str_eq(apr_table_get(collect.headers, "Vary"), "Origin");
    ck_assert_str_eq(apr_table_get(collect.headers, "Access-Control-Allow-Origin"), "https://app.example.com");
    ck_assert_pstr_eq(apr_table_get(collect.headers, "Access-Control-Allow-Methods"),
                      preflight ? "POST, OPTIONS" : NULL);
}
END_TEST

Suite *collect_suite(void)
{
    Suite *suite = suite_create("collect");
    TCase *tests = test_case("collect");

    tcase_add_loop_test(tests, answers, 0, ELEMENTS(cases));
    tcase_add_loop_test(tests, counts_refusals, 0, ELEMENTS(refusals));
    tcase_add_test(tests, answers_too_large);
    tcase_add_loop_test(tests, ends_with, 0, ELEMENTS(ends));
    tcase_add_test(tests, keeps_to_the_largest_record);
    tcase_add_loop_test(tests, says_that_a_body_is_packed, 0, ELEMENTS(packed));
    tcase_add_loop_test(tests, answers_unreadable, 0, ELEMENTS(unreadable));
    tcase_add_loop_test(tests, lets_in_who_signed, 0, ELEMENTS(signatures));
    tcase_add_loop_test(tests, keeps_what_is_refused, 0, ELEMENTS(refused_events));
    tcase_add_test(tests, keeps_nothing_refused_unless_it_is_told_to);
    tcase_add_test(tests, cuts_what_is_refused);
    tcase_add_test(tests, a_request_without_a_promise_leaves_nothing);
    tcase_add_loop_test(tests, lets_pages_read_the_answer, 0, ELEMENTS(visits));
    suite_add_tcase(suite, tests);
    return suite;
}
