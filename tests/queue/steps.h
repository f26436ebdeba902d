/* The queue, built with a place between any two of its steps (queue_step() in queue/layout.h), and on a disk of our
 * own: what it writes and syncs is seen here. The product has none of this. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_STEPS_H
#define CS_STEPS_H

#include <apr_pools.h>
#include <check.h>

#include "queue/queue.h"

extern apr_pool_t *pool;
extern const cs_log_t steps_log; /* of nobody */
/* An empty folder, gone with the test. */
const char *steps_folder(void);

/* Called at each step; NULL: nothing is. */
extern void (*steps_at)(void);
/* What the disk does when it is asked to sync: 0, or an error; NULL: it syncs. Called instead of the disk, and once it
 * has returned 0, `steps_synced` is called. */
extern int (*steps_sync)(void);
extern void (*steps_synced)(void);
/* The calls that make things last, in their order since this was last emptied: "fdatasync rename fsync ". */
extern char steps_calls[1024];

TCase *steps_case(const char *name);
Suite *death_suite(void);
Suite *power_suite(void);
Suite *commit_suite(void);

#endif
