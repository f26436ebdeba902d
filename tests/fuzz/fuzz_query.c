/* The query of a URL: one value of it, and a pixel's whole event, which is JSON whatever the query was.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "collect/pixel.h"

FUZZ_TARGET(query)
{
    apr_pool_t *pool = fuzz_pool();
    const char *query = fuzz_text(data, size), *value = cs_query_value(query, "client_id", pool), *culprit = NULL;
    cs_span_t event;

    if (value)
        FUZZ_CHECK(strlen(value) <= strlen(query));
    if (cs_pixel_event(&event, &culprit, query, pool))
        FUZZ_CHECK(fuzz_is_json(event.at, event.length));
    else
        FUZZ_CHECK(culprit >= query && culprit <= query + strlen(query));
    return 0;
}
