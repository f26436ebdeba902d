/* The file of what a sink will never take: its lines, that each is whole, and what is read back.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deliver/rejects.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SPAN(literal) ((cs_span_t){literal, sizeof(literal) - 1})
/* 2026-01-31T23:59:59.123456Z, in microseconds */
#define WHEN (apr_time_from_sec(APR_INT64_C(1769903999)) + 123456)
#define HEAD "{\"rejected_at\":\"2026-01-31T23:59:59.123Z\",\"reason\":"

static const char *new_path(void)
{
    return apr_pstrcat(pool, test_folder(), "/clicks.rejected", NULL);
}

static const struct {
    cs_span_t record;
    const char *reason, *line;
} lines[] = {
    {SPAN("{\"a\":\"b\"}"), "HTTP 400 ValidationException: 1 error",
     HEAD "\"HTTP 400 ValidationException: 1 error\",\"record\":\"{\\\"a\\\":\\\"b\\\"}\"}\n"},
    {SPAN("two\nlines"), "so\n\"it\" is", HEAD "\"so\\u000a\\\"it\\\" is\",\"record\":\"two\\u000alines\"}\n"},
    {SPAN("\0\xFF"), "caf\xE9", HEAD "\"caf\xEF\xBF\xBD\",\"record\":\"\\u0000\xEF\xBF\xBD\"}\n"},
    {SPAN(""), "", HEAD "\"\",\"record\":\"\"}\n"},
};

START_TEST(writes_a_line)
{
    const char *path = new_path();

    ck_assert_int_eq(cs_rejects_append(path, NULL, lines[_i].record, lines[_i].reason, WHEN, pool), APR_SUCCESS);
    ck_assert_str_eq(test_read(path), lines[_i].line);
}
END_TEST

START_TEST(adds_to_what_is_there)
{
    const char *path = new_path(), *whole = "";
    struct stat info;

    for (int i = 0; i < ELEMENTS(lines); i++) {
        ck_assert_int_eq(cs_rejects_append(path, NULL, lines[i].record, lines[i].reason, WHEN, pool), APR_SUCCESS);
        whole = apr_pstrcat(pool, whole, lines[i].line, NULL);
    }
    ck_assert_str_eq(test_read(path), whole);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
}
END_TEST

/* On a disk that gets full in the middle of a line nothing of it stays: the next line stands by itself. */
START_TEST(leaves_no_half_line)
{
    const char *path = new_path();
    struct rlimit before, little;

    ck_assert_int_eq(cs_rejects_append(path, NULL, lines[0].record, lines[0].reason, WHEN, pool), APR_SUCCESS);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = before;
    little.rlim_cur = strlen(lines[0].line) + 20;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    ck_assert_int_ne(cs_rejects_append(path, NULL, lines[1].record, lines[1].reason, WHEN, pool), APR_SUCCESS);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_str_eq(test_read(path), lines[0].line);
    ck_assert_int_eq(cs_rejects_append(path, NULL, lines[1].record, lines[1].reason, WHEN, pool), APR_SUCCESS);
    ck_assert_str_eq(test_read(path), apr_pstrcat(pool, lines[0].line, lines[1].line, NULL));
}
END_TEST

/* --- while another has the file --- */

static const char *path_of_all;

static void *append_one(void *unused)
{
    apr_pool_t *own;

    apr_pool_create_unmanaged_ex(&own, NULL, NULL);
    ck_assert_int_eq(cs_rejects_append(path_of_all, NULL, lines[1].record, lines[1].reason, WHEN, own), APR_SUCCESS);
    apr_pool_destroy(own);
    return unused;
}

/* Whoever renames the file under its lock has all lines; the next one goes into a new file. */
START_TEST(goes_into_the_file_that_has_the_name)
{
    const char *path = new_path(), *aside = apr_pstrcat(pool, path, ".aside", NULL);
    pthread_t thread;
    int fd;

    ck_assert_int_eq(cs_rejects_append(path, NULL, lines[0].record, lines[0].reason, WHEN, pool), APR_SUCCESS);
    ck_assert_int_ge(fd = open(path, O_RDONLY), 0);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    path_of_all = path;
    ck_assert_int_eq(pthread_create(&thread, NULL, append_one, NULL), 0);
    usleep(50000); /* now it waits, or has not begun: either is right */
    ck_assert_str_eq(test_read(path), lines[0].line);
    ck_assert_int_eq(rename(path, aside), 0);
    close(fd);
    pthread_join(thread, NULL);
    ck_assert_str_eq(test_read(aside), lines[0].line);
    ck_assert_str_eq(test_read(path), lines[1].line);
}
END_TEST

START_TEST(does_not_wait_for_ever)
{
    const char *path = new_path();
    int fd = open(path, O_RDWR | O_CREAT, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(cs_rejects_append(path, NULL, lines[0].record, lines[0].reason, WHEN, pool), EWOULDBLOCK);
    close(fd);
    ck_assert_str_eq(test_read(path), "");
    ck_assert_int_eq(cs_rejects_append(path, NULL, lines[0].record, lines[0].reason, WHEN, pool), APR_SUCCESS);
}
END_TEST

/* --- read back --- */

static const struct {
    cs_span_t line, record;
} read_back[] = {
    {SPAN(HEAD "\"no\",\"record\":\"{\\\"a\\\":\\\"b\\\"}\"}"), SPAN("{\"a\":\"b\"}")},
    {SPAN("{ \"record\" : \"{\\u0022\\n\\u0000\\u00e9\\ud83d\\ude00\", \"reason\": \"\",\"rejected_at\":\"x\" }"),
     SPAN("{\"\n\0\xC3\xA9\xF0\x9F\x98\x80")},
    {SPAN(HEAD "\"no\",\"record\":\"\"}"), SPAN("")},
    /* anything else is itself a record */
    {SPAN("{\"token\":\"t\",\"n\":[[[1]]]}"), SPAN("{\"token\":\"t\",\"n\":[[[1]]]}")},
    {SPAN("{\"reason\":\"r\",\"record\":\"{}\"}"), SPAN("{\"reason\":\"r\",\"record\":\"{}\"}")},
    {SPAN(HEAD "\"no\",\"record\":1}"), SPAN(HEAD "\"no\",\"record\":1}")},
    {SPAN(HEAD "\"no\",\"record\":\"{}\",\"more\":1}"), SPAN(HEAD "\"no\",\"record\":\"{}\",\"more\":1}")},
    {SPAN(HEAD "\"no\",\"record\":\"cut"), SPAN(HEAD "\"no\",\"record\":\"cut")},
    {SPAN("no JSON"), SPAN("no JSON")},
    {SPAN(""), SPAN("")},
};

START_TEST(reads_a_line)
{
    cs_span_t record = cs_rejects_record(read_back[_i].line, pool), expected = read_back[_i].record;

    ck_assert_uint_eq(record.length, expected.length);
    ck_assert_int_eq(memcmp(record.at, expected.at, expected.length), 0);
}
END_TEST

START_TEST(reads_what_it_wrote)
{
    char record[256];
    cs_span_t line;

    for (int i = 0; i < 128; i++)
        record[i] = (char)i;
    memcpy(record + 128, "\xC3\xA9", 2);
    line.at = new_path();
    ck_assert_int_eq(cs_rejects_append(line.at, NULL, (cs_span_t){record, 130}, "why", WHEN, pool), APR_SUCCESS);
    line.at = test_read(line.at);
    line.length = strlen(line.at) - 1;
    line = cs_rejects_record(line, pool);
    ck_assert_uint_eq(line.length, 130);
    ck_assert_int_eq(memcmp(line.at, record, 130), 0);
}
END_TEST

START_TEST(follows_no_link)
{
    const char *path = new_path(), *target = new_path();

    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_int_eq(cs_rejects_append(path, NULL, lines[0].record, lines[0].reason, WHEN, pool), ELOOP);
    ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(says_what_is_wrong)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/none/clicks.rejected", NULL);

    ck_assert_int_eq(cs_rejects_append(path, NULL, lines[0].record, lines[0].reason, WHEN, pool), ENOENT);
}
END_TEST

Suite *rejects_suite(void)
{
    Suite *suite = suite_create("rejects");
    TCase *tests = test_case("rejects");

    tcase_add_loop_test(tests, writes_a_line, 0, ELEMENTS(lines));
    tcase_add_test(tests, adds_to_what_is_there);
    tcase_add_test(tests, leaves_no_half_line);
    tcase_add_test(tests, follows_no_link);
    tcase_add_test(tests, says_what_is_wrong);
    tcase_add_test(tests, goes_into_the_file_that_has_the_name);
    tcase_add_test(tests, does_not_wait_for_ever);
    tcase_add_loop_test(tests, reads_a_line, 0, ELEMENTS(read_back));
    tcase_add_test(tests, reads_what_it_wrote);
    suite_add_tcase(suite, tests);
    return suite;
}
