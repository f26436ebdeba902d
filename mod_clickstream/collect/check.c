/* One event against the contract.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/check.h"

#include <stdlib.h>
#include <string.h>

#include "common/settings.h"

/* --- timestamps: RFC 3339, section 5.6 --- */

static int two_digits(const char *at, int least, int most)
{
    int number;

    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return -1;
    number = (at[0] - '0') * 10 + at[1] - '0';
    return number >= least && number <= most ? number : -1;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

int cs_is_timestamp(const char *text, apr_size_t length)
{
    const char *end = text + length, *p = text + 19;
    int century, year, month;

    if (length < sizeof("2022-02-22T18:37:28Z") - 1)
        return 0;
    century = two_digits(text, 0, 99);
    year = two_digits(text + 2, 0, 99);
    month = two_digits(text + 5, 1, 12);
    if (century < 0 || year < 0 || month < 0 || two_digits(text + 8, 1, days_in(century * 100 + year, month)) < 0)
        return 0;
    if (two_digits(text + 11, 0, 23) < 0 || two_digits(text + 14, 0, 59) < 0 || two_digits(text + 17, 0, 60) < 0)
        return 0;
    if (text[4] != '-' || text[7] != '-' || (text[10] | 32) != 't' || text[13] != ':' || text[16] != ':')
        return 0;
    if (*p == '.') {
        const char *fraction = ++p;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
        if (p == fraction)
            return 0;
    }
    if (end - p == 1)
        return (*p | 32) == 'z';
    return end - p == 6 && (*p == '+' || *p == '-') && two_digits(p + 1, 0, 23) >= 0 && p[3] == ':' &&
           two_digits(p + 4, 0, 59) >= 0;
}

/* --- tags --- */

/* What of an event is looked at. */
typedef struct checked_t {
    const cs_member_t *members;
    int count;
    const cs_event_rules_t *rules;
    apr_pool_t *pool;
} checked_t;

static const cs_json_t *find(const checked_t *event, const char *name)
{
    return cs_json_find(event->members, event->count, name);
}

static int is_text(cs_span_t text, const char *expected)
{
    return text.length == strlen(expected) && memcmp(text.at, expected, text.length) == 0;
}

static double count_characters(cs_span_t text)
{
    apr_size_t characters = 0;

    for (apr_size_t i = 0; i < text.length; i++)
        characters += (text.at[i] & 0xC0) != 0x80; /* continuation bytes of UTF-8 begin no character */
    return (double)characters;
}

static apr_size_t count_letters(const char *at, const char *end, int digits)
{
    const char *p = at;

    while (p < end && ((*p | 32) >= 'a' && (*p | 32) <= 'z' ? 1 : digits && *p >= '0' && *p <= '9'))
        p++;
    return (apr_size_t)(p - at);
}

/* The form of a language tag (BCP 47): "en", "zh-Hant-TW"; whether it is registered is nobody's business here. */
static int is_language(cs_span_t text)
{
    const char *at = text.at, *end = text.at + text.length;
    apr_size_t part = count_letters(at, end, 0);

    if (part < 2 || part > 8)
        return 0;
    for (at += part; at < end && *at == '-'; at += 1 + part) {
        part = count_letters(at + 1, end, 1);
        if (part < 1 || part > 8)
            return 0;
    }
    return at == end;
}

static cs_reason_t within(double measure, const cs_tag_t *tag)
{
    return measure >= tag->least && measure <= tag->most ? CS_REASON_COUNT : CS_REASON_OUT_OF_RANGE;
}

static int is_number(cs_json_kind_t kind)
{
    return kind == CS_JSON_INTEGER || kind == CS_JSON_DECIMAL;
}

static cs_reason_t check_value(const cs_json_t *value, const cs_tag_t *tag, apr_pool_t *pool)
{
    static const cs_json_kind_t kinds[] = {
        [CS_TAG_STRING] = CS_JSON_STRING, [CS_TAG_LANGUAGE] = CS_JSON_STRING, [CS_TAG_BOOLEAN] = CS_JSON_BOOLEAN,
        [CS_TAG_OBJECT] = CS_JSON_OBJECT, [CS_TAG_ARRAY] = CS_JSON_ARRAY,     [CS_TAG_INTEGER] = CS_JSON_INTEGER,
    };
    cs_json_kind_t kind = cs_json_kind(value->text);

    if (tag->type == CS_TAG_NUMBER ? !is_number(kind) : kind != kinds[tag->type])
        return CS_REASON_WRONG_TYPE;
    switch (tag->type) {
    case CS_TAG_INTEGER:
    case CS_TAG_NUMBER:
        return within(cs_json_number(value->text), tag);
    case CS_TAG_STRING:
        return within(count_characters(cs_json_string(value->text, pool)), tag);
    case CS_TAG_ARRAY:
    case CS_TAG_OBJECT:
        return within(cs_json_count(value, pool), tag);
    case CS_TAG_LANGUAGE:
        return is_language(cs_json_string(value->text, pool)) ? CS_REASON_COUNT : CS_REASON_WRONG_TYPE;
    default:
        return CS_REASON_COUNT;
    }
}

static cs_reason_t check_place(const char **field, const checked_t *event)
{
    static const struct {
        const char *name;
        double most;
    } coordinates[] = {{"latitude", 90}, {"longitude", 180}};

    for (size_t i = 0; i < sizeof(coordinates) / sizeof(coordinates[0]); i++) {
        const cs_json_t *value;
        double degrees;
        *field = coordinates[i].name;
        if (!(value = find(event, *field)))
            return CS_REASON_MISSING_FIELD;
        if (!is_number(cs_json_kind(value->text)))
            return CS_REASON_WRONG_TYPE;
        degrees = cs_json_number(value->text);
        if (degrees < -coordinates[i].most || degrees > coordinates[i].most)
            return CS_REASON_OUT_OF_RANGE;
    }
    return CS_REASON_COUNT;
}

static const cs_tag_t *find_tag(const apr_array_header_t *tags, cs_span_t name)
{
    for (int i = 0; tags && i < tags->nelts; i++) {
        const cs_tag_t *tag = &APR_ARRAY_IDX(tags, i, cs_tag_t);
        if (is_text(name, tag->name))
            return tag;
    }
    return NULL;
}

static cs_reason_t check_tag(const char **field, const checked_t *event)
{
    const cs_event_rules_t *rules = event->rules;
    int reject = rules->unknown_tags == CS_UNKNOWN_TAGS_REJECT;
    const cs_json_t *value;
    const cs_tag_t *tag;

    if ((!rules->tags && !reject) || !(value = find(event, "tag")))
        return CS_REASON_COUNT;
    *field = "tag";
    if (!(tag = find_tag(rules->tags, cs_json_string(value->text, event->pool))))
        return reject ? CS_REASON_UNKNOWN_TAG : CS_REASON_COUNT;
    if (tag->type == CS_TAG_ANY)
        return CS_REASON_COUNT;
    if (tag->type == CS_TAG_GEO)
        return check_place(field, event);
    *field = "value";
    return (value = find(event, "value")) ? check_value(value, tag, event->pool) : CS_REASON_MISSING_FIELD;
}

/* --- the event --- */

/* The members whose type the contract fixes. */
static cs_reason_t check_known(const char **field, const checked_t *event)
{
    static const char *const strings[] = {"token", "timestamp", "tag"};

    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        const cs_json_t *value = find(event, strings[i]);
        cs_span_t text;
        if (!value)
            continue;
        *field = strings[i];
        if (cs_json_kind(value->text) != CS_JSON_STRING)
            return CS_REASON_WRONG_TYPE;
        if (strcmp(strings[i], "timestamp") != 0)
            continue;
        text = cs_json_string(value->text, event->pool);
        if (!cs_is_timestamp(text.at, text.length))
            return CS_REASON_BAD_TIMESTAMP;
    }
    return CS_REASON_COUNT;
}

cs_reason_t cs_event_check(const char **field, const cs_member_t *members, int count, const cs_event_rules_t *rules,
                           apr_pool_t *pool)
{
    const checked_t event = {.members = members, .count = count, .rules = rules, .pool = pool};
    cs_reason_t reason;

    *field = NULL;
    for (int i = 0; i < rules->require->nelts; i++) {
        *field = APR_ARRAY_IDX(rules->require, i, const char *);
        if (!find(&event, *field))
            return CS_REASON_MISSING_FIELD;
    }
    reason = check_known(field, &event);
    return reason == CS_REASON_COUNT ? check_tag(field, &event) : reason;
}
