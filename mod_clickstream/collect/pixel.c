/* Events without a body.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/pixel.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <string.h>

#include "collect/json.h"

/* GIF89a: a screen of 1x1, two colours of which the first is transparent, and one pixel of it. */
static const char gif[] = "GIF89a\1\0\1\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;";
const cs_span_t cs_pixel_gif = {gif, sizeof(gif) - 1};

/* Percent signs and plus signs, decoded; NULL: wrongly encoded, or a NUL. */
static const char *decode(const char *text, apr_pool_t *pool)
{
    return *text ? apr_punescape_url(pool, text, NULL, NULL, 1) : "";
}

const char *cs_query_value(const char *query, const char *name, apr_pool_t *pool)
{
    size_t length = strlen(name);
    char *state, *copy = apr_pstrdup(pool, query);

    for (char *pair = apr_strtok(copy, "&", &state); pair; pair = apr_strtok(NULL, "&", &state)) {
        if (strncmp(pair, name, length) == 0 && pair[length] == '=')
            return decode(pair + length + 1, pool);
    }
    return NULL;
}

static int is_scalar(const char *text)
{
    const char *end = text + strlen(text);
    cs_json_t json;

    return *text && strchr("-0123456789tfn", *text) && cs_json_measure(&json, text, end) &&
           json.text.at + json.text.length == end;
}

static int is_always_text(const char *name)
{
    return strcmp(name, "token") == 0 || strcmp(name, "timestamp") == 0 || strcmp(name, "tag") == 0;
}

static char *write_text(char *to, const char *text)
{
    return cs_text_quote(to, (cs_span_t){text, strlen(text)});
}

int cs_pixel_event(cs_span_t *event, const char **culprit, const char *query, apr_pool_t *pool)
{
    char *start = apr_palloc(pool, CS_QUOTED(strlen(query)) * 2 + sizeof("{}")), *to = start;
    char *state, *copy = apr_pstrdup(pool, query);

    *to++ = '{';
    for (char *pair = apr_strtok(copy, "&", &state); pair; pair = apr_strtok(NULL, "&", &state)) {
        char *equals = strchr(pair, '=');
        const char *name, *value;
        *culprit = query + (pair - copy);
        if (!equals || equals == pair)
            continue;
        *equals = '\0';
        if (!(name = decode(pair, pool)) || !(value = decode(equals + 1, pool)))
            return 0;
        if (strcmp(name, "client_id") == 0)
            continue;
        if (to > start + 1)
            *to++ = ',';
        to = write_text(to, name);
        *to++ = ':';
        if (is_scalar(value) && !is_always_text(name)) {
            memcpy(to, value, strlen(value));
            to += strlen(value);
        }
        else
            to = write_text(to, value);
    }
    *to++ = '}';
    *event = (cs_span_t){start, (apr_size_t)(to - start)};
    return 1;
}
