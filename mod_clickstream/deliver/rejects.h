/* DIR/NAME.rejected: what a sink will never take, with the reason, one JSON object a line:
 *     {"rejected_at":"2026-01-31T23:59:59.123Z","reason":"…","record":"the record, as a string"}
 * Only the sender of a stream writes it; clickstreamctl requeue reads it, and puts it out of the way.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_REJECTS_H
#define CS_REJECTS_H

#include <apr_pools.h>
#include <apr_time.h>

#include "common/disk.h"
#include "common/text.h"

/* Appends a line to the file at `path` and syncs it: on success the record may leave the queue.
 * A file of this user's is given to the group, if there is one.
 * While it writes it holds flock(LOCK_EX) on the file, and the file is the one that `path` names: so whoever renames it
 * under that lock has all lines. Waits for the lock for CS_REJECTS_PATIENCE: EWOULDBLOCK. */
#define CS_REJECTS_PATIENCE apr_time_from_msec(500)
apr_status_t cs_rejects_append(const char *path, const cs_group_t *group, cs_span_t record, const char *reason,
                               apr_time_t now, apr_pool_t *pool);

/* The record that a line of this file holds, in `pool`. Any other line is taken to be a record itself. Bytes of a
 * record that were no UTF-8 are U+FFFD in its line, and stay so. */
cs_span_t cs_rejects_record(cs_span_t line, apr_pool_t *pool);

#endif
