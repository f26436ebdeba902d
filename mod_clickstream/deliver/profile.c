/* The two files that AWS's programs share.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/profile.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "deliver/secret.h"

/* Hundreds of profiles fit; what is larger is no such file. */
#define FILE_MOST (1 << 20)
#define STAMP (APR_FINFO_MTIME | APR_FINFO_SIZE | APR_FINFO_INODE)

static const char *in_home(const char *file, apr_pool_t *pool)
{
    const char *home = cs_environment("HOME");

    return home ? apr_pstrcat(pool, home, "/.aws/", file, NULL) : NULL;
}

void cs_profiles_init(cs_profiles_t *profiles, const cs_stream_t *stream, apr_pool_t *pool)
{
    const char *credentials = cs_environment("AWS_SHARED_CREDENTIALS_FILE"),
               *config = cs_environment("AWS_CONFIG_FILE");
    const char *name = stream->profile ? stream->profile : cs_environment("AWS_PROFILE");

    *profiles = (cs_profiles_t){
        .credentials = {.path = stream->credentials ? stream->credentials
                                : credentials       ? credentials
                                                    : in_home("credentials", pool),
                        .is_needed = stream->credentials != NULL},
        .config = {.path = config ? config : in_home("config", pool)},
        .name = name ? name : "default",
        .is_asked_for = name != NULL,
    };
}

/* --- one file --- */

typedef struct reading_t {
    apr_table_t *profile; /* what is found; NULL: not even the section */
    const char *name;
    int is_config;
    int inside, nested;
    apr_pool_t *pool;
} reading_t;

static char *trim(char *text)
{
    char *end = text + strlen(text);

    while (apr_isspace(*text))
        text++;
    while (end > text && apr_isspace(end[-1]))
        *--end = '\0';
    return text;
}

/* Takes "profile " off, and quotes. */
static char *profile_of(char *section)
{
    size_t length;

    if (strncmp(section, "profile", 7) == 0 && apr_isspace(section[7]))
        section = trim(section + 7);
    else if (strcmp(section, "default") != 0)
        return NULL;
    length = strlen(section);
    if (length > 1 && strchr("\"'", *section) && section[length - 1] == *section) {
        section[length - 1] = '\0';
        section++;
    }
    return section;
}

static void read_section(reading_t *reading, char *text)
{
    char *name;

    text[strcspn(text, "]")] = '\0';
    name = trim(text + 1);
    if (reading->is_config)
        name = profile_of(name);
    reading->inside = name && strcmp(name, reading->name) == 0;
    reading->nested = 0;
    if (reading->inside && !reading->profile)
        reading->profile = apr_table_make(reading->pool, 8);
}

/* A key without a value, as `s3 =`, is followed by settings of its own, which are indented. */
static void read_setting(reading_t *reading, char *text, int indented)
{
    char *equals = strchr(text, '='), *key, *value;

    if (!reading->inside || !equals || (indented && reading->nested))
        return;
    *equals = '\0';
    key = trim(text);
    value = trim(equals + 1);
    reading->nested = !*value && !indented;
    if (*value)
        apr_table_setn(reading->profile, apr_pstrdup(reading->pool, key),
                       cs_secret_keep(value, strlen(value), reading->pool));
    else
        apr_table_unset(reading->profile, key);
}

static void read_line(reading_t *reading, char *line)
{
    int indented = apr_isspace(*line);
    char *text = trim(line);

    if (*text == '[')
        read_section(reading, text);
    else if (*text != '#' && *text != ';')
        read_setting(reading, text, indented);
}

static void read_lines(reading_t *reading, char *text)
{
    while (text) {
        char *line = text;
        if ((text = strchr(line, '\n')))
            *text++ = '\0';
        read_line(reading, line);
    }
}

/* What it is like now; all 0: it is not there. */
static cs_shared_file_t stamped(const cs_shared_file_t *file, apr_pool_t *pool)
{
    cs_shared_file_t now = {.path = file->path, .is_needed = file->is_needed};
    apr_finfo_t info;

    if (file->path && apr_stat(&info, file->path, STAMP, pool) == APR_SUCCESS) {
        now.time = info.mtime;
        now.size = info.size;
        now.inode = info.inode;
    }
    return now;
}

/* httpd's HOME is often that of whoever started it: what its user may not read there is nothing to it. */
static int is_missing(const cs_shared_file_t *of, apr_status_t status)
{
    return !of->is_needed &&
           (APR_STATUS_IS_ENOENT(status) || APR_STATUS_IS_ENOTDIR(status) || APR_STATUS_IS_EACCES(status));
}

static cs_found_t read_file(reading_t *reading, cs_shared_file_t *of, cs_search_t *search)
{
    char reason[120], *text;
    apr_status_t status;

    if (!of->path)
        return CS_ABSENT;
    *of = stamped(of, search->pool); /* before it is read: what changes meanwhile is read again */
    status = cs_secret_read(&text, of->path, FILE_MOST, search->pool);
    if (status == APR_SUCCESS) {
        read_lines(reading, text);
        return reading->profile ? CS_FOUND : CS_ABSENT;
    }
    apr_strerror(status, reason, sizeof(reason));
    if (is_missing(of, status))
        return APR_STATUS_IS_EACCES(status) ? cs_search_pass(search, "%s: %s", of->path, reason) : CS_ABSENT;
    return cs_search_fail(search, "write credentials=FILE, or let httpd's user read it", "no credentials: %s: %s",
                          of->path, reason);
}

/* --- both --- */

cs_found_t cs_profile_read(apr_table_t **profile, cs_profiles_t *profiles, const char *name, cs_search_t *search)
{
    reading_t reading = {.name = name, .is_config = 1, .pool = search->pool};

    if (read_file(&reading, &profiles->config, search) == CS_FAILED)
        return CS_FAILED;
    reading.is_config = reading.inside = 0;
    if (read_file(&reading, &profiles->credentials, search) == CS_FAILED)
        return CS_FAILED;
    *profile = reading.profile;
    return reading.profile ? CS_FOUND : CS_ABSENT;
}

static int has_changed(const cs_shared_file_t *file, apr_pool_t *pool)
{
    cs_shared_file_t now = stamped(file, pool);

    return now.time != file->time || now.size != file->size || now.inode != file->inode;
}

int cs_profiles_changed(const cs_profiles_t *profiles, apr_pool_t *pool)
{
    return has_changed(&profiles->credentials, pool) || has_changed(&profiles->config, pool);
}

const char *cs_profile_title(const cs_profiles_t *profiles, const char *name, apr_pool_t *pool)
{
    const char *credentials = profiles->credentials.path, *config = profiles->config.path;

    if (!credentials && !config)
        return "no HOME to look for .aws/credentials in";
    return apr_pstrcat(pool, "section [", name, "] of ", credentials ? credentials : config,
                       credentials && config ? " and " : NULL, config, NULL);
}
