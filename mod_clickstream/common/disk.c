/* What the disk has to have before we say that it has it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

apr_status_t cs_disk_sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    apr_status_t status = fd < 0 || fsync(fd) != 0 ? errno : APR_SUCCESS;

    if (fd >= 0)
        close(fd);
    return status;
}
