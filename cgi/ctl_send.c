/* clickstreamctl send: delivers what waits, each stream in a thread of its own, so that none waits for another.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>

#include "common/scoreboard.h"
#include "ctl.h"
#include "deliver/http.h"
#include "deliver/sender.h"

/* One stream. */
typedef struct lane_t {
    const ctl_t *ctl;
    const cs_stream_t *stream;
    cs_queue_t *queue; /* NULL: there is none, and so nothing waits */
    apr_pool_t *pool;  /* the thread's own */
    pthread_t thread;
    int running;
    apr_status_t status;
} lane_t;

static int stop;

static void stop_by_signal(int number)
{
    (void)number;
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
}

static void *drain(void *data)
{
    lane_t *lane = data;

    lane->status = cs_sender_drain(&(cs_sender_options_t){.queue = lane->queue,
                                                          .stream = lane->stream,
                                                          .directory = lane->ctl->server.queue_dir,
                                                          .group = lane->ctl->server.queue_group,
                                                          .log = lane->ctl->log,
                                                          .stop = &stop,
                                                          .pool = lane->pool},
                                   lane->ctl->patience, lane->ctl->stay);
    return NULL;
}

/* From pthread_create() on the status is the thread's. */
static void start_lane(lane_t *lane)
{
    cs_queue_options_t options = ctl_queue_options(lane->ctl, lane->stream, 1);
    apr_status_t status = cs_queue_open(&lane->queue, &options, lane->ctl->log);

    lane->status = APR_STATUS_IS_ENOENT(status) ? APR_SUCCESS : APR_EGENERAL;
    if (status != APR_SUCCESS)
        return;
    lane->running = (lane->pool = cs_sender_pool()) && pthread_create(&lane->thread, NULL, drain, lane) == 0;
    if (!lane->running)
        ctl_complain("stream %s: there is no memory for its sender", lane->stream->name);
}

/* The exit status that this stream asks for. */
static int result_of(const lane_t *lane)
{
    cs_queue_stats_t stats = {.waiting = 0};
    cs_trouble_t trouble;

    if (lane->status == APR_SUCCESS || lane->status == APR_EBUSY)
        return EX_OK;
    if (!lane->running || cs_queue_stats(&stats, lane->queue) != APR_SUCCESS || !APR_STATUS_IS_TIMEUP(lane->status))
        return EX_UNAVAILABLE; /* what is wrong has been logged */
    trouble = cs_scoreboard_trouble(cs_queue_board(lane->queue));
    if (lane->ctl->stay && !trouble.since) /* all is well, and more has come than there was time for */
        return EX_OK;
    ctl_complain("stream %s: %" APR_UINT64_T_FMT " events still wait%s%s%s%s; they are kept, and sent the next time",
                 lane->stream->name, stats.waiting, trouble.since ? ": " : "", trouble.since ? trouble.reason : "",
                 trouble.since ? "; " : "", trouble.since ? trouble.advice : "");
    return EX_TEMPFAIL;
}

static int end_lane(lane_t *lane)
{
    int result;

    if (lane->running)
        pthread_join(lane->thread, NULL);
    result = result_of(lane);
    if (lane->queue)
        cs_queue_close(lane->queue);
    if (lane->pool)
        apr_pool_destroy(lane->pool);
    return result;
}

/* The signals that end us are for this thread alone; whoever waits for them only waits for the others. SIGBUS is for
 * whom it strikes: see queue/guard.c. */
static void start_lanes(lane_t *lanes, int count)
{
    static const int ending[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action;
    sigset_t all, before;

    memset(&action, 0, sizeof(action));
    action.sa_handler = stop_by_signal;
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        sigaction(ending[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* of a connection that the other side closed */
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < count; i++)
        start_lane(&lanes[i]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int ctl_send(ctl_t *ctl)
{
    int result = ctl_begin(ctl);
    apr_array_header_t *streams;
    lane_t *lanes;

    if (result != EX_OK)
        return result;
    if (!(streams = ctl_streams(ctl, ctl->argument)))
        return EX_USAGE;
    if (cs_http_startup() != APR_SUCCESS) {
        ctl_complain("libcurl cannot be started: look at its installation and OpenSSL's");
        return EX_SOFTWARE;
    }
    lanes = apr_pcalloc(ctl->pool, (apr_size_t)streams->nelts * sizeof(*lanes));
    for (int i = 0; i < streams->nelts; i++)
        lanes[i] = (lane_t){.ctl = ctl, .stream = APR_ARRAY_IDX(streams, i, const cs_stream_t *)};
    start_lanes(lanes, streams->nelts);
    for (int i = 0; i < streams->nelts; i++) {
        int asked = end_lane(&lanes[i]);
        result = asked == EX_OK || result == EX_UNAVAILABLE ? result : asked;
    }
    cs_http_cleanup();
    return result;
}
