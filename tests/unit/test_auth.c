/* Who may send: what is a bearer token, and which ids are known.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "collect/auth.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct {
    const char *authorization;
    int bearer;
} authorizations[] = {
    {"Bearer abc", 1},
    {"bearer abc", 1},
    {"BEARER   abc", 1},
    {"Bearer abc ", 1},
    {"Bearer a", 1},
    {"Bearer abcDEF012-._~+/==", 1},
    {"Bearer eyJhbGciOiJub25lIn0.e30.", 1},
    {NULL, 0},
    {"", 0},
    {"Bearer", 0},
    {"Bearer ", 0},
    {"Bearer    ", 0},
    {"Bearer =", 0},
    {"Bearer a=b", 0},
    {"Bearer abc def", 0},
    {"Bearer abc, Bearer def", 0},
    {"Bearer \"abc\"", 0},
    {"Bearer caf\xC3\xA9", 0},
    {"Bearer\tabc", 0},
    {"Bearerabc", 0},
    {" Bearer abc", 0},
    {"Basic dXNlcjpwYXNz", 0},
    {"abc", 0},
};

START_TEST(knows_bearer_tokens)
{
    ck_assert_int_eq(cs_auth_is_bearer(authorizations[_i].authorization), authorizations[_i].bearer);
}
END_TEST

static const struct {
    int listed; /* whether there is a list: app, web */
    const char *id;
    int known;
} ids[] = {
    {1, "app", 1}, {1, "web", 1}, {1, "App", 0}, {1, "ap", 0}, {1, "apps", 0}, {1, "", 0},
    {1, NULL, 0},  {0, "app", 1}, {0, "any", 1}, {0, "", 0},   {0, NULL, 0},
};

START_TEST(knows_clients)
{
    apr_array_header_t *clients = apr_array_make(pool, 2, sizeof(cs_client_t));

    APR_ARRAY_PUSH(clients, cs_client_t) = (cs_client_t){.id = "app"};
    APR_ARRAY_PUSH(clients, cs_client_t) = (cs_client_t){.id = "web"};
    ck_assert_int_eq(cs_auth_knows(ids[_i].listed ? clients : NULL, ids[_i].id), ids[_i].known);
}
END_TEST

Suite *auth_suite(void)
{
    Suite *suite = suite_create("auth");
    TCase *tests = test_case("auth");

    tcase_add_loop_test(tests, knows_bearer_tokens, 0, ELEMENTS(authorizations));
    tcase_add_loop_test(tests, knows_clients, 0, ELEMENTS(ids));
    suite_add_tcase(suite, tests);
    return suite;
}
