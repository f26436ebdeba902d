/* Spares httpd the look for a file.
 *
 * For every request httpd looks on the disk for what its URL would be under DocumentRoot: a stat() of the whole, and
 * where there is none, an lstat() of each folder above. Behind <Location> with our handler there never is any, and
 * that costs as much as all that we do for an event. So we tell it what it would find out. All sections for folders and
 * files on that path hold for the request as ever, .htaccess where it is allowed, and its rules for symbolic links.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <ap_expr.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_request.h>

/* The sections for URLs are known to this hook, but not to the next one; those for folders and files come after it. */
static int translate_name(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *error = NULL, *handler;

    if (!core->expr_handler)
        return DECLINED;
    handler = ap_expr_str_exec(r, core->expr_handler, &error);
    if (!error && strcmp(handler, CS_HANDLER) == 0)
        ap_set_module_config(r->request_config, &clickstream_module, r); /* anything: it is ours */
    return DECLINED;
}

/* A path with a slash behind it would not be believed to be a file's: it is the path info then, as httpd has it where
 * there is no file. */
static void cut_slash(request_rec *r)
{
    size_t length = strlen(r->filename);

    if (length < 2 || r->filename[length - 1] != '/')
        return;
    r->filename = apr_pstrmemdup(r->pool, r->filename, length - 1);
    r->path_info = apr_pstrcat(r->pool, "/", r->path_info, NULL);
}

/* As the core's own does, with that one thing known. */
static int map_to_storage(request_rec *r)
{
    int status;

    if (!ap_get_module_config(r->request_config, &clickstream_module) || !r->filename ||
        r->finfo.filetype != APR_NOFILE)
        return DECLINED;
    cut_slash(r);
    r->finfo.filetype = APR_REG;
    if ((status = ap_directory_walk(r)) == OK)
        status = ap_file_walk(r);
    r->finfo.filetype = APR_NOFILE; /* so that no module takes it for one */
    return status;
}

void cs_walk_register(void)
{
    ap_hook_translate_name(translate_name, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_map_to_storage(map_to_storage, NULL, NULL, APR_HOOK_LAST);
}
