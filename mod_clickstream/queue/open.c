/* Opening a queue file: who makes it, who recovers it, who just uses it.
 *
 * Everybody who uses the file holds a shared flock() on it; whoever gets the exclusive one is alone, and
 * makes or recovers it. Turning one into the other is not atomic: in the gap another process may do the
 * same once more, which is harmless, or put another file in its place, which is looked for afterwards. Whoever
 * is alone, and dies or leaves the file as it is, leaves a mark in it: nobody takes it for recovered then.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/disk.h"
#include "queue/layout.h"

/* More than there is time for; what callers see is APR_EAGAIN. */
#define BUSY APR_TIMEUP
/* A file that keeps vanishing or changing while it is opened is not worth more attempts than this. */
#define OPEN_ATTEMPTS 100
#define AGAIN_PAUSE apr_time_from_msec(1)
#define ZEROS (1 << 20)
/* Who has the lock copies some bytes. If that takes so long, its disk does not answer, or it is stopped, or somebody
 * wrote over the lock. */
#define LOCK_PATIENCE apr_time_from_sec(10)

typedef struct opening_t {
    const cs_queue_options_t *options;
    const cs_log_t *log;
    char path[APR_PATH_MAX];
    apr_size_t capacity;
} opening_t;

static apr_status_t lock_file(int fd, int how)
{
    while (flock(fd, how) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return APR_SUCCESS;
}

/* A file that the group cannot have is a queue all the same. */
static void share(int fd, const opening_t *opening, const char *path)
{
    apr_status_t status = cs_disk_share(fd, opening->options->group);

    if (status != APR_SUCCESS)
        cs_log(opening->log, CS_LOG_WARNING, status,
               "stream %s: queue %s cannot be given to ClickstreamQueueGroup %s: make the file's owner a member of it",
               opening->options->name, path, opening->options->group->name);
}

static apr_status_t open_file(int *fd, const opening_t *opening, const char *path, int more)
{
    struct stat info;

    /* O_NONBLOCK: a FIFO in its place must not hold us up. */
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | more, 0600);
    if (*fd < 0)
        return errno;
    if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode)) {
        share(*fd, opening, path);
        return APR_SUCCESS;
    }
    close(*fd);
    return EINVAL;
}

/* --- mapping --- */

/* What is mapped is guarded from the first byte on: a disk that fails must not take a process with it, and whoever is
 * done looks whether it has become broken. `queue` stays where it is until unmap_file(). */
static apr_status_t map_file(cs_queue_t *queue, int fd, apr_size_t capacity)
{
    apr_size_t first = HEADER_SIZE + capacity;
    char *base = mmap(NULL, first + capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return errno;
    if (mmap(base, first, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
        mmap(base + first, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, HEADER_SIZE) == MAP_FAILED) {
        apr_status_t status = errno;
        munmap(base, first + capacity);
        return status;
    }
    queue->fd = fd;
    queue->capacity = capacity;
    queue->header = (header_t *)(void *)base;
    queue->ring = base + HEADER_SIZE;
    queue->condition = CONDITION_SOUND;
    queue->lost = NULL;
    queue_guard(queue);
    return APR_SUCCESS;
}

/* Where the page with the locks was lost, the C library may still have one of them in this thread's list of robust
 * mutexes, and would write to it with the next one that is locked: so something stays there, but nothing of the file,
 * or its flock() would stay as well. */
static void unmap_file(cs_queue_t *queue)
{
    int lost = memcmp(queue->header->magic, QUEUE_MAGIC, sizeof(queue->header->magic)) != 0 && is_broken(queue);

    queue_unguard(queue);
    if (lost && mmap(queue->header, HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                     0) != MAP_FAILED)
        munmap(queue->ring, 2 * queue->capacity);
    else
        munmap(queue->header, HEADER_SIZE + 2 * queue->capacity);
}

/* --- what is in the file --- */

/* FILE_UNREADY: a queue, but who was alone with it has not recovered it. */
typedef enum { FILE_EMPTY, FILE_QUEUE, FILE_UNREADY, FILE_FOREIGN } content_t;

static content_t content_of(const header_t *header, off_t size)
{
    static const char nothing[sizeof(header_t)];

    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): of a file */
    if (memcmp(header, nothing, sizeof(*header)) == 0)
        return FILE_EMPTY; /* new, or whoever made it died before it was done */
    if (!is_header(header, size))
        return FILE_FOREIGN;
    return header->recovering ? FILE_UNREADY : FILE_QUEUE;
}

/* What cannot be read is not foreign: it stays where it is. */
static apr_status_t look_at(content_t *content, apr_size_t *capacity, int fd)
{
    header_t *header = calloc(1, sizeof(*header));
    apr_status_t status = APR_SUCCESS;
    struct stat info;

    if (!header)
        return APR_ENOMEM;
    if (fstat(fd, &info) != 0 || pread(fd, header, sizeof(*header), 0) < 0)
        status = errno;
    else {
        *capacity = (apr_size_t)header->capacity;
        *content = content_of(header, info.st_size);
    }
    free(header);
    return status;
}

/* Writes the whole file, so that a full disk is found now and not as a SIGBUS later. */
static apr_status_t fill(int fd, apr_size_t size)
{
    static char zeros[ZEROS]; /* not const, which would put them into the program's file */

    if (ftruncate(fd, 0) != 0)
        return errno;
    for (apr_size_t done = 0; done < size;) {
        size_t more = size - done < ZEROS ? size - done : ZEROS;
        ssize_t written = pwrite(fd, zeros, more, (off_t)done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : ENOSPC;
        done += (apr_size_t)written;
    }
    return fdatasync(fd) == 0 ? APR_SUCCESS : errno;
}

static apr_status_t make(const opening_t *opening, int fd, const char *path)
{
    cs_queue_t queue = {.watched = 1};
    ledger_t empty = {.sequence = 0};
    apr_status_t status = fill(fd, HEADER_SIZE + opening->capacity);

    if (status != APR_SUCCESS) {
        unlink(path); /* gives the room back */
        return status;
    }
    if ((status = map_file(&queue, fd, opening->capacity)) != APR_SUCCESS)
        return status;
    queue_step();
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): errno is not 0 where map_file() fails */
    queue.header->version = QUEUE_VERSION;
    queue.header->mutex_size = sizeof(pthread_mutex_t);
    queue.header->capacity = opening->capacity;
    queue.header->lives = (apr_uint32_t)apr_time_now(); /* not what it was in the file that was here before */
    queue_publish(&queue, &empty);
    status = queue_init_mutexes(queue.header);
    queue_step();
    memcpy(queue.header->magic, QUEUE_MAGIC, sizeof(queue.header->magic));
    if (status == APR_SUCCESS && fdatasync(fd) != 0)
        status = errno;
    else if (status == APR_SUCCESS && is_broken(&queue))
        status = EIO;
    unmap_file(&queue);
    return status == APR_SUCCESS ? cs_disk_sync_directory(opening->options->directory) : status;
}

static apr_status_t move_aside(const opening_t *opening)
{
    char aside[APR_PATH_MAX + 40];
    apr_time_exp_t now;

    apr_time_exp_gmt(&now, apr_time_now());
    apr_snprintf(aside, sizeof(aside), "%s.aside-%04d%02d%02dT%02d%02d%02d-%06dZ", opening->path, now.tm_year + 1900,
                 now.tm_mon + 1, now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec, now.tm_usec);
    if (rename(opening->path, aside) != 0) {
        apr_status_t status = errno;
        cs_log(opening->log, CS_LOG_ERROR, status,
               "stream %s: %s is no queue of this version, and cannot be moved aside: move it", opening->options->name,
               opening->path);
        return status;
    }
    cs_log(opening->log, CS_LOG_ERROR, APR_SUCCESS,
           "stream %s: %s is no queue of this version, or damaged: it is now %s, and a new one is made",
           opening->options->name, opening->path, aside);
    return AGAIN;
}

/* --- another capacity --- */

static apr_status_t copy_waiting(cs_queue_t *to, cs_queue_t *from)
{
    apr_uint64_t cursor = 0, copied = 0, copied_bytes = 0;
    cs_queue_record_t record;
    ledger_t ledger;

    while (cs_queue_read(&record, 1, from, &cursor)) {
        apr_status_t status = cs_queue_append(to, &record.data, 1, record.queued_at);
        if (status != APR_SUCCESS)
            return status;
        copied++;
        copied_bytes += record.data.length;
    }
    ledger = *ledger_of(from); /* what was settled out of order, and stays behind, was delivered */
    ledger.delivered = ledger.appended - ledger.rejected - ledger.lost - copied;
    ledger.delivered_bytes = ledger.appended_bytes - ledger.rejected_bytes - ledger.lost_bytes - copied_bytes;
    ledger.head = ledger_of(to)->head;
    ledger.tail = ledger_of(to)->tail;
    ledger.sequence = ledger_of(to)->sequence; /* or a recovery would take the one before for the newer */
    queue_publish(to, &ledger);
    to->header->owner_deaths = from->header->owner_deaths;
    memcpy(to->header->counters, from->header->counters, sizeof(to->header->counters));
    memcpy(cs_queue_board(to), cs_queue_board(from), CS_QUEUE_BOARD);
    return is_broken(from) || is_broken(to) ? EIO : APR_SUCCESS; /* then it may be a part of it, or zeros */
}

/* Puts a file of the wanted capacity in this one's place, with all that waits in it. */
static apr_status_t resize(const opening_t *opening, cs_queue_t *old)
{
    char path[APR_PATH_MAX + 4];
    cs_queue_t wider = {.fd = -1, .watched = 1}; /* nobody else knows of it */
    apr_status_t status;
    int fd;

    cs_queue_advance(old); /* what is settled takes no room */
    if (is_broken(old))
        return EIO;
    if (ledger_of(old)->head - ledger_of(old)->tail > opening->capacity) {
        cs_log(opening->log, CS_LOG_WARNING, APR_SUCCESS,
               "stream %s: queue %s keeps its %" APR_SIZE_T_FMT
               " bytes: what waits in it does not fit into %" APR_SIZE_T_FMT "; restart when it is empty",
               opening->options->name, opening->path, old->capacity, opening->capacity);
        return APR_SUCCESS;
    }
    snprintf(path, sizeof(path), "%s.new", opening->path);
    unlink(path); /* of one who died here */
    if ((status = open_file(&fd, opening, path, O_CREAT | O_EXCL)) != APR_SUCCESS)
        return status;
    if ((status = make(opening, fd, path)) == APR_SUCCESS &&
        (status = map_file(&wider, fd, opening->capacity)) == APR_SUCCESS) {
        status = copy_waiting(&wider, old);
        unmap_file(&wider);
    }
    queue_step();
    if (status == APR_SUCCESS && (fdatasync(fd) != 0 || rename(path, opening->path) != 0))
        status = errno;
    close(fd);
    queue_step();
    if (status == APR_SUCCESS) /* or the old file might be back after a loss of power, without what comes now */
        status = cs_disk_sync_directory(opening->options->directory);
    if (status != APR_SUCCESS) {
        unlink(path);
        if (is_broken(old))
            return EIO;
        cs_log(opening->log, CS_LOG_WARNING, status,
               "stream %s: queue %s keeps its %" APR_SIZE_T_FMT " bytes: free room on that disk, then restart",
               opening->options->name, opening->path, old->capacity);
        return APR_SUCCESS;
    }
    cs_log(opening->log, CS_LOG_NOTICE, APR_SUCCESS,
           "stream %s: queue %s has %" APR_SIZE_T_FMT " bytes now, it had %" APR_SIZE_T_FMT, opening->options->name,
           opening->path, opening->capacity, old->capacity);
    return AGAIN;
}

/* --- opening --- */

/* We hold the exclusive lock. */
static apr_status_t prepare(const opening_t *opening, int fd)
{
    int existing = opening->options->existing, at_once = opening->options->patience == CS_QUEUE_AT_ONCE;
    apr_size_t capacity;
    content_t content = FILE_FOREIGN;
    cs_queue_t queue = {.watched = 1};
    apr_status_t status = look_at(&content, &capacity, fd);

    if (status != APR_SUCCESS)
        return status;
    if (at_once && (content == FILE_EMPTY || content == FILE_FOREIGN))
        return BUSY; /* nobody has it open: so there is something to do */
    switch (content) {
    case FILE_EMPTY:
        return existing ? APR_ENOENT : make(opening, fd, opening->path);
    case FILE_FOREIGN:
        return existing ? APR_EGENERAL : move_aside(opening);
    case FILE_QUEUE:
    case FILE_UNREADY:
        break;
    }
    if ((status = map_file(&queue, fd, capacity)) != APR_SUCCESS)
        return status;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): as in make() */
    if (!queue.header->recovering) /* one that is moved aside changes no more than it has to */
        queue.header->recovering = 1;
    status = at_once ? BUSY : queue_recover(&queue, opening->options->name, opening->log);
    if (status == APR_EGENERAL && !existing)
        status = move_aside(opening);
    else if (status == APR_SUCCESS && !existing && capacity != opening->capacity)
        status = resize(opening, &queue);
    if (status == APR_SUCCESS && is_broken(&queue))
        status = EIO;
    unmap_file(&queue);
    return status;
}

/* Others use it, or one makes or recovers it. Who does not wait for that stays out of the way of whoever does it: many
 * who look again and again would never leave it to one alone. */
static apr_status_t look_from_outside(const opening_t *opening, int fd)
{
    content_t content = FILE_QUEUE;
    apr_size_t capacity;
    apr_status_t status = opening->options->patience == CS_QUEUE_WAITS ? APR_SUCCESS : look_at(&content, &capacity, fd);

    return status == APR_SUCCESS && content != FILE_QUEUE ? BUSY : status;
}

/* One look at the path. AGAIN: what was there is there no more. */
static apr_status_t attempt(cs_queue_t *queue, const opening_t *opening)
{
    apr_size_t capacity;
    content_t content = FILE_FOREIGN;
    int fd;
    cs_queue_patience_t patience = opening->options->patience;
    int makes = !opening->options->existing && patience != CS_QUEUE_AT_ONCE;
    apr_status_t status = open_file(&fd, opening, opening->path, makes ? O_CREAT : 0);

    if (status == ENOENT && patience == CS_QUEUE_AT_ONCE && !opening->options->existing)
        return BUSY;
    if (status != APR_SUCCESS)
        return status;
    status = lock_file(fd, LOCK_EX | LOCK_NB);
    if (status == APR_SUCCESS)
        status = cs_disk_still_at(opening->path, fd) ? prepare(opening, fd) : AGAIN;
    else if (status == EWOULDBLOCK)
        status = look_from_outside(opening, fd);
    if (status == APR_SUCCESS) {
        status = lock_file(fd, patience == CS_QUEUE_WAITS ? LOCK_SH : LOCK_SH | LOCK_NB);
        if (status == EWOULDBLOCK)
            status = BUSY;
    }
    if (status == APR_SUCCESS)
        status = cs_disk_still_at(opening->path, fd) ? look_at(&content, &capacity, fd) : AGAIN;
    if (status == APR_SUCCESS)
        status = content == FILE_QUEUE ? map_file(queue, fd, capacity) : AGAIN;
    if (status != APR_SUCCESS)
        close(fd);
    return status;
}

static void explain(const opening_t *opening, apr_status_t status)
{
    const char *advice = "look at the folder and its file system";

    if (status == ENOSPC)
        advice = "free room on that disk, or write a smaller queue= for this stream";
    else if (status == EDQUOT || status == EFBIG)
        advice = cs_disk_advice(status);
    else if (status == EACCES || status == EPERM || status == EROFS)
        advice = "let httpd's user read and write it, and its folder";
    else if (status == ELOOP || status == EINVAL || status == EISDIR || status == ENXIO)
        advice = "something that is no regular file is in its place: remove it";
    else if (status == EIO)
        advice =
            "a part of it cannot be read or written: see the kernel's log, and mend the disk, or put a copy of what "
            "can be read in its place; it is left as it is, for the events in it, and tried again";
    else if (status == ENOENT)
        advice = "make the folder";
    else if (status == AGAIN)
        advice = "another process still uses the file that was in its place; it is tried again";
    else if (status == APR_EGENERAL)
        advice = "it is no queue of this version, or damaged: whoever appends to it next moves it aside";
    cs_log(opening->log, CS_LOG_ERROR, status, "stream %s: queue %s of %" APR_SIZE_T_FMT " bytes cannot be opened: %s",
           opening->options->name, opening->path, opening->capacity, advice);
}

static apr_size_t whole_pages(apr_int64_t capacity)
{
    return ((apr_size_t)capacity + HEADER_SIZE - 1) / HEADER_SIZE * HEADER_SIZE;
}

apr_int64_t cs_queue_file_size(apr_int64_t capacity)
{
    return HEADER_SIZE + (apr_int64_t)whole_pages(capacity);
}

apr_status_t cs_queue_open(cs_queue_t **queue, const cs_queue_options_t *options, const cs_log_t *log)
{
    opening_t opening = {.options = options, .log = log};
    cs_queue_t *opened = calloc(1, sizeof(*opened));
    apr_status_t status = AGAIN;

    if (!opened)
        return APR_ENOMEM;
    opening.capacity = whole_pages(options->capacity);
    snprintf(opening.path, sizeof(opening.path), "%s/%s.queue", options->directory, options->name);
    for (int i = 0; status == AGAIN && i < (options->patience == CS_QUEUE_AT_ONCE ? 1 : OPEN_ATTEMPTS); i++) {
        if (i)
            apr_sleep(AGAIN_PAUSE);
        status = attempt(opened, &opening);
    }
    if (status == BUSY || (status == AGAIN && options->patience == CS_QUEUE_AT_ONCE)) {
        free(opened);
        return APR_EAGAIN;
    }
    if (status != APR_SUCCESS) {
        if (!options->existing || status != APR_ENOENT)
            explain(&opening, status);
        free(opened);
        return status;
    }
    opened->synced = options->synced;
    opened->watched = options->watched;
    opened->patience = LOCK_PATIENCE;
    opened->life = opened->header->lives; /* NOLINT(clang-analyzer-core.NullDereference): as in make() */
    opened->path = strdup(opening.path);
    status = !opened->path ? APR_ENOMEM : is_broken(opened) ? EIO : APR_SUCCESS;
    if (status != APR_SUCCESS) {
        if (status == EIO)
            explain(&opening, status);
        cs_queue_close(opened);
        return status;
    }
    *queue = opened;
    return APR_SUCCESS;
}

void cs_queue_close(cs_queue_t *queue)
{
    if (queue->next)
        cs_queue_close(queue->next);
    unmap_file(queue);
    close(queue->fd);
    free(queue->path);
    free(queue);
}
