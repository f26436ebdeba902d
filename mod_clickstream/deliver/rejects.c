/* DIR/NAME.rejected: what a sink will never take, with the reason.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/rejects.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

apr_status_t cs_rejects_append(const char *path, cs_span_t record, const char *reason, apr_time_t now, apr_pool_t *pool)
{
    cs_span_t line = line_of(record, reason, now, pool);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    apr_status_t status = APR_SUCCESS;
    ssize_t written;

    if (fd < 0)
        return errno;
    written = write(fd, line.at, line.length);
    if (written != (ssize_t)line.length) /* a half line is ended by the next try's own line */
        status = written < 0 ? errno : ENOSPC;
    else if (fdatasync(fd) != 0)
        status = errno;
    if (close(fd) != 0 && status == APR_SUCCESS)
        status = errno;
    return status;
}
