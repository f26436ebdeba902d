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

const char *cs_json_skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static void skip_space(scan_t *scan)
{
    const char *at = cs_json_skip_space(scan->at, scan->end);

    scan->spaced |= at != scan->at;
    scan->at = at;
}

/* The byte at hand; a NUL, which nothing begins with, at the end. */
static char peek(const scan_t *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

static int is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/* Passes by what needs no second look within a string. Eight bytes at a time: a byte's highest bit gets set where it is
 * below 0x20, beyond 0x7F, a quote or a backslash; perhaps also in bytes behind such a one, but in no others. */
static const char *skip_plain(const char *at, const char *end)
{
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        word |= (word - EACH(0x20)) | ((word ^ EACH('"')) - EACH(1)) | ((word ^ EACH('\\')) - EACH(1));
        if (word & EACH(0x80))
            break;
    }
#undef EACH
    while (at < end && is_plain(*at))
        at++;
    return at;
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
        scan->at = skip_plain(scan->at, scan->end);
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

/* In an object, the name and the colon before a value. */
static int take_name(scan_t *scan)
{
    if (!is_in_object(scan))
        return 1;
    if (peek(scan) != '"' || !take_string(scan))
        return 0;
    skip_space(scan);
    if (peek(scan) != ':')
        return 0;
    scan->at++;
    skip_space(scan);
    return 1;
}

/* Behind a value: closes what ends there. Returns 1 where a further value follows, or nothing is open any more. */
static int take_end(scan_t *scan)
{
    while (scan->open) {
        skip_space(scan);
        if (peek(scan) == ',') {
            scan->at++;
            skip_space(scan);
            return take_name(scan);
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
        return take_name(scan);
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

int cs_json_measure(cs_json_t *value, const char *at, const char *end)
{
    const char *start = cs_json_skip_space(at, end);
    scan_t scan;
    int good;

    scan.at = start; /* not all of it: the bits are set before they are read */
    scan.end = end;
    scan.open = scan.deepest = scan.spaced = 0;
    do
        good = take_value(&scan);
    while (good && scan.open);
    *value = (cs_json_t){.text = good ? (cs_span_t){start, (apr_size_t)(scan.at - start)} : (cs_span_t){scan.at, 0},
                         .depth = scan.deepest,
                         .spaced = scan.spaced};
    return good;
}

int cs_json_next(cs_span_t *name, cs_json_t *value, const char **at, const cs_json_t *container)
{
    scan_t scan = {.at = *at ? *at : container->text.at + 1, .end = container->text.at + container->text.length};

    skip_space(&scan);
    if (*at && peek(&scan) == ',') {
        scan.at++;
        skip_space(&scan);
    }
    if (scan.at >= scan.end - 1)
        return 0;
    *name = (cs_span_t){scan.at, 0};
    if (*container->text.at == '{') {
        take_string(&scan);
        name->length = (apr_size_t)(scan.at - name->at);
        skip_space(&scan);
        scan.at++; /* the colon */
    }
    if (!cs_json_measure(value, scan.at, scan.end))
        return 0;
    *at = value->text.at + value->text.length;
    return 1;
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
