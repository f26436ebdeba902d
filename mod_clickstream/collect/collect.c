/* One HTTP request into one HTTP response and a list of records.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/collect.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "collect/auth.h"
#include "collect/cors.h"
#include "collect/identity.h"
#include "collect/pixel.h"

/* How long a client is told to wait when the queue is full: by then a sender that works has made room. */
#define RETRY_AFTER "5"

static const char *header(const cs_collect_t *collect, const char *name)
{
    return cs_request_header(&collect->request, name);
}

/* Records may be so many times as large as ClickstreamMaxBody, rejects included. An event of 70 bytes to which 450 are
 * added is 8 times as large, so a whole body of those has room. */
#define GROWTH_MOST 8

/* --- responses --- */

static void respond(cs_collect_t *collect, int status, const char *code, const char *message, const char *more)
{
    const char *body =
        apr_pstrcat(collect->pool, "{\"response_code\":\"", code, "\",\"message\":\"", message, "\"", more, "}", NULL);

    collect->status = status;
    collect->body = (cs_span_t){body, strlen(body)};
}

/* Nothing of the request is to be kept, and so nothing that was to go with a 200. */
static void forget_events(cs_collect_t *collect)
{
    apr_array_clear(collect->records);
    apr_array_clear(collect->rejects);
    apr_table_unset(collect->headers, "Set-Cookie");
    apr_table_setn(collect->headers, "Content-Type", "application/json");
}

static void refuse(cs_collect_t *collect, int status, const char *message)
{
    forget_events(collect);
    respond(collect, status, apr_itoa(collect->pool, status), message, "");
}

static void refuse_for(cs_collect_t *collect, int status, const char *message, cs_reason_t reason)
{
    collect->refused[reason]++;
    refuse(collect, status, message);
}

static void fail(cs_collect_t *collect)
{
    forget_events(collect);
    respond(collect, 500, "50001", "Failed to collect data.", "");
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

    if (!id || !*id)
        id = header(collect, "client-id");
    if ((id && *id) || !collect->request.query)
        return id;
    return cs_query_value(collect->request.query, "client_id", collect->pool);
}

#define NDJSON "application/x-ndjson"

/* Whether events may come in a body of that type, whatever its parameters are; none at all is as good. */
static int takes_media_type(cs_collect_t *collect)
{
    static const char *const taken[] = {"application/json", NDJSON, "text/plain", ""};
    const char *type = header(collect, "Content-Type");
    size_t length;

    if (!type)
        return 1;
    type += strspn(type, " \t");
    length = strcspn(type, "; \t");
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (strlen(taken[i]) != length || strncasecmp(taken[i], type, length) != 0)
            continue;
        collect->lines = strcmp(taken[i], NDJSON) == 0;
        return 1;
    }
    return 0;
}

static const char *allowed_methods(const cs_collect_t *collect)
{
    return collect->settings->pixel == CS_ON ? "GET, POST, OPTIONS" : "POST, OPTIONS";
}

static void answer_options(cs_collect_t *collect)
{
    collect->status = 204;
    apr_table_unset(collect->headers, "Content-Type");
    apr_table_setn(collect->headers, "Allow", allowed_methods(collect));
}

static int refuse_token(cs_collect_t *collect)
{
    apr_table_setn(collect->headers, "WWW-Authenticate", "Bearer");
    refuse_for(collect, 401, "Invalid authorization", CS_REASON_UNAUTHORIZED);
    return 0;
}

/* Whether the request may send; otherwise the response is ready. The form of the token comes first, as in the first
 * implementation; its signature last, since whose key it is has to be known. */
static int is_authorized(cs_collect_t *collect)
{
    const cs_location_t *settings = collect->settings;
    const char *authorization = header(collect, "Authorization");
    cs_span_t token;

    if (settings->auth != CS_AUTH_NONE && !cs_auth_bearer(&token, authorization))
        return refuse_token(collect);
    collect->client_id = client_id(collect);
    if (!cs_auth_knows(settings->clients, collect->client_id)) {
        refuse_for(collect, 403, "Unknown client", CS_REASON_UNKNOWN_CLIENT);
        return 0;
    }
    if (settings->auth == CS_AUTH_JWT &&
        !cs_auth_verifies(settings->clients, collect->client_id, token, collect->request.now, collect->pool))
        return refuse_token(collect);
    return 1;
}

static void start(cs_collect_t *collect, apr_pool_t *pool)
{
    *collect = (cs_collect_t){.pool = pool,
                              .headers = apr_table_make(pool, 8),
                              .records = apr_array_make(pool, 1, sizeof(cs_span_t)),
                              .rejects = apr_array_make(pool, 1, sizeof(cs_span_t)),
                              .rejections = apr_array_make(pool, 1, sizeof(cs_rejection_t))};
    apr_table_setn(collect->headers, "Content-Type", "application/json");
    apr_table_setn(collect->headers, "Cache-Control", "no-store");
}

void cs_collect_fail(cs_collect_t *collect, apr_pool_t *pool)
{
    start(collect, pool);
    fail(collect);
}

int cs_collect_begin(cs_collect_t *collect, const cs_request_t *request, const cs_location_t *settings,
                     apr_pool_t *pool)
{
    int options = strcmp(request->method, "OPTIONS") == 0;

    start(collect, pool);
    collect->settings = settings;
    collect->request = *request;
    cs_cors_headers(collect->headers, settings->origins, header(collect, "Origin"),
                    options ? allowed_methods(collect) : NULL);

    if (options) {
        answer_options(collect);
        return 0;
    }
    collect->pixel = settings->pixel == CS_ON && strcmp(request->method, "GET") == 0;
    if (!collect->pixel && strcmp(request->method, "POST") != 0) {
        apr_table_setn(collect->headers, "Allow", allowed_methods(collect));
        refuse(collect, 405, "Method not allowed");
        return 0;
    }
    if (!is_authorized(collect))
        return 0;
    if (!collect->pixel && !takes_media_type(collect)) {
        refuse(collect, 415, "Unsupported media type");
        return 0;
    }
    if (!cs_gather(&collect->gathered, request, collect->client_id, settings, pool)) {
        fail(collect);
        return 0;
    }
    return 1;
}

/* --- the body --- */

/* Too much of what was added: then the request is refused, and what else is in it is not worth the memory. */
static int has_outgrown(const cs_collect_t *collect)
{
    return collect->size > GROWTH_MOST * collect->settings->max_body;
}

static cs_reason_t take_event(void *to, const cs_event_t *event)
{
    cs_collect_t *collect = to;
    cs_uuid_text_t id;
    cs_span_t record;
    int with_id = (collect->settings->add & CS_ADD_EVENT_ID) != 0;

    if (has_outgrown(collect))
        return CS_REASON_COUNT;
    if (with_id)
        cs_uuid_timed(id, collect->gathered.seed, collect->request.now, (apr_uint32_t)collect->records->nelts);
    record = cs_record_write(event, &collect->gathered.additions, with_id ? id : NULL, collect->pool);
    if (record.length >= CS_RECORD_MAX) /* a newline has to fit as well */
        return CS_REASON_TOO_LARGE;
    APR_ARRAY_PUSH(collect->records, cs_span_t) = record;
    collect->size += (apr_int64_t)record.length;
    return CS_REASON_COUNT;
}

static void reject_event(void *to, const cs_rejection_t *rejection)
{
    cs_collect_t *collect = to;
    cs_span_t record;

    collect->refused[rejection->reason]++;
    APR_ARRAY_PUSH(collect->rejections, cs_rejection_t) = *rejection;
    if (!collect->settings->reject_to || has_outgrown(collect))
        return;
    record = cs_refused_write(&(cs_refused_t){.reason = cs_reason_name(rejection->reason),
                                              .field = rejection->field,
                                              .received_at = collect->gathered.received_at,
                                              .client_id = collect->client_id,
                                              .client_ip = collect->gathered.client_ip,
                                              .event = rejection->text},
                              collect->pool);
    APR_ARRAY_PUSH(collect->rejects, cs_span_t) = record;
    collect->size += (apr_int64_t)record.length;
}

static void forget_all(void *to)
{
    cs_collect_t *collect = to;

    apr_array_clear(collect->records);
    apr_array_clear(collect->rejects);
    apr_array_clear(collect->rejections);
    memset(collect->refused, 0, sizeof(collect->refused));
    collect->size = 0;
}

/* The answer that promises. */
static void promise(cs_collect_t *collect, cs_body_t kind)
{
    const char *more = "";

    if (kind == CS_BODY_MANY)
        more = apr_psprintf(collect->pool, ",\"accepted\":%d", collect->records->nelts);
    if (collect->rejections->nelts)
        more = apr_pstrcat(collect->pool, more, rejected_list(collect), NULL);
    respond(collect, 200, "200", "Clickstream collected.", more);
    if (collect->pixel) {
        apr_table_setn(collect->headers, "Content-Type", "image/gif");
        collect->body = cs_pixel_gif;
    }
    if (collect->gathered.cookie)
        apr_table_setn(collect->headers, "Set-Cookie", collect->gathered.cookie);
}

/* As if it had been kept, so that no app need know; the records are gone. */
static void drop_events(cs_collect_t *collect)
{
    collect->opted_out = collect->records->nelts;
    apr_array_clear(collect->records);
    apr_array_clear(collect->rejects);
}

/* Reads the events of a body, or of the query. */
static cs_body_t read_events(cs_collect_t *collect, cs_span_t body)
{
    const cs_location_t *settings = collect->settings;
    const cs_event_rules_t rules = {.max_events = settings->max_events,
                                    .max_event = settings->max_event,
                                    .max_depth = settings->max_depth,
                                    .require = settings->require,
                                    .tags = settings->tags,
                                    .unknown_tags = settings->unknown_tags};
    const cs_event_sink_t sink = {.take = take_event, .reject = reject_event, .forget = forget_all, .to = collect};
    const char *query = collect->request.query ? collect->request.query : "", *culprit;

    if (collect->pixel && !cs_pixel_event(&body, &culprit, query, collect->pool)) {
        reject_event(collect, &(cs_rejection_t){.reason = CS_REASON_MALFORMED_JSON,
                                                .position = (apr_size_t)(culprit - query),
                                                .text = {query, strlen(query)}});
        return CS_BODY_ONE;
    }
    return cs_events_read(body, collect->lines, &rules, &sink, collect->pool);
}

/* RFC 1952, section 2.3.1. */
static int is_gzip(cs_span_t body)
{
    return body.length >= 2 && memcmp(body.at, "\x1f\x8b", 2) == 0;
}

void cs_collect_body(cs_collect_t *collect, cs_span_t body)
{
    cs_body_t kind;

    if (!collect->pixel && is_gzip(body)) { /* nothing before us inflates */
        refuse(collect, 415, "Unsupported content encoding");
        return;
    }
    kind = read_events(collect, body);
    if (kind == CS_BODY_TOO_MANY)
        refuse_for(collect, 413,
                   apr_psprintf(collect->pool, "Too many events: at most %" APR_INT64_T_FMT " in a request",
                                collect->settings->max_events),
                   CS_REASON_TOO_MANY_EVENTS);
    else if (has_outgrown(collect))
        refuse_for(collect, 413, "Too much is added to so many events: send fewer at once", CS_REASON_TOO_LARGE);
    else if (collect->records->nelts == 0)
        respond(collect, 400, "400", "Invalid clickstream.", rejected_list(collect));
    else
        promise(collect, kind);
    if (collect->gathered.drop)
        drop_events(collect);
}

void cs_collect_unreadable(cs_collect_t *collect, int status)
{
    refuse(collect, status, "The body cannot be read");
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
        cs_cors_expose(collect->headers, "Retry-After");
        refuse(collect, 503, "Queue full, try again later.");
        break;
    case APR_EINVAL:
        collect->refused[CS_REASON_TOO_LARGE] += collect->records->nelts;
        refuse(collect, 413, "More events than the queue can hold: send fewer at once");
        break;
    default:
        fail(collect);
    }
}
