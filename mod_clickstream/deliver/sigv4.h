/* AWS Signature Version 4, as three pure stages. The time is an argument.
 * Source: "Create a signed AWS API request" in the AWS Identity and Access Management User Guide.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_SIGV4_H
#define CS_SIGV4_H

#include <apr_pools.h>
#include <apr_time.h>

#include "common/text.h"

typedef struct cs_sigv4_header_t {
    const char *name; /* in lower case */
    const char *value;
} cs_sigv4_header_t;

/* Every header given here is signed: host and x-amz-date must be among them. */
typedef struct cs_sigv4_request_t {
    const char *method;
    const char *path;  /* URI-encoded, "/" at least */
    const char *query; /* canonical already: encoded, and sorted by name */
    const cs_sigv4_header_t *headers;
    int header_count;
    cs_span_t body;
} cs_sigv4_request_t;

typedef struct cs_sigv4_scope_t {
    apr_time_t time;
    const char *region;
    const char *service;
} cs_sigv4_scope_t;

/* "20150830T123600Z", as the x-amz-date header has it. */
#define CS_SIGV4_DATE 17
void cs_sigv4_date(char date[CS_SIGV4_DATE], apr_time_t time);

/* Stage 1. */
const char *cs_sigv4_canonical_request(const cs_sigv4_request_t *request, apr_pool_t *pool);

/* Stage 2. */
const char *cs_sigv4_string_to_sign(const char *canonical_request, const cs_sigv4_scope_t *scope, apr_pool_t *pool);

/* Stage 3: 64 hexadecimal digits. */
const char *cs_sigv4_signature(const char *string_to_sign, const char *secret_key, const cs_sigv4_scope_t *scope,
                               apr_pool_t *pool);

/* All three: the value of the Authorization header. */
const char *cs_sigv4_authorization(const cs_sigv4_request_t *request, const cs_sigv4_scope_t *scope,
                                   const char *access_key, const char *secret_key, apr_pool_t *pool);

#endif
