/* Where one of AWS's services is, and what a request to it has to show. Pure; the time is an argument.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_ENDPOINT_H
#define CS_ENDPOINT_H

#include "deliver/credentials.h"
#include "deliver/sigv4.h"

typedef struct cs_endpoint_t {
    const char *service, *region; /* as the signature names them */
    const char *url;
    const char *host, *path; /* of the URL: "host:port", and "/" at least */
} cs_endpoint_t;

/* `url` NULL: the service's own in that region. Copies nothing. */
void cs_endpoint_make(cs_endpoint_t *endpoint, const char *service, const char *region, const char *url,
                      apr_pool_t *pool);

/* The lines of the headers of a POST, Authorization among them, for cs_http_begin(). `target` is the service's
 * x-amz-target; NULL: it has none. */
const char *const *cs_endpoint_sign(const cs_endpoint_t *endpoint, const char *content_type, const char *target,
                                    cs_span_t body, const cs_credentials_t *credentials, apr_time_t time,
                                    apr_pool_t *pool);

#endif
