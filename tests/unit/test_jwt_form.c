/* Tokens: the algorithm, the signature, and the one form that there is, character by character.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "token.h"

/* --- which algorithm: the key's, never the token's --- */

START_TEST(key_decides_the_algorithm)
{
    for (int kind = CS_KEY_HS256; kind <= CS_KEY_ES256; kind++) {
        const cs_key_t *key = key_of((cs_key_kind_t)kind);
        for (int says = CS_KEY_HS256; says <= CS_KEY_ES256; says++) {
            for (int signer = CS_KEY_HS256; signer <= CS_KEY_ES256; signer++) {
                const char *token = token_of((cs_key_kind_t)signer, span_of(headers[says]), SPAN(APP_PAYLOAD));
                ck_assert_int_eq(verify(token, key), says == kind && signer == kind);
            }
        }
    }
}
END_TEST

/* The public key as a secret: its PEM text, with and without the last newline, and its DER form. */
START_TEST(public_key_is_no_secret)
{
    for (int kind = CS_KEY_RS256; kind <= CS_KEY_ES256; kind++) {
        const cs_key_t *key = key_of((cs_key_kind_t)kind);
        cs_span_t pem = span_of(key_files[kind]), texts[3] = {pem, {pem.at, pem.length - 1}};
        unsigned char *der = NULL;
        texts[2] = (cs_span_t){NULL, (apr_size_t)i2d_PUBKEY(private_keys[kind], &der)};
        texts[2].at = (const char *)der;
        for (int i = 0; i < ELEMENTS(texts); i++) {
            for (int says = CS_KEY_HS256; says <= CS_KEY_ES256; says++) {
                const char *input = signing_input(span_of(headers[says]), SPAN(APP_PAYLOAD));
                ck_assert_int_eq(verify(with_signature(input, hs256(texts[i], input)), key), 0);
            }
        }
        OPENSSL_free(der);
    }
}
END_TEST

START_TEST(none_needs_more_than_no_signature)
{
    static const char *const algs[] = {"none", "None", "NONE", "", "HS256", "RS256", "ES256"};

    for (int kind = CS_KEY_HS256; kind <= CS_KEY_ES256; kind++) {
        const cs_key_t *key = key_of((cs_key_kind_t)kind);
        for (int i = 0; i < ELEMENTS(algs); i++) {
            const char *header = apr_pstrcat(pool, "{\"alg\":\"", algs[i], "\"}", NULL);
            const char *input = signing_input(span_of(header), SPAN(APP_PAYLOAD));
            ck_assert_int_eq(verify(input, key), 0);
            ck_assert_int_eq(verify(apr_pstrcat(pool, input, ".", NULL), key), 0);
            ck_assert_int_eq(verify(with_signature(input, SPAN("\0")), key), 0);
        }
    }
}
END_TEST

START_TEST(another_key_does_not_verify)
{
    EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048),
             *ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    char *pems[] = {strdup("a secret of more than thirty-two bytez"), pem_of(rsa), pem_of(ec)};

    for (int kind = CS_KEY_HS256; kind <= CS_KEY_ES256; kind++) {
        ck_assert_int_eq(verify(good_token((cs_key_kind_t)kind), load_key((cs_key_kind_t)kind, span_of(pems[kind]))),
                         0);
        free(pems[kind]);
    }
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}
END_TEST

/* --- the signature --- */

/* Cut, extended, in another place, or with one bit changed. */
START_TEST(needs_all_of_the_signature)
{
    cs_key_kind_t kind = (cs_key_kind_t)_i;
    const cs_key_t *key = key_of(kind);
    const char *input = signing_input(span_of(headers[kind]), SPAN(APP_PAYLOAD));
    cs_span_t signature = sign(kind, input);
    char *bytes = apr_pcalloc(pool, 2 * signature.length + 2);

    memcpy(bytes + 1, signature.at, signature.length);
    ck_assert_int_eq(verify(with_signature(input, (cs_span_t){bytes + 1, signature.length}), key), 1);
    for (apr_size_t length = 0; length < signature.length; length++)
        ck_assert_int_eq(verify(with_signature(input, (cs_span_t){bytes + 1, length}), key), 0);
    ck_assert_int_eq(verify(with_signature(input, (cs_span_t){bytes + 1, signature.length + 1}), key), 0);
    ck_assert_int_eq(verify(with_signature(input, (cs_span_t){bytes + 1, 2 * signature.length}), key), 0);
    ck_assert_int_eq(verify(with_signature(input, (cs_span_t){bytes, signature.length}), key), 0);
    ck_assert_int_eq(verify(with_signature(input, (cs_span_t){bytes, signature.length + 1}), key), 0);
    for (apr_size_t bit = 0; bit < 8 * signature.length; bit++) {
        bytes[1 + bit / 8] = (char)(bytes[1 + bit / 8] ^ (1 << bit % 8));
        ck_assert_int_eq(verify(with_signature(input, (cs_span_t){bytes + 1, signature.length}), key), 0);
        bytes[1 + bit / 8] = (char)(bytes[1 + bit / 8] ^ (1 << bit % 8));
    }
}
END_TEST

/* ES256 has one form of signature, and it is not OpenSSL's own. */
START_TEST(der_is_no_es256)
{
    const cs_key_t *key = key_of(CS_KEY_ES256);
    const char *input = signing_input(span_of(headers[CS_KEY_ES256]), SPAN(APP_PAYLOAD));
    cs_span_t der = digest_sign(private_keys[CS_KEY_ES256], input);

    ck_assert_int_eq(verify(with_signature(input, der), key), 0);
    ck_assert_int_eq(verify(with_signature(input, raw_of(der)), key), 1);
}
END_TEST

/* The order of P-256's group, and one less: SEC 2, section 2.4.2. */
#define ORDER                                                                                                          \
    "\xFF\xFF\xFF\xFF\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xBC\xE6\xFA\xAD\xA7\x17\x9E\x84\xF3\xB9\xCA\xC2\xFC\x63" \
    "\x25"

START_TEST(es256_has_numbers_within_the_order)
{
    static const char zero[32], order[32] = ORDER "\x51", less[32] = ORDER "\x50";
    static const char one[32] = {[31] = 1};
    static const char most[] = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
                               "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
    const char *const numbers[] = {zero, order, most, one, less, NULL}; /* NULL: the good one */
    const cs_key_t *key = key_of(CS_KEY_ES256);
    const char *input = signing_input(span_of(headers[CS_KEY_ES256]), SPAN(APP_PAYLOAD));
    cs_span_t good = sign(CS_KEY_ES256, input);
    char both[64];

    for (int r = 0; r < ELEMENTS(numbers); r++) {
        for (int s = 0; s < ELEMENTS(numbers); s++) {
            memcpy(both, numbers[r] ? numbers[r] : good.at, 32);
            memcpy(both + 32, numbers[s] ? numbers[s] : good.at + 32, 32);
            ck_assert_int_eq(verify(with_signature(input, (cs_span_t){both, 64}), key), !numbers[r] && !numbers[s]);
        }
    }
}
END_TEST

/* The same key with the other padding makes PS256, another algorithm. */
START_TEST(pss_is_no_rs256)
{
    const char *input = signing_input(span_of(headers[CS_KEY_RS256]), SPAN(APP_PAYLOAD));
    unsigned char signature[256];
    size_t length = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding;

    ck_assert_int_eq(EVP_DigestSignInit(context, &padding, EVP_sha256(), NULL, private_keys[CS_KEY_RS256]), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING), 1);
    ck_assert_int_eq(EVP_DigestSign(context, signature, &length, (const unsigned char *)input, strlen(input)), 1);
    EVP_MD_CTX_free(context);
    ck_assert_int_eq(verify(with_signature(input, (cs_span_t){(char *)signature, length}), key_of(CS_KEY_RS256)), 0);
}
END_TEST

/* --- the form --- */

/* The pieces of a good token, put together in the right way and in others; %1 to %3 are header, payload, signature. */
#define RIGHT_FORM "%1.%2.%3"
static const char *const wrong_forms[] = {"",
                                          ".",
                                          "..",
                                          "...",
                                          "%1",
                                          "%1.",
                                          "%1.%2",
                                          "%1.%2.",
                                          "%1..%3",
                                          ".%2.%3",
                                          "%1..",
                                          "..%3",
                                          ".%2.",
                                          "%1%2%3",
                                          "%1%2.%3",
                                          "%1.%2%3",
                                          "%1.%2.%3.",
                                          ".%1.%2.%3",
                                          "%1..%2.%3",
                                          "%1.%2..%3",
                                          "%1.%2.%3.%3",
                                          "%1.%2.%3.%1.%2",
                                          "%2.%1.%3",
                                          "%1.%1.%3",
                                          "%2.%2.%3",
                                          "%1.%2.%2",
                                          "%1 .%2.%3",
                                          "%1. %2.%3",
                                          " %1.%2.%3",
                                          "%1.%2.%3 ",
                                          "%1.%2.%3\n",
                                          "%1.%2.%3\r\n",
                                          "%1.\n%2.%3",
                                          "%1.%2.%3=",
                                          "%1.%2.%3==",
                                          "%1=.%2.%3",
                                          "%1.%2=.%3",
                                          "%1.%2==.%3",
                                          "%1.%2.=%3",
                                          "%1.%2.%3A",
                                          "A%1.%2.%3",
                                          "%1.%2.%3%3",
                                          "%1:%2:%3",
                                          "Bearer %1.%2.%3",
                                          "\"%1.%2.%3\"",
                                          "%1,%2,%3",
                                          "%1.%2.%3,",
                                          "%1.%2.%3?",
                                          "%1.%2.%3+",
                                          "%1.%2.%3/",
                                          "%1%.%2.%3"};

static const char *put_together(const char *form, char *const parts[3])
{
    const char *token = "";

    for (; *form; form++) {
        if (*form == '%' && form[1] >= '1' && form[1] <= '3')
            token = apr_pstrcat(pool, token, parts[*++form - '1'], NULL);
        else
            token = apr_psprintf(pool, "%s%c", token, *form);
    }
    return token;
}

START_TEST(has_one_form)
{
    for (int kind = CS_KEY_HS256; kind <= CS_KEY_ES256; kind++) {
        const cs_key_t *key = key_of((cs_key_kind_t)kind);
        char *parts[3], *rest = apr_pstrdup(pool, good_token((cs_key_kind_t)kind));
        for (int i = 0; i < 3; i++)
            parts[i] = apr_strtok(i ? NULL : rest, ".", &rest);
        ck_assert_int_eq(verify(put_together(RIGHT_FORM, parts), key), 1);
        for (int i = 0; i < ELEMENTS(wrong_forms); i++)
            ck_assert_msg(verify(put_together(wrong_forms[i], parts), key) == 0, "%s", wrong_forms[i]);
    }
}
END_TEST

START_TEST(nul_ends_no_token)
{
    const char *token = good_token(CS_KEY_HS256);
    const cs_key_t *key = key_of(CS_KEY_HS256);
    apr_size_t length = strlen(token);
    char *with_nul = apr_pstrmemdup(pool, token, length + 1);

    ck_assert_int_eq(verify_at(token, length, key, NOW), 1);
    ck_assert_int_eq(verify_at(token, length + 1, key, NOW), 0);
    for (apr_size_t at = 0; at < length; at++) {
        with_nul[at] = '\0';
        ck_assert_int_eq(verify_at(with_nul, length, key, NOW), 0);
        with_nul[at] = token[at];
    }
}
END_TEST

/* '+' and '/' stand for the same bits as '-' and '_', and are signed here as they stand. */
START_TEST(plain_base64_is_not_base64url)
{
    static const char *const payload = "{" ISS ",\"a\":\"~~~???\xC3\xBF\xC3\xBE>>>\"}";
    const cs_key_t *key = key_of(CS_KEY_HS256);
    int differ = 0;

    for (int spaces = 0; spaces < 3; spaces++) {
        cs_span_t text = span_of(apr_psprintf(pool, "%*s%s", spaces, "", payload));
        char *encoded = apr_pstrdup(pool, base64url(text));
        const char *input = signing_input(SPAN(APP_HEADER), text);
        ck_assert_int_eq(verify(with_signature(input, sign(CS_KEY_HS256, input)), key), 1);
        for (char *c = encoded; *c; c++) {
            if (*c != '-' && *c != '_')
                continue;
            *c = *c == '-' ? '+' : '/';
            input = apr_pstrcat(pool, base64url(SPAN(APP_HEADER)), ".", encoded, NULL);
            ck_assert_int_eq(verify(with_signature(input, sign(CS_KEY_HS256, input)), key), 0);
            *c = *c == '+' ? '-' : '_';
            differ++;
        }
    }
    ck_assert_int_gt(differ, 3);
}
END_TEST

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* A part's last character has bits that no byte has a place for: a decoder that is not strict takes 4 or 16 characters
 * for the same. Header and payload are signed here as they stand. */
START_TEST(bits_behind_the_end_are_zero)
{
    const cs_key_t *key = key_of(CS_KEY_HS256);
    int differ = 0;

    for (int spaces = 0; spaces < 3; spaces++) {
        const char *blank = apr_psprintf(pool, "%*s", spaces, "");
        char *parts[] = {apr_pstrdup(pool, base64url(span_of(apr_pstrcat(pool, APP_HEADER, blank, NULL)))),
                         apr_pstrdup(pool, base64url(span_of(apr_pstrcat(pool, APP_PAYLOAD, blank, NULL))))};
        for (int i = 0; i < 2; i++) {
            size_t length = strlen(parts[i]);
            char *last = parts[i] + length - 1, right = *last;
            int alike = length % 4 == 2 ? 16 : length % 4 == 3 ? 4 : 1;
            for (int bits = 0; bits < alike; bits++) {
                const char *input;
                *last = strchr(ALPHABET, right)[bits];
                input = apr_pstrcat(pool, parts[0], ".", parts[1], NULL);
                ck_assert_int_eq(verify(with_signature(input, sign(CS_KEY_HS256, input)), key), bits == 0);
                differ += bits > 0;
            }
            *last = right;
        }
    }
    ck_assert_int_eq(differ, 2 * (15 + 3));
}
END_TEST

/* Each character of a good token, replaced by each other byte: of the signature's last character, some bits mean
 * nothing to a decoder that is not strict. */
START_TEST(no_character_may_change)
{
    cs_key_kind_t kind = (cs_key_kind_t)_i;
    int step = kind == CS_KEY_HS256 ? 1 : 37; /* the others take their time */
    const cs_key_t *key = key_of(kind);
    char *token = apr_pstrdup(pool, good_token(kind));
    apr_size_t length = strlen(token);

    ck_assert_int_eq(verify(token, key), 1);
    for (apr_size_t at = 0; at < length; at++) {
        int all = at + 2 >= length || token[at + 1] == '.';
        char right = token[at];
        for (int change = 1; change < 256; change += all ? 1 : step) {
            token[at] = (char)(right ^ change);
            ck_assert_msg(verify_at(token, length, key, NOW) == 0, "%d in place of %d at %d", token[at], right,
                          (int)at);
        }
        token[at] = right;
    }
    ck_assert_int_eq(verify(token, key), 1);
}
END_TEST

/* Nor may one be missing, or be there twice. */
START_TEST(no_character_may_go_or_come)
{
    cs_key_kind_t kind = (cs_key_kind_t)_i;
    const cs_key_t *key = key_of(kind);
    const char *token = good_token(kind);

    for (const char *at = token; *at; at++) {
        const char *before = apr_pstrmemdup(pool, token, (apr_size_t)(at - token));
        ck_assert_int_eq(verify(before, key), 0);
        ck_assert_int_eq(verify(apr_pstrcat(pool, before, at + 1, NULL), key), 0);
        ck_assert_int_eq(verify(apr_psprintf(pool, "%s%c%s", before, *at, at), key), 0);
    }
}
END_TEST

Suite *jwt_form_suite(void)
{
    Suite *suite = suite_create("jwt_form");
    TCase *tests = test_case("jwt_form");

    tcase_set_timeout(tests, 60); /* for valgrind */
    tcase_add_unchecked_fixture(tests, make_keys, free_keys);
    tcase_add_test(tests, key_decides_the_algorithm);
    tcase_add_test(tests, public_key_is_no_secret);
    tcase_add_test(tests, none_needs_more_than_no_signature);
    tcase_add_test(tests, another_key_does_not_verify);
    tcase_add_loop_test(tests, needs_all_of_the_signature, 0, CS_KEY_ES256 + 1);
    tcase_add_test(tests, der_is_no_es256);
    tcase_add_test(tests, es256_has_numbers_within_the_order);
    tcase_add_test(tests, pss_is_no_rs256);
    tcase_add_test(tests, has_one_form);
    tcase_add_test(tests, nul_ends_no_token);
    tcase_add_test(tests, plain_base64_is_not_base64url);
    tcase_add_test(tests, bits_behind_the_end_are_zero);
    tcase_add_loop_test(tests, no_character_may_change, 0, CS_KEY_ES256 + 1);
    tcase_add_loop_test(tests, no_character_may_go_or_come, 0, CS_KEY_ES256 + 1);
    suite_add_tcase(suite, tests);
    return suite;
}
