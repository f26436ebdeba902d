/* A client's token: a signed JWT.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/jwt.h"

#include <apr_encode.h>
#include <json-c/json.h>
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

/* json-c has taken the text: what is left to see is what it forgives, and what it does not tell. */
static int is_strict(struct json_object *object, cs_span_t text)
{
    const char *end = text.at + text.length, *cursor = NULL;
    cs_json_t json, value;
    cs_span_t name;
    int count = 0;

    if (!json_object_is_type(object, json_type_object) || !cs_json_measure(&json, text.at, end))
        return 0;
    for (; cs_json_next(&name, &value, &cursor, &json); count++) {
        if (cs_json_has_nul(name))
            return 0;
    }
    return count == json_object_object_length(object); /* fewer where a name is there twice */
}

/* Parses a JSON object, which is to be put; NULL where the text is none. The tokener is a new one each time, because
 * json_tokener_reset() keeps half a surrogate pair. */
static struct json_object *parse(cs_span_t text)
{
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *object;
    int good;

    if (!tokener)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    object = json_tokener_parse_ex(tokener, text.at, (int)text.length);
    /* A NUL is the end of the text to json-c, wherever it stands: then it has not come to ours. */
    good = json_tokener_get_error(tokener) == json_tokener_success &&
           json_tokener_get_parse_end(tokener) == text.length && is_strict(object, text);
    json_tokener_free(tokener);
    if (good)
        return object;
    json_object_put(object);
    return NULL;
}

static int is_string(struct json_object *value, const char *text)
{
    size_t length = strlen(text);

    return json_object_is_type(value, json_type_string) && (size_t)json_object_get_string_len(value) == length &&
           memcmp(json_object_get_string(value), text, length) == 0;
}

/* --- the header --- */

static int is_header_for(cs_span_t text, cs_key_kind_t kind)
{
    static const char *const names[] = {[CS_KEY_HS256] = "HS256", [CS_KEY_RS256] = "RS256", [CS_KEY_ES256] = "ES256"};
    struct json_object *header = parse(text), *value;
    int good = header && json_object_object_get_ex(header, "alg", &value) && is_string(value, names[kind]);

    if (good && json_object_object_get_ex(header, "typ", &value))
        good = json_object_is_type(value, json_type_string);
    if (good && json_object_object_get_ex(header, "crit", NULL)) /* we understand no extension */
        good = 0;
    json_object_put(header);
    return good;
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
static int read_time(double *at, struct json_object *payload, const char *name)
{
    struct json_object *value;

    if (!json_object_object_get_ex(payload, name, &value))
        return 1;
    if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
        return 0;
    *at = json_object_get_double(value) * APR_USEC_PER_SEC;
    return 1;
}

static int is_payload_of(cs_span_t text, const char *issuer, apr_time_t now)
{
    struct json_object *payload = parse(text), *value;
    double at = (double)now, leeway = (double)CS_JWT_LEEWAY, from = at, until = at, issued;
    int good = payload && json_object_object_get_ex(payload, "iss", &value) && is_string(value, issuer) &&
               read_time(&until, payload, "exp") && read_time(&from, payload, "nbf") &&
               read_time(&issued, payload, "iat") && at < until + leeway && at >= from - leeway;

    json_object_put(payload);
    return good;
}

int cs_jwt_verify(cs_span_t token, const cs_key_t *key, const char *issuer, apr_time_t now)
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
    return is_header_for(decoded[HEADER], cs_key_kind(key)) && is_signed(text, decoded[SIGNATURE], key) &&
           is_payload_of(decoded[PAYLOAD], issuer, now);
}
