/* httpd-conf/DIRECTIVES.md against the tables of common/settings.h, both ways.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <string.h>

#include "common/settings.h"

static int is_in(const cs_setting_t *table, const char *name)
{
    while (table->name && strcmp(table->name, name) != 0)
        table++;
    return table->name != NULL;
}

#define PAGE TOP_SRCDIR "/httpd-conf/DIRECTIVES.md"

/* From the heading of `name` to the next one; NULL: there is none. */
static const char *section_of(const char *page, const char *name)
{
    const char *start = strstr(page, apr_pstrcat(pool, "\n## ", name, "\n", NULL));
    const char *end = start ? strstr(start + 1, "\n## ") : NULL;

    return !start ? NULL : end ? apr_pstrmemdup(pool, start, (apr_size_t)(end + 1 - start)) : start;
}

static void check_line(const char *section, const cs_setting_t *row, const char *line)
{
    ck_assert_msg(strstr(section, apr_pstrcat(pool, "\n", line, "\n", NULL)) != NULL,
                  "DIRECTIVES.md, section %s, has no line\n%s", row->name, line);
}

static void check_sections(const cs_setting_t *table, const char *context)
{
    const char *page = test_read(PAGE);

    for (const cs_setting_t *row = table; row->name; row++) {
        const char *section = section_of(page, row->name);
        const char *fallback = row->fallback ? apr_pstrcat(pool, row->name, " ", row->fallback, NULL) : "none";
        ck_assert_msg(section != NULL, "DIRECTIVES.md has no section ## %s", row->name);
        check_line(section, row, apr_psprintf(pool, "**Description:** %s", row->about));
        check_line(section, row, apr_psprintf(pool, "**Syntax:** `%s %s`", row->name, row->arguments));
        check_line(section, row, apr_psprintf(pool, "**Default:** `%s`", fallback));
        check_line(section, row, apr_psprintf(pool, "**Context:** %s", context));
        ck_assert_msg(strstr(section, "\n```apache\n") != NULL, "section %s has no example", row->name);
    }
}

START_TEST(page_has_every_server_directive)
{
    check_sections(cs_server_settings, "server config, virtual host");
}
END_TEST

START_TEST(page_has_every_location_directive)
{
    check_sections(cs_location_settings, "server config, virtual host, directory");
}
END_TEST

START_TEST(page_has_no_other_directive)
{
    int count = 0;

    for (const char *at = test_read(PAGE); (at = strstr(at, "\n## Clickstream")); at++, count++) {
        const char *name = apr_pstrmemdup(pool, at + 4, strcspn(at + 4, "\n"));
        ck_assert_msg(is_in(cs_server_settings, name) || is_in(cs_location_settings, name),
                      "DIRECTIVES.md has ## %s, which is no directive", name);
    }
    ck_assert_int_gt(count, 0);
}
END_TEST

/* A bar would begin the table's next cell. */
static const char *escaped(const char *text)
{
    const char *bar = strchr(text, '|');

    return bar ? apr_pstrcat(pool, apr_pstrmemdup(pool, text, (apr_size_t)(bar - text)), "\\|", escaped(bar + 1), NULL)
               : text;
}

START_TEST(page_has_every_option)
{
    static const char *const sinks[] = {"any", "firehose", "file"}; /* CS_SINK_ANY is -1 */
    const char *section = section_of(test_read(PAGE), "ClickstreamStream");

    for (const cs_setting_t *row = cs_stream_settings; row->name; row++)
        check_line(section, row,
                   apr_psprintf(pool, "| `%s=%s` | `%s` | %s | %s |", row->name, escaped(row->arguments),
                                row->fallback ? row->fallback : "none", sinks[row->sink + 1], row->about));
}
END_TEST

START_TEST(page_has_no_other_option)
{
    const char *section = section_of(test_read(PAGE), "ClickstreamStream");
    int count = 0;

    for (const char *at = section; (at = strstr(at, "\n| `")); at++, count++) {
        const char *name = apr_pstrmemdup(pool, at + 4, strcspn(at + 4, "=`"));
        ck_assert_msg(is_in(cs_stream_settings, name), "DIRECTIVES.md has %s=, which is no option", name);
    }
    ck_assert_int_gt(count, 0);
}
END_TEST

Suite *directives_suite(void)
{
    Suite *suite = suite_create("directives");
    TCase *tests = test_case("directives");

    tcase_add_test(tests, page_has_every_server_directive);
    tcase_add_test(tests, page_has_every_location_directive);
    tcase_add_test(tests, page_has_no_other_directive);
    tcase_add_test(tests, page_has_every_option);
    tcase_add_test(tests, page_has_no_other_option);
    suite_add_tcase(suite, tests);
    return suite;
}
