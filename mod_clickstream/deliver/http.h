/* HTTP requests to AWS, several at once, over kept-alive connections. The only user of libcurl.
 * Belongs to the thread that made it. Redirects are not followed, TLS is always verified. The environment's proxy is
 * used as libcurl does it (https_proxy, no_proxy), unless a request says otherwise. Answers may hold secrets: their
 * bytes are overwritten when they are let go.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_HTTP_H
#define CS_HTTP_H

#include <apr_pools.h>
#include <apr_time.h>

#include "common/text.h"
#include "deliver/halt.h"

/* Connecting may take this long; a whole request what its `timeout` says. */
#define CS_HTTP_CONNECT apr_time_from_sec(3)
/* An answer longer than this is cut off as a failure: 500 records' results have some 150 KB. */
#define CS_HTTP_ANSWER_MOST (4 << 20)

typedef struct cs_http_t cs_http_t;

typedef struct cs_http_answer_t {
    int status;                      /* 0: there was no whole answer, and `error` says why */
    const char *error;               /* of the connection, of TLS, or a timeout */
    const char *advice;              /* what an operator can do about that */
    int sent;                        /* whether the request went out whole, so that it may have had its effect */
    int unsent;                      /* whether nothing of it went out: so it was not for what is in it */
    int too_slow;                    /* whether its time was over when it was on its way */
    int sent_twice;                  /* whether it did so before already: see cs_http_begin() */
    cs_span_t body;                  /* a NUL stands behind it */
    apr_interval_time_t retry_after; /* of the Retry-After header, 0 where there is none */
    apr_time_t date;                 /* of the Date header, 0 where there is none */
} cs_http_answer_t;

typedef enum { CS_HTTP_POST, CS_HTTP_GET, CS_HTTP_PUT } cs_http_method_t;

typedef struct cs_http_request_t {
    cs_http_method_t method;
    int direct; /* goes through no proxy, whatever the environment says */
    const char *url;
    const char *const *headers; /* "Name: value", ends with NULL */
    cs_span_t body;             /* of a POST; must stay until the answer is there */
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

/* Begins a request. Everything but the body is copied. Where a connection that was kept ends before an answer begins,
 * libcurl sends the request once more by itself, whatever the method. */
apr_status_t cs_http_begin(cs_http_t *http, const cs_http_request_t *request);

/* Goes on for at most `wait`, less when an answer comes. */
void cs_http_poll(cs_http_t *http, apr_interval_time_t wait);

/* Makes a request and waits for its answer, whose parts are in `pool`; `answered` of the request is not used. Where
 * none came, or a 5xx, it is tried again until there were `attempts`, each with its own timeout. With nothing else
 * under way on `http`.
 * APR_SUCCESS: the answer says how it went. APR_TIMEUP: `halt`; the answer is no answer then. */
apr_status_t cs_http_fetch(cs_http_answer_t *answer, cs_http_t *http, const cs_http_request_t *request, int attempts,
                           const cs_halt_t *halt, apr_pool_t *pool);

/* Whether secrets may be sent there: by https, or by http to this machine or one of the numeric addresses in `plain`,
 * which ends with NULL. As libcurl would read the URL; none with a user or a fragment in it. */
int cs_http_is_private(const char *url, const char *const *plain);

/* Closes everything; requests under way are never answered. */
void cs_http_destroy(cs_http_t *http);

#endif
