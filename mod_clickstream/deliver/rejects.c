/* DIR/NAME.rejected: what a sink will never take, with the reason.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/rejects.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/disk.h"

#define FIXED 128 /* more than the names, the punctuation and the time of a line */

static cs_span_t line_of(cs_span_t record, const char *reason, apr_time_t now, apr_pool_t *pool)
{
    cs_span_t why = {reason, strlen(reason)};
    char *line = apr_palloc(pool, FIXED + CS_QUOTED(why.length) + CS_QUOTED(record.length)), *to = line;
    apr_time_exp_t utc;

    apr_time_exp_gmt(&utc, now);
    to +=
        snprintf(to, FIXED, "{\"rejected_at\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"reason\":", utc.tm_year + 1900,
                 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, utc.tm_usec / 1000);
    to = cs_text_quote(to, why);
    memcpy(to, ",\"record\":", 10);
    to = cs_text_quote(to + 10, record);
    memcpy(to, "}\n", 2);
    return (cs_span_t){line, (apr_size_t)(to + 2 - line)};
}

static apr_status_t write_line(int fd, cs_span_t line)
{
    ssize_t written = write(fd, line.at, line.length);

    if (written != (ssize_t)line.length)
        return written < 0 ? errno : ENOSPC;
    return fdatasync(fd) == 0 ? APR_SUCCESS : errno;
}

apr_status_t cs_rejects_append(const char *path, cs_span_t record, const char *reason, apr_time_t now, apr_pool_t *pool)
{
    cs_span_t line = line_of(record, reason, now, pool);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    apr_status_t status;
    struct stat before;

    if (fd < 0)
        return errno;
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
