/* httpd's error log as the core's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "httpd/module.h"

static const int levels[] = {[CS_LOG_ERROR] = APLOG_ERR,
                             [CS_LOG_WARNING] = APLOG_WARNING,
                             [CS_LOG_NOTICE] = APLOG_NOTICE,
                             [CS_LOG_INFO] = APLOG_INFO,
                             [CS_LOG_DEBUG] = APLOG_DEBUG};

static void write_line(void *to, cs_log_level_t level, apr_status_t status, const char *line)
{
    ap_log_error(APLOG_MARK, levels[level], status, (server_rec *)to, "%s", line);
}

const cs_log_t *cs_log_of(server_rec *server, apr_pool_t *pool)
{
    cs_log_t *log = apr_pcalloc(pool, sizeof(*log));
    int configured = ap_get_server_module_loglevel(server, APLOG_MODULE_INDEX);

    *log = (cs_log_t){.write = write_line, .to = server, .level = CS_LOG_ERROR};
    while (log->level < CS_LOG_DEBUG && configured >= levels[log->level + 1])
        log->level++;
    return log;
}
