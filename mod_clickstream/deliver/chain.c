/* Where credentials and the region are looked for.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/chain.h"

#include <apr_strings.h>
#include <string.h>

#include "deliver/answer.h"
#include "deliver/container.h"
#include "deliver/metadata.h"
#include "deliver/process.h"
#include "deliver/sts.h"

#define PROCESS_TIMEOUT apr_time_from_sec(10)
/* Roles that are assumed one with the other; AWS itself knows no limit, people need two or three. */
#define ROLES_MOST 8

#define WRITE_SOME                                                                                                     \
    "write credentials=FILE, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine or the container "   \
    "an "                                                                                                              \
    "IAM role"

void cs_chain_init(cs_chain_t *chain, const cs_stream_t *stream, apr_pool_t *pool)
{
    *chain = (cs_chain_t){.place = ""};
    cs_profiles_init(&chain->profiles, stream, pool);
}

/* --- the environment --- */

static cs_found_t in_environment(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search)
{
    const char *flaw;

    (void)chain;
    *found = (cs_credentials_t){.access_key = cs_environment("AWS_ACCESS_KEY_ID"),
                                .secret_key = cs_environment("AWS_SECRET_ACCESS_KEY"),
                                .session_token = cs_environment("AWS_SESSION_TOKEN")};
    if (!found->access_key || !found->secret_key)
        return CS_ABSENT;
    if ((flaw = cs_credentials_flaw(found)))
        return cs_search_fail(search, "mend them", "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN: %s",
                              flaw);
    return CS_FOUND;
}

static cs_found_t by_web_identity(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search)
{
    const char *file = cs_environment("AWS_WEB_IDENTITY_TOKEN_FILE");
    const cs_role_t role = {.arn = cs_environment("AWS_ROLE_ARN"), .session = cs_environment("AWS_ROLE_SESSION_NAME")};

    (void)chain;
    if (!file)
        return CS_ABSENT;
    if (!role.arn)
        return cs_search_fail(search, "set AWS_ROLE_ARN, too", "AWS_WEB_IDENTITY_TOKEN_FILE is set without a role");
    return cs_sts_assume_with_token(found, search, &role, file);
}

static cs_found_t in_container(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search)
{
    (void)chain;
    return cs_container_credentials(found, search);
}

static cs_found_t in_metadata(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search)
{
    (void)chain;
    return cs_metadata_credentials(found, search);
}

/* --- a profile --- */

/* The profiles that lead to one another by source_profile. */
typedef struct trail_t {
    const char *names[ROLES_MOST];
    int length;
} trail_t;

static cs_found_t from_profile(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search, const char *name,
                               trail_t *trail);

static int has_keys(const apr_table_t *profile)
{
    return apr_table_get(profile, "aws_access_key_id") || apr_table_get(profile, "aws_secret_access_key");
}

static cs_found_t by_keys(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search, const char *name,
                          const apr_table_t *profile)
{
    const char *flaw;

    *found = (cs_credentials_t){.access_key = apr_table_get(profile, "aws_access_key_id"),
                                .secret_key = apr_table_get(profile, "aws_secret_access_key"),
                                .session_token = apr_table_get(profile, "aws_session_token")};
    if ((flaw = cs_credentials_flaw(found)))
        return cs_search_fail(search, "mend aws_access_key_id, aws_secret_access_key and aws_session_token there",
                              "no credentials: %s has %s", cs_profile_title(&chain->profiles, name, search->pool),
                              flaw);
    return CS_FOUND;
}

static cs_found_t by_process(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search, const char *name,
                             const char *command)
{
    const char *what = apr_pstrcat(search->pool, "credential_process of ",
                                   cs_profile_title(&chain->profiles, name, search->pool), NULL);
    const char *why, *flaw;
    cs_span_t output;

    if (cs_process_run(&output, &why, command, PROCESS_TIMEOUT, search->halt, search->pool) != APR_SUCCESS)
        return cs_search_fail(search, "try that command as httpd's user", "%s: %s", what, why);
    if ((flaw = cs_answer_credentials(found, output, 1, search->pool)))
        return cs_search_fail(search, "try that command as httpd's user", "%s: its output has %s", what, flaw);
    return CS_FOUND;
}

/* By the words of credential_source. */
static cs_found_t from_source(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search, const char *title,
                              const char *word)
{
    static const struct {
        const char *word;
        cs_found_t (*find)(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search);
    } sources[] = {
        {"Environment", in_environment}, {"Ec2InstanceMetadata", in_metadata}, {"EcsContainer", in_container}};

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        cs_found_t result;
        if (strcmp(sources[i].word, word) != 0)
            continue;
        result = sources[i].find(found, chain, search);
        return result == CS_ABSENT
                   ? cs_search_fail(search, "set them up there, or write source_profile=",
                                    "no credentials: %s looks for them in %s, which has none%s%s", title, word,
                                    search->passed_by ? ": " : "", search->passed_by ? search->passed_by : "")
                   : result;
    }
    return cs_search_fail(search, "write Environment, Ec2InstanceMetadata or EcsContainer",
                          "%s has a credential_source that there is none of", title);
}

static cs_found_t by_role(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search, const char *name,
                          const apr_table_t *profile, trail_t *trail)
{
    const char *title = cs_profile_title(&chain->profiles, name, search->pool);
    const char *token = apr_table_get(profile, "web_identity_token_file");
    const char *from = apr_table_get(profile, "source_profile"), *source = apr_table_get(profile, "credential_source");
    const cs_role_t role = {.arn = apr_table_get(profile, "role_arn"),
                            .session = apr_table_get(profile, "role_session_name"),
                            .external_id = apr_table_get(profile, "external_id"),
                            .duration = apr_table_get(profile, "duration_seconds")};
    cs_credentials_t with = {NULL};
    cs_found_t result;

    if (apr_table_get(profile, "mfa_serial"))
        return cs_search_fail(search, "use a role that a server may assume without a code",
                              "%s has mfa_serial, and nobody is here to type a code", title);
    if (token)
        return cs_sts_assume_with_token(found, search, &role, token);
    if (from && source)
        return cs_search_fail(search, "take one of them out", "%s has source_profile and credential_source", title);
    if (!from && !source)
        return cs_search_fail(search, "write source_profile, credential_source or web_identity_token_file there",
                              "%s has a role_arn, and nothing to assume it with", title);
    result = from ? from_profile(&with, chain, search, from, trail) : from_source(&with, chain, search, title, source);
    return result == CS_FOUND ? cs_sts_assume(found, search, &role, &with) : result;
}

static int needs_browser(const apr_table_t *profile)
{
    return apr_table_get(profile, "sso_session") || apr_table_get(profile, "sso_start_url") ||
           apr_table_get(profile, "sso_account_id");
}

/* Whether the trail may go on to this profile; one with keys may be the source of its own role. */
static cs_found_t follow(cs_search_t *search, const char *name, trail_t *trail)
{
    for (int i = 0; i < trail->length; i++) {
        if (strcmp(trail->names[i], name) == 0)
            return cs_search_fail(search, "mend source_profile", "the profile [%s] leads back to itself", name);
    }
    if (trail->length == ROLES_MOST)
        return cs_search_fail(search, "mend source_profile", "the profile [%s] leads through more than %d others",
                              trail->names[0], ROLES_MOST);
    trail->names[trail->length++] = name;
    return CS_FOUND;
}

static cs_found_t none_there(cs_search_t *search, const char *title)
{
    return cs_search_fail(search, "write aws_access_key_id and aws_secret_access_key there, or a role",
                          "no credentials: there are none in %s", title);
}

static cs_found_t from_profile(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search, const char *name,
                               trail_t *trail)
{
    const char *title = cs_profile_title(&chain->profiles, name, search->pool), *command;
    int is_source = trail->length > 0;
    apr_table_t *profile;
    cs_found_t result = cs_profile_read(&profile, &chain->profiles, name, search);

    if (result == CS_ABSENT && is_source)
        return cs_search_fail(search, "mend source_profile", "no credentials: there is no %s", title);
    if (result != CS_FOUND)
        return result;
    if (is_source && has_keys(profile))
        return by_keys(found, chain, search, name, profile);
    if (follow(search, name, trail) != CS_FOUND)
        return CS_FAILED;
    if (apr_table_get(profile, "role_arn"))
        return by_role(found, chain, search, name, profile, trail);
    if (has_keys(profile))
        return by_keys(found, chain, search, name, profile);
    if ((command = apr_table_get(profile, "credential_process")))
        return by_process(found, chain, search, name, command);
    if (needs_browser(profile))
        return cs_search_fail(search,
                              "use a role of the machine, keys, or credential_process = aws configure "
                              "export-credentials --profile NAME --format process",
                              "%s has sso_ settings, which need a browser to sign in", title);
    return is_source ? none_there(search, title) : CS_ABSENT;
}

/* Where the profile is asked for by name, it must have credentials. */
static cs_found_t in_files(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search)
{
    trail_t trail = {.length = 0};
    const cs_profiles_t *profiles = &chain->profiles;
    cs_found_t result = from_profile(found, chain, search, profiles->name, &trail);
    const char *title = cs_profile_title(profiles, profiles->name, search->pool);

    chain->uses_files = result != CS_ABSENT;
    if (result != CS_ABSENT)
        return result;
    if (!profiles->is_asked_for && !profiles->credentials.is_needed)
        return cs_search_pass(search, profiles->credentials.path ? "none in %s" : "%s", title);
    return none_there(search, title);
}

/* --- all of them --- */

typedef cs_found_t place_t(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search);

static cs_found_t find_first(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search)
{
    static const struct {
        place_t *find;
        const char *name;
    } places[] = {
        {in_environment, "the environment"},      {by_web_identity, "AWS_WEB_IDENTITY_TOKEN_FILE"},
        {in_files, "the shared files"},           {in_container, "the container's endpoint"},
        {in_metadata, "EC2's instance metadata"},
    };
    const cs_stream_t *stream = search->stream;
    cs_found_t result = CS_ABSENT;

    if (stream->profile || stream->credentials) {
        chain->place = "the shared files";
        return in_files(found, chain, search);
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && result == CS_ABSENT; i++) {
        chain->place = places[i].name;
        result = places[i].find(found, chain, search);
    }
    if (result != CS_ABSENT)
        return result;
    return cs_search_fail(search, WRITE_SOME,
                          "no credentials: none in the environment (AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE, "
                          "AWS_CONTAINER_CREDENTIALS_FULL_URI); %s",
                          search->passed_by);
}

cs_found_t cs_chain_credentials(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search)
{
    const cs_role_t role = {.arn = search->stream->role, .external_id = search->stream->external_id};
    cs_credentials_t first = {NULL};
    cs_found_t result;

    search->passed_by = NULL;
    chain->uses_files = 0;
    result = find_first(&first, chain, search);
    if (result != CS_FOUND || !role.arn) {
        *found = first;
        return result;
    }
    return cs_sts_assume(found, search, &role, &first);
}

/* --- the region --- */

static cs_found_t take_region(const char **region, cs_search_t *search, const char *from, const char *text)
{
    if (!text)
        return CS_ABSENT;
    if (!cs_is_region(text))
        return cs_search_fail(search, "write one such as eu-central-1", "%s names no region", from);
    *region = apr_pstrdup(search->pool, text);
    return CS_FOUND;
}

static cs_found_t region_in_profile(const char **region, cs_chain_t *chain, cs_search_t *search)
{
    const char *title = cs_profile_title(&chain->profiles, chain->profiles.name, search->pool);
    apr_table_t *profile;
    cs_found_t result = cs_profile_read(&profile, &chain->profiles, chain->profiles.name, search);

    return result == CS_FOUND ? take_region(region, search, title, apr_table_get(profile, "region")) : result;
}

cs_found_t cs_chain_region(const char **region, cs_chain_t *chain, cs_search_t *search)
{
    static const char *const variables[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    cs_found_t result = take_region(region, search, "region=", search->stream->region);
    const char *text;

    search->passed_by = NULL;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]) && result == CS_ABSENT; i++)
        result = take_region(region, search, variables[i], cs_environment(variables[i]));
    if (result == CS_ABSENT)
        result = region_in_profile(region, chain, search);
    if (result == CS_ABSENT && (result = cs_metadata_region(&text, search)) == CS_FOUND)
        result = take_region(region, search, "EC2's instance metadata", text);
    if (result != CS_ABSENT)
        return result;
    return cs_search_fail(search, "write region=, such as region=eu-central-1, or set AWS_REGION",
                          "no region: none in AWS_REGION and AWS_DEFAULT_REGION, nor in %s; %s",
                          cs_profile_title(&chain->profiles, chain->profiles.name, search->pool),
                          search->passed_by ? search->passed_by : "");
}
