/* Shows the streams: the handler clickstream-status, and a section in mod_status's page.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <mod_status.h>
#include <openssl/evp.h>

#include "status/forms.h"

#define REFRESH 5 /* seconds */

static cs_status_t look(request_rec *r, apr_interval_time_t health_age)
{
    const cs_server_t *settings = cs_config_server(r->server);
    cs_status_t status = {.now = apr_time_now(), .streams = apr_array_make(r->pool, 4, sizeof(const cs_snapshot_t *))};

    for (int i = 0; settings->streams && i < settings->streams->nelts; i++) {
        const cs_stream_t *stream = APR_ARRAY_IDX(settings->streams, i, cs_stream_t *);
        APR_ARRAY_PUSH(status.streams, const cs_snapshot_t *) =
            cs_snapshot_take(stream, cs_child_queue(stream), health_age, status.now, r->pool);
    }
    return status;
}

/* --- the answers --- */

/* Not returned as an error: that would become an HTML page of httpd's. */
static int respond(request_rec *r, int http_status, const char *type, const char *text)
{
    r->status = http_status;
    ap_set_content_type(r, type);
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

static int answer_health(request_rec *r, const cs_status_t *status)
{
    int healthy;
    const char *text = cs_status_health(&healthy, status, r->pool);

    return respond(r, healthy ? HTTP_OK : HTTP_SERVICE_UNAVAILABLE, "application/json", text);
}

static int answer_json(request_rec *r, const cs_status_t *status)
{
    return respond(r, HTTP_OK, "application/json", cs_status_json(status, NULL, r->pool));
}

static int answer_prometheus(request_rec *r, const cs_status_t *status)
{
    return respond(r, HTTP_OK, CS_PROMETHEUS_TYPE, cs_status_prometheus(status, r->pool));
}

/* Nothing is loaded, nothing is run, nothing is sent: the one style is let in by its hash. */
static const char *page_policy(apr_pool_t *pool)
{
    unsigned char digest[EVP_MAX_MD_SIZE], text[4 * EVP_MAX_MD_SIZE / 3 + 4];
    unsigned length = 0;

    if (EVP_Digest(cs_html_style, strlen(cs_html_style), digest, &length, EVP_sha256(), NULL) != 1)
        length = 0; /* then the page is plain */
    EVP_EncodeBlock(text, digest, (int)length);
    return apr_psprintf(pool,
                        "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; "
                        "frame-ancestors 'none'",
                        (const char *)text);
}

/* What the query says under this name; NULL: nothing, "" where there is the name alone. */
static const char *query_value(request_rec *r, const char *name)
{
    char *state, *query = apr_pstrdup(r->pool, r->args ? r->args : "");
    apr_size_t length = strlen(name);

    for (char *pair = apr_strtok(query, "&", &state); pair; pair = apr_strtok(NULL, "&", &state)) {
        if (strncmp(pair, name, length) == 0 && (pair[length] == '=' || !pair[length]))
            return pair[length] ? pair + length + 1 : "";
    }
    return NULL;
}

static int answer_html(request_rec *r, const cs_status_t *status)
{
    const char *asked = query_value(r, "refresh");
    int refresh = asked && strcmp(asked, "0") == 0 ? 0 : REFRESH;

    if (refresh)
        apr_table_setn(r->headers_out, "Refresh", apr_itoa(r->pool, refresh));
    apr_table_setn(r->headers_out, "Content-Security-Policy", page_policy(r->pool));
    return respond(r, HTTP_OK, "text/html; charset=utf-8", cs_status_html(status, refresh, r->pool));
}

static const struct {
    const char *name;
    int (*answer)(request_rec *r, const cs_status_t *status);
} formats[] = {{"html", answer_html}, {"json", answer_json}, {"prometheus", answer_prometheus}};

static int handler(request_rec *r)
{
    const char *format;
    cs_status_t status;

    if (!r->handler || strcmp(r->handler, CS_STATUS_HANDLER) != 0)
        return DECLINED;
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->headers_out, "Referrer-Policy", "no-referrer");
    if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) {
        apr_table_setn(r->headers_out, "Allow", "GET, HEAD");
        return respond(r, HTTP_METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "The status is for GET and HEAD.\n");
    }
    status = look(r, cs_config_location(r)->health_age);
    if (query_value(r, "health"))
        return answer_health(r, &status);
    format = query_value(r, "format");
    for (apr_size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(format ? format : "html", formats[i].name) == 0)
            return formats[i].answer(r, &status);
    }
    return respond(r, HTTP_BAD_REQUEST, "text/plain; charset=utf-8",
                   "There is no such format: write format=html, format=json or format=prometheus.\n");
}

/* --- mod_status --- */

/* ?auto: a line for each number, as mod_status has them. Names have no character that HTML or a line could mind. */
static void write_lines(request_rec *r, const cs_snapshot_t *snapshot)
{
    const char *name = snapshot->stream->name;

    ap_rprintf(r, "ClickstreamState-%s: %s\nClickstreamHealthy-%s: %d\n", name, cs_state_name(snapshot->state), name,
               !snapshot->why);
    if (!cs_snapshot_has_numbers(snapshot))
        return;
    ap_rprintf(r,
               "ClickstreamWaiting-%s: %" APR_UINT64_T_FMT "\nClickstreamOldestSeconds-%s: %" APR_UINT64_T_FMT
               "\nClickstreamUsedPercent-%s: %" APR_UINT64_T_FMT "\nClickstreamAppended-%s: %" APR_UINT64_T_FMT
               "\nClickstreamDelivered-%s: %" APR_UINT64_T_FMT "\nClickstreamRefused-%s: %" APR_UINT64_T_FMT "\n",
               name, snapshot->waiting, name, snapshot->oldest_seconds, name, snapshot->percent, name,
               snapshot->appended, name, snapshot->delivered, name, snapshot->refused);
}

static void write_row(request_rec *r, const cs_snapshot_t *snapshot)
{
    ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td>", snapshot->stream->name, cs_state_name(snapshot->state));
    if (cs_snapshot_has_numbers(snapshot))
        ap_rprintf(r,
                   "<td>%" APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT " s</td><td>%" APR_UINT64_T_FMT
                   "%%</td><td>%" APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT "</td>",
                   snapshot->waiting, snapshot->oldest_seconds, snapshot->percent, snapshot->appended,
                   snapshot->delivered, snapshot->refused);
    else
        ap_rputs("<td colspan=\"6\">-</td>", r);
    ap_rputs("</tr>\n", r);
}

static int write_section(request_rec *r, int flags)
{
    cs_status_t status = look(r, cs_config_location(r)->health_age);
    int is_short = flags & AP_STATUS_SHORT;

    if (!status.streams->nelts)
        return DECLINED;
    if (!is_short)
        ap_rputs("<hr>\n<h2>mod_clickstream</h2>\n<table border=\"0\"><caption>Streams</caption>\n<tr>"
                 "<th scope=\"col\">Stream</th><th scope=\"col\">State</th><th scope=\"col\">Waiting</th>"
                 "<th scope=\"col\">Oldest</th><th scope=\"col\">Queue</th><th scope=\"col\">Accepted</th>"
                 "<th scope=\"col\">Delivered</th><th scope=\"col\">Refused</th></tr>\n",
                 r);
    for (int i = 0; i < status.streams->nelts; i++)
        (is_short ? write_lines : write_row)(r, APR_ARRAY_IDX(status.streams, i, const cs_snapshot_t *));
    if (!is_short)
        ap_rputs("</table>\n", r);
    return OK;
}

void cs_status_register(void)
{
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ap, status_hook, write_section, NULL, NULL, APR_HOOK_MIDDLE);
}
