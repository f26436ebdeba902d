/* Events without a body: one in the query of a GET, and the picture that answers it. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_PIXEL_H
#define CS_PIXEL_H

#include <apr_pools.h>

#include "common/text.h"

/* A transparent picture of one pixel. */
extern const cs_span_t cs_pixel_gif;

/* The value of the query's first parameter `name`, decoded; NULL: there is none, or it is wrongly encoded. */
const char *cs_query_value(const char *query, const char *name, apr_pool_t *pool);

/* The query's parameters as a JSON object; `client_id` is none of the event's. A value that is a JSON number, or true,
 * false or null, is that, other ones are strings; `token`, `timestamp` and `tag` always are. Returns 0 where a
 * parameter is wrongly encoded, with its place in `*culprit`. */
int cs_pixel_event(cs_span_t *event, const char **culprit, const char *query, apr_pool_t *pool);

#endif
