/* HTTP one at a time, against a server of a few lines; and where secrets may be sent.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_network_io.h>
#include <apr_strings.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deliver/http.h"
#include "deliver/process.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const cs_halt_t no_halt;
static cs_http_t *http;
static const char *const no_headers[] = {NULL};

static void begin(void)
{
    ck_assert_int_eq(cs_http_startup(), APR_SUCCESS);
    ck_assert_int_eq(cs_http_create(&http, pool), APR_SUCCESS);
}

static apr_status_t stop_server(void *process)
{
    kill(*(pid_t *)process, SIGKILL);
    waitpid(*(pid_t *)process, NULL, 0);
    return APR_SUCCESS;
}

/* A whole request, whose body libcurl may send by itself. */
static apr_size_t receive(char *asked, apr_size_t most, apr_socket_t *connection)
{
    static const char name[] = "Content-Length: ";
    const char *end = NULL, *given;
    apr_size_t length = 0, body = 0;

    do {
        apr_size_t more = most - 1 - length;
        if (apr_socket_recv(connection, asked + length, &more) != APR_SUCCESS)
            break;
        length += more;
        asked[length] = '\0';
        if ((end = strstr(asked, "\r\n\r\n")) && (given = strstr(asked, name)))
            body = (apr_size_t)strtoul(given + strlen(name), NULL, 10);
    } while (!end || length < (apr_size_t)(end + 4 - asked) + body);
    return length;
}

/* Answers one connection after the other with these texts, the last one for ever; "" is no answer at all, and an empty
 * line is followed by what it was asked. Returns its URL. */
static const char *serve(const char *const *texts)
{
    apr_socket_t *listening, *connection;
    apr_sockaddr_t *address;
    pid_t *process = apr_palloc(pool, sizeof(*process));

    ck_assert_int_eq(apr_sockaddr_info_get(&address, "127.0.0.1", APR_INET, 0, 0, pool), APR_SUCCESS);
    ck_assert_int_eq(apr_socket_create(&listening, APR_INET, SOCK_STREAM, APR_PROTO_TCP, pool), APR_SUCCESS);
    ck_assert_int_eq(apr_socket_bind(listening, address), APR_SUCCESS);
    ck_assert_int_eq(apr_socket_listen(listening, 5), APR_SUCCESS);
    ck_assert_int_eq(apr_socket_addr_get(&address, APR_LOCAL, listening), APR_SUCCESS);
    if ((*process = fork()) == 0) {
        alarm(30);
        while (apr_socket_accept(&connection, listening, pool) == APR_SUCCESS) {
            char asked[2048];
            apr_size_t length = receive(asked, sizeof(asked), connection);
            if (**texts) {
                apr_size_t more = strlen(*texts);
                apr_socket_send(connection, *texts, &more);
                apr_socket_send(connection, asked, &length);
                apr_socket_close(connection);
            }
            if (texts[1])
                texts++;
        }
        _exit(0);
    }
    apr_pool_cleanup_register(pool, process, stop_server, apr_pool_cleanup_null);
    apr_socket_close(listening);
    return apr_psprintf(pool, "http://127.0.0.1:%d/there", address->port);
}

#define GOOD "HTTP/1.1 200 OK\r\nConnection: close\r\n"
#define BAD "HTTP/1.1 503 No\r\nConnection: close\r\n\r\n"

static const struct {
    cs_http_method_t method;
    const char *body;
    const char *first, *last; /* of what the server got */
} methods[] = {
    {CS_HTTP_POST, "a=b", "POST /there HTTP/1.1\r\n", "\r\n\r\na=b"},
    {CS_HTTP_POST, "", "POST /there HTTP/1.1\r\n", "\r\n\r\n"},
    {CS_HTTP_GET, "", "GET /there HTTP/1.1\r\n", "\r\n\r\n"},
    {CS_HTTP_PUT, "", "PUT /there HTTP/1.1\r\n", "\r\n\r\n"},
};

START_TEST(asks)
{
    static const char *const texts[] = {GOOD "\r\n", NULL}, *const headers[] = {"X-Mine: 1", NULL};
    const char *last = methods[_i].last;
    cs_http_answer_t answer;

    begin();
    ck_assert_int_eq(cs_http_fetch(&answer, http,
                                   &(cs_http_request_t){.method = methods[_i].method,
                                                        .url = serve(texts),
                                                        .headers = headers,
                                                        .body = {methods[_i].body, strlen(methods[_i].body)},
                                                        .timeout = apr_time_from_sec(5)},
                                   1, &no_halt, pool),
                     APR_SUCCESS);
    ck_assert_msg(answer.status == 200, "%s", answer.error);
    ck_assert_ptr_eq(strstr(answer.body.at, methods[_i].first), answer.body.at);
    ck_assert_ptr_nonnull(strstr(answer.body.at, "\r\nX-Mine: 1\r\n"));
    ck_assert_str_eq(answer.body.at + answer.body.length - strlen(last), last);
    cs_http_destroy(http);
}
END_TEST

/* Of a good answer with that header. */
static cs_http_answer_t answer_with(const char *header)
{
    const char *texts[] = {apr_pstrcat(pool, GOOD, header, "\r\n", NULL), NULL};
    cs_http_answer_t answer;

    begin();
    ck_assert_int_eq(cs_http_fetch(&answer, http,
                                   &(cs_http_request_t){.method = CS_HTTP_GET,
                                                        .url = serve(texts),
                                                        .headers = no_headers,
                                                        .timeout = apr_time_from_sec(5)},
                                   1, &no_halt, pool),
                     APR_SUCCESS);
    return answer;
}

static const struct {
    const char *header;
    apr_time_t date; /* in seconds */
} dates[] = {
    {"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n", 1700000000},
    {"date:Tue, 14 Nov 2023 22:13:20 GMT\r\n", 1700000000},
    {"X-Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n", 0},
    {"Date: soon\r\n", 0},
    {"Date: \r\n", 0},
    {"Date: Tue, 14 Nov 2023 22:13:20 GMT, as far as anybody can tell from here and at this time of the day\r\n", 0},
    {"", 0},
};

START_TEST(reads_date)
{
    cs_http_answer_t answer = answer_with(dates[_i].header);

    ck_assert_int_eq(answer.status, 200);
    ck_assert_int_eq(answer.date, apr_time_from_sec(dates[_i].date));
    cs_http_destroy(http);
}
END_TEST

static const struct {
    const char *header;
    apr_int64_t seconds;
} pauses[] = {
    {"", 0},
    {"Retry-After: 7\r\n", 7},
    {"Retry-After: 86401\r\n", 86400},
    {"Retry-After: 9300000000000\r\n", 86400}, /* more microseconds than there are */
    {"Retry-After: 18446744073710\r\n", 86400},
};

START_TEST(reads_retry_after)
{
    cs_http_answer_t answer = answer_with(pauses[_i].header);

    ck_assert_int_eq(answer.retry_after, apr_time_from_sec(pauses[_i].seconds));
    cs_http_destroy(http);
}
END_TEST

static const struct {
    const char *texts[4];
    int attempts, status;
} tries[] = {
    {{BAD, BAD, GOOD "\r\n"}, 3, 200},
    {{BAD, GOOD "\r\n"}, 1, 503},
    {{BAD, BAD, BAD, GOOD "\r\n"}, 3, 503},
    {{"", GOOD "\r\n"}, 2, 200}, /* no answer within its time */
    {{"", ""}, 2, 0},
    {{"HTTP/1.1 404 No\r\nConnection: close\r\n\r\n", GOOD "\r\n"}, 3, 404},
    {{"HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n", GOOD "\r\n"}, 3, 302},
};

START_TEST(tries_again)
{
    cs_http_answer_t answer;

    begin();
    ck_assert_int_eq(cs_http_fetch(&answer, http,
                                   &(cs_http_request_t){.method = CS_HTTP_GET,
                                                        .url = serve(tries[_i].texts),
                                                        .headers = no_headers,
                                                        .timeout = apr_time_from_msec(300)},
                                   tries[_i].attempts, &no_halt, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(answer.status, tries[_i].status);
    ck_assert_int_eq(answer.error != NULL, answer.status == 0);
    cs_http_destroy(http);
}
END_TEST

START_TEST(ends_when_it_has_to)
{
    static const char *const texts[] = {"", NULL};
    const int stop = 1;
    const cs_halt_t stopped = {.stop = &stop}, over = {.until = cs_monotonic() + apr_time_from_msec(200)};
    const cs_http_request_t request = {
        .method = CS_HTTP_GET, .url = serve(texts), .headers = no_headers, .timeout = apr_time_from_sec(60)};
    apr_time_t start = cs_monotonic();
    cs_http_answer_t answer;

    begin();
    ck_assert_int_eq(cs_http_fetch(&answer, http, &request, 3, &stopped, pool), APR_TIMEUP);
    ck_assert_int_eq(cs_http_fetch(&answer, http, &request, 3, &over, pool), APR_TIMEUP);
    ck_assert_int_lt(cs_monotonic() - start, apr_time_from_sec(2));
    cs_http_destroy(http);
}
END_TEST

/* Metadata is on the machine itself; a proxy would ask another machine's. */
START_TEST(goes_around_proxies)
{
    static const char *const texts[] = {GOOD "\r\n", NULL};
    cs_http_request_t request = {
        .method = CS_HTTP_GET, .url = serve(texts), .headers = no_headers, .timeout = apr_time_from_sec(5)};
    cs_http_answer_t answer;

    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    begin();
    ck_assert_int_eq(cs_http_fetch(&answer, http, &request, 1, &no_halt, pool), APR_SUCCESS);
    ck_assert_int_eq(answer.status, 0);
    request.direct = 1;
    ck_assert_int_eq(cs_http_fetch(&answer, http, &request, 1, &no_halt, pool), APR_SUCCESS);
    ck_assert_int_eq(answer.status, 200);
    unsetenv("http_proxy");
    cs_http_destroy(http);
}
END_TEST

/* libcurl quotes what it does not understand; these go to logs and the status. */
static const char *const proxies[] = {
    "http://me:hush#hush@127.0.0.1:1/", "http://me:hush/hush@127.0.0.1:1", "http://me:hush hush@127.0.0.1:1",
    "gopher://me:hush@127.0.0.1:1/",    "http://me:hush@127.0.0.1:none",   "http://me:hush@127.0.0.1:1/",
};

START_TEST(keeps_a_proxys_password_to_itself)
{
    const cs_http_request_t request = {
        .method = CS_HTTP_GET, .url = "http://127.0.0.1:1/", .headers = no_headers, .timeout = apr_time_from_sec(5)};
    cs_http_answer_t answer;

    setenv("http_proxy", proxies[_i], 1);
    begin();
    ck_assert_int_eq(cs_http_fetch(&answer, http, &request, 1, &no_halt, pool), APR_SUCCESS);
    ck_assert_int_eq(answer.status, 0);
    ck_assert_msg(strstr(answer.error, "hush") == NULL, "%s", answer.error);
    ck_assert_ptr_nonnull(strstr(answer.advice, "proxy"));
    unsetenv("http_proxy");
    cs_http_destroy(http);
}
END_TEST

static void ignore(void *to, const cs_http_answer_t *answer)
{
    (void)to;
    (void)answer;
}

static int sockets_in(const char *list)
{
    int count = 0;

    while ((list = strstr(list, "socket:"))) {
        list++;
        count++;
    }
    return count;
}

/* A CGI program of httpd's, or a credential_process, would keep a connection open for as long as it runs. */
START_TEST(no_program_inherits_a_connection)
{
    static const char *const texts[] = {"", NULL};
    const cs_http_request_t request = {.method = CS_HTTP_GET,
                                       .url = serve(texts),
                                       .headers = no_headers,
                                       .timeout = apr_time_from_sec(60),
                                       .answered = ignore};
    cs_span_t before, after;
    const char *why;

    begin();
    ck_assert_int_eq(cs_process_run(&before, &why, "ls -l /proc/self/fd", apr_time_from_sec(10), &no_halt, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(cs_http_begin(http, &request), APR_SUCCESS);
    for (int i = 0; i < 20; i++)
        cs_http_poll(http, apr_time_from_msec(10));
    ck_assert_int_eq(cs_process_run(&after, &why, "ls -l /proc/self/fd", apr_time_from_sec(10), &no_halt, pool),
                     APR_SUCCESS);
    ck_assert_msg(sockets_in(after.at) == sockets_in(before.at), "%s%s", before.at, after.at);
    cs_http_destroy(http);
}
END_TEST

START_TEST(speaks_http_alone)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "there"};
    cs_http_answer_t answer;

    begin();
    for (int i = 0; i < ELEMENTS(urls); i++) {
        ck_assert_int_eq(
            cs_http_fetch(
                &answer, http,
                &(cs_http_request_t){.method = CS_HTTP_GET, .url = urls[i], .headers = no_headers, .timeout = 1000000},
                1, &no_halt, pool),
            APR_SUCCESS);
        ck_assert_int_eq(answer.status, 0);
        ck_assert_ptr_nonnull(answer.error);
    }
    cs_http_destroy(http);
}
END_TEST

static const struct {
    const char *url;
    int is;
} urls[] = {
    {"https://example.com/", 1},
    {"HTTPS://example.com", 1},
    {"https://example.com:8443/a/b?c=d", 1},
    {"http://127.0.0.1/", 1},
    {"http://127.0.0.1:99/x?y", 1},
    {"http://localhost:99", 1},
    {"http://[::1]:99/", 1},
    {"http://169.254.170.2/creds", 1},
    {"http://[fd00:ec2::23]/v1", 1},
    {"http://example.com/", 0},
    {"http://169.254.170.3/", 0},
    {"http://169.254.170.2.example.com/", 0},
    {"http://localhost.example.com/", 0},
    {"http://127.0.0.1@example.com/", 0},
    {"http://example.com#@127.0.0.1/", 0},
    {"https://user@example.com/", 0},
    {"https://:secret@example.com/", 0},
    {"https://example.com/#x", 0},
    {"ftp://127.0.0.1/", 0},
    {"//127.0.0.1/", 0},
    {"127.0.0.1", 0},
    {"https://", 0},
    {"", 0},
};

START_TEST(knows_where_secrets_may_go)
{
    static const char *const plain[] = {"169.254.170.2", "[fd00:ec2::23]", NULL};

    ck_assert_int_eq(cs_http_is_private(urls[_i].url, plain), urls[_i].is);
}
END_TEST

Suite *http_suite(void)
{
    Suite *suite = suite_create("http");
    TCase *tests = test_case("http");

    tcase_set_timeout(tests, 30);
    tcase_add_loop_test(tests, asks, 0, ELEMENTS(methods));
    tcase_add_loop_test(tests, reads_date, 0, ELEMENTS(dates));
    tcase_add_loop_test(tests, reads_retry_after, 0, ELEMENTS(pauses));
    tcase_add_loop_test(tests, tries_again, 0, ELEMENTS(tries));
    tcase_add_test(tests, ends_when_it_has_to);
    tcase_add_test(tests, goes_around_proxies);
    tcase_add_test(tests, no_program_inherits_a_connection);
    tcase_add_loop_test(tests, keeps_a_proxys_password_to_itself, 0, ELEMENTS(proxies));
    tcase_add_test(tests, speaks_http_alone);
    tcase_add_loop_test(tests, knows_where_secrets_may_go, 0, ELEMENTS(urls));
    suite_add_tcase(suite, tests);
    return suite;
}
