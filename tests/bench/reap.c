/* Preloaded into an httpd, this has mod_cgid's daemon wait for its programs. By itself it lets the kernel forget them
 * as they end, and with them the time that they took. SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

#define EXPORTED __attribute__((visibility("default")))

static void reap(int number)
{
    int saved = errno;

    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

EXPORTED int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    int (*original)(int, const struct sigaction *, struct sigaction *);
    struct sigaction mine;

    *(void **)&original = dlsym(RTLD_NEXT, "sigaction");
    if (number != SIGCHLD || !action || action->sa_handler != SIG_IGN)
        return original(number, action, old);
    mine = *action;
    mine.sa_handler = reap;
    mine.sa_flags |= SA_RESTART | SA_NOCLDSTOP;
    return original(number, &mine, old);
}
