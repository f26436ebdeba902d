/* HTTP requests to AWS, several at once.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/http.h"

#include <apr_date.h>
#include <apr_ring.h>
#include <apr_strings.h>
#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "deliver/secret.h"

#define USER_AGENT "mod_clickstream/" PACKAGE_VERSION
/* Between two attempts of cs_http_fetch(). */
#define PAUSE apr_time_from_msec(100)

/* A longer Retry-After, in seconds, is taken for this: there are more seconds than microseconds. */
#define RETRY_AFTER_MOST 86400

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
    apr_time_t date;
    cs_span_t upload; /* what there is to send */
    size_t given;     /* how much of it libcurl has */
    int sent_twice;
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
    grown =
        OPENSSL_clear_realloc(exchange->body, exchange->body ? exchange->length + 1 : 0, exchange->length + more + 1);
    if (!grown)
        return 0;
    memcpy(grown + exchange->length, data, more);
    exchange->body = grown;
    exchange->length += more;
    grown[exchange->length] = '\0';
    return more;
}

/* curl_easy_header() would do it, from 7.83 on. */
static size_t take_header(char *data, size_t size, size_t count, void *to)
{
    static const char name[] = "Date:";
    exchange_t *exchange = to;
    size_t length = size * count, after = sizeof(name) - 1;
    char value[64] = "";

    if (length > after && length - after < sizeof(value) && strncasecmp(data, name, after) == 0) {
        memcpy(value, data + after, length - after);
        exchange->date = apr_date_parse_http(value + strspn(value, " \t"));
    }
    return length;
}

static size_t give_body(char *to, size_t size, size_t count, void *from)
{
    exchange_t *exchange = from;
    size_t left = exchange->upload.length - exchange->given, more = left < size * count ? left : size * count;

    memcpy(to, exchange->upload.at + exchange->given, more);
    exchange->given += more;
    return more;
}

/* As libcurl does, but no program that httpd starts gets it. */
static curl_socket_t open_socket(void *unused, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)unused;
    (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* libcurl is about to send it again, which it tells in no other way. */
static int give_again(void *from, curl_off_t offset, int origin)
{
    exchange_t *exchange = from;

    if (origin != SEEK_SET || offset < 0 || (curl_off_t)exchange->upload.length < offset)
        return CURL_SEEKFUNC_FAIL;
    if (exchange->given == exchange->upload.length)
        exchange->sent_twice = 1;
    exchange->given = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void free_exchange(cs_http_t *http, exchange_t *exchange)
{
    APR_RING_REMOVE(exchange, link);
    if (exchange->curl)
        curl_multi_remove_handle(http->multi, exchange->curl);
    curl_easy_cleanup(exchange->curl);
    curl_slist_free_all(exchange->headers);
    OPENSSL_clear_free(exchange->body, exchange->body ? exchange->length + 1 : 0);
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
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    SET(CURLOPT_HTTPHEADER, exchange->headers);
    if (request->method != CS_HTTP_GET) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
        SET(CURLOPT_READFUNCTION, give_body);
        SET(CURLOPT_READDATA, exchange);
        SET(CURLOPT_SEEKFUNCTION, give_again);
        SET(CURLOPT_SEEKDATA, exchange);
    }
    if (request->method == CS_HTTP_PUT) {
        SET(CURLOPT_CUSTOMREQUEST, "PUT");
    }
    if (request->direct) {
        SET(CURLOPT_PROXY, "");
    }
    SET(CURLOPT_USERAGENT, USER_AGENT);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)apr_time_as_msec(CS_HTTP_CONNECT));
    SET(CURLOPT_TIMEOUT_MS, (long)apr_time_as_msec(request->timeout));
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* or a name server that is silent would hold up the whole thread, not this request */
#endif
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    if (request->ca) { /* and nobody else: some systems' libcurl has a folder besides */
        SET(CURLOPT_CAINFO, request->ca);
        SET(CURLOPT_CAPATH, NULL);
    }
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_CA_CACHE_TIMEOUT, 0L); /* a day otherwise, in which a file that was mended would not be read */
#endif
    SET(CURLOPT_ERRORBUFFER, exchange->error);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_PRIVATE, exchange);
#undef SET
    return error;
}

apr_status_t cs_http_begin(cs_http_t *http, const cs_http_request_t *request)
{
    exchange_t *exchange = calloc(1, sizeof(*exchange));
    int ready;

    if (!exchange)
        return APR_ENOMEM;
    APR_RING_INSERT_TAIL(&http->exchanges, exchange, exchange_t, link);
    exchange->answered = request->answered;
    exchange->to = request->to;
    exchange->upload = request->body;
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

/* Why there was no answer. */
static const struct failure_t {
    CURLcode error;
    int connecting; /* it happens before anything of a request is sent */
    const char *advice;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, 1, "look at this machine's DNS, at region= and at endpoint="},
    {CURLE_COULDNT_RESOLVE_PROXY, 1, "look at https_proxy in the server's environment, and at DNS"},
    {CURLE_COULDNT_CONNECT, 1, "look at this machine's network and firewall, at endpoint= and at https_proxy"},
    {CURLE_PEER_FAILED_VERIFICATION, 1,
     "look at the certificate of whatever answers there, at this machine's authorities or ca=, and at its clock"},
    {CURLE_SSL_CACERT_BADFILE, 1, "look at the file of ca=, which httpd's user must be able to read"},
    {CURLE_SSL_CONNECT_ERROR, 1,
     "look at this machine's network and at endpoint=: whatever answers there ends the TLS handshake"},
    {CURLE_OPERATION_TIMEDOUT, 0, "look at this machine's network, DNS and firewall, and at proxies in between"},
    {CURLE_OK, 0, "look at this machine's network, at endpoint= and at proxies in between"}, /* any other */
};

static const struct failure_t *failure_of(CURLcode error)
{
    const struct failure_t *failure = failures;

    while (failure->error != error && failure->error != CURLE_OK)
        failure++;
    return failure;
}

/* What to do about it. */
static const char *advice_for(CURLcode error, CURL *curl)
{
    long connect_status = 0;

    if (curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &connect_status) == CURLE_OK && connect_status >= 400)
        return connect_status == 407 ? "write a user and a password into https_proxy" : "look at the proxy's rules";
    return failure_of(error)->advice;
}

/* Where a request was begun on a connection that broke, and no new one can be made, libcurl's text is of the former.
 * And a proxy that it does not understand it quotes, with its user and password. */
static const char *text_of(CURLcode error, const exchange_t *exchange)
{
    int is_stale = exchange->given > 0 && failure_of(error)->connecting;
    int is_secret = strchr(exchange->error, '@') != NULL;

    return *exchange->error && !is_stale && !is_secret ? exchange->error : curl_easy_strerror(error);
}

static void finish(cs_http_t *http, exchange_t *exchange, CURLcode error)
{
    cs_http_answer_t answer = {.body = {exchange->body ? exchange->body : "", exchange->length}};
    curl_off_t seconds = 0, uploaded = 0;
    long status = 0;

    if (curl_easy_getinfo(exchange->curl, CURLINFO_SIZE_UPLOAD_T, &uploaded) == CURLE_OK)
        answer.sent = uploaded >= (curl_off_t)exchange->upload.length;
    answer.unsent = error != CURLE_OK && uploaded == 0;
    answer.too_slow = error == CURLE_OPERATION_TIMEDOUT && uploaded > 0;
    answer.sent_twice = exchange->sent_twice;
    if (error == CURLE_OK) {
        curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(exchange->curl, CURLINFO_RETRY_AFTER, &seconds);
        answer.status = (int)status;
        answer.retry_after = apr_time_from_sec(seconds < RETRY_AFTER_MOST ? seconds : RETRY_AFTER_MOST);
        answer.date = exchange->date;
    }
    else {
        answer.error = text_of(error, exchange);
        answer.advice = advice_for(error, exchange->curl);
    }
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

/* --- one at a time --- */

typedef struct fetch_t {
    cs_http_answer_t *answer;
    apr_pool_t *pool;
    int is_over;
} fetch_t;

static void keep(void *to, const cs_http_answer_t *answer)
{
    fetch_t *fetch = to;

    *fetch->answer = *answer;
    fetch->answer->error = apr_pstrdup(fetch->pool, answer->error);
    fetch->answer->body.at = cs_secret_keep(answer->body.at, answer->body.length, fetch->pool);
    fetch->is_over = 1;
}

static void drop_all(cs_http_t *http)
{
    while (!APR_RING_EMPTY(&http->exchanges, exchange_t, link))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it leaves the ring */
        free_exchange(http, APR_RING_FIRST(&http->exchanges));
}

apr_status_t cs_http_fetch(cs_http_answer_t *answer, cs_http_t *http, const cs_http_request_t *request, int attempts,
                           const cs_halt_t *halt, apr_pool_t *pool)
{
    cs_http_request_t mine = *request;
    fetch_t fetch;

    mine.answered = keep;
    mine.to = &fetch;
    for (int i = 0; i < attempts; i++) {
        if (i)
            apr_sleep(PAUSE);
        fetch = (fetch_t){.answer = answer, .pool = pool};
        *answer = (cs_http_answer_t){.error = "libcurl refused the request"};
        if (cs_halted(halt))
            return APR_TIMEUP;
        if (cs_http_begin(http, &mine) != APR_SUCCESS)
            continue;
        while (!fetch.is_over && !cs_halted(halt))
            cs_http_poll(http, CS_HALT_NOTICE);
        if (!fetch.is_over) {
            drop_all(http);
            return APR_TIMEUP;
        }
        if (answer->status && answer->status < 500)
            break;
    }
    return APR_SUCCESS;
}

static int is_among(const char *host, const char *const *hosts)
{
    while (*hosts && strcasecmp(host, *hosts) != 0)
        hosts++;
    return *hosts != NULL;
}

int cs_http_is_private(const char *url, const char *const *plain)
{
    static const char *const here[] = {"127.0.0.1", "localhost", "[::1]", NULL};
    static const CURLUPart none[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT};
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *part = NULL;
    int is = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
             curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
             curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK;

    for (size_t i = 0; is && i < sizeof(none) / sizeof(none[0]); i++) {
        is = curl_url_get(parts, none[i], &part, 0) != CURLUE_OK;
        curl_free(part);
        part = NULL;
    }
    is = is && (strcasecmp(scheme, "https") == 0 ||
                (strcasecmp(scheme, "http") == 0 && (is_among(host, here) || is_among(host, plain))));
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parts);
    return is;
}

void cs_http_destroy(cs_http_t *http)
{
    drop_all(http);
    curl_multi_cleanup(http->multi);
}
