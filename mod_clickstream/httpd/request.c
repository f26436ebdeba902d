/* A request_rec as the core sees it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <ap_expr.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <openssl/rand.h>
#include <util_filter.h>

/* A body without a length grows by doubling from here. */
#define FIRST_ROOM 4096
/* So much beyond the limit is read and dropped for the sake of the connection; what is longer costs the client a
 * new one. */
#define DRAIN_MOST (4 << 20)

static const char *header(void *from, const char *name)
{
    return apr_table_get(((request_rec *)from)->headers_in, name);
}

/* In the request's pool. */
static const char *field(void *from, const cs_field_t *field)
{
    const char *error = NULL;
    const char *value = ap_expr_str_exec(from, field->compiled, &error);

    return error ? NULL : value;
}

cs_request_t cs_request_of(request_rec *r)
{
    return (cs_request_t){.method = r->method,
                          .query = r->args,
                          .remote_address = r->useragent_ip,
                          .now = r->request_time,
                          .secure = strcmp(ap_http_scheme(r), "https") == 0,
                          .header = header,
                          .field = field,
                          .random = RAND_bytes,
                          .from = r};
}

typedef struct buffer_t {
    char *data;
    apr_size_t length, room; /* what is kept of it: nothing beyond the limit */
    apr_int64_t seen;        /* of the body so far, kept or not */
    int ended;               /* this was all of the body */
} buffer_t;

static void take(buffer_t *buffer, const char *data, apr_size_t length, apr_int64_t most, apr_pool_t *pool)
{
    buffer->seen += (apr_int64_t)length;
    if (buffer->seen > most)
        return;
    if (length > buffer->room - buffer->length) {
        char *old = buffer->data;
        while (length > buffer->room - buffer->length)
            buffer->room *= 2;
        buffer->data = apr_palloc(pool, buffer->room);
        memcpy(buffer->data, old, buffer->length);
    }
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
}

static apr_status_t take_brigade(buffer_t *buffer, apr_bucket_brigade *brigade, apr_int64_t most, apr_pool_t *pool)
{
    for (apr_bucket *bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t length;
        apr_status_t status;
        if (APR_BUCKET_IS_EOS(bucket)) {
            buffer->ended = 1;
            break;
        }
        if (APR_BUCKET_IS_METADATA(bucket))
            continue;
        if ((status = apr_bucket_read(bucket, &data, &length, APR_BLOCK_READ)) != APR_SUCCESS)
            return status;
        take(buffer, data, length, most, pool);
    }
    return APR_SUCCESS;
}

static apr_status_t read_to_end(buffer_t *buffer, request_rec *r, apr_int64_t most)
{
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t status = APR_SUCCESS;

    while (status == APR_SUCCESS && !buffer->ended && buffer->seen <= most + DRAIN_MOST) {
        status = ap_get_brigade(r->input_filters, brigade, AP_MODE_READBYTES, APR_BLOCK_READ, HUGE_STRING_LEN);
        if (status == APR_SUCCESS)
            status = take_brigade(buffer, brigade, most, r->pool);
        apr_brigade_cleanup(brigade);
    }
    return status;
}

apr_status_t cs_request_body(cs_span_t *body, int *ended, int *http_status, request_rec *r, apr_int64_t most)
{
    const char *announced = apr_table_get(r->headers_in, "Content-Length");
    apr_int64_t length = announced ? apr_atoi64(announced) : 0;
    buffer_t buffer = {.room = FIRST_ROOM};
    apr_status_t status;

    *ended = 0;
    if (length > most + DRAIN_MOST)
        return APR_ENOSPC;
    if (length > 0 && length <= most)
        buffer.room = (apr_size_t)length; /* more, where a filter inflates it */
    buffer.data = apr_palloc(r->pool, buffer.room);
    status = read_to_end(&buffer, r, most);
    *ended = buffer.ended;
    if (status != APR_SUCCESS) {
        /* After AP_FILTER_ERROR the answer has been sent already, and this maps it to just that. */
        *http_status = ap_map_http_request_error(status, HTTP_BAD_REQUEST);
        return status;
    }
    *body = (cs_span_t){buffer.data, buffer.length};
    return buffer.seen > most ? APR_ENOSPC : APR_SUCCESS;
}

static int set_header(void *r, const char *name, const char *value)
{
    if (ap_cstr_casecmp(name, "Content-Type") == 0)
        ap_set_content_type(r, value);
    else
        apr_table_addn(((request_rec *)r)->headers_out, name, value);
    return 1;
}

/* In one go with its end, which is half of what the filters have to do after ap_rwrite(). */
static void send_body(request_rec *r, cs_span_t body)
{
    apr_bucket_alloc_t *buckets = r->connection->bucket_alloc;
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, buckets);

    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_transient_create(body.at, body.length, buckets));
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(buckets));
    ap_pass_brigade(r->output_filters, brigade); /* a client that is gone is no failure of ours */
}

int cs_request_respond(request_rec *r, const cs_collect_t *collect, int ended)
{
    /* Not returned as an error: that would become an HTML page, and close the connection. */
    r->status = collect->status;
    if (ended)
        cs_keepalive(r);
    apr_table_do(set_header, r, collect->headers, NULL);
    if (!collect->body.at)
        return OK;
    /* The events are collected, whichever part of that is asked for; RFC 9110, section 14.2, has none but of a GET. */
    ap_remove_output_filter_byhandle(r->output_filters, "BYTERANGE");
    ap_set_content_length(r, (apr_off_t)collect->body.length);
    if (ap_status_drops_connection(
            r->status)) /* keepalive.c has its say when the handler is done, so not before that */
        ap_rwrite(collect->body.at, (int)collect->body.length, r);
    else
        send_body(r, collect->body);
    return OK;
}
