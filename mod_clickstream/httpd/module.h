/* What the files of the httpd module share.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_MODULE_H
#define CS_MODULE_H

#include <httpd.h>

#include <http_config.h>
#include <http_log.h>

#include "collect/collect.h"
#include "common/log.h"
#include "common/settings.h"
#include "queue/queue.h"

/* The only symbol that httpd looks for; all others are hidden. */
extern module AP_MODULE_DECLARE_DATA clickstream_module __attribute__((visibility("default")));
APLOG_USE_MODULE(clickstream);

#define CS_HANDLER "clickstream"
#define CS_STATUS_HANDLER "clickstream-status"

/* --- config.c: the directives --- */

extern const command_rec cs_commands[];
void *cs_config_create_server(apr_pool_t *pool, server_rec *server);
void *cs_config_create_location(apr_pool_t *pool, char *path);
void *cs_config_merge_location(apr_pool_t *pool, void *base, void *over);

/* The streams and the queue folder: one for the whole server, whichever virtual host declares them. */
cs_server_t *cs_config_server(server_rec *server);

/* What is in force for this request, defaults included. Lives as long as the request. */
const cs_location_t *cs_config_location(request_rec *r);

/* The check_config hook: what no single line can tell. `httpd -t` runs it too. */
int cs_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server);

/* --- start.c: what the parent does, as root perhaps, before there are children --- */

/* The post_config hook: makes the folders and gives them to httpd's user; warns of queues that belong to no stream any
 * more; starts up libcurl. */
int cs_start(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server);

/* --- child.c: the queues and the senders of one child process --- */

/* The child_init hook: starts a thread for each stream, which opens its queue and competes to be its sender. A queue
 * that other processes have open is open at once; for none httpd waits. */
void cs_child_init(apr_pool_t *pchild, server_rec *server);
/* The child_stopping hook: the senders come to an end. */
void cs_child_stopping(apr_pool_t *pchild, int graceful);
/* The stream's queue, or NULL while it cannot be opened. For any thread. In a child's first seconds it waits for a
 * queue that is just being made. */
cs_queue_t *cs_child_queue(const cs_stream_t *stream);
/* Whether the queue is still being opened for the first time: nothing is wrong with it so far. */
int cs_child_is_opening(const cs_stream_t *stream);
/* Whether it is time to log once more why the stream's requests fail; NULL: those that have no stream. A state that
 * lasts is logged by each child once a minute, and one stream's hides no other's. */
int cs_child_may_complain(const cs_stream_t *stream);

/* --- request.c: a request_rec as the core sees it --- */

cs_request_t cs_request_of(request_rec *r);
/* Reads the whole body into the request's pool. APR_SUCCESS; APR_ENOSPC: it is longer than `most`; otherwise
 * `*http_status` is what the handler returns. `*ended` tells whether it was read to its end, and so whether the
 * connection can be used again: of a body that is too long, some more is read for that. */
apr_status_t cs_request_body(cs_span_t *body, int *ended, int *http_status, request_rec *r, apr_int64_t most);
/* Sends the response; returns what the handler returns. */
int cs_request_respond(request_rec *r, const cs_collect_t *collect, int ended);

/* --- keepalive.c: connections outlive our errors --- */

void cs_keepalive_register(void);
/* Before the answer is written, of a request whose body was read to its end. */
void cs_keepalive(request_rec *r);

/* --- walk.c: no file is looked for behind our URLs --- */

void cs_walk_register(void);

/* --- status.c: shows the streams --- */

/* The handler clickstream-status, and a section in the page of mod_status, where that is loaded. */
void cs_status_register(void);

/* --- log.c: httpd's error log as the core's --- */

const cs_log_t *cs_log_of(server_rec *server, apr_pool_t *pool);

#endif
