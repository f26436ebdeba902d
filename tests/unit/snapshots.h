/* Snapshots for the tests of the forms, to be filled in by hand.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_UNIT_SNAPSHOTS_H
#define CS_UNIT_SNAPSHOTS_H

#include "status/forms.h"
#include "unit.h"

/* 2026-01-31T23:59:59.123Z */
#define TEST_NOW (apr_time_from_sec(APR_INT64_C(1769903999)) + 123000)

/* The stream of a line such as "clicks file path=/tmp", defaults included. */
const cs_stream_t *test_stream(const char *line);

/* A snapshot at TEST_NOW of the stream of this line: all numbers 0, but for a capacity of 1M. */
cs_snapshot_t *test_snapshot(const char *line, cs_state_t state);

/* One with a value in each place, and the reason and the advice given. */
cs_snapshot_t *test_full_snapshot(const char *reason, const char *advice);

/* The status of these snapshots; the last one is NULL. */
const cs_status_t *test_status(cs_snapshot_t *first, ...);

#endif
