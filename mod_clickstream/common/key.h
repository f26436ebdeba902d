/* What a client's tokens are verified with: a shared secret, or a public key.
 * Loaded once and then only read, so any number of threads may use a key at once. No message holds anything of a
 * file's content. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_KEY_H
#define CS_KEY_H

#include <apr_pools.h>
#include <openssl/types.h>

#include "common/text.h"

/* The one algorithm that a key is for (RFC 7518, section 3.1); a token has no say in it. */
typedef enum {
    CS_KEY_HS256, /* a shared secret */
    CS_KEY_RS256, /* RSA, of 2048 bits or more */
    CS_KEY_ES256, /* EC, on P-256 */
} cs_key_kind_t;

typedef struct cs_key_t cs_key_t;

/* Reads a secret: all bytes of the file but one newline (LF or CRLF) at its end. Both readers return NULL, or a
 * sentence, in `pool`, that says what is wrong and what to do. The key lives as long as `pool`. */
const char *cs_key_secret(cs_key_t **key, const char *path, apr_pool_t *pool);

/* Reads a PEM file with one public key in it, as PUBLIC KEY or as CERTIFICATE. Of a certificate the key counts and
 * nothing else: not its dates, not who signed it. */
const char *cs_key_public(cs_key_t **key, const char *path, apr_pool_t *pool);

cs_key_kind_t cs_key_kind(const cs_key_t *key);

/* The bytes of an HS256 key. */
cs_span_t cs_key_bytes(const cs_key_t *key);

/* The public key of the other kinds, still the key's own: for verifying only, which changes nothing in it. */
EVP_PKEY *cs_key_pkey(const cs_key_t *key);

#endif
