/* Runs a program for its output.
 *
 * By posix_spawn() rather than apr_proc_create(): in a server with threads the latter's child would run the cleanups of
 * all pools, those that other threads were changing included; and it would inherit the signal mask of our thread,
 * which blocks all.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/process.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deliver/secret.h"

extern char **environ;

/* How long what was killed may take to end. */
#define KILL_PATIENCE apr_time_from_sec(1)

static const char not_ended[] = "it has not ended in time";

/* In a process group of its own, so that what it began can be killed with it. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    int error;

    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    if (!(error = posix_spawnattr_setsigmask(attributes, &none)) &&
        !(error = posix_spawnattr_setsigdefault(attributes, &all)) &&
        !(error = posix_spawnattr_setpgroup(attributes, 0)))
        error = posix_spawnattr_setflags(attributes,
                                         POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return error;
}

static int spawn(pid_t *pid, char *const *arguments, int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error;

    if ((error = posix_spawn_file_actions_init(&actions)))
        return error;
    if ((error = posix_spawnattr_init(&attributes)))
        goto leave;
    if (!(error = set_attributes(&attributes)) &&
        !(error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)) &&
        !(error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)) &&
        !(error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)))
        error = posix_spawnp(pid, arguments[0], &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
leave:
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Until the end of the output. */
static const char *read_all(char *buffer, apr_size_t *length, int input, apr_time_t until, const cs_halt_t *halt)
{
    struct pollfd ready = {.fd = input, .events = POLLIN};

    while (cs_monotonic() < until && !cs_halted(halt)) {
        ssize_t count;
        if (poll(&ready, 1, (int)apr_time_as_msec(CS_HALT_NOTICE)) <= 0)
            continue;
        count = read(input, buffer + *length, CS_PROCESS_OUTPUT_MOST - *length);
        if (count == 0)
            return NULL;
        if (count < 0 && errno != EINTR)
            return "its output cannot be read";
        if (count > 0 && (*length += (apr_size_t)count) == CS_PROCESS_OUTPUT_MOST)
            return "it says too much";
    }
    return not_ended;
}

/* It has closed its output, but may go on. Where it has ended, `*pid` becomes 0. */
static const char *wait_for(pid_t *pid, apr_time_t until, const cs_halt_t *halt)
{
    int status = 0;
    pid_t ended;

    while ((ended = waitpid(*pid, &status, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) {
        if (cs_monotonic() >= until || cs_halted(halt))
            return not_ended;
        apr_sleep(apr_time_from_msec(5));
    }
    *pid = 0;
    /* -1: whoever loaded us has its children reaped by the system, and nobody knows how it ended */
    return ended < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0) ? NULL : "it failed";
}

/* One that has become another user's, as under sudo, cannot be killed, and one that hangs in a disk does not end: such
 * a one is left behind. */
static void kill_all(pid_t pid)
{
    apr_time_t until = cs_monotonic() + KILL_PATIENCE;
    pid_t ended;

    kill(-pid, SIGKILL);
    kill(pid, SIGKILL); /* it may have left its group */
    while (((ended = waitpid(pid, NULL, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) && cs_monotonic() < until)
        apr_sleep(apr_time_from_msec(5));
}

apr_status_t cs_process_run(cs_span_t *output, const char **why, const char *command, apr_interval_time_t timeout,
                            const cs_halt_t *halt, apr_pool_t *pool)
{
    apr_time_t until = cs_monotonic() + timeout;
    char *buffer, **arguments, reason[120];
    apr_size_t length = 0;
    int pipes[2], error;
    pid_t pid;

    if (apr_tokenize_to_argv(command, &arguments, pool) != APR_SUCCESS || !arguments[0]) {
        *why = "there is no program in it";
        return APR_EINVAL;
    }
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        *why = "there is no pipe for it";
        return errno;
    }
    error = spawn(&pid, arguments, pipes[1]);
    close(pipes[1]);
    if (error) {
        close(pipes[0]);
        *why = apr_psprintf(pool, "it cannot be run: %s", apr_strerror(error, reason, sizeof(reason)));
        return error;
    }
    buffer = apr_palloc(pool, CS_PROCESS_OUTPUT_MOST);
    *why = read_all(buffer, &length, pipes[0], until, halt);
    close(pipes[0]);
    if (!*why)
        *why = wait_for(&pid, until, halt);
    if (*why == not_ended)
        *why = apr_psprintf(pool, "it had not ended in time, and was killed after %" APR_TIME_T_FMT " s",
                            apr_time_sec(timeout));
    if (*why && pid)
        kill_all(pid);
    else if (!*why)
        *output = (cs_span_t){cs_secret_keep(buffer, length, pool), length};
    OPENSSL_cleanse(buffer, length);
    return *why ? APR_EGENERAL : APR_SUCCESS;
}
