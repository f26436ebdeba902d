/* A 64-bit checksum over words: FNV-1a's multiply and xor, eight bytes at a time, with a fold so that high
 * bits come down. It tells torn and stale pages apart from whole ones; it is no defence against forgery.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "queue/layout.h"

#define FNV_OFFSET APR_UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME APR_UINT64_C(0x100000001b3)

static apr_uint64_t add(apr_uint64_t sum, apr_uint64_t word)
{
    sum = (sum ^ word) * FNV_PRIME;
    return sum ^ sum >> 29;
}

static apr_uint64_t add_bytes(apr_uint64_t sum, const char *at, apr_size_t length)
{
    apr_uint64_t word;

    for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sum = add(sum, word);
    }
    word = 0;
    memcpy(&word, at, length);
    return add(sum, word);
}

apr_uint64_t queue_ledger_checksum(const ledger_t *ledger)
{
    return add_bytes(FNV_OFFSET, (const char *)ledger, offsetof(ledger_t, checksum));
}

apr_uint64_t queue_frame_checksum(const frame_t *frame, apr_uint32_t size)
{
    apr_uint64_t sum = add(add(add(FNV_OFFSET, frame->position), (apr_uint64_t)frame->queued_at), size);

    return add_bytes(sum, (const char *)(frame + 1), size);
}
