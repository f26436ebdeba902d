/* OpenSSL as the CGI has it: loaded with the first call, which comes where a client's tokens are verified.
 *
 * To load it with each process costs more than an empty program as a whole: it asks the processor what it is, which on
 * a virtual machine is slow. So the program is not linked with libcrypto; these functions stand in its place, under the
 * same names, and so the core knows nothing of it. One that were missing here would be missed by the linker, and one
 * with another prototype than OpenSSL's by the compiler. SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_OF(number) #number
#define LIBRARY(version) "libcrypto.so." TEXT_OF(version)

/* A program that cannot verify must not go on; httpd answers 500 for it. */
static void *find(const char *name)
{
    static void *library;
    void *function;

    if (!library)
        library = dlopen(LIBRARY(OPENSSL_SHLIB_VERSION), RTLD_NOW | RTLD_LOCAL);
    function = library ? dlsym(library, name) : NULL;
    if (!function) {
        fprintf(stderr, "clickstream: tokens cannot be verified: install OpenSSL 3 for this program: %s\n", dlerror());
        exit(EXIT_FAILURE);
    }
    return function;
}

/* dlsym() gives an object's address; that a function's has the same form is POSIX's. Each row: what the function
 * gives back, its name, what it takes, and that once more without the types. */
#define LATE(type, name, parameters, arguments)                                                                        \
    type name parameters                                                                                               \
    {                                                                                                                  \
        static __typeof__(name) *real;                                                                                 \
        if (!real)                                                                                                     \
            *(void **)(void *)&real = find(#name);                                                                     \
        return real arguments;                                                                                         \
    }

LATE(int, BIO_free, (BIO * bio), (bio))
LATE(BIO *, BIO_new_mem_buf, (const void *bytes, int length), (bytes, length))
LATE(BIGNUM *, BN_bin2bn, (const unsigned char *bytes, int length, BIGNUM *number), (bytes, length, number))
LATE(void, BN_free, (BIGNUM * number), (number))
LATE(void, CRYPTO_clear_free, (void *memory, size_t length, const char *file, int line), (memory, length, file, line))
LATE(void, CRYPTO_free, (void *memory, const char *file, int line), (memory, file, line))
LATE(int, CRYPTO_memcmp, (const void *a, const void *b, size_t length), (a, b, length))
LATE(void, ECDSA_SIG_free, (ECDSA_SIG * pair), (pair))
LATE(ECDSA_SIG *, ECDSA_SIG_new, (void), ())
LATE(int, ECDSA_SIG_set0, (ECDSA_SIG * pair, BIGNUM *r, BIGNUM *s), (pair, r, s))
LATE(unsigned long, ERR_peek_last_error, (void), ())
LATE(int, ERR_pop_to_mark, (void), ())
LATE(int, ERR_set_mark, (void), ())
LATE(int, EVP_DigestVerify,
     (EVP_MD_CTX * context, const unsigned char *signature, size_t size, const unsigned char *text, size_t length),
     (context, signature, size, text, length))
LATE(int, EVP_DigestVerifyInit,
     (EVP_MD_CTX * context, EVP_PKEY_CTX **pkey_context, const EVP_MD *digest, ENGINE *engine, EVP_PKEY *pkey),
     (context, pkey_context, digest, engine, pkey))
LATE(void, EVP_MD_CTX_free, (EVP_MD_CTX * context), (context))
LATE(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ())
LATE(void, EVP_PKEY_CTX_free, (EVP_PKEY_CTX * context), (context))
LATE(EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_pkey, (OSSL_LIB_CTX * library, EVP_PKEY *pkey, const char *properties),
     (library, pkey, properties))
LATE(void, EVP_PKEY_free, (EVP_PKEY * pkey), (pkey))
LATE(const char *, EVP_PKEY_get0_type_name, (const EVP_PKEY *pkey), (pkey))
LATE(int, EVP_PKEY_get_bits, (const EVP_PKEY *pkey), (pkey))
LATE(int, EVP_PKEY_get_group_name, (const EVP_PKEY *pkey, char *name, size_t size, size_t *length),
     (pkey, name, size, length))
LATE(int, EVP_PKEY_is_a, (const EVP_PKEY *pkey, const char *name), (pkey, name))
LATE(int, EVP_PKEY_public_check, (EVP_PKEY_CTX * context), (context))
LATE(const EVP_MD *, EVP_sha256, (void), ())
LATE(unsigned char *, HMAC,
     (const EVP_MD *digest, const void *key, int key_length, const unsigned char *text, size_t length,
      unsigned char *to, unsigned int *to_length),
     (digest, key, key_length, text, length, to, to_length))
LATE(int, OBJ_txt2nid, (const char *name), (name))
LATE(void, OPENSSL_cleanse, (void *memory, size_t length), (memory, length))
LATE(int, PEM_read_bio, (BIO * bio, char **name, char **header, unsigned char **der, long *length),
     (bio, name, header, der, length))
LATE(void, X509_free, (X509 * certificate), (certificate))
LATE(EVP_PKEY *, X509_get_pubkey, (X509 * certificate), (certificate))
LATE(EVP_PKEY *, d2i_PUBKEY, (EVP_PKEY * *pkey, const unsigned char **der, long length), (pkey, der, length))
LATE(X509 *, d2i_X509, (X509 * *certificate, const unsigned char **der, long length), (certificate, der, length))
LATE(int, i2d_ECDSA_SIG, (const ECDSA_SIG *pair, unsigned char **der), (pair, der))
