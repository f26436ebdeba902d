/* A request_rec as the core sees it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

/* A body without a length grows by doubling from here. */
#define FIRST_ROOM 4096

static const char *header(void *from, const char *name)
{
    return apr_table_get(((request_rec *)from)->headers_in, name);
}

cs_request_t cs_request_of(request_rec *r)
{
    return (cs_request_t){
        .method = r->method, .query = r->args, .remote_address = r->useragent_ip, .header = header, .from = r};
}

typedef struct buffer_t {
    char *data;
    apr_size_t length, room, most;
} buffer_t;

static apr_status_t take(buffer_t *buffer, const char *data, apr_size_t length, apr_pool_t *pool)
{
    if (length > buffer->most - buffer->length)
        return APR_ENOSPC;
    if (length > buffer->room - buffer->length) {
        char *old = buffer->data;
        while (length > buffer->room - buffer->length)
            buffer->room *= 2;
        buffer->data = apr_palloc(pool, buffer->room);
        memcpy(buffer->data, old, buffer->length);
    }
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    return APR_SUCCESS;
}

/* Takes a brigade in. APR_EOF: that was the end of the body. */
static apr_status_t take_brigade(buffer_t *buffer, apr_bucket_brigade *brigade, apr_pool_t *pool)
{
    for (apr_bucket *bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t length;
        apr_status_t status;
        if (APR_BUCKET_IS_EOS(bucket))
            return APR_EOF;
        if (APR_BUCKET_IS_METADATA(bucket))
            continue;
        if ((status = apr_bucket_read(bucket, &data, &length, APR_BLOCK_READ)) != APR_SUCCESS ||
            (status = take(buffer, data, length, pool)) != APR_SUCCESS)
            return status;
    }
    return APR_SUCCESS;
}

apr_status_t cs_request_body(cs_span_t *body, int *http_status, request_rec *r, apr_int64_t most)
{
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    const char *announced = apr_table_get(r->headers_in, "Content-Length");
    apr_int64_t length = announced ? apr_atoi64(announced) : 0;
    buffer_t buffer = {.room = FIRST_ROOM, .most = (apr_size_t)most};
    apr_status_t status = APR_SUCCESS;

    if (length > most)
        return APR_ENOSPC;
    if (length > FIRST_ROOM)
        buffer.room = (apr_size_t)length;
    buffer.data = apr_palloc(r->pool, buffer.room);
    while (status == APR_SUCCESS) {
        status = ap_get_brigade(r->input_filters, brigade, AP_MODE_READBYTES, APR_BLOCK_READ, HUGE_STRING_LEN);
        if (status == APR_SUCCESS) {
            status = take_brigade(&buffer, brigade, r->pool);
            apr_brigade_cleanup(brigade);
            if (status != APR_SUCCESS && status != APR_EOF && status != APR_ENOSPC)
                *http_status = ap_map_http_request_error(status, HTTP_BAD_REQUEST);
        }
        else /* of AP_FILTER_ERROR the answer has been sent, and this maps it to just that */
            *http_status = ap_map_http_request_error(status, HTTP_BAD_REQUEST);
    }
    if (status != APR_EOF)
        return status;
    *body = (cs_span_t){buffer.data, buffer.length};
    return APR_SUCCESS;
}

static int set_header(void *r, const char *name, const char *value)
{
    if (ap_cstr_casecmp(name, "Content-Type") == 0)
        ap_set_content_type(r, value);
    else
        apr_table_addn(((request_rec *)r)->headers_out, name, value);
    return 1;
}

int cs_request_respond(request_rec *r, const cs_collect_t *collect)
{
    /* Not returned as an error: that would become an HTML page, and close the connection. */
    r->status = collect->status;
    apr_table_do(set_header, r, collect->headers, NULL);
    if (collect->body) {
        apr_size_t length = strlen(collect->body);
        ap_set_content_length(r, (apr_off_t)length);
        ap_rwrite(collect->body, (int)length, r);
    }
    return OK;
}
