/* The status as a page: for a phone, a screen reader and a wall, without a script.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <stddef.h>

#include "status/chart.h"
#include "status/forms.h"
#include "status/words.h"
#include "status/writer.h"

/* What stands before a state's word: its shape, for those who do not tell the colours apart. */
static const char *const marks[CS_STATE_COUNT] = {
    [CS_STATE_IDLE] = "&#9675;",
    [CS_STATE_DELIVERING] = "&#9654;&#xFE0E;",
    [CS_STATE_WAITING] = "&#9208;&#xFE0E;",
    [CS_STATE_RETRYING] = "&#8635;",
    [CS_STATE_FULL] = "&#9632;",
    [CS_STATE_NO_QUEUE] = "&#8211;",
    [CS_STATE_UNUSABLE] = "&#215;",
};

static const char *const reasons[CS_REASON_COUNT] = {
    [CS_REASON_MALFORMED_JSON] = "the text is no JSON",
    [CS_REASON_NOT_AN_OBJECT] = "it is JSON, but no object",
    [CS_REASON_MISSING_FIELD] = "a member is not there",
    [CS_REASON_WRONG_TYPE] = "a value is of the wrong type",
    [CS_REASON_BAD_TIMESTAMP] = "the timestamp is none",
    [CS_REASON_OUT_OF_RANGE] = "a value is out of its range",
    [CS_REASON_UNKNOWN_TAG] = "the tag is not known",
    [CS_REASON_TOO_LARGE] = "an event or a request is too long",
    [CS_REASON_TOO_DEEP] = "it is nested too deep",
    [CS_REASON_TOO_MANY_EVENTS] = "requests with too many events",
    [CS_REASON_UNAUTHORIZED] = "requests without a token that is right",
    [CS_REASON_UNKNOWN_CLIENT] = "requests of a client that is not known",
    [CS_REASON_QUEUE_FULL] = "the queue had no room",
};

/* A row of a table: a number under its name, with what it means. */
typedef struct row_t {
    const char *name, *about;
    apr_size_t offset;
    const char *(*words)(apr_uint64_t number, apr_pool_t *pool);
    int bad; /* a number above 0 is worth a look */
} row_t;

#define NUMBER(field) offsetof(cs_snapshot_t, field)
static const row_t events[] = {
    {"Accepted", "answered 200 and queued", NUMBER(appended), cs_words_count, 0},
    {"Delivered", "taken by the destination", NUMBER(delivered), cs_words_count, 0},
    {"Refused", "never queued, for the reasons below", NUMBER(refused), cs_words_count, 0},
    {"Sent again", "after an attempt that failed", NUMBER(retried), cs_words_count, 0},
    {"Possible duplicates", "sent again although the destination may have them", NUMBER(maybe_twice), cs_words_count,
     0},
    {"Rejected", "never taken by the destination; kept in NAME.rejected for clickstreamctl requeue", NUMBER(rejected),
     cs_words_count, 1},
    {"Opted out", "answered 200 and not kept, by ClickstreamOptOut", NUMBER(opted_out), cs_words_count, 0},
    {"Refused and not kept", "had no room in the stream of ClickstreamRejectTo", NUMBER(rejects_lost), cs_words_count,
     1},
    {"Lost", "gone with a loss of power or a damaged disk", NUMBER(lost), cs_words_count, 1},
};
static const row_t delivery[] = {
    {"Batches", "sent, whatever became of them", NUMBER(batches), cs_words_count, 0},
    {"Failed batches", "of them, those of which nothing was taken", NUMBER(batches_failed), cs_words_count, 0},
    {"Records", "taken by the destination", NUMBER(records), cs_words_count, 0},
    {"Bytes of events", "delivered", NUMBER(delivered_bytes), cs_words_bytes, 0},
    {"Bytes sent", "the same with what divides the events", NUMBER(sent_bytes), cs_words_bytes, 0},
};
static const row_t takeovers = {"Locks taken over", "from processes that died", NUMBER(deaths), cs_words_count, 0};

static void begin_table(cs_writer_t *writer, const char *caption, const char *first, const char *second)
{
    cs_write(writer,
             "<table><caption>%s</caption>\n<thead><tr><th scope=\"col\">%s</th><th scope=\"col\">%s</th></tr></thead>"
             "\n<tbody>\n",
             caption, first, second);
}

static void end_table(cs_writer_t *writer)
{
    cs_write(writer, "</tbody></table>\n");
}

static void write_row(cs_writer_t *writer, const char *name, const char *about, const char *value, const char *kind)
{
    cs_write(writer, "<tr><th scope=\"row\">%s<small>%s</small></th><td%s>%s</td></tr>\n", name, about, kind, value);
}

static void write_number(cs_writer_t *writer, const row_t *row, const cs_snapshot_t *snapshot)
{
    apr_uint64_t number = cs_snapshot_number(snapshot, row->offset);

    write_row(writer, row->name, row->about, row->words(number, writer->pool),
              number == 0 ? " class=\"none\""
              : row->bad  ? " class=\"bad\""
                          : "");
}

/* "2026-01-31 23:59:59 UTC (12 s ago)" */
static const char *when(apr_time_t time, apr_time_t now, apr_pool_t *pool)
{
    return apr_psprintf(pool, "<time datetime=\"%s\">%s</time> (%s ago)", cs_writer_time(time, pool),
                        cs_words_time(time, pool), cs_words_duration(now > time ? now - time : 0, pool));
}

static const char *seconds(double number, apr_pool_t *pool)
{
    return number < 0 ? "&#8211;" : cs_words_duration((apr_interval_time_t)(number * APR_USEC_PER_SEC), pool);
}

/* --- the parts of a stream --- */

static void write_events(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    begin_table(writer, "Events since the queue file was made", "What became of them", "Events");
    for (apr_size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        write_number(writer, &events[i], snapshot);
    end_table(writer);
}

static void write_billed(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    apr_pool_t *pool = writer->pool;
    const char *value = cs_words_bytes(snapshot->billed_bytes, pool);

    if (snapshot->stream->sink != CS_SINK_FIREHOSE)
        return;
    if (snapshot->sent_bytes)
        value = apr_psprintf(pool, "%s<small>%s times what was sent</small>", value,
                             cs_words_decimal((double)snapshot->billed_bytes / (double)snapshot->sent_bytes, pool));
    write_row(writer, "Bytes billed", "by Firehose, each record rounded up to 5 KiB", value, "");
}

static void write_delivery(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    apr_pool_t *pool = writer->pool;
    double mean = cs_snapshot_events_per_record(snapshot);

    begin_table(writer, "Delivery", "What", "How much");
    write_row(writer, "Latency, p50", "half of the events were quicker, from their 200 until they were taken",
              seconds(snapshot->p50, pool), "");
    write_row(writer, "Latency, p99", "99 of 100 were quicker; both of the last ten minutes",
              seconds(snapshot->p99, pool), "");
    for (apr_size_t i = 0; i < sizeof(delivery) / sizeof(delivery[0]); i++)
        write_number(writer, &delivery[i], snapshot);
    write_billed(writer, snapshot);
    write_row(writer, "Events per record", "on average", mean > 0 ? cs_words_decimal(mean, pool) : "&#8211;", "");
    write_number(writer, &takeovers, snapshot);
    write_row(writer, "Sender last at work", "whichever process it is",
              snapshot->seen ? when(snapshot->seen, snapshot->now, pool) : "never", " class=\"words\"");
    end_table(writer);
}

static void write_refusals(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    if (!snapshot->refused)
        return;
    begin_table(writer, "Refused, by reason", "Reason", "Events");
    for (int i = 0; i < CS_REASON_COUNT; i++) {
        if (snapshot->refusals[i])
            write_row(writer, cs_reason_name((cs_reason_t)i), reasons[i],
                      cs_words_count(snapshot->refusals[i], writer->pool), "");
    }
    end_table(writer);
}

static void write_trouble(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    const cs_trouble_t *trouble = &snapshot->trouble;
    apr_pool_t *pool = writer->pool;

    if (!trouble->last)
        return;
    cs_write(writer, "<div class=\"error%s\">\n<h3>Last error</h3>\n<p class=\"reason\">%s</p>\n",
             trouble->since ? " now" : "", cs_html_text(trouble->reason, pool));
    if (*trouble->advice)
        cs_write(writer, "<p><strong>What to do:</strong> %s</p>\n", cs_html_text(trouble->advice, pool));
    cs_write(writer, "<p class=\"quiet\">%s. ", when(trouble->last, snapshot->now, pool));
    if (trouble->since)
        cs_write(writer, "It has lasted since %s: ", when(trouble->since, snapshot->now, pool));
    else
        cs_write(writer, "It is over: ");
    cs_write(writer, "%s failures, %s events waited at most. Nothing is lost, and all is sent again.</p>\n</div>\n",
             cs_words_count(trouble->failures, pool), cs_words_count(trouble->most_waiting, pool));
}

static void write_figure(cs_writer_t *writer, const char *name, const char *value, const char *more)
{
    cs_write(writer, "<div><dt>%s</dt><dd><b>%s</b> <span>%s</span></dd></div>\n", name, value, more);
}

static void write_figures(cs_writer_t *writer, const cs_snapshot_t *snapshot)
{
    apr_pool_t *pool = writer->pool;
    double accepted, delivered;

    cs_chart_rates(&accepted, &delivered, snapshot);
    cs_write(writer, "<dl class=\"figures\">\n");
    write_figure(writer, "Waiting", cs_words_count(snapshot->waiting, pool),
                 apr_psprintf(pool, "events, %s", cs_words_bytes(snapshot->waiting_bytes, pool)));
    write_figure(writer, "Oldest waits for", snapshot->waiting ? cs_words_duration(snapshot->oldest, pool) : "&#8211;",
                 snapshot->waiting ? "" : "nothing waits");
    write_figure(writer, "Accepted", apr_psprintf(pool, "%s/s", cs_words_decimal(accepted, pool)),
                 "in the last minute");
    write_figure(writer, "Delivered", apr_psprintf(pool, "%s/s", cs_words_decimal(delivered, pool)),
                 "in the last minute");
    write_figure(writer, "Latency", seconds(snapshot->p50, pool),
                 apr_psprintf(pool, "p50; p99 %s", seconds(snapshot->p99, pool)));
    cs_write(writer, "</dl>\n");
}

static void write_capacity(cs_writer_t *writer, const cs_snapshot_t *snapshot, int number)
{
    cs_write(writer,
             "<p class=\"capacity\"><label for=\"queue-%d\">Queue</label>"
             "<meter id=\"queue-%d\" min=\"0\" max=\"100\" low=\"50\" high=\"89\" optimum=\"0\" value=\"%.2f\">"
             "%" APR_UINT64_T_FMT "%%</meter><span>%" APR_UINT64_T_FMT "%% full: %s of %s</span></p>\n",
             number, number, (double)snapshot->used * 100 / (double)snapshot->capacity, snapshot->percent,
             snapshot->percent, cs_words_bytes(snapshot->used, writer->pool),
             cs_words_bytes(snapshot->capacity, writer->pool));
}

static void write_stream(cs_writer_t *writer, const cs_snapshot_t *snapshot, int number)
{
    const char *state = cs_state_name(snapshot->state);

    cs_write(writer,
             "<section aria-labelledby=\"stream-%d\">\n<div class=\"head\"><h2 id=\"stream-%d\">%s</h2>"
             "<p class=\"kind\">%s</p><p class=\"state %s\"><span aria-hidden=\"true\">%s</span> %s</p>"
             "<p class=\"about\">%s</p></div>\n",
             number, number, cs_html_text(snapshot->stream->name, writer->pool),
             snapshot->stream->sink == CS_SINK_FIREHOSE ? "Amazon Data Firehose" : "local folder", state,
             marks[snapshot->state], state, cs_state_about(snapshot->state));
    if (snapshot->why)
        cs_write(writer, "<p class=\"why\"><strong>Not healthy:</strong> %s.</p>\n",
                 cs_html_text(snapshot->why, writer->pool));
    if (cs_snapshot_has_numbers(snapshot)) {
        write_trouble(writer, snapshot);
        write_figures(writer, snapshot);
        write_capacity(writer, snapshot, number);
        cs_chart_write(writer, snapshot, number);
        cs_write(writer, "<div class=\"tables\">\n<div>");
        write_events(writer, snapshot);
        write_refusals(writer, snapshot);
        cs_write(writer, "</div>\n<div>");
        write_delivery(writer, snapshot);
        cs_write(writer, "</div>\n</div>\n");
    }
    cs_write(writer, "</section>\n");
}

/* --- the page --- */

static void write_verdict(cs_writer_t *writer, const cs_status_t *status)
{
    int count = status->streams->nelts, bad = 0;

    for (int i = 0; i < count; i++)
        bad += APR_ARRAY_IDX(status->streams, i, const cs_snapshot_t *)->why != NULL;
    if (!count)
        cs_write(writer, "<p class=\"verdict\">No stream is declared: write ClickstreamStream, such as "
                         "<code>ClickstreamStream clicks firehose region=us-east-1</code></p>\n");
    else if (bad)
        cs_write(writer,
                 "<p class=\"verdict bad\"><span aria-hidden=\"true\">!</span> %d of %d streams "
                 "%s attention</p>\n",
                 bad, count, bad == 1 ? "needs" : "need");
    else
        cs_write(writer, "<p class=\"verdict good\"><span aria-hidden=\"true\">&#10003;</span> %s</p>\n",
                 count == 1 ? "The stream is healthy" : "All streams are healthy");
}

const char *cs_status_html(const cs_status_t *status, int refresh, apr_pool_t *pool)
{
    cs_writer_t writer = cs_writer_begin(pool);

    cs_write(
        &writer,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Clickstream status</title>\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n"
        "<style>%s</style>\n</head>\n<body>\n<header>\n<h1>Clickstream status</h1>\n",
        cs_html_style);
    write_verdict(&writer, status);
    cs_write(&writer, "<p class=\"quiet\">As of <time datetime=\"%s\">%s</time>. ", cs_writer_time(status->now, pool),
             cs_words_time(status->now, pool));
    if (refresh)
        cs_write(&writer, "Loaded again every %d s: <a href=\"?refresh=0\">stop that</a></p>\n", refresh);
    else
        cs_write(&writer, "Not loaded again by itself: <a href=\"?\">start that</a></p>\n");
    cs_write(&writer, "</header>\n<main>\n");
    for (int i = 0; i < status->streams->nelts; i++)
        write_stream(&writer, APR_ARRAY_IDX(status->streams, i, const cs_snapshot_t *), i + 1);
    cs_write(&writer,
             "</main>\n<footer>\n<nav aria-label=\"Other forms\"><a href=\"?format=json\">JSON</a> "
             "<a href=\"?format=prometheus\">Prometheus</a> <a href=\"?health\">Health</a></nav>\n"
             "<p class=\"quiet\">mod_clickstream %s</p>\n</footer>\n</body>\n</html>\n",
             PACKAGE_VERSION);
    return cs_writer_end(&writer);
}
