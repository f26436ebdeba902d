/* Copies of what is secret: they are overwritten when their pool is cleared. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_SECRET_H
#define CS_SECRET_H

#include <apr_pools.h>

/* A copy with a NUL behind it. */
char *cs_secret_keep(const char *at, apr_size_t length, apr_pool_t *pool);

/* All of a text file. APR_ENOSPC: it has more than `most` bytes. */
apr_status_t cs_secret_read(char **text, const char *path, apr_size_t most, apr_pool_t *pool);

#endif
