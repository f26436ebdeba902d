/* AWS Signature Version 4, as three pure stages.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/sigv4.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DIGEST 32

static const char *hex(const unsigned char digest[DIGEST], apr_pool_t *pool)
{
    return apr_pescape_hex(pool, digest, DIGEST, 0);
}

/* Neither of these two can fail on memory that is there; a library without SHA-256 is no library. */
static void sha256(unsigned char digest[DIGEST], const void *data, size_t length)
{
    if (!EVP_Digest(data, length, digest, NULL, EVP_sha256(), NULL))
        abort();
}

static void hmac(unsigned char digest[DIGEST], const void *key, size_t key_length, const char *text)
{
    if (!HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)text, strlen(text), digest, NULL))
        abort();
}

void cs_sigv4_date(char date[CS_SIGV4_DATE], apr_time_t when)
{
    apr_time_exp_t utc;
    apr_size_t length;

    apr_time_exp_gmt(&utc, when);
    apr_strftime(date, &length, CS_SIGV4_DATE, "%Y%m%dT%H%M%SZ", &utc);
}

static const char *credential_scope(const cs_sigv4_scope_t *scope, apr_pool_t *pool)
{
    char date[CS_SIGV4_DATE];

    cs_sigv4_date(date, scope->time);
    return apr_psprintf(pool, "%.8s/%s/%s/aws4_request", date, scope->region, scope->service);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const cs_sigv4_header_t *)a)->name, ((const cs_sigv4_header_t *)b)->name);
}

static const cs_sigv4_header_t *sorted(const cs_sigv4_request_t *request, apr_pool_t *pool)
{
    size_t size = (size_t)request->header_count * sizeof(cs_sigv4_header_t);
    cs_sigv4_header_t *headers = apr_pmemdup(pool, request->headers, size);

    qsort(headers, (size_t)request->header_count, sizeof(*headers), by_name);
    return headers;
}

static const char *signed_headers(const cs_sigv4_request_t *request, apr_pool_t *pool)
{
    const cs_sigv4_header_t *headers = sorted(request, pool);
    const char *names = "";

    for (int i = 0; i < request->header_count; i++)
        names = apr_pstrcat(pool, names, i ? ";" : "", headers[i].name, NULL);
    return names;
}

/* Without the white space around it, and with single spaces within. */
static const char *trimmed(const char *value, apr_pool_t *pool)
{
    char *start = apr_palloc(pool, strlen(value) + 1), *to = start;

    for (value += strspn(value, " \t"); *value; value++) {
        size_t blank = strspn(value, " \t");
        if (blank) {
            value += blank;
            if (!*value)
                break;
            *to++ = ' ';
        }
        *to++ = *value;
    }
    *to = '\0';
    return start;
}

const char *cs_sigv4_canonical_request(const cs_sigv4_request_t *request, apr_pool_t *pool)
{
    const cs_sigv4_header_t *headers = sorted(request, pool);
    unsigned char digest[DIGEST];
    const char *lines = "";

    for (int i = 0; i < request->header_count; i++)
        lines = apr_pstrcat(pool, lines, headers[i].name, ":", trimmed(headers[i].value, pool), "\n", NULL);
    sha256(digest, request->body.at, request->body.length);
    return apr_pstrcat(pool, request->method, "\n", request->path, "\n", request->query, "\n", lines, "\n",
                       signed_headers(request, pool), "\n", hex(digest, pool), NULL);
}

const char *cs_sigv4_string_to_sign(const char *canonical_request, const cs_sigv4_scope_t *scope, apr_pool_t *pool)
{
    unsigned char digest[DIGEST];
    char date[CS_SIGV4_DATE];

    cs_sigv4_date(date, scope->time);
    sha256(digest, canonical_request, strlen(canonical_request));
    return apr_pstrcat(pool, ALGORITHM "\n", date, "\n", credential_scope(scope, pool), "\n", hex(digest, pool), NULL);
}

const char *cs_sigv4_signature(const char *string_to_sign, const char *secret_key, const cs_sigv4_scope_t *scope,
                               apr_pool_t *pool)
{
    char *secret = apr_pstrcat(pool, "AWS4", secret_key, NULL);
    unsigned char key[DIGEST];
    char date[CS_SIGV4_DATE];

    cs_sigv4_date(date, scope->time);
    date[8] = '\0';
    hmac(key, secret, strlen(secret), date);
    OPENSSL_cleanse(secret, strlen(secret));
    hmac(key, key, DIGEST, scope->region);
    hmac(key, key, DIGEST, scope->service);
    hmac(key, key, DIGEST, "aws4_request");
    hmac(key, key, DIGEST, string_to_sign);
    return hex(key, pool);
}

const char *cs_sigv4_authorization(const cs_sigv4_request_t *request, const cs_sigv4_scope_t *scope,
                                   const char *access_key, const char *secret_key, apr_pool_t *pool)
{
    const char *string_to_sign = cs_sigv4_string_to_sign(cs_sigv4_canonical_request(request, pool), scope, pool);

    return apr_pstrcat(pool, ALGORITHM " Credential=", access_key, "/", credential_scope(scope, pool),
                       ", SignedHeaders=", signed_headers(request, pool),
                       ", Signature=", cs_sigv4_signature(string_to_sign, secret_key, scope, pool), NULL);
}
