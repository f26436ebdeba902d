/* An EC2 instance's metadata, version 2.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/metadata.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "deliver/answer.h"

#define TIMEOUT apr_time_from_sec(1)
#define ATTEMPTS 3
#define IPV4 "http://169.254.169.254"
#define IPV6 "http://[fd00:ec2::254]"
#define CREDENTIALS "/latest/meta-data/iam/security-credentials/"
#define REGION "/latest/meta-data/placement/region"
/* A role's name has at most 64 of these ("Names and paths" in the IAM User Guide). */
#define ROLE_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-"

typedef struct metadata_t {
    cs_search_t *search;
    const char *root;
    const char *header; /* with the token */
} metadata_t;

static int is_set_to(const char *variable, const char *value)
{
    const char *text = cs_environment(variable);

    return text && strcasecmp(text, value) == 0;
}

static const char *root_url(apr_pool_t *pool)
{
    const char *root = cs_environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    size_t length = root ? strlen(root) : 0;

    if (!root)
        return is_set_to("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6") ? IPV6 : IPV4;
    return length && root[length - 1] == '/' ? apr_pstrmemdup(pool, root, length - 1) : root;
}

/* Nothing that comes from there is passed on unseen. */
static int is_word(cs_span_t text)
{
    for (apr_size_t i = 0; i < text.length; i++) {
        if (text.at[i] <= ' ' || text.at[i] >= 0x7F)
            return 0;
    }
    return text.length > 0;
}

static cs_found_t fetch(cs_http_answer_t *answer, metadata_t *metadata, cs_http_method_t method, const char *path,
                        const char *header)
{
    cs_search_t *search = metadata->search;
    const char *const headers[] = {header, NULL};

    if (cs_http_fetch(answer, search->http,
                      &(cs_http_request_t){.method = method,
                                           .direct = 1,
                                           .url = apr_pstrcat(search->pool, metadata->root, path, NULL),
                                           .headers = headers,
                                           .timeout = TIMEOUT},
                      ATTEMPTS, search->halt, search->pool) != APR_SUCCESS)
        return cs_search_fail(search, "", "ending");
    return CS_FOUND;
}

/* Asks for a token, without which there is nothing. */
static cs_found_t begin(metadata_t *metadata, cs_search_t *search)
{
    cs_http_answer_t answer;

    *metadata = (metadata_t){.search = search, .root = root_url(search->pool)};
    if (is_set_to("AWS_EC2_METADATA_DISABLED", "true"))
        return cs_search_pass(search, "AWS_EC2_METADATA_DISABLED is set");
    if (fetch(&answer, metadata, CS_HTTP_PUT, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600") !=
        CS_FOUND)
        return CS_FAILED;
    if (!answer.status)
        return cs_search_pass(search, "EC2's instance metadata: %s", answer.error);
    if (answer.status != 200 || !is_word(answer.body)) /* other clouds have something else there */
        return cs_search_pass(search, "EC2's instance metadata gives no token of version 2: HTTP %d", answer.status);
    metadata->header = apr_pstrcat(search->pool, "X-aws-ec2-metadata-token: ", answer.body.at, NULL);
    return CS_FOUND;
}

static cs_found_t get(cs_http_answer_t *answer, metadata_t *metadata, const char *path, const char *advice)
{
    if (fetch(answer, metadata, CS_HTTP_GET, path, metadata->header) != CS_FOUND)
        return CS_FAILED;
    if (answer->status != 200)
        return cs_search_fail(metadata->search, advice, "EC2's instance metadata: %s: %s", path,
                              answer->status ? apr_psprintf(metadata->search->pool, "HTTP %d", answer->status)
                                             : answer->error);
    return CS_FOUND;
}

cs_found_t cs_metadata_credentials(cs_credentials_t *found, cs_search_t *search)
{
    static const char attach[] = "attach an IAM role to the instance";
    metadata_t metadata;
    cs_http_answer_t answer;
    cs_found_t result = begin(&metadata, search);
    const char *flaw;
    size_t length;

    if (result != CS_FOUND || (result = get(&answer, &metadata, CREDENTIALS, attach)) != CS_FOUND)
        return result;
    length = strspn(answer.body.at, ROLE_CHARACTERS);
    if (!length || length > 64 || answer.body.at[length + strspn(answer.body.at + length, "\n")])
        return cs_search_fail(search, attach, "EC2's instance metadata names no role");
    result =
        get(&answer, &metadata,
            apr_pstrcat(search->pool, CREDENTIALS, apr_pstrmemdup(search->pool, answer.body.at, length), NULL), attach);
    if (result != CS_FOUND)
        return result;
    if ((flaw = cs_answer_credentials(found, answer.body, 0, search->pool)))
        return cs_search_fail(search, "look at the instance's role",
                              "the credentials of EC2's instance metadata have %s", flaw);
    return CS_FOUND;
}

cs_found_t cs_metadata_region(const char **region, cs_search_t *search)
{
    metadata_t metadata;
    cs_http_answer_t answer;
    cs_found_t result = begin(&metadata, search);

    if (result != CS_FOUND || (result = get(&answer, &metadata, REGION, "write region=")) != CS_FOUND)
        return result;
    *region = answer.body.at;
    return CS_FOUND;
}
