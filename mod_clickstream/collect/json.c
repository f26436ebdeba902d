/* JSON text: the scanner. What the values mean is in json_value.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/json.h"

#include <stdint.h>
#include <string.h>

/* A text that is being measured. Each step takes a token, or returns 0 with `at` at the culprit. */
typedef struct scan_t {
    const char *at, *end;
    uint64_t objects[CS_JSON_DEEPEST / 64]; /* of what is open, from outside: a bit is 1 for {, and 0 for [ */
    int open, deepest;
    int spaced;
} scan_t;

static int is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *pass_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

const char *cs_json_skip_space(const char *at, const char *end)
{
    return pass_space(at, end);
}

static void skip_space(scan_t *scan)
{
    if (scan->at < scan->end && (unsigned char)*scan->at <= ' ') { /* seldom */
        const char *at = pass_space(scan->at, scan->end);
        scan->spaced |= at != scan->at;
        scan->at = at;
    }
}

/* The byte at hand; a NUL, which nothing begins with, at the end. */
static char peek(const scan_t *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

static int is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static int take_escape(scan_t *scan)
{
    scan->at++;
    if (!peek(scan) || !strchr("\"\\/bfnrtu", *scan->at))
        return 0;
    if (*scan->at++ != 'u')
        return 1;
    for (int i = 0; i < 4; i++, scan->at++) {
        if (!is_hex(peek(scan)))
            return 0;
    }
    return 1;
}

static int take_string(scan_t *scan)
{
    scan->at++;
    for (;;) {
        char c;
        scan->at = cs_text_plain(scan->at, scan->end);
        c = peek(scan);
        if (c == '"') {
            scan->at++;
            return 1;
        }
        if (c == '\\') {
            if (!take_escape(scan))
                return 0;
        }
        else {
            int length = (unsigned char)c < 0x80 ? 0 : cs_utf8_length(scan->at, scan->end);
            if (!length)
                return 0;
            scan->at += length;
        }
    }
}

/* At least one. */
static int take_digits(scan_t *scan)
{
    if (!is_digit(scan->at, scan->end))
        return 0;
    while (is_digit(scan->at, scan->end))
        scan->at++;
    return 1;
}

static int take_number(scan_t *scan)
{
    scan->at += peek(scan) == '-';
    if (peek(scan) == '0')
        scan->at++;
    else if (!take_digits(scan))
        return 0;
    if (peek(scan) == '.') {
        scan->at++;
        if (!take_digits(scan))
            return 0;
    }
    if ((peek(scan) | 32) == 'e') {
        scan->at++;
        scan->at += peek(scan) == '+' || peek(scan) == '-';
        return take_digits(scan);
    }
    return !is_digit(scan->at, scan->end); /* "01" */
}

static int take_word(scan_t *scan, const char *word)
{
    for (; *word; word++, scan->at++) {
        if (peek(scan) != *word)
            return 0;
    }
    return 1;
}

static int is_in_object(const scan_t *scan)
{
    int top = scan->open - 1;

    return (int)(scan->objects[top / 64] >> (top % 64) & 1);
}

static void enter(scan_t *scan, int object)
{
    uint64_t bit = UINT64_C(1) << (scan->open % 64), *bits = &scan->objects[scan->open / 64];

    *bits = object ? *bits | bit : *bits & ~bit;
    if (++scan->open > scan->deepest)
        scan->deepest = scan->open;
    scan->at++;
    skip_space(scan);
}

/* The name and the colon before a member's value. */
static int take_name(scan_t *scan, cs_span_t *name)
{
    name->at = scan->at;
    if (peek(scan) != '"' || !take_string(scan))
        return 0;
    name->length = (apr_size_t)(scan->at - name->at);
    skip_space(scan);
    if (peek(scan) != ':')
        return 0;
    scan->at++;
    skip_space(scan);
    return 1;
}

/* Up to the next value of what is open. */
static int take_label(scan_t *scan)
{
    cs_span_t name;

    return !is_in_object(scan) || take_name(scan, &name);
}

/* Behind a value: closes what ends there. Returns 1 where a further value follows, or nothing is open any more. */
static int take_end(scan_t *scan)
{
    while (scan->open) {
        skip_space(scan);
        if (peek(scan) == ',') {
            scan->at++;
            skip_space(scan);
            return take_label(scan);
        }
        if (peek(scan) != (is_in_object(scan) ? '}' : ']'))
            return 0;
        scan->open--;
        scan->at++;
    }
    return 1;
}

/* A whole value, or the beginning of a container up to its first value. */
static int take_value(scan_t *scan)
{
    char c = peek(scan);

    switch (c) {
    case '{':
    case '[':
        if (scan->open == CS_JSON_DEEPEST) {
            scan->deepest++;
            return 0;
        }
        enter(scan, c == '{');
        if (peek(scan) == (c == '{' ? '}' : ']'))
            return take_end(scan);
        return take_label(scan);
    case '"':
        return take_string(scan) && take_end(scan);
    case 't':
        return take_word(scan, "true") && take_end(scan);
    case 'f':
        return take_word(scan, "false") && take_end(scan);
    case 'n':
        return take_word(scan, "null") && take_end(scan);
    default:
        return take_number(scan) && take_end(scan);
    }
}

static int take_whole(scan_t *scan)
{
    int good;

    do
        good = take_value(scan);
    while (good && scan->open);
    return good;
}

/* Not all of it is set: the bits are, before they are read. */
static void begin(scan_t *scan, const char *at, const char *end)
{
    scan->at = at;
    scan->end = end;
    scan->open = scan->deepest = scan->spaced = 0;
}

static cs_json_t measured(const scan_t *scan, const char *start, int good)
{
    return (cs_json_t){.text = good ? (cs_span_t){start, (apr_size_t)(scan->at - start)} : (cs_span_t){scan->at, 0},
                       .depth = scan->deepest,
                       .spaced = scan->spaced};
}

int cs_json_measure(cs_json_t *value, const char *at, const char *end)
{
    const char *start = pass_space(at, end);
    scan_t scan;
    int good;

    begin(&scan, start, end);
    good = take_whole(&scan);
    *value = measured(&scan, start, good);
    return good;
}

/* One member, and what is behind it: 1 with `*last` set where that is the object's end. Each value is measured as if it
 * stood alone. */
static int take_member(scan_t *scan, cs_member_t *member, int *last)
{
    const char *start;
    scan_t value;
    int good;

    if (!take_name(scan, &member->raw_name))
        return 0;
    start = scan->at;
    begin(&value, start, scan->end);
    good = take_whole(&value);
    member->value = measured(&value, start, good);
    scan->at = value.at;
    scan->spaced |= value.spaced;
    if (value.deepest >= scan->deepest)
        scan->deepest = value.deepest + 1;
    if (!good)
        return 0;
    skip_space(scan);
    *last = peek(scan) == '}';
    if (!*last && peek(scan) != ',')
        return 0;
    scan->at++;
    if (!*last)
        skip_space(scan);
    return 1;
}

static int take_members(scan_t *scan, apr_array_header_t *members, apr_pool_t *pool)
{
    cs_member_t member;
    int last = peek(scan) == '}';

    if (last)
        scan->at++;
    while (!last) {
        if (!take_member(scan, &member, &last))
            return 0;
        member.name = cs_json_string(member.raw_name, pool);
        APR_ARRAY_PUSH(members, cs_member_t) = member;
    }
    return 1;
}

int cs_json_object(apr_array_header_t *members, cs_json_t *object, const char *at, const char *end, apr_pool_t *pool)
{
    const char *start = pass_space(at, end);
    scan_t scan;
    int good = 0;

    begin(&scan, start, end);
    apr_array_clear(members);
    if (peek(&scan) == '{') {
        scan.at++;
        scan.deepest = 1;
        skip_space(&scan);
        good = take_members(&scan, members, pool);
    }
    *object = measured(&scan, start, good);
    return good;
}

char *cs_json_compact(char *to, const cs_json_t *value)
{
    scan_t scan = {.at = value->text.at, .end = value->text.at + value->text.length};

    if (!value->spaced) {
        memcpy(to, value->text.at, value->text.length);
        return to + value->text.length;
    }
    for (skip_space(&scan); scan.at < scan.end; skip_space(&scan)) {
        const char *token = scan.at;
        if (*token == '"')
            take_string(&scan);
        else
            scan.at++;
        memcpy(to, token, (size_t)(scan.at - token));
        to += scan.at - token;
    }
    return to;
}
