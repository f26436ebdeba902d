/* clickstreamctl peek: the next events, as they will be delivered.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sysexits.h>

#include "ctl.h"

static void print_records(cs_queue_t *queue, int number, apr_pool_t *pool)
{
    cs_queue_record_t record;
    apr_uint64_t cursor = 0;

    /* One after the other: a thousand of the longest would be a gigabyte. */
    while (number-- && cs_queue_peek(&record, 1, queue, &cursor, pool)) {
        fwrite(record.data.at, 1, record.data.length, stdout);
        putchar('\n');
        apr_pool_clear(pool);
    }
}

int ctl_peek(ctl_t *ctl)
{
    int result = ctl_begin(ctl);
    const cs_stream_t *stream;
    cs_queue_options_t options;
    cs_queue_t *queue;
    apr_pool_t *scratch;
    apr_status_t status;

    if (result != EX_OK)
        return result;
    if (!(stream = ctl_stream(ctl, ctl->argument)))
        return EX_USAGE;
    options = ctl_queue_options(ctl, stream, 1);
    status = cs_queue_open(&queue, &options, ctl->log);
    if (status != APR_SUCCESS) /* where there is no queue yet nothing waits */
        return APR_STATUS_IS_ENOENT(status) ? EX_OK : EX_UNAVAILABLE;
    apr_pool_create(&scratch, ctl->pool);
    print_records(queue, ctl->number, scratch);
    cs_queue_close(queue);
    return EX_OK;
}
