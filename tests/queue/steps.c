/* Runs the suites of the queue's steps: tests/queue/steps.
 * SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

apr_pool_t *pool;
void (*steps_at)(void);
int (*steps_sync)(void);
void (*steps_synced)(void);
char steps_calls[1024];

static void write_nowhere(void *to, cs_log_level_t level, apr_status_t status, const char *line)
{
    (void)to;
    (void)level;
    (void)status;
    (void)line;
}

const cs_log_t steps_log = {.write = write_nowhere, .level = CS_LOG_DEBUG};

/* --- in the place of the product's build and of the C library --- */

void queue_step(void);
void queue_step(void)
{
    if (steps_at)
        steps_at();
}

static void note(const char *call)
{
    size_t used = strlen(steps_calls);

    snprintf(steps_calls + used, sizeof(steps_calls) - used, "%s ", call);
}

int fdatasync(int fd)
{
    int error = steps_sync ? steps_sync() : 0;

    note("fdatasync");
    if (error) {
        errno = error;
        return -1;
    }
    if (!steps_sync && syscall(SYS_fdatasync, fd) != 0)
        return -1;
    if (steps_synced)
        steps_synced();
    return 0;
}

int fsync(int fd)
{
    note("fsync");
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    note("rename");
    return (int)syscall(SYS_renameat2, -100 /* the current folder */, from, -100, to, 0);
}

/* --- fixtures --- */

static apr_status_t remove_folder(void *path)
{
    char command[APR_PATH_MAX + 10];

    apr_snprintf(command, sizeof(command), "rm -rf '%s'", (const char *)path);
    return system(command) == 0 ? APR_SUCCESS : APR_EGENERAL;
}

/* In memory where there is such a place: thousands of files are made. */
const char *steps_folder(void)
{
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    char *path = apr_pstrcat(pool, parent, "/clickstream-steps-XXXXXX", NULL);

    ck_assert_ptr_nonnull(mkdtemp(path));
    apr_pool_cleanup_register(pool, path, remove_folder, apr_pool_cleanup_null);
    return path;
}

static void set_up(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    steps_at = NULL;
    apr_pool_destroy(pool);
    apr_terminate();
}

TCase *steps_case(const char *name)
{
    TCase *made = tcase_create(name);

    tcase_add_checked_fixture(made, set_up, tear_down);
    tcase_set_timeout(made, 120);
    return made;
}

int main(void)
{
    SRunner *runner = srunner_create(death_suite());
    int failed;

    srunner_add_suite(runner, power_suite());
    srunner_add_suite(runner, commit_suite());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
