/* clickstreamctl requeue: puts the events of a file back into a queue, all of them or none, and renames the file, so
 * that it is not done twice. Whoever kills it between the two finds the events queued and the file still there: events
 * may come twice, but none is lost.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "collect/event.h"
#include "common/disk.h"
#include "ctl.h"
#include "ctl_file.h"
#include "deliver/rejects.h"

/* A record is at most so many times shorter than its line, where each of its bytes is \uXXXX. */
#define SHRINKS 6
/* The longest record: a delimiter goes behind it. */
#define RECORD_MOST (CS_RECORD_MAX - 1)
/* As deep as ClickstreamMaxDepth lets any event be. */
#define DEPTH_MOST 64

typedef struct requeue_t {
    ctl_t *ctl;
    ctl_file_t file;
    const cs_stream_t *stream;
    cs_queue_t *queue;
    apr_array_header_t *records; /* cs_span_t */
    apr_int64_t bytes;
} requeue_t;

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The stream whose NAME.rejected the file's name begins with: the longest such name. */
static const cs_stream_t *stream_of_file(const requeue_t *requeue)
{
    const apr_array_header_t *streams = requeue->ctl->server.streams;
    const cs_stream_t *found = NULL;

    for (int i = 0; i < streams->nelts; i++) {
        const cs_stream_t *stream = APR_ARRAY_IDX(streams, i, const cs_stream_t *);
        const char *begin = apr_pstrcat(requeue->ctl->pool, stream->name, ".rejected", NULL);
        if (strncmp(base_of(requeue->file.path), begin, strlen(begin)) == 0 &&
            (!found || strlen(stream->name) > strlen(found->name)))
            found = stream;
    }
    return found;
}

static int choose_stream(requeue_t *requeue)
{
    requeue->stream = requeue->ctl->stream ? NULL : stream_of_file(requeue);
    if (!requeue->stream)
        requeue->stream = ctl_stream(requeue->ctl, requeue->ctl->stream);
    return requeue->stream ? EX_OK : EX_USAGE;
}

static int too_large(const requeue_t *requeue)
{
    ctl_complain("%s is too large: the queue of stream %s holds %" APR_INT64_T_FMT
                 " bytes: nothing is queued; split the file",
                 requeue->file.path, requeue->stream->name, requeue->stream->queue);
    return EX_DATAERR;
}

/* --- its lines --- */

static cs_reason_t take(void *to, const cs_event_t *event)
{
    (void)event;
    *(cs_reason_t *)to = CS_REASON_COUNT;
    return CS_REASON_COUNT;
}

static void refuse(void *to, const cs_rejection_t *rejection)
{
    *(cs_reason_t *)to = rejection->reason;
}

/* CS_REASON_COUNT, or why this is no record: the same that makes a request's event one. */
static cs_reason_t check_record(cs_span_t record, apr_pool_t *pool)
{
    static const apr_array_header_t nothing;
    cs_reason_t reason = CS_REASON_MALFORMED_JSON;
    const cs_event_rules_t rules = {
        .max_events = 1, .max_event = RECORD_MOST, .max_depth = DEPTH_MOST, .require = &nothing};
    const cs_event_sink_t sink = {.take = take, .reject = refuse, .to = &reason};

    if (!record.length || record.at[0] != '{') /* an array would be read as a list of events */
        return CS_REASON_NOT_AN_OBJECT;
    if (record.length > RECORD_MOST)
        return CS_REASON_TOO_LARGE;
    if (memchr(record.at, '\n', record.length) || memchr(record.at, '\r', record.length))
        return CS_REASON_MALFORMED_JSON; /* a record is one line */
    cs_events_read(record, 0, &rules, &sink, pool);
    return reason;
}

static cs_span_t trim(cs_span_t line)
{
    while (line.length && strchr(" \t\r", line.at[0])) {
        line.at++;
        line.length--;
    }
    while (line.length && strchr(" \t\r", line.at[line.length - 1]))
        line.length--;
    return line;
}

/* All lines are looked at before the first is queued. */
static int read_lines(requeue_t *requeue)
{
    const char *at = requeue->file.text, *end = at + requeue->file.size;
    apr_pool_t *scratch;
    int result = EX_OK;

    requeue->records = apr_array_make(requeue->ctl->pool, 64, sizeof(cs_span_t));
    apr_pool_create(&scratch, requeue->ctl->pool);
    for (int number = 1; at < end && result == EX_OK; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
        cs_span_t line = trim((cs_span_t){at, (apr_size_t)(stop - at)});
        cs_span_t record = trim(cs_rejects_record(line, requeue->ctl->pool));
        cs_reason_t reason = line.length ? check_record(record, scratch) : CS_REASON_COUNT;
        apr_pool_clear(scratch);
        at = newline ? newline + 1 : end;
        if (reason != CS_REASON_COUNT) {
            ctl_complain("%s, line %d: %s: nothing is queued; each line has to be a JSON object of at most %d bytes, "
                         "or a line of NAME.rejected with one",
                         requeue->file.path, number, cs_reason_name(reason), (int)RECORD_MOST);
            result = EX_DATAERR;
        }
        else if (line.length) {
            APR_ARRAY_PUSH(requeue->records, cs_span_t) = record;
            requeue->bytes += (apr_int64_t)record.length;
        }
    }
    return result;
}

/* --- the queue --- */

static int open_queue(requeue_t *requeue)
{
    const char *directory = requeue->ctl->server.queue_dir;
    cs_queue_options_t options = ctl_queue_options(requeue->ctl, requeue->stream, 0);
    apr_status_t status = APR_SUCCESS;
    struct stat info;
    int made;

    if (stat(directory, &info) != 0 && geteuid() == 0) {
        ctl_complain("ClickstreamQueueDir %s is not there, and root cannot know whose it is to be: make it, and give "
                     "it to httpd's user",
                     directory);
        return EX_CONFIG;
    }
    status = cs_disk_make_directory(&made, directory, CS_DISK_PRIVATE, requeue->ctl->pool);
    if (status != APR_SUCCESS)
        ctl_complain("ClickstreamQueueDir %s cannot be made: %s: make it, and let this user write it", directory,
                     strerror(status));
    else {
        cs_disk_share_directory(directory, requeue->ctl->server.queue_group); /* what is wrong, the queue will say */
        status = cs_queue_open(&requeue->queue, &options, requeue->ctl->log);
    }
    return status == APR_SUCCESS ? EX_OK : EX_UNAVAILABLE;
}

static int append(requeue_t *requeue)
{
    apr_status_t status = cs_queue_append(requeue->queue, (const cs_span_t *)(void *)requeue->records->elts,
                                          requeue->records->nelts, apr_time_now());
    cs_queue_stats_t stats = {.used = 0};

    if (status == APR_SUCCESS)
        return EX_OK;
    if (status == APR_EINVAL)
        return too_large(requeue);
    if (APR_STATUS_IS_ENOSPC(status)) {
        cs_queue_stats(&stats, requeue->queue);
        ctl_complain("the queue of stream %s has room for %" APR_INT64_T_FMT
                     " bytes, and the events of %s have %" APR_INT64_T_FMT
                     ": nothing is queued; try again when more is delivered, or split the file",
                     requeue->stream->name, stats.capacity - stats.used, requeue->file.path, requeue->bytes);
        return EX_TEMPFAIL;
    }
    ctl_complain("the queue of stream %s cannot be used: %s: the events of %s may be queued or not; look with peek",
                 requeue->stream->name, strerror(status), requeue->file.path);
    return EX_UNAVAILABLE;
}

static int put_out_of_the_way(const requeue_t *requeue)
{
    int count = requeue->records->nelts;
    const char *name;
    int error = ctl_file_rename(&name, &requeue->file);

    if (error) {
        ctl_complain("%d events ARE queued again, but %s cannot be renamed to %s: %s: move it yourself, and do not "
                     "requeue it once more",
                     count, requeue->file.path, name, strerror(error));
        return EX_CANTCREAT;
    }
    printf("%d event%s queued again for stream %s; the file is %s now\n", count, count == 1 ? " is" : "s are",
           requeue->stream->name, name);
    return EX_OK;
}

/* Each step in its order; the first that fails ends it. */
static int run(requeue_t *requeue)
{
    int result;

    if ((result = choose_stream(requeue)) != EX_OK || (result = ctl_file_lock(&requeue->file)) != EX_OK)
        return result;
    if (requeue->file.size / SHRINKS > requeue->stream->queue)
        return too_large(requeue);
    if ((result = ctl_file_read(&requeue->file)) != EX_OK || (result = read_lines(requeue)) != EX_OK)
        return result;
    if (!requeue->records->nelts) {
        printf("%s has no events: nothing is queued\n", requeue->file.path);
        return EX_OK;
    }
    if ((result = open_queue(requeue)) != EX_OK || (result = append(requeue)) != EX_OK)
        return result;
    return put_out_of_the_way(requeue);
}

int ctl_requeue(ctl_t *ctl)
{
    requeue_t requeue = {.ctl = ctl, .file = {.path = ctl->argument, .pool = ctl->pool, .fd = -1}};
    int result = ctl_file_open(&requeue.file); /* before we become another user, who may not be allowed to */

    if (result == EX_OK)
        result = ctl_begin(ctl);
    if (result == EX_OK)
        result = run(&requeue);
    if (requeue.queue)
        cs_queue_close(requeue.queue);
    ctl_file_close(&requeue.file);
    return result;
}
