/* What time it is for AWS. A signature with a time that is 5 minutes off is refused, whatever the keys; so where this
 * machine's clock is wrong, we go by AWS's, which stands in the Date header of each answer.
 * Belongs to one thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_CLOCK_H
#define CS_CLOCK_H

#include <apr_time.h>

#include "common/log.h"

/* Beyond this the clock is wrong; a Date header has whole seconds, and an answer may take its time. It is right again
 * within half of it, so that one at the edge does not change its mind with each answer. */
#define CS_CLOCK_TOLERANCE apr_time_from_sec(60)

typedef struct cs_clock_t {
    const cs_log_t *log;
    const char *stream;         /* its name, for the log */
    apr_interval_time_t offset; /* from this machine's time to AWS's; 0: the clock is right */
} cs_clock_t;

/* AWS's time, when it is `here` by this machine's clock. */
apr_time_t cs_clock_correct(const cs_clock_t *clock, apr_time_t here);

/* AWS's time now. */
apr_time_t cs_clock_now(const cs_clock_t *clock);

/* An answer came `here`, by this machine's clock, and said that it was `there`; 0: it did not say. Logs it where that
 * begins or ends to matter, or changes by more than the tolerance; then it returns 1: what was signed before could not
 * but be refused. */
int cs_clock_learn(cs_clock_t *clock, apr_time_t there, apr_time_t here);

#endif
