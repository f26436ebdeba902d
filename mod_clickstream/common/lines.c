/* The directives that have a form of their own: ClickstreamStream, Client, Tag, Field and VisitorCookie.
 * SPDX-License-Identifier: Apache-2.0 */
#include <apr_strings.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/values.h"

/* "name=value" -> where the value begins, or NULL. */
static const char *value_of(const char *word, const char *name)
{
    size_t length = strlen(name);

    return strncasecmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

/* --- ClickstreamStream --- */

static const char *const sink_names[] = {"firehose", "file"};

static int fits_sink(const cs_setting_t *row, int sink)
{
    return row->sink == CS_SINK_ANY || row->sink == sink;
}

static const char *names_of(const cs_setting_t *table, int sink, apr_pool_t *pool)
{
    const char *names = "";

    for (; table->name; table++) {
        if (fits_sink(table, sink))
            names = apr_pstrcat(pool, names, *names ? ", " : "", table->name, NULL);
    }
    return names;
}

static const char *read_option(cs_stream_t *stream, const char *word, apr_pool_t *pool)
{
    const char *equals = strchr(word, '=');
    const char *name = equals ? apr_pstrmemdup(pool, word, (apr_size_t)(equals - word)) : word;
    const cs_setting_t *row = cs_setting_find(cs_stream_settings, name);
    const char *error;

    if (!equals || !row || !fits_sink(row, stream->sink))
        return apr_psprintf(pool, "\"%s\" is no option of a %s stream: write name=value, with one of %s", word,
                            sink_names[stream->sink], names_of(cs_stream_settings, stream->sink, pool));
    if (equals[1] == '"' || equals[1] == '\'') /* httpd takes quotes around a whole word only */
        return apr_psprintf(pool, "%s: put the quotes around it all: \"%s=%.*s\"", word, name,
                            (int)strcspn(equals + 2, "\"'"), equals + 2);
    error = cs_value_read(stream, row, equals + 1, pool);
    return error ? apr_pstrcat(pool, row->name, "=: ", error, NULL) : NULL;
}

int cs_is_region(const char *text)
{
    return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

#define ROLE_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-"

/* "arn:aws:iam::123456789012:role/NAME"; "IAM ARNs" in the IAM User Guide. */
static int is_role(const char *arn)
{
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz-", digits[] = "0123456789";
    size_t partition, account;

    if (strncmp(arn, "arn:aws", 7) != 0)
        return 0;
    partition = 4 + strspn(arn + 4, lower);
    if (strncmp(arn + partition, ":iam::", 6) != 0)
        return 0;
    arn += partition + 6;
    account = strspn(arn, digits);
    arn += account;
    return account == 12 && strncmp(arn, ":role/", 6) == 0 && arn[6] && arn[strlen(arn) - 1] != '/' &&
           !arn[6 + strspn(arn + 6, ROLE_CHARACTERS "/")];
}

static const char *check_role(const cs_stream_t *stream, apr_pool_t *pool)
{
    const char *id = stream->external_id;

    if (id && !stream->role)
        return "external_id= belongs to a role: write role=, too";
    if (id && (strlen(id) < 2 || strlen(id) > 1224 || id[strspn(id, ROLE_CHARACTERS ":/")])) /* AssumeRole's own rule */
        return apr_psprintf(pool, "external_id=%s is none: 2 to 1224 letters, digits and _+=,.@:/-", id);
    if (stream->role && !is_role(stream->role))
        return apr_psprintf(pool, "role=%s is no role: write its ARN, such as role=arn:aws:iam::123456789012:role/NAME",
                            stream->role);
    return NULL;
}

static const char *check(const cs_stream_t *stream, apr_pool_t *pool)
{
    if (stream->sink == CS_SINK_FILE && !stream->path)
        return apr_psprintf(pool, "stream %s has no folder: write path=/some/folder", stream->name);
    if (stream->region && !cs_is_region(stream->region)) /* where none is written, the sender finds it */
        return apr_psprintf(pool, "region=%s is no region: write one such as region=eu-central-1", stream->region);
    return check_role(stream, pool);
}

const char *cs_line_read_stream(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                                apr_pool_t *pool)
{
    apr_array_header_t *streams = cs_value_array(settings, row, sizeof(cs_stream_t *), pool);
    cs_stream_t *stream = apr_pcalloc(pool, sizeof(*stream));
    const char *error;

    if (argc < 2 || !cs_is_stream_name(argv[0]))
        return "write a name of 1 to 64 letters, digits, '_', '-' and '.', then firehose or file, then its options";
    cs_settings_unset(cs_stream_settings, stream);
    stream->name = apr_pstrdup(pool, argv[0]);
    for (stream->sink = 0; strcasecmp(sink_names[stream->sink], argv[1]) != 0;) {
        if (++stream->sink == (int)ELEMENTS(sink_names))
            return apr_psprintf(pool, "\"%s\" is no kind of stream: write firehose or file", argv[1]);
    }
    for (int i = 2; i < argc; i++) {
        if ((error = read_option(stream, argv[i], pool)))
            return error;
    }
    for (int i = 0; i < streams->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(streams, i, cs_stream_t *)->name, stream->name) == 0)
            return apr_psprintf(pool, "there is a stream %s already: give this one another name", stream->name);
    }
    cs_settings_defaults(cs_stream_settings, stream, pool);
    if ((error = check(stream, pool)))
        return error;
    APR_ARRAY_PUSH(streams, cs_stream_t *) = stream;
    return NULL;
}

/* --- ClickstreamClient --- */

const char *cs_line_read_client(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                                apr_pool_t *pool)
{
    apr_array_header_t *clients = cs_value_array(settings, row, sizeof(cs_client_t), pool);
    cs_client_t client = {.id = apr_pstrdup(pool, argv[0])};
    cs_key_t *key = NULL;

    if (!*client.id)
        return "an empty id is not possible here";
    if (strlen(client.id) > CS_CLIENT_ID_MOST)
        return apr_psprintf(pool, "an id of %" APR_SIZE_T_FMT " bytes is not possible here: at most %d",
                            strlen(client.id), CS_CLIENT_ID_MOST);
    if (argc > 2)
        return apr_psprintf(pool, "\"%s\" is one argument too many: write one client a line, with one key", argv[2]);
    if (argc == 2) {
        const char *secret = value_of(argv[1], "secret"), *path = secret ? secret : value_of(argv[1], "key");
        const char *error;
        if (!path)
            return apr_psprintf(pool, "\"%s\" is not possible here: write secret=file or key=file; one client a line",
                                argv[1]);
        if (*path != '/')
            return apr_psprintf(pool, "\"%s\" is not an absolute path: write it from the root", path);
        if ((error = secret ? cs_key_secret(&key, path, pool) : cs_key_public(&key, path, pool)))
            return error;
    }
    for (int i = 0; i < clients->nelts; i++) { /* a second key would never be looked at */
        if (strcmp(APR_ARRAY_IDX(clients, i, cs_client_t).id, client.id) == 0)
            return apr_psprintf(pool, "there is a line for the client %s already", client.id);
    }
    client.key = key;
    APR_ARRAY_PUSH(clients, cs_client_t) = client;
    return NULL;
}

/* --- ClickstreamTag --- */

/* Beyond this, one integer more is no other double (RFC 8259, section 6). */
#define BOUND_MOST 9007199254740991.0

static int read_bound(double *bound, const char *text, double open)
{
    char *end;

    *bound = open;
    if (!*text)
        return 1;
    if (!strchr("-0123456789", *text) || strpbrk(text, "xXpPnN")) /* what strtod() knows and JSON does not */
        return 0;
    *bound = strtod(text, &end);
    return !*end && fabs(*bound) <= BOUND_MOST;
}

/* "0..1000", "0.." or "..1000". */
static const char *read_range(cs_tag_t *tag, const char *word, apr_pool_t *pool)
{
    static const int ranged[] = {
        [CS_TAG_STRING] = 1, [CS_TAG_INTEGER] = 1, [CS_TAG_NUMBER] = 1,
        [CS_TAG_OBJECT] = 1, [CS_TAG_ARRAY] = 1,   [CS_TAG_GEO] = 0,
    };
    const char *dots = strstr(word, "..");

    if (!ranged[tag->type])
        return apr_psprintf(pool,
                            "\"%s\" is one argument too many: only a string, integer, number, object or array has "
                            "a range",
                            word);
    if (!dots || strlen(word) == 2 ||
        !read_bound(&tag->least, apr_pstrmemdup(pool, word, (apr_size_t)(dots - word)), -HUGE_VAL) ||
        !read_bound(&tag->most, dots + 2, HUGE_VAL) || tag->least > tag->most)
        return apr_psprintf(pool, "\"%s\" is no range: write min..max, such as 0..1000, or 0.. for no end", word);
    return NULL;
}

const char *cs_line_read_tag(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                             apr_pool_t *pool)
{
    apr_array_header_t *tags = cs_value_array(settings, row, sizeof(cs_tag_t), pool);
    cs_tag_t tag = {.name = apr_pstrdup(pool, argv[0]), .least = -HUGE_VAL, .most = HUGE_VAL};
    const char *error = NULL;
    apr_int64_t type;

    if (argc < 2)
        return apr_psprintf(pool, "the type is missing: write one of %s", row->choices);
    if (cs_value_read_choice(&type, row, argv[1], pool))
        return apr_psprintf(pool, "\"%s\" is no type: write one of %s", argv[1], row->choices);
    tag.type = (cs_tag_type_t)type;
    if (argc > 2)
        error = argc > 3 ? apr_psprintf(pool, "\"%s\" is one argument too many: write the range as min..max", argv[3])
                         : read_range(&tag, argv[2], pool);
    for (int i = 0; !error && i < tags->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(tags, i, cs_tag_t).name, tag.name) == 0)
            error = apr_psprintf(pool, "there is a line for the tag %s already", tag.name);
    }
    if (!error)
        APR_ARRAY_PUSH(tags, cs_tag_t) = tag;
    return error;
}

/* --- ClickstreamField --- */

const char *cs_line_read_field(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                               apr_pool_t *pool)
{
    static const char *const taken[] = {"client_id",  "client_ip", "user_agent",
                                        "visitor_id", "event_id",  "received_at"};
    apr_array_header_t *fields = cs_value_array(settings, row, sizeof(cs_field_t), pool);
    const char *name = argv[0];

    if (argc != 2)
        return argc < 2 ? "the expression is missing: write it in quotes, such as \"%{ENV:MM_COUNTRY_CODE}\""
                        : apr_psprintf(pool, "\"%s\" is one argument too many: put quotes around the whole expression",
                                       argv[2]);
    if (!*name || strlen(name) > 64 ||
        name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")])
        return apr_psprintf(pool, "\"%s\" is no field's name: 1 to 64 letters, digits, '_', '-' and '.'", name);
    for (size_t i = 0; i < ELEMENTS(taken); i++) {
        if (strcmp(taken[i], name) == 0)
            return apr_psprintf(pool, "%s is a name of the server's own: write another one", name);
    }
    for (int i = 0; i < fields->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(fields, i, cs_field_t).name, name) == 0)
            return apr_psprintf(pool, "there is a field %s already: give this one another name", name);
    }
    APR_ARRAY_PUSH(fields, cs_field_t) =
        (cs_field_t){.name = apr_pstrdup(pool, name), .expression = apr_pstrdup(pool, argv[1])};
    return NULL;
}

/* --- ClickstreamVisitorCookie --- */

/* What a browser asks of a cookie whose name begins so, or it does not keep it (RFC 6265bis, section 4.1.3.2). */
#define HOST_PREFIX "__Host-"
/* What a cookie's name may consist of: a token of RFC 9110, section 5.6.2, which RFC 6265 asks for. */
#define TOKEN_CHARACTERS "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DOMAIN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
#define DAY (APR_INT64_C(86400) * 1000000)

const char *cs_line_read_cookie(void *settings, const cs_setting_t *row, int argc, const char *const *argv,
                                apr_pool_t *pool)
{
    /* Browsers keep no cookie for longer than 400 days (RFC 6265bis, section 5.5). */
    static const cs_setting_t age = {.kind = TIME, .least = 1000000, .most = 400 * DAY};
    cs_cookie_t *cookie = apr_pcalloc(pool, sizeof(*cookie));

    cookie->name = apr_pstrdup(pool, argv[0]);
    cookie->max_age = 395 * DAY;
    if (!*cookie->name || cookie->name[strspn(cookie->name, TOKEN_CHARACTERS)])
        return apr_psprintf(pool, "\"%s\" is no cookie's name: write letters, digits, '_' and '-'", cookie->name);
    for (int i = 1; i < argc; i++) {
        const char *text = value_of(argv[i], "max-age"), *error;
        if (text) {
            if ((error = cs_value_read_number(&cookie->max_age, &age, text, pool)))
                return apr_pstrcat(pool, "max-age=: ", error, NULL);
        }
        else if (!(text = value_of(argv[i], "domain")))
            return apr_psprintf(pool, "\"%s\" is not possible here: write max-age=395d or domain=example.com", argv[i]);
        else if (!*text || text[strspn(text, DOMAIN_CHARACTERS)])
            return apr_psprintf(pool, "\"%s\" is no domain: write domain=example.com", argv[i]);
        else
            cookie->domain = apr_pstrdup(pool, text);
    }
    if (cookie->domain && strncasecmp(cookie->name, HOST_PREFIX, strlen(HOST_PREFIX)) == 0)
        return apr_psprintf(
            pool, "browsers keep no cookie %s with a domain: leave domain= out, or write a name without " HOST_PREFIX,
            cookie->name);
    *cs_value_pointer(settings, row) = cookie;
    return NULL;
}
