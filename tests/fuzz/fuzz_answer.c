/* What AWS answers, or who stands in its place: to PutRecordBatch, errors, credentials in JSON and in STS's XML. The
 * first byte says which. A record is delivered only where the answer has one response for each record, and says so in
 * words; credentials that are taken are fit for headers. SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "deliver/answer.h"
#include "deliver/sts.h"

static apr_size_t cost(apr_size_t record)
{
    return record;
}

static void read_records(cs_span_t body, int count, apr_pool_t *pool)
{
    static const cs_batch_limits_t limits = {.records = 500, .record_target = 1, .batch = 100000, .cost = cost};
    cs_batch_t *batch = cs_batch_create(&limits, 4, pool);
    const char *code = NULL;
    int failed, retried = 0;

    for (int id = 0; id < count; id++)
        cs_batch_add(batch, &limits, (cs_batch_event_t){.id = (apr_uint64_t)id, .data = {"event", 5}});
    failed = cs_answer_records(batch, &code, body, pool);
    for (int i = 0; i < batch->records->nelts; i++) {
        cs_outcome_t outcome = APR_ARRAY_IDX(batch->records, i, cs_batch_record_t).outcome;
        FUZZ_CHECK(outcome == CS_OUTCOME_RETRY || outcome == CS_OUTCOME_DELIVERED);
        retried += outcome == CS_OUTCOME_RETRY;
    }
    FUZZ_CHECK(failed == -1 ? retried == count : retried == failed);
    FUZZ_CHECK(code && strlen(code) <= 80);
    if (retried < count)
        FUZZ_CHECK(memmem(body.at, body.length, "RecordId", 8) || memchr(body.at, '\\', body.length));
}

static int is_value(const char *text)
{
    for (; text && *text; text++) {
        if (*text <= ' ' || *text == 0x7F)
            return 0;
    }
    return 1;
}

static void check_credentials(const cs_credentials_t *credentials, const char *flaw)
{
    if (flaw) {
        FUZZ_CHECK(*flaw && !strchr(flaw, '\n') && strlen(flaw) < 200);
        return;
    }
    FUZZ_CHECK(credentials->access_key && *credentials->access_key && is_value(credentials->access_key));
    FUZZ_CHECK(credentials->secret_key && *credentials->secret_key && is_value(credentials->secret_key));
    FUZZ_CHECK(is_value(credentials->session_token));
}

static void check_error(const char *type, const char *message)
{
    FUZZ_CHECK(type && strlen(type) <= 80 && message && strlen(message) <= 300 && !strpbrk(message, "\r\n"));
}

FUZZ_TARGET(answer)
{
    apr_pool_t *pool = fuzz_pool();
    uint8_t choice = fuzz_byte(&data, &size);
    cs_span_t body = {fuzz_exactly(data, size), size};
    cs_credentials_t credentials = {NULL};
    const char *type = NULL, *message = NULL;

    switch (choice % 6) {
    case 0:
    case 1:
        read_records(body, 1 + choice / 6 % 5, pool);
        break;
    case 2:
        cs_answer_error(&type, &message, body, pool);
        check_error(type, message);
        break;
    case 3:
        check_credentials(&credentials, cs_answer_credentials(&credentials, body, choice & 128 ? 1 : 0, pool));
        break;
    case 4:
        check_credentials(&credentials, cs_sts_read(&credentials, body, pool));
        break;
    default:
        cs_sts_read_error(&type, &message, body, pool);
        check_error(type, message);
    }
    return 0;
}
