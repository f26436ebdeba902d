/* AWS credentials: where they come from, and when they are looked at again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/credentials.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define MINUTE apr_time_from_sec(60)
/* Parts of everything here that is secret: no message may have them. */
#define SECRET_PART "hush"

/* Each test is a process of its own; this is for whoever runs them in one. */
static void clear_environment(void)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",       "AWS_SESSION_TOKEN",
                                        "AWS_PROFILE",       "AWS_SHARED_CREDENTIALS_FILE", "HOME"};

    for (int i = 0; i < ELEMENTS(names); i++)
        unsetenv(names[i]);
}

static const char *write_file(const char *path, const char *text)
{
    apr_file_t *file;

    ck_assert_int_eq(apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_TRUNCATE,
                                   APR_FPROT_UREAD | APR_FPROT_UWRITE, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(apr_file_write_full(file, text, strlen(text), NULL), APR_SUCCESS);
    ck_assert_int_eq(apr_file_close(file), APR_SUCCESS);
    return path;
}

static const char *new_file(const char *text)
{
    return write_file(apr_pstrcat(pool, test_folder(), "/credentials", NULL), text);
}

/* "ACCESS SECRET TOKEN", or why there are none. */
static const char *get(cs_credentials_source_t *source)
{
    const char *why;
    const cs_credentials_t *found = cs_credentials_get(source, &why);

    ck_assert_int_eq(found == NULL, why != NULL);
    if (!found) {
        ck_assert_msg(!strstr(why, SECRET_PART), "%s", why);
        return why;
    }
    return apr_pstrcat(pool, found->access_key, " ", found->secret_key, " ",
                       found->session_token ? found->session_token : "-", NULL);
}

/* --- what a file says --- */

#define KEYS(name) "aws_access_key_id = " name "\naws_secret_access_key = hush-" name "\n"
#define IN_FOLDER(section) " has no aws_access_key_id and aws_secret_access_key in section [" section "]"

static const struct {
    const char *profile, *text;
    const char *found; /* in what get() says */
} files[] = {
    {NULL, "[default]\n" KEYS("A"), "A hush-A -"},
    {NULL, "[default]\n" KEYS("A") "aws_session_token = hush-T==\n", "A hush-A hush-T=="},
    {NULL, "[default]\naws_access_key_id=A\naws_secret_access_key=hush/+=x", "A hush/+=x -"},
    {NULL, "\n  [ default ]  \r\n\tAWS_ACCESS_KEY_ID =\t A  \r\n aws_secret_access_key   =hush \r\n", "A hush -"},
    {NULL, "# [default]\n; x\n[default] # mine\n#aws_access_key_id = B\n" KEYS("A") ";aws_session_token = hush\n",
     "A hush-A -"},
    {NULL, "[default]\nregion = eu-central-1\n" KEYS("A") "output\n=\n", "A hush-A -"},
    {NULL, "[other]\n" KEYS("O") "[default]\n" KEYS("A") "[last]\n" KEYS("L"), "A hush-A -"},
    {"other", "[default]\n" KEYS("A") "[other]\n" KEYS("O") "[last]\n" KEYS("L"), "O hush-O -"},
    {"two words", "[two words]\n" KEYS("W"), "W hush-W -"},
    {"x", "[profile x]\n" KEYS("P"), IN_FOLDER("x")},
    {"x", "[profile x]\n" KEYS("P") "[x]\n" KEYS("X"), "X hush-X -"},
    {"Default", "[default]\n" KEYS("A"), IN_FOLDER("Default")},
    {"x", "[xy]\n" KEYS("A") "[ax]\n" KEYS("A"), IN_FOLDER("x")},
    {NULL, "", IN_FOLDER("default")},
    {NULL, KEYS("A"), IN_FOLDER("default")},
    {NULL, "[default]\naws_access_key_id = A\n", IN_FOLDER("default")},
    {NULL, "[default]\naws_secret_access_key = hush\n", IN_FOLDER("default")},
    {NULL, "[default]\naws_access_key_id =\naws_secret_access_key = hush\n", IN_FOLDER("default")},
    {NULL, "[default]\naws_access_key_id = A\naws_secret_access_key = \n", IN_FOLDER("default")},
    {NULL, "[default]\n" KEYS("A") "aws_session_token =\n", "A hush-A -"},
    {NULL, "[default]\naws_access_key_id A\naws_secret_access_key: hush\n", IN_FOLDER("default")},
};

START_TEST(reads_file)
{
    const char *path = new_file(files[_i].text), *said;

    clear_environment();
    said = get(cs_credentials_source(files[_i].profile, path, pool));
    if (files[_i].found[0] == ' ')
        ck_assert_str_eq(said, apr_pstrcat(pool, "no credentials: ", path, files[_i].found, NULL));
    else
        ck_assert_str_eq(said, files[_i].found);
}
END_TEST

/* A session token has some 2,000 characters; much longer lines are none of ours, and no end of the file. */
START_TEST(reads_long_lines)
{
    char token[4001], rubbish[20001];

    clear_environment();
    memset(token, 't', sizeof(token) - 1);
    memset(rubbish, 'r', sizeof(rubbish) - 1);
    token[sizeof(token) - 1] = rubbish[sizeof(rubbish) - 1] = '\0';
    ck_assert_str_eq(
        get(cs_credentials_source(
            NULL,
            new_file(apr_pstrcat(pool, "# ", rubbish, "\n[default]\n" KEYS("A") "aws_session_token = ", token, NULL)),
            pool)),
        apr_pstrcat(pool, "A hush-A ", token, NULL));
}
END_TEST

/* --- which place counts --- */

/* The environment has the keys E, ~/.aws/credentials has H, AWS_SHARED_CREDENTIALS_FILE has S, and credentials=
 * has C; each file has them in [default], and with a 2 behind in [second]. */
#define PLACE(name) "[default]\n" KEYS(name) "[second]\n" KEYS(name "2")
enum { KEYS_SET = 1, ONLY_ID = 2, TOKEN_SET = 4, HOME_SET = 8, SHARED_SET = 16, PROFILE_SET = 32 };

static const struct {
    int environment;
    int file;            /* whether credentials= is given */
    const char *profile; /* and profile= */
    const char *found;
} places[] = {
    {KEYS_SET, 0, NULL, "E hush-E -"},
    {KEYS_SET | TOKEN_SET, 0, NULL, "E hush-E hush-T"},
    {KEYS_SET | HOME_SET | SHARED_SET | PROFILE_SET, 0, NULL, "E hush-E -"},
    {KEYS_SET | HOME_SET, 0, "second", "H2 hush-H2 -"},
    {KEYS_SET | TOKEN_SET, 1, NULL, "C hush-C -"},
    {KEYS_SET | HOME_SET | SHARED_SET, 1, "second", "C2 hush-C2 -"},
    {ONLY_ID | HOME_SET, 0, NULL, "H hush-H -"},
    {HOME_SET, 0, NULL, "H hush-H -"},
    {HOME_SET | PROFILE_SET, 0, NULL, "H2 hush-H2 -"},
    {HOME_SET | PROFILE_SET, 0, "default", "H hush-H -"},
    {HOME_SET | SHARED_SET, 0, NULL, "S hush-S -"},
    {HOME_SET | SHARED_SET, 1, NULL, "C hush-C -"},
    {PROFILE_SET, 1, NULL, "C2 hush-C2 -"},
    {0, 0, NULL, "no AWS_ACCESS_KEY_ID in the environment, and no HOME"},
    {ONLY_ID, 0, NULL, "no HOME"},
};

static void set_environment(int environment)
{
    const char *home = test_folder();

    clear_environment();
    if (environment & (KEYS_SET | ONLY_ID))
        setenv("AWS_ACCESS_KEY_ID", "E", 1);
    if (environment & ONLY_ID)
        setenv("AWS_SECRET_ACCESS_KEY", "", 1); /* set to nothing is not set */
    if (environment & KEYS_SET)
        setenv("AWS_SECRET_ACCESS_KEY", "hush-E", 1);
    if (environment & TOKEN_SET)
        setenv("AWS_SESSION_TOKEN", "hush-T", 1);
    if (environment & PROFILE_SET)
        setenv("AWS_PROFILE", "second", 1);
    if (environment & SHARED_SET)
        setenv("AWS_SHARED_CREDENTIALS_FILE", new_file(PLACE("S")), 1);
    if (environment & HOME_SET) {
        const char *folder = apr_pstrcat(pool, home, "/.aws", NULL);
        ck_assert_int_eq(apr_dir_make(folder, APR_FPROT_OS_DEFAULT, pool), APR_SUCCESS);
        write_file(apr_pstrcat(pool, folder, "/credentials", NULL), PLACE("H"));
        setenv("HOME", home, 1);
    }
}

START_TEST(looks_in_order)
{
    const char *file = places[_i].file ? new_file(PLACE("C")) : NULL, *said;

    set_environment(places[_i].environment);
    said = get(cs_credentials_source(places[_i].profile, file, pool));
    ck_assert_msg(strstr(said, places[_i].found) != NULL, "%s", said);
    clear_environment();
}
END_TEST

START_TEST(names_a_missing_file)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/none", NULL), *said;

    clear_environment();
    said = get(cs_credentials_source(NULL, path, pool));
    ck_assert_msg(strstr(said, path) && strstr(said, "write credentials=FILE"), "%s", said);
}
END_TEST

/* --- later --- */

START_TEST(sees_a_file_that_appears)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/later", NULL);
    cs_credentials_source_t *source;

    clear_environment();
    source = cs_credentials_source(NULL, path, pool);
    ck_assert_ptr_nonnull(strstr(get(source), "no credentials"));
    write_file(path, "[default]\n");
    ck_assert_ptr_nonnull(strstr(get(source), IN_FOLDER("default")));
    write_file(path, "[default]\n" KEYS("A"));
    ck_assert_str_eq(get(source), "A hush-A -");
    ck_assert_int_eq(apr_file_remove(path, pool), APR_SUCCESS);
    ck_assert_ptr_nonnull(strstr(get(source), "no credentials"));
}
END_TEST

START_TEST(sees_a_file_that_is_replaced)
{
    const char *path = new_file("[default]\n" KEYS("A"));
    cs_credentials_source_t *source;

    clear_environment();
    source = cs_credentials_source(NULL, path, pool);
    ck_assert_str_eq(get(source), "A hush-A -");
    write_file(path, "[default]\n" KEYS("LONGER"));
    ck_assert_str_eq(get(source), "LONGER hush-LONGER -");
    /* of the same size: its time tells */
    write_file(path, "[default]\n" KEYS("ANOTHR"));
    ck_assert_int_eq(apr_file_mtime_set(path, apr_time_now() - apr_time_from_sec(1000), pool), APR_SUCCESS);
    ck_assert_str_eq(get(source), "ANOTHR hush-ANOTHR -");
}
END_TEST

/* Puts other keys of the same length into the file, and gives it the same time. */
static void replace_unseen(const char *path, const char *text)
{
    apr_finfo_t info;

    ck_assert_int_eq(apr_stat(&info, path, APR_FINFO_MTIME, pool), APR_SUCCESS);
    write_file(path, text);
    ck_assert_int_eq(apr_file_mtime_set(path, info.mtime, pool), APR_SUCCESS);
}

START_TEST(refused_ones_are_read_again_once_a_minute)
{
    const char *path = new_file("[default]\n" KEYS("A"));
    apr_time_t now = 5000;
    cs_credentials_source_t *source;

    clear_environment();
    source = cs_credentials_source(NULL, path, pool);
    ck_assert_str_eq(get(source), "A hush-A -");
    replace_unseen(path, "[default]\n" KEYS("B"));
    ck_assert_str_eq(get(source), "A hush-A -");
    cs_credentials_refused(source, now);
    ck_assert_str_eq(get(source), "B hush-B -");

    replace_unseen(path, "[default]\n" KEYS("C"));
    cs_credentials_refused(source, now + MINUTE - 1);
    ck_assert_str_eq(get(source), "B hush-B -");
    cs_credentials_refused(source, now + MINUTE);
    ck_assert_str_eq(get(source), "C hush-C -");

    replace_unseen(path, "[default]\n" KEYS("D"));
    cs_credentials_refused(source, now + 2 * MINUTE - 1);
    ck_assert_str_eq(get(source), "C hush-C -");
}
END_TEST

Suite *credentials_suite(void)
{
    Suite *suite = suite_create("credentials");
    TCase *tests = test_case("credentials");

    tcase_add_loop_test(tests, reads_file, 0, ELEMENTS(files));
    tcase_add_test(tests, reads_long_lines);
    tcase_add_loop_test(tests, looks_in_order, 0, ELEMENTS(places));
    tcase_add_test(tests, names_a_missing_file);
    tcase_add_test(tests, sees_a_file_that_appears);
    tcase_add_test(tests, sees_a_file_that_is_replaced);
    tcase_add_test(tests, refused_ones_are_read_again_once_a_minute);
    suite_add_tcase(suite, tests);
    return suite;
}
