/* What tells one event or visitor from another.
 * SPDX-License-Identifier: Apache-2.0 */
#include "collect/identity.h"

#include <string.h>

/* apr_uuid_format() is in APR-util, of which the CGI needs nothing else: to load it takes longer than a request. */
static void finish(char *text, apr_uuid_t *uuid, unsigned version)
{
    static const char hex[] = "0123456789abcdef";

    uuid->data[6] = (unsigned char)((uuid->data[6] & 0x0F) | version << 4);
    uuid->data[8] = (unsigned char)((uuid->data[8] & 0x3F) | 0x80); /* the variant */
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = hex[uuid->data[i] >> 4];
        *text++ = hex[uuid->data[i] & 15];
    }
    *text = '\0';
}

void cs_uuid_random(cs_uuid_text_t text, const unsigned char *random)
{
    apr_uuid_t uuid;

    memcpy(uuid.data, random, sizeof(uuid.data));
    finish(text, &uuid, 4);
}

void cs_uuid_timed(cs_uuid_text_t text, const unsigned char *random, apr_time_t now, apr_uint32_t number)
{
    apr_uint64_t milliseconds = (apr_uint64_t)apr_time_as_msec(now);
    apr_uint64_t low = 0;
    apr_uuid_t uuid;

    memcpy(uuid.data, random, sizeof(uuid.data));
    for (int i = 0; i < 6; i++)
        uuid.data[i] = (unsigned char)(milliseconds >> 8 * (5 - i));
    uuid.data[9] &= 0x7F; /* room, so that the sum does not run over into the variant */
    for (int i = 9; i < 16; i++)
        low = low << 8 | uuid.data[i];
    low += number;
    for (int i = 15; i >= 9; i--, low >>= 8)
        uuid.data[i] = (unsigned char)low;
    finish(text, &uuid, 7);
}

int cs_is_uuid(const char *text, apr_size_t length)
{
    if (length != APR_UUID_FORMATTED_LENGTH)
        return 0;
    for (apr_size_t i = 0; i < length; i++) {
        int dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !text[i] || !strchr("0123456789abcdef", text[i]))
            return 0;
    }
    return 1;
}
