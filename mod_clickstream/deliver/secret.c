/* Copies of what is secret.
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/secret.h"

#include <apr_file_io.h>
#include <openssl/crypto.h>
#include <string.h>

typedef struct secret_t {
    void *at;
    apr_size_t length;
} secret_t;

static apr_status_t overwrite(void *data)
{
    secret_t *secret = data;

    OPENSSL_cleanse(secret->at, secret->length);
    return APR_SUCCESS;
}

static char *room_for(apr_size_t length, apr_pool_t *pool)
{
    secret_t *secret = apr_palloc(pool, sizeof(*secret));

    *secret = (secret_t){.at = apr_palloc(pool, length + 1), .length = length};
    ((char *)secret->at)[length] = '\0';
    apr_pool_cleanup_register(pool, secret, overwrite, apr_pool_cleanup_null);
    return secret->at;
}

char *cs_secret_keep(const char *at, apr_size_t length, apr_pool_t *pool)
{
    char *copy = room_for(length, pool);

    memcpy(copy, at, length);
    return copy;
}

apr_status_t cs_secret_read(char **text, const char *path, apr_size_t most, apr_pool_t *pool)
{
    apr_size_t length = 0;
    apr_finfo_t info;
    apr_file_t *file;
    char *room;
    apr_status_t status = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, pool);

    if (status != APR_SUCCESS)
        return status;
    status = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    if (status == APR_SUCCESS && (apr_size_t)info.size > most)
        status = APR_ENOSPC;
    if (status == APR_SUCCESS) {
        room = room_for((apr_size_t)info.size, pool);
        status = info.size ? apr_file_read_full(file, room, (apr_size_t)info.size, &length) : APR_EOF;
        if (status == APR_SUCCESS || APR_STATUS_IS_EOF(status)) { /* it may have become shorter meanwhile */
            room[length] = '\0';
            *text = room;
            status = APR_SUCCESS;
        }
    }
    apr_file_close(file);
    return status;
}
