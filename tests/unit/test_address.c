/* Addresses: what is left of them, one by one and in lists.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>
#include <sys/resource.h>

#include "collect/address.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define LONG "2001:0db8:0000:0000:0000:0000:0000:0001"
#define FIFTY "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *list;
    const char *left; /* NULL: nothing */
} lists[] = {
    /* IPv4 */
    {"192.0.2.1", "192.0.2.0"},
    {"192.0.2.0", "192.0.2.0"},
    {"255.255.255.255", "255.255.255.0"},
    {"0.0.0.0", "0.0.0.0"},
    {"192.0.2.1:8080", "192.0.2.0"},
    {"192.0.2.1:", "192.0.2.0"},
    {"192.0.2.256", NULL},
    {"192.0.2", NULL},
    {"192.0.2.1.5", NULL},
    {"192.0.2.-1", NULL},
    {"192.0.2.01", NULL},
    {"3221225985", NULL},
    {"0xC0000201", NULL},
    /* IPv6 */
    {"2001:db8:1:2:3:4:5:6", "2001:db8:1::"},
    {"2001:DB8:1:2::6", "2001:db8:1::"},
    {LONG, "2001:db8::"},
    {"2001:db8::1", "2001:db8::"},
    {"::1", "::"},
    {"::", "::"},
    {"[2001:db8:1:2::6]", "2001:db8:1::"},
    {"[2001:db8:1:2::6]:443", "2001:db8:1::"},
    {"[2001:db8:1:2::6", "2001:db8:1::"},
    {"fe80::1:2%eth0", "fe80::"},
    {"[fe80::1:2%eth0]:80", "fe80::"},
    {"2001:db8:1:2:3:4:5:6:7", NULL},
    {"2001:db8::1::2", NULL},
    {"2001:db8:12345::", NULL},
    {"[]", NULL},
    {"[]:80", NULL},
    {"[", NULL},
    {"]", NULL},
    {":", NULL},
    {":80", NULL},
    {"%eth0", NULL},
    /* IPv4 within IPv6 */
    {"::ffff:192.0.2.1", "192.0.2.0"},
    {"::FFFF:c000:0201", "192.0.2.0"},
    {"[::ffff:192.0.2.1]:80", "192.0.2.0"},
    {"::ffff:192.0.2.256", NULL},
    {"::192.0.2.1", "::"},
    {"::fffe:192.0.2.1", "::"},
    /* lists */
    {"192.0.2.1, 198.51.100.7", "192.0.2.0, 198.51.100.0"},
    {"192.0.2.1,198.51.100.7:80,2001:db8:1:2::6", "192.0.2.0, 198.51.100.0, 2001:db8:1::"},
    {"\t192.0.2.1 ,\t 198.51.100.7 ", "192.0.2.0, 198.51.100.0"},
    {",192.0.2.1,,", "192.0.2.0"},
    {"192.0.2.1, 192.0.2.2", "192.0.2.0, 192.0.2.0"},
    {"unknown, 192.0.2.1", "192.0.2.0"},
    {"192.0.2.1, _hidden, 198.51.100.7", "192.0.2.0, 198.51.100.0"},
    /* nothing that is an address */
    {NULL, NULL},
    {"", NULL},
    {" , ,\t", NULL},
    {"unknown", NULL},
    {"www.example.com", NULL},
    {"192.0.2.1\"", NULL},
    {"<script>", NULL},
    {FIFTY FIFTY FIFTY FIFTY, NULL},
    {"192.0.2.1" FIFTY FIFTY, NULL},
    {"2001:db8:" FIFTY FIFTY, NULL},
    {LONG LONG ", 192.0.2.1", "192.0.2.0"},
};

START_TEST(anonymizes)
{
    const char *list = lists[_i].list, *before = apr_pstrdup(pool, list);

    ck_assert_pstr_eq(cs_address_anonymize(list, pool), lists[_i].left);
    ck_assert_pstr_eq(list, before);
}
END_TEST

/* A list is as long as a client makes it: that must not cost the square of it. */
START_TEST(takes_a_long_list)
{
    enum { COUNT = 20000, MOST_KIB = 64 * 1024 };
    char *list = apr_pcalloc(pool, COUNT * 3 + 1), *left = apr_pcalloc(pool, COUNT * 4 + 1);
    struct rusage before, after;

    for (int i = 0; i < COUNT; i++) {
        memcpy(list + 3 * i, "::,", 3);
        memcpy(left + 4 * i, "::, ", 4);
    }
    left[4 * COUNT - 2] = '\0';
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
    ck_assert_str_eq(cs_address_anonymize(list, pool), left);
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, MOST_KIB);
}
END_TEST

Suite *address_suite(void)
{
    Suite *suite = suite_create("address");
    TCase *tests = test_case("address");

    tcase_add_loop_test(tests, anonymizes, 0, ELEMENTS(lists));
    tcase_add_test(tests, takes_a_long_list);
    suite_add_tcase(suite, tests);
    return suite;
}
