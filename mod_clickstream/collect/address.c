/* Network addresses with less of a person in them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/address.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <arpa/inet.h>
#include <string.h>

#define IPV6_KEPT 6 /* bytes: /48 */

static const char *cut_ipv4(const unsigned char *bytes, apr_pool_t *pool)
{
    return apr_psprintf(pool, "%d.%d.%d.0", bytes[0], bytes[1], bytes[2]); /* /24 */
}

static const char *cut_ipv6(unsigned char *bytes, apr_pool_t *pool)
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF}; /* ::ffff:1.2.3.4 is an IPv4 address */
    char *text = apr_palloc(pool, INET6_ADDRSTRLEN);

    if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
        return cut_ipv4(bytes + sizeof(mapped), pool);
    memset(bytes + IPV6_KEPT, 0, 16 - IPV6_KEPT);
    return inet_ntop(AF_INET6, bytes, text, INET6_ADDRSTRLEN);
}

/* "1.2.3.4", "1.2.3.4:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80", "fe80::1%eth0" */
static const char *cut(char *address, apr_pool_t *pool)
{
    unsigned char bytes[16];
    char *colon = strchr(address, ':');

    if (*address == '[') {
        address++;
        address[strcspn(address, "]")] = '\0';
    }
    else if (colon && !strchr(colon + 1, ':'))
        *colon = '\0';
    address[strcspn(address, "%")] = '\0';
    if (inet_pton(AF_INET, address, bytes) == 1)
        return cut_ipv4(bytes, pool);
    return inet_pton(AF_INET6, address, bytes) == 1 ? cut_ipv6(bytes, pool) : NULL;
}

const char *cs_address_anonymize(const char *list, apr_pool_t *pool)
{
    /* Joined once: a client can make the list as long as httpd takes headers. */
    apr_array_header_t *parts = apr_array_make(pool, 4, sizeof(const char *));
    char *state, *copy = apr_pstrdup(pool, list ? list : "");

    for (char *address = apr_strtok(copy, ", \t", &state); address; address = apr_strtok(NULL, ", \t", &state)) {
        const char *network = cut(address, pool);
        if (!network)
            continue;
        if (parts->nelts)
            APR_ARRAY_PUSH(parts, const char *) = ", ";
        APR_ARRAY_PUSH(parts, const char *) = network;
    }
    return parts->nelts ? apr_array_pstrcat(pool, parts, '\0') : NULL;
}
