/* Hands delivery over to clickstreamctl.
 * SPDX-License-Identifier: Apache-2.0 */
#include "handover.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/disk.h"

/* How long it goes on for, at most: whatever is left then waits for the next request, or for cron. */
#define PATIENCE "20s"
/* How long it stays for more: under load one process sends for all requests, with one connection. */
#define STAY "2s"
/* A log longer than this is put aside, in place of the one that was put aside before. */
#define LOG_MOST (1 << 20)

extern char **environ;

/* What the sender's environment may hold: nothing that a client can write. */
static const char *const passed_on[] = {
    "AWS_",      "HOME=",     "PATH=",      "TZ=",          "TMPDIR=",
    "LANG=",     "LC_",       "SSL_CERT",   "https_proxy=", "HTTPS_PROXY=",
    "no_proxy=", "NO_PROXY=", "all_proxy=", "ALL_PROXY=",   "LD_LIBRARY_PATH=",
};

static char *const *environment_for(apr_pool_t *pool)
{
    apr_array_header_t *kept = apr_array_make(pool, 16, sizeof(char *));

    for (char **entry = environ; *entry; entry++) {
        for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
            if (strncmp(*entry, passed_on[i], strlen(passed_on[i])) == 0)
                APR_ARRAY_PUSH(kept, char *) = *entry;
        }
    }
    APR_ARRAY_PUSH(kept, char *) = NULL;
    return (char *const *)kept->elts;
}

static const char *beside(const char *file, apr_pool_t *pool)
{
    return apr_pstrcat(pool, cs_disk_parent(file, pool), "/clickstreamctl", NULL);
}

/* Beside the configuration, as a shared host has it; beside this program; or where `make install` puts it. */
static const char *find_program(const char *conf, apr_pool_t *pool)
{
    char here[APR_PATH_MAX] = "/";
    const char *places[2];

    if (readlink("/proc/self/exe", here, sizeof(here) - 1) < 0)
        here[1] = '\0';
    places[0] = beside(conf, pool);
    places[1] = beside(here, pool);
    for (int i = 0; i < 2; i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return CS_BINDIR "/clickstreamctl";
}

static int open_log(const cs_server_t *server, apr_pool_t *pool)
{
    const char *path = apr_pstrcat(pool, server->queue_dir, "/clickstream.log", NULL);
    struct stat info;
    int fd;

    if (lstat(path, &info) == 0 && info.st_size > LOG_MOST)
        rename(path, apr_pstrcat(pool, path, ".1", NULL));
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        cs_disk_share(fd, server->queue_group);
    return fd;
}

void cs_handover_send(const char *conf, const cs_server_t *server, apr_pool_t *pool)
{
    const char *program = find_program(conf, pool);
    const char *const arguments[] = {"clickstreamctl", "-f", conf, "send", "-t", PATIENCE, "-w", STAY, NULL};
    char *const *environment = environment_for(pool);
    int log;

    if (fork() != 0)
        return; /* where it failed, the next request or cron delivers */
    setsid();
    signal(SIGTERM, SIG_DFL); /* what is ignored stays so in the next program */
    signal(SIGPIPE, SIG_DFL);
    if (chdir("/") != 0) /* or a folder that it has no use for could not be removed */
        _exit(1);
    if ((log = open_log(server, pool)) >= 0)
        dup2(log, STDERR_FILENO);
    execve(program, (char *const *)(apr_uintptr_t)arguments, environment);
    dprintf(STDERR_FILENO, "clickstream.cgi: %s cannot be run: put it beside %s\n", program, conf);
    _exit(1);
}
