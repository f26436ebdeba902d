/* Where AWS's services are, and the lines that a signed request to them has.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "deliver/endpoint.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct {
    const char *service, *region, *given;
    const char *url, *host, *path;
} endpoints[] = {
    {"firehose", "eu-central-1", NULL, "https://firehose.eu-central-1.amazonaws.com/",
     "firehose.eu-central-1.amazonaws.com", "/"},
    {"sts", "cn-north-1", NULL, "https://sts.cn-north-1.amazonaws.com.cn/", "sts.cn-north-1.amazonaws.com.cn", "/"},
    {"sts", "us-gov-west-1", NULL, "https://sts.us-gov-west-1.amazonaws.com/", "sts.us-gov-west-1.amazonaws.com", "/"},
    {"firehose", "eusc-de-east-1", NULL, "https://firehose.eusc-de-east-1.amazonaws.eu/",
     "firehose.eusc-de-east-1.amazonaws.eu", "/"},
    {"firehose", "us-isob-east-1", NULL, "https://firehose.us-isob-east-1.sc2s.sgov.gov/",
     "firehose.us-isob-east-1.sc2s.sgov.gov", "/"},
    {"sts", "eu-central-1", "http://[::1]:99", "http://[::1]:99", "[::1]:99", "/"},
    {"firehose", "eu-central-1", "https://vpce-1.example.com:8443/a/b", "https://vpce-1.example.com:8443/a/b",
     "vpce-1.example.com:8443", "/a/b"},
};

START_TEST(is_where)
{
    cs_endpoint_t endpoint;

    cs_endpoint_make(&endpoint, endpoints[_i].service, endpoints[_i].region, endpoints[_i].given, pool);
    ck_assert_str_eq(endpoint.url, endpoints[_i].url);
    ck_assert_str_eq(endpoint.host, endpoints[_i].host);
    ck_assert_str_eq(endpoint.path, endpoints[_i].path);
    ck_assert_str_eq(endpoint.service, endpoints[_i].service);
    ck_assert_str_eq(endpoint.region, endpoints[_i].region);
}
END_TEST

/* What sigv4.c makes of them is held against AWS's own vectors; here it is which headers are there, and signed. */
static const struct {
    const char *target, *token;
    const char *lines[6];
    const char *signed_headers;
} requests[] = {
    {NULL,
     NULL,
     {"host: sts.x.amazonaws.com", "content-type: form", "x-amz-date: 20231114T221320Z"},
     "SignedHeaders=content-type;host;x-amz-date,"},
    {"T.Put",
     "to/ken",
     {"host: sts.x.amazonaws.com", "content-type: form", "x-amz-date: 20231114T221320Z", "x-amz-target: T.Put",
      "x-amz-security-token: to/ken"},
     "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target,"},
    {NULL,
     "to/ken",
     {"host: sts.x.amazonaws.com", "content-type: form", "x-amz-date: 20231114T221320Z",
      "x-amz-security-token: to/ken"},
     "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"},
};

START_TEST(signs)
{
    const cs_credentials_t credentials = {
        .access_key = "AKID", .secret_key = "hush", .session_token = requests[_i].token};
    const char *const *lines;
    cs_endpoint_t endpoint;
    int i;

    cs_endpoint_make(&endpoint, "sts", "x", NULL, pool);
    lines = cs_endpoint_sign(&endpoint, "form", requests[_i].target, (cs_span_t){"a=b", 3}, &credentials,
                             apr_time_from_sec(1700000000), pool);
    for (i = 0; requests[_i].lines[i]; i++)
        ck_assert_str_eq(lines[i], requests[_i].lines[i]);
    ck_assert_ptr_eq(strstr(lines[i], "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20231114/x/sts/aws4_request, "),
                     lines[i]);
    ck_assert_msg(strstr(lines[i], requests[_i].signed_headers) != NULL, "%s", lines[i]);
    ck_assert_ptr_null(lines[i + 1]);
}
END_TEST

Suite *endpoint_suite(void)
{
    Suite *suite = suite_create("endpoint");
    TCase *tests = test_case("endpoint");

    tcase_add_loop_test(tests, is_where, 0, ELEMENTS(endpoints));
    tcase_add_loop_test(tests, signs, 0, ELEMENTS(requests));
    suite_add_tcase(suite, tests);
    return suite;
}
