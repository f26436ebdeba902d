/* HTTP requests to AWS, several at once.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/http.h"

#include <apr_ring.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define USER_AGENT "mod_clickstream/" PACKAGE_VERSION

/* One request under way. */
typedef struct exchange_t exchange_t;
struct exchange_t {
    APR_RING_ENTRY(exchange_t)
    link;
    CURL *curl;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    char *body;
    size_t length;
    void (*answered)(void *to, const cs_http_answer_t *answer);
    void *to;
};

struct cs_http_t {
    CURLM *multi;
    APR_RING_HEAD(exchange_ring_t, exchange_t) exchanges;
};

apr_status_t cs_http_startup(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? APR_SUCCESS : APR_EGENERAL;
}

void cs_http_cleanup(void)
{
    curl_global_cleanup();
}

apr_status_t cs_http_create(cs_http_t **http, apr_pool_t *pool)
{
    cs_http_t *made = apr_pcalloc(pool, sizeof(*made));

    APR_RING_INIT(&made->exchanges, exchange_t, link);
    made->multi = curl_multi_init();
    if (!made->multi)
        return APR_ENOMEM;
    *http = made;
    return APR_SUCCESS;
}

static size_t take_body(char *data, size_t size, size_t count, void *to)
{
    exchange_t *exchange = to;
    size_t more = size * count;
    char *grown;

    if (more > CS_HTTP_ANSWER_MOST - exchange->length)
        return 0; /* tells curl to fail */
    grown = realloc(exchange->body, exchange->length + more + 1);
    if (!grown)
        return 0;
    memcpy(grown + exchange->length, data, more);
    exchange->body = grown;
    exchange->length += more;
    grown[exchange->length] = '\0';
    return more;
}

static void free_exchange(cs_http_t *http, exchange_t *exchange)
{
    APR_RING_REMOVE(exchange, link);
    if (exchange->curl)
        curl_multi_remove_handle(http->multi, exchange->curl);
    curl_easy_cleanup(exchange->curl);
    curl_slist_free_all(exchange->headers);
    free(exchange->body);
    free(exchange);
}

static int add_header(exchange_t *exchange, const char *line)
{
    struct curl_slist *longer = curl_slist_append(exchange->headers, line);

    if (longer)
        exchange->headers = longer;
    return longer != NULL;
}

static CURLcode set_options(exchange_t *exchange, const cs_http_request_t *request)
{
    CURL *curl = exchange->curl;
    CURLcode error = CURLE_OK;

#define SET(option, value)                                                                                             \
    if (error == CURLE_OK)                                                                                             \
    error = curl_easy_setopt(curl, option, value)
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_HTTPHEADER, exchange->headers);
    SET(CURLOPT_POSTFIELDS, request->body.at);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
    SET(CURLOPT_USERAGENT, USER_AGENT);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)apr_time_as_msec(CS_HTTP_CONNECT));
    SET(CURLOPT_TIMEOUT_MS, (long)apr_time_as_msec(request->timeout));
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    if (request->ca) {
        SET(CURLOPT_CAINFO, request->ca);
    }
    SET(CURLOPT_ERRORBUFFER, exchange->error);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_PRIVATE, exchange);
#undef SET
    return error;
}

apr_status_t cs_http_post(cs_http_t *http, const cs_http_request_t *request)
{
    exchange_t *exchange = calloc(1, sizeof(*exchange));
    int ready;

    if (!exchange)
        return APR_ENOMEM;
    APR_RING_INSERT_TAIL(&http->exchanges, exchange, exchange_t, link);
    exchange->answered = request->answered;
    exchange->to = request->to;
    exchange->curl = curl_easy_init();
    /* No "Expect: 100-continue": it costs a round trip for each batch. */
    ready = exchange->curl && add_header(exchange, "Expect:");
    for (int i = 0; ready && request->headers[i]; i++)
        ready = add_header(exchange, request->headers[i]);
    if (ready && set_options(exchange, request) == CURLE_OK &&
        curl_multi_add_handle(http->multi, exchange->curl) == CURLM_OK)
        return APR_SUCCESS;
    free_exchange(http, exchange);
    return APR_EGENERAL;
}

static void finish(cs_http_t *http, exchange_t *exchange, CURLcode error)
{
    cs_http_answer_t answer = {.body = {exchange->body ? exchange->body : "", exchange->length}};
    curl_off_t seconds = 0;
    long status = 0;

    if (error == CURLE_OK) {
        curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(exchange->curl, CURLINFO_RETRY_AFTER, &seconds);
        answer.status = (int)status;
        answer.retry_after = apr_time_from_sec(seconds);
    }
    else
        answer.error = *exchange->error ? exchange->error : curl_easy_strerror(error);
    exchange->answered(exchange->to, &answer);
    free_exchange(http, exchange);
}

void cs_http_poll(cs_http_t *http, apr_interval_time_t wait)
{
    CURLMsg *message;
    int running, left;

    curl_multi_perform(http->multi, &running);
    if (!(message = curl_multi_info_read(http->multi, &left))) {
        curl_multi_poll(http->multi, NULL, 0, (int)apr_time_as_msec(wait), NULL);
        curl_multi_perform(http->multi, &running);
        message = curl_multi_info_read(http->multi, &left);
    }
    for (; message; message = curl_multi_info_read(http->multi, &left)) {
        char *private = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        finish(http, (exchange_t *)(void *)private, result);
    }
}

void cs_http_destroy(cs_http_t *http)
{
    while (!APR_RING_EMPTY(&http->exchanges, exchange_t, link))
        free_exchange(http, APR_RING_FIRST(&http->exchanges));
    curl_multi_cleanup(http->multi);
}
