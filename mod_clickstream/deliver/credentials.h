/* The AWS credentials that are in force: found when they are first needed, kept, and found anew in time.
 *
 * Those that expire are found anew from five minutes before; while that fails they are used until they expire, and it
 * is tried once a minute. AWS's refusal makes us look again, once a minute. Where they are found is chain.h's matter.
 * Belongs to the sender's thread. No secret ever leaves in a message. The time is an argument: AWS's (clock.h).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_CREDENTIALS_H
#define CS_CREDENTIALS_H

#include <apr_pools.h>
#include <apr_time.h>

#include "common/log.h"

typedef struct cs_credentials_t {
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* NULL: long-term credentials have none */
    apr_time_t expires;        /* 0: never */
} cs_credentials_t;

/* The answer of a place where credentials, or a region, may be. */
typedef enum {
    CS_ABSENT, /* nothing is set up there: look on */
    CS_FOUND,
    CS_FAILED, /* something is set up there, and it does not work: say so, rather than look on */
} cs_found_t;

/* Why there are none, and what an operator can do about it. `why` is NULL where we only have to end. */
typedef struct cs_lack_t {
    const char *why, *advice;
} cs_lack_t;

/* Finds them: CS_FOUND or CS_FAILED. What it finds is in `pool`, and so is what it says. */
typedef cs_found_t cs_credentials_find_t(void *from, cs_credentials_t *found, cs_lack_t *lack, apr_pool_t *pool);
/* Whether what was found last is to be forgotten at once: a file has changed. */
typedef int cs_credentials_changed_t(void *from);

typedef struct cs_credentials_source_t {
    cs_credentials_find_t *find;
    cs_credentials_changed_t *changed;
    void *from;
    const cs_log_t *log;
    const char *stream; /* its name, for the log */

    /* Private. */
    apr_pool_t *parent, *pool; /* `pool` holds what was found; NULL: nothing was */
    cs_credentials_t kept;
    cs_lack_t lack;
    apr_time_t tried_at;   /* when we last looked */
    apr_time_t refused_at; /* when a refusal last had an effect; 0: never */
    int refused;
    int came_expired; /* AWS may think otherwise, and then tells us its time */
} cs_credentials_source_t;

/* Of the struct the first part is given. */
void cs_credentials_init(cs_credentials_source_t *source, apr_pool_t *pool);

/* The credentials of now; they are valid until the next call for this source. NULL: there are none, and `lack` says
 * why, until the next call. */
const cs_credentials_t *cs_credentials_get(cs_credentials_source_t *source, cs_lack_t *lack, apr_time_t now);

/* AWS refused them. */
void cs_credentials_refused(cs_credentials_source_t *source, apr_time_t now);

/* What is wrong with the form of these, in a few words; NULL: nothing. They come from outside, and go into headers. */
const char *cs_credentials_flaw(const cs_credentials_t *credentials);

#endif
