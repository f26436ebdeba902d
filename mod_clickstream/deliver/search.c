/* A search for credentials, or for the region.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/search.h"

#include <apr_strings.h>
#include <stdlib.h>

cs_found_t cs_search_fail(cs_search_t *search, const char *advice, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    search->why = cs_halted(search->halt) ? NULL : apr_pvsprintf(search->pool, format, arguments);
    va_end(arguments);
    search->advice = advice;
    return CS_FAILED;
}

cs_found_t cs_search_pass(cs_search_t *search, const char *format, ...)
{
    const char *before = search->passed_by;
    va_list arguments;

    va_start(arguments, format);
    search->passed_by = apr_pvsprintf(search->pool, format, arguments);
    va_end(arguments);
    if (before)
        search->passed_by = apr_pstrcat(search->pool, before, "; ", search->passed_by, NULL);
    return CS_ABSENT;
}

const char *cs_environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}
