/* The configuration of the programs without httpd: lines, words, sections, and what is said about mistakes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/conf.h"

#include <apr_strings.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static cs_server_t server;
static cs_location_t location;

static const char *write_file(const char *text, size_t length)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/clickstream.conf", NULL);
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

/* What is wrong with it, without the path; or NULL. */
static const char *read_text(const char *text, cs_conf_how_t how)
{
    const char *path = write_file(text, strlen(text));
    const char *error = cs_conf_read(&server, how == CS_CONF_STRICT ? &location : NULL, path, how, pool);

    if (!error)
        return NULL;
    ck_assert_msg(strncmp(error, path, strlen(path)) == 0, "%s", error);
    return error + strlen(path);
}

/* "the folder; stream=path, ...": what was read of the server-wide directives. */
static const char *server_read(void)
{
    const char *all = apr_pstrcat(pool, server.queue_dir ? server.queue_dir : "-", ";", NULL);

    for (int i = 0; server.streams && i < server.streams->nelts; i++) {
        const cs_stream_t *stream = APR_ARRAY_IDX(server.streams, i, cs_stream_t *);
        all = apr_pstrcat(pool, all, i ? ", " : " ", stream->name, "=", stream->path, NULL);
    }
    return all;
}

#define FOLDER "ClickstreamQueueDir /q\n"
#define STREAM "ClickstreamStream s file path=/o\n"
#define BOTH FOLDER STREAM
#define READ "/q; s=/o"

/* --- how lines and words are written: all of this is read as it stands in `read` --- */

static const struct {
    const char *text, *read;
} forms[] = {
    {BOTH, READ},
    {"ClickstreamQueueDir /q\nClickstreamStream s file path=/o", READ}, /* no newline at the end */
    {"ClickstreamQueueDir /q\r\nClickstreamStream s file path=/o\r\n", READ},
    {"\xEF\xBB\xBF" BOTH, READ},
    {"\n\n  \t\n" BOTH "\n\n", READ},
    {" \t ClickstreamQueueDir\t /q  \n\vClickstreamStream  s\tfile path=/o \t\n", READ},
    {"clickstreamqueuedir /q\nCLICKSTREAMSTREAM s FILE Path=/o\n", READ},
    /* comments, at the beginning only */
    {"# a comment\n   # another ' \" ${x}\n#\n" BOTH "#", READ},
    {"ClickstreamQueueDir /q#not\n" STREAM, "/q#not; s=/o"},
    {"# a comment \\\nClickstreamNone x\n" BOTH, READ}, /* which goes on */
    /* quotes */
    {"ClickstreamQueueDir \"/q\"\nClickstreamStream 's' file 'path=/o'\n", READ},
    {"\"ClickstreamQueueDir\" /q\n" STREAM, READ},
    {"ClickstreamQueueDir '/with space'\n" STREAM, "/with space; s=/o"},
    {"ClickstreamQueueDir \"/it's\"\n" STREAM, "/it's; s=/o"},
    {"ClickstreamQueueDir '/\"'\n" STREAM, "/\"; s=/o"},
    {"ClickstreamQueueDir '/it\\'s'\n" STREAM, "/it's; s=/o"},
    {"ClickstreamQueueDir \"/\\\"\\\\\\n\"\n" STREAM, "/\"\\\\n; s=/o"}, /* \" \\ and nothing else */
    {"ClickstreamQueueDir \"/\\'\"\n" STREAM, "/\\'; s=/o"},
    {"ClickstreamQueueDir /a\\\\b\\'c\"d\n" STREAM, "/a\\b\\'c\"d; s=/o"}, /* no quotes within a word */
    {"ClickstreamStream \"s\"'file'\"path=/o\"\n" FOLDER, READ},
    /* continued lines */
    {"ClickstreamQueueDir \\\n/q\n" STREAM, READ},
    {"ClickstreamStream s \\\r\n  file \\\r\n  path=/o\r\n" FOLDER, READ},
    {"ClickstreamQueueDir /a\\\nb\n" STREAM, "/ab; s=/o"},
    {"ClickstreamQueueDir /q\\\n\n" STREAM, READ},
    {"ClickstreamQueueDir /q\\ \n" STREAM, "/q\\; s=/o"}, /* a space behind it: none */
    {STREAM "ClickstreamQueueDir /q\\", "/q\\; s=/o"},    /* nothing behind it: none */
    {"ClickstreamQueueDir /q\\\\\n\n" STREAM, "/q\\; s=/o"},
    {"ClickstreamQueueDir /\xC3\xA9\xFF\n" STREAM, "/\xC3\xA9\xFF; s=/o"},
};

START_TEST(it_reads_a_form)
{
    const char *error = read_text(forms[_i].text, CS_CONF_STRICT);

    ck_assert_msg(!error, "%s: %s", forms[_i].text, error);
    ck_assert_str_eq(server_read(), forms[_i].read);
}
END_TEST

START_TEST(a_location_is_read_and_has_its_defaults)
{
    ck_assert_ptr_null(read_text(BOTH "ClickstreamClient a\nClickstreamClient 'b'\nClickstreamMaxBody 2M\n"
                                      "ClickstreamRequire token \\\n  tag\n",
                                 CS_CONF_STRICT));
    ck_assert_int_eq(location.clients->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(location.clients, 1, cs_client_t).id, "b");
    ck_assert_int_eq(location.max_body, 2 * CS_MIB);
    ck_assert_int_eq(location.require->nelts, 2);
    ck_assert_int_eq(location.auth, CS_AUTH_BEARER);
    ck_assert_int_eq(location.max_events, 500);
    ck_assert_ptr_null(location.deliver_to);
}
END_TEST

START_TEST(nothing_is_left_of_the_last_file)
{
    ck_assert_ptr_null(read_text(BOTH "ClickstreamClient a\n", CS_CONF_STRICT));
    ck_assert_ptr_null(read_text("ClickstreamQueueDir /r\nClickstreamStream t file path=/o\n", CS_CONF_STRICT));
    ck_assert_str_eq(server_read(), "/r; t=/o");
    ck_assert_ptr_null(location.clients);
}
END_TEST

/* --- what is wrong, and where --- */

static const struct {
    const char *text, *error;
} mistakes[] = {
    {FOLDER "ClickstreamQueDir /r\n",
     ", line 2: ClickstreamQueDir is not a directive of clickstream: write ClickstreamQueueDir"},
    {"QueueDir /r\n", ", line 1: QueueDir is not a directive of clickstream: leave it out"},
    {"\n\nclickstreamclients a\n",
     ", line 3: clickstreamclients is not a directive of clickstream: write ClickstreamClient"},
    {BOTH "SetHandler clickstream\n", ", line 3: SetHandler is not a directive of clickstream: leave it out"},
    {"ClickstreamQueueDir\n", ", line 1: ClickstreamQueueDir: an argument is missing (ClickstreamQueueDir directory)"},
    {"ClickstreamQueueDir ''\n",
     ", line 1: ClickstreamQueueDir: an empty value is not possible here (ClickstreamQueueDir directory)"},
    {FOLDER "\r\nClickstreamMaxEvents many\r\n",
     ", line 3: ClickstreamMaxEvents: \"many\" is not possible here: write a whole number, from 1 to 100000 "
     "(ClickstreamMaxEvents count)"},
    /* the number is that of the first of continued lines, and they all count */
    {"# \\\n\n" FOLDER "ClickstreamQueueDir \\\n /r \\\n/more\n" STREAM,
     ", line 4: ClickstreamQueueDir: \"/more\" is one argument too many (ClickstreamQueueDir directory)"},
    {BOTH "ClickstreamMaxEvents \\\n\\\n5\nClickstreamAuth basic\n",
     ", line 6: ClickstreamAuth: \"basic\" is not one of none|bearer|jwt (ClickstreamAuth none|bearer|jwt)"},
    {"ClickstreamQueueDir \"/q\n" STREAM, ", line 1: ClickstreamQueueDir: a quote is not closed"},
    {"ClickstreamQueueDir '/a\nb'\n", ", line 1: ClickstreamQueueDir: a quote is not closed"},
    {"ClickstreamQueueDir '/q\\'\n", ", line 1: ClickstreamQueueDir: a quote is not closed"},
    {"\"ClickstreamQueueDir /q\n", ", line 1: a quote is not closed"},
    {"ClickstreamQueueDir ${HOME}/q\n",
     ", line 1: ClickstreamQueueDir: only httpd expands ${...}: write the value itself"},
    {BOTH "<Location />\n", ", line 3: sections are httpd's: write the directives flat; for httpd's own configuration "
                            "use apachectl configtest"},
    {" </Location>\n", ", line 1: sections are httpd's: write the directives flat; for httpd's own configuration use "
                       "apachectl configtest"},
    {STREAM, ": ClickstreamQueueDir is missing: write the folder for the queue of stream s, such as "
             "ClickstreamQueueDir /var/lib/clickstream"},
    {"", ": there is no stream: write ClickstreamStream, such as ClickstreamStream clicks firehose region=us-east-1"},
    {BOTH "\nClickstreamDeliverTo t\n", ", line 4: ClickstreamDeliverTo t: there is no such stream: declare it with "
                                        "ClickstreamStream, or write one of s"},
    {FOLDER "ClickstreamDeliverTo t\n",
     ", line 2: ClickstreamDeliverTo t: there is no such stream: declare it with ClickstreamStream"},
    {BOTH "ClickstreamStream t file path=/o\n",
     ": there are several streams: write ClickstreamDeliverTo with one of s, t"},
};

START_TEST(it_says_what_is_wrong)
{
    const char *error = read_text(mistakes[_i].text, CS_CONF_STRICT);

    ck_assert_ptr_nonnull(error);
    ck_assert_str_eq(error, mistakes[_i].error);
}
END_TEST

START_TEST(it_wants_a_text_file_of_decent_size)
{
    const char *path = write_file(BOTH "\nClickstream\0", sizeof(BOTH "\nClickstream\0") - 1);
    char *big = apr_palloc(pool, CS_CONF_MOST + 2);

    ck_assert_str_eq(cs_conf_read(&server, NULL, path, CS_CONF_LENIENT, pool),
                     apr_pstrcat(pool, path, ", line 4: a NUL is in it: this is no text file", NULL));
    memset(big, '#', CS_CONF_MOST + 1);
    memcpy(big, BOTH, sizeof(BOTH) - 1);
    path = write_file(big, CS_CONF_MOST);
    ck_assert_ptr_null(cs_conf_read(&server, &location, path, CS_CONF_STRICT, pool));
    path = write_file(big, CS_CONF_MOST + 1);
    ck_assert_str_eq(cs_conf_read(&server, &location, path, CS_CONF_STRICT, pool),
                     apr_pstrcat(pool, path, ": longer than 1 MiB: this is no configuration", NULL));
}
END_TEST

START_TEST(it_says_why_a_file_cannot_be_read)
{
    const char *folder = test_folder(), *none = apr_pstrcat(pool, folder, "/none", NULL);

    ck_assert_str_eq(cs_conf_read(&server, &location, none, CS_CONF_STRICT, pool),
                     apr_pstrcat(pool, none,
                                 ": No such file or directory: write the configuration there, or name its file: "
                                 "CLICKSTREAM_CONFIG in the environment, or clickstreamctl -f FILE",
                                 NULL));
    ck_assert_str_eq(cs_conf_read(&server, &location, folder, CS_CONF_STRICT, pool),
                     apr_pstrcat(pool, folder, ": Is a directory: name a file in it", NULL));
    ck_assert_int_eq(symlink("loop", apr_pstrcat(pool, folder, "/loop", NULL)), 0);
    none = apr_pstrcat(pool, folder, "/loop", NULL);
    ck_assert_ptr_nonnull(strstr(cs_conf_read(&server, &location, none, CS_CONF_STRICT, pool),
                                 ": let this program's user read it, and search the folders above it"));
}
END_TEST

/* --- httpd's own configuration --- */

static const struct {
    const char *text, *read, *error;
} httpds[] = {
    {"ServerRoot \"/etc/apache2\"\n" BOTH "<Location \"/a/\">\n  SetHandler clickstream\n  ClickstreamMaxBody ten\n"
     "  ClickstreamDeliverTo none\n</Location>\nRewriteRule \"unclosed ${x} ' \\\n  y\n",
     READ, NULL},
    {"<IfModule clickstream_module>\n<VirtualHost *:443>\n" BOTH "</VirtualHost>\n</IfModule>\n", READ, NULL},
    {BOTH "'an unclosed quote\nClickstreamNew x\n", READ, NULL},
    {BOTH "ClickstreamStream t file path=/p\n", "/q; s=/o, t=/p", NULL}, /* each location says which */
    {"Listen 80\n", "-;", NULL},
    {STREAM, NULL,
     ": ClickstreamQueueDir is missing: write the folder for the queue of stream s, such as "
     "ClickstreamQueueDir /var/lib/clickstream"},
    {"Listen 80\n" FOLDER "ClickstreamStream s kafka\n", NULL,
     ", line 3: ClickstreamStream: \"kafka\" is no kind of stream: write firehose or file (ClickstreamStream name "
     "firehose|file [option=value] ...)"},
    {"ClickstreamQueueDir ${ROOT}/q\n", NULL,
     ", line 1: ClickstreamQueueDir: only httpd expands ${...}: write the value itself"},
};

START_TEST(it_finds_the_streams_in_httpds_configuration)
{
    const char *error = read_text(httpds[_i].text, CS_CONF_LENIENT);

    if (httpds[_i].error)
        ck_assert_str_eq(error, httpds[_i].error);
    else {
        ck_assert_msg(!error, "%s", error);
        ck_assert_str_eq(server_read(), httpds[_i].read);
    }
}
END_TEST

Suite *conf_suite(void)
{
    Suite *suite = suite_create("conf");
    TCase *tests = test_case("conf");

    tcase_add_loop_test(tests, it_reads_a_form, 0, ELEMENTS(forms));
    tcase_add_test(tests, a_location_is_read_and_has_its_defaults);
    tcase_add_test(tests, nothing_is_left_of_the_last_file);
    tcase_add_loop_test(tests, it_says_what_is_wrong, 0, ELEMENTS(mistakes));
    tcase_add_test(tests, it_wants_a_text_file_of_decent_size);
    tcase_add_test(tests, it_says_why_a_file_cannot_be_read);
    tcase_add_loop_test(tests, it_finds_the_streams_in_httpds_configuration, 0, ELEMENTS(httpds));
    suite_add_tcase(suite, tests);
    return suite;
}
