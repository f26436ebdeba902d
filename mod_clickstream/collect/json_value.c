/* JSON text: what measured values mean, and the members of an object.
 * SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "collect/json.h"

/* Names of so few members are compared each with each; of more, in order. */
#define FEW 16

cs_json_kind_t cs_json_kind(cs_span_t value)
{
    switch (*value.at) {
    case '{':
        return CS_JSON_OBJECT;
    case '[':
        return CS_JSON_ARRAY;
    case '"':
        return CS_JSON_STRING;
    case 't':
    case 'f':
        return CS_JSON_BOOLEAN;
    case 'n':
        return CS_JSON_NULL;
    default:
        for (apr_size_t i = 0; i < value.length; i++) {
            if (strchr(".eE", value.at[i]))
                return CS_JSON_DECIMAL;
        }
        return CS_JSON_INTEGER;
    }
}

/* --- strings --- */

static unsigned read_hex(const char *at)
{
    unsigned number = 0;

    for (int i = 0; i < 4; i++)
        number = number << 4 | (unsigned)(at[i] <= '9' ? at[i] - '0' : (at[i] | 32) - 'a' + 10);
    return number;
}

static char *write_utf8(char *to, unsigned character)
{
    if (character < 0x80)
        *to++ = (char)character;
    else if (character < 0x800)
        *to++ = (char)(0xC0 | character >> 6);
    else if (character < 0x10000)
        *to++ = (char)(0xE0 | character >> 12);
    else
        *to++ = (char)(0xF0 | character >> 18);
    if (character >= 0x10000)
        *to++ = (char)(0x80 | (character >> 12 & 0x3F));
    if (character >= 0x800)
        *to++ = (char)(0x80 | (character >> 6 & 0x3F));
    if (character >= 0x80)
        *to++ = (char)(0x80 | (character & 0x3F));
    return to;
}

/* The character of the \u at `*at`, or of two of them (RFC 8259, section 7). */
static unsigned read_unicode(const char **at, const char *end)
{
    unsigned first = read_hex(*at + 2), second;

    *at += 6;
    if (first < 0xD800 || first > 0xDFFF)
        return first;
    if (first > 0xDBFF || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
        return 0xFFFD;
    second = read_hex(*at + 2);
    if (second < 0xDC00 || second > 0xDFFF)
        return 0xFFFD;
    *at += 6;
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

cs_span_t cs_json_string(cs_span_t value, apr_pool_t *pool)
{
    static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    const char *at = value.at + 1, *end = value.at + value.length - 1;
    char *start, *to;

    if (!memchr(at, '\\', (size_t)(end - at)))
        return (cs_span_t){at, (apr_size_t)(end - at)};
    start = to = apr_palloc(pool, value.length);
    while (at < end) {
        if (*at != '\\')
            *to++ = *at++;
        else if (at[1] == 'u')
            to = write_utf8(to, read_unicode(&at, end));
        else {
            *to++ = strchr(escapes, at[1])[1];
            at += 2;
        }
    }
    return (cs_span_t){start, (apr_size_t)(to - start)};
}

/* --- numbers --- */

/* What follows the number in its text ends it for strtod() as well, where it is in an object. By the locale that JSON
 * is written in, whatever this thread has. */
double cs_json_number(cs_span_t value)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = uselocale(plain);
    double number = strtod(value.at, NULL);

    uselocale(before);
    freelocale(plain);
    return number;
}

/* --- members --- */

const char *cs_json_nul(const apr_array_header_t *members)
{
    for (int i = 0; i < members->nelts; i++) {
        const cs_member_t *member = &APR_ARRAY_IDX(members, i, cs_member_t);
        if (member->name.length + 2 < member->raw_name.length && /* there are escapes in it */
            memchr(member->name.at, '\0', member->name.length))
            return member->raw_name.at;
    }
    return NULL;
}

static int is_same(cs_span_t a, cs_span_t b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

static int has_twins(const cs_member_t *members, int count)
{
    for (int i = 1; i < count; i++) {
        for (int j = 0; j < i; j++) {
            if (is_same(members[i].name, members[j].name))
                return 1;
        }
    }
    return 0;
}

/* Names that are the same stand together, in the order that they were sent in. */
static int by_name(const void *one, const void *other)
{
    const cs_member_t *a = *(const cs_member_t *const *)one, *b = *(const cs_member_t *const *)other;
    apr_size_t shorter = a->name.length < b->name.length ? a->name.length : b->name.length;
    int order = memcmp(a->name.at, b->name.at, shorter);

    if (order)
        return order;
    if (a->name.length != b->name.length)
        return a->name.length < b->name.length ? -1 : 1;
    return a < b ? -1 : a > b;
}

int cs_json_unite(apr_array_header_t *members, apr_pool_t *pool)
{
    cs_member_t *all = (cs_member_t *)(void *)members->elts, **sorted;
    int count = members->nelts, kept = 0;

    if (count <= FEW && !has_twins(all, count))
        return 0;
    sorted = apr_palloc(pool, (apr_size_t)count * sizeof(cs_member_t *));
    for (int i = 0; i < count; i++)
        sorted[i] = &all[i];
    qsort(sorted, (size_t)count, sizeof(cs_member_t *), by_name);
    for (int i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && is_same(sorted[i]->name, sorted[next]->name);)
            next++;
        *sorted[i] = *sorted[next - 1];
        for (int j = i + 1; j < next; j++)
            sorted[j]->raw_name.at = NULL; /* it is gone */
    }
    for (int i = 0; i < count; i++) {
        if (all[i].raw_name.at)
            all[kept++] = all[i];
    }
    members->nelts = kept;
    return count - kept;
}

const cs_json_t *cs_json_find(const cs_member_t *members, int count, const char *name)
{
    const cs_span_t wanted = {name, strlen(name)};

    for (int i = 0; i < count; i++) {
        if (is_same(members[i].name, wanted))
            return &members[i].value;
    }
    return NULL;
}

int cs_json_count(const cs_json_t *container, apr_pool_t *pool)
{
    const char *at = container->text.at, *end = at + container->text.length;
    apr_array_header_t *members;
    cs_json_t element;
    int count = 0;

    if (*at == '{') {
        members = apr_array_make(pool, 16, sizeof(cs_member_t));
        cs_json_object(members, &element, at, end, pool);
        cs_json_unite(members, pool);
        return members->nelts;
    }
    for (at = cs_json_skip_space(at + 1, end); *at != ']'; count++) {
        cs_json_measure(&element, at, end);
        at = cs_json_skip_space(element.text.at + element.text.length, end);
        if (*at == ',')
            at++;
    }
    return count;
}
