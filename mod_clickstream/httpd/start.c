/* What the parent does before there are children: folders that httpd's user can write, a word on queues that belong to
 * no stream any more, and libcurl's start-up.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <errno.h>
#include <grp.h>
#include <http_core.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unixd.h>

#include "common/disk.h"
#include "deliver/http.h"
#include "intake/strays.h"

static int refuse(server_rec *server, apr_status_t status, const char *sentence)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, status, server, "%s", sentence);
    return HTTP_INTERNAL_SERVER_ERROR;
}

enum { USABLE, UNWRITABLE, UNSHARED };

static int try_directory(const char *directory, const cs_group_t *group)
{
    if (access(directory, W_OK | X_OK) != 0)
        return UNWRITABLE;
    return cs_disk_is_member(group) && cs_disk_share_directory(directory, group) == APR_SUCCESS ? USABLE : UNSHARED;
}

/* Whether httpd's user can make files there, and give them to the group. Asked as that user: only so every folder above
 * it counts, and what the user may not do to its own files stays undone. */
static int try_as_user(const char *directory, const cs_group_t *group)
{
    const struct passwd *user = getpwuid(ap_unixd_config.user_id);
    gid_t own = ap_unixd_config.group_id;
    int status;
    pid_t pid;

    if (geteuid() != 0)
        return try_directory(directory, group);
    pid = fork();
    if (pid == 0) /* the groups that httpd gives its children */
        _exit((user ? initgroups(user->pw_name, own) : setgroups(1, &own)) != 0 || setgid(own) != 0 ||
                      setuid(ap_unixd_config.user_id) != 0
                  ? UNWRITABLE
                  : try_directory(directory, group));
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : UNWRITABLE;
}

/* Only a folder that we made ourselves is given to httpd's user. */
static int make_directory(server_rec *server, const char *what, const char *directory, apr_fileperms_t mode,
                          const cs_group_t *group, apr_pool_t *pool)
{
    int made, usability;
    apr_status_t status = cs_disk_make_directory(&made, directory, mode, pool);

    if (made && geteuid() == 0 && chown(directory, ap_unixd_config.user_id, ap_unixd_config.group_id) != 0)
        status = errno;
    if (status != APR_SUCCESS)
        return refuse(server, status,
                      apr_psprintf(pool, "%s %s cannot be made: make it, and give it to httpd's user %s", what,
                                   directory, ap_unixd_config.user_name));
    usability = try_as_user(directory, group);
    if (group && usability == UNSHARED)
        return refuse(server, 0,
                      apr_psprintf(pool,
                                   "ClickstreamQueueGroup %s: httpd's user %s is no member of it, and cannot give it "
                                   "files: usermod -aG %s %s",
                                   group->name, ap_unixd_config.user_name, group->name, ap_unixd_config.user_name));
    if (usability != USABLE)
        return refuse(server, 0,
                      apr_psprintf(pool,
                                   "%s %s cannot be written by httpd's user %s: chown it to that user, and let "
                                   "the user search the folders above it",
                                   what, directory, ap_unixd_config.user_name));
    return OK;
}

/* `*promised` is what the streams before this one will take. */
static int check_room(apr_uint64_t *promised, server_rec *server, const cs_server_t *settings,
                      const cs_stream_t *stream, apr_pool_t *pool)
{
    apr_uint64_t size = (apr_uint64_t)cs_queue_file_size(stream->queue);
    const char *path = apr_psprintf(pool, "%s/%s.queue", settings->queue_dir, stream->name);
    apr_uint64_t room;

    if (cs_disk_fits(&room, promised, path, size, pool))
        return OK;
    return refuse(server, 0,
                  apr_psprintf(pool,
                               "ClickstreamStream %s: its queue takes %" APR_UINT64_T_FMT " bytes, and %s has room "
                               "for %" APR_UINT64_T_FMT ": free some, or write a smaller queue=",
                               stream->name, size, settings->queue_dir, room));
}

/* What waits in the queue of a stream that was removed or renamed goes nowhere, and no other line of the log says so.
 */
static void tell_of_strays(server_rec *server, const cs_server_t *settings, apr_pool_t *pool)
{
    const apr_array_header_t *sentences = cs_strays(settings, "httpd's configuration", pool);

    for (int i = 0; i < sentences->nelts; i++)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server, "%s", APR_ARRAY_IDX(sentences, i, const char *));
}

static apr_status_t cleanup_http(void *unused)
{
    (void)unused;
    cs_http_cleanup();
    return APR_SUCCESS;
}

int cs_start(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    const cs_server_t *settings = cs_config_server(server);
    apr_uint64_t promised = 0;
    int result;

    (void)plog;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK; /* at start httpd reads its configuration twice; this was the first time */
    tell_of_strays(server, settings, ptemp);
    if (!settings->streams)
        return OK;
    result = make_directory(server, "ClickstreamQueueDir", settings->queue_dir, CS_DISK_PRIVATE, settings->queue_group,
                            ptemp);
    for (int i = 0; result == OK && i < settings->streams->nelts; i++) {
        const cs_stream_t *stream = APR_ARRAY_IDX(settings->streams, i, cs_stream_t *);
        result = check_room(&promised, server, settings, stream, ptemp);
        if (result == OK && stream->sink == CS_SINK_FILE)
            result = make_directory(server, apr_psprintf(ptemp, "ClickstreamStream %s file path", stream->name),
                                    stream->path, APR_FPROT_OS_DEFAULT, NULL, ptemp);
    }
    if (result != OK)
        return result;
    if (cs_http_startup() != APR_SUCCESS)
        return refuse(server, 0, "libcurl cannot be started: look at its installation and OpenSSL's");
    apr_pool_cleanup_register(pconf, NULL, cleanup_http, apr_pool_cleanup_null);
    return OK;
}
