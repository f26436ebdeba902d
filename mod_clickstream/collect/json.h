/* JSON text, byte by byte: where its values lie, so that they can be passed on exactly as they were sent.
 *
 * This is not a parser. json-c parses, and what it accepted is walked here. Two reasons: json-c keeps
 * values, not text (an integer beyond 64 bits comes back as another number), and its strict mode still
 * lets some things through that RFC 8259 does not: NaN, "1.", "-01", control characters and overlong
 * UTF-8 in strings, names in single quotes. The walk refuses those.
 * Pure: no allocation, no state. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_JSON_H
#define CS_JSON_H

#include "common/text.h"

/* One value in a text. */
typedef struct cs_json_t {
    cs_span_t text; /* without white space around it */
    int depth;      /* 0 for a scalar, 1 for {} and [], 2 for [{}] … */
} cs_json_t;

/* Measures the value that begins at or after `at`. Returns 1, or 0 with `value->text.at` at the byte that
 * is not allowed there. Only text that json-c accepted may be given. */
int cs_json_measure(cs_json_t *value, const char *at, const char *end);

/* Steps through the elements of an object or array that was measured. Set `*at` to NULL for the first
 * call; returns 0 after the last. `name` is the text of the member's name, quotes included; in an array
 * its length is 0. */
int cs_json_next(cs_span_t *name, cs_json_t *value, const char **at, const cs_json_t *container);

/* Whether a member's name has U+0000 in it: json-c ends a name there, so that it would pass for another one. */
int cs_json_has_nul(cs_span_t name);

/* Copies a measured value without the white space around its tokens; returns the end of the copy. `to` has
 * room for `value.length` bytes. */
char *cs_json_compact(char *to, cs_span_t value);

#endif
