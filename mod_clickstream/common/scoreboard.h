/* What the sender of a stream tells the world about its work: it lies in the queue file, beside the counters.
 *
 * Properties: it outlives every process, so that an outage is one outage whichever process is the sender. All zero
 *   is a scoreboard that has nothing to tell yet.
 * Operation: only whoever holds the sender lock writes. Numbers are stored one by one; texts and samples are kept
 *   twice or more, written where nobody looks, and then made current by one store: a writer that dies leaves what
 *   was current before.
 * Safety: anyone may read at any time, through the functions below. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_SCOREBOARD_H
#define CS_SCOREBOARD_H

#include <apr_time.h>

#include "common/metrics.h"

/* Trouble: from the first failure of a delivery until everything that failed is through. */
#define CS_TROUBLE_REASON 512
#define CS_TROUBLE_ADVICE 256
typedef struct cs_trouble_t {
    apr_time_t since;                                          /* when that which goes on began; 0: nothing goes on */
    apr_time_t last;                                           /* when something failed last, ever; 0: never */
    apr_time_t logged;                                         /* when a line was written about it */
    apr_uint64_t failures;                                     /* since it began */
    apr_uint64_t most_waiting;                                 /* events that waited at most since then */
    char reason[CS_TROUBLE_REASON], advice[CS_TROUBLE_ADVICE]; /* of the last failure; "": none ever */
} cs_trouble_t;

/* The counters at one moment. A rate is the difference of two samples. */
#define CS_SAMPLE_INTERVAL apr_time_from_sec(10)
#define CS_SAMPLES 61 /* ten minutes of them */
typedef struct cs_sample_t {
    apr_time_t at;
    apr_uint64_t accepted, delivered, refused, retried; /* events since the file was made */
    apr_uint64_t waiting, used;                         /* events, bytes of the queue */
    apr_uint64_t latency[CS_LATENCY_BUCKETS];           /* events delivered within each bound and not the one before */
} cs_sample_t;

typedef struct cs_scoreboard_t {
    apr_time_t seen;        /* when the sender was last at work; written about once a second */
    apr_uint64_t under_way; /* events that a sink holds: where their sender died, they may arrive twice */
    apr_uint32_t trouble_turn;
    apr_uint32_t reserved;
    cs_trouble_t trouble[2];
    apr_uint64_t sampled; /* how many samples were ever taken */
    cs_sample_t samples[CS_SAMPLES + 1];
} cs_scoreboard_t;

/* --- for the sender --- */

void cs_scoreboard_put_trouble(cs_scoreboard_t *board, const cs_trouble_t *trouble);
void cs_scoreboard_put_sample(cs_scoreboard_t *board, const cs_sample_t *sample);
/* When the last sample was taken, or 0. */
apr_time_t cs_scoreboard_last_sample(const cs_scoreboard_t *board);

/* --- for anyone --- */

cs_trouble_t cs_scoreboard_trouble(const cs_scoreboard_t *board);

/* Copies the samples not older than CS_SAMPLES intervals before `now`, the oldest first; returns how many. */
int cs_scoreboard_samples(cs_sample_t samples[CS_SAMPLES], const cs_scoreboard_t *board, apr_time_t now);

#endif
