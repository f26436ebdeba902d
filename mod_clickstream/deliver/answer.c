/* What AWS answered, read.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/answer.h"

#include <apr_strings.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <string.h>

#include "deliver/secret.h"

/* AWS's answers are four deep; one that is deeper is not AWS's. */
#define ANSWER_DEPTH 8

static struct json_object *parse(cs_span_t body)
{
    struct json_tokener *tokener = json_tokener_new_ex(ANSWER_DEPTH);
    struct json_object *object = json_tokener_parse_ex(tokener, body.at, (int)body.length);

    json_tokener_free(tokener);
    return object;
}

static const char *text_of(struct json_object *object, const char *name)
{
    struct json_object *value;

    if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, name, &value) ||
        !json_object_is_type(value, json_type_string))
        return NULL;
    return json_object_get_string(value);
}

int cs_answer_records(cs_batch_t *batch, const char **code, cs_span_t body, apr_pool_t *pool)
{
    struct json_object *answer = parse(body), *responses;
    int failed = -1;

    *code = "";
    if (!json_object_is_type(answer, json_type_object) ||
        !json_object_object_get_ex(answer, "RequestResponses", &responses) ||
        !json_object_is_type(responses, json_type_array) ||
        json_object_array_length(responses) != (size_t)batch->records->nelts)
        goto leave;
    failed = 0;
    for (int i = 0; i < batch->records->nelts; i++) {
        struct json_object *response = json_object_array_get_idx(responses, (size_t)i);
        const char *error = text_of(response, "ErrorCode");
        int delivered = text_of(response, "RecordId") && !json_object_object_get(response, "ErrorCode");
        APR_ARRAY_IDX(batch->records, i, cs_batch_record_t).outcome =
            delivered ? CS_OUTCOME_DELIVERED : CS_OUTCOME_RETRY;
        if (!delivered && failed++ == 0)
            *code = apr_pstrndup(pool, error ? error : "no RecordId", 80);
    }
leave:
    json_object_put(answer);
    return failed;
}

void cs_answer_error(const char **type, const char **message, cs_span_t body, apr_pool_t *pool)
{
    struct json_object *answer = parse(body);
    const char *name = text_of(answer, "__type");
    const char *text = text_of(answer, "message") ? text_of(answer, "message") : text_of(answer, "Message");

    if (name && strchr(name, '#'))
        name = strchr(name, '#') + 1;
    *type = apr_pstrndup(pool, name ? name : "", 80);
    *message = text ? apr_pstrndup(pool, text, strcspn(text, "\r\n") < 300 ? strcspn(text, "\r\n") : 300) : "";
    json_object_put(answer);
}

/* Moves it to where it is overwritten in the end. */
static const char *take(struct json_object *object, const char *name, apr_pool_t *pool)
{
    const char *value = text_of(object, name);
    const char *kept;

    if (!value)
        return NULL;
    kept = cs_secret_keep(value, strlen(value), pool);
    OPENSSL_cleanse((char *)(apr_uintptr_t)value, strlen(value));
    return kept;
}

/* What instance metadata says where it has none. */
static const char *flaw_of_code(const char *code, apr_pool_t *pool)
{
    size_t length = strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    return strcmp(code, "Success") == 0 ? NULL
                                        : apr_psprintf(pool, "the code %.*s", (int)(length < 80 ? length : 80), code);
}

static const char *read_credentials(cs_credentials_t *credentials, struct json_object *answer, int version,
                                    apr_pool_t *pool)
{
    const char *expires = text_of(answer, "Expiration"), *code = text_of(answer, "Code"), *token;
    struct json_object *number;

    if (!json_object_is_type(answer, json_type_object))
        return "no JSON object";
    if (code && (code = flaw_of_code(code, pool)))
        return code;
    if (version && (!json_object_object_get_ex(answer, "Version", &number) || json_object_get_int(number) != version))
        return apr_psprintf(pool, "no \"Version\": %d", version);
    credentials->access_key = take(answer, "AccessKeyId", pool);
    credentials->secret_key = take(answer, "SecretAccessKey", pool);
    token = take(answer, "Token", pool);
    credentials->session_token = token ? token : take(answer, "SessionToken", pool);
    if (expires && !cs_time_read(&credentials->expires, expires))
        return "an Expiration that is no time";
    return cs_credentials_flaw(credentials);
}

const char *cs_answer_credentials(cs_credentials_t *credentials, cs_span_t body, int version, apr_pool_t *pool)
{
    struct json_object *answer = parse(body);
    const char *flaw = read_credentials(credentials, answer, version, pool);

    json_object_put(answer);
    return flaw;
}
