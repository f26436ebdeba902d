/* How long to wait before trying again. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_BACKOFF_H
#define CS_BACKOFF_H

#include <apr_time.h>

/* "Full jitter" of the AWS Architecture Blog ("Exponential Backoff And Jitter"): anything between nothing and
 * a ceiling that doubles from 100 ms to 30 s with each attempt, so that many senders do not come back at once. */
#define CS_BACKOFF_FIRST ((apr_interval_time_t)100 * 1000)
#define CS_BACKOFF_MOST ((apr_interval_time_t)30 * 1000 * 1000)

/* `failures`: how many attempts failed in a row, 1 or more. `random`: evenly spread 32 bits. */
apr_interval_time_t cs_backoff_delay(int failures, apr_uint32_t random);

#endif
