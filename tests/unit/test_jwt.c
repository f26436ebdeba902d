/* Tokens: the RFC's own, the app's, and what a token may not say, however well it is signed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/sender.h" /* a pool for a thread */
#include "token.h"

/* --- what verifies --- */

START_TEST(takes_a_good_token)
{
    ck_assert_int_eq(verify(good_token((cs_key_kind_t)_i), key_of((cs_key_kind_t)_i)), 1);
}
END_TEST

START_TEST(issuer_must_be_the_client)
{
    static const char *const others[] = {"touchwood-ap", "touchwood-app2", "Touchwood-app", "", "touchwood-app "};
    const cs_key_t *key = key_of(CS_KEY_HS256);
    cs_span_t token = span_of(good_token(CS_KEY_HS256));

    ck_assert_int_eq(cs_jwt_verify(token, key, ISSUER, NOW, pool), 1);
    for (int i = 0; i < ELEMENTS(others); i++)
        ck_assert_int_eq(cs_jwt_verify(token, key, others[i], NOW, pool), 0);
    token = span_of(token_of(CS_KEY_HS256, SPAN(APP_HEADER), SPAN("{\"iss\":7}")));
    ck_assert_int_eq(cs_jwt_verify(token, key, "7", NOW, pool), 0);
    ck_assert_int_eq(cs_jwt_verify(token, key, "", NOW, pool), 0);
}
END_TEST

static cs_span_t decoded(const char *text)
{
    apr_size_t length;
    const unsigned char *bytes = apr_pdecode_base64_binary(pool, text, APR_ENCODE_STRING, APR_ENCODE_NONE, &length);

    ck_assert_ptr_nonnull(bytes);
    return (cs_span_t){(const char *)bytes, length};
}

/* RFC 7515, appendix A.1 to A.3: one payload, of joe, until 2011-03-22T18:43:00Z. */
#define RFC_PAYLOAD ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
#define RFC_EXPIRES apr_time_from_sec(APR_INT64_C(1300819380))

static const char *const rfc_tokens[] = {
    [CS_KEY_HS256] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" RFC_PAYLOAD "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    [CS_KEY_RS256] = "eyJhbGciOiJSUzI1NiJ9" RFC_PAYLOAD
                     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujG"
                     "bds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
                     "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6"
                     "LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    [CS_KEY_ES256] = "eyJhbGciOiJFUzI1NiJ9" RFC_PAYLOAD
                     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
};

static cs_span_t rfc_pem(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY *pkey = NULL;
    char *made, *pem;

    ck_assert_int_eq(EVP_PKEY_fromdata_init(context), 1);
    ck_assert_int_eq(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
    made = pem_of(pkey);
    pem = apr_pstrdup(pool, made);
    free(made);
    EVP_PKEY_free(pkey);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    return span_of(pem);
}

static cs_span_t rfc_rsa(void)
{
    cs_span_t modulus =
        decoded("ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1"
                "Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHS"
                "XndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5"
                "IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ");
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn((const unsigned char *)modulus.at, (int)modulus.length, NULL);
    cs_span_t pem;

    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_uint(builder, OSSL_PKEY_PARAM_RSA_E, 65537);
    pem = rfc_pem("RSA", builder);
    BN_free(n);
    return pem;
}

static cs_span_t rfc_ec(void)
{
    cs_span_t x = decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    cs_span_t y = decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    unsigned char point[65] = {4};

    memcpy(point + 1, x.at, 32);
    memcpy(point + 33, y.at, 32);
    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point));
    return rfc_pem("EC", builder);
}

static cs_span_t rfc_secret(void)
{
    return decoded("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
}

START_TEST(takes_the_tokens_of_the_rfc)
{
    cs_span_t (*const contents[])(void) = {rfc_secret, rfc_rsa, rfc_ec};
    const cs_key_t *key = load_key((cs_key_kind_t)_i, contents[_i]());
    cs_span_t token = span_of(rfc_tokens[_i]);

    ck_assert_int_eq(cs_jwt_verify(token, key, "joe", RFC_EXPIRES - apr_time_from_sec(1), pool), 1);
    ck_assert_int_eq(cs_jwt_verify(token, key, "joe", RFC_EXPIRES + CS_JWT_LEEWAY - 1, pool), 1);
    ck_assert_int_eq(cs_jwt_verify(token, key, "joe", RFC_EXPIRES + CS_JWT_LEEWAY, pool), 0);
    ck_assert_int_eq(cs_jwt_verify(token, key, "jim", RFC_EXPIRES - apr_time_from_sec(1), pool), 0);
    for (int kind = CS_KEY_HS256; kind <= CS_KEY_ES256; kind++)
        ck_assert_int_eq(cs_jwt_verify(token, key_of((cs_key_kind_t)kind), "joe", RFC_EXPIRES, pool), 0);
}
END_TEST

/* --- headers, each well signed with HS256 --- */

static const struct {
    cs_span_t text;
    int good;
} header_cases[] = {
    {SPAN("{\"alg\":\"HS256\"}"), 1},
    {SPAN(" {\r\n\t\"alg\" : \"HS256\" } \n"), 1},
    {SPAN("{\"\\u0061lg\":\"\\u0048S256\"}"), 1},
    {SPAN("{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"cty\":7}"), 1},
    {SPAN("{\"alg\":\"HS256\",\"typ\":\"\"}"), 1},
    {SPAN("{\"alg\":\"HS256\",\"b64\":false}"), 1},
    {SPAN("{\"kid\":{\"a\":[1,2]},\"jku\":\"https://127.0.0.1:1/\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"},\"x5u\":1,"
          "\"x5c\":[\"AA\"],\"x5t\":null,\"alg\":\"HS256\"}"),
     1},
    {SPAN("{\"alg\":\"HS256\",\"a\":{\"b\":1,\"b\":2}}"), 1},
    {SPAN("{\"alg\":\"HS256\",\"\\ud83d\\ude00\":\"\xF0\x9F\x98\x80\"}"), 1},
    /* another algorithm, or none */
    {SPAN("{\"alg\":\"none\"}"), 0},
    {SPAN("{\"alg\":\"None\"}"), 0},
    {SPAN("{\"alg\":\"NONE\"}"), 0},
    {SPAN("{\"alg\":\"nOnE\"}"), 0},
    {SPAN("{\"alg\":\"\"}"), 0},
    {SPAN("{\"alg\":\"hs256\"}"), 0},
    {SPAN("{\"alg\":\"HS256 \"}"), 0},
    {SPAN("{\"alg\":\" HS256\"}"), 0},
    {SPAN("{\"alg\":\"HS2560\"}"), 0},
    {SPAN("{\"alg\":\"HS25\"}"), 0},
    {SPAN("{\"alg\":\"HS256\\u0000\"}"), 0},
    {SPAN("{\"alg\":\"HS384\"}"), 0},
    {SPAN("{\"alg\":\"HS512\"}"), 0},
    {SPAN("{\"alg\":\"PS256\"}"), 0},
    {SPAN("{\"alg\":\"EdDSA\"}"), 0},
    {SPAN("{\"alg\":256}"), 0},
    {SPAN("{\"alg\":null}"), 0},
    {SPAN("{\"alg\":true}"), 0},
    {SPAN("{\"alg\":[\"HS256\"]}"), 0},
    {SPAN("{\"alg\":{\"alg\":\"HS256\"}}"), 0},
    {SPAN("{}"), 0},
    {SPAN("{\"typ\":\"JWT\"}"), 0},
    {SPAN("{\"Alg\":\"HS256\"}"), 0},
    {SPAN("{\"alg\\u0000\":\"HS256\"}"), 0},
    /* twice */
    {SPAN("{\"alg\":\"HS256\",\"alg\":\"HS256\"}"), 0},
    {SPAN("{\"alg\":\"none\",\"alg\":\"HS256\"}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"\\u0061lg\":\"HS256\"}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"alg\\u0000\":\"none\"}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"kid\":1,\"kid\":1}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"\\ud83d\\ude00\":1,\"\xF0\x9F\x98\x80\":1}"), 0},
    /* members that bind us */
    {SPAN("{\"alg\":\"HS256\",\"typ\":1}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"typ\":null}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"typ\":[\"JWT\"]}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"crit\":[]}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"crit\":null}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"cri\\u0074\":\"\"}"), 0},
    /* no object, no JSON */
    {SPAN("[\"alg\",\"HS256\"]"), 0},
    {SPAN("[{\"alg\":\"HS256\"}]"), 0},
    {SPAN("\"HS256\""), 0},
    {SPAN("null"), 0},
    {SPAN("1"), 0},
    {SPAN(" "), 0},
    {SPAN("HS256"), 0},
    {SPAN("{\"alg\":\"HS256\"}x"), 0},
    {SPAN("{\"alg\":\"HS256\"}{}"), 0},
    {SPAN("{\"alg\":\"HS256\"},"), 0},
    {SPAN("{\"alg\":\"HS256\"}\0"), 0},
    {SPAN("{\"alg\":\"HS256\"}\0{\"alg\":\"none\"}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"a\":\"\0\"}"), 0},
    {SPAN("\0{\"alg\":\"HS256\"}"), 0},
    {SPAN("x{\"alg\":\"HS256\"}"), 0},
    {SPAN("\xEF\xBB\xBF{\"alg\":\"HS256\"}"), 0},
    {SPAN("{\"alg\":\"HS256\""), 0},
    {SPAN("{\"alg\":\"HS256\",}"), 0},
    {SPAN("{\"alg\":\"HS256\" \"typ\":\"JWT\"}"), 0},
    {SPAN("{'alg':'HS256'}"), 0},
    {SPAN("{alg:\"HS256\"}"), 0},
    {SPAN("{\"alg\":\"HS256\"/**/}"), 0},
    {SPAN("{\"alg\":\"HS256\"}//"), 0},
    {SPAN("{\"alg\":\"HS256\",\"a\":NaN}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"a\":01}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"a\":\"\xFF\"}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"\xED\xA0\x80\":1}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"a\":\"\t\"}"), 0},
    {SPAN("{\"alg\":\"HS256\",\"a\":\"\\ud83d"), 0},
};

START_TEST(checks_the_header)
{
    const char *token = token_of(CS_KEY_HS256, header_cases[_i].text, SPAN(APP_PAYLOAD));

    ck_assert_msg(verify(token, key_of(CS_KEY_HS256)) == header_cases[_i].good, "%s", header_cases[_i].text.at);
}
END_TEST

/* --- payloads, each well signed --- */

#define WITH(members) SPAN("{" ISS "," members "}")

static const struct {
    cs_span_t text;
    int good;
} payload_cases[] = {
    {SPAN("{" ISS "}"), 1},
    {SPAN("{\"\\u0069ss\":\"\\u0074ouchwood-app\"}"), 1},
    {SPAN("\n{ " ISS " }\r\n"), 1},
    {WITH("\"sub\":1,\"aud\":[null],\"jti\":{},\"azp\":\"\\u0000\""), 1},
    {WITH("\"a\":{\"exp\":1,\"exp\":1}"), 1},
    {SPAN("{\"a\":{\"iss\":\"other\"}," ISS "}"), 1},
    /* iss */
    {SPAN("{}"), 0},
    {SPAN("{\"sub\":\"" ISSUER "\"}"), 0},
    {SPAN("{\"Iss\":\"" ISSUER "\"}"), 0},
    {SPAN("{\"iss\":\"\"}"), 0},
    {SPAN("{\"iss\":\"other\"}"), 0},
    {SPAN("{\"iss\":\"touchwood-ap\"}"), 0},
    {SPAN("{\"iss\":\"touchwood-app2\"}"), 0},
    {SPAN("{\"iss\":\"Touchwood-app\"}"), 0},
    {SPAN("{\"iss\":\"touchwood-app\\u0000\"}"), 0},
    {SPAN("{\"iss\":\"touchwood-app\\u0000x\"}"), 0},
    {SPAN("{\"iss\":\"\\u0000touchwood-app\"}"), 0},
    {SPAN("{\"iss\\u0000\":\"touchwood-app\"}"), 0},
    {SPAN("{\"iss\":1}"), 0},
    {SPAN("{\"iss\":null}"), 0},
    {SPAN("{\"iss\":[\"" ISSUER "\"]}"), 0},
    {SPAN("{\"iss\":{" ISS "}}"), 0},
    {SPAN("{\"a\":{" ISS "}}"), 0},
    /* exp: NOW is 1700000000 */
    {WITH("\"exp\":1700000001"), 1},
    {WITH("\"exp\":1700000000"), 1},
    {WITH("\"exp\":1699999941"), 1},
    {WITH("\"exp\":1699999940"), 0},
    {WITH("\"exp\":1699999939"), 0},
    {WITH("\"exp\":1699999940.000001"), 1},
    {WITH("\"exp\":1699999940.5"), 1},
    {WITH("\"exp\":1699999939.999999"), 0},
    {WITH("\"exp\":16999999405e-1"), 1},
    {WITH("\"exp\":1.699999940e9"), 0},
    {WITH("\"exp\":1.7e9"), 1},
    {WITH("\"exp\":9007199254740993"), 1},
    {WITH("\"exp\":9223372036854775807"), 1},
    {WITH("\"exp\":18446744073709551615"), 1},
    {WITH("\"exp\":99999999999999999999999999999999"), 1},
    {WITH("\"exp\":1e308"), 1},
    {WITH("\"exp\":1e400"), 1},
    {WITH("\"exp\":0"), 0},
    {WITH("\"exp\":-0"), 0},
    {WITH("\"exp\":-1"), 0},
    {WITH("\"exp\":-9223372036854775808"), 0},
    {WITH("\"exp\":-99999999999999999999999999999999"), 0},
    {WITH("\"exp\":-1e400"), 0},
    {WITH("\"exp\":1e-400"), 0},
    {WITH("\"exp\":NaN"), 0},
    {WITH("\"exp\":Infinity"), 0},
    {WITH("\"exp\":\"1700000001\""), 0},
    {WITH("\"exp\":null"), 0},
    {WITH("\"exp\":true"), 0},
    {WITH("\"exp\":[1700000001]"), 0},
    {WITH("\"exp\":{}"), 0},
    /* nbf */
    {WITH("\"nbf\":1700000000"), 1},
    {WITH("\"nbf\":1700000060"), 1},
    {WITH("\"nbf\":1700000060.000001"), 0},
    {WITH("\"nbf\":1700000061"), 0},
    {WITH("\"nbf\":1700000059.999999"), 1},
    {WITH("\"nbf\":0"), 1},
    {WITH("\"nbf\":-1"), 1},
    {WITH("\"nbf\":-1.5"), 1},
    {WITH("\"nbf\":-1e400"), 1},
    {WITH("\"nbf\":-9223372036854775809"), 1},
    {WITH("\"nbf\":1e400"), 0},
    {WITH("\"nbf\":9223372036854775807"), 0},
    {WITH("\"nbf\":18446744073709551616"), 0},
    {WITH("\"nbf\":NaN"), 0},
    {WITH("\"nbf\":-Infinity"), 0},
    {WITH("\"nbf\":\"0\""), 0},
    {WITH("\"nbf\":null"), 0},
    {WITH("\"nbf\":false"), 0},
    {WITH("\"nbf\":1700000000,\"exp\":1699999999"), 1},
    {WITH("\"nbf\":1700000061,\"exp\":1800000000"), 0},
    {WITH("\"nbf\":1600000000,\"exp\":1600000001"), 0},
    /* iat */
    {WITH("\"iat\":1700000000"), 1},
    {WITH("\"iat\":1800000000.25"), 1},
    {WITH("\"iat\":-1e400"), 1},
    {WITH("\"iat\":\"1700000000\""), 0},
    {WITH("\"iat\":null"), 0},
    {WITH("\"iat\":[]"), 0},
    /* twice */
    {SPAN("{" ISS "," ISS "}"), 0},
    {SPAN("{\"iss\":\"other\"," ISS "}"), 0},
    {SPAN("{\"i\\u0073s\":\"other\"," ISS "}"), 0},
    {WITH("\"exp\":1,\"exp\":1800000000"), 0},
    {WITH("\"exp\":1800000000,\"exp\":1800000000"), 0},
    {WITH("\"nbf\":1800000000,\"nbf\":1"), 0},
    {WITH("\"sub\":1,\"sub\":1"), 0},
    {WITH("\"\":1,\"\":1"), 0},
    {WITH("\"ex\\u0070\":1,\"exp\":1800000000"), 0},
    {WITH("\"iss\\u0000\":1"), 0},
    /* no object, no JSON */
    {SPAN("["
          "{" ISS "}"
          "]"),
     0},
    {SPAN("\"" ISSUER "\""), 0},
    {SPAN("null"), 0},
    {SPAN("{" ISS "} x"), 0},
    {SPAN("{" ISS "}{" ISS "}"), 0},
    {SPAN("{" ISS "}\0"), 0},
    {SPAN("{" ISS "\0}"), 0},
    {SPAN("\0"), 0},
    {SPAN("{" ISS ",}"), 0},
    {SPAN("{" ISS ",\"a\":1.}"), 0},
    {SPAN("{" ISS ",\"a\":\"caf\xE9\"}"), 0},
    {SPAN("{" ISS ",\"a\":\"\xC0\x80\"}"), 0},
    {SPAN("{" ISS ",\"a\":\"\n\"}"), 0},
    {SPAN("{" ISS ",'a':1}"), 0},
    {SPAN("/**/{" ISS "}"), 0},
    {SPAN("iss=" ISSUER), 0},
};

START_TEST(checks_the_payload)
{
    const char *token = token_of(CS_KEY_HS256, SPAN(APP_HEADER), payload_cases[_i].text);

    ck_assert_msg(verify(token, key_of(CS_KEY_HS256)) == payload_cases[_i].good, "%s", payload_cases[_i].text.at);
}
END_TEST

/* To the microsecond, at both ends. */
START_TEST(leeway_is_a_minute)
{
    const char *token = good_token(CS_KEY_HS256);
    const cs_key_t *key = key_of(CS_KEY_HS256);
    apr_time_t from = apr_time_from_sec(APR_INT64_C(1699999940) - 60);
    apr_time_t until = apr_time_from_sec(APR_INT64_C(1700043200) + 60);

    ck_assert_int_eq(verify_at(token, strlen(token), key, from - 1), 0);
    ck_assert_int_eq(verify_at(token, strlen(token), key, from), 1);
    ck_assert_int_eq(verify_at(token, strlen(token), key, until - 1), 1);
    ck_assert_int_eq(verify_at(token, strlen(token), key, until), 0);
}
END_TEST

/* A payload that breaks off is none, wherever it does. */
START_TEST(needs_all_of_the_objects)
{
    const cs_key_t *key = key_of(CS_KEY_HS256);

    ck_assert_int_eq(verify(good_token(CS_KEY_HS256), key), 1);
    for (apr_size_t length = 0; length < sizeof(APP_PAYLOAD) - 1; length++)
        ck_assert_int_eq(verify(token_of(CS_KEY_HS256, SPAN(APP_HEADER), (cs_span_t){APP_PAYLOAD, length}), key), 0);
    for (apr_size_t length = 0; length < sizeof(APP_HEADER) - 1; length++)
        ck_assert_int_eq(verify(token_of(CS_KEY_HS256, (cs_span_t){APP_HEADER, length}, SPAN(APP_PAYLOAD)), key), 0);
}
END_TEST

/* --- limits --- */

/* A good HS256 token of `length` characters. */
static const char *token_of_length(apr_size_t length)
{
    for (apr_size_t letters = length / 4 * 3 - 120;; letters++) {
        char *text = apr_pcalloc(pool, letters + 1);
        const char *token;
        memset(text, 'x', letters);
        token = token_of(CS_KEY_HS256, SPAN(APP_HEADER),
                         span_of(apr_pstrcat(pool, "{" ISS ",\"a\":\"", text, "\"}", NULL)));
        if (strlen(token) >= length) {
            ck_assert_uint_eq(strlen(token), length);
            return token;
        }
    }
}

START_TEST(takes_8_kib)
{
    const cs_key_t *key = key_of(CS_KEY_HS256);
    char *dots = apr_palloc(pool, CS_JWT_MOST);

    ck_assert_int_eq(verify(token_of_length(8192), key), 1);
    ck_assert_int_eq(verify(token_of_length(8193), key), 0);
    for (int c = 0; c < 256; c++) {
        memset(dots, c, CS_JWT_MOST);
        ck_assert_int_eq(verify_at(dots, CS_JWT_MOST, key, NOW), 0);
    }
}
END_TEST

START_TEST(deep_objects_are_refused)
{
    const cs_key_t *key = key_of(CS_KEY_HS256);
    char deep[5001];

    for (apr_size_t depth = 1; depth <= 2500; depth += 2499) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        deep[2 * depth] = '\0';
        ck_assert_int_eq(verify(token_of(CS_KEY_HS256, SPAN(APP_HEADER),
                                         span_of(apr_pstrcat(pool, "{" ISS ",\"a\":", deep, "}", NULL))),
                                key),
                         depth == 1);
    }
}
END_TEST

/* --- many at once --- */

typedef struct work_t {
    const cs_key_t *key;
    cs_span_t good, bad;
    int right;
} work_t;

static void *verify_many(void *data)
{
    work_t *work = data;
    apr_pool_t *mine = cs_sender_pool(); /* the tests' one is not for two threads */

    for (int i = 0; i < 50; i++) {
        work->right += cs_jwt_verify(work->good, work->key, ISSUER, NOW, mine);
        work->right += !cs_jwt_verify(work->bad, work->key, ISSUER, NOW, mine);
    }
    work->right += ERR_peek_error() == 0;
    apr_pool_destroy(mine);
    return NULL;
}

START_TEST(one_key_serves_many_threads)
{
    cs_key_kind_t kind = (cs_key_kind_t)_i;
    const cs_key_t *key = key_of(kind);
    cs_span_t good = span_of(good_token(kind));
    char *bad = apr_pstrdup(pool, good.at);
    work_t works[4];
    pthread_t threads[4];

    bad[good.length - 10] = bad[good.length - 10] == 'A' ? 'B' : 'A';
    for (int i = 0; i < 4; i++) {
        works[i] = (work_t){.key = key, .good = good, .bad = span_of(bad)};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, verify_many, &works[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(works[i].right, 101);
    }
}
END_TEST

/* What stood in OpenSSL's queue before is somebody else's. */
START_TEST(leaves_errors_alone)
{
    unsigned long before;
    char *token = apr_pstrdup(pool, good_token((cs_key_kind_t)_i));
    const cs_key_t *key = key_of((cs_key_kind_t)_i);

    token[strlen(token) - 10] ^= 1;
    ERR_raise(ERR_LIB_USER, 1);
    before = ERR_peek_last_error();
    ck_assert_int_eq(cs_jwt_verify(span_of(token), key, ISSUER, NOW, pool), 0);
    ck_assert_uint_eq(ERR_get_error(), before);
    ck_assert_uint_eq(ERR_get_error(), 0);
}
END_TEST

Suite *jwt_suite(void)
{
    Suite *suite = suite_create("jwt");
    TCase *tests = test_case("jwt");

    tcase_set_timeout(tests, 60); /* for valgrind */
    tcase_add_unchecked_fixture(tests, make_keys, free_keys);
    tcase_add_loop_test(tests, takes_a_good_token, 0, CS_KEY_ES256 + 1);
    tcase_add_test(tests, issuer_must_be_the_client);
    tcase_add_loop_test(tests, takes_the_tokens_of_the_rfc, 0, CS_KEY_ES256 + 1);
    tcase_add_loop_test(tests, checks_the_header, 0, ELEMENTS(header_cases));
    tcase_add_loop_test(tests, checks_the_payload, 0, ELEMENTS(payload_cases));
    tcase_add_test(tests, leeway_is_a_minute);
    tcase_add_test(tests, needs_all_of_the_objects);
    tcase_add_test(tests, takes_8_kib);
    tcase_add_test(tests, deep_objects_are_refused);
    tcase_add_loop_test(tests, one_key_serves_many_threads, 0, CS_KEY_ES256 + 1);
    tcase_add_loop_test(tests, leaves_errors_alone, 0, CS_KEY_ES256 + 1);
    suite_add_tcase(suite, tests);
    return suite;
}
