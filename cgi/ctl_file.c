/* The file whose events are put back: read once, under its lock, and renamed when that is done.
 * SPDX-License-Identifier: Apache-2.0 */
#include "ctl_file.h"

#include <apr_strings.h>
#include <apr_time.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/disk.h"
#include "ctl.h"

#define LOCK_PATIENCE apr_time_from_sec(5)
#define LOCK_STEP apr_time_from_msec(20)
#define NAMES_MOST 100

int ctl_file_open(ctl_file_t *file)
{
    struct stat info;
    int error = 0;

    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0 || fstat(file->fd, &info) != 0)
        error = errno;
    else if (!S_ISREG(info.st_mode))
        error = EINVAL;
    if (error)
        ctl_complain("%s cannot be read: %s: name a file, itself and no link to it, that this user may read",
                     file->path, strerror(error));
    return error ? EX_NOINPUT : EX_OK;
}

static int check_rename(const ctl_file_t *file)
{
    const char *folder = strchr(file->path, '/') ? cs_disk_parent(file->path, file->pool) : ".";
    struct stat above, here;

    if (stat(folder, &above) != 0 || fstat(file->fd, &here) != 0 || access(folder, W_OK | X_OK) != 0) {
        ctl_complain("%s could not be renamed afterwards: %s: let this user, %lu, write its folder, or copy it to "
                     "one where that is so",
                     file->path, strerror(errno), (unsigned long)geteuid());
        return EX_NOPERM;
    }
    if (!(above.st_mode & S_ISVTX) || geteuid() == 0 || above.st_uid == geteuid() || here.st_uid == geteuid())
        return EX_OK;
    ctl_complain("%s could not be renamed afterwards: it is another user's, in a folder for all: copy it to a folder "
                 "of this user, %lu",
                 file->path, (unsigned long)geteuid());
    return EX_NOPERM;
}

static int lock(const ctl_file_t *file)
{
    apr_interval_time_t waited = 0;

    while (flock(file->fd, LOCK_EX | LOCK_NB) != 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || waited >= LOCK_PATIENCE) {
            ctl_complain("%s cannot be locked: %s: another requeue may be at work; try again", file->path,
                         strerror(errno));
            return EX_TEMPFAIL;
        }
        apr_sleep(LOCK_STEP);
        waited += LOCK_STEP;
    }
    if (cs_disk_still_at(file->path, file->fd))
        return EX_OK;
    ctl_complain("%s has just been renamed or removed: another requeue was faster", file->path);
    return EX_TEMPFAIL;
}

int ctl_file_lock(ctl_file_t *file)
{
    struct stat info;
    int result = check_rename(file);

    if (result == EX_OK)
        result = lock(file);
    if (result == EX_OK && fstat(file->fd, &info) == 0)
        file->size = info.st_size;
    return result;
}

int ctl_file_read(ctl_file_t *file)
{
    apr_size_t size = (apr_size_t)file->size, got = size;
    apr_status_t status;

    if (!(file->text = malloc(size + 1))) {
        ctl_complain("there is no memory for %s: split the file", file->path);
        return EX_OSERR;
    }
    status = cs_disk_read(file->text, &got, file->fd);
    if (status == APR_SUCCESS && got == size)
        return EX_OK;
    ctl_complain("%s cannot be read: %s", file->path, status ? strerror(status) : "it got shorter");
    return EX_IOERR;
}

int ctl_file_rename(const char **name, const ctl_file_t *file)
{
    apr_time_exp_t now;
    const char *stem;

    apr_time_exp_gmt(&now, apr_time_now());
    stem = apr_psprintf(file->pool, "%s.requeued-%04d%02d%02dT%02d%02d%02dZ", file->path, now.tm_year + 1900,
                        now.tm_mon + 1, now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec);
    *name = stem;
    for (int i = 1; renameat2(AT_FDCWD, file->path, AT_FDCWD, *name, RENAME_NOREPLACE) != 0; i++) {
        if (errno == EINVAL || errno == ENOSYS) /* a file system that has no such thing */
            return rename(file->path, *name) == 0 ? 0 : errno;
        if (errno != EEXIST || i == NAMES_MOST)
            return errno;
        *name = apr_psprintf(file->pool, "%s-%d", stem, i);
    }
    return 0;
}

void ctl_file_close(ctl_file_t *file)
{
    if (file->fd >= 0)
        close(file->fd); /* and the lock goes with it */
    free(file->text);
}
