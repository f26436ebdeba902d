/* What a stream counts, besides the queue's own ledger. The numbers are places in the queue file: never
 * give one a new meaning, only add. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_METRICS_H
#define CS_METRICS_H

enum {
    CS_METRIC_REFUSED = 0,            /* + cs_reason_t: events (or, unread, requests) refused for that reason */
    CS_METRIC_BATCHES = 32,           /* batches answered by the sink */
    CS_METRIC_BATCHES_FAILED = 33,    /* of them, those of which nothing was taken */
    CS_METRIC_EVENTS_RETRIED = 34,    /* events that are sent once more */
    CS_METRIC_RECORDS_DELIVERED = 35, /* the sink's records taken; many events each where they are aggregated */
    CS_METRIC_OPTED_OUT = 36,         /* events answered 200 and not kept, by ClickstreamOptOut drop */
    CS_METRIC_REJECTS_LOST = 37,      /* refused events that the stream of ClickstreamRejectTo could not keep */
};

#endif
