/* Requests to collect from.
 * SPDX-License-Identifier: Apache-2.0 */
#include "requests.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const request_good[] = {TOKEN, CLIENT, NULL};

static const char *header(void *from, const char *name)
{
    size_t length = strlen(name);

    for (const char *const *line = from; *line; line++) {
        if (strncasecmp(*line, name, length) == 0 && strncmp(*line + length, ": ", 2) == 0)
            return *line + length + 2;
    }
    return NULL;
}

static const char *field(void *from, const cs_field_t *field)
{
    return header(from, field->expression);
}

static unsigned char next_byte;

static int randomness(unsigned char *bytes, int count)
{
    memset(bytes, next_byte, (size_t)count);
    next_byte = (unsigned char)(next_byte + 0x11);
    return 1;
}

cs_request_t request_of(const char *method, const char *const *headers, const char *query)
{
    next_byte = 0x11;
    return (cs_request_t){.method = method,
                          .query = query,
                          .remote_address = "192.0.2.1",
                          .now = NOW,
                          .header = header,
                          .field = field,
                          .random = randomness,
                          .from = (void *)(apr_uintptr_t)headers};
}

void request_begin(cs_collect_t *collect, const char *method, const char *const *headers, const char *query,
                   const cs_location_t *settings, int wanted)
{
    const cs_request_t request = request_of(method, headers, query);

    ck_assert_int_eq(cs_collect_begin(collect, &request, settings, pool), wanted);
}

static apr_status_t free_body(void *body)
{
    free(body);
    return APR_SUCCESS;
}

void request_bytes(cs_collect_t *collect, const char *body, size_t length)
{
    char *exact = malloc(length); /* not from the pool: nothing may be read behind it */

    memcpy(exact, body, length);
    apr_pool_cleanup_register(pool, exact, free_body, apr_pool_cleanup_null);
    cs_collect_body(collect, (cs_span_t){exact, length});
}

void request_body(cs_collect_t *collect, const char *body)
{
    request_bytes(collect, body, strlen(body));
}

const char *request_text(cs_span_t span)
{
    return span.at ? apr_pstrmemdup(pool, span.at, span.length) : NULL;
}

const char *request_last(const apr_array_header_t *records)
{
    return records->nelts ? request_text(APR_ARRAY_IDX(records, records->nelts - 1, cs_span_t)) : NULL;
}
