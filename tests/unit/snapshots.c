/* Snapshots for the tests of the forms.
 * SPDX-License-Identifier: Apache-2.0 */
#include "snapshots.h"

#include <apr_strings.h>
#include <stdarg.h>

const cs_stream_t *test_stream(const char *line)
{
    cs_server_t *server = apr_palloc(pool, sizeof(*server));
    const char *error;

    cs_settings_unset(cs_server_settings, server);
    error = test_line(cs_server_settings, server, apr_pstrcat(pool, "ClickstreamStream ", line, NULL));
    ck_assert_msg(!error, "%s", error);
    return cs_server_stream(server, NULL);
}

cs_snapshot_t *test_snapshot(const char *line, cs_state_t state)
{
    cs_snapshot_t *snapshot = apr_pcalloc(pool, sizeof(*snapshot));

    snapshot->stream = test_stream(line);
    snapshot->now = TEST_NOW;
    snapshot->state = state;
    snapshot->capacity = CS_MIB;
    snapshot->p50 = snapshot->p99 = -1;
    return snapshot;
}

/* Ten samples, 10 s apart, of 20 events a second that come and 15 that go. */
static void fill_samples(cs_snapshot_t *snapshot)
{
    for (snapshot->sampled = 0; snapshot->sampled < 10; snapshot->sampled++) {
        apr_uint64_t i = (apr_uint64_t)snapshot->sampled;
        snapshot->samples[i] = (cs_sample_t){.at = TEST_NOW - (10 - (apr_time_t)i) * CS_SAMPLE_INTERVAL,
                                             .accepted = 1000 + 200 * i,
                                             .delivered = 900 + 150 * i,
                                             .refused = i,
                                             .retried = 2 * i,
                                             .waiting = 100 + 50 * i,
                                             .used = 10000 + 5000 * i,
                                             .latency = {i, [5] = 2 * i, [CS_LATENCY_BUCKETS - 1] = 3 * i}};
    }
}

cs_snapshot_t *test_full_snapshot(const char *reason, const char *advice)
{
    cs_snapshot_t *snapshot = test_snapshot("clicks firehose region=us-east-1", CS_STATE_RETRYING);

    snapshot->why = "it is <late>";
    snapshot->waiting = 600;
    snapshot->waiting_bytes = 60000;
    snapshot->used = 65536;
    snapshot->percent = 6;
    snapshot->oldest = apr_time_from_sec(125) + 500000;
    snapshot->oldest_seconds = 125;
    snapshot->appended = 3000;
    snapshot->delivered = 2400;
    snapshot->delivered_bytes = 240000;
    snapshot->rejected = 3;
    snapshot->lost = 4;
    snapshot->opted_out = 5;
    snapshot->rejects_lost = 6;
    snapshot->refusals[CS_REASON_MISSING_FIELD] = 7;
    snapshot->refusals[CS_REASON_QUEUE_FULL] = 1234567;
    snapshot->refused = 1234574;
    snapshot->batches = 30;
    snapshot->batches_failed = 8;
    snapshot->retried = 90;
    snapshot->maybe_twice = 10;
    snapshot->records = 24;
    snapshot->sent_bytes = 242400;
    snapshot->billed_bytes = 245760;
    snapshot->deaths = 11;
    snapshot->latency[0] = 400;
    snapshot->latency[4] = 1990;
    snapshot->latency[CS_LATENCY_BUCKETS - 1] = 10;
    snapshot->latency_count = 2400;
    snapshot->latency_sum = apr_time_from_sec(1000) + 250000;
    snapshot->p50 = 0.75;
    snapshot->p99 = 86400;
    snapshot->window = apr_time_from_sec(100);
    snapshot->seen = TEST_NOW - apr_time_from_sec(1);
    fill_samples(snapshot);
    snapshot->trouble = (cs_trouble_t){.since = TEST_NOW - apr_time_from_sec(120),
                                       .last = TEST_NOW - apr_time_from_sec(12),
                                       .failures = 9,
                                       .most_waiting = 700};
    apr_cpystrn(snapshot->trouble.reason, reason, CS_TROUBLE_REASON);
    apr_cpystrn(snapshot->trouble.advice, advice, CS_TROUBLE_ADVICE);
    return snapshot;
}

const cs_status_t *test_status(cs_snapshot_t *first, ...)
{
    cs_status_t *status = apr_palloc(pool, sizeof(*status));
    va_list rest;

    *status = (cs_status_t){.now = TEST_NOW, .streams = apr_array_make(pool, 2, sizeof(const cs_snapshot_t *))};
    va_start(rest, first);
    for (const cs_snapshot_t *snapshot = first; snapshot; snapshot = va_arg(rest, cs_snapshot_t *))
        APR_ARRAY_PUSH(status->streams, const cs_snapshot_t *) = snapshot;
    va_end(rest);
    return status;
}
