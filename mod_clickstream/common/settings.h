/* Every directive and every stream option, once.
 *
 * The lists below are the single source: from them come the structs, the parser of both front doors,
 * the unset values, the merge, the defaults, httpd's command table, and the test that holds
 * httpd-conf/DIRECTIVES.md against the code. To add a directive, add a row and its section there.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_SETTINGS_H
#define CS_SETTINGS_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "common/key.h"

/* The kinds of value, and the C type that holds each. Unset is NULL for pointers and CS_UNSET for numbers. */
#define CS_UNSET (-1)
typedef const char *cs_type_TEXT_t;               /* any text */
typedef const char *cs_type_PATH_t;               /* an absolute path */
typedef const char *cs_type_NAME_t;               /* a stream's name */
typedef const struct cs_group_t *cs_type_GROUP_t; /* of this system's */
typedef const char *cs_type_URL_t;                /* https://…, or http:// on loopback */
typedef apr_int64_t cs_type_SIZE_t;               /* bytes: 512, 64K, 64M, 1G */
typedef apr_int64_t cs_type_TIME_t;               /* microseconds, as apr_time_t: 200ms, 5s, 1m, 2h, 395d */
typedef apr_int64_t cs_type_COUNT_t;              /* a whole number */
typedef apr_int64_t cs_type_CHOICE_t;             /* one of a few words: its place in the row's `choices` */
typedef apr_int64_t cs_type_FLAGS_t;              /* some of a few words: a bit for each place in `choices`; or none */
typedef apr_array_header_t *cs_type_WORDS_t;      /* const char *, one or more; replaces what was inherited */
typedef apr_array_header_t *cs_type_ORIGINS_t;    /* WORDS, each checked to be an origin */
typedef apr_array_header_t *cs_type_CLIENTS_t;    /* cs_client_t, one a line; replaces what was inherited */
typedef apr_array_header_t *cs_type_TAGS_t;       /* cs_tag_t, likewise */
typedef apr_array_header_t *cs_type_FIELDS_t;     /* cs_field_t, likewise */
typedef struct cs_cookie_t *cs_type_COOKIE_t;
typedef apr_array_header_t *cs_type_STREAMS_t; /* cs_stream_t *, one a line */

enum { CS_AUTH_NONE, CS_AUTH_BEARER, CS_AUTH_JWT };
enum { CS_UNKNOWN_TAGS_ACCEPT, CS_UNKNOWN_TAGS_REJECT };
enum { CS_CLIENT_IP_FORWARDED, CS_CLIENT_IP_REMOTE, CS_CLIENT_IP_ANONYMIZED, CS_CLIENT_IP_OFF };
enum { CS_OPT_OUT_IGNORE, CS_OPT_OUT_ANONYMIZE, CS_OPT_OUT_DROP };
enum { CS_ADD_EVENT_ID = 1, CS_ADD_RECEIVED_AT = 2 }; /* bits */
enum { CS_SINK_ANY = -1, CS_SINK_FIREHOSE, CS_SINK_FILE };
enum { CS_OFF, CS_ON };
enum { CS_DELIMITER_NEWLINE, CS_DELIMITER_NONE };
enum { CS_ACK_QUEUED, CS_ACK_SYNCED };

#define CS_KIB ((apr_int64_t)1024)
#define CS_MIB (1024 * CS_KIB)
#define CS_GIB (1024 * CS_MIB)

/* The longest record that Firehose takes, before base64 ("Amazon Data Firehose Quota", and the API
 * reference of PutRecordBatch: 1,000 KiB). A delimiter of one byte has to fit as well. */
#define CS_RECORD_MAX (1000 * CS_KIB)

/* X(KIND, field, name, default, least, most, choices, arguments, what it is for)
 * least and most are in the kind's own unit; `choices` is for CHOICE only. */

/* Server-wide. */
#define CS_SERVER_SETTINGS(X)                                                                                          \
    X(PATH, queue_dir, "ClickstreamQueueDir", NULL, 0, 0, NULL, "directory", "Folder of the queue files")              \
    X(GROUP, queue_group, "ClickstreamQueueGroup", NULL, 0, 0, NULL, "group",                                          \
      "Whose members may read and write the queue files")                                                              \
    X(STREAMS, streams, "ClickstreamStream", NULL, 0, 0, NULL, "name firehose|file [option=value] ...",                \
      "A stream that events are delivered to")

/* Options of ClickstreamStream, `name=value`; behind the field stands the sink that they are for. */
#define CS_STREAM_SETTINGS(X)                                                                                          \
    X(SIZE, queue, CS_SINK_ANY, "queue", "64M", CS_MIB, 64 * CS_GIB, NULL, "size", "Capacity of the queue file")       \
    X(TIME, linger, CS_SINK_ANY, "linger", "1s", 0, 3600000000, NULL, "time",                                          \
      "How long an event waits for others to fill the batch")                                                          \
    X(CHOICE, delimiter, CS_SINK_ANY, "delimiter", "newline", 0, 0, "newline|none", "newline|none",                    \
      "What ends an event")                                                                                            \
    X(CHOICE, ack, CS_SINK_ANY, "ack", "queued", 0, 0, "queued|synced", "queued|synced",                               \
      "What an event has survived when its 200 goes out")                                                              \
    X(TEXT, region, CS_SINK_FIREHOSE, "region", NULL, 0, 0, NULL, "name", "AWS region of the delivery stream")         \
    X(URL, endpoint, CS_SINK_FIREHOSE, "endpoint", NULL, 0, 0, NULL, "url", "Where Firehose's API is")                 \
    X(TEXT, profile, CS_SINK_FIREHOSE, "profile", NULL, 0, 0, NULL, "name", "Section of the credentials file")         \
    X(PATH, credentials, CS_SINK_FIREHOSE, "credentials", NULL, 0, 0, NULL, "file", "A shared credentials file")       \
    X(TEXT, role, CS_SINK_FIREHOSE, "role", NULL, 0, 0, NULL, "arn", "A role to assume with the credentials found")    \
    X(TEXT, external_id, CS_SINK_FIREHOSE, "external_id", NULL, 0, 0, NULL, "id",                                      \
      "The external id that the role's trust policy asks for")                                                         \
    X(COUNT, concurrency, CS_SINK_FIREHOSE, "concurrency", "4", 1, 64, NULL, "count",                                  \
      "Requests to Firehose under way at once")                                                                        \
    X(CHOICE, aggregate, CS_SINK_FIREHOSE, "aggregate", "on", 0, 0, "off|on", "on|off",                                \
      "Whether events share a Firehose record")                                                                        \
    X(TIME, timeout, CS_SINK_FIREHOSE, "timeout", "30s", 1000000, 600000000, NULL, "time",                             \
      "How long a request to AWS may take")                                                                            \
    X(PATH, ca, CS_SINK_FIREHOSE, "ca", NULL, 0, 0, NULL, "file", "The certificate authorities to trust, as PEM")      \
    X(PATH, path, CS_SINK_FILE, "path", NULL, 0, 0, NULL, "directory", "Folder that the objects are written to")       \
    X(SIZE, roll, CS_SINK_FILE, "roll", "64M", 1, 5 * CS_GIB, NULL, "size", "Size at which an object is finished")     \
    X(TIME, interval, CS_SINK_FILE, "interval", "60s", 10000, 86400000000, NULL, "time",                               \
      "Age at which an object is finished")

/* What ClickstreamTag can ask of a value, in the order of CS_TAG_…. */
#define CS_TAG_TYPES "any|string|integer|number|boolean|object|array|language|geo"
typedef enum {
    CS_TAG_ANY,
    CS_TAG_STRING,
    CS_TAG_INTEGER,
    CS_TAG_NUMBER,
    CS_TAG_BOOLEAN,
    CS_TAG_OBJECT,
    CS_TAG_ARRAY,
    CS_TAG_LANGUAGE,
    CS_TAG_GEO,
} cs_tag_type_t;

/* Per location, merged as httpd merges. */
#define CS_LOCATION_SETTINGS(X)                                                                                        \
    X(NAME, deliver_to, "ClickstreamDeliverTo", NULL, 0, 0, NULL, "name",                                              \
      "The stream that takes this location's events")                                                                  \
    X(NAME, reject_to, "ClickstreamRejectTo", NULL, 0, 0, NULL, "name",                                                \
      "The stream that takes the events that are refused")                                                             \
    X(CLIENTS, clients, "ClickstreamClient", NULL, 0, 0, NULL, "id [secret=file] [key=file]",                          \
      "A client that may send")                                                                                        \
    X(CHOICE, auth, "ClickstreamAuth", "bearer", 0, 0, "none|bearer|jwt", "none|bearer|jwt",                           \
      "What a request has to show")                                                                                    \
    X(ORIGINS, origins, "ClickstreamAllowOrigin", NULL, 0, 0, NULL, "origin ...",                                      \
      "Origins whose pages may send from a browser")                                                                   \
    X(CHOICE, pixel, "ClickstreamPixel", "off", 0, 0, "off|on", "on|off",                                              \
      "Whether a GET with an event in its query is collected")                                                         \
    X(SIZE, max_body, "ClickstreamMaxBody", "1M", 1, 64 * CS_MIB, NULL, "size",                                        \
      "The longest request body that is read")                                                                         \
    X(COUNT, max_events, "ClickstreamMaxEvents", "500", 1, 100000, NULL, "count", "The most events in one request")    \
    X(SIZE, max_event, "ClickstreamMaxEvent", "64K", 2, CS_RECORD_MAX, NULL, "size", "The longest event")              \
    X(COUNT, max_depth, "ClickstreamMaxDepth", "16", 1, 64, NULL, "count",                                             \
      "How deep objects and arrays may nest in an event")                                                              \
    X(WORDS, require, "ClickstreamRequire", "token timestamp tag", 0, 0, NULL, "field ...",                            \
      "Members that an event must have")                                                                               \
    X(TAGS, tags, "ClickstreamTag", NULL, 0, 0, CS_TAG_TYPES, "name type [min..max]",                                  \
      "What the value of an event with this tag must be")                                                              \
    X(CHOICE, unknown_tags, "ClickstreamUnknownTags", "accept", 0, 0, "accept|reject", "accept|reject",                \
      "What becomes of events with a tag that no ClickstreamTag names")                                                \
    X(CHOICE, client_ip, "ClickstreamClientIP", "forwarded", 0, 0, "forwarded|remote|anonymized|off",                  \
      "forwarded|remote|anonymized|off", "Which address is added to an event")                                         \
    X(FLAGS, add, "ClickstreamAdd", "none", 0, 0, "event_id|received_at", "none|event_id|received_at ...",             \
      "What else the server adds to an event")                                                                         \
    X(FIELDS, fields, "ClickstreamField", NULL, 0, 0, NULL, "name expression",                                         \
      "One more member that the server adds to an event")                                                              \
    X(COOKIE, visitor_cookie, "ClickstreamVisitorCookie", NULL, 0, 0, NULL, "name [max-age=time] [domain=domain]",     \
      "A cookie that tells one visitor's events from another's")                                                       \
    X(CHOICE, opt_out, "ClickstreamOptOut", "ignore", 0, 0, "ignore|anonymize|drop", "ignore|anonymize|drop",          \
      "What becomes of the events of those who do not want to be tracked")                                             \
    X(TIME, health_age, "ClickstreamHealthAge", "5m", 1000000, 2592000000000, NULL, "time",                            \
      "How long the oldest event of a healthy stream may wait")

#define CS_FIELD(KIND, field, ...) cs_type_##KIND##_t field;
typedef struct cs_server_t {
    CS_SERVER_SETTINGS(CS_FIELD)
} cs_server_t;
typedef struct cs_stream_t {
    const char *name;
    int sink; /* CS_SINK_… */
    CS_STREAM_SETTINGS(CS_FIELD)
} cs_stream_t;
typedef struct cs_location_t {
    CS_LOCATION_SETTINGS(CS_FIELD)
} cs_location_t;
#undef CS_FIELD

/* Each event has it, so it must not be longer than a name is. */
#define CS_CLIENT_ID_MOST 256

typedef struct cs_client_t {
    const char *id;
    const cs_key_t *key; /* what its tokens are verified with; NULL: they are not */
} cs_client_t;

typedef struct cs_tag_t {
    const char *name;
    cs_tag_type_t type;
    double least, most; /* of a number, or of the length of a string, array or object; infinite where not written */
} cs_tag_t;

typedef struct cs_field_t {
    const char *name;
    const char *expression;
    void *compiled; /* the front door's */
} cs_field_t;

typedef struct cs_cookie_t {
    const char *name;
    apr_interval_time_t max_age;
    const char *domain; /* NULL: only the host that set it gets it back */
} cs_cookie_t;

/* One row of the lists above. */
typedef struct cs_setting_t {
    const char *name;
    int kind; /* private to settings.c */
    apr_size_t offset;
    int sink;             /* of a stream's option: the sink that it is for */
    const char *fallback; /* the default, as one would write it; NULL: none */
    apr_int64_t least, most;
    const char *choices;
    const char *arguments; /* what is written after the name, for the documentation */
    const char *about;     /* one line, for the documentation and `httpd -L` */
} cs_setting_t;

/* Each ends with a row whose name is NULL. */
extern const cs_setting_t cs_server_settings[];
extern const cs_setting_t cs_stream_settings[];
extern const cs_setting_t cs_location_settings[];

/* All values of `settings`, a struct of `table`, become unset. */
void cs_settings_unset(const cs_setting_t *table, void *settings);

/* Takes one directive's arguments. Returns NULL, or a sentence that says what to write instead.
 * Copies what it keeps into `pool`, which must live as long as the settings. */
const char *cs_settings_read(const cs_setting_t *table, void *settings, const char *name, int argc,
                             const char *const *argv, apr_pool_t *pool);

/* `merged` becomes what `over` sets, and `base` for the rest. All three are structs of `table`. */
void cs_settings_merge(const cs_setting_t *table, void *merged, const void *base, const void *over);

/* Every value that is unset and has a default gets it: the last step, after all merging. */
void cs_settings_defaults(const cs_setting_t *table, void *settings, apr_pool_t *pool);

/* What no single line can tell: whether all of it fits together. NULL, or what to write. */
const char *cs_server_check(const cs_server_t *server, apr_pool_t *pool);

/* Likewise for what is in force at one place, defaults included. */
const char *cs_location_check(const cs_location_t *location, apr_pool_t *pool);

/* Whether a directive such as ClickstreamDeliverTo names a stream that is declared. NULL, or what to write. */
const char *cs_server_check_stream(const cs_server_t *server, const char *directive, const char *name,
                                   apr_pool_t *pool);

/* Whether it may be the name of an AWS region: that is a part of a host's name, so nothing else may be in it. */
int cs_is_region(const char *text);

/* Firehose's own rule for the name of a delivery stream; ours is a file's name too. */
int cs_is_stream_name(const char *name);

/* "clicks, trial": what is declared. */
const char *cs_server_stream_names(const cs_server_t *server, apr_pool_t *pool);

/* The stream of that name, or the only one where `name` is NULL; otherwise NULL. */
cs_stream_t *cs_server_stream(const cs_server_t *server, const char *name);

#endif
