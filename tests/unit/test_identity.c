/* UUIDs: their bits, their order, and which texts are one.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "collect/identity.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* 2022-02-22T19:22:22.000Z: the moment of RFC 9562's own example (appendix A.6). */
#define MOMENT (APR_INT64_C(0x017F22E279B0) * 1000)

static const struct {
    const char *random; /* 16 bytes */
    const char *of_random, *of_time;
} bits[] = {
    {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "00000000-0000-4000-8000-000000000000",
     "017f22e2-79b0-7000-8000-000000000000"},
    {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "ffffffff-ffff-4fff-bfff-ffffffffffff",
     "017f22e2-79b0-7fff-bf7f-ffffffffffff"},
    {"\x91\x91\x08\xf7\x52\xd1\x33\x20\x5b\xac\xf8\x47\xdb\x41\x48\xa8", "919108f7-52d1-4320-9bac-f847db4148a8",
     "017f22e2-79b0-7320-9b2c-f847db4148a8"},
};

START_TEST(sets_version_and_variant)
{
    const unsigned char *random = (const unsigned char *)bits[_i].random;
    cs_uuid_text_t text;

    cs_uuid_random(text, random);
    ck_assert_str_eq(text, bits[_i].of_random);
    ck_assert(cs_is_uuid(text, strlen(text)));
    cs_uuid_timed(text, random, MOMENT, 0);
    ck_assert_str_eq(text, bits[_i].of_time);
    ck_assert(cs_is_uuid(text, strlen(text)));
}
END_TEST

static const struct {
    apr_time_t now;
    const char *prefix;
} times[] = {
    {0, "00000000-0000-7"},
    {999, "00000000-0000-7"},
    {1000, "00000000-0001-7"},
    {MOMENT + 999, "017f22e2-79b0-7"},
    {MOMENT + 1000, "017f22e2-79b1-7"},
    {APR_INT64_C(0xFFFFFFFFFFFF) * 1000, "ffffffff-ffff-7"}, /* in the year 10889 */
};

START_TEST(begins_with_the_time)
{
    static const unsigned char random[16] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    cs_uuid_text_t text;

    cs_uuid_timed(text, random, times[_i].now, 7);
    ck_assert_int_eq(strncmp(text, times[_i].prefix, strlen(times[_i].prefix)), 0);
}
END_TEST

/* The numbers of a request, in their order, and what they become where the randomness is the highest there is. */
static const struct {
    apr_uint32_t number;
    const char *text;
} numbers[] = {
    {0, "017f22e2-79b0-7fff-bf7f-ffffffffffff"},     {1, "017f22e2-79b0-7fff-bf80-000000000000"},
    {2, "017f22e2-79b0-7fff-bf80-000000000001"},     {255, "017f22e2-79b0-7fff-bf80-0000000000fe"},
    {256, "017f22e2-79b0-7fff-bf80-0000000000ff"},   {257, "017f22e2-79b0-7fff-bf80-000000000100"},
    {99999, "017f22e2-79b0-7fff-bf80-00000001869e"}, {0xFFFFFFFF, "017f22e2-79b0-7fff-bf80-0000fffffffe"},
};

START_TEST(ascends_within_a_request)
{
    unsigned char highest[16];
    cs_uuid_text_t text, before = "";

    memset(highest, 0xFF, sizeof(highest));
    for (int i = 0; i < ELEMENTS(numbers); i++) {
        cs_uuid_timed(text, highest, MOMENT, numbers[i].number);
        ck_assert_str_eq(text, numbers[i].text);
        ck_assert_int_gt(strcmp(text, before), 0);
        memcpy(before, text, sizeof(text));
    }
}
END_TEST

/* Each digit carries over into the one before it. */
START_TEST(ascends_over_each_digit)
{
    for (int ones = 0; ones <= 7; ones++) {
        unsigned char random[16] = {0};
        cs_uuid_text_t text, before = "";
        memset(random + 16 - ones, 0xFF, (size_t)ones);
        for (apr_uint32_t number = 0; number < 600; number++) {
            cs_uuid_timed(text, random, MOMENT, number);
            ck_assert_int_gt(strcmp(text, before), 0);
            memcpy(before, text, sizeof(text));
        }
    }
}
END_TEST

START_TEST(leaves_the_randomness_alone)
{
    unsigned char random[16], same[16];
    cs_uuid_text_t text;

    memset(random, 0xAB, sizeof(random));
    memset(same, 0xAB, sizeof(same));
    cs_uuid_random(text, random);
    cs_uuid_timed(text, random, MOMENT, 1);
    ck_assert_mem_eq(random, same, sizeof(same));
}
END_TEST

#define GOOD "919108f7-52d1-4320-9bac-f847db4148a8"

static const struct {
    const char *text;
    int good;
} texts[] = {
    {GOOD, 1},
    {"00000000-0000-0000-0000-000000000000", 1},
    {"ffffffff-ffff-ffff-ffff-ffffffffffff", 1},
    {"", 0},
    {"919108F7-52D1-4320-9BAC-F847DB4148A8", 0},
    {"919108f7-52d1-4320-9bac-f847db4148a", 0},
    {GOOD "0", 0},
    {GOOD " ", 0},
    {" 919108f7-52d1-4320-9bac-f847db4148a", 0},
    {"919108f752d143209bacf847db4148a80000", 0},
    {"919108f7-52d1-4320-9bacf-847db4148a8", 0},
    {"919108f-752d1-4320-9bac-f847db4148a8", 0},
    {"919108f7_52d1_4320_9bac_f847db4148a8", 0},
    {"919108f7-52d1-4320-9bac--847db4148a8", 0},
    {"g19108f7-52d1-4320-9bac-f847db4148a8", 0},
    {"919108f7-52d1-4320-9bac-f847db4148a:", 0},
    {"919108f7-52d1-4320-9bac-f847db4148a\"", 0},
    {"{919108f7-52d1-4320-9bac-f847db4148}", 0},
    {"919108f7-52d1-4320-9bac-f847db4148\xC3\xA9", 0},
};

START_TEST(knows_uuids)
{
    size_t length = strlen(texts[_i].text);
    char *exact = malloc(length); /* not from the pool: nothing may be read behind it */

    memcpy(exact, texts[_i].text, length);
    ck_assert_msg(cs_is_uuid(exact, length) == texts[_i].good, "%s", texts[_i].text);
    free(exact);
}
END_TEST

START_TEST(uuid_with_a_nul_is_none)
{
    static const char text[] = "919108f7-52d1-4320-9bac-f847db4148a\0";

    ck_assert_int_eq(cs_is_uuid(text, sizeof(text) - 1), 0);
}
END_TEST

Suite *identity_suite(void)
{
    Suite *suite = suite_create("identity");
    TCase *tests = test_case("identity");

    tcase_add_loop_test(tests, sets_version_and_variant, 0, ELEMENTS(bits));
    tcase_add_loop_test(tests, begins_with_the_time, 0, ELEMENTS(times));
    tcase_add_test(tests, ascends_within_a_request);
    tcase_add_test(tests, ascends_over_each_digit);
    tcase_add_test(tests, leaves_the_randomness_alone);
    tcase_add_loop_test(tests, knows_uuids, 0, ELEMENTS(texts));
    tcase_add_test(tests, uuid_with_a_nul_is_none);
    suite_add_tcase(suite, tests);
    return suite;
}
