/* The file of what a sink will never take: its lines, and that each is whole.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
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

    ck_assert_int_eq(cs_rejects_append(path, lines[_i].record, lines[_i].reason, WHEN, pool), APR_SUCCESS);
    ck_assert_str_eq(test_read(path), lines[_i].line);
}
END_TEST

START_TEST(adds_to_what_is_there)
{
    const char *path = new_path(), *whole = "";
    struct stat info;

    for (int i = 0; i < ELEMENTS(lines); i++) {
        ck_assert_int_eq(cs_rejects_append(path, lines[i].record, lines[i].reason, WHEN, pool), APR_SUCCESS);
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

    ck_assert_int_eq(cs_rejects_append(path, lines[0].record, lines[0].reason, WHEN, pool), APR_SUCCESS);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = before;
    little.rlim_cur = strlen(lines[0].line) + 20;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    ck_assert_int_ne(cs_rejects_append(path, lines[1].record, lines[1].reason, WHEN, pool), APR_SUCCESS);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_str_eq(test_read(path), lines[0].line);
    ck_assert_int_eq(cs_rejects_append(path, lines[1].record, lines[1].reason, WHEN, pool), APR_SUCCESS);
    ck_assert_str_eq(test_read(path), apr_pstrcat(pool, lines[0].line, lines[1].line, NULL));
}
END_TEST

START_TEST(follows_no_link)
{
    const char *path = new_path(), *target = new_path();

    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_int_eq(cs_rejects_append(path, lines[0].record, lines[0].reason, WHEN, pool), ELOOP);
    ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(says_what_is_wrong)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/none/clicks.rejected", NULL);

    ck_assert_int_eq(cs_rejects_append(path, lines[0].record, lines[0].reason, WHEN, pool), ENOENT);
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
    suite_add_tcase(suite, tests);
    return suite;
}
