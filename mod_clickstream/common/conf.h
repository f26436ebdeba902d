/* clickstream.conf, the configuration of the programs that run without httpd: the CGI and clickstreamctl.
 *
 * The module's own directives, flat, one a line. Lines and words are httpd's: `#` begins a comment at a line's
 * beginning only; a backslash at a line's end continues it; a word may stand in '...' or "...", within which a
 * backslash escapes the quote and itself. Without httpd nothing expands ${...}, so it is refused, and the expressions
 * of ClickstreamField are those of expression.h, which `compiled` then holds.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_CONF_H
#define CS_CONF_H

#include "common/settings.h"

/* A file that is longer is none of ours. */
#define CS_CONF_MOST CS_MIB

typedef enum {
    CS_CONF_STRICT, /* each line has to be ours, and all of them have to fit together */
    /* The server-wide directives alone count, in whatever section; other lines are passed by, and so is what they
     * include. So httpd's own configuration tells clickstreamctl where the queues are. */
    CS_CONF_LENIENT,
} cs_conf_how_t;

/* Where the configuration is, in `pool`: what CLICKSTREAM_CONFIG in the environment says; else
 * clickstream/clickstream.conf in the home folder of the account that we run as, if it is there (suexec passes on no
 * such variable, and no HOME); else the system's, which is compiled in. */
const char *cs_conf_path(apr_pool_t *pool);

/* Reads the file into `server` and `location`, which are unset before and have their defaults afterwards. With
 * CS_CONF_LENIENT `location` may be NULL.
 * NULL, or a sentence that begins with "PATH, line N: " (the first of a continued line) or "PATH: ", and says what to
 * write instead; then the settings are not to be used. */
const char *cs_conf_read(cs_server_t *server, cs_location_t *location, const char *path, cs_conf_how_t how,
                         apr_pool_t *pool);

#endif
