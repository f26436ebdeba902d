/* A process dies between any two steps of the queue, and the next one, which goes on where it stood, between any two of
 * its own. Whoever comes then finds each append whole or not at all, nothing delivered twice that was settled, and a
 * queue that works. tests/unit/test_queue_death.c dies between any two instructions of some of this; here it is all of
 * it. And a page of the file is lost at any step of those who make it, recover it or give it another size.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/layout.h"

#define CAPACITY 65536
#define READ 32
#define LONG 9000 /* so that a few records go once round the ring */

static const char *folder;
static cs_queue_options_t options;

/* --- what is done --- */

static cs_queue_t *open_queue(void)
{
    cs_queue_t *queue = NULL;

    if (cs_queue_open(&queue, &options, &steps_log) != APR_SUCCESS)
        abort();
    return queue;
}

/* Record `i` of a group of three: its length tells which, its bytes that it is whole. */
static cs_span_t record_of(int i)
{
    static char text[3][LONG];

    memset(text[i], 'a' + i, sizeof(text[i]));
    return (cs_span_t){text[i], (apr_size_t)(LONG / (i + 1))};
}

static apr_status_t append_three(cs_queue_t *queue)
{
    const cs_span_t records[] = {record_of(0), record_of(1), record_of(2)};

    return cs_queue_append(queue, records, 3, 1);
}

static void append(void)
{
    append_three(open_queue());
}

static void append_synced(void)
{
    options.synced = 1;
    append();
}

/* Becomes the sender, and reads what there is; NULL: another is the sender. */
static cs_queue_t *open_to_deliver(cs_queue_record_t records[READ], int *count)
{
    cs_queue_t *queue = open_queue();
    apr_uint64_t cursor = 0;

    if (cs_queue_sender_lock(queue, 0) != APR_SUCCESS)
        return NULL;
    *count = cs_queue_read(records, READ, queue, &cursor);
    return queue;
}

/* All but every second one, in no order. */
static void deliver(void)
{
    cs_queue_record_t records[READ];
    int count;
    cs_queue_t *queue = open_to_deliver(records, &count);

    if (!queue)
        return;
    for (int i = count - 1; i >= 0; i -= 2)
        cs_queue_settle(queue, records[i].position, i % 3 ? CS_SETTLED_DELIVERED : CS_SETTLED_REJECTED);
    cs_queue_advance(queue);
    for (int i = count % 2; i < count; i += 2)
        cs_queue_settle(queue, records[i].position, CS_SETTLED_DELIVERED);
    cs_queue_advance(queue);
    cs_queue_sender_unlock(queue);
    cs_queue_close(queue);
}

/* As a sender does: some that are not the oldest, and then the oldest with them. */
static void deliver_batches(void)
{
    cs_queue_record_t records[READ];
    int count;
    cs_queue_t *queue = open_to_deliver(records, &count);

    if (!queue)
        return;
    if (count > 2) {
        cs_queue_deliver(queue, &records[2].position, sizeof(*records), count - 2);
        count = 2;
    }
    cs_queue_deliver(queue, &records[0].position, sizeof(*records), count);
    cs_queue_sender_unlock(queue);
}

static void open_only(void)
{
    cs_queue_close(open_queue());
}

static void open_larger(void)
{
    options.capacity = 2 * CAPACITY;
    append();
}

/* Its file is removed under its hands. */
static void go_over(void)
{
    cs_queue_t *old = open_queue(), *queue;

    unlink(apr_pstrcat(pool, folder, "/clicks.queue", NULL));
    while (cs_queue_succeed(&queue, old, &options, 1, &steps_log) == APR_TIMEUP)
        ;
    append_three(queue);
}

static void go_over_synced(void)
{
    options.synced = 1;
    go_over();
}

/* --- what it begins with --- */

static void nothing(void)
{
}

static void two_groups(void)
{
    cs_queue_t *queue = open_queue();

    append_three(queue);
    append_three(queue);
    cs_queue_close(queue);
}

/* The last group begins at the ring's end and goes on at its beginning. */
static void round_the_ring(void)
{
    cs_queue_t *queue = open_queue();

    for (int i = 0; i < 5; i++) {
        cs_queue_record_t records[32];
        apr_uint64_t cursor = 0;
        append_three(queue);
        for (int j = cs_queue_read(records, 32, queue, &cursor) - 1; j >= 0; j--)
            cs_queue_settle(queue, records[j].position, CS_SETTLED_DELIVERED);
        cs_queue_advance(queue);
    }
    append_three(queue);
    cs_queue_close(queue);
}

/* As after a loss of power: the second record of the first group is torn, and the last one of all. */
static void damaged(void)
{
    off_t second = HEADER_SIZE + (off_t)frame_room(record_of(0).length);
    int fd;

    two_groups();
    fd = open(apr_pstrcat(pool, folder, "/clicks.queue", NULL), O_WRONLY);
    if (pwrite(fd, "torn", 4, second + 100) != 4 ||
        pwrite(fd, "torn", 4, HEADER_SIZE + 2 * ((off_t)frame_room(LONG) + (off_t)frame_room(LONG / 2)) + 6000) != 4)
        abort();
    close(fd);
}

static const struct {
    const char *name;
    void (*before)(void);
    void (*work)(void);
    int groups; /* that are there before, whole or in part */
    int torn;   /* records of them that are damaged */
    int may_go; /* they may be gone afterwards: delivered, or with a file that somebody removed */
} cases[] = {
    {"make", nothing, open_only, 0, 0, 0},
    {"append to a new one", nothing, append, 0, 0, 0},
    {"append", two_groups, append, 2, 0, 0},
    {"append round the ring", round_the_ring, append, 1, 0, 0},
    {"append and sync", two_groups, append_synced, 2, 0, 0},
    {"deliver", two_groups, deliver, 2, 0, 1},
    {"deliver round the ring", round_the_ring, deliver, 1, 0, 1},
    {"deliver batches", two_groups, deliver_batches, 2, 0, 1},
    {"deliver batches round the ring", round_the_ring, deliver_batches, 1, 0, 1},
    {"recover", damaged, open_only, 2, 2, 0},
    {"resize", two_groups, open_larger, 2, 0, 0},
    {"resize a damaged one", damaged, open_larger, 2, 2, 0},
    {"go over to a new file", two_groups, go_over, 2, 0, 1},
    {"go over to a new file and sync", two_groups, go_over_synced, 2, 0, 1},
};

/* --- dying --- */

static int steps_left;

static void die(void)
{
    if (--steps_left == 0)
        kill(getpid(), SIGKILL);
}

/* Returns whether it came to its end before. */
static int die_at(int step, void (*work)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        steps_left = step;
        steps_at = die;
        work();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    ck_assert_msg(WIFEXITED(status) || WTERMSIG(status) == SIGKILL, "died of %d", status);
    return WIFEXITED(status);
}

/* How many of each kind there are; all whole. */
static int count_records(cs_queue_t *queue, int counts[3])
{
    apr_uint64_t cursor = 0;
    cs_queue_record_t record;
    int count = 0;

    memset(counts, 0, 3 * sizeof(*counts));
    while (cs_queue_read(&record, 1, queue, &cursor)) {
        int kind = record.data.length == LONG ? 0 : record.data.length == LONG / 2 ? 1 : 2;
        ck_assert_uint_eq(record.data.length, record_of(kind).length);
        ck_assert_int_eq(memcmp(record.data.at, record_of(kind).at, record.data.length), 0);
        counts[kind]++;
        count++;
    }
    return count;
}

static void check(int i, int first, int second)
{
    cs_queue_t *queue = open_queue();
    cs_queue_stats_t stats;
    int counts[3], count = count_records(queue, counts);

    ck_assert_int_eq(cs_queue_stats(&stats, queue), APR_SUCCESS);
    if (!cases[i].may_go) {
        int least = cases[i].groups * 3 - cases[i].torn;
        ck_assert_uint_eq(stats.waiting, (apr_uint64_t)count);
        ck_assert_msg(count >= least, "%s, dead at %d and %d: %d records of %d", cases[i].name, first, second, count,
                      least);
        ck_assert_msg((int)stats.lost == cases[i].torn, "%s, dead at %d and %d: %d lost", cases[i].name, first, second,
                      (int)stats.lost);
    }
    ck_assert_msg(cases[i].may_go || (count - cases[i].groups * 3 + cases[i].torn) % 3 == 0,
                  "%s, dead at %d and %d: a part of an append: %d", cases[i].name, first, second, count);
    ck_assert_int_le(count, 3 * (cases[i].groups + 2));
    ck_assert_uint_ge(stats.waiting, (apr_uint64_t)count);
    ck_assert_int_eq(cs_queue_sender_lock(queue, 0), APR_SUCCESS);
    cs_queue_sender_unlock(queue);
    cs_queue_close(queue);
    deliver();
    queue = open_queue();
    ck_assert_int_eq(count_records(queue, counts), 0);
    ck_assert_int_eq(append_three(queue), APR_SUCCESS);
    ck_assert_int_eq(count_records(queue, counts), 3);
    cs_queue_close(queue);
}

static void begin(int i)
{
    folder = steps_folder();
    options = (cs_queue_options_t){.directory = folder, .name = "clicks", .capacity = CAPACITY, .watched = 1};
    cases[i].before();
}

/* With `beside`, somebody has the file open all the time, so that nobody recovers it: the locks are taken over. */
static void die_twice(int i, int first, int second, int beside, int *ended)
{
    cs_queue_t *queue = NULL;

    begin(i);
    if (beside && cases[i].work != go_over && cases[i].work != go_over_synced && cases[i].before != nothing)
        queue = open_queue();
    ended[0] = die_at(first, cases[i].work);
    ended[1] = second ? die_at(second, cases[i].work) : 1;
    if (queue)
        cs_queue_close(queue);
    check(i, first, second);
}

START_TEST(dies_once)
{
    int deaths = 0;

    for (int beside = 0; beside < 2; beside++) {
        int ended[2] = {0, 0};
        for (int step = 1; !ended[0]; step++) {
            die_twice(_i, step, 0, beside, ended);
            deaths += !ended[0];
        }
    }
    ck_assert_int_gt(deaths, 1);
}
END_TEST

START_TEST(dies_and_the_next_one_too)
{
    int ended[2] = {0, 0};

    for (int first = 1; !ended[0]; first++) {
        ended[1] = 0;
        for (int second = 1; !ended[1]; second += 1 + second / 5)
            die_twice(_i, first, second, first % 2, ended);
    }
}
END_TEST

/* --- a disk that fails --- */

static struct {
    int step;
    off_t at;
    const char *file;
} failing;

/* A page behind the end of a file is as one that cannot be read: it raises a SIGBUS. The file itself stays whole. */
static void lose_page(const char *file, off_t at)
{
    int empty = open(apr_pstrcat(pool, folder, "/empty", NULL), O_RDWR | O_CREAT, 0600);
    long page = sysconf(_SC_PAGESIZE);
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long start, offset;
    char line[4096];

    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof(line), maps)) {
        line[strcspn(line, "\n")] = '\0';
        if (strlen(line) > strlen(file) && strcmp(line + strlen(line) - strlen(file), file) == 0 &&
            sscanf(line, "%lx-%*x %*s %lx", &start, &offset) == 2 && offset == 0)
            ck_assert_ptr_ne(
                mmap((char *)start + at, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, empty, 0),
                MAP_FAILED);
    }
    fclose(maps);
    close(empty);
}

static void lose_at_step(void)
{
    if (++steps_left == failing.step)
        lose_page(failing.file, failing.at);
}

static void assert_nothing_aside(void)
{
    glob_t found;

    ck_assert_int_eq(access(apr_pstrcat(pool, folder, "/clicks.queue", NULL), F_OK), 0);
    ck_assert_int_eq(glob(apr_pstrcat(pool, folder, "/clicks.queue?*", NULL), 0, NULL, &found), GLOB_NOMATCH);
}

/* Opens the queue while a page of it is lost at a step; returns how many steps there were. */
static int open_failing(int i)
{
    cs_queue_t *queue = NULL;
    apr_status_t status;

    begin(i);
    if (cases[i].work == open_larger)
        options.capacity = 2 * CAPACITY;
    steps_left = 0;
    steps_at = lose_at_step;
    status = cs_queue_open(&queue, &options, &steps_log);
    steps_at = NULL;
    ck_assert_msg(status == APR_SUCCESS || status == EIO, "%s, step %d: status %d", cases[i].name, failing.step,
                  status);
    if (status == APR_SUCCESS)
        cs_queue_close(queue);
    assert_nothing_aside();
    options.capacity = CAPACITY;
    check(i, failing.step, (int)failing.at);
    return status == EIO ? -steps_left : steps_left;
}

/* While a queue is made, recovered or resized. Nobody dies, it stays in its place, and once the disk is mended, all
 * that was in it is there. */
START_TEST(a_page_cannot_be_read)
{
    static const char *const files[] = {"/clicks.queue", "/clicks.queue.new"};
    static const off_t places[] = {0, HEADER_SIZE, HEADER_SIZE + 8192, HEADER_SIZE + 16384, HEADER_SIZE + 28672};
    int errors = 0;

    if (cases[_i].work != open_only && cases[_i].work != open_larger)
        return;
    for (int file = 0; file < (cases[_i].work == open_larger ? 2 : 1); file++) {
        for (size_t place = 0; place < sizeof(places) / sizeof(places[0]); place++) {
            int steps = 1;
            failing.file = files[file];
            failing.at = places[place];
            for (failing.step = 1; failing.step <= abs(steps); failing.step++) {
                steps = open_failing(_i);
                errors += steps < 0;
            }
        }
    }
    ck_assert_int_gt(errors, 0);
}
END_TEST

Suite *death_suite(void)
{
    Suite *suite = suite_create("death");
    TCase *tests = steps_case("death");
    const int count = (int)(sizeof(cases) / sizeof(cases[0]));

    tcase_add_loop_test(tests, dies_once, 0, count);
    tcase_add_loop_test(tests, dies_and_the_next_one_too, 0, count);
    tcase_add_loop_test(tests, a_page_cannot_be_read, 0, count);
    suite_add_tcase(suite, tests);
    return suite;
}
