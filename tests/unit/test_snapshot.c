/* What is known of a stream: its numbers, its state, its health, how long deliveries took.
 * SPDX-License-Identifier: Apache-2.0 */
#include "snapshots.h"

#include <apr_strings.h>
#include <math.h>
#include <string.h>

#define SECOND apr_time_from_sec(1)
#define LIMIT (300 * SECOND)
#define CAPACITY 65536

static cs_queue_t *new_queue(void)
{
    cs_queue_options_t options = {.directory = test_folder(), .name = "clicks", .capacity = CAPACITY};
    cs_queue_t *queue = NULL;

    ck_assert_int_eq(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    return queue;
}

static void append(cs_queue_t *queue, apr_size_t size, apr_time_t at)
{
    cs_span_t record = {apr_pcalloc(pool, size), size};

    ck_assert_int_eq(cs_queue_append(queue, &record, 1, at), APR_SUCCESS);
}

/* How much of the queue is in use, where nothing is 0 and one record of `size` bytes the rest. */
#define SMALL 100
#define JUST_FULL 58990 /* with its frame, 90% of the queue */

/* A stream, how long ago (in seconds) its event of this size came, how long ago its sender was at work (negative:
 * never) and how long its trouble has lasted; and what it is then. */
static const struct {
    const char *line;
    apr_size_t size; /* 0: there is no event */
    int age, seen, trouble;
    cs_state_t state;
    const char *why;
} cases[] = {
    {"clicks file path=/x", 0, 0, -1, 0, CS_STATE_IDLE, NULL},
    {"clicks file path=/x", 0, 0, 1000, 0, CS_STATE_IDLE, NULL},
    {"clicks file path=/x", 0, 0, 1, 50, CS_STATE_IDLE, NULL}, /* trouble, and nothing that waits */
    {"clicks file path=/x", SMALL, 1, 1, 0, CS_STATE_DELIVERING, NULL},
    {"clicks file path=/x", SMALL, 1, 15, 0, CS_STATE_DELIVERING, NULL},
    {"clicks file path=/x", SMALL, 1, 16, 0, CS_STATE_WAITING, NULL},
    {"clicks file path=/x", SMALL, 1, -1, 0, CS_STATE_WAITING, NULL},
    {"clicks file path=/x", SMALL, 1, -100, 0, CS_STATE_WAITING, NULL},
    {"clicks file path=/x", SMALL, 1, 1, 50, CS_STATE_RETRYING, NULL},
    {"clicks file path=/x", SMALL, 1, 1000, 50, CS_STATE_RETRYING, NULL},
    {"clicks file path=/x", JUST_FULL, 1, 1, 0, CS_STATE_FULL, "its queue is 90% full, the limit is 90%"},
    {"clicks file path=/x", JUST_FULL, 1, 1, 50, CS_STATE_FULL, "its queue is 90% full, the limit is 90%"},
    {"clicks file path=/x", JUST_FULL - 100, 1, 1, 0, CS_STATE_DELIVERING, NULL},
    /* linger=1s, and of a file interval=60s, come on top of the limit */
    {"clicks firehose region=x", SMALL, 301, 1, 0, CS_STATE_DELIVERING, NULL},
    {"clicks firehose region=x", SMALL, 302, 1, 0, CS_STATE_DELIVERING,
     "its oldest event has waited for 302 s, the limit is 301 s"},
    {"clicks firehose region=x linger=30s", SMALL, 330, 1, 0, CS_STATE_DELIVERING, NULL},
    {"clicks firehose region=x linger=30s", SMALL, 331, 1, 0, CS_STATE_DELIVERING,
     "its oldest event has waited for 331 s, the limit is 330 s"},
    {"clicks file path=/x", SMALL, 361, 1, 0, CS_STATE_DELIVERING, NULL},
    {"clicks file path=/x", SMALL, 362, 1, 50, CS_STATE_RETRYING,
     "its oldest event has waited for 362 s, the limit is 361 s"},
    {"clicks file path=/x interval=1h", SMALL, 3900, 1, 0, CS_STATE_DELIVERING, NULL},
    {"clicks firehose region=x", JUST_FULL, 400, 1, 0, CS_STATE_FULL,
     "its queue is 90% full, the limit is 90%; its oldest event has waited for 400 s, the limit is 301 s"},
    /* a clock that was set back */
    {"clicks firehose region=x", SMALL, -50, 1, 0, CS_STATE_DELIVERING, NULL},
};

START_TEST(its_state_and_its_health)
{
    cs_queue_t *queue = new_queue();
    cs_scoreboard_t *board = cs_queue_board(queue);
    const cs_snapshot_t *snapshot;

    if (cases[_i].size)
        append(queue, cases[_i].size, TEST_NOW - cases[_i].age * SECOND);
    if (cases[_i].seen >= 0)
        board->seen = TEST_NOW - cases[_i].seen * SECOND;
    if (cases[_i].trouble)
        cs_scoreboard_put_trouble(board, &(cs_trouble_t){.since = TEST_NOW - cases[_i].trouble * SECOND});
    snapshot = cs_snapshot_take(test_stream(cases[_i].line), queue, LIMIT, TEST_NOW, pool);
    ck_assert_str_eq(cs_state_name(snapshot->state), cs_state_name(cases[_i].state));
    ck_assert_msg((snapshot->why == NULL) == (cases[_i].why == NULL), "%s", snapshot->why);
    if (snapshot->why)
        ck_assert_str_eq(snapshot->why, cases[_i].why);
    ck_assert_int_eq(cs_snapshot_has_numbers(snapshot), 1);
    ck_assert_uint_eq(snapshot->oldest_seconds, cases[_i].size && cases[_i].age > 0 ? (unsigned)cases[_i].age : 0);
    cs_queue_close(queue);
}
END_TEST

START_TEST(without_a_queue)
{
    const cs_stream_t *stream = test_stream("clicks file path=/x");
    const cs_snapshot_t *none = cs_snapshot_no_queue(stream, TEST_NOW, pool);
    const cs_snapshot_t *broken = cs_snapshot_take(stream, NULL, LIMIT, TEST_NOW, pool);

    ck_assert_str_eq(cs_state_name(none->state), "no_queue");
    ck_assert_ptr_null(none->why);
    ck_assert_str_eq(cs_state_name(broken->state), "unusable");
    ck_assert_str_eq(broken->why, "its queue file cannot be used");
    ck_assert_int_eq(cs_snapshot_has_numbers(none) + cs_snapshot_has_numbers(broken), 0);
    ck_assert_int_eq(none->p50 < 0 && broken->p99 < 0, 1);
}
END_TEST

/* A different number in each counter comes out in its own place. */
START_TEST(its_numbers)
{
    static const struct {
        int counter;
        apr_size_t offset;
    } places[] = {
        {CS_METRIC_BATCHES, offsetof(cs_snapshot_t, batches)},
        {CS_METRIC_BATCHES_FAILED, offsetof(cs_snapshot_t, batches_failed)},
        {CS_METRIC_EVENTS_RETRIED, offsetof(cs_snapshot_t, retried)},
        {CS_METRIC_RECORDS_DELIVERED, offsetof(cs_snapshot_t, records)},
        {CS_METRIC_OPTED_OUT, offsetof(cs_snapshot_t, opted_out)},
        {CS_METRIC_REJECTS_LOST, offsetof(cs_snapshot_t, rejects_lost)},
        {CS_METRIC_BYTES_SENT, offsetof(cs_snapshot_t, sent_bytes)},
        {CS_METRIC_BYTES_BILLED, offsetof(cs_snapshot_t, billed_bytes)},
        {CS_METRIC_MAYBE_TWICE, offsetof(cs_snapshot_t, maybe_twice)},
        {CS_METRIC_LATENCY_SUM, offsetof(cs_snapshot_t, latency_sum)},
        {CS_METRIC_REFUSED + CS_REASON_TOO_DEEP, offsetof(cs_snapshot_t, refusals[CS_REASON_TOO_DEEP])},
        {CS_METRIC_LATENCY + 7, offsetof(cs_snapshot_t, latency[7])},
    };
    cs_queue_t *queue = new_queue();
    const cs_snapshot_t *snapshot;
    apr_uint64_t refused = 0, latencies = 0;

    append(queue, 100, TEST_NOW - SECOND);
    append(queue, 50, TEST_NOW);
    for (int i = 0; i < CS_QUEUE_COUNTERS; i++)
        cs_queue_count(queue, i, 1000 + (apr_uint64_t)i);
    snapshot = cs_snapshot_take(test_stream("clicks file path=/x"), queue, LIMIT, TEST_NOW, pool);
    for (apr_size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        ck_assert_uint_eq(cs_snapshot_number(snapshot, places[i].offset), 1000 + (apr_uint64_t)places[i].counter);
    for (int i = 0; i < CS_REASON_COUNT; i++)
        refused += 1000 + (apr_uint64_t)i;
    for (int i = 0; i < CS_LATENCY_BUCKETS; i++)
        latencies += 1000 + CS_METRIC_LATENCY + (apr_uint64_t)i;
    ck_assert_uint_eq(snapshot->refused, refused);
    ck_assert_uint_eq(snapshot->latency_count, latencies);
    ck_assert_uint_eq(snapshot->appended, 2);
    ck_assert_uint_eq(snapshot->waiting, 2);
    ck_assert_uint_eq(snapshot->waiting_bytes, 150);
    ck_assert_uint_eq(snapshot->capacity, CAPACITY);
    ck_assert_uint_gt(snapshot->used, 150);
    ck_assert_int_eq(snapshot->oldest, SECOND);
    ck_assert_double_eq_tol(cs_snapshot_events_per_record(snapshot), (double)latencies / 1035, 1e-9);
    cs_queue_close(queue);
}
END_TEST

/* --- latency --- */

START_TEST(the_bounds)
{
    ck_assert_double_eq(cs_latency_bound(0), 0.05);
    ck_assert_double_eq(cs_latency_bound(4), 1);
    ck_assert_double_eq(cs_latency_bound(CS_LATENCY_BUCKETS - 2), 86400);
    ck_assert_double_lt(cs_latency_bound(CS_LATENCY_BUCKETS - 1), 0);
    for (int i = 1; i < CS_LATENCY_BUCKETS - 1; i++)
        ck_assert_double_gt(cs_latency_bound(i), cs_latency_bound(i - 1));
}
END_TEST

/* How many there are in the buckets up to 50 ms, 100 ms, 250 ms and 500 ms and in the last one; the share of them,
 * and within how many seconds it was. */
static const struct {
    apr_uint64_t first, second, third, fourth, last;
    double share, seconds;
} quantiles[] = {
    {0, 0, 0, 0, 0, 0.5, -1},         {1, 0, 0, 0, 0, 0.5, 0.025},
    {1, 0, 0, 0, 0, 0.99, 0.0495},    {100, 0, 0, 0, 0, 0.5, 0.025},
    {0, 10, 0, 0, 0, 0.5, 0.075}, /* in the middle of its bucket */
    {0, 10, 0, 0, 0, 1, 0.1},         {50, 50, 0, 0, 0, 0.5, 0.05},
    {50, 0, 50, 0, 0, 0.5, 0.05}, /* what is empty is passed by */
    {50, 0, 50, 0, 0, 0.75, 0.175},   {90, 9, 1, 0, 0, 0.99, 0.1},
    {900, 80, 0, 20, 0, 0.99, 0.375}, {0, 0, 0, 0, 5, 0.5, 86400}, /* more than that nobody knows */
    {98, 0, 0, 0, 2, 0.99, 86400},    {99, 0, 0, 0, 1, 0.99, 0.05},
};

START_TEST(how_long_a_share_of_them_took)
{
    apr_uint64_t latency[CS_LATENCY_BUCKETS] = {quantiles[_i].first, quantiles[_i].second, quantiles[_i].third,
                                                quantiles[_i].fourth};

    latency[CS_LATENCY_BUCKETS - 1] = quantiles[_i].last;
    ck_assert_double_eq_tol(cs_latency_quantile(latency, quantiles[_i].share), quantiles[_i].seconds, 1e-9);
}
END_TEST

/* Only what came after the oldest sample counts. */
START_TEST(the_latency_of_the_last_minutes)
{
    cs_queue_t *queue = new_queue();
    const cs_stream_t *stream = test_stream("clicks file path=/x");
    const cs_snapshot_t *snapshot;
    cs_sample_t sample = {.at = TEST_NOW - 120 * SECOND};

    cs_queue_count(queue, CS_METRIC_LATENCY + 10, 1000);
    snapshot = cs_snapshot_take(stream, queue, LIMIT, TEST_NOW, pool);
    ck_assert_double_lt(snapshot->p50, 0); /* there is no sample */
    ck_assert_int_eq(snapshot->window, 0);
    sample.latency[10] = 1000;
    cs_scoreboard_put_sample(cs_queue_board(queue), &sample);
    snapshot = cs_snapshot_take(stream, queue, LIMIT, TEST_NOW, pool);
    ck_assert_double_lt(snapshot->p50, 0); /* nothing came since */
    ck_assert_double_lt(snapshot->p99, 0);
    ck_assert_int_eq(snapshot->window, 120 * SECOND);
    cs_queue_count(queue, CS_METRIC_LATENCY + 1, 10);
    snapshot = cs_snapshot_take(stream, queue, LIMIT, TEST_NOW, pool);
    ck_assert_double_eq_tol(snapshot->p50, 0.075, 1e-9);
    ck_assert_double_eq_tol(snapshot->p99, 0.0995, 1e-9);
    ck_assert_uint_eq(snapshot->latency_count, 1010);
    ck_assert_int_eq(snapshot->sampled, 1);
    /* A sample that says more than the counters, as a damaged file might. */
    sample.at += SECOND;
    sample.latency[10] = 5000;
    for (int i = 0; i < CS_SAMPLES; i++, sample.at++)
        cs_scoreboard_put_sample(cs_queue_board(queue), &sample);
    snapshot = cs_snapshot_take(stream, queue, LIMIT, TEST_NOW, pool);
    ck_assert_double_eq_tol(snapshot->p50, 0.075, 1e-9);
    cs_queue_close(queue);
}
END_TEST

Suite *snapshot_suite(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tests = test_case("snapshot");

    tcase_add_loop_test(tests, its_state_and_its_health, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tests, without_a_queue);
    tcase_add_test(tests, its_numbers);
    tcase_add_test(tests, the_bounds);
    tcase_add_loop_test(tests, how_long_a_share_of_them_took, 0, sizeof(quantiles) / sizeof(quantiles[0]));
    tcase_add_test(tests, the_latency_of_the_last_minutes);
    suite_add_tcase(suite, tests);
    return suite;
}
