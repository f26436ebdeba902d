/* What settings.c is made of: one value by the kind of its row, and directives with a form of their own.
 * Private to common/. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_VALUES_H
#define CS_VALUES_H

#include "common/settings.h"

/* As the rows of settings.h name them. */
typedef enum {
    TEXT,
    PATH,
    NAME,
    URL,
    GROUP,
    SIZE,
    TIME,
    COUNT,
    CHOICE,
    FLAGS,
    WORDS,
    ORIGINS,
    CLIENTS,
    TAGS,
    FIELDS,
    COOKIE,
    STREAMS
} cs_kind_t;

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* Where the value of `row` lies in a struct of its table, by whether it is a number. Inline, since httpd merges all of
 * them for each request. */
static inline int cs_value_is_number(const cs_setting_t *row)
{
    return row->kind == SIZE || row->kind == TIME || row->kind == COUNT || row->kind == CHOICE || row->kind == FLAGS;
}

static inline apr_int64_t *cs_value_number(void *settings, const cs_setting_t *row)
{
    return (apr_int64_t *)(void *)((char *)settings + row->offset);
}

static inline void **cs_value_pointer(void *settings, const cs_setting_t *row)
{
    return (void **)(void *)((char *)settings + row->offset);
}

/* The array of `row`, made where there is none yet. */
apr_array_header_t *cs_value_array(void *settings, const cs_setting_t *row, apr_size_t element, apr_pool_t *pool);

/* The row of that name, whatever its capital letters, or NULL. */
const cs_setting_t *cs_setting_find(const cs_setting_t *table, const char *name);

/* Those below take what was written, and return NULL, or a sentence that says what to write instead. */
const char *cs_value_read_number(apr_int64_t *value, const cs_setting_t *row, const char *word, apr_pool_t *pool);
const char *cs_value_read_choice(apr_int64_t *value, const cs_setting_t *row, const char *word, apr_pool_t *pool);
/* A word for any kind that has one word. */
const char *cs_value_read(void *settings, const cs_setting_t *row, const char *word, apr_pool_t *pool);

/* A directive's arguments; there is at least one. */
typedef const char *cs_line_read_t(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                                   apr_pool_t *pool);
cs_line_read_t cs_value_read_words;
cs_line_read_t cs_value_read_flags;
/* Those with a form of their own; in lines.c. */
cs_line_read_t cs_line_read_stream;
cs_line_read_t cs_line_read_client;
cs_line_read_t cs_line_read_tag;
cs_line_read_t cs_line_read_field;
cs_line_read_t cs_line_read_cookie;

#endif
