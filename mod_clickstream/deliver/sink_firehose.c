/* The Firehose sink: PutRecordBatch of Amazon Data Firehose, signed, several requests under way at once.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/access.h"
#include "deliver/answer.h"
#include "deliver/endpoint.h"
#include "deliver/http.h"
#include "deliver/sink.h"

/* "Amazon Data Firehose Quota" and the API reference of PutRecordBatch: at most 500 records, and 4 MiB for
 * the entire request, which we hold for the whole body, base64 and JSON included. */
#define RECORDS_MOST 500
#define REQUEST_MOST (4 << 20)
/* "Amazon Data Firehose pricing": each record is billed rounded up to 5 KiB. A record that is filled up to
 * just below a multiple of it wastes half an event; and a short record keeps a retry short. */
#define ROUNDING 5120
#define RECORD_TARGET (20 * ROUNDING)

/* So much of a session token is too much, and stands in no other text. */
#define TOKEN_TELLING 12

#define HEAD "{\"DeliveryStreamName\":\"%s\",\"Records\":["
#define RECORD_HEAD "{\"Data\":\""
#define RECORD_TAIL "\"},"
#define TAIL "]}"

typedef struct firehose_t {
    cs_sink_t sink; /* first: the sink's methods get a pointer to it */
    const cs_stream_t *stream;
    cs_endpoint_t endpoint; /* url NULL: the region is not known yet */
    const char *delimiter;
    cs_access_t *access;
    cs_http_t *http;
    apr_pool_t *pool;
    cs_sink_done_t *done;
    void *to;
    unsigned char record[CS_RECORD_MAX]; /* one record's bytes, before base64 */
} firehose_t;

/* One request under way. Its pool holds all that is made for it. */
typedef struct post_t {
    firehose_t *firehose;
    cs_batch_t *batch;
    apr_pool_t *pool;
    const char *const *headers;
    int sent_twice;
} post_t;

/* What an error of AWS's means for us, by the beginning of its type; the first one that fits. */
typedef enum { RETRY, RETRY_WITH_NEW_CREDENTIALS, INVALID } meaning_t;
static const char throttled_advice[] = "if it goes on, ask AWS for a higher quota of this stream";
typedef struct refusal_t {
    const char *type;
    meaning_t meaning;
    const char *advice;
    const char *says; /* somewhere in its message; NULL: whatever it says */
} refusal_t;
static const char source_advice[] = "the delivery stream must take direct PUTs";
static const refusal_t errors[] = {
    {"InvalidArgumentException", RETRY, source_advice, "not permitted on"}, /* KinesisStreamAsSource, MSKAsSource */
    {"ValidationException", INVALID, NULL},
    {"InvalidArgumentException", INVALID, NULL},
    {"SerializationException", INVALID, NULL},
    {"ServiceUnavailable", RETRY, throttled_advice},
    {"Throttling", RETRY, throttled_advice},
    {"LimitExceeded", RETRY, throttled_advice},
    {"ResourceNotFound", RETRY, "make the delivery stream in this region, or mend its name or region="},
    {"InvalidSource", RETRY, source_advice},
    {"InvalidKMSResource", RETRY, "let the stream's role use its KMS key"},
    {"ExpiredToken", RETRY_WITH_NEW_CREDENTIALS, "renew the session token"},
    {"UnrecognizedClient", RETRY_WITH_NEW_CREDENTIALS, "mend the access key or the session token"},
    {"InvalidClientTokenId", RETRY_WITH_NEW_CREDENTIALS, "mend the access key"},
    {"InvalidSignature", RETRY_WITH_NEW_CREDENTIALS, "mend the secret key, or this machine's clock"},
    {"SignatureDoesNotMatch", RETRY_WITH_NEW_CREDENTIALS, "mend the secret key"},
    {"IncompleteSignature", RETRY_WITH_NEW_CREDENTIALS, "mend the access key"},
    {"MissingAuthentication", RETRY_WITH_NEW_CREDENTIALS, "mend the access key"},
    {"AccessDenied", RETRY_WITH_NEW_CREDENTIALS, "allow firehose:PutRecordBatch on this stream to these credentials"},
};
static const char unknown_advice[] = "look at the AWS status page and at proxies in between";

static firehose_t *firehose_of(cs_sink_t *sink)
{
    return (firehose_t *)(void *)sink;
}

/* What a record adds to the body. */
static apr_size_t cost(apr_size_t record)
{
    return (record + 2) / 3 * 4 + sizeof(RECORD_HEAD RECORD_TAIL) - 1;
}

/* --- sending --- */

static char *write_record(char *to, firehose_t *firehose, const cs_batch_t *batch, const cs_batch_record_t *record)
{
    unsigned char *end = firehose->record;

    for (int i = record->first; i < record->first + record->count; i++) {
        cs_span_t data = APR_ARRAY_IDX(batch->events, i, cs_batch_event_t).data;
        memcpy(end, data.at, data.length);
        end += data.length;
        memcpy(end, firehose->delimiter, firehose->sink.limits.delimiter);
        end += firehose->sink.limits.delimiter;
    }
    memcpy(to, RECORD_HEAD, sizeof(RECORD_HEAD) - 1);
    to += sizeof(RECORD_HEAD) - 1;
    to += EVP_EncodeBlock((unsigned char *)to, firehose->record, (int)(end - firehose->record));
    memcpy(to, RECORD_TAIL, sizeof(RECORD_TAIL) - 1);
    return to + sizeof(RECORD_TAIL) - 1;
}

static apr_status_t free_body(void *body)
{
    free(body);
    return APR_SUCCESS;
}

/* The whole body, or NULL. Malloc'ed, as an allocator of APR's would keep megabytes for ever, and freed with the
 * pool. */
static cs_span_t write_body(firehose_t *firehose, const cs_batch_t *batch, apr_pool_t *pool)
{
    char *body = malloc(batch->cost + 1), *to = body; /* 1: for the NUL that EVP_EncodeBlock() writes */

    if (!body)
        return (cs_span_t){NULL, 0};
    apr_pool_cleanup_register(pool, body, free_body, apr_pool_cleanup_null);
    to += apr_snprintf(to, batch->cost, HEAD, firehose->stream->name);
    for (int i = 0; i < batch->records->nelts; i++)
        to = write_record(to, firehose, batch, &APR_ARRAY_IDX(batch->records, i, cs_batch_record_t));
    to--; /* the last comma */
    memcpy(to, TAIL, sizeof(TAIL) - 1);
    return (cs_span_t){body, (apr_size_t)(to - body) + sizeof(TAIL) - 1};
}

/* The batch goes back to its owner, and the request is over. */
static void give_back(post_t *post, const cs_sink_result_t *result)
{
    cs_sink_result_t mine = *result;

    mine.maybe_taken = result->maybe_taken || post->sent_twice;
    post->firehose->done(post->firehose->to, post->batch, &mine);
    apr_pool_destroy(post->pool);
}

/* Nothing was taken, as far as we know. */
static void fail(post_t *post, cs_outcome_t outcome, const cs_sink_result_t *result)
{
    cs_batch_outcome(post->batch, outcome);
    give_back(post, result);
}

static const refusal_t *refusal_of(const char *type, const char *message)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strncmp(type, errors[i].type, strlen(errors[i].type)) == 0 &&
            (!errors[i].says || strstr(message, errors[i].says)))
            return &errors[i];
    }
    return NULL;
}

static const char *advice_on(const refusal_t *error)
{
    return error && error->advice ? error->advice : unknown_advice;
}

/* Whoever answers has our session token, and what they say goes to logs, the status and NAME.rejected: it ends where
 * the token begins, of which it may have a part. */
static const char *without_token(const post_t *post, char *text)
{
    static const char name[] = "x-amz-security-token:";
    char beginning[TOKEN_TELLING + 1], *found;

    for (const char *const *header = post->headers; *header; header++) {
        if (strncmp(*header, name, sizeof(name) - 1) != 0)
            continue;
        apr_cpystrn(beginning, *header + strlen(name) + strspn(*header + strlen(name), " "), sizeof(beginning));
        if (*beginning && (found = strstr(text, beginning)))
            apr_cpystrn(found, "...", strlen(found) + 1);
    }
    return text;
}

/* An answer other than 200. */
static void refused(post_t *post, const cs_http_answer_t *answer)
{
    const char *type, *message, *advice;
    const refusal_t *error;
    meaning_t meaning;

    cs_answer_error(&type, &message, answer->body, post->pool);
    error = refusal_of(type, message);
    meaning = error ? error->meaning : answer->status == 413 ? INVALID : RETRY;
    advice = advice_on(error);
    if (cs_access_learn(post->firehose->access, answer->date))
        advice = "it is signed again with AWS's time";
    else if (meaning == RETRY_WITH_NEW_CREDENTIALS)
        cs_access_refused(post->firehose->access);
    fail(post, meaning == INVALID ? CS_OUTCOME_INVALID : CS_OUTCOME_RETRY,
         &(cs_sink_result_t){
             .reason = without_token(
                 post, apr_psprintf(post->pool, "HTTP %d %s%s%s", answer->status, type, *message ? ": " : "", message)),
             .advice = advice,
             .retry_after = answer->retry_after,
             /* Where Firehose says what is wrong, it took nothing; what breaks down may do so half-way. */
             .maybe_taken = !error && answer->status >= 500});
}

/* The answer that Firehose takes a batch with, or some of it. */
static void taken(post_t *post, const cs_http_answer_t *answer)
{
    cs_sink_result_t result = {.reason = NULL};
    const char *code;
    int failed = cs_answer_records(post->batch, &code, answer->body, post->pool);

    cs_access_learn(post->firehose->access, answer->date);
    if (failed < 0) {
        fail(post, CS_OUTCOME_RETRY,
             &(cs_sink_result_t){.reason = "an answer that is none of Firehose's",
                                 .advice = "look at endpoint= and at proxies in between",
                                 .maybe_taken = 1});
        return;
    }
    if (failed) {
        result.reason = without_token(post, apr_psprintf(post->pool, "%d of %d records refused, the first with %s",
                                                         failed, post->batch->records->nelts, code));
        result.advice = advice_on(refusal_of(code, ""));
    }
    give_back(post, &result);
}

static void answered(void *to, const cs_http_answer_t *answer)
{
    post_t *post = to;

    post->sent_twice = answer->sent_twice;
    if (answer->status == 200)
        taken(post, answer);
    else if (answer->status)
        refused(post, answer);
    else
        fail(post, CS_OUTCOME_RETRY,
             &(cs_sink_result_t){.reason = answer->error,
                                 .advice = answer->advice,
                                 .unsent = answer->unsent,
                                 .too_slow = answer->too_slow,
                                 .maybe_taken = answer->sent});
}

/* An event that no request could carry: whoever queued it did not go by the limit. */
static int is_too_large(const cs_batch_t *batch)
{
    for (int i = 0; i < batch->records->nelts; i++) {
        if (APR_ARRAY_IDX(batch->records, i, cs_batch_record_t).size > CS_RECORD_MAX)
            return 1;
    }
    return 0;
}

static post_t *new_post(firehose_t *firehose, cs_batch_t *batch)
{
    apr_pool_t *pool;
    post_t *post;

    apr_pool_create(&pool, firehose->pool);
    post = apr_palloc(pool, sizeof(*post));
    *post = (post_t){.firehose = firehose, .batch = batch, .pool = pool};
    return post;
}

/* The request, signed. NULL: it cannot be made now, and `lack` says why. */
static const char *const *sign(firehose_t *firehose, cs_span_t body, cs_lack_t *lack, apr_pool_t *pool)
{
    const cs_credentials_t *credentials;
    const char *region;

    if (!cs_access_get(&region, &credentials, firehose->access, lack))
        return NULL;
    if (!firehose->endpoint.url)
        cs_endpoint_make(&firehose->endpoint, "firehose", region, firehose->stream->endpoint, firehose->pool);
    return cs_endpoint_sign(&firehose->endpoint, "application/x-amz-json-1.1", "Firehose_20150804.PutRecordBatch", body,
                            credentials, cs_access_now(firehose->access), pool);
}

static void send_batch(cs_sink_t *sink, cs_batch_t *batch)
{
    firehose_t *firehose = firehose_of(sink);
    post_t *post = new_post(firehose, batch);
    cs_lack_t lack;
    cs_span_t body;

    if (is_too_large(batch)) {
        fail(post, CS_OUTCOME_INVALID, &(cs_sink_result_t){.reason = "longer than the 1,000 KiB that Firehose takes"});
        return;
    }
    body = write_body(firehose, batch, post->pool);
    if (!body.at) {
        fail(post, CS_OUTCOME_RETRY,
             &(cs_sink_result_t){.reason = "no memory for a request", .advice = "give this machine more memory"});
        return;
    }
    if (!(post->headers = sign(firehose, body, &lack, post->pool))) {
        fail(post, CS_OUTCOME_RETRY, &(cs_sink_result_t){.reason = lack.why, .advice = lack.advice, .unsent = 1});
        return;
    }
    if (cs_http_begin(firehose->http, &(cs_http_request_t){.url = firehose->endpoint.url,
                                                           .headers = post->headers,
                                                           .body = body,
                                                           .timeout = firehose->stream->timeout,
                                                           .ca = firehose->stream->ca,
                                                           .answered = answered,
                                                           .to = post}) != APR_SUCCESS)
        fail(post, CS_OUTCOME_RETRY,
             &(cs_sink_result_t){.reason = "libcurl refused the request", .advice = "look at endpoint= and ca="});
}

/* --- the sink --- */

static void poll_answers(cs_sink_t *sink, apr_interval_time_t wait)
{
    cs_http_poll(firehose_of(sink)->http, wait);
}

static void flush(cs_sink_t *sink)
{
    (void)sink; /* nothing is held back here */
}

static void destroy(cs_sink_t *sink)
{
    cs_http_destroy(firehose_of(sink)->http);
    cs_access_destroy(firehose_of(sink)->access);
}

apr_status_t cs_sink_firehose_create(cs_sink_t **sink, const cs_sink_options_t *options)
{
    const cs_stream_t *stream = options->stream;
    apr_pool_t *pool = options->pool;
    firehose_t *firehose = apr_pcalloc(pool, sizeof(*firehose));
    int newline = stream->delimiter == CS_DELIMITER_NEWLINE;
    apr_status_t status;

    firehose->sink = (cs_sink_t){
        .limits = {.records = RECORDS_MOST,
                   .record_target = stream->aggregate ? RECORD_TARGET : 1,
                   .batch = REQUEST_MOST,
                   .batch_overhead = sizeof(HEAD TAIL) + strlen(stream->name),
                   .cost = cost,
                   .delimiter = newline ? 1 : 0},
        .concurrency = (int)stream->concurrency,
        .rounding = ROUNDING,
        .send = send_batch,
        .poll = poll_answers,
        .flush = flush,
        .destroy = destroy,
    };
    firehose->stream = stream;
    firehose->delimiter = newline ? "\n" : "";
    firehose->pool = pool;
    firehose->done = options->done;
    firehose->to = options->to;
    if ((status = cs_http_create(&firehose->http, pool)) != APR_SUCCESS)
        return status;
    if ((status = cs_access_create(&firehose->access, options)) != APR_SUCCESS)
        cs_http_destroy(firehose->http);
    else
        *sink = &firehose->sink;
    return status;
}
