/* What is in a queue file. Private to queue/.
 *
 *     header (64 KiB, its second half the board) | ring (capacity bytes, mapped twice in a row, so that no frame is
 *                                                  ever split)
 *
 * Locking: `lock` protects the ledger and the ring between tail and head, `sender` the right to settle,
 *   `syncing` who calls fdatasync. They are taken in the order sender, syncing, lock, and `lock` is never
 *   held over a system call.
 * Dying: the ledger is kept twice. A change is made in the copy that does not count, then `turn` is stored
 *   once, and the other copy counts. Whoever dies before that store has changed nothing; whoever dies
 *   after it has changed everything. So a lock whose owner died needs no repair.
 * Faults: the file may be cut or overwritten by somebody else while it is mapped. What is read from it is checked
 * before it leads anywhere; a page that is gone is replaced by one of zeros (guard.c); and the queue counts as broken
 * in this process from then on. Power: after a loss of power the disk may hold any mixture of pages. Ledgers and frames
 * carry checksums, and a frame its position, so that recovery can tell what is whole and from which lap; see recover.c.
 * Stalls: who has `lock` may be held up by its own page faults, when the disk does not answer, or be stopped. The
 * others give up after a while, in their own process only; they go on when the lock is given back; see succeed.c.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_QUEUE_LAYOUT_H
#define CS_QUEUE_LAYOUT_H

#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#include "queue/queue.h"

#define QUEUE_MAGIC "CSQUEUE\n"
#define QUEUE_VERSION 1
#define HEADER_SIZE 65536 /* a whole number of pages on every system that Linux runs on */
#define BOARD_OFFSET (HEADER_SIZE - CS_QUEUE_BOARD)
#define FRAME_ALIGN 32 /* of positions; so every gap has room for a frame that skips it */

typedef struct ledger_t {
    apr_uint64_t sequence;
    apr_uint64_t head, tail; /* positions; head - tail <= capacity */
    apr_uint64_t appended, appended_bytes;
    apr_uint64_t delivered, delivered_bytes;
    apr_uint64_t rejected, rejected_bytes;
    apr_uint64_t lost, lost_bytes;
    apr_uint64_t checksum; /* of the above */
} ledger_t;

typedef struct header_t {
    char magic[8]; /* written last when a file is made */
    apr_uint32_t version;
    apr_uint32_t mutex_size; /* another C library's mutexes are not ours */
    apr_uint64_t capacity;
    pthread_mutex_t lock, sender, syncing;
    apr_uint32_t turn;
    ledger_t ledger[2];
    apr_uint64_t synced; /* everything before this position is on the disk */
    apr_uint64_t owner_deaths;
    apr_uint64_t counters[CS_QUEUE_COUNTERS];
    /* All are 0 in files of before they were there. */
    apr_uint32_t retired;  /* RETIRED_… */
    apr_uint32_t syncs;    /* that have ended, well or not: what others wait for */
    apr_uint32_t lives;    /* another number whenever the file is made or recovered */
    apr_uint64_t unsynced; /* of what is before this position something may never get to the disk: a sync failed */
    /* Somebody is alone with it, or was, and has not recovered it: who comes then must not take it for recovered. */
    apr_uint32_t recovering;
} header_t;
_Static_assert(sizeof(header_t) <= BOARD_OFFSET, "the header leaves the board its half");
/* A disk writes 512 bytes whole or not at all. In two of them, one ledger could be lost and the other one be old. */
_Static_assert(offsetof(header_t, ledger) / 512 == (offsetof(header_t, ledger) + 2 * sizeof(ledger_t) - 1) / 512,
               "both ledgers are in one sector");

/* Of a file that is no longer in its place: nothing more is appended to it; nothing waits in it any more. */
enum { RETIRED_NOT = 0, RETIRED_CLOSED, RETIRED_EMPTY };

enum { FRAME_WAITING = 0, FRAME_DELIVERED = CS_SETTLED_DELIVERED, FRAME_REJECTED = CS_SETTLED_REJECTED, FRAME_SKIPPED };

typedef struct frame_t {
    apr_uint64_t position;
    apr_uint64_t checksum; /* of position, queued_at, size and data; not of state */
    apr_int64_t queued_at;
    apr_uint32_t size; /* of the data behind this header */
    apr_uint32_t state;
} frame_t;

/* Look at the path again: the file there is another one now, or others are in the way. Not for callers of queue.h. */
#define AGAIN APR_EAGAIN

/* Stuck: `lock` was not given back in time, and that may be all that is wrong. */
enum { CONDITION_SOUND = 0, CONDITION_STUCK, CONDITION_BROKEN };

struct cs_queue_t {
    int fd;
    int synced, watched;
    apr_uint32_t life;            /* of the file, when it was opened */
    int condition;                /* CONDITION_…, in this process; set by any thread, and by a signal handler */
    int inside;                   /* how many of its locks threads of this process have */
    apr_interval_time_t patience; /* with who has `lock` */
    const char *lost;             /* the first of the pages that were gone; set by a signal handler. NULL: none was */
    char *path;
    int waits;        /* how often cs_queue_succeed() has waited for another to move what is in it */
    cs_queue_t *next; /* where cs_queue_succeed() is not done: the one it has found in its place */
    apr_size_t capacity;
    header_t *header;
    char *ring; /* 2 * capacity bytes of address space */
};

/* Whether it is the header of a queue's file of that size, of this version and of a system like this one. */
static inline int is_header(const header_t *header, off_t size)
{
    return memcmp(header->magic, QUEUE_MAGIC, sizeof(header->magic)) == 0 && header->version == QUEUE_VERSION &&
           header->mutex_size == sizeof(pthread_mutex_t) && header->capacity >= HEADER_SIZE &&
           header->capacity % HEADER_SIZE == 0 && header->capacity == (apr_uint64_t)size - HEADER_SIZE;
}

static inline apr_uint64_t frame_room(apr_size_t size)
{
    return (sizeof(frame_t) + size + FRAME_ALIGN - 1) & ~(apr_uint64_t)(FRAME_ALIGN - 1);
}

static inline frame_t *frame_at(const cs_queue_t *queue, apr_uint64_t position)
{
    return (frame_t *)(void *)(queue->ring + position % queue->capacity);
}

/* Read once, checked, and only then used: whoever can write to the file may change it in between. */
static inline apr_uint32_t frame_size(const frame_t *frame)
{
    return __atomic_load_n(&frame->size, __ATOMIC_RELAXED);
}

/* Or stuck: either way nothing is promised or delivered. */
static inline int is_broken(const cs_queue_t *queue)
{
    return __atomic_load_n(&queue->condition, __ATOMIC_SEQ_CST) != CONDITION_SOUND;
}

static inline int is_stuck(const cs_queue_t *queue)
{
    return __atomic_load_n(&queue->condition, __ATOMIC_ACQUIRE) == CONDITION_STUCK;
}

static inline int is_inside(const cs_queue_t *queue)
{
    return __atomic_load_n(&queue->inside, __ATOMIC_SEQ_CST);
}

static inline void set_broken(cs_queue_t *queue)
{
    __atomic_store_n(&queue->condition, CONDITION_BROKEN, __ATOMIC_SEQ_CST);
}

/* From one condition to another, but for one that was found to be broken meanwhile. */
static inline int change_condition(cs_queue_t *queue, int from, int to)
{
    return __atomic_compare_exchange_n(&queue->condition, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline ledger_t *ledger_of(const cs_queue_t *queue)
{
    return &queue->header->ledger[__atomic_load_n(&queue->header->turn, __ATOMIC_ACQUIRE) & 1];
}

/* A place between two steps: in the build of the tests a process dies there, or power is lost; see tests/queue. */
#ifdef CS_QUEUE_STEPS
void queue_step(void);
#else
#define queue_step() ((void)0)
#endif

/* checksum.c: to tell a torn page, not a forger. `size` is the frame's, as it was checked. */
apr_uint64_t queue_ledger_checksum(const ledger_t *ledger);
apr_uint64_t queue_frame_checksum(const frame_t *frame, apr_uint32_t size);

/* lock.c: one of the mutexes in the header. APR_TIMEUP: it was not to be had within `wait`. */
apr_status_t queue_take(cs_queue_t *queue, pthread_mutex_t *mutex, apr_interval_time_t wait);
void queue_give(cs_queue_t *queue, pthread_mutex_t *mutex);
/* `lock`, without which a queue is stuck. */
apr_status_t queue_lock(cs_queue_t *queue, apr_interval_time_t wait);
void queue_unlock(cs_queue_t *queue);
/* `lock`, of a queue that is sound, and its ledger: everything that is done under `lock` begins so. */
apr_status_t queue_lock_ledger(ledger_t *ledger, cs_queue_t *queue);

/* sync.c: returns once the disk has all that is appended by now, or all before that position. */
apr_status_t queue_sync(cs_queue_t *queue);
apr_status_t queue_sync_up_to(cs_queue_t *queue, apr_uint64_t position);

/* queue.c */
void queue_publish(cs_queue_t *queue, const ledger_t *next);
frame_t *queue_write_frame(cs_queue_t *queue, apr_uint64_t position, cs_span_t data, apr_time_t queued_at,
                           apr_uint32_t state);

/* recover.c: for the only process that has the file open. Afterwards the mutexes are new, and every frame
 * from tail to head is whole. APR_EGENERAL: this file is no queue. EIO: a part of it cannot be read or written, and
 * nothing that waits in it was cut or skipped for that. */
apr_status_t queue_recover(cs_queue_t *queue, const char *name, const cs_log_t *log);
apr_status_t queue_init_mutexes(header_t *header);
int queue_ledger_whole(const ledger_t *ledger, apr_size_t capacity);
/* The next whole frame from `position` on, and its size; or `head`. */
apr_uint64_t queue_next_whole(apr_uint32_t *size, const cs_queue_t *queue, apr_uint64_t position, apr_uint64_t head);

/* guard.c: from now on a page of this mapping that is gone from the file breaks the queue, and not the process. */
void queue_guard(cs_queue_t *queue);
void queue_unguard(cs_queue_t *queue);

#endif
