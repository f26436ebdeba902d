/* Hands delivery over to clickstreamctl, in a process that httpd does not wait for.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_HANDOVER_H
#define CS_HANDOVER_H

#include <apr_pools.h>

#include "common/settings.h"

/* Starts `clickstreamctl send` for the configuration at `conf`, in a session of its own, with what it has to say in
 * clickstream.log in the queues' folder. Returns in the calling process, which has nothing left to do.
 * httpd ends a CGI process as soon as its answer is out (mod_cgid with SIGTERM, then SIGKILL), so whatever takes
 * longer has to be another one. And this program stays small: libcurl alone costs four times as much to load. */
void cs_handover_send(const char *conf, const cs_server_t *server, apr_pool_t *pool);

#endif
