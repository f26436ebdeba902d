/* What the fuzz targets share.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

/* Not in the pool, whose memory a leak detector does not look through. */
typedef struct copy_t {
    struct copy_t *next;
    char *bytes;
} copy_t;

static apr_pool_t *pool;
static copy_t *copies;
static char folder[APR_PATH_MAX];

static void remove_folder(void)
{
    char command[APR_PATH_MAX + 16];

    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left behind\n", folder);
}

apr_pool_t *fuzz_pool(void)
{
    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    apr_pool_clear(pool);
    while (copies) {
        copy_t *copy = copies;
        copies = copy->next;
        free(copy->bytes);
        free(copy);
    }
    return pool;
}

static void look_at(void *to, cs_log_level_t level, apr_status_t status, const char *line)
{
    (void)to;
    (void)level;
    (void)status;
    FUZZ_CHECK(!strchr(line, '\n'));
}

const cs_log_t fuzz_log = {.write = look_at, .level = CS_LOG_DEBUG};

char *fuzz_exactly(const void *bytes, size_t length)
{
    copy_t *copy = malloc(sizeof(*copy));

    *copy = (copy_t){.next = copies, .bytes = malloc(length)};
    if (bytes && length)
        memcpy(copy->bytes, bytes, length);
    copies = copy;
    return copy->bytes;
}

const char *fuzz_text(const uint8_t *data, size_t size)
{
    char *copy = fuzz_exactly(NULL, size + 1);

    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

uint8_t fuzz_byte(const uint8_t **data, size_t *size)
{
    if (*size == 0)
        return 0;
    (*size)--;
    return *(*data)++;
}

const char *fuzz_folder(void)
{
    if (!*folder) {
        const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
        snprintf(folder, sizeof(folder), "%s/clickstream-fuzz-XXXXXX", parent);
        FUZZ_CHECK(mkdtemp(folder));
        atexit(remove_folder);
    }
    return folder;
}

const char *fuzz_file(const char *name, const void *bytes, size_t length)
{
    const char *path = apr_pstrcat(pool, fuzz_folder(), "/", name, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    FUZZ_CHECK(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
    close(fd);
    return path;
}

int fuzz_is_line(const char *text, size_t length)
{
    const char *end = text + length;

    while (text < end) {
        int bytes = cs_utf8_length(text, end);
        if (!bytes || (unsigned char)*text < ' ' || *text == 0x7F)
            return 0;
        text += bytes;
    }
    return 1;
}

int fuzz_is_json(const char *text, size_t length)
{
    struct json_tokener *tokener = json_tokener_new_ex(200);
    struct json_object *value;
    int good;

    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    value = json_tokener_parse_ex(tokener, text, (int)length);
    if (json_tokener_get_error(tokener) == json_tokener_continue) { /* a number goes on until something ends it */
        value = json_tokener_parse_ex(tokener, "", 1);
        good = json_tokener_get_error(tokener) == json_tokener_success;
    }
    else
        good = json_tokener_get_error(tokener) == json_tokener_success && json_tokener_get_parse_end(tokener) == length;
    json_object_put(value);
    json_tokener_free(tokener);
    return good;
}
