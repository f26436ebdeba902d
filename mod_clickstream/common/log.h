/* Log lines, handed to whoever runs us: httpd's error log in the module, standard error elsewhere.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_LOG_H
#define CS_LOG_H

#include <apr_errno.h>

typedef enum {
    CS_LOG_NONE,    /* no line is of this level */
    CS_LOG_ERROR,   /* something an operator has to mend */
    CS_LOG_WARNING, /* something an operator may have to mend; we go on by ourselves */
    CS_LOG_NOTICE,  /* a change of state worth a line on any day */
    CS_LOG_INFO,
    CS_LOG_DEBUG,
} cs_log_level_t;

/* Where lines go. `write` is called from any thread with a whole line, without a newline; `status` is
 * APR_SUCCESS where no error code belongs to the line. Both pointers must outlive every user. */
typedef struct cs_log_t {
    void (*write)(void *to, cs_log_level_t level, apr_status_t status, const char *line);
    void *to;
    cs_log_level_t level; /* lines above this one are not even formatted */
} cs_log_t;

/* For who says nothing. */
extern const cs_log_t cs_no_log;

/* Formats one line and hands it on. A line is cut at CS_LOG_LINE bytes. */
#define CS_LOG_LINE 1024
void cs_log(const cs_log_t *log, cs_log_level_t level, apr_status_t status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A `write` for programs: "clickstream: LINE: what the status says" on standard error. */
void cs_log_to_stderr(void *to, cs_log_level_t level, apr_status_t status, const char *line);

#endif
