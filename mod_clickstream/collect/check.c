/* One event against the contract.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/check.h"

#include <json-c/json.h>
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

/* To json-c 3.0 is no integer, and one beyond 64 bits is the nearest that it has: both as documented. */
static int is_number(struct json_object *value)
{
    return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
}

static double length_of_text(struct json_object *value)
{
    const char *text = json_object_get_string(value);
    int bytes = json_object_get_string_len(value), characters = 0;

    for (int i = 0; i < bytes; i++)
        characters += (text[i] & 0xC0) != 0x80; /* continuation bytes of UTF-8 begin no character */
    return characters;
}

/* The form of a language tag (BCP 47): "en", "zh-Hant-TW"; whether it is registered is nobody's business here. */
static int is_language(struct json_object *value)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char letters_digits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const char *text = json_object_get_string(value);
    size_t part = strspn(text, letters);

    if (strlen(text) != (size_t)json_object_get_string_len(value) || part < 2 || part > 8)
        return 0;
    for (text += part; *text == '-'; text += 1 + part) {
        part = strspn(text + 1, letters_digits);
        if (part < 1 || part > 8)
            return 0;
    }
    return !*text;
}

static cs_reason_t within(double measure, const cs_tag_t *tag)
{
    return measure >= tag->least && measure <= tag->most ? CS_REASON_COUNT : CS_REASON_OUT_OF_RANGE;
}

static cs_reason_t check_value(struct json_object *value, const cs_tag_t *tag)
{
    static const json_type types[] = {
        [CS_TAG_STRING] = json_type_string, [CS_TAG_LANGUAGE] = json_type_string, [CS_TAG_BOOLEAN] = json_type_boolean,
        [CS_TAG_OBJECT] = json_type_object, [CS_TAG_ARRAY] = json_type_array,     [CS_TAG_INTEGER] = json_type_int,
    };

    if (tag->type == CS_TAG_NUMBER ? !is_number(value) : !json_object_is_type(value, types[tag->type]))
        return CS_REASON_WRONG_TYPE;
    switch (tag->type) {
    case CS_TAG_INTEGER:
    case CS_TAG_NUMBER:
        return within(json_object_get_double(value), tag);
    case CS_TAG_STRING:
        return within(length_of_text(value), tag);
    case CS_TAG_ARRAY:
        return within((double)json_object_array_length(value), tag);
    case CS_TAG_OBJECT:
        return within(json_object_object_length(value), tag);
    case CS_TAG_LANGUAGE:
        return is_language(value) ? CS_REASON_COUNT : CS_REASON_WRONG_TYPE;
    default:
        return CS_REASON_COUNT;
    }
}

static cs_reason_t check_place(const char **field, struct json_object *event)
{
    static const struct {
        const char *name;
        double most;
    } coordinates[] = {{"latitude", 90}, {"longitude", 180}};
    struct json_object *value;

    for (size_t i = 0; i < sizeof(coordinates) / sizeof(coordinates[0]); i++) {
        double degrees;
        *field = coordinates[i].name;
        if (!json_object_object_get_ex(event, *field, &value))
            return CS_REASON_MISSING_FIELD;
        if (!is_number(value))
            return CS_REASON_WRONG_TYPE;
        degrees = json_object_get_double(value);
        if (degrees < -coordinates[i].most || degrees > coordinates[i].most)
            return CS_REASON_OUT_OF_RANGE;
    }
    return CS_REASON_COUNT;
}

static const cs_tag_t *find_tag(const apr_array_header_t *tags, struct json_object *name)
{
    for (int i = 0; tags && i < tags->nelts; i++) {
        const cs_tag_t *tag = &APR_ARRAY_IDX(tags, i, cs_tag_t);
        if (strlen(tag->name) == (size_t)json_object_get_string_len(name) &&
            strcmp(tag->name, json_object_get_string(name)) == 0)
            return tag;
    }
    return NULL;
}

static cs_reason_t check_tag(const char **field, struct json_object *event, const cs_event_rules_t *rules)
{
    struct json_object *name, *value;
    const cs_tag_t *tag;

    if (!rules->tags || !json_object_object_get_ex(event, "tag", &name))
        return CS_REASON_COUNT;
    *field = "tag";
    if (!(tag = find_tag(rules->tags, name)))
        return rules->unknown_tags == CS_UNKNOWN_TAGS_REJECT ? CS_REASON_UNKNOWN_TAG : CS_REASON_COUNT;
    if (tag->type == CS_TAG_ANY)
        return CS_REASON_COUNT;
    if (tag->type == CS_TAG_GEO)
        return check_place(field, event);
    *field = "value";
    return json_object_object_get_ex(event, "value", &value) ? check_value(value, tag) : CS_REASON_MISSING_FIELD;
}

/* --- the event --- */

/* The members whose type the contract fixes. */
static cs_reason_t check_known(const char **field, struct json_object *event)
{
    static const char *const strings[] = {"token", "timestamp", "tag"};
    struct json_object *value;

    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        if (!json_object_object_get_ex(event, strings[i], &value))
            continue;
        *field = strings[i];
        if (!json_object_is_type(value, json_type_string))
            return CS_REASON_WRONG_TYPE;
        if (strcmp(strings[i], "timestamp") == 0 &&
            !cs_is_timestamp(json_object_get_string(value), (apr_size_t)json_object_get_string_len(value)))
            return CS_REASON_BAD_TIMESTAMP;
    }
    return CS_REASON_COUNT;
}

cs_reason_t cs_event_check(const char **field, struct json_object *event, const cs_json_t *json,
                           const cs_event_rules_t *rules)
{
    cs_reason_t reason;

    *field = NULL;
    if (!json_object_is_type(event, json_type_object))
        return CS_REASON_NOT_AN_OBJECT;
    if ((apr_int64_t)json->text.length > rules->max_event)
        return CS_REASON_TOO_LARGE;
    if (json->depth > rules->max_depth)
        return CS_REASON_TOO_DEEP;
    for (int i = 0; i < rules->require->nelts; i++) {
        *field = APR_ARRAY_IDX(rules->require, i, const char *);
        if (!json_object_object_get_ex(event, *field, NULL))
            return CS_REASON_MISSING_FIELD;
    }
    reason = check_known(field, event);
    return reason == CS_REASON_COUNT ? check_tag(field, event, rules) : reason;
}
