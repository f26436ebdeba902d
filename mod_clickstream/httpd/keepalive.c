/* Keeps a connection open after an error of ours.
 *
 * httpd closes the connection after a 400, 413, 500 or 503, since in general it cannot know where such a request
 * ends (ap_status_drops_connection() in httpd.h). We have read ours to its end. While the queue is full every
 * client gets a 503: without this each of its retries would cost a new connection and a TLS handshake, just
 * when there is most to do. So this filter, behind httpd's own header filter, lets httpd decide once more as if
 * the status were another, and mends the header lines of the answer.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

#define FILTER "CLICKSTREAM_KEEPALIVE"
/* Our answers' header lines have some 500 bytes; with those that others add, this is far off. */
#define HEADER_MOST 65536

static ap_filter_rec_t *filter_handle;

static apr_status_t pass_on(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    ap_filter_t *next = filter->next;

    ap_remove_output_filter(filter);
    return ap_pass_brigade(next, brigade);
}

/* Whether httpd keeps the connection, were it not for the status; what the answer says then is in headers_out. Of
 * `connection`, the line's list, all but "close" stays: on the first answer httpd may offer HTTP/2 there. */
static int keeps_otherwise(request_rec *r, char *connection)
{
    int status = r->status, keeps;
    char *word, *state;

    apr_table_unset(r->headers_out, "Connection");
    for (word = apr_strtok(connection, ", ", &state); word; word = apr_strtok(NULL, ", ", &state))
        if (ap_cstr_casecmp(word, "close") != 0)
            apr_table_mergen(r->headers_out, "Connection", word);
    r->status = HTTP_OK;
    r->connection->keepalive = AP_CONN_UNKNOWN;
    keeps = ap_set_keepalive(r);
    r->status = status;
    return keeps;
}

static const char *line_of(request_rec *r, const char *name)
{
    const char *value = apr_table_get(r->headers_out, name);

    return value ? apr_pstrcat(r->pool, name, ": ", value, "\r\n", NULL) : "";
}

/* Gets the header lines first, as httpd sends them in a brigade of their own. */
static apr_status_t mend_header(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    static const char name[] = "\r\nConnection: ";
    request_rec *r = filter->r;
    apr_size_t length = HEADER_MOST;
    char *text, *line, *end;

    if (apr_brigade_pflatten(brigade, &text, &length, r->pool) != APR_SUCCESS || length >= HEADER_MOST)
        return pass_on(filter, brigade);
    text = apr_pstrmemdup(r->pool, text, length);
    line = ap_strcasestr(text, name);
    end = line ? strstr(line + 2, "\r\n") : NULL;
    if (strncmp(text, "HTTP/1.", 7) != 0 || !end || r->connection->keepalive != AP_CONN_CLOSE)
        return pass_on(filter, brigade);
    line[2] = *end = '\0';
    if (!keeps_otherwise(r, line + sizeof(name) - 1))
        return pass_on(filter, brigade);
    text = apr_pstrcat(r->pool, text, line_of(r, "Keep-Alive"), line_of(r, "Connection"), end + 2, NULL);
    apr_brigade_cleanup(brigade);
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_pool_create(text, strlen(text), r->pool, brigade->bucket_alloc));
    return pass_on(filter, brigade);
}

void cs_keepalive_register(void)
{
    /* Behind HTTP_HEADER, which is of the type before. */
    filter_handle = ap_register_output_filter(FILTER, mend_header, NULL, AP_FTYPE_TRANSCODE);
}

void cs_keepalive(request_rec *r)
{
    /* Where it is to be closed already, that is not for the status: a request with both Content-Length and
     * Transfer-Encoding may be smuggled, and what follows it as well. */
    if (ap_status_drops_connection(r->status) && r->connection->keepalive != AP_CONN_CLOSE &&
        r->proto_num < HTTP_VERSION(2, 0) && !r->main)
        ap_add_output_filter_handle(filter_handle, NULL, r, r->connection);
}
