/* The scoreboard: what is read of it, and that nothing half written ever is.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/scoreboard.h"

#define NOW apr_time_from_sec(1700000000)
#define PLACES (CS_SAMPLES + 1)

/* As the file has it when it is made. */
static cs_scoreboard_t *new_board(void)
{
    return apr_pcalloc(pool, sizeof(cs_scoreboard_t));
}

static void put_samples(cs_scoreboard_t *board, int count, apr_time_t first, apr_interval_time_t step)
{
    for (int i = 0; i < count; i++)
        cs_scoreboard_put_sample(board, &(cs_sample_t){.at = first + i * step, .accepted = (apr_uint64_t)i});
}

START_TEST(tells_nothing_yet)
{
    cs_scoreboard_t *board = new_board();
    cs_sample_t samples[CS_SAMPLES];
    cs_trouble_t trouble = cs_scoreboard_trouble(board);

    ck_assert_int_eq(trouble.since, 0);
    ck_assert_int_eq(trouble.last, 0);
    ck_assert_str_eq(trouble.reason, "");
    ck_assert_str_eq(trouble.advice, "");
    ck_assert_int_eq(cs_scoreboard_samples(samples, board, NOW), 0);
    ck_assert_int_eq(cs_scoreboard_last_sample(board), 0);
}
END_TEST

START_TEST(the_last_trouble_is_told)
{
    cs_scoreboard_t *board = new_board();

    for (unsigned i = 1; i < 6; i++) {
        cs_trouble_t put = {.since = NOW, .last = NOW + i, .failures = i, .most_waiting = 10 * i}, got;
        memset(put.reason, 'a' + (int)i, i);
        memset(put.advice, 'A' + (int)i, i);
        cs_scoreboard_put_trouble(board, &put);
        got = cs_scoreboard_trouble(board);
        ck_assert_mem_eq(&got, &put, sizeof(put));
    }
}
END_TEST

START_TEST(texts_have_an_end)
{
    cs_scoreboard_t *board = new_board();
    cs_trouble_t trouble;

    memset(board->trouble, 'x', sizeof(board->trouble)); /* a file may hold anything */
    trouble = cs_scoreboard_trouble(board);
    ck_assert_uint_eq(strlen(trouble.reason), CS_TROUBLE_REASON - 1);
    ck_assert_uint_eq(strlen(trouble.advice), CS_TROUBLE_ADVICE - 1);
}
END_TEST

/* As many as were taken, and the newest of them. */
static const int counts[] = {1, 2, CS_SAMPLES - 1, CS_SAMPLES, CS_SAMPLES + 1, CS_SAMPLES + 2, 10 * CS_SAMPLES + 7};

START_TEST(the_newest_samples_are_told)
{
    cs_scoreboard_t *board = new_board();
    cs_sample_t samples[CS_SAMPLES];
    int put = counts[_i], kept = put < CS_SAMPLES ? put : CS_SAMPLES;

    put_samples(board, put, NOW - put, 1);
    ck_assert_int_eq(cs_scoreboard_last_sample(board), NOW - 1);
    ck_assert_int_eq(cs_scoreboard_samples(samples, board, NOW), kept);
    for (int i = 0; i < kept; i++) {
        ck_assert_uint_eq(samples[i].accepted, (apr_uint64_t)(put - kept + i));
        ck_assert_int_eq(samples[i].at, NOW - kept + i);
    }
}
END_TEST

/* Samples at these times, in intervals from now; and which of them are told. */
static const struct {
    int at[6], count;
    const char *told;
} times[] = {
    {{-3, -2, -1}, 3, "012"},
    {{-CS_SAMPLES, -1}, 2, "01"},         /* just not too old */
    {{-CS_SAMPLES - 1, -1}, 2, "1"},      /* from before a long pause */
    {{-1000, -999}, 2, ""},               /* all of them */
    {{-3, 5, -1}, 3, "02"},               /* the clock was ahead for a while */
    {{5, 6}, 2, ""},                      /* and was set back */
    {{-3, -2, -4, -1}, 4, "013"},         /* it was set back a little */
    {{-3, -3, -2, -2, -1, -1}, 6, "024"}, /* a moment has one sample */
    {{0}, 1, "0"},
};

START_TEST(what_time_tells_nothing_is_left_out)
{
    cs_scoreboard_t *board = new_board();
    cs_sample_t samples[CS_SAMPLES];
    char told[8] = "";

    for (int i = 0; i < times[_i].count; i++)
        cs_scoreboard_put_sample(
            board, &(cs_sample_t){.at = NOW + times[_i].at[i] * CS_SAMPLE_INTERVAL, .accepted = (apr_uint64_t)i});
    for (int i = 0, count = cs_scoreboard_samples(samples, board, NOW); i < count; i++)
        told[i] = (char)('0' + samples[i].accepted);
    ck_assert_str_eq(told, times[_i].told);
}
END_TEST

/* What a dead writer left half done lies where nobody looks. */
START_TEST(a_dead_writer_leaves_what_was_current)
{
    cs_scoreboard_t *board = new_board();
    cs_trouble_t put = {.since = NOW, .reason = "whole"};
    cs_sample_t samples[CS_SAMPLES];

    for (int i = 0; i < 3; i++)
        cs_scoreboard_put_trouble(board, &put);
    put_samples(board, 2 * PLACES, NOW - 2 * PLACES, 1);
    memset(&board->trouble[(board->trouble_turn + 1) & 1], 'x', sizeof(cs_trouble_t));
    memset(&board->samples[board->sampled % PLACES], 'x', sizeof(cs_sample_t));
    ck_assert_str_eq(cs_scoreboard_trouble(board).reason, "whole");
    ck_assert_int_eq(cs_scoreboard_samples(samples, board, NOW), CS_SAMPLES);
    ck_assert_int_eq(samples[0].at, NOW - CS_SAMPLES);
}
END_TEST

/* --- readers against a writer of another process --- */

#define READERS 2
#define HAMMERED 0.5 /* seconds, at the least */
#define WRITES_SEEN 100

static struct {
    cs_scoreboard_t *board;
    int stop;
} arena;

/* Each place of what is written says the same number. */
static void write_number(cs_scoreboard_t *board, apr_uint64_t number)
{
    cs_trouble_t trouble = {.since = (apr_time_t)number, .failures = number, .most_waiting = number};
    cs_sample_t sample = {.at = NOW + (apr_time_t)number, .accepted = number, .used = number};

    memset(trouble.reason, 'a' + (int)(number % 26), CS_TROUBLE_REASON - 1);
    memset(trouble.advice, 'a' + (int)(number % 26), CS_TROUBLE_ADVICE - 1);
    for (int i = 0; i < CS_LATENCY_BUCKETS; i++)
        sample.latency[i] = number;
    cs_scoreboard_put_trouble(board, &trouble);
    cs_scoreboard_put_sample(board, &sample);
}

/* Bursts, so that a reader's copy is written over, and pauses, as a reader gives up after some attempts. */
static void write_for_ever(cs_scoreboard_t *board)
{
    for (apr_uint64_t number = 2;; number++) {
        write_number(board, number);
        if (number % 8 == 0)
            usleep(50);
    }
}

static int trouble_is_whole(const cs_trouble_t *trouble)
{
    char letter = (char)('a' + trouble->failures % 26);

    return trouble->since == (apr_time_t)trouble->failures && trouble->most_waiting == trouble->failures &&
           trouble->reason[0] == letter && strspn(trouble->reason, (char[]){letter, 0}) == CS_TROUBLE_REASON - 1 &&
           strspn(trouble->advice, (char[]){letter, 0}) == CS_TROUBLE_ADVICE - 1;
}

static int samples_are_whole(const cs_sample_t *samples, int count)
{
    for (int i = 0; i < count; i++) {
        apr_uint64_t number = samples[i].accepted;
        if (samples[i].at != NOW + (apr_time_t)number || samples[i].used != number ||
            (i && number != samples[i - 1].accepted + 1))
            return 0;
        for (int j = 0; j < CS_LATENCY_BUCKETS; j++) {
            if (samples[i].latency[j] != number)
                return 0;
        }
    }
    return count > 0;
}

/* Goes on until it is to stop, and has seen the writer write. Returns how much it has read, or NULL where something was
 * not whole. */
static void *read_on(void *unused)
{
    static cs_sample_t samples[READERS][CS_SAMPLES];
    static int readers;
    cs_sample_t *mine = samples[__atomic_fetch_add(&readers, 1, __ATOMIC_RELAXED) % READERS];
    apr_uint64_t reads = 0, last = 0;

    (void)unused;
    while (last < WRITES_SEEN || !__atomic_load_n(&arena.stop, __ATOMIC_RELAXED)) {
        cs_trouble_t trouble = cs_scoreboard_trouble(arena.board);
        int count = cs_scoreboard_samples(mine, arena.board, NOW + apr_time_from_sec(60));
        if (!trouble_is_whole(&trouble) || trouble.failures < last || !samples_are_whole(mine, count))
            return NULL;
        last = trouble.failures;
        reads++;
    }
    return (void *)(apr_uintptr_t)reads;
}

START_TEST(readers_never_see_a_half)
{
    pthread_t readers[READERS];
    pid_t writer;
    int status;

    arena.board = mmap(NULL, sizeof(cs_scoreboard_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(arena.board, MAP_FAILED);
    arena.stop = 0;
    write_number(arena.board, 1);
    writer = fork();
    if (writer == 0)
        write_for_ever(arena.board);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_on, NULL), 0);
    usleep((useconds_t)(HAMMERED * 1e6));
    __atomic_store_n(&arena.stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < READERS; i++) {
        void *reads;
        pthread_join(readers[i], &reads);
        ck_assert_ptr_nonnull(reads);
    }
    /* And when the writer is killed in the middle. */
    kill(writer, SIGKILL);
    ck_assert_int_eq(waitpid(writer, &status, 0), writer);
    ck_assert_int_eq(WIFSIGNALED(status), 1);
    ck_assert_int_eq(trouble_is_whole(&(cs_trouble_t[]){cs_scoreboard_trouble(arena.board)}[0]), 1);
    munmap(arena.board, sizeof(cs_scoreboard_t));
}
END_TEST

Suite *scoreboard_suite(void)
{
    Suite *suite = suite_create("scoreboard");
    TCase *tests = test_case("scoreboard");

    tcase_add_test(tests, tells_nothing_yet);
    tcase_add_test(tests, the_last_trouble_is_told);
    tcase_add_test(tests, texts_have_an_end);
    tcase_add_loop_test(tests, the_newest_samples_are_told, 0, sizeof(counts) / sizeof(counts[0]));
    tcase_add_loop_test(tests, what_time_tells_nothing_is_left_out, 0, sizeof(times) / sizeof(times[0]));
    tcase_add_test(tests, a_dead_writer_leaves_what_was_current);
    tcase_add_test(tests, readers_never_see_a_half);
    suite_add_tcase(suite, tests);
    return suite;
}
