/* The suites of the unit tests, one for each part.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_UNIT_H
#define CS_UNIT_H

#include <apr_pools.h>
#include <check.h>

#include "common/log.h"

/* A pool for the test at hand, emptied before each test. */
extern apr_pool_t *pool;
/* Keeps the last lines that the code under test logged, to be looked at; emptied before each test. */
extern const cs_log_t *test_log;
const char *test_logged(void);
/* An empty folder for the test at hand. */
const char *test_folder(void);
/* All of a file, with a NUL behind it. */
const char *test_read(const char *path);

/* A test case with the fixture that makes the above. */
TCase *test_case(const char *name);

#define SUITES(X)                                                                                                      \
    X(settings)                                                                                                        \
    X(directives)                                                                                                      \
    X(disk)                                                                                                            \
    X(text)                                                                                                            \
    X(json)                                                                                                            \
    X(key)                                                                                                             \
    X(jwt)                                                                                                             \
    X(jwt_form)                                                                                                        \
    X(event)                                                                                                           \
    X(auth)                                                                                                            \
    X(cors)                                                                                                            \
    X(enrich)                                                                                                          \
    X(collect)                                                                                                         \
    X(queue)                                                                                                           \
    X(queue_death)                                                                                                     \
    X(queue_recovery)                                                                                                  \
    X(backoff)                                                                                                         \
    X(batch)                                                                                                           \
    X(answer)                                                                                                          \
    X(sigv4)                                                                                                           \
    X(credentials)                                                                                                     \
    X(rejects)                                                                                                         \
    X(sink_file)                                                                                                       \
    X(sender)

#define DECLARE_SUITE(name) Suite *name##_suite(void);
SUITES(DECLARE_SUITE)
#undef DECLARE_SUITE

#endif
