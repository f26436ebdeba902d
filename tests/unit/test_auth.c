/* Who may send: what is a bearer token, and which ids are known, whose token it is.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "collect/auth.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct {
    const char *authorization;
    const char *token; /* NULL: it is no bearer token */
} authorizations[] = {
    {"Bearer abc", "abc"},
    {"bearer abc", "abc"},
    {"BEARER   abc", "abc"},
    {"Bearer abc ", "abc"},
    {"Bearer abc \t ", "abc"},
    {"Bearer a", "a"},
    {"Bearer a=", "a="},
    {"Bearer abcDEF012-._~+/==", "abcDEF012-._~+/=="},
    {"Bearer eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJub25lIn0.e30."},
    {NULL, NULL},
    {"", NULL},
    {"Bearer", NULL},
    {"Bearer ", NULL},
    {"Bearer    ", NULL},
    {"Bearer =", NULL},
    {"Bearer a=b", NULL},
    {"Bearer abc def", NULL},
    {"Bearer abc, Bearer def", NULL},
    {"Bearer \"abc\"", NULL},
    {"Bearer caf\xC3\xA9", NULL},
    {"Bearer\tabc", NULL},
    {"Bearerabc", NULL},
    {" Bearer abc", NULL},
    {"Basic dXNlcjpwYXNz", NULL},
    {"abc", NULL},
};

START_TEST(finds_bearer_tokens)
{
    const char *wanted = authorizations[_i].token;
    cs_span_t token = {NULL, 0};

    ck_assert_int_eq(cs_auth_bearer(&token, authorizations[_i].authorization), wanted != NULL);
    if (wanted)
        ck_assert_str_eq(apr_pstrmemdup(pool, token.at, token.length), wanted);
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

/* --- whose token it is --- */

#define NOW apr_time_from_sec(1700000000)

static const cs_key_t *secret_key(const char *secret)
{
    cs_key_t *key;

    ck_assert_ptr_null(cs_key_secret(&key, test_file(secret), pool));
    return key;
}

static const struct {
    const char *id, *issuer, *secret;
    int verifies;
} tokens[] = {
    {"app", "app", "secret of app", 1},   {"web", "web", "secret of web", 1},
    {"app", "app", "secret of web", 0},                            /* another client's key */
    {"app", "web", "secret of app", 0},                            /* says to be another client's */
    {"app", "web", "secret of web", 0},                            /* is another client's */
    {"app", "App", "secret of app", 0},   {"bare", "bare", "", 0}, /* has no key */
    {"none", "none", "secret of app", 0},                          /* is not on the list */
};

START_TEST(verifies_by_the_client_s_own_key)
{
    apr_array_header_t *clients = apr_array_make(pool, 3, sizeof(cs_client_t));
    const char *token = test_token(tokens[_i].issuer, tokens[_i].secret);

    APR_ARRAY_PUSH(clients, cs_client_t) = (cs_client_t){.id = "app", .key = secret_key("secret of app")};
    APR_ARRAY_PUSH(clients, cs_client_t) = (cs_client_t){.id = "web", .key = secret_key("secret of web")};
    APR_ARRAY_PUSH(clients, cs_client_t) = (cs_client_t){.id = "bare"};
    ck_assert_int_eq(cs_auth_verifies(clients, tokens[_i].id, (cs_span_t){token, strlen(token)}, NOW, pool),
                     tokens[_i].verifies);
}
END_TEST

Suite *auth_suite(void)
{
    Suite *suite = suite_create("auth");
    TCase *tests = test_case("auth");

    tcase_add_loop_test(tests, finds_bearer_tokens, 0, ELEMENTS(authorizations));
    tcase_add_loop_test(tests, knows_clients, 0, ELEMENTS(ids));
    tcase_add_loop_test(tests, verifies_by_the_client_s_own_key, 0, ELEMENTS(tokens));
    suite_add_tcase(suite, tests);
    return suite;
}
