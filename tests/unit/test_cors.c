/* Which web pages may send: which origins match, and which headers they get.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>

#include "collect/cors.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define EXACT "https://app.example.com"
#define BELOW "https://*.example.org"
#define METHODS "GET, POST, OPTIONS"

/* `allow` is what Access-Control-Allow-Origin says; NULL: the page is not let in. */
static const struct {
    const char *allowed[3], *origin, *allow;
    int credentials;
} origins[] = {
    {{EXACT}, EXACT, EXACT, 1},
    {{EXACT}, "HTTPS://App.Example.com", "HTTPS://App.Example.com", 1},
    {{EXACT}, "http://app.example.com", NULL, 0},
    {{EXACT}, EXACT ":8443", NULL, 0},
    {{EXACT}, EXACT ".evil.com", NULL, 0},
    {{EXACT}, "https://evil.com", NULL, 0},
    {{EXACT}, "null", NULL, 0},
    {{EXACT}, "", NULL, 0},
    {{EXACT}, NULL, NULL, 0},
    {{EXACT, BELOW}, "https://a.example.org", "https://a.example.org", 1},
    {{BELOW}, "https://a.b-1.example.org", "https://a.b-1.example.org", 1},
    {{BELOW}, "https://A.EXAMPLE.ORG", "https://A.EXAMPLE.ORG", 1},
    {{BELOW}, "https://example.org", NULL, 0},
    {{BELOW}, "https://.example.org", NULL, 0},
    {{BELOW}, "https://evilexample.org", NULL, 0},
    {{BELOW}, "http://a.example.org", NULL, 0},
    {{BELOW}, "https://a.example.org:8443", NULL, 0},
    {{BELOW}, "https://a.example.org.evil.com", NULL, 0},
    {{BELOW}, "https://evil.com/.example.org", NULL, 0},
    {{BELOW}, "https://evil.com?.example.org", NULL, 0},
    {{BELOW}, "https://evil.com#.example.org", NULL, 0},
    {{BELOW}, "https://evil.com:1.example.org", NULL, 0},
    {{BELOW}, "https://me@a.example.org", NULL, 0},
    {{BELOW}, "xhttps://a.example.org", NULL, 0},
    {{"https://*.example.org:8443"}, "https://a.example.org:8443", "https://a.example.org:8443", 1},
    {{"https://*.example.org:8443"}, "https://a.example.org", NULL, 0},
    {{"*"}, "https://anybody.example", "*", 0},
    {{"*"}, "null", "*", 0},
    {{"*"}, NULL, NULL, 0},
    {{"*", EXACT}, EXACT, EXACT, 1},
    {{EXACT, "*"}, "https://anybody.example", "*", 0},
};

static apr_table_t *headers_for(int of, int preflight)
{
    apr_table_t *headers = apr_table_make(pool, 4);
    apr_array_header_t *allowed = apr_array_make(pool, 3, sizeof(const char *));

    for (const char *const *one = origins[of].allowed; *one; one++)
        APR_ARRAY_PUSH(allowed, const char *) = *one;
    cs_cors_headers(headers, allowed, origins[of].origin, preflight ? METHODS : NULL);
    return headers;
}

static void check_header(const apr_table_t *headers, const char *name, const char *value)
{
    ck_assert_pstr_eq(apr_table_get(headers, name), value);
}

START_TEST(lets_in)
{
    apr_table_t *headers = headers_for(_i, 0);
    const char *allow = origins[_i].allow;

    check_header(headers, "Vary", "Origin");
    check_header(headers, "Access-Control-Allow-Origin", allow);
    check_header(headers, "Access-Control-Allow-Credentials", origins[_i].credentials ? "true" : NULL);
    check_header(headers, "Access-Control-Allow-Methods", NULL);
    check_header(headers, "Access-Control-Max-Age", NULL);
    check_header(headers, "Access-Control-Expose-Headers", NULL);
    cs_cors_expose(headers, "Retry-After");
    check_header(headers, "Access-Control-Expose-Headers", allow ? "Retry-After" : NULL);
}
END_TEST

START_TEST(answers_preflight)
{
    const apr_table_t *headers = headers_for(_i, 1);
    const char *allow = origins[_i].allow;

    check_header(headers, "Vary", "Origin");
    check_header(headers, "Access-Control-Allow-Origin", allow);
    check_header(headers, "Access-Control-Allow-Methods", allow ? METHODS : NULL);
    check_header(headers, "Access-Control-Allow-Headers",
                 allow ? "Content-Type, Content-Encoding, Cache-Control, Authorization, client_id, client-id" : NULL);
    check_header(headers, "Access-Control-Max-Age", allow ? "86400" : NULL);
    check_header(headers, "Access-Control-Expose-Headers", NULL);
}
END_TEST

START_TEST(without_a_list_there_is_nothing)
{
    apr_table_t *headers = apr_table_make(pool, 4);

    cs_cors_headers(headers, NULL, EXACT, METHODS);
    ck_assert_int_eq(apr_table_elts(headers)->nelts, 0);
}
END_TEST

START_TEST(adds_to_vary)
{
    apr_table_t *headers = apr_table_make(pool, 4);
    apr_array_header_t *allowed = apr_array_make(pool, 1, sizeof(const char *));

    apr_table_setn(headers, "Vary", "Accept-Encoding");
    cs_cors_headers(headers, allowed, EXACT, NULL);
    check_header(headers, "Vary", "Accept-Encoding, Origin");
}
END_TEST

Suite *cors_suite(void)
{
    Suite *suite = suite_create("cors");
    TCase *tests = test_case("cors");

    tcase_add_loop_test(tests, lets_in, 0, ELEMENTS(origins));
    tcase_add_loop_test(tests, answers_preflight, 0, ELEMENTS(origins));
    tcase_add_test(tests, without_a_list_there_is_nothing);
    tcase_add_test(tests, adds_to_vary);
    suite_add_tcase(suite, tests);
    return suite;
}
