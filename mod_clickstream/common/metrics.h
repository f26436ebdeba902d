/* What a stream counts, besides the queue's own ledger. The numbers are places in the queue file: never
 * give one a new meaning, only add. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_METRICS_H
#define CS_METRICS_H

#include <apr_time.h>

/* How long events took from their 200 to the sink's answer: within how many milliseconds, bucket by bucket; the last
 * bucket is for those that took longer than all of these. Dense where a delivery usually is, around linger=, and
 * up to a day, for outages. */
#define CS_LATENCY_BOUNDS(X)                                                                                           \
    X(50)                                                                                                              \
    X(100)                                                                                                             \
    X(250) X(500) X(1000) X(1500) X(2000) X(3000) X(5000) X(10000) X(30000) X(60000) X(120000) X(300000) X(900000)     \
        X(3600000) X(21600000) X(86400000)
#define CS_LATENCY_BUCKETS 19

enum {
    CS_METRIC_REFUSED = 0,            /* + cs_reason_t: events (or, unread, requests) refused for that reason */
    CS_METRIC_BATCHES = 32,           /* batches answered by the sink */
    CS_METRIC_BATCHES_FAILED = 33,    /* of them, those of which nothing was taken */
    CS_METRIC_EVENTS_RETRIED = 34,    /* events that are sent once more */
    CS_METRIC_RECORDS_DELIVERED = 35, /* the sink's records taken; many events each where they are aggregated */
    CS_METRIC_OPTED_OUT = 36,         /* events answered 200 and not kept, by ClickstreamOptOut drop */
    CS_METRIC_REJECTS_LOST = 37,      /* refused events that the stream of ClickstreamRejectTo could not keep */
    CS_METRIC_BYTES_SENT = 38,        /* of the records taken, delimiters included, before base64 */
    CS_METRIC_BYTES_BILLED = 39,      /* the same as Firehose bills it, each record rounded up; 0 for a folder */
    CS_METRIC_MAYBE_TWICE = 40,       /* events sent once more although the sink may have them already */
    CS_METRIC_LATENCY_SUM = 63,       /* microseconds */
    CS_METRIC_LATENCY = 64,           /* + 0 ... CS_LATENCY_BUCKETS - 1 */
};

#endif
