/* What a request to AWS is signed with.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/access.h"

#include <apr_strings.h>

#include "deliver/chain.h"

struct cs_access_t {
    cs_clock_t clock;
    cs_chain_t chain;
    cs_search_t search;
    cs_halt_t halt;
    cs_credentials_source_t credentials;
    const char *region; /* NULL: not known yet */
    apr_pool_t *pool, *scratch;
};

static cs_found_t find(void *from, cs_credentials_t *found, cs_lack_t *lack, apr_pool_t *pool)
{
    cs_access_t *access = from;
    char until[CS_TIME_TEXT] = "for good";
    cs_found_t result;

    access->search.pool = pool;
    result = cs_chain_credentials(found, &access->chain, &access->search);
    *lack = (cs_lack_t){.why = access->search.why, .advice = access->search.advice};
    if (result != CS_FOUND)
        return result;
    if (found->expires)
        cs_time_text(until, found->expires);
    cs_log(access->credentials.log, CS_LOG_INFO, APR_SUCCESS, "stream %s: credentials by %s%s%s: %s",
           access->credentials.stream, access->chain.place, access->search.stream->role ? ", in the role " : "",
           access->search.stream->role ? access->search.stream->role : "", until);
    return result;
}

static int have_changed(void *from)
{
    cs_access_t *access = from;

    apr_pool_clear(access->scratch);
    return access->chain.uses_files && cs_profiles_changed(&access->chain.profiles, access->scratch);
}

apr_status_t cs_access_create(cs_access_t **access, const cs_sink_options_t *options)
{
    cs_access_t *made = apr_pcalloc(options->pool, sizeof(*made));

    made->clock = (cs_clock_t){.log = options->log, .stream = options->stream->name};
    made->halt = options->halt;
    made->search = (cs_search_t){.stream = options->stream, .halt = &made->halt, .clock = &made->clock};
    made->credentials = (cs_credentials_source_t){
        .find = find, .changed = have_changed, .from = made, .log = options->log, .stream = options->stream->name};
    made->pool = options->pool;
    cs_credentials_init(&made->credentials, options->pool);
    cs_chain_init(&made->chain, options->stream, options->pool);
    apr_pool_create(&made->scratch, options->pool);
    *access = made;
    return cs_http_create(&made->search.http, options->pool);
}

static const char *find_region(cs_access_t *access, cs_lack_t *lack)
{
    const char *region;

    apr_pool_clear(access->scratch);
    access->search.pool = access->scratch;
    if (cs_chain_region(&region, &access->chain, &access->search) == CS_FOUND)
        return apr_pstrdup(access->pool, region);
    *lack = (cs_lack_t){.why = access->search.why, .advice = access->search.advice};
    return NULL;
}

int cs_access_get(const char **region, const cs_credentials_t **credentials, cs_access_t *access, cs_lack_t *lack)
{
    if (!access->region && !(access->region = find_region(access, lack)))
        return 0;
    *region = access->search.region = access->region;
    *credentials = cs_credentials_get(&access->credentials, lack, cs_access_now(access));
    return *credentials != NULL;
}

apr_time_t cs_access_now(const cs_access_t *access)
{
    return cs_clock_now(&access->clock);
}

int cs_access_learn(cs_access_t *access, apr_time_t date)
{
    return cs_clock_learn(&access->clock, date, apr_time_now());
}

void cs_access_refused(cs_access_t *access)
{
    cs_credentials_refused(&access->credentials, cs_access_now(access));
}

void cs_access_destroy(cs_access_t *access)
{
    cs_http_destroy(access->search.http);
}
