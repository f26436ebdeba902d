/* The suites of the unit tests, one for each part.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_UNIT_H
#define CS_UNIT_H

#include <apr_pools.h>
#include <check.h>

#include "common/log.h"
#include "common/settings.h"

/* A pool for the test at hand, emptied before each test. */
extern apr_pool_t *pool;
/* Keeps the last lines that the code under test logged, in whichever thread; emptied before each test. What is given to
 * look at is a copy, until the next call. */
extern const cs_log_t *test_log;
const char *test_logged(void);
/* An empty folder for the test at hand. */
const char *test_folder(void);
/* All of a file, with a NUL behind it. */
const char *test_read(const char *path);
/* The path of a new file with this text in it. */
const char *test_file(const char *text);

/* Reads one line as an administrator writes it. */
const char *test_line(const cs_setting_t *table, void *settings, const char *line);
/* Settings of a location, all unset; and a good line for them. */
cs_location_t *test_new_location(void);
void test_read_location(cs_location_t *location, const char *line);
/* That a sentence begins with the directive's name, which is the line's first word, names `value`, and says what to
 * write: `advice`. */
void test_sentence(const char *error, const char *line, const char *value, const char *advice);
/* What these lines of a configuration come to, defaults included; the last one is NULL. */
const cs_location_t *test_location(const char *const *lines);
/* What `issuer` shows to be let in by ClickstreamAuth jwt, signed with HS256. */
const char *test_token(const char *issuer, const char *secret);

/* A test case with the fixture that makes the above. */
TCase *test_case(const char *name);

#define SUITES(X)                                                                                                      \
    X(settings)                                                                                                        \
    X(lines)                                                                                                           \
    X(directives)                                                                                                      \
    X(expression)                                                                                                      \
    X(conf)                                                                                                            \
    X(disk)                                                                                                            \
    X(text)                                                                                                            \
    X(json_value)                                                                                                      \
    X(json)                                                                                                            \
    X(key)                                                                                                             \
    X(jwt)                                                                                                             \
    X(jwt_form)                                                                                                        \
    X(check)                                                                                                           \
    X(event)                                                                                                           \
    X(auth)                                                                                                            \
    X(cors)                                                                                                            \
    X(address)                                                                                                         \
    X(identity)                                                                                                        \
    X(visitor)                                                                                                         \
    X(pixel)                                                                                                           \
    X(enrich)                                                                                                          \
    X(collect)                                                                                                         \
    X(collect_added)                                                                                                   \
    X(collect_pixel)                                                                                                   \
    X(queue)                                                                                                           \
    X(queue_death)                                                                                                     \
    X(queue_recovery)                                                                                                  \
    X(queue_succeed)                                                                                                   \
    X(intake)                                                                                                          \
    X(strays)                                                                                                          \
    X(backoff)                                                                                                         \
    X(report)                                                                                                          \
    X(batch)                                                                                                           \
    X(answer)                                                                                                          \
    X(sigv4)                                                                                                           \
    X(endpoint)                                                                                                        \
    X(clock)                                                                                                           \
    X(http)                                                                                                            \
    X(process)                                                                                                         \
    X(profile)                                                                                                         \
    X(sts)                                                                                                             \
    X(chain)                                                                                                           \
    X(credentials)                                                                                                     \
    X(rejects)                                                                                                         \
    X(sink_file)                                                                                                       \
    X(sender)                                                                                                          \
    X(scoreboard)                                                                                                      \
    X(snapshot)                                                                                                        \
    X(status_json)                                                                                                     \
    X(status_prometheus)                                                                                               \
    X(status_html)

#define DECLARE_SUITE(name) Suite *name##_suite(void);
SUITES(DECLARE_SUITE)
#undef DECLARE_SUITE

#endif
