/* The endpoint that ECS and EKS give a container for its role's credentials.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/container.h"

#include <apr_strings.h>
#include <string.h>

#include "deliver/answer.h"
#include "deliver/secret.h"

#define TIMEOUT apr_time_from_sec(1)
#define ATTEMPTS 3
#define ECS "http://169.254.170.2"
#define TOKEN_MOST 32768

/* Where http will do: ECS's and EKS's own addresses. */
static const char *const plain[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", NULL};

/* The Authorization header's line; NULL: there is none to be sent. */
static cs_found_t read_token(const char **line, cs_search_t *search)
{
    const char *path = cs_environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *name = path ? path : "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    const char *value = cs_environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    char reason[120], *token = NULL;
    apr_status_t status;

    *line = NULL;
    if (path) {
        status = cs_secret_read(&token, path, TOKEN_MOST, search->pool);
        if (status != APR_SUCCESS)
            return cs_search_fail(search, "let httpd's user read it", "the container's token %s: %s", path,
                                  apr_strerror(status, reason, sizeof(reason)));
        if (*token && token[strlen(token) - 1] == '\n') /* an editor's */
            token[strlen(token) - 1] = '\0';
        value = token;
    }
    if (!value)
        return CS_FOUND;
    if (value[strcspn(value, "\r\n")])
        return cs_search_fail(search, "take it out", "there is a line's end in the container's token %s", name);
    value = apr_pstrcat(search->pool, "Authorization: ", value, NULL);
    *line = cs_secret_keep(value, strlen(value), search->pool);
    return CS_FOUND;
}

/* How much of a URL a log may have: neither a password nor a query. */
static int shown(const char *url)
{
    return strchr(url, '@') ? 0 : (int)strcspn(url, "?#");
}

cs_found_t cs_container_credentials(cs_credentials_t *found, cs_search_t *search)
{
    const char *relative = cs_environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *url = relative ? apr_pstrcat(search->pool, ECS, relative, NULL)
                               : cs_environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *headers[] = {NULL, NULL}, *flaw;
    cs_http_answer_t answer;

    if (!url)
        return CS_ABSENT;
    if (!cs_http_is_private(url, plain) || (relative && *relative != '/'))
        return cs_search_fail(search, "write an https:// URL",
                              "AWS_CONTAINER_CREDENTIALS_%s_URI: none may come from %.*s",
                              relative ? "RELATIVE" : "FULL", shown(url), url);
    if (read_token(&headers[0], search) != CS_FOUND)
        return CS_FAILED;
    if (cs_http_fetch(&answer, search->http,
                      &(cs_http_request_t){.method = CS_HTTP_GET,
                                           .direct = 1,
                                           .url = url,
                                           .headers = headers,
                                           .timeout = TIMEOUT,
                                           .ca = search->stream->ca},
                      ATTEMPTS, search->halt, search->pool) != APR_SUCCESS)
        return cs_search_fail(search, "", "ending");
    if (answer.status != 200)
        return cs_search_fail(search, "look at the container's role, and at its token",
                              "the container's credentials: %s",
                              answer.status ? apr_psprintf(search->pool, "HTTP %d", answer.status) : answer.error);
    if ((flaw = cs_answer_credentials(found, answer.body, 0, search->pool)))
        return cs_search_fail(search, "look at the container's role", "the container's credentials have %s", flaw);
    return CS_FOUND;
}
