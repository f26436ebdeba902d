/* The record made of an event.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/enrich.h"

#include <apr_strings.h>
#include <string.h>

static cs_span_t span_of(const char *text)
{
    return (cs_span_t){text, strlen(text)};
}

/* Cut where a character begins, where that can be told. */
static cs_span_t cut(cs_span_t text, apr_size_t most)
{
    if (text.length <= most)
        return text;
    for (int i = 0; i < 3 && (text.at[most] & 0xC0) == 0x80; i++)
        most--;
    return (cs_span_t){text.at, most};
}

static char *copy(char *to, cs_span_t text)
{
    memcpy(to, text.at, text.length);
    return to + text.length;
}

/* Behind others, with a comma before it. */
static char *write_member(char *to, int others, const char *name, cs_span_t value)
{
    if (others)
        *to++ = ',';
    to = cs_text_quote(to, span_of(name));
    *to++ = ':';
    return cs_text_quote(to, value);
}

static apr_size_t room_for(const char *name, apr_size_t value)
{
    return CS_QUOTED(strlen(name)) + CS_QUOTED(value) + 2;
}

/* --- what the server adds --- */

void cs_additions_reserve(cs_additions_t *additions, const char *name)
{
    APR_ARRAY_PUSH(additions->names, cs_span_t) = span_of(name);
}

void cs_additions_add(cs_additions_t *additions, const char *name, const char *value)
{
    cs_span_t *members = &additions->members, text;
    char *start, *to;

    cs_additions_reserve(additions, name);
    if (!value)
        return;
    text = cut(span_of(value), CS_ADDED_MOST);
    start = apr_palloc(additions->pool, members->length + room_for(name, text.length));
    to = write_member(copy(start, *members), members->length > 0, name, text);
    *members = (cs_span_t){start, (apr_size_t)(to - start)};
}

void cs_additions_begin(cs_additions_t *additions, const char *client_id, const char *client_ip, const char *user_agent,
                        apr_pool_t *pool)
{
    *additions =
        (cs_additions_t){.members = {"", 0}, .names = apr_array_make(pool, 8, sizeof(cs_span_t)), .pool = pool};
    cs_additions_add(additions, "client_id", client_id);
    cs_additions_add(additions, "client_ip", client_ip);
    cs_additions_add(additions, "user_agent", user_agent);
}

static int is_added(const cs_additions_t *additions, cs_span_t name)
{
    for (int i = 0; i < additions->names->nelts; i++) {
        cs_span_t added = APR_ARRAY_IDX(additions->names, i, cs_span_t);
        if (added.length == name.length && memcmp(added.at, name.at, name.length) == 0)
            return 1;
    }
    return 0;
}

/* The event's members, with commas between them. */
static char *write_members(char *to, const cs_event_t *event, const cs_additions_t *additions)
{
    int left = 0, others = 0;

    for (int i = 0; i < event->count; i++)
        left += is_added(additions, event->members[i].name);
    if (!left && !event->united && !event->json->spaced) /* the usual case: as it was sent, without its braces */
        return copy(to, (cs_span_t){event->json->text.at + 1, event->json->text.length - 2});
    for (int i = 0; i < event->count; i++) {
        const cs_member_t *member = &event->members[i];
        if (is_added(additions, member->name))
            continue;
        if (others++)
            *to++ = ',';
        to = copy(to, member->raw_name);
        *to++ = ':';
        to = cs_json_compact(to, &member->value);
    }
    return to;
}

cs_span_t cs_record_write(const cs_event_t *event, const cs_additions_t *additions, const char *event_id,
                          apr_pool_t *pool)
{
    apr_size_t more = event_id ? room_for("event_id", strlen(event_id)) : 0;
    char *start = apr_palloc(pool, event->json->text.length + additions->members.length + more + sizeof("{,}"));
    char *to = start;

    *to++ = '{';
    to = write_members(to, event, additions);
    if (to > start + 1)
        *to++ = ',';
    to = copy(to, additions->members); /* never empty: there is always a client_id */
    if (event_id)
        to = write_member(to, 1, "event_id", span_of(event_id));
    *to++ = '}';
    return (cs_span_t){start, (apr_size_t)(to - start)};
}

/* --- what was refused --- */

/* at NULL: there is none. */
static cs_span_t value_of(const char *text)
{
    return text ? cut(span_of(text), CS_ADDED_MOST) : (cs_span_t){NULL, 0};
}

cs_span_t cs_refused_write(const cs_refused_t *refused, apr_pool_t *pool)
{
    const struct {
        const char *name;
        cs_span_t value;
    } members[] = {{"reason", value_of(refused->reason)},           {"field", value_of(refused->field)},
                   {"received_at", value_of(refused->received_at)}, {"client_id", value_of(refused->client_id)},
                   {"client_ip", value_of(refused->client_ip)},     {"event", cut(refused->event, CS_REFUSED_MOST)}};
    const size_t count = sizeof(members) / sizeof(members[0]);
    apr_size_t room = sizeof("{}");
    char *start, *to;

    for (size_t i = 0; i < count; i++)
        room += room_for(members[i].name, members[i].value.length);
    start = to = apr_palloc(pool, room);
    *to++ = '{';
    for (size_t i = 0; i < count; i++) {
        if (members[i].value.at)
            to = write_member(to, i > 0, members[i].name, members[i].value); /* the first is always there */
    }
    *to++ = '}';
    return (cs_span_t){start, (apr_size_t)(to - start)};
}
