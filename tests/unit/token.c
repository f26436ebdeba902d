/* Tokens for the tests, signed here.
 * SPDX-License-Identifier: Apache-2.0 */
#include "token.h"

#include <apr_encode.h>
#include <apr_file_io.h>
#include <apr_strings.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define SECRET "a secret of more than thirty-two bytes"

EVP_PKEY *private_keys[CS_KEY_ES256 + 1];
char *key_files[CS_KEY_ES256 + 1];

char *pem_of(EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes, *text;
    long length;

    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pkey), 1);
    length = BIO_get_mem_data(bio, &bytes);
    text = strndup(bytes, (size_t)length);
    BIO_free(bio);
    return text;
}

void make_keys(void)
{
    private_keys[CS_KEY_RS256] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    private_keys[CS_KEY_ES256] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    key_files[CS_KEY_HS256] = strdup(SECRET);
    key_files[CS_KEY_RS256] = pem_of(private_keys[CS_KEY_RS256]);
    key_files[CS_KEY_ES256] = pem_of(private_keys[CS_KEY_ES256]);
}

void free_keys(void)
{
    for (int kind = CS_KEY_HS256; kind <= CS_KEY_ES256; kind++) {
        EVP_PKEY_free(private_keys[kind]);
        free(key_files[kind]);
    }
}

const cs_key_t *load_key(cs_key_kind_t kind, cs_span_t content)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/key", NULL), *error;
    cs_key_t *key = NULL;
    apr_file_t *file;

    ck_assert_int_eq(apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE, APR_FPROT_OS_DEFAULT, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(apr_file_write_full(file, content.at, content.length, NULL), APR_SUCCESS);
    ck_assert_int_eq(apr_file_close(file), APR_SUCCESS);
    error = kind == CS_KEY_HS256 ? cs_key_secret(&key, path, pool) : cs_key_public(&key, path, pool);
    ck_assert_msg(error == NULL, "%s", error);
    ck_assert_int_eq(cs_key_kind(key), kind);
    return key;
}

const cs_key_t *key_of(cs_key_kind_t kind)
{
    return load_key(kind, (cs_span_t){key_files[kind], strlen(key_files[kind])});
}

cs_span_t span_of(const char *text)
{
    return (cs_span_t){text, strlen(text)};
}

const char *base64url(cs_span_t bytes)
{
    return apr_pencode_base64_binary(pool, (const unsigned char *)bytes.at, (apr_ssize_t)bytes.length,
                                     APR_ENCODE_BASE64URL, NULL);
}

cs_span_t hs256(cs_span_t secret, const char *text)
{
    unsigned char *digest = apr_palloc(pool, EVP_MAX_MD_SIZE);
    unsigned length;

    ck_assert_ptr_nonnull(
        HMAC(EVP_sha256(), secret.at, (int)secret.length, (const unsigned char *)text, strlen(text), digest, &length));
    return (cs_span_t){(const char *)digest, length};
}

cs_span_t digest_sign(EVP_PKEY *pkey, const char *text)
{
    size_t length = 512;
    unsigned char *signature = apr_palloc(pool, length);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    ck_assert_int_eq(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey), 1);
    ck_assert_int_eq(EVP_DigestSign(context, signature, &length, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(context);
    return (cs_span_t){(const char *)signature, length};
}

cs_span_t raw_of(cs_span_t der)
{
    const unsigned char *at = (const unsigned char *)der.at;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der.length);
    unsigned char *raw = apr_palloc(pool, 64);

    ck_assert_ptr_nonnull(pair);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 32), 32);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 32, 32), 32);
    ECDSA_SIG_free(pair);
    return (cs_span_t){(const char *)raw, 64};
}

cs_span_t sign(cs_key_kind_t kind, const char *text)
{
    if (kind == CS_KEY_HS256)
        return hs256(SPAN(SECRET), text);
    if (kind == CS_KEY_RS256)
        return digest_sign(private_keys[kind], text);
    return raw_of(digest_sign(private_keys[kind], text));
}

const char *signing_input(cs_span_t header, cs_span_t payload)
{
    return apr_pstrcat(pool, base64url(header), ".", base64url(payload), NULL);
}

const char *with_signature(const char *input, cs_span_t signature)
{
    return apr_pstrcat(pool, input, ".", base64url(signature), NULL);
}

const char *token_of(cs_key_kind_t kind, cs_span_t header, cs_span_t payload)
{
    const char *input = signing_input(header, payload);

    return with_signature(input, sign(kind, input));
}

const char *const headers[CS_KEY_ES256 + 1] = {[CS_KEY_HS256] = APP_HEADER,
                                               [CS_KEY_RS256] = "{\"alg\":\"RS256\"}",
                                               [CS_KEY_ES256] = "{\"typ\":\"JWT\",\"alg\":\"ES256\",\"kid\":\"1\"}"};

const char *good_token(cs_key_kind_t kind)
{
    return token_of(kind, span_of(headers[kind]), SPAN(APP_PAYLOAD));
}

int verify_at(const char *token, apr_size_t length, const cs_key_t *key, apr_time_t now)
{
    char *exact = malloc(length); /* not from the pool: nothing may be read behind it */
    int good;

    memcpy(exact, token, length);
    good = cs_jwt_verify((cs_span_t){exact, length}, key, ISSUER, now, pool);
    free(exact);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    return good;
}

int verify(const char *token, const cs_key_t *key)
{
    return verify_at(token, strlen(token), key, NOW);
}
