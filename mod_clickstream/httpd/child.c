/* The queues and the senders of one child process.
 *
 * A child owes nothing to anybody when it stops: what is not delivered is in the queue file. So its threads are
 * asked to end and get a bounded time for it, and no lock is taken: prefork runs pool cleanups
 * inside its SIGTERM handler, over whatever a request was doing. For the same reason the queues are never
 * unmapped, and the threads own all their memory: a thread that is left behind touches nothing of pchild.
 *
 * Nor does the site wait for a child that begins: to make a queue, or to recover it, may take long, and somebody may
 * have it locked. So that is left to the stream's thread; only the stream's own requests wait for it, and those not
 * long. SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <apr_atomic.h>
#include <apr_strings.h>
#include <pthread.h>
#include <signal.h>

#include "deliver/batch.h"
#include "deliver/sender.h"
#include "intake/intake.h"

/* What a thread promises, and a little more. */
#define STOP_PATIENCE (CS_SENDER_NOTICE + CS_SENDER_PATIENCE + apr_time_from_msec(750))
#define STOP_STEP apr_time_from_msec(10)
/* For so long after its start a child's requests wait for a queue that is just being made: the default one takes a
 * disk of 25 MB/s that long, and a server that has just been started is to take the first event. */
#define FIRST_PATIENCE apr_time_from_sec(3)
#define FIRST_STEP apr_time_from_msec(10)
/* A queue that could not be opened is tried again this often, and every so many times that is logged: each child
 * has said it once. */
#define OPEN_INTERVAL apr_time_from_sec(5)
#define OPEN_STEP apr_time_from_msec(250)
#define OPEN_LOGGED 120

#define COMPLAINT_INTERVAL 60 /* seconds */

/* One stream in this child. */
typedef struct lane_t {
    const cs_stream_t *stream;
    cs_queue_options_t queue_options;
    cs_queue_t *queue; /* set by child_init, then by the thread; none is ever closed: a request may be in it */
    const cs_log_t *log;
    apr_pool_t *pool;        /* the thread's own */
    int running;             /* the thread is there */
    int opening;             /* the thread tries to open the queue, and has not failed so far */
    apr_uint32_t complained; /* when it was last logged why its requests fail, in seconds */
} lane_t;

/* Set by child_init before there is any thread, and then only read; but for `stop`. */
static struct {
    lane_t *lanes;
    int count;
    apr_time_t patient_until; /* see FIRST_PATIENCE; by cs_monotonic() */
    int stop;
} child;

static apr_status_t open_queue(lane_t *lane, cs_queue_patience_t patience, const cs_log_t *log)
{
    cs_queue_options_t options = lane->queue_options;
    cs_queue_t *queue;
    apr_status_t status;

    options.patience = patience;
    status = cs_queue_open(&queue, &options, log);
    if (status == APR_SUCCESS)
        __atomic_store_n(&lane->queue, queue, __ATOMIC_RELEASE);
    return status;
}

static int stopping(void)
{
    return __atomic_load_n(&child.stop, __ATOMIC_ACQUIRE);
}

/* A child that is stopped gracefully, in its first seconds, has requests to answer, and no queue for them yet. */
static int may_open(void)
{
    return !stopping() || cs_monotonic() < child.patient_until;
}

static void sleep_unless_stopped(apr_interval_time_t interval, apr_interval_time_t step)
{
    for (apr_interval_time_t slept = 0; slept < interval && !stopping(); slept += step)
        apr_sleep(step);
}

/* While another process has the file for itself. At first in short steps: most likely it makes the file. */
static apr_status_t wait_for_others(lane_t *lane)
{
    apr_status_t status = APR_EAGAIN;

    for (apr_time_t since = cs_monotonic(), said = since; APR_STATUS_IS_EAGAIN(status) && may_open();) {
        apr_sleep(cs_monotonic() < child.patient_until ? FIRST_STEP : OPEN_STEP);
        status = open_queue(lane, CS_QUEUE_WORKS, lane->log);
        if (APR_STATUS_IS_EAGAIN(status) &&
            cs_monotonic() - said >= (said == since ? 1 : OPEN_LOGGED) * OPEN_INTERVAL) {
            said = cs_monotonic();
            cs_log(
                lane->log, CS_LOG_WARNING, APR_SUCCESS,
                "stream %s: another process makes or recovers queue %s/%s.queue, or keeps it locked: until that ends "
                "clients get 500",
                lane->stream->name, lane->queue_options.directory, lane->stream->name);
        }
    }
    return status;
}

/* Until the queue is open, or the child stops. */
static void open_in_the_end(lane_t *lane)
{
    int failures = 0;

    while (!lane->queue && may_open() && !(failures && stopping())) {
        apr_status_t status = open_queue(lane, CS_QUEUE_WORKS, failures % OPEN_LOGGED ? &cs_no_log : lane->log);
        if (APR_STATUS_IS_EAGAIN(status))
            status = wait_for_others(lane);
        if (status != APR_SUCCESS) {
            failures++;
            __atomic_store_n(&lane->opening, 0, __ATOMIC_RELEASE);
            sleep_unless_stopped(OPEN_INTERVAL, OPEN_STEP);
        }
        else if (failures || cs_monotonic() >= child.patient_until) /* somebody has been told otherwise */
            cs_log(lane->log, CS_LOG_NOTICE, APR_SUCCESS, "stream %s: its queue is open now", lane->stream->name);
    }
    __atomic_store_n(&lane->opening, 0, __ATOMIC_RELEASE);
}

static cs_sender_options_t sender_options(const lane_t *lane)
{
    return (cs_sender_options_t){.queue = lane->queue,
                                 .stream = lane->stream,
                                 .directory = lane->queue_options.directory,
                                 .group = lane->queue_options.group,
                                 .log = lane->log,
                                 .stop = &child.stop,
                                 .pool = lane->pool};
}

/* The queue's file is no longer what it was: goes on with the one that is in its place. While there is none, or it has
 * no room for all, delivers what is in the way. */
static void succeed(lane_t *lane)
{
    for (int attempt = 0; !stopping(); attempt++) {
        cs_sender_options_t options = sender_options(lane);
        apr_status_t status =
            cs_queue_succeed(&options.queue, lane->queue, &lane->queue_options, attempt % OPEN_LOGGED, lane->log);
        if (status == APR_SUCCESS) {
            __atomic_store_n(&lane->queue, options.queue, __ATOMIC_RELEASE);
            return;
        }
        if (!APR_STATUS_IS_TIMEUP(status))
            cs_sender_drain(&options, OPEN_INTERVAL, 0);
        apr_sleep(OPEN_STEP);
    }
}

static void *run(void *data)
{
    lane_t *lane = data;

    open_in_the_end(lane);
    while (lane->queue && !stopping()) {
        cs_sender_options_t options = sender_options(lane);
        cs_sender_run(&options);
        if (!stopping())
            succeed(lane);
    }
    __atomic_store_n(&lane->running, 0, __ATOMIC_RELEASE);
    return NULL;
}

/* Signals are for httpd's threads, but for SIGBUS: see queue/guard.c. */
static int start_thread(lane_t *lane)
{
    sigset_t all, before;
    pthread_t thread;
    int error;

    lane->running = 1;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, NULL, run, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        lane->running = 0;
    else
        pthread_detach(thread);
    return error;
}

static apr_status_t stop_threads(void *unused)
{
    (void)unused;
    __atomic_store_n(&child.stop, 1, __ATOMIC_RELEASE);
    for (apr_interval_time_t waited = 0; waited < STOP_PATIENCE; waited += STOP_STEP) {
        int running = 0;
        for (int i = 0; i < child.count; i++)
            running |= __atomic_load_n(&child.lanes[i].running, __ATOMIC_ACQUIRE);
        if (!running)
            break;
        apr_sleep(STOP_STEP);
    }
    return APR_SUCCESS;
}

static void init_lane(lane_t *lane, const cs_server_t *settings, const cs_stream_t *stream, server_rec *server,
                      apr_pool_t *pconf)
{
    *lane = (lane_t){.stream = stream,
                     .queue_options = cs_intake_queue(settings, stream),
                     .log = cs_log_of(server, pconf),
                     .pool = cs_sender_pool()};
    lane->queue_options.watched = 1;
    lane->queue_options.patience = CS_QUEUE_WORKS;
    lane->opening = open_queue(lane, CS_QUEUE_AT_ONCE, &cs_no_log) != APR_SUCCESS;
}

void cs_child_init(apr_pool_t *pchild, server_rec *server)
{
    const cs_server_t *settings = cs_config_server(server);
    apr_pool_t *pconf = server->process->pconf;

    if (!settings->streams)
        return;
    child.lanes = apr_pcalloc(pconf, (apr_size_t)settings->streams->nelts * sizeof(lane_t));
    for (int i = 0; i < settings->streams->nelts; i++)
        init_lane(&child.lanes[i], settings, APR_ARRAY_IDX(settings->streams, i, cs_stream_t *), server, pconf);
    child.count = settings->streams->nelts;
    child.patient_until = cs_monotonic() + FIRST_PATIENCE;
    /* A pre-cleanup: later the pools that requests and threads use are gone. */
    apr_pool_pre_cleanup_register(pchild, NULL, stop_threads);
    for (int i = 0; i < child.count; i++) {
        lane_t *lane = &child.lanes[i];
        int error = lane->pool ? start_thread(lane) : APR_ENOMEM;
        if (error) {
            ap_log_error(APLOG_MARK, APLOG_ERR, error, server,
                         "stream %s: no thread for its sender in this child; another child's may deliver",
                         lane->stream->name);
            lane->opening = 0;
            if (!lane->queue) /* there is nobody else who could, later */
                open_queue(lane, CS_QUEUE_WORKS, lane->log);
        }
    }
}

void cs_child_stopping(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    (void)graceful; /* prefork says 0 whatever it does */
    __atomic_store_n(&child.stop, 1, __ATOMIC_RELEASE);
}

static lane_t *lane_of(const cs_stream_t *stream)
{
    for (int i = 0; i < child.count; i++) {
        if (child.lanes[i].stream == stream)
            return &child.lanes[i];
    }
    return NULL;
}

int cs_child_is_opening(const cs_stream_t *stream)
{
    const lane_t *lane = lane_of(stream);

    return lane && __atomic_load_n(&lane->opening, __ATOMIC_ACQUIRE);
}

int cs_child_may_complain(const cs_stream_t *stream)
{
    static apr_uint32_t without_stream;
    lane_t *lane = stream ? lane_of(stream) : NULL;
    apr_uint32_t *complained = lane ? &lane->complained : &without_stream;
    apr_uint32_t now = (apr_uint32_t)apr_time_sec(apr_time_now());
    apr_uint32_t before = apr_atomic_read32(complained);

    return now - before >= COMPLAINT_INTERVAL && apr_atomic_cas32(complained, now, before) == before;
}

cs_queue_t *cs_child_queue(const cs_stream_t *stream)
{
    const lane_t *lane = lane_of(stream);
    cs_queue_t *queue = NULL;

    while (lane && !(queue = __atomic_load_n(&lane->queue, __ATOMIC_ACQUIRE)) && cs_child_is_opening(stream) &&
           cs_monotonic() < child.patient_until)
        apr_sleep(FIRST_STEP);
    return queue || !lane ? queue : __atomic_load_n(&lane->queue, __ATOMIC_ACQUIRE);
}
