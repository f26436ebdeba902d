/* Owner death at any instruction: a process is single-stepped through append, settle and advance, and killed
 * after each number of instructions. Whoever comes next must find all of it or nothing, and go on. And what others
 * write into the file between any two instructions leads nobody astray. SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/layout.h"
#include "queue/queue.h"
#include "unit.h"

#define CAPACITY 65536
#define APPENDED 3 /* records of the append that is killed */
/* Of a record whose size changes. */
#define SHORT_SIZE 8
#define LONG_SIZE 3000

static cs_queue_t *open_queue(const char *folder)
{
    cs_queue_options_t options = {.directory = folder, .name = "clicks", .capacity = CAPACITY};
    cs_queue_t *queue;

    ck_assert_int_eq(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    return queue;
}

static void append_three(cs_queue_t *queue)
{
    static const cs_span_t records[APPENDED] = {{"first", 5}, {"second", 6}, {"third", 5}};

    cs_queue_append(queue, records, APPENDED, 1);
}

static void settle_and_advance(cs_queue_t *queue)
{
    cs_queue_record_t records[APPENDED];
    apr_uint64_t cursor = 0;
    int count;

    if (cs_queue_sender_lock(queue, 0) != APR_SUCCESS)
        return;
    count = cs_queue_read(records, APPENDED, queue, &cursor);
    for (int i = 0; i < count; i++)
        cs_queue_settle(queue, records[i].position, CS_SETTLED_DELIVERED);
    cs_queue_advance(queue);
    cs_queue_sender_unlock(queue);
}

/* Runs `work` in a process that dies after `steps` instructions. Returns 1 when it came to its end before,
 * 0 when it was killed on the way, -1 where this system lets nobody be traced. */
static int die_after(int steps, cs_queue_t *queue, void (*work)(cs_queue_t *))
{
    int status, ended = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(99);
        raise(SIGSTOP);
        work(queue);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (WIFEXITED(status))
        return -1;
    while (steps-- > 0 && !ended) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0)
            break;
        waitpid(pid, &status, 0);
        ended = WIFEXITED(status);
    }
    if (!ended) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    return ended;
}

static int is_traceable(cs_queue_t *queue)
{
    if (die_after(1, queue, append_three) >= 0)
        return 1;
    printf("SKIPPED queue_death: this system does not allow ptrace\n");
    return 0;
}

static cs_queue_stats_t stats_of(cs_queue_t *queue)
{
    cs_queue_stats_t stats;

    ck_assert_int_eq(cs_queue_stats(&stats, queue), APR_SUCCESS);
    return stats;
}

/* Reads the queue empty; every record must be whole. Returns how many there were. */
static apr_uint64_t drain(cs_queue_t *queue)
{
    apr_uint64_t cursor = 0, count = 0;
    cs_queue_record_t record;

    ck_assert_int_eq(cs_queue_sender_lock(queue, 0), APR_SUCCESS);
    while (cs_queue_read(&record, 1, queue, &cursor)) {
        static const char *const texts[APPENDED] = {"first", "second", "third"};
        const char *text = texts[count % APPENDED];
        ck_assert_uint_eq(record.data.length, strlen(text));
        ck_assert_int_eq(memcmp(record.data.at, text, strlen(text)), 0);
        cs_queue_settle(queue, record.position, CS_SETTLED_DELIVERED);
        count++;
    }
    ck_assert_int_eq(cs_queue_advance(queue), APR_SUCCESS);
    cs_queue_sender_unlock(queue);
    return count;
}

/* Each instruction at first, then in a prime stride, which meets every kind of place: each death costs as many
 * stops as it has instructions. */
static int next_step(int step)
{
    return step < 100 ? step + 1 : step + 23;
}

/* A copy that was as long as the size at one time, and is filled as long as that at another, has bytes behind it. */
static int is_overrun(const cs_queue_record_t *record, apr_pool_t *scratch)
{
    return record->data.length == SHORT_SIZE && *(char *)apr_palloc(scratch, LONG_SIZE) == 'x';
}

/* Exits with 1 where a record's length is one thing and what was done by it another. */
static void read_and_peek(cs_queue_t *queue)
{
    apr_uint64_t cursor = 0;
    cs_queue_record_t record;
    apr_pool_t *scratch;

    if (cs_queue_read(&record, 1, queue, &cursor) != 1 || cursor != frame_room(record.data.length))
        _exit(1);
    apr_pool_create(&scratch, pool);
    memset(apr_palloc(scratch, 2 * LONG_SIZE), 0, (size_t)2 * LONG_SIZE);
    apr_pool_clear(scratch);
    cursor = 0;
    if (cs_queue_peek(&record, 1, queue, &cursor, scratch) != 1 || cursor != frame_room(record.data.length) ||
        is_overrun(&record, scratch))
        _exit(1);
}

/* Somebody who can write to the file changes a size every so many instructions of a reader, and both sizes fit. */
START_TEST(a_size_that_changes_while_it_is_read)
{
    cs_queue_t *queue = open_queue(test_folder());
    volatile apr_uint32_t *size;
    static char text[LONG_SIZE];
    int status, steps = 0;
    pid_t pid;

    if (!is_traceable(queue))
        return;
    cs_queue_close(queue);
    queue = open_queue(test_folder());
    size = &frame_at(queue, 0)->size;
    memset(text, 'x', sizeof(text));
    cs_queue_append(queue, &(cs_span_t){text, sizeof(text)}, 1, 1);
    if ((pid = fork()) == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        read_and_peek(queue);
        _exit(0);
    }
    for (waitpid(pid, &status, 0); WIFSTOPPED(status); waitpid(pid, &status, 0)) {
        if (steps++ % (_i + 1) == 0)
            *size = *size == LONG_SIZE ? SHORT_SIZE : LONG_SIZE;
        ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    }
    ck_assert_int_gt(steps, 300);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    cs_queue_close(queue);
}
END_TEST

START_TEST(death_in_an_append)
{
    cs_queue_t *queue = open_queue(test_folder());
    int finished = 0, deaths = 0;

    if (!is_traceable(queue))
        return;
    drain(queue);
    for (int steps = 1; !finished; steps = next_step(steps)) {
        apr_uint64_t before = stats_of(queue).appended, found;
        finished = die_after(steps, queue, append_three);
        found = drain(queue);
        ck_assert_msg(found == 0 || found == APPENDED, "killed after %d steps: %d records", steps, (int)found);
        ck_assert_uint_eq(stats_of(queue).appended, before + found);
        ck_assert_uint_eq(stats_of(queue).waiting, 0);
        ck_assert_int_eq(stats_of(queue).used, 0);
        deaths += !finished;
    }
    ck_assert_int_gt(deaths, 100);
    ck_assert_uint_gt(stats_of(queue).owner_deaths, 0); /* some of them died with the lock in hand */
    cs_queue_close(queue);
}
END_TEST

START_TEST(death_of_the_sender)
{
    cs_queue_t *queue = open_queue(test_folder());
    int finished = 0;
    apr_uint64_t appended = 0;

    if (!is_traceable(queue))
        return;
    drain(queue);
    appended = stats_of(queue).appended;
    for (int steps = 1; !finished; steps = next_step(steps)) {
        append_three(queue);
        appended += APPENDED;
        finished = die_after(steps, queue, settle_and_advance);
        /* What the dead one settled is not read again; the rest is, and all is counted once. */
        ck_assert_int_eq(cs_queue_sender_lock(queue, 0), APR_SUCCESS);
        cs_queue_sender_unlock(queue);
        settle_and_advance(queue);
        ck_assert_uint_eq(stats_of(queue).delivered, appended);
        ck_assert_uint_eq(stats_of(queue).waiting, 0);
        ck_assert_int_eq(stats_of(queue).used, 0);
    }
    ck_assert_uint_gt(stats_of(queue).owner_deaths, 0);
    cs_queue_close(queue);
}
END_TEST

static const char *making_folder;

static void open_and_append(cs_queue_t *unused)
{
    (void)unused;
    append_three(open_queue(making_folder));
}

/* Death while the file is made or recovered: whoever comes next gets a working queue. Millions of
 * instructions, so it is sampled in growing strides. */
START_TEST(death_while_opening)
{
    cs_queue_t *trial = open_queue(test_folder());
    int finished = !is_traceable(trial);

    cs_queue_close(trial);
    for (int steps = 1; !finished && steps < 60000; steps += 1 + steps / 3) {
        cs_queue_t *queue;
        making_folder = test_folder();
        finished = die_after(steps, NULL, open_and_append);
        queue = open_queue(making_folder);
        drain(queue);
        append_three(queue);
        ck_assert_uint_eq(drain(queue), APPENDED);
        cs_queue_close(queue);
    }
}
END_TEST

/* The plain way, without a debugger: writers die at random in the middle of their work, again and again. */
START_TEST(death_at_random)
{
    const char *folder = test_folder();
    cs_queue_t *queue = open_queue(folder);
    apr_uint64_t total = 0;

    for (int round = 0; round < 150; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (;;)
                append_three(queue);
        }
        for (int i = 0; i < 20; i++)
            total += drain(queue);
        usleep((useconds_t)(rand() % 500));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        total += drain(queue);
    }
    ck_assert_uint_eq(total % APPENDED, 0);
    ck_assert_uint_eq(stats_of(queue).appended, total);
    ck_assert_uint_eq(stats_of(queue).delivered, total);
    cs_queue_close(queue);
}
END_TEST

Suite *queue_death_suite(void)
{
    Suite *suite = suite_create("queue_death");
    TCase *steps = test_case("steps"), *random = test_case("random");

    tcase_set_tags(steps, "ptrace"); /* what runs a process on a processor of its own has no steps to count */
    tcase_set_timeout(steps, 120);
    tcase_add_loop_test(steps, a_size_that_changes_while_it_is_read, 0, 7);
    tcase_add_test(steps, death_in_an_append);
    tcase_add_test(steps, death_of_the_sender);
    tcase_add_test(steps, death_while_opening);
    suite_add_tcase(suite, steps);
    tcase_set_timeout(random, 120);
    tcase_add_test(random, death_at_random);
    suite_add_tcase(suite, random);
    return suite;
}
