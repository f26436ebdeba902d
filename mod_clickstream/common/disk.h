/* What the disk has to have before we say that it has it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_DISK_H
#define CS_DISK_H

#include <apr_errno.h>

/* Syncs a folder, so that a file made or renamed in it outlives a loss of power. */
apr_status_t cs_disk_sync_directory(const char *directory);

#endif
