/* The directives, from the core's table.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <apr_strings.h>

#define SERVER_KEY "mod_clickstream:server"

/* Every virtual host gets the same one: a stream has one queue and one sender, whoever declares it. It lives
 * in pconf, and so is new after each restart. */
void *cs_config_create_server(apr_pool_t *pool, server_rec *server)
{
    void *settings = NULL;

    (void)server;
    apr_pool_userdata_get(&settings, SERVER_KEY, pool);
    if (!settings) {
        settings = apr_palloc(pool, sizeof(cs_server_t));
        cs_settings_unset(cs_server_settings, settings);
        apr_pool_userdata_setn(settings, SERVER_KEY, apr_pool_cleanup_null, pool);
    }
    return settings;
}

void *cs_config_create_location(apr_pool_t *pool, char *path)
{
    cs_location_t *settings = apr_palloc(pool, sizeof(*settings));

    (void)path;
    cs_settings_unset(cs_location_settings, settings);
    return settings;
}

void *cs_config_merge_location(apr_pool_t *pool, void *base, void *over)
{
    cs_location_t *merged = apr_palloc(pool, sizeof(*merged));

    cs_settings_merge(cs_location_settings, merged, base, over);
    return merged;
}

cs_server_t *cs_config_server(server_rec *server)
{
    return ap_get_module_config(server->module_config, &clickstream_module);
}

/* What every location begins with: made once, by the parent, and then only read. */
static cs_location_t defaults;

const cs_location_t *cs_config_location(request_rec *r)
{
    cs_location_t *settings = apr_palloc(r->pool, sizeof(*settings));

    cs_settings_merge(cs_location_settings, settings, &defaults,
                      ap_get_module_config(r->per_dir_config, &clickstream_module));
    return settings;
}

static const char *set_server(cmd_parms *cmd, void *location, int argc, char *const argv[])
{
    const char *error = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    (void)location;
    return error ? error
                 : cs_settings_read(cs_server_settings, cs_config_server(cmd->server), cmd->cmd->name, argc,
                                    (const char *const *)argv, cmd->pool);
}

static const char *set_location(cmd_parms *cmd, void *location, int argc, char *const argv[])
{
    return cs_settings_read(cs_location_settings, location, cmd->cmd->name, argc, (const char *const *)argv, cmd->pool);
}

#define SERVER_COMMAND(KIND, field, name, fallback, least, most, choices, arguments, about)                            \
    AP_INIT_TAKE_ARGV(name, set_server, NULL, RSRC_CONF, about),
#define LOCATION_COMMAND(KIND, field, name, fallback, least, most, choices, arguments, about)                          \
    AP_INIT_TAKE_ARGV(name, set_location, NULL, RSRC_CONF | ACCESS_CONF, about),

const command_rec cs_commands[] = {CS_SERVER_SETTINGS(SERVER_COMMAND) CS_LOCATION_SETTINGS(LOCATION_COMMAND){NULL}};

/* --- the check of it all --- */

static int complain(server_rec *server, const ap_directive_t *at, const char *sentence)
{
    if (at)
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, server, "%s, line %d: %s", at->filename, at->line_num,
                     sentence);
    else
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, server, "%s", sentence);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static const char *wrong_stream(const cs_server_t *settings, const char *name, apr_pool_t *pool)
{
    const char *known = "";

    if (cs_server_stream(settings, name))
        return NULL;
    for (int i = 0; settings->streams && i < settings->streams->nelts; i++)
        known = apr_pstrcat(pool, known, i ? ", " : "", APR_ARRAY_IDX(settings->streams, i, cs_stream_t *)->name, NULL);
    return apr_psprintf(pool, "ClickstreamDeliverTo %s: there is no such stream: declare it with ClickstreamStream%s%s",
                        name, *known ? ", or write one of " : "", known);
}

/* Looks at the lines that name something which another line has to declare. */
static int check_lines(server_rec *server, const ap_directive_t *line, apr_pool_t *pool)
{
    const cs_server_t *settings = cs_config_server(server);

    for (; line; line = line->next) {
        const char *arguments = line->args;
        const char *error = NULL;
        if (line->first_child && check_lines(server, line->first_child, pool) != OK)
            return HTTP_INTERNAL_SERVER_ERROR;
        if (ap_cstr_casecmp(line->directive, "ClickstreamDeliverTo") == 0)
            error = wrong_stream(settings, ap_getword_conf(pool, &arguments), pool);
        else if (ap_cstr_casecmp(line->directive, "SetHandler") == 0 &&
                 strcmp(ap_getword_conf(pool, &arguments), CS_HANDLER) == 0 && !settings->streams)
            error = "SetHandler clickstream: there is no stream to deliver to: write ClickstreamStream, such as "
                    "ClickstreamStream clicks firehose region=us-east-1";
        if (error)
            return complain(server, line, error);
    }
    return OK;
}

int cs_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    const char *error = cs_server_check(cs_config_server(server), ptemp);

    (void)plog;
    cs_settings_unset(cs_location_settings, &defaults);
    cs_settings_defaults(cs_location_settings, &defaults, pconf);
    if (error)
        return complain(server, NULL, error);
    return check_lines(server, ap_conftree, ptemp);
}
