/* What tells one event or visitor from another: UUIDs, made of randomness and time that others give. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_IDENTITY_H
#define CS_IDENTITY_H

#include <apr_time.h>
#include <apr_uuid.h>

/* 36 characters, and a NUL. */
typedef char cs_uuid_text_t[APR_UUID_FORMATTED_LENGTH + 1];

/* A random UUID (RFC 9562, version 4) of 16 random bytes. */
void cs_uuid_random(cs_uuid_text_t text, const unsigned char *random);

/* A UUID that sorts by time (RFC 9562, version 7) of 16 random bytes. Those of one request are told apart, and sorted,
 * by `number`, which is added to the random part (section 6.2, method 2). */
void cs_uuid_timed(cs_uuid_text_t text, const unsigned char *random, apr_time_t now, apr_uint32_t number);

/* Whether `text` is a UUID as the above write it. */
int cs_is_uuid(const char *text, apr_size_t length);

#endif
