/* The queue of a stream: bytes go in, and come out until they are acknowledged.
 *
 * Properties: one regular file, DIR/NAME.queue, mapped by every process that uses the stream. It keeps what
 *   was appended through the death of any process at any instruction; synced appends outlive a loss of
 *   power as well. An append is all or nothing. It knows nothing of what the bytes mean.
 * Operation: the file is a header and a ring of frames; see layout.h. Positions count bytes from the file's
 *   beginning for ever: a record's position is its name, and the ring is position modulo capacity.
 * Safety: append and the counters are for any thread of any process. Everything under "The sender's side"
 *   is for the one thread on the host that holds the sender lock. Both locks are robust: when their holder
 *   dies, the next one goes on, and finds either all or nothing of what the dead one was about to do.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_QUEUE_H
#define CS_QUEUE_H

#include <apr_pools.h>
#include <apr_time.h>

#include "common/disk.h"
#include "common/log.h"
#include "common/text.h"

typedef struct cs_queue_t cs_queue_t;

/* What whoever opens a queue has time for. */
typedef enum {
    CS_QUEUE_WAITS,   /* while another process makes or recovers the file, or has it locked */
    CS_QUEUE_WORKS,   /* makes, recovers and resizes it, which may take long; but waits for nobody */
    CS_QUEUE_AT_ONCE, /* nothing: it is open in another process, and ready, or is left to those who have time */
} cs_queue_patience_t;

typedef struct cs_queue_options_t {
    const char *directory;
    const char *name;
    const cs_group_t *group; /* who else may read and write the file */
    apr_int64_t capacity;    /* bytes of the ring; rounded up to whole pages */
    int synced;              /* an append returns when the disk has it */
    int watched;             /* a sender looks at the file from time to time, so that an append need not; see below */
    int existing;            /* only a queue that is there is opened, and as it is: APR_ENOENT, APR_EGENERAL */
    cs_queue_patience_t patience;
} cs_queue_options_t;

/* Opens the queue, and makes it or recovers it where nobody else has it open. A file that is no queue, or a
 * damaged one, is moved aside and named in the log. Another capacity takes effect when the first process
 * opens the file, and what waits in it fits.
 * Errors: APR_ENOSPC, APR_EACCES and so on, each logged with what to do. EIO: a part of the file cannot be read or
 * written; it is left as it is, for what waits in it. With `existing`: APR_ENOENT, not logged,
 * where there is no queue yet; APR_EGENERAL for a file that is none; neither moves nor resizes anything. APR_EAGAIN,
 * not logged: it would take longer than `patience` has time for. `*queue` lives until cs_queue_close() or the end of
 * the process: never unmap it in a cleanup that may run while a thread of this process holds one of its locks. */
apr_status_t cs_queue_open(cs_queue_t **queue, const cs_queue_options_t *options, const cs_log_t *log);

/* How many records wait in the queue at `path`, for one who only wants to know that. Reads the header and nothing else:
 * makes, maps, locks and mends nothing, follows no symbolic link, and trusts nothing that it reads; so for any process,
 * as root too, while others use the queue. Errors: what opening it says; APR_EGENERAL: it is no queue, or damaged. */
apr_status_t cs_queue_glance(apr_uint64_t *waiting, const char *path);

/* What the file of a queue of this capacity takes on the disk. */
apr_int64_t cs_queue_file_size(apr_int64_t capacity);

/* Unmaps and closes; nothing is flushed, and nothing needs to be. */
void cs_queue_close(cs_queue_t *queue);

/* Appends all records or none.
 * APR_ENOSPC: there is no room now. APR_EINVAL: there will never be. Others: the file cannot be used, and what of it
 * was appended is uncertain. A sync that fails is an error of each append that it may have been for, in any process;
 * their records are in the queue all the same, and will be delivered unless power is lost before. */
apr_status_t cs_queue_append(cs_queue_t *queue, const cs_span_t *records, int count, apr_time_t now);

/* What the queue counts. The counters below are kept for others, who give them their meaning. */
#define CS_QUEUE_COUNTERS 256
typedef struct cs_queue_stats_t {
    apr_int64_t capacity, used;                                /* bytes of the ring, frames included */
    apr_uint64_t appended, delivered, rejected, lost, waiting; /* records since the file was made */
    apr_uint64_t delivered_bytes, waiting_bytes;               /* of records */
    apr_time_t oldest;                                         /* when the first waiting record came, or 0 */
    apr_uint64_t owner_deaths;                                 /* locks taken over from a dead process */
} cs_queue_stats_t;
apr_status_t cs_queue_stats(cs_queue_stats_t *stats, cs_queue_t *queue);

void cs_queue_count(cs_queue_t *queue, int counter, apr_uint64_t more);
apr_uint64_t cs_queue_counted(const cs_queue_t *queue, int counter);

/* So many bytes of the file, zero when it is made, for the sender to say what it likes and for anyone to read. */
#define CS_QUEUE_BOARD 32768
void *cs_queue_board(const cs_queue_t *queue);

typedef struct cs_queue_record_t {
    apr_uint64_t position; /* its name, for cs_queue_settle() */
    cs_span_t data;
    apr_time_t queued_at;
} cs_queue_record_t;

/* Copies up to `most` waiting records into `pool`, from `*cursor` on, and moves it behind them. A cursor begins at 0,
 * which stands for the oldest. Returns how many there were. Takes nothing from a sender that is at work: what that
 * delivers meanwhile is either copied whole or passed by. */
int cs_queue_peek(cs_queue_record_t *records, int most, cs_queue_t *queue, apr_uint64_t *cursor, apr_pool_t *pool);

/* --- When the file is no longer what it was ---
 *
 * Somebody may remove or rename the file while it is in use, put another one in its place, cut it or write over it. No
 * process dies of that; appends fail where they could be lost; and whoever watches the file goes over to a new one. */
typedef enum {
    CS_QUEUE_SOUND,
    CS_QUEUE_REPLACED, /* what waits in it is still there, but nobody would find it after a restart */
    CS_QUEUE_BROKEN,   /* it was cut or overwritten, or its disk fails or does not answer */
} cs_queue_condition_t;
cs_queue_condition_t cs_queue_look(cs_queue_t *queue);
/* Whether it is known to be broken: then what was read from it may be zeros. Asks nobody. */
int cs_queue_is_broken(const cs_queue_t *queue);

/* Opens the queue that is in the file's place now, makes it where there is none, and moves there what waits in `old`,
 * or is left of it; one process does so for all. Then `*queue` is to be used, which may be `old`, where all is well
 * again. APR_TIMEUP: another process is at it, or in the way; again in a moment. Others: there can be no new one, or it
 * has no room for all, which is logged unless `quiet`; then nothing more is appended to `old`, and it is to be tried
 * again once something of what waits in `*queue` has been delivered, which is `old`, or what belongs to it until it is
 * closed. `old` must not be closed while another thread may be in it, nor left for good before this has succeeded. */
apr_status_t cs_queue_succeed(cs_queue_t **queue, cs_queue_t *old, const cs_queue_options_t *options, int quiet,
                              const cs_log_t *log);

/* --- The sender's side --- */

/* Becomes the sender. Waits at most `wait` (0: not at all): APR_TIMEUP. Unlocked by the same thread only. */
apr_status_t cs_queue_sender_lock(cs_queue_t *queue, apr_interval_time_t wait);
void cs_queue_sender_unlock(cs_queue_t *queue);

/* As cs_queue_peek(), without a copy: a record's data lies in the mapped file until it is settled and passed by. */
int cs_queue_read(cs_queue_record_t *records, int most, cs_queue_t *queue, apr_uint64_t *cursor);

/* Marks a record, in any order. It is not read again, by any later sender either. */
typedef enum { CS_SETTLED_DELIVERED = 1, CS_SETTLED_REJECTED } cs_settled_t;
void cs_queue_settle(cs_queue_t *queue, apr_uint64_t position, cs_settled_t as);

/* Frees the room of the settled records at the tail, and counts them. */
apr_status_t cs_queue_advance(cs_queue_t *queue);

/* Settles `count` records as delivered, and advances. Their positions ascend, and lie `stride` bytes from one another.
 * Of the oldest that wait nothing is marked, so that no page of the file is written to, which costs more than all else
 * here; and those that deliver in order need nothing else. Should it fail, or its process die, what was not passed by
 * or marked is read again. */
apr_status_t cs_queue_deliver(cs_queue_t *queue, const apr_uint64_t *positions, apr_size_t stride, int count);

#endif
