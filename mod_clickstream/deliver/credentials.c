/* AWS credentials: where they come from, and when they are looked at again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/credentials.h"

#include <apr_file_io.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A line of a credentials file: a session token has some 2,000 characters at most. */
#define LINE_MOST 8192
#define REFRESH_INTERVAL apr_time_from_sec(60)

struct cs_credentials_source_t {
    int configured;             /* by the stream: the environment does not count */
    const char *path, *section; /* of the shared credentials file; path NULL: there is no place for one */
    apr_pool_t *pool;           /* holds what was loaded */
    cs_credentials_t loaded;    /* access_key NULL: nothing is loaded */
    apr_time_t file_time;       /* of the file that it was loaded from; 0: from elsewhere */
    apr_off_t file_size;
    apr_time_t refused_at;
};

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static const char *either(const char *first, const char *second)
{
    return first ? first : second;
}

cs_credentials_source_t *cs_credentials_source(const char *profile, const char *file, apr_pool_t *pool)
{
    cs_credentials_source_t *source = apr_pcalloc(pool, sizeof(*source));
    const char *home = environment("HOME");

    source->configured = profile || file;
    source->section = either(either(profile, environment("AWS_PROFILE")), "default");
    source->path = either(either(file, environment("AWS_SHARED_CREDENTIALS_FILE")),
                          home ? apr_pstrcat(pool, home, "/.aws/credentials", NULL) : NULL);
    apr_pool_create(&source->pool, pool);
    return source;
}

static char *trim(char *text)
{
    char *end = text + strlen(text);

    while (apr_isspace(*text))
        text++;
    while (end > text && apr_isspace(end[-1]))
        *--end = '\0';
    return text;
}

/* Takes one line of the file; `*inside` tells whether we are in the section that is wanted. */
static void read_line(cs_credentials_t *credentials, int *inside, const char *section, char *line, apr_pool_t *pool)
{
    const struct {
        const char *name;
        const char **value;
    } keys[] = {{"aws_access_key_id", &credentials->access_key},
                {"aws_secret_access_key", &credentials->secret_key},
                {"aws_session_token", &credentials->session_token}};
    char *text = trim(line), *equals = strchr(text, '='), *value;

    if (*text == '[') {
        text[strcspn(text, "]")] = '\0';
        *inside = strcmp(trim(text + 1), section) == 0;
        return;
    }
    if (!*inside || !equals || *text == '#' || *text == ';')
        return;
    *equals = '\0';
    value = trim(equals + 1);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcasecmp(trim(text), keys[i].name) == 0)
            *keys[i].value = *value ? apr_pstrdup(pool, value) : NULL;
    }
}

static void forget(cs_credentials_source_t *source)
{
    source->loaded = (cs_credentials_t){NULL};
    source->file_time = 0;
    apr_pool_clear(source->pool);
}

static void load_file(cs_credentials_source_t *source, const char **why)
{
    const char *path = source->path;
    cs_credentials_t found = {NULL};
    char line[LINE_MOST], reason[120];
    int inside = 0;
    apr_finfo_t info;
    apr_file_t *file;
    apr_status_t status;

    if (!path) {
        *why = "no AWS_ACCESS_KEY_ID in the environment, and no HOME to look for .aws/credentials in: "
               "write credentials=FILE";
        return;
    }
    status = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BUFFERED, APR_FPROT_OS_DEFAULT, source->pool);
    if (status != APR_SUCCESS) {
        *why = apr_psprintf(source->pool, "no credentials: %s: %s; write credentials=FILE, or let httpd's user read it",
                            path, apr_strerror(status, reason, sizeof(reason)));
        return;
    }
    if (apr_file_info_get(&info, APR_FINFO_MTIME | APR_FINFO_SIZE, file) == APR_SUCCESS) {
        source->file_time = info.mtime;
        source->file_size = info.size;
    }
    while (apr_file_gets(line, sizeof(line), file) == APR_SUCCESS)
        read_line(&found, &inside, source->section, line, source->pool);
    OPENSSL_cleanse(line, sizeof(line));
    apr_file_close(file);
    if (found.access_key && found.secret_key)
        source->loaded = found;
    else
        *why = apr_psprintf(source->pool,
                            "no credentials: %s has no aws_access_key_id and aws_secret_access_key in section [%s]",
                            path, source->section);
}

static int file_changed(cs_credentials_source_t *source)
{
    apr_finfo_t info;

    return source->file_time &&
           (apr_stat(&info, source->path, APR_FINFO_MTIME | APR_FINFO_SIZE, source->pool) != APR_SUCCESS ||
            info.mtime != source->file_time || info.size != source->file_size);
}

const cs_credentials_t *cs_credentials_get(cs_credentials_source_t *source, const char **why)
{
    *why = NULL;
    if (source->loaded.access_key && !file_changed(source))
        return &source->loaded;
    forget(source);
    if (!source->configured && environment("AWS_ACCESS_KEY_ID") && environment("AWS_SECRET_ACCESS_KEY"))
        source->loaded = (cs_credentials_t){.access_key = environment("AWS_ACCESS_KEY_ID"),
                                            .secret_key = environment("AWS_SECRET_ACCESS_KEY"),
                                            .session_token = environment("AWS_SESSION_TOKEN")};
    else
        load_file(source, why);
    return source->loaded.access_key ? &source->loaded : NULL;
}

void cs_credentials_refused(cs_credentials_source_t *source, apr_time_t monotonic)
{
    if (source->refused_at && monotonic - source->refused_at < REFRESH_INTERVAL)
        return;
    source->refused_at = monotonic;
    forget(source);
}
