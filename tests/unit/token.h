/* Tokens for the tests, signed here, each with the key of its kind.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_UNIT_TOKEN_H
#define CS_UNIT_TOKEN_H

#include <openssl/evp.h>

#include "collect/jwt.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SPAN(literal) ((cs_span_t){literal, sizeof(literal) - 1})
#define ISSUER "touchwood-app"
#define NOW apr_time_from_sec(APR_INT64_C(1700000000))
/* The form of the app's own tokens: made at NOW, good since a minute, for twelve hours. */
#define APP_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define APP_PAYLOAD                                                                                                    \
    "{\"iss\":\"" ISSUER "\",\"sub\":\"poc-kstream\",\"iat\":1700000000,\"nbf\":1699999940,\"exp\":1700043200}"
/* A payload's first member. */
#define ISS "\"iss\":\"" ISSUER "\""

/* What signs; made once for a test case, by its unchecked fixture. There is none for HS256. */
extern EVP_PKEY *private_keys[CS_KEY_ES256 + 1];
/* What the client's key file has in it: a secret, or PEM. */
extern char *key_files[CS_KEY_ES256 + 1];
void make_keys(void);
void free_keys(void);
char *pem_of(EVP_PKEY *pkey); /* to be freed */

/* Loads a key from that content, or the key of a kind. */
const cs_key_t *load_key(cs_key_kind_t kind, cs_span_t content);
const cs_key_t *key_of(cs_key_kind_t kind);

cs_span_t span_of(const char *text);
const char *base64url(cs_span_t bytes);

/* Signatures of a text: by a secret, by OpenSSL (EC: in DER), and as a token has them. */
cs_span_t hs256(cs_span_t secret, const char *text);
cs_span_t digest_sign(EVP_PKEY *pkey, const char *text);
cs_span_t raw_of(cs_span_t der);
cs_span_t sign(cs_key_kind_t kind, const char *text);

/* Header and payload in their encoded form, which is what is signed; a signature put behind them; and all at once. */
const char *signing_input(cs_span_t header, cs_span_t payload);
const char *with_signature(const char *input, cs_span_t signature);
const char *token_of(cs_key_kind_t kind, cs_span_t header, cs_span_t payload);

/* The app's payload, with a header that names the kind's algorithm. */
extern const char *const headers[CS_KEY_ES256 + 1];
const char *good_token(cs_key_kind_t kind);

/* Whether a token is taken from ISSUER, at NOW. */
int verify_at(const char *token, apr_size_t length, const cs_key_t *key, apr_time_t now);
int verify(const char *token, const cs_key_t *key);

#endif
