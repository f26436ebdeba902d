/* The sender of a stream.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/sender.h"

#include <apr_allocator.h>
#include <apr_strings.h>

#include "common/metrics.h"
#include "deliver/batch.h"
#include "deliver/report.h"
#include "deliver/settler.h"
#include "deliver/sink.h"

/* How often the queue is looked at while it is empty, and while a batch fills. */
#define POLL_IDLE apr_time_from_msec(200)
#define POLL_FILLING apr_time_from_msec(25)
#define POLL_LEAST apr_time_from_msec(5)
/* How often the queue's file is looked at. */
#define LOOK_INTERVAL apr_time_from_msec(200)
/* Records read from the queue at once. */
#define CHUNK 64
/* Events that a batch has room for from the beginning, at the least. */
#define ROOM_LEAST 64
/* Who drains leaves a queue whose file is replaced meanwhile to those who would move what is in it: in this time they
 * look at least once. */
#define YIELD_TIME apr_time_from_sec(1)
/* Batches that may wait to be sent again before no new ones are begun, for each that may be under way. */
#define RETRIES_PER_SLOT 4

/* How one who drains ends; all 0: never, it delivers for ever. */
typedef struct drain_t {
    apr_time_t until;
    apr_interval_time_t stay; /* at an empty queue */
    apr_time_t stay_until;    /* but not beyond that */
    int replaced;             /* the queue's file was no longer in its place when it began */
} drain_t;

typedef struct sender_t {
    const cs_sender_options_t *options;
    cs_queue_t *queue;
    cs_sink_t *sink;
    apr_pool_t *pool;
    drain_t drain;
    apr_time_t empty_since; /* 0: it is not, or was not yet */
    int stays;              /* who drains has seen it empty, and is still there */

    apr_uint64_t cursor; /* in the queue: what comes behind it is in no batch yet */
    cs_batch_t *open;    /* being filled; NULL: none */
    int open_full;
    int retried; /* the last one that was sent had failed before */
    int usual; /* the room that the next one begins with, as the last one had it: an array that grows leaves a second */
    apr_time_t open_until; /* when it has lingered */
    int under_way;
    apr_time_t look_at; /* the queue's file, for the next time */

    cs_settler_t settler;
    cs_report_t report;
} sender_t;

apr_pool_t *cs_sender_pool(void)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    if (apr_allocator_create(&allocator) != APR_SUCCESS ||
        apr_pool_create_unmanaged_ex(&pool, NULL, allocator) != APR_SUCCESS)
        return NULL;
    apr_allocator_owner_set(allocator, pool);
    return pool;
}

static int stopping(const sender_t *sender)
{
    return __atomic_load_n(sender->options->stop, __ATOMIC_ACQUIRE) ||
           (sender->drain.until && cs_monotonic() >= sender->drain.until);
}

/* Whether the queue is not worth staying: it is broken, or its file is no longer in its place. Who drains delivers what
 * is in it all the same, but lets those go first who would move it. */
static int is_over(sender_t *sender)
{
    apr_time_t now = cs_monotonic();

    if (cs_queue_is_broken(sender->queue))
        return 1;
    if (sender->drain.replaced || now < sender->look_at)
        return 0;
    sender->look_at = now + LOOK_INTERVAL;
    return cs_queue_look(sender->queue) != CS_QUEUE_SOUND;
}

static apr_uint64_t waiting(sender_t *sender)
{
    cs_queue_stats_t stats;

    return cs_queue_stats(&stats, sender->queue) == APR_SUCCESS ? stats.waiting : 0;
}

static void batch_done(void *to, cs_batch_t *batch, const cs_sink_result_t *result)
{
    sender_t *sender = to;
    int events = batch->events->nelts;

    sender->under_way--;
    cs_queue_count(sender->queue, CS_METRIC_BATCHES, 1);
    cs_settler_settle(&sender->settler, batch, result);
    cs_report_settled(&sender->report, events);
}

/* --- filling and sending --- */

static apr_interval_time_t linger(const sender_t *sender)
{
    return sender->drain.until && !sender->stays ? 0 : sender->options->stream->linger;
}

/* Adds what the queue has to the open batch. */
static void fill(sender_t *sender)
{
    cs_queue_record_t records[CHUNK];
    int count = CHUNK;

    while (!sender->open_full && count == CHUNK) {
        count = cs_queue_read(records, CHUNK, sender->queue, &sender->cursor);
        if (count && !sender->open) {
            sender->open = cs_batch_create(&sender->sink->limits, sender->usual, sender->pool);
            sender->open_until = cs_monotonic() + linger(sender);
        }
        for (int i = 0; i < count; i++) {
            cs_batch_event_t event = {
                .id = records[i].position, .data = records[i].data, .queued_at = records[i].queued_at};
            if (cs_batch_add(sender->open, &sender->sink->limits, event))
                continue;
            sender->cursor = event.id; /* the next batch begins with it */
            sender->open_full = 1;
            break;
        }
    }
}

static int slots(const sender_t *sender)
{
    return sender->settler.failures ? 1 : sender->sink->concurrency;
}

static int may_begin(const sender_t *sender)
{
    return sender->settler.waiting < RETRIES_PER_SLOT * slots(sender);
}

/* A new batch, when it is full or has lingered, or NULL. */
static cs_batch_t *new_batch(sender_t *sender, apr_time_t now)
{
    cs_batch_t *batch;

    if (!may_begin(sender))
        return NULL;
    fill(sender);
    if (!sender->open || (!sender->open_full && now < sender->open_until))
        return NULL;
    batch = sender->open;
    sender->usual = batch->events->nelts + ROOM_LEAST;
    sender->open = NULL;
    sender->open_full = 0;
    return batch;
}

/* The next batch whose time has come, or NULL. New ones and those that failed take turns: one that always fails must
 * not be the probe each time, or nothing else would ever be sent. But while nobody is there the oldest one is. */
static cs_batch_t *next_batch(sender_t *sender, apr_time_t now)
{
    cs_batch_t *batch = sender->retried && !sender->settler.unsent ? new_batch(sender, now) : NULL;

    sender->retried = !batch && (batch = cs_settler_due(&sender->settler, now));
    return batch ? batch : new_batch(sender, now);
}

static void send_what_is_due(sender_t *sender)
{
    cs_batch_t *batch;
    apr_time_t now = cs_monotonic();

    while (now >= sender->settler.not_before && sender->under_way < slots(sender) &&
           (batch = next_batch(sender, now))) {
        sender->under_way++;
        cs_report_sent(&sender->report, batch->events->nelts);
        sender->sink->send(sender->sink, batch);
        if (stopping(sender) || cs_queue_look(sender->queue) == CS_QUEUE_BROKEN)
            break;
    }
}

/* A sink that holds batches back must neither hold the whole queue nor keep a probe waiting. When we drain, all that
 * there is has been sent to it by now. */
static void relieve(sender_t *sender)
{
    cs_queue_stats_t stats;

    if (!sender->under_way || cs_queue_stats(&stats, sender->queue) != APR_SUCCESS)
        return;
    if (sender->drain.until || sender->settler.failures || stats.used > stats.capacity / 2)
        sender->sink->flush(sender->sink);
}

/* How long the sink may go on before we look at the queue again. */
static apr_interval_time_t pause_for(const sender_t *sender)
{
    apr_interval_time_t most = sender->open || sender->settler.waiting ? POLL_FILLING : POLL_IDLE;
    apr_interval_time_t held = sender->settler.not_before - cs_monotonic();

    if (held > 0)
        most = held < POLL_IDLE ? held : POLL_IDLE;
    else if (linger(sender) / 4 < most)
        most = linger(sender) / 4;
    return most > POLL_LEAST ? most : POLL_LEAST;
}

/* Whether who drains goes on. */
static int has_work(sender_t *sender)
{
    apr_time_t now = cs_monotonic();
    int empty = !waiting(sender);

    if (!empty)
        sender->empty_since = 0;
    else if (!sender->empty_since)
        sender->empty_since = now;
    sender->stays = now < sender->drain.stay_until && (sender->stays || empty);
    return !empty || (sender->stays && now - sender->empty_since < sender->drain.stay);
}

/* We are the sender: for ever, or until nothing waits. */
static void deliver(sender_t *sender)
{
    apr_time_t until;

    cs_queue_advance(sender->queue); /* over what a sender settled that died before it came to this */
    while (!stopping(sender) && !is_over(sender) && (!sender->drain.until || has_work(sender))) {
        cs_report_at_work(&sender->report, apr_time_now());
        send_what_is_due(sender);
        if (cs_queue_is_broken(sender->queue))
            return; /* what was made of zeros has not left yet: a sink sends in poll() */
        relieve(sender);
        sender->sink->poll(sender->sink, pause_for(sender));
    }
    until = cs_monotonic() + CS_SENDER_PATIENCE;
    while (sender->under_way && cs_monotonic() < until) {
        sender->sink->flush(sender->sink);
        sender->sink->poll(sender->sink, POLL_FILLING);
    }
}

static apr_status_t be_sender(const cs_sender_options_t *options, drain_t drain)
{
    sender_t sender = {.options = options, .queue = options->queue, .usual = ROOM_LEAST, .drain = drain};
    cs_sink_create_t *create =
        options->stream->sink == CS_SINK_FIREHOSE ? cs_sink_firehose_create : cs_sink_file_create;
    apr_status_t status;

    apr_pool_create(&sender.pool, options->pool);
    sender.report = cs_report_begin(options->queue, options->stream->name, options->log);
    status = create(&sender.sink, &(cs_sink_options_t){.stream = options->stream,
                                                       .log = options->log,
                                                       .halt = {.stop = options->stop, .until = drain.until},
                                                       .done = batch_done,
                                                       .to = &sender,
                                                       .pool = sender.pool});
    if (status == APR_SUCCESS) {
        sender.settler = (cs_settler_t){
            .queue = sender.queue,
            .sink = sender.sink,
            .report = &sender.report,
            .rejected_path =
                apr_pstrcat(sender.pool, options->directory, "/", options->stream->name, ".rejected", NULL),
            .group = options->group,
            .pool = sender.pool,
        };
        cs_settler_begin(&sender.settler);
        deliver(&sender);
        sender.sink->destroy(sender.sink);
    }
    apr_pool_destroy(sender.pool);
    return status;
}

/* Is the sender if it can become it within `wait`; APR_TIMEUP: another is. */
static apr_status_t compete(const cs_sender_options_t *options, apr_interval_time_t wait, drain_t drain)
{
    apr_status_t status = cs_queue_sender_lock(options->queue, wait);

    if (status != APR_SUCCESS)
        return status;
    cs_log(options->log, CS_LOG_DEBUG, APR_SUCCESS, "stream %s: this is its sender now", options->stream->name);
    status = be_sender(options, drain);
    cs_log(options->log, CS_LOG_DEBUG, APR_SUCCESS, "stream %s: this is no longer its sender", options->stream->name);
    cs_queue_sender_unlock(options->queue);
    return status;
}

void cs_sender_run(const cs_sender_options_t *options)
{
    while (!__atomic_load_n(options->stop, __ATOMIC_ACQUIRE) && cs_queue_look(options->queue) == CS_QUEUE_SOUND) {
        apr_status_t status = compete(options, CS_SENDER_NOTICE, (drain_t){.until = 0});
        if (cs_queue_look(options->queue) == CS_QUEUE_SOUND && status != APR_SUCCESS && !APR_STATUS_IS_TIMEUP(status)) {
            cs_log(options->log, CS_LOG_ERROR, status,
                   "stream %s: its queue cannot be locked, so nothing is delivered; trying again: move it aside if "
                   "this goes on",
                   options->stream->name);
            apr_sleep(CS_SENDER_NOTICE);
        }
    }
}

apr_status_t cs_sender_drain(const cs_sender_options_t *options, apr_interval_time_t patience, apr_interval_time_t stay)
{
    apr_time_t now = cs_monotonic();
    drain_t drain = {.until = now + patience, .stay = stay, .stay_until = now + patience / 4 * 3};
    cs_queue_stats_t stats;
    apr_status_t status;

    while ((status = cs_queue_stats(&stats, options->queue)) == APR_SUCCESS && stats.waiting) {
        if (__atomic_load_n(options->stop, __ATOMIC_ACQUIRE) || cs_monotonic() >= drain.until)
            return APR_TIMEUP;
        drain.replaced = cs_queue_look(options->queue) == CS_QUEUE_REPLACED;
        status = compete(options, 0, drain);
        if (status != APR_SUCCESS)
            return APR_STATUS_IS_TIMEUP(status) ? APR_EBUSY : status;
        if (!drain.replaced && cs_queue_look(options->queue) == CS_QUEUE_REPLACED)
            apr_sleep(YIELD_TIME);
    }
    return status;
}
