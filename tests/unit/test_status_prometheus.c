/* The status for Prometheus: its form, and each number in its place.
 * SPDX-License-Identifier: Apache-2.0 */
#include "snapshots.h"

#include <apr_strings.h>
#include <regex.h>
#include <string.h>

#define S "{stream=\"clicks\"} "

static const char *const lines[] = {
    "clickstream_build_info{version=\"" PACKAGE_VERSION "\"} 1",
    "clickstream_stream_healthy" S "0",
    "clickstream_stream_state{stream=\"clicks\",state=\"retrying\"} 1",
    "clickstream_stream_state{stream=\"clicks\",state=\"idle\"} 0",
    "clickstream_events_accepted_total" S "3000",
    "clickstream_events_delivered_total" S "2400",
    "clickstream_events_retried_total" S "90",
    "clickstream_events_rejected_total" S "3",
    "clickstream_events_lost_total" S "4",
    "clickstream_events_opted_out_total" S "5",
    "clickstream_refused_events_lost_total" S "6",
    "clickstream_events_maybe_duplicated_total" S "10",
    "clickstream_records_delivered_total" S "24",
    "clickstream_batches_total" S "30",
    "clickstream_batches_failed_total" S "8",
    "clickstream_delivered_bytes_total" S "240000",
    "clickstream_sent_bytes_total" S "242400",
    "clickstream_billed_bytes_total" S "245760",
    "clickstream_lock_takeovers_total" S "11",
    "clickstream_queue_events" S "600",
    "clickstream_queue_used_bytes" S "65536",
    "clickstream_queue_capacity_bytes" S "1048576",
    "clickstream_oldest_event_age_seconds" S "125.500",
    "clickstream_trouble_seconds" S "120.000",
    "clickstream_last_failure_timestamp_seconds" S "1769903987.123",
    "clickstream_sender_seen_timestamp_seconds" S "1769903998.123",
    "clickstream_events_refused_total{stream=\"clicks\",reason=\"missing_field\"} 7",
    "clickstream_events_refused_total{stream=\"clicks\",reason=\"queue_full\"} 1234567",
    "clickstream_events_refused_total{stream=\"clicks\",reason=\"too_deep\"} 0",
    "clickstream_delivery_latency_seconds_bucket{stream=\"clicks\",le=\"0.05\"} 400",
    "clickstream_delivery_latency_seconds_bucket{stream=\"clicks\",le=\"0.5\"} 400",
    "clickstream_delivery_latency_seconds_bucket{stream=\"clicks\",le=\"1\"} 2390",
    "clickstream_delivery_latency_seconds_bucket{stream=\"clicks\",le=\"1.5\"} 2390",
    "clickstream_delivery_latency_seconds_bucket{stream=\"clicks\",le=\"86400\"} 2390",
    "clickstream_delivery_latency_seconds_bucket{stream=\"clicks\",le=\"+Inf\"} 2400",
    "clickstream_delivery_latency_seconds_sum" S "1000.250000",
    "clickstream_delivery_latency_seconds_count" S "2400",
};

static const char *full(void)
{
    return cs_status_prometheus(test_status(test_full_snapshot("x\"} 1\nevil 2", "y"), NULL), pool);
}

static int has_line(const char *text, const char *line)
{
    return strstr(text, apr_pstrcat(pool, "\n", line, "\n", NULL)) != NULL;
}

START_TEST(has_each_number)
{
    ck_assert_msg(has_line(full(), lines[_i]), "no %s in %s", lines[_i], full());
    ck_assert_ptr_null(strstr(full(), "evil")); /* no text of others is in it */
}
END_TEST

/* Each metric has its HELP and TYPE, once, before its lines, which stand together; each line has the form. */
START_TEST(has_the_form)
{
    const char *text =
        cs_status_prometheus(test_status(test_full_snapshot("r", "a"), test_snapshot("b file path=/x", CS_STATE_IDLE),
                                         test_snapshot("c file path=/x", CS_STATE_UNUSABLE), NULL),
                             pool);
    const char *name = "", *seen = " ";
    char *state, *copy = apr_pstrdup(pool, text);
    regex_t form;
    int count = 0;

    ck_assert_int_eq(regcomp(&form, "^[a-z_]+\\{[a-z]+=\"[^\"\\]*\"(,[a-z]+=\"[^\"\\]*\")?\\} [0-9]+(\\.[0-9]+)?$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    for (char *line = apr_strtok(copy, "\n", &state); line; line = apr_strtok(NULL, "\n", &state), count++) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            name = apr_pstrmemdup(pool, line + 7, strcspn(line + 7, " "));
            ck_assert_msg(!strstr(seen, apr_pstrcat(pool, " ", name, " ", NULL)), "%s twice", name);
            seen = apr_pstrcat(pool, seen, name, " ", NULL);
            ck_assert_uint_gt(strlen(line), strlen(name) + 10);
            line = apr_strtok(NULL, "\n", &state);
            ck_assert_msg(strncmp(line, apr_pstrcat(pool, "# TYPE ", name, " ", NULL), strlen(name) + 8) == 0, "%s",
                          line);
            ck_assert_msg(strstr(line, strstr(name, "_total")     ? " counter"
                                       : strstr(name, "_latency") ? " histogram"
                                                                  : " gauge") != NULL,
                          "%s", line);
            continue;
        }
        ck_assert_msg(regexec(&form, line, 0, NULL, 0) == 0, "%s", line);
        ck_assert_msg(strncmp(line, name, strlen(name)) == 0, "%s under %s", line, name);
    }
    ck_assert_int_gt(count, 100);
    regfree(&form);
}
END_TEST

/* Where a number is not known there is none, rather than a 0 at which a counter would begin anew. */
START_TEST(what_is_not_known_is_not_there)
{
    const char *text = cs_status_prometheus(test_status(test_snapshot("b file path=/x", CS_STATE_IDLE),
                                                        test_snapshot("c file path=/x", CS_STATE_UNUSABLE),
                                                        test_snapshot("d file path=/x", CS_STATE_NO_QUEUE), NULL),
                                            pool);

    ck_assert(has_line(text, "clickstream_events_accepted_total{stream=\"b\"} 0"));
    ck_assert(has_line(text, "clickstream_trouble_seconds{stream=\"b\"} 0.000"));
    ck_assert(has_line(text, "clickstream_stream_state{stream=\"c\",state=\"unusable\"} 1"));
    ck_assert(has_line(text, "clickstream_stream_state{stream=\"d\",state=\"no_queue\"} 1"));
    ck_assert_ptr_null(strstr(text, "_total{stream=\"c\""));
    ck_assert_ptr_null(strstr(text, "_total{stream=\"d\""));
    ck_assert_ptr_null(strstr(text, "_seconds{stream=\"c\""));
    ck_assert_ptr_null(strstr(text, "_count{stream=\"c\""));
    ck_assert_ptr_null(strstr(text, "clickstream_billed_bytes_total{")); /* nobody bills a folder */
}
END_TEST

Suite *status_prometheus_suite(void)
{
    Suite *suite = suite_create("status_prometheus");
    TCase *tests = test_case("status_prometheus");

    tcase_add_loop_test(tests, has_each_number, 0, sizeof(lines) / sizeof(lines[0]));
    tcase_add_test(tests, has_the_form);
    tcase_add_test(tests, what_is_not_known_is_not_there);
    suite_add_tcase(suite, tests);
    return suite;
}
