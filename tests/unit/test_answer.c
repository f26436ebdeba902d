/* AWS's answers: which records they say were taken, and what an error says.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/answer.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define TAKEN "{\"RecordId\":\"a1b2\"}"
#define REFUSED "{\"ErrorCode\":\"ServiceUnavailableException\",\"ErrorMessage\":\"Slow down.\"}"

static apr_size_t cost(apr_size_t record)
{
    return record;
}

/* Three records of one event each, whose outcome nobody knows yet. */
static cs_batch_t *three_records(void)
{
    static const cs_batch_limits_t limits = {.records = 9, .record_target = 1, .batch = 100, .cost = cost};
    cs_batch_t *batch = cs_batch_create(&limits, 4, pool);

    for (apr_uint64_t id = 0; id < 3; id++)
        ck_assert_int_eq(cs_batch_add(batch, &limits, (cs_batch_event_t){.id = id, .data = {"event", 5}}), 1);
    return batch;
}

static apr_status_t free_text(void *text)
{
    free(text);
    return APR_SUCCESS;
}

/* Not from the pool: nothing may be read behind it. */
static cs_span_t exactly(const char *text)
{
    size_t length = strlen(text);
    char *exact = malloc(length);

    memcpy(exact, text, length);
    apr_pool_cleanup_register(pool, exact, free_text, apr_pool_cleanup_null);
    return (cs_span_t){exact, length};
}

/* `delivered` has a letter for each record: D or r. */
static const struct {
    const char *body;
    int failed;
    const char *delivered, *code;
} answers[] = {
    {"{\"FailedPutCount\":0,\"Encrypted\":false,\"RequestResponses\":[" TAKEN "," TAKEN "," TAKEN "]}", 0, "DDD", ""},
    {"{\"RequestResponses\":[" TAKEN "," TAKEN "," TAKEN "]}\n", 0, "DDD", ""},
    {"{\"FailedPutCount\":1,\"RequestResponses\":[" TAKEN "," REFUSED "," TAKEN "]}", 1, "DrD",
     "ServiceUnavailableException"},
    {"{\"FailedPutCount\":3,\"RequestResponses\":[" REFUSED "," REFUSED ",{\"ErrorCode\":\"InternalFailure\"}]}", 3,
     "rrr", "ServiceUnavailableException"},
    {"{\"RequestResponses\":[" TAKEN ",{\"ErrorCode\":\"InternalFailure\"}," REFUSED "]}", 2, "Drr", "InternalFailure"},
    /* the list tells, not the count */
    {"{\"FailedPutCount\":0,\"RequestResponses\":[" TAKEN "," TAKEN "," REFUSED "]}", 1, "DDr",
     "ServiceUnavailableException"},
    {"{\"FailedPutCount\":1e999,\"RequestResponses\":[" TAKEN "," TAKEN "," TAKEN "]}", 0, "DDD", ""},
    {"{\"FailedPutCount\":99999999999999999999999,\"RequestResponses\":[" TAKEN "," TAKEN "," TAKEN "]}", 0, "DDD", ""},
    /* delivered only where it is said in so many words */
    {"{\"RequestResponses\":[{},null,{\"RecordId\":7}]}", 3, "rrr", "no RecordId"},
    {"{\"RequestResponses\":[[],\"RecordId\",true]}", 3, "rrr", "no RecordId"},
    {"{\"RequestResponses\":[{\"RecordId\":null},{\"recordid\":\"x\"}," TAKEN "]}", 2, "rrD", "no RecordId"},
    {"{\"RequestResponses\":[{\"RecordId\":\"a\",\"ErrorCode\":\"Both\"},{\"RecordId\":\"a\",\"ErrorCode\":null}," TAKEN
     "]}",
     1, "rDD", "Both"},
    /* no answer of Firehose's */
    {"", -1, "rrr", ""},
    {"{\"RequestResponses\":[" TAKEN "," TAKEN "," TAKEN "]", -1, "rrr", ""},
    {"<html><body>It works!</body></html>", -1, "rrr", ""},
    {"[]", -1, "rrr", ""},
    {"null", -1, "rrr", ""},
    {"200", -1, "rrr", ""},
    {"{}", -1, "rrr", ""},
    {"{\"FailedPutCount\":0}", -1, "rrr", ""},
    {"{\"RequestResponses\":{\"0\":" TAKEN "}}", -1, "rrr", ""},
    {"{\"RequestResponses\":null}", -1, "rrr", ""},
    {"{\"RequestResponses\":[]}", -1, "rrr", ""},
    {"{\"RequestResponses\":[" TAKEN "," TAKEN "]}", -1, "rrr", ""},
    {"{\"RequestResponses\":[" TAKEN "," TAKEN "," TAKEN "," TAKEN "]}", -1, "rrr", ""},
    {"{\"a\":[[[[[[[[[[[[]]]]]]]]]]]],\"RequestResponses\":[" TAKEN "," TAKEN "," TAKEN "]}", -1, "rrr", ""},
};

START_TEST(reads_records)
{
    cs_batch_t *batch = three_records();
    const char *code;

    ck_assert_int_eq(cs_answer_records(batch, &code, exactly(answers[_i].body), pool), answers[_i].failed);
    ck_assert_str_eq(code, answers[_i].code);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(APR_ARRAY_IDX(batch->records, i, cs_batch_record_t).outcome,
                         answers[_i].delivered[i] == 'D' ? CS_OUTCOME_DELIVERED : CS_OUTCOME_RETRY);
}
END_TEST

/* What an earlier answer said of a record, this one corrects. */
START_TEST(overwrites_outcomes)
{
    cs_batch_t *batch = three_records();
    const char *code;

    cs_batch_outcome(batch, CS_OUTCOME_DELIVERED);
    cs_answer_records(batch, &code, exactly("{\"RequestResponses\":[" TAKEN "," REFUSED "," TAKEN "]}"), pool);
    ck_assert_int_eq(APR_ARRAY_IDX(batch->records, 1, cs_batch_record_t).outcome, CS_OUTCOME_RETRY);
}
END_TEST

static const struct {
    const char *body, *type, *message;
} errors[] = {
    {"{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}", "ThrottlingException", "Rate exceeded"},
    {"{\"__type\":\"com.amazonaws.firehose.v20150804#ResourceNotFoundException\",\"message\":\"Stream x not found\"}",
     "ResourceNotFoundException", "Stream x not found"},
    {"{\"__type\":\"com.amazon.coral.service#UnrecognizedClientException\",\"Message\":\"The token is invalid.\"}",
     "UnrecognizedClientException", "The token is invalid."},
    {"{\"__type\":\"X\",\"message\":\"small\",\"Message\":\"Great\"}", "X", "small"},
    {"{\"__type\":\"X\",\"message\":null,\"Message\":\"Great\"}", "X", "Great"},
    {"{\"__type\":\"AccessDeniedException\"}", "AccessDeniedException", ""},
    {"{\"__type\":\"x#\"}", "", ""},
    /* the lines after the first one may repeat what was secret */
    {"{\"__type\":\"X\",\"message\":\"No match.\\n\\nx-amz-security-token:hush\"}", "X", "No match."},
    {"{\"message\":\"only this\"}", "", "only this"},
    {"{\"__type\":7,\"message\":[]}", "", ""},
    {"{}", "", ""},
    {"[\"__type\"]", "", ""},
    {"null", "", ""},
    {"", "", ""},
    {"<ServiceUnavailable/>", "", ""},
    {"{\"__type\":\"Cut", "", ""},
    {"[[[[[[[[[[[[[[[[", "", ""},
};

START_TEST(reads_errors)
{
    const char *type, *message;

    cs_answer_error(&type, &message, exactly(errors[_i].body), pool);
    ck_assert_str_eq(type, errors[_i].type);
    ck_assert_str_eq(message, errors[_i].message);
}
END_TEST

START_TEST(cuts_what_is_long)
{
    char long_text[1001], *body;
    const char *type, *message;

    memset(long_text, 'x', 1000);
    long_text[1000] = '\0';
    body = apr_psprintf(pool, "{\"__type\":\"%s\",\"message\":\"%s\"}", long_text, long_text);
    cs_answer_error(&type, &message, exactly(body), pool);
    ck_assert_uint_eq(strlen(type), 80);
    ck_assert_uint_eq(strlen(message), 300);
}
END_TEST

/* --- credentials --- */

#define TIME 1700000000
#define KEYS "\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"hush/+\""
#define TOKEN "\"Token\":\"to/ken==\""
#define EXPIRES "\"Expiration\":\"2023-11-14T22:13:20Z\""

static const struct {
    const char *body;
    int version;
    const char *flaw; /* NULL: none */
    int token, expires;
} credentials[] = {
    /* an instance, a container, a process */
    {"{\"Code\":\"Success\",\"LastUpdated\":\"x\",\"Type\":\"AWS-HMAC\"," KEYS "," TOKEN "," EXPIRES "}", 0, NULL, 1,
     TIME},
    {"{\"RoleArn\":\"arn\"," KEYS "," TOKEN "," EXPIRES "}\n", 0, NULL, 1, TIME},
    {"{\"Version\":1," KEYS ",\"SessionToken\":\"to/ken==\"," EXPIRES "}", 1, NULL, 1, TIME},
    {"{\"Version\":1," KEYS "}", 1, NULL, 0, 0},
    {"{\"Version\":1," KEYS ",\"SessionToken\":null,\"Expiration\":null}", 1, NULL, 0, 0},
    {"{" KEYS ",\"Expiration\":\"2023-11-14T23:13:20.5+01:00\"}", 0, NULL, 0, TIME},
    {"{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"hush\"}", 0, "the code AssumeRoleUnauthorizedAccess", 0,
     0},
    {"{\"Code\":\"no\\r\\nhush\"," KEYS "}", 0, "the code no", 0, 0},
    {"{" KEYS "}", 1, "no \"Version\": 1", 0, 0},
    {"{\"Version\":2," KEYS "}", 1, "no \"Version\": 1", 0, 0},
    {"{" KEYS ",\"Expiration\":\"soon\"}", 0, "an Expiration that is no time", 0, 0},
    {"{" KEYS ",\"Expiration\":\"\"}", 0, "an Expiration that is no time", 0, 0},
    {"{\"AccessKeyId\":\"A\"}", 0, "no secret key", 0, 0},
    {"{\"SecretAccessKey\":\"hush\"}", 0, "no access key", 0, 0},
    {"{\"AccessKeyId\":7,\"SecretAccessKey\":\"hush\"}", 0, "no access key", 0, 0},
    {"{\"AccessKeyId\":\"A\\nB\",\"SecretAccessKey\":\"hush\"}", 0,
     "a key or token with blanks or other characters that none has", 0, 0},
    {"{}", 0, "no access key", 0, 0},
    {"[" KEYS "]", 0, "no JSON object", 0, 0},
    {"[]", 0, "no JSON object", 0, 0},
    {"null", 1, "no JSON object", 0, 0},
    {"{" KEYS, 0, "no JSON object", 0, 0},
    {"hush", 0, "no JSON object", 0, 0},
    {"", 0, "no JSON object", 0, 0},
};

START_TEST(reads_credentials)
{
    cs_credentials_t found = {NULL};
    const char *flaw = cs_answer_credentials(&found, exactly(credentials[_i].body), credentials[_i].version, pool);

    ck_assert_pstr_eq(flaw, credentials[_i].flaw);
    if (flaw)
        return;
    ck_assert_str_eq(found.access_key, "ASIA");
    ck_assert_str_eq(found.secret_key, "hush/+");
    ck_assert_pstr_eq(found.session_token, credentials[_i].token ? "to/ken==" : NULL);
    ck_assert_int_eq(found.expires / 1000000, credentials[_i].expires);
}
END_TEST

Suite *answer_suite(void)
{
    Suite *suite = suite_create("answer");
    TCase *tests = test_case("answer");

    tcase_add_loop_test(tests, reads_records, 0, ELEMENTS(answers));
    tcase_add_test(tests, overwrites_outcomes);
    tcase_add_loop_test(tests, reads_errors, 0, ELEMENTS(errors));
    tcase_add_test(tests, cuts_what_is_long);
    tcase_add_loop_test(tests, reads_credentials, 0, ELEMENTS(credentials));
    suite_add_tcase(suite, tests);
    return suite;
}
