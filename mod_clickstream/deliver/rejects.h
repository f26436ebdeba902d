/* DIR/NAME.rejected: what a sink will never take, with the reason, one JSON object a line:
 *     {"rejected_at":"2026-01-31T23:59:59.123Z","reason":"…","record":"the record, as a string"}
 * Only the sender of a stream writes it. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_REJECTS_H
#define CS_REJECTS_H

#include <apr_pools.h>
#include <apr_time.h>

#include "common/text.h"

/* Appends a line to the file at `path` and syncs it: on success the record may leave the queue. */
apr_status_t cs_rejects_append(const char *path, cs_span_t record, const char *reason, apr_time_t now,
                               apr_pool_t *pool);

#endif
