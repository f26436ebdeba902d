/* Which web pages may send: the answer headers of the Fetch standard's CORS protocol. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_CORS_H
#define CS_CORS_H

#include <apr_tables.h>

/* Adds what an answer to a request from `origin` (NULL: no such header) carries. A preflight's answer carries more,
 * `methods` among it; otherwise that is NULL. An origin that is not on the list gets nothing that would let its page
 * in. */
void cs_cors_headers(apr_table_t *headers, const apr_array_header_t *allowed, const char *origin, const char *methods);

/* The page, where it is let in, may read this header of the answer as well. */
void cs_cors_expose(apr_table_t *headers, const char *name);

#endif
