/* AWS Security Token Service: temporary credentials of a role.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/sts.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <apr_xml.h>
#include <openssl/crypto.h>
#include <string.h>

#include "deliver/endpoint.h"
#include "deliver/secret.h"

#define TIMEOUT apr_time_from_sec(5)
#define API_VERSION "2011-06-15"
#define FORM "application/x-www-form-urlencoded; charset=utf-8"
/* A web identity token has at most 20,000 characters, says the API reference. */
#define TOKEN_MOST 32768
/* AssumeRoleResponse, AssumeRoleResult, Credentials. */
#define DEPTH 3

/* --- its answers --- */

/* The first element of that name, at most `depth` levels down. */
static const apr_xml_elem *find(const apr_xml_elem *element, const char *name, int depth)
{
    const apr_xml_elem *found = NULL;

    for (; element && !found; element = element->next) {
        if (strcmp(element->name, name) == 0)
            return element;
        found = depth > 1 ? find(element->first_child, name, depth - 1) : NULL;
    }
    return found;
}

static const apr_xml_elem *parse(cs_span_t body, apr_pool_t *pool)
{
    apr_xml_parser *parser = apr_xml_parser_create(pool);
    apr_xml_doc *document;

    if (apr_xml_parser_feed(parser, body.at, body.length) != APR_SUCCESS) {
        apr_xml_parser_done(parser, NULL);
        return NULL;
    }
    return apr_xml_parser_done(parser, &document) == APR_SUCCESS ? document->root : NULL;
}

/* Moves it to where it is overwritten in the end. NULL: there is none. */
static const char *take(const apr_xml_elem *in, const char *name, apr_pool_t *pool)
{
    const apr_xml_elem *element = find(in, name, 1);
    apr_size_t length = 0;
    char *value, *to;

    if (!element)
        return NULL;
    for (const apr_text *part = element->first_cdata.first; part; part = part->next)
        length += strlen(part->text);
    value = to = cs_secret_keep(apr_pcalloc(pool, length + 1), length, pool);
    for (const apr_text *part = element->first_cdata.first; part; part = part->next) {
        apr_size_t more = strlen(part->text);
        memcpy(to, part->text, more);
        OPENSSL_cleanse((char *)(apr_uintptr_t)part->text, more);
        to += more;
    }
    return value;
}

const char *cs_sts_read(cs_credentials_t *credentials, cs_span_t body, apr_pool_t *pool)
{
    const apr_xml_elem *root = parse(body, pool), *found = root ? find(root, "Credentials", DEPTH) : NULL;
    const char *expires;

    if (!found || !(found = found->first_child))
        return "no Credentials";
    credentials->access_key = take(found, "AccessKeyId", pool);
    credentials->secret_key = take(found, "SecretAccessKey", pool);
    credentials->session_token = take(found, "SessionToken", pool);
    expires = take(found, "Expiration", pool);
    if (!credentials->session_token)
        return "no SessionToken";
    if (!expires || !cs_time_read(&credentials->expires, expires))
        return "no Expiration";
    return cs_credentials_flaw(credentials);
}

void cs_sts_read_error(const char **code, const char **message, cs_span_t body, apr_pool_t *pool)
{
    const apr_xml_elem *root = parse(body, pool), *error = root ? find(root, "Error", DEPTH) : NULL;
    const char *text = NULL;

    *code = *message = "";
    if (!error)
        return;
    if ((text = take(error->first_child, "Code", pool)))
        *code = apr_pstrndup(pool, text, 80);
    if ((text = take(error->first_child, "Message", pool)))
        *message = apr_pstrndup(pool, text, strcspn(text, "\r\n") < 300 ? strcspn(text, "\r\n") : 300);
}

/* --- asking it --- */

/* What to do about an error, by the beginning of its code. */
static const char *advice_for(const char *code)
{
    static const struct {
        const char *code, *advice;
    } advices[] = {
        {"AccessDenied",
         "let the role's trust policy name who assumes it, with the external id if it asks for one, and "
         "allow them sts:AssumeRole on it"},
        {"ExpiredToken", "renew what assumes the role"},
        {"InvalidIdentityToken", "look at the role's trust policy and at the identity provider"},
        {"IDP", "look at the identity provider"},
        {"InvalidClientTokenId", "mend the access key that assumes the role"},
        {"SignatureDoesNotMatch", "mend the secret key that assumes the role, or this machine's clock"},
        {"RegionDisabled", "activate STS in this region, in the account settings of IAM"},
        {"ValidationError", "mend the role's ARN, external id or duration"},
    };

    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        if (strncmp(code, advices[i].code, strlen(advices[i].code)) == 0)
            return advices[i].advice;
    }
    return "look at the role and at the AWS status page";
}

static const char *with(const char *form, const char *name, const char *value, apr_pool_t *pool)
{
    return value ? apr_pstrcat(pool, form, "&", name, "=", apr_pescape_urlencoded(pool, value), NULL) : form;
}

static const char *form_for(const char *action, const cs_role_t *role, apr_pool_t *pool)
{
    const char *form = apr_pstrcat(pool, "Action=", action, "&Version=" API_VERSION, NULL);

    form = with(form, "RoleArn", role->arn, pool);
    form = with(form, "RoleSessionName", role->session ? role->session : "mod_clickstream", pool);
    form = with(form, "DurationSeconds", role->duration, pool);
    return with(form, "ExternalId", role->external_id, pool);
}

static cs_found_t read_answer(cs_credentials_t *found, cs_search_t *search, const cs_role_t *role,
                              const cs_endpoint_t *endpoint, const cs_http_answer_t *answer)
{
    const char *code, *message, *flaw;

    if (!answer->status)
        return cs_search_fail(search,
                              "look at this machine's network, DNS and certificates, and at AWS_ENDPOINT_URL_STS",
                              "the role %s: %s: %s", role->arn, endpoint->host, answer->error);
    if (answer->status != 200) {
        cs_sts_read_error(&code, &message, answer->body, search->pool);
        return cs_search_fail(search, advice_for(code), "the role %s: STS: HTTP %d %s%s%s", role->arn, answer->status,
                              code, *message ? ": " : "", message);
    }
    if ((flaw = cs_sts_read(found, answer->body, search->pool)))
        return cs_search_fail(search, "look at AWS_ENDPOINT_URL_STS, and at proxies in between",
                              "the role %s: the answer of %s has %s", role->arn, endpoint->host, flaw);
    return CS_FOUND;
}

/* `credentials` NULL: the request is not signed. */
static cs_found_t ask(cs_credentials_t *found, cs_search_t *search, const cs_role_t *role, const char *form,
                      const cs_credentials_t *credentials)
{
    static const char *const unsigned_headers[] = {"Content-Type: " FORM, NULL}, *const nowhere[] = {NULL};
    const char *url = cs_environment("AWS_ENDPOINT_URL_STS");
    cs_span_t body = {form, strlen(form)};
    cs_endpoint_t endpoint;
    cs_http_answer_t answer;

    if (url && (!cs_http_is_private(url, nowhere) || strchr(url, '?')))
        return cs_search_fail(search, "write https://HOST/", "AWS_ENDPOINT_URL_STS is no endpoint");
    cs_endpoint_make(&endpoint, "sts", search->region, url, search->pool);
    if (cs_http_fetch(&answer, search->http,
                      &(cs_http_request_t){.url = endpoint.url,
                                           .headers = credentials
                                                          ? cs_endpoint_sign(&endpoint, FORM, NULL, body, credentials,
                                                                             cs_clock_now(search->clock), search->pool)
                                                          : unsigned_headers,
                                           .body = body,
                                           .timeout = TIMEOUT,
                                           .ca = search->stream->ca},
                      1, search->halt, search->pool) != APR_SUCCESS)
        return cs_search_fail(search, "", "ending");
    cs_clock_learn(search->clock, answer.date, apr_time_now());
    return read_answer(found, search, role, &endpoint, &answer);
}

cs_found_t cs_sts_assume(cs_credentials_t *found, cs_search_t *search, const cs_role_t *role,
                         const cs_credentials_t *with_these)
{
    return ask(found, search, role, form_for("AssumeRole", role, search->pool), with_these);
}

cs_found_t cs_sts_assume_with_token(cs_credentials_t *found, cs_search_t *search, const cs_role_t *role,
                                    const char *path)
{
    const char *form = form_for("AssumeRoleWithWebIdentity", role, search->pool);
    char reason[120], *token;
    apr_status_t status = cs_secret_read(&token, path, TOKEN_MOST, search->pool);

    if (status != APR_SUCCESS)
        return cs_search_fail(search, "let httpd's user read it", "the web identity token %s: %s", path,
                              apr_strerror(status, reason, sizeof(reason)));
    apr_collapse_spaces(token, token);
    form = with(form, "WebIdentityToken", token, search->pool);
    return ask(found, search, role, cs_secret_keep(form, strlen(form), search->pool), NULL);
}
