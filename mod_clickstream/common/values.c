/* One value, or several of one kind, by the kind of its row.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/values.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_user.h>
#include <string.h>
#include <strings.h>

#include "common/disk.h"

apr_array_header_t *cs_value_array(void *settings, const cs_setting_t *row, apr_size_t element, apr_pool_t *pool)
{
    void **array = cs_value_pointer(settings, row);

    if (!*array)
        *array = apr_array_make(pool, 4, (int)element);
    return *array;
}

const cs_setting_t *cs_setting_find(const cs_setting_t *table, const char *name)
{
    while (table->name && strcasecmp(table->name, name) != 0)
        table++;
    return table->name ? table : NULL;
}

/* --- numbers --- */

typedef struct {
    const char *suffix;
    apr_int64_t factor;
} unit_t;

static const unit_t size_units[] = {{"", 1}, {"K", CS_KIB}, {"M", CS_MIB}, {"G", CS_GIB}, {NULL, 0}};
static const unit_t time_units[] = {{"ms", 1000},
                                    {"s", 1000000},
                                    {"m", APR_INT64_C(60) * 1000000},
                                    {"h", APR_INT64_C(3600) * 1000000},
                                    {"d", APR_INT64_C(86400) * 1000000},
                                    {NULL, 0}};
static const unit_t no_units[] = {{"", 1}, {NULL, 0}};

/* "64M" -> 67108864. Returns 0 where `text` is no such number or does not fit. */
static int parse_number(apr_int64_t *value, const char *text, const unit_t *units)
{
    char *end;
    apr_int64_t number;

    if (!apr_isdigit(text[0]))
        return 0;
    number = apr_strtoi64(text, &end, 10);
    for (; units->suffix; units++) {
        if (strcasecmp(end, units->suffix) == 0)
            return number <= APR_INT64_MAX / units->factor && (*value = number * units->factor, 1);
    }
    return 0;
}

static const char *written(apr_int64_t number, const unit_t *units, apr_pool_t *pool)
{
    const unit_t *best = units;

    while ((++units)->suffix) {
        if (number && number % units->factor == 0)
            best = units;
    }
    return apr_psprintf(pool, "%" APR_INT64_T_FMT "%s", number / best->factor, best->suffix);
}

const char *cs_value_read_number(apr_int64_t *value, const cs_setting_t *row, const char *word, apr_pool_t *pool)
{
    const unit_t *units = row->kind == SIZE ? size_units : row->kind == TIME ? time_units : no_units;
    const char *form = row->kind == SIZE   ? "a number with K, M or G, such as 64M"
                       : row->kind == TIME ? "a number with ms, s, m, h or d, such as 5s"
                                           : "a whole number";
    apr_int64_t number;

    if (!parse_number(&number, word, units) || number < row->least || number > row->most)
        return apr_psprintf(pool, "\"%s\" is not possible here: write %s, from %s to %s", word, form,
                            written(row->least, units, pool), written(row->most, units, pool));
    *value = number;
    return NULL;
}

const char *cs_value_read_choice(apr_int64_t *value, const cs_setting_t *row, const char *word, apr_pool_t *pool)
{
    char *state, *choices = apr_pstrdup(pool, row->choices);
    apr_int64_t index = 0;

    for (char *choice = apr_strtok(choices, "|", &state); choice; choice = apr_strtok(NULL, "|", &state)) {
        if (strcasecmp(choice, word) == 0) {
            *value = index;
            return NULL;
        }
        index++;
    }
    return apr_psprintf(pool, "\"%s\" is not one of %s", word, row->arguments);
}

int cs_is_stream_name(const char *name)
{
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

    return length >= 1 && length <= 64 && name[length] == '\0' && name[0] != '.';
}

static int starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Secrets are not sent over a network in the clear; a stand-in for AWS on this machine may be. */
static int is_endpoint(const char *url)
{
    static const char *const plain[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};

    if (strpbrk(url, "@?# ")) /* a user's name, or something that is no part of the address to sign */
        return 0;
    if (starts_with(url, "https://"))
        return !strchr("/:", url[8]);
    for (size_t i = 0; i < ELEMENTS(plain); i++) {
        if (starts_with(url, plain[i]) && strchr(":/", url[strlen(plain[i])]))
            return 1;
    }
    return 0;
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);

    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Browsers do not name the port that the scheme has anyway (RFC 6454, section 6.2): it would never be theirs. */
static int has_usual_port(const char *origin)
{
    return (strncasecmp(origin, "https:", 6) == 0 && ends_with(origin, ":443")) ||
           (strncasecmp(origin, "http:", 5) == 0 && ends_with(origin, ":80"));
}

static int is_origin(const char *origin)
{
    const char *host = strstr(origin, "://");

    if (strcmp(origin, "*") == 0)
        return 1;
    if (!host || host == origin)
        return 0;
    host += 3;
    if (starts_with(host, "*."))
        host += 2;
    return *host && !strpbrk(host, "/*?#@ ") && !has_usual_port(origin);
}

static const char *read_text(void **value, const cs_setting_t *row, const char *word, apr_pool_t *pool)
{
    if (!*word)
        return "an empty value is not possible here";
    if (row->kind == PATH && *word != '/')
        return apr_psprintf(
            pool, "\"%s\" is not an absolute path: write it from the root, such as /var/lib/clickstream", word);
    if (row->kind == NAME && !cs_is_stream_name(word))
        return apr_psprintf(pool, "\"%s\" is no stream's name: 1 to 64 letters, digits, '_', '-' and '.'", word);
    if (row->kind == URL && !is_endpoint(word))
        return apr_psprintf(
            pool, "\"%s\" is no endpoint: write https://HOST/ (http:// only for 127.0.0.1, localhost and [::1])", word);
    *value = apr_pstrdup(pool, word);
    return NULL;
}

static const char *read_group(void **value, const char *word, apr_pool_t *pool)
{
    cs_group_t *group = apr_palloc(pool, sizeof(*group));

    group->name = apr_pstrdup(pool, word);
    if (!*word || apr_gid_get(&group->id, word, pool) != APR_SUCCESS)
        return apr_psprintf(pool, "there is no group \"%s\" here: write one that getent group shows", word);
    *value = group;
    return NULL;
}

const char *cs_value_read_words(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                                apr_pool_t *pool)
{
    apr_array_header_t *words = cs_value_array(settings, row, sizeof(const char *), pool);

    for (int i = 0; i < argc; i++) {
        if (row->kind == ORIGINS && !is_origin(argv[i]))
            return apr_psprintf(pool, "\"%s\" is no origin: write https://app.example.com, https://*.example.com or *",
                                argv[i]);
        if (!*argv[i])
            return "an empty value is not possible here";
        APR_ARRAY_PUSH(words, const char *) = apr_pstrdup(pool, argv[i]);
    }
    return NULL;
}

const char *cs_value_read(void *settings, const cs_setting_t *row, const char *word, apr_pool_t *pool)
{
    if (row->kind == CHOICE)
        return cs_value_read_choice(cs_value_number(settings, row), row, word, pool);
    if (cs_value_is_number(row))
        return cs_value_read_number(cs_value_number(settings, row), row, word, pool);
    if (row->kind == GROUP)
        return read_group(cs_value_pointer(settings, row), word, pool);
    return read_text(cs_value_pointer(settings, row), row, word, pool);
}

const char *cs_value_read_flags(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                                apr_pool_t *pool)
{
    apr_int64_t *flags = cs_value_number(settings, row);
    apr_int64_t bit = 0, more = 0;

    for (int i = 0; i < argc; i++) {
        const char *error;
        if (strcasecmp(argv[i], "none") == 0)
            continue;
        if ((error = cs_value_read_choice(&bit, row, argv[i], pool)))
            return error;
        more |= APR_INT64_C(1) << bit;
    }
    *flags = (*flags == CS_UNSET ? 0 : *flags) | more;
    return NULL;
}
