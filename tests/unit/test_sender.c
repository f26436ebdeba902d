/* The sender with a real queue and the file sink: delivers, drains, acknowledges, stops, takes over, survives a bad
 * disk.
 * What it does with Firehose's answers is held end to end, in tests/httpd/test_firehose.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/sender.h"

#include <apr_strings.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/metrics.h"
#include "deliver/batch.h"
#include "unit.h"

#define PATIENCE apr_time_from_sec(20)

static const char *folder;
static cs_server_t server;
static cs_queue_t *queue;
static int stop;

static void declare(const char *more)
{
    const char *path;
    char **words;
    int count = 0;

    folder = test_folder();
    path = apr_pstrcat(pool, folder, "/objects", NULL);
    ck_assert_int_eq(apr_tokenize_to_argv(apr_psprintf(pool, "clicks file path=%s %s", path, more), &words, pool),
                     APR_SUCCESS);
    while (words[count])
        count++;
    cs_settings_unset(cs_server_settings, &server);
    ck_assert_ptr_null(
        cs_settings_read(cs_server_settings, &server, "ClickstreamStream", count, (const char *const *)words, pool));
}

static void open_queue(void)
{
    ck_assert_int_eq(cs_queue_open(&queue,
                                   &(cs_queue_options_t){.directory = folder, .name = "clicks", .capacity = 1 << 20},
                                   test_log),
                     APR_SUCCESS);
    stop = 0;
}

static cs_sender_options_t options(apr_pool_t *own)
{
    return (cs_sender_options_t){.queue = queue,
                                 .stream = cs_server_stream(&server, NULL),
                                 .directory = folder,
                                 .log = test_log,
                                 .stop = &stop,
                                 .pool = own};
}

static void *run(void *unused)
{
    apr_pool_t *own;
    cs_sender_options_t mine;

    apr_pool_create_unmanaged_ex(&own, NULL, NULL);
    mine = options(own);
    cs_sender_run(&mine);
    apr_pool_destroy(own);
    return unused;
}

static apr_status_t drain(apr_interval_time_t patience)
{
    cs_sender_options_t mine = options(pool);

    return cs_sender_drain(&mine, patience, 0);
}

static pthread_t start(void)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
    return thread;
}

/* Returns how long the sender took to come to its end. */
static apr_interval_time_t finish(pthread_t thread)
{
    apr_time_t began = cs_monotonic();

    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    return cs_monotonic() - began;
}

static void append(int from, int count)
{
    for (int i = from; i < from + count; i++) {
        const char *text = apr_psprintf(pool, "{\"n\":%d}", i);
        ck_assert_int_eq(cs_queue_append(queue, &(cs_span_t){text, strlen(text)}, 1, apr_time_now()), APR_SUCCESS);
    }
}

static cs_queue_stats_t stats(void)
{
    cs_queue_stats_t now;

    ck_assert_int_eq(cs_queue_stats(&now, queue), APR_SUCCESS);
    return now;
}

static void wait_until_delivered(apr_uint64_t count)
{
    apr_time_t until = cs_monotonic() + PATIENCE;

    while (stats().delivered < count && cs_monotonic() < until)
        usleep(2000);
    ck_assert_uint_eq(stats().delivered, count);
}

static void wait_until_logged(const char *text)
{
    apr_time_t until = cs_monotonic() + PATIENCE;

    while (!strstr(test_logged(), text) && cs_monotonic() < until)
        usleep(2000);
    ck_assert_msg(strstr(test_logged(), text) != NULL, "%s", test_logged());
}

static void wait_until_failed(apr_uint64_t times)
{
    apr_time_t until = cs_monotonic() + PATIENCE;

    while (cs_queue_counted(queue, CS_METRIC_BATCHES_FAILED) < times && cs_monotonic() < until)
        usleep(2000);
    ck_assert_uint_ge(cs_queue_counted(queue, CS_METRIC_BATCHES_FAILED), times);
}

static void wait_until_partial_has(off_t size)
{
    const char *path = apr_pstrcat(pool, folder, "/objects/.clicks.partial", NULL);
    apr_time_t until = cs_monotonic() + PATIENCE;
    struct stat info = {.st_size = 0};

    while ((stat(path, &info) != 0 || info.st_size < size) && cs_monotonic() < until)
        usleep(2000);
    ck_assert_int_eq(info.st_size, size);
}

/* All objects of the stream, in the order of their names, one after the other. */
static const char *delivered(void)
{
    const char *all = "";
    glob_t found;

    glob(apr_pstrcat(pool, folder, "/objects/*/*/*/*/clicks-1-*", NULL), 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *text = apr_pcalloc(pool, 100000);
        FILE *file = fopen(found.gl_pathv[i], "r");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_lt(fread(text, 1, 99999, file), 99999);
        fclose(file);
        all = apr_pstrcat(pool, all, text, NULL);
    }
    globfree(&found);
    return all;
}

START_TEST(it_delivers_in_order_and_acknowledges)
{
    pthread_t thread;

    declare("linger=10ms interval=1h"); /* stopping finishes the object */
    open_queue();
    append(0, 3);
    thread = start();
    append(3, 1);
    wait_until_partial_has(4 * sizeof("{'n':0}"));
    ck_assert_uint_eq(stats().delivered, 0); /* which is not finished: they are still ours */
    ck_assert_int_lt(finish(thread), CS_SENDER_PATIENCE);
    ck_assert_uint_eq(stats().delivered, 4);
    ck_assert_str_eq(delivered(), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    cs_queue_close(queue);
}
END_TEST

START_TEST(a_queue_that_fills_is_relieved_before_the_interval)
{
    pthread_t thread;
    char *big = apr_pcalloc(pool, 300001);

    declare("linger=10ms interval=1h delimiter=none");
    open_queue();
    thread = start();
    memset(big, 'x', 300000);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(cs_queue_append(queue, &(cs_span_t){big, 300000}, 1, apr_time_now()), APR_SUCCESS);
    wait_until_delivered(2);
    finish(thread);
    cs_queue_close(queue);
}
END_TEST

START_TEST(a_bad_disk_loses_nothing_and_is_logged_once)
{
    const char *objects;
    pthread_t thread;

    declare("linger=10ms interval=10ms");
    objects = apr_pstrcat(pool, folder, "/objects", NULL);
    fclose(fopen(objects, "w")); /* a file where the folder should be */
    open_queue();
    append(0, 2);
    thread = start();
    wait_until_logged("delivery has failed");
    wait_until_failed(3);
    ck_assert_uint_eq(stats().waiting, 2);
    unlink(objects);
    wait_until_delivered(2);
    wait_until_logged("delivers again");
    finish(thread);
    ck_assert_ptr_null(strstr(strstr(test_logged(), "delivery has failed") + 1, "delivery has failed"));
    ck_assert_str_eq(delivered(), "{\"n\":0}\n{\"n\":1}\n");
    ck_assert_uint_gt(cs_queue_counted(queue, CS_METRIC_BATCHES_FAILED), 0);
    ck_assert_uint_gt(cs_queue_counted(queue, CS_METRIC_EVENTS_RETRIED), 0);
    cs_queue_close(queue);
}
END_TEST

/* A process that is the sender dies; one that waited takes over, and nothing is lost or repeated. */
START_TEST(another_takes_over)
{
    pthread_t thread;
    pid_t pid;

    declare("linger=10ms interval=50ms");
    open_queue();
    pid = fork();
    if (pid == 0) {
        run(NULL);
        _exit(0);
    }
    append(0, 5);
    wait_until_delivered(5);
    thread = start();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    append(5, 5);
    wait_until_delivered(10);
    finish(thread);
    ck_assert_uint_eq(strlen(delivered()),
                      10 * strlen("{'n':0}\n")); /* each once; objects of one second have no order */
    for (int i = 0; i < 10; i++)
        ck_assert_ptr_nonnull(strstr(delivered(), apr_psprintf(pool, "{\"n\":%d}\n", i)));
    cs_queue_close(queue);
}
END_TEST

/* --- draining --- */

START_TEST(an_empty_queue_is_drained)
{
    declare("interval=1h");
    open_queue();
    ck_assert_int_eq(drain(PATIENCE), APR_SUCCESS);
    ck_assert_str_eq(delivered(), "");
    ck_assert_uint_eq(cs_queue_counted(queue, CS_METRIC_BATCHES), 0);
    cs_queue_close(queue);
}
END_TEST

START_TEST(draining_waits_for_nothing_to_fill)
{
    apr_time_t began = cs_monotonic();

    declare("linger=1h interval=1h");
    open_queue();
    append(0, 3);
    ck_assert_int_eq(drain(PATIENCE), APR_SUCCESS);
    ck_assert_str_eq(delivered(), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    append(3, 1); /* and once more */
    ck_assert_int_eq(drain(PATIENCE), APR_SUCCESS);
    ck_assert_uint_eq(stats().delivered, 4);
    ck_assert_int_lt(cs_monotonic() - began, PATIENCE / 4);
    ck_assert_uint_eq(cs_queue_counted(queue, CS_METRIC_BATCHES), 2);
    cs_queue_close(queue);
}
END_TEST

START_TEST(draining_leaves_it_to_the_sender_that_there_is)
{
    pthread_t thread;

    declare("linger=10ms interval=1h");
    open_queue();
    append(0, 2);
    thread = start();
    wait_until_partial_has(2 * sizeof("{'n':0}"));
    ck_assert_int_eq(drain(PATIENCE), APR_EBUSY);
    ck_assert_uint_eq(stats().waiting, 2);
    finish(thread);
    cs_queue_close(queue);
}
END_TEST

START_TEST(draining_gives_up_and_keeps_what_it_could_not_deliver)
{
    apr_interval_time_t patience = apr_time_from_msec(300);
    apr_time_t began;

    declare("linger=10ms interval=10ms");
    fclose(fopen(apr_pstrcat(pool, folder, "/objects", NULL), "w")); /* a file where the folder should be */
    open_queue();
    append(0, 2);
    began = cs_monotonic();
    ck_assert_int_eq(drain(patience), APR_TIMEUP);
    ck_assert_int_ge(cs_monotonic() - began, patience);
    ck_assert_int_lt(cs_monotonic() - began, patience + CS_SENDER_PATIENCE + apr_time_from_sec(1));
    ck_assert_uint_gt(cs_queue_counted(queue, CS_METRIC_BATCHES_FAILED), 0);
    ck_assert_uint_eq(stats().waiting, 2);
    ck_assert_int_eq(cs_queue_sender_lock(queue, 0), APR_SUCCESS); /* and another may try */
    cs_queue_sender_unlock(queue);
    ck_assert_ptr_nonnull(strstr(test_logged(), "delivery has failed"));
    cs_queue_close(queue);
}
END_TEST

static void *mend_the_disk(void *objects)
{
    wait_until_failed(2);
    unlink(objects);
    return NULL;
}

/* Two events wait for a sink whose folder cannot be made; `meanwhile` is at it, and may mend that. */
static char *begin_in_trouble(pthread_t *thread, void *(*meanwhile)(void *))
{
    char *objects;

    declare("linger=10ms interval=10ms");
    objects = apr_pstrcat(pool, folder, "/objects", NULL);
    fclose(fopen(objects, "w"));
    open_queue();
    append(0, 2);
    ck_assert_int_eq(pthread_create(thread, NULL, meanwhile, objects), 0);
    return objects;
}

static void drain_beside(void *(*meanwhile)(void *))
{
    pthread_t thread;

    begin_in_trouble(&thread, meanwhile);
    ck_assert_int_eq(drain(PATIENCE), APR_SUCCESS);
    pthread_join(thread, NULL);
    ck_assert_str_eq(delivered(), "{\"n\":0}\n{\"n\":1}\n");
    cs_queue_close(queue);
}

START_TEST(draining_outlives_a_short_trouble)
{
    drain_beside(mend_the_disk);
}
END_TEST

static void stop_by_signal(int number)
{
    (void)number;
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
}

/* As an httpd's child would, which has the file open and moves what waits in it. */
static void *take_the_lock(void *objects)
{
    cs_queue_options_t mine = {.directory = folder, .name = "clicks", .capacity = 1 << 20};
    cs_queue_t *other;

    ck_assert_int_eq(cs_queue_open(&other, &mine, test_log), APR_SUCCESS);
    wait_until_failed(1);
    unlink(apr_pstrcat(pool, folder, "/clicks.queue", NULL));
    if (cs_queue_sender_lock(other, apr_time_from_sec(5)) == APR_SUCCESS) {
        unlink(objects);
        while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
            apr_sleep(apr_time_from_msec(5));
        cs_queue_sender_unlock(other);
    }
    cs_queue_close(other);
    return NULL;
}

START_TEST(draining_leaves_a_file_that_is_removed_to_those_who_move_what_is_in_it)
{
    pthread_t thread;
    char *objects = begin_in_trouble(&thread, take_the_lock);

    ck_assert_int_eq(drain(PATIENCE), APR_EBUSY);
    ck_assert_int_eq(access(objects, F_OK), -1); /* since then it would have been delivered */
    ck_assert_uint_eq(stats().waiting, 2);
    finish(thread);
    cs_queue_close(queue);
}
END_TEST

static void *remove_and_mend(void *objects)
{
    wait_until_failed(1);
    unlink(apr_pstrcat(pool, folder, "/clicks.queue", NULL));
    return mend_the_disk(objects);
}

START_TEST(draining_goes_on_where_nobody_moves_what_is_in_it)
{
    drain_beside(remove_and_mend);
}
END_TEST

START_TEST(draining_ends_when_it_is_told)
{
    apr_time_t began;

    declare("linger=10ms interval=10ms");
    fclose(fopen(apr_pstrcat(pool, folder, "/objects", NULL), "w"));
    open_queue();
    append(0, 2);
    signal(SIGALRM, stop_by_signal);
    began = cs_monotonic();
    alarm(1);
    ck_assert_int_eq(drain(PATIENCE), APR_TIMEUP);
    ck_assert_int_lt(cs_monotonic() - began, apr_time_from_sec(2) + CS_SENDER_PATIENCE);
    ck_assert_uint_eq(stats().waiting, 2);
    ck_assert_int_eq(drain(PATIENCE), APR_TIMEUP); /* it begins nothing, either */
    cs_queue_close(queue);
}
END_TEST

/* Whoever settled them died before the tail moved: they are delivered, and nobody waits for them. */
START_TEST(draining_passes_by_what_a_dead_sender_settled)
{
    cs_queue_record_t record;
    apr_uint64_t cursor = 0;

    declare("linger=10ms interval=10ms");
    open_queue();
    append(0, 2);
    while (cs_queue_read(&record, 1, queue, &cursor))
        cs_queue_settle(queue, record.position, CS_SETTLED_DELIVERED);
    ck_assert_uint_eq(stats().waiting, 2);
    ck_assert_int_eq(drain(PATIENCE), APR_SUCCESS);
    ck_assert_uint_eq(stats().delivered, 2);
    ck_assert_str_eq(delivered(), "");
    cs_queue_close(queue);
}
END_TEST

/* The line that is logged before the lock goes back is the last moment at which another can find it taken. */
static int late;

static void come_late(void *to, cs_log_level_t level, apr_status_t status, const char *line)
{
    (void)to;
    (void)level;
    (void)status;
    if (!strstr(line, "no longer") || late++)
        return;
    append(1, 1);
    ck_assert_int_eq(drain(PATIENCE), APR_EBUSY);
}

START_TEST(draining_leaves_nobody_behind)
{
    const cs_log_t log = {.write = come_late, .level = CS_LOG_DEBUG};
    cs_sender_options_t first;

    declare("linger=10ms interval=1h");
    open_queue();
    append(0, 1);
    first = options(pool);
    first.log = &log;
    ck_assert_int_eq(cs_sender_drain(&first, PATIENCE, 0), APR_SUCCESS);
    ck_assert_int_eq(late, 2);
    ck_assert_uint_eq(stats().waiting, 0);
    ck_assert_uint_eq(stats().delivered, 2);
    cs_queue_close(queue);
}
END_TEST

/* As many CGI processes: each appends, drains or finds that another does, and leaves. */
#define DRAINERS 4
#define ROUNDS 50

static void *append_and_drain(void *unused)
{
    apr_pool_t *own;

    apr_pool_create_unmanaged_ex(&own, NULL, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        cs_sender_options_t mine = options(own);
        apr_status_t status = cs_queue_append(queue, &(cs_span_t){"{}", 2}, 1, apr_time_now());
        if (status == APR_SUCCESS)
            status = cs_sender_drain(&mine, PATIENCE, 0);
        if (status != APR_SUCCESS && status != APR_EBUSY)
            abort();
    }
    apr_pool_destroy(own);
    return unused;
}

/* What comes while it stays has no sender of its own, and goes with what else has come. */
static void *append_some(void *unused)
{
    for (int i = 0; i < 5; i++) {
        usleep(100000);
        append(i, 1);
    }
    return unused;
}

START_TEST(draining_stays_for_more)
{
    apr_time_t began = cs_monotonic();
    cs_sender_options_t mine;
    pthread_t appending;

    declare("linger=1s interval=1h");
    open_queue();
    append(0, 1);
    mine = options(pool);
    ck_assert_int_eq(pthread_create(&appending, NULL, append_some, NULL), 0);
    ck_assert_int_eq(cs_sender_drain(&mine, PATIENCE, apr_time_from_msec(900)), APR_SUCCESS);
    pthread_join(appending, NULL);
    ck_assert_uint_eq(stats().delivered, 6);
    ck_assert_uint_le(cs_queue_counted(queue, CS_METRIC_BATCHES), 3);   /* the first at once, the others together */
    ck_assert_int_ge(cs_monotonic() - began, apr_time_from_msec(1900)); /* it lingered, and waited for nothing more */
    cs_queue_close(queue);
}
END_TEST

/* But it comes to an end. */
START_TEST(draining_stays_within_its_patience)
{
    apr_time_t began = cs_monotonic();
    cs_sender_options_t mine;

    declare("linger=10ms interval=1h");
    open_queue();
    append(0, 1);
    mine = options(pool);
    ck_assert_int_eq(cs_sender_drain(&mine, apr_time_from_msec(800), apr_time_from_sec(60)), APR_SUCCESS);
    ck_assert_int_lt(cs_monotonic() - began, apr_time_from_sec(30));
    ck_assert_uint_eq(stats().delivered, 1);
    cs_queue_close(queue);
}
END_TEST

START_TEST(many_drain_at_once)
{
    pthread_t threads[DRAINERS];

    declare("linger=10ms interval=1h");
    open_queue();
    for (int i = 0; i < DRAINERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, append_and_drain, NULL), 0);
    for (int i = 0; i < DRAINERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(stats().waiting, 0);
    ck_assert_uint_eq(stats().delivered, DRAINERS * ROUNDS);
    cs_queue_close(queue);
}
END_TEST

Suite *sender_suite(void)
{
    Suite *suite = suite_create("sender");
    TCase *tests = test_case("sender");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, it_delivers_in_order_and_acknowledges);
    tcase_add_test(tests, a_queue_that_fills_is_relieved_before_the_interval);
    tcase_add_test(tests, a_bad_disk_loses_nothing_and_is_logged_once);
    tcase_add_test(tests, another_takes_over);
    tcase_add_test(tests, an_empty_queue_is_drained);
    tcase_add_test(tests, draining_waits_for_nothing_to_fill);
    tcase_add_test(tests, draining_leaves_it_to_the_sender_that_there_is);
    tcase_add_test(tests, draining_gives_up_and_keeps_what_it_could_not_deliver);
    tcase_add_test(tests, draining_outlives_a_short_trouble);
    tcase_add_test(tests, draining_leaves_a_file_that_is_removed_to_those_who_move_what_is_in_it);
    tcase_add_test(tests, draining_goes_on_where_nobody_moves_what_is_in_it);
    tcase_add_test(tests, draining_ends_when_it_is_told);
    tcase_add_test(tests, draining_passes_by_what_a_dead_sender_settled);
    tcase_add_test(tests, draining_leaves_nobody_behind);
    tcase_add_test(tests, draining_stays_for_more);
    tcase_add_test(tests, draining_stays_within_its_patience);
    tcase_add_test(tests, many_drain_at_once);
    suite_add_tcase(suite, tests);
    return suite;
}
