/* mod_clickstream: collects an app's events at the front of httpd, and delivers them to Amazon Data Firehose.
 *
 *   1  configuration is read                   config.c, from the table in common/settings.h
 *   2  check_config: it fits together          config.c; `httpd -t` ends here
 *   3  post_config: folders are there          start.c; in the parent, as root perhaps
 *   4  child_init: queues open, senders start  child.c; in each child, as httpd's user
 *   5  handler: one request                    below; spares httpd the look for a file: walk.c; shows streams: status.c
 *   6  child_stopping, pre-cleanup: senders end  child.c
 *
 * A request goes through collect/ (what is it, what is the answer), then its records through queue/, and
 * only then the answer out. What happens to the records later, in deliver/, no request waits for.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <ap_mpm.h>
#include <http_protocol.h>
#include <mpm_common.h>

#include "intake/intake.h"

static void register_hooks(apr_pool_t *pool);

module AP_MODULE_DECLARE_DATA clickstream_module = {
    STANDARD20_MODULE_STUFF,
    cs_config_create_location,
    cs_config_merge_location,
    cs_config_create_server,
    NULL, /* every virtual host has the main server's */
    cs_commands,
    register_hooks,
    AP_MODULE_FLAG_NONE,
};

static void explain_failure(request_rec *r, const cs_stream_t *stream, apr_status_t status)
{
    if (!cs_child_may_complain(stream))
        return;
    if (!stream)
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "no stream for %s: there are several, so write ClickstreamDeliverTo NAME there", r->uri);
    else if (status == APR_ENOSPC)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "stream %s: its queue is full, clients get 503: see why nothing is delivered, or write a larger "
                      "queue=",
                      stream->name);
    else if (cs_child_is_opening(stream))
        ap_log_rerror(
            APLOG_MARK, APLOG_WARNING, 0, r,
            "stream %s: its queue is not open yet, clients get 500: it is being made or recovered, or another "
            "process has it locked",
            stream->name);
    else
        ap_log_rerror(APLOG_MARK, APLOG_ERR, status, r, "stream %s: its queue cannot be used, clients get %s",
                      stream->name,
                      status == APR_EINVAL ? "413: write a larger queue=" : "500: see the lines about it above");
}

/* The response is ready, but for what becomes of the records. No queue is asked for that is not needed: in a child's
 * first seconds it may have to be waited for. */
static void take_in(request_rec *r, cs_collect_t *collect, const cs_location_t *settings)
{
    const cs_server_t *server = cs_config_server(r->server);
    const cs_stream_t *stream = cs_server_stream(server, settings->deliver_to);
    const cs_stream_t *rejects = collect->rejects->nelts ? cs_server_stream(server, settings->reject_to) : NULL;
    int wanted = r->method_number != M_OPTIONS; /* which is not even counted */
    apr_status_t status = cs_intake(collect, stream && wanted ? cs_child_queue(stream) : NULL,
                                    rejects ? cs_child_queue(rejects) : NULL, collect->request.now);

    if (status != APR_SUCCESS)
        explain_failure(r, stream, status);
}

static int handler(request_rec *r)
{
    const cs_location_t *settings;
    cs_request_t request;
    cs_collect_t collect;
    int ended = 0;

    if (!r->handler || strcmp(r->handler, CS_HANDLER) != 0)
        return DECLINED;
    settings = cs_config_location(r);
    request = cs_request_of(r);
    if (cs_collect_begin(&collect, &request, settings, r->pool)) {
        cs_span_t body;
        int http_status = HTTP_INTERNAL_SERVER_ERROR;
        apr_status_t status = cs_request_body(&body, &ended, &http_status, r, settings->max_body);
        if (status == APR_SUCCESS)
            cs_collect_body(&collect, body);
        else if (status == APR_ENOSPC)
            cs_collect_too_large(&collect);
        else if (http_status == AP_FILTER_ERROR)
            return AP_FILTER_ERROR; /* the answer has been sent already */
        else
            cs_collect_unreadable(&collect, http_status);
    }
    take_in(r, &collect, settings);
    return cs_request_respond(r, &collect, ended);
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_check_config(cs_config_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(cs_start, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(cs_child_init, NULL, NULL, APR_HOOK_MIDDLE);
#ifdef HAVE_CHILD_STOPPING
    ap_hook_child_stopping(cs_child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
#endif
    cs_keepalive_register();
    cs_walk_register();
    cs_status_register();
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
