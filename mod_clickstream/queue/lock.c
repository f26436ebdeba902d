/* A queue's locks: robust, and shared by all processes that have the file open. `lock` is for what changes the ledger,
 * `syncing` for who syncs for all, `sender` for who delivers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <time.h>

#include "queue/layout.h"

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

apr_status_t queue_take(cs_queue_t *queue, pthread_mutex_t *mutex, apr_interval_time_t wait)
{
    int error = pthread_mutex_trylock(mutex);

    return locked(queue, mutex, error == EBUSY && wait > 0 ? lock_within(mutex, wait) : error);
}

void queue_give(cs_queue_t *queue, pthread_mutex_t *mutex)
{
    pthread_mutex_unlock(mutex);
    __atomic_sub_fetch(&queue->inside, 1, __ATOMIC_SEQ_CST);
}

apr_status_t queue_lock(cs_queue_t *queue, apr_interval_time_t wait)
{
    apr_status_t status = queue_take(queue, &queue->header->lock, wait);

    if (APR_STATUS_IS_TIMEUP(status))
        change_condition(queue, CONDITION_SOUND, CONDITION_STUCK);
    return status;
}

void queue_unlock(cs_queue_t *queue)
{
    queue_give(queue, &queue->header->lock);
}

apr_status_t queue_lock_ledger(ledger_t *ledger, cs_queue_t *queue)
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

apr_status_t cs_queue_sender_lock(cs_queue_t *queue, apr_interval_time_t wait)
{
    return queue_take(queue, &queue->header->sender, wait);
}

void cs_queue_sender_unlock(cs_queue_t *queue)
{
    queue_give(queue, &queue->header->sender);
}
