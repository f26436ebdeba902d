/* How long to wait before trying again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "deliver/backoff.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define HALF 0x80000000u
#define MOST 0xFFFFFFFFu

static const struct {
    int failures;
    apr_uint32_t random;
    apr_interval_time_t delay; /* in microseconds */
} delays[] = {
    {1, 0, 0},
    {1, HALF, 50000},
    {1, MOST, 99999},
    {2, HALF, 100000},
    {3, HALF, 200000},
    {4, HALF, 400000},
    {8, HALF, 6400000},
    {9, HALF, 12800000},
    {9, MOST, 25599999},
    {10, HALF, 15000000}, /* 51.2 s would be too long */
    {10, MOST, 29999999},
    {11, HALF, 15000000},
    {1000000, 0, 0},
    {1000000, MOST, 29999999},
    {2147483647, HALF, 15000000},
};

START_TEST(doubles_up_to_a_ceiling)
{
    ck_assert_int_eq(cs_backoff_delay(delays[_i].failures, delays[_i].random), delays[_i].delay);
}
END_TEST

Suite *backoff_suite(void)
{
    Suite *suite = suite_create("backoff");
    TCase *tests = test_case("backoff");

    tcase_add_loop_test(tests, doubles_up_to_a_ceiling, 0, ELEMENTS(delays));
    suite_add_tcase(suite, tests);
    return suite;
}
