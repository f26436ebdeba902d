/* A CGI program's environment and standard input.
 * SPDX-License-Identifier: Apache-2.0 */
#include "environment.h"

#include <apr_general.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/expression.h"

/* A body without a length grows by doubling from here. */
#define FIRST_ROOM 4096

/* Headers that come under another name than HTTP_NAME, or under a second one; in the order in which they are tried.
 * httpd drops headers with an underscore, so our .htaccess puts client_id into a variable of its own: HTTP_CLIENT_ID
 * alone could be a header client-id as well. Authorization comes as REDIRECT_… behind mod_rewrite. */
static const struct {
    const char *header, *variables[3];
} special[] = {
    {"Content-Type", {"CONTENT_TYPE"}},
    {"Content-Length", {"CONTENT_LENGTH"}},
    {"client_id", {"CLICKSTREAM_CLIENT_ID", "HTTP_CLIENT_ID"}},
    {"Authorization", {"HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION"}},
};

static const char *variable(const char *name)
{
    return getenv(name);
}

/* HTTP_USER_AGENT for "User-Agent". */
static const char *variable_of(const char *header, apr_pool_t *pool)
{
    char *name = apr_pstrcat(pool, "HTTP_", header, NULL);

    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : (char)apr_toupper(*c);
    return name;
}

static const char *header(void *from, const char *name)
{
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        const char *value = NULL;
        if (strcasecmp(special[i].header, name) != 0)
            continue;
        for (int j = 0; !value && special[i].variables[j]; j++)
            value = getenv(special[i].variables[j]);
        return value;
    }
    return getenv(variable_of(name, from));
}

static const char *field(void *from, const cs_field_t *field)
{
    const cs_expression_values_t values = {.variable = variable, .header = header, .from = from};

    return cs_expression_value(field->compiled, &values, from);
}

static int is_secure(void)
{
    const char *scheme = getenv("REQUEST_SCHEME"), *https = getenv("HTTPS");

    return scheme ? strcmp(scheme, "https") == 0 : https && strcasecmp(https, "on") == 0;
}

/* Not OpenSSL's, which would have to be loaded for it. */
static int random_bytes(unsigned char *bytes, int count)
{
    return apr_generate_random_bytes(bytes, (apr_size_t)count) == APR_SUCCESS;
}

cs_request_t cs_environment_request(apr_pool_t *pool)
{
    const char *method = getenv("REQUEST_METHOD"), *address = getenv("REMOTE_ADDR");

    return (cs_request_t){.method = method ? method : "",
                          .query = getenv("QUERY_STRING"),
                          .remote_address = address ? address : "",
                          .now = apr_time_now(),
                          .secure = is_secure(),
                          .header = header,
                          .field = field,
                          .random = random_bytes,
                          .from = pool};
}

/* --- the body --- */

/* -1: it is not known. */
static apr_int64_t announced(void)
{
    const char *text = getenv("CONTENT_LENGTH");
    char *end;
    apr_int64_t length;

    if (!text || !apr_isdigit(*text) || getenv("HTTP_CONTENT_ENCODING"))
        return -1;
    errno = 0;
    length = apr_strtoi64(text, &end, 10);
    return errno ? APR_INT64_MAX : *end ? -1 : length;
}

/* Reads until `room` is full, or to the end. */
static apr_status_t fill(char *to, apr_size_t *length, apr_size_t room)
{
    while (*length < room) {
        ssize_t more = read(STDIN_FILENO, to + *length, room - *length);
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            return errno;
        if (more == 0)
            return APR_EOF;
        *length += (apr_size_t)more;
    }
    return APR_SUCCESS;
}

static apr_status_t read_to_end(cs_span_t *body, apr_int64_t most, apr_pool_t *pool)
{
    apr_size_t room = FIRST_ROOM, length = 0;
    char *data = apr_palloc(pool, room);
    apr_status_t status;

    while ((status = fill(data, &length, room)) == APR_SUCCESS && (apr_int64_t)length <= most) {
        char *old = data;
        room *= 2;
        data = apr_palloc(pool, room);
        memcpy(data, old, length);
    }
    *body = (cs_span_t){data, length};
    if ((apr_int64_t)length > most)
        return APR_ENOSPC;
    return status == APR_EOF ? APR_SUCCESS : status;
}

apr_status_t cs_environment_body(cs_span_t *body, apr_int64_t most, apr_pool_t *pool)
{
    apr_int64_t length = announced();
    apr_size_t done = 0;
    char *data;

    if (length < 0)
        return read_to_end(body, most, pool);
    if (length > most)
        return APR_ENOSPC;
    data = apr_palloc(pool, (apr_size_t)length + 1);
    *body = (cs_span_t){data, (apr_size_t)length};
    return fill(data, &done, (apr_size_t)length);
}

/* --- the answer --- */

static int write_header(void *to, const char *name, const char *value)
{
    APR_ARRAY_PUSH((apr_array_header_t *)to, const char *) =
        apr_pstrcat(((apr_array_header_t *)to)->pool, name, ": ", value, "\r\n", NULL);
    return 1;
}

/* A client that is gone is no error: what was collected is in the queue. */
static void write_all(const char *data, apr_size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, data, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        data += written;
        length -= (apr_size_t)written;
    }
}

static void drain(void)
{
    static char nowhere[65536];
    ssize_t got;

    do
        got = read(STDIN_FILENO, nowhere, sizeof(nowhere));
    while (got > 0 || (got < 0 && errno == EINTR));
}

/* Standard error goes, too: mod_cgi waits for its end. */
static void let_go(void)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (nowhere < 0 || dup2(nowhere, fd) < 0)
            close(fd);
    }
}

void cs_environment_answer(const cs_collect_t *collect, apr_pool_t *pool)
{
    apr_array_header_t *lines = apr_array_make(pool, 10, sizeof(const char *));
    const char *head;
    apr_size_t length;
    char *whole;

    write_header(lines, "Status", apr_itoa(pool, collect->status));
    apr_table_do(write_header, lines, collect->headers, NULL);
    if (collect->body.at)
        write_header(lines, "Content-Length", apr_psprintf(pool, "%" APR_SIZE_T_FMT, collect->body.length));
    APR_ARRAY_PUSH(lines, const char *) = "\r\n";
    head = apr_array_pstrcat(pool, lines, 0);
    length = strlen(head);
    whole = apr_palloc(pool, length + collect->body.length + 1); /* one write, so that it costs one wake-up */
    memcpy(whole, head, length);
    if (collect->body.at)
        memcpy(whole + length, collect->body.at, collect->body.length);
    write_all(whole, length + collect->body.length);
    drain();
    let_go();
}
