/* Log lines, handed to whoever runs us.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>

const cs_log_t cs_no_log = {.level = CS_LOG_NONE};

void cs_log(const cs_log_t *log, cs_log_level_t level, apr_status_t status, const char *format, ...)
{
    char line[CS_LOG_LINE];
    va_list args;

    if (level > log->level)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    log->write(log->to, level, status, line);
}

void cs_log_to_stderr(void *to, cs_log_level_t level, apr_status_t status, const char *line)
{
    char why[120];

    (void)to;
    (void)level;
    if (status == APR_SUCCESS)
        fprintf(stderr, "clickstream: %s\n", line);
    else
        fprintf(stderr, "clickstream: %s: %s\n", line, apr_strerror(status, why, sizeof(why)));
}
