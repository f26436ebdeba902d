/* Which streams there are, and whose their queues.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "ctl.h"
#include "intake/intake.h"
#include "intake/strays.h"

int ctl_read_conf(ctl_t *ctl)
{
    const char *error = cs_conf_read(&ctl->server, NULL, ctl->conf, CS_CONF_LENIENT, ctl->pool);

    if (!error && !ctl->server.streams)
        error = apr_pstrcat(ctl->pool, ctl->conf,
                            ": there is no ClickstreamStream in it: name the file that has it with -f (what a file "
                            "includes is not looked into)",
                            NULL);
    if (error)
        ctl_complain("%s", error);
    return error ? EX_CONFIG : EX_OK;
}

int ctl_become_owner(ctl_t *ctl)
{
    const char *directory = ctl->server.queue_dir;
    const struct passwd *user;
    struct stat info;
    gid_t group;

    if (geteuid() != 0 || stat(directory, &info) != 0 || info.st_uid == 0)
        return EX_OK;
    user = getpwuid(info.st_uid);
    group = user ? user->pw_gid : info.st_gid;
    if ((user ? initgroups(user->pw_name, group) : setgroups(1, &group)) != 0 || setgid(group) != 0 ||
        setuid(info.st_uid) != 0 || (user && setenv("HOME", user->pw_dir, 1) != 0)) {
        ctl_complain("the owner of %s, user %lu, cannot be become: %s", directory, (unsigned long)info.st_uid,
                     strerror(errno));
        return EX_OSERR;
    }
    return EX_OK;
}

int ctl_begin(ctl_t *ctl)
{
    int result = ctl_read_conf(ctl);

    return result == EX_OK ? ctl_become_owner(ctl) : result;
}

const cs_stream_t *ctl_stream(ctl_t *ctl, const char *name)
{
    const cs_stream_t *stream = cs_server_stream(&ctl->server, name);
    const char *names = cs_server_stream_names(&ctl->server, ctl->pool);

    if (!stream && name)
        ctl_complain("%s has no stream %s: write one of %s", ctl->conf, name, names);
    else if (!stream)
        ctl_complain("%s has several streams: say which, one of %s", ctl->conf, names);
    return stream;
}

apr_array_header_t *ctl_streams(ctl_t *ctl, const char *name)
{
    apr_array_header_t *one;
    const cs_stream_t *stream;

    if (!name)
        return ctl->server.streams;
    if (!(stream = ctl_stream(ctl, name)))
        return NULL;
    one = apr_array_make(ctl->pool, 1, sizeof(const cs_stream_t *));
    APR_ARRAY_PUSH(one, const cs_stream_t *) = stream;
    return one;
}

void ctl_tell_of_strays(const ctl_t *ctl)
{
    const apr_array_header_t *sentences = cs_strays(&ctl->server, ctl->conf, ctl->pool);

    for (int i = 0; i < sentences->nelts; i++)
        ctl_complain("%s", APR_ARRAY_IDX(sentences, i, const char *));
}

cs_queue_options_t ctl_queue_options(const ctl_t *ctl, const cs_stream_t *stream, int existing)
{
    cs_queue_options_t options = cs_intake_queue(&ctl->server, stream);

    options.existing = existing;
    return options;
}
