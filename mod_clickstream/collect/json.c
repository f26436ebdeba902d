/* JSON text, byte by byte.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/json.h"

#include <string.h>

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

/* The three measures below return the end of the token at `*at`, or NULL with `*at` at the culprit. */

static const char *string_end(const char **at, const char *end)
{
    const char *p = *at + 1;

    while (p < end && *p != '"') {
        int length;
        if (*p == '\\' && p + 1 < end) { /* which escapes there are is json-c's to check */
            p += 2;
            continue;
        }
        length = (unsigned char)*p < 0x20 ? 0 : cs_utf8_length(p, end);
        if (!length) {
            *at = p;
            return NULL;
        }
        p += length;
    }
    if (p < end)
        return p + 1;
    *at = p;
    return NULL;
}

static const char *number_end(const char **at, const char *end)
{
    const char *p = *at;

    if (*p == '-')
        p++;
    if (!is_digit(p, end))
        goto wrong;
    if (*p == '0')
        p++;
    else
        while (is_digit(p, end))
            p++;
    if (p < end && *p == '.') {
        if (!is_digit(++p, end))
            goto wrong;
        while (is_digit(p, end))
            p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (!is_digit(p, end))
            goto wrong;
        while (is_digit(p, end))
            p++;
    }
    if (!is_digit(p, end))
        return p;
wrong:
    *at = p;
    return NULL;
}

static const char *word_end(const char **at, const char *end)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(end - *at) >= length && memcmp(*at, words[i], length) == 0)
            return *at + length;
    }
    return NULL;
}

int cs_json_measure(cs_json_t *value, const char *at, const char *end)
{
    const char *start = skip_space(at, end);
    const char *p = start;
    int open = 0, deepest = 0;

    do {
        const char *token = p;
        if (p == end) {
            value->text.at = end;
            return 0;
        }
        switch (*p) {
        case '{':
        case '[':
            p++;
            if (++open > deepest)
                deepest = open;
            break;
        case '}':
        case ']':
            p++;
            open--;
            break;
        case ' ':
        case '\t':
        case '\n':
        case '\r':
        case ',':
        case ':':
            p++;
            break;
        case '"':
            p = string_end(&token, end);
            break;
        default:
            p = *p == '-' || is_digit(p, end) ? number_end(&token, end) : word_end(&token, end);
        }
        if (!p) {
            value->text.at = token;
            return 0;
        }
    } while (open > 0);
    value->text = (cs_span_t){start, (apr_size_t)(p - start)};
    value->depth = deepest;
    return 1;
}

int cs_json_next(cs_span_t *name, cs_json_t *value, const char **at, const cs_json_t *container)
{
    const char *end = container->text.at + container->text.length;
    const char *p = skip_space(*at ? *at : container->text.at + 1, end);

    if (*at && p < end && *p == ',')
        p = skip_space(p + 1, end);
    if (p >= end - 1)
        return 0;
    *name = (cs_span_t){p, 0};
    if (*container->text.at == '{') {
        const char *after = string_end(&p, end);
        name->length = (apr_size_t)(after - name->at);
        p = skip_space(after, end) + 1; /* the colon */
    }
    if (!cs_json_measure(value, p, end))
        return 0;
    *at = value->text.at + value->text.length;
    return 1;
}

int cs_json_has_nul(cs_span_t name)
{
    const char *end = name.at + name.length;

    for (const char *p = name.at; (p = memchr(p, '\\', (size_t)(end - p))); p += 2) {
        if (end - p > 6 && memcmp(p, "\\u0000", 6) == 0)
            return 1;
    }
    return 0;
}

char *cs_json_compact(char *to, cs_span_t value)
{
    const char *p = value.at, *end = value.at + value.length;

    while (p < end) {
        if (*p == '"') {
            const char *after = string_end(&p, end);
            memcpy(to, p, (size_t)(after - p));
            to += after - p;
            p = after;
        }
        else if (is_space(*p))
            p++;
        else
            *to++ = *p++;
    }
    return to;
}
