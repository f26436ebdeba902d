/* DIR/NAME.rejected: what a sink will never take, with the reason.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/rejects.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXED 128 /* more than the names, the punctuation and the time of a line */
#define LOCK_STEP apr_time_from_msec(10)
#define LINE_DEPTH 2 /* an object of strings */

static cs_span_t line_of(cs_span_t record, const char *reason, apr_time_t now, apr_pool_t *pool)
{
    cs_span_t why = {reason, strlen(reason)};
    char *line = apr_palloc(pool, FIXED + CS_QUOTED(why.length) + CS_QUOTED(record.length)), *to = line;
    char rejected_at[CS_TIME_TEXT];

    cs_time_text(rejected_at, now);
    to += snprintf(to, FIXED, "{\"rejected_at\":\"%s\",\"reason\":", rejected_at);
    to = cs_text_quote(to, why);
    memcpy(to, ",\"record\":", 10);
    to = cs_text_quote(to + 10, record);
    memcpy(to, "}\n", 2);
    return (cs_span_t){line, (apr_size_t)(to + 2 - line)};
}

static apr_status_t write_line(int fd, cs_span_t line)
{
    while (line.length) { /* where room ends in the middle, the next one says why */
        ssize_t written = write(fd, line.at, line.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : ENOSPC;
        line = (cs_span_t){line.at + written, line.length - (apr_size_t)written};
    }
    return fdatasync(fd) == 0 ? APR_SUCCESS : errno;
}

/* Opens the file and locks it; the lock goes with the descriptor. */
static apr_status_t open_locked(int *fd, const char *path)
{
    apr_interval_time_t waited = 0;

    for (;;) {
        int error = 0;
        *fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (*fd < 0)
            return errno;
        if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
            error = errno;
        else if (cs_disk_still_at(path, *fd))
            return APR_SUCCESS;
        close(*fd); /* somebody has the lock, or had it and has renamed the file */
        if ((error && error != EWOULDBLOCK && error != EINTR) || waited >= CS_REJECTS_PATIENCE)
            return error ? error : EWOULDBLOCK;
        apr_sleep(LOCK_STEP);
        waited += LOCK_STEP;
    }
}

apr_status_t cs_rejects_append(const char *path, const cs_group_t *group, cs_span_t record, const char *reason,
                               apr_time_t now, apr_pool_t *pool)
{
    cs_span_t line = line_of(record, reason, now, pool);
    struct stat before;
    int fd;
    apr_status_t status = open_locked(&fd, path);

    if (status != APR_SUCCESS)
        return status;
    cs_disk_share(fd, group); /* where it cannot be, the queue has said so; the record matters more */
    if (fstat(fd, &before) != 0)
        status = errno;
    else if ((status = write_line(fd, line)) != APR_SUCCESS) {
        if (ftruncate(fd, before.st_size) != 0) /* or the next try's line would go on a half one */
            status = errno;
    }
    else if (before.st_size == 0) /* it may be new */
        status = cs_disk_sync_directory(apr_pstrmemdup(pool, path, (apr_size_t)(strrchr(path, '/') - path)));
    if (close(fd) != 0 && status == APR_SUCCESS)
        status = errno;
    return status;
}

/* The member of that name, a string, in `pool`; `at` is NULL where it is none. */
static cs_span_t text_of(struct json_object *object, const char *name, apr_pool_t *pool)
{
    struct json_object *value;
    apr_size_t length;

    if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, json_type_string))
        return (cs_span_t){NULL, 0};
    length = (apr_size_t)json_object_get_string_len(value);
    return (cs_span_t){apr_pstrmemdup(pool, json_object_get_string(value), length), length};
}

cs_span_t cs_rejects_record(cs_span_t line, apr_pool_t *pool)
{
    struct json_tokener *tokener;
    struct json_object *object;
    cs_span_t record = {NULL, 0};

    if (line.length > INT_MAX) /* what json-c can take */
        return line;
    tokener = json_tokener_new_ex(LINE_DEPTH);
    object = json_tokener_parse_ex(tokener, line.at, (int)line.length);
    if (json_object_is_type(object, json_type_object) && json_object_object_length(object) == 3 &&
        text_of(object, "rejected_at", pool).at && text_of(object, "reason", pool).at)
        record = text_of(object, "record", pool);
    json_object_put(object);
    json_tokener_free(tokener);
    return record.at ? record : line;
}
