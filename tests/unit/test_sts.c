/* The answers of STS.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "deliver/sts.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define XMLNS " xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\""
#define ANSWER(action, credentials)                                                                                    \
    "<" action "Response" XMLNS "><" action "Result>"                                                                  \
    "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser>" credentials "</" action \
    "Result><ResponseMetadata><RequestId>c6104cbe</RequestId></ResponseMetadata></" action "Response>\n"
#define KEYS "<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>hush/+</SecretAccessKey>"
#define TOKEN "<SessionToken>to/ken==</SessionToken>"
#define EXPIRES "<Expiration>2023-11-14T22:13:20Z</Expiration>"

static const struct {
    const char *body;
    const char *flaw; /* NULL: none */
} answers[] = {
    {ANSWER("AssumeRole", "<Credentials>" KEYS TOKEN EXPIRES "</Credentials>"), NULL},
    {ANSWER("AssumeRoleWithWebIdentity", "<Credentials>\n  " EXPIRES "\n  " TOKEN KEYS "\n</Credentials>"), NULL},
    {"<?xml version=\"1.0\"?>\n<A><Credentials>" KEYS TOKEN EXPIRES "</Credentials></A>", NULL},
    {"<x:A "
     "xmlns:x=\"urn:x\"><x:Credentials><x:AccessKeyId>ASIA</x:AccessKeyId><x:SecretAccessKey><![CDATA[hush]]>/&#43;"
     "</x:SecretAccessKey><x:SessionToken>to/ken&#x3D;=</x:SessionToken><x:Expiration>2023-11-14T22:13:20Z"
     "</x:Expiration></x:Credentials></x:A>",
     NULL},
    {ANSWER("AssumeRole", "<Credentials>" KEYS EXPIRES "</Credentials>"), "no SessionToken"},
    {ANSWER("AssumeRole", "<Credentials>" KEYS TOKEN "</Credentials>"), "no Expiration"},
    {ANSWER("AssumeRole", "<Credentials>" KEYS TOKEN "<Expiration>soon</Expiration></Credentials>"), "no Expiration"},
    {ANSWER("AssumeRole", "<Credentials>" TOKEN EXPIRES "<AccessKeyId>A</AccessKeyId></Credentials>"), "no secret key"},
    {ANSWER("AssumeRole", "<Credentials>" TOKEN EXPIRES "<SecretAccessKey>hush</SecretAccessKey></Credentials>"),
     "no access key"},
    {ANSWER("AssumeRole", "<Credentials>" KEYS "<SessionToken>a\nb</SessionToken>" EXPIRES "</Credentials>"),
     "a key or token with blanks or other characters that none has"},
    {ANSWER("AssumeRole", "<Credentials/>"), "no Credentials"},
    {ANSWER("AssumeRole", KEYS TOKEN EXPIRES), "no Credentials"},
    {"<A><B><C><Credentials>" KEYS TOKEN EXPIRES "</Credentials></C></B></A>", "no Credentials"},
    {"<A><Credentials>" KEYS TOKEN EXPIRES "</Credentials>", "no Credentials"},
    {"<!DOCTYPE a [<!ENTITY x \"hush\">]><A><Credentials>" KEYS TOKEN EXPIRES "</Credentials></A>", "no Credentials"},
    {"{\"Credentials\":{}}", "no Credentials"},
    {"<html><body>It works!</body></html>", "no Credentials"},
    {"<", "no Credentials"},
    {"", "no Credentials"},
};

START_TEST(reads_answer)
{
    cs_credentials_t found = {NULL};
    const char *body = answers[_i].body;

    ck_assert_pstr_eq(cs_sts_read(&found, (cs_span_t){body, strlen(body)}, pool), answers[_i].flaw);
    if (answers[_i].flaw)
        return;
    ck_assert_str_eq(found.access_key, "ASIA");
    ck_assert_str_eq(found.secret_key, "hush/+");
    ck_assert_str_eq(found.session_token, "to/ken==");
    ck_assert_int_eq(found.expires, apr_time_from_sec(1700000000));
}
END_TEST

#define ERROR(code, message)                                                                                           \
    "<ErrorResponse" XMLNS "><Error><Type>Sender</Type><Code>" code "</Code><Message>" message                         \
    "</Message></Error><RequestId>x</RequestId></ErrorResponse>"

static const struct {
    const char *body, *code, *message;
} errors[] = {
    {ERROR("AccessDenied", "User: arn:aws:iam::1:user/a is not authorized"), "AccessDenied",
     "User: arn:aws:iam::1:user/a is not authorized"},
    {ERROR("SignatureDoesNotMatch", "It does not match.\n\nThe Canonical String\nx-amz-security-token:hush"),
     "SignatureDoesNotMatch", "It does not match."},
    {ERROR("X", ""), "X", ""},
    {"<ErrorResponse><Error/></ErrorResponse>", "", ""},
    {"<Error><Message>a &lt; b</Message></Error>", "", "a < b"},
    {"<ErrorResponse/>", "", ""},
    {"{\"__type\":\"X\"}", "", ""},
    {"", "", ""},
};

START_TEST(reads_error)
{
    const char *code, *message;

    cs_sts_read_error(&code, &message, (cs_span_t){errors[_i].body, strlen(errors[_i].body)}, pool);
    ck_assert_str_eq(code, errors[_i].code);
    ck_assert_str_eq(message, errors[_i].message);
}
END_TEST

START_TEST(cuts_what_is_long)
{
    char text[1001];
    const char *code, *message, *body;

    memset(text, 'x', 1000);
    text[1000] = '\0';
    body = apr_psprintf(pool, "<A><Error><Code>%s</Code><Message>%s</Message></Error></A>", text, text);
    cs_sts_read_error(&code, &message, (cs_span_t){body, strlen(body)}, pool);
    ck_assert_uint_eq(strlen(code), 80);
    ck_assert_uint_eq(strlen(message), 300);
}
END_TEST

Suite *sts_suite(void)
{
    Suite *suite = suite_create("sts");
    TCase *tests = test_case("sts");

    tcase_add_loop_test(tests, reads_answer, 0, ELEMENTS(answers));
    tcase_add_loop_test(tests, reads_error, 0, ELEMENTS(errors));
    tcase_add_test(tests, cuts_what_is_long);
    suite_add_tcase(suite, tests);
    return suite;
}
