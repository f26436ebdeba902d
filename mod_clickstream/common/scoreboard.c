/* What the sender of a stream tells the world about its work.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/scoreboard.h"

#include <string.h>

/* How often a reader tries to get a copy that nobody wrote over meanwhile. */
#define ATTEMPTS 8

void cs_scoreboard_put_trouble(cs_scoreboard_t *board, const cs_trouble_t *trouble)
{
    apr_uint32_t turn = board->trouble_turn + 1;

    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* nobody must see this place change before the last turn */
    board->trouble[turn & 1] = *trouble;
    __atomic_store_n(&board->trouble_turn, turn, __ATOMIC_RELEASE);
}

cs_trouble_t cs_scoreboard_trouble(const cs_scoreboard_t *board)
{
    cs_trouble_t trouble;

    for (int i = 0; i < ATTEMPTS; i++) {
        apr_uint32_t turn = __atomic_load_n(&board->trouble_turn, __ATOMIC_ACQUIRE);
        memcpy(&trouble, &board->trouble[turn & 1], sizeof(trouble));
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&board->trouble_turn, __ATOMIC_RELAXED) == turn)
            break;
    }
    /* Whatever the file holds: these are texts. */
    trouble.reason[CS_TROUBLE_REASON - 1] = trouble.advice[CS_TROUBLE_ADVICE - 1] = '\0';
    return trouble;
}

void cs_scoreboard_put_sample(cs_scoreboard_t *board, const cs_sample_t *sample)
{
    apr_uint64_t sampled = board->sampled;

    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* as above */
    board->samples[sampled % (CS_SAMPLES + 1)] = *sample;
    __atomic_store_n(&board->sampled, sampled + 1, __ATOMIC_RELEASE);
}

apr_time_t cs_scoreboard_last_sample(const cs_scoreboard_t *board)
{
    return board->sampled ? board->samples[(board->sampled - 1) % (CS_SAMPLES + 1)].at : 0;
}

/* The ring has one more place than there are samples to read: the one that is being written. */
int cs_scoreboard_samples(cs_sample_t samples[CS_SAMPLES], const cs_scoreboard_t *board, apr_time_t now)
{
    int count = 0;

    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        apr_uint64_t sampled = __atomic_load_n(&board->sampled, __ATOMIC_ACQUIRE);
        count = 0;
        for (apr_uint64_t i = sampled > CS_SAMPLES ? sampled - CS_SAMPLES : 0; i < sampled; i++) {
            memcpy(&samples[count], &board->samples[i % (CS_SAMPLES + 1)], sizeof(*samples));
            /* Clocks are set, and senders pause: what is from long ago, or from the future, tells nothing. */
            if (samples[count].at > now || samples[count].at < now - CS_SAMPLES * CS_SAMPLE_INTERVAL)
                continue;
            if (count && samples[count].at <= samples[count - 1].at)
                continue;
            count++;
        }
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&board->sampled, __ATOMIC_RELAXED) == sampled)
            break;
    }
    return count;
}
