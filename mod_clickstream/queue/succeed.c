/* From a queue whose file was removed, replaced, cut or overwritten while it was in use, to the one in its place.
 *
 * Everybody who watches the old one goes through the same steps. One of them has the old one's sender lock: it closes
 * the old one to appends, moves what waits there, and says that nothing is left. The others wait for that; if the one
 * dies, another has its lock. So nobody leaves while something is left behind. A broken file's lock on the whole file
 * is let go, or nobody could ever be alone with it and put it right. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/disk.h"
#include "queue/layout.h"

/* How long we wait for the one that is moving. */
#define MOVE_NOTICE apr_time_from_msec(250)
/* How often, where it may be that its lock is no lock any more. */
#define WAITS_MOST 40

cs_queue_condition_t cs_queue_look(cs_queue_t *queue)
{
    struct stat info;

    if (fstat(queue->fd, &info) != 0 || info.st_size < (off_t)(HEADER_SIZE + queue->capacity) ||
        memcmp(queue->header->magic, QUEUE_MAGIC, sizeof(queue->header->magic)) != 0)
        set_broken(queue);
    if (is_broken(queue))
        return CS_QUEUE_BROKEN;
    return queue->header->retired || !cs_disk_still_at(queue->path, queue->fd) ? CS_QUEUE_REPLACED : CS_QUEUE_SOUND;
}

int cs_queue_is_broken(const cs_queue_t *queue)
{
    return is_broken(queue);
}

static int is_same_file(const cs_queue_t *one, const cs_queue_t *other)
{
    struct stat first, second;

    return fstat(one->fd, &first) == 0 && fstat(other->fd, &second) == 0 && first.st_ino == second.st_ino &&
           first.st_dev == second.st_dev;
}

/* Nothing more is appended: whoever appends has the lock, and looks. */
static void retire(cs_queue_t *queue, apr_uint32_t how)
{
    apr_status_t status = queue_lock(queue, &queue->header->lock);

    __atomic_store_n(&queue->header->retired, how, __ATOMIC_RELEASE);
    if (status == APR_SUCCESS)
        pthread_mutex_unlock(&queue->header->lock);
}

/* Moves what is whole; returns how many that were, and in `*lost` how many more there should have been. */
static apr_uint64_t move_waiting(cs_queue_t *to, cs_queue_t *from, apr_uint64_t *lost)
{
    ledger_t ledger = *ledger_of(from);
    apr_uint64_t moved = 0, settled = 0, position = ledger.tail, expected;

    while ((position = queue_next_whole(from, position, ledger.head)) < ledger.head) {
        const frame_t *frame = frame_at(from, position);
        apr_uint64_t room = frame_room(frame->size);
        if (frame->state != FRAME_WAITING)
            settled += frame->state != FRAME_SKIPPED;
        else if (cs_queue_append(to, &(cs_span_t){(const char *)(frame + 1), frame->size}, 1, frame->queued_at) ==
                 APR_SUCCESS) {
            cs_queue_settle(from, position,
                            CS_SETTLED_DELIVERED); /* whoever finds the file again finds nothing twice */
            moved++;
        }
        queue_step();
        position += room;
    }
    expected = ledger.appended - ledger.delivered - ledger.rejected - ledger.lost;
    *lost = expected > moved + settled ? expected - moved - settled : 0;
    return moved;
}

/* We have the old one's sender lock. */
static void move(cs_queue_t *to, cs_queue_t *from, const cs_queue_options_t *options, const cs_log_t *log)
{
    int broken = is_broken(from);
    apr_uint64_t moved, lost;

    retire(from, RETIRED_CLOSED);
    moved = move_waiting(to, from, &lost);
    if (!broken)
        cs_queue_advance(from);
    retire(from, RETIRED_EMPTY);
    if (broken)
        cs_log(log, CS_LOG_ERROR, APR_SUCCESS,
               "stream %s: queue %s was cut or overwritten while it was in use: of the events that waited in it "
               "%" APR_UINT64_T_FMT " are saved, %" APR_UINT64_T_FMT
               " lost: keep others away from it, or look at the disk",
               options->name, from->path, moved, lost);
    else
        cs_log(log, CS_LOG_WARNING, APR_SUCCESS,
               "stream %s: queue %s was removed or replaced while it was in use: %" APR_UINT64_T_FMT
               " events that waited in it are in the one that is there now",
               options->name, from->path, moved);
}

/* Whether its head is as we made it: or else there are no locks, and no way to what waits. */
static int has_head(const cs_queue_t *queue)
{
    return memcmp(queue->header->magic, QUEUE_MAGIC, sizeof(queue->header->magic)) == 0 &&
           queue_ledger_whole(ledger_of(queue), queue->capacity);
}

static void give_up(const cs_queue_t *old, const cs_queue_options_t *options, const cs_log_t *log)
{
    cs_log(
        log, CS_LOG_ERROR, APR_SUCCESS,
        "stream %s: queue %s was cut or overwritten while it was in use: what waited in it is lost: keep others away "
        "from it, or look at the disk",
        options->name, old->path);
}

/* Where only the file's content had been bad: whether somebody has put it right since we opened it. */
static apr_status_t same_file(cs_queue_t **queue, cs_queue_t *found, cs_queue_t *old, const cs_queue_options_t *options,
                              const cs_log_t *log)
{
    if (!is_broken(old)) { /* it was put back */
        retire(old, RETIRED_NOT);
        cs_queue_close(found);
        return APR_SUCCESS;
    }
    if (found->life == old->life) { /* for that, somebody has to be alone with it */
        cs_queue_close(found);
        return APR_TIMEUP;
    }
    cs_log(log, CS_LOG_WARNING, APR_SUCCESS,
           "stream %s: queue %s was overwritten while it was in use, or its disk failed; what of it is whole is in use "
           "again: keep others away from it, or look at the disk",
           options->name, old->path);
    *queue = found;
    return APR_SUCCESS;
}

static apr_status_t other_file(cs_queue_t **queue, cs_queue_t *found, cs_queue_t *old,
                               const cs_queue_options_t *options, const cs_log_t *log)
{
    apr_status_t status = has_head(old) ? cs_queue_sender_lock(old, MOVE_NOTICE) : APR_EGENERAL;

    if (status == APR_SUCCESS) {
        if (old->header->retired != RETIRED_EMPTY)
            move(found, old, options, log);
        cs_queue_sender_unlock(old);
    }
    else if (is_broken(old) && (!has_head(old) || old->waits++ >= WAITS_MOST))
        give_up(old, options, log);
    else if (__atomic_load_n(&old->header->retired, __ATOMIC_ACQUIRE) != RETIRED_EMPTY) {
        cs_queue_close(found);
        return APR_TIMEUP;
    }
    *queue = found;
    return APR_SUCCESS;
}

apr_status_t cs_queue_succeed(cs_queue_t **queue, cs_queue_t *old, const cs_queue_options_t *options, int quiet,
                              const cs_log_t *log)
{
    const cs_log_t nobody = {.level = CS_LOG_NONE};
    cs_queue_t *found;
    apr_status_t status;

    *queue = old;
    if (cs_queue_look(old) == CS_QUEUE_SOUND)
        return APR_SUCCESS;
    if (is_broken(old))
        flock(old->fd, LOCK_UN);
    status = cs_queue_open(&found, options, quiet ? &nobody : log);
    if (status == AGAIN)
        return APR_TIMEUP;
    if (status != APR_SUCCESS) {
        retire(old, RETIRED_CLOSED);
        return status;
    }
    return is_same_file(found, old) ? same_file(queue, found, old, options, log)
                                    : other_file(queue, found, old, options, log);
}
