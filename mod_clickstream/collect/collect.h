/* One HTTP request into one HTTP response and a list of records: the contract, once, for both front doors.
 *
 * Pure: no threads, sockets, files or clock. A front door goes through three steps:
 *     if (cs_collect_begin(&collect, &request, settings, pool))      the head is good, the body is wanted
 *         cs_collect_body(&collect, parser, body, length);           or cs_collect_too_large()
 *     if (collect.records->nelts)
 *         cs_collect_end(&collect, what became of appending collect.records to the queue);
 *     … send collect.status, .headers and .body
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_COLLECT_H
#define CS_COLLECT_H

#include <apr_errno.h>

#include "collect/gather.h"
#include "common/settings.h"

typedef struct cs_collect_t {
    int status;                   /* of the response */
    apr_table_t *headers;         /* of the response, Content-Type included */
    cs_span_t body;               /* of the response; at NULL: it has none */
    apr_array_header_t *records;  /* cs_span_t: to be queued together, all or none */
    apr_array_header_t *rejects;  /* cs_span_t: for the stream of ClickstreamRejectTo, once the answer is certain */
    int refused[CS_REASON_COUNT]; /* how many events (or, unread, requests) for which reason */
    int opted_out;                /* how many events were not kept, since their sender does not want it */

    /* Private to collect.c. */
    const cs_location_t *settings;
    apr_pool_t *pool;
    cs_request_t request;
    int pixel; /* the event is in the query */
    int lines; /* the client says that there is an event a line */
    const char *client_id;
    cs_gathered_t gathered;
    apr_int64_t size;               /* of all records and rejects, in bytes */
    apr_array_header_t *rejections; /* cs_rejection_t */
} cs_collect_t;

/* Looks at all but the body. Returns 1 when the body is wanted (of a pixel's GET it will not be looked at); otherwise
 * the response is ready. `settings` have their defaults. */
int cs_collect_begin(cs_collect_t *collect, const cs_request_t *request, const cs_location_t *settings,
                     apr_pool_t *pool);

/* Instead of all that: there is no configuration by which to look at the request. */
void cs_collect_fail(cs_collect_t *collect, apr_pool_t *pool);

/* Reads the whole body; afterwards there are records, or the response is ready. `body` must live until the
 * records are in the queue. */
void cs_collect_body(cs_collect_t *collect, cs_span_t body);

/* Instead of cs_collect_body(): the body is longer than ClickstreamMaxBody. */
void cs_collect_too_large(cs_collect_t *collect);

/* Instead of cs_collect_body(): the body cannot be read; `status` is what HTTP says of it. */
void cs_collect_unreadable(cs_collect_t *collect, int status);

/* What became of the records: APR_SUCCESS, APR_ENOSPC (the queue is full), APR_EINVAL (more than the whole
 * queue could hold), or any other error. Nothing of what was refused here may be in the queue. */
void cs_collect_end(cs_collect_t *collect, apr_status_t appended);

#endif
