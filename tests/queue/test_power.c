/* Power is lost, at any step of a synced queue's life. Every version of each sector that was written since the last
 * sync is kept; a disk may then hold any of them in any combination, with sectors of 512 bytes that are whole. For each
 * step some of these disks are drawn, and the queue is opened on each: all that was answered as synced and not
 * delivered is there, each record is one that was appended, whole, and it works on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

#include <apr_strings.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/layout.h"

#define CAPACITY 65536
#define FILE_SIZE (HEADER_SIZE + CAPACITY)
#define SECTOR 512
#define SECTORS (FILE_SIZE / SECTOR)
#define VERSIONS 64 /* of a sector, since the last sync; of more, the middle ones are forgotten */
#define DRAWN 5     /* disks for each step */
#define OPERATIONS 350
#define RECORDS 4096
#define LONGEST 3000

typedef struct sector_t {
    char versions[VERSIONS][SECTOR]; /* the first is on the disk, the last in memory */
    int count;
} sector_t;

static sector_t *sectors;
static cs_queue_t *queue;
static cs_queue_options_t options;
static const char *folder;
static unsigned random_state;
static long losses;

/* What became of record i, whose bytes are i itself, again and again. */
static enum { UNKNOWN, APPENDING, PROMISED, SETTLED } fate[RECORDS];
static int appended;

static unsigned draw(unsigned below)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 8) % below;
}

/* --- the disk --- */

static const char *in_memory(int sector)
{
    return (const char *)queue->header + (size_t)sector * SECTOR;
}

static void see_writes(void)
{
    for (int i = 0; i < SECTORS; i++) {
        sector_t *sector = &sectors[i];
        if (memcmp(sector->versions[sector->count - 1], in_memory(i), SECTOR) == 0)
            continue;
        if (sector->count == VERSIONS)
            sector->count = 1 + (int)draw(VERSIONS - 1);
        memcpy(sector->versions[sector->count++], in_memory(i), SECTOR);
    }
}

static void on_the_disk(void)
{
    for (int i = 0; i < SECTORS; i++) {
        memcpy(sectors[i].versions[0], in_memory(i), SECTOR);
        sectors[i].count = 1;
    }
}

/* All old, all new, one of a kind, pages rather than sectors, or anything. */
static void draw_disk(char *disk)
{
    unsigned how = draw(6), lone = draw(SECTORS), odds = 1 + draw(10);
    int page_version = 0;

    for (int i = 0; i < SECTORS; i++) {
        int last = sectors[i].count - 1, version;
        if (i % 8 == 0)
            page_version = (int)draw(2);
        switch (how) {
        case 0:
            version = 0;
            break;
        case 1:
            version = last;
            break;
        case 2:
            version = (unsigned)i / 8 == lone / 8 ? 0 : last;
            break;
        case 3:
            version = (unsigned)i / 8 == lone / 8 ? last : 0;
            break;
        case 4:
            version = page_version ? last : 0;
            break;
        default:
            version = draw(odds) ? last : (int)draw((unsigned)last + 1);
        }
        memcpy(disk + (size_t)i * SECTOR, sectors[i].versions[version], SECTOR);
    }
}

/* --- the records --- */

static apr_size_t length_of(int i)
{
    return 8 + (apr_size_t)(i * 7919) % LONGEST;
}

static void write_record(char *to, int i)
{
    for (apr_size_t at = 0; at < length_of(i); at++)
        to[at] = (char)(at < 4 ? i >> 8 * at : i * 31 + (int)at);
}

/* Which one it is; it must be whole. */
static int number_of(cs_span_t data)
{
    char expected[LONGEST + 8];
    int i = 0;

    ck_assert_uint_ge(data.length, 8);
    for (int at = 3; at >= 0; at--)
        i = i << 8 | (unsigned char)data.at[at];
    ck_assert_msg(i >= 0 && i < appended && fate[i] != UNKNOWN, "record %d was never appended", i);
    write_record(expected, i);
    ck_assert_uint_eq(data.length, length_of(i));
    ck_assert_msg(memcmp(data.at, expected, data.length) == 0, "record %d is torn", i);
    return i;
}

/* --- the loss --- */

static void check_disk(const char *disk)
{
    cs_queue_options_t lost = {.directory = folder, .name = "lost", .capacity = CAPACITY, .synced = 1, .watched = 1};
    const char *path = apr_pstrcat(pool, folder, "/lost.queue", NULL);
    static char found[RECORDS];
    apr_uint64_t cursor = 0;
    cs_queue_record_t record;
    cs_queue_t *opened;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_eq(write(fd, disk, FILE_SIZE), FILE_SIZE);
    close(fd);
    ck_assert_int_eq(cs_queue_open(&opened, &lost, &steps_log), APR_SUCCESS);
    memset(found, 0, sizeof(found));
    while (cs_queue_read(&record, 1, opened, &cursor)) {
        int i = number_of(record.data);
        ck_assert_msg(!found[i], "record %d is there twice", i);
        found[i] = 1;
    }
    for (int i = 0; options.synced && i < appended; i++)
        ck_assert_msg(fate[i] != PROMISED || found[i], "record %d was promised and is lost", i);
    ck_assert(!cs_queue_is_broken(opened));
    ck_assert_int_eq(cs_queue_sender_lock(opened, 0), APR_SUCCESS);
    cs_queue_sender_unlock(opened);
    cs_queue_close(opened);
    unlink(path);
    losses++;
}

static void lose_power(void)
{
    static char disk[FILE_SIZE];
    void (*again)(void) = steps_at;

    steps_at = NULL;
    see_writes();
    for (int i = 0; i < DRAWN; i++) {
        draw_disk(disk);
        check_disk(disk);
    }
    steps_at = again;
}

/* While it syncs, anything may be on the disk; once it has, all of what was there when it began is. */
static int sync_disk(void)
{
    if (steps_at)
        lose_power();
    return 0;
}

static void disk_has_synced(void)
{
    if (steps_at)
        on_the_disk();
}

/* --- the queue's life --- */

static void append_some(void)
{
    static char text[5][LONGEST + 8];
    cs_span_t records[5];
    int count = 1 + (int)draw(5), first = appended;
    apr_status_t status;

    for (int i = 0; i < count; i++) {
        fate[appended] = APPENDING;
        write_record(text[i], appended);
        records[i] = (cs_span_t){text[i], length_of(appended++)};
    }
    status = cs_queue_append(queue, records, count, 1);
    ck_assert(status == APR_SUCCESS || status == APR_ENOSPC);
    for (int i = first; i < appended; i++) {
        if (status == APR_SUCCESS)
            fate[i] = PROMISED;
    }
}

static void deliver_some(void)
{
    cs_queue_record_t records[16];
    apr_uint64_t cursor = 0;
    int count = cs_queue_read(records, 16, queue, &cursor);

    for (int i = 0; i < count; i++) {
        if (draw(4) == 0)
            continue;                               /* it comes later */
        fate[number_of(records[i].data)] = SETTLED; /* the sink has it: it may come again, and need not */
        if (draw(2))
            cs_queue_deliver(queue, &records[i].position, sizeof(*records), 1);
        else
            cs_queue_settle(queue, records[i].position, draw(10) ? CS_SETTLED_DELIVERED : CS_SETTLED_REJECTED);
    }
    ck_assert_int_eq(cs_queue_advance(queue), APR_SUCCESS);
}

static void live(int synced, unsigned seed)
{
    random_state = seed;
    folder = steps_folder();
    options = (cs_queue_options_t){
        .directory = folder, .name = "clicks", .capacity = CAPACITY, .synced = synced, .watched = 1};
    ck_assert_int_eq(cs_queue_open(&queue, &options, &steps_log), APR_SUCCESS);
    sectors = calloc(SECTORS, sizeof(*sectors));
    on_the_disk();
    steps_sync = sync_disk;
    steps_synced = disk_has_synced;
    steps_at = lose_power;
    for (int i = 0; i < OPERATIONS && appended < RECORDS - 5; i++) {
        if (draw(5) < 3)
            append_some();
        else
            deliver_some();
    }
    steps_at = NULL;
    steps_sync = NULL;
    steps_synced = NULL;
    free(sectors);
    cs_queue_close(queue);
    printf("power was lost %ld times in the life of a queue with ack=%s: %d records\n", losses,
           synced ? "synced" : "queued", appended);
    ck_assert_int_gt(losses, 10000);
}

START_TEST(a_synced_queue)
{
    live(1, (unsigned)_i + 1);
}
END_TEST

/* It promises nothing of this, but never gives back what nobody gave it. */
START_TEST(a_queued_queue)
{
    live(0, (unsigned)_i + 1);
}
END_TEST

/* The model can fail: without a sync, what was promised is lost. */
static int no_sync(void)
{
    return 0;
}

START_TEST(a_disk_that_lies)
{
    int missing = 0;

    random_state = 7;
    folder = steps_folder();
    options =
        (cs_queue_options_t){.directory = folder, .name = "clicks", .capacity = CAPACITY, .synced = 1, .watched = 1};
    ck_assert_int_eq(cs_queue_open(&queue, &options, &steps_log), APR_SUCCESS);
    sectors = calloc(SECTORS, sizeof(*sectors));
    on_the_disk();
    steps_sync = no_sync; /* and nothing is put on the disk */
    append_some();
    see_writes();
    for (int i = 0; i < SECTORS; i++)
        missing += sectors[i].count > 1;
    ck_assert_int_gt(missing, 1); /* the old version of these is still what the disk has */
    steps_sync = NULL;
    free(sectors);
    cs_queue_close(queue);
}
END_TEST

/* A queue of another size takes the old one's place for good before anything is appended to it. */
START_TEST(a_new_size_lasts)
{
    folder = steps_folder();
    options =
        (cs_queue_options_t){.directory = folder, .name = "clicks", .capacity = CAPACITY, .synced = 1, .watched = 1};
    ck_assert_int_eq(cs_queue_open(&queue, &options, &steps_log), APR_SUCCESS);
    append_some();
    cs_queue_close(queue);
    steps_calls[0] = '\0';
    options.capacity = 2 * CAPACITY;
    ck_assert_int_eq(cs_queue_open(&queue, &options, &steps_log), APR_SUCCESS);
    ck_assert_msg(strstr(steps_calls, "fdatasync rename fsync") != NULL, "%s", steps_calls);
    cs_queue_close(queue);
}
END_TEST

/* A new file's name is on the disk as well before anything is promised. */
START_TEST(a_new_file_lasts)
{
    steps_calls[0] = '\0';
    folder = steps_folder();
    options = (cs_queue_options_t){.directory = folder, .name = "clicks", .capacity = CAPACITY};
    ck_assert_int_eq(cs_queue_open(&queue, &options, &steps_log), APR_SUCCESS);
    ck_assert_str_eq(steps_calls, "fdatasync fdatasync fsync ");
    cs_queue_close(queue);
}
END_TEST

Suite *power_suite(void)
{
    Suite *suite = suite_create("power");
    TCase *tests = steps_case("power");

    tcase_add_loop_test(tests, a_synced_queue, 0, 3);
    tcase_add_test(tests, a_queued_queue);
    tcase_add_test(tests, a_disk_that_lies);
    tcase_add_test(tests, a_new_size_lasts);
    tcase_add_test(tests, a_new_file_lasts);
    suite_add_tcase(suite, tests);
    return suite;
}
