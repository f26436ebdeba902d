/* Signatures, against AWS's published example and against botocore.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "deliver/sigv4.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TOKEN "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ=="
#define BODY "{\"DeliveryStreamName\":\"clicks\",\"Records\":[{\"Data\":\"e30K\"}]}"
#define NO_BODY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BODY_HASH "1c30224455b2b3e7bfd7791e41391904d570714859699dca8cf9016e6c34bfbc"
#define TARGET "x-amz-target", "Firehose_20150804.PutRecordBatch"
#define JSON "content-type", "application/x-amz-json-1.1"

static const struct {
    const char *method, *path, *query;
    cs_sigv4_header_t headers[6]; /* in no order */
    int header_count;
    const char *body;
    const char *date, *region, *service; /* the date's time is `time` */
    apr_int64_t time;                    /* in seconds */
    const char *access_key, *secret_key;
    const char *canonical, *hash, *signed_headers, *signature;
} requests[] = {
    /* "Create a signed AWS API request" and the test suite of Signature Version 4: IAM's ListUsers. */
    {.method = "GET",
     .path = "/",
     .query = "Action=ListUsers&Version=2010-05-08",
     .headers = {{"host", "iam.amazonaws.com"},
                 {"content-type", "application/x-www-form-urlencoded; charset=utf-8"},
                 {"x-amz-date", "20150830T123600Z"}},
     .header_count = 3,
     .body = "",
     .date = "20150830T123600Z",
     .region = "us-east-1",
     .service = "iam",
     .time = 1440938160,
     .access_key = "AKIDEXAMPLE",
     .secret_key = SECRET,
     .canonical = "GET\n/\nAction=ListUsers&Version=2010-05-08\n"
                  "content-type:application/x-www-form-urlencoded; charset=utf-8\nhost:iam.amazonaws.com\n"
                  "x-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\n" NO_BODY_HASH,
     .hash = "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59",
     .signed_headers = "content-type;host;x-amz-date",
     .signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
    /* The others are what botocore's SigV4Auth makes of them. */
    {.method = "POST",
     .path = "/",
     .query = "",
     .headers = {{"x-amz-date", "20260131T235959Z"}, {TARGET}, {JSON}, {"host", "firehose.eu-central-1.amazonaws.com"}},
     .header_count = 4,
     .body = BODY,
     .date = "20260131T235959Z",
     .region = "eu-central-1",
     .service = "firehose",
     .time = 1769903999,
     .access_key = "AKIDEXAMPLE",
     .secret_key = SECRET,
     .canonical = "POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:firehose.eu-central-1.amazonaws.com\n"
                  "x-amz-date:20260131T235959Z\nx-amz-target:Firehose_20150804.PutRecordBatch\n\n"
                  "content-type;host;x-amz-date;x-amz-target\n" BODY_HASH,
     .hash = "2c2ba465051fd53e4e3430958fa85e4daf8961a9cfe4fbeb60b8e0f72a5ae396",
     .signed_headers = "content-type;host;x-amz-date;x-amz-target",
     .signature = "9d5eb0b07f0c948d49c72bd1587f6e8654bd5c0626a0b5d6130df44c5bee3d4a"},
    {.method = "POST",
     .path = "/",
     .query = "",
     .headers = {{"x-amz-security-token", TOKEN},
                 {TARGET},
                 {JSON},
                 {"host", "firehose.eu-central-1.amazonaws.com"},
                 {"x-amz-date", "20260131T235959Z"}},
     .header_count = 5,
     .body = BODY,
     .date = "20260131T235959Z",
     .region = "eu-central-1",
     .service = "firehose",
     .time = 1769903999,
     .access_key = "ASIDEXAMPLE",
     .secret_key = "other/secret+key",
     .canonical = "POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:firehose.eu-central-1.amazonaws.com\n"
                  "x-amz-date:20260131T235959Z\nx-amz-security-token:" TOKEN
                  "\nx-amz-target:Firehose_20150804.PutRecordBatch\n\n"
                  "content-type;host;x-amz-date;x-amz-security-token;x-amz-target\n" BODY_HASH,
     .hash = "60e29c1ef2ae7e7cc84966474ca14ce504eb234d3f84b1966f0fcef695e5b4da",
     .signed_headers = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
     .signature = "b11668683266c13922786eb6ea7c5c1f5995c6207bf3fe14b0e954e046d1a6cf"},
    /* repeated blanks, a port, a path, no body, a leap day's midnight */
    {.method = "POST",
     .path = "/sub/path",
     .query = "",
     .headers = {{TARGET},
                 {"my-note", "a   b\t\tc  \"d   e\""},
                 {"x-amz-date", "20240229T000000Z"},
                 {"content-type", "  application/x-amz-json-1.1;   charset=utf-8 "},
                 {"host", "localhost:8443"}},
     .header_count = 5,
     .body = "",
     .date = "20240229T000000Z",
     .region = "cn-north-1",
     .service = "firehose",
     .time = 1709164800,
     .access_key = "AKIDEXAMPLE",
     .secret_key = SECRET,
     .canonical =
         "POST\n/sub/path\n\ncontent-type:application/x-amz-json-1.1; charset=utf-8\nhost:localhost:8443\n"
         "my-note:a b c \"d e\"\nx-amz-date:20240229T000000Z\nx-amz-target:Firehose_20150804.PutRecordBatch\n\n"
         "content-type;host;my-note;x-amz-date;x-amz-target\n" NO_BODY_HASH,
     .hash = "d17aa61b7f881c9dd53ee26d54e2569d02fba7c346474e03eca81d77cc6da24f",
     .signed_headers = "content-type;host;my-note;x-amz-date;x-amz-target",
     .signature = "c7c77b3b9415ab7f505985b5b46ccae37e770e2e3a9d1d0eb232b7b85eb8ced8"},
};

static cs_sigv4_request_t request_of(int i)
{
    return (cs_sigv4_request_t){.method = requests[i].method,
                                .path = requests[i].path,
                                .query = requests[i].query,
                                .headers = requests[i].headers,
                                .header_count = requests[i].header_count,
                                .body = {requests[i].body, strlen(requests[i].body)}};
}

static cs_sigv4_scope_t scope_of(int i)
{
    return (cs_sigv4_scope_t){
        .time = apr_time_from_sec(requests[i].time), .region = requests[i].region, .service = requests[i].service};
}

static const char *credential_scope(int i)
{
    return apr_psprintf(pool, "%.8s/%s/%s/aws4_request", requests[i].date, requests[i].region, requests[i].service);
}

static const char *string_to_sign(int i)
{
    return apr_psprintf(pool, "AWS4-HMAC-SHA256\n%s\n%s\n%s", requests[i].date, credential_scope(i), requests[i].hash);
}

START_TEST(writes_dates)
{
    char date[CS_SIGV4_DATE];

    cs_sigv4_date(date, apr_time_from_sec(requests[_i].time) + 999999);
    ck_assert_str_eq(date, requests[_i].date);
}
END_TEST

START_TEST(stage_1_canonical_request)
{
    cs_sigv4_request_t request = request_of(_i);

    ck_assert_str_eq(cs_sigv4_canonical_request(&request, pool), requests[_i].canonical);
}
END_TEST

START_TEST(stage_2_string_to_sign)
{
    cs_sigv4_scope_t scope = scope_of(_i);

    ck_assert_str_eq(cs_sigv4_string_to_sign(requests[_i].canonical, &scope, pool), string_to_sign(_i));
}
END_TEST

START_TEST(stage_3_signature)
{
    cs_sigv4_scope_t scope = scope_of(_i);

    ck_assert_str_eq(cs_sigv4_signature(string_to_sign(_i), requests[_i].secret_key, &scope, pool),
                     requests[_i].signature);
}
END_TEST

START_TEST(writes_authorization)
{
    cs_sigv4_request_t request = request_of(_i);
    cs_sigv4_scope_t scope = scope_of(_i);

    ck_assert_str_eq(cs_sigv4_authorization(&request, &scope, requests[_i].access_key, requests[_i].secret_key, pool),
                     apr_pstrcat(pool, "AWS4-HMAC-SHA256 Credential=", requests[_i].access_key, "/",
                                 credential_scope(_i), ", SignedHeaders=", requests[_i].signed_headers,
                                 ", Signature=", requests[_i].signature, NULL));
}
END_TEST

Suite *sigv4_suite(void)
{
    Suite *suite = suite_create("sigv4");
    TCase *tests = test_case("sigv4");

    tcase_add_loop_test(tests, writes_dates, 0, ELEMENTS(requests));
    tcase_add_loop_test(tests, stage_1_canonical_request, 0, ELEMENTS(requests));
    tcase_add_loop_test(tests, stage_2_string_to_sign, 0, ELEMENTS(requests));
    tcase_add_loop_test(tests, stage_3_signature, 0, ELEMENTS(requests));
    tcase_add_loop_test(tests, writes_authorization, 0, ELEMENTS(requests));
    suite_add_tcase(suite, tests);
    return suite;
}
