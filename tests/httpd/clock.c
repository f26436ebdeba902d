/* Preloaded, this sets the clock of one process tree: the file CLICKSTREAM_TEST_CLOCK holds the seconds, eight bytes,
 * that its clock is ahead of the machine's. Only the clock that people set moves; the monotonic one goes on.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

static const int64_t *offset;

/* Whoever asks for the time before this gets the machine's. */
__attribute__((constructor)) static void find_offset(void)
{
    const char *path = getenv("CLICKSTREAM_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);

    if (mapped != MAP_FAILED)
        offset = mapped;
    if (fd >= 0)
        close(fd);
}

EXPORTED int clock_gettime(clockid_t clock, struct timespec *now)
{
    long error = syscall(SYS_clock_gettime, clock, now);

    if (!error && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += (time_t)__atomic_load_n(offset, __ATOMIC_RELAXED);
    return (int)error;
}

EXPORTED int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return 0;
}

EXPORTED time_t time(time_t *at)
{
    struct timespec exact;

    clock_gettime(CLOCK_REALTIME, &exact);
    if (at)
        *at = exact.tv_sec;
    return exact.tv_sec;
}
