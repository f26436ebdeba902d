/* The status for Prometheus ("Exposition formats", text-based format 0.0.4): all that is said of a metric stands
 * together, one line for each stream.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "status/forms.h"
#include "status/writer.h"

/* What each stream has one number for. */
#define NUMBER(field) offsetof(cs_snapshot_t, field)
static const struct {
    const char *name, *type, *help;
    apr_size_t offset;
    int sink; /* that has it, or CS_SINK_ANY */
} numbers[] = {
    {"clickstream_events_accepted_total", "counter", "Events that were queued.", NUMBER(appended), CS_SINK_ANY},
    {"clickstream_events_delivered_total", "counter", "Events that the destination took.", NUMBER(delivered),
     CS_SINK_ANY},
    {"clickstream_events_retried_total", "counter", "Events that are sent once more.", NUMBER(retried), CS_SINK_ANY},
    {"clickstream_events_rejected_total", "counter", "Events that the destination will never take, in NAME.rejected.",
     NUMBER(rejected), CS_SINK_ANY},
    {"clickstream_events_lost_total", "counter", "Queued events that went with a loss of power or a damaged disk.",
     NUMBER(lost), CS_SINK_ANY},
    {"clickstream_events_maybe_duplicated_total", "counter",
     "Events that were sent once more although the destination may have them.", NUMBER(maybe_twice), CS_SINK_ANY},
    {"clickstream_events_opted_out_total", "counter", "Events that were not kept, by ClickstreamOptOut drop.",
     NUMBER(opted_out), CS_SINK_ANY},
    {"clickstream_refused_events_lost_total", "counter",
     "Refused events that the stream of ClickstreamRejectTo could not keep.", NUMBER(rejects_lost), CS_SINK_ANY},
    {"clickstream_records_delivered_total", "counter", "Records that the destination took.", NUMBER(records),
     CS_SINK_ANY},
    {"clickstream_batches_total", "counter", "Attempts to send a batch, whatever became of them.", NUMBER(batches),
     CS_SINK_ANY},
    {"clickstream_batches_failed_total", "counter", "Batches of which nothing was taken.", NUMBER(batches_failed),
     CS_SINK_ANY},
    {"clickstream_delivered_bytes_total", "counter", "Bytes of the events that the destination took.",
     NUMBER(delivered_bytes), CS_SINK_ANY},
    {"clickstream_sent_bytes_total", "counter", "Bytes of the records that the destination took.", NUMBER(sent_bytes),
     CS_SINK_ANY},
    {"clickstream_billed_bytes_total", "counter", "The same as Firehose bills it, each record rounded up to 5 KiB.",
     NUMBER(billed_bytes), CS_SINK_FIREHOSE},
    {"clickstream_lock_takeovers_total", "counter", "Locks of the queue that were taken over from a dead process.",
     NUMBER(deaths), CS_SINK_ANY},
    {"clickstream_queue_events", "gauge", "Events that wait.", NUMBER(waiting), CS_SINK_ANY},
    {"clickstream_queue_used_bytes", "gauge", "Bytes of the queue that are in use.", NUMBER(used), CS_SINK_ANY},
    {"clickstream_queue_capacity_bytes", "gauge", "Bytes that the queue holds.", NUMBER(capacity), CS_SINK_ANY},
};

/* What each stream has one time for. */
static double oldest_age(const cs_snapshot_t *snapshot)
{
    return (double)snapshot->oldest / APR_USEC_PER_SEC;
}

static double trouble_lasts(const cs_snapshot_t *snapshot)
{
    apr_time_t since = snapshot->trouble.since;

    return since && snapshot->now > since ? (double)(snapshot->now - since) / APR_USEC_PER_SEC : 0;
}

static double last_failure(const cs_snapshot_t *snapshot)
{
    return (double)snapshot->trouble.last / APR_USEC_PER_SEC;
}

static double sender_seen(const cs_snapshot_t *snapshot)
{
    return (double)snapshot->seen / APR_USEC_PER_SEC;
}

static const struct {
    const char *name, *help;
    double (*value)(const cs_snapshot_t *snapshot);
} times[] = {
    {"clickstream_oldest_event_age_seconds", "How long the oldest event has waited; 0: none waits.", oldest_age},
    {"clickstream_trouble_seconds", "How long deliveries have been failing; 0: they are not.", trouble_lasts},
    {"clickstream_last_failure_timestamp_seconds", "When a delivery failed last; 0: never.", last_failure},
    {"clickstream_sender_seen_timestamp_seconds", "When the sender was last at work; 0: never.", sender_seen},
};

static void begin(cs_writer_t *writer, const char *name, const char *type, const char *help)
{
    cs_write(writer, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const cs_snapshot_t *stream_at(const cs_status_t *status, int i)
{
    return APR_ARRAY_IDX(status->streams, i, const cs_snapshot_t *);
}

/* A stream whose numbers say nothing has none: a counter that falls to 0 would count twice when it is back. */
static const cs_snapshot_t *numbers_at(const cs_status_t *status, int i)
{
    const cs_snapshot_t *snapshot = stream_at(status, i);

    return cs_snapshot_has_numbers(snapshot) ? snapshot : NULL;
}

static void write_numbers(cs_writer_t *writer, const cs_status_t *status)
{
    for (apr_size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        begin(writer, numbers[i].name, numbers[i].type, numbers[i].help);
        for (int j = 0; j < status->streams->nelts; j++) {
            const cs_snapshot_t *snapshot = numbers_at(status, j);
            if (snapshot && (numbers[i].sink == CS_SINK_ANY || numbers[i].sink == snapshot->stream->sink))
                cs_write(writer, "%s{stream=\"%s\"} %" APR_UINT64_T_FMT "\n", numbers[i].name, snapshot->stream->name,
                         cs_snapshot_number(snapshot, numbers[i].offset));
        }
    }
}

static void write_times(cs_writer_t *writer, const cs_status_t *status)
{
    for (apr_size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        begin(writer, times[i].name, "gauge", times[i].help);
        for (int j = 0; j < status->streams->nelts; j++) {
            const cs_snapshot_t *snapshot = numbers_at(status, j);
            if (snapshot)
                cs_write(writer, "%s{stream=\"%s\"} %.3f\n", times[i].name, snapshot->stream->name,
                         times[i].value(snapshot));
        }
    }
}

static void write_refused(cs_writer_t *writer, const cs_status_t *status)
{
    begin(writer, "clickstream_events_refused_total", "counter", "Events, or unread requests, that were not queued.");
    for (int i = 0; i < status->streams->nelts; i++) {
        const cs_snapshot_t *snapshot = numbers_at(status, i);
        for (int reason = 0; snapshot && reason < CS_REASON_COUNT; reason++)
            cs_write(writer, "clickstream_events_refused_total{stream=\"%s\",reason=\"%s\"} %" APR_UINT64_T_FMT "\n",
                     snapshot->stream->name, cs_reason_name((cs_reason_t)reason), snapshot->refusals[reason]);
    }
}

static void write_latency(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    const char *name = snapshot->stream->name;
    apr_uint64_t within = 0;

    for (int i = 0; i < CS_LATENCY_BUCKETS - 1; i++) {
        const char *zero = cs_latency_bound(i) < 1 ? "0" : ""; /* APR's %g leaves it out */
        within += snapshot->latency[i];
        cs_write(writer,
                 "clickstream_delivery_latency_seconds_bucket{stream=\"%s\",le=\"%s%g\"} %" APR_UINT64_T_FMT "\n", name,
                 zero, cs_latency_bound(i), within);
    }
    cs_write(writer,
             "clickstream_delivery_latency_seconds_bucket{stream=\"%s\",le=\"+Inf\"} %" APR_UINT64_T_FMT "\n"
             "clickstream_delivery_latency_seconds_sum{stream=\"%s\"} %.6f\n"
             "clickstream_delivery_latency_seconds_count{stream=\"%s\"} %" APR_UINT64_T_FMT "\n",
             name, snapshot->latency_count, name, (double)snapshot->latency_sum / APR_USEC_PER_SEC, name,
             snapshot->latency_count);
}

/* These are known of every stream. */
static void write_states(cs_writer_t *writer, const cs_status_t *status)
{
    begin(writer, "clickstream_stream_healthy", "gauge", "1: healthy, by the rule of ClickstreamHealthAge; 0: not.");
    for (int i = 0; i < status->streams->nelts; i++)
        cs_write(writer, "clickstream_stream_healthy{stream=\"%s\"} %d\n", stream_at(status, i)->stream->name,
                 !stream_at(status, i)->why);
    begin(writer, "clickstream_stream_state", "gauge", "1 for the state that the stream is in, 0 for the others.");
    for (int i = 0; i < status->streams->nelts; i++) {
        for (int state = 0; state < CS_STATE_COUNT; state++)
            cs_write(writer, "clickstream_stream_state{stream=\"%s\",state=\"%s\"} %d\n",
                     stream_at(status, i)->stream->name, cs_state_name((cs_state_t)state),
                     state == (int)stream_at(status, i)->state);
    }
}

const char *cs_status_prometheus(const cs_status_t *status, apr_pool_t *pool)
{
    cs_writer_t writer = cs_writer_begin(pool);

    begin(&writer, "clickstream_build_info", "gauge", "1; the version that runs is its label.");
    cs_write(&writer, "clickstream_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
    write_states(&writer, status);
    write_numbers(&writer, status);
    write_times(&writer, status);
    write_refused(&writer, status);
    begin(&writer, "clickstream_delivery_latency_seconds", "histogram",
          "From an event's acceptance until the destination took it.");
    for (int i = 0; i < status->streams->nelts; i++) {
        if (numbers_at(status, i))
            write_latency(&writer, numbers_at(status, i));
    }
    return cs_writer_end(&writer);
}
