/* The file sink: which objects there are, when, and what is in them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_file_io.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <glob.h>
#include <regex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/settings.h"
#include "deliver/sink.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SECOND apr_time_from_sec(1)

/* What came back from the sink; filled by its callback. */
static struct {
    int delivered, retried; /* batches */
    cs_sink_result_t last;
    const char *reason;
} back;

static void take_back(void *to, cs_batch_t *batch, const cs_sink_result_t *result)
{
    cs_outcome_t outcome = APR_ARRAY_IDX(batch->records, 0, cs_batch_record_t).outcome;

    (void)to;
    back.delivered += outcome == CS_OUTCOME_DELIVERED;
    back.retried += outcome == CS_OUTCOME_RETRY;
    ck_assert_int_eq(outcome == CS_OUTCOME_DELIVERED, result->reason == NULL);
    back.last = *result;
    back.reason = result->reason ? apr_pstrdup(pool, result->reason) : NULL;
    apr_pool_destroy(batch->pool);
}

/* A sink that writes into `folder`. */
static cs_sink_t *new_sink(const char *folder, const char *options)
{
    cs_server_t *server = apr_palloc(pool, sizeof(*server));
    const char *line = apr_psprintf(pool, "clicks file path=%s %s", folder, options), *error;
    char **argv;
    int argc = 0;
    cs_sink_t *sink;

    memset(&back, 0, sizeof(back));
    cs_settings_unset(cs_server_settings, server);
    ck_assert_int_eq(apr_tokenize_to_argv(line, &argv, pool), APR_SUCCESS);
    while (argv[argc])
        argc++;
    error = cs_settings_read(cs_server_settings, server, "ClickstreamStream", argc, (const char *const *)argv, pool);
    ck_assert_msg(!error, "%s", error);
    ck_assert_int_eq(
        cs_sink_file_create(
            &sink, &(cs_sink_options_t){.stream = cs_server_stream(server, NULL), .done = take_back, .pool = pool}),
        APR_SUCCESS);
    return sink;
}

/* Sends a batch of the events: words, divided by spaces. */
static void send_events(cs_sink_t *sink, const char *events)
{
    cs_batch_t *batch = cs_batch_create(&sink->limits, 4, pool);
    char *state, *copy = apr_pstrdup(pool, events);

    for (char *word = apr_strtok(copy, " ", &state); word; word = apr_strtok(NULL, " ", &state))
        ck_assert_int_eq(cs_batch_add(batch, &sink->limits, (cs_batch_event_t){.data = {word, strlen(word)}}), 1);
    sink->send(sink, batch);
}

/* Objects wait for their age for an hour, unless a test says otherwise: none is finished by chance. */
#define PATIENT "interval=1h "

static void finish(cs_sink_t *sink)
{
    sink->flush(sink);
    sink->poll(sink, SECOND);
}

/* The paths of the finished objects. */
static apr_array_header_t *objects_in(const char *folder)
{
    apr_array_header_t *paths = apr_array_make(pool, 4, sizeof(const char *));
    glob_t found;

    if (glob(apr_pstrcat(pool, folder, "/*/*/*/*/*", NULL), 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            APR_ARRAY_PUSH(paths, const char *) = apr_pstrdup(pool, found.gl_pathv[i]);
        globfree(&found);
    }
    return paths;
}

static const char *only_object(const char *folder)
{
    const apr_array_header_t *paths = objects_in(folder);

    ck_assert_int_eq(paths->nelts, 1);
    return APR_ARRAY_IDX(paths, 0, const char *);
}

static int has_partial(const char *folder)
{
    return access(apr_pstrcat(pool, folder, "/.clicks.partial", NULL), F_OK) == 0;
}

START_TEST(is_named_as_firehose_names)
{
    static const char form[] = "^/([0-9]{4})/([0-9]{2})/([0-9]{2})/([0-9]{2})/clicks-1-([0-9]{4})-([0-9]{2})-([0-9]{2})"
                               "-([0-9]{2})-[0-9]{2}-[0-9]{2}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";
    const char *folder = test_folder(), *name;
    cs_sink_t *sink = new_sink(folder, PATIENT);
    apr_time_t before = apr_time_now(), after;
    char hours[2][20];
    regex_t expression;
    regmatch_t parts[9];
    apr_size_t length;
    apr_time_exp_t utc;

    send_events(sink, "one");
    after = apr_time_now();
    finish(sink);
    name = only_object(folder) + strlen(folder);
    ck_assert_int_eq(regcomp(&expression, form, REG_EXTENDED), 0);
    ck_assert_msg(regexec(&expression, name, 9, parts, 0) == 0, "%s", name);
    regfree(&expression);
    for (int i = 1; i <= 4; i++) /* the folders say what the name says */
        ck_assert_int_eq(
            strncmp(name + parts[i].rm_so, name + parts[i + 4].rm_so, (size_t)(parts[i].rm_eo - parts[i].rm_so)), 0);
    apr_time_exp_gmt(&utc, before);
    apr_strftime(hours[0], &length, sizeof(hours[0]), "/%Y/%m/%d/%H/", &utc);
    apr_time_exp_gmt(&utc, after);
    apr_strftime(hours[1], &length, sizeof(hours[1]), "/%Y/%m/%d/%H/", &utc);
    ck_assert_msg(strncmp(name, hours[0], length) == 0 || strncmp(name, hours[1], length) == 0, "%s", name);
}
END_TEST

static const struct {
    const char *options, *batches[3], *content;
} contents[] = {
    {"", {"one"}, "one\n"},
    {"", {"one two", "three"}, "one\ntwo\nthree\n"},
    {"delimiter=none", {"one two", "three"}, "onetwothree"},
};

START_TEST(has_every_event)
{
    const char *folder = test_folder();
    cs_sink_t *sink = new_sink(folder, apr_pstrcat(pool, PATIENT, contents[_i].options, NULL));
    int sent = 0;

    for (; contents[_i].batches[sent]; sent++)
        send_events(sink, contents[_i].batches[sent]);
    ck_assert_int_eq(back.delivered, 0);
    ck_assert_int_eq(objects_in(folder)->nelts, 0);
    ck_assert_int_eq(has_partial(folder), 1);
    finish(sink);
    ck_assert_str_eq(test_read(only_object(folder)), contents[_i].content);
    ck_assert_int_eq(back.delivered, sent);
    ck_assert_int_eq(back.retried, 0);
    ck_assert_int_eq(has_partial(folder), 0);
    sink->destroy(sink);
}
END_TEST

/* More parts than one writev() takes. */
START_TEST(has_every_event_of_many)
{
    const char *folder = test_folder(), *content;
    cs_sink_t *sink = new_sink(folder, PATIENT);
    cs_batch_t *batch = cs_batch_create(&sink->limits, 4, pool);
    int count = 1000;

    for (int i = 0; i < count; i++) {
        const char *word = apr_psprintf(pool, "%04d", i);
        ck_assert_int_eq(cs_batch_add(batch, &sink->limits, (cs_batch_event_t){.data = {word, 4}}), 1);
    }
    sink->send(sink, batch);
    finish(sink);
    content = test_read(only_object(folder));
    ck_assert_uint_eq(strlen(content), (size_t)count * 5);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(strncmp(content + i * 5, apr_psprintf(pool, "%04d\n", i), 5), 0);
}
END_TEST

START_TEST(rolls_by_size)
{
    const char *folder = test_folder();
    cs_sink_t *sink = new_sink(folder, PATIENT "roll=10");

    send_events(sink, "1234 678"); /* 9 bytes */
    ck_assert_int_eq(back.delivered, 0);
    send_events(sink, "x"); /* 11 */
    ck_assert_int_eq(back.delivered, 2);
    ck_assert_str_eq(test_read(only_object(folder)), "1234\n678\nx\n");
    send_events(sink, "123456789"); /* 10: in an object of its own */
    ck_assert_int_eq(back.delivered, 3);
    ck_assert_int_eq(objects_in(folder)->nelts, 2);
    ck_assert_int_eq(has_partial(folder), 0);
}
END_TEST

START_TEST(rolls_by_age)
{
    const char *folder = test_folder();
    cs_sink_t *sink = new_sink(folder, "interval=50ms");
    apr_time_t began = cs_monotonic();
    int polls = 0;

    send_events(sink, "one");
    sink->poll(sink, 0);
    send_events(sink, "two"); /* the age is that of the first */
    while (!back.delivered && polls++ < 100)
        sink->poll(sink, SECOND);
    ck_assert_int_eq(back.delivered, 2);
    ck_assert_int_ge(cs_monotonic() - began, 50000);
    ck_assert_int_le(polls, 2); /* it waits as long as it has to, and not for its whole second */
    ck_assert_str_eq(test_read(only_object(folder)), "one\ntwo\n");
}
END_TEST

START_TEST(poll_returns_in_time)
{
    cs_sink_t *sink = new_sink(test_folder(), PATIENT);
    apr_time_t began = cs_monotonic();

    sink->poll(sink, 1000); /* nothing is held */
    send_events(sink, "one");
    sink->poll(sink, 1000); /* something is */
    ck_assert_int_lt(cs_monotonic() - began, apr_time_from_sec(60));
    ck_assert_int_eq(back.delivered, 0);
    sink->destroy(sink);
}
END_TEST

/* A flush is for what is held then, and not for all that comes later. */
START_TEST(flushes_once)
{
    const char *folder = test_folder();
    cs_sink_t *sink = new_sink(folder, PATIENT);

    sink->flush(sink); /* nothing is held */
    send_events(sink, "one");
    sink->poll(sink, 0);
    ck_assert_int_eq(back.delivered, 0);
    finish(sink);
    ck_assert_int_eq(back.delivered, 1);
    send_events(sink, "two");
    sink->poll(sink, 0);
    ck_assert_int_eq(back.delivered, 1);
    finish(sink);
    ck_assert_int_eq(back.delivered, 2);
    ck_assert_int_eq(objects_in(folder)->nelts, 2);
}
END_TEST

START_TEST(makes_its_folder)
{
    const char *folder = apr_pstrcat(pool, test_folder(), "/a/b", NULL);
    cs_sink_t *sink = new_sink(apr_pstrcat(pool, folder, "/", NULL), PATIENT);

    send_events(sink, "one");
    finish(sink);
    ck_assert_int_eq(back.delivered, 1);
    ck_assert_str_eq(test_read(only_object(folder)), "one\n");
}
END_TEST

START_TEST(overwrites_what_was_left)
{
    const char *folder = test_folder();
    cs_sink_t *dead = new_sink(folder, PATIENT), *sink;

    send_events(dead, "a much longer object that nobody finished");
    dead->destroy(dead);
    ck_assert_int_eq(has_partial(folder), 1);
    sink = new_sink(folder, PATIENT);
    send_events(sink, "one");
    finish(sink);
    ck_assert_str_eq(test_read(only_object(folder)), "one\n");
}
END_TEST

/* --- trouble: all batches come back, to be sent again, and no object is half there --- */

static void check_given_back(const char *folder, int batches, const char *why)
{
    ck_assert_int_eq(back.delivered, 0);
    ck_assert_int_eq(back.retried, batches);
    ck_assert_ptr_nonnull(back.reason);
    ck_assert_msg(strstr(back.reason, folder) && strstr(back.reason, why), "%s", back.reason);
    ck_assert_ptr_nonnull(back.last.advice);
    ck_assert_int_eq(back.last.retry_after, 0);
    ck_assert_int_eq(objects_in(folder)->nelts, 0);
}

/* Even root cannot make a folder below a file. */
START_TEST(gives_back_where_it_cannot_write)
{
    const char *file = apr_pstrcat(pool, test_folder(), "/file", NULL);
    const char *folder = apr_pstrcat(pool, file, "/below", NULL);
    cs_sink_t *sink = new_sink(folder, PATIENT);
    apr_file_t *handle;

    ck_assert_int_eq(apr_file_open(&handle, file, APR_FOPEN_WRITE | APR_FOPEN_CREATE, APR_FPROT_OS_DEFAULT, pool),
                     APR_SUCCESS);
    apr_file_close(handle);
    send_events(sink, "one two");
    check_given_back(folder, 1, "Not a directory");
    sink->poll(sink, 0);
    ck_assert_int_eq(apr_file_remove(file, pool), APR_SUCCESS);
    send_events(sink, "one two");
    finish(sink);
    ck_assert_int_eq(back.delivered, 1);
    ck_assert_str_eq(test_read(only_object(folder)), "one\ntwo\n");
}
END_TEST

/* Returns the limit that was. */
static rlim_t limit_file_size(rlim_t size)
{
    struct rlimit limit;
    rlim_t before;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    before = limit.rlim_cur;
    limit.rlim_cur = size;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    return before;
}

/* As on a disk that gets full in the middle of the second batch. */
START_TEST(gives_back_where_the_room_ends)
{
    const char *folder = test_folder();
    cs_sink_t *sink = new_sink(folder, PATIENT);
    rlim_t before = limit_file_size(10);

    send_events(sink, "one two");
    ck_assert_int_eq(back.retried, 0);
    send_events(sink, "three four");
    limit_file_size(before);
    check_given_back(folder, 2, ".clicks.partial");
    send_events(sink, "one two");
    send_events(sink, "three four");
    finish(sink);
    ck_assert_int_eq(back.delivered, 2);
    ck_assert_str_eq(test_read(only_object(folder)), "one\ntwo\nthree\nfour\n");
}
END_TEST

/* The folder of the year is a file: nothing can be renamed into it. */
START_TEST(gives_back_where_it_cannot_publish)
{
    const char *folder = test_folder(), *year;
    cs_sink_t *sink = new_sink(folder, PATIENT);
    apr_file_t *file;
    apr_time_exp_t utc;

    send_events(sink, "one");
    apr_time_exp_gmt(&utc, apr_time_now());
    for (int i = 0; i < 2; i++) { /* the year may end while we are here */
        year = apr_psprintf(pool, "%s/%d", folder, utc.tm_year + 1900 + i);
        ck_assert_int_eq(apr_file_open(&file, year, APR_FOPEN_WRITE | APR_FOPEN_CREATE, APR_FPROT_OS_DEFAULT, pool),
                         APR_SUCCESS);
        apr_file_close(file);
    }
    finish(sink);
    check_given_back(folder, 1, "an object in");
    for (int i = 0; i < 2; i++)
        apr_file_remove(apr_psprintf(pool, "%s/%d", folder, utc.tm_year + 1900 + i), pool);
    send_events(sink, "one");
    finish(sink);
    ck_assert_int_eq(back.delivered, 1);
    ck_assert_str_eq(test_read(only_object(folder)), "one\n");
}
END_TEST

/* The object is there; its folder cannot be synced, as there is no descriptor to open it with. */
START_TEST(says_that_a_published_object_may_come_twice)
{
    const char *folder = test_folder();
    cs_sink_t *sink = new_sink(folder, PATIENT);
    struct rlimit limit;
    rlim_t before;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    before = limit.rlim_cur;
    send_events(sink, "one");
    limit.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    finish(sink);
    limit.rlim_cur = before;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(back.delivered, 0);
    ck_assert_int_eq(back.retried, 1);
    ck_assert_int_eq(back.last.maybe_taken, 1);
    ck_assert_str_eq(test_read(only_object(folder)), "one\n");
    send_events(sink, "one");
    finish(sink);
    ck_assert_int_eq(back.delivered, 1);
    ck_assert_int_eq(back.last.maybe_taken, 0);
    ck_assert_int_eq(objects_in(folder)->nelts, 2);
}
END_TEST

/* An event in a file that was cut while it is mapped, as a queue's may be. */
START_TEST(gives_back_what_cannot_be_read)
{
    const char *folder = test_folder(), *path = apr_pstrcat(pool, test_folder(), "/cut", NULL);
    cs_sink_t *sink = new_sink(folder, PATIENT);
    cs_batch_t *batch = cs_batch_create(&sink->limits, 4, pool);
    apr_file_t *file;
    apr_os_file_t fd;
    char *page;

    ck_assert_int_eq(
        apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_WRITE | APR_FOPEN_CREATE, APR_FPROT_OS_DEFAULT, pool),
        APR_SUCCESS);
    apr_os_file_get(&fd, file);
    page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(page, MAP_FAILED);
    ck_assert_int_eq(cs_batch_add(batch, &sink->limits, (cs_batch_event_t){.data = {page, 5}}), 1);
    sink->send(sink, batch);
    check_given_back(folder, 1, "Bad address");
    ck_assert_msg(strstr(back.last.advice, "the queue's file"), "%s", back.last.advice);
    munmap(page, 4096);
    apr_file_close(file);
}
END_TEST

START_TEST(follows_no_link)
{
    const char *folder = test_folder(), *target = apr_pstrcat(pool, test_folder(), "/target", NULL);
    cs_sink_t *sink = new_sink(folder, PATIENT);

    ck_assert_int_eq(symlink(target, apr_pstrcat(pool, folder, "/.clicks.partial", NULL)), 0);
    send_events(sink, "one");
    check_given_back(folder, 1, ".clicks.partial");
    ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

/* --- two queues with one name and one folder: each has its own sender, and neither loses anything by the other --- */

static void send_apart(cs_sink_t *sink, const char *events, int *delivered, int *retried)
{
    int before[2] = {back.delivered, back.retried};

    send_events(sink, events);
    finish(sink);
    *delivered = back.delivered - before[0];
    *retried = back.retried - before[1];
}

START_TEST(leaves_the_object_of_another)
{
    const char *folder = test_folder(), *first;
    cs_sink_t *other = new_sink(folder, PATIENT), *sink = new_sink(folder, PATIENT);
    int delivered, retried;

    send_events(other, "one two");
    for (int i = 0; i < 2; i++) { /* it may try again and again */
        send_apart(sink, "three", &delivered, &retried);
        ck_assert_int_eq(delivered, 0);
        ck_assert_int_eq(retried, 1);
        ck_assert_msg(strstr(back.reason, "/.clicks.partial: another sender is writing it"), "%s", back.reason);
        ck_assert_msg(strstr(back.last.advice, "write another path="), "%s", back.last.advice);
        ck_assert_int_eq(back.last.maybe_taken, 0);
    }
    send_events(other, "four");
    finish(other);
    ck_assert_int_eq(back.delivered, 2);
    first = only_object(folder);
    ck_assert_str_eq(test_read(first), "one\ntwo\nfour\n");
    send_apart(sink, "three", &delivered, &retried);
    ck_assert_int_eq(delivered, 1);
    ck_assert_int_eq(objects_in(folder)->nelts, 2);
    ck_assert_str_eq(test_read(first), "one\ntwo\nfour\n");
    ck_assert_int_eq(has_partial(folder), 0);
}
END_TEST

/* Somebody removes the temporary file, and the other one makes its own in that place. */
START_TEST(publishes_nothing_of_another)
{
    const char *folder = test_folder();
    cs_sink_t *sink = new_sink(folder, PATIENT), *other = new_sink(folder, PATIENT);

    send_events(sink, "one");
    ck_assert_int_eq(unlink(apr_pstrcat(pool, folder, "/.clicks.partial", NULL)), 0);
    send_events(other, "two");
    finish(sink);
    ck_assert_int_eq(back.delivered, 0);
    ck_assert_int_eq(back.retried, 1);
    ck_assert_int_eq(back.last.maybe_taken, 0);
    ck_assert_int_eq(objects_in(folder)->nelts, 0);
    finish(other);
    ck_assert_int_eq(back.delivered, 1);
    ck_assert_str_eq(test_read(only_object(folder)), "two\n");
}
END_TEST

static TCase *objects_case(void)
{
    TCase *tests = test_case("objects");

    tcase_add_test(tests, is_named_as_firehose_names);
    tcase_add_loop_test(tests, has_every_event, 0, ELEMENTS(contents));
    tcase_add_test(tests, has_every_event_of_many);
    tcase_add_test(tests, rolls_by_size);
    tcase_add_test(tests, rolls_by_age);
    tcase_add_test(tests, poll_returns_in_time);
    tcase_add_test(tests, flushes_once);
    tcase_add_test(tests, makes_its_folder);
    tcase_add_test(tests, overwrites_what_was_left);
    return tests;
}

static TCase *trouble_case(void)
{
    TCase *tests = test_case("trouble");

    tcase_add_test(tests, gives_back_where_it_cannot_write);
    tcase_add_test(tests, gives_back_where_the_room_ends);
    tcase_add_test(tests, gives_back_where_it_cannot_publish);
    tcase_add_test(tests, says_that_a_published_object_may_come_twice);
    tcase_add_test(tests, gives_back_what_cannot_be_read);
    tcase_add_test(tests, follows_no_link);
    return tests;
}

static TCase *two_case(void)
{
    TCase *tests = test_case("two");

    tcase_add_test(tests, leaves_the_object_of_another);
    tcase_add_test(tests, publishes_nothing_of_another);
    return tests;
}

Suite *sink_file_suite(void)
{
    Suite *suite = suite_create("sink_file");

    suite_add_tcase(suite, objects_case());
    suite_add_tcase(suite, trouble_case());
    suite_add_tcase(suite, two_case());
    return suite;
}
