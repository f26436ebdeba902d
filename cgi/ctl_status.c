/* clickstreamctl status: each stream's queue in a line for people, or all there is to know as JSON.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "collect/reason.h"
#include "common/metrics.h"
#include "common/text.h"
#include "ctl.h"

/* Where events that wait are late, and a queue is full: the operator should look. */
#define LATE apr_time_from_sec(60)
#define FULL 95 /* percent */

typedef enum { NO_QUEUE, IDLE, BUSY, IS_LATE, IS_FULL, UNUSABLE } state_t;
static const struct {
    const char *name, *text; /* in JSON, and for people */
} states[] = {{"no_queue", "no queue yet"}, {"idle", "idle"}, {"busy", "busy"}, {"late", "late"}, {"full", "full"},
              {"unusable", "unusable"}};

typedef struct line_t {
    const cs_stream_t *stream;
    state_t state;
    apr_uint64_t waiting, waiting_bytes, oldest, percent, capacity, used;
    apr_uint64_t appended, delivered, delivered_bytes, rejected, lost, refused;
    apr_uint64_t batches, failed, retried, records, deaths;
    apr_uint64_t refusals[CS_REASON_COUNT];
} line_t;

/* How people read a number. */
typedef enum { COUNT, BYTES, SECONDS, PERCENT } unit_t;

/* The numbers, in the order of their columns; the names are promised in the man page. */
static const struct {
    const char *name, *column; /* NULL: not for people */
    unit_t unit;
    size_t offset;
} numbers[] = {
    {"waiting", "WAITING", COUNT, offsetof(line_t, waiting)},
    {"waiting_bytes", "BYTES", BYTES, offsetof(line_t, waiting_bytes)},
    {"oldest_seconds", "OLDEST", SECONDS, offsetof(line_t, oldest)},
    {"used_percent", "FULL", PERCENT, offsetof(line_t, percent)},
    {"used_bytes", NULL, BYTES, offsetof(line_t, used)},
    {"capacity_bytes", NULL, BYTES, offsetof(line_t, capacity)},
    {"appended", "APPENDED", COUNT, offsetof(line_t, appended)},
    {"delivered", "DELIVERED", COUNT, offsetof(line_t, delivered)},
    {"delivered_bytes", NULL, BYTES, offsetof(line_t, delivered_bytes)},
    {"records_delivered", NULL, COUNT, offsetof(line_t, records)},
    {"rejected", "REJECTED", COUNT, offsetof(line_t, rejected)},
    {"lost", "LOST", COUNT, offsetof(line_t, lost)},
    {"refused_total", "REFUSED", COUNT, offsetof(line_t, refused)},
    {"batches", "BATCHES", COUNT, offsetof(line_t, batches)},
    {"batches_failed", "FAILED", COUNT, offsetof(line_t, failed)},
    {"retried", "RETRIED", COUNT, offsetof(line_t, retried)},
    {"owner_deaths", NULL, COUNT, offsetof(line_t, deaths)},
};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))
#define COLUMNS (3 + NUMBERS) /* the first three are words */

static apr_uint64_t number_of(const line_t *line, size_t i)
{
    apr_uint64_t number;

    memcpy(&number, (const char *)line + numbers[i].offset, sizeof(number));
    return number;
}

static state_t state_of(const line_t *line)
{
    const cs_stream_t *stream = line->stream;
    apr_interval_time_t held = stream->linger + (stream->sink == CS_SINK_FILE ? stream->interval : 0);

    if (line->percent >= FULL)
        return IS_FULL;
    if (!line->waiting)
        return IDLE;
    return apr_time_from_sec((apr_time_t)line->oldest) > LATE + held ? IS_LATE : BUSY;
}

static void fill_line(line_t *line, const cs_queue_stats_t *stats, cs_queue_t *queue)
{
    apr_time_t age = stats->oldest ? apr_time_now() - stats->oldest : 0;

    line->waiting = stats->waiting;
    line->waiting_bytes = stats->waiting_bytes;
    line->oldest = stats->waiting && age > 0 ? (apr_uint64_t)apr_time_sec(age) : 0;
    line->used = (apr_uint64_t)stats->used;
    line->capacity = (apr_uint64_t)stats->capacity;
    line->percent = line->used * 100 / line->capacity;
    line->appended = stats->appended;
    line->delivered = stats->delivered;
    line->delivered_bytes = stats->delivered_bytes;
    line->rejected = stats->rejected;
    line->lost = stats->lost;
    line->deaths = stats->owner_deaths;
    for (int i = 0; i < CS_REASON_COUNT; i++) {
        line->refusals[i] = cs_queue_counted(queue, CS_METRIC_REFUSED + i);
        line->refused += line->refusals[i];
    }
    line->batches = cs_queue_counted(queue, CS_METRIC_BATCHES);
    line->failed = cs_queue_counted(queue, CS_METRIC_BATCHES_FAILED);
    line->retried = cs_queue_counted(queue, CS_METRIC_EVENTS_RETRIED);
    line->records = cs_queue_counted(queue, CS_METRIC_RECORDS_DELIVERED);
    line->state = state_of(line);
}

static line_t look_at(const ctl_t *ctl, const cs_stream_t *stream)
{
    line_t line = {.stream = stream, .state = NO_QUEUE};
    cs_queue_options_t options = ctl_queue_options(ctl, stream, 1);
    cs_queue_stats_t stats;
    cs_queue_t *queue;
    apr_status_t status = cs_queue_open(&queue, &options, ctl->log);

    if (APR_STATUS_IS_ENOENT(status))
        return line;
    line.state = UNUSABLE;
    if (status != APR_SUCCESS)
        return line;
    if (cs_queue_stats(&stats, queue) == APR_SUCCESS)
        fill_line(&line, &stats, queue);
    cs_queue_close(queue);
    return line;
}

static const char *kind_of(const line_t *line)
{
    return line->stream->sink == CS_SINK_FIREHOSE ? "firehose" : "file";
}

/* --- JSON --- */

static void print_line_as_json(const line_t *line)
{
    /* a stream's name has no character that JSON quotes */
    printf("{\"name\":\"%s\",\"kind\":\"%s\",\"state\":\"%s\"", line->stream->name, kind_of(line),
           states[line->state].name);
    for (size_t i = 0; i < NUMBERS; i++)
        printf(",\"%s\":%" APR_UINT64_T_FMT, numbers[i].name, number_of(line, i));
    printf(",\"refused\":{");
    for (int i = 0; i < CS_REASON_COUNT; i++)
        printf("%s\"%s\":%" APR_UINT64_T_FMT, i ? "," : "", cs_reason_name((cs_reason_t)i), line->refusals[i]);
    printf("}}");
}

static void print_json(const ctl_t *ctl, const line_t *lines, int count)
{
    cs_span_t directory = {ctl->server.queue_dir, strlen(ctl->server.queue_dir)};
    char *quoted = apr_palloc(ctl->pool, CS_QUOTED(directory.length) + 1);

    *cs_text_quote(quoted, directory) = '\0';
    printf("{\"queue_dir\":%s,\"streams\":[", quoted);
    for (int i = 0; i < count; i++) {
        fputs(i ? "," : "", stdout);
        print_line_as_json(&lines[i]);
    }
    printf("]}\n");
}

/* --- the table --- */

/* 5 digits at the most, in the largest unit that keeps two of them. */
static const char *readable(apr_uint64_t number, unit_t unit, apr_pool_t *pool)
{
    static const struct {
        const char *suffix;
        apr_uint64_t size;
    } sizes[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}},
      times[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    int i = 3;

    if (unit == COUNT || unit == PERCENT)
        return apr_psprintf(pool, "%" APR_UINT64_T_FMT "%s", number, unit == PERCENT ? "%" : "");
    if (unit == BYTES) {
        while (i && number < 10 * sizes[i].size)
            i--;
        return apr_psprintf(pool, "%" APR_UINT64_T_FMT "%s", number / sizes[i].size, sizes[i].suffix);
    }
    while (i && number < 2 * times[i].size)
        i--;
    return apr_psprintf(pool, "%" APR_UINT64_T_FMT "%s", number / times[i].size, times[i].suffix);
}

/* A row of the table, or its head where `line` is NULL. */
static void fill_row(const char *row[COLUMNS], const line_t *line, apr_pool_t *pool)
{
    int empty = line && (line->state == NO_QUEUE || line->state == UNUSABLE);

    row[0] = line ? line->stream->name : "STREAM";
    row[1] = line ? kind_of(line) : "KIND";
    row[2] = line ? states[line->state].text : "STATE";
    for (size_t i = 0; i < NUMBERS; i++) {
        row[3 + i] = numbers[i].column;
        if (numbers[i].column && line)
            row[3 + i] = empty ? "-" : readable(number_of(line, i), numbers[i].unit, pool);
    }
}

static void print_table(const ctl_t *ctl, const line_t *lines, int count)
{
    const char *(*rows)[COLUMNS] = apr_palloc(ctl->pool, (apr_size_t)(count + 1) * sizeof(*rows));
    int widths[COLUMNS] = {0};

    for (int i = 0; i <= count; i++) {
        fill_row(rows[i], i ? &lines[i - 1] : NULL, ctl->pool);
        for (size_t j = 0; j < COLUMNS; j++) {
            if (rows[i][j] && (int)strlen(rows[i][j]) > widths[j])
                widths[j] = (int)strlen(rows[i][j]);
        }
    }
    for (int i = 0; i <= count; i++) {
        for (size_t j = 0; j < COLUMNS; j++) {
            if (rows[i][j]) /* words to the left, numbers to the right */
                printf("%s%*s", j ? "  " : "", j < 3 ? -widths[j] : widths[j], rows[i][j]);
        }
        printf("\n");
    }
}

int ctl_status(ctl_t *ctl)
{
    int result = ctl_begin(ctl);
    apr_array_header_t *streams;
    line_t *lines;

    if (result != EX_OK)
        return result;
    if (!(streams = ctl_streams(ctl, ctl->argument)))
        return EX_USAGE;
    lines = apr_palloc(ctl->pool, (apr_size_t)streams->nelts * sizeof(*lines));
    for (int i = 0; i < streams->nelts; i++) {
        lines[i] = look_at(ctl, APR_ARRAY_IDX(streams, i, const cs_stream_t *));
        if (lines[i].state == UNUSABLE)
            result = EX_UNAVAILABLE;
    }
    if (ctl->json)
        print_json(ctl, lines, streams->nelts);
    else
        print_table(ctl, lines, streams->nelts);
    return result;
}
