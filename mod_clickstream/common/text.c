/* Text: UTF-8, and how it is quoted in JSON.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/text.h"

#include <apr_strings.h>
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
    while (text < end) {
        unsigned char c = (unsigned char)*text;
        int length = cs_utf8_length(text, end);
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
