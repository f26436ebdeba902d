/* The directives: what they take, refuse, inherit and default to.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SIXTY_FOUR "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

static cs_server_t *new_server(void)
{
    cs_server_t *server = apr_palloc(pool, sizeof(*server));

    cs_settings_unset(cs_server_settings, server);
    return server;
}

static cs_stream_t *read_stream(const char *line)
{
    cs_server_t *server = new_server();
    const char *error = test_line(cs_server_settings, server, line);

    ck_assert_msg(!error, "%s: %s", line, error);
    return APR_ARRAY_IDX(server->streams, 0, cs_stream_t *);
}

/* "one two" for a list of words. */
static const char *words_of(const apr_array_header_t *words)
{
    return words ? apr_array_pstrcat(pool, words, ' ') : "unset";
}

static const cs_setting_t *row_of(const cs_setting_t *table, const char *name)
{
    while (table->name && strcmp(table->name, name) != 0)
        table++;
    return table->name ? table : NULL;
}

static apr_int64_t number_in(const cs_setting_t *table, const void *settings, const char *name)
{
    apr_int64_t number;

    memcpy(&number, (const char *)settings + row_of(table, name)->offset, sizeof(number));
    return number;
}

/* --- good values --- */

static const struct {
    const char *name, *value;
    apr_int64_t number;
} good_numbers[] = {
    {"ClickstreamMaxBody", "1", 1},
    {"ClickstreamMaxBody", "512", 512},
    {"ClickstreamMaxBody", "64K", 65536},
    {"ClickstreamMaxBody", "64k", 65536},
    {"ClickstreamMaxBody", "007", 7},
    {"ClickstreamMaxBody", "64M", 67108864},
    {"clickstreammaxbody", "1M", 1048576},
    {"ClickstreamMaxEvent", "2", 2},
    {"ClickstreamMaxEvent", "1000K", 1024000},
    {"ClickstreamMaxEvents", "1", 1},
    {"ClickstreamMaxEvents", "100000", 100000},
    {"ClickstreamMaxDepth", "64", 64},
    {"ClickstreamAuth", "none", CS_AUTH_NONE},
    {"ClickstreamAuth", "Bearer", CS_AUTH_BEARER},
    {"ClickstreamAuth", "jwt", CS_AUTH_JWT},
    {"ClickstreamPixel", "off", CS_OFF},
    {"ClickstreamPixel", "on", CS_ON},
    {"ClickstreamUnknownTags", "accept", CS_UNKNOWN_TAGS_ACCEPT},
    {"ClickstreamUnknownTags", "REJECT", CS_UNKNOWN_TAGS_REJECT},
    {"ClickstreamClientIP", "forwarded", CS_CLIENT_IP_FORWARDED},
    {"ClickstreamClientIP", "remote", CS_CLIENT_IP_REMOTE},
    {"ClickstreamClientIP", "anonymized", CS_CLIENT_IP_ANONYMIZED},
    {"clickstreamclientip", "off", CS_CLIENT_IP_OFF},
    {"ClickstreamOptOut", "ignore", CS_OPT_OUT_IGNORE},
    {"ClickstreamOptOut", "anonymize", CS_OPT_OUT_ANONYMIZE},
    {"ClickstreamOptOut", "drop", CS_OPT_OUT_DROP},
    {"ClickstreamAdd", "none", 0},
    {"ClickstreamAdd", "event_id", CS_ADD_EVENT_ID},
    {"ClickstreamAdd", "received_at", CS_ADD_RECEIVED_AT},
    {"ClickstreamAdd", "event_id received_at", CS_ADD_EVENT_ID | CS_ADD_RECEIVED_AT},
    {"ClickstreamAdd", "Received_At EVENT_ID event_id", CS_ADD_EVENT_ID | CS_ADD_RECEIVED_AT},
};

START_TEST(takes_number)
{
    cs_location_t *location = test_new_location();

    test_read_location(location, apr_psprintf(pool, "%s %s", good_numbers[_i].name, good_numbers[_i].value));
    for (const cs_setting_t *row = cs_location_settings; row->name; row++) {
        if (apr_cstr_casecmp(row->name, good_numbers[_i].name) == 0)
            ck_assert_int_eq(number_in(cs_location_settings, location, row->name), good_numbers[_i].number);
    }
}
END_TEST

#define FIREHOSE "ClickstreamStream clicks firehose region=eu-central-1 "
#define FOLDER "ClickstreamStream clicks file path=/srv "

static const struct {
    const char *line, *name;
    apr_int64_t number;
} good_options[] = {
    {FIREHOSE, "queue", 64 * CS_MIB},
    {FIREHOSE "queue=1M", "queue", CS_MIB},
    {FIREHOSE "Queue=64G", "queue", 64 * CS_GIB},
    {FIREHOSE, "linger", 1000000},
    {FIREHOSE "linger=0ms", "linger", 0},
    {FIREHOSE "linger=200ms", "linger", 200000},
    {FIREHOSE "linger=60m", "linger", APR_INT64_C(3600000000)},
    {FIREHOSE "linger=1h", "linger", APR_INT64_C(3600000000)},
    {FIREHOSE "linger=2S", "linger", 2000000},
    {FIREHOSE, "delimiter", CS_DELIMITER_NEWLINE},
    {FIREHOSE "delimiter=none", "delimiter", CS_DELIMITER_NONE},
    {FIREHOSE, "ack", CS_ACK_QUEUED},
    {FIREHOSE "ack=synced", "ack", CS_ACK_SYNCED},
    {FIREHOSE, "concurrency", 4},
    {FIREHOSE "concurrency=64", "concurrency", 64},
    {FIREHOSE, "aggregate", CS_ON},
    {FIREHOSE "aggregate=off", "aggregate", CS_OFF},
    {FIREHOSE "aggregate=on", "aggregate", CS_ON},
    {FIREHOSE, "timeout", 30000000},
    {FIREHOSE "timeout=10m", "timeout", 600000000},
    {FOLDER, "roll", 64 * CS_MIB},
    {FOLDER "roll=1", "roll", 1},
    {FOLDER, "interval", 60000000},
    {FOLDER "interval=10ms", "interval", 10000},
    {FOLDER "interval=1d", "interval", APR_INT64_C(86400000000)},
    {FOLDER "queue=2M ack=synced", "ack", CS_ACK_SYNCED},
};

START_TEST(takes_option)
{
    const cs_stream_t *stream = read_stream(good_options[_i].line);

    ck_assert_int_eq(number_in(cs_stream_settings, stream, good_options[_i].name), good_options[_i].number);
}
END_TEST

START_TEST(takes_text_options)
{
    const cs_stream_t *stream = read_stream(FIREHOSE "endpoint=https://vpce.example.com/ \"profile=two words\" "
                                                     "credentials=/etc/aws=keys ca=/etc/ca.pem");

    ck_assert_str_eq(stream->name, "clicks");
    ck_assert_int_eq(stream->sink, CS_SINK_FIREHOSE);
    ck_assert_str_eq(stream->region, "eu-central-1");
    ck_assert_str_eq(stream->endpoint, "https://vpce.example.com/");
    ck_assert_str_eq(stream->profile, "two words");
    ck_assert_str_eq(stream->credentials, "/etc/aws=keys");
    ck_assert_str_eq(stream->ca, "/etc/ca.pem");
    ck_assert_ptr_null(stream->path);
    stream = read_stream("ClickstreamStream clicks FILE path=/srv/x");
    ck_assert_int_eq(stream->sink, CS_SINK_FILE);
    ck_assert_str_eq(stream->path, "/srv/x");
}
END_TEST

/* Without region= the sender finds it. */
START_TEST(region_may_be_missing)
{
    setenv("AWS_REGION", "us-east-1", 1);
    ck_assert_ptr_null(read_stream("ClickstreamStream clicks firehose")->region);
    unsetenv("AWS_REGION");
}
END_TEST

#define ROLE "role=arn:aws:iam::123456789012:role/"

static const struct {
    const char *options, *role, *external_id;
} roles[] = {
    {ROLE "a", "arn:aws:iam::123456789012:role/a", NULL},
    {ROLE "path/to/A_b+=,.@-9 external_id=x/y=z", "arn:aws:iam::123456789012:role/path/to/A_b+=,.@-9", "x/y=z"},
    {"External_ID=x: role=arn:aws-cn:iam::123456789012:role/a", "arn:aws-cn:iam::123456789012:role/a", "x:"},
    {"role=arn:aws-us-gov:iam::123456789012:role/a", "arn:aws-us-gov:iam::123456789012:role/a", NULL},
};

START_TEST(takes_role)
{
    const cs_stream_t *stream = read_stream(apr_pstrcat(pool, FIREHOSE, roles[_i].options, NULL));

    ck_assert_str_eq(stream->role, roles[_i].role);
    ck_assert_pstr_eq(stream->external_id, roles[_i].external_id);
}
END_TEST

static const char *const good_names[] = {"a", "Clicks_2.test-1", "-", SIXTY_FOUR};

START_TEST(takes_name)
{
    cs_location_t *location = test_new_location();

    test_read_location(location, apr_pstrcat(pool, "ClickstreamDeliverTo ", good_names[_i], NULL));
    ck_assert_str_eq(location->deliver_to, good_names[_i]);
    test_read_location(location, apr_pstrcat(pool, "ClickstreamRejectTo ", good_names[_i], NULL));
    ck_assert_str_eq(location->reject_to, good_names[_i]);
    ck_assert_str_eq(
        read_stream(apr_pstrcat(pool, "ClickstreamStream ", good_names[_i], " file path=/srv", NULL))->name,
        good_names[_i]);
}
END_TEST

static const char *const good_endpoints[] = {
    "https://firehose.eu-central-1.amazonaws.com",
    "https://10.0.0.1:8443/prefix/",
    "http://127.0.0.1",
    "http://127.0.0.1:4566",
    "http://localhost/x",
    "http://[::1]:4566/",
};

START_TEST(takes_endpoint)
{
    const cs_stream_t *stream = read_stream(apr_pstrcat(pool, FIREHOSE "endpoint=", good_endpoints[_i], NULL));

    ck_assert_str_eq(stream->endpoint, good_endpoints[_i]);
}
END_TEST

static const char *const good_origins[] = {
    "https://app.example.com", "https://app.example.com:8443", "http://localhost:3000",
    "https://*.example.com",   "capacitor://localhost",        "*",
    "http://localhost:443",    "https://app.example.com:80",
};

START_TEST(takes_origin)
{
    cs_location_t *location = test_new_location();

    test_read_location(location, apr_pstrcat(pool, "ClickstreamAllowOrigin ", good_origins[_i], NULL));
    ck_assert_str_eq(words_of(location->origins), good_origins[_i]);
}
END_TEST

/* --- what is refused, and with which words --- */

/* The sentence names the directive, `value` and what to write: `advice`. */
static const struct {
    const char *line, *value, *advice;
} bad_locations[] = {
    {"ClickstreamMaxBody", "argument is missing", "ClickstreamMaxBody size"},
    {"ClickstreamMaxBody \"\"", "\"\"", "such as 64M"},
    {"ClickstreamMaxBody 0", "\"0\"", "from 1 to 64M"},
    {"ClickstreamMaxBody 65M", "\"65M\"", "from 1 to 64M"},
    {"ClickstreamMaxBody 67108865", "\"67108865\"", "from 1 to 64M"},
    {"ClickstreamMaxBody -1", "\"-1\"", "from 1 to 64M"},
    {"ClickstreamMaxBody +1", "\"+1\"", "from 1 to 64M"},
    {"ClickstreamMaxBody ' 1'", "\" 1\"", "from 1 to 64M"},
    {"ClickstreamMaxBody 0x10", "\"0x10\"", "K, M or G"},
    {"ClickstreamMaxBody 1.5M", "\"1.5M\"", "K, M or G"},
    {"ClickstreamMaxBody K", "\"K\"", "K, M or G"},
    {"ClickstreamMaxBody 5s", "\"5s\"", "K, M or G"},
    {"ClickstreamMaxBody 1MB", "\"1MB\"", "K, M or G"},
    {"ClickstreamMaxBody '1 M'", "\"1 M\"", "K, M or G"},
    {"ClickstreamMaxBody 99999999999999999999", "\"99999999999999999999\"", "from 1 to 64M"},
    {"ClickstreamMaxBody 9223372036854775807K", "\"9223372036854775807K\"", "from 1 to 64M"},
    {"ClickstreamMaxBody 18014398509481985K", "\"18014398509481985K\"", "from 1 to 64M"},
    {"ClickstreamMaxBody 1M 2M", "\"2M\"", "one argument too many"},
    {"ClickstreamMaxEvent 1", "\"1\"", "from 2 to 1000K"},
    {"ClickstreamMaxEvent 1M", "\"1M\"", "from 2 to 1000K"},
    {"ClickstreamMaxEvents 0", "\"0\"", "a whole number, from 1 to 100000"},
    {"ClickstreamMaxEvents 100001", "\"100001\"", "from 1 to 100000"},
    {"ClickstreamMaxEvents 1K", "\"1K\"", "a whole number"},
    {"ClickstreamMaxEvents \"\"", "\"\"", "a whole number"},
    {"ClickstreamMaxDepth 65", "\"65\"", "from 1 to 64"},
    {"ClickstreamAuth basic", "\"basic\"", "none|bearer|jwt"},
    {"ClickstreamAuth \"\"", "\"\"", "none|bearer"},
    {"ClickstreamAuth none|bearer", "\"none|bearer\"", "none|bearer"},
    {"ClickstreamDeliverTo \"\"", "empty", "ClickstreamDeliverTo name"},
    {"ClickstreamDeliverTo .hidden", "\".hidden\"", "letters, digits"},
    {"ClickstreamDeliverTo ../up", "\"../up\"", "letters, digits"},
    {"ClickstreamDeliverTo 'two words'", "\"two words\"", "letters, digits"},
    {"ClickstreamDeliverTo " SIXTY_FOUR "x", SIXTY_FOUR "x", "1 to 64"},
    {"ClickstreamRejectTo", "argument is missing", "ClickstreamRejectTo name"},
    {"ClickstreamRejectTo .hidden", "\".hidden\"", "letters, digits"},
    {"ClickstreamRejectTo one two", "\"two\"", "one argument too many"},
    {"ClickstreamPixel yes", "\"yes\"", "on|off"},
    {"ClickstreamPixel on off", "\"off\"", "one argument too many"},
    {"ClickstreamUnknownTags drop", "\"drop\"", "accept|reject"},
    {"ClickstreamClientIP on", "\"on\"", "forwarded|remote|anonymized|off"},
    {"ClickstreamClientIP \"\"", "\"\"", "forwarded|remote|anonymized|off"},
    {"ClickstreamOptOut anonymized", "\"anonymized\"", "ignore|anonymize|drop"},
    {"ClickstreamAdd", "argument is missing", "none|event_id|received_at ..."},
    {"ClickstreamAdd uuid", "\"uuid\"", "none|event_id|received_at ..."},
    {"ClickstreamAdd event_id uuid", "\"uuid\"", "none|event_id|received_at ..."},
    {"ClickstreamAdd event_id|received_at", "\"event_id|received_at\"", "none|event_id|received_at ..."},
    {"ClickstreamAdd \"\"", "\"\"", "none|event_id|received_at ..."},
    {"ClickstreamRequire", "argument is missing", "ClickstreamRequire field"},
    {"ClickstreamRequire tag \"\"", "empty", "ClickstreamRequire field"},
    {"ClickstreamAllowOrigin \"\"", "\"\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin app.example.com", "\"app.example.com\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin https://", "\"https://\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin https://*.", "\"https://*.\"", "https://*.example.com"},
    {"ClickstreamAllowOrigin ://x", "\"://x\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin null", "\"null\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin https://x/", "\"https://x/\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin https://x:443", "\"https://x:443\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin HTTP://*.x:80", "\"HTTP://*.x:80\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin https://x?y", "\"https://x?y\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin https://me@x", "\"https://me@x\"", "https://app.example.com"},
    {"ClickstreamAllowOrigin https://a.*.com", "\"https://a.*.com\"", "https://*.example.com"},
    {"ClickstreamAllowOrigin https://*x.com", "\"https://*x.com\"", "https://*.example.com"},
    {"ClickstreamAllowOrigin https://good.example.com bad", "\"bad\"", "https://app.example.com"},
};

START_TEST(refuses_location)
{
    const char *line = bad_locations[_i].line;

    test_sentence(test_line(cs_location_settings, test_new_location(), line), line, bad_locations[_i].value,
                  bad_locations[_i].advice);
}
END_TEST

static const struct {
    const char *line, *value, *advice;
} bad_servers[] = {
    {"ClickstreamQueueDir", "argument is missing", "ClickstreamQueueDir directory"},
    {"ClickstreamQueueDir queue", "\"queue\"", "such as /var/lib/clickstream"},
    {"ClickstreamQueueDir \"\"", "empty", "ClickstreamQueueDir directory"},
    {"ClickstreamQueueGroup no-such-group", "there is no group \"no-such-group\" here", "getent group"},
    {"ClickstreamQueueGroup \"\"", "there is no group \"\" here", "ClickstreamQueueGroup group"},
    {"ClickstreamQueueDir /a /b", "\"/b\"", "one argument too many"},
    {"ClickstreamStream", "argument is missing", "firehose|file"},
    {"ClickstreamStream clicks", "write a name", "firehose or file"},
    {"ClickstreamStream .clicks file path=/srv", "write a name", "1 to 64 letters"},
    {"ClickstreamStream a/b file path=/srv", "write a name", "1 to 64 letters"},
    {"ClickstreamStream " SIXTY_FOUR "x file path=/srv", "write a name", "1 to 64 letters"},
    {"ClickstreamStream \"\" file path=/srv", "write a name", "1 to 64 letters"},
    {"ClickstreamStream clicks kinesis", "\"kinesis\"", "write firehose or file"},
    {"ClickstreamStream clicks file", "clicks has no folder", "write path="},
    {"ClickstreamStream clicks firehose region=EU", "region=EU", "such as region=eu-central-1"},
    {"ClickstreamStream clicks firehose region=x.example.com/", "region=x.example.com/", "such as region="},
    {FIREHOSE "region", "\"region\"", "write name=value, with one of queue"},
    {FIREHOSE "regoin=x", "\"regoin=x\" is no option of a firehose stream", "endpoint"},
    {FIREHOSE "path=/srv", "\"path=/srv\" is no option of a firehose stream", "region"},
    {FIREHOSE "roll=1M", "\"roll=1M\"", "with one of queue"},
    {FIREHOSE "interval=1s", "\"interval=1s\"", "with one of queue"},
    {FOLDER "region=x", "\"region=x\" is no option of a file stream", "path, roll, interval"},
    {FOLDER "endpoint=https://x/", "\"endpoint=https://x/\"", "path, roll, interval"},
    {FOLDER "profile=x", "\"profile=x\"", "path, roll, interval"},
    {FOLDER "credentials=/x", "\"credentials=/x\"", "path, roll, interval"},
    {FOLDER "ca=/x", "\"ca=/x\"", "path, roll, interval"},
    {FOLDER "concurrency=1", "\"concurrency=1\"", "path, roll, interval"},
    {FOLDER "aggregate=on", "\"aggregate=on\"", "path, roll, interval"},
    {FOLDER "timeout=1s", "\"timeout=1s\"", "path, roll, interval"},
    {FOLDER "=x", "\"=x\"", "path, roll, interval"},
    {FOLDER "path=srv", "path=: \"srv\"", "from the root"},
    {FOLDER "path=", "path=: an empty value", "not possible"},
    {FIREHOSE "region=", "region=: an empty value", "not possible"},
    {FIREHOSE "role=a", "role=a is no role", "such as role=arn:aws:iam::123456789012:role/NAME"},
    {FIREHOSE ROLE, ROLE " is no role", "write its ARN"},
    {FIREHOSE ROLE "a/", "role/a/ is no role", "write its ARN"},
    {FIREHOSE ROLE "a%20b", "a%20b is no role", "write its ARN"},
    {FIREHOSE "role=arn:aws:iam::12345:role/a", "12345:role/a is no role", "write its ARN"},
    {FIREHOSE "role=arn:aws:iam::1234567890123:role/a", "is no role", "write its ARN"},
    {FIREHOSE "role=arn:aws:iam::123456789012:user/a", "user/a is no role", "write its ARN"},
    {FIREHOSE "role=arn:aws:sts::123456789012:assumed-role/a/b", "is no role", "write its ARN"},
    {FIREHOSE "role=arn:AWS:iam::123456789012:role/a", "is no role", "write its ARN"},
    {FIREHOSE ROLE "a external_id=x", "external_id=x is none", "2 to 1224"},
    {FIREHOSE ROLE "a external_id=x/%20", "external_id=x/%20 is none", "2 to 1224"},
    {FIREHOSE "external_id=x", "external_id= belongs to a role", "write role="},
    {FOLDER ROLE "a", ROLE, "path, roll, interval"},
    {FIREHOSE "profile=", "profile=: an empty value", "not possible"},
    {FIREHOSE "credentials=aws", "\"aws\"", "from the root"},
    {FIREHOSE "queue=1023K", "queue=: \"1023K\"", "from 1M to 64G"},
    {FIREHOSE "queue=65G", "\"65G\"", "from 1M to 64G"},
    {FIREHOSE "linger=1", "\"1\"", "ms, s, m, h or d, such as 5s, from 0ms to 1h"},
    {FIREHOSE "linger=1K", "\"1K\"", "ms, s, m, h or d"},
    {FIREHOSE "linger=", "\"\"", "ms, s, m, h or d"},
    {FIREHOSE "linger=3601s", "\"3601s\"", "from 0ms to 1h"},
    {FIREHOSE "linger=9223372036854775807d", "\"9223372036854775807d\"", "from 0ms to 1h"},
    {FIREHOSE "delimiter=tab", "\"tab\"", "newline|none"},
    {FIREHOSE "ack=never", "\"never\"", "queued|synced"},
    {FIREHOSE "concurrency=0", "\"0\"", "a whole number, from 1 to 64"},
    {FIREHOSE "concurrency=65", "\"65\"", "from 1 to 64"},
    {FIREHOSE "aggregate=yes", "\"yes\"", "on|off"},
    {FIREHOSE "timeout=999ms", "\"999ms\"", "from 1s to 10m"},
    {FIREHOSE "timeout=11m", "\"11m\"", "from 1s to 10m"},
    {FOLDER "roll=0", "\"0\"", "from 1 to 5G"},
    {FOLDER "roll=6G", "\"6G\"", "from 1 to 5G"},
    {FOLDER "interval=9ms", "\"9ms\"", "from 10ms to 1d"},
    {FOLDER "interval=25h", "\"25h\"", "from 10ms to 1d"},
    {FIREHOSE "endpoint=", "endpoint=: an empty value", "not possible"},
    {FIREHOSE "endpoint=firehose.amazonaws.com", "\"firehose.amazonaws.com\"", "https://HOST/"},
    {FIREHOSE "endpoint=https://", "\"https://\"", "https://HOST/"},
    {FIREHOSE "endpoint=https:///path", "\"https:///path\"", "https://HOST/"},
    {FIREHOSE "endpoint=https://host/?a=b", "\"https://host/?a=b\"", "https://HOST/"},
    {FIREHOSE "endpoint=https://host/#x", "\"https://host/#x\"", "https://HOST/"},
    {FIREHOSE "'endpoint=https://ho st/'", "\"https://ho st/\"", "https://HOST/"},
    {FIREHOSE "endpoint=ftp://localhost/", "\"ftp://localhost/\"", "https://HOST/"},
    {FIREHOSE "endpoint=http://example.com/", "\"http://example.com/\"", "http:// only for 127.0.0.1"},
    {FIREHOSE "endpoint=http://127.0.0.10/", "\"http://127.0.0.10/\"", "http:// only for 127.0.0.1"},
    {FIREHOSE "endpoint=http://localhost.example.com/", "\"http://localhost.example.com/\"", "http:// only"},
    /* The part before the @ is a user's name: this one would go to example.com, in the clear. */
    {FIREHOSE "endpoint=http://localhost:x@example.com/", "\"http://localhost:x@example.com/\"", "http:// only"},
    {FIREHOSE "endpoint=https://user@example.com/", "\"https://user@example.com/\"", "https://HOST/"},
};

START_TEST(refuses_server)
{
    const char *line = bad_servers[_i].line;

    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    test_sentence(test_line(cs_server_settings, new_server(), line), line, bad_servers[_i].value,
                  bad_servers[_i].advice);
}
END_TEST

START_TEST(says_the_whole_sentence)
{
    ck_assert_str_eq(test_line(cs_location_settings, test_new_location(), "ClickstreamMaxBody 5s"),
                     "ClickstreamMaxBody: \"5s\" is not possible here: write a number with K, M or G, such as 64M, "
                     "from 1 to 64M (ClickstreamMaxBody size)");
    ck_assert_str_eq(test_line(cs_location_settings, test_new_location(), "ClickstreamNothing x"),
                     "ClickstreamNothing is not a directive of clickstream");
    /* A directive of the other table is none of this one. */
    ck_assert_ptr_nonnull(test_line(cs_server_settings, new_server(), "ClickstreamMaxBody 1M"));
}
END_TEST

START_TEST(refuses_second_stream_of_a_name)
{
    cs_server_t *server = new_server();

    ck_assert_ptr_null(test_line(cs_server_settings, server, FOLDER));
    test_sentence(test_line(cs_server_settings, server, FIREHOSE), "ClickstreamStream", "a stream clicks already",
                  "another name");
    ck_assert_ptr_null(test_line(cs_server_settings, server, "ClickstreamStream Clicks file path=/srv"));
    ck_assert_int_eq(server->streams->nelts, 2);
}
END_TEST

/* --- a whole struct --- */

START_TEST(unsets)
{
    const cs_location_t *location = test_new_location();
    const cs_server_t *server = new_server();

    ck_assert_ptr_null(server->queue_dir);
    ck_assert_ptr_null(server->streams);
    ck_assert_ptr_null(location->deliver_to);
    ck_assert_ptr_null(location->clients);
    ck_assert_ptr_null(location->require);
    ck_assert_int_eq(location->auth, CS_UNSET);
    ck_assert_int_eq(location->max_body, CS_UNSET);
    ck_assert_int_eq(location->add, CS_UNSET);
    ck_assert_int_eq(location->client_ip, CS_UNSET);
    ck_assert_ptr_null(location->tags);
    ck_assert_ptr_null(location->fields);
    ck_assert_ptr_null(location->visitor_cookie);
    ck_assert_ptr_null(location->reject_to);
}
END_TEST

START_TEST(repeated_directives_append)
{
    cs_location_t *location = test_new_location();

    test_read_location(location, "ClickstreamAllowOrigin https://a.example.com https://b.example.com");
    test_read_location(location, "ClickstreamAllowOrigin https://c.example.com");
    test_read_location(location, "ClickstreamRequire token");
    test_read_location(location, "ClickstreamRequire tag");
    test_read_location(location, "ClickstreamClient one");
    test_read_location(location, "ClickstreamClient two");
    test_read_location(location, "ClickstreamTag A any");
    test_read_location(location, "ClickstreamTag B any");
    test_read_location(location, "ClickstreamField a x");
    test_read_location(location, "ClickstreamField A x");
    test_read_location(location, "ClickstreamAdd event_id");
    test_read_location(location, "ClickstreamAdd received_at");
    test_read_location(location, "ClickstreamVisitorCookie one domain=example.com");
    test_read_location(location, "ClickstreamVisitorCookie two");
    test_read_location(location, "ClickstreamMaxEvents 1");
    test_read_location(location, "ClickstreamMaxEvents 2");
    ck_assert_str_eq(words_of(location->origins), "https://a.example.com https://b.example.com https://c.example.com");
    ck_assert_str_eq(words_of(location->require), "token tag");
    ck_assert_int_eq(location->clients->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(location->clients, 1, cs_client_t).id, "two");
    ck_assert_int_eq(location->tags->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(location->tags, 1, cs_tag_t).name, "B");
    ck_assert_int_eq(location->fields->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(location->fields, 1, cs_field_t).name, "A");
    ck_assert_int_eq(location->add, CS_ADD_EVENT_ID | CS_ADD_RECEIVED_AT);
    ck_assert_str_eq(location->visitor_cookie->name, "two");
    ck_assert_ptr_null(location->visitor_cookie->domain);
    ck_assert_int_eq(location->max_events, 2);
}
END_TEST

START_TEST(copies_what_it_keeps)
{
    char id[] = "app", field[] = "tag", stream[] = "clicks", tag[] = "TAG", type[] = "any", name[] = "country",
         expression[] = "%{ENV:C}", cookie[] = "cs", domain[] = "domain=example.com";
    const char *words[] = {id, NULL};
    cs_location_t *location = test_new_location();

    ck_assert_ptr_null(cs_settings_read(cs_location_settings, location, "ClickstreamClient", 1, words, pool));
    words[0] = field;
    ck_assert_ptr_null(cs_settings_read(cs_location_settings, location, "ClickstreamRequire", 1, words, pool));
    words[0] = stream;
    ck_assert_ptr_null(cs_settings_read(cs_location_settings, location, "ClickstreamDeliverTo", 1, words, pool));
    words[0] = tag;
    words[1] = type;
    ck_assert_ptr_null(cs_settings_read(cs_location_settings, location, "ClickstreamTag", 2, words, pool));
    words[0] = name;
    words[1] = expression;
    ck_assert_ptr_null(cs_settings_read(cs_location_settings, location, "ClickstreamField", 2, words, pool));
    words[0] = cookie;
    words[1] = domain;
    ck_assert_ptr_null(cs_settings_read(cs_location_settings, location, "ClickstreamVisitorCookie", 2, words, pool));
    id[0] = field[0] = stream[0] = tag[0] = name[0] = expression[0] = cookie[0] = domain[7] = 'X';
    ck_assert_str_eq(APR_ARRAY_IDX(location->clients, 0, cs_client_t).id, "app");
    ck_assert_str_eq(words_of(location->require), "tag");
    ck_assert_str_eq(location->deliver_to, "clicks");
    ck_assert_str_eq(APR_ARRAY_IDX(location->tags, 0, cs_tag_t).name, "TAG");
    ck_assert_str_eq(APR_ARRAY_IDX(location->fields, 0, cs_field_t).name, "country");
    ck_assert_str_eq(APR_ARRAY_IDX(location->fields, 0, cs_field_t).expression, "%{ENV:C}");
    ck_assert_str_eq(location->visitor_cookie->name, "cs");
    ck_assert_str_eq(location->visitor_cookie->domain, "example.com");
}
END_TEST

START_TEST(merges)
{
    cs_location_t *parent = test_new_location(), *child = test_new_location(), merged;

    test_read_location(parent, "ClickstreamMaxBody 2M");
    test_read_location(parent, "ClickstreamAuth none");
    test_read_location(parent, "ClickstreamClient outer");
    test_read_location(parent, "ClickstreamAllowOrigin https://outer.example.com");
    test_read_location(parent, "ClickstreamRequire outer fields");
    test_read_location(child, "ClickstreamMaxBody 1");
    test_read_location(child, "ClickstreamRequire inner");
    test_read_location(child, "ClickstreamClient inner");
    cs_settings_merge(cs_location_settings, &merged, parent, child);
    ck_assert_int_eq(merged.max_body, 1);
    ck_assert_int_eq(merged.auth, CS_AUTH_NONE);
    ck_assert_str_eq(words_of(merged.require), "inner");
    ck_assert_int_eq(merged.clients->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(merged.clients, 0, cs_client_t).id, "inner");
    ck_assert_str_eq(words_of(merged.origins), "https://outer.example.com");
    ck_assert_int_eq(merged.max_events, CS_UNSET);
    ck_assert_str_eq(words_of(parent->require), "outer fields");
}
END_TEST

/* What is inside replaces what is outside, also where it says none. */
static const struct {
    const char *outer, *inner; /* ClickstreamAdd; NULL: not there */
    apr_int64_t merged;
} added[] = {
    {NULL, NULL, 0},
    {"event_id", NULL, CS_ADD_EVENT_ID},
    {"event_id", "received_at", CS_ADD_RECEIVED_AT},
    {"event_id received_at", "none", 0},
    {"none", "event_id", CS_ADD_EVENT_ID},
    {"none", NULL, 0},
    {NULL, "received_at", CS_ADD_RECEIVED_AT},
    {NULL, "none", 0},
};

START_TEST(merges_flags)
{
    cs_location_t *parent = test_new_location(), *child = test_new_location(), merged;

    if (added[_i].outer)
        test_read_location(parent, apr_pstrcat(pool, "ClickstreamAdd ", added[_i].outer, NULL));
    if (added[_i].inner)
        test_read_location(child, apr_pstrcat(pool, "ClickstreamAdd ", added[_i].inner, NULL));
    cs_settings_merge(cs_location_settings, &merged, parent, child);
    cs_settings_defaults(cs_location_settings, &merged, pool);
    ck_assert_int_eq(merged.add, added[_i].merged);
}
END_TEST

START_TEST(merges_lines_with_a_form_of_their_own)
{
    cs_location_t *parent = test_new_location(), *child = test_new_location(), *none = test_new_location(), merged;

    test_read_location(parent, "ClickstreamTag OUTER any");
    test_read_location(parent, "ClickstreamTag BOTH any");
    test_read_location(parent, "ClickstreamField outer x");
    test_read_location(parent, "ClickstreamVisitorCookie outer domain=example.com");
    test_read_location(parent, "ClickstreamUnknownTags reject");
    test_read_location(child, "ClickstreamTag BOTH integer");
    test_read_location(child, "ClickstreamField inner x");
    test_read_location(child, "ClickstreamVisitorCookie inner");
    cs_settings_merge(cs_location_settings, &merged, parent, none);
    ck_assert_int_eq(merged.tags->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(merged.fields, 0, cs_field_t).name, "outer");
    ck_assert_str_eq(merged.visitor_cookie->name, "outer");
    cs_settings_merge(cs_location_settings, &merged, parent, child);
    ck_assert_int_eq(merged.tags->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(merged.tags, 0, cs_tag_t).name, "BOTH");
    ck_assert_int_eq(APR_ARRAY_IDX(merged.tags, 0, cs_tag_t).type, CS_TAG_INTEGER);
    ck_assert_int_eq(merged.fields->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(merged.fields, 0, cs_field_t).name, "inner");
    ck_assert_str_eq(merged.visitor_cookie->name, "inner");
    ck_assert_ptr_null(merged.visitor_cookie->domain);
    ck_assert_int_eq(merged.unknown_tags, CS_UNKNOWN_TAGS_REJECT);
    ck_assert_int_eq(parent->tags->nelts, 2);
}
END_TEST

START_TEST(defaults_fill_what_is_unset)
{
    cs_location_t *location = test_new_location();

    test_read_location(location, "ClickstreamMaxEvents 7");
    cs_settings_defaults(cs_location_settings, location, pool);
    ck_assert_int_eq(location->max_events, 7);
    ck_assert_int_eq(location->max_body, CS_MIB);
    ck_assert_int_eq(location->max_event, 64 * CS_KIB);
    ck_assert_int_eq(location->max_depth, 16);
    ck_assert_int_eq(location->auth, CS_AUTH_BEARER);
    ck_assert_str_eq(words_of(location->require), "token timestamp tag");
    ck_assert_ptr_null(location->clients);
    ck_assert_ptr_null(location->origins);
    ck_assert_ptr_null(location->deliver_to);
    ck_assert_ptr_null(location->reject_to);
    ck_assert_int_eq(location->pixel, CS_OFF);
    ck_assert_int_eq(location->unknown_tags, CS_UNKNOWN_TAGS_ACCEPT);
    ck_assert_int_eq(location->client_ip, CS_CLIENT_IP_FORWARDED);
    ck_assert_int_eq(location->opt_out, CS_OPT_OUT_IGNORE);
    ck_assert_int_eq(location->add, 0);
    ck_assert_ptr_null(location->tags);
    ck_assert_ptr_null(location->fields);
    ck_assert_ptr_null(location->visitor_cookie);
}
END_TEST

START_TEST(defaults_do_not_add_to_a_list)
{
    cs_location_t *location = test_new_location();

    test_read_location(location, "ClickstreamRequire tag");
    cs_settings_defaults(cs_location_settings, location, pool);
    cs_settings_defaults(cs_location_settings, location, pool);
    ck_assert_str_eq(words_of(location->require), "tag");
}
END_TEST

START_TEST(checks_the_server)
{
    cs_server_t *server = new_server();

    ck_assert_ptr_null(cs_server_check(server, pool));
    ck_assert_ptr_null(test_line(cs_server_settings, server, FOLDER));
    test_sentence(cs_server_check(server, pool), "ClickstreamQueueDir", "clicks",
                  "ClickstreamQueueDir /var/lib/clickstream");
    ck_assert_ptr_null(test_line(cs_server_settings, server, "ClickstreamQueueDir /var/lib/queues"));
    ck_assert_str_eq(server->queue_dir, "/var/lib/queues");
    ck_assert_ptr_null(cs_server_check(server, pool));
}
END_TEST

START_TEST(a_refused_stream_is_none)
{
    cs_server_t *server = new_server();

    ck_assert_ptr_nonnull(test_line(cs_server_settings, server, "ClickstreamStream clicks file"));
    ck_assert_ptr_null(cs_server_stream(server, NULL));
    ck_assert_ptr_null(cs_server_check(server, pool));
}
END_TEST

START_TEST(finds_a_stream)
{
    cs_server_t *server = new_server();

    ck_assert_ptr_null(cs_server_stream(server, NULL));
    ck_assert_ptr_null(cs_server_stream(server, "clicks"));
    ck_assert_ptr_null(test_line(cs_server_settings, server, FOLDER));
    ck_assert_str_eq(cs_server_stream(server, NULL)->name, "clicks");
    ck_assert_str_eq(cs_server_stream(server, "clicks")->name, "clicks");
    ck_assert_ptr_null(cs_server_stream(server, "Clicks"));
    ck_assert_ptr_null(test_line(cs_server_settings, server, "ClickstreamStream other file path=/srv"));
    ck_assert_ptr_null(cs_server_stream(server, NULL));
    ck_assert_str_eq(cs_server_stream(server, "other")->name, "other");
}
END_TEST

#define NO_KEY "ClickstreamAuth jwt: the tokens of client"

/* What is in force at a place, SECRET in it being the path of one; `value` is NULL where it is good. */
static const struct {
    const char *lines[4], *value, *advice;
} places[] = {
    {{NULL}, NULL, NULL},
    {{"ClickstreamAuth bearer", "ClickstreamClient app"}, NULL, NULL},
    {{"ClickstreamAuth jwt"}, "no client whose tokens", "ClickstreamClient id secret=file, or key=file"},
    {{"ClickstreamAuth jwt", "ClickstreamClient app"}, NO_KEY " app", "ClickstreamClient app secret=file"},
    {{"ClickstreamAuth jwt", "ClickstreamClient app SECRET"}, NULL, NULL},
    {{"ClickstreamAuth jwt", "ClickstreamClient app SECRET", "ClickstreamClient web SECRET"}, NULL, NULL},
    {{"ClickstreamAuth jwt", "ClickstreamClient app SECRET", "ClickstreamClient web"},
     NO_KEY " web",
     "ClickstreamClient web secret=file, or key=file"},
    {{"ClickstreamClient app SECRET"}, NULL, NULL},
    {{"ClickstreamUnknownTags reject"}, "no tag is known", "write ClickstreamTag name any for each"},
    {{"ClickstreamUnknownTags reject", "ClickstreamTag T any"}, NULL, NULL},
    {{"ClickstreamUnknownTags accept"}, NULL, NULL},
};

START_TEST(checks_a_place)
{
    const char *secret = apr_pstrcat(pool, "secret=", test_file("s3cret"), NULL), *lines[5] = {NULL}, *error;

    for (int i = 0; places[_i].lines[i]; i++) {
        const char *at = strstr(places[_i].lines[i], "SECRET");
        lines[i] = places[_i].lines[i];
        if (at)
            lines[i] = apr_pstrcat(pool, apr_pstrmemdup(pool, lines[i], (apr_size_t)(at - lines[i])), secret, NULL);
    }
    error = cs_location_check(test_location(lines), pool);
    if (places[_i].value)
        test_sentence(error, places[_i].lines[0], places[_i].value, places[_i].advice);
    else
        ck_assert_pstr_eq(error, NULL);
}
END_TEST

START_TEST(checks_the_name_of_a_stream)
{
    cs_server_t *server = new_server();

    ck_assert_str_eq(cs_server_check_stream(server, "ClickstreamDeliverTo", "clicks", pool),
                     "ClickstreamDeliverTo clicks: there is no such stream: declare it with ClickstreamStream");
    ck_assert_ptr_null(test_line(cs_server_settings, server, FOLDER));
    ck_assert_ptr_null(cs_server_check_stream(server, "ClickstreamDeliverTo", "clicks", pool));
    ck_assert_str_eq(cs_server_check_stream(server, "ClickstreamRejectTo", "Clicks", pool),
                     "ClickstreamRejectTo Clicks: there is no such stream: declare it with ClickstreamStream, or write "
                     "one of clicks");
    ck_assert_ptr_null(test_line(cs_server_settings, server, "ClickstreamStream other file path=/srv"));
    ck_assert_ptr_null(cs_server_check_stream(server, "ClickstreamRejectTo", "other", pool));
    ck_assert_str_eq(cs_server_check_stream(server, "ClickstreamDeliverTo", "x", pool),
                     "ClickstreamDeliverTo x: there is no such stream: declare it with ClickstreamStream, or write one "
                     "of clicks, other");
}
END_TEST

static TCase *values_case(void)
{
    TCase *tests = test_case("values");

    tcase_add_loop_test(tests, takes_number, 0, ELEMENTS(good_numbers));
    tcase_add_loop_test(tests, takes_option, 0, ELEMENTS(good_options));
    tcase_add_test(tests, takes_text_options);
    tcase_add_test(tests, region_may_be_missing);
    tcase_add_loop_test(tests, takes_role, 0, ELEMENTS(roles));
    tcase_add_loop_test(tests, takes_name, 0, ELEMENTS(good_names));
    tcase_add_loop_test(tests, takes_endpoint, 0, ELEMENTS(good_endpoints));
    tcase_add_loop_test(tests, takes_origin, 0, ELEMENTS(good_origins));
    tcase_add_loop_test(tests, refuses_location, 0, ELEMENTS(bad_locations));
    tcase_add_loop_test(tests, refuses_server, 0, ELEMENTS(bad_servers));
    tcase_add_test(tests, says_the_whole_sentence);
    tcase_add_test(tests, refuses_second_stream_of_a_name);
    return tests;
}

static TCase *structs_case(void)
{
    TCase *tests = test_case("structs");

    tcase_add_test(tests, unsets);
    tcase_add_test(tests, repeated_directives_append);
    tcase_add_test(tests, copies_what_it_keeps);
    tcase_add_test(tests, merges);
    tcase_add_loop_test(tests, merges_flags, 0, ELEMENTS(added));
    tcase_add_test(tests, merges_lines_with_a_form_of_their_own);
    tcase_add_test(tests, defaults_fill_what_is_unset);
    tcase_add_test(tests, defaults_do_not_add_to_a_list);
    tcase_add_test(tests, checks_the_server);
    tcase_add_test(tests, a_refused_stream_is_none);
    tcase_add_test(tests, finds_a_stream);
    tcase_add_loop_test(tests, checks_a_place, 0, ELEMENTS(places));
    tcase_add_test(tests, checks_the_name_of_a_stream);
    return tests;
}

Suite *settings_suite(void)
{
    Suite *suite = suite_create("settings");

    suite_add_tcase(suite, values_case());
    suite_add_tcase(suite, structs_case());
    return suite;
}
