/* What others do to a queue's file while it is in use: it is removed, renamed, replaced, cut, overwritten. Nobody dies
 * of it; what waits and is whole goes to the file that is in its place; an append is kept, or fails.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/layout.h"
#include "queue/queue.h"
#include "unit.h"

#define CAPACITY 262144
#define LENGTH 1000
#define RECORDS 20

static const char *folder, *path;
static cs_queue_options_t options;

static cs_queue_t *open_queue(void)
{
    cs_queue_t *queue = NULL;

    ck_assert_int_eq(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    return queue;
}

static apr_status_t append(cs_queue_t *queue, int i)
{
    char text[LENGTH];

    memset(text, 'a' + i, sizeof(text));
    return cs_queue_append(queue, &(cs_span_t){text, sizeof(text)}, 1, 1000 + i);
}

/* A queue with the letters 'a' to 't' in it. */
static cs_queue_t *begin(void)
{
    cs_queue_t *queue;

    folder = test_folder();
    path = apr_pstrcat(pool, folder, "/clicks.queue", NULL);
    options = (cs_queue_options_t){.directory = folder, .name = "clicks", .capacity = CAPACITY, .watched = 1};
    queue = open_queue();
    for (int i = 0; i < RECORDS; i++)
        ck_assert_int_eq(append(queue, i), APR_SUCCESS);
    ck_assert_int_eq(cs_queue_look(queue), CS_QUEUE_SOUND);
    return queue;
}

/* The letters that wait, each record checked to be whole; "" where the queue is seen to be broken. */
static const char *letters(cs_queue_t *queue)
{
    char *found = apr_pcalloc(pool, 2 * RECORDS + 1), *to = found;
    apr_uint64_t cursor = 0;
    cs_queue_record_t record;

    while (cs_queue_read(&record, 1, queue, &cursor)) {
        ck_assert_int_lt(to - found, 2 * RECORDS);
        int whole = record.data.length == LENGTH;
        for (int i = 0; whole && i < LENGTH; i++)
            whole = record.data.at[i] == *record.data.at;
        if (cs_queue_look(queue) == CS_QUEUE_BROKEN)
            return "";
        ck_assert_int_eq(whole, 1);
        *to++ = *record.data.at;
    }
    return cs_queue_is_broken(queue) ? "" : found;
}

#define ALL "abcdefghijklmnopqrst"

static cs_queue_t *succeed(cs_queue_t *old)
{
    cs_queue_t *queue;

    ck_assert_int_eq(cs_queue_succeed(&queue, old, &options, 0, test_log), APR_SUCCESS);
    return queue;
}

/* Whether some process, or another opening of the file in this one, keeps others from being alone with it. */
static int is_kept(void)
{
    int fd = open(path, O_RDWR), kept = flock(fd, LOCK_EX | LOCK_NB) != 0;

    close(fd);
    return kept;
}

static int logged(const char *text)
{
    return strstr(test_logged(), text) != NULL;
}

static void file_is_removed(void)
{
    ck_assert_int_eq(unlink(path), 0);
}

static void file_is_renamed(void)
{
    ck_assert_int_eq(rename(path, apr_pstrcat(pool, path, ".mine", NULL)), 0);
}

static void another_takes_its_place(void)
{
    cs_queue_options_t other = options;

    other.name = "other";
    cs_queue_t *queue;
    ck_assert_int_eq(cs_queue_open(&queue, &other, test_log), APR_SUCCESS);
    cs_queue_close(queue);
    ck_assert_int_eq(rename(apr_pstrcat(pool, folder, "/other.queue", NULL), path), 0);
}

static void rubbish_takes_its_place(void)
{
    file_is_removed();
    ck_assert_int_eq(rename(test_file("rubbish"), path), 0);
}

static void (*const replacements[])(void) = {file_is_removed, file_is_renamed, another_takes_its_place,
                                             rubbish_takes_its_place};

START_TEST(replaced)
{
    cs_queue_t *old = begin(), *queue;

    replacements[_i]();
    ck_assert_int_eq(cs_queue_look(old), CS_QUEUE_REPLACED);
    ck_assert_int_eq(append(old, RECORDS), APR_SUCCESS); /* until it is closed, it is kept */
    queue = succeed(old);
    ck_assert_ptr_ne(queue, old);
    ck_assert_str_eq(letters(queue), ALL "u");
    ck_assert_str_eq(letters(old), "");
    ck_assert_int_ne(append(old, 0), APR_SUCCESS);
    ck_assert_int_eq(append(queue, 21), APR_SUCCESS);
    ck_assert_str_eq(letters(queue), ALL "uv");
    ck_assert(logged("was removed or replaced while it was in use: 21 events that waited in it are in the one"));
    ck_assert_int_eq(cs_queue_look(queue), CS_QUEUE_SOUND);
    ck_assert_ptr_eq(succeed(queue), queue);
    cs_queue_close(old);
    cs_queue_close(queue);
}
END_TEST

/* Who does not watch is told at once that its event may be nowhere. */
START_TEST(an_append_to_a_file_that_is_gone)
{
    cs_queue_t *queue = begin();

    cs_queue_close(queue);
    options.watched = 0;
    queue = open_queue();
    ck_assert_int_eq(append(queue, 0), APR_SUCCESS);
    file_is_removed();
    ck_assert_int_eq(append(queue, 1), APR_EGENERAL);
    cs_queue_close(queue);
}
END_TEST

START_TEST(put_back)
{
    cs_queue_t *queue = begin();
    const char *aside = apr_pstrcat(pool, path, ".mine", NULL);

    file_is_renamed();
    ck_assert_int_eq(cs_queue_look(queue), CS_QUEUE_REPLACED);
    ck_assert_int_eq(rename(aside, path), 0);
    ck_assert_ptr_eq(succeed(queue), queue);
    ck_assert_int_eq(append(queue, RECORDS), APR_SUCCESS);
    ck_assert_str_eq(letters(queue), ALL "u");
    cs_queue_close(queue);
}
END_TEST

/* Where there can be no new one, nothing is taken any more, and what waits stays to be delivered. */
START_TEST(no_new_one)
{
    cs_queue_t *queue = begin(), *next;
    apr_status_t status;

    file_is_removed();
    ck_assert_int_eq(mkdir(path, 0700), 0);
    status = cs_queue_succeed(&next, queue, &options, 0, test_log);
    ck_assert_int_ne(status, APR_SUCCESS);
    ck_assert_int_ne(status, APR_TIMEUP);
    ck_assert_ptr_eq(next, queue);
    ck_assert(logged("something that is no regular file is in its place: remove it"));
    ck_assert_int_eq(append(queue, 0), APR_EGENERAL);
    ck_assert_str_eq(letters(queue), ALL);
    ck_assert_int_eq(rmdir(path), 0);
    next = succeed(queue);
    ck_assert_str_eq(letters(next), ALL);
    ck_assert_int_eq(append(next, RECORDS), APR_SUCCESS);
    cs_queue_close(queue);
    cs_queue_close(next);
}
END_TEST

/* --- a new one without room for all --- */

#define SMALL 65536

static int waiting(cs_queue_t *queue)
{
    cs_queue_stats_t stats;

    ck_assert_int_eq(cs_queue_stats(&stats, queue), APR_SUCCESS);
    return (int)stats.waiting;
}

static int fill_up(cs_queue_t *queue)
{
    int count = 0;

    while (append(queue, RECORDS) == APR_SUCCESS)
        count++;
    return count;
}

static int deliver(cs_queue_t *queue, int most)
{
    apr_uint64_t cursor = 0;
    cs_queue_record_t record;
    int count = 0;

    for (; count < most && cs_queue_read(&record, 1, queue, &cursor); count++)
        cs_queue_settle(queue, record.position, CS_SETTLED_DELIVERED);
    cs_queue_advance(queue);
    return count;
}

static void it_is_smaller(void)
{
    options.capacity = SMALL;
}

/* One that came later, as a CGI process does. */
static void another_has_appended_to_it(void)
{
    cs_queue_t *queue = open_queue();

    fill_up(queue);
    deliver(queue, 30);
    cs_queue_close(queue);
}

static void (*const narrow[])(void) = {it_is_smaller, another_has_appended_to_it};

/* As much as there is room for is moved, once; the rest stays in the old one to be delivered, and is not said to have
 * been moved; and then it goes on. Also where the new one is removed meanwhile, with what is in it. */
START_TEST(no_room_for_all)
{
    cs_queue_t *old = begin(), *queue, *none;
    int all = RECORDS + fill_up(old), others, moved;

    file_is_removed();
    narrow[_i % 2]();
    queue = open_queue();
    others = waiting(queue);
    cs_queue_close(queue);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(cs_queue_succeed(&queue, old, &options, i, test_log), APR_ENOSPC);
        ck_assert_ptr_eq(queue, old);
        ck_assert_int_eq(append(old, 0), APR_EGENERAL);
    }
    moved = all - waiting(old);
    ck_assert_int_gt(moved, 10);
    ck_assert_int_gt(waiting(old), 10);
    ck_assert(logged(apr_psprintf(
        pool, "%d events that waited in it are in the one that is there now, %d cannot be put", moved, waiting(old))));
    queue = open_queue();
    ck_assert_int_eq(waiting(queue), others + moved);
    deliver(queue, 5);
    cs_queue_close(queue);
    ck_assert_int_eq(cs_queue_succeed(&queue, old, &options, 1, test_log), APR_ENOSPC);
    moved += 5;
    ck_assert_int_eq(waiting(old), all - moved);
    if (_i / 2)
        file_is_removed();
    ck_assert_int_eq(deliver(old, all), all - moved);
    queue = succeed(old);
    ck_assert_ptr_ne(queue, old);
    ck_assert_int_eq(cs_queue_look(queue), CS_QUEUE_SOUND);
    ck_assert_int_eq(waiting(queue), others + moved - 5);
    none = succeed(old); /* another one would find nothing */
    ck_assert_int_eq(waiting(none), others + moved - 5);
    ck_assert_int_eq(append(old, 0), APR_EGENERAL);
    cs_queue_close(old);
    cs_queue_close(none);
    cs_queue_close(queue);
}
END_TEST

/* From the broken one nobody delivers: then from the new one, until there is room. */
START_TEST(no_room_for_what_is_saved)
{
    cs_queue_t *old = begin(), *queue;
    int all = RECORDS + fill_up(old), delivered = 0, tries = 0;

    ck_assert_int_gt(all, 200);
    ck_assert_int_eq(truncate(path, HEADER_SIZE + 3 * SMALL), 0);
    it_is_smaller();
    while (cs_queue_succeed(&queue, old, &options, tries > 0, test_log) == APR_ENOSPC) {
        ck_assert_ptr_ne(queue, old);
        ck_assert_int_gt(waiting(queue), 20);
        ck_assert_int_lt(++tries, 20);
        delivered += deliver(queue, 20);
    }
    delivered += waiting(queue);
    ck_assert_int_gt(tries, 2);
    ck_assert_int_eq(delivered, 3 * SMALL / (int)frame_room(LENGTH));
    ck_assert(logged("was cut or overwritten while it was in use: of the events that waited in it"));
    ck_assert_int_eq(append(queue, 0), APR_SUCCESS);
    cs_queue_close(old);
    cs_queue_close(queue);
}
END_TEST

/* --- put back a while later --- */

/* All went over to a new one, which has collected more; and now the old one is in its place again. */
START_TEST(put_back_later)
{
    cs_queue_t *old = begin(), *queue, *last, *other;
    const char *aside = apr_pstrcat(pool, path, ".mine", NULL);

    file_is_renamed();
    other = open_queue(); /* of one who has not looked yet */
    queue = succeed(old);
    ck_assert_int_eq(append(queue, RECORDS), APR_SUCCESS);
    ck_assert_int_eq(rename(aside, path), 0);
    ck_assert_int_eq(cs_queue_look(queue), CS_QUEUE_REPLACED);
    last = succeed(queue);
    ck_assert_int_eq(cs_queue_look(last), CS_QUEUE_SOUND);
    ck_assert_str_eq(letters(last), ALL "u");
    ck_assert_int_eq(append(last, RECORDS + 1), APR_SUCCESS);
    ck_assert_ptr_eq(succeed(last), last);
    ck_assert_ptr_eq(succeed(old), old); /* where somebody still has it */
    ck_assert_str_eq(letters(old), ALL "uv");
    ck_assert_int_eq(append(queue, 0), APR_EGENERAL);
    ck_assert_ptr_ne(last = succeed(other), other);
    ck_assert_str_eq(letters(last), ALL "uv");
    cs_queue_close(old);
    cs_queue_close(queue);
    cs_queue_close(other);
    cs_queue_close(last);
}
END_TEST

/* Half way from the old one to the new one, which has no room, the old one is put back. */
START_TEST(put_back_half_way)
{
    cs_queue_t *old = begin(), *queue;
    int all = RECORDS + fill_up(old);

    file_is_renamed();
    it_is_smaller();
    ck_assert_int_eq(cs_queue_succeed(&queue, old, &options, 0, test_log), APR_ENOSPC);
    ck_assert_int_lt(waiting(old), all);
    ck_assert_int_eq(rename(apr_pstrcat(pool, path, ".mine", NULL), path), 0);
    ck_assert_ptr_eq(succeed(old), old);
    ck_assert_int_eq(waiting(old), all);
    ck_assert_int_eq(cs_queue_look(old), CS_QUEUE_SOUND);
    cs_queue_close(old);
}
END_TEST

/* Not while another still moves what is in it: its lock tells. */
START_TEST(put_back_while_another_moves)
{
    cs_queue_t *old = begin(), *queue, *mover;

    mover = open_queue();
    mover->header->retired = RETIRED_CLOSED;
    ck_assert_int_eq(cs_queue_sender_lock(mover, 0), APR_SUCCESS);
    ck_assert_int_eq(cs_queue_succeed(&queue, old, &options, 0, test_log), APR_TIMEUP);
    ck_assert_int_eq(append(old, 0), APR_EGENERAL);
    cs_queue_sender_unlock(mover);
    ck_assert_ptr_eq(succeed(old), old);
    ck_assert_int_eq(append(old, RECORDS), APR_SUCCESS);
    ck_assert_str_eq(letters(old), ALL "u");
    cs_queue_close(mover);
    cs_queue_close(old);
}
END_TEST

/* --- cut and overwritten --- */

static void write_over(off_t from, off_t to)
{
    char *noise = apr_palloc(pool, (apr_size_t)(to - from));
    int fd = open(path, O_WRONLY);

    memset(noise, 0x77, (apr_size_t)(to - from));
    ck_assert_int_eq(pwrite(fd, noise, (size_t)(to - from), from), to - from);
    close(fd);
}

static void cut(off_t size)
{
    ck_assert_int_eq(truncate(path, size), 0);
}

static void cut_to_nothing(void)
{
    cut(0);
}

static void cut_in_the_header(void)
{
    cut(5000);
}

/* On pages: what is left of the page in which the file ends reads as zeros, and breaks nothing by itself. */
static void cut_in_the_ring(void)
{
    cut(HEADER_SIZE + 8192);
}

static void cut_behind_all_records(void)
{
    cut(HEADER_SIZE + 65536);
}

static void cut_and_made_long_again(void)
{
    cut(0);
    cut(HEADER_SIZE + CAPACITY);
}

static const struct {
    void (*happens)(void);
    const char *left; /* the letters that are saved */
} breakages[] = {
    {cut_to_nothing, ""},          {cut_in_the_header, ""},       {cut_in_the_ring, "abcdefg"},
    {cut_behind_all_records, ALL}, {cut_and_made_long_again, ""},
};

/* Whoever finds out first: by looking, by an append, or by reading. */
START_TEST(cut_while_in_use)
{
    cs_queue_t *old = begin(), *queue;
    int way = _i % 3, what = _i / 3;

    breakages[what].happens();
    if (way == 1)
        append(old, 0);
    else if (way == 2)
        letters(old);
    if (cs_queue_look(old) ==
        CS_QUEUE_SOUND) { /* then it is a sound file of another content: an empty one of no form */
        ck_assert_ptr_eq(breakages[what].happens, cut_and_made_long_again);
        letters(old);
        append(old, 0);
        cs_queue_close(old);
        return;
    }
    ck_assert_int_eq(cs_queue_look(old), CS_QUEUE_BROKEN);
    ck_assert_int_eq(append(old, 0), APR_EGENERAL);
    ck_assert_str_eq(letters(old), "");
    queue = succeed(old);
    /* What was appended to the broken one failed, but may be there. */
    ck_assert_msg(strcmp(letters(queue), breakages[what].left) == 0 ||
                      (way == 1 && strcmp(letters(queue), apr_pstrcat(pool, breakages[what].left, "a", NULL)) == 0),
                  "%s", letters(queue));
    ck_assert_int_eq(append(queue, 0), APR_SUCCESS);
    ck_assert_int_eq(cs_queue_look(queue), CS_QUEUE_SOUND);
    cs_queue_close(old);
    cs_queue_close(queue);
}
END_TEST

/* Over frames, over the ledgers, over the locks: what is read leads nowhere, and once nobody is in the file what is
 * whole of it is used again. */
static const struct {
    off_t from, to;
    const char *left;
} overwritten[] = {
    {HEADER_SIZE, HEADER_SIZE + 500, "bcdefghijklmnopqrst"},
    {HEADER_SIZE + 5280, HEADER_SIZE + 9000, "abcdejklmnopqrst"},
    {offsetof(header_t, ledger), offsetof(header_t, ledger) + sizeof(ledger_t) * 2, ""},
    {0, HEADER_SIZE, ""},
    {0, HEADER_SIZE + CAPACITY, ""},
};

START_TEST(overwritten_while_in_use)
{
    cs_queue_t *old = begin(), *queue;

    write_over(overwritten[_i].from, overwritten[_i].to);
    letters(old);
    ck_assert_int_ne(append(old, 0) == APR_SUCCESS && !cs_queue_is_broken(old), 1);
    ck_assert_int_eq(cs_queue_look(old), CS_QUEUE_BROKEN);
    queue = succeed(old);
    ck_assert_str_eq(letters(queue), overwritten[_i].left);
    ck_assert_int_eq(append(queue, 0), APR_SUCCESS);
    cs_queue_close(old);
    cs_queue_close(queue);
}
END_TEST

/* As where the disk copies on write and is full: of this opening of the file, and of no other, a page is gone. */
static void lose_page(cs_queue_t *queue, apr_size_t number)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int fd = open(test_file(""), O_RDWR);

    for (int lap = 0; lap < 2; lap++) {
        char *at = queue->ring + lap * CAPACITY + number * page;
        ck_assert_ptr_eq(mmap(at, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), at);
    }
    close(fd);
}

/* What could be written in part only is nothing for the others, for whom all is well. */
START_TEST(a_page_that_cannot_be_written)
{
    cs_queue_t *queue = begin(), *other = open_queue();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int more = 0;

    while ((ledger_of(queue)->head + LENGTH) / page == ledger_of(queue)->head / page)
        ck_assert_int_eq(append(queue, RECORDS + more++), APR_SUCCESS);
    lose_page(queue, (ledger_of(queue)->head + LENGTH) / page);
    ck_assert_int_eq(append(queue, RECORDS + more), APR_EGENERAL);
    ck_assert_int_eq(cs_queue_look(queue), CS_QUEUE_BROKEN);
    ck_assert_str_eq(letters(other), apr_pstrndup(pool, ALL "uvwxyz", (apr_size_t)(RECORDS + more)));
    ck_assert_int_eq(append(other, RECORDS + more), APR_SUCCESS);
    ck_assert_str_eq(letters(other), apr_pstrndup(pool, ALL "uvwxyz", (apr_size_t)(RECORDS + more + 1)));
    ck_assert_int_eq(cs_queue_look(other), CS_QUEUE_SOUND);
    cs_queue_close(other);
    cs_queue_close(queue);
}
END_TEST

/* And once it can be written again, the one that has met it goes on with the others, who never let go of the file. */
START_TEST(a_page_that_can_be_written_again)
{
    cs_queue_t *queue = begin(), *other = open_queue(), *next;

    lose_page(queue, CAPACITY / 2 / (size_t)sysconf(_SC_PAGESIZE));
    while (append(queue, 0) == APR_SUCCESS)
        ck_assert_uint_lt(ledger_of(queue)->head, CAPACITY);
    next = succeed(queue);
    ck_assert_ptr_ne(next, queue);
    ck_assert(logged("or its disk failed; what of it is whole is in use again"));
    ck_assert_int_eq(append(next, 1), APR_SUCCESS);
    ck_assert_uint_eq(ledger_of(other)->head, ledger_of(next)->head);
    ck_assert_int_eq(cs_queue_look(other), CS_QUEUE_SOUND);
    cs_queue_close(next);
    cs_queue_close(other);
    ck_assert(!is_kept());
    cs_queue_close(queue);
}
END_TEST

/* Several processes: they all come out in one sound file, and each event is there once. */
static void be_another(cs_queue_t *inherited, int ready, int go)
{
    cs_queue_t *queue, *next;
    char byte = 'x';

    cs_queue_close(inherited); /* and with it a lock on the file */
    queue = open_queue();

    if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
        _exit(9);
    for (int i = 0; i < 200; i++) {
        apr_status_t status = cs_queue_succeed(&next, queue, &options, 1, test_log);
        if (status == APR_SUCCESS && next != queue)
            _exit(append(next, RECORDS) == APR_SUCCESS ? 0 : 2);
        usleep((useconds_t)(10000 + getpid() % 97 * 100));
    }
    _exit(3);
}

#define OTHERS 6

START_TEST(many_processes)
{
    cs_queue_t *queue = begin();
    int ready[2], go[2], status;
    pid_t others[OTHERS];
    char bytes[OTHERS] = "";
    const char *found;

    ck_assert_int_eq(pipe(ready) | pipe(go), 0);
    for (int i = 0; i < OTHERS; i++) {
        if ((others[i] = fork()) == 0)
            be_another(queue, ready[1], go[0]);
    }
    for (int i = 0; i < OTHERS; i++)
        ck_assert_int_eq(read(ready[0], bytes, 1), 1);
    cs_queue_close(queue);
    if (_i == 0)
        file_is_removed();
    else if (_i == 1)
        cut_in_the_ring();
    else
        cut_to_nothing();
    ck_assert_int_eq(write(go[1], bytes, OTHERS), OTHERS);
    for (int i = 0; i < OTHERS; i++) {
        ck_assert_int_eq(waitpid(others[i], &status, 0), others[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: status %x", i, (unsigned)status);
    }
    queue = open_queue();
    found = letters(queue);
    ck_assert_uint_eq(strlen(found), (size_t)(_i == 0 ? RECORDS : _i == 1 ? 7 : 0) + OTHERS);
    cs_queue_close(queue);
}
END_TEST

/* --- a lock that is not given back in time --- */

/* Another process that has the lock, until it is told to go on. */
typedef struct holder_t {
    pid_t pid;
    int ready[2], go[2];
} holder_t;

/* Dies with the lock, or gives it back, appends as if nothing had happened, and stays. */
static void hold(const holder_t *holder, cs_queue_t *inherited, int dies)
{
    cs_queue_t *queue;
    char byte = 'x';

    cs_queue_close(inherited);
    queue = open_queue();
    if (queue_lock(queue, queue->patience) != APR_SUCCESS || write(holder->ready[1], &byte, 1) != 1 ||
        read(holder->go[0], &byte, 1) != 1 || dies)
        _exit(9);
    queue_unlock(queue);
    if (append(queue, RECORDS) != APR_SUCCESS || write(holder->ready[1], &byte, 1) != 1 ||
        read(holder->go[0], &byte, 1) != 1)
        _exit(8);
    _exit(0);
}

static holder_t begin_to_hold(cs_queue_t *queue, int dies)
{
    holder_t holder;
    char byte;

    ck_assert_int_eq(pipe(holder.ready) | pipe(holder.go), 0);
    if ((holder.pid = fork()) == 0)
        hold(&holder, queue, dies);
    ck_assert_int_eq(read(holder.ready[0], &byte, 1), 1);
    queue->patience = apr_time_from_msec(20);
    return holder;
}

static void go_on(const holder_t *holder)
{
    char byte = 'x';

    ck_assert_int_eq(write(holder->go[1], &byte, 1), 1);
    ck_assert_int_eq(read(holder->ready[0], &byte, 1), 1);
}

static void end(const holder_t *holder, int wanted)
{
    char byte = 'x';
    int status;

    ck_assert_int_eq(write(holder->go[1], &byte, 1), 1);
    ck_assert_int_eq(waitpid(holder->pid, &status, 0), holder->pid);
    ck_assert_int_eq(WEXITSTATUS(status), wanted);
}

static void check_stuck(cs_queue_t *queue, int more)
{
    cs_queue_t *next;

    ck_assert_int_ne(append(queue, RECORDS + more), APR_SUCCESS);
    ck_assert_int_eq(cs_queue_look(queue), CS_QUEUE_BROKEN);
    ck_assert_str_eq(letters(queue), "");
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(cs_queue_succeed(&next, queue, &options, 0, test_log), APR_TIMEUP);
    ck_assert_int_eq(append(queue, RECORDS + more), APR_EGENERAL);
}

static int open_files(void)
{
    glob_t found;
    int count;

    ck_assert_int_eq(glob("/proc/self/fd/*", 0, NULL, &found), 0);
    count = (int)found.gl_pathc;
    globfree(&found);
    return count;
}

/* It goes on as soon as the lock is given back, with the very queue: what others did with it meanwhile is sound. */
START_TEST(stuck)
{
    cs_queue_t *queue = begin();
    holder_t holder = begin_to_hold(queue, 0);
    int files = open_files();

    for (int again = 0; again < 2; again++)
        check_stuck(queue, again);
    ck_assert(!logged("lock of queue"));
    go_on(&holder);
    ck_assert_ptr_eq(succeed(queue), queue);
    ck_assert(logged("had the lock of queue") && logged("it has given it back, and all goes on"));
    ck_assert(!logged("overwritten"));
    ck_assert_int_eq(cs_queue_look(queue), CS_QUEUE_SOUND);
    ck_assert_int_eq(append(queue, RECORDS + 1), APR_SUCCESS);
    ck_assert_str_eq(letters(queue), ALL "uv");
    ck_assert_int_eq(open_files(), files);
    end(&holder, 0);
    ck_assert(is_kept());
    cs_queue_close(queue);
}
END_TEST

START_TEST(stuck_until_the_other_dies)
{
    cs_queue_t *queue = begin(), *next;
    holder_t holder = begin_to_hold(queue, 1);

    check_stuck(queue, 0);
    end(&holder, 9);
    next = succeed(queue);
    ck_assert_str_eq(letters(next), ALL);
    ck_assert_int_eq(append(next, RECORDS), APR_SUCCESS);
    ck_assert(is_kept());
    ck_assert(!logged("lost"));
    if (next != queue)
        cs_queue_close(next);
    cs_queue_close(queue);
}
END_TEST

/* And somebody has looked at the file since, and left it as it is: so it is recovered first, and then for all. */
START_TEST(stuck_until_all_others_are_gone)
{
    cs_queue_options_t at_once;
    cs_queue_t *queue = begin(), *next, *newcomer;
    holder_t holder = begin_to_hold(queue, 1);

    check_stuck(queue, 0);
    end(&holder, 9);
    at_once = options;
    at_once.patience = CS_QUEUE_AT_ONCE;
    ck_assert_int_eq(cs_queue_open(&newcomer, &at_once, test_log), APR_EAGAIN);
    next = succeed(queue);
    ck_assert_str_eq(letters(next), ALL);
    ck_assert_int_eq(cs_queue_open(&newcomer, &at_once, test_log), APR_SUCCESS);
    ck_assert_int_eq(append(newcomer, RECORDS), APR_SUCCESS);
    ck_assert_str_eq(letters(next), ALL "u");
    cs_queue_close(newcomer);
    cs_queue_close(next);
    cs_queue_close(queue);
}
END_TEST

/* Nothing is moved while somebody may still be about to append. */
START_TEST(stuck_and_removed)
{
    cs_queue_t *queue = begin(), *next;
    holder_t holder = begin_to_hold(queue, 0);

    check_stuck(queue, 0);
    file_is_removed();
    ck_assert_int_eq(cs_queue_succeed(&next, queue, &options, 0, test_log), APR_TIMEUP);
    go_on(&holder);
    next = succeed(queue);
    ck_assert_ptr_ne(next, queue);
    ck_assert_str_eq(letters(next), ALL "u");
    end(&holder, 0);
    cs_queue_close(queue);
    cs_queue_close(next);
}
END_TEST

/* But not for ever: then what is in it is moved, and the one that comes back late is refused. */
START_TEST(stuck_and_removed_for_long)
{
    cs_queue_t *queue = begin(), *next;
    holder_t holder = begin_to_hold(queue, 0);
    int tries = 0;

    check_stuck(queue, 0);
    file_is_removed();
    while (cs_queue_succeed(&next, queue, &options, 0, test_log) == APR_TIMEUP)
        ck_assert_int_lt(++tries, 100);
    ck_assert_int_gt(tries, 10);
    ck_assert_str_eq(letters(next), ALL);
    end(&holder, 8);
    cs_queue_close(queue);
    cs_queue_close(next);
}
END_TEST

/* The one who has it may be another thread of this process: then nobody is to recover the file under its hands. */
START_TEST(stuck_by_one_of_ours)
{
    cs_queue_t *queue = begin(), *next;

    queue->patience = apr_time_from_msec(20);
    ck_assert_int_eq(queue_lock(queue, queue->patience), APR_SUCCESS);
    check_stuck(queue, 0);
    ck_assert(is_kept());
    next = open_queue();
    ck_assert_int_eq(next->life, queue->life);
    cs_queue_close(next);
    queue_unlock(queue);
    ck_assert_ptr_eq(succeed(queue), queue);
    ck_assert_str_eq(letters(queue), ALL);
    cs_queue_close(queue);
}
END_TEST

/* A lock that looks taken, and that nobody has: somebody wrote over it. Who is alone with the file makes a new one. */
START_TEST(a_lock_that_nobody_has)
{
    cs_queue_t *queue = begin(), *next;
    pthread_mutex_t taken;

    queue->patience = apr_time_from_msec(20);
    ck_assert_int_eq(queue_lock(queue, queue->patience), APR_SUCCESS);
    memcpy(&taken, &queue->header->lock, sizeof(taken));
    queue_unlock(queue);
    memcpy(&queue->header->lock, &taken, sizeof(taken));
    ck_assert_int_ne(append(queue, 0), APR_SUCCESS);
    next = succeed(queue);
    ck_assert_ptr_ne(next, queue);
    ck_assert_str_eq(letters(next), ALL);
    ck_assert_int_eq(append(next, RECORDS), APR_SUCCESS);
    cs_queue_close(queue);
    cs_queue_close(next);
}
END_TEST

/* A SIGBUS that is none of ours ends the process, as before. */
START_TEST(a_foreign_bus_error)
{
    pid_t pid;
    int status;

    signal(SIGBUS, SIG_DFL); /* a sanitizer would take it for its own */
    cs_queue_close(begin());
    if ((pid = fork()) == 0) {
        const char *file = test_file("x");
        int fd = open(file, O_RDWR);
        volatile char *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cs_queue_t *queue = open_queue();
        at[5000] = 'x';
        cs_queue_close(queue);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}
END_TEST

Suite *queue_succeed_suite(void)
{
    Suite *suite = suite_create("queue_succeed");
    TCase *tests = test_case("queue_succeed"), *foreign = test_case("foreign");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, replaced, 0, (int)(sizeof(replacements) / sizeof(replacements[0])));
    tcase_add_test(tests, an_append_to_a_file_that_is_gone);
    tcase_add_test(tests, put_back);
    tcase_add_test(tests, no_new_one);
    tcase_add_loop_test(tests, no_room_for_all, 0, 4);
    tcase_add_test(tests, no_room_for_what_is_saved);
    tcase_add_test(tests, put_back_later);
    tcase_add_test(tests, put_back_half_way);
    tcase_add_test(tests, put_back_while_another_moves);
    tcase_add_loop_test(tests, cut_while_in_use, 0, 3 * (int)(sizeof(breakages) / sizeof(breakages[0])));
    tcase_add_loop_test(tests, overwritten_while_in_use, 0, (int)(sizeof(overwritten) / sizeof(overwritten[0])));
    tcase_add_test(tests, a_page_that_cannot_be_written);
    tcase_add_test(tests, a_page_that_can_be_written_again);
    tcase_add_loop_test(tests, many_processes, 0, 3);
    tcase_add_test(tests, stuck);
    tcase_add_test(tests, stuck_until_the_other_dies);
    tcase_add_test(tests, stuck_until_all_others_are_gone);
    tcase_add_test(tests, stuck_and_removed);
    tcase_add_test(tests, stuck_and_removed_for_long);
    tcase_add_test(tests, stuck_by_one_of_ours);
    tcase_add_test(tests, a_lock_that_nobody_has);
    suite_add_tcase(suite, tests);
    tcase_set_tags(foreign, "faults"); /* what watches a process takes its fault for a finding */
    tcase_add_test(foreign, a_foreign_bus_error);
    suite_add_tcase(suite, foreign);
    return suite;
}
