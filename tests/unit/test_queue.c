/* The queue in use: append, read, peek, settle, advance, wrap around, full, counters, several openers, group commit.
 * SPDX-License-Identifier: Apache-2.0 */
#include "queue/queue.h"

#include <apr_strings.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/layout.h"
#include "unit.h"

#define SMALL ((apr_int64_t)65536)

static cs_queue_t *open_queue(const char *folder, apr_int64_t capacity)
{
    cs_queue_options_t options = {.directory = folder, .name = "clicks", .capacity = capacity};
    cs_queue_t *queue = NULL;

    ck_assert_int_eq(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    return queue;
}

static apr_status_t append(cs_queue_t *queue, const char *text)
{
    cs_span_t record = {text, strlen(text)};

    return cs_queue_append(queue, &record, 1, 42);
}

static cs_queue_stats_t stats_of(cs_queue_t *queue)
{
    cs_queue_stats_t stats;

    ck_assert_int_eq(cs_queue_stats(&stats, queue), APR_SUCCESS);
    return stats;
}

static void assert_record(const cs_queue_record_t *record, const char *text)
{
    ck_assert_uint_eq(record->data.length, strlen(text));
    ck_assert_int_eq(memcmp(record->data.at, text, strlen(text)), 0);
}

START_TEST(records_come_out_in_order_until_they_are_settled)
{
    cs_queue_t *queue = open_queue(test_folder(), SMALL);
    cs_queue_record_t records[4];
    apr_uint64_t cursor = 0;

    append(queue, "one");
    append(queue, "");
    append(queue, "three");
    ck_assert_int_eq(cs_queue_read(records, 4, queue, &cursor), 3);
    assert_record(&records[0], "one");
    assert_record(&records[1], "");
    assert_record(&records[2], "three");
    ck_assert_int_eq(records[0].queued_at, 42);
    ck_assert_int_eq(cs_queue_read(records, 4, queue, &cursor), 0);

    cs_queue_settle(queue, records[1].position, CS_SETTLED_REJECTED); /* out of order */
    ck_assert_int_eq(cs_queue_advance(queue), APR_SUCCESS);
    ck_assert_uint_eq(stats_of(queue).waiting, 3); /* counted when the tail passes */
    cursor = 0;
    ck_assert_int_eq(cs_queue_read(records, 4, queue, &cursor), 2);
    assert_record(&records[1], "three");
    cs_queue_settle(queue, records[0].position, CS_SETTLED_DELIVERED);
    cs_queue_advance(queue);
    ck_assert_uint_eq(stats_of(queue).delivered, 1);
    ck_assert_uint_eq(stats_of(queue).rejected, 1);
    ck_assert_uint_eq(stats_of(queue).waiting, 1);
    ck_assert_uint_eq(stats_of(queue).waiting_bytes, 5);
    ck_assert_uint_eq(stats_of(queue).delivered_bytes, 3);
    ck_assert_int_eq(stats_of(queue).oldest, 42);
    cs_queue_close(queue);
}
END_TEST

/* Six records: what is settled before, which are said to be delivered, and what of each remains: '-' is passed by, 'd'
 * and 'r' are marked, '.' waits. */
static const struct {
    const char *before, *delivered, *after;
} deliveries[] = {
    {"......", "xxxxxx", "------"}, /* the oldest: nothing is marked */
    {"......", "xxx...", "---..."}, /* and some of them */
    {"......", "...xxx", "...ddd"}, /* not the oldest: all are marked */
    {"......", ".xx...", ".dd..."}, /* that the first waits holds them */
    {"......", "xx.xx.", "--.dd."}, /* as far as they are the oldest */
    {"...ddd", "xxx...", "------"}, /* and with them what was marked before */
    {"...d.r", "xxx.x.", "------"}, /* what is settled between them is passed by */
    {"dr....", "..x...", "---..."}, /* as is what is before them */
    {".d....", "x.....", "--...."}, {"......", "......", "......"}, {"ddrrdd", "......", "------"},
};

START_TEST(delivers)
{
    cs_queue_t *queue = open_queue(test_folder(), SMALL);
    cs_queue_record_t records[6];
    struct {
        apr_uint64_t position;
        char other[24]; /* as positions lie in a batch */
    } delivered[6];
    apr_uint64_t cursor = 0;
    int count = 0, passed = 0;

    for (int i = 0; i < 6; i++)
        append(queue, "record");
    ck_assert_int_eq(cs_queue_read(records, 6, queue, &cursor), 6);
    for (int i = 0; i < 6; i++) {
        char before = deliveries[_i].before[i];
        if (before != '.')
            cs_queue_settle(queue, records[i].position, before == 'd' ? CS_SETTLED_DELIVERED : CS_SETTLED_REJECTED);
        if (deliveries[_i].delivered[i] == 'x')
            delivered[count++].position = records[i].position;
    }
    ck_assert_int_eq(cs_queue_deliver(queue, &delivered[0].position, sizeof(delivered[0]), count), APR_SUCCESS);
    for (int i = 0; i < 6; i++) {
        static const char marks[] = ".dr";
        char after = deliveries[_i].after[i], before = deliveries[_i].before[i];
        apr_uint32_t state = frame_at(queue, records[i].position)->state;
        passed += after == '-';
        /* A page is not written to for what is passed by. */
        ck_assert_msg(marks[state] == (after == '-' ? before : after), "%s: %d is %c", deliveries[_i].before, i,
                      marks[state]);
    }
    ck_assert_uint_eq(stats_of(queue).waiting, 6 - (apr_uint64_t)passed);
    ck_assert_uint_eq(stats_of(queue).delivered + stats_of(queue).rejected, (apr_uint64_t)passed);
    ck_assert_uint_eq(stats_of(queue).delivered_bytes, 6 * stats_of(queue).delivered);
    cs_queue_close(queue);
}
END_TEST

/* More than are passed by under one lock. */
START_TEST(delivers_many)
{
    enum { MANY = 5000 };
    cs_queue_t *queue = open_queue(test_folder(), 1 << 20);
    cs_queue_record_t *records = apr_palloc(pool, MANY * sizeof(*records));
    apr_uint64_t cursor = 0;

    for (int i = 0; i < MANY; i++)
        append(queue, "record");
    ck_assert_int_eq(cs_queue_read(records, MANY, queue, &cursor), MANY);
    ck_assert_int_eq(cs_queue_deliver(queue, &records[0].position, sizeof(*records), MANY - 1), APR_SUCCESS);
    ck_assert_uint_eq(stats_of(queue).delivered, MANY - 1);
    ck_assert_int_eq(frame_at(queue, records[MANY - 2].position)->state, FRAME_WAITING);
    ck_assert_int_eq(cs_queue_deliver(queue, &records[MANY - 1].position, sizeof(*records), 1), APR_SUCCESS);
    ck_assert_int_eq(stats_of(queue).used, 0);
    cs_queue_close(queue);
}
END_TEST

START_TEST(a_full_queue_refuses_the_whole_append)
{
    cs_queue_t *queue = open_queue(test_folder(), SMALL);
    char *big = apr_pcalloc(pool, 20001);
    cs_span_t two[2];
    apr_int64_t used;

    memset(big, 'x', 20000);
    two[0] = two[1] = (cs_span_t){big, 20000};
    ck_assert_int_eq(cs_queue_append(queue, two, 2, 1), APR_SUCCESS);
    used = stats_of(queue).used;
    ck_assert_int_eq(cs_queue_append(queue, two, 2, 1), APR_ENOSPC); /* one would have fitted */
    ck_assert_int_eq(stats_of(queue).used, used);
    ck_assert_uint_eq(stats_of(queue).appended, 2);
    ck_assert_int_eq(append(queue, big), APR_SUCCESS);
    two[0].length = SMALL;
    ck_assert_int_eq(cs_queue_append(queue, two, 1, 1), APR_EINVAL); /* never */
    cs_queue_close(queue);
}
END_TEST

START_TEST(the_last_byte_can_be_used)
{
    cs_queue_t *queue = open_queue(test_folder(), SMALL);
    cs_span_t all = {apr_pcalloc(pool, SMALL), SMALL - sizeof(frame_t)};
    apr_uint64_t cursor = 0;
    cs_queue_record_t record;

    for (int lap = 0; lap < 3; lap++) {
        ck_assert_int_eq(cs_queue_append(queue, &all, 1, 1), APR_SUCCESS);
        ck_assert_int_eq(append(queue, ""), APR_ENOSPC);
        ck_assert_int_eq(cs_queue_read(&record, 1, queue, &cursor), 1);
        cs_queue_settle(queue, record.position, CS_SETTLED_DELIVERED);
        cs_queue_advance(queue);
        ck_assert_int_eq(stats_of(queue).used, 0);
    }
    cs_queue_close(queue);
}
END_TEST

/* Records of every length go round the ring many times, and are read whole wherever they lie. */
START_TEST(it_wraps_around)
{
    cs_queue_t *queue = open_queue(test_folder(), SMALL);
    apr_uint64_t cursor = 0, written = 0, seen = 0;
    char text[4000];

    while (seen < 2000) {
        cs_queue_record_t record;
        cs_span_t next = {text, 8 + written * 37 % 3900};
        memset(text, (int)('a' + written % 26), sizeof(text));
        memcpy(text, &written, sizeof(written));
        if (cs_queue_append(queue, &next, 1, 1) == APR_SUCCESS) {
            written++;
            continue;
        }
        while (cs_queue_read(&record, 1, queue, &cursor)) {
            ck_assert_uint_eq(record.data.length, 8 + seen * 37 % 3900);
            ck_assert_int_eq(memcmp(record.data.at, &seen, sizeof(seen)), 0);
            if (record.data.length > 8)
                ck_assert_int_eq(record.data.at[record.data.length - 1], (char)('a' + seen % 26));
            cs_queue_settle(queue, record.position, CS_SETTLED_DELIVERED);
            seen++;
        }
        cs_queue_advance(queue);
    }
    ck_assert_uint_eq(stats_of(queue).delivered, seen);
    ck_assert_uint_eq(stats_of(queue).waiting, written - seen);
    cs_queue_close(queue);
}
END_TEST

START_TEST(all_openers_see_the_same_queue)
{
    const char *folder = test_folder();
    cs_queue_t *first = open_queue(folder, SMALL), *second = open_queue(folder, SMALL);
    cs_queue_record_t record;
    apr_uint64_t cursor = 0;

    append(first, "shared");
    ck_assert_int_eq(cs_queue_read(&record, 1, second, &cursor), 1);
    assert_record(&record, "shared");
    cs_queue_count(first, 7, 3);
    cs_queue_count(second, 7, 4);
    ck_assert_uint_eq(cs_queue_counted(first, 7), 7);
    cs_queue_close(first);
    cs_queue_close(second);
}
END_TEST

static void *second_sender(void *queue)
{
    ck_assert(APR_STATUS_IS_TIMEUP(cs_queue_sender_lock(queue, 0)));
    ck_assert(APR_STATUS_IS_TIMEUP(cs_queue_sender_lock(queue, apr_time_from_msec(20))));
    return NULL;
}

START_TEST(there_is_one_sender)
{
    cs_queue_t *queue = open_queue(test_folder(), SMALL);
    pthread_t thread;

    ck_assert_int_eq(cs_queue_sender_lock(queue, 0), APR_SUCCESS);
    ck_assert_int_eq(pthread_create(&thread, NULL, second_sender, queue), 0);
    pthread_join(thread, NULL);
    cs_queue_sender_unlock(queue);
    ck_assert_int_eq(cs_queue_sender_lock(queue, apr_time_from_msec(20)), APR_SUCCESS);
    cs_queue_sender_unlock(queue);
    cs_queue_close(queue);
}
END_TEST

START_TEST(the_file_is_private_and_all_there)
{
    const char *folder = test_folder(), *path = apr_pstrcat(pool, folder, "/clicks.queue", NULL);
    cs_queue_t *queue = open_queue(folder, 100000);
    struct stat info;

    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    ck_assert_int_eq(info.st_size, HEADER_SIZE + 131072); /* rounded up to whole pages of any size */
    ck_assert_int_ge(info.st_blocks * 512, info.st_size); /* no holes: a full disk is found when it is made */
    cs_queue_close(queue);
}
END_TEST

/* Many processes append at once while one reads: each record comes out once, and each writer's in order. */
START_TEST(many_processes_append_at_once)
{
    enum { WRITERS = 6, EACH = 3000 };
    const char *folder = test_folder();
    cs_queue_t *queue = open_queue(folder, SMALL);
    int next[WRITERS] = {0}, total = 0;
    apr_uint64_t cursor = 0;

    for (int writer = 0; writer < WRITERS; writer++) {
        if (fork() == 0) {
            cs_queue_t *own = open_queue(folder, SMALL);
            for (int i = 0; i < EACH;) {
                int numbers[2] = {writer, i};
                cs_span_t record = {(const char *)numbers, sizeof(numbers)};
                i += cs_queue_append(own, &record, 1, 1) == APR_SUCCESS;
            }
            _exit(0);
        }
    }
    while (total < WRITERS * EACH) {
        cs_queue_record_t records[64];
        int count = cs_queue_read(records, 64, queue, &cursor);
        for (int i = 0; i < count; i++) {
            int numbers[2];
            memcpy(numbers, records[i].data.at, sizeof(numbers));
            ck_assert_int_eq(numbers[1], next[numbers[0]]);
            next[numbers[0]]++;
            cs_queue_settle(queue, records[i].position, CS_SETTLED_DELIVERED);
        }
        cs_queue_advance(queue);
        total += count;
    }
    while (wait(NULL) > 0)
        ;
    ck_assert_uint_eq(stats_of(queue).delivered, WRITERS * EACH);
    ck_assert_int_eq(stats_of(queue).used, 0);
    cs_queue_close(queue);
}
END_TEST

START_TEST(a_synced_append_is_behind_the_synced_position)
{
    cs_queue_options_t options = {.directory = test_folder(), .name = "safe", .capacity = SMALL, .synced = 1};
    cs_queue_t *queue;

    ck_assert_int_eq(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    for (int i = 0; i < 3; i++) {
        append(queue, "kept");
        ck_assert_uint_eq(queue->header->synced, ledger_of(queue)->head);
    }
    cs_queue_close(queue);
}
END_TEST

START_TEST(peeking_copies_what_waits)
{
    cs_queue_t *queue = open_queue(test_folder(), SMALL);
    cs_queue_record_t records[4], read[4];
    apr_uint64_t cursor = 0, reader = 0;

    ck_assert_int_eq(cs_queue_peek(records, 4, queue, &cursor, pool), 0);
    append(queue, "one");
    append(queue, "");
    append(queue, "three");
    append(queue, "four");
    ck_assert_int_eq(cs_queue_read(read, 4, queue, &reader), 4);
    cs_queue_settle(queue, read[2].position, CS_SETTLED_DELIVERED);
    ck_assert_int_eq(cs_queue_peek(records, 2, queue, &cursor, pool), 2);
    assert_record(&records[0], "one");
    assert_record(&records[1], "");
    ck_assert_int_eq(records[0].queued_at, 42);
    ck_assert_uint_eq(records[0].position, read[0].position);
    ck_assert_int_eq(cs_queue_peek(&records[2], 2, queue, &cursor, pool), 1);
    assert_record(&records[2], "four");
    ck_assert_int_eq(cs_queue_peek(&records[3], 1, queue, &cursor, pool), 0);

    for (int i = 0; i < 4; i++)
        cs_queue_settle(queue, read[i].position, CS_SETTLED_DELIVERED);
    cs_queue_advance(queue);
    memset(queue->ring, 0, queue->capacity);
    assert_record(&records[0], "one"); /* it was a copy */
    assert_record(&records[2], "four");
    cursor = 0;
    ck_assert_int_eq(cs_queue_peek(records, 4, queue, &cursor, pool), 0);
    cs_queue_close(queue);
}
END_TEST

/* Settled out of order, more of them than are passed by under one lock. */
START_TEST(peeking_goes_far)
{
    cs_queue_t *queue = open_queue(test_folder(), 4 * SMALL);
    cs_queue_record_t record;
    apr_uint64_t cursor = 0;

    for (int i = 0; i < 3000; i++)
        append(queue, "passed by");
    while (cs_queue_read(&record, 1, queue, &cursor))
        cs_queue_settle(queue, record.position, CS_SETTLED_DELIVERED);
    append(queue, "found");
    cursor = 0;
    ck_assert_int_eq(cs_queue_peek(&record, 1, queue, &cursor, pool), 1);
    assert_record(&record, "found");
    cs_queue_close(queue);
}
END_TEST

/* Record i of these is as long as it is old, and has a letter of its own. */
#define LONGEST 500

static cs_span_t numbered(char *text, apr_time_t i)
{
    cs_span_t record = {text, (apr_size_t)(LONGEST - i * 37 % 400)};

    memset(text, (int)('a' + i % 26), record.length);
    return record;
}

/* Keeps the queue full, so that each record that is delivered is written over at once. */
static void go_round(cs_queue_t *queue)
{
    apr_uint64_t cursor = 0;
    char text[LONGEST];

    for (apr_time_t i = 0;; i++) {
        cs_span_t record = numbered(text, i);
        while (cs_queue_append(queue, &record, 1, i) == APR_ENOSPC) {
            cs_queue_record_t oldest;
            if (cs_queue_read(&oldest, 1, queue, &cursor))
                cs_queue_settle(queue, oldest.position, CS_SETTLED_DELIVERED);
            cs_queue_advance(queue);
        }
    }
}

START_TEST(peeking_beside_a_sender_copies_whole_records)
{
    cs_queue_t *queue = open_queue(test_folder(), SMALL);
    char text[LONGEST];
    apr_uint64_t last = 0;
    int wrong = 0, seen = 0;
    pid_t pid = fork();

    if (pid == 0)
        go_round(queue);
    while (seen < 50000 || last < 3 * SMALL) {
        cs_queue_record_t records[4];
        apr_uint64_t cursor = 0;
        apr_pool_t *scratch;
        int count;
        apr_pool_create(&scratch, pool);
        count = cs_queue_peek(records, 4, queue, &cursor, scratch);
        for (int i = 0; i < count; i++) {
            cs_span_t expected = numbered(text, records[i].queued_at), data = records[i].data;
            wrong += data.length != expected.length || memcmp(data.at, expected.at, data.length) != 0;
            wrong += i && records[i].position <= records[i - 1].position;
        }
        wrong += count && records[0].position < last;
        last = count ? records[0].position : last;
        seen += count;
        apr_pool_destroy(scratch);
    }
    ck_assert_int_eq(wrong, 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cs_queue_close(queue);
}
END_TEST

START_TEST(only_an_existing_queue_is_opened)
{
    const char *folder = test_folder(), *path = apr_pstrcat(pool, folder, "/clicks.queue", NULL);
    cs_queue_options_t existing = {.directory = folder, .name = "clicks", .capacity = 2 * SMALL, .existing = 1};
    cs_queue_t *queue;
    FILE *file;

    ck_assert_int_eq(cs_queue_open(&queue, &existing, test_log), APR_ENOENT);
    existing.directory = apr_pstrcat(pool, folder, "/none", NULL);
    ck_assert_int_eq(cs_queue_open(&queue, &existing, test_log), APR_ENOENT);
    existing.directory = folder;
    ck_assert_str_eq(test_logged(), "");
    ck_assert_int_ne(access(path, F_OK), 0);

    queue = open_queue(folder, SMALL);
    append(queue, "one");
    cs_queue_close(queue);
    ck_assert_int_eq(cs_queue_open(&queue, &existing, test_log), APR_SUCCESS);
    ck_assert_int_eq(stats_of(queue).capacity, SMALL); /* as it is, whatever the options say */
    ck_assert_uint_eq(stats_of(queue).waiting, 1);
    cs_queue_close(queue);

    ck_assert_ptr_nonnull(file = fopen(path, "w"));
    ck_assert_int_eq(fclose(file), 0); /* of one who died when it had just made it */
    ck_assert_int_eq(cs_queue_open(&queue, &existing, test_log), APR_ENOENT);
    ck_assert_ptr_nonnull(file = fopen(path, "w"));
    fputs("precious", file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(cs_queue_open(&queue, &existing, test_log), APR_EGENERAL);
    ck_assert_str_eq(test_read(path), "precious");
    ck_assert_ptr_nonnull(strstr(test_logged(), "it is no queue of this version, or damaged"));
}
END_TEST

START_TEST(nobody_waits_who_has_no_time)
{
    const char *folder = test_folder(), *path = apr_pstrcat(pool, folder, "/clicks.queue", NULL);
    cs_queue_options_t at_once = {
        .directory = folder, .name = "clicks", .capacity = SMALL, .patience = CS_QUEUE_AT_ONCE};
    cs_queue_options_t works = at_once;
    cs_queue_t *queue, *other;
    int fd;

    works.patience = CS_QUEUE_WORKS;
    ck_assert_int_eq(cs_queue_open(&queue, &at_once, test_log), APR_EAGAIN); /* it would have to be made */
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(cs_queue_open(&queue, &works, test_log), APR_SUCCESS);
    ck_assert_int_eq(cs_queue_open(&other, &at_once, test_log), APR_SUCCESS);
    append(other, "one");
    ck_assert_uint_eq(stats_of(queue).waiting, 1);
    cs_queue_close(other);
    cs_queue_close(queue);
    ck_assert_int_eq(cs_queue_open(&queue, &at_once, test_log), APR_EAGAIN); /* it would have to be recovered */

    ck_assert_int_ge(fd = open(path, O_RDWR), 0);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(cs_queue_open(&queue, &at_once, test_log), APR_EAGAIN);
    ck_assert_int_eq(cs_queue_open(&queue, &works, test_log), APR_EAGAIN);
    close(fd);
    ck_assert_ptr_null(strstr(test_logged(), "cannot be opened"));
    ck_assert_int_eq(cs_queue_open(&queue, &works, test_log), APR_SUCCESS);
    ck_assert_uint_eq(stats_of(queue).waiting, 1);
    cs_queue_close(queue);
}
END_TEST

Suite *queue_suite(void)
{
    Suite *suite = suite_create("queue");
    TCase *tests = test_case("queue");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, records_come_out_in_order_until_they_are_settled);
    tcase_add_loop_test(tests, delivers, 0, (int)(sizeof(deliveries) / sizeof(deliveries[0])));
    tcase_add_test(tests, delivers_many);
    tcase_add_test(tests, a_full_queue_refuses_the_whole_append);
    tcase_add_test(tests, the_last_byte_can_be_used);
    tcase_add_test(tests, it_wraps_around);
    tcase_add_test(tests, all_openers_see_the_same_queue);
    tcase_add_test(tests, there_is_one_sender);
    tcase_add_test(tests, the_file_is_private_and_all_there);
    tcase_add_test(tests, many_processes_append_at_once);
    tcase_add_test(tests, a_synced_append_is_behind_the_synced_position);
    tcase_add_test(tests, peeking_copies_what_waits);
    tcase_add_test(tests, peeking_goes_far);
    tcase_add_test(tests, peeking_beside_a_sender_copies_whole_records);
    tcase_add_test(tests, only_an_existing_queue_is_opened);
    tcase_add_test(tests, nobody_waits_who_has_no_time);
    suite_add_tcase(suite, tests);
    return suite;
}
