/* Spares httpd the look for a file.
 *
 * For every request httpd looks on the disk for what its URL would be under DocumentRoot: a stat() of the whole, and
 * where there is none, an lstat() of each folder above. Behind <Location> with our handler there hardly ever is any,
 * and that costs as much as all that we do for an event. So we tell it what it would find out, where that changes
 * nothing: which sections hold for the request can depend on whether the URL is a folder, a file or nothing, as httpd
 * cuts its path at what is missing. Where it may, httpd looks as ever. It always reads .htaccess where it is allowed,
 * and keeps to its rules for symbolic links.
 *
 * What it no longer finds out: that DocumentRoot is missing or closed to it, or that what has the URL's name there is a
 * link to nowhere, or a device. And <If> sees the path as it is where nothing exists.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

#include <ap_expr.h>
#include <apr_fnmatch.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_request.h>

/* What is known of a request that is ours, in its request_config. */
typedef struct {
    const char *uri;
    char *filename, *path_info; /* before the walk, or NULL */
} look_t;

static look_t *look_of(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &clickstream_module);
}

static int is_ours(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *error = NULL, *handler;

    if (!core->expr_handler)
        return 0;
    handler = ap_expr_str_exec(r, core->expr_handler, &error);
    return !error && strcmp(handler, CS_HANDLER) == 0;
}

/* The sections for URLs are known to this hook, but not to the next one; those for folders and files come after it.
 * Before mod_rewrite: whose URL it was is what counts. */
static int translate_name(request_rec *r)
{
    if (is_ours(r)) {
        look_t *look = apr_pcalloc(r->pool, sizeof(*look));

        look->uri = r->uri;
        ap_set_module_config(r->request_config, &clickstream_module, look);
    }
    return DECLINED;
}

/* As the core compares. */
static int matches(const core_dir_config *section, const char *path)
{
    if (section->r)
        return ap_regexec(section->r, path, 0, NULL, 0) == 0;
    if (section->d_is_fnmatch)
        return apr_fnmatch(section->d, path, APR_FNM_PATHNAME) == APR_SUCCESS;
    return strcmp(section->d, path) == 0;
}

static int are_told_apart(const char *one, const char *other, const apr_array_header_t *sections)
{
    for (int i = 0; sections && i < sections->nelts; i++) {
        const core_dir_config *section = ap_get_core_module_config(APR_ARRAY_IDX(sections, i, ap_conf_vector_t *));

        if (matches(section, one) != matches(section, other))
            return 1;
    }
    return 0;
}

/* A path with a slash behind it would not be believed to be a file's: it is the path info then, as httpd has it where
 * there is no file. */
static void cut_slash(request_rec *r)
{
    size_t length = strlen(r->filename);

    if (r->filename[length - 1] != '/')
        return;
    r->filename = apr_pstrmemdup(r->pool, r->filename, length - 1);
    r->path_info = apr_pstrcat(r->pool, "/", r->path_info, NULL);
}

/* Whether the path is a single name in DocumentRoot, perhaps with a slash behind it: of a longer one, any folder may be
 * missing. */
static int is_in_root(const request_rec *r)
{
    const core_server_config *server = ap_get_core_module_config(r->server->module_config);
    const char *root = server->ap_document_root, *name;
    size_t length = root ? strlen(root) : 0;

    if (!length || strncmp(r->filename, root, length) != 0)
        return 0;
    name = r->filename + length;
    if (root[length - 1] != '/' && *name++ != '/')
        return 0;
    length = strcspn(name, "/");
    return length && (!name[length] || !name[length + 1]);
}

/* As if the path were known to be a file's: httpd then takes each part of it for a folder that is there. DECLINED where
 * that may differ from what it would do: a section for folders is for this one, or one for files is for its name, which
 * is empty where a folder's path ends in a slash. */
static int walk_unseen(request_rec *r)
{
    const core_server_config *server = ap_get_core_module_config(r->server->module_config);
    const core_dir_config *core;
    int status;

    if (!is_in_root(r))
        return DECLINED;
    cut_slash(r);
    if (are_told_apart(r->filename, apr_pstrcat(r->pool, r->filename, "/", NULL), server->sec_dir))
        return DECLINED;
    r->finfo.filetype = APR_REG;
    status = ap_directory_walk(r);
    r->finfo.filetype = APR_NOFILE;
    if (status != OK)
        return status;
    core = ap_get_core_module_config(r->per_dir_config);
    if (are_told_apart(strrchr(r->filename, '/') + 1, "", core->sec_file))
        return DECLINED;
    return ap_file_walk(r);
}

/* As the core's own does. */
static int walk(request_rec *r)
{
    int status = ap_directory_walk(r);

    return status == OK ? ap_file_walk(r) : status;
}

/* A rewritten URL may be anyone's. */
static int map_to_storage(request_rec *r)
{
    ap_conf_vector_t *defaults = r->per_dir_config;
    look_t *look = look_of(r);
    int status;

    if (!look || strcmp(look->uri, r->uri) != 0 || !r->filename || r->finfo.filetype != APR_NOFILE)
        return DECLINED;
    look->filename = r->filename;
    look->path_info = r->path_info;
    status = walk_unseen(r);
    if (status == DECLINED) {
        r->per_dir_config = defaults;
        r->filename = look->filename;
        r->path_info = look->path_info;
        status = walk(r);
    }
    r->finfo.filetype = APR_NOFILE; /* so that no module takes it for one, or for a folder */
    return status;
}

/* All sections are known now. Where one has taken the request away from us, as <If> may, there is a file to be found;
 * the sections are those that httpd would have found with it. */
static int post_perdir_config(request_rec *r)
{
    ap_conf_vector_t *sections = r->per_dir_config;
    const look_t *look = look_of(r);
    int status;

    if (!look || !look->filename || is_ours(r))
        return DECLINED;
    r->per_dir_config = r->server->lookup_defaults;
    r->filename = look->filename;
    r->path_info = look->path_info;
    status = ap_directory_walk(r);
    r->per_dir_config = sections;
    return status;
}

void cs_walk_register(void)
{
    ap_hook_translate_name(translate_name, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_map_to_storage(map_to_storage, NULL, NULL, APR_HOOK_LAST);
    ap_hook_post_perdir_config(post_perdir_config, NULL, NULL, APR_HOOK_FIRST);
}
