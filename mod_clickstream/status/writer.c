/* Text that grows piece by piece, and how values are written in it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "status/writer.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <stdarg.h>
#include <string.h>

#include "common/text.h"

cs_writer_t cs_writer_begin(apr_pool_t *pool)
{
    return (cs_writer_t){.pieces = apr_array_make(pool, 256, sizeof(const char *)), .pool = pool};
}

void cs_write(cs_writer_t *writer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    APR_ARRAY_PUSH(writer->pieces, const char *) = apr_pvsprintf(writer->pool, format, arguments);
    va_end(arguments);
}

const char *cs_writer_end(const cs_writer_t *writer)
{
    return apr_array_pstrcat(writer->pool, writer->pieces, '\0');
}

/* APR's knows the four characters, and takes every byte for text. */
const char *cs_html_text(const char *text, apr_pool_t *pool)
{
    const char *end = text + strlen(text);
    char *clean = apr_palloc(pool, 3 * strlen(text) + 1), *to = clean;

    while (text < end) {
        int length = cs_utf8_length(text, end);
        if (*text == '\n' || *text == '\r' || *text == '\t') {
            *to++ = ' ';
            text++;
        }
        else if (length == 0 || (unsigned char)*text < ' ' || *text == 0x7F) {
            to = (char *)memcpy(to, "\xEF\xBF\xBD", 3) + 3;
            text++;
        }
        else {
            to = (char *)memcpy(to, text, (size_t)length) + length;
            text += length;
        }
    }
    *to = '\0';
    return apr_pescape_entity(pool, clean, 0);
}

const char *cs_json_text(const char *text, apr_pool_t *pool)
{
    cs_span_t span = {text, text ? strlen(text) : 0};
    char *quoted;

    if (!text)
        return "null";
    quoted = apr_palloc(pool, CS_QUOTED(span.length) + 1);
    *cs_text_quote(quoted, span) = '\0';
    return quoted;
}

const char *cs_writer_time(apr_time_t time, apr_pool_t *pool)
{
    char *text = apr_palloc(pool, CS_TIME_TEXT);

    cs_time_text(text, time);
    return text;
}
