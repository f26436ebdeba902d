/* Where credentials and the region are found, and what is said where they are not. STS and the two endpoints are away
 * here; the end-to-end tests have them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/chain.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
/* Parts of everything here that is secret: no message may have them. */
#define SECRET_PART "hush"
#define NOWHERE "http://127.0.0.1:1"

extern char **environ;

static cs_stream_t stream;
static cs_search_t search;
static cs_clock_t aws_clock;
static const cs_halt_t no_halt;

static apr_status_t end(void *unused)
{
    (void)unused;
    cs_http_destroy(search.http);
    cs_http_cleanup();
    return APR_SUCCESS;
}

/* A stream without options, and an environment in which AWS is not there, with HOME empty. */
static const char *begin(void)
{
    const char *home = test_folder();

    for (char **entry = environ; *entry;) {
        const char *name = apr_pstrmemdup(pool, *entry, strcspn(*entry, "="));
        if (strncmp(name, "AWS_", 4) == 0 && unsetenv(name) == 0)
            entry = environ;
        else
            entry++;
    }
    ck_assert_int_eq(apr_dir_make(apr_pstrcat(pool, home, "/.aws", NULL), APR_FPROT_OS_DEFAULT, pool), APR_SUCCESS);
    setenv("HOME", home, 1);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", NOWHERE, 1);
    setenv("AWS_ENDPOINT_URL_STS", NOWHERE "/", 1);
    memset(&stream, 0, sizeof(stream));
    stream.name = "clicks";
    aws_clock = (cs_clock_t){.log = test_log, .stream = "clicks"};
    search =
        (cs_search_t){.stream = &stream, .region = "eu-central-1", .halt = &no_halt, .clock = &aws_clock, .pool = pool};
    ck_assert_int_eq(cs_http_startup(), APR_SUCCESS);
    ck_assert_int_eq(cs_http_create(&search.http, pool), APR_SUCCESS);
    apr_pool_cleanup_register(pool, NULL, end, apr_pool_cleanup_null);
    return home;
}

static const char *write_file(const char *path, const char *text)
{
    apr_file_t *file;

    ck_assert_int_eq(
        apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_TRUNCATE, APR_FPROT_OS_DEFAULT, pool),
        APR_SUCCESS);
    ck_assert_int_eq(apr_file_write_full(file, text, strlen(text), NULL), APR_SUCCESS);
    ck_assert_int_eq(apr_file_close(file), APR_SUCCESS);
    return path;
}

/* "ACCESS SECRET TOKEN", or why there are none and what to do. */
static const char *find(void)
{
    cs_credentials_t found = {NULL};
    cs_chain_t chain;

    cs_chain_init(&chain, &stream, pool);
    if (cs_chain_credentials(&found, &chain, &search) == CS_FOUND)
        return apr_pstrcat(pool, found.access_key, " ", found.secret_key, " ",
                           found.session_token ? found.session_token : "-", NULL);
    ck_assert_ptr_nonnull(search.why);
    ck_assert_ptr_null(strstr(search.why, SECRET_PART));
    ck_assert_ptr_null(strstr(search.advice, SECRET_PART));
    return apr_pstrcat(pool, search.why, "; ", search.advice, NULL);
}

static void finds(const char *what)
{
    const char *said = find();

    ck_assert_msg(strstr(said, what) != NULL, "%s: not in: %s", what, said);
}

/* --- which place counts --- */

/* The environment has the keys E, ~/.aws/credentials has H, ~/.aws/config G, AWS_SHARED_CREDENTIALS_FILE S, and
 * credentials= C; each file has them in [default], and with a 2 behind in [second]. */
#define KEYS(name) "aws_access_key_id = " name "\naws_secret_access_key = hush-" name "\n"
#define PLACE(name) "[default]\n" KEYS(name) "[second]\n" KEYS(name "2")
enum {
    KEYS_SET = 1,
    ONLY_ID = 2,
    TOKEN_SET = 4,
    HOME_SET = 8,
    SHARED_SET = 16,
    PROFILE_SET = 32,
    CONFIG_SET = 64,
    WEB_SET = 128,
    CONTAINER_SET = 256,
    WITHOUT_HOME = 512,
};

static const struct {
    int environment;
    int file;            /* whether credentials= is given */
    const char *profile; /* and profile= */
    const char *found;
} places[] = {
    {KEYS_SET, 0, NULL, "E hush-E -"},
    {KEYS_SET | TOKEN_SET, 0, NULL, "E hush-E hush-T"},
    {KEYS_SET | HOME_SET | SHARED_SET | PROFILE_SET | WEB_SET | CONTAINER_SET, 0, NULL, "E hush-E -"},
    {KEYS_SET | HOME_SET, 0, "second", "H2 hush-H2 -"},
    {KEYS_SET | TOKEN_SET | WEB_SET, 1, NULL, "C hush-C -"},
    {KEYS_SET | HOME_SET | SHARED_SET, 1, "second", "C2 hush-C2 -"},
    {ONLY_ID | HOME_SET, 0, NULL, "H hush-H -"},
    {HOME_SET, 0, NULL, "H hush-H -"},
    {HOME_SET | PROFILE_SET, 0, NULL, "H2 hush-H2 -"},
    {HOME_SET | PROFILE_SET, 0, "default", "H hush-H -"},
    {HOME_SET | SHARED_SET, 0, NULL, "S hush-S -"},
    {HOME_SET | SHARED_SET, 1, NULL, "C hush-C -"},
    {PROFILE_SET, 1, NULL, "C2 hush-C2 -"},
    {CONFIG_SET, 0, NULL, "G hush-G -"},
    {CONFIG_SET | PROFILE_SET, 0, NULL, "G2 hush-G2 -"},
    {CONFIG_SET | HOME_SET, 0, NULL, "H hush-H -"},
    {HOME_SET | CONTAINER_SET, 0, NULL, "H hush-H -"},
    {HOME_SET | WEB_SET, 0, NULL, "the web identity token /none: No such file"},
    {CONTAINER_SET, 0, NULL, "the container's credentials: Failed to connect to 127.0.0.1"},
    {0, 0, NULL, "EC2's instance metadata: Failed to connect to 127.0.0.1"},
    {ONLY_ID, 0, NULL, "no credentials: none in the environment (AWS_ACCESS_KEY_ID, "},
    {0, 0, NULL, "write credentials=FILE, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give"},
    {WITHOUT_HOME, 0, NULL, "no HOME to look for .aws/credentials in; EC2's instance metadata: "},
    {PROFILE_SET, 0, NULL, "no credentials: there are none in section [second] of "},
    {HOME_SET, 0, "third", "no credentials: there are none in section [third] of "},
};

static void set_environment(int environment, const char *home)
{
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
        setenv("AWS_SHARED_CREDENTIALS_FILE", test_file(PLACE("S")), 1);
    if (environment & HOME_SET)
        write_file(apr_pstrcat(pool, home, "/.aws/credentials", NULL), PLACE("H"));
    if (environment & CONFIG_SET)
        write_file(apr_pstrcat(pool, home, "/.aws/config", NULL),
                   "[default]\n" KEYS("G") "[profile second]\n" KEYS("G2"));
    if (environment & WEB_SET) {
        setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/none", 1);
        setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
    }
    if (environment & CONTAINER_SET)
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", NOWHERE "/creds", 1);
    if (environment & WITHOUT_HOME)
        unsetenv("HOME");
}

START_TEST(looks_in_order)
{
    set_environment(places[_i].environment, begin());
    stream.credentials = places[_i].file ? test_file(PLACE("C")) : NULL;
    stream.profile = places[_i].profile;
    finds(places[_i].found);
}
END_TEST

/* --- what a profile can say --- */

#define ROLE "role_arn = arn:aws:iam::1:role/r\n"
#define REFUSED "the role arn:aws:iam::1:role/r: 127.0.0.1:1: Failed to connect"
#define LOOP(a, b) "[profile " a "]\n" ROLE "source_profile = " b "\n"

static const struct {
    const char *config; /* of the profile x */
    const char *found;
} profiles[] = {
    {"[profile x]\ncredential_process = echo "
     "'{\"Version\": 1, \"AccessKeyId\": \"P\", \"SecretAccessKey\": \"hush-P\", \"SessionToken\": \"t\"}'\n",
     "P hush-P t"},
    {"[profile x]\ncredential_process = echo hush\n", "credential_process of section [x] of "},
    {"[profile x]\ncredential_process = echo hush\n", ": its output has no JSON object; try that command"},
    {"[profile x]\ncredential_process = sh -c 'echo hush >&2; exit 1'\n", ": it failed; try that command as httpd's"},
    {"[profile x]\n" KEYS("X") "credential_process = false\n", "X hush-X -"},
    {"[profile x]\naws_access_key_id = X\n", " has no secret key; mend aws_access_key_id"},
    {"[profile x]\naws_secret_access_key = hush\n", " has no access key; mend aws_access_key_id"},
    {"[profile x]\naws_access_key_id = hush X\naws_secret_access_key = hush\n", " has a key or token with blanks"},
    {"[profile x]\nregion = eu-central-1\n", "no credentials: there are none in section [x] of "},
    {"[profile x]\nsso_session = y\n", "has sso_ settings, which need a browser"},
    {"[profile x]\nsso_start_url = https://y/\nsso_account_id = 1\n", "or credential_process = aws configure export"},
    /* roles: who asks for them is found, and then STS is away */
    {"[profile x]\n" ROLE "source_profile = y\n[profile y]\n" KEYS("Y"), REFUSED},
    {"[profile x]\n" ROLE "source_profile = x\n" KEYS("X"), REFUSED},
    {LOOP("x", "y") LOOP("y", "z") KEYS("Y"), REFUSED}, /* a source's keys come before its role */
    {"[profile x]\n" ROLE "source_profile = y\n[profile y]\ncredential_process = false\n", "it failed"},
    {"[profile x]\n" ROLE "source_profile = y\n", "no credentials: there is no section [y] of "},
    {"[profile x]\n" ROLE "source_profile = y\n[profile y]\nregion = z\n",
     "no credentials: there are none in section [y] of "},
    {LOOP("x", "x"), "the profile [x] leads back to itself; mend source_profile"},
    {LOOP("x", "y") LOOP("y", "z") LOOP("z", "y"), "the profile [y] leads back to itself"},
    {LOOP("x", "1") LOOP("1", "2") LOOP("2", "3") LOOP("3", "4") LOOP("4", "5") LOOP("5", "6") LOOP("6", "7")
         LOOP("7", "8") "[profile 8]\n" KEYS("X"),
     REFUSED},
    {LOOP("x", "1") LOOP("1", "2") LOOP("2", "3") LOOP("3", "4") LOOP("4", "5") LOOP("5", "6") LOOP("6", "7")
         LOOP("7", "8") LOOP("8", "9") "[profile 9]\n" KEYS("X"),
     "the profile [x] leads through more than 8 others"},
    {"[profile x]\n" ROLE "source_profile = y\ncredential_source = Environment\n[profile y]\n" KEYS("Y"),
     " has source_profile and credential_source; take one of them out"},
    {"[profile x]\n" ROLE, "has a role_arn, and nothing to assume it with; write source_profile"},
    {"[profile x]\n" ROLE "source_profile = y\nmfa_serial = z\n[profile y]\n" KEYS("Y"), "has mfa_serial, and nobody"},
    {"[profile x]\n" ROLE "web_identity_token_file = /none\n", "the web identity token /none: No such file"},
    {"[profile x]\n" ROLE "web_identity_token_file = /dev/null\n", REFUSED},
    {"[profile x]\n" ROLE "credential_source = Environment\n", "in Environment, which has none; set them up there"},
    {"[profile x]\n" ROLE "credential_source = EcsContainer\n", "in EcsContainer, which has none; set them up there"},
    {"[profile x]\n" ROLE "credential_source = Ec2InstanceMetadata\n",
     "in Ec2InstanceMetadata, which has none: EC2's instance metadata: Failed to connect"},
    {"[profile x]\n" ROLE "credential_source = Elsewhere\n", "write Environment, Ec2InstanceMetadata or EcsContainer"},
};

START_TEST(reads_profile)
{
    const char *home = begin();

    write_file(apr_pstrcat(pool, home, "/.aws/config", NULL), profiles[_i].config);
    stream.profile = "x";
    finds(profiles[_i].found);
}
END_TEST

START_TEST(assumes_role_with_the_environment)
{
    const char *home = begin();

    set_environment(KEYS_SET, home);
    write_file(apr_pstrcat(pool, home, "/.aws/config", NULL), "[profile x]\n" ROLE "credential_source = Environment\n");
    stream.profile = "x";
    finds(REFUSED);
    /* and the stream's own role */
    stream.profile = NULL;
    stream.role = "arn:aws:iam::1:role/r";
    finds(REFUSED);
}
END_TEST

/* --- what is no place to ask --- */

static const struct {
    const char *variable, *value;
    const char *found;
} wrong[] = {
    {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/x?hush",
     "none may come from http://example.com/x; write an https:// URL"},
    {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "there", "write an https:// URL"},
    {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@example.com/hush", "write an https:// URL"},
    {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ".example.com/x", "write an https:// URL"},
    {"AWS_WEB_IDENTITY_TOKEN_FILE", "/none", "set AWS_ROLE_ARN, too"},
    {"AWS_SECRET_ACCESS_KEY", "hush\nhush", "a key or token with blanks"},
    {"AWS_SHARED_CREDENTIALS_FILE", "/", "/: Is a directory; write credentials=FILE"},
};

START_TEST(refuses_environment)
{
    begin();
    setenv("AWS_ACCESS_KEY_ID", "E", 1);
    setenv(wrong[_i].variable, wrong[_i].value, 1);
    finds(wrong[_i].found);
}
END_TEST

static const struct {
    const char *token, *file;
    const char *found;
} tokens[] = {
    {"hush", NULL, "Failed to connect"},
    {"hush\r\nX-Evil: 1", NULL, "a line's end in the container's token AWS_CONTAINER_AUTHORIZATION_TOKEN; take it out"},
    {"x\r\ny", "hush", "Failed to connect"}, /* the file's counts */
    {NULL, "hush\n", "Failed to connect"},
    {NULL, "hush\nhush", "a line's end in the container's token /"},
};

START_TEST(refuses_container_token)
{
    begin();
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", NOWHERE, 1);
    if (tokens[_i].token)
        setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", tokens[_i].token, 1);
    if (tokens[_i].file)
        setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", test_file(tokens[_i].file), 1);
    finds(tokens[_i].found);
}
END_TEST

START_TEST(leaves_out_metadata)
{
    begin();
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    finds("AWS_EC2_METADATA_DISABLED is set");
}
END_TEST

static const char *const sts_urls[] = {"http://example.com/", "https://example.com/?x", "hush"};

START_TEST(refuses_sts_endpoint)
{
    begin();
    setenv("AWS_ENDPOINT_URL_STS", sts_urls[_i], 1);
    stream.role = "arn:aws:iam::1:role/r";
    stream.credentials = test_file(PLACE("C"));
    finds("AWS_ENDPOINT_URL_STS is no endpoint; write https://HOST/");
}
END_TEST

START_TEST(says_nothing_when_it_ends)
{
    static const int stop = 1;
    static const cs_halt_t stopped = {.stop = &stop};
    cs_credentials_t found = {NULL};
    cs_chain_t chain;

    begin();
    search.halt = &stopped;
    cs_chain_init(&chain, &stream, pool);
    ck_assert_int_eq(cs_chain_credentials(&found, &chain, &search), CS_FAILED);
    ck_assert_ptr_null(search.why);
}
END_TEST

/* --- the region --- */

static const struct {
    const char *option, *region, *default_region; /* region=, AWS_REGION, AWS_DEFAULT_REGION */
    const char *profile;                          /* the stream's */
    const char *found;
} regions[] = {
    {"eu-west-1", "us-east-1", "us-east-2", "x", "eu-west-1"},
    {NULL, "us-east-1", "us-east-2", "x", "us-east-1"},
    {NULL, "", "us-east-2", "x", "us-east-2"},
    {NULL, NULL, NULL, "x", "eu-central-2"},
    {NULL, NULL, NULL, NULL, "eu-central-1"},
    {NULL, NULL, NULL, "y", "no region: none in AWS_REGION and AWS_DEFAULT_REGION, nor in section [y] of "},
    {NULL, NULL, NULL, "none", "write region=, such as region=eu-central-1, or set AWS_REGION"},
    {NULL, NULL, NULL, "y", "EC2's instance metadata: Failed to connect"},
    {NULL, "evil.com/", "us-east-2", NULL, "AWS_REGION names no region; write one such as eu-central-1"},
    {NULL, NULL, NULL, "z", " names no region; write one such as"},
};

START_TEST(finds_region)
{
    const char *home = begin(), *region;
    cs_chain_t chain;

    write_file(apr_pstrcat(pool, home, "/.aws/config", NULL),
               "[default]\nregion = eu-central-1\n[profile x]\nregion = eu-central-2\n[profile y]\noutput = json\n"
               "[profile z]\nregion = EU\n");
    stream.region = regions[_i].option;
    stream.profile = regions[_i].profile;
    if (regions[_i].region)
        setenv("AWS_REGION", regions[_i].region, 1);
    if (regions[_i].default_region)
        setenv("AWS_DEFAULT_REGION", regions[_i].default_region, 1);
    cs_chain_init(&chain, &stream, pool);
    if (cs_chain_region(&region, &chain, &search) != CS_FOUND)
        region = apr_pstrcat(pool, search.why, "; ", search.advice, NULL);
    ck_assert_msg(strstr(region, regions[_i].found) != NULL, "%s: not in: %s", regions[_i].found, region);
}
END_TEST

Suite *chain_suite(void)
{
    Suite *suite = suite_create("chain");
    TCase *tests = test_case("chain");

    tcase_set_timeout(tests, 30);
    tcase_add_loop_test(tests, looks_in_order, 0, ELEMENTS(places));
    tcase_add_loop_test(tests, reads_profile, 0, ELEMENTS(profiles));
    tcase_add_test(tests, assumes_role_with_the_environment);
    tcase_add_loop_test(tests, refuses_environment, 0, ELEMENTS(wrong));
    tcase_add_loop_test(tests, refuses_container_token, 0, ELEMENTS(tokens));
    tcase_add_test(tests, leaves_out_metadata);
    tcase_add_loop_test(tests, refuses_sts_endpoint, 0, ELEMENTS(sts_urls));
    tcase_add_test(tests, says_nothing_when_it_ends);
    tcase_add_loop_test(tests, finds_region, 0, ELEMENTS(regions));
    suite_add_tcase(suite, tests);
    return suite;
}
