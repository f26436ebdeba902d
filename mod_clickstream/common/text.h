/* Text: spans of it, UTF-8, how it is quoted in JSON, and how a time is written and read. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_TEXT_H
#define CS_TEXT_H

#include <apr_time.h>

/* Bytes that belong to somebody else; no NUL ends them. */
typedef struct cs_span_t {
    const char *at;
    apr_size_t length;
} cs_span_t;

/* How many bytes the UTF-8 sequence at `at` has (RFC 3629: no surrogates, nothing overlong), or 0. */
int cs_utf8_length(const char *at, const char *end);

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
