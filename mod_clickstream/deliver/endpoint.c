/* Where one of AWS's services is, and what a request to it has to show.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/endpoint.h"

#include <apr_strings.h>
#include <string.h>

/* "AWS service endpoints": the partitions that have a domain of their own, by how their regions begin. */
static const struct {
    const char *region, *domain;
} partitions[] = {
    {"cn-", "amazonaws.com.cn"},   {"eusc-", "amazonaws.eu"},      {"us-iso-", "c2s.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov"}, {"eu-isoe-", "cloud.adc-e.uk"}, {"us-isof-", "csp.hci.ic.gov"},
};

static const char *domain_of(const char *region)
{
    for (size_t i = 0; i < sizeof(partitions) / sizeof(partitions[0]); i++) {
        if (strncmp(region, partitions[i].region, strlen(partitions[i].region)) == 0)
            return partitions[i].domain;
    }
    return "amazonaws.com";
}

static const char *regional_url(const char *service, const char *region, apr_pool_t *pool)
{
    return apr_pstrcat(pool, "https://", service, ".", region, ".", domain_of(region), "/", NULL);
}

void cs_endpoint_make(cs_endpoint_t *endpoint, const char *service, const char *region, const char *url,
                      apr_pool_t *pool)
{
    const char *host, *path;

    if (!url)
        url = regional_url(service, region, pool);
    host = strstr(url, "://") + 3;
    path = strchr(host, '/');
    *endpoint = (cs_endpoint_t){.service = service,
                                .region = region,
                                .url = url,
                                .host = path ? apr_pstrmemdup(pool, host, (apr_size_t)(path - host)) : host,
                                .path = path ? path : "/"};
}

const char *const *cs_endpoint_sign(const cs_endpoint_t *endpoint, const char *content_type, const char *target,
                                    cs_span_t body, const cs_credentials_t *credentials, apr_time_t time,
                                    apr_pool_t *pool)
{
    char *date = apr_palloc(pool, CS_SIGV4_DATE);
    const cs_sigv4_scope_t scope = {.time = time, .region = endpoint->region, .service = endpoint->service};
    const cs_sigv4_header_t all[] = {
        {"host", endpoint->host},
        {"content-type", content_type},
        {"x-amz-date", date},
        {"x-amz-target", target},
        {"x-amz-security-token", credentials->session_token},
    };
    cs_sigv4_header_t headers[sizeof(all) / sizeof(all[0])];
    cs_sigv4_request_t request = {.method = "POST", .path = endpoint->path, .query = "", .body = body};
    const char **lines = apr_pcalloc(pool, (sizeof(all) / sizeof(all[0]) + 2) * sizeof(*lines)), **line = lines;

    cs_sigv4_date(date, scope.time);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!all[i].value)
            continue;
        headers[request.header_count++] = all[i];
        *line++ = apr_pstrcat(pool, all[i].name, ": ", all[i].value, NULL);
    }
    request.headers = headers;
    *line = apr_pstrcat(
        pool, "Authorization: ",
        cs_sigv4_authorization(&request, &scope, credentials->access_key, credentials->secret_key, pool), NULL);
    return lines;
}
