/* Runs all suites: tests/unit/unit. One suite: CK_RUN_SUITE=queue tests/unit/unit.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_encode.h>
#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

apr_pool_t *pool;

static char logged[16384];
static pthread_mutex_t logging = PTHREAD_MUTEX_INITIALIZER;

static void keep(void *to, cs_log_level_t level, apr_status_t status, const char *line)
{
    size_t used;

    (void)to;
    (void)level;
    (void)status;
    pthread_mutex_lock(&logging);
    used = strlen(logged);
    snprintf(logged + used, sizeof(logged) - used, "%s\n", line);
    pthread_mutex_unlock(&logging);
}

static const cs_log_t keeping = {.write = keep, .level = CS_LOG_DEBUG};
const cs_log_t *test_log = &keeping;

const char *test_logged(void)
{
    static char copy[sizeof(logged)];

    pthread_mutex_lock(&logging);
    memcpy(copy, logged, sizeof(copy));
    pthread_mutex_unlock(&logging);
    return copy;
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

const char *test_file(const char *text)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/file", NULL);
    apr_file_t *file;

    ck_assert_int_eq(apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE, APR_FPROT_OS_DEFAULT, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(apr_file_write_full(file, text, strlen(text), NULL), APR_SUCCESS);
    ck_assert_int_eq(apr_file_close(file), APR_SUCCESS);
    return path;
}

const char *test_line(const cs_setting_t *table, void *settings, const char *line)
{
    char **argv;
    int argc = 0;

    ck_assert_int_eq(apr_tokenize_to_argv(line, &argv, pool), APR_SUCCESS);
    while (argv[argc])
        argc++;
    return cs_settings_read(table, settings, argv[0], argc - 1, (const char *const *)argv + 1, pool);
}

const cs_location_t *test_location(const char *const *lines)
{
    cs_location_t *location = apr_palloc(pool, sizeof(*location));

    cs_settings_unset(cs_location_settings, location);
    for (; *lines; lines++) {
        const char *error = test_line(cs_location_settings, location, *lines);
        ck_assert_msg(!error, "%s", error);
    }
    cs_settings_defaults(cs_location_settings, location, pool);
    return location;
}

cs_location_t *test_new_location(void)
{
    cs_location_t *location = apr_palloc(pool, sizeof(*location));

    cs_settings_unset(cs_location_settings, location);
    return location;
}

void test_read_location(cs_location_t *location, const char *line)
{
    const char *error = test_line(cs_location_settings, location, line);

    ck_assert_msg(!error, "%s", error);
}

void test_sentence(const char *error, const char *line, const char *value, const char *advice)
{
    const char *name = apr_pstrmemdup(pool, line, strcspn(line, " "));

    ck_assert_msg(error != NULL, "%s: not refused", line);
    ck_assert_msg(strncmp(error, name, strlen(name)) == 0, "%s: does not begin with %s", error, name);
    ck_assert_msg(strstr(error, value) != NULL, "%s: has no %s", error, value);
    ck_assert_msg(strstr(error, advice) != NULL, "%s: has no %s", error, advice);
}

static const char *base64url(const void *bytes, size_t length)
{
    return apr_pencode_base64_binary(pool, bytes, (apr_ssize_t)length, APR_ENCODE_BASE64URL, NULL);
}

const char *test_token(const char *issuer, const char *secret)
{
    static const char header[] = "{\"alg\":\"HS256\"}";
    const char *payload = apr_psprintf(pool, "{\"iss\":\"%s\"}", issuer);
    const char *text =
        apr_pstrcat(pool, base64url(header, sizeof(header) - 1), ".", base64url(payload, strlen(payload)), NULL);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length;

    ck_assert_ptr_nonnull(
        HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text, strlen(text), digest, &length));
    return apr_pstrcat(pool, text, ".", base64url(digest, length), NULL);
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
