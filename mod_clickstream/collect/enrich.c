/* The record made of an event.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/enrich.h"

#include <string.h>

static const char *const server_names[] = {"client_id", "client_ip", "user_agent"};
#define SERVER_NAMES (sizeof(server_names) / sizeof(server_names[0]))

static char *copy(char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    return to + length;
}

cs_span_t cs_additions_write(const cs_additions_t *additions, apr_pool_t *pool)
{
    const char *values[SERVER_NAMES] = {additions->client_id, additions->client_ip, additions->user_agent};
    apr_size_t room = 0;
    char *start, *to;

    for (size_t i = 0; i < SERVER_NAMES; i++)
        room += values[i] ? strlen(server_names[i]) + sizeof("\"\":,") + CS_QUOTED(strlen(values[i])) : 0;
    start = to = apr_palloc(pool, room + 1);
    for (size_t i = 0; i < SERVER_NAMES; i++) {
        if (!values[i])
            continue;
        if (to > start)
            *to++ = ',';
        to = cs_text_quote(to, (cs_span_t){server_names[i], strlen(server_names[i])});
        *to++ = ':';
        to = cs_text_quote(to, (cs_span_t){values[i], strlen(values[i])});
    }
    return (cs_span_t){start, (apr_size_t)(to - start)};
}

static int is_server_name(cs_span_t name)
{
    for (size_t i = 0; i < SERVER_NAMES; i++) {
        if (strlen(server_names[i]) == name.length && memcmp(server_names[i], name.at, name.length) == 0)
            return 1;
    }
    return 0;
}

cs_span_t cs_record_write(const cs_event_t *event, cs_span_t additions, apr_pool_t *pool)
{
    char *start = apr_palloc(pool, event->length + additions.length + sizeof("{,}"));
    char *to = start;

    *to++ = '{';
    for (int i = 0; i < event->count; i++) {
        const cs_member_t *member = &event->members[i];
        if (is_server_name(member->name))
            continue;
        to = copy(to, member->raw_name.at, member->raw_name.length);
        *to++ = ':';
        to = cs_json_compact(to, member->value);
        *to++ = ',';
    }
    to = copy(to, additions.at, additions.length);
    *to++ = '}';
    return (cs_span_t){start, (apr_size_t)(to - start)};
}
