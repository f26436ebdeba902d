/* The directives, from the core's table.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <ap_expr.h>
#include <apr_strings.h>

#define SERVER_KEY "mod_clickstream:server"
#define SECTIONS_KEY "mod_clickstream:sections"

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

const cs_location_t *cs_config_location(request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &clickstream_module);
}

/* Which section of the configuration has which settings: of use only to the check, which comes after. */
typedef struct section_t {
    const ap_directive_t *directive; /* NULL: outside of all sections */
    const cs_location_t *settings;
} section_t;

static apr_array_header_t *sections(apr_pool_t *pconf)
{
    void *array = NULL;

    apr_pool_userdata_get(&array, SECTIONS_KEY, pconf);
    if (!array) {
        array = apr_array_make(pconf, 8, sizeof(section_t));
        apr_pool_userdata_setn(array, SECTIONS_KEY, apr_pool_cleanup_null, pconf);
    }
    return array;
}

static void remember_section(cmd_parms *cmd, const cs_location_t *settings)
{
    apr_array_header_t *known = sections(cmd->server->process->pconf);

    for (int i = 0; i < known->nelts; i++) {
        if (APR_ARRAY_IDX(known, i, section_t).settings == settings)
            return;
    }
    APR_ARRAY_PUSH(known, section_t) = (section_t){.directive = cmd->directive->parent, .settings = settings};
}

static const char *set_server(cmd_parms *cmd, void *location, int argc, char *const argv[])
{
    const char *error = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    (void)location;
    return error ? error
                 : cs_settings_read(cs_server_settings, cs_config_server(cmd->server), cmd->cmd->name, argc,
                                    (const char *const *)argv, cmd->pool);
}

/* The expressions that the last line brought. */
static const char *compile_fields(cmd_parms *cmd, const cs_location_t *settings)
{
    for (int i = 0; settings->fields && i < settings->fields->nelts; i++) {
        cs_field_t *field = &APR_ARRAY_IDX(settings->fields, i, cs_field_t);
        const char *error = NULL;
        if (field->compiled)
            continue;
        /* Our answers are not to be stored at all, so what they vary by need not be said. */
        field->compiled = ap_expr_parse_cmd(cmd, field->expression, AP_EXPR_FLAG_STRING_RESULT | AP_EXPR_FLAG_DONT_VARY,
                                            &error, NULL);
        if (error)
            return apr_psprintf(cmd->pool, "%s: \"%s\" is no expression of httpd's: %s", cmd->cmd->name,
                                field->expression, error);
    }
    return NULL;
}

static const char *check_place(cmd_parms *cmd)
{
    /* AllowOverrideList lets it in, to be read for each request, by many threads at once, and never checked. */
    if (ap_check_cmd_context(cmd, NOT_IN_HTACCESS))
        return apr_psprintf(cmd->pool,
                            "%s is not possible in .htaccess: write it in the server's configuration, such as in "
                            "<Location> or <Directory>",
                            cmd->cmd->name);
    /* To httpd that is the section around it, and so it would hold for all methods. */
    if (ap_check_cmd_context(cmd, NOT_IN_LIMIT))
        return apr_psprintf(cmd->pool,
                            "%s is not possible in <Limit> and <LimitExcept>: write it in a section such as "
                            "<If \"%%{REQUEST_METHOD} == 'GET'\">",
                            cmd->cmd->name);
    return NULL;
}

static const char *set_location(cmd_parms *cmd, void *location, int argc, char *const argv[])
{
    const char *error = check_place(cmd);

    if (!error)
        error = cs_settings_read(cs_location_settings, location, cmd->cmd->name, argc, (const char *const *)argv,
                                 cmd->pool);
    if (!error)
        error = compile_fields(cmd, location);
    if (!error)
        remember_section(cmd, location);
    return error;
}

#define SERVER_COMMAND(KIND, field, name, fallback, least, most, choices, arguments, about)                            \
    AP_INIT_TAKE_ARGV(name, set_server, NULL, RSRC_CONF, about),
#define LOCATION_COMMAND(KIND, field, name, fallback, least, most, choices, arguments, about)                          \
    AP_INIT_TAKE_ARGV(name, set_location, NULL, RSRC_CONF | ACCESS_CONF, about),

const command_rec cs_commands[] = {CS_SERVER_SETTINGS(SERVER_COMMAND) CS_LOCATION_SETTINGS(LOCATION_COMMAND){NULL}};

/* --- the check of it all --- */

static void complain(int level, server_rec *server, const ap_directive_t *at, const char *sentence)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | level, 0, server, "%s, line %d: %s", at->filename, at->line_num, sentence);
}

/* What every location begins with. */
static cs_location_t defaults;

/* Completes what is outside of all sections, in each virtual host. All that httpd merges for a request begins with
 * that, and so is complete as well. */
static void complete(server_rec *server, apr_pool_t *pconf)
{
    cs_settings_unset(cs_location_settings, &defaults);
    cs_settings_defaults(cs_location_settings, &defaults, pconf);
    for (; server; server = server->next) {
        cs_location_t *outermost = ap_get_module_config(server->lookup_defaults, &clickstream_module);
        cs_settings_merge(cs_location_settings, outermost, &defaults, outermost);
    }
}

/* What is in force in a section, as far as the sections around it tell. */
static void settings_in(cs_location_t *settings, const ap_directive_t *section, apr_pool_t *pconf)
{
    const apr_array_header_t *known = sections(pconf);
    cs_location_t around;

    if (section)
        settings_in(settings, section->parent, pconf);
    else
        *settings = defaults;
    for (int i = 0; i < known->nelts; i++) {
        const section_t *here = &APR_ARRAY_IDX(known, i, section_t);
        if (here->directive != section)
            continue;
        around = *settings;
        cs_settings_merge(cs_location_settings, settings, &around, here->settings);
    }
}

/* NULL: it is the main server's. */
static const ap_directive_t *virtual_host_of(const ap_directive_t *line)
{
    while (line && ap_cstr_casecmp(line->directive, "<VirtualHost") != 0)
        line = line->parent;
    return line;
}

/* Whether a section that is not around the line might hold for a URL of the line's as well. */
static int may_join(const ap_directive_t *section, const ap_directive_t *line)
{
    const ap_directive_t *here = virtual_host_of(line), *there = virtual_host_of(section);

    if (here && there && here != there)
        return 0;
    while (line && line != section)
        line = line->parent;
    return line != section;
}

/* Asks for no list any more that another section might bring: whether it does, only a request's URL tells. */
static void ask_for_less(cs_location_t *settings, const ap_directive_t *line, apr_pool_t *pconf)
{
    const apr_array_header_t *known = sections(pconf);

    for (int i = 0; i < known->nelts; i++) {
        const section_t *other = &APR_ARRAY_IDX(known, i, section_t);
        if (!may_join(other->directive, line))
            continue;
        if (other->settings->clients)
            settings->auth = CS_AUTH_BEARER;
        if (other->settings->tags)
            settings->unknown_tags = CS_UNKNOWN_TAGS_ACCEPT;
    }
}

static const char *check_handler(server_rec *server, const ap_directive_t *line, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    cs_location_t settings;
    const char *doubt, *error;

    if (!cs_config_server(server)->streams)
        return "SetHandler clickstream: there is no stream to deliver to: write ClickstreamStream, such as "
               "ClickstreamStream clicks firehose region=us-east-1";
    settings_in(&settings, line->parent, pconf);
    doubt = cs_location_check(&settings, ptemp);
    ask_for_less(&settings, line, pconf);
    error = cs_location_check(&settings, ptemp);
    if (doubt && !error)
        complain(APLOG_WARNING, server, line,
                 apr_pstrcat(ptemp, doubt, ", unless another section for the same URL does", NULL));
    return error;
}

/* Looks at the lines that need what other lines say. */
static int check_lines(server_rec *server, const ap_directive_t *line, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const cs_server_t *settings = cs_config_server(server);

    for (; line; line = line->next) {
        const char *arguments = line->args, *word = ap_getword_conf(ptemp, &arguments);
        const char *error = NULL;
        if (line->first_child && check_lines(server, line->first_child, pconf, ptemp) != OK)
            return HTTP_INTERNAL_SERVER_ERROR;
        if (ap_cstr_casecmp(line->directive, "ClickstreamDeliverTo") == 0 ||
            ap_cstr_casecmp(line->directive, "ClickstreamRejectTo") == 0)
            error = cs_server_check_stream(settings, line->directive, word, ptemp);
        else if (ap_cstr_casecmp(line->directive, "SetHandler") == 0 && strcmp(word, CS_HANDLER) == 0)
            error = check_handler(server, line, pconf, ptemp);
        if (error) {
            complain(APLOG_EMERG, server, line, error);
            return HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return OK;
}

int cs_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *server)
{
    const char *error = cs_server_check(cs_config_server(server), ptemp);

    (void)plog;
    complete(server, pconf);
    if (error) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, server, "%s", error);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return check_lines(server, ap_conftree, pconf, ptemp);
}
