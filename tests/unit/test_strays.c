/* Queues that belong to no stream: which are named, what is said of them, and that nothing in the folder is trusted.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "intake/strays.h"
#include "queue/layout.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SMALL ((apr_int64_t)65536)

static const char *folder;
static cs_server_t server;

static const char *at(const char *file)
{
    return apr_pstrcat(pool, folder, "/", file, NULL);
}

/* One stream, `kept`. */
static void configure(void)
{
    const char *line;

    folder = test_folder();
    cs_settings_unset(cs_server_settings, &server);
    line = apr_psprintf(pool, "ClickstreamQueueDir %s", folder);
    ck_assert_ptr_null(test_line(cs_server_settings, &server, line));
    ck_assert_ptr_null(test_line(cs_server_settings, &server, "ClickstreamStream kept file path=/nowhere"));
}

static cs_queue_t *open_queue(const char *name)
{
    cs_queue_options_t options = {.directory = folder, .name = name, .capacity = SMALL};
    cs_queue_t *queue;

    ck_assert_int_eq(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    return queue;
}

static void append(cs_queue_t *queue, int count)
{
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(cs_queue_append(queue, &(cs_span_t){"event", 5}, 1, 1), APR_SUCCESS);
}

static void make_queue(const char *name, int count)
{
    cs_queue_t *queue = open_queue(name);

    append(queue, count);
    cs_queue_close(queue);
}

static int strays(void)
{
    return cs_strays(&server, "this test", pool)->nelts;
}

/* The only one that is named. */
static const char *stray(void)
{
    const apr_array_header_t *found = cs_strays(&server, "this test", pool);

    ck_assert_int_eq(found->nelts, 1);
    return APR_ARRAY_IDX(found, 0, const char *);
}

START_TEST(is_named)
{
    configure();
    make_queue("kept", 3);
    make_queue("empty", 0);
    ck_assert_int_eq(strays(), 0);
    make_queue("gone", 5);
    ck_assert_str_eq(
        stray(), apr_psprintf(pool,
                              "queue %s/gone.queue belongs to no ClickstreamStream of this test, and 5 events wait in "
                              "it: write the ClickstreamStream line of gone again until it is empty, or deliver them "
                              "with clickstreamctl -f FILE send gone, where FILE has that line and ClickstreamQueueDir",
                              folder));
}
END_TEST

START_TEST(counts_what_waits)
{
    apr_uint64_t waiting = 99, cursor = 0;
    cs_queue_record_t records[3];
    cs_queue_t *queue;

    configure();
    queue = open_queue("gone");
    for (int i = 1; i <= 10; i++) { /* each of the two ledgers counts in turn */
        append(queue, 1);
        ck_assert_int_eq(cs_queue_glance(&waiting, at("gone.queue")), APR_SUCCESS);
        ck_assert_uint_eq(waiting, (apr_uint64_t)i);
    }
    ck_assert_int_eq(cs_queue_read(records, 3, queue, &cursor), 3);
    for (int i = 0; i < 3; i++)
        cs_queue_settle(queue, records[i].position, i ? CS_SETTLED_DELIVERED : CS_SETTLED_REJECTED);
    ck_assert_int_eq(cs_queue_advance(queue), APR_SUCCESS);
    ck_assert_int_eq(cs_queue_glance(&waiting, at("gone.queue")), APR_SUCCESS);
    ck_assert_uint_eq(waiting, 7);
    cs_queue_close(queue);
}
END_TEST

START_TEST(there_are_no_streams_at_all)
{
    configure();
    make_queue("gone", 5);
    server.streams = NULL;
    ck_assert_msg(strstr(stray(), "5 events"), "%s", stray());
    server.queue_dir = at("nowhere");
    ck_assert_int_eq(strays(), 0);
    server.queue_dir = NULL;
    ck_assert_int_eq(strays(), 0);
}
END_TEST

START_TEST(not_more_than_can_be_read)
{
    configure();
    for (int i = 0; i <= CS_STRAYS_MOST; i++)
        make_queue(apr_psprintf(pool, "gone%d", i), 1);
    ck_assert_int_eq(strays(), CS_STRAYS_MOST);
}
END_TEST

static int writing;
static void *write_on(void *queue)
{
    while (__atomic_load_n(&writing, __ATOMIC_ACQUIRE)) {
        apr_uint64_t cursor = 0;
        cs_queue_record_t record;
        append(queue, 1);
        ck_assert_int_eq(cs_queue_read(&record, 1, queue, &cursor), 1);
        cs_queue_settle(queue, record.position, CS_SETTLED_DELIVERED);
        cs_queue_advance(queue);
    }
    return NULL;
}

/* There are always 5 or 6. */
START_TEST(is_read_while_it_changes)
{
    cs_queue_t *queue;
    pthread_t writer;

    configure();
    queue = open_queue("gone");
    append(queue, 5);
    writing = 1;
    ck_assert_int_eq(pthread_create(&writer, NULL, write_on, queue), 0);
    for (int i = 0; i < 1000; i++) {
        apr_uint64_t waiting = 99;
        ck_assert_int_eq(cs_queue_glance(&waiting, at("gone.queue")), APR_SUCCESS);
        ck_assert_msg(waiting == 5 || waiting == 6, "%d", (int)waiting);
    }
    __atomic_store_n(&writing, 0, __ATOMIC_RELEASE);
    pthread_join(writer, NULL);
    cs_queue_close(queue);
}
END_TEST

/* --- what is in the folder, and no queue --- */

static void write_at(const char *file, const char *text, off_t place)
{
    int fd = open(at(file), O_WRONLY | O_CREAT, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, text, strlen(text), place), (ssize_t)strlen(text));
    close(fd);
}

static void make_link(void)
{
    ck_assert_int_eq(rename(at("gone.queue"), at("elsewhere")), 0);
    ck_assert_int_eq(symlink(at("elsewhere"), at("gone.queue")), 0);
}

static void make_fifo(void)
{
    ck_assert_int_eq(unlink(at("gone.queue")), 0);
    ck_assert_int_eq(mkfifo(at("gone.queue"), 0600), 0);
}

static void make_folder(void)
{
    ck_assert_int_eq(unlink(at("gone.queue")), 0);
    ck_assert_int_eq(mkdir(at("gone.queue"), 0700), 0);
}

static void make_empty(void)
{
    ck_assert_int_eq(truncate(at("gone.queue"), 0), 0);
}

static void cut_header(void)
{
    ck_assert_int_eq(truncate(at("gone.queue"), 200), 0);
}

static void cut_ring(void)
{
    ck_assert_int_eq(truncate(at("gone.queue"), 65536), 0);
}

static void make_longer(void)
{
    ck_assert_int_eq(truncate(at("gone.queue"), 65536 + 2 * SMALL), 0);
}

static void change_magic(void)
{
    write_at("gone.queue", "X", 0);
}

static void change_version(void)
{
    write_at("gone.queue", "\x02", 8);
}

/* All of the header behind the magic, version and sizes: locks and ledgers. */
static void change_ledgers(void)
{
    for (off_t i = 24; i < 1024; i++)
        write_at("gone.queue", "\xff", i);
}

/* By one who knows how to make a ledger whole. */
static void forge_ledgers(void)
{
    ledger_t forged = {.sequence = 9, .head = 160, .appended = 6};
    int fd = open(at("gone.queue"), O_WRONLY);

    forged.checksum = queue_ledger_checksum(&forged);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(
            pwrite(fd, &forged, sizeof(forged), (off_t)(offsetof(header_t, ledger) + (size_t)i * sizeof(forged))),
            sizeof(forged));
    close(fd);
}

static void name_of_no_stream(void)
{
    ck_assert_int_eq(rename(at("gone.queue"), at("go\nne.queue")), 0);
}

static void name_of_something_else(void)
{
    ck_assert_int_eq(rename(at("gone.queue"), at("gone.queue.aside-20260101T000000-000000Z")), 0);
    make_queue("more", 1);
    ck_assert_int_eq(rename(at("more.queue"), at(".queue")), 0);
}

static const struct {
    const char *name;
    void (*make)(void);
} others[] = {{"a link", make_link},
              {"a FIFO", make_fifo},
              {"a folder", make_folder},
              {"empty", make_empty},
              {"cut within the header", cut_header},
              {"cut behind it", cut_ring},
              {"longer", make_longer},
              {"another file", change_magic},
              {"another version", change_version},
              {"no ledgers", change_ledgers},
              {"more than have room", forge_ledgers},
              {"no stream's name", name_of_no_stream},
              {"moved aside", name_of_something_else}};

START_TEST(is_none)
{
    configure();
    make_queue("gone", 5);
    ck_assert_int_eq(strays(), 1);
    others[_i].make();
    ck_assert_msg(strays() == 0, "%s", others[_i].name);
}
END_TEST

Suite *strays_suite(void)
{
    Suite *suite = suite_create("strays");
    TCase *tests = test_case("strays");

    tcase_add_test(tests, is_named);
    tcase_add_test(tests, counts_what_waits);
    tcase_add_test(tests, there_are_no_streams_at_all);
    tcase_add_test(tests, not_more_than_can_be_read);
    tcase_add_test(tests, is_read_while_it_changes);
    tcase_add_loop_test(tests, is_none, 0, ELEMENTS(others));
    suite_add_tcase(suite, tests);
    return suite;
}
