/* Where credentials and the region are looked for, in the order of AWS's SDKs: the first place where something is set
 * up counts. httpd-conf/DIRECTIVES.md, "Credentials and region", has the order in words.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_CHAIN_H
#define CS_CHAIN_H

#include "deliver/profile.h"
#include "deliver/search.h"

typedef struct cs_chain_t {
    cs_profiles_t profiles;
    int uses_files;    /* what was found last came from them, so that their changes count */
    const char *place; /* where it was found, for the log */
} cs_chain_t;

void cs_chain_init(cs_chain_t *chain, const cs_stream_t *stream, apr_pool_t *pool);

/* CS_FOUND or CS_FAILED. `search->region` must be known. */
cs_found_t cs_chain_credentials(cs_credentials_t *found, cs_chain_t *chain, cs_search_t *search);

/* Likewise; the region is in the search's pool. */
cs_found_t cs_chain_region(const char **region, cs_chain_t *chain, cs_search_t *search);

#endif
