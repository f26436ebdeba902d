/* What the disk has to have before we say that it has it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_DISK_H
#define CS_DISK_H

#include <apr_file_info.h>
#include <apr_pools.h>

/* Syncs a folder, so that a file made or renamed in it outlives a loss of power. */
apr_status_t cs_disk_sync_directory(const char *directory);

/* Makes a folder of that mode, and those above it, which everybody may search as usual. `*made` tells whether it was
 * not there before. ENOTDIR: something else is in its place. */
apr_status_t cs_disk_make_directory(int *made, const char *directory, apr_fileperms_t mode, apr_pool_t *pool);

/* The folder above, "/" at last. */
const char *cs_disk_parent(const char *path, apr_pool_t *pool);

/* Bytes that we may still write there, or in the nearest folder above that is there. */
apr_status_t cs_disk_room(apr_uint64_t *room, const char *directory, apr_pool_t *pool);

#endif
