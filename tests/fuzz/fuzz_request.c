/* A whole CGI request: lines of its environment, an empty line, the body; before all that a byte that says which of
 * some configurations is in force. Whatever comes, there is an answer, of a status that the contract knows, whose
 * headers are single lines and whose body is JSON; and each record is one line of JSON.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <apr_strings.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collect/collect.h"
#include "common/conf.h"
#include "environment.h"

#define STREAMS                                                                                                        \
    "ClickstreamQueueDir /tmp/q\nClickstreamStream a file path=/tmp/a\nClickstreamStream b file path=/tmp/b\n"         \
    "ClickstreamDeliverTo a\n"

static const char *const configurations[] = {
    STREAMS,
    STREAMS "ClickstreamAuth none\nClickstreamPixel on\nClickstreamRejectTo b\nClickstreamAdd event_id received_at\n",
    STREAMS "ClickstreamClient app\nClickstreamAllowOrigin https://*.example.com http://localhost:8080\n"
            "ClickstreamMaxBody 200\nClickstreamMaxEvents 2\nClickstreamMaxEvent 120\nClickstreamMaxDepth 2\n",
    STREAMS
    "ClickstreamAuth none\nClickstreamAllowOrigin *\nClickstreamClientIP anonymized\nClickstreamOptOut anonymize\n"
    "ClickstreamVisitorCookie v max-age=1d domain=example.com\nClickstreamPixel on\n"
    "ClickstreamField agent %{HTTP:User-Agent}\nClickstreamField host \"a %{HTTP_HOST} b %{ENV:REMOTE_ADDR}\"\n"
    "ClickstreamRequire tag\nClickstreamTag GEO geo\nClickstreamTag N integer 0..9\nClickstreamUnknownTags reject\n",
    STREAMS "ClickstreamAuth none\nClickstreamClientIP remote\nClickstreamOptOut drop\nClickstreamPixel on\n"
            "ClickstreamVisitorCookie v\nClickstreamRejectTo b\n",
};
#define CONFIGURATIONS (sizeof(configurations) / sizeof(configurations[0]))

static const int statuses[] = {200, 204, 400, 401, 403, 405, 413, 415, 500};

static const cs_location_t *location_of(uint8_t choice)
{
    static cs_location_t locations[CONFIGURATIONS];
    static apr_pool_t *forever;

    if (!forever) {
        apr_pool_create(&forever, NULL);
        for (size_t i = 0; i < CONFIGURATIONS; i++) {
            cs_server_t server;
            const char *path = fuzz_file("conf", configurations[i], strlen(configurations[i]));
            const char *error = cs_conf_read(&server, &locations[i], path, CS_CONF_STRICT, forever);
            if (error)
                fprintf(stderr, "%s\n", error);
            FUZZ_CHECK(!error);
        }
    }
    return &locations[choice % CONFIGURATIONS];
}

/* Sets what the lines say; returns where the body is. A line without '=' ends them, too. */
static const char *set_environment(const char *at, const char *end)
{
    clearenv();
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        char *line = apr_pstrmemdup(fuzz_pool(), at, (apr_size_t)((stop ? stop : end) - at)), *value;
        at = stop ? stop + 1 : end;
        if (!(value = strchr(line, '=')) || value == line)
            break;
        *value++ = '\0';
        setenv(line, value, 1);
    }
    return at;
}

static void give_body(const char *body, size_t length)
{
    int fd = memfd_create("body", MFD_CLOEXEC);

    FUZZ_CHECK(fd >= 0 && write(fd, body, length) == (ssize_t)length && lseek(fd, 0, SEEK_SET) == 0);
    FUZZ_CHECK(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    close(fd);
}

static int check_header(void *unused, const char *name, const char *value)
{
    (void)unused;
    FUZZ_CHECK(*name && !strpbrk(name, " :\r\n") && !strpbrk(value, "\r\n"));
    for (const char *c = value; *c; c++)
        FUZZ_CHECK((unsigned char)*c >= ' ' && *c != 0x7F);
    return 1;
}

static void check_records(const apr_array_header_t *records)
{
    for (int i = 0; i < records->nelts; i++) {
        cs_span_t record = APR_ARRAY_IDX(records, i, cs_span_t);
        FUZZ_CHECK(record.length > 2 && record.at[0] == '{' && record.at[record.length - 1] == '}');
        for (apr_size_t at = 0; at < record.length; at++)
            FUZZ_CHECK((unsigned char)record.at[at] >= ' ');
        FUZZ_CHECK(fuzz_is_json(record.at, record.length));
    }
}

static void check(const cs_collect_t *collect)
{
    const char *type = apr_table_get(collect->headers, "Content-Type");
    int known = 0;

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        known |= collect->status == statuses[i];
    FUZZ_CHECK(known);
    apr_table_do(check_header, NULL, collect->headers, NULL);
    if (collect->body.length && type && strcmp(type, "application/json") == 0)
        FUZZ_CHECK(fuzz_is_json(collect->body.at, collect->body.length));
    FUZZ_CHECK(collect->status == 200 || collect->status == 204 || collect->records->nelts == 0);
    check_records(collect->records);
    check_records(collect->rejects);
}

static void read_body(cs_collect_t *collect, const cs_location_t *location, apr_pool_t *pool)
{
    cs_span_t body;
    apr_status_t status = cs_environment_body(&body, location->max_body, pool);

    if (status == APR_SUCCESS)
        cs_collect_body(collect, (cs_span_t){fuzz_exactly(body.at, body.length), body.length});
    else if (status == APR_ENOSPC)
        cs_collect_too_large(collect);
    else
        cs_collect_unreadable(collect, status == APR_EOF ? 400 : 500);
}

FUZZ_TARGET(request)
{
    static const char *path;
    apr_pool_t *pool = fuzz_pool();
    const cs_location_t *location = location_of(fuzz_byte(&data, &size));
    const char *start = (const char *)data, *end = start + size;
    cs_request_t request;
    cs_collect_t collect;
    const char *body;

    if (!path)
        path = strdup(getenv("PATH") ? getenv("PATH") : "/bin:/usr/bin");
    body = set_environment(start, end);
    give_body(body, (size_t)(end - body));
    pool = fuzz_pool();
    request = cs_environment_request(pool);
    if (cs_collect_begin(&collect, &request, location, pool))
        read_body(&collect, location, pool);
    if (collect.records->nelts) {
        check(&collect);
        cs_collect_end(&collect, size % 5 ? APR_SUCCESS : size % 2 ? APR_ENOSPC : APR_EGENERAL);
        FUZZ_CHECK(collect.status == 200 || collect.status == 503 || collect.status == 500);
        apr_table_do(check_header, NULL, collect.headers, NULL);
    }
    else
        check(&collect);
    clearenv();
    setenv("PATH", path, 1); /* by which we find rm in the end */
    return 0;
}
