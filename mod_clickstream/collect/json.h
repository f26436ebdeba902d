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

/* A member of an object: its name as it means and as it was sent, and its value. */
typedef struct cs_member_t {
    cs_span_t name;
    cs_span_t raw_name; /* with quotes */
    cs_json_t value;
} cs_member_t;

/* As cs_json_measure(), where an object begins; and lays it open: all its members, in their order, take the place of
 * what was in `members`. One pass does for both. */
int cs_json_object(apr_array_header_t *members, cs_json_t *object, const char *at, const char *end, apr_pool_t *pool);

/* The first name with U+0000 in it, as it was sent, or NULL: it would pass for another one wherever a NUL ends a text.
 */
const char *cs_json_nul(const apr_array_header_t *members);

/* Leaves of a name that is there more than once the first place with the last value, as JSON parsers read it. Returns
 * how many members are gone. */
int cs_json_unite(apr_array_header_t *members, apr_pool_t *pool);

/* NULL where it is not there. */
const cs_json_t *cs_json_find(const cs_member_t *members, int count, const char *name);

const char *cs_json_skip_space(const char *at, const char *end);

/* --- values that were measured --- */

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

/* How many elements an array has; how many members an object, those of the same name as one. */
int cs_json_count(const cs_json_t *container, apr_pool_t *pool);

/* Copies a value without the white space around its tokens; returns the end of the copy. `to` has room for its length.
 */
char *cs_json_compact(char *to, const cs_json_t *value);

#endif
