/* The sender with a real queue and the file sink: delivers, acknowledges, stops, takes over, survives a bad disk.
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
    cs_queue_options_t options = {.directory = folder, .name = "clicks", .capacity = 1 << 20};

    ck_assert_int_eq(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    stop = 0;
}

static void *run(void *unused)
{
    apr_pool_t *own;

    apr_pool_create_unmanaged_ex(&own, NULL, NULL);
    cs_sender_run(&(cs_sender_options_t){.queue = queue,
                                         .stream = cs_server_stream(&server, NULL),
                                         .directory = folder,
                                         .log = test_log,
                                         .stop = &stop,
                                         .pool = own});
    apr_pool_destroy(own);
    return unused;
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
    wait_until_logged("not all was taken");
    wait_until_failed(3);
    ck_assert_uint_eq(stats().waiting, 2);
    unlink(objects);
    wait_until_delivered(2);
    wait_until_logged("delivers again");
    finish(thread);
    ck_assert_ptr_null(strstr(strstr(test_logged(), "not all was taken") + 1, "not all was taken"));
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

Suite *sender_suite(void)
{
    Suite *suite = suite_create("sender");
    TCase *tests = test_case("sender");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, it_delivers_in_order_and_acknowledges);
    tcase_add_test(tests, a_queue_that_fills_is_relieved_before_the_interval);
    tcase_add_test(tests, a_bad_disk_loses_nothing_and_is_logged_once);
    tcase_add_test(tests, another_takes_over);
    suite_add_tcase(suite, tests);
    return suite;
}
