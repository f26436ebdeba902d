/* A glance at a queue's file: how much waits in it, for one who has no use for the queue itself.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/disk.h"
#include "queue/layout.h"

/* Who appends or delivers changes the header while it is read, and then neither ledger may be whole. */
#define READS_MOST 100

/* NULL: neither is whole. */
static const ledger_t *newest(const header_t *header)
{
    const ledger_t *found = NULL;

    for (int i = 0; i < 2; i++) {
        const ledger_t *ledger = &header->ledger[i];
        if (queue_ledger_whole(ledger, header->capacity) && (!found || ledger->sequence > found->sequence))
            found = ledger;
    }
    return found;
}

/* A number that cannot be is none of ours: each record takes some room. */
static apr_status_t count_waiting(apr_uint64_t *waiting, const ledger_t *ledger)
{
    apr_uint64_t count = ledger->appended - ledger->delivered - ledger->rejected - ledger->lost;

    if (count > (ledger->head - ledger->tail) / FRAME_ALIGN)
        return APR_EGENERAL;
    *waiting = count;
    return APR_SUCCESS;
}

static apr_status_t glance(apr_uint64_t *waiting, int fd)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return errno;
    if (!S_ISREG(info.st_mode))
        return APR_EGENERAL;
    for (int i = 0; i < READS_MOST; i++) {
        apr_size_t length = sizeof(header_t);
        const ledger_t *ledger;
        header_t header = {.version = 0};
        apr_status_t status = lseek(fd, 0, SEEK_SET) == 0 ? cs_disk_read((char *)&header, &length, fd) : errno;
        if (status != APR_SUCCESS)
            return status;
        if (length < sizeof(header) || !is_header(&header, info.st_size))
            return APR_EGENERAL;
        if ((ledger = newest(&header)))
            return count_waiting(waiting, ledger);
    }
    return APR_EGENERAL;
}

apr_status_t cs_queue_glance(apr_uint64_t *waiting, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    apr_status_t status;

    if (fd < 0)
        return errno;
    status = glance(waiting, fd);
    close(fd);
    return status;
}
