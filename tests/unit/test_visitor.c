/* The visitor's cookie: found in whatever browsers send, and what sets it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>

#include "collect/visitor.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define ID "919108f7-52d1-4320-9bac-f847db4148a8"
#define OTHER "00000000-0000-4000-8000-000000000001"

static const struct {
    const char *cookies;
    const char *id; /* NULL: it is not there */
} headers[] = {
    {"cs=" ID, ID},
    {"a=b; cs=" ID, ID},
    {"cs=" ID "; a=b", ID},
    {"a=b; cs=" ID "; c=d", ID},
    {"a=b;cs=" ID ";c=d", ID},
    {"a=b;   cs=" ID, ID},
    {";; cs=" ID ";", ID},
    {"; cs=" ID, ID},
    {"a; cs=" ID, ID},
    {"=; cs=" ID, ID},
    {"a=b=c; cs=" ID, ID},
    {"a=\"x\"; cs=" ID, ID},
    /* nothing there */
    {NULL, NULL},
    {"", NULL},
    {";", NULL},
    {"; ", NULL},
    {"cs", NULL},
    {"cs=", NULL},
    {ID, NULL},
    {"=" ID, NULL},
    {"a=b", NULL},
    /* a name that is only like it */
    {"xcs=" ID, NULL},
    {"csx=" ID, NULL},
    {"c=" ID, NULL},
    {"CS=" ID, NULL},
    {"cs =" ID, NULL},
    {"$cs=" ID, NULL},
    {"csx=" ID "; cs=" OTHER, OTHER},
    {"a=cs=" ID, NULL},
    {"a=b cs=" ID, NULL},
    {"a=b, cs=" ID, NULL},
    /* a value that we did not make */
    {"cs=" ID "0", NULL},
    {"cs=" ID " ", NULL},
    {"cs= " ID, NULL},
    {"cs==" ID, NULL},
    {"cs=\"" ID "\"", NULL},
    {"cs=919108F7-52D1-4320-9BAC-F847DB4148A8", NULL},
    {"cs=919108f7-52d1-4320-9bac-f847db4148a", NULL},
    {"cs=919108f7-52d1-4320-9bac-f847db4148a\"", NULL},
    {"cs=919108f752d143209bacf847db4148a80000", NULL},
    {"cs=919108f7-52d1-4320-9bac-f847db4148a\r", NULL},
    /* twice: the first that is good */
    {"cs=" ID "; cs=" OTHER, ID},
    {"cs=x; cs=" OTHER, OTHER},
    {"cs=; cs=" OTHER "; cs=" ID, OTHER},
};

START_TEST(finds)
{
    ck_assert_pstr_eq(cs_visitor_find(headers[_i].cookies, "cs", pool), headers[_i].id);
}
END_TEST

START_TEST(finds_by_the_whole_name)
{
    static const char *const cookies = "cs=" ID "; __Host-cs=" OTHER;

    ck_assert_str_eq(cs_visitor_find(cookies, "cs", pool), ID);
    ck_assert_str_eq(cs_visitor_find(cookies, "__Host-cs", pool), OTHER);
    ck_assert_ptr_null(cs_visitor_find(cookies, "Host-cs", pool));
}
END_TEST

START_TEST(creates)
{
    static const unsigned char random[16] = {0x91, 0x91, 0x08, 0xf7, 0x52, 0xd1, 0x33, 0x20,
                                             0x5b, 0xac, 0xf8, 0x47, 0xdb, 0x41, 0x48, 0xa8};
    const char *id = cs_visitor_create(random, pool);

    ck_assert_str_eq(id, ID);
    ck_assert_str_eq(cs_visitor_find(apr_pstrcat(pool, "cs=", id, NULL), "cs", pool), ID);
}
END_TEST

static const struct {
    const char *line;
    int secure;
    const char *written;
} cookies[] = {
    {"ClickstreamVisitorCookie cs", 0, "cs=" ID "; Path=/; Max-Age=34128000; HttpOnly; SameSite=Lax"},
    {"ClickstreamVisitorCookie cs", 1, "cs=" ID "; Path=/; Max-Age=34128000; HttpOnly; SameSite=Lax; Secure"},
    {"ClickstreamVisitorCookie cs domain=example.com", 0,
     "cs=" ID "; Path=/; Max-Age=34128000; Domain=example.com; HttpOnly; SameSite=Lax"},
    {"ClickstreamVisitorCookie cs domain=example.com max-age=1h", 1,
     "cs=" ID "; Path=/; Max-Age=3600; Domain=example.com; HttpOnly; SameSite=Lax; Secure"},
    {"ClickstreamVisitorCookie __Host-cs max-age=1s", 1,
     "__Host-cs=" ID "; Path=/; Max-Age=1; HttpOnly; SameSite=Lax; Secure"},
    {"ClickstreamVisitorCookie cs max-age=1999ms", 0, "cs=" ID "; Path=/; Max-Age=1; HttpOnly; SameSite=Lax"},
    {"ClickstreamVisitorCookie cs max-age=400d", 0, "cs=" ID "; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax"},
};

START_TEST(sets)
{
    const char *lines[] = {cookies[_i].line, NULL};

    ck_assert_str_eq(cs_visitor_cookie(test_location(lines)->visitor_cookie, ID, cookies[_i].secure, pool),
                     cookies[_i].written);
}
END_TEST

Suite *visitor_suite(void)
{
    Suite *suite = suite_create("visitor");
    TCase *tests = test_case("visitor");

    tcase_add_loop_test(tests, finds, 0, ELEMENTS(headers));
    tcase_add_test(tests, finds_by_the_whole_name);
    tcase_add_test(tests, creates);
    tcase_add_loop_test(tests, sets, 0, ELEMENTS(cookies));
    suite_add_tcase(suite, tests);
    return suite;
}
