/* The AWS credentials that are in force.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/credentials.h"

#include <string.h>

#include "common/text.h"

/* Before they expire. AWS's services renew theirs from 5 to 15 minutes before. */
#define EARLY apr_time_from_sec(300)
#define INTERVAL apr_time_from_sec(60)

void cs_credentials_init(cs_credentials_source_t *source, apr_pool_t *pool)
{
    source->parent = pool;
}

/* Whether `then` is less than an interval ago. It may seem to lie ahead: AWS tells its time in whole seconds, and
 * clocks are set back. */
static int is_recent(apr_time_t then, apr_time_t now)
{
    return then && now - then < INTERVAL && then - now < INTERVAL;
}

static int is_over(const cs_credentials_t *credentials, apr_time_t now)
{
    return credentials->expires && now >= credentials->expires;
}

static void forget(cs_credentials_source_t *source)
{
    if (source->pool)
        apr_pool_destroy(source->pool);
    source->pool = NULL;
    source->kept = (cs_credentials_t){NULL};
}

/* Whether those that we keep will do without looking again. From when they are to be renewed on, a try holds for an
 * interval. */
static int will_do(const cs_credentials_source_t *source, apr_time_t now)
{
    const cs_credentials_t *kept = &source->kept;
    apr_time_t renewal = kept->expires - EARLY;

    if (!kept->access_key || source->refused || (is_over(kept, now) && !source->came_expired))
        return 0;
    return !kept->expires || now < renewal || (source->tried_at >= renewal && is_recent(source->tried_at, now));
}

static void log_failure(const cs_credentials_source_t *source)
{
    const cs_credentials_t *kept = &source->kept;
    char until[CS_TIME_TEXT] = "AWS no longer takes them";

    if (!source->lack.why)
        return;
    if (kept->expires)
        cs_time_text(until, kept->expires);
    cs_log(source->log, CS_LOG_WARNING, APR_SUCCESS,
           "stream %s: the credentials could not be renewed: %s; %s. The old ones are used until %s, and it is tried "
           "again in a minute",
           source->stream, source->lack.why, source->lack.advice, until);
}

const cs_credentials_t *cs_credentials_get(cs_credentials_source_t *source, cs_lack_t *lack, apr_time_t now)
{
    cs_credentials_t found = {NULL};
    apr_pool_t *pool;

    if (source->kept.access_key && source->changed(source->from))
        forget(source);
    if (will_do(source, now))
        return &source->kept;
    source->tried_at = now;
    source->refused = 0;
    apr_pool_create(&pool, source->parent);
    if (source->find(source->from, &found, &source->lack, pool) == CS_FOUND) {
        forget(source);
        source->kept = found;
        source->pool = pool;
        source->came_expired = is_over(&found, now);
        return &source->kept;
    }
    if (source->kept.access_key && !is_over(&source->kept, now)) {
        log_failure(source);
        apr_pool_destroy(pool);
        return &source->kept;
    }
    forget(source);
    source->pool = pool; /* has what `lack` says */
    *lack = source->lack;
    return NULL;
}

void cs_credentials_refused(cs_credentials_source_t *source, apr_time_t now)
{
    if (is_recent(source->refused_at, now))
        return;
    source->refused_at = now;
    source->refused = 1;
}

static int is_printable(const char *text)
{
    while (*text > ' ' && *text < 0x7F)
        text++;
    return !*text;
}

const char *cs_credentials_flaw(const cs_credentials_t *credentials)
{
    if (!credentials->access_key || !*credentials->access_key)
        return "no access key";
    if (!credentials->secret_key || !*credentials->secret_key)
        return "no secret key";
    if (!is_printable(credentials->access_key) || !is_printable(credentials->secret_key) ||
        (credentials->session_token && !is_printable(credentials->session_token)))
        return "a key or token with blanks or other characters that none has";
    return NULL;
}
