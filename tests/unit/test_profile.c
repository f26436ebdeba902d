/* The two shared files: what a profile says in them, and when they have changed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/profile.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static cs_search_t search;
static const cs_halt_t no_halt;
static cs_stream_t stream;

static void forget_environment(void)
{
    static const char *const names[] = {"AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "HOME"};

    for (int i = 0; i < ELEMENTS(names); i++)
        unsetenv(names[i]);
    search = (cs_search_t){.stream = &stream, .halt = &no_halt, .pool = pool};
    memset(&stream, 0, sizeof(stream));
}

static void write_file(const char *path, const char *text)
{
    apr_file_t *file;

    ck_assert_int_eq(
        apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_TRUNCATE, APR_FPROT_OS_DEFAULT, pool),
        APR_SUCCESS);
    ck_assert_int_eq(apr_file_write_full(file, text, strlen(text), NULL), APR_SUCCESS);
    ck_assert_int_eq(apr_file_close(file), APR_SUCCESS);
}

static int add_setting(void *text, const char *key, const char *value)
{
    *(const char **)text = apr_pstrcat(pool, *(const char **)text, key, "=", value, "|", NULL);
    return 1;
}

/* "key=value|key=value|", in the order of the files; NULL: no such profile. */
static const char *read_profile(cs_profiles_t *profiles, const char *name)
{
    const char *text = "";
    apr_table_t *profile;

    if (cs_profile_read(&profile, profiles, name, &search) != CS_FOUND)
        return NULL;
    apr_table_do(add_setting, &text, profile, NULL);
    return text;
}

static const struct {
    const char *name, *credentials, *config;
    const char *found;
} files[] = {
    {"default", "[default]\na = 1\n", NULL, "a=1|"},
    {"default", "[default]\na=1", NULL, "a=1|"},
    {"default", "\n  [ default ]  \r\n\tA =\t 1  \r\n b   =x y \r\n", NULL, "A=1|b=x y|"},
    {"default", "# [default]\n; x\n[default] # mine\n#a = 2\na = 1\n;b = 3\n  # c = 4\n", NULL, "a=1|"},
    {"default", "[default]\na = 1\nb\n= 2\nc: 3\n", NULL, "a=1|=2|"},
    {"default", "[default]\na = b = c\n", NULL, "a=b = c|"},
    {"default", "[default]\na = 1\nA = 2\n", NULL, "a=2|"},
    {"default", "[default]\na = 1\na =\n", NULL, ""},
    {"default", "[other]\na = 0\n[default]\na = 1\n[last]\na = 2\n", NULL, "a=1|"},
    {"default", "[default]\na = 1\n[other]\na = 2\n[default]\nb = 3\n", NULL, "a=1|b=3|"},
    {"two words", "[two words]\na = 1\n", NULL, "a=1|"},
    {"x", "[profile x]\na = 1\n", NULL, NULL},
    {"x", "[xy]\na = 1\n[ax]\na = 1\n", NULL, NULL},
    {"Default", "[default]\na = 1\n", NULL, NULL},
    {"default", "", NULL, NULL},
    {"default", "a = 1\n", NULL, NULL},
    {"default", "[default", NULL, ""},
    {"default", NULL, NULL, NULL},
    /* the config file has "profile" before all names but default */
    {"x", NULL, "[profile x]\na = 1\n", "a=1|"},
    {"x", NULL, "[profile\t x ]\na = 1\n", "a=1|"},
    {"two words", NULL, "[profile \"two words\"]\na = 1\n", "a=1|"},
    {"x", NULL, "[profile 'x']\na = 1\n", "a=1|"},
    {"x", NULL, "[x]\na = 1\n[sso-session x]\na = 1\n[services x]\na = 1\n[profilex]\na = 1\n", NULL},
    {"default", NULL, "[default]\na = 1\n", "a=1|"},
    {"default", NULL, "[profile default]\na = 1\n", "a=1|"},
    /* nested settings are no settings of the profile */
    {"default", NULL, "[default]\ns3 =\n  max = 1\n  a = 2\na = 1\n", "a=1|"},
    {"default", NULL, "[default]\na = 1\ns3=\n\n\tmax = 1\n[profile x]\nb = 2", "a=1|"},
    {"default", NULL, "[default]\na = 1\n  b = 2\n", "a=1|b=2|"},
    /* where both name it, the credentials file's counts */
    {"x", "[x]\na = 1\nb = 2\n", "[profile x]\nb = 3\nc = 4\n", "b=2|c=4|a=1|"},
    {"x", "[y]\na = 1\n", "[profile x]\nb = 3\n", "b=3|"},
    {"x", "[x]\na = 1\n", "[profile y]\nb = 3\n", "a=1|"},
};

START_TEST(reads_profile)
{
    const char *folder = test_folder();
    cs_profiles_t profiles;

    forget_environment();
    setenv("AWS_SHARED_CREDENTIALS_FILE", apr_pstrcat(pool, folder, "/credentials", NULL), 1);
    setenv("AWS_CONFIG_FILE", apr_pstrcat(pool, folder, "/config", NULL), 1);
    if (files[_i].credentials)
        write_file(getenv("AWS_SHARED_CREDENTIALS_FILE"), files[_i].credentials);
    if (files[_i].config)
        write_file(getenv("AWS_CONFIG_FILE"), files[_i].config);
    cs_profiles_init(&profiles, &stream, pool);
    ck_assert_pstr_eq(read_profile(&profiles, files[_i].name), files[_i].found);
    ck_assert_ptr_null(search.why);
}
END_TEST

/* Much longer lines than any of ours are no end of the file, and what stands at their end is no setting. */
START_TEST(reads_long_lines)
{
    char *token = apr_pcalloc(pool, 4001), *rubbish = apr_pcalloc(pool, 20001);
    cs_profiles_t profiles;

    forget_environment();
    memset(token, 't', 4000);
    memset(rubbish, 'r', 20000);
    stream.credentials =
        test_file(apr_pstrcat(pool, "# ", rubbish, " a = 2\n[default]\nb = ", token, "\nc = 1\n", NULL));
    cs_profiles_init(&profiles, &stream, pool);
    ck_assert_str_eq(read_profile(&profiles, "default"), apr_pstrcat(pool, "b=", token, "|c=1|", NULL));
}
END_TEST

START_TEST(refuses_what_is_too_large)
{
    char *text = apr_palloc(pool, (2 << 20) + 1);
    cs_profiles_t profiles;

    forget_environment();
    memset(text, '\n', 2 << 20);
    text[2 << 20] = '\0';
    stream.credentials = test_file(text);
    cs_profiles_init(&profiles, &stream, pool);
    ck_assert_ptr_null(read_profile(&profiles, "default"));
    ck_assert_msg(search.why && strstr(search.why, stream.credentials), "%s", search.why);
}
END_TEST

/* Which files and which profile: the stream's, AWS_PROFILE's, the home's. */
static const struct {
    const char *file, *profile;                    /* of the stream */
    const char *shared, *config, *variable, *home; /* of the environment */
    const char *title;
    int asked_for;
} places[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, "no HOME to look for .aws/credentials in", 0},
    {NULL, NULL, NULL, NULL, NULL, "/h", "section [default] of /h/.aws/credentials and /h/.aws/config", 0},
    {NULL, NULL, NULL, NULL, "v", "/h", "section [v] of /h/.aws/credentials and /h/.aws/config", 1},
    {NULL, "p", NULL, NULL, "v", "/h", "section [p] of /h/.aws/credentials and /h/.aws/config", 1},
    {NULL, NULL, "/s", NULL, NULL, "/h", "section [default] of /s and /h/.aws/config", 0},
    {NULL, NULL, "/s", "/c", NULL, "/h", "section [default] of /s and /c", 0},
    {"/f", NULL, "/s", "/c", "v", "/h", "section [v] of /f and /c", 1},
    {"/f", NULL, NULL, NULL, NULL, NULL, "section [default] of /f", 0},
    {NULL, NULL, NULL, "/c", NULL, NULL, "section [default] of /c", 0},
    {NULL, NULL, "", "", "", "", "no HOME to look for .aws/credentials in", 0},
};

static void set(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
}

START_TEST(finds_files)
{
    cs_profiles_t profiles;

    forget_environment();
    stream.credentials = places[_i].file;
    stream.profile = places[_i].profile;
    set("AWS_SHARED_CREDENTIALS_FILE", places[_i].shared);
    set("AWS_CONFIG_FILE", places[_i].config);
    set("AWS_PROFILE", places[_i].variable);
    set("HOME", places[_i].home);
    cs_profiles_init(&profiles, &stream, pool);
    ck_assert_str_eq(cs_profile_title(&profiles, profiles.name, pool), places[_i].title);
    ck_assert_int_eq(profiles.is_asked_for, places[_i].asked_for);
    ck_assert_int_eq(profiles.credentials.is_needed, places[_i].file != NULL);
    forget_environment();
}
END_TEST

/* --- what cannot be read --- */

START_TEST(names_a_file_that_is_missing)
{
    cs_profiles_t profiles;
    apr_table_t *profile;

    forget_environment();
    stream.credentials = apr_pstrcat(pool, test_folder(), "/none", NULL);
    cs_profiles_init(&profiles, &stream, pool);
    ck_assert_int_eq(cs_profile_read(&profile, &profiles, "default", &search), CS_FAILED);
    ck_assert_msg(strstr(search.why, stream.credentials) != NULL, "%s", search.why);
    ck_assert_msg(strstr(search.advice, "write credentials=FILE") != NULL, "%s", search.advice);
}
END_TEST

/* A folder is no file: somebody's HOME may hold anything. */
START_TEST(names_a_file_that_is_none)
{
    cs_profiles_t profiles;
    apr_table_t *profile;

    forget_environment();
    setenv("AWS_CONFIG_FILE", test_folder(), 1);
    cs_profiles_init(&profiles, &stream, pool);
    ck_assert_int_eq(cs_profile_read(&profile, &profiles, "default", &search), CS_FAILED);
    ck_assert_msg(strstr(search.why, "Is a directory") != NULL, "%s", search.why);
    forget_environment();
}
END_TEST

/* --- later --- */

START_TEST(sees_changes)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/later", NULL);
    const char *other = apr_pstrcat(pool, path, ".new", NULL);
    cs_profiles_t profiles;

    forget_environment();
    setenv("AWS_CONFIG_FILE", path, 1);
    cs_profiles_init(&profiles, &stream, pool);
    ck_assert_ptr_null(read_profile(&profiles, "default"));
    ck_assert_int_eq(cs_profiles_changed(&profiles, pool), 0);
    write_file(path, "[default]\na = 1\n");
    ck_assert_int_eq(cs_profiles_changed(&profiles, pool), 1);
    ck_assert_str_eq(read_profile(&profiles, "default"), "a=1|");
    ck_assert_int_eq(cs_profiles_changed(&profiles, pool), 0);
    /* of the same size: its time tells */
    ck_assert_int_eq(apr_file_mtime_set(path, apr_time_now() - apr_time_from_sec(1000), pool), APR_SUCCESS);
    ck_assert_int_eq(cs_profiles_changed(&profiles, pool), 1);
    ck_assert_str_eq(read_profile(&profiles, "default"), "a=1|");
    /* of the same size and time: the inode tells */
    write_file(other, "[default]\na = 2\n");
    ck_assert_int_eq(apr_file_mtime_set(other, profiles.config.time, pool), APR_SUCCESS);
    ck_assert_int_eq(apr_file_rename(other, path, pool), APR_SUCCESS);
    ck_assert_int_eq(cs_profiles_changed(&profiles, pool), 1);
    ck_assert_str_eq(read_profile(&profiles, "default"), "a=2|");
    ck_assert_int_eq(apr_file_remove(path, pool), APR_SUCCESS);
    ck_assert_int_eq(cs_profiles_changed(&profiles, pool), 1);
    forget_environment();
}
END_TEST

Suite *profile_suite(void)
{
    Suite *suite = suite_create("profile");
    TCase *tests = test_case("profile");

    tcase_add_loop_test(tests, reads_profile, 0, ELEMENTS(files));
    tcase_add_test(tests, reads_long_lines);
    tcase_add_test(tests, refuses_what_is_too_large);
    tcase_add_loop_test(tests, finds_files, 0, ELEMENTS(places));
    tcase_add_test(tests, names_a_file_that_is_missing);
    tcase_add_test(tests, names_a_file_that_is_none);
    tcase_add_test(tests, sees_changes);
    suite_add_tcase(suite, tests);
    return suite;
}
