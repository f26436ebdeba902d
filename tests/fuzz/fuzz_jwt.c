/* A token. The first byte says which key it is held against and whether we sign it, so that what lies behind a good
 * signature is reached as well. A token that we did not sign with the secret is never taken.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "collect/auth.h"
#include "collect/jwt.h"

#define SECRET "a secret of more than thirty-two bytes"
#define NOW apr_time_from_sec(APR_INT64_C(1700000000))
#define RSA                                                                                                            \
    "-----BEGIN PUBLIC KEY-----\n"                                                                                     \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAj0oTqNS/tmdKOuckXFkc\n"                                               \
    "Xi2y98tl2xNm0F6QbwDcQ5i/5CTD2unaHq0N1l40EMSp5MblQy/sj0FXI9k3X10r\n"                                               \
    "T2uz1LqcAUVO0AYxmeTTr+5xOLLkZQRUN6cfi99TJGbXMjIHs3DSjYdieZQDkQcq\n"                                               \
    "g0Sn51iSaQGfZMplPsZTkrVlR+edJ/u1JYsbnKFmHZCJm5sEvatQmmk6Pf3EY9/Z\n"                                               \
    "8Tr1HiNxv9KgHELRwRIbAvLccgg/DzjSQcE/GtyN0QaJtLseNWEt/UknoWyP1tcU\n"                                               \
    "M1hWoZuWVT4HrdbGEsm0D3qrQdQPkJvzp30gW6AsLrYr5gtgCWkhbgh2xQC9n+b5\n"                                               \
    "UQIDAQAB\n"                                                                                                       \
    "-----END PUBLIC KEY-----\n"
#define EC                                                                                                             \
    "-----BEGIN PUBLIC KEY-----\n"                                                                                     \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELeTHhXEswJo6N1mpOg8sLZCMFeM2\n"                                               \
    "UJ6JwZdC7vSoH/FkG7AB8vzWzLaD3UoguXkEPB401Z3JgoWcBf8u4zXqBw==\n"                                                   \
    "-----END PUBLIC KEY-----\n"

static const cs_key_t *const *keys(void)
{
    static const cs_key_t *found[3];
    static EVP_PKEY *seen[3]; /* a leak detector does not look through pools */
    static apr_pool_t *forever;
    cs_key_t *key;

    if (!forever) {
        apr_pool_create(&forever, NULL);
        FUZZ_CHECK(!cs_key_secret(&key, fuzz_file("secret", SECRET, strlen(SECRET)), forever));
        found[0] = key;
        FUZZ_CHECK(!cs_key_public(&key, fuzz_file("rsa", RSA, strlen(RSA)), forever));
        found[1] = key;
        FUZZ_CHECK(!cs_key_public(&key, fuzz_file("ec", EC, strlen(EC)), forever));
        found[2] = key;
        for (int i = 0; i < 3; i++)
            seen[i] = cs_key_pkey(found[i]);
        (void)seen;
    }
    return found;
}

static const char *signature_of(const char *text, apr_size_t length, apr_pool_t *pool)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), (const unsigned char *)text, length, digest, &size);
    return apr_pencode_base64_binary(pool, digest, (apr_ssize_t)size, APR_ENCODE_BASE64URL, NULL);
}

/* "HEADER.PAYLOAD" in plain text, split at its first newline, encoded and signed. */
static cs_span_t sign(cs_span_t text, apr_pool_t *pool)
{
    const char *newline = memchr(text.at, '\n', text.length);
    apr_size_t first = newline ? (apr_size_t)(newline - text.at) : text.length;
    const char *second = newline ? newline + 1 : text.at + first;
    apr_size_t rest = text.length - (apr_size_t)(second - text.at);
    const char *header =
        apr_pencode_base64_binary(pool, (const unsigned char *)text.at, (apr_ssize_t)first, APR_ENCODE_BASE64URL, NULL);
    const char *payload =
        apr_pencode_base64_binary(pool, (const unsigned char *)second, (apr_ssize_t)rest, APR_ENCODE_BASE64URL, NULL);
    const char *input = apr_pstrcat(pool, header ? header : "", ".", payload ? payload : "", NULL);
    const char *whole = apr_pstrcat(pool, input, ".", signature_of(input, strlen(input), pool), NULL);

    return (cs_span_t){whole, strlen(whole)};
}

static int is_signed(cs_span_t token, apr_pool_t *pool)
{
    const char *text = apr_pstrmemdup(pool, token.at, token.length), *dot = strrchr(text, '.');

    return dot && strcmp(dot + 1, signature_of(text, (apr_size_t)(dot - text), pool)) == 0;
}

FUZZ_TARGET(jwt)
{
    apr_pool_t *pool = fuzz_pool();
    uint8_t choice = fuzz_byte(&data, &size);
    const cs_key_t *key = keys()[choice % 3];
    cs_span_t token = {fuzz_exactly(data, size), size}, bearer;
    int taken;

    if (choice & 128)
        token = sign(token, pool);
    taken = cs_jwt_verify((cs_span_t){fuzz_exactly(token.at, token.length), token.length}, key, "app", NOW, pool);
    FUZZ_CHECK(!taken || (choice % 3 == 0 && is_signed(token, pool)));
    if (cs_auth_bearer(&bearer, fuzz_text(data, size)))
        FUZZ_CHECK(bearer.length > 0);
    return 0;
}
