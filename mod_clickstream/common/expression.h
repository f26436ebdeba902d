/* The expressions of ClickstreamField where there is no httpd to read them: a part of httpd's own string expressions,
 * with the same meaning.
 *     text  %{ENV:NAME}  %{HTTP:Header}  %{HTTP_HOST} and others that a CGI program is given
 * Anything else that httpd would understand is refused: better at start than something else in each record.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_EXPRESSION_H
#define CS_EXPRESSION_H

#include <apr_pools.h>

typedef struct cs_expression_t cs_expression_t;

/* Returns NULL, or a sentence that says what is possible instead. */
const char *cs_expression_parse(cs_expression_t **expression, const char *text, apr_pool_t *pool);

/* `variable` gives a CGI variable's value, `header` a request header's; NULL: there is none, which is "". */
typedef struct cs_expression_values_t {
    const char *(*variable)(const char *name);
    const char *(*header)(void *from, const char *name);
    void *from;
} cs_expression_values_t;
const char *cs_expression_value(const cs_expression_t *expression, const cs_expression_values_t *values,
                                apr_pool_t *pool);

#endif
