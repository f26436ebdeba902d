/* ClickstreamField's expressions without httpd: what they mean, and what is refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>
#include <strings.h>

#include "common/expression.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char *variable(const char *name)
{
    return strcmp(name, "COUNTRY") == 0 ? "GB" : strcmp(name, "REMOTE_ADDR") == 0 ? "192.0.2.1" : NULL;
}

static const char *header(void *from, const char *name)
{
    ck_assert_str_eq(from, "from");
    return strcasecmp(name, "Host") == 0         ? "www.example.com"
           : strcasecmp(name, "X-Version") == 0  ? "2.1"
           : strcasecmp(name, "User-Agent") == 0 ? "curl/8 %{ENV:COUNTRY}"
                                                 : NULL;
}

static const struct {
    const char *text, *value;
} good[] = {
    {"", ""},
    {"web", "web"},
    {"100 % sure, { or } or %", "100 % sure, { or } or %"},
    {"%{ENV:COUNTRY}", "GB"},
    {"%{env:COUNTRY}", "GB"},
    {"%{ENV:NOT_SET}", ""},
    {"%{HTTP:X-Version}", "2.1"},
    {"%{HTTP:X-Missing}", ""},
    {"%{HTTP_HOST}", "www.example.com"},
    {"%{http_host}", "www.example.com"},
    {"%{REMOTE_ADDR}", "192.0.2.1"},
    {"%{SERVER_NAME}", ""},
    {"a-%{ENV:COUNTRY}-%{HTTP:X-Version}%{HTTP_HOST}-z", "a-GB-2.1www.example.com-z"},
    {"%%{ENV:COUNTRY}", "%GB"},
    /* what a client sends is no expression */
    {"%{HTTP_USER_AGENT}", "curl/8 %{ENV:COUNTRY}"},
    {"%{HTTP:User-Agent}", "curl/8 %{ENV:COUNTRY}"},
    {"caf\xC3\xA9", "caf\xC3\xA9"},
};

START_TEST(gives_values)
{
    const cs_expression_values_t values = {.variable = variable, .header = header, .from = (char[]){"from"}};
    cs_expression_t *expression;

    ck_assert_ptr_null(cs_expression_parse(&expression, good[_i].text, pool));
    ck_assert_str_eq(cs_expression_value(expression, &values, pool), good[_i].value);
}
END_TEST

static const struct {
    const char *text, *named;
} bad[] = {
    {"%{", "\"%{\" has no end"},
    {"a%{ENV:COUNTRY", "\"%{ENV:COUNTRY\" has no end"},
    {"%{}", "\"%{}\" is not possible here"},
    {"%{ENV:}", "\"%{ENV:}\""},
    {"%{HTTP:}", "\"%{HTTP:}\""},
    {"%{TIME}", "\"%{TIME}\""},
    {"%{REQUEST_URI}", "\"%{REQUEST_URI}\""},
    {"%{tolower:%{HTTP_HOST}}", "\"%{tolower:%{HTTP_HOST}\""},
    {"%{file:/etc/passwd}", "\"%{file:/etc/passwd}\""},
    {"%{HTTP_X_VERSION}", "\"%{HTTP_X_VERSION}\""},
    {"%{PATH}", "\"%{PATH}\""},
    {"$1", "\"$\" is not possible here"},
    {"a\\n", "\"\\\" is not possible here"},
    {"%{HTTP_HOST}$0", "\"$\""},
};

START_TEST(refuses)
{
    cs_expression_t *expression;
    const char *error = cs_expression_parse(&expression, bad[_i].text, pool);

    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error, bad[_i].named) != NULL, "%s", error);
    ck_assert_msg(strstr(error, "write ") != NULL && strstr(error, "%{") != NULL, "%s", error);
    ck_assert_msg(strstr(error, "%%") == NULL, "%s", error);
}
END_TEST

Suite *expression_suite(void)
{
    Suite *suite = suite_create("expression");
    TCase *tests = test_case("expression");

    tcase_add_loop_test(tests, gives_values, 0, ELEMENTS(good));
    tcase_add_loop_test(tests, refuses, 0, ELEMENTS(bad));
    suite_add_tcase(suite, tests);
    return suite;
}
