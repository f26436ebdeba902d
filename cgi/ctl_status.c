/* clickstreamctl status: each stream's queue in a line for people, or all there is to know as JSON.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "ctl.h"
#include "status/forms.h"

/* How people read a number. */
typedef enum { COUNT, BYTES, SECONDS, PERCENT } unit_t;

/* The numbers for people, in the order of their columns. */
#define NUMBER(field) offsetof(cs_snapshot_t, field)
static const struct {
    const char *column;
    unit_t unit;
    apr_size_t offset;
} numbers[] = {
    {"WAITING", COUNT, NUMBER(waiting)},         {"BYTES", BYTES, NUMBER(waiting_bytes)},
    {"OLDEST", SECONDS, NUMBER(oldest_seconds)}, {"FULL", PERCENT, NUMBER(percent)},
    {"APPENDED", COUNT, NUMBER(appended)},       {"DELIVERED", COUNT, NUMBER(delivered)},
    {"REJECTED", COUNT, NUMBER(rejected)},       {"LOST", COUNT, NUMBER(lost)},
    {"REFUSED", COUNT, NUMBER(refused)},         {"BATCHES", COUNT, NUMBER(batches)},
    {"FAILED", COUNT, NUMBER(batches_failed)},   {"RETRIED", COUNT, NUMBER(retried)},
};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))
#define COLUMNS (3 + NUMBERS) /* the first three are words */

/* Where the status is shown httpd has a setting for it; here it is that setting's default. */
static apr_interval_time_t health_age(apr_pool_t *pool)
{
    cs_location_t location;

    cs_settings_unset(cs_location_settings, &location);
    cs_settings_defaults(cs_location_settings, &location, pool);
    return location.health_age;
}

static const cs_snapshot_t *look_at(const ctl_t *ctl, const cs_stream_t *stream, apr_time_t now)
{
    cs_queue_options_t options = ctl_queue_options(ctl, stream, 1);
    const cs_snapshot_t *snapshot;
    cs_queue_t *queue;
    apr_status_t status = cs_queue_open(&queue, &options, ctl->log);

    if (APR_STATUS_IS_ENOENT(status))
        return cs_snapshot_no_queue(stream, now, ctl->pool);
    snapshot = cs_snapshot_take(stream, status == APR_SUCCESS ? queue : NULL, health_age(ctl->pool), now, ctl->pool);
    if (status == APR_SUCCESS)
        cs_queue_close(queue);
    return snapshot;
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

/* A row of the table, or its head where `snapshot` is NULL. */
static void fill_row(const char *row[COLUMNS], const cs_snapshot_t *snapshot, apr_pool_t *pool)
{
    row[0] = snapshot ? snapshot->stream->name : "STREAM";
    row[1] = snapshot ? cs_snapshot_kind(snapshot) : "KIND";
    row[2] = snapshot ? cs_state_name(snapshot->state) : "STATE";
    for (apr_size_t i = 0; i < NUMBERS; i++) {
        if (!snapshot)
            row[3 + i] = numbers[i].column;
        else if (cs_snapshot_has_numbers(snapshot))
            row[3 + i] = readable(cs_snapshot_number(snapshot, numbers[i].offset), numbers[i].unit, pool);
        else
            row[3 + i] = "-";
    }
}

static void print_table(const cs_status_t *status, apr_pool_t *pool)
{
    int count = status->streams->nelts, widths[COLUMNS] = {0};
    const char *(*rows)[COLUMNS] = apr_palloc(pool, (apr_size_t)(count + 1) * sizeof(*rows));

    for (int i = 0; i <= count; i++) {
        fill_row(rows[i], i ? APR_ARRAY_IDX(status->streams, i - 1, const cs_snapshot_t *) : NULL, pool);
        for (apr_size_t j = 0; j < COLUMNS; j++) {
            if ((int)strlen(rows[i][j]) > widths[j])
                widths[j] = (int)strlen(rows[i][j]);
        }
    }
    for (int i = 0; i <= count; i++) {
        for (apr_size_t j = 0; j < COLUMNS; j++) /* words to the left, numbers to the right */
            printf("%s%*s", j ? "  " : "", j < 3 ? -widths[j] : widths[j], rows[i][j]);
        printf("\n");
    }
}

int ctl_status(ctl_t *ctl)
{
    int result = ctl_begin(ctl);
    cs_status_t status = {.now = apr_time_now()};
    apr_array_header_t *streams;

    if (result != EX_OK)
        return result;
    if (!(streams = ctl_streams(ctl, ctl->argument)))
        return EX_USAGE;
    status.streams = apr_array_make(ctl->pool, streams->nelts, sizeof(const cs_snapshot_t *));
    for (int i = 0; i < streams->nelts; i++) {
        const cs_snapshot_t *snapshot = look_at(ctl, APR_ARRAY_IDX(streams, i, const cs_stream_t *), status.now);
        if (snapshot->state == CS_STATE_UNUSABLE)
            result = EX_UNAVAILABLE;
        APR_ARRAY_PUSH(status.streams, const cs_snapshot_t *) = snapshot;
    }
    if (ctl->json)
        fputs(cs_status_json(&status, ctl->server.queue_dir, ctl->pool), stdout);
    else
        print_table(&status, ctl->pool);
    if (!ctl->argument)
        ctl_tell_of_strays(ctl);
    return result;
}
