/* How long to wait before trying again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/backoff.h"

apr_interval_time_t cs_backoff_delay(int failures, apr_uint32_t random)
{
    apr_interval_time_t ceiling = CS_BACKOFF_FIRST;

    while (--failures > 0 && ceiling < CS_BACKOFF_MOST)
        ceiling *= 2;
    if (ceiling > CS_BACKOFF_MOST)
        ceiling = CS_BACKOFF_MOST;
    return (apr_interval_time_t)(((apr_uint64_t)ceiling * random) >> 32);
}
