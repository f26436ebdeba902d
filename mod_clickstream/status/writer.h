/* Text that grows piece by piece, and how values are written in it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_WRITER_H
#define CS_WRITER_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

typedef struct cs_writer_t {
    apr_array_header_t *pieces; /* const char * */
    apr_pool_t *pool;
} cs_writer_t;

cs_writer_t cs_writer_begin(apr_pool_t *pool);

/* As apr_psprintf(). What comes from outside goes through one of the functions below first. */
void cs_write(cs_writer_t *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All of it, in the pool. */
const char *cs_writer_end(const cs_writer_t *writer);

/* Any bytes as text in HTML, inside an element or an attribute in double quotes. What is no UTF-8, and what HTML does
 * not know, becomes U+FFFD; line breaks and tabs become blanks. */
const char *cs_html_text(const char *text, apr_pool_t *pool);

/* Any bytes as a JSON string, with its quotes; "null" for NULL. */
const char *cs_json_text(const char *text, apr_pool_t *pool);

/* RFC 3339, in UTC. */
const char *cs_writer_time(apr_time_t time, apr_pool_t *pool);

#endif
