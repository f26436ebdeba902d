/* Reads, merges and defaults the settings, all by their table.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/settings.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum { TEXT, PATH, NAME, URL, SIZE, TIME, COUNT, CHOICE, WORDS, ORIGINS, CLIENTS, STREAMS } kind_t;

#define ROW(of, KIND, field, sink, name, fallback, least, most, choices, arguments, about)                             \
    {name, KIND, offsetof(of, field), sink, fallback, least, most, choices, arguments, about},
#define SERVER_ROW(KIND, field, ...) ROW(cs_server_t, KIND, field, CS_SINK_ANY, __VA_ARGS__)
#define STREAM_ROW(...) ROW(cs_stream_t, __VA_ARGS__)
#define LOCATION_ROW(KIND, field, ...) ROW(cs_location_t, KIND, field, CS_SINK_ANY, __VA_ARGS__)

const cs_setting_t cs_server_settings[] = {CS_SERVER_SETTINGS(SERVER_ROW){NULL}};
const cs_setting_t cs_stream_settings[] = {CS_STREAM_SETTINGS(STREAM_ROW){NULL}};
const cs_setting_t cs_location_settings[] = {CS_LOCATION_SETTINGS(LOCATION_ROW){NULL}};

static const char *const sink_names[] = {"firehose", "file"};

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static int is_number(int kind)
{
    return kind == SIZE || kind == TIME || kind == COUNT || kind == CHOICE;
}

static apr_int64_t *number_at(void *settings, const cs_setting_t *row)
{
    return (apr_int64_t *)(void *)((char *)settings + row->offset);
}

static void **pointer_at(void *settings, const cs_setting_t *row)
{
    return (void **)(void *)((char *)settings + row->offset);
}

static int is_unset(void *settings, const cs_setting_t *row)
{
    return is_number(row->kind) ? *number_at(settings, row) == CS_UNSET : *pointer_at(settings, row) == NULL;
}

/* --- values --- */

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

static const char *read_number(apr_int64_t *value, const cs_setting_t *row, const char *word, apr_pool_t *pool)
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

static const char *read_choice(apr_int64_t *value, const cs_setting_t *row, const char *word, apr_pool_t *pool)
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

/* Firehose's own rule for the name of a delivery stream; ours is a file's name too. */
static int is_stream_name(const char *name)
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
    return *host && !strpbrk(host, "/*?#@ ");
}

static const char *read_text(void **value, const cs_setting_t *row, const char *word, apr_pool_t *pool)
{
    if (!*word)
        return "an empty value is not possible here";
    if (row->kind == PATH && *word != '/')
        return apr_psprintf(
            pool, "\"%s\" is not an absolute path: write it from the root, such as /var/lib/clickstream", word);
    if (row->kind == NAME && !is_stream_name(word))
        return apr_psprintf(pool, "\"%s\" is no stream's name: 1 to 64 letters, digits, '_', '-' and '.'", word);
    if (row->kind == URL && !is_endpoint(word))
        return apr_psprintf(
            pool, "\"%s\" is no endpoint: write https://HOST/ (http:// only for 127.0.0.1, localhost and [::1])", word);
    *value = apr_pstrdup(pool, word);
    return NULL;
}

static apr_array_header_t *array_at(void *settings, const cs_setting_t *row, apr_size_t element, apr_pool_t *pool)
{
    void **array = pointer_at(settings, row);

    if (!*array)
        *array = apr_array_make(pool, 4, (int)element);
    return *array;
}

static const char *read_words(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                              apr_pool_t *pool)
{
    apr_array_header_t *words = array_at(settings, row, sizeof(const char *), pool);

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

static const char *read_client(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                               apr_pool_t *pool)
{
    cs_client_t client = {.id = apr_pstrdup(pool, argv[0])};

    if (!*client.id)
        return "an empty id is not possible here";
    if (argc > 1)
        return apr_psprintf(pool, "\"%s\" is one argument too many: write one client a line", argv[1]);
    APR_ARRAY_PUSH(array_at(settings, row, sizeof(cs_client_t), pool), cs_client_t) = client;
    return NULL;
}

static const char *read_value(void *settings, const cs_setting_t *row, const char *word, apr_pool_t *pool)
{
    if (row->kind == CHOICE)
        return read_choice(number_at(settings, row), row, word, pool);
    if (is_number(row->kind))
        return read_number(number_at(settings, row), row, word, pool);
    return read_text(pointer_at(settings, row), row, word, pool);
}

/* --- ClickstreamStream --- */

static int fits_sink(const cs_setting_t *row, int sink)
{
    return row->sink == CS_SINK_ANY || row->sink == sink;
}

static const char *names_of(const cs_setting_t *table, int sink, apr_pool_t *pool)
{
    const char *names = "";

    for (; table->name; table++) {
        if (fits_sink(table, sink))
            names = apr_pstrcat(pool, names, *names ? ", " : "", table->name, NULL);
    }
    return names;
}

static const cs_setting_t *find(const cs_setting_t *table, const char *name)
{
    while (table->name && strcasecmp(table->name, name) != 0)
        table++;
    return table->name ? table : NULL;
}

static const char *read_option(cs_stream_t *stream, const char *word, apr_pool_t *pool)
{
    const char *equals = strchr(word, '=');
    const char *name = equals ? apr_pstrmemdup(pool, word, (apr_size_t)(equals - word)) : word;
    const cs_setting_t *row = find(cs_stream_settings, name);
    const char *error;

    if (!equals || !row || !fits_sink(row, stream->sink))
        return apr_psprintf(pool, "\"%s\" is no option of a %s stream: write name=value, with one of %s", word,
                            sink_names[stream->sink], names_of(cs_stream_settings, stream->sink, pool));
    if (equals[1] == '"' || equals[1] == '\'') /* httpd takes quotes around a whole word only */
        return apr_psprintf(pool, "%s: put the quotes around it all: \"%s=%.*s\"", word, name,
                            (int)strcspn(equals + 2, "\"'"), equals + 2);
    error = read_value(stream, row, equals + 1, pool);
    return error ? apr_pstrcat(pool, row->name, "=: ", error, NULL) : NULL;
}

/* A region is a part of a host's name, so nothing else may be in it. Where none is written, the environment's
 * counts, as for every AWS program. */
static const char *complete_region(cs_stream_t *stream, apr_pool_t *pool)
{
    static const char *const variables[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};

    for (size_t i = 0; !stream->region && i < ELEMENTS(variables); i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            stream->region = apr_pstrdup(pool, value);
    }
    if (!stream->region)
        return apr_psprintf(pool,
                            "stream %s has no region: write region=, such as region=eu-central-1, or set AWS_REGION",
                            stream->name);
    if (stream->region[strspn(stream->region, "abcdefghijklmnopqrstuvwxyz0123456789-")])
        return apr_psprintf(pool, "region=%s is no region: write one such as region=eu-central-1", stream->region);
    return NULL;
}

static const char *complete(cs_stream_t *stream, apr_pool_t *pool)
{
    if (stream->sink == CS_SINK_FILE && !stream->path)
        return apr_psprintf(pool, "stream %s has no folder: write path=/some/folder", stream->name);
    return stream->sink == CS_SINK_FIREHOSE ? complete_region(stream, pool) : NULL;
}

static const char *read_stream(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                               apr_pool_t *pool)
{
    apr_array_header_t *streams = array_at(settings, row, sizeof(cs_stream_t *), pool);
    cs_stream_t *stream = apr_pcalloc(pool, sizeof(*stream));
    const char *error;

    if (argc < 2 || !is_stream_name(argv[0]))
        return "write a name of 1 to 64 letters, digits, '_', '-' and '.', then firehose or file, then its options";
    cs_settings_unset(cs_stream_settings, stream);
    stream->name = apr_pstrdup(pool, argv[0]);
    for (stream->sink = 0; strcasecmp(sink_names[stream->sink], argv[1]) != 0;) {
        if (++stream->sink == (int)ELEMENTS(sink_names))
            return apr_psprintf(pool, "\"%s\" is no kind of stream: write firehose or file", argv[1]);
    }
    for (int i = 2; i < argc; i++) {
        if ((error = read_option(stream, argv[i], pool)))
            return error;
    }
    for (int i = 0; i < streams->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(streams, i, cs_stream_t *)->name, stream->name) == 0)
            return apr_psprintf(pool, "there is a stream %s already: give this one another name", stream->name);
    }
    cs_settings_defaults(cs_stream_settings, stream, pool);
    if ((error = complete(stream, pool)))
        return error;
    APR_ARRAY_PUSH(streams, cs_stream_t *) = stream;
    return NULL;
}

/* --- a whole struct --- */

void cs_settings_unset(const cs_setting_t *table, void *settings)
{
    for (; table->name; table++) {
        if (is_number(table->kind))
            *number_at(settings, table) = CS_UNSET;
        else
            *pointer_at(settings, table) = NULL;
    }
}

const char *cs_settings_read(const cs_setting_t *table, void *settings, const char *name, int argc,
                             const char *const *argv, apr_pool_t *pool)
{
    const cs_setting_t *row = find(table, name);
    const char *error;

    if (!row)
        return apr_psprintf(pool, "%s is not a directive of clickstream", name);
    if (argc < 1)
        error = "an argument is missing";
    else if (row->kind == STREAMS)
        error = read_stream(settings, row, argc, argv, pool);
    else if (row->kind == CLIENTS)
        error = read_client(settings, row, argc, argv, pool);
    else if (row->kind == WORDS || row->kind == ORIGINS)
        error = read_words(settings, row, argc, argv, pool);
    else if (argc > 1)
        error = apr_psprintf(pool, "\"%s\" is one argument too many", argv[1]);
    else
        error = read_value(settings, row, argv[0], pool);
    return error ? apr_psprintf(pool, "%s: %s (%s %s)", row->name, error, row->name, row->arguments) : NULL;
}

void cs_settings_merge(const cs_setting_t *table, void *merged, const void *base, const void *over)
{
    for (; table->name; table++) {
        /* is_unset only reads; the cast keeps one accessor for both directions. */
        void *from =
            is_unset((void *)(apr_uintptr_t)over, table) ? (void *)(apr_uintptr_t)base : (void *)(apr_uintptr_t)over;
        if (is_number(table->kind))
            *number_at(merged, table) = *number_at(from, table);
        else
            *pointer_at(merged, table) = *pointer_at(from, table);
    }
}

void cs_settings_defaults(const cs_setting_t *table, void *settings, apr_pool_t *pool)
{
    for (; table->name; table++) {
        if (!table->fallback || !is_unset(settings, table))
            continue;
        if (table->kind == WORDS) {
            char **words;
            int argc = 0;
            if (apr_tokenize_to_argv(table->fallback, &words, pool) != APR_SUCCESS)
                abort(); /* a default in the table that nobody could write */
            while (words[argc])
                argc++;
            read_words(settings, table, argc, (const char *const *)words, pool);
        }
        else if (read_value(settings, table, table->fallback, pool))
            abort();
    }
}

cs_stream_t *cs_server_stream(const cs_server_t *server, const char *name)
{
    if (!server->streams || (!name && server->streams->nelts != 1))
        return NULL;
    for (int i = 0; i < server->streams->nelts; i++) {
        cs_stream_t *stream = APR_ARRAY_IDX(server->streams, i, cs_stream_t *);
        if (!name || strcmp(stream->name, name) == 0)
            return stream;
    }
    return NULL;
}

const char *cs_server_check(const cs_server_t *server, apr_pool_t *pool)
{
    if (server->streams && server->streams->nelts && !server->queue_dir)
        return apr_psprintf(pool,
                            "ClickstreamQueueDir is missing: write the folder for the queue of stream %s, such as "
                            "ClickstreamQueueDir /var/lib/clickstream",
                            APR_ARRAY_IDX(server->streams, 0, cs_stream_t *)->name);
    return NULL;
}
