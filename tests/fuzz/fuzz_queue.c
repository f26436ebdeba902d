/* A hostile queue file. The first byte says what the rest is: the file itself; or changes to a good one, each an offset
 * (3 bytes), a length (1 byte) and so many bytes; whether the checksums are then made right again, as only somebody
 * with ill will would do it; and whether all that happens before it is opened, or while it is in use. Whatever is in
 * the file: it is opened, or moved aside and a new one is; what is read is within the file; it takes an event, gives it
 * back, and is empty in the end. SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <apr_strings.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/layout.h"
#include "queue/queue.h"

#define CAPACITY 65536
#define FILE_SIZE (HEADER_SIZE + CAPACITY)
#define RECORDS 12
#define MOST 64

static const cs_queue_options_t *options(void)
{
    static cs_queue_options_t made = {.name = "fuzz", .capacity = CAPACITY};

    made.directory = fuzz_folder();
    return &made;
}

static cs_queue_t *open_queue(void)
{
    cs_queue_t *queue = NULL;

    FUZZ_CHECK(cs_queue_open(&queue, options(), &fuzz_log) == APR_SUCCESS);
    return queue;
}

static const char *path_of_queue(void)
{
    return apr_psprintf(fuzz_pool(), "%s/fuzz.queue", fuzz_folder());
}

/* Some records of several sizes, the first of them delivered and one in the middle rejected. */
static const char *good_file(void)
{
    static char *good;
    static char text[3000];

    if (!good) {
        cs_queue_t *queue = open_queue();
        cs_queue_record_t records[RECORDS];
        apr_uint64_t cursor = 0;
        FILE *file;
        memset(text, 'x', sizeof(text));
        for (int i = 0; i < RECORDS; i++)
            cs_queue_append(queue, &(cs_span_t){text, (apr_size_t)(1 + i * 250)}, 1, i + 1);
        FUZZ_CHECK(cs_queue_read(records, RECORDS, queue, &cursor) == RECORDS);
        cs_queue_settle(queue, records[0].position, CS_SETTLED_DELIVERED);
        cs_queue_settle(queue, records[5].position, CS_SETTLED_REJECTED);
        cs_queue_advance(queue);
        cs_queue_close(queue);
        good = malloc(FILE_SIZE);
        file = fopen(path_of_queue(), "rb");
        FUZZ_CHECK(file && fread(good, 1, FILE_SIZE, file) == FILE_SIZE);
        fclose(file);
    }
    return good;
}

static void change(char *file, const uint8_t *data, size_t size)
{
    while (size > 4) {
        size_t offset = ((size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) % FILE_SIZE, length = data[3];
        data += 4;
        size -= 4;
        if (length > size)
            length = size;
        if (length > FILE_SIZE - offset)
            length = FILE_SIZE - offset;
        memcpy(file + offset, data, length);
        data += length;
        size -= length;
    }
}

static void forge(char *file)
{
    header_t *header = (header_t *)(void *)file;
    char *twice = malloc(2 * CAPACITY); /* as it is mapped */

    for (int i = 0; i < 2; i++)
        header->ledger[i].checksum = queue_ledger_checksum(&header->ledger[i]);
    memcpy(twice, file + HEADER_SIZE, CAPACITY);
    memcpy(twice + CAPACITY, file + HEADER_SIZE, CAPACITY);
    for (size_t at = 0; at < CAPACITY; at += FRAME_ALIGN) {
        frame_t *frame = (frame_t *)(void *)(twice + at);
        if (frame->position % CAPACITY == at && frame->size <= CAPACITY - sizeof(*frame)) {
            frame->checksum = queue_frame_checksum(frame, frame->size);
            memcpy(file + HEADER_SIZE + at, frame, sizeof(*frame));
        }
    }
    free(twice);
}

static void remove_aside(void)
{
    char command[APR_PATH_MAX + 64];

    snprintf(command, sizeof(command), "rm -f '%s'/fuzz.queue.aside-*", fuzz_folder());
    FUZZ_CHECK(system(command) == 0);
}

/* Over the file that is there; but not over its locks, for which we would wait. Then it may be cut. */
static void write_over(const char *bytes, size_t length)
{
    int fd = open(path_of_queue(), O_WRONLY | O_CLOEXEC);
    size_t first = offsetof(header_t, lock), last = offsetof(header_t, turn);

    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(pwrite(fd, bytes, length < first ? length : first, 0) >= 0);
    if (length > last)
        FUZZ_CHECK(pwrite(fd, bytes + last, length - last, (off_t)last) == (ssize_t)(length - last));
    if (length < FILE_SIZE)
        FUZZ_CHECK(ftruncate(fd, (off_t)length) == 0);
    close(fd);
}

static void check_stats(cs_queue_t *queue)
{
    cs_queue_stats_t stats;

    if (cs_queue_stats(&stats, queue) != APR_SUCCESS) {
        FUZZ_CHECK(cs_queue_is_broken(queue));
        return;
    }
    FUZZ_CHECK(stats.used >= 0 && stats.used <= stats.capacity);
}

static void use(cs_queue_t *queue)
{
    cs_queue_record_t records[MOST];
    apr_uint64_t cursor = 0;
    volatile char sum = 0;
    int count;

    check_stats(queue);
    while ((count = cs_queue_peek(records, MOST, queue, &cursor, fuzz_pool()))) {
        for (int i = 0; i < count; i++)
            FUZZ_CHECK(records[i].data.length <= CAPACITY);
    }
    cs_queue_append(queue, &(cs_span_t){"new", 3}, 1, 1); /* there may be no room */
    FUZZ_CHECK(cs_queue_sender_lock(queue, 0) == APR_SUCCESS || cs_queue_is_broken(queue));
    cursor = 0;
    while ((count = cs_queue_read(records, MOST, queue, &cursor))) {
        for (int i = 0; i < count; i++) {
            for (apr_size_t at = 0; at < records[i].data.length; at++)
                sum = (char)(sum + records[i].data.at[at]);
            cs_queue_settle(queue, records[i].position, CS_SETTLED_DELIVERED);
        }
    }
    FUZZ_CHECK(cs_queue_advance(queue) == APR_SUCCESS || cs_queue_is_broken(queue));
    cs_queue_sender_unlock(queue);
    check_stats(queue);
}

/* Empty and sound, whatever it was. */
static void check_works(cs_queue_t *queue)
{
    cs_queue_record_t record;
    apr_uint64_t cursor = 0;
    cs_queue_stats_t stats;

    FUZZ_CHECK(cs_queue_stats(&stats, queue) == APR_SUCCESS && stats.used == 0);
    FUZZ_CHECK(cs_queue_append(queue, &(cs_span_t){"after", 5}, 1, 1) == APR_SUCCESS);
    FUZZ_CHECK(cs_queue_read(&record, 1, queue, &cursor) == 1);
    FUZZ_CHECK(record.data.length == 5 && memcmp(record.data.at, "after", 5) == 0);
}

/* How many it says, have room in it. */
static void check_glance(void)
{
    apr_uint64_t waiting;

    FUZZ_CHECK(cs_queue_glance(&waiting, path_of_queue()) != APR_SUCCESS || waiting <= CAPACITY / FRAME_ALIGN);
}

FUZZ_TARGET(queue)
{
    static unsigned runs;
    uint8_t choice = fuzz_byte(&data, &size);
    char *file = malloc(FILE_SIZE);
    size_t length = FILE_SIZE;
    cs_queue_t *queue;

    fuzz_pool();
    memcpy(file, good_file(), FILE_SIZE);
    if (choice & 1)
        memcpy(file, data, length = size < FILE_SIZE ? size : FILE_SIZE);
    else
        change(file, data, size);
    if (choice & 2)
        forge(file);
    if (choice & 4) {
        fuzz_file("fuzz.queue", good_file(), FILE_SIZE);
        queue = open_queue();
        write_over(file, choice & 8 ? length / 2 : length);
        use(queue);
        cs_queue_look(queue);
        use(queue);
        cs_queue_close(queue);
    }
    else
        fuzz_file("fuzz.queue", file, length);
    free(file);
    for (int again = 0; again < 2; again++) {
        check_glance();
        queue = open_queue();
        FUZZ_CHECK(!cs_queue_is_broken(queue));
        use(queue);
        FUZZ_CHECK(!again || !cs_queue_is_broken(queue));
        if (again)
            check_works(queue);
        cs_queue_close(queue);
    }
    if (++runs % 64 == 0)
        remove_aside();
    return 0;
}
