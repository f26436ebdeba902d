/* What AWS answered, read.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/answer.h"

#include <apr_strings.h>
#include <json-c/json.h>
#include <string.h>

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
    *message = apr_pstrndup(pool, text ? text : "", 300);
    json_object_put(answer);
}
