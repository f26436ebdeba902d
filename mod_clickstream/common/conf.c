/* clickstream.conf, line by line.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/conf.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/disk.h"
#include "common/expression.h"
#include "common/values.h"

typedef struct reader_t {
    cs_server_t *server;
    cs_location_t *location;
    const char *path;
    cs_conf_how_t how;
    apr_pool_t *pool;
    int line;    /* the one at hand; the first, where others continue it */
    int deliver; /* where ClickstreamDeliverTo stands; 0: nowhere */
    int reject;  /* likewise */
} reader_t;

static const char *at_line(const reader_t *reader, int line, const char *sentence)
{
    return apr_psprintf(reader->pool, "%s, line %d: %s", reader->path, line, sentence);
}

/* --- the file --- */

static const char *cannot_read(const reader_t *reader, apr_status_t status)
{
    const char *advice = "let this program's user read it, and search the folders above it";
    char why[120];

    if (status == ENOENT || status == ENOTDIR)
        advice = "write the configuration there, or name its file: CLICKSTREAM_CONFIG in the environment, or "
                 "clickstreamctl -f FILE";
    else if (status == EISDIR)
        advice = "name a file in it";
    return apr_psprintf(reader->pool, "%s: %s: %s", reader->path, apr_strerror(status, why, sizeof(why)), advice);
}

/* Up to CS_CONF_MOST bytes and one more, with a NUL behind them. */
static apr_status_t read_all(char **text, apr_size_t *length, const char *path, apr_pool_t *pool)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    apr_status_t status;

    *text = apr_palloc(pool, CS_CONF_MOST + 2);
    *length = CS_CONF_MOST + 1;
    if (fd < 0)
        return errno;
    status = cs_disk_read(*text, length, fd);
    (*text)[*length] = '\0';
    close(fd);
    return status;
}

static const char *read_file(char **text, const reader_t *reader)
{
    apr_size_t length;
    apr_status_t status = read_all(text, &length, reader->path, reader->pool);
    const char *nul;
    int line = 1;

    if (status != APR_SUCCESS)
        return cannot_read(reader, status);
    if (length > CS_CONF_MOST)
        return apr_pstrcat(reader->pool, reader->path, ": longer than 1 MiB: this is no configuration", NULL);
    nul = memchr(*text, '\0', length);
    for (const char *at = *text; nul && at < nul; at++)
        line += *at == '\n';
    if (nul)
        return at_line(reader, line, "a NUL is in it: this is no text file");
    if (strncmp(*text, "\xEF\xBB\xBF", 3) == 0) /* what some editors put before UTF-8 */
        *text += 3;
    return NULL;
}

/* --- lines and words --- */

/* The next line, in place, with those that continue it; `*lines` counts them. NULL at the end. */
static char *next_line(char **rest, int *lines)
{
    char *line = *rest, *to = line;
    int goes_on = 1;

    if (!*line)
        return NULL;
    while (goes_on) {
        apr_size_t length = strcspn(*rest, "\n");
        char *begin = to;
        goes_on = (*rest)[length] == '\n';
        memmove(to, *rest, length);
        *rest += length + (apr_size_t)goes_on;
        to += length;
        ++*lines;
        if (to > begin && to[-1] == '\r')
            to--;
        goes_on = goes_on && to > begin && to[-1] == '\\';
        to -= goes_on;
    }
    *to = '\0';
    return line;
}

static char *skip_space(char *at)
{
    while (apr_isspace(*at))
        at++;
    return at;
}

/* The next word of `*rest`, in place, as ap_getword_conf() divides them. Returns 0 where its quote is not closed. */
static int next_word(char **word, char **rest)
{
    char *from = *rest, quote = *from == '"' || *from == '\'' ? *from : '\0', *to;

    from += quote != '\0';
    *word = to = from;
    while (*from && (quote ? *from != quote : !apr_isspace(*from))) {
        if (from[0] == '\\' && (from[1] == '\\' || (quote && from[1] == quote)))
            from++;
        *to++ = *from++;
    }
    if (quote && !*from)
        return 0;
    *rest = skip_space(*from ? from + 1 : from);
    *to = '\0';
    return 1;
}

/* --- directives --- */

/* How much lies between what two names have in common at their beginnings and their ends. */
static apr_size_t difference(const char *one, const char *other)
{
    apr_size_t length = strlen(one), room = strlen(other), front = 0, back = 0;
    apr_size_t most = length > room ? length : room, least = length > room ? room : length;

    while (front < least && apr_tolower(one[front]) == apr_tolower(other[front]))
        front++;
    while (back < least - front && apr_tolower(one[length - 1 - back]) == apr_tolower(other[room - 1 - back]))
        back++;
    return most - front - back;
}

static const char *unknown(const char *name, apr_pool_t *pool)
{
    const cs_setting_t *const tables[] = {cs_server_settings, cs_location_settings};
    apr_size_t nearest = 5; /* further away it is another word */
    const char *meant = NULL;

    for (int i = 0; i < 2; i++) {
        for (const cs_setting_t *row = tables[i]; row->name; row++) {
            if (difference(name, row->name) < nearest) {
                nearest = difference(name, row->name);
                meant = row->name;
            }
        }
    }
    return apr_pstrcat(pool, name, " is not a directive of clickstream: ", meant ? "write " : "leave it out", meant,
                       NULL);
}

static const char *compile_fields(const cs_location_t *location, apr_pool_t *pool)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there is a location wherever there was no error */
    for (int i = 0; location->fields && i < location->fields->nelts; i++) {
        cs_field_t *field = &APR_ARRAY_IDX(location->fields, i, cs_field_t);
        const char *error = NULL;
        if (!field->compiled)
            error = cs_expression_parse((cs_expression_t **)&field->compiled, field->expression, pool);
        if (error)
            return apr_psprintf(pool, "ClickstreamField %s: %s", field->name, error);
    }
    return NULL;
}

static const char *read_location(reader_t *reader, const char *name, const apr_array_header_t *words)
{
    cs_location_t *location = reader->location;
    const char *error = cs_settings_read(cs_location_settings, location, name, words->nelts,
                                         (const char *const *)(void *)words->elts, reader->pool);

    if (strcasecmp(name, "ClickstreamDeliverTo") == 0)
        reader->deliver = reader->line;
    else if (strcasecmp(name, "ClickstreamRejectTo") == 0)
        reader->reject = reader->line;
    return error ? error : compile_fields(location, reader->pool);
}

static const char *read_directive(reader_t *reader, const char *name, char *rest)
{
    apr_array_header_t *words = apr_array_make(reader->pool, 8, sizeof(const char *));

    if (strstr(rest, "${"))
        return apr_pstrcat(reader->pool, name, ": only httpd expands ${...}: write the value itself", NULL);
    while (*rest) {
        if (!next_word((char **)apr_array_push(words), &rest))
            return apr_pstrcat(reader->pool, name, ": a quote is not closed", NULL);
    }
    if (cs_setting_find(cs_server_settings, name))
        return cs_settings_read(cs_server_settings, reader->server, name, words->nelts,
                                (const char *const *)(void *)words->elts, reader->pool);
    return read_location(reader, name, words);
}

static const char *read_line(reader_t *reader, char *line)
{
    int strict = reader->how == CS_CONF_STRICT;
    char *name;

    line = skip_space(line);
    if (!*line || *line == '#')
        return NULL;
    if (*line == '<')
        return strict ? "sections are httpd's: write the directives flat; for httpd's own configuration use "
                        "apachectl configtest"
                      : NULL;
    if (!next_word(&name, &line))
        return strict ? "a quote is not closed" : NULL;
    if (cs_setting_find(cs_server_settings, name) || (strict && cs_setting_find(cs_location_settings, name)))
        return read_directive(reader, name, line);
    return strict ? unknown(name, reader->pool) : NULL;
}

/* --- all of it --- */

/* Which streams take the events, when there is no httpd to tell locations apart. */
static const char *check_streams(const reader_t *reader)
{
    const cs_location_t *location = reader->location;
    const char *error = NULL;

    if (location->deliver_to) /* NOLINT(clang-analyzer-core.NullDereference): as above */
        error = cs_server_check_stream(reader->server, "ClickstreamDeliverTo", location->deliver_to, reader->pool);
    if (error)
        return at_line(reader, reader->deliver, error);
    if (location->reject_to)
        error = cs_server_check_stream(reader->server, "ClickstreamRejectTo", location->reject_to, reader->pool);
    if (error)
        return at_line(reader, reader->reject, error);
    if (!reader->server->streams)
        return apr_pstrcat(reader->pool, reader->path,
                           ": there is no stream: write ClickstreamStream, such as ClickstreamStream clicks firehose "
                           "region=us-east-1",
                           NULL);
    if (!cs_server_stream(reader->server, location->deliver_to))
        return apr_pstrcat(reader->pool, reader->path,
                           ": there are several streams: write ClickstreamDeliverTo with one of ",
                           cs_server_stream_names(reader->server, reader->pool), NULL);
    return NULL;
}

static const char *check_all(const reader_t *reader)
{
    const char *error = cs_server_check(reader->server, reader->pool);

    if (!error && reader->how == CS_CONF_STRICT) {
        if ((error = check_streams(reader)))
            return error;
        error = cs_location_check(reader->location, reader->pool);
    }
    return error ? apr_pstrcat(reader->pool, reader->path, ": ", error, NULL) : NULL;
}

const char *cs_conf_path(apr_pool_t *pool)
{
    const char *path = getenv("CLICKSTREAM_CONFIG");
    const struct passwd *account;

    if (path && *path)
        return apr_pstrdup(pool, path);
    account = getpwuid(geteuid());
    path = account ? apr_pstrcat(pool, account->pw_dir, "/clickstream/clickstream.conf", NULL) : NULL;
    return path && access(path, F_OK) == 0 ? path : CS_CONF_FILE;
}

const char *cs_conf_read(cs_server_t *server, cs_location_t *location, const char *path, cs_conf_how_t how,
                         apr_pool_t *pool)
{
    reader_t reader = {.server = server, .location = location, .path = path, .how = how, .pool = pool, .line = 1};
    const char *error;
    char *text, *line;

    cs_settings_unset(cs_server_settings, server);
    if (location)
        cs_settings_unset(cs_location_settings, location);
    if ((error = read_file(&text, &reader)))
        return error;
    for (int lines = 0; (line = next_line(&text, &lines)); reader.line = lines + 1) {
        if ((error = read_line(&reader, line)))
            return at_line(&reader, reader.line, error);
    }
    cs_settings_defaults(cs_server_settings, server, pool);
    if (location)
        cs_settings_defaults(cs_location_settings, location, pool);
    return check_all(&reader);
}
