/* Queues that the configuration knows nothing of: what waits in them goes nowhere, and nobody would notice.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_STRAYS_H
#define CS_STRAYS_H

#include <apr_tables.h>

#include "common/settings.h"

/* How many of them are named. */
#define CS_STRAYS_MOST 20

/* Looks for queues with something in them in ClickstreamQueueDir that belong to no stream of `server`; `where` is what
 * the streams were read from. Returns an array of const char *: a sentence for each that says how much waits, and what
 * to do; none where the folder is not there or cannot be read. Only reads, follows no symbolic link, and trusts
 * nothing: for any process, as root too, while others use the queues. */
apr_array_header_t *cs_strays(const cs_server_t *server, const char *where, apr_pool_t *pool);

#endif
