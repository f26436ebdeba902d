/* Makes a file that nobody else has open safe to use again.
 *
 * After the death of processes alone the file is exact. After a loss of power the disk may hold an old
 * header with newer frames, a new header with older frames, or torn pages. So: the newest whole ledger
 * counts; between its tail and head every frame that is whole and in its own place is kept, and what lies
 * between such frames is skipped. A second recovery of the same file finds nothing to do.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "queue/layout.h"

/* A frame's size has 32 bits; a gap longer than this is skipped by several frames. */
#define SKIP_MOST ((apr_uint64_t)1 << 30)

apr_status_t queue_init_mutexes(header_t *header)
{
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);

    if (!error)
        error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (!error)
        error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (!error)
        error = pthread_mutex_init(&header->lock, &attributes);
    if (!error)
        error = pthread_mutex_init(&header->sender, &attributes);
    if (!error)
        error = pthread_mutex_init(&header->syncing, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return error;
}

int queue_ledger_whole(const ledger_t *ledger, apr_size_t capacity)
{
    return ledger->checksum == queue_ledger_checksum(ledger) && ledger->tail <= ledger->head &&
           ledger->head <= APR_INT64_MAX && ledger->head - ledger->tail <= capacity &&
           (ledger->head | ledger->tail) % FRAME_ALIGN == 0;
}

/* Makes the newest whole ledger the one that counts. Returns 0 where none is whole. */
static int choose_ledger(cs_queue_t *queue)
{
    const ledger_t *ledger = queue->header->ledger;
    int whole[2] = {queue_ledger_whole(&ledger[0], queue->capacity), queue_ledger_whole(&ledger[1], queue->capacity)};

    if (!whole[0] && !whole[1])
        return 0; /* the file is moved aside as it is */
    if (whole[0] && whole[1])
        queue->header->turn = ledger[1].sequence > ledger[0].sequence;
    else
        queue->header->turn = (apr_uint32_t)whole[1];
    return 1;
}

static int frame_whole(apr_uint32_t *size, const cs_queue_t *queue, apr_uint64_t position, apr_uint64_t head)
{
    const frame_t *frame = frame_at(queue, position);

    *size = frame_size(frame);
    return frame->position == position && frame_room(*size) <= head - position && frame->state <= FRAME_SKIPPED &&
           frame->checksum == queue_frame_checksum(frame, *size);
}

apr_uint64_t queue_next_whole(apr_uint32_t *size, const cs_queue_t *queue, apr_uint64_t position, apr_uint64_t head)
{
    while (position < head && !frame_whole(size, queue, position, head))
        position += FRAME_ALIGN;
    return position;
}

static void skip(cs_queue_t *queue, apr_uint64_t from, apr_uint64_t to)
{
    while (from < to) {
        apr_uint64_t length = to - from < SKIP_MOST ? to - from : SKIP_MOST;
        cs_span_t rest = {(const char *)(frame_at(queue, from) + 1), length - sizeof(frame_t)};
        queue_write_frame(queue, from, rest, 0, FRAME_SKIPPED);
        queue_step();
        from += length;
    }
}

apr_status_t queue_recover(cs_queue_t *queue, const char *name, const cs_log_t *log)
{
    apr_uint64_t found = 0, found_bytes = 0, damaged = 0, position, expected, expected_bytes;
    apr_uint32_t size;
    ledger_t ledger;
    apr_status_t error;

    queue_step();
    if (!choose_ledger(queue))
        return is_broken(queue) ? EIO : APR_EGENERAL;
    ledger = *ledger_of(queue);
    for (position = ledger.tail; position < ledger.head;) {
        const frame_t *frame = frame_at(queue, position);
        if (frame_whole(&size, queue, position, ledger.head)) {
            found += frame->state != FRAME_SKIPPED;
            found_bytes += frame->state != FRAME_SKIPPED ? size : 0;
            position += frame_room(size);
            continue;
        }
        apr_uint64_t next = queue_next_whole(&size, queue, position, ledger.head);
        if (is_broken(queue))
            return EIO; /* what cannot be read now may be whole */
        damaged += next - position;
        if (next == ledger.head)
            ledger.head = position; /* nothing behind it: cut */
        else
            skip(queue, position, next);
        position = next;
    }
    queue_step();
    if (is_broken(queue))
        return EIO;
    expected = ledger.appended - ledger.delivered - ledger.rejected - ledger.lost;
    expected_bytes = ledger.appended_bytes - ledger.delivered_bytes - ledger.rejected_bytes - ledger.lost_bytes;
    if (damaged) {
        cs_log(log, CS_LOG_ERROR, APR_SUCCESS,
               "stream %s: %" APR_UINT64_T_FMT " bytes of its queue with %" APR_UINT64_T_FMT
               " events were not on the disk after a loss of power and are gone; ack=synced keeps them",
               name, damaged, expected > found ? expected - found : 0);
        ledger.lost += expected - found;
        ledger.lost_bytes += expected_bytes - found_bytes;
        queue_publish(queue, &ledger);
    }
    if (found)
        cs_log(log, CS_LOG_INFO, APR_SUCCESS, "stream %s: %" APR_UINT64_T_FMT " events are in its queue from before",
               name, found);
    queue->header->synced = 0;
    queue->header->unsynced = 0; /* the head may be before it again */
    queue->header->retired = RETIRED_NOT;
    queue->header->lives++;
    queue_step();
    error = queue_init_mutexes(queue->header);
    queue->header->recovering = 0;
    return is_broken(queue) ? EIO : error;
}
