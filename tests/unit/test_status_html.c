/* The status as a page: its numbers in words, its picture, and that nothing on it is taken for HTML. What a parser
 * makes of all of it is seen in tests/httpd/test_status.py. SPDX-License-Identifier: Apache-2.0 */
#include "snapshots.h"

#include <apr_strings.h>
#include <math.h>
#include <string.h>

#include "status/chart.h"
#include "status/words.h"
#include "status/writer.h"

/* --- words --- */

static const struct {
    apr_uint64_t bytes;
    const char *words;
} sizes[] = {{0, "0 B"},
             {1, "1 B"},
             {1023, "1023 B"},
             {1024, "1.0 KiB"},
             {1536, "1.5 KiB"},
             {10137, "9.9 KiB"},
             {10240, "10 KiB"},
             {1048063, "1023 KiB"},
             {1048064, "1.0 MiB"},
             {64 << 20, "64 MiB"},
             {APR_UINT64_C(64) << 30, "64 GiB"},
             {APR_UINT64_MAX, "16 EiB"}};

static const struct {
    apr_interval_time_t time;
    const char *words;
} durations[] = {{0, "0 ms"},
                 {999999, "999 ms"},
                 {APR_USEC_PER_SEC, "1.0 s"},
                 {4290000, "4.2 s"},
                 {9999999, "9.9 s"},
                 {10 * APR_USEC_PER_SEC, "10 s"},
                 {59 * APR_USEC_PER_SEC, "59 s"},
                 {60 * APR_USEC_PER_SEC, "1 min 0 s"},
                 {200 * APR_USEC_PER_SEC, "3 min 20 s"},
                 {3599 * APR_USEC_PER_SEC, "59 min 59 s"},
                 {7500 * APR_USEC_PER_SEC, "2 h 5 min"},
                 {86400 * APR_USEC_PER_SEC, "1 d 0 h"},
                 {APR_INT64_C(10000000) * APR_USEC_PER_SEC, "115 d 17 h"}};

static const struct {
    double number;
    const char *words;
} decimals[] = {{0, "0"},       {0.004, "0.00"}, {0.25, "0.25"},          {1, "1.0"}, {3.14, "3.1"}, {42, "42.0"},
                {99.9, "99.9"}, {100, "100"},    {1234567.4, "1,234,567"}};

static const struct {
    apr_uint64_t count;
    const char *words;
} numbers[] = {
    {0, "0"}, {999, "999"}, {1000, "1,000"}, {1000001, "1,000,001"}, {APR_UINT64_MAX, "18,446,744,073,709,551,615"}};

START_TEST(numbers_in_words)
{
    for (apr_size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        ck_assert_str_eq(cs_words_bytes(sizes[i].bytes, pool), sizes[i].words);
    for (apr_size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
        ck_assert_str_eq(cs_words_duration(durations[i].time, pool), durations[i].words);
    for (apr_size_t i = 0; i < sizeof(decimals) / sizeof(decimals[0]); i++)
        ck_assert_str_eq(cs_words_decimal(decimals[i].number, pool), decimals[i].words);
    for (apr_size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        ck_assert_str_eq(cs_words_count(numbers[i].count, pool), numbers[i].words);
    ck_assert_str_eq(cs_words_time(TEST_NOW, pool), "2026-01-31 23:59:59 UTC");
}
END_TEST

/* --- escaping --- */

static const struct {
    const char *text, *html;
} texts[] = {
    {"", ""},
    {"plain caf\xC3\xA9", "plain caf\xC3\xA9"},
    {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
    {"a & b &amp; \"c\" 'd'", "a &amp; b &amp;amp; &quot;c&quot; 'd'"},
    {"two\nlines\r\tand", "two lines  and"},
    {"\x01\x1b[0m\x7f", "\xEF\xBF\xBD\xEF\xBF\xBD[0m\xEF\xBF\xBD"},
    {"\xff\xC3<", "\xEF\xBF\xBD\xEF\xBF\xBD&lt;"},
    {"\xC0\xBC"
     "b",
     "\xEF\xBF\xBD\xEF\xBF\xBD"
     "b"}, /* an overlong < */
    {"\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"},
};

START_TEST(text_is_no_html)
{
    ck_assert_str_eq(cs_html_text(texts[_i].text, pool), texts[_i].html);
}
END_TEST

START_TEST(what_comes_from_outside_is_escaped)
{
    const char *page = cs_status_html(test_status(test_full_snapshot("<img src=x>\"'&", "</p><b>"), NULL), 5, pool);

    ck_assert_ptr_nonnull(strstr(page, "<p class=\"reason\">&lt;img src=x&gt;&quot;'&amp;</p>"));
    ck_assert_ptr_nonnull(strstr(page, "<strong>What to do:</strong> &lt;/p&gt;&lt;b&gt;</p>"));
    ck_assert_ptr_nonnull(strstr(page, "it is &lt;late&gt;."));
    ck_assert_ptr_null(strstr(page, "<img"));
    ck_assert_ptr_null(strstr(page, "<script"));
}
END_TEST

/* --- the page --- */

static const char *const pieces[] = {
    "<html lang=\"en\">",
    "1 of 1 streams needs attention",
    "<h2 id=\"stream-1\">clicks</h2><p class=\"kind\">Amazon Data Firehose</p><p class=\"state retrying\">",
    "<time datetime=\"2026-01-31T23:59:47.123Z\">2026-01-31 23:59:47 UTC</time> (12 s ago). It has lasted since <time",
    "23:57:59 UTC</time> (2 min 0 s ago): 9 failures, 700 events waited at most.",
    "<dt>Waiting</dt><dd><b>600</b> <span>events, 59 KiB</span>",
    "<dt>Oldest waits for</dt><dd><b>2 min 5 s</b>",
    "<dt>Accepted</dt><dd><b>20.0/s</b>", /* as the samples say, but the queue's number came meanwhile */
    "<dt>Latency</dt><dd><b>750 ms</b> <span>p50; p99 1 d 0 h</span>",
    "value=\"6.25\">6%</meter><span>6% full: 64 KiB of 1.0 MiB</span>",
    "answered 200 and queued</small></th><td>3,000</td>",
    "<td class=\"bad\">3</td>",
    "<td class=\"bad\">4</td>",
    "<td>1,234,574</td>",
    "missing_field<small>a member is not there</small></th><td>7</td>",
    "<td>240 KiB<small>1.0 times what was sent</small></td>",
    "Events per record<small>on average</small></th><td>100</td>",
    "<svg class=\"plane\"",
    "<a href=\"?refresh=0\">stop that</a>",
    "<a href=\"?format=json\">JSON</a> <a href=\"?format=prometheus\">Prometheus</a> <a href=\"?health\">Health</a>",
};

START_TEST(says_all_there_is)
{
    cs_snapshot_t *snapshot = test_full_snapshot("r", "a");
    const char *page = cs_status_html(test_status(snapshot, NULL), 5, pool);

    ck_assert_msg(strstr(page, pieces[_i]) != NULL, "no %s in %s", pieces[_i], page);
}
END_TEST

START_TEST(what_does_not_concern_is_not_there)
{
    const char *page = cs_status_html(test_status(test_snapshot("clicks file path=/x", CS_STATE_IDLE), NULL), 0, pool);

    ck_assert_ptr_nonnull(strstr(page, "The stream is healthy"));
    ck_assert_ptr_nonnull(strstr(page, "local folder"));
    ck_assert_ptr_nonnull(strstr(page, "<a href=\"?\">start that</a>"));
    ck_assert_ptr_nonnull(strstr(page, "The trend of the last minutes is drawn once"));
    ck_assert_ptr_null(strstr(page, "Last error"));
    ck_assert_ptr_null(strstr(page, "Not healthy"));
    ck_assert_ptr_null(strstr(page, "Bytes billed"));
    ck_assert_ptr_null(strstr(page, "Refused, by reason"));
}
END_TEST

START_TEST(an_error_that_is_over)
{
    cs_snapshot_t *snapshot = test_full_snapshot("r", "");
    const char *page;

    snapshot->trouble.since = 0;
    page = cs_status_html(test_status(snapshot, NULL), 0, pool);
    ck_assert_ptr_nonnull(strstr(page, "<div class=\"error\">"));
    ck_assert_ptr_nonnull(strstr(page, "(12 s ago). It is over: 9 failures"));
    ck_assert_ptr_null(strstr(page, "What to do"));
}
END_TEST

START_TEST(without_numbers_and_without_streams)
{
    cs_snapshot_t *broken = test_snapshot("b file path=/x", CS_STATE_UNUSABLE);
    const char *page;

    broken->why = "its queue file cannot be used";
    page = cs_status_html(test_status(test_snapshot("a file path=/x", CS_STATE_IDLE), broken, NULL), 5, pool);
    ck_assert_ptr_nonnull(strstr(page, "1 of 2 streams needs attention"));
    ck_assert_ptr_nonnull(strstr(page, "<strong>Not healthy:</strong> its queue file cannot be used."));
    ck_assert_ptr_null(strstr(page, "queue-2"));
    page = cs_status_html(test_status(NULL), 5, pool);
    ck_assert_ptr_nonnull(strstr(page, "No stream is declared"));
    ck_assert_ptr_null(strstr(page, "<section"));
}
END_TEST

/* --- the picture --- */

START_TEST(the_trend_in_words_and_lines)
{
    cs_snapshot_t *snapshot = test_full_snapshot("r", "a");
    cs_writer_t writer = cs_writer_begin(pool);
    const char *text;

    snapshot->appended = 3000; /* 10 s after the last sample, at which there were 2800 */
    snapshot->delivered = 2400;
    cs_chart_write(&writer, snapshot, 7);
    text = cs_writer_end(&writer);
    ck_assert_ptr_nonnull(strstr(text, "aria-labelledby=\"rates-7-title rates-7-words\""));
    ck_assert_ptr_nonnull(strstr(text, "Accepted: 20.0 a second on average, at most 20.0, at last 20.0. Delivered: "
                                       "15.0 on average, at most 15.0, at last 15.0.</desc>"));
    ck_assert_ptr_nonnull(strstr(text, "350 on average, at most 600, at last 600.</desc>"));
    ck_assert_ptr_nonnull(strstr(text, "<path class=\"accepted\" d=\"M60.0 2.0L120.0 2.0L"));
    ck_assert_ptr_nonnull(strstr(text, "L600.0 2.0\"/>"));
    ck_assert_ptr_nonnull(strstr(text, "<path class=\"delivered\" d=\"M60.0 26.0L"));
    ck_assert_ptr_nonnull(strstr(text, "<path class=\"waiting area\" d=\"M0.0 100L0.0 82.0L60.0 74.0L"));
    ck_assert_ptr_nonnull(strstr(text, "<span>100 s ago</span><span>now</span>"));
    ck_assert_ptr_nonnull(strstr(text, "L600.0 100Z\"/>"));
}
END_TEST

/* Numbers that fall, as those of a new file do, make no line below the plane, and a quiet stream none above it. */
START_TEST(no_rate_is_below_zero)
{
    cs_snapshot_t *snapshot = test_full_snapshot("r", "a");
    cs_writer_t writer = cs_writer_begin(pool);
    double accepted, delivered;

    snapshot->appended = snapshot->delivered = snapshot->waiting = 0;
    for (int i = 0; i < snapshot->sampled; i++)
        snapshot->samples[i].waiting = snapshot->samples[i].accepted = snapshot->samples[i].delivered = 0;
    snapshot->samples[3].accepted = 5000;
    cs_chart_write(&writer, snapshot, 1);
    ck_assert_ptr_null(strstr(cs_writer_end(&writer), "-0."));
    ck_assert_ptr_null(strstr(cs_writer_end(&writer), "nan"));
    ck_assert_ptr_nonnull(strstr(cs_writer_end(&writer), "at most 500, at last 0."));
    cs_chart_rates(&accepted, &delivered, snapshot);
    ck_assert_double_eq(accepted, 0);
    ck_assert_double_eq(delivered, 0);
}
END_TEST

START_TEST(rates_of_the_last_minute)
{
    cs_snapshot_t *snapshot = test_full_snapshot("r", "a");
    double accepted, delivered;

    cs_chart_rates(&accepted, &delivered, snapshot);
    ck_assert_double_eq_tol(accepted, 20, 1e-9);
    ck_assert_double_eq_tol(delivered, 15, 1e-9);
    snapshot->samples[4].accepted = 2400; /* a minute ago; the 600 since then came in 60 s */
    cs_chart_rates(&accepted, &delivered, snapshot);
    ck_assert_double_eq_tol(accepted, 10, 1e-9);
    snapshot->sampled = 0;
    cs_chart_rates(&accepted, &delivered, snapshot);
    ck_assert_double_eq(accepted, 0);
}
END_TEST

Suite *status_html_suite(void)
{
    Suite *suite = suite_create("status_html");
    TCase *tests = test_case("status_html");

    tcase_add_test(tests, numbers_in_words);
    tcase_add_loop_test(tests, text_is_no_html, 0, sizeof(texts) / sizeof(texts[0]));
    tcase_add_test(tests, what_comes_from_outside_is_escaped);
    tcase_add_loop_test(tests, says_all_there_is, 0, sizeof(pieces) / sizeof(pieces[0]));
    tcase_add_test(tests, what_does_not_concern_is_not_there);
    tcase_add_test(tests, an_error_that_is_over);
    tcase_add_test(tests, without_numbers_and_without_streams);
    tcase_add_test(tests, the_trend_in_words_and_lines);
    tcase_add_test(tests, no_rate_is_below_zero);
    tcase_add_test(tests, rates_of_the_last_minute);
    suite_add_tcase(suite, tests);
    return suite;
}
