/* Keys: what is read from a file, and the sentence where it is no key.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/key.h"

#define ELEMENTS(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define SPAN(literal) ((cs_span_t){literal, sizeof(literal) - 1})

static const char *put(cs_span_t content)
{
    const char *path = apr_pstrcat(pool, test_folder(), "/client.key", NULL);
    apr_file_t *file;

    ck_assert_int_eq(apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE, APR_FPROT_OS_DEFAULT, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(apr_file_write_full(file, content.at, content.length, NULL), APR_SUCCESS);
    ck_assert_int_eq(apr_file_close(file), APR_SUCCESS);
    return path;
}

/* What a sentence must say, beside the name of the file. */
static void expect(const char *error, const char *path, const char *says)
{
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error, path) == error && strstr(error, says), "%s\nis not: %s", error, says);
}

/* --- secrets --- */

static const struct {
    cs_span_t content, secret;
} secrets[] = {
    {SPAN("secret"), SPAN("secret")},
    {SPAN("secret\n"), SPAN("secret")},
    {SPAN("secret\r\n"), SPAN("secret")},
    {SPAN("secret\n\n"), SPAN("secret\n")},
    {SPAN("secret\r\n\r\n"), SPAN("secret\r\n")},
    {SPAN("secret\n\r\n"), SPAN("secret\n")},
    {SPAN("secret\r"), SPAN("secret\r")},
    {SPAN(" se\ncret \n"), SPAN(" se\ncret ")},
    {SPAN("\0\xFF\0\n"), SPAN("\0\xFF\0")},
    {SPAN("s"), SPAN("s")},
    {SPAN("----BEGIN PUBLIC KEY"), SPAN("----BEGIN PUBLIC KEY")},
};

START_TEST(reads_a_secret)
{
    const char *path = put(secrets[_i].content), *error;
    cs_key_t *key = NULL;

    error = cs_key_secret(&key, path, pool);
    ck_assert_msg(error == NULL, "%s", error);
    ck_assert_int_eq(cs_key_kind(key), CS_KEY_HS256);
    ck_assert_uint_eq(cs_key_bytes(key).length, secrets[_i].secret.length);
    ck_assert_int_eq(memcmp(cs_key_bytes(key).at, secrets[_i].secret.at, secrets[_i].secret.length), 0);
    ck_assert_ptr_null(cs_key_pkey(key));
}
END_TEST

START_TEST(refuses_what_is_no_secret)
{
    static const struct {
        cs_span_t content;
        const char *says;
    } wrong[] = {
        {SPAN(""), "is empty: write the secret into it"},
        {SPAN("\n"), "is empty: write the secret into it"},
        {SPAN("\r\n"), "is empty: write the secret into it"},
        {SPAN("-----BEGIN PUBLIC KEY-----\n"), "holds PEM, which is no secret: write key="},
        {SPAN("Certificate:\n\n-----BEGIN CERTIFICATE-----\n"), "holds PEM, which is no secret: write key="},
    };

    for (int i = 0; i < ELEMENTS(wrong); i++) {
        const char *path = put(wrong[i].content);
        cs_key_t *key = NULL;
        expect(cs_key_secret(&key, path, pool), path, wrong[i].says);
        ck_assert_ptr_null(key);
    }
}
END_TEST

START_TEST(secret_may_have_64_kib)
{
    static char bytes[65537];
    cs_key_t *key = NULL;
    const char *path;

    memset(bytes, 'x', sizeof(bytes));
    ck_assert_ptr_null(cs_key_secret(&key, put((cs_span_t){bytes, 65536}), pool));
    ck_assert_uint_eq(cs_key_bytes(key).length, 65536);
    path = put((cs_span_t){bytes, 65537});
    expect(cs_key_secret(&key, path, pool), path, "is larger than 64 KiB");
    expect(cs_key_public(&key, path, pool), path, "is larger than 64 KiB");
}
END_TEST

/* --- what is no file; the test would hang at a FIFO --- */

static void expect_of_both(const char *path, const char *says)
{
    cs_key_t *key = NULL;

    expect(cs_key_secret(&key, path, pool), path, says);
    expect(cs_key_public(&key, path, pool), path, says);
    ck_assert_ptr_null(key);
}

START_TEST(says_what_is_no_file)
{
    const char *folder = test_folder(), *fifo = apr_pstrcat(pool, folder, "/fifo", NULL);

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    expect_of_both(fifo, "is not a regular file: write");
    expect_of_both(folder, "is not a regular file: write");
    expect_of_both("/dev/null", "is not a regular file: write");
    expect_of_both(apr_pstrcat(pool, folder, "/none", NULL), "cannot be read: No such file or directory: write");
    expect_of_both(apr_pstrcat(pool, fifo, "/x", NULL), "cannot be read: Not a directory: write");
}
END_TEST

START_TEST(says_what_may_not_be_read)
{
    const char *path = put(SPAN("secret"));

    ck_assert_int_eq(chmod(path, 0), 0);
    ck_assert_int_eq(chmod(apr_pstrndup(pool, path, (apr_size_t)(strrchr(path, '/') - path)), 0755), 0);
    if (geteuid() == 0) /* whom no mode stops */
        ck_assert_int_eq(seteuid(65534), 0);
    expect_of_both(path, "cannot be read: Permission denied: write");
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* --- public keys --- */

static EVP_PKEY *rsa(size_t bits)
{
    return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
}

static EVP_PKEY *ec(const char *curve)
{
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);
}

/* What was written, as a text; frees what it was written to. */
static const char *text_of(BIO *bio)
{
    char *bytes;
    long length = BIO_get_mem_data(bio, &bytes);
    const char *text = apr_pstrmemdup(pool, bytes, (apr_size_t)length);

    BIO_free(bio);
    return text;
}

/* The three below free the key. */

static const char *public_pem(EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert_ptr_nonnull(pkey);
    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pkey), 1);
    EVP_PKEY_free(pkey);
    return text_of(bio);
}

static const char *private_pem(EVP_PKEY *pkey, const EVP_CIPHER *cipher)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, NULL, 0, NULL, (void *)"password"), 1);
    EVP_PKEY_free(pkey);
    return text_of(bio);
}

/* A certificate that was never valid. */
static const char *certificate_pem(EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());
    X509 *certificate = X509_new();

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)"client",
                               -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_gmtime_adj(X509_getm_notBefore(certificate), -1000);
    X509_gmtime_adj(X509_getm_notAfter(certificate), -1000);
    ck_assert_int_eq(X509_set_pubkey(certificate, pkey), 1);
    ck_assert_int_gt(X509_sign(certificate, pkey, EVP_sha256()), 0);
    ck_assert_int_eq(PEM_write_bio_X509(bio, certificate), 1);
    X509_free(certificate);
    EVP_PKEY_free(pkey);
    return text_of(bio);
}

static const char *joined(const char *first, const char *second)
{
    return apr_pstrcat(pool, first, second, NULL);
}

static void expect_key(const char *pem, cs_key_kind_t kind)
{
    cs_key_t *key = NULL;
    const char *error = cs_key_public(&key, put((cs_span_t){pem, strlen(pem)}), pool);

    ck_assert_msg(error == NULL, "%s", error);
    ck_assert_int_eq(cs_key_kind(key), kind);
    ck_assert_ptr_nonnull(cs_key_pkey(key));
    ck_assert_uint_eq(cs_key_bytes(key).length, 0);
    ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(reads_a_public_key)
{
    const char *pem = public_pem(rsa(2048)), *crlf = "";

    expect_key(pem, CS_KEY_RS256);
    expect_key(joined("A line before it.\n", pem), CS_KEY_RS256);
    expect_key(joined(pem, "A line behind it.\n"), CS_KEY_RS256);
    expect_key(apr_pstrndup(pool, pem, strlen(pem) - 1), CS_KEY_RS256);
    for (const char *line = pem, *end; (end = strchr(line, '\n')); line = end + 1)
        crlf = apr_psprintf(pool, "%s%.*s\r\n", crlf, (int)(end - line), line);
    expect_key(crlf, CS_KEY_RS256);
    expect_key(certificate_pem(rsa(2048)), CS_KEY_RS256);
    expect_key(public_pem(ec("P-256")), CS_KEY_ES256);
    expect_key(certificate_pem(ec("P-256")), CS_KEY_ES256);
}
END_TEST

static void expect_no_key(const char *pem, const char *says)
{
    const char *path = put((cs_span_t){pem, strlen(pem)});
    cs_key_t *key = NULL;
    const char *error = cs_key_public(&key, path, pool);

    expect(error, path, says);
    ck_assert_ptr_null(key);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    for (const char *line = pem; (line = strchr(line, '\n')) && strlen(++line) > 20;) /* nothing of it is told */
        ck_assert_ptr_null(strstr(error, apr_pstrndup(pool, line, 20)));
}

#define WRITE_A_KEY ": write an RSA key of 2048 bits or more (RS256), or an EC key on P-256 (ES256)"

START_TEST(refuses_other_keys)
{
    expect_no_key(public_pem(rsa(2047)), "is an RSA key of 2047 bits" WRITE_A_KEY);
    expect_no_key(public_pem(rsa(1024)), "is an RSA key of 1024 bits" WRITE_A_KEY);
    expect_no_key(certificate_pem(rsa(1024)), "is an RSA key of 1024 bits" WRITE_A_KEY);
    expect_no_key(public_pem(ec("P-384")), "is an EC key on secp384r1" WRITE_A_KEY);
    expect_no_key(public_pem(ec("P-521")), "is an EC key on secp521r1" WRITE_A_KEY);
    expect_no_key(public_pem(ec("secp256k1")), "is an EC key on secp256k1" WRITE_A_KEY);
    expect_no_key(public_pem(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")), "is a key of type ED25519" WRITE_A_KEY);
    expect_no_key(public_pem(EVP_PKEY_Q_keygen(NULL, NULL, "X25519")), "is a key of type X25519" WRITE_A_KEY);
}
END_TEST

START_TEST(refuses_an_rsa_pss_key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    EVP_PKEY *pkey = NULL;

    ck_assert_int_eq(EVP_PKEY_keygen_init(context), 1);
    ck_assert_int_eq(EVP_PKEY_generate(context, &pkey), 1);
    EVP_PKEY_CTX_free(context);
    expect_no_key(public_pem(pkey), "is a key of type RSA-PSS" WRITE_A_KEY);
}
END_TEST

START_TEST(refuses_private_keys)
{
    const char *const private_keys[] = {
        private_pem(rsa(1024), NULL),
        private_pem(ec("P-256"), NULL),
        private_pem(ec("P-256"), EVP_aes_128_cbc()),
        joined(public_pem(ec("P-256")), private_pem(ec("P-256"), NULL)),
        joined(private_pem(ec("P-256"), NULL), public_pem(ec("P-256"))),
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    };

    for (int i = 0; i < ELEMENTS(private_keys); i++)
        expect_no_key(private_keys[i], "holds a private key, which belongs to the client alone: write the public key: "
                                       "openssl pkey -in /");
}
END_TEST

START_TEST(refuses_other_pem)
{
    const char *pem = public_pem(ec("P-256"));

    expect_no_key("", "holds no PEM: write a PUBLIC KEY or a CERTIFICATE");
    expect_no_key("\n", "holds no PEM: write a PUBLIC KEY or a CERTIFICATE");
    expect_no_key("secret\n", "holds no PEM: write a PUBLIC KEY or a CERTIFICATE");
    expect_no_key("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n",
                  "holds a PEM block of another kind (RSA PUBLIC KEY): write a PUBLIC KEY or a CERTIFICATE");
    expect_no_key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                  "holds a PUBLIC KEY that is damaged: get");
    expect_no_key("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                  "holds a CERTIFICATE that is damaged: get");
    expect_no_key("-----BEGIN PUBLIC KEY-----\n?AAA\n-----END PUBLIC KEY-----\n", "is damaged PEM: get");
    expect_no_key(apr_pstrndup(pool, pem, strlen(pem) - 30), "is damaged PEM: get");
    expect_no_key(joined(pem, pem), "holds more than one key: write one");
    expect_no_key(joined(pem, certificate_pem(ec("P-256"))), "holds more than one key: write one");
}
END_TEST

/* An RSA key of these numbers, unchecked. */
static EVP_PKEY *rsa_of(const BIGNUM *n, const BIGNUM *e)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params;

    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
    params = OSSL_PARAM_BLD_to_param(builder);
    ck_assert_int_eq(EVP_PKEY_fromdata_init(context), 1);
    ck_assert_int_eq(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

/* With an exponent of 1 the signature of a text is its padding, which anybody can write. */
START_TEST(refuses_unsound_numbers)
{
    EVP_PKEY *sound = rsa(2048);
    BIGNUM *n = NULL, *e = NULL;

    ck_assert_int_eq(EVP_PKEY_get_bn_param(sound, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    ck_assert_int_eq(EVP_PKEY_get_bn_param(sound, OSSL_PKEY_PARAM_RSA_E, &e), 1);
    expect_key(public_pem(rsa_of(n, e)), CS_KEY_RS256);
    BN_set_word(e, 1);
    expect_no_key(public_pem(rsa_of(n, e)), "is an RSA key of 2048 bits that is damaged: get");
    BN_set_word(e, 65537);
    BN_clear_bit(n, 0);
    expect_no_key(public_pem(rsa_of(n, e)), "is an RSA key of 2048 bits that is damaged: get");
    BN_free(n);
    BN_free(e);
    EVP_PKEY_free(sound);
}
END_TEST

/* The last byte of the PEM's content is the end of the point's y: with another one, it is not on the curve. */
START_TEST(refuses_a_point_off_the_curve)
{
    EVP_PKEY *pkey = ec("P-256");
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(pkey, &der);
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert_int_gt(length, 0);
    der[length - 1] ^= 1;
    ck_assert_int_gt(PEM_write_bio(bio, "PUBLIC KEY", "", der, length), 0);
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
    expect_no_key(text_of(bio), "holds a PUBLIC KEY that is damaged: get");
}
END_TEST

/* What stood in OpenSSL's queue before is somebody else's. */
START_TEST(leaves_errors_alone)
{
    const char *path = put(SPAN("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
    cs_key_t *key = NULL;
    unsigned long before;

    ERR_raise(ERR_LIB_USER, 1);
    before = ERR_peek_last_error();
    ck_assert_ptr_nonnull(cs_key_public(&key, path, pool));
    ck_assert_uint_eq(ERR_get_error(), before);
    ck_assert_uint_eq(ERR_get_error(), 0);
}
END_TEST

Suite *key_suite(void)
{
    Suite *suite = suite_create("key");
    TCase *tests = test_case("key");

    tcase_set_timeout(tests, 60); /* some keys take long to make, under valgrind */
    tcase_add_loop_test(tests, reads_a_secret, 0, ELEMENTS(secrets));
    tcase_add_test(tests, refuses_what_is_no_secret);
    tcase_add_test(tests, secret_may_have_64_kib);
    tcase_add_test(tests, says_what_is_no_file);
    tcase_add_test(tests, says_what_may_not_be_read);
    tcase_add_test(tests, reads_a_public_key);
    tcase_add_test(tests, refuses_other_keys);
    tcase_add_test(tests, refuses_an_rsa_pss_key);
    tcase_add_test(tests, refuses_private_keys);
    tcase_add_test(tests, refuses_other_pem);
    tcase_add_test(tests, refuses_unsound_numbers);
    tcase_add_test(tests, refuses_a_point_off_the_curve);
    tcase_add_test(tests, leaves_errors_alone);
    suite_add_tcase(suite, tests);
    return suite;
}
