/* What the sender says about its work: when there is a line, and what is counted. The time is an argument.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "deliver/report.h"

#define SECOND APR_USEC_PER_SEC
#define START (1700000000 * SECOND)

static cs_queue_t *queue;
static cs_report_t report;
static const cs_sink_result_t failure = {.reason = "HTTP 503 Slow down", .advice = "ask for more"};

static void begin(void)
{
    report = cs_report_begin(queue, "clicks", test_log);
}

static void open_queue(void)
{
    ck_assert_int_eq(
        cs_queue_open(&queue, &(cs_queue_options_t){.directory = test_folder(), .name = "clicks", .capacity = 1 << 20},
                      test_log),
        APR_SUCCESS);
    begin();
}

static void append(int count)
{
    while (count--)
        ck_assert_int_eq(cs_queue_append(queue, &(cs_span_t){"event", 5}, 1, START), APR_SUCCESS);
}

static int lines(const char *text)
{
    int count = 0;

    for (const char *at = test_logged(); (at = strstr(at, text)); at += strlen(text))
        count++;
    return count;
}

static cs_trouble_t on_board(void)
{
    return cs_scoreboard_trouble(cs_queue_board(queue));
}

START_TEST(an_outage_has_a_line_at_its_begin_one_a_minute_and_one_at_its_end)
{
    open_queue();
    append(3);
    for (int second = 0; second <= 150; second += 10)
        cs_report_failed(&report, &failure, START + second * SECOND);
    ck_assert_int_eq(lines("stream clicks: delivery has failed: HTTP 503 Slow down; ask for more; 3 events wait"), 1);
    ck_assert_int_eq(lines("stream clicks: delivery still fails after 60 s, 7 failures: HTTP 503 Slow down; ask"), 1);
    ck_assert_int_eq(lines("stream clicks: delivery still fails after 120 s, 13 failures"), 1);
    ck_assert_int_eq(lines("stream clicks"), 3);
    append(4);
    cs_report_at_work(&report, START + 151 * SECOND); /* more have come since the last failure */
    cs_report_recovered(&report, START + 160 * SECOND);
    ck_assert_int_eq(lines("delivers again after 160 s and 16 failures; at most 7 events waited"), 1);
    cs_report_recovered(&report, START + 161 * SECOND);
    ck_assert_int_eq(lines("stream clicks"), 4);
    cs_queue_close(queue);
}
END_TEST

START_TEST(an_outage_has_its_lines_though_the_clock_is_set_back)
{
    open_queue();
    append(1);
    cs_report_failed(&report, &failure, START);
    cs_report_failed(&report, &failure, START - 25000 * SECOND);
    ck_assert_int_eq(lines("stream clicks: delivery still fails after 0 s, 2 failures"), 1);
    cs_report_recovered(&report, START - 24990 * SECOND);
    ck_assert_int_eq(lines("stream clicks: delivers again after 10 s and 2 failures"), 1);
    cs_queue_close(queue);
}
END_TEST

START_TEST(an_outage_is_one_whichever_process_delivers)
{
    open_queue();
    cs_report_failed(&report, &failure, START);
    begin();
    cs_report_failed(&report, &failure, START + 10 * SECOND);
    begin();
    cs_report_failed(&report, &failure, START + 70 * SECOND);
    ck_assert_int_eq(lines("has failed"), 1);
    ck_assert_int_eq(lines("still fails after 70 s, 3 failures"), 1);
    begin();
    cs_report_recovered(&report, START + 80 * SECOND);
    ck_assert_int_eq(lines("delivers again after 80 s and 3 failures"), 1);
    begin();
    cs_report_recovered(&report, START + 90 * SECOND);
    ck_assert_int_eq(lines("delivers again"), 1);
    cs_queue_close(queue);
}
END_TEST

START_TEST(trouble_that_comes_and_goes_has_few_lines)
{
    open_queue();
    for (int second = 0; second < 60; second++) {
        cs_report_failed(&report, &failure, START + second * SECOND);
        cs_report_recovered(&report, START + second * SECOND + SECOND / 2);
    }
    ck_assert_int_eq(lines("has failed"), 1);
    ck_assert_int_eq(lines("delivers again"), 1);
    cs_report_failed(&report, &failure, START + 60 * SECOND);
    ck_assert_int_eq(lines("has failed"), 2);
    cs_queue_close(queue);
}
END_TEST

START_TEST(what_is_known_of_trouble_is_on_the_board)
{
    open_queue();
    ck_assert_int_eq(on_board().last, 0);
    append(2);
    cs_report_failed(&report, &failure, START);
    ck_assert_int_eq(on_board().since, START);
    ck_assert_int_eq(on_board().last, START);
    ck_assert_uint_eq(on_board().failures, 1);
    ck_assert_uint_eq(on_board().most_waiting, 2);
    ck_assert_str_eq(on_board().reason, failure.reason);
    ck_assert_str_eq(on_board().advice, failure.advice);
    cs_report_recovered(&report, START + SECOND);
    ck_assert_int_eq(on_board().since, 0);
    ck_assert_int_eq(on_board().last, START); /* the last error stays to be looked at */
    ck_assert_str_eq(on_board().reason, failure.reason);
    cs_queue_close(queue);
}
END_TEST

START_TEST(a_clock_that_is_set_back_silences_nothing)
{
    open_queue();
    cs_report_failed(&report, &failure, START);
    cs_report_failed(&report, &failure, START - 3600 * SECOND);
    ck_assert_int_eq(lines("still fails after 0 s"), 1);
    cs_report_at_work(&report, START);
    cs_report_at_work(&report, START - 3600 * SECOND);
    ck_assert_int_eq(((cs_scoreboard_t *)cs_queue_board(queue))->seen, START - 3600 * SECOND);
    cs_queue_close(queue);
}
END_TEST

START_TEST(samples_are_taken_every_ten_seconds)
{
    cs_sample_t samples[CS_SAMPLES];

    open_queue();
    append(2);
    for (int tenth = 0; tenth < 350; tenth++)
        cs_report_at_work(&report, START + tenth * SECOND / 10);
    ck_assert_int_eq(cs_scoreboard_samples(samples, cs_queue_board(queue), START + 35 * SECOND), 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(samples[i].at, START + i * 10 * SECOND);
    ck_assert_uint_eq(samples[3].accepted, 2);
    ck_assert_uint_eq(samples[3].waiting, 2);
    cs_queue_close(queue);
}
END_TEST

static cs_batch_t *batch_of(int count, apr_size_t size)
{
    cs_batch_t *batch = apr_pcalloc(pool, sizeof(*batch));

    batch->events = apr_array_make(pool, count, sizeof(cs_batch_event_t));
    batch->records = apr_array_make(pool, 1, sizeof(cs_batch_record_t));
    for (int i = 0; i < count; i++)
        APR_ARRAY_PUSH(batch->events, cs_batch_event_t) = (cs_batch_event_t){.queued_at = START};
    APR_ARRAY_PUSH(batch->records, cs_batch_record_t) = (cs_batch_record_t){.count = count, .size = size};
    return batch;
}

static void deliver(int count, apr_size_t size, apr_size_t rounding, apr_interval_time_t latency)
{
    cs_batch_t *batch = batch_of(count, size);

    cs_report_delivered(&report, batch, &APR_ARRAY_IDX(batch->records, 0, cs_batch_record_t), rounding,
                        START + latency);
}

static apr_uint64_t counted(int counter)
{
    return cs_queue_counted(queue, counter);
}

START_TEST(bytes_are_counted_as_they_are_billed)
{
    open_queue();
    deliver(2, 5120, 5120, 0);
    deliver(1, 5121, 5120, 0);
    deliver(1, 7, 0, 0); /* a folder bills nothing */
    ck_assert_uint_eq(counted(CS_METRIC_RECORDS_DELIVERED), 3);
    ck_assert_uint_eq(counted(CS_METRIC_BYTES_SENT), 5120 + 5121 + 7);
    ck_assert_uint_eq(counted(CS_METRIC_BYTES_BILLED), 3 * 5120);
    cs_queue_close(queue);
}
END_TEST

static const struct {
    apr_interval_time_t latency;
    int bucket;
} latencies[] = {
    {-5 * SECOND, 0}, /* the clock was set back meanwhile */
    {0, 0},
    {50000, 0},
    {50001, 1},
    {SECOND, 4},
    {SECOND + 1, 5},
    {86400 * SECOND, 17},
    {86400 * SECOND + 1, 18},
    {400 * 86400 * SECOND, 18},
};

START_TEST(each_event_is_in_one_bucket)
{
    open_queue();
    deliver(3, 10, 0, latencies[_i].latency);
    for (int i = 0; i < CS_LATENCY_BUCKETS; i++)
        ck_assert_uint_eq(counted(CS_METRIC_LATENCY + i), i == latencies[_i].bucket ? 3 : 0);
    ck_assert_uint_eq(counted(CS_METRIC_LATENCY_SUM),
                      latencies[_i].latency > 0 ? 3 * (apr_uint64_t)latencies[_i].latency : 0);
    cs_queue_close(queue);
}
END_TEST

START_TEST(what_a_dead_sender_had_under_way_may_arrive_twice)
{
    open_queue();
    cs_report_sent(&report, 5);
    cs_report_sent(&report, 7);
    cs_report_settled(&report, 5);
    ck_assert_uint_eq(counted(CS_METRIC_MAYBE_TWICE), 0);
    begin();
    ck_assert_uint_eq(counted(CS_METRIC_MAYBE_TWICE), 7);
    begin();
    ck_assert_uint_eq(counted(CS_METRIC_MAYBE_TWICE), 7);
    cs_queue_close(queue);
}
END_TEST

START_TEST(rejects_are_logged_once_a_minute_with_their_count)
{
    open_queue();
    for (int second = 0; second < 60; second++)
        cs_report_rejected(&report, "too odd", "/q/clicks.rejected", START + second * SECOND);
    ck_assert_int_eq(lines("stream clicks: will never take an event: too odd; it is in /q/clicks.rejected now, 1 "), 1);
    ck_assert_int_eq(lines("will never take"), 1);
    cs_report_rejected(&report, "too odd", "/q/clicks.rejected", START + 60 * SECOND);
    ck_assert_int_eq(lines("now, 61 since this sender began"), 1);
    cs_queue_close(queue);
}
END_TEST

Suite *report_suite(void)
{
    Suite *suite = suite_create("report");
    TCase *tests = test_case("report");

    tcase_add_test(tests, an_outage_has_a_line_at_its_begin_one_a_minute_and_one_at_its_end);
    tcase_add_test(tests, an_outage_has_its_lines_though_the_clock_is_set_back);
    tcase_add_test(tests, an_outage_is_one_whichever_process_delivers);
    tcase_add_test(tests, trouble_that_comes_and_goes_has_few_lines);
    tcase_add_test(tests, what_is_known_of_trouble_is_on_the_board);
    tcase_add_test(tests, a_clock_that_is_set_back_silences_nothing);
    tcase_add_test(tests, samples_are_taken_every_ten_seconds);
    tcase_add_test(tests, bytes_are_counted_as_they_are_billed);
    tcase_add_loop_test(tests, each_event_is_in_one_bucket, 0, (int)(sizeof(latencies) / sizeof(latencies[0])));
    tcase_add_test(tests, what_a_dead_sender_had_under_way_may_arrive_twice);
    tcase_add_test(tests, rejects_are_logged_once_a_minute_with_their_count);
    suite_add_tcase(suite, tests);
    return suite;
}
