/* The credentials in force: when they are looked for again, by the time that is given.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "deliver/credentials.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SECOND apr_time_from_sec(1)
#define START apr_time_from_sec(1700000000)

/* Where they come from in these tests: what the next search gives, and how many there were. */
static struct {
    const char *key;    /* NULL: nothing is found */
    apr_time_t expires; /* after START; 0: never */
    int ends;           /* nothing is found because we have to end */
    int changed, searches;
} place;

static cs_found_t find(void *from, cs_credentials_t *found, cs_lack_t *lack, apr_pool_t *of)
{
    (void)from;
    place.searches++;
    if (!place.key) {
        *lack = (cs_lack_t){.why = place.ends ? NULL : apr_pstrdup(of, "no one is there"), .advice = "go and see"};
        return CS_FAILED;
    }
    *found = (cs_credentials_t){.access_key = apr_pstrdup(of, place.key),
                                .secret_key = apr_pstrdup(of, "hush"),
                                .expires = place.expires ? START + place.expires : 0};
    return CS_FOUND;
}

static int changed(void *from)
{
    int was = place.changed;

    (void)from;
    place.changed = 0;
    return was;
}

static cs_credentials_source_t new_source(const char *key, apr_time_t expires)
{
    cs_credentials_source_t source = {.find = find, .changed = changed, .log = test_log, .stream = "clicks"};

    memset(&place, 0, sizeof(place));
    place.key = key;
    place.expires = expires;
    cs_credentials_init(&source, pool);
    return source;
}

/* The key, or why there is none, `seconds` after START. */
static const char *get(cs_credentials_source_t *source, int seconds)
{
    cs_lack_t lack = {"unset", NULL};
    const cs_credentials_t *found = cs_credentials_get(source, &lack, START + seconds * SECOND);

    return found ? found->access_key : lack.why ? lack.why : "(ends)";
}

static void is_at(cs_credentials_source_t *source, int seconds, const char *key, int searches)
{
    ck_assert_str_eq(get(source, seconds), key);
    ck_assert_int_eq(place.searches, searches);
}

START_TEST(keeps_what_never_expires)
{
    cs_credentials_source_t source = new_source("A", 0);

    is_at(&source, 0, "A", 1);
    is_at(&source, 1, "A", 1);
    is_at(&source, 86400 * 1000, "A", 1);
}
END_TEST

START_TEST(looks_again_when_a_file_changed)
{
    cs_credentials_source_t source = new_source("A", 0);

    is_at(&source, 0, "A", 1);
    place.key = "B";
    is_at(&source, 1, "A", 1);
    place.changed = 1;
    is_at(&source, 2, "B", 2);
    is_at(&source, 3, "B", 2);
    /* what a changed file no longer has is no longer used */
    place.changed = 1;
    place.key = NULL;
    is_at(&source, 4, "no one is there", 3);
    is_at(&source, 5, "no one is there", 4);
    place.key = "C";
    is_at(&source, 6, "C", 5);
}
END_TEST

START_TEST(renews_five_minutes_before)
{
    cs_credentials_source_t source = new_source("A", 3600 * SECOND);

    is_at(&source, 0, "A", 1);
    place.key = "B";
    place.expires = 7200 * SECOND;
    is_at(&source, 3299, "A", 1);
    is_at(&source, 3300, "B", 2);
    is_at(&source, 6899, "B", 2);
    ck_assert_str_eq(test_logged(), "");
}
END_TEST

/* As instance metadata does until shortly before the end. */
START_TEST(tries_once_a_minute_while_they_stay_the_same)
{
    cs_credentials_source_t source = new_source("A", 3600 * SECOND);

    is_at(&source, 0, "A", 1);
    is_at(&source, 3300, "A", 2);
    is_at(&source, 3301, "A", 2);
    is_at(&source, 3359, "A", 2);
    is_at(&source, 3360, "A", 3);
    is_at(&source, 3361, "A", 3);
}
END_TEST

/* The search that found them is no try to renew them. */
START_TEST(renews_soon_after_they_came)
{
    cs_credentials_source_t source = new_source("A", 301 * SECOND);

    is_at(&source, 0, "A", 1);
    place.key = NULL;
    is_at(&source, 1, "A", 2);
    is_at(&source, 60, "A", 2);
    is_at(&source, 61, "A", 3);
}
END_TEST

START_TEST(uses_the_old_ones_until_they_expire)
{
    cs_credentials_source_t source = new_source("A", 3600 * SECOND);

    is_at(&source, 0, "A", 1);
    place.key = NULL;
    is_at(&source, 3300, "A", 2);
    ck_assert_msg(strstr(test_logged(), "stream clicks: the credentials could not be renewed: no one is there; go and "
                                        "see. The old ones are used until 2023-11-14T23:13:20.000Z"),
                  "%s", test_logged());
    is_at(&source, 3301, "A", 2);
    is_at(&source, 3298, "A", 2); /* AWS's time goes back a little, and forth */
    is_at(&source, 3302, "A", 2);
    is_at(&source, 3599, "A", 3);
    /* from here on each try tells why there are none */
    is_at(&source, 3600, "no one is there", 4);
    is_at(&source, 3601, "no one is there", 5);
    place.key = "B";
    place.expires = 9999 * SECOND;
    is_at(&source, 3602, "B", 6);
}
END_TEST

START_TEST(says_nothing_when_it_ends)
{
    cs_credentials_source_t source = new_source("A", 3600 * SECOND);

    is_at(&source, 0, "A", 1);
    place.key = NULL;
    place.ends = 1;
    is_at(&source, 3300, "A", 2);
    is_at(&source, 3600, "(ends)", 3);
    ck_assert_str_eq(test_logged(), "");
}
END_TEST

/* The clock is wrong, perhaps: AWS tells, when it is asked with them. */
START_TEST(uses_what_comes_expired)
{
    cs_credentials_source_t source = new_source("A", -1 * SECOND);

    is_at(&source, 0, "A", 1);
    is_at(&source, 1, "A", 1);
    is_at(&source, 61, "A", 2);
}
END_TEST

START_TEST(looks_again_for_those_that_live_shortly)
{
    cs_credentials_source_t source = new_source("A", 5 * SECOND);

    is_at(&source, 0, "A", 1);
    place.key = "B";
    place.expires = 10 * SECOND;
    is_at(&source, 4, "A", 1);
    is_at(&source, 5, "B", 2);
}
END_TEST

START_TEST(a_refusal_renews_once_a_minute)
{
    cs_credentials_source_t source = new_source("A", 0);

    is_at(&source, 0, "A", 1);
    place.key = "B";
    cs_credentials_refused(&source, START + 1 * SECOND);
    is_at(&source, 1, "B", 2);
    is_at(&source, 2, "B", 2);
    place.key = "C";
    cs_credentials_refused(&source, START + 60 * SECOND); /* too early: nothing happens */
    is_at(&source, 60, "B", 2);
    is_at(&source, 70, "B", 2);
    cs_credentials_refused(&source, START + 61 * SECOND);
    is_at(&source, 61, "C", 3);
    /* a clock that was set back does not hold it up */
    place.key = "D";
    cs_credentials_refused(&source, START - 5000 * SECOND);
    is_at(&source, -5000, "D", 4);
}
END_TEST

/* The refusal may have been for another reason; they are all that we have. */
START_TEST(keeps_refused_ones_while_there_are_no_others)
{
    cs_credentials_source_t source = new_source("A", 0);

    is_at(&source, 0, "A", 1);
    place.key = NULL;
    cs_credentials_refused(&source, START + 1 * SECOND);
    is_at(&source, 1, "A", 2);
    ck_assert_msg(strstr(test_logged(), "are used until AWS no longer takes them") != NULL, "%s", test_logged());
    is_at(&source, 2, "A", 2);
    is_at(&source, 1000, "A", 2);
    place.key = "B";
    cs_credentials_refused(&source, START + 1001 * SECOND);
    is_at(&source, 1001, "B", 3);
}
END_TEST

/* --- their form --- */

static const struct {
    cs_credentials_t credentials;
    const char *flaw;
} forms[] = {
    {{"AKID", "secret/+=", NULL, 0}, NULL},
    {{"AKID", "secret", "token/+==", 0}, NULL},
    {{NULL, "secret", NULL, 0}, "no access key"},
    {{"", "secret", NULL, 0}, "no access key"},
    {{"AKID", NULL, NULL, 0}, "no secret key"},
    {{"AKID", "", NULL, 0}, "no secret key"},
    {{"AK ID", "secret", NULL, 0}, "a key or token with blanks"},
    {{"AKID\r\nX-Evil: 1", "secret", NULL, 0}, "a key or token with blanks"},
    {{"AKID", "sec\nret", NULL, 0}, "a key or token with blanks"},
    {{"AKID", "secret", "to\tken", 0}, "a key or token with blanks"},
    {{"AKID", "secret", "\xC3\xBC", 0}, "a key or token with blanks"},
    {{"AKID\x7F", "secret", NULL, 0}, "a key or token with blanks"},
};

START_TEST(sees_flaws)
{
    const char *flaw = cs_credentials_flaw(&forms[_i].credentials);

    ck_assert_int_eq(flaw != NULL, forms[_i].flaw != NULL);
    if (flaw)
        ck_assert_msg(strncmp(flaw, forms[_i].flaw, strlen(forms[_i].flaw)) == 0, "%s", flaw);
}
END_TEST

Suite *credentials_suite(void)
{
    Suite *suite = suite_create("credentials");
    TCase *tests = test_case("credentials");

    tcase_add_test(tests, keeps_what_never_expires);
    tcase_add_test(tests, looks_again_when_a_file_changed);
    tcase_add_test(tests, renews_five_minutes_before);
    tcase_add_test(tests, tries_once_a_minute_while_they_stay_the_same);
    tcase_add_test(tests, renews_soon_after_they_came);
    tcase_add_test(tests, uses_the_old_ones_until_they_expire);
    tcase_add_test(tests, says_nothing_when_it_ends);
    tcase_add_test(tests, uses_what_comes_expired);
    tcase_add_test(tests, looks_again_for_those_that_live_shortly);
    tcase_add_test(tests, a_refusal_renews_once_a_minute);
    tcase_add_test(tests, keeps_refused_ones_while_there_are_no_others);
    tcase_add_loop_test(tests, sees_flaws, 0, ELEMENTS(forms));
    suite_add_tcase(suite, tests);
    return suite;
}
