/* Why an event or a request is refused: one closed list for responses, logs and metric labels.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_REASON_H
#define CS_REASON_H

#define CS_REASONS(X)                                                                                                  \
    X(MALFORMED_JSON, malformed_json)                                                                                  \
    X(NOT_AN_OBJECT, not_an_object)                                                                                    \
    X(MISSING_FIELD, missing_field)                                                                                    \
    X(WRONG_TYPE, wrong_type)                                                                                          \
    X(BAD_TIMESTAMP, bad_timestamp)                                                                                    \
    X(OUT_OF_RANGE, out_of_range)                                                                                      \
    X(UNKNOWN_TAG, unknown_tag)                                                                                        \
    X(TOO_LARGE, too_large)                                                                                            \
    X(TOO_DEEP, too_deep)                                                                                              \
    X(TOO_MANY_EVENTS, too_many_events)                                                                                \
    X(UNAUTHORIZED, unauthorized)                                                                                      \
    X(UNKNOWN_CLIENT, unknown_client)                                                                                  \
    X(QUEUE_FULL, queue_full)

#define CS_REASON_ENUM(NAME, name) CS_REASON_##NAME,
typedef enum { CS_REASONS(CS_REASON_ENUM) CS_REASON_COUNT } cs_reason_t;
#undef CS_REASON_ENUM

/* "missing_field" for CS_REASON_MISSING_FIELD. */
const char *cs_reason_name(cs_reason_t reason);

#endif
