/* What time it is for AWS.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/clock.h"

static apr_interval_time_t size_of(apr_interval_time_t offset)
{
    return offset < 0 ? -offset : offset;
}

apr_time_t cs_clock_correct(const cs_clock_t *clock, apr_time_t here)
{
    return here + clock->offset;
}

apr_time_t cs_clock_now(const cs_clock_t *clock)
{
    return cs_clock_correct(clock, apr_time_now());
}

int cs_clock_learn(cs_clock_t *clock, apr_time_t there, apr_time_t here)
{
    apr_interval_time_t offset = there - here, known = clock->offset;

    if (!there)
        return 0;
    if (size_of(offset) <= (known ? CS_CLOCK_TOLERANCE / 2 : CS_CLOCK_TOLERANCE))
        offset = 0;
    clock->offset = offset;
    if (offset && (!known || size_of(offset - known) > CS_CLOCK_TOLERANCE))
        cs_log(clock->log, CS_LOG_WARNING, APR_SUCCESS,
               "stream %s: this machine's clock is %" APR_TIME_T_FMT " s %s AWS's; requests are signed with AWS's "
               "time: set the clock, with NTP for instance",
               clock->stream, apr_time_sec(size_of(offset)), offset > 0 ? "behind" : "ahead of");
    else if (!offset && known)
        cs_log(clock->log, CS_LOG_NOTICE, APR_SUCCESS, "stream %s: this machine's clock agrees with AWS's again",
               clock->stream);
    return size_of(offset - known) > CS_CLOCK_TOLERANCE;
}
