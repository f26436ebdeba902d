/* From a request to the queues: what is kept where, what is counted, and what the client is told.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "common/metrics.h"
#include "intake/intake.h"

#define SMALL ((apr_int64_t)65536)
#define NOW apr_time_from_sec(1700000000)
#define GOOD "{\"user\":7}"
#define BAD "{\"user\":7,\"tag\":1}"
#define KEPT "{\"user\":7,\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\"}"
#define REFUSED                                                                                                        \
    "{\"reason\":\"wrong_type\",\"field\":\"tag\",\"received_at\":\"2023-11-14T22:13:20.000Z\","                       \
    "\"client_id\":\"app\",\"client_ip\":\"192.0.2.1\",\"event\":\"{\\\"user\\\":7,\\\"tag\\\":1}\"}"
#define FAILED "{\"response_code\":\"50001\",\"message\":\"Failed to collect data.\"}"

static cs_queue_t *open_queue(const char *name)
{
    cs_queue_options_t options = {.directory = test_folder(), .name = name, .capacity = SMALL};
    cs_queue_t *queue = NULL;

    ck_assert_int_eq(cs_queue_open(&queue, &options, test_log), APR_SUCCESS);
    return queue;
}

static void fill(cs_queue_t *queue)
{
    cs_span_t record = {apr_pcalloc(pool, 1000), 1000};
    apr_status_t status;

    while ((status = cs_queue_append(queue, &record, 1, 1)) == APR_SUCCESS)
        ;
    ck_assert_int_eq(status, APR_ENOSPC);
    for (record.length = 64; cs_queue_append(queue, &record, 1, 1) == APR_SUCCESS;)
        ;
}

/* The records from `*cursor` on, a line each. */
static const char *rest_of(cs_queue_t *queue, apr_uint64_t *cursor)
{
    const char *lines = "";
    cs_queue_record_t record;

    while (cs_queue_read(&record, 1, queue, cursor) == 1)
        lines = apr_pstrcat(pool, lines, apr_pstrmemdup(pool, record.data.at, record.data.length), "\n", NULL);
    return lines;
}

static const char *all_of(cs_queue_t *queue)
{
    apr_uint64_t cursor = 0;

    return rest_of(queue, &cursor);
}

/* That these are the counters that are not 0: a list of places and numbers, ended by a negative one. */
static void check_counters(const cs_queue_t *queue, const int *expected)
{
    for (int place = 0; place < CS_QUEUE_COUNTERS; place++) {
        int number = 0;
        for (const int *pair = expected; *pair >= 0; pair += 2)
            number = *pair == place ? pair[1] : number;
        ck_assert_msg(cs_queue_counted(queue, place) == (apr_uint64_t)number, "counter %d: %d", place,
                      (int)cs_queue_counted(queue, place));
    }
}
#define COUNTERS(...) ((const int[]){__VA_ARGS__, -1})
#define NO_COUNTERS ((const int[]){-1})

static const char *header(void *from, const char *name)
{
    if (strcmp(name, "Sec-GPC") == 0)
        return from;
    return strcmp(name, "client_id") == 0 ? "app" : NULL;
}

static void collect(cs_collect_t *collected, const char *body, const char *gpc)
{
    static const char *const lines[] = {"ClickstreamAuth none", "ClickstreamRequire user",
                                        "ClickstreamRejectTo refused", "ClickstreamOptOut drop", NULL};
    const cs_request_t request = {.method = "POST",
                                  .remote_address = "192.0.2.1",
                                  .now = NOW,
                                  .header = header,
                                  .from = (void *)(apr_uintptr_t)gpc};

    ck_assert_int_eq(cs_collect_begin(collected, &request, test_location(lines), pool), 1);
    cs_collect_body(collected, (cs_span_t){body, strlen(body)});
}

START_TEST(keeps_the_good_and_the_refused)
{
    cs_queue_t *queue = open_queue("clicks"), *rejects = open_queue("refused");
    cs_queue_record_t record;
    apr_uint64_t cursor = 0;
    cs_collect_t collected;

    collect(&collected, "[" GOOD "," BAD "," GOOD "," BAD "," BAD "]", NULL);
    ck_assert_int_eq(cs_intake(&collected, queue, rejects, 42), APR_SUCCESS);
    ck_assert_int_eq(collected.status, 200);
    ck_assert_str_eq(all_of(queue), KEPT "\n" KEPT "\n");
    ck_assert_str_eq(all_of(rejects), REFUSED "\n" REFUSED "\n" REFUSED "\n");
    ck_assert_int_eq(cs_queue_read(&record, 1, queue, &cursor), 1);
    ck_assert_int_eq(record.queued_at, 42);
    cursor = 0;
    ck_assert_int_eq(cs_queue_read(&record, 1, rejects, &cursor), 1);
    ck_assert_int_eq(record.queued_at, 42);
    check_counters(queue, COUNTERS(CS_METRIC_REFUSED + CS_REASON_WRONG_TYPE, 3));
    check_counters(rejects, NO_COUNTERS);
    cs_queue_close(rejects);
    cs_queue_close(queue);
}
END_TEST

START_TEST(keeps_the_refused_alone)
{
    cs_queue_t *queue = open_queue("clicks"), *rejects = open_queue("refused");
    cs_collect_t collected;

    collect(&collected, BAD, NULL);
    ck_assert_int_eq(cs_intake(&collected, queue, rejects, NOW), APR_SUCCESS);
    ck_assert_int_eq(collected.status, 400);
    ck_assert_str_eq(all_of(queue), "");
    ck_assert_str_eq(all_of(rejects), REFUSED "\n");
    check_counters(queue, COUNTERS(CS_METRIC_REFUSED + CS_REASON_WRONG_TYPE, 1));
    cs_queue_close(rejects);
    cs_queue_close(queue);
}
END_TEST

START_TEST(needs_no_stream_of_rejects_where_nothing_is_refused)
{
    cs_queue_t *queue = open_queue("clicks");
    cs_collect_t collected;

    collect(&collected, GOOD, NULL);
    ck_assert_int_eq(cs_intake(&collected, queue, NULL, NOW), APR_SUCCESS);
    ck_assert_int_eq(collected.status, 200);
    ck_assert_str_eq(all_of(queue), KEPT "\n");
    check_counters(queue, NO_COUNTERS);
    cs_queue_close(queue);
}
END_TEST

/* Who is told to come again brings the bad ones again. */
START_TEST(full_queue_keeps_nothing)
{
    cs_queue_t *queue = open_queue("clicks"), *rejects = open_queue("refused");
    apr_uint64_t cursor = 0;
    cs_collect_t collected;

    fill(queue);
    rest_of(queue, &cursor);
    collect(&collected, "[" GOOD "," BAD "," GOOD "]", NULL);
    ck_assert_int_eq(cs_intake(&collected, queue, rejects, NOW), APR_ENOSPC);
    ck_assert_int_eq(collected.status, 503);
    ck_assert_str_eq(apr_table_get(collected.headers, "Retry-After"), "5");
    ck_assert_str_eq(rest_of(queue, &cursor), "");
    ck_assert_str_eq(all_of(rejects), "");
    check_counters(queue,
                   COUNTERS(CS_METRIC_REFUSED + CS_REASON_WRONG_TYPE, 1, CS_METRIC_REFUSED + CS_REASON_QUEUE_FULL, 2));
    cs_queue_close(rejects);
    cs_queue_close(queue);
}
END_TEST

START_TEST(more_than_the_queue_can_ever_hold)
{
    cs_queue_t *queue = open_queue("clicks"), *rejects = open_queue("refused");
    const char *body = "[" BAD;
    cs_collect_t collected;

    for (int i = 0; i < 499; i++)
        body = apr_pstrcat(pool, body, ",{\"user\":7,\"x\":\"", apr_psprintf(pool, "%0100d", i), "\"}", NULL);
    collect(&collected, apr_pstrcat(pool, body, "]", NULL), NULL);
    ck_assert_int_eq(cs_intake(&collected, queue, rejects, NOW), APR_EINVAL);
    ck_assert_int_eq(collected.status, 413);
    ck_assert_str_eq(all_of(queue), "");
    ck_assert_str_eq(all_of(rejects), "");
    check_counters(queue,
                   COUNTERS(CS_METRIC_REFUSED + CS_REASON_WRONG_TYPE, 1, CS_METRIC_REFUSED + CS_REASON_TOO_LARGE, 499));
    cs_queue_close(rejects);
    cs_queue_close(queue);
}
END_TEST

/* The answer is what it would have been. */
START_TEST(counts_the_refused_that_cannot_be_kept)
{
    cs_queue_t *queue = open_queue("clicks"), *rejects = open_queue("refused");
    apr_uint64_t cursor = 0;
    cs_collect_t collected;
    const char *answer;

    fill(rejects);
    rest_of(rejects, &cursor);
    collect(&collected, "[" GOOD "," BAD "," BAD "]", NULL);
    answer = apr_pstrmemdup(pool, collected.body.at, collected.body.length);
    ck_assert_int_eq(cs_intake(&collected, queue, rejects, NOW), APR_SUCCESS);
    ck_assert_int_eq(collected.status, 200);
    ck_assert_str_eq(apr_pstrmemdup(pool, collected.body.at, collected.body.length), answer);
    ck_assert_str_eq(all_of(queue), KEPT "\n");
    ck_assert_str_eq(rest_of(rejects, &cursor), "");
    check_counters(queue, COUNTERS(CS_METRIC_REFUSED + CS_REASON_WRONG_TYPE, 2, CS_METRIC_REJECTS_LOST, 2));

    collect(&collected, "[" BAD "," GOOD "," BAD "," BAD "]", NULL);
    ck_assert_int_eq(cs_intake(&collected, queue, NULL, NOW), APR_SUCCESS);
    ck_assert_int_eq(collected.status, 200);
    collect(&collected, BAD, NULL);
    ck_assert_int_eq(cs_intake(&collected, queue, NULL, NOW), APR_SUCCESS);
    ck_assert_int_eq(collected.status, 400);
    check_counters(queue, COUNTERS(CS_METRIC_REFUSED + CS_REASON_WRONG_TYPE, 6, CS_METRIC_REJECTS_LOST, 6));
    cs_queue_close(rejects);
    cs_queue_close(queue);
}
END_TEST

/* The numbers themselves are places in a file that outlives the program. */
START_TEST(counts_who_opted_out)
{
    cs_queue_t *queue = open_queue("clicks"), *rejects = open_queue("refused");
    cs_collect_t collected;

    ck_assert_int_eq(CS_METRIC_OPTED_OUT, 36);
    ck_assert_int_eq(CS_METRIC_REJECTS_LOST, 37);
    collect(&collected, "[" GOOD "," BAD "," GOOD "]", "1");
    ck_assert_int_eq(cs_intake(&collected, queue, rejects, NOW), APR_SUCCESS);
    ck_assert_int_eq(collected.status, 200);
    ck_assert_str_eq(all_of(queue), "");
    ck_assert_str_eq(all_of(rejects), "");
    check_counters(queue, COUNTERS(CS_METRIC_REFUSED + CS_REASON_WRONG_TYPE, 1, CS_METRIC_OPTED_OUT, 2));
    cs_queue_close(rejects);
    cs_queue_close(queue);
}
END_TEST

START_TEST(without_a_queue_it_fails)
{
    cs_queue_t *rejects = open_queue("refused");
    cs_collect_t collected;

    collect(&collected, "[" GOOD "," BAD "]", NULL);
    ck_assert_int_eq(cs_intake(&collected, NULL, rejects, NOW), APR_EGENERAL);
    ck_assert_int_eq(collected.status, 500);
    ck_assert_str_eq(apr_pstrmemdup(pool, collected.body.at, collected.body.length), FAILED);
    ck_assert_str_eq(all_of(rejects), "");
    collect(&collected, BAD, NULL);
    ck_assert_int_eq(cs_intake(&collected, NULL, NULL, NOW), APR_SUCCESS); /* there was nothing to keep */
    ck_assert_int_eq(collected.status, 400);
    cs_queue_close(rejects);
}
END_TEST

Suite *intake_suite(void)
{
    Suite *suite = suite_create("intake");
    TCase *tests = test_case("intake");

    tcase_add_test(tests, keeps_the_good_and_the_refused);
    tcase_add_test(tests, keeps_the_refused_alone);
    tcase_add_test(tests, needs_no_stream_of_rejects_where_nothing_is_refused);
    tcase_add_test(tests, full_queue_keeps_nothing);
    tcase_add_test(tests, more_than_the_queue_can_ever_hold);
    tcase_add_test(tests, counts_the_refused_that_cannot_be_kept);
    tcase_add_test(tests, counts_who_opted_out);
    tcase_add_test(tests, without_a_queue_it_fails);
    suite_add_tcase(suite, tests);
    return suite;
}
