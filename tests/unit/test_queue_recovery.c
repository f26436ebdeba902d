/* Opening a queue file again: what waits in it is still there, whatever became of the machine; what is no queue
 * is moved aside; another capacity is taken on.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/layout.h"
#include "queue/queue.h"
#include "unit.h"

#define CAPACITY 65536
#define RECORDS 10
#define LENGTH 1000

static const char *folder, *path;
static cs_queue_options_t options;

static void choose_folder(void)
{
    folder = test_folder();
    path = apr_pstrcat(pool, folder, "/clicks.queue", NULL);
    options = (cs_queue_options_t){.directory = folder, .name = "clicks", .capacity = CAPACITY};
}

static cs_queue_t *open_queue(void)
{
    cs_queue_t *queue = NULL;

    ck_assert_int_eq(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    return queue;
}

/* Record i is LENGTH times the letter 'a' + i. */
static void append(cs_queue_t *queue, int i)
{
    char text[LENGTH];

    memset(text, 'a' + i, sizeof(text));
    ck_assert_int_eq(cs_queue_append(queue, &(cs_span_t){text, sizeof(text)}, 1, 1000 + i), APR_SUCCESS);
}

static void make_file(void)
{
    cs_queue_t *queue = open_queue();

    for (int i = 0; i < RECORDS; i++)
        append(queue, i);
    cs_queue_close(queue);
}

/* The letters of the records that are in the queue, each checked to be whole. */
static const char *letters(cs_queue_t *queue)
{
    char *found = apr_pcalloc(pool, RECORDS + 1), *to = found;
    apr_uint64_t cursor = 0;
    cs_queue_record_t record;

    while (cs_queue_read(&record, 1, queue, &cursor)) {
        ck_assert_int_lt(to - found, RECORDS);
        ck_assert_uint_eq(record.data.length, LENGTH);
        for (int i = 0; i < LENGTH; i++)
            ck_assert_int_eq(record.data.at[i], *record.data.at);
        *to++ = *record.data.at;
    }
    return found;
}

/* Overwrites bytes of the closed file. */
static void damage(off_t at, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, length, at), (ssize_t)length);
    close(fd);
}

static off_t frame_offset(int i)
{
    return HEADER_SIZE + (off_t)i * (off_t)frame_room(LENGTH);
}

static cs_queue_stats_t stats_of(cs_queue_t *queue)
{
    cs_queue_stats_t stats;

    ck_assert_int_eq(cs_queue_stats(&stats, queue), APR_SUCCESS);
    return stats;
}

START_TEST(what_waits_is_there_again)
{
    cs_queue_t *queue;
    cs_queue_record_t records[3];
    apr_uint64_t cursor = 0;

    choose_folder();
    make_file();
    queue = open_queue();
    cs_queue_read(records, 3, queue, &cursor);
    cs_queue_settle(queue, records[0].position, CS_SETTLED_DELIVERED);
    cs_queue_settle(queue, records[2].position, CS_SETTLED_DELIVERED);
    cs_queue_advance(queue);
    cs_queue_close(queue);
    queue = open_queue();
    ck_assert_str_eq(letters(queue), "bdefghij");
    ck_assert_uint_eq(stats_of(queue).lost, 0);
    ck_assert_ptr_nonnull(strstr(test_logged(), "stream clicks: 9 events are in its queue from before"));
    cs_queue_close(queue);
}
END_TEST

/* A process that was killed leaves its locks locked; after a reboot nobody is there to give them back. */
START_TEST(locks_of_another_life_are_new)
{
    cs_queue_t *queue;

    choose_folder();
    make_file();
    damage(offsetof(header_t, lock),
           memset(apr_palloc(pool, 3 * sizeof(pthread_mutex_t)), 0x5A, 3 * sizeof(pthread_mutex_t)),
           3 * sizeof(pthread_mutex_t));
    queue = open_queue();
    ck_assert_int_eq(cs_queue_sender_lock(queue, 0), APR_SUCCESS);
    cs_queue_sender_unlock(queue);
    ck_assert_str_eq(letters(queue), "abcdefghij");
    cs_queue_close(queue);
}
END_TEST

/* Children that begin all at once look whether somebody has the file open already. One of them that has it for itself,
 * for that moment, and leaves it as it is, must not be taken for one who has recovered it. */
#define LOOKERS 3
#define LOOKS 4000

static int looks_in_vain(void)
{
    cs_queue_options_t at_once = options;
    cs_queue_t *queue;
    int found = 0;

    at_once.patience = CS_QUEUE_AT_ONCE;
    for (int i = 0; i < LOOKS; i++)
        found += cs_queue_open(&queue, &at_once, test_log) != APR_EAGAIN;
    return found;
}

START_TEST(who_looks_only_has_not_recovered_it)
{
    cs_queue_t *queue;
    int status;

    choose_folder();
    make_file();
    damage(frame_offset(0) + 16, "torn", 4);
    for (int i = 0; i < LOOKERS; i++) {
        if (fork() == 0)
            _exit(looks_in_vain() != 0);
    }
    for (int i = 0; i < LOOKERS; i++) {
        ck_assert_int_gt(wait(&status), 0);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    queue = open_queue(); /* and whoever has time recovers it */
    ck_assert_str_eq(letters(queue), "bcdefghij");
    cs_queue_close(queue);
}
END_TEST

static const struct {
    const char *what;
    int from, to; /* frames that are overwritten */
    const char *left;
} torn[] = {
    {"the first", 0, 1, "bcdefghij"},
    {"the last", 9, 10, "abcdefghi"},
    {"one in the middle", 4, 5, "abcdfghij"},
    {"several", 2, 6, "abghij"},
    {"all", 0, 10, ""},
    {"all but the last", 0, 9, "j"},
};

START_TEST(torn_frames_are_skipped)
{
    char noise[LENGTH];
    cs_queue_t *queue;
    apr_uint64_t lost = (apr_uint64_t)(torn[_i].to - torn[_i].from);

    choose_folder();
    make_file();
    memset(noise, 0x77, sizeof(noise));
    for (int i = torn[_i].from; i < torn[_i].to; i++)
        damage(frame_offset(i) + 16, noise, sizeof(noise));
    for (int again = 0; again < 2; again++) { /* a second recovery finds nothing to do */
        queue = open_queue();
        ck_assert_str_eq(letters(queue), torn[_i].left);
        ck_assert_uint_eq(stats_of(queue).lost, lost);
        ck_assert_uint_eq(stats_of(queue).waiting, RECORDS - lost);
        ck_assert_uint_eq(stats_of(queue).waiting_bytes, (RECORDS - lost) * LENGTH);
        cs_queue_close(queue);
    }
    ck_assert_ptr_nonnull(strstr(test_logged(), "after a loss of power"));
    queue = open_queue(); /* and it works on */
    append(queue, 0);
    ck_assert_str_eq(letters(queue), apr_pstrcat(pool, torn[_i].left, "a", NULL));
    cs_queue_close(queue);
}
END_TEST

/* The ledger of before: its tail is where newer records were written meanwhile. Those are found. */
START_TEST(an_old_header_finds_the_newer_records)
{
    cs_queue_t *queue;
    ledger_t old;
    cs_queue_record_t record;
    apr_uint64_t cursor = 0;

    choose_folder();
    make_file();
    queue = open_queue();
    old = *ledger_of(queue);
    for (int i = 0; i < 5; i++) {
        cs_queue_read(&record, 1, queue, &cursor);
        cs_queue_settle(queue, record.position, CS_SETTLED_DELIVERED);
    }
    cs_queue_advance(queue);
    for (int i = 0; i < 54; i++) { /* round the ring, over the first ones */
        char text[LENGTH];
        memset(text, 'Z', sizeof(text));
        cs_queue_append(queue, &(cs_span_t){text, sizeof(text)}, 1, 1);
    }
    old.sequence = ledger_of(queue)->sequence + 1;
    old.checksum = queue_ledger_checksum(&old);
    queue->header->ledger[0] = queue->header->ledger[1] = old;
    cs_queue_close(queue);
    queue = open_queue();
    ck_assert_str_eq(letters(queue), "fghij");
    cs_queue_close(queue);
}
END_TEST

START_TEST(a_torn_ledger_leaves_the_other)
{
    cs_queue_t *queue;
    apr_uint64_t noise = 0x1234;

    choose_folder();
    make_file();
    queue = open_queue();
    noise = queue->header->turn & 1;
    cs_queue_close(queue);
    damage((off_t)(offsetof(header_t, ledger) + noise * sizeof(ledger_t) + offsetof(ledger_t, head)), &noise,
           sizeof(noise));
    queue = open_queue();
    ck_assert_str_eq(letters(queue), "abcdefghi"); /* as it was one append ago */
    cs_queue_close(queue);
}
END_TEST

static int count_aside(void)
{
    glob_t found;
    int count;

    glob(apr_pstrcat(pool, path, ".aside-*", NULL), 0, NULL, &found);
    count = (int)found.gl_pathc;
    globfree(&found);
    return count;
}

static void write_file(const char *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

static void foreign_text(void)
{
    write_file("something else entirely\n", 24);
}

static void other_version(void)
{
    apr_uint32_t version = QUEUE_VERSION + 1;

    make_file();
    damage(offsetof(header_t, version), &version, sizeof(version));
}

static void truncated(void)
{
    make_file();
    ck_assert_int_eq(truncate(path, HEADER_SIZE + 100), 0);
}

static void other_capacity(void)
{
    apr_uint64_t capacity = APR_UINT64_C(1) << 62;

    make_file();
    damage(offsetof(header_t, capacity), &capacity, sizeof(capacity));
}

static void both_ledgers_torn(void)
{
    ledger_t noise;

    make_file();
    memset(&noise, 0x11, sizeof(noise));
    damage(offsetof(header_t, ledger), &noise, sizeof(noise));
    damage(offsetof(header_t, ledger) + sizeof(ledger_t), &noise, sizeof(noise));
}

static void (*const foreign[])(void) = {foreign_text, other_version, truncated, other_capacity, both_ledgers_torn};

START_TEST(what_is_no_queue_is_moved_aside)
{
    cs_queue_t *queue;

    choose_folder();
    foreign[_i]();
    queue = open_queue();
    ck_assert_int_eq(count_aside(), 1);
    ck_assert_ptr_nonnull(strstr(test_logged(), "it is now"));
    append(queue, 0);
    ck_assert_str_eq(letters(queue), "a");
    cs_queue_close(queue);
}
END_TEST

START_TEST(an_unfinished_file_is_made_anew)
{
    cs_queue_t *queue;
    char zeros[200000] = {0};

    choose_folder();
    write_file(zeros, sizeof(zeros));
    queue = open_queue();
    ck_assert_int_eq(count_aside(), 0);
    append(queue, 0);
    ck_assert_str_eq(letters(queue), "a");
    cs_queue_close(queue);
}
END_TEST

static void symbolic_link(void)
{
    ck_assert_int_eq(symlink("/etc/hostname", path), 0);
}

static void fifo(void)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void directory(void)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void no_folder(void)
{
    options.directory = "/nowhere/at/all";
}

static const struct {
    void (*make)(void);
    const char *advice;
} impossible[] = {{symbolic_link, "no regular file is in its place"},
                  {fifo, "no regular file is in its place"},
                  {directory, "cannot be opened"},
                  {no_folder, "make the folder"}};

START_TEST(what_cannot_be_opened_is_explained)
{
    cs_queue_t *queue = NULL;

    choose_folder();
    impossible[_i].make();
    ck_assert_int_ne(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    ck_assert_ptr_null(queue);
    ck_assert_msg(strstr(test_logged(), impossible[_i].advice) != NULL, "%s", test_logged());
}
END_TEST

START_TEST(another_capacity_keeps_what_waits)
{
    cs_queue_t *queue;
    cs_queue_record_t records[2];
    apr_uint64_t cursor = 0;
    static const apr_int64_t capacities[] = {4 * CAPACITY, 2 * CAPACITY, 3 * CAPACITY};

    choose_folder();
    make_file();
    for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
        options.capacity = capacities[i];
        queue = open_queue();
        ck_assert_int_eq(stats_of(queue).capacity, capacities[i]);
        cs_queue_count(queue, 5, 1);
        if (i == 0) { /* one settled out of order, which no tail has passed */
            cs_queue_read(records, 2, queue, &cursor);
            cs_queue_settle(queue, records[1].position, CS_SETTLED_DELIVERED);
        }
        ck_assert_str_eq(letters(queue), "acdefghij");
        ck_assert_uint_eq(stats_of(queue).appended, RECORDS);
        cs_queue_close(queue);
    }
    queue = open_queue();
    ck_assert_uint_eq(cs_queue_counted(queue, 5), 3);
    ck_assert_uint_eq(stats_of(queue).waiting, RECORDS - 1);
    ck_assert_int_eq(stats_of(queue).oldest, 1000);
    cs_queue_close(queue);
}
END_TEST

START_TEST(too_small_a_capacity_waits_until_it_fits)
{
    cs_queue_t *queue;
    char text[30000];

    choose_folder();
    options.capacity = 4 * CAPACITY;
    queue = open_queue();
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 5; i++)
        cs_queue_append(queue, &(cs_span_t){text, sizeof(text)}, 1, 1);
    cs_queue_close(queue);
    options.capacity = CAPACITY;
    queue = open_queue();
    ck_assert_int_eq(stats_of(queue).capacity, 4 * CAPACITY);
    ck_assert_uint_eq(stats_of(queue).waiting, 5);
    ck_assert_ptr_nonnull(strstr(test_logged(), "does not fit"));
    cs_queue_close(queue);
}
END_TEST

START_TEST(a_capacity_in_use_is_not_changed)
{
    cs_queue_t *first, *second;

    choose_folder();
    first = open_queue();
    options.capacity = 2 * CAPACITY;
    second = open_queue();
    ck_assert_int_eq(stats_of(second).capacity, CAPACITY);
    append(first, 0);
    ck_assert_str_eq(letters(second), "a");
    cs_queue_close(first);
    cs_queue_close(second);
}
END_TEST

Suite *queue_recovery_suite(void)
{
    Suite *suite = suite_create("queue_recovery");
    TCase *tests = test_case("queue_recovery");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_waits_is_there_again);
    tcase_add_test(tests, locks_of_another_life_are_new);
    tcase_add_test(tests, who_looks_only_has_not_recovered_it);
    tcase_add_loop_test(tests, torn_frames_are_skipped, 0, (int)(sizeof(torn) / sizeof(torn[0])));
    tcase_add_test(tests, an_old_header_finds_the_newer_records);
    tcase_add_test(tests, a_torn_ledger_leaves_the_other);
    tcase_add_loop_test(tests, what_is_no_queue_is_moved_aside, 0, (int)(sizeof(foreign) / sizeof(foreign[0])));
    tcase_add_test(tests, an_unfinished_file_is_made_anew);
    tcase_add_loop_test(tests, what_cannot_be_opened_is_explained, 0,
                        (int)(sizeof(impossible) / sizeof(impossible[0])));
    tcase_add_test(tests, another_capacity_keeps_what_waits);
    tcase_add_test(tests, too_small_a_capacity_waits_until_it_fits);
    tcase_add_test(tests, a_capacity_in_use_is_not_changed);
    suite_add_tcase(suite, tests);
    return suite;
}
