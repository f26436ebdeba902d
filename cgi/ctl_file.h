/* The file whose events are put back: read once, under its lock, and renamed when that is done.
 *
 * While it is locked no other requeue takes it, and no sender appends to it; see deliver/rejects.h.
 * Functions that return an int return 0 or the program's exit status, when it has been said what is wrong.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_FILE_H
#define CTL_FILE_H

#include <apr_pools.h>

typedef struct ctl_file_t {
    const char *path;
    apr_pool_t *pool;
    int fd;         /* -1: not open */
    apr_off_t size; /* once it is locked */
    char *text;     /* once it was read */
} ctl_file_t;

/* A regular file, and no link to one. */
int ctl_file_open(ctl_file_t *file);
/* Makes sure that the file can be renamed, as to find out when its events are queued is too late; then waits a short
 * while for its lock. */
int ctl_file_lock(ctl_file_t *file);
/* Reads `size` bytes. */
int ctl_file_read(ctl_file_t *file);
/* Renames it to PATH.requeued-YYYYMMDDTHHMMSSZ, or to the same with a number where another file has that name. Returns
 * 0 or an errno; `*name` is what was tried last. */
int ctl_file_rename(const char **name, const ctl_file_t *file);
void ctl_file_close(ctl_file_t *file);

#endif
