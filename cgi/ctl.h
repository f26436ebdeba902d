/* What the files of clickstreamctl share.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_H
#define CTL_H

#include <apr_pools.h>
#include <apr_time.h>

#include "common/log.h"
#include "common/settings.h"
#include "queue/queue.h"

typedef struct ctl_t {
    const char *conf; /* the configuration's path */
    cs_server_t server;
    const cs_log_t *log;
    apr_pool_t *pool;
    /* options and the argument, of those commands that have them */
    int json;
    int number;
    apr_interval_time_t patience, stay;
    const char *stream;   /* -s; NULL: not given */
    const char *argument; /* NAME or FILE; NULL: not given */
} ctl_t;

/* The commands. Each returns the program's exit status, one of <sysexits.h>. */
int ctl_status(ctl_t *ctl);
int ctl_peek(ctl_t *ctl);
int ctl_send(ctl_t *ctl);
int ctl_check(ctl_t *ctl);
int ctl_requeue(ctl_t *ctl);

/* One line on standard error. */
void ctl_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- ctl_streams.c: what several commands do --- */

/* Reads the configuration, as far as streams are concerned, and becomes the owner of the queue folder. Returns 0, or
 * the exit status, when it has been said what is wrong. */
int ctl_begin(ctl_t *ctl);
int ctl_read_conf(ctl_t *ctl);
/* Root must not make files that httpd's user cannot write: where we are root and the folder is another user's, this
 * process becomes that user for good. */
int ctl_become_owner(ctl_t *ctl);

/* The stream of that name, or the only one where `name` is NULL; NULL when it has been said what to write instead. */
const cs_stream_t *ctl_stream(ctl_t *ctl, const char *name);
/* The same, or all: an array of const cs_stream_t *. NULL when it has been said what to write instead. */
apr_array_header_t *ctl_streams(ctl_t *ctl, const char *name);

/* Complains of queues with something in them that belong to no stream of the configuration. */
void ctl_tell_of_strays(const ctl_t *ctl);

/* The queue's options; `existing` as in cs_queue_options_t. */
cs_queue_options_t ctl_queue_options(const ctl_t *ctl, const cs_stream_t *stream, int existing);

#endif
