/* One HTTP request into one HTTP response and a list of records.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/collect.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "collect/auth.h"
#include "collect/cors.h"

/* How long a client is told to wait when the queue is full: by then a sender that works has made room. */
#define RETRY_AFTER "5"

static const char *header(const cs_collect_t *collect, const char *name)
{
    return collect->request.header(collect->request.from, name);
}

/* NULL for a header that is empty, too. */
static const char *filled_header(const cs_collect_t *collect, const char *name)
{
    const char *value = header(collect, name);

    return value && *value ? value : NULL;
}

/* --- responses --- */

static void respond(cs_collect_t *collect, int status, const char *code, const char *message, const char *more)
{
    collect->status = status;
    collect->body = apr_psprintf(collect->pool, "{\"response_code\":\"%s\",\"message\":\"%s\"%s}", code, message, more);
}

static void refuse(cs_collect_t *collect, int status, const char *message)
{
    apr_array_clear(collect->records);
    respond(collect, status, apr_itoa(collect->pool, status), message, "");
}

static void refuse_for(cs_collect_t *collect, int status, const char *message, cs_reason_t reason)
{
    collect->refused[reason]++;
    refuse(collect, status, message);
}

/* ,"rejected":[{"index":1,"reason":"missing_field","field":"tag"}] */
static const char *rejected_list(const cs_collect_t *collect)
{
    apr_array_header_t *parts = apr_array_make(collect->pool, 8, sizeof(const char *));

    for (int i = 0; i < collect->rejections->nelts; i++) {
        const cs_rejection_t *rejection = &APR_ARRAY_IDX(collect->rejections, i, cs_rejection_t);
        const char *part = apr_psprintf(collect->pool, "%s{\"index\":%d,\"reason\":\"%s\"", i ? "," : "",
                                        rejection->index, cs_reason_name(rejection->reason));
        if (rejection->field) {
            char *field = apr_pcalloc(collect->pool, CS_QUOTED(strlen(rejection->field)) + 1);
            cs_text_quote(field, (cs_span_t){rejection->field, strlen(rejection->field)});
            part = apr_pstrcat(collect->pool, part, ",\"field\":", field, NULL);
        }
        if (rejection->reason == CS_REASON_MALFORMED_JSON)
            part = apr_psprintf(collect->pool, "%s,\"position\":%" APR_SIZE_T_FMT, part, rejection->position);
        APR_ARRAY_PUSH(parts, const char *) = apr_pstrcat(collect->pool, part, "}", NULL);
    }
    return apr_pstrcat(collect->pool, ",\"rejected\":[", apr_array_pstrcat(collect->pool, parts, 0), "]", NULL);
}

/* --- the head --- */

static const char *client_id(const cs_collect_t *collect)
{
    const char *id = header(collect, "client_id");
    char *state, *query;

    if (!id)
        id = header(collect, "client-id");
    if (id || !collect->request.query)
        return id;
    query = apr_pstrdup(collect->pool, collect->request.query);
    for (char *pair = apr_strtok(query, "&", &state); pair; pair = apr_strtok(NULL, "&", &state)) {
        if (strncmp(pair, "client_id=", 10) == 0)
            return apr_punescape_url(collect->pool, pair + 10, NULL, NULL, 1);
    }
    return NULL;
}

/* The media type without its parameters, or "" where there is none. */
static const char *media_type(const cs_collect_t *collect)
{
    const char *type = header(collect, "Content-Type");

    if (!type)
        return "";
    type += strspn(type, " \t");
    return apr_pstrmemdup(collect->pool, type, strcspn(type, "; \t"));
}

#define NDJSON "application/x-ndjson"

static int is_media_type(const char *type)
{
    static const char *const taken[] = {"application/json", NDJSON, "text/plain", ""};

    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (strcasecmp(taken[i], type) == 0)
            return 1;
    }
    return 0;
}

static void answer_options(cs_collect_t *collect)
{
    collect->status = 204;
    collect->body = NULL;
    apr_table_unset(collect->headers, "Content-Type");
    apr_table_setn(collect->headers, "Allow", "POST, OPTIONS");
}

int cs_collect_begin(cs_collect_t *collect, const cs_request_t *request, const cs_location_t *settings,
                     apr_pool_t *pool)
{
    cs_additions_t additions;
    int options = strcmp(request->method, "OPTIONS") == 0;

    *collect = (cs_collect_t){.settings = settings,
                              .pool = pool,
                              .request = *request,
                              .headers = apr_table_make(pool, 8),
                              .records = apr_array_make(pool, 1, sizeof(cs_span_t)),
                              .rejections = apr_array_make(pool, 1, sizeof(cs_rejection_t))};
    apr_table_setn(collect->headers, "Content-Type", "application/json");
    apr_table_setn(collect->headers, "Cache-Control", "no-store");
    cs_cors_headers(collect->headers, settings->origins, header(collect, "Origin"), options);

    if (options) {
        answer_options(collect);
        return 0;
    }
    if (strcmp(request->method, "POST") != 0) {
        apr_table_setn(collect->headers, "Allow", "POST, OPTIONS");
        refuse(collect, 405, "Method not allowed");
        return 0;
    }
    if (settings->auth == CS_AUTH_BEARER && !cs_auth_is_bearer(header(collect, "Authorization"))) {
        apr_table_setn(collect->headers, "WWW-Authenticate", "Bearer");
        refuse_for(collect, 401, "Invalid authorization", CS_REASON_UNAUTHORIZED);
        return 0;
    }
    additions.client_id = client_id(collect);
    if (!cs_auth_knows(settings->clients, additions.client_id)) {
        refuse_for(collect, 403, "Unknown client", CS_REASON_UNKNOWN_CLIENT);
        return 0;
    }
    if (!is_media_type(media_type(collect))) {
        refuse(collect, 415, "Unsupported media type");
        return 0;
    }
    additions.client_ip = filled_header(collect, "X-Forwarded-For");
    if (!additions.client_ip)
        additions.client_ip = request->remote_address;
    additions.user_agent = filled_header(collect, "User-Agent");
    collect->additions = cs_additions_write(&additions, pool);
    return 1;
}

/* --- the body --- */

static cs_reason_t take_event(void *to, const cs_event_t *event)
{
    cs_collect_t *collect = to;
    cs_span_t record = cs_record_write(event, collect->additions, collect->pool);

    if (record.length >= CS_RECORD_MAX) /* a newline has to fit as well */
        return CS_REASON_TOO_LARGE;
    APR_ARRAY_PUSH(collect->records, cs_span_t) = record;
    return CS_REASON_COUNT;
}

static void reject_event(void *to, const cs_rejection_t *rejection)
{
    cs_collect_t *collect = to;

    collect->refused[rejection->reason]++;
    APR_ARRAY_PUSH(collect->rejections, cs_rejection_t) = *rejection;
}

void cs_collect_body(cs_collect_t *collect, cs_parser_t *parser, const char *body, apr_size_t length)
{
    const cs_location_t *settings = collect->settings;
    const cs_event_rules_t rules = {.max_events = settings->max_events,
                                    .max_event = settings->max_event,
                                    .max_depth = settings->max_depth,
                                    .require = settings->require};
    const cs_event_sink_t sink = {.take = take_event, .reject = reject_event, .to = collect};
    int lines = strcasecmp(media_type(collect), NDJSON) == 0;
    cs_body_t kind = cs_events_read(parser, (cs_span_t){body, length}, lines, &rules, &sink, collect->pool);
    const char *accepted = "";

    if (kind == CS_BODY_TOO_MANY) {
        refuse_for(collect, 413,
                   apr_psprintf(collect->pool, "Too many events: at most %" APR_INT64_T_FMT " in a request",
                                settings->max_events),
                   CS_REASON_TOO_MANY_EVENTS);
        return;
    }
    if (collect->records->nelts == 0) {
        respond(collect, 400, "400", "Invalid clickstream.", rejected_list(collect));
        return;
    }
    if (kind == CS_BODY_MANY)
        accepted = apr_psprintf(collect->pool, ",\"accepted\":%d", collect->records->nelts);
    if (collect->rejections->nelts)
        accepted = apr_pstrcat(collect->pool, accepted, rejected_list(collect), NULL);
    respond(collect, 200, "200", "Clickstream collected.", accepted);
}

void cs_collect_too_large(cs_collect_t *collect)
{
    refuse_for(
        collect, 413,
        apr_psprintf(collect->pool, "Body too large: at most %" APR_INT64_T_FMT " bytes", collect->settings->max_body),
        CS_REASON_TOO_LARGE);
}

void cs_collect_end(cs_collect_t *collect, apr_status_t appended)
{
    switch (appended) {
    case APR_SUCCESS:
        break;
    case APR_ENOSPC:
        collect->refused[CS_REASON_QUEUE_FULL] += collect->records->nelts;
        apr_table_setn(collect->headers, "Retry-After", RETRY_AFTER);
        refuse(collect, 503, "Queue full, try again later.");
        break;
    case APR_EINVAL:
        collect->refused[CS_REASON_TOO_LARGE] += collect->records->nelts;
        refuse(collect, 413, "More events than the queue can hold: send fewer at once");
        break;
    default:
        apr_array_clear(collect->records);
        respond(collect, 500, "50001", "Failed to collect data.", "");
    }
}
