/* clickstream.cgi: collects as mod_clickstream does, where there is no module to load.
 *
 *   1  the configuration is read       common/conf; the same directives, flat
 *   2  the request                     environment.c
 *   3  collect                         what is it, what is the answer
 *   4  intake                          its records into the queue file, which the module may share
 *   5  the answer goes out             and with it all that httpd waits for
 *   6  handover                        where nobody delivers, clickstreamctl is started to
 *
 * Each request is a process, and any of them may be killed at any time: what was answered 200 is in the queue file.
 * Arguments are ignored: they can come from the query. SPDX-License-Identifier: Apache-2.0 */
#include <apr_general.h>
#include <apr_strings.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/disk.h"
#include "common/log.h"
#include "environment.h"
#include "handover.h"
#include "intake/intake.h"

static const cs_log_t errors = {.write = cs_log_to_stderr, .level = CS_LOG_NOTICE};

/* What the process works with. */
typedef struct program_t {
    const char *conf;
    cs_server_t server;
    cs_location_t location;
    apr_pool_t *pool;
} program_t;

static const char *configure(program_t *program)
{
    program->conf = cs_conf_path(program->pool);
    return cs_conf_read(&program->server, &program->location, program->conf, CS_CONF_STRICT, program->pool);
}

/* NULL where it cannot be used; that is logged. */
static cs_queue_t *open_queue(const program_t *program, const cs_stream_t *stream)
{
    cs_queue_options_t options;
    cs_queue_t *queue = NULL;
    int made;

    if (!stream)
        return NULL;
    options = cs_intake_queue(&program->server, stream);
    if (access(program->server.queue_dir, F_OK) != 0) { /* what is wrong with the folder, the queue will say */
        cs_disk_make_directory(&made, program->server.queue_dir, CS_DISK_PRIVATE, program->pool);
        cs_disk_share_directory(program->server.queue_dir, program->server.queue_group);
    }
    cs_queue_open(&queue, &options, &errors);
    return queue;
}

static void read_body(cs_collect_t *collect, const program_t *program)
{
    cs_span_t body;
    apr_status_t status = cs_environment_body(&body, program->location.max_body, program->pool);

    if (status == APR_SUCCESS)
        cs_collect_body(collect, body);
    else if (status == APR_ENOSPC)
        cs_collect_too_large(collect);
    else
        cs_collect_unreadable(collect, status == APR_EOF ? 400 : 500);
}

/* Whether something waits and nobody is at it. */
static int is_unattended(cs_queue_t *queue)
{
    cs_queue_stats_t stats;

    if (!queue || cs_queue_stats(&stats, queue) != APR_SUCCESS || !stats.waiting ||
        cs_queue_sender_lock(queue, 0) != APR_SUCCESS)
        return 0;
    cs_queue_sender_unlock(queue); /* the lock is this thread's: what we start takes its own */
    return 1;
}

/* What the queue itself has not logged. */
static void explain(const cs_stream_t *stream, apr_status_t status)
{
    const char *name = stream ? stream->name : "";

    if (status == APR_ENOSPC)
        cs_log(&errors, CS_LOG_WARNING, APR_SUCCESS,
               "stream %s: its queue is full, clients get 503: see why nothing is delivered, or write a larger queue=",
               name);
    else if (status == APR_EINVAL)
        cs_log(&errors, CS_LOG_ERROR, APR_SUCCESS,
               "stream %s: a request has more than its whole queue can hold, clients get 413: write a larger queue=",
               name);
}

static void serve(program_t *program)
{
    const cs_stream_t *stream = cs_server_stream(&program->server, program->location.deliver_to);
    const cs_stream_t *rejects_stream =
        program->location.reject_to ? cs_server_stream(&program->server, program->location.reject_to) : NULL;
    cs_request_t request = cs_environment_request(program->pool);
    cs_queue_t *queue = NULL, *rejects = NULL;
    cs_collect_t collect;

    if (cs_collect_begin(&collect, &request, &program->location, program->pool))
        read_body(&collect, program);
    if (strcmp(request.method, "OPTIONS") != 0) /* which needs no queue, not even to be counted */
        queue = open_queue(program, stream);
    if (collect.rejects->nelts)
        rejects = open_queue(program, rejects_stream);
    explain(stream, cs_intake(&collect, queue, rejects, request.now));
    signal(SIGTERM, SIG_IGN); /* which httpd sends as soon as it has the answer: we have a moment's work left */
    cs_environment_answer(&collect, program->pool);
    if (is_unattended(queue) || is_unattended(rejects))
        cs_handover_send(program->conf, &program->server, program->pool);
}

int main(void)
{
    program_t program;
    const char *error;

    signal(SIGPIPE, SIG_IGN); /* a client that is gone ends no process that has events to keep */
    signal(SIGXFSZ, SIG_IGN); /* nor does a limit on the size of files, which a write tells as well */
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&program.pool, NULL) != APR_SUCCESS)
        return EXIT_FAILURE;
    if ((error = configure(&program))) {
        cs_collect_t failed;
        cs_log(&errors, CS_LOG_ERROR, APR_SUCCESS, "%s", error);
        cs_collect_fail(&failed, program.pool);
        cs_environment_answer(&failed, program.pool);
        return EXIT_SUCCESS; /* it was answered */
    }
    serve(&program);
    return EXIT_SUCCESS;
}
