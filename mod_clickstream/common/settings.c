/* Reads, merges and defaults the settings, all by their table.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/settings.h"

#include <apr_strings.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/values.h"

#define ROW(of, KIND, field, sink, name, fallback, least, most, choices, arguments, about)                             \
    {name, KIND, offsetof(of, field), sink, fallback, least, most, choices, arguments, about},
#define SERVER_ROW(KIND, field, ...) ROW(cs_server_t, KIND, field, CS_SINK_ANY, __VA_ARGS__)
#define STREAM_ROW(...) ROW(cs_stream_t, __VA_ARGS__)
#define LOCATION_ROW(KIND, field, ...) ROW(cs_location_t, KIND, field, CS_SINK_ANY, __VA_ARGS__)

const cs_setting_t cs_server_settings[] = {CS_SERVER_SETTINGS(SERVER_ROW){NULL}};
const cs_setting_t cs_stream_settings[] = {CS_STREAM_SETTINGS(STREAM_ROW){NULL}};
const cs_setting_t cs_location_settings[] = {CS_LOCATION_SETTINGS(LOCATION_ROW){NULL}};

static int is_unset(void *settings, const cs_setting_t *row)
{
    return cs_value_is_number(row) ? *cs_value_number(settings, row) == CS_UNSET
                                   : *cs_value_pointer(settings, row) == NULL;
}

void cs_settings_unset(const cs_setting_t *table, void *settings)
{
    for (; table->name; table++) {
        if (cs_value_is_number(table))
            *cs_value_number(settings, table) = CS_UNSET;
        else
            *cs_value_pointer(settings, table) = NULL;
    }
}

/* How a directive's arguments are read, where it is not one word. */
static const struct {
    cs_kind_t kind;
    cs_line_read_t *read;
} readers[] = {{WORDS, cs_value_read_words},   {ORIGINS, cs_value_read_words}, {FLAGS, cs_value_read_flags},
               {STREAMS, cs_line_read_stream}, {CLIENTS, cs_line_read_client}, {TAGS, cs_line_read_tag},
               {FIELDS, cs_line_read_field},   {COOKIE, cs_line_read_cookie}};

static const char *read_arguments(const cs_setting_t *row, void *settings, int argc, const char *const *argv,
                                  apr_pool_t *pool)
{
    if (argc < 1)
        return "an argument is missing";
    for (size_t i = 0; i < ELEMENTS(readers); i++) {
        if ((int)readers[i].kind == row->kind)
            return readers[i].read(settings, row, argc, argv, pool);
    }
    if (argc > 1)
        return apr_psprintf(pool, "\"%s\" is one argument too many", argv[1]);
    return cs_value_read(settings, row, argv[0], pool);
}

const char *cs_settings_read(const cs_setting_t *table, void *settings, const char *name, int argc,
                             const char *const *argv, apr_pool_t *pool)
{
    const cs_setting_t *row = cs_setting_find(table, name);
    const char *error;

    if (!row)
        return apr_psprintf(pool, "%s is not a directive of clickstream", name);
    error = read_arguments(row, settings, argc, argv, pool);
    return error ? apr_psprintf(pool, "%s: %s (%s %s)", row->name, error, row->name, row->arguments) : NULL;
}

void cs_settings_merge(const cs_setting_t *table, void *merged, const void *base, const void *over)
{
    for (; table->name; table++) {
        /* is_unset only reads; the cast keeps one accessor for both directions. */
        void *from =
            is_unset((void *)(apr_uintptr_t)over, table) ? (void *)(apr_uintptr_t)base : (void *)(apr_uintptr_t)over;
        if (cs_value_is_number(table))
            *cs_value_number(merged, table) = *cs_value_number(from, table);
        else
            *cs_value_pointer(merged, table) = *cs_value_pointer(from, table);
    }
}

void cs_settings_defaults(const cs_setting_t *table, void *settings, apr_pool_t *pool)
{
    for (; table->name; table++) {
        char **words;
        int argc = 0;
        if (!table->fallback || !is_unset(settings, table))
            continue;
        if (apr_tokenize_to_argv(table->fallback, &words, pool) != APR_SUCCESS)
            abort(); /* a default in the table that nobody could write */
        while (words[argc])
            argc++;
        if (read_arguments(table, settings, argc, (const char *const *)words, pool))
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

const char *cs_server_stream_names(const cs_server_t *server, apr_pool_t *pool)
{
    const char *names = "";

    for (int i = 0; server->streams && i < server->streams->nelts; i++)
        names = apr_pstrcat(pool, names, i ? ", " : "", APR_ARRAY_IDX(server->streams, i, cs_stream_t *)->name, NULL);
    return names;
}

const char *cs_server_check_stream(const cs_server_t *server, const char *directive, const char *name, apr_pool_t *pool)
{
    const char *known = cs_server_stream_names(server, pool);

    if (cs_server_stream(server, name))
        return NULL;
    return apr_psprintf(pool, "%s %s: there is no such stream: declare it with ClickstreamStream%s%s", directive, name,
                        *known ? ", or write one of " : "", known);
}

const char *cs_location_check(const cs_location_t *location, apr_pool_t *pool)
{
    if (location->auth == CS_AUTH_JWT && !location->clients)
        return "ClickstreamAuth jwt: there is no client whose tokens could be verified: write ClickstreamClient id "
               "secret=file, or key=file";
    for (int i = 0; location->auth == CS_AUTH_JWT && i < location->clients->nelts; i++) {
        const cs_client_t *client = &APR_ARRAY_IDX(location->clients, i, cs_client_t);
        if (!client->key)
            return apr_psprintf(pool,
                                "ClickstreamAuth jwt: the tokens of client %s cannot be verified: write "
                                "ClickstreamClient %s secret=file, or key=file",
                                client->id, client->id);
    }
    if (location->unknown_tags == CS_UNKNOWN_TAGS_REJECT && !location->tags)
        return "ClickstreamUnknownTags reject: no tag is known, so nothing could be collected: write ClickstreamTag "
               "name "
               "any for each";
    return NULL;
}
