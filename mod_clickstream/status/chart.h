/* The last minutes as pictures, and in words for those who do not see them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_CHART_H
#define CS_CHART_H

#include "status/snapshot.h"
#include "status/writer.h"

/* Writes two figures, events a second and events that wait, or a sentence where there is too little to show.
 * `number` makes the ids of the page its own. */
void cs_chart_write(cs_writer_t *writer, const cs_snapshot_t *snapshot, int number);

/* How many events were accepted and delivered in a second, in the minute before this moment, or a little more; 0
 * where that is not known. */
void cs_chart_rates(double *accepted, double *delivered, const cs_snapshot_t *snapshot);

#endif
