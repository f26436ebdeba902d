/* When a sender's thread has to come to an end, for whatever it waits for. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_HALT_H
#define CS_HALT_H

#include "deliver/batch.h"

typedef struct cs_halt_t {
    const int *stop;  /* not 0: at once; any thread or signal handler may set it. NULL: nobody does */
    apr_time_t until; /* by cs_monotonic(); 0: no such time */
} cs_halt_t;

/* How often whoever waits looks. */
#define CS_HALT_NOTICE apr_time_from_msec(50)

static inline int cs_halted(const cs_halt_t *halt)
{
    return (halt->stop && __atomic_load_n(halt->stop, __ATOMIC_ACQUIRE)) ||
           (halt->until && cs_monotonic() >= halt->until);
}

#endif
