/* Append, read, settle, advance: the queue in use. How it is opened is in open.c, its locks are in lock.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "queue/queue.h"

#include <string.h>

#include "queue/layout.h"

/* How many frames cs_queue_deliver() passes under one lock: an append waits some 20 µs for that. */
#define ADVANCE_STEP 1024

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
    if ((status = queue_lock_ledger(&next, queue)) != APR_SUCCESS)
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
        status = queue_sync_up_to(queue, next.head);
    if (is_broken(queue) || (!queue->watched && cs_queue_look(queue) != CS_QUEUE_SOUND))
        return APR_EGENERAL; /* it may have gone where nobody finds it */
    return status;
}

apr_status_t cs_queue_stats(cs_queue_stats_t *stats, cs_queue_t *queue)
{
    apr_time_t oldest = 0;
    ledger_t ledger;
    apr_status_t status = queue_lock_ledger(&ledger, queue);

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
    if (queue_lock_ledger(&ledger, queue) != APR_SUCCESS)
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

int cs_queue_read(cs_queue_record_t *records, int most, cs_queue_t *queue, apr_uint64_t *cursor)
{
    const frame_t *frame;
    apr_uint32_t size;
    ledger_t ledger;
    int count = 0;

    if (queue_lock_ledger(&ledger, queue) != APR_SUCCESS)
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
        if ((status = queue_lock_ledger(&next, queue)) != APR_SUCCESS)
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
