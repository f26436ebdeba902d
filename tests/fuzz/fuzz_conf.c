/* A configuration file, as the CGI and clickstreamctl read it. What is wrong is one sentence that begins with the file;
 * what is right has its defaults and can be looked at.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <apr_strings.h>
#include <string.h>

#include "common/conf.h"
#include "common/expression.h"

static const char *nothing(const char *name)
{
    (void)name;
    return NULL;
}

static const char *echo(void *from, const char *name)
{
    (void)from;
    return name;
}

static void look_at(const cs_server_t *server, const cs_location_t *location, apr_pool_t *pool)
{
    const cs_expression_values_t values = {.variable = nothing, .header = echo};

    FUZZ_CHECK(server->queue_dir && server->streams && server->streams->nelts);
    for (int i = 0; i < server->streams->nelts; i++) {
        const cs_stream_t *stream = APR_ARRAY_IDX(server->streams, i, cs_stream_t *);
        FUZZ_CHECK(*stream->name && !strpbrk(stream->name, "/\n") && stream->queue >= CS_MIB && stream->linger >= 0);
        FUZZ_CHECK(cs_server_stream(server, stream->name) == stream);
    }
    FUZZ_CHECK(location->max_body > 0 && location->max_events > 0 && location->max_depth <= 64);
    for (int i = 0; location->fields && i < location->fields->nelts; i++) {
        const cs_field_t *field = &APR_ARRAY_IDX(location->fields, i, cs_field_t);
        FUZZ_CHECK(cs_expression_value(field->compiled, &values, pool));
    }
}

FUZZ_TARGET(conf)
{
    apr_pool_t *pool = fuzz_pool();
    const char *path = fuzz_file("conf", data, size), *error;
    cs_server_t server;
    cs_location_t location;

    error = cs_conf_read(&server, &location, path, CS_CONF_STRICT, pool);
    if (error)
        FUZZ_CHECK(strncmp(error, path, strlen(path)) == 0 && !strchr(error, '\n'));
    else
        look_at(&server, &location, pool);
    error = cs_conf_read(&server, NULL, path, CS_CONF_LENIENT, pool);
    FUZZ_CHECK(!error || strncmp(error, path, strlen(path)) == 0);
    return 0;
}
