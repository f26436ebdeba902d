/* Text: UTF-8, how it is quoted in JSON, and times.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/text.h"

#include <apr_strings.h>
#include <stdio.h>
#include <string.h>

int cs_utf8_length(const char *at, const char *end)
{
    const unsigned char *byte = (const unsigned char *)at;
    unsigned lowest = 0x80, highest = 0xBF; /* what the second byte may be */
    int length;

    if (byte[0] < 0x80)
        return 1;
    if (byte[0] >= 0xC2 && byte[0] <= 0xDF)
        length = 2;
    else if (byte[0] >= 0xE0 && byte[0] <= 0xEF)
        length = 3;
    else if (byte[0] >= 0xF0 && byte[0] <= 0xF4)
        length = 4;
    else
        return 0;
    if (end - at < length)
        return 0;
    if (byte[0] == 0xE0)
        lowest = 0xA0; /* overlong below */
    else if (byte[0] == 0xED)
        highest = 0x9F; /* surrogates above */
    else if (byte[0] == 0xF0)
        lowest = 0x90; /* overlong below */
    else if (byte[0] == 0xF4)
        highest = 0x8F; /* beyond U+10FFFF above */
    if (byte[1] < lowest || byte[1] > highest)
        return 0;
    for (int i = 2; i < length; i++) {
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
    }
    return length;
}

char *cs_text_quote(char *to, cs_span_t span)
{
    static const char hex[] = "0123456789abcdef";
    const char *text = span.at, *end = span.at + span.length;

    *to++ = '"';
    for (;;) {
        const char *plain = cs_text_plain(text, end);
        unsigned char c;
        int length;
        memcpy(to, text, (size_t)(plain - text));
        to += plain - text;
        if ((text = plain) == end)
            break;
        c = (unsigned char)*text;
        length = cs_utf8_length(text, end);
        if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = *text++;
        }
        else if (c < 0x20) {
            memcpy(to, "\\u00", 4);
            to[4] = hex[c >> 4];
            to[5] = hex[c & 15];
            to += 6;
            text++;
        }
        else if (length == 0) {
            memcpy(to, "\xEF\xBF\xBD", 3);
            to += 3;
            text++;
        }
        else {
            memcpy(to, text, (size_t)length);
            to += length;
            text += length;
        }
    }
    *to++ = '"';
    return to;
}

void cs_time_text(char text[CS_TIME_TEXT], apr_time_t time)
{
    apr_time_exp_t utc;

    apr_time_exp_gmt(&utc, time);
    apr_snprintf(text, CS_TIME_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                 utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, utc.tm_usec / 1000);
}

/* "Z" or "+01:00" -> seconds; 0 where it is neither. */
static int read_offset(int *offset, const char *text)
{
    int hours, minutes, length = 0;

    *offset = 0;
    if (strcmp(text, "Z") == 0)
        return 1;
    if ((*text != '+' && *text != '-') || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2 ||
        text[1 + length])
        return 0;
    *offset = (*text == '-' ? -1 : 1) * (hours * 60 + minutes) * 60;
    return 1;
}

int cs_time_read(apr_time_t *time, const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    apr_time_exp_t utc = {0};

    for (const char *part = form; *part; part++) {
        char c = text[part - form];
        if (*part == 'd' ? c < '0' || c > '9' : c != *part)
            return 0;
    }
    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour, &utc.tm_min,
           &utc.tm_sec);
    text += sizeof(form) - 1;
    if (*text == '.')
        text += 1 + strspn(text + 1, "0123456789");
    utc.tm_year -= 1900;
    utc.tm_mon--;
    return read_offset(&utc.tm_gmtoff, text) && utc.tm_mday >= 1 && utc.tm_mday <= 31 && utc.tm_hour < 24 &&
           utc.tm_min < 60 && utc.tm_sec <= 60 && apr_time_exp_gmt_get(time, &utc) == APR_SUCCESS;
}
