/* HTTP requests to AWS, several at once, over kept-alive connections. The only user of libcurl.
 * Belongs to the thread that made it. Redirects are not followed, TLS is always verified.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_HTTP_H
#define CS_HTTP_H

#include <apr_pools.h>
#include <apr_time.h>

#include "common/text.h"

/* Connecting may take this long; a whole request what its `timeout` says. */
#define CS_HTTP_CONNECT apr_time_from_sec(3)
/* An answer longer than this is cut off as a failure: 500 records' results have some 150 KB. */
#define CS_HTTP_ANSWER_MOST (4 << 20)

typedef struct cs_http_t cs_http_t;

typedef struct cs_http_answer_t {
    int status;                      /* 0: there was no whole answer, and `error` says why */
    const char *error;               /* of the connection, of TLS, or a timeout */
    cs_span_t body;                  /* a NUL stands behind it */
    apr_interval_time_t retry_after; /* of the Retry-After header, 0 where there is none */
} cs_http_answer_t;

typedef struct cs_http_request_t {
    const char *url;
    const char *const *headers; /* "Name: value", ends with NULL */
    cs_span_t body;             /* must stay until the answer is there */
    apr_interval_time_t timeout;
    const char *ca; /* NULL: the system's certificate authorities */
    /* Called once, from within cs_http_poll(); `answer` is gone when it returns. */
    void (*answered)(void *to, const cs_http_answer_t *answer);
    void *to;
} cs_http_request_t;

/* Before the first cs_http_create() of a process, while it has one thread: libcurl's and OpenSSL's start-up. */
apr_status_t cs_http_startup(void);
void cs_http_cleanup(void);

apr_status_t cs_http_create(cs_http_t **http, apr_pool_t *pool);

/* Begins a POST. Everything but the body is copied. */
apr_status_t cs_http_post(cs_http_t *http, const cs_http_request_t *request);

/* Goes on for at most `wait`, less when an answer comes. */
void cs_http_poll(cs_http_t *http, apr_interval_time_t wait);

/* Closes everything; requests under way are never answered. */
void cs_http_destroy(cs_http_t *http);

#endif
