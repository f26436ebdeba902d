/* What the disk has to have before we say that it has it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_DISK_H
#define CS_DISK_H

#include <apr_file_info.h>
#include <apr_pools.h>
#include <apr_user.h>

/* Syncs a folder, so that a file made or renamed in it outlives a loss of power. */
apr_status_t cs_disk_sync_directory(const char *directory);

/* Whether that is still the file at `path`: somebody may have renamed or removed it since it was opened. */
int cs_disk_still_at(const char *path, int fd);

/* Reads `*length` bytes from where the file is, or as many as there are: then `*length` is less. */
apr_status_t cs_disk_read(char *bytes, apr_size_t *length, int fd);

/* The mode of a folder with queues in it. */
#define CS_DISK_PRIVATE (APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE)

/* Makes a folder of that mode, and those above it, which everybody may search as usual. `*made` tells whether it was
 * not there before. ENOTDIR: something else is in its place. */
apr_status_t cs_disk_make_directory(int *made, const char *directory, apr_fileperms_t mode, apr_pool_t *pool);

/* Who else may read and write what is made in a folder with queues; NULL stands for nobody. */
typedef struct cs_group_t {
    const char *name;
    apr_gid_t id;
} cs_group_t;

/* Whether this process can give it files; root can. */
int cs_disk_is_member(const cs_group_t *group);

/* Gives a file or a folder to the group, if it is this user's own; another's stays as it is. EPERM: this user is not a
 * member, and nothing was changed. */
apr_status_t cs_disk_share(int fd, const cs_group_t *group);
apr_status_t cs_disk_share_directory(const char *directory, const cs_group_t *group);

/* What to do about a write that failed so. */
const char *cs_disk_advice(apr_status_t status);

/* The folder above, "/" at last. */
const char *cs_disk_parent(const char *path, apr_pool_t *pool);

/* Bytes that we may still write there, or in the nearest folder above that is there. */
apr_status_t cs_disk_room(apr_uint64_t *room, const char *directory, apr_pool_t *pool);

/* Whether a file of `size` bytes has room, beside those before it: `*promised` is what they will take, and grows by it.
 * One that is there has its room. `*room` is what there is; what cannot be told, whoever makes the file will tell. */
int cs_disk_fits(apr_uint64_t *room, apr_uint64_t *promised, const char *path, apr_uint64_t size, apr_pool_t *pool);

#endif
