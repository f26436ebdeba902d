/* Queues of streams that were removed or renamed in the configuration.
 * SPDX-License-Identifier: Apache-2.0 */
#include "intake/strays.h"

#include <apr_file_info.h>
#include <apr_strings.h>
#include <string.h>

#include "queue/queue.h"

#define SUFFIX ".queue"

/* The name of the stream that such a file would be the queue of; NULL: of none that could be written. */
static const char *stream_of(const char *file, apr_pool_t *pool)
{
    apr_size_t length = strlen(file), suffix = sizeof(SUFFIX) - 1;
    const char *name;

    if (length <= suffix || strcmp(file + length - suffix, SUFFIX) != 0)
        return NULL;
    name = apr_pstrmemdup(pool, file, length - suffix);
    return cs_is_stream_name(name) ? name : NULL;
}

/* NULL: all is well with it. */
static const char *look_at(const cs_server_t *server, const char *file, const char *where, apr_pool_t *pool)
{
    const char *name = stream_of(file, pool), *path;
    apr_uint64_t waiting;

    if (!name || cs_server_stream(server, name))
        return NULL;
    path = apr_pstrcat(pool, server->queue_dir, "/", file, NULL);
    if (cs_queue_glance(&waiting, path) != APR_SUCCESS || !waiting)
        return NULL;
    return apr_psprintf(
        pool,
        "queue %s belongs to no ClickstreamStream of %s, and %" APR_UINT64_T_FMT
        " events wait in it: write the ClickstreamStream line of %s again until it is empty, or deliver "
        "them with clickstreamctl -f FILE send %s, where FILE has that line and ClickstreamQueueDir",
        path, where, waiting, name, name);
}

apr_array_header_t *cs_strays(const cs_server_t *server, const char *where, apr_pool_t *pool)
{
    apr_array_header_t *found = apr_array_make(pool, 1, sizeof(const char *));
    apr_pool_t *scratch;
    apr_finfo_t entry;
    apr_dir_t *folder;

    if (!server->queue_dir || apr_dir_open(&folder, server->queue_dir, pool) != APR_SUCCESS)
        return found;
    apr_pool_create(&scratch, pool); /* there may be any number of files */
    while (found->nelts < CS_STRAYS_MOST && apr_dir_read(&entry, APR_FINFO_NAME, folder) == APR_SUCCESS) {
        const char *sentence = look_at(server, entry.name, where, scratch);
        if (sentence)
            APR_ARRAY_PUSH(found, const char *) = apr_pstrdup(pool, sentence);
        apr_pool_clear(scratch);
    }
    apr_pool_destroy(scratch);
    apr_dir_close(folder);
    return found;
}
