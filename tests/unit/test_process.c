/* credential_process: what a program's output and its end come to, and that none outlives its time.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deliver/process.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const cs_halt_t no_halt;

/* A script, by its path. */
static const char *script(const char *text)
{
    const char *path = test_file(apr_pstrcat(pool, "#!/bin/sh\n", text, "\n", NULL));

    ck_assert_int_eq(chmod(path, 0700), 0);
    return path;
}

/* What it put out, or why not in "()". */
static const char *run(const char *command, apr_interval_time_t timeout, const cs_halt_t *halt)
{
    cs_span_t output = {NULL, 0};
    const char *why = NULL;
    apr_status_t status = cs_process_run(&output, &why, command, timeout, halt, pool);

    ck_assert_int_eq(status == APR_SUCCESS, why == NULL);
    if (why)
        return apr_pstrcat(pool, "(", why, ")", NULL);
    ck_assert_int_eq(output.at[output.length], '\0');
    return output.at;
}

static const struct {
    const char *text, *arguments;
    const char *output;
} scripts[] = {
    {"echo '{}'", "", "{}\n"},
    {"printf '<%s>' \"$@\"", " a 'b c' \"d e\" f\\ g $HOME `id` ; >x", "<a><b c><d e><f g><$HOME><`id`><;><>x>"},
    {"echo hush >&2; echo out", "", "out\n"},
    {"cat; echo end", "", "end\n"}, /* it has nothing to read */
    {":", "", ""},
    {"echo hush; exit 3", "", "(it failed)"},
    {"kill -9 $$", "", "(it failed)"},
    {"exec >&-; sleep 0.1; exit 1", "", "(it failed)"},
    {"head -c 70000 /dev/zero", "", "(it says too much)"},
    {"yes", "", "(it says too much)"},
};

START_TEST(runs_program)
{
    const char *command = apr_pstrcat(pool, script(scripts[_i].text), scripts[_i].arguments, NULL);

    ck_assert_str_eq(run(command, apr_time_from_sec(10), &no_halt), scripts[_i].output);
}
END_TEST

static const struct {
    const char *command, *why;
} unrunnable[] = {
    {"", "(there is no program in it)"},
    {"  ", "(there is no program in it)"},
    {"/does/not/exist", "(it cannot be run: No such file or directory)"},
    {"no-such-program-anywhere x", "(it cannot be run: No such file or directory)"},
    {"/etc/passwd", "(it cannot be run: Permission denied)"},
};

START_TEST(says_what_cannot_be_run)
{
    ck_assert_str_eq(run(unrunnable[_i].command, apr_time_from_sec(10), &no_halt), unrunnable[_i].why);
}
END_TEST

START_TEST(is_found_on_the_path)
{
    ck_assert_str_eq(run("echo found", apr_time_from_sec(10), &no_halt), "found\n");
}
END_TEST

/* Whether the process whose number is in this file is gone; one that waits for its parent counts as gone. */
static int is_gone(const char *path)
{
    pid_t pid = (pid_t)strtol(test_read(path), NULL, 10);
    const char *stat = apr_psprintf(pool, "/proc/%d/stat", (int)pid);
    char text[200] = "";
    FILE *file;

    ck_assert_int_gt(pid, 1);
    if (kill(pid, 0) != 0)
        return errno == ESRCH;
    if (!(file = fopen(stat, "r")))
        return 1;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return strstr(text, ") Z ") != NULL;
}

static void wait_until_gone(const char *path)
{
    for (int i = 0; i < 500 && !is_gone(path); i++)
        apr_sleep(apr_time_from_msec(10));
    ck_assert(is_gone(path));
}

/* Those that it began are killed as well, whether they hold its output or it has closed it. */
static const char *const hangs[] = {"sleep 100", "exec >&-; sleep 100",
                                    "trap '' TERM HUP INT; while :; do sleep 1; done"};

START_TEST(kills_what_hangs)
{
    const char *child = apr_pstrcat(pool, test_folder(), "/child", NULL);
    const char *command = script(apr_psprintf(pool, "sleep 1000 &\necho $! > %s\n%s", child, hangs[_i]));
    apr_time_t start = cs_monotonic();

    ck_assert_str_eq(run(command, apr_time_from_sec(1), &no_halt),
                     "(it had not ended in time, and was killed after 1 s)");
    ck_assert_int_lt(cs_monotonic() - start, apr_time_from_sec(5));
    wait_until_gone(child);
}
END_TEST

/* A program of this shell's process group, of which it becomes a member itself: nobody is left in its own. */
START_TEST(kills_what_leaves_its_group)
{
    const char *command = script("exec perl -e 'setpgrp(0, getpgrp(getppid())); sleep 20'");
    apr_time_t start = cs_monotonic();

    ck_assert_str_eq(run(command, apr_time_from_sec(1), &no_halt),
                     "(it had not ended in time, and was killed after 1 s)");
    ck_assert_int_lt(cs_monotonic() - start, apr_time_from_sec(5));
}
END_TEST

static void become_nobody(int number)
{
    (void)number;
    if (setuid(65534) != 0)
        _exit(2);
}

/* As where what it runs is sudo; the other way round here, so that no file has to be root's for everybody. */
START_TEST(waits_for_nobody_who_cannot_be_killed)
{
    const char *number = apr_pstrcat(pool, test_folder(), "/number", NULL);
    const char *command = script(apr_psprintf(pool, "echo $$ > %s\nexec sleep 20", number));
    apr_time_t start = cs_monotonic();
    int status;
    pid_t pid;

    if (geteuid() != 0) /* who is not root can become nobody else */
        return;
    if ((pid = fork()) == 0) {
        signal(SIGALRM, become_nobody);
        alarm(1);
        _exit(strncmp(run(command, apr_time_from_sec(2), &no_halt), "(it had not ended", 17) != 0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_lt(cs_monotonic() - start, apr_time_from_sec(10));
    ck_assert_int_eq(kill((pid_t)strtol(test_read(number), NULL, 10), SIGKILL), 0); /* it was left */
}
END_TEST

START_TEST(ends_when_it_has_to)
{
    const int stop = 1;
    const cs_halt_t stopped = {.stop = &stop}, over = {.until = cs_monotonic() + apr_time_from_msec(200)};
    apr_time_t start = cs_monotonic();

    ck_assert_str_eq(run("sleep 100", apr_time_from_sec(60), &stopped),
                     "(it had not ended in time, and was killed after 60 s)");
    ck_assert_str_eq(run("sleep 100", apr_time_from_sec(60), &over),
                     "(it had not ended in time, and was killed after 60 s)");
    ck_assert_int_lt(cs_monotonic() - start, apr_time_from_sec(5));
}
END_TEST

/* A sender's thread blocks all signals; a program must get its own. */
START_TEST(gives_signals_back)
{
    sigset_t all, before;
    const char *output;

    sigfillset(&all);
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, &all, &before), 0);
    output = run("sh -c 'kill -PIPE $$; echo alive'", apr_time_from_sec(10), &no_halt);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    ck_assert_str_eq(output, "(it failed)");
}
END_TEST

START_TEST(works_where_nobody_waits_for_children)
{
    signal(SIGCHLD, SIG_IGN);
    ck_assert_str_eq(run("echo found", apr_time_from_sec(10), &no_halt), "found\n");
    signal(SIGCHLD, SIG_DFL);
}
END_TEST

Suite *process_suite(void)
{
    Suite *suite = suite_create("process");
    TCase *tests = test_case("process"), *unrunnable_programs = test_case("unrunnable");

    tcase_set_tags(unrunnable_programs, "spawn"); /* valgrind's vfork() is a fork(), and tells no error */
    tcase_add_loop_test(unrunnable_programs, says_what_cannot_be_run, 0, ELEMENTS(unrunnable));
    suite_add_tcase(suite, unrunnable_programs);
    tcase_set_timeout(tests, 30);
    tcase_add_loop_test(tests, runs_program, 0, ELEMENTS(scripts));
    tcase_add_test(tests, is_found_on_the_path);
    tcase_add_loop_test(tests, kills_what_hangs, 0, ELEMENTS(hangs));
    tcase_add_test(tests, kills_what_leaves_its_group);
    tcase_add_test(tests, waits_for_nobody_who_cannot_be_killed);
    tcase_add_test(tests, ends_when_it_has_to);
    tcase_add_test(tests, gives_signals_back);
    tcase_add_test(tests, works_where_nobody_waits_for_children);
    suite_add_tcase(suite, tests);
    return suite;
}
