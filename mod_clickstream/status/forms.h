/* The forms that a status takes. Each returns the whole text, in the pool. Pure: files, clocks and requests are others'
 * business. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_FORMS_H
#define CS_FORMS_H

#include "status/snapshot.h"

/* JSON; the names are promised in clickstreamctl's man page. `queue_dir` is NULL where the reader must not see the
 * paths of this machine. */
const char *cs_status_json(const cs_status_t *status, const char *queue_dir, apr_pool_t *pool);

/* JSON: whether all streams are healthy, and why not. */
const char *cs_status_health(int *healthy, const cs_status_t *status, apr_pool_t *pool);

/* Prometheus's text format 0.0.4. */
#define CS_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"
const char *cs_status_prometheus(const cs_status_t *status, apr_pool_t *pool);

/* A page. `refresh` is how often it is loaded again, in seconds, or 0: it says so, and has a link that changes it; the
 * header is the caller's. `style` is what its one style element holds, to the byte, for a Content-Security-Policy. */
const char *cs_status_html(const cs_status_t *status, int refresh, apr_pool_t *pool);
extern const char cs_html_style[];

#endif
