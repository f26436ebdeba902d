/* What only the server knows of a request.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/gather.h"

#include <string.h>

#include "collect/address.h"
#include "collect/visitor.h"

const char *cs_request_header(const cs_request_t *request, const char *name)
{
    return request->header(request->from, name);
}

/* NULL for a header that is empty, too. */
static const char *filled_header(const cs_request_t *request, const char *name)
{
    const char *value = cs_request_header(request, name);

    return value && *value ? value : NULL;
}

/* Whether a header says 1, also where it was sent more than once, which makes a list of it. */
static int says_1(const char *list)
{
    while (list) {
        list += strspn(list, ", \t");
        if (*list == '1' && strchr(", \t", list[1]))
            return 1;
        list = strchr(list, ',');
    }
    return 0;
}

/* Global Privacy Control, and its predecessor. */
static int is_opted_out(const cs_request_t *request)
{
    return says_1(cs_request_header(request, "Sec-GPC")) || says_1(cs_request_header(request, "DNT"));
}

/* Of a list that is too long to be added its last addresses: a proxy puts the one that it knows behind what it got, and
 * that a client may have made up, as long as it takes for the other to be cut off. NULL: there is none. */
static const char *last_of(const char *addresses)
{
    size_t length = addresses ? strlen(addresses) : 0;
    const char *comma;

    if (length <= CS_ADDED_MOST)
        return addresses;
    addresses += length - CS_ADDED_MOST - 1; /* what is behind a comma here is whole */
    comma = strchr(addresses, ',');
    addresses = comma ? comma + 1 : addresses + 1;
    addresses += strspn(addresses, " \t");
    return *addresses ? addresses : NULL;
}

static const char *client_ip(const cs_request_t *request, apr_int64_t which, int opted_out, apr_pool_t *pool)
{
    const char *address = which == CS_CLIENT_IP_REMOTE ? NULL : last_of(filled_header(request, "X-Forwarded-For"));

    if (which == CS_CLIENT_IP_OFF)
        return NULL;
    if (which == CS_CLIENT_IP_ANONYMIZED || opted_out) {
        address = address ? last_of(cs_address_anonymize(address, pool)) : NULL;
        return address ? address : cs_address_anonymize(request->remote_address, pool);
    }
    return address ? address : request->remote_address;
}

static void add_fields(cs_additions_t *additions, const cs_request_t *request, const apr_array_header_t *fields)
{
    for (int i = 0; fields && i < fields->nelts; i++) {
        const cs_field_t *field = &APR_ARRAY_IDX(fields, i, cs_field_t);
        const char *value = request->field(request->from, field);
        cs_additions_add(additions, field->name, value && *value ? value : NULL);
    }
}

/* Their id, as their browser has it or a new one; NULL: there is no randomness. */
static const char *visitor_id(const cs_request_t *request, const cs_cookie_t *cookie, apr_pool_t *pool)
{
    const char *id = cs_visitor_find(cs_request_header(request, "Cookie"), cookie->name, pool);
    unsigned char random[16];

    if (id || request->random(random, sizeof(random)) != 1)
        return id;
    return cs_visitor_create(random, pool);
}

static const char *received_at(apr_time_t now, apr_pool_t *pool)
{
    char *text = apr_palloc(pool, CS_TIME_TEXT);

    cs_time_text(text, now);
    return text;
}

int cs_gather(cs_gathered_t *gathered, const cs_request_t *request, const char *client_id,
              const cs_location_t *settings, apr_pool_t *pool)
{
    int opted_out = settings->opt_out != CS_OPT_OUT_IGNORE && is_opted_out(request);
    const cs_cookie_t *cookie = settings->visitor_cookie;
    cs_additions_t *additions = &gathered->additions;
    const char *id = NULL;

    *gathered = (cs_gathered_t){.client_ip = client_ip(request, settings->client_ip, opted_out, pool),
                                .drop = opted_out && settings->opt_out == CS_OPT_OUT_DROP};
    if (settings->add & CS_ADD_RECEIVED_AT || settings->reject_to)
        gathered->received_at = received_at(request->now, pool);
    cs_additions_begin(additions, client_id, gathered->client_ip, filled_header(request, "User-Agent"), pool);
    add_fields(additions, request, settings->fields);
    if (cookie && !opted_out) {
        if (!(id = visitor_id(request, cookie, pool)))
            return 0;
        gathered->cookie = cs_visitor_cookie(cookie, id, request->secure, pool);
    }
    if (cookie)
        cs_additions_add(additions, "visitor_id", id);
    if (settings->add & CS_ADD_RECEIVED_AT)
        cs_additions_add(additions, "received_at", gathered->received_at);
    if (!(settings->add & CS_ADD_EVENT_ID))
        return 1;
    cs_additions_reserve(additions, "event_id");
    return request->random(gathered->seed, sizeof(gathered->seed)) == 1;
}
