/* One HTTP request, as a front door knows it. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_REQUEST_H
#define CS_REQUEST_H

#include <apr_time.h>

#include "common/settings.h"

/* What a front door knows of a request. Everything is the front door's, and must live as long as the pool
 * that is given to cs_collect_begin(). */
typedef struct cs_request_t {
    const char *method;         /* as sent: a HEAD is no GET here */
    const char *query;          /* after the '?', or NULL */
    const char *remote_address; /* of the client as httpd sees it, or NULL */
    apr_time_t now;             /* when it came */
    int secure;                 /* it came over TLS */
    /* The value of a request header, or NULL. Several of one name come joined with ", ". */
    const char *(*header)(void *from, const char *name);
    /* The value of a ClickstreamField's expression; NULL or "" for none. */
    const char *(*field)(void *from, const cs_field_t *field);
    /* Fills with randomness; returns 1, as OpenSSL's RAND_bytes() does. */
    int (*random)(unsigned char *bytes, int count);
    void *from;
} cs_request_t;

/* The value of a header, or NULL. */
const char *cs_request_header(const cs_request_t *request, const char *name);

#endif
