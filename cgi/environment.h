/* A CGI program's environment and standard input, as the core sees a request (RFC 3875).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_ENVIRONMENT_H
#define CS_ENVIRONMENT_H

#include "collect/collect.h"

/* `pool` must live as long as the request. */
cs_request_t cs_environment_request(apr_pool_t *pool);

/* Reads the body: as much as CONTENT_LENGTH says, or to the end where there is none, or where the length is not that
 * of what comes (httpd inflates a compressed body and keeps the length that it had).
 * APR_ENOSPC: it is longer than `most`. APR_EOF: it ends too soon. */
apr_status_t cs_environment_body(cs_span_t *body, apr_int64_t most, apr_pool_t *pool);

/* Writes the whole answer to standard output, and lets go of both: the request is over. What is left of the body is
 * read before: under mod_cgid both are one socket, and an answer is lost when it is closed over something unread. */
void cs_environment_answer(const cs_collect_t *collect, apr_pool_t *pool);

#endif
