/* From a queue whose file was removed, replaced, cut or overwritten while it was in use, to the one in its place.
 *
 * Everybody who watches the old one goes through the same steps. One of them has the old one's sender lock: it closes
 * the old one to appends, moves what waits there, and says that nothing is left. The others wait for that; if the one
 * dies, another has its lock. So nobody leaves while something is left behind: what the new one has no room for stays
 * in the old one, closed, until a sender has delivered it or there is room. A broken file's lock on the whole file is
 * let go, or nobody could ever be alone with it and put it right; but not while one of our threads is in it. Where a
 * lock was not given back in time, the queue is stuck, for this process; and goes on once it is.
 * SPDX-License-Identifier: Apache-2.0 */
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
/* How many events go to a synced queue with one sync of the disk. */
#define SYNC_STEP 1024

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
    apr_status_t status = queue_lock(queue, queue->patience);

    __atomic_store_n(&queue->header->retired, how, __ATOMIC_RELEASE);
    if (status == APR_SUCCESS)
        queue_unlock(queue);
}

/* Of a file that is in its place, and that somebody left when it was not. Not while one moves what is in it, who ends
 * with saying that nothing is. */
static apr_status_t reuse(cs_queue_t *queue)
{
    apr_status_t status;

    if (!__atomic_load_n(&queue->header->retired, __ATOMIC_ACQUIRE))
        return APR_SUCCESS;
    if ((status = cs_queue_sender_lock(queue, MOVE_NOTICE)) == APR_SUCCESS) {
        retire(queue, RETIRED_NOT);
        cs_queue_sender_unlock(queue);
    }
    return status;
}

typedef struct moving_t {
    cs_queue_t *to, *from;
    int synced;              /* what is in the new one counts once the disk has it */
    apr_uint64_t begin, end; /* in the old one: from the first to behind the last that is moved, but not marked */
    int unmarked;            /* how many these are */
    apr_uint64_t moved;      /* and marked */
} moving_t;

/* Whoever finds the old file again finds nothing twice; and after a loss of power one of the two has it. */
static apr_status_t mark_moved(moving_t *moving)
{
    apr_status_t status = moving->synced ? queue_sync(moving->to) : APR_SUCCESS;
    apr_uint64_t position = moving->begin;
    apr_uint32_t size;

    if (status != APR_SUCCESS)
        return status;
    while ((position = queue_next_whole(&size, moving->from, position, moving->end)) < moving->end) {
        if (frame_at(moving->from, position)->state == FRAME_WAITING)
            cs_queue_settle(moving->from, position, CS_SETTLED_DELIVERED);
        position += frame_room(size);
    }
    moving->moved += (apr_uint64_t)moving->unmarked;
    moving->unmarked = 0;
    return APR_SUCCESS;
}

static apr_status_t move_frame(moving_t *moving, apr_uint64_t position, apr_uint32_t size)
{
    const frame_t *frame = frame_at(moving->from, position);
    cs_span_t data = {(const char *)(frame + 1), size};
    apr_status_t status = cs_queue_append(moving->to, &data, 1, frame->queued_at);

    if (status == APR_EINVAL && is_broken(moving->from))
        return APR_SUCCESS; /* there is no other way for it */
    if (status != APR_SUCCESS)
        return status;
    if (!moving->unmarked++)
        moving->begin = position;
    moving->end = position + frame_room(data.length);
    return moving->unmarked < (moving->synced ? SYNC_STEP : 1) ? APR_SUCCESS : mark_moved(moving);
}

/* Moves what is whole, up to the first that cannot be: then the status says why. `*left` is how many more there are, or
 * should have been. */
static apr_status_t move_waiting(apr_uint64_t *moved, apr_uint64_t *left, cs_queue_t *to, cs_queue_t *from)
{
    moving_t moving = {.to = to, .from = from, .synced = to->synced};
    ledger_t ledger = *ledger_of(from);
    apr_uint64_t settled = 0, position = ledger.tail, expected;
    apr_status_t status = APR_SUCCESS, marked = APR_SUCCESS;
    apr_uint32_t size;

    to->synced = 0; /* nobody else has this one of ours yet */
    while ((position = queue_next_whole(&size, from, position, ledger.head)) < ledger.head) {
        const frame_t *frame = frame_at(from, position);
        if (frame->state != FRAME_WAITING)
            settled += frame->state != FRAME_SKIPPED;
        else if (status == APR_SUCCESS)
            status = move_frame(&moving, position, size);
        queue_step();
        position += frame_room(size);
    }
    to->synced = moving.synced;
    if (moving.unmarked)
        marked = mark_moved(&moving);
    expected = ledger.appended - ledger.delivered - ledger.rejected - ledger.lost;
    *moved = moving.moved;
    *left = expected > *moved + settled ? expected - *moved - settled : 0;
    return status == APR_SUCCESS ? marked : status;
}

/* We have the old one's sender lock. What cannot be moved stays in the old one, which does not say then that it is
 * empty. */
static apr_status_t move(cs_queue_t *to, cs_queue_t *from, const cs_queue_options_t *options, int quiet,
                         const cs_log_t *log)
{
    int broken = is_broken(from);
    apr_uint64_t moved, left;
    apr_status_t status = reuse(to);

    if (status != APR_SUCCESS)
        return status;
    retire(from, RETIRED_CLOSED);
    status = move_waiting(&moved, &left, to, from);
    if (!broken)
        cs_queue_advance(from);
    if (status != APR_SUCCESS) {
        if (!quiet)
            cs_log(log, CS_LOG_WARNING, status,
                   "stream %s: queue %s was removed or replaced while it was in use: %" APR_UINT64_T_FMT
                   " events that waited in it are in the one that is there now, %" APR_UINT64_T_FMT
                   " cannot be put there yet: do not restart httpd until they are delivered; clients get 500 until "
                   "then",
                   options->name, from->path, moved, left);
        return APR_STATUS_IS_TIMEUP(status) ? APR_EGENERAL : status;
    }
    retire(from, RETIRED_EMPTY);
    if (broken)
        cs_log(log, CS_LOG_ERROR, APR_SUCCESS,
               "stream %s: queue %s was cut or overwritten while it was in use: of the events that waited in it "
               "%" APR_UINT64_T_FMT " are saved, %" APR_UINT64_T_FMT
               " lost: keep others away from it, or look at the disk",
               options->name, from->path, moved, left);
    else
        cs_log(log, CS_LOG_WARNING, APR_SUCCESS,
               "stream %s: queue %s was removed or replaced while it was in use: %" APR_UINT64_T_FMT
               " events that waited in it are in the one that is there now",
               options->name, from->path, moved);
    return APR_SUCCESS;
}

/* Whether its head is as we made it: or else there are no locks, and no way to what waits. */
static int has_head(const cs_queue_t *queue)
{
    return memcmp(queue->header->magic, QUEUE_MAGIC, sizeof(queue->header->magic)) == 0 &&
           queue_ledger_whole(ledger_of(queue), queue->capacity);
}

/* Whether the lock is given back, and all is well again. Not where somebody has been alone with the file since we let
 * go of it: then its content is to be looked at anew. */
static int unstick(cs_queue_t *queue)
{
    int unstuck = 0;

    if (flock(queue->fd, LOCK_SH | LOCK_NB) != 0)
        return 0;
    if (queue->header->lives == queue->life && !queue->header->recovering && queue_lock(queue, 0) == APR_SUCCESS) {
        if (!has_head(queue))
            set_broken(queue);
        unstuck = change_condition(queue, CONDITION_STUCK, CONDITION_SOUND);
        queue_unlock(queue);
    }
    return unstuck;
}

static void give_up(const cs_queue_t *old, const cs_queue_options_t *options, const cs_log_t *log)
{
    cs_log(
        log, CS_LOG_ERROR, APR_SUCCESS,
        "stream %s: queue %s was cut or overwritten while it was in use: what waited in it is lost: keep others away "
        "from it, or look at the disk",
        options->name, old->path);
}

/* Whether `old` is broken as the disk had failed at a page, and does so no more: then others may never have noticed.
 * Not where that page has the locks: of these something may be left behind. */
static int is_mended(cs_queue_t *found, const cs_queue_t *old)
{
    const char *lost = __atomic_load_n(&old->lost, __ATOMIC_RELAXED);
    apr_uint32_t *page, content;

    if (!lost || lost < old->ring || is_inside(old))
        return 0;
    flock(old->fd, LOCK_UN); /* nobody would do so later */
    page = (apr_uint32_t *)(void *)(found->ring + (lost - old->ring));
    content = __atomic_load_n(page, __ATOMIC_RELAXED);
    __atomic_compare_exchange_n(page, &content, content, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED); /* writes to it */
    return !is_broken(found);
}

/* Where only the file's content had been bad: whether somebody has put it right since we opened it. */
static apr_status_t same_file(cs_queue_t **queue, cs_queue_t *found, cs_queue_t *old, const cs_queue_options_t *options,
                              const cs_log_t *log)
{
    if (!is_broken(old)) { /* it was put back */
        cs_queue_close(found);
        return reuse(old);
    }
    if (found->life == old->life && !is_mended(found, old)) { /* for that, somebody has to be alone with it */
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

/* Whether a sender finds something in it. */
static int can_deliver(cs_queue_t *queue)
{
    cs_queue_stats_t stats;

    return cs_queue_stats(&stats, queue) == APR_SUCCESS && stats.waiting;
}

/* APR_TIMEUP: another has it. Others: there is none. */
static apr_status_t lock_to_move(cs_queue_t *old)
{
    if (is_stuck(old)) {
        if (old->waits++ < WAITS_MOST)
            return APR_TIMEUP;
        set_broken(old); /* whoever is still in it is told that it may be too late: see cs_queue_append() */
        old->waits = 0;
    }
    return has_head(old) ? cs_queue_sender_lock(old, MOVE_NOTICE) : APR_EGENERAL;
}

static apr_status_t other_file(cs_queue_t **queue, cs_queue_t *found, cs_queue_t *old,
                               const cs_queue_options_t *options, int quiet, const cs_log_t *log)
{
    apr_status_t status = lock_to_move(old);

    if (status == APR_SUCCESS) {
        if (cs_disk_still_at(old->path, old->fd)) /* it was put back since we looked, and may be in use again */
            status = APR_TIMEUP;
        else if (old->header->retired != RETIRED_EMPTY)
            status = move(found, old, options, quiet, log);
        cs_queue_sender_unlock(old);
    }
    else if (is_broken(old) && !is_stuck(old) && (!has_head(old) || old->waits++ >= WAITS_MOST)) {
        give_up(old, options, log);
        status = APR_SUCCESS;
    }
    else
        status = __atomic_load_n(&old->header->retired, __ATOMIC_ACQUIRE) == RETIRED_EMPTY ? APR_SUCCESS : APR_TIMEUP;
    if (status != APR_SUCCESS)
        old->next = found; /* a part may be in it, and it may be removed as well */
    if (status == APR_SUCCESS || !can_deliver(old))
        *queue = found;
    return status;
}

/* What is in the file's place: the one we found there before, or what has taken that one's place. */
static apr_status_t find(cs_queue_t **found, cs_queue_t *old, const cs_queue_options_t *options, int quiet,
                         const cs_log_t *log)
{
    cs_queue_t *before = old->next;
    apr_status_t status;

    if (!before)
        return cs_queue_open(found, options, quiet ? &cs_no_log : log);
    status = cs_queue_succeed(found, before, options, quiet, log);
    if (status == APR_SUCCESS) {
        old->next = NULL;
        if (*found != before)
            cs_queue_close(before);
    }
    return status;
}

apr_status_t cs_queue_succeed(cs_queue_t **queue, cs_queue_t *old, const cs_queue_options_t *options, int quiet,
                              const cs_log_t *log)
{
    cs_queue_t *found = old;
    apr_status_t status;

    *queue = old;
    if (is_stuck(old) && unstick(old))
        cs_log(log, CS_LOG_WARNING, APR_SUCCESS,
               "stream %s: a process had the lock of queue %s for more than %" APR_TIME_T_FMT
               " s, and others refused events; it has given it back, and all goes on: look at the disk if this comes "
               "again",
               options->name, old->path, apr_time_sec(old->patience));
    if (cs_queue_look(old) == CS_QUEUE_SOUND && !old->next)
        return APR_SUCCESS;
    if (is_broken(old) && !is_inside(old))
        flock(old->fd, LOCK_UN);
    status = find(&found, old, options, quiet, log);
    if (status == AGAIN || APR_STATUS_IS_TIMEUP(status))
        return APR_TIMEUP;
    if (status != APR_SUCCESS) {
        if (cs_queue_look(old) != CS_QUEUE_SOUND)
            retire(old, RETIRED_CLOSED);
        if (!can_deliver(old))
            *queue = found;
        return status;
    }
    return is_same_file(found, old) ? same_file(queue, found, old, options, log)
                                    : other_file(queue, found, old, options, quiet, log);
}
