/* A search for credentials, or for the region: what every place where they may be gets, and how it answers.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_SEARCH_H
#define CS_SEARCH_H

#include "common/settings.h"
#include "deliver/clock.h"
#include "deliver/credentials.h"
#include "deliver/http.h"

typedef struct cs_search_t {
    const cs_stream_t *stream;
    const char *region; /* of STS; NULL while it is not known */
    cs_http_t *http;    /* with nothing under way */
    const cs_halt_t *halt;
    cs_clock_t *clock;
    apr_pool_t *pool; /* of this one search: holds what it finds */

    /* Set by whoever answers CS_FAILED: what failed, and what an operator can do. `why` is NULL where it is only that
     * we have to end. Neither has a secret in it. */
    const char *why, *advice;
    const char *passed_by; /* why the places that answered CS_ABSENT did, for the message where none has any */
} cs_search_t;

/* Sets `why` and `advice`, and is CS_FAILED. */
cs_found_t cs_search_fail(cs_search_t *search, const char *advice, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Notes something for the message that there are none, and is CS_ABSENT. */
cs_found_t cs_search_pass(cs_search_t *search, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A variable of the environment; NULL where it is not set, or set to nothing. */
const char *cs_environment(const char *name);

#endif
