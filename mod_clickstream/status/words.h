/* Numbers as people read them. All texts are in the pool, and none has a character that HTML minds.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_WORDS_H
#define CS_WORDS_H

#include <apr_pools.h>
#include <apr_time.h>

/* "1,234,567" */
const char *cs_words_count(apr_uint64_t count, apr_pool_t *pool);
/* "512 B", "1.5 KiB", "64 MiB" */
const char *cs_words_bytes(apr_uint64_t bytes, apr_pool_t *pool);
/* "230 ms", "4.2 s", "42 s", "3 min 20 s", "2 h 5 min", "3 d 4 h" */
const char *cs_words_duration(apr_interval_time_t time, apr_pool_t *pool);
/* "0", "0.25", "3.1", "1,234": a rate, or a mean; not negative */
const char *cs_words_decimal(double number, apr_pool_t *pool);
/* "2026-01-31 23:59:59 UTC" */
const char *cs_words_time(apr_time_t time, apr_pool_t *pool);

#endif
