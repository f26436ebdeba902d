/* clickstreamctl check: whether the CGI's configuration is right, and whether the disk has what it asks for.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/disk.h"
#include "ctl.h"

/* A folder that is there has to be writable; for one that is not, the nearest above it. */
static const char *check_folder(const char *what, const char *folder, apr_pool_t *pool)
{
    const char *nearest = folder;
    struct stat info;

    while (stat(nearest, &info) != 0) {
        if ((errno != ENOENT && errno != ENOTDIR) || !nearest[1])
            return apr_psprintf(pool, "%s %s: let this user search the folders above it", what, folder);
        nearest = cs_disk_parent(nearest, pool);
    }
    if (!S_ISDIR(info.st_mode))
        return apr_psprintf(pool, "%s %s: %s is no folder", what, folder, nearest);
    if (access(nearest, W_OK | X_OK) != 0)
        return apr_psprintf(pool, "%s %s cannot be %s: let this user write %s", what, folder,
                            nearest == folder ? "written" : "made", nearest);
    return NULL;
}

/* `*promised` is what the streams before this one will take. */
static const char *check_room(apr_uint64_t *promised, const ctl_t *ctl, const cs_stream_t *stream)
{
    apr_uint64_t size = (apr_uint64_t)cs_queue_file_size(stream->queue), room;
    const char *path = apr_psprintf(ctl->pool, "%s/%s.queue", ctl->server.queue_dir, stream->name);

    if (cs_disk_fits(&room, promised, path, size, ctl->pool))
        return NULL;
    return apr_psprintf(ctl->pool,
                        "ClickstreamStream %s: its queue takes %" APR_UINT64_T_FMT " bytes, and the disk of %s has "
                        "room for %" APR_UINT64_T_FMT ": free some, or write a smaller queue=",
                        stream->name, size, ctl->server.queue_dir, room);
}

static const char *check_disk(const ctl_t *ctl)
{
    const char *error = check_folder("ClickstreamQueueDir", ctl->server.queue_dir, ctl->pool);
    const cs_group_t *group = ctl->server.queue_group;
    apr_uint64_t promised = 0;

    if (!error && !cs_disk_is_member(group))
        error =
            apr_psprintf(ctl->pool,
                         "ClickstreamQueueGroup %s: this user is no member of it, and cannot give it files: have it "
                         "made a member, or leave the line out",
                         group->name);
    for (int i = 0; !error && i < ctl->server.streams->nelts; i++) {
        const cs_stream_t *stream = APR_ARRAY_IDX(ctl->server.streams, i, const cs_stream_t *);
        error = check_room(&promised, ctl, stream);
        if (!error && stream->sink == CS_SINK_FILE)
            error = check_folder(apr_psprintf(ctl->pool, "ClickstreamStream %s file path", stream->name), stream->path,
                                 ctl->pool);
    }
    return error;
}

int ctl_check(ctl_t *ctl)
{
    cs_location_t location;
    const char *error = cs_conf_read(&ctl->server, &location, ctl->conf, CS_CONF_STRICT, ctl->pool);
    int result;

    if (!error) {
        if ((result = ctl_become_owner(ctl)) != EX_OK)
            return result;
        error = check_disk(ctl);
    }
    if (error) {
        ctl_complain("%s", error);
        return EX_CONFIG;
    }
    ctl_tell_of_strays(ctl);
    puts("Syntax OK");
    return EX_OK;
}
