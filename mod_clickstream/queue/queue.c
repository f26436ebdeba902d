/* Append, read, settle, advance: the queue in use. How it is opened is in open.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "queue/queue.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "queue/layout.h"

/* How many frames cs_queue_advance() passes under one lock: an append waits some 20 µs for that. */
#define ADVANCE_STEP 1024

static apr_status_t locked(cs_queue_t *queue, pthread_mutex_t *mutex, int error)
{
    if (error == EOWNERDEAD) { /* nothing is half done: see layout.h */
        __atomic_add_fetch(&queue->header->owner_deaths, 1, __ATOMIC_RELAXED);
        error = pthread_mutex_consistent(mutex);
    }
    return error == ETIMEDOUT || error == EBUSY ? APR_TIMEUP : error;
}

apr_status_t queue_lock(cs_queue_t *queue, pthread_mutex_t *mutex)
{
    return locked(queue, mutex, pthread_mutex_lock(mutex));
}

void queue_publish(cs_queue_t *queue, const ledger_t *next)
{
    apr_uint32_t turn = queue->header->turn + 1;
    ledger_t *slot = &queue->header->ledger[turn & 1];

    *slot = *next;
    slot->sequence++;
    slot->checksum = queue_ledger_checksum(slot);
    __atomic_store_n(&queue->header->turn, turn, __ATOMIC_RELEASE);
}

frame_t *queue_write_frame(cs_queue_t *queue, apr_uint64_t position, cs_span_t data, apr_time_t queued_at,
                           apr_uint32_t state)
{
    frame_t *frame = frame_at(queue, position);

    frame->position = position;
    frame->queued_at = queued_at;
    frame->size = (apr_uint32_t)data.length;
    frame->state = state;
    memcpy(frame + 1, data.at, data.length);
    frame->checksum = queue_frame_checksum(frame);
    return frame;
}

/* Group commit: whoever gets the lock syncs for all that have appended by then; the others find it done. */
static apr_status_t sync_up_to(cs_queue_t *queue, apr_uint64_t position)
{
    header_t *header = queue->header;
    apr_uint64_t head;
    apr_status_t status = queue_lock(queue, &header->syncing);

    if (status != APR_SUCCESS)
        return status;
    if (__atomic_load_n(&header->synced, __ATOMIC_ACQUIRE) < position) {
        if ((status = queue_lock(queue, &header->lock)) == APR_SUCCESS) {
            head = ledger_of(queue)->head;
            pthread_mutex_unlock(&header->lock);
            if (fdatasync(queue->fd) == 0)
                __atomic_store_n(&header->synced, head, __ATOMIC_RELEASE);
            else
                status = errno;
        }
    }
    pthread_mutex_unlock(&header->syncing);
    return status;
}

apr_status_t cs_queue_append(cs_queue_t *queue, const cs_span_t *records, int count, apr_time_t now)
{
    apr_uint64_t room = 0, bytes = 0, position;
    apr_status_t status;
    ledger_t next;

    for (int i = 0; i < count; i++) {
        room += frame_room(records[i].length);
        bytes += records[i].length;
    }
    if (room > queue->capacity)
        return APR_EINVAL;
    if ((status = queue_lock(queue, &queue->header->lock)) != APR_SUCCESS)
        return status;
    next = *ledger_of(queue);
    if (next.head + room - next.tail > queue->capacity) {
        pthread_mutex_unlock(&queue->header->lock);
        return APR_ENOSPC;
    }
    for (int i = 0; i < count; i++) {
        queue_write_frame(queue, next.head, records[i], now, FRAME_WAITING);
        next.head += frame_room(records[i].length);
    }
    next.appended += (apr_uint64_t)count;
    next.appended_bytes += bytes;
    position = next.head;
    queue_publish(queue, &next);
    pthread_mutex_unlock(&queue->header->lock);
    return queue->synced ? sync_up_to(queue, position) : APR_SUCCESS;
}

apr_status_t cs_queue_stats(cs_queue_stats_t *stats, cs_queue_t *queue)
{
    apr_status_t status = queue_lock(queue, &queue->header->lock);
    apr_time_t oldest = 0;
    ledger_t ledger;

    if (status != APR_SUCCESS)
        return status;
    ledger = *ledger_of(queue);
    if (ledger.tail < ledger.head)
        oldest = frame_at(queue, ledger.tail)->queued_at;
    pthread_mutex_unlock(&queue->header->lock);
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
static int peek_step(cs_queue_record_t *record, cs_queue_t *queue, apr_uint64_t *cursor, char *room, apr_size_t size)
{
    const ledger_t *ledger;
    int left = ADVANCE_STEP;

    *record = (cs_queue_record_t){.position = 0};
    if (queue_lock(queue, &queue->header->lock) != APR_SUCCESS)
        return 0;
    ledger = ledger_of(queue);
    if (*cursor < ledger->tail)
        *cursor = ledger->tail;
    for (; left && *cursor < ledger->head; left--) {
        const frame_t *frame = frame_at(queue, *cursor);
        if (__atomic_load_n(&frame->state, __ATOMIC_RELAXED) == FRAME_WAITING) {
            *record =
                (cs_queue_record_t){.position = *cursor, .data = {NULL, frame->size}, .queued_at = frame->queued_at};
            if (frame->size <= size)
                record->data.at = memcpy(room, frame + 1, frame->size);
            break;
        }
        *cursor += frame_room(frame->size);
    }
    left = *cursor < ledger->head;
    pthread_mutex_unlock(&queue->header->lock);
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
    struct timespec until;

    if (wait <= 0)
        return locked(queue, mutex, pthread_mutex_trylock(mutex));
    clock_gettime(CLOCK_REALTIME, &until); /* the clock that pthread_mutex_timedlock() goes by */
    until.tv_sec += (time_t)apr_time_sec(wait);
    until.tv_nsec += (long)apr_time_usec(wait) * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return locked(queue, mutex, pthread_mutex_timedlock(mutex, &until));
}

void cs_queue_sender_unlock(cs_queue_t *queue)
{
    pthread_mutex_unlock(&queue->header->sender);
}

int cs_queue_read(cs_queue_record_t *records, int most, cs_queue_t *queue, apr_uint64_t *cursor)
{
    apr_uint64_t head, tail;
    int count = 0;

    if (queue_lock(queue, &queue->header->lock) != APR_SUCCESS)
        return 0;
    head = ledger_of(queue)->head;
    tail = ledger_of(queue)->tail;
    pthread_mutex_unlock(&queue->header->lock);
    if (*cursor < tail)
        *cursor = tail;
    while (count < most && *cursor < head) {
        frame_t *frame = frame_at(queue, *cursor);
        if (__atomic_load_n(&frame->state, __ATOMIC_RELAXED) == FRAME_WAITING)
            records[count++] = (cs_queue_record_t){
                .position = *cursor, .data = {(const char *)(frame + 1), frame->size}, .queued_at = frame->queued_at};
        *cursor += frame_room(frame->size);
    }
    return count;
}

void cs_queue_settle(cs_queue_t *queue, apr_uint64_t position, cs_settled_t as)
{
    __atomic_store_n(&frame_at(queue, position)->state, (apr_uint32_t)as, __ATOMIC_RELEASE);
}

/* Passes by up to ADVANCE_STEP settled frames; returns how many it found. */
static int pass_settled(ledger_t *next, const cs_queue_t *queue)
{
    int passed = 0;

    while (passed < ADVANCE_STEP && next->tail < next->head) {
        const frame_t *frame = frame_at(queue, next->tail);
        if (frame->state == FRAME_WAITING)
            break;
        if (frame->state == FRAME_DELIVERED) {
            next->delivered++;
            next->delivered_bytes += frame->size;
        }
        else if (frame->state == FRAME_REJECTED) {
            next->rejected++;
            next->rejected_bytes += frame->size;
        }
        next->tail += frame_room(frame->size);
        passed++;
    }
    return passed;
}

apr_status_t cs_queue_advance(cs_queue_t *queue)
{
    apr_status_t status;
    int passed;

    do {
        ledger_t next;
        if ((status = queue_lock(queue, &queue->header->lock)) != APR_SUCCESS)
            return status;
        next = *ledger_of(queue);
        if ((passed = pass_settled(&next, queue)))
            queue_publish(queue, &next);
        pthread_mutex_unlock(&queue->header->lock);
    } while (passed == ADVANCE_STEP);
    return APR_SUCCESS;
}
