/* Group commit, for ack=synced: whoever gets the lock syncs for all that have appended by then; the others wait for its
 * end, rather than for the lock, which those would get first that come with something new.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "queue/layout.h"

/* No disk that works takes so long. */
#define SYNC_PATIENCE apr_time_from_sec(60)

static apr_time_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec(now.tv_sec) + now.tv_nsec / 1000;
}

/* The kernel tells of pages that it could not write once, to each who has the file open, and counts them as written:
 * the next sync succeeds without them. What was appended by now may be in such a page, also what came during the sync;
 * so nobody promises any of it, in no process. Should this one die here, the others are told of it by their own syncs.
 */
static void fail_sync(cs_queue_t *queue)
{
    ledger_t ledger;

    if (queue_lock_ledger(&ledger, queue) != APR_SUCCESS)
        return; /* it is broken, and nothing is promised any more */
    queue_unlock(queue);
    __atomic_store_n(&queue->header->unsynced, ledger.head, __ATOMIC_RELEASE);
}

/* We have the `syncing` lock. */
static apr_status_t sync_file(cs_queue_t *queue)
{
    ledger_t ledger;
    apr_status_t status = queue_lock_ledger(&ledger, queue);

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

apr_status_t queue_sync_up_to(cs_queue_t *queue, apr_uint64_t position)
{
    header_t *header = queue->header;
    apr_time_t until = 0;
    apr_status_t status;

    while ((status = sync_result(header, position)) == AGAIN) {
        apr_uint32_t ended = __atomic_load_n(&header->syncs, __ATOMIC_ACQUIRE);
        status = queue_take(queue, &header->syncing, 0);
        if (status == APR_SUCCESS) {
            if ((status = sync_result(header, position)) == AGAIN)
                status = sync_file(queue);
            queue_give(queue, &header->syncing);
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
    apr_status_t status = queue_lock_ledger(&ledger, queue);

    if (status != APR_SUCCESS)
        return status;
    queue_unlock(queue);
    return queue_sync_up_to(queue, ledger.head);
}
