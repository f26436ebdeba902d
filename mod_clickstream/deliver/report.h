/* What a sender says about its work: in the log for people, on the scoreboard and in the counters for the status.
 *
 * Properties: an outage is one outage, whichever processes are the sender meanwhile: what is known of it lies on the
 *   scoreboard. It gets a line when it begins, one a minute while it lasts, and one when it ends.
 * Safety: for the thread that holds the sender lock. Every `now` is the wall clock's.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_REPORT_H
#define CS_REPORT_H

#include "common/log.h"
#include "common/scoreboard.h"
#include "common/settings.h"
#include "deliver/batch.h"
#include "deliver/sink.h"
#include "queue/queue.h"

/* Trouble is logged at most once in this time; what begins and ends in between is only counted. */
#define CS_REPORT_INTERVAL apr_time_from_sec(60)

typedef struct cs_report_t {
    cs_queue_t *queue;
    const char *name; /* the stream's */
    const cs_log_t *log;
    cs_scoreboard_t *board;
    cs_trouble_t trouble;
    apr_time_t rejects_logged;
    apr_uint64_t rejects;
} cs_report_t;

cs_report_t cs_report_begin(cs_queue_t *queue, const char *name, const cs_log_t *log);

/* To be called often: shows that the sender is at work, and takes a sample when it is time for one. */
void cs_report_at_work(cs_report_t *report, apr_time_t now);

/* So many events go to the sink; what became of them is settled. Should this process die in between, they are counted
 * as events that may arrive twice. */
void cs_report_sent(cs_report_t *report, int events);
void cs_report_settled(cs_report_t *report, int events);

/* The sink took a record of the batch; `rounding` is the sink's. */
void cs_report_delivered(cs_report_t *report, const cs_batch_t *batch, const cs_batch_record_t *record,
                         apr_size_t rounding, apr_time_t now);

/* All of the batch, or some of its records, were not taken, and are sent again. */
void cs_report_failed(cs_report_t *report, const cs_sink_result_t *result, apr_time_t now);

/* Whatever failed is through by now. */
void cs_report_recovered(cs_report_t *report, apr_time_t now);

/* An event will never be taken, and is in the file at `path` now. */
void cs_report_rejected(cs_report_t *report, const char *reason, const char *path, apr_time_t now);

#endif
