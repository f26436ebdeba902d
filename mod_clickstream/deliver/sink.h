/* Where batches go: Firehose, or a local folder. A sink knows nothing of the queue.
 * A sink belongs to one thread: the one that made it. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_SINK_H
#define CS_SINK_H

#include "common/log.h"
#include "common/settings.h"
#include "deliver/batch.h"
#include "deliver/halt.h"

/* What became of a batch as a whole; what became of each record stands in the batch. */
typedef struct cs_sink_result_t {
    const char *reason;              /* why something failed, for the log; NULL: nothing did, or we only have to end */
    const char *advice;              /* what an operator can do about it */
    apr_interval_time_t retry_after; /* what the other side asked for; 0: nothing */
    int unsent;                      /* whether nothing went out: any other batch would have failed as well */
    int too_slow;                    /* whether it may have been too large for the time that it had */
    int maybe_taken;                 /* whether it may have been taken once more than the batch says */
} cs_sink_result_t;

/* Called once for each batch that was sent, from within send() or poll(). The batch goes back to its owner. */
typedef void cs_sink_done_t(void *to, cs_batch_t *batch, const cs_sink_result_t *result);

typedef struct cs_sink_t cs_sink_t;
struct cs_sink_t {
    cs_batch_limits_t limits;
    int concurrency;     /* how many batches it wants to hold at once */
    apr_size_t rounding; /* each record is billed as a multiple of so many bytes; 0: nothing is billed */
    /* Begins to send; the batch is the sink's until it is done. */
    void (*send)(cs_sink_t *sink, cs_batch_t *batch);
    /* Goes on for at most `wait`, less when a batch gets done. */
    void (*poll)(cs_sink_t *sink, apr_interval_time_t wait);
    /* Asks to finish what it holds as soon as it can, rather than wait for more. */
    void (*flush)(cs_sink_t *sink);
    /* Ends, whatever is under way; batches that it holds are forgotten, not done. */
    void (*destroy)(cs_sink_t *sink);
};

typedef struct cs_sink_options_t {
    const cs_stream_t *stream;
    const cs_log_t *log;
    cs_halt_t halt; /* whatever it waits for within send(), it stops then */
    cs_sink_done_t *done;
    void *to;
    apr_pool_t *pool; /* must not be used by other threads */
} cs_sink_options_t;

/* Each makes a sink for the stream, in the calling thread. */
typedef apr_status_t cs_sink_create_t(cs_sink_t **sink, const cs_sink_options_t *options);
cs_sink_create_t cs_sink_firehose_create;
cs_sink_create_t cs_sink_file_create;

#endif
