/* Folders and the room on their disk.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/disk.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* One of this user's groups; not the one that files have by themselves, where there is a choice. */
static cs_group_t some_group(void)
{
    gid_t groups[NGROUPS_MAX];
    cs_group_t group = {"some", geteuid() == 0 ? 1 : getegid()};
    int count = getgroups(NGROUPS_MAX, groups);

    for (int i = 0; geteuid() != 0 && i < count; i++) {
        if (groups[i] != getegid())
            group.id = groups[i];
    }
    return group;
}

START_TEST(it_shares_what_is_its_own)
{
    const char *folder = test_folder(), *path = apr_pstrcat(pool, folder, "/file", NULL);
    cs_group_t group = some_group();
    struct stat info;
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_eq(cs_disk_share(fd, NULL), APR_SUCCESS);
    ck_assert_int_eq(fstat(fd, &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0600);
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(cs_disk_share(fd, &group), APR_SUCCESS);
        ck_assert_int_eq(fstat(fd, &info), 0);
        ck_assert_int_eq(info.st_mode & 07777, 0660);
        ck_assert_uint_eq(info.st_gid, group.id);
    }
    close(fd);
    ck_assert_int_eq(chmod(folder, 0700), 0);
    ck_assert_int_eq(cs_disk_share_directory(folder, NULL), APR_SUCCESS);
    ck_assert_int_eq(cs_disk_share_directory(folder, &group), APR_SUCCESS);
    ck_assert_int_eq(stat(folder, &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0770);
    ck_assert_uint_eq(info.st_gid, group.id);
    ck_assert_int_eq(cs_disk_share_directory(apr_pstrcat(pool, folder, "/none", NULL), &group), ENOENT);
}
END_TEST

/* As a user who is in no group but its own: that of others, and others' files, stay as they are. */
START_TEST(it_shares_with_its_own_groups_only)
{
    const char *folder = test_folder(), *path = apr_pstrcat(pool, folder, "/file", NULL);
    cs_group_t group = {"another's", 1}, own = {"own", 4321};
    gid_t none = 0;
    struct stat info;
    int fd, others = open(apr_pstrcat(pool, folder, "/others", NULL), O_RDWR | O_CREAT, 0600);

    if (geteuid() != 0) {
        puts("it_shares_with_its_own_groups_only: skipped, only root can become another user");
        return;
    }
    ck_assert_int_eq(chmod(folder, 0777), 0);
    ck_assert_int_eq(setgroups(0, &none), 0);
    ck_assert_int_eq(setegid(own.id), 0);
    ck_assert_int_eq(seteuid(4321), 0);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert(cs_disk_is_member(NULL) && cs_disk_is_member(&own) && !cs_disk_is_member(&group));
    ck_assert_int_eq(cs_disk_share(fd, &group), EPERM);
    ck_assert_int_eq(fstat(fd, &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0600);
    ck_assert_int_eq(cs_disk_share(others, &own), APR_SUCCESS);
    ck_assert_int_eq(fstat(others, &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0600);
    ck_assert_uint_eq(info.st_uid, 0);
    ck_assert_int_eq(seteuid(0), 0);
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
    tcase_add_test(tests, it_shares_what_is_its_own);
    tcase_add_test(tests, it_shares_with_its_own_groups_only);
    tcase_add_test(tests, room_is_that_of_the_folder_above_as_well);
    suite_add_tcase(suite, tests);
    return suite;
}
