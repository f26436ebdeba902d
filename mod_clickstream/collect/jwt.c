/* A client's token: a signed JWT.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/jwt.h"

#include <apr_encode.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "collect/json.h"

#define DIGEST 32
#define ES256_HALF 32 /* of a signature, r or s; RFC 7518, section 3.4 */

/* --- the three parts --- */

enum { HEADER, PAYLOAD, SIGNATURE, PARTS };

static int split(cs_span_t parts[PARTS], cs_span_t token)
{
    const char *at = token.at, *end = token.at + token.length;

    for (int i = 0; i < PARTS; i++) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        if ((dot == NULL) != (i == PARTS - 1))
            return 0;
        parts[i] = (cs_span_t){at, (apr_size_t)((dot ? dot : end) - at)};
        at = dot ? dot + 1 : end;
    }
    return 1;
}

/* base64url. APR's decoder takes other forms as well ('+', '/', '=', any bits after the last byte); encoding what it
 * made gives the one form that RFC 7515 has. */
static int decode(cs_span_t *bytes, unsigned char *to, cs_span_t part)
{
    char again[CS_JWT_MOST + 1]; /* with its NUL */
    apr_size_t length, size;

    if (apr_decode_base64_binary(to, part.at, (apr_ssize_t)part.length, APR_ENCODE_NONE, &length))
        return 0;
    if (apr_encode_base64_binary(again, to, (apr_ssize_t)length, APR_ENCODE_BASE64URL, &size))
        return 0;
    *bytes = (cs_span_t){(const char *)to, length};
    return size == part.length && memcmp(again, part.at, size) == 0;
}

/* --- an object --- */

/* The members of a JSON object. 0 where the text is none, or a name is not to be trusted: it is there twice, or has a
 * NUL in it. */
static int read_object(apr_array_header_t *members, cs_span_t text, apr_pool_t *pool)
{
    const char *end = text.at + text.length;
    cs_json_t json;

    return cs_json_object(members, &json, text.at, end, pool) &&
           cs_json_skip_space(json.text.at + json.text.length, end) == end && !cs_json_nul(members) &&
           !cs_json_unite(members, pool);
}

static const cs_json_t *find(const apr_array_header_t *members, const char *name)
{
    return cs_json_find((const cs_member_t *)(const void *)members->elts, members->nelts, name);
}

static int is_string(const cs_json_t *value)
{
    return cs_json_kind(value->text) == CS_JSON_STRING;
}

static int says(const cs_json_t *value, const char *expected, apr_pool_t *pool)
{
    cs_span_t text;

    if (!value || !is_string(value))
        return 0;
    text = cs_json_string(value->text, pool);
    return text.length == strlen(expected) && memcmp(text.at, expected, text.length) == 0;
}

/* --- the header --- */

static int is_header_for(cs_span_t text, cs_key_kind_t kind, apr_pool_t *pool)
{
    static const char *const names[] = {[CS_KEY_HS256] = "HS256", [CS_KEY_RS256] = "RS256", [CS_KEY_ES256] = "ES256"};
    apr_array_header_t *header = apr_array_make(pool, 4, sizeof(cs_member_t));
    const cs_json_t *type;

    if (!read_object(header, text, pool) || !says(find(header, "alg"), names[kind], pool))
        return 0;
    type = find(header, "typ");
    return (!type || is_string(type)) && !find(header, "crit"); /* we understand no extension */
}

/* --- the signature --- */

static int verify_hs256(const cs_key_t *key, cs_span_t text, cs_span_t signature)
{
    cs_span_t secret = cs_key_bytes(key);
    unsigned char digest[DIGEST];

    if (signature.length != DIGEST ||
        !HMAC(EVP_sha256(), secret.at, (int)secret.length, (const unsigned char *)text.at, text.length, digest, NULL))
        return 0;
    return CRYPTO_memcmp(digest, signature.at, DIGEST) == 0;
}

/* For an RSA key the padding is PKCS#1 v1.5 where nothing else is asked for; for an EC key the signature is in DER. */
static int verify_pkey(const cs_key_t *key, cs_span_t text, cs_span_t signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int good = context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, cs_key_pkey(key)) == 1 &&
               EVP_DigestVerify(context, (const unsigned char *)signature.at, signature.length,
                                (const unsigned char *)text.at, text.length) == 1;

    EVP_MD_CTX_free(context);
    return good;
}

/* The token has r and s side by side. That each is within the curve's order is OpenSSL's to check. */
static int verify_es256(const cs_key_t *key, cs_span_t text, cs_span_t signature)
{
    const unsigned char *bytes = (const unsigned char *)signature.at;
    unsigned char *der = NULL;
    BIGNUM *r, *s;
    ECDSA_SIG *pair;
    int length = 0;

    if (signature.length != 2 * ES256_HALF)
        return 0;
    r = BN_bin2bn(bytes, ES256_HALF, NULL);
    s = BN_bin2bn(bytes + ES256_HALF, ES256_HALF, NULL);
    pair = ECDSA_SIG_new();
    if (pair && ECDSA_SIG_set0(pair, r, s))
        length = i2d_ECDSA_SIG(pair, &der);
    else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(pair);
    if (length > 0)
        length = verify_pkey(key, text, (cs_span_t){(const char *)der, (apr_size_t)length});
    OPENSSL_free(der);
    return length > 0;
}

static int is_signed(cs_span_t text, cs_span_t signature, const cs_key_t *key)
{
    static int (*const verify[])(const cs_key_t *, cs_span_t, cs_span_t) = {
        [CS_KEY_HS256] = verify_hs256, [CS_KEY_RS256] = verify_pkey, [CS_KEY_ES256] = verify_es256};
    int good;

    ERR_set_mark(); /* a bad signature is no error of httpd's TLS, which reads the same queue */
    good = verify[cs_key_kind(key)](key, text, signature);
    ERR_pop_to_mark();
    return good;
}

/* --- the payload --- */

/* A member that may be missing (then `*at` stays), but if not, is a number of seconds. `*at` is in microseconds: a
 * double has those exactly until the year 2255, and whatever a client writes, it becomes no more than infinite. */
static int read_time(double *at, const apr_array_header_t *payload, const char *name)
{
    const cs_json_t *value = find(payload, name);
    cs_json_kind_t kind;

    if (!value)
        return 1;
    kind = cs_json_kind(value->text);
    if (kind != CS_JSON_INTEGER && kind != CS_JSON_DECIMAL)
        return 0;
    *at = cs_json_number(value->text) * APR_USEC_PER_SEC;
    return 1;
}

static int is_payload_of(cs_span_t text, const char *issuer, apr_time_t now, apr_pool_t *pool)
{
    apr_array_header_t *payload = apr_array_make(pool, 8, sizeof(cs_member_t));
    double at = (double)now, leeway = (double)CS_JWT_LEEWAY, from = at, until = at, issued;

    return read_object(payload, text, pool) && says(find(payload, "iss"), issuer, pool) &&
           read_time(&until, payload, "exp") && read_time(&from, payload, "nbf") &&
           read_time(&issued, payload, "iat") && at < until + leeway && at >= from - leeway;
}

int cs_jwt_verify(cs_span_t token, const cs_key_t *key, const char *issuer, apr_time_t now, apr_pool_t *pool)
{
    unsigned char bytes[CS_JWT_MOST], *to = bytes;
    cs_span_t parts[PARTS], decoded[PARTS], text;

    if (token.length > CS_JWT_MOST || !split(parts, token))
        return 0;
    for (int i = 0; i < PARTS; i++) {
        if (!decode(&decoded[i], to, parts[i]))
            return 0;
        to += decoded[i].length;
    }
    text = (cs_span_t){token.at, (apr_size_t)(parts[SIGNATURE].at - 1 - token.at)};
    return is_header_for(decoded[HEADER], cs_key_kind(key), pool) && is_signed(text, decoded[SIGNATURE], key) &&
           is_payload_of(decoded[PAYLOAD], issuer, now, pool);
}
