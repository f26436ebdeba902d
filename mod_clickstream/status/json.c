/* The status as JSON, and its health.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "status/forms.h"
#include "status/writer.h"

#define NUMBER(field) offsetof(cs_snapshot_t, field)
static const struct {
    const char *name;
    apr_size_t offset;
} numbers[] = {
    {"waiting", NUMBER(waiting)},
    {"waiting_bytes", NUMBER(waiting_bytes)},
    {"oldest_seconds", NUMBER(oldest_seconds)},
    {"used_percent", NUMBER(percent)},
    {"used_bytes", NUMBER(used)},
    {"capacity_bytes", NUMBER(capacity)},
    {"appended", NUMBER(appended)},
    {"delivered", NUMBER(delivered)},
    {"delivered_bytes", NUMBER(delivered_bytes)},
    {"records_delivered", NUMBER(records)},
    {"rejected", NUMBER(rejected)},
    {"lost", NUMBER(lost)},
    {"refused_total", NUMBER(refused)},
    {"opted_out", NUMBER(opted_out)},
    {"rejects_lost", NUMBER(rejects_lost)},
    {"batches", NUMBER(batches)},
    {"batches_failed", NUMBER(batches_failed)},
    {"retried", NUMBER(retried)},
    {"maybe_duplicates", NUMBER(maybe_twice)},
    {"sent_bytes", NUMBER(sent_bytes)},
    {"billed_bytes", NUMBER(billed_bytes)},
    {"owner_deaths", NUMBER(deaths)},
};

/* A number, or null where it says nothing. */
static void write_decimal(cs_writer_t *writer, const char *name, double number, int known)
{
    if (known)
        cs_write(writer, ",\"%s\":%.3f", name, number);
    else
        cs_write(writer, ",\"%s\":null", name);
}

static void write_time(cs_writer_t *writer, const char *name, apr_time_t time)
{
    cs_write(writer, "\"%s\":%s", name, cs_json_text(time ? cs_writer_time(time, writer->pool) : NULL, writer->pool));
}

static void write_latency(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    apr_uint64_t within = 0;

    cs_write(writer, ",\"latency\":{\"window_seconds\":%.3f", (double)snapshot->window / APR_USEC_PER_SEC);
    write_decimal(writer, "p50_seconds", snapshot->p50, snapshot->p50 >= 0);
    write_decimal(writer, "p99_seconds", snapshot->p99, snapshot->p99 >= 0);
    cs_write(writer, ",\"count\":%" APR_UINT64_T_FMT ",\"sum_seconds\":%.6f,\"buckets\":[", snapshot->latency_count,
             (double)snapshot->latency_sum / APR_USEC_PER_SEC);
    for (int i = 0; i < CS_LATENCY_BUCKETS; i++) {
        double bound = cs_latency_bound(i);
        within += snapshot->latency[i];
        cs_write(writer, "%s{\"within_seconds\":", i ? "," : "");
        if (bound >= 0)
            cs_write(writer, "%.2f", bound);
        else
            cs_write(writer, "null");
        cs_write(writer, ",\"count\":%" APR_UINT64_T_FMT "}", within);
    }
    cs_write(writer, "]}");
}

static void write_trouble(cs_writer_t *writer, const cs_trouble_t *trouble)
{
    if (!trouble->last) {
        cs_write(writer, ",\"last_error\":null");
        return;
    }
    cs_write(writer, ",\"last_error\":{");
    write_time(writer, "at", trouble->last);
    cs_write(writer, ",");
    write_time(writer, "since", trouble->since);
    cs_write(writer,
             ",\"failures\":%" APR_UINT64_T_FMT ",\"most_waiting\":%" APR_UINT64_T_FMT ",\"reason\":%s,\"advice\":%s}",
             trouble->failures, trouble->most_waiting, cs_json_text(trouble->reason, writer->pool),
             cs_json_text(trouble->advice, writer->pool));
}

/* Counted as in latency's buckets, and in their order. */
static void write_buckets(cs_writer_t *writer, const apr_uint64_t latency[CS_LATENCY_BUCKETS])
{
    apr_uint64_t within = 0;

    for (int i = 0; i < CS_LATENCY_BUCKETS; i++) {
        within += latency[i];
        cs_write(writer, "%s%" APR_UINT64_T_FMT, i ? "," : "", within);
    }
}

static void write_trend(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    cs_write(writer, ",\"trend\":[");
    for (int i = 0; i < snapshot->sampled; i++) {
        const cs_sample_t *sample = &snapshot->samples[i];
        cs_write(writer, "%s{", i ? "," : "");
        write_time(writer, "at", sample->at);
        cs_write(writer,
                 ",\"appended\":%" APR_UINT64_T_FMT ",\"delivered\":%" APR_UINT64_T_FMT
                 ",\"refused_total\":%" APR_UINT64_T_FMT ",\"retried\":%" APR_UINT64_T_FMT
                 ",\"waiting\":%" APR_UINT64_T_FMT ",\"used_bytes\":%" APR_UINT64_T_FMT ",\"latency\":[",
                 sample->accepted, sample->delivered, sample->refused, sample->retried, sample->waiting, sample->used);
        write_buckets(writer, sample->latency);
        cs_write(writer, "]}");
    }
    cs_write(writer, "]");
}

static void write_numbers(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    for (apr_size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (snapshot->state == CS_STATE_UNUSABLE)
            cs_write(writer, ",\"%s\":null", numbers[i].name);
        else
            cs_write(writer, ",\"%s\":%" APR_UINT64_T_FMT, numbers[i].name,
                     cs_snapshot_number(snapshot, numbers[i].offset));
    }
    write_decimal(writer, "events_per_record", cs_snapshot_events_per_record(snapshot), snapshot->records != 0);
    cs_write(writer, ",\"refused\":{");
    for (int i = 0; i < CS_REASON_COUNT; i++)
        cs_write(writer, "%s\"%s\":%" APR_UINT64_T_FMT, i ? "," : "", cs_reason_name((cs_reason_t)i),
                 snapshot->refusals[i]);
    cs_write(writer, "}");
}

/* What begins a stream's object in both documents. */
static void write_head(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    cs_write(writer, "{\"name\":%s,\"kind\":\"%s\",\"state\":\"%s\",\"healthy\":%s,\"why\":%s",
             cs_json_text(snapshot->stream->name, writer->pool), cs_snapshot_kind(snapshot),
             cs_state_name(snapshot->state), snapshot->why ? "false" : "true",
             cs_json_text(snapshot->why, writer->pool));
}

const char *cs_status_json(const cs_status_t *status, const char *queue_dir, apr_pool_t *pool)
{
    cs_writer_t writer = cs_writer_begin(pool);

    cs_write(&writer, "{\"version\":\"%s\",", PACKAGE_VERSION);
    write_time(&writer, "generated_at", status->now);
    if (queue_dir)
        cs_write(&writer, ",\"queue_dir\":%s", cs_json_text(queue_dir, pool));
    cs_write(&writer, ",\"streams\":[");
    for (int i = 0; i < status->streams->nelts; i++) {
        const cs_snapshot_t *snapshot = APR_ARRAY_IDX(status->streams, i, const cs_snapshot_t *);
        cs_write(&writer, i ? ",\n" : "\n");
        write_head(&writer, snapshot);
        write_numbers(&writer, snapshot);
        write_latency(&writer, snapshot);
        write_trouble(&writer, &snapshot->trouble);
        cs_write(&writer, ",");
        write_time(&writer, "sender_seen", snapshot->seen);
        write_trend(&writer, snapshot);
        cs_write(&writer, "}");
    }
    cs_write(&writer, "\n]}\n");
    return cs_writer_end(&writer);
}

const char *cs_status_health(int *healthy, const cs_status_t *status, apr_pool_t *pool)
{
    cs_writer_t writer = cs_writer_begin(pool);

    *healthy = 1;
    for (int i = 0; i < status->streams->nelts; i++)
        *healthy &= !APR_ARRAY_IDX(status->streams, i, const cs_snapshot_t *)->why;
    cs_write(&writer, "{\"healthy\":%s,\"streams\":[", *healthy ? "true" : "false");
    for (int i = 0; i < status->streams->nelts; i++) {
        cs_write(&writer, i ? ",\n" : "\n");
        write_head(&writer, APR_ARRAY_IDX(status->streams, i, const cs_snapshot_t *));
        cs_write(&writer, "}");
    }
    cs_write(&writer, "\n]}\n");
    return cs_writer_end(&writer);
}
