/* Runs all suites: tests/unit/unit. One suite: CK_RUN_SUITE=queue tests/unit/unit.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

apr_pool_t *pool;

static char logged[16384];

static void keep(void *to, cs_log_level_t level, apr_status_t status, const char *line)
{
    size_t used = strlen(logged);

    (void)to;
    (void)level;
    (void)status;
    snprintf(logged + used, sizeof(logged) - used, "%s\n", line);
}

static const cs_log_t keeping = {.write = keep, .level = CS_LOG_DEBUG};
const cs_log_t *test_log = &keeping;

const char *test_logged(void)
{
    return logged;
}

static apr_status_t remove_folder(void *path)
{
    char command[APR_PATH_MAX + 10];

    apr_snprintf(command, sizeof(command), "rm -rf '%s'", (const char *)path);
    return system(command) == 0 ? APR_SUCCESS : APR_EGENERAL;
}

const char *test_folder(void)
{
    const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char *path = apr_pstrcat(pool, parent, "/clickstream-unit-XXXXXX", NULL);

    ck_assert_ptr_nonnull(mkdtemp(path));
    apr_pool_cleanup_register(pool, path, remove_folder, apr_pool_cleanup_null);
    return path;
}

const char *test_read(const char *path)
{
    apr_file_t *file;
    apr_finfo_t info;
    char *text;

    ck_assert_int_eq(apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool), APR_SUCCESS);
    ck_assert_int_eq(apr_file_info_get(&info, APR_FINFO_SIZE, file), APR_SUCCESS);
    text = apr_pcalloc(pool, (apr_size_t)info.size + 1);
    if (info.size)
        ck_assert_int_eq(apr_file_read_full(file, text, (apr_size_t)info.size, NULL), APR_SUCCESS);
    apr_file_close(file);
    return text;
}

static void set_up(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    logged[0] = '\0';
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

TCase *test_case(const char *name)
{
    TCase *made = tcase_create(name);

    tcase_add_checked_fixture(made, set_up, tear_down);
    return made;
}

int main(void)
{
    SRunner *runner = srunner_create(NULL);
    int failed;

#define ADD_SUITE(name) srunner_add_suite(runner, name##_suite());
    SUITES(ADD_SUITE)
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
