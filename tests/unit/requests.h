/* Requests to collect from, as a front door would describe them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_REQUESTS_H
#define CS_REQUESTS_H

#include "collect/collect.h"
#include "unit.h"

/* When they all come, and how that is written. */
#define NOW (apr_time_from_sec(1700000000) + 123456)
#define NOW_TEXT "2023-11-14T22:13:20.123Z"

#define TOKEN "Authorization: Bearer t"
#define CLIENT "client_id: app"
#define MEMBERS "\"token\":\"t\",\"timestamp\":\"2022-02-22T18:37:28.205Z\",\"tag\":\"LIKE_WOOD\""
#define EVENT "{" MEMBERS "}"
#define BAD "{\"token\":\"t\",\"timestamp\":\"2022-02-22T18:37:28.205Z\"}"
#define ADDED ",\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\"}"
#define RECORD "{" MEMBERS ADDED
#define COLLECTED "{\"response_code\":\"200\",\"message\":\"Clickstream collected.\""
#define INVALID "{\"response_code\":\"400\",\"message\":\"Invalid clickstream.\",\"rejected\":["
#define NO_TOKEN "{\"response_code\":\"401\",\"message\":\"Invalid authorization\"}"
#define FAILED "{\"response_code\":\"50001\",\"message\":\"Failed to collect data.\"}"

/* A token and a client. */
extern const char *const request_good[];

/* `headers` are "Name: value", the last one NULL; the expression of a field is a header's name. Its random bytes are
 * 16 times 0x11, the next 16 times 0x22, and so on. */
cs_request_t request_of(const char *method, const char *const *headers, const char *query);

/* Begins with it; `wanted` is whether the body must be. */
void request_begin(cs_collect_t *collect, const char *method, const char *const *headers, const char *query,
                   const cs_location_t *settings, int wanted);

void request_body(cs_collect_t *collect, const char *body);
/* For a body with a NUL in it. */
void request_bytes(cs_collect_t *collect, const char *body, size_t length);

/* NULL for a span that is not there. */
const char *request_text(cs_span_t span);
/* The last record of a list, or NULL. */
const char *request_last(const apr_array_header_t *records);

#endif
