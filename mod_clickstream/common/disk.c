/* What the disk has to have before we say that it has it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/disk.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

apr_status_t cs_disk_sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    apr_status_t status = fd < 0 || fsync(fd) != 0 ? errno : APR_SUCCESS;

    if (fd >= 0)
        close(fd);
    return status;
}

int cs_disk_still_at(const char *path, int fd)
{
    struct stat here, there;

    return fstat(fd, &here) == 0 && lstat(path, &there) == 0 && here.st_ino == there.st_ino &&
           here.st_dev == there.st_dev;
}

apr_status_t cs_disk_read(char *bytes, apr_size_t *length, int fd)
{
    apr_size_t wanted = *length;
    ssize_t got = 1;

    for (*length = 0; *length < wanted && got; *length += got > 0 ? (apr_size_t)got : 0) {
        got = read(fd, bytes + *length, wanted - *length);
        if (got < 0 && errno != EINTR)
            return errno;
    }
    return APR_SUCCESS;
}

int cs_disk_is_member(const cs_group_t *group)
{
    gid_t groups[NGROUPS_MAX];
    int count;

    if (!group || geteuid() == 0 || getegid() == group->id)
        return 1;
    count = getgroups(NGROUPS_MAX, groups);
    while (count > 0 && groups[count - 1] != group->id)
        count--;
    return count > 0;
}

apr_status_t cs_disk_share(int fd, const cs_group_t *group)
{
    struct stat info;
    mode_t mode;

    if (!group)
        return APR_SUCCESS;
    if (fstat(fd, &info) != 0)
        return errno;
    if (info.st_uid != geteuid())
        return APR_SUCCESS;
    mode = info.st_mode | S_IRGRP | S_IWGRP | (S_ISDIR(info.st_mode) ? S_IXGRP : 0);
    if (info.st_gid != group->id && fchown(fd, (uid_t)-1, group->id) != 0) /* first, or the old group could read it */
        return errno;
    return info.st_mode == mode || fchmod(fd, mode & ~(mode_t)S_IFMT) == 0 ? APR_SUCCESS : errno;
}

apr_status_t cs_disk_share_directory(const char *directory, const cs_group_t *group)
{
    apr_status_t status;
    int fd;

    if (!group)
        return APR_SUCCESS;
    if ((fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return errno;
    status = cs_disk_share(fd, group);
    close(fd);
    return status;
}

const char *cs_disk_advice(apr_status_t status)
{
    switch (status) {
    case EDQUOT:
        return "free room in the quota of the file's owner, or have it raised";
    case EFAULT: /* what was to be written lies in a file that is mapped, and a page of it is gone */
        return "look at the disk of the queue's file, and keep others away from it";
    case EFBIG:
        return "raise the limit on the size of files, which is LimitFSIZE= of systemd's and ulimit -f of a shell";
    default:
        return "free room on that disk, or let httpd's user write there";
    }
}

const char *cs_disk_parent(const char *path, apr_pool_t *pool)
{
    apr_size_t end = strlen(path);

    while (end > 1 && path[end - 1] == '/')
        end--;
    while (end > 1 && path[end - 1] != '/')
        end--;
    while (end > 1 && path[end - 1] == '/')
        end--;
    return apr_pstrmemdup(pool, path, end);
}

apr_status_t cs_disk_make_directory(int *made, const char *directory, apr_fileperms_t mode, apr_pool_t *pool)
{
    apr_status_t status = APR_SUCCESS;
    struct stat info;

    *made = 0;
    if (stat(directory, &info) != 0) {
        status = apr_dir_make_recursive(cs_disk_parent(directory, pool), APR_FPROT_OS_DEFAULT, pool);
        if (status == APR_SUCCESS)
            status = apr_dir_make(directory, mode, pool);
        *made = status == APR_SUCCESS;
        if (!APR_STATUS_IS_EEXIST(status)) /* another was faster */
            return status;
        if (stat(directory, &info) != 0)
            return errno;
    }
    return S_ISDIR(info.st_mode) ? APR_SUCCESS : ENOTDIR;
}

apr_status_t cs_disk_room(apr_uint64_t *room, const char *directory, apr_pool_t *pool)
{
    struct statvfs disk;

    while (statvfs(directory, &disk) != 0) {
        if (errno != ENOENT || !directory[1])
            return errno;
        directory = cs_disk_parent(directory, pool);
    }
    *room = (apr_uint64_t)disk.f_bavail * disk.f_frsize;
    return APR_SUCCESS;
}

int cs_disk_fits(apr_uint64_t *room, apr_uint64_t *promised, const char *path, apr_uint64_t size, apr_pool_t *pool)
{
    struct stat info;

    if (lstat(path, &info) == 0 || cs_disk_room(room, cs_disk_parent(path, pool), pool) != APR_SUCCESS)
        return 1;
    *room -= *promised < *room ? *promised : *room;
    *promised += size;
    return *room >= size;
}
