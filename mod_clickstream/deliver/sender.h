/* The sender of a stream: takes batches from its queue to its sink, and acknowledges exactly what the sink took.
 *
 * Properties: one per stream on the whole host, by the queue's sender lock; the others wait for it. It gives
 *   up nothing: what fails is sent again, for ever, and what is never acceptable goes to DIR/NAME.rejected.
 * Operation: events are collected in an open batch until it is full or has lingered; several batches may be
 *   under way; those that failed wait in a list for their time. After a failure of a whole batch only one is
 *   under way, as a probe, until one succeeds: new ones and those that failed in turns, so that one that always
 *   fails stops nothing else; the oldest, where nobody is there.
 *   Who drains, a CGI process or clickstreamctl, fills nothing up: it sends what is there, and is done.
 * Safety: runs in one thread, with a pool that no other thread uses. `stop` may be set by any thread, or by
 *   a signal handler. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_SENDER_H
#define CS_SENDER_H

#include "common/log.h"
#include "common/settings.h"
#include "queue/queue.h"

typedef struct cs_sender_options_t {
    cs_queue_t *queue;
    const cs_stream_t *stream;
    const char *directory;   /* of the file for what is rejected */
    const cs_group_t *group; /* who else may read and write that file */
    const cs_log_t *log;
    const int *stop; /* read atomically: not 0 means to come to an end */
    apr_pool_t *pool;
} cs_sender_options_t;

/* A pool for one sender's thread, which shares nothing with any other pool: httpd's have no lock under prefork. NULL:
 * no memory. */
apr_pool_t *cs_sender_pool(void);

/* Competes for the sender lock, and delivers while it has it. Returns soon after `stop` is set: within CS_SENDER_NOTICE
 * it starts nothing new, and what is under way has CS_SENDER_PATIENCE to finish; and when the queue's file is no longer
 * sound: see cs_queue_succeed(). */
#define CS_SENDER_NOTICE apr_time_from_msec(250)
#define CS_SENDER_PATIENCE apr_time_from_msec(1500)
void cs_sender_run(const cs_sender_options_t *options);

/* Delivers what the queue holds, at once, if nobody else is the sender: events do not linger, and the sink holds
 * nothing back. What fails is sent again, with the usual backoff, for as long as `patience` lasts. With `stay` it goes
 * on until nothing has come for so long, and what comes meanwhile lingers as it does for an httpd, so that each batch
 * has many events rather than each event a sender; but for the last quarter of its patience, in which it comes to an
 * end. APR_SUCCESS: nothing waits. APR_EBUSY: another is the sender, and takes care of what waits; where the
 * file was removed or replaced meanwhile, one who moves that to the new one. APR_TIMEUP: patience is over, or `stop`
 * was set, and something still waits; then it took CS_SENDER_PATIENCE more at the most.
 * Whoever appends, and then drains, leaves nothing behind: after unlocking the queue is looked at once more, so that
 * an event whose appender found the lock taken has its sender, too. */
apr_status_t cs_sender_drain(const cs_sender_options_t *options, apr_interval_time_t patience,
                             apr_interval_time_t stay);

#endif
