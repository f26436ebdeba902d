/* The file sink: objects in a local folder, named and laid out as Firehose names them in S3.
 *
 * An object is written under one temporary name, synced, renamed, and only then are its batches done. So
 * whatever dies on the way leaves no half object and loses nothing: its events still wait in the queue, and
 * the next sender begins the temporary file anew. A queue has one sender, but two queues may have one name and one
 * folder: of two httpds, or of one before and after its ClickstreamQueueDir was changed. So whoever writes the
 * temporary file has its lock, and nobody else empties or renames it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_file_io.h>
#include <apr_strings.h>
#include <apr_uuid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/disk.h"
#include "deliver/sink.h"

/* One write() of this size costs little more than its copying. */
#define BATCH_MOST (1 << 20)
/* Of one object, and so under way: 64 GiB of queue would be as many. */
#define BATCHES_MOST 65536
#define PARTS 256 /* of one writev(); below IOV_MAX everywhere */

typedef struct object_t {
    int fd; /* of the temporary file, with its lock; -1: none is open */
    apr_size_t size;
    apr_time_t opened;              /* by the wall clock, for its name */
    apr_time_t finish;              /* by the monotonic clock: when it has its age */
    struct cs_batch_ring_t batches; /* in it, not yet done */
} object_t;

typedef struct file_sink_t {
    cs_sink_t sink; /* first: the sink's methods get a pointer to it */
    const cs_stream_t *stream;
    const char *partial; /* the temporary name */
    const char *delimiter;
    object_t object;
    int flushing;
    apr_pool_t *scratch; /* cleared with each object */
    cs_sink_done_t *done;
    void *to;
} file_sink_t;

static file_sink_t *file_of(cs_sink_t *sink)
{
    return (file_sink_t *)(void *)sink;
}

static apr_size_t cost(apr_size_t record)
{
    return record;
}

static const char *reason_of(const file_sink_t *file, apr_status_t status, const char *what)
{
    char why[120];

    return apr_pstrcat(file->scratch, what, ": ",
                       status == EWOULDBLOCK ? "another sender is writing it" : apr_strerror(status, why, sizeof(why)),
                       NULL);
}

static const char *advice_on(apr_status_t status)
{
    switch (status) {
    case EWOULDBLOCK:
        return "two queues have a stream of this name and path=: write another path= for one of them, unless one is "
               "about to end";
    case ENOLCK:
    case ENOSYS:
    case EOPNOTSUPP:
        return "write a path= on a file system that can lock files";
    default:
        return cs_disk_advice(status);
    }
}

/* All batches of the object are done: delivered where `status` is APR_SUCCESS. `published`: it is there in any case. */
static void finish_batches(file_sink_t *file, apr_status_t status, const char *what, int published)
{
    cs_sink_result_t result = {.reason = NULL};
    object_t *object = &file->object;

    file->flushing = 0;
    if (status != APR_SUCCESS) {
        result.reason = reason_of(file, status, what);
        result.advice = advice_on(status);
        result.maybe_taken = published;
    }
    while (!APR_RING_EMPTY(&object->batches, cs_batch_t, link)) {
        cs_batch_t *batch = APR_RING_FIRST(&object->batches);
        APR_RING_REMOVE(batch, link);
        cs_batch_outcome(batch, status == APR_SUCCESS ? CS_OUTCOME_DELIVERED : CS_OUTCOME_RETRY);
        file->done(file->to, batch, &result);
    }
}

/* --- an object --- */

/* Opens the temporary file, and empties it once it is ours. EWOULDBLOCK: it is another sender's, or has just been. */
static apr_status_t open_partial(int *fd, const char *path)
{
    apr_status_t status = APR_SUCCESS;

    *fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (*fd < 0)
        return errno;
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
        status = errno;
    else if (!cs_disk_still_at(path, *fd)) /* published in between: it is an object now */
        status = EWOULDBLOCK;
    else if (ftruncate(*fd, 0) != 0)
        status = errno;
    if (status != APR_SUCCESS) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

static apr_status_t open_object(file_sink_t *file)
{
    object_t *object = &file->object;
    apr_status_t status = apr_dir_make_recursive(file->stream->path, APR_FPROT_OS_DEFAULT, file->scratch);

    if (status == APR_SUCCESS)
        status = open_partial(&object->fd, file->partial);
    if (status != APR_SUCCESS)
        return status;
    object->size = 0;
    object->opened = apr_time_now();
    object->finish = cs_monotonic() + file->stream->interval;
    return APR_SUCCESS;
}

/* path/YYYY/MM/DD/HH of the object, made where it is not there yet. */
static apr_status_t object_directory(const char **directory, file_sink_t *file, const apr_time_exp_t *utc)
{
    *directory = apr_psprintf(file->scratch, "%s/%04d/%02d/%02d/%02d", file->stream->path, utc->tm_year + 1900,
                              utc->tm_mon + 1, utc->tm_mday, utc->tm_hour);
    return apr_dir_make_recursive(*directory, APR_FPROT_OS_DEFAULT, file->scratch);
}

/* Syncs the object's folder and those above it, of which any may be new. */
static apr_status_t sync_folders(file_sink_t *file, const char *directory)
{
    char *folder = apr_pstrdup(file->scratch, directory);
    apr_status_t status;

    while ((status = cs_disk_sync_directory(folder)) == APR_SUCCESS && strcmp(folder, file->stream->path) != 0)
        *strrchr(folder, '/') = '\0';
    return status;
}

/* "Understand data delivery in Amazon Data Firehose": stream-version-YYYY-MM-dd-HH-MM-SS-UUID, in UTC. */
static const char *object_name(const file_sink_t *file, const apr_time_exp_t *utc)
{
    char uuid[APR_UUID_FORMATTED_LENGTH + 1];
    apr_uuid_t random;

    apr_uuid_get(&random);
    apr_uuid_format(uuid, &random);
    return apr_psprintf(file->scratch, "%s-1-%04d-%02d-%02d-%02d-%02d-%02d-%s", file->stream->name, utc->tm_year + 1900,
                        utc->tm_mon + 1, utc->tm_mday, utc->tm_hour, utc->tm_min, utc->tm_sec, uuid);
}

/* The lock is held until the name is another one. */
static apr_status_t publish_object(int *published, file_sink_t *file)
{
    object_t *object = &file->object;
    apr_status_t status = fdatasync(object->fd) == 0 ? APR_SUCCESS : errno;
    const char *directory;
    apr_time_exp_t utc;

    *published = 0;
    apr_time_exp_gmt(&utc, object->opened);
    if (status == APR_SUCCESS)
        status = object_directory(&directory, file, &utc);
    if (status == APR_SUCCESS && !cs_disk_still_at(file->partial, object->fd))
        status = ENOENT; /* what is there now, if anything, is another's */
    if (status == APR_SUCCESS) {
        const char *path = apr_pstrcat(file->scratch, directory, "/", object_name(file, &utc), NULL);
        *published = rename(file->partial, path) == 0;
        status = *published ? APR_SUCCESS : errno;
    }
    if (close(object->fd) != 0 && status == APR_SUCCESS)
        status = errno;
    object->fd = -1;
    return status == APR_SUCCESS ? sync_folders(file, directory) : status;
}

static void finish_object(file_sink_t *file)
{
    int published;
    apr_status_t status = publish_object(&published, file);

    finish_batches(file, status, apr_pstrcat(file->scratch, "an object in ", file->stream->path, NULL), published);
    apr_pool_clear(file->scratch);
}

static void drop_object(file_sink_t *file, apr_status_t status)
{
    if (file->object.fd >= 0)
        close(file->object.fd);
    file->object.fd = -1;
    finish_batches(file, status, file->partial, 0);
    apr_pool_clear(file->scratch);
}

/* --- writing --- */

static apr_status_t write_parts(int fd, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t written = writev(fd, parts, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        for (; count > 0 && (size_t)written >= parts->iov_len; parts++, count--)
            written -= (ssize_t)parts->iov_len;
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + written;
            parts->iov_len -= (size_t)written;
        }
    }
    return APR_SUCCESS;
}

static apr_status_t write_batch(file_sink_t *file, const cs_batch_t *batch)
{
    struct iovec parts[PARTS];
    apr_status_t status = APR_SUCCESS;
    int count = 0;

    for (int i = 0; i < batch->events->nelts && status == APR_SUCCESS; i++) {
        cs_span_t data = APR_ARRAY_IDX(batch->events, i, cs_batch_event_t).data;
        parts[count++] = (struct iovec){(void *)(apr_uintptr_t)data.at, data.length};
        parts[count++] = (struct iovec){(void *)(apr_uintptr_t)file->delimiter, file->sink.limits.delimiter};
        if (count == PARTS || i + 1 == batch->events->nelts) {
            status = write_parts(file->object.fd, parts, count);
            count = 0;
        }
    }
    return status;
}

/* --- the sink --- */

static void send_batch(cs_sink_t *sink, cs_batch_t *batch)
{
    file_sink_t *file = file_of(sink);
    object_t *object = &file->object;
    apr_status_t status = APR_SUCCESS;

    APR_RING_INSERT_TAIL(&object->batches, batch, cs_batch_t, link);
    if (object->fd < 0)
        status = open_object(file);
    if (status == APR_SUCCESS)
        status = write_batch(file, batch);
    if (status != APR_SUCCESS) {
        drop_object(file, status);
        return;
    }
    object->size += batch->cost;
    if (object->size >= (apr_size_t)file->stream->roll)
        finish_object(file);
}

static void poll_object(cs_sink_t *sink, apr_interval_time_t wait)
{
    file_sink_t *file = file_of(sink);
    apr_interval_time_t left = wait;

    if (file->object.fd >= 0) {
        left = file->flushing ? 0 : file->object.finish - cs_monotonic();
        if (left <= 0) {
            finish_object(file);
            return;
        }
    }
    apr_sleep(left < wait ? left : wait);
}

static void flush(cs_sink_t *sink)
{
    file_of(sink)->flushing = file_of(sink)->object.fd >= 0;
}

static void destroy(cs_sink_t *sink)
{
    file_sink_t *file = file_of(sink);

    if (file->object.fd >= 0)
        close(file->object.fd);
}

apr_status_t cs_sink_file_create(cs_sink_t **sink, const cs_sink_options_t *options)
{
    const cs_stream_t *stream = options->stream;
    apr_pool_t *pool = options->pool;
    file_sink_t *file = apr_pcalloc(pool, sizeof(*file));
    int newline = stream->delimiter == CS_DELIMITER_NEWLINE;

    file->sink = (cs_sink_t){
        .limits = {.records = 1,
                   .record_target = BATCH_MOST,
                   .batch = BATCH_MOST,
                   .cost = cost,
                   .delimiter = newline ? 1 : 0},
        .concurrency = BATCHES_MOST,
        .send = send_batch,
        .poll = poll_object,
        .flush = flush,
        .destroy = destroy,
    };
    file->stream = stream;
    file->partial = apr_pstrcat(pool, stream->path, "/.", stream->name, ".partial", NULL);
    file->delimiter = newline ? "\n" : "";
    file->object.fd = -1;
    APR_RING_INIT(&file->object.batches, cs_batch_t, link);
    apr_pool_create(&file->scratch, pool);
    file->done = options->done;
    file->to = options->to;
    *sink = &file->sink;
    return APR_SUCCESS;
}
