/* Network addresses with less of a person in them. Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_ADDRESS_H
#define CS_ADDRESS_H

#include <apr_pools.h>

/* An address, or a list of them as X-Forwarded-For has it, each cut to its network: IPv4 to /24, IPv6 to /48, with the
 * rest 0. Ports are left out, and so is what is no address. `list` may be NULL. NULL: nothing is left. */
const char *cs_address_anonymize(const char *list, apr_pool_t *pool);

#endif
