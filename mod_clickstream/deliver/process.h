/* Runs a program for its output: a profile's credential_process. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_PROCESS_H
#define CS_PROCESS_H

#include <apr_pools.h>

#include "common/text.h"
#include "deliver/halt.h"

/* More is no credentials. */
#define CS_PROCESS_OUTPUT_MOST 65536

/* Runs `command`, split into words as a shell would, but by none. It reads nothing, its standard error is dropped, and
 * it is killed, with all that it began, when `timeout` is over, at `halt`, and when it says too much.
 * APR_SUCCESS: it ended well, and this was its output, a secret in `pool`. Otherwise `*why` says what went wrong, in
 * few words, and without any of its own. */
apr_status_t cs_process_run(cs_span_t *output, const char **why, const char *command, apr_interval_time_t timeout,
                            const cs_halt_t *halt, apr_pool_t *pool);

#endif
