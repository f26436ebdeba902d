/* What only the server knows of a request, gathered once and added to each of its events: who sent it, from where and
 * when, and whether they want to be left alone. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_GATHER_H
#define CS_GATHER_H

#include "collect/enrich.h"
#include "collect/request.h"

typedef struct cs_gathered_t {
    cs_additions_t additions;
    const char *client_ip, *received_at; /* for what is refused, too; NULL: none, or nobody asks for it */
    const char *cookie;                  /* what Set-Cookie says when events are collected, or NULL */
    int drop;                            /* nothing is to be kept */
    unsigned char seed[16];              /* of the events' ids */
} cs_gathered_t;

/* Returns 0 where there is no randomness. */
int cs_gather(cs_gathered_t *gathered, const cs_request_t *request, const char *client_id,
              const cs_location_t *settings, apr_pool_t *pool);

#endif
