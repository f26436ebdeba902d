/* Preloaded, this is a disk quota: what is written to a file in the folder that the file CLICKSTREAM_TEST_QUOTA names
 * is refused as the kernel refuses it once a user has used up what is theirs. Empty, there is room.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

static int is_used_up(int fd)
{
    const char *at = getenv("CLICKSTREAM_TEST_QUOTA");
    char folder[PATH_MAX], link[64], path[PATH_MAX];
    int file = at ? open(at, O_RDONLY | O_CLOEXEC) : -1, before = errno;
    ssize_t length = file < 0 ? 0 : read(file, folder, sizeof(folder)), end;

    if (file >= 0)
        close(file);
    if (length > 0) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        end = readlink(link, path, sizeof(path));
        if (end > length && memcmp(path, folder, (size_t)length) == 0) {
            errno = EDQUOT;
            return 1;
        }
    }
    errno = before;
    return 0;
}

EXPORTED ssize_t write(int fd, const void *bytes, size_t length)
{
    ssize_t (*real)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");

    return is_used_up(fd) ? -1 : real(fd, bytes, length);
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t (*real)(int, const struct iovec *, int) =
        (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");

    return is_used_up(fd) ? -1 : real(fd, parts, count);
}

EXPORTED ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t) =
        (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");

    return is_used_up(fd) ? -1 : real(fd, bytes, length, at);
}

EXPORTED ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");

    return is_used_up(fd) ? -1 : real(fd, bytes, length, at);
}
