/* What a client's tokens are verified with: a shared secret, or a public key.
 * SPDX-License-Identifier: Apache-2.0 */
#include "common/key.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/disk.h"

#define FILE_MOST 65536
#define RSA_LEAST 2048 /* RFC 7518, section 3.3 */
#define PEM_BEGIN "-----BEGIN "
#define WRITE_A_KEY "write an RSA key of 2048 bits or more (RS256), or an EC key on P-256 (ES256)"
#define GET_IT_ANEW "get the file anew from whoever made the key"

struct cs_key_t {
    cs_key_kind_t kind;
    char *secret; /* NULL: it is a public key */
    apr_size_t length;
    EVP_PKEY *pkey;
};

/* --- the file --- */

static const char *unreadable(const char *path, apr_status_t status, apr_pool_t *pool)
{
    char why[120];

    return apr_psprintf(pool, "%s cannot be read: %s: write the path of a file that the server's user may read", path,
                        apr_strerror(status, why, sizeof(why)));
}

/* Whoever has done with the bytes wipes them. */
static const char *read_file(char **bytes, apr_size_t *length, const char *path, apr_pool_t *pool)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO would wait for a writer */
    const char *error = NULL;
    apr_status_t status;
    struct stat info;

    if (fd < 0)
        return unreadable(path, errno, pool);
    if (fstat(fd, &info) != 0)
        error = unreadable(path, errno, pool);
    else if (!S_ISREG(info.st_mode))
        error = apr_psprintf(pool, "%s is not a regular file: write the path of one", path);
    else if (info.st_size > FILE_MOST)
        error = apr_psprintf(pool, "%s is larger than 64 KiB: write the path of a file with nothing but the key", path);
    if (!error) {
        *length = (apr_size_t)info.st_size;
        *bytes = apr_palloc(pool, *length);
        if ((status = cs_disk_read(*bytes, length, fd)) != APR_SUCCESS)
            error = unreadable(path, status, pool);
    }
    close(fd); /* it was only read */
    return error;
}

/* --- the PEM text --- */

static EVP_PKEY *decode_public(const unsigned char *der, long length)
{
    return d2i_PUBKEY(NULL, &der, length);
}

static EVP_PKEY *decode_certificate(const unsigned char *der, long length)
{
    X509 *certificate = d2i_X509(NULL, &der, length);
    EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;

    X509_free(certificate);
    return pkey;
}

static const struct {
    const char *name;
    EVP_PKEY *(*decode)(const unsigned char *der, long length);
} blocks[] = {
    {"PUBLIC KEY", decode_public},
    {"CERTIFICATE", decode_certificate},
};

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);

    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* One block of the PEM text; `*pkey` is what the blocks before it have brought. */
static const char *read_block(EVP_PKEY **pkey, const char *name, const unsigned char *der, long length,
                              const char *path, apr_pool_t *pool)
{
    if (ends_with(name, "PRIVATE KEY"))
        return apr_psprintf(pool,
                            "%s holds a private key, which belongs to the client alone: write the public key: "
                            "openssl pkey -in %s -pubout",
                            path, path);
    if (*pkey)
        return apr_psprintf(pool, "%s holds more than one key: write one", path);
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        if (strcmp(name, blocks[i].name) != 0)
            continue;
        *pkey = blocks[i].decode(der, length);
        return *pkey ? NULL : apr_psprintf(pool, "%s holds a %s that is damaged: " GET_IT_ANEW, path, name);
    }
    return apr_psprintf(pool, "%s holds a PEM block of another kind (%.40s): write a PUBLIC KEY or a CERTIFICATE", path,
                        name);
}

static const char *read_pem(EVP_PKEY **pkey, const char *bytes, apr_size_t size, const char *path, apr_pool_t *pool)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)size);
    const char *error = NULL;
    char *name, *header;
    unsigned char *der;
    long length;

    while (!error && bio && PEM_read_bio(bio, &name, &header, &der, &length)) {
        error = read_block(pkey, name, der, length, path, pool);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)length);
    }
    BIO_free(bio);
    if (!error && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) /* which is how the text ends */
        return apr_psprintf(pool, "%s is damaged PEM: " GET_IT_ANEW, path);
    if (!error && !*pkey)
        return apr_psprintf(pool, "%s holds no PEM: write a PUBLIC KEY or a CERTIFICATE", path);
    return error;
}

/* --- the key --- */

/* OpenSSL's name of an EC key's curve. */
static const char *curve_of(EVP_PKEY *pkey, apr_pool_t *pool)
{
    char name[80];

    if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) != 1)
        return "a curve without a name";
    return apr_pstrdup(pool, name);
}

/* Decoding takes numbers as they come: an RSA exponent of 1, with which anything verifies, an even modulus. */
static int is_sound(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    int sound = context && EVP_PKEY_public_check(context) == 1;

    EVP_PKEY_CTX_free(context);
    return sound;
}

static const char *find_kind(cs_key_kind_t *kind, EVP_PKEY *pkey, const char *path, apr_pool_t *pool)
{
    const char *what = apr_pstrcat(pool, "a key of type ", EVP_PKEY_get0_type_name(pkey), NULL);
    int fits = 0;

    if (EVP_PKEY_is_a(pkey, "RSA")) {
        *kind = CS_KEY_RS256;
        fits = EVP_PKEY_get_bits(pkey) >= RSA_LEAST;
        what = apr_psprintf(pool, "an RSA key of %d bits", EVP_PKEY_get_bits(pkey));
    }
    else if (EVP_PKEY_is_a(pkey, "EC")) {
        const char *curve = curve_of(pkey, pool);
        *kind = CS_KEY_ES256;
        fits = OBJ_txt2nid(curve) == NID_X9_62_prime256v1;
        what = apr_pstrcat(pool, "an EC key on ", curve, NULL);
    }
    if (!fits)
        return apr_psprintf(pool, "%s is %s: " WRITE_A_KEY, path, what);
    if (!is_sound(pkey))
        return apr_psprintf(pool, "%s is %s that is damaged: " GET_IT_ANEW, path, what);
    return NULL;
}

static apr_status_t forget(void *data)
{
    cs_key_t *key = data;

    if (key->secret)
        OPENSSL_cleanse(key->secret, key->length);
    EVP_PKEY_free(key->pkey);
    return APR_SUCCESS;
}

static cs_key_t *keep(cs_key_t key, apr_pool_t *pool)
{
    cs_key_t *kept = apr_pmemdup(pool, &key, sizeof(key));

    apr_pool_cleanup_register(pool, kept, forget, apr_pool_cleanup_null);
    return kept;
}

const char *cs_key_secret(cs_key_t **key, const char *path, apr_pool_t *pool)
{
    cs_key_t found = {.kind = CS_KEY_HS256};
    const char *error = read_file(&found.secret, &found.length, path, pool);
    apr_size_t size = found.length;

    if (error)
        return error;
    if (found.length > 0 && found.secret[found.length - 1] == '\n') {
        found.length--;
        if (found.length > 0 && found.secret[found.length - 1] == '\r')
            found.length--;
    }
    if (found.length == 0)
        return apr_psprintf(pool, "%s is empty: write the secret into it, as the client has it", path);
    /* What a public key says, everybody can sign with. */
    if (memmem(found.secret, size, PEM_BEGIN, strlen(PEM_BEGIN))) {
        OPENSSL_cleanse(found.secret, size);
        return apr_psprintf(pool, "%s holds PEM, which is no secret: write key=%s, or a file with a secret", path,
                            path);
    }
    *key = keep(found, pool);
    return NULL;
}

const char *cs_key_public(cs_key_t **key, const char *path, apr_pool_t *pool)
{
    cs_key_t found = {.secret = NULL};
    const char *error;
    apr_size_t size = 0;
    char *bytes = NULL;

    if ((error = read_file(&bytes, &size, path, pool)))
        return error;
    ERR_set_mark(); /* what OpenSSL complains of here is nobody else's business: httpd's TLS reads the same queue */
    error = read_pem(&found.pkey, bytes, size, path, pool);
    if (!error)
        error = find_kind(&found.kind, found.pkey, path, pool);
    ERR_pop_to_mark();
    OPENSSL_cleanse(bytes, size); /* it may have been a private key */
    if (error)
        EVP_PKEY_free(found.pkey);
    else
        *key = keep(found, pool);
    return error;
}

cs_key_kind_t cs_key_kind(const cs_key_t *key)
{
    return key->kind;
}

cs_span_t cs_key_bytes(const cs_key_t *key)
{
    return (cs_span_t){key->secret, key->length};
}

EVP_PKEY *cs_key_pkey(const cs_key_t *key)
{
    return key->pkey;
}
