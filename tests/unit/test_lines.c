/* The directives with a form of their own: clients with their keys, tags, fields, the visitor's cookie.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <math.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SIXTY_FOUR "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

/* --- good lines --- */

static const struct {
    const char *line, *name;
    cs_tag_type_t type;
    double least, most;
} good_tags[] = {
    {"ClickstreamTag T any", "T", CS_TAG_ANY, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag T string", "T", CS_TAG_STRING, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag T Integer", "T", CS_TAG_INTEGER, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag T number", "T", CS_TAG_NUMBER, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag T boolean", "T", CS_TAG_BOOLEAN, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag T object", "T", CS_TAG_OBJECT, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag T array", "T", CS_TAG_ARRAY, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag T language", "T", CS_TAG_LANGUAGE, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag T GEO", "T", CS_TAG_GEO, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag 'two words' any", "two words", CS_TAG_ANY, -HUGE_VAL, HUGE_VAL},
    {"ClickstreamTag T integer 0..1000", "T", CS_TAG_INTEGER, 0, 1000},
    {"ClickstreamTag T integer 5..", "T", CS_TAG_INTEGER, 5, HUGE_VAL},
    {"ClickstreamTag T integer ..5", "T", CS_TAG_INTEGER, -HUGE_VAL, 5},
    {"ClickstreamTag T integer -5..-5", "T", CS_TAG_INTEGER, -5, -5},
    {"ClickstreamTag T number -0.5..1.25", "T", CS_TAG_NUMBER, -0.5, 1.25},
    {"ClickstreamTag T number -1e3..1E+3", "T", CS_TAG_NUMBER, -1000, 1000},
    {"ClickstreamTag T number -9007199254740991..9007199254740991", "T", CS_TAG_NUMBER, -9007199254740991.0,
     9007199254740991.0},
    {"ClickstreamTag T string 1..64", "T", CS_TAG_STRING, 1, 64},
    {"ClickstreamTag T object 1..", "T", CS_TAG_OBJECT, 1, HUGE_VAL},
    {"ClickstreamTag T array ..8", "T", CS_TAG_ARRAY, -HUGE_VAL, 8},
};

START_TEST(takes_tag)
{
    cs_location_t *location = test_new_location();
    const cs_tag_t *tag;

    test_read_location(location, good_tags[_i].line);
    ck_assert_int_eq(location->tags->nelts, 1);
    tag = &APR_ARRAY_IDX(location->tags, 0, cs_tag_t);
    ck_assert_str_eq(tag->name, good_tags[_i].name);
    ck_assert_int_eq(tag->type, good_tags[_i].type);
    ck_assert_double_eq(tag->least, good_tags[_i].least);
    ck_assert_double_eq(tag->most, good_tags[_i].most);
}
END_TEST

static const struct {
    const char *line, *name, *expression;
} good_fields[] = {
    {"ClickstreamField country \"%{ENV:MM_COUNTRY_CODE}\"", "country", "%{ENV:MM_COUNTRY_CODE}"},
    {"ClickstreamField host 'two words'", "host", "two words"},
    {"ClickstreamField empty \"\"", "empty", ""},
    {"ClickstreamField Event_Id x", "Event_Id", "x"},
    {"ClickstreamField .a-b_9 x", ".a-b_9", "x"},
    {"ClickstreamField " SIXTY_FOUR " x", SIXTY_FOUR, "x"},
};

START_TEST(takes_field)
{
    cs_location_t *location = test_new_location();
    const cs_field_t *field;

    test_read_location(location, good_fields[_i].line);
    ck_assert_int_eq(location->fields->nelts, 1);
    field = &APR_ARRAY_IDX(location->fields, 0, cs_field_t);
    ck_assert_str_eq(field->name, good_fields[_i].name);
    ck_assert_str_eq(field->expression, good_fields[_i].expression);
    ck_assert_ptr_null(field->compiled);
}
END_TEST

#define DAY (APR_INT64_C(86400) * 1000000)

static const struct {
    const char *line, *name;
    apr_interval_time_t max_age;
    const char *domain;
} good_cookies[] = {
    {"ClickstreamVisitorCookie cs", "cs", 395 * DAY, NULL},
    {"ClickstreamVisitorCookie __Host-cs.1", "__Host-cs.1", 395 * DAY, NULL},
    {"ClickstreamVisitorCookie \"!#$%&'*+-.^_`|~\"", "!#$%&'*+-.^_`|~", 395 * DAY, NULL},
    {"ClickstreamVisitorCookie cs max-age=1s", "cs", 1000000, NULL},
    {"ClickstreamVisitorCookie cs Max-Age=400d", "cs", 400 * DAY, NULL},
    {"ClickstreamVisitorCookie cs domain=example.com", "cs", 395 * DAY, "example.com"},
    {"ClickstreamVisitorCookie cs DOMAIN=.Example-1.com max-age=30d", "cs", 30 * DAY, ".Example-1.com"},
    {"ClickstreamVisitorCookie cs max-age=1d max-age=2d", "cs", 2 * DAY, NULL},
};

START_TEST(takes_cookie)
{
    cs_location_t *location = test_new_location();

    test_read_location(location, good_cookies[_i].line);
    ck_assert_str_eq(location->visitor_cookie->name, good_cookies[_i].name);
    ck_assert_int_eq(location->visitor_cookie->max_age, good_cookies[_i].max_age);
    ck_assert_pstr_eq(location->visitor_cookie->domain, good_cookies[_i].domain);
}
END_TEST

/* The path of a new file with a public key in it. */
static const char *public_key(void)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    const char *path;
    char *text;
    long length;

    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pkey), 1);
    length = BIO_get_mem_data(bio, &text);
    path = test_file(apr_pstrmemdup(pool, text, (apr_size_t)length));
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return path;
}

START_TEST(takes_clients)
{
    cs_location_t *location = test_new_location();
    const cs_client_t *client;
    cs_span_t secret;

    test_read_location(location, "ClickstreamClient bare");
    test_read_location(location, apr_pstrcat(pool, "ClickstreamClient app secret=", test_file("s3cret\n"), NULL));
    test_read_location(location, apr_pstrcat(pool, "ClickstreamClient 'the web' KEY=", public_key(), NULL));
    ck_assert_int_eq(location->clients->nelts, 3);
    client = (const cs_client_t *)(const void *)location->clients->elts;
    ck_assert_str_eq(client[0].id, "bare");
    ck_assert_ptr_null(client[0].key);
    ck_assert_str_eq(client[1].id, "app");
    ck_assert_int_eq(cs_key_kind(client[1].key), CS_KEY_HS256);
    secret = cs_key_bytes(client[1].key);
    ck_assert_str_eq(apr_pstrmemdup(pool, secret.at, secret.length), "s3cret");
    ck_assert_str_eq(client[2].id, "the web");
    ck_assert_int_eq(cs_key_kind(client[2].key), CS_KEY_ES256);
}
END_TEST

/* --- what is refused, and with which words --- */

static const struct {
    const char *line, *value, *advice;
} bad_lines[] = {
    {"ClickstreamClient \"\"", "empty", "ClickstreamClient id"},
    {"ClickstreamClient one two", "\"two\"", "one client a line"},
    {"ClickstreamClient one two three", "\"three\"", "one client a line"},
    {"ClickstreamClient one secret=/a key=/b", "\"key=/b\"", "with one key"},
    {"ClickstreamClient one secret", "\"secret\"", "write secret=file or key=file"},
    {"ClickstreamClient one secrets=/a", "\"secrets=/a\"", "write secret=file or key=file"},
    {"ClickstreamClient one secret=a", "\"a\" is not an absolute path", "from the root"},
    {"ClickstreamClient one secret=", "\"\" is not an absolute path", "from the root"},
    {"ClickstreamClient one key=a.pem", "\"a.pem\" is not an absolute path", "from the root"},
    {"ClickstreamClient one secret=/none/at/all", "/none/at/all cannot be read", "write the path of a file"},
    {"ClickstreamClient one key=/none/at/all", "/none/at/all cannot be read", "write the path of a file"},
    {"ClickstreamClient one secret=/", "/ is not a regular file", "write the path of one"},
    {"ClickstreamTag", "argument is missing", "ClickstreamTag name type [min..max]"},
    {"ClickstreamTag T", "type is missing", "any|string|integer|number|boolean|object|array|language|geo"},
    {"ClickstreamTag T int", "\"int\" is no type", "any|string|integer|number|boolean|object|array|language|geo"},
    {"ClickstreamTag T \"\"", "\"\" is no type", "any|string|integer"},
    {"ClickstreamTag T 0..1 integer", "\"0..1\" is no type", "any|string|integer"},
    {"ClickstreamTag T any 0..1", "\"0..1\" is one argument too many", "only a string, integer, number"},
    {"ClickstreamTag T boolean 0..1", "\"0..1\"", "object or array has a range"},
    {"ClickstreamTag T language 2..8", "\"2..8\"", "object or array has a range"},
    {"ClickstreamTag T geo 0..90", "\"0..90\"", "object or array has a range"},
    {"ClickstreamTag T integer 0 1000", "\"1000\" is one argument too many", "min..max"},
    {"ClickstreamTag T integer 0..1 2", "\"2\" is one argument too many", "min..max"},
    {"ClickstreamTag T integer ..", "\"..\" is no range", "min..max, such as 0..1000"},
    {"ClickstreamTag T integer \"\"", "\"\" is no range", "min..max"},
    {"ClickstreamTag T integer 5", "\"5\" is no range", "min..max"},
    {"ClickstreamTag T integer 0.1", "\"0.1\" is no range", "min..max"},
    {"ClickstreamTag T integer 0-1000", "\"0-1000\" is no range", "min..max"},
    {"ClickstreamTag T integer 1000..0", "\"1000..0\" is no range", "min..max"},
    {"ClickstreamTag T number 0.2..0.1", "\"0.2..0.1\" is no range", "min..max"},
    {"ClickstreamTag T integer 0...5", "\"0...5\" is no range", "min..max"},
    {"ClickstreamTag T integer 0..1..2", "\"0..1..2\" is no range", "min..max"},
    {"ClickstreamTag T integer a..b", "\"a..b\" is no range", "min..max"},
    {"ClickstreamTag T integer 0..b", "\"0..b\" is no range", "min..max"},
    {"ClickstreamTag T integer 0..5x", "\"0..5x\" is no range", "min..max"},
    {"ClickstreamTag T integer -..5", "\"-..5\" is no range", "min..max"},
    {"ClickstreamTag T integer --1..5", "\"--1..5\" is no range", "min..max"},
    {"ClickstreamTag T integer +1..5", "\"+1..5\" is no range", "min..max"},
    {"ClickstreamTag T integer ' 1..5'", "\" 1..5\" is no range", "min..max"},
    {"ClickstreamTag T integer 0x1..0x5", "\"0x1..0x5\" is no range", "min..max"},
    {"ClickstreamTag T number -inf..inf", "\"-inf..inf\" is no range", "min..max"},
    {"ClickstreamTag T number nan..", "\"nan..\" is no range", "min..max"},
    {"ClickstreamTag T number 0..1e400", "\"0..1e400\" is no range", "min..max"},
    {"ClickstreamTag T integer 0..9007199254740992", "\"0..9007199254740992\" is no range", "min..max"},
    {"ClickstreamTag T integer -9007199254740992..", "\"-9007199254740992..\" is no range", "min..max"},
    {"ClickstreamField", "argument is missing", "ClickstreamField name expression"},
    {"ClickstreamField country", "expression is missing", "in quotes, such as \"%{ENV:MM_COUNTRY_CODE}\""},
    {"ClickstreamField country two words", "\"words\"", "quotes around the whole expression"},
    {"ClickstreamField \"\" x", "\"\" is no field's name", "1 to 64 letters"},
    {"ClickstreamField a/b x", "\"a/b\" is no field's name", "1 to 64 letters"},
    {"ClickstreamField 'a b' x", "\"a b\" is no field's name", "1 to 64 letters"},
    {"ClickstreamField " SIXTY_FOUR "x x", SIXTY_FOUR "x\" is no field's name", "1 to 64 letters"},
    {"ClickstreamField client_id x", "client_id is a name of the server's own", "another one"},
    {"ClickstreamField client_ip x", "client_ip", "another one"},
    {"ClickstreamField user_agent x", "user_agent", "another one"},
    {"ClickstreamField visitor_id x", "visitor_id", "another one"},
    {"ClickstreamField event_id x", "event_id", "another one"},
    {"ClickstreamField received_at x", "received_at", "another one"},
    {"ClickstreamVisitorCookie", "argument is missing", "name [max-age=time] [domain=domain]"},
    {"ClickstreamVisitorCookie \"\"", "\"\" is no cookie's name", "letters, digits"},
    {"ClickstreamVisitorCookie 'a b'", "\"a b\" is no cookie's name", "letters, digits"},
    {"ClickstreamVisitorCookie a=b", "\"a=b\" is no cookie's name", "letters, digits"},
    {"ClickstreamVisitorCookie 'a;b'", "\"a;b\" is no cookie's name", "letters, digits"},
    {"ClickstreamVisitorCookie caf\xC3\xA9", "is no cookie's name", "letters, digits"},
    {"ClickstreamVisitorCookie cs path=/", "\"path=/\" is not possible here", "max-age=395d or domain=example.com"},
    {"ClickstreamVisitorCookie cs max-age", "\"max-age\" is not possible here", "max-age=395d"},
    {"ClickstreamVisitorCookie cs max-age=", "max-age=: \"\"", "ms, s, m, h or d, such as 5s, from 1s to 400d"},
    {"ClickstreamVisitorCookie cs max-age=401d", "max-age=: \"401d\"", "from 1s to 400d"},
    {"ClickstreamVisitorCookie cs max-age=999ms", "max-age=: \"999ms\"", "from 1s to 400d"},
    {"ClickstreamVisitorCookie cs max-age=60", "max-age=: \"60\"", "ms, s, m, h or d"},
    {"ClickstreamVisitorCookie cs domain=", "\"domain=\" is no domain", "domain=example.com"},
    {"ClickstreamVisitorCookie cs 'domain=a;b'", "\"domain=a;b\" is no domain", "domain=example.com"},
    {"ClickstreamVisitorCookie cs domain=a/b", "\"domain=a/b\" is no domain", "domain=example.com"},
    {"ClickstreamVisitorCookie __Host-cs domain=example.com", "no cookie __Host-cs with a domain", "leave domain= out"},
    {"ClickstreamVisitorCookie __HOST-cs max-age=1d domain=a.b", "__HOST-cs with a domain", "without __Host-"},
};

START_TEST(refuses)
{
    const char *line = bad_lines[_i].line;

    test_sentence(test_line(cs_location_settings, test_new_location(), line), line, bad_lines[_i].value,
                  bad_lines[_i].advice);
}
END_TEST

/* A line, and one that is not possible after it. */
static const struct {
    const char *first, *second, *value, *advice;
} repeated[] = {
    {"ClickstreamTag T any", "ClickstreamTag T integer", "a line for the tag T already", "ClickstreamTag name type"},
    {"ClickstreamField a x", "ClickstreamField a y", "a field a already", "another name"},
    {"ClickstreamClient app", "ClickstreamClient app", "a line for the client app already", "ClickstreamClient id"},
};

START_TEST(refuses_a_second_line_of_a_name)
{
    cs_location_t *location = test_new_location();

    test_read_location(location, repeated[_i].first);
    test_sentence(test_line(cs_location_settings, location, repeated[_i].second), repeated[_i].second,
                  repeated[_i].value, repeated[_i].advice);
}
END_TEST

/* What cs_key_secret() and cs_key_public() say of a file is part of the sentence. */
START_TEST(refuses_wrong_keys)
{
    const char *pem = public_key(), *secret = test_file("s3cret"), *empty = test_file("");
    const struct {
        const char *form, *path, *advice;
    } lines[] = {
        {"secret=", pem, "write key="},
        {"secret=", empty, "write the secret into it"},
        {"key=", secret, "write a PUBLIC KEY or a CERTIFICATE"},
        {"key=", empty, "write a PUBLIC KEY or a CERTIFICATE"},
    };

    for (int i = 0; i < ELEMENTS(lines); i++) {
        cs_location_t *location = test_new_location();
        const char *line = apr_pstrcat(pool, "ClickstreamClient app ", lines[i].form, lines[i].path, NULL);
        test_sentence(test_line(cs_location_settings, location, line), line, lines[i].path, lines[i].advice);
        ck_assert_msg(!location->clients || location->clients->nelts == 0, "%s: kept all the same", line);
    }
}
END_TEST

Suite *lines_suite(void)
{
    Suite *suite = suite_create("lines");
    TCase *tests = test_case("lines");

    tcase_add_loop_test(tests, takes_tag, 0, ELEMENTS(good_tags));
    tcase_add_loop_test(tests, takes_field, 0, ELEMENTS(good_fields));
    tcase_add_loop_test(tests, takes_cookie, 0, ELEMENTS(good_cookies));
    tcase_add_test(tests, takes_clients);
    tcase_add_loop_test(tests, refuses, 0, ELEMENTS(bad_lines));
    tcase_add_loop_test(tests, refuses_a_second_line_of_a_name, 0, ELEMENTS(repeated));
    tcase_add_test(tests, refuses_wrong_keys);
    suite_add_tcase(suite, tests);
    return suite;
}
