/* Group commit: with ack=synced, one sync of the disk serves all that were appended before it began. On a disk that
 * takes its time the syncs stay as many as the disk can do, while the appends grow with those who append. And a sync
 * that fails is no promise. SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "queue/layout.h"

#define SYNC_MS 4
#define APPENDS 40 /* by each thread */
#define THREADS_MOST 64
#define FIRST_DATA (65536 + 32) /* in the file, behind its header and the first frame's */

static cs_queue_options_t options;
static cs_queue_t *queue;
static const char *folder;
static int syncs;
static int error;

/* Slow beside an append, also where a sanitizer makes that ten times as long. */
static int slow_disk(void)
{
    const char *scale = getenv("CK_TIMEOUT_MULTIPLIER");

    nanosleep(&(struct timespec){.tv_nsec = SYNC_MS * 1000000 * (scale ? atol(scale) : 1)}, NULL);
    __atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
    return 0;
}

static int failing_disk(void)
{
    return error;
}

static void *append_many(void *failed)
{
    for (int i = 0; i < APPENDS; i++) {
        if (cs_queue_append(queue, &(cs_span_t){"event", 5}, 1, 1) != APR_SUCCESS)
            *(int *)failed = 1;
    }
    return NULL;
}

static void open_queue_in(const char *directory)
{
    options =
        (cs_queue_options_t){.directory = directory, .name = "clicks", .capacity = 1 << 20, .synced = 1, .watched = 1};
    ck_assert_int_eq(cs_queue_open(&queue, &options, &steps_log), APR_SUCCESS);
}

static void open_queue(void)
{
    folder = steps_folder();
    open_queue_in(folder);
}

static int syncs_of(int threads)
{
    pthread_t ids[THREADS_MOST];
    int failed = 0;

    open_queue();
    syncs = 0;
    steps_sync = slow_disk;
    for (int i = 0; i < threads; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, append_many, &failed), 0);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    steps_sync = NULL;
    ck_assert_int_eq(failed, 0);
    cs_queue_close(queue);
    return syncs;
}

START_TEST(one_sync_serves_many)
{
    static const int threads[] = {1, 4, 16, 64};

    for (int i = 0; i < 4; i++) {
        int count = syncs_of(threads[i]), appends = threads[i] * APPENDS;
        printf("group commit: %2d threads, %4d appends, %3d syncs, %4.1f appends a sync\n", threads[i], appends, count,
               (double)appends / count);
        ck_assert_int_ge(count, APPENDS / 2); /* each thread waits for a sync that began after its append */
        ck_assert_int_le(count, threads[i] == 1 ? APPENDS : 3 * APPENDS);
    }
}
END_TEST

START_TEST(a_sync_that_fails)
{
    cs_span_t event = {"event", 5};

    open_queue();
    steps_sync = failing_disk;
    error = EIO;
    ck_assert_int_eq(cs_queue_append(queue, &event, 1, 1), EIO);
    ck_assert_int_eq(cs_queue_append(queue, &event, 1, 1), EIO);
    error = 0;
    ck_assert_int_eq(cs_queue_append(queue, &event, 1, 1), APR_SUCCESS);
    steps_sync = NULL;
    cs_queue_close(queue);
}
END_TEST

static int counting_disk(void)
{
    __atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
    return error;
}

#define MOVED 3000

static int waiting(cs_queue_t *in)
{
    cs_queue_stats_t stats;

    ck_assert_int_eq(cs_queue_stats(&stats, in), APR_SUCCESS);
    return (int)stats.waiting;
}

/* Whose file is removed while it is in use: a sync for each event would take minutes. And nothing counts as moved
 * before the disk has it. */
START_TEST(a_queue_that_moves)
{
    cs_queue_t *next, *moved;

    open_queue();
    steps_sync = counting_disk;
    error = 0;
    for (int i = 0; i < MOVED; i++)
        cs_queue_append(queue, &(cs_span_t){"event", 5}, 1, 1);
    ck_assert_int_eq(unlink(apr_pstrcat(pool, options.directory, "/clicks.queue", NULL)), 0);
    steps_sync = NULL;
    ck_assert_int_eq(cs_queue_open(&next, &options, &steps_log), APR_SUCCESS); /* somebody has made a new one */
    steps_sync = counting_disk;
    error = EIO;
    ck_assert_int_eq(cs_queue_succeed(&moved, queue, &options, 1, &steps_log), EIO);
    ck_assert_int_eq(waiting(queue), MOVED);
    syncs = 0;
    error = 0;
    ck_assert_int_eq(cs_queue_succeed(&moved, queue, &options, 1, &steps_log), APR_SUCCESS);
    ck_assert_ptr_ne(moved, queue);
    ck_assert_int_eq(waiting(queue), 0);
    ck_assert_int_ge(waiting(next), MOVED);
    ck_assert_int_gt(syncs, 0);
    ck_assert_int_lt(syncs, 10);
    syncs = 0;
    ck_assert_int_eq(cs_queue_append(moved, &(cs_span_t){"event", 5}, 1, 1), APR_SUCCESS); /* it is synced as before */
    ck_assert_int_eq(syncs, 1);
    steps_sync = NULL;
    cs_queue_close(queue);
    cs_queue_close(next);
    cs_queue_close(moved);
}
END_TEST

/* Says of the queue, in the midst of an append, that it is closed, as one does who waited for its lock in vain. */
static int closes_at;

static void close_it(void)
{
    if (--closes_at == 0)
        queue->header->retired = RETIRED_CLOSED;
}

START_TEST(an_append_that_may_be_too_late)
{
    apr_status_t status;
    int refused = 0, closed = 1;

    open_queue();
    for (int at = 1; closed; at++) {
        closes_at = at;
        steps_at = close_it;
        status = cs_queue_append(queue, &(cs_span_t){"event", 5}, 1, 1);
        steps_at = NULL;
        closed = closes_at <= 0; /* or it was done before */
        ck_assert(status == APR_SUCCESS || (closed && refused == at - 1));
        refused += status != APR_SUCCESS;
        queue->header->retired = RETIRED_NOT;
    }
    ck_assert_int_gt(refused, 5);
    cs_queue_close(queue);
}
END_TEST

/* --- a sync that fails once: Linux tells of pages that it could not write, and has forgotten them at the next sync ---
 */

#define WAITERS 8
static apr_uint64_t gathered; /* how many appends the one sync that fails is for, at the least */

static int fails_once(void)
{
    cs_queue_stats_t stats = {.appended = 0};

    if (__atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED) > 1)
        return 0;
    while (stats.appended < gathered) {
        ck_assert_int_eq(cs_queue_stats(&stats, queue), APR_SUCCESS);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return EIO;
}

static void *append_one(void *status)
{
    *(apr_status_t *)status = cs_queue_append(queue, &(cs_span_t){"event", 5}, 1, 1);
    return NULL;
}

static void begin_to_fail(apr_uint64_t appends)
{
    syncs = 0;
    gathered = appends;
    steps_sync = fails_once;
}

/* All but the first append while the disk is at work. */
START_TEST(a_failure_is_for_all_who_wait)
{
    apr_status_t results[WAITERS], after = APR_EGENERAL;
    pthread_t ids[WAITERS];
    cs_queue_stats_t stats;

    open_queue();
    begin_to_fail(WAITERS);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, append_one, &results[i]), 0);
    for (int i = 0; i < WAITERS; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(results[i], EIO);
    ck_assert_int_eq(syncs, 1); /* there is nothing to be had from another one */
    append_one(&after);
    ck_assert_int_eq(after, APR_SUCCESS);
    ck_assert_int_eq(cs_queue_stats(&stats, queue), APR_SUCCESS);
    ck_assert_int_eq((int)stats.waiting, WAITERS + 1); /* they are delivered, if no power is lost */
    steps_sync = NULL;
    cs_queue_close(queue);
}
END_TEST

/* It waits for the sync of the first process, which fails. Its own disk says yes, and so does the next one of the
 * first: neither is for its event. */
START_TEST(a_failure_is_for_other_processes)
{
    apr_status_t first, second;
    int status;
    pid_t other;

    open_queue();
    begin_to_fail(2);
    other = fork();
    ck_assert_int_ge(other, 0);
    if (other == 0) {
        cs_queue_stats_t stats = {.appended = 0};
        cs_queue_close(queue);
        open_queue_in(folder);
        while (stats.appended < 1)
            cs_queue_stats(&stats, queue);
        syncs = 1; /* what failed, failed elsewhere */
        append_one(&first);
        _exit(first == EIO ? 0 : 1);
    }
    append_one(&first);
    append_one(&second);
    ck_assert_int_eq(waitpid(other, &status, 0), other);
    ck_assert_int_eq(first, EIO);
    ck_assert_int_eq(second, APR_SUCCESS);
    ck_assert_int_eq(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    steps_sync = NULL;
    cs_queue_close(queue);
}
END_TEST

/* Power is lost, and what had failed is cut off: the next event has the same place, and not the same fate. */
START_TEST(a_failure_is_over_with_a_recovery)
{
    cs_queue_stats_t stats;
    apr_status_t status;
    int fd;

    open_queue();
    begin_to_fail(0);
    append_one(&status);
    ck_assert_int_eq(status, EIO);
    cs_queue_close(queue);
    fd = open(apr_pstrcat(pool, folder, "/clicks.queue", NULL), O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "other", 5, FIRST_DATA), 5);
    close(fd);
    open_queue_in(folder);
    ck_assert_int_eq(cs_queue_stats(&stats, queue), APR_SUCCESS);
    ck_assert_int_eq((int)stats.lost, 1);
    append_one(&status);
    ck_assert_int_eq(status, APR_SUCCESS);
    steps_sync = NULL;
    cs_queue_close(queue);
}
END_TEST

/* The disk takes its time, and meanwhile a page of the file cannot be read: nobody recovers the file, and makes new
 * locks, under the hands of the one who syncs. */
static int at_work;

static int disk_that_is_held(void)
{
    __atomic_store_n(&at_work, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&at_work, __ATOMIC_ACQUIRE))
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    return 0;
}

START_TEST(a_sync_that_takes_its_time)
{
    apr_status_t status;
    cs_queue_t *next;
    pthread_t thread;

    open_queue();
    steps_sync = disk_that_is_held;
    ck_assert_int_eq(pthread_create(&thread, NULL, append_one, &status), 0);
    while (!__atomic_load_n(&at_work, __ATOMIC_ACQUIRE))
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    set_broken(queue);
    ck_assert_int_eq(cs_queue_succeed(&next, queue, &options, 1, &steps_log), APR_TIMEUP);
    __atomic_store_n(&at_work, 0, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    ck_assert_int_ne(status, APR_SUCCESS);
    steps_sync = NULL;
    ck_assert_int_eq(cs_queue_succeed(&next, queue, &options, 1, &steps_log), APR_SUCCESS);
    ck_assert_ptr_ne(next, queue);
    ck_assert_int_eq(waiting(next), 1);
    ck_assert_int_eq(cs_queue_append(next, &(cs_span_t){"event", 5}, 1, 1), APR_SUCCESS);
    cs_queue_close(next);
    cs_queue_close(queue);
}
END_TEST

Suite *commit_suite(void)
{
    Suite *suite = suite_create("commit");
    TCase *tests = steps_case("commit");

    tcase_add_test(tests, one_sync_serves_many);
    tcase_add_test(tests, a_sync_that_fails);
    tcase_add_test(tests, a_queue_that_moves);
    tcase_add_test(tests, an_append_that_may_be_too_late);
    tcase_add_test(tests, a_failure_is_for_all_who_wait);
    tcase_add_test(tests, a_failure_is_for_other_processes);
    tcase_add_test(tests, a_failure_is_over_with_a_recovery);
    tcase_add_test(tests, a_sync_that_takes_its_time);
    suite_add_tcase(suite, tests);
    return suite;
}
