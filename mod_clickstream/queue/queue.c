/* Append, read, settle, advance: the queue in use. How it is opened is in open.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "queue/queue.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "queue/layout.h"

/* No disk that works takes so long. */
#define SYNC_PATIENCE apr_time_from_sec(60)
/* How many frames cs_queue_deliver() passes under one lock: an append waits some 20 µs for that. */
#define ADVANCE_STEP 1024

static apr_status_t locked(cs_queue_t *queue, pthread_mutex_t *mutex, int error)
{
    if (error == EOWNERDEAD) { /* nothing is half done: see layout.h */
        __atomic_add_fetch(&queue->header->owner_deaths, 1, __ATOMIC_RELAXED);
        error = pthread_mutex_consistent(mutex);
    }
    if (error == ETIMEDOUT || error == EBUSY)
        return APR_TIMEUP;
    if (error) /* that is no lock of ours any more */
        set_broken(queue);
    else /* before is_broken() is asked: see cs_queue_succeed() */
        __atomic_add_fetch(&queue->inside, 1, __ATOMIC_SEQ_CST);
    return error ? APR_EGENERAL : APR_SUCCESS;
}

static void unlock(cs_queue_t *queue, pthread_mutex_t *mutex)
{
    pthread_mutex_unlock(mutex);
    __atomic_sub_fetch(&queue->inside, 1, __ATOMIC_SEQ_CST);
}

static apr_time_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

/* By the clock that nobody sets, where the C library can. */
static int lock_within(pthread_mutex_t *mutex, apr_interval_time_t wait)
{
    struct timespec until;

#ifdef HAVE_PTHREAD_MUTEX_CLOCKLOCK
    clock_gettime(CLOCK_MONOTONIC, &until);
#else
    clock_gettime(CLOCK_REALTIME, &until);
#endif
    until.tv_sec += (time_t)apr_time_sec(wait);
    until.tv_nsec += (long)apr_time_usec(wait) * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
#ifdef HAVE_PTHREAD_MUTEX_CLOCKLOCK
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
#else
    return pthread_mutex_timedlock(mutex, &until);
#endif
}

apr_status_t queue_lock(cs_queue_t *queue, apr_interval_time_t wait)
{
    pthread_mutex_t *mutex = &queue->header->lock;
    int error = pthread_mutex_trylock(mutex);
    apr_status_t status;

    if (error == EBUSY && wait > 0)
        error = lock_within(mutex, wait);
    status = locked(queue, mutex, error);
    if (APR_STATUS_IS_TIMEUP(status))
        change_condition(queue, CONDITION_SOUND, CONDITION_STUCK);
    return status;
}

void queue_unlock(cs_queue_t *queue)
{
    unlock(queue, &queue->header->lock);
}

/* Everything that is done under `lock` begins so. */
static apr_status_t lock_ledger(ledger_t *ledger, cs_queue_t *queue)
{
    apr_status_t status = is_broken(queue) ? APR_EGENERAL : queue_lock(queue, queue->patience);

    if (status != APR_SUCCESS)
        return status;
    *ledger = *ledger_of(queue);
    if (ledger->head - ledger->tail > queue->capacity || (ledger->head | ledger->tail) % FRAME_ALIGN)
        set_broken(queue);
    if (is_broken(queue)) { /* now, or while we waited */
        queue_unlock(queue);
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

/* The frame at `position`, which is before `head`, and its size. NULL: there is none, so somebody wrote over the file.
 */
static frame_t *checked_frame(apr_uint32_t *size, cs_queue_t *queue, apr_uint64_t position, apr_uint64_t head)
{
    frame_t *frame = frame_at(queue, position);

    *size = frame_size(frame);
    if (frame->position == position && frame_room(*size) <= head - position)
        return frame;
    set_broken(queue);
    return NULL;
}

void queue_publish(cs_queue_t *queue, const ledger_t *next)
{
    apr_uint32_t turn = queue->header->turn + 1;
    ledger_t *slot = &queue->header->ledger[turn & 1];

    queue_step();
    *slot = *next;
    slot->sequence++;
    queue_step();
    slot->checksum = queue_ledger_checksum(slot);
    queue_step();
    __atomic_store_n(&queue->header->turn, turn, __ATOMIC_RELEASE);
    queue_step();
}

frame_t *queue_write_frame(cs_queue_t *queue, apr_uint64_t position, cs_span_t data, apr_time_t queued_at,
                           apr_uint32_t state)
{
    frame_t *frame = frame_at(queue, position);

    frame->position = position;
    frame->queued_at = queued_at;
    frame->size = (apr_uint32_t)data.length;
    frame->state = state;
    queue_step();
    memcpy(frame + 1, data.at, data.length);
    queue_step();
    frame->checksum = queue_frame_checksum(frame, (apr_uint32_t)data.length);
    return frame;
}

/* The kernel tells of pages that it could not write once, to each who has the file open, and counts them as written:
 * the next sync succeeds without them. What was appended by now may be in such a page, also what came during the sync;
 * so nobody promises any of it, in no process. Should this one die here, the others are told of it by their own syncs.
 */
static void fail_sync(cs_queue_t *queue)
{
    ledger_t ledger;

    if (lock_ledger(&ledger, queue) != APR_SUCCESS)
        return; /* it is broken, and nothing is promised any more */
    queue_unlock(queue);
    __atomic_store_n(&queue->header->unsynced, ledger.head, __ATOMIC_RELEASE);
}

/* We have the `syncing` lock. */
static apr_status_t sync_file(cs_queue_t *queue)
{
    ledger_t ledger;
    apr_status_t status = lock_ledger(&ledger, queue);

    if (status != APR_SUCCESS)
        return status;
    queue_unlock(queue);
    queue_step();
    if (fdatasync(queue->fd) != 0) {
        status = errno;
        fail_sync(queue);
    }
    else
        __atomic_store_n(&queue->header->synced, ledger.head, __ATOMIC_RELEASE);
    queue_step();
    return status;
}

/* Until the sync under way has ended, or its process. */
static void wait_for_sync(header_t *header, apr_uint32_t ended)
{
    static const struct timespec notice = {.tv_nsec = 20000000};

    syscall(SYS_futex, &header->syncs, FUTEX_WAIT, ended, &notice, NULL, 0);
}

static void tell_of_sync(header_t *header)
{
    __atomic_add_fetch(&header->syncs, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &header->syncs, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* What became of all before `position`; AGAIN: no sync for it has ended yet. What failed is looked at last, as a later
 * sync that succeeds comes after it, and mends nothing. */
static apr_status_t sync_result(const header_t *header, apr_uint64_t position)
{
    int synced = __atomic_load_n(&header->synced, __ATOMIC_ACQUIRE) >= position;

    if (__atomic_load_n(&header->unsynced, __ATOMIC_ACQUIRE) >= position)
        return EIO;
    return synced ? APR_SUCCESS : AGAIN;
}

/* Group commit: whoever gets the lock syncs for all that have appended by then; the others wait for its end, rather
 * than for the lock, which those would get first that come with something new. */
static apr_status_t sync_up_to(cs_queue_t *queue, apr_uint64_t position)
{
    header_t *header = queue->header;
    apr_time_t until = 0;
    apr_status_t status;

    while ((status = sync_result(header, position)) == AGAIN) {
        apr_uint32_t ended = __atomic_load_n(&header->syncs, __ATOMIC_ACQUIRE);
        status = locked(queue, &header->syncing, pthread_mutex_trylock(&header->syncing));
        if (status == APR_SUCCESS) {
            if ((status = sync_result(header, position)) == AGAIN)
                status = sync_file(queue);
            unlock(queue, &header->syncing);
            tell_of_sync(header);
        }
        else if (APR_STATUS_IS_TIMEUP(status) && !is_broken(queue) && (!until || monotonic() < until)) {
            until = until ? until : monotonic() + SYNC_PATIENCE;
            wait_for_sync(header, ended);
            continue;
        }
        if (status != APR_SUCCESS)
            return status;
    }
    return status;
}

apr_status_t queue_sync(cs_queue_t *queue)
{
    ledger_t ledger;
    apr_status_t status = lock_ledger(&ledger, queue);

    if (status != APR_SUCCESS)
        return status;
    queue_unlock(queue);
    return sync_up_to(queue, ledger.head);
}

apr_status_t cs_queue_append(cs_queue_t *queue, const cs_span_t *records, int count, apr_time_t now)
{
    apr_uint64_t room = 0, bytes = 0;
    apr_status_t status;
    ledger_t next;

    for (int i = 0; i < count; i++) {
        room += frame_room(records[i].length);
        bytes += records[i].length;
    }
    if (room > queue->capacity)
        return APR_EINVAL;
    if ((status = lock_ledger(&next, queue)) != APR_SUCCESS)
        return status;
    queue_step();
    if (queue->header->retired)
        status = APR_EGENERAL;
    else if (next.head + room - next.tail > queue->capacity)
        status = APR_ENOSPC;
    if (status != APR_SUCCESS) {
        queue_unlock(queue);
        return status;
    }
    for (int i = 0; i < count; i++) {
        queue_write_frame(queue, next.head, records[i], now, FRAME_WAITING);
        next.head += frame_room(records[i].length);
    }
    next.appended += (apr_uint64_t)count;
    next.appended_bytes += bytes;
    if (is_broken(queue)) /* a page may be gone, and what was written to it be in no file */
        status = APR_EGENERAL;
    else
        queue_publish(queue, &next);
    if (queue->header->retired) /* by one who has not waited for the lock any more, and may have missed this */
        status = APR_EGENERAL;
    queue_unlock(queue);
    queue_step();
    if (status == APR_SUCCESS && queue->synced)
        status = sync_up_to(queue, next.head);
    if (is_broken(queue) || (!queue->watched && cs_queue_look(queue) != CS_QUEUE_SOUND))
        return APR_EGENERAL; /* it may have gone where nobody finds it */
    return status;
}

apr_status_t cs_queue_stats(cs_queue_stats_t *stats, cs_queue_t *queue)
{
    apr_time_t oldest = 0;
    ledger_t ledger;
    apr_status_t status = lock_ledger(&ledger, queue);

    if (status != APR_SUCCESS)
        return status;
    if (ledger.tail < ledger.head)
        oldest = frame_at(queue, ledger.tail)->queued_at;
    queue_unlock(queue);
    *stats = (cs_queue_stats_t){
        .capacity = (apr_int64_t)queue->capacity,
        .used = (apr_int64_t)(ledger.head - ledger.tail),
        .appended = ledger.appended,
        .delivered = ledger.delivered,
        .rejected = ledger.rejected,
        .lost = ledger.lost,
        .waiting = ledger.appended - ledger.delivered - ledger.rejected - ledger.lost,
        .delivered_bytes = ledger.delivered_bytes,
        .waiting_bytes = ledger.appended_bytes - ledger.delivered_bytes - ledger.rejected_bytes - ledger.lost_bytes,
        .oldest = oldest,
        .owner_deaths = __atomic_load_n(&queue->header->owner_deaths, __ATOMIC_RELAXED),
    };
    return APR_SUCCESS;
}

void cs_queue_count(cs_queue_t *queue, int counter, apr_uint64_t more)
{
    __atomic_add_fetch(&queue->header->counters[counter], more, __ATOMIC_RELAXED);
}

apr_uint64_t cs_queue_counted(const cs_queue_t *queue, int counter)
{
    return __atomic_load_n(&queue->header->counters[counter], __ATOMIC_RELAXED);
}

void *cs_queue_board(const cs_queue_t *queue)
{
    return (char *)queue->header + BOARD_OFFSET;
}

/* Looks for the next waiting record from `*cursor` on, for at most ADVANCE_STEP frames, and copies it where `room` has
 * room for it. Returns 0 where there is none. `record->data.at` is NULL where there was no room, or where the search
 * has to go on: then `data.length` is the room that is needed. */
static int peek_step(cs_queue_record_t *record, cs_queue_t *queue, apr_uint64_t *cursor, char *room, apr_size_t most)
{
    const frame_t *frame;
    apr_uint32_t size;
    ledger_t ledger;
    int left = ADVANCE_STEP;

    *record = (cs_queue_record_t){.position = 0};
    if (lock_ledger(&ledger, queue) != APR_SUCCESS)
        return 0;
    if (*cursor < ledger.tail)
        *cursor = ledger.tail;
    for (; left && *cursor < ledger.head && (frame = checked_frame(&size, queue, *cursor, ledger.head)); left--) {
        if (__atomic_load_n(&frame->state, __ATOMIC_RELAXED) == FRAME_WAITING) {
            *record = (cs_queue_record_t){.position = *cursor, .data = {NULL, size}, .queued_at = frame->queued_at};
            if (size <= most)
                record->data.at = memcpy(room, frame + 1, size);
            break;
        }
        *cursor += frame_room(size);
    }
    left = *cursor < ledger.head && !is_broken(queue);
    queue_unlock(queue);
    return left;
}

int cs_queue_peek(cs_queue_record_t *records, int most, cs_queue_t *queue, apr_uint64_t *cursor, apr_pool_t *pool)
{
    static char nothing[1];
    char *room = nothing;
    apr_size_t size = 0;
    int count = 0;

    while (count < most && peek_step(&records[count], queue, cursor, room, size)) {
        cs_queue_record_t *record = &records[count];
        if (record->data.at) {
            *cursor += frame_room(record->data.length);
            count++;
            room = nothing;
            size = 0;
        }
        else if (record->data.length > size) /* the lock is not held over an allocation */
            room = apr_palloc(pool, size = record->data.length);
    }
    return count;
}

/* --- the sender's side --- */

apr_status_t cs_queue_sender_lock(cs_queue_t *queue, apr_interval_time_t wait)
{
    pthread_mutex_t *mutex = &queue->header->sender;

    return locked(queue, mutex, wait > 0 ? lock_within(mutex, wait) : pthread_mutex_trylock(mutex));
}

void cs_queue_sender_unlock(cs_queue_t *queue)
{
    unlock(queue, &queue->header->sender);
}

int cs_queue_read(cs_queue_record_t *records, int most, cs_queue_t *queue, apr_uint64_t *cursor)
{
    const frame_t *frame;
    apr_uint32_t size;
    ledger_t ledger;
    int count = 0;

    if (lock_ledger(&ledger, queue) != APR_SUCCESS)
        return 0;
    queue_unlock(queue);
    if (*cursor < ledger.tail)
        *cursor = ledger.tail;
    while (count < most && *cursor < ledger.head && (frame = checked_frame(&size, queue, *cursor, ledger.head))) {
        if (__atomic_load_n(&frame->state, __ATOMIC_RELAXED) == FRAME_WAITING)
            records[count++] = (cs_queue_record_t){
                .position = *cursor, .data = {(const char *)(frame + 1), size}, .queued_at = frame->queued_at};
        *cursor += frame_room(size);
    }
    return is_broken(queue) ? 0 : count;
}

void cs_queue_settle(cs_queue_t *queue, apr_uint64_t position, cs_settled_t as)
{
    __atomic_store_n(&frame_at(queue, position)->state, (apr_uint32_t)as, __ATOMIC_RELEASE);
    queue_step();
}

/* Records that are delivered and not marked yet. */
typedef struct delivered_t {
    const char *next; /* the position of the next one */
    apr_size_t stride;
    int left;
} delivered_t;

static apr_uint64_t next_delivered(const delivered_t *delivered)
{
    return *(const apr_uint64_t *)(const void *)delivered->next;
}

static void drop_delivered(delivered_t *delivered)
{
    delivered->next += delivered->stride;
    delivered->left--;
}

/* As what the frame at `tail` is settled; FRAME_WAITING: it is not. */
static apr_uint32_t settled_as(const frame_t *frame, apr_uint64_t tail, delivered_t *delivered)
{
    if (frame->state != FRAME_WAITING || !delivered->left || next_delivered(delivered) != tail)
        return frame->state;
    drop_delivered(delivered);
    return FRAME_DELIVERED;
}

/* Passes by up to ADVANCE_STEP settled frames; returns how many it found. */
static int pass_settled(ledger_t *next, cs_queue_t *queue, delivered_t *delivered)
{
    const frame_t *frame;
    apr_uint32_t size;
    int passed = 0;

    while (passed < ADVANCE_STEP && next->tail < next->head &&
           (frame = checked_frame(&size, queue, next->tail, next->head))) {
        apr_uint32_t as = settled_as(frame, next->tail, delivered);
        if (as == FRAME_WAITING)
            break;
        if (as == FRAME_DELIVERED) {
            next->delivered++;
            next->delivered_bytes += size;
        }
        else if (as == FRAME_REJECTED) {
            next->rejected++;
            next->rejected_bytes += size;
        }
        next->tail += frame_room(size);
        passed++;
    }
    return passed;
}

apr_status_t cs_queue_deliver(cs_queue_t *queue, const apr_uint64_t *positions, apr_size_t stride, int count)
{
    delivered_t delivered = {.next = (const char *)positions, .stride = stride, .left = count};
    apr_status_t status;
    int passed;

    do {
        ledger_t next;
        if ((status = lock_ledger(&next, queue)) != APR_SUCCESS)
            break;
        queue_step();
        if ((passed = pass_settled(&next, queue, &delivered)))
            queue_publish(queue, &next);
        queue_unlock(queue);
        queue_step();
    } while (passed == ADVANCE_STEP);
    for (; delivered.left; drop_delivered(&delivered))
        cs_queue_settle(queue, next_delivered(&delivered), CS_SETTLED_DELIVERED);
    return status;
}

apr_status_t cs_queue_advance(cs_queue_t *queue)
{
    return cs_queue_deliver(queue, NULL, 0, 0);
}
