/* The clock: when AWS's time counts instead of this machine's, and what is said about it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "deliver/clock.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define HERE apr_time_from_sec(1700000000)
#define NO_DATE 99999

/* Answers that come one after the other: how far AWS's date is from here, what is made of it, what is said. */
static const struct {
    int offset, corrected; /* seconds */
    const char *said;      /* NULL: nothing */
    int is_news;
} answers[] = {
    {0, 0, NULL},
    {60, 0, NULL},
    {-60, 0, NULL},
    {NO_DATE, 0, NULL},
    {61, 61,
     "stream clicks: this machine's clock is 61 s behind AWS's; requests are signed with AWS's time: set the "
     "clock, with NTP for instance\n",
     1},
    {62, 62, NULL},
    {NO_DATE, 62, NULL},
    {31, 31, NULL},
    {30, 0, "stream clicks: this machine's clock agrees with AWS's again\n"},
    {31, 0, NULL},
    {-420, -420, "420 s ahead of AWS's", 1},
    {-480, -480, NULL},
    {-541, -541, "541 s ahead of AWS's", 1},
    {3600, 3600, "3600 s behind AWS's", 1},
    {-29, 0, "agrees with AWS's again", 1},
    {0, 0, NULL},
};

START_TEST(goes_by_aws)
{
    cs_clock_t clock = {.log = test_log, .stream = "clicks"};

    for (int i = 0; i < ELEMENTS(answers); i++) {
        size_t said = strlen(test_logged());
        ck_assert_msg(cs_clock_learn(&clock,
                                     answers[i].offset == NO_DATE ? 0 : HERE + apr_time_from_sec(answers[i].offset),
                                     HERE) == answers[i].is_news,
                      "answer %d", i);
        ck_assert_msg(cs_clock_correct(&clock, HERE) == HERE + apr_time_from_sec(answers[i].corrected), "answer %d", i);
        if (answers[i].said)
            ck_assert_msg(strstr(test_logged() + said, answers[i].said) != NULL, "answer %d: %s", i,
                          test_logged() + said);
        else
            ck_assert_msg(!test_logged()[said], "answer %d: %s", i, test_logged() + said);
    }
}
END_TEST

START_TEST(has_a_now)
{
    cs_clock_t clock = {.log = test_log, .stream = "clicks"};

    cs_clock_learn(&clock, HERE + apr_time_from_sec(1000000), HERE);
    ck_assert_int_ge(cs_clock_now(&clock) - apr_time_now(), apr_time_from_sec(999999));
}
END_TEST

Suite *clock_suite(void)
{
    Suite *suite = suite_create("clock");
    TCase *tests = test_case("clock");

    tcase_add_test(tests, goes_by_aws);
    tcase_add_test(tests, has_a_now);
    suite_add_tcase(suite, tests);
    return suite;
}
