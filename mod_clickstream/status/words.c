/* Numbers as people read them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "status/words.h"

#include <apr_strings.h>

#include "common/text.h"

const char *cs_words_count(apr_uint64_t count, apr_pool_t *pool)
{
    return count < 1000 ? apr_psprintf(pool, "%" APR_UINT64_T_FMT, count)
                        : apr_psprintf(pool, "%s,%03d", cs_words_count(count / 1000, pool), (int)(count % 1000));
}

const char *cs_words_bytes(apr_uint64_t bytes, apr_pool_t *pool)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double size = (double)bytes;
    int i = 0;

    for (; size >= 1023.5; i++)
        size /= 1024;
    return apr_psprintf(pool, i && size < 9.95 ? "%.1f %s" : "%.0f %s", size, units[i]);
}

const char *cs_words_duration(apr_interval_time_t time, apr_pool_t *pool)
{
    static const struct {
        apr_interval_time_t large, small; /* seconds */
        const char *large_name, *small_name;
    } pairs[] = {{86400, 3600, "d", "h"}, {3600, 60, "h", "min"}, {60, 1, "min", "s"}};
    apr_interval_time_t seconds = apr_time_sec(time);

    for (apr_size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (seconds >= pairs[i].large)
            return apr_psprintf(pool, "%d %s %d %s", (int)(seconds / pairs[i].large), pairs[i].large_name,
                                (int)(seconds % pairs[i].large / pairs[i].small), pairs[i].small_name);
    }
    if (seconds >= 10)
        return apr_psprintf(pool, "%d s", (int)seconds);
    return seconds ? apr_psprintf(pool, "%.1f s", (double)(time / (APR_USEC_PER_SEC / 10)) / 10)
                   : apr_psprintf(pool, "%d ms", (int)(time / 1000));
}

const char *cs_words_decimal(double number, apr_pool_t *pool)
{
    if (number >= 100)
        return cs_words_count((apr_uint64_t)(number + 0.5), pool);
    if (number <= 0)
        return "0";
    return number >= 1 ? apr_psprintf(pool, "%.1f", number) : apr_psprintf(pool, "%.2f", number);
}

const char *cs_words_time(apr_time_t time, apr_pool_t *pool)
{
    char text[CS_TIME_TEXT];

    cs_time_text(text, time);
    return apr_psprintf(pool, "%.10s %.8s UTC", text, text + 11);
}
