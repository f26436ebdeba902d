/* Text: spans of it, UTF-8, how it is quoted in JSON, and how a time is written and read. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_TEXT_H
#define CS_TEXT_H

#include <apr_time.h>
#include <stdint.h>
#include <string.h>

/* Bytes that belong to somebody else; no NUL ends them. */
typedef struct cs_span_t {
    const char *at;
    apr_size_t length;
} cs_span_t;

/* How many bytes the UTF-8 sequence at `at` has (RFC 3629: no surrogates, nothing overlong), or 0. */
int cs_utf8_length(const char *at, const char *end);

/* Passes by what stands for itself in a JSON string: ASCII from U+0020 on, but for quotes and backslashes. Returns the
 * first byte that does not, or `end`. Here, as most of a body goes through it: eight bytes at a time, of which each
 * gets its highest bit set where it is below 0x20, beyond 0x7F, a quote or a backslash; perhaps also bytes behind such
 * a one, but no others. */
static inline const char *cs_text_plain(const char *at, const char *end)
{
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        word |= (word - EACH(0x20)) | ((word ^ EACH('"')) - EACH(1)) | ((word ^ EACH('\\')) - EACH(1));
        word &= EACH(0x80);
        if (word)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return at + __builtin_ctzll(word) / 8;
#else
            break;
#endif
    }
#undef EACH
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Writes `text`, any bytes, as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
 * `to` has room for CS_QUOTED(text.length) bytes. Returns the end; no NUL is written. */
#define CS_QUOTED(length) (6 * (length) + 2)
char *cs_text_quote(char *to, cs_span_t text);

/* RFC 3339 with milliseconds, in UTC: "2026-01-31T23:59:59.123Z". */
#define CS_TIME_TEXT sizeof("2026-01-31T23:59:59.123Z")
void cs_time_text(char text[CS_TIME_TEXT], apr_time_t time);

/* Reads such a time, with any fraction of a second or none, and with Z or an offset. Returns 0 where it is none. */
int cs_time_read(apr_time_t *time, const char *text);

#endif
