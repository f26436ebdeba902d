/* The last minutes as pictures: lines in a plane that the page stretches, so all text stands outside of them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "status/chart.h"

#include <apr_strings.h>

#include "status/words.h"

/* The plane, with room for a line's own width above and below. */
#define WIDTH 600
#define HEIGHT 100
#define MARGIN 2

/* What it shows at least of the past, and at most: all samples. */
#define SPAN_LEAST apr_time_from_sec(60)

typedef struct point_t {
    apr_time_t at;
    double y; /* in the unit of what is shown */
} point_t;

typedef struct line_t {
    point_t points[CS_SAMPLES + 1];
    int count;
    double most, mean;
} line_t;

/* A line's value at the moment i: of the samples, or the present. */
typedef struct moments_t {
    struct {
        apr_time_t at;
        apr_uint64_t accepted, delivered, waiting;
    } list[CS_SAMPLES + 1];
    int count;
} moments_t;

static moments_t moments_of(const cs_snapshot_t *snapshot)
{
    moments_t moments = {.count = snapshot->sampled};

    for (int i = 0; i < snapshot->sampled; i++) {
        const cs_sample_t *sample = &snapshot->samples[i];
        moments.list[i].at = sample->at;
        moments.list[i].accepted = sample->accepted;
        moments.list[i].delivered = sample->delivered;
        moments.list[i].waiting = sample->waiting;
    }
    /* Less than a second makes no rate. */
    if (!moments.count || snapshot->now - moments.list[moments.count - 1].at >= apr_time_from_sec(1)) {
        int last = moments.count++;
        moments.list[last].at = snapshot->now;
        moments.list[last].accepted = snapshot->appended;
        moments.list[last].delivered = snapshot->delivered;
        moments.list[last].waiting = snapshot->waiting;
    }
    return moments;
}

static double rate(apr_uint64_t from, apr_uint64_t to, apr_interval_time_t time)
{
    return to > from && time > 0 ? (double)(to - from) * APR_USEC_PER_SEC / (double)time : 0;
}

static void add_point(line_t *line, apr_time_t at, double y)
{
    line->points[line->count++] = (point_t){at, y};
    if (y > line->most)
        line->most = y;
}

/* A rate holds from one moment to the next, and is drawn at the later one. */
static void fill_lines(line_t *accepted, line_t *delivered, line_t *waiting, const cs_snapshot_t *snapshot)
{
    moments_t moments = moments_of(snapshot);
    int last = moments.count - 1;
    apr_interval_time_t all = moments.list[last].at - moments.list[0].at;

    *accepted = *delivered = *waiting = (line_t){.count = 0};
    for (int i = 0; i < moments.count; i++) {
        apr_time_t at = moments.list[i].at;
        add_point(waiting, at, (double)moments.list[i].waiting);
        waiting->mean += (double)moments.list[i].waiting / moments.count;
        if (i == 0)
            continue;
        add_point(accepted, at,
                  rate(moments.list[i - 1].accepted, moments.list[i].accepted, at - moments.list[i - 1].at));
        add_point(delivered, at,
                  rate(moments.list[i - 1].delivered, moments.list[i].delivered, at - moments.list[i - 1].at));
    }
    accepted->mean = rate(moments.list[0].accepted, moments.list[last].accepted, all);
    delivered->mean = rate(moments.list[0].delivered, moments.list[last].delivered, all);
}

void cs_chart_rates(double *accepted, double *delivered, const cs_snapshot_t *snapshot)
{
    moments_t moments = moments_of(snapshot);
    int last = moments.count - 1, first = last;

    while (first > 0 && snapshot->now - moments.list[first].at < apr_time_from_sec(60))
        first--;
    *accepted =
        rate(moments.list[first].accepted, moments.list[last].accepted, moments.list[last].at - moments.list[first].at);
    *delivered = rate(moments.list[first].delivered, moments.list[last].delivered,
                      moments.list[last].at - moments.list[first].at);
}

/* --- drawing --- */

/* The time that the plane shows. */
typedef struct span_t {
    apr_time_t from, to;
} span_t;

static span_t span_of(const cs_snapshot_t *snapshot)
{
    span_t span = {.from = snapshot->now - SPAN_LEAST, .to = snapshot->now};

    if (snapshot->sampled && snapshot->samples[0].at < span.from)
        span.from = snapshot->samples[0].at;
    return span;
}

static double x_of(apr_time_t at, span_t span)
{
    return WIDTH * (double)(at - span.from) / (double)(span.to - span.from);
}

/* The points as SVG has them; where it is an area, with the two corners below them. */
static void write_path(cs_writer_t *writer, const char *kind, const line_t *line, double most, span_t span, int closed)
{
    double scale = most > 0 ? (HEIGHT - 2 * MARGIN) / most : 0;

    cs_write(writer, "<path class=\"%s\" d=\"", kind);
    if (closed)
        cs_write(writer, "M%.1f %d", x_of(line->points[0].at, span), HEIGHT);
    for (int i = 0; i < line->count; i++)
        cs_write(writer, "%s%.1f %.1f", i || closed ? "L" : "M", x_of(line->points[i].at, span),
                 HEIGHT - MARGIN - line->points[i].y * scale);
    if (closed)
        cs_write(writer, "L%.1f %dZ", x_of(line->points[line->count - 1].at, span), HEIGHT);
    cs_write(writer, "\"/>");
}

static void begin_plane(cs_writer_t *writer, const char *id, int number, const char *title, const char *words)
{
    cs_write(writer,
             "<svg class=\"plane\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
             "aria-labelledby=\"%s-%d-title %s-%d-words\"><title id=\"%s-%d-title\">%s</title>"
             "<desc id=\"%s-%d-words\">%s</desc><path class=\"grid\" d=\"M0 %dH%dM0 %dH%dM0 %dH%d\"/>",
             WIDTH, HEIGHT, id, number, id, number, id, number, title, id, number, words, MARGIN, WIDTH, HEIGHT / 2,
             WIDTH, HEIGHT - MARGIN, WIDTH);
}

static void end_plane(cs_writer_t *writer, span_t span)
{
    apr_int64_t seconds = apr_time_sec(span.to - span.from);
    int is_long = seconds >= 120;

    cs_write(writer, "</svg><p class=\"axis\"><span>%d %s ago</span><span>now</span></p></figure>\n",
             (int)(is_long ? seconds / 60 : seconds), is_long ? "min" : "s");
}

static const char *key(const char *kind, const char *name, apr_pool_t *pool)
{
    return apr_psprintf(pool,
                        "<span class=\"key\"><svg class=\"sample\" viewBox=\"0 0 24 8\" aria-hidden=\"true\">"
                        "<path class=\"%s\" d=\"M0 4H24\"/></svg>%s</span>",
                        kind, name);
}

static void write_rates(cs_writer_t *writer, const line_t *accepted, const line_t *delivered, span_t span, int number)
{
    apr_pool_t *pool = writer->pool;
    double most = accepted->most > delivered->most ? accepted->most : delivered->most;

    cs_write(writer, "<figure><figcaption>Events a second<span class=\"most\">at most %s</span></figcaption>\n",
             cs_words_decimal(most, pool));
    begin_plane(writer, "rates", number, "Events a second, in the last minutes",
                apr_psprintf(pool,
                             "Accepted: %s a second on average, at most %s, at last %s. Delivered: %s on average, at "
                             "most %s, at last %s.",
                             cs_words_decimal(accepted->mean, pool), cs_words_decimal(accepted->most, pool),
                             cs_words_decimal(accepted->points[accepted->count - 1].y, pool),
                             cs_words_decimal(delivered->mean, pool), cs_words_decimal(delivered->most, pool),
                             cs_words_decimal(delivered->points[delivered->count - 1].y, pool)));
    write_path(writer, "accepted", accepted, most, span, 0);
    write_path(writer, "delivered", delivered, most, span, 0);
    end_plane(writer, span);
    cs_write(writer, "<p class=\"keys\">%s %s</p>\n", key("accepted", "accepted", pool),
             key("delivered", "delivered", pool));
}

static void write_waiting(cs_writer_t *writer, const line_t *waiting, span_t span, int number)
{
    apr_pool_t *pool = writer->pool;

    cs_write(writer, "<figure><figcaption>Events that wait<span class=\"most\">at most %s</span></figcaption>\n",
             cs_words_decimal(waiting->most, pool));
    begin_plane(writer, "waits", number, "Events that wait, in the last minutes",
                apr_psprintf(pool, "%s on average, at most %s, at last %s.", cs_words_decimal(waiting->mean, pool),
                             cs_words_decimal(waiting->most, pool),
                             cs_words_decimal(waiting->points[waiting->count - 1].y, pool)));
    write_path(writer, "waiting area", waiting, waiting->most, span, 1);
    write_path(writer, "waiting", waiting, waiting->most, span, 0);
    end_plane(writer, span);
}

void cs_chart_write(cs_writer_t *writer, const cs_snapshot_t *snapshot, int number)
{
    line_t accepted, delivered, waiting;

    fill_lines(&accepted, &delivered, &waiting, snapshot);
    if (accepted.count < 2) {
        cs_write(writer, "<p class=\"quiet\">The trend of the last minutes is drawn once the sender has been at work "
                         "for some seconds.</p>\n");
        return;
    }
    cs_write(writer, "<div class=\"charts\">\n<div>");
    write_rates(writer, &accepted, &delivered, span_of(snapshot), number);
    cs_write(writer, "</div>\n<div>");
    write_waiting(writer, &waiting, span_of(snapshot), number);
    cs_write(writer, "</div>\n</div>\n");
}
