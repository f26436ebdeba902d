/* JSON text, by RFC 8259 and nothing beyond it: where its values lie, so that they can be passed on exactly as they
 * were sent.
 *
 * A scanner, and no parser into a tree. A tree has values, not text: an integer beyond 64 bits comes back as another
 * number. And to make one costs several times what all else costs that is done to an event; see tests/bench/README.md.
 * The texts are the client's, so nothing here recurses, and each byte is looked at a bounded number of times.
 * Pure, and without state; where there is a pool, what is made lies in it. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_JSON_H
#define CS_JSON_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "common/text.h"

/* One value in a text. */
typedef struct cs_json_t {
    cs_span_t text; /* without white space around it */
    int depth;      /* 0 for a scalar, 1 for {} and [], 2 for [{}] … */
    int spaced;     /* there is white space between its tokens */
} cs_json_t;

/* What is deeper is not looked at to its end. More than any ClickstreamMaxDepth. */
#define CS_JSON_DEEPEST 128

/* Measures the value that begins at or after `at`; what comes behind it is not looked at. Returns 1, or 0 with
 * `value->text.at` at the byte that is not allowed there, or with a depth beyond CS_JSON_DEEPEST. */
int cs_json_measure(cs_json_t *value, const char *at, const char *end);

const char *cs_json_skip_space(const char *at, const char *end);

/* The functions below want text that was measured. */

typedef enum {
    CS_JSON_OBJECT,
    CS_JSON_ARRAY,
    CS_JSON_STRING,
    CS_JSON_INTEGER, /* a number without fraction and exponent */
    CS_JSON_DECIMAL, /* any other number */
    CS_JSON_BOOLEAN,
    CS_JSON_NULL,
} cs_json_kind_t;
cs_json_kind_t cs_json_kind(cs_span_t value);

/* What a string means: UTF-8, perhaps with NULs in it. Half a surrogate pair is U+FFFD. Within `value` where it can be.
 */
cs_span_t cs_json_string(cs_span_t value, apr_pool_t *pool);

/* The nearest double to a number, or an infinite one. */
double cs_json_number(cs_span_t value);

/* Steps through the elements of an object or array. Set `*at` to NULL for the first call; returns 0 after the last.
 * `name` is the text of the member's name, quotes included; in an array its length is 0. */
int cs_json_next(cs_span_t *name, cs_json_t *value, const char **at, const cs_json_t *container);

/* A member of an object: its name as it means and as it was sent, and its value. */
typedef struct cs_member_t {
    cs_span_t name;
    cs_span_t raw_name; /* with quotes */
    cs_json_t value;
} cs_member_t;

/* Lays an object open: all its members, in their order; what was in `members` is gone. Returns NULL, or the first name
 * that has U+0000 in it, which would pass for another one wherever a NUL ends a text. */
const char *cs_json_members(apr_array_header_t *members, const cs_json_t *object, apr_pool_t *pool);

/* Leaves of a name that is there more than once the first place with the last value, as JSON parsers read it. Returns
 * how many members are gone. */
int cs_json_unite(apr_array_header_t *members, apr_pool_t *pool);

/* NULL where it is not there. */
const cs_json_t *cs_json_find(const cs_member_t *members, int count, const char *name);

/* Copies a value without the white space around its tokens; returns the end of the copy. `to` has room for its length.
 */
char *cs_json_compact(char *to, const cs_json_t *value);

#endif
