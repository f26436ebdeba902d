/* Folders and the room on their disk.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/disk.h"

#include <apr_strings.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "unit.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define PRIVATE (APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE)

static const struct {
    const char *path, *parent;
} parents[] = {
    {"/a/b", "/a"}, {"/a/b/", "/a"}, {"/a//b//", "/a"}, {"/a", "/"}, {"/a/", "/"}, {"//a", "/"}, {"/", "/"},
};

START_TEST(every_folder_has_one_above)
{
    ck_assert_str_eq(cs_disk_parent(parents[_i].path, pool), parents[_i].parent);
}
END_TEST

START_TEST(it_makes_a_folder_once)
{
    const char *above = apr_pstrcat(pool, test_folder(), "/a", NULL), *path = apr_pstrcat(pool, above, "/b/", NULL);
    struct stat info;
    int made = 7;

    ck_assert_int_eq(cs_disk_make_directory(&made, path, PRIVATE, pool), APR_SUCCESS);
    ck_assert_int_eq(made, 1);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0700);
    ck_assert_int_eq(stat(above, &info), 0);
    ck_assert_int_ne(info.st_mode & 0077, 0);
    ck_assert_int_eq(cs_disk_make_directory(&made, path, PRIVATE, pool), APR_SUCCESS);
    ck_assert_int_eq(made, 0);
}
END_TEST

START_TEST(it_makes_none_of_a_file)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/file", NULL);
    FILE *file = fopen(path, "w");
    int made;

    ck_assert_ptr_nonnull(file);
    fclose(file);
    ck_assert_int_eq(cs_disk_make_directory(&made, path, PRIVATE, pool), ENOTDIR);
    ck_assert_int_eq(made, 0);
    ck_assert_int_ne(cs_disk_make_directory(&made, apr_pstrcat(pool, path, "/below", NULL), PRIVATE, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(made, 0);
}
END_TEST

START_TEST(room_is_that_of_the_folder_above_as_well)
{
    const char *folder = test_folder();
    apr_uint64_t here = 0, below = 0;

    ck_assert_int_eq(cs_disk_room(&here, folder, pool), APR_SUCCESS);
    ck_assert_int_eq(cs_disk_room(&below, apr_pstrcat(pool, folder, "/not/yet", NULL), pool), APR_SUCCESS);
    ck_assert_uint_gt(here, 0);
    ck_assert_uint_gt(below, here / 2); /* others may write meanwhile */
    ck_assert_uint_lt(below / 2, here);
}
END_TEST

Suite *disk_suite(void)
{
    Suite *suite = suite_create("disk");
    TCase *tests = test_case("disk");

    tcase_add_loop_test(tests, every_folder_has_one_above, 0, ELEMENTS(parents));
    tcase_add_test(tests, it_makes_a_folder_once);
    tcase_add_test(tests, it_makes_none_of_a_file);
    tcase_add_test(tests, room_is_that_of_the_folder_above_as_well);
    suite_add_tcase(suite, tests);
    return suite;
}
