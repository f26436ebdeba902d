/* Batches: how events are packed into records, and how a batch is taken apart again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_strings.h>
#include <string.h>

#include "deliver/batch.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char bytes[200000]; /* what events are made of */

static apr_size_t as_is(apr_size_t record)
{
    return record;
}

/* As Firehose counts: base64, and the JSON around it. */
static apr_size_t base64(apr_size_t record)
{
    return (record + 2) / 3 * 4 + 12;
}

static int add(cs_batch_t *batch, const cs_batch_limits_t *limits, apr_size_t length)
{
    return cs_batch_add(batch, limits,
                        (cs_batch_event_t){.id = (apr_uint64_t)batch->events->nelts, .data = {bytes, length}});
}

static const cs_batch_record_t *record_of(const cs_batch_t *batch, int i)
{
    return &APR_ARRAY_IDX(batch->records, i, cs_batch_record_t);
}

static apr_uint64_t id_of(const cs_batch_t *batch, int i)
{
    return APR_ARRAY_IDX(batch->events, i, cs_batch_event_t).id;
}

/* FIRST+COUNT:SIZE for each record. */
static const char *shape(const cs_batch_t *batch)
{
    const char *text = "";

    for (int i = 0; i < batch->records->nelts; i++) {
        const cs_batch_record_t *record = record_of(batch, i);
        text = apr_psprintf(pool, "%s%s%d+%d:%d", text, i ? " " : "", record->first, record->count, (int)record->size);
    }
    return text;
}

/* The ids of the events, in order. */
static const char *ids(const cs_batch_t *batch)
{
    const char *text = "";

    for (int i = 0; i < batch->events->nelts; i++)
        text = apr_psprintf(pool, "%s%s%d", text, i ? " " : "", (int)id_of(batch, i));
    return text;
}

static void check_cost(const cs_batch_t *batch, const cs_batch_limits_t *limits)
{
    apr_size_t cost = limits->batch_overhead;
    int next = 0;

    for (int i = 0; i < batch->records->nelts; i++) {
        const cs_batch_record_t *record = record_of(batch, i);
        apr_size_t size = 0;
        ck_assert_int_eq(record->first, next);
        for (int j = record->first; j < record->first + record->count; j++)
            size += APR_ARRAY_IDX(batch->events, j, cs_batch_event_t).data.length + limits->delimiter;
        ck_assert_uint_eq(record->size, size);
        cost += limits->cost(size);
        next += record->count;
    }
    ck_assert_int_eq(batch->events->nelts, next);
    ck_assert_uint_eq(batch->cost, cost);
}

/* Events of these sizes are added until one is refused, or there is a 0. */
static const struct {
    cs_batch_limits_t limits; /* its cost is filled in: the size */
    int sizes[8];
    int taken;
    const char *shape;
} packings[] = {
    /* into one record, up to its target */
    {{.records = 9, .record_target = 10, .batch = 100}, {4, 4, 2}, 3, "0+3:10"},
    {{.records = 9, .record_target = 10, .batch = 100}, {4, 4, 3, 7}, 4, "0+2:8 2+2:10"},
    {{.records = 9, .record_target = 10, .batch = 100, .delimiter = 1}, {4, 4, 2}, 3, "0+2:10 2+1:3"},
    {{.records = 9, .record_target = 10, .batch = 100}, {30, 1, 30}, 3, "0+1:30 1+1:1 2+1:30"},
    /* aggregate=off: one each */
    {{.records = 9, .record_target = 1, .batch = 100, .delimiter = 1}, {4, 1, 4}, 3, "0+1:5 1+1:2 2+1:5"},
    {{.records = 9, .record_target = 1, .batch = 100}, {4, 1, 4}, 3, "0+1:4 1+1:1 2+1:4"},
    /* the number of records */
    {{.records = 2, .record_target = 1, .batch = 100}, {4, 4, 4}, 2, "0+1:4 1+1:4"},
    {{.records = 2, .record_target = 10, .batch = 100}, {10, 5, 5, 1}, 3, "0+1:10 1+2:10"},
    {{.records = 1, .record_target = 10, .batch = 100}, {6, 6}, 1, "0+1:6"},
    /* the size of the batch, for a record that grows and for a new one */
    {{.records = 9, .record_target = 100, .batch = 10}, {4, 6, 1}, 2, "0+2:10"},
    {{.records = 9, .record_target = 100, .batch = 10}, {4, 7}, 1, "0+1:4"},
    {{.records = 9, .record_target = 1, .batch = 10}, {4, 7}, 1, "0+1:4"},
    {{.records = 9, .record_target = 1, .batch = 10}, {4, 6, 1}, 2, "0+1:4 1+1:6"},
    {{.records = 9, .record_target = 1, .batch = 10, .batch_overhead = 1}, {4, 6}, 1, "0+1:4"},
    /* an empty batch takes any event */
    {{.records = 9, .record_target = 10, .batch = 10}, {50, 1}, 1, "0+1:50"},
};

START_TEST(packs)
{
    cs_batch_limits_t limits = packings[_i].limits;
    cs_batch_t *batch;
    int taken = 0;

    limits.cost = as_is;
    batch = cs_batch_create(&limits, 4, pool);
    while (packings[_i].sizes[taken] && add(batch, &limits, (apr_size_t)packings[_i].sizes[taken]))
        taken++;
    ck_assert_int_eq(taken, packings[_i].taken);
    ck_assert_str_eq(shape(batch), packings[_i].shape);
    check_cost(batch, &limits);
}
END_TEST

/* Whatever comes, the limits hold and the cost is what the records cost. */
START_TEST(keeps_the_limits)
{
    const cs_batch_limits_t limits = {.records = 20,
                                      .record_target = 5120,
                                      .batch = 100000,
                                      .batch_overhead = 60,
                                      .cost = base64,
                                      .delimiter = (apr_size_t)(_i & 1)};
    cs_batch_t *batch = cs_batch_create(&limits, 4, pool);
    apr_uint32_t random = (apr_uint32_t)_i;

    do {
        random = random * 1664525 + 1013904223;
    } while (add(batch, &limits, 1 + (random >> 16) % (apr_uint32_t)(50 << _i % 8)));
    check_cost(batch, &limits);
    ck_assert_int_le(batch->records->nelts, limits.records);
    ck_assert_uint_le(batch->cost, limits.batch);
    ck_assert_int_gt(batch->events->nelts, 1);
    for (int i = 0; i < batch->events->nelts; i++)
        ck_assert_uint_eq(id_of(batch, i), (apr_uint64_t)i);
    for (int i = 0; i < batch->records->nelts; i++)
        ck_assert_msg(record_of(batch, i)->count == 1 || record_of(batch, i)->size <= limits.record_target, "record %d",
                      i);
}
END_TEST

static const cs_batch_limits_t pairs = {
    .records = 9, .record_target = 10, .batch = 1000, .batch_overhead = 7, .cost = base64, .delimiter = 1};

/* Five events of four bytes, two a record: 0 1, 2 3, 4. */
static cs_batch_t *five(void)
{
    cs_batch_t *batch = cs_batch_create(&pairs, 4, pool);

    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(add(batch, &pairs, 4), 1);
    ck_assert_str_eq(shape(batch), "0+2:10 2+2:10 4+1:5");
    return batch;
}

static const struct {
    cs_outcome_t outcomes[3];
    const char *ids, *shape; /* of what is to be sent again; NULL: nothing */
} selections[] = {
    {{CS_OUTCOME_RETRY, CS_OUTCOME_RETRY, CS_OUTCOME_RETRY}, "0 1 2 3 4", "0+2:10 2+2:10 4+1:5"},
    {{CS_OUTCOME_RETRY, CS_OUTCOME_DELIVERED, CS_OUTCOME_RETRY}, "0 1 4", "0+2:10 2+1:5"},
    {{CS_OUTCOME_DELIVERED, CS_OUTCOME_RETRY, CS_OUTCOME_DELIVERED}, "2 3", "0+2:10"},
    {{CS_OUTCOME_DELIVERED, CS_OUTCOME_DELIVERED, CS_OUTCOME_RETRY}, "4", "0+1:5"},
    {{CS_OUTCOME_DELIVERED, CS_OUTCOME_INVALID, CS_OUTCOME_DELIVERED}, NULL, NULL},
};

START_TEST(selects)
{
    cs_batch_t *batch = five(), *selected;

    for (int i = 0; i < 3; i++)
        APR_ARRAY_IDX(batch->records, i, cs_batch_record_t).outcome = selections[_i].outcomes[i];
    selected = cs_batch_select(batch, CS_OUTCOME_RETRY, &pairs, pool);
    apr_pool_destroy(batch->pool); /* nothing of it is needed any more */
    if (!selections[_i].ids) {
        ck_assert_ptr_null(selected);
        return;
    }
    ck_assert_str_eq(ids(selected), selections[_i].ids);
    ck_assert_str_eq(shape(selected), selections[_i].shape);
    ck_assert_int_eq(record_of(selected, 0)->outcome, CS_OUTCOME_RETRY);
    check_cost(selected, &pairs);
}
END_TEST

static void check_split(const cs_batch_t *batch, const char *first, const char *second)
{
    cs_batch_t *halves[2];

    cs_batch_split(halves, batch, &pairs, pool);
    ck_assert_str_eq(apr_psprintf(pool, "%s | %s", ids(halves[0]), shape(halves[0])), first);
    ck_assert_str_eq(apr_psprintf(pool, "%s | %s", ids(halves[1]), shape(halves[1])), second);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(halves[i]->attempts, batch->attempts);
        check_cost(halves[i], &pairs);
    }
}

START_TEST(splits)
{
    cs_batch_t *batch = five(), *halves[2], *quarters[2];

    batch->attempts = 3;
    check_split(batch, "0 1 | 0+2:10", "2 3 4 | 0+2:10 2+1:5");
    cs_batch_split(halves, batch, &pairs, pool);
    check_split(halves[0], "0 | 0+1:5", "1 | 0+1:5");
    cs_batch_split(quarters, halves[1], &pairs, pool);
    check_split(quarters[0], "2 | 0+1:5", "3 | 0+1:5");
    ck_assert_str_eq(ids(quarters[1]), "4");
}
END_TEST

START_TEST(splits_an_odd_record)
{
    cs_batch_limits_t limits = pairs;
    cs_batch_t *batch;

    limits.record_target = 100;
    batch = cs_batch_create(&limits, 4, pool);
    for (int i = 0; i < 3; i++)
        add(batch, &limits, 4);
    check_split(batch, "0 | 0+1:5", "1 2 | 0+2:10");
}
END_TEST

START_TEST(gives_all_one_outcome)
{
    cs_batch_t *batch = five();

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(record_of(batch, i)->outcome, CS_OUTCOME_RETRY);
    cs_batch_outcome(batch, CS_OUTCOME_INVALID);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(record_of(batch, i)->outcome, CS_OUTCOME_INVALID);
}
END_TEST

START_TEST(clock_goes_on)
{
    apr_time_t before = cs_monotonic();

    ck_assert_int_gt(before, 0);
    ck_assert_int_ge(cs_monotonic(), before);
}
END_TEST

Suite *batch_suite(void)
{
    Suite *suite = suite_create("batch");
    TCase *tests = test_case("batch");

    tcase_add_loop_test(tests, packs, 0, ELEMENTS(packings));
    tcase_add_loop_test(tests, keeps_the_limits, 0, 16);
    tcase_add_loop_test(tests, selects, 0, ELEMENTS(selections));
    tcase_add_test(tests, splits);
    tcase_add_test(tests, splits_an_odd_record);
    tcase_add_test(tests, gives_all_one_outcome);
    tcase_add_test(tests, clock_goes_on);
    suite_add_tcase(suite, tests);
    return suite;
}
