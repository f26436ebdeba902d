/* What the fuzz targets share. A target is a function from bytes to nothing, that aborts where a promise is broken; the
 * name of its file is the name of its corpus. `make fuzz` links each with libFuzzer; `make check` links them all with
 * replay.c, which runs each over its corpus.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_FUZZ_H
#define CS_FUZZ_H

#include <apr_pools.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/text.h"

/* libFuzzer knows a target by one name; in replay.c there are many. */
#ifdef FUZZ_REPLAY
#define FUZZ_TARGET(name) int fuzz_##name(const uint8_t *data, size_t size)
#else
#define FUZZ_TARGET(name) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
#endif

#define FUZZ_TARGETS(X)                                                                                                \
    X(answer)                                                                                                          \
    X(conf)                                                                                                            \
    X(event)                                                                                                           \
    X(jwt)                                                                                                             \
    X(profile)                                                                                                         \
    X(query)                                                                                                           \
    X(queue)                                                                                                           \
    X(request)

#ifdef FUZZ_REPLAY
#define FUZZ_DECLARE(name) FUZZ_TARGET(name);
FUZZ_TARGETS(FUZZ_DECLARE)
#undef FUZZ_DECLARE
#else
FUZZ_TARGET(any);
#endif

/* A promise. */
#define FUZZ_CHECK(holds)                                                                                              \
    do {                                                                                                               \
        if (!(holds)) {                                                                                                \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #holds);                                        \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A pool for this input alone; the one of the input before is gone then. */
apr_pool_t *fuzz_pool(void);

/* Formats each line, and forgets it, once it was seen to be one line. */
extern const cs_log_t fuzz_log;

/* A copy that ends where the bytes end: whoever reads behind it is caught. Gone with the next fuzz_pool(). Without
 * `bytes` there is only room for them. */
char *fuzz_exactly(const void *bytes, size_t length);
/* With a NUL behind it; what stands behind a NUL in it is not seen. */
const char *fuzz_text(const uint8_t *data, size_t size);

/* The first byte, and the rest. */
uint8_t fuzz_byte(const uint8_t **data, size_t *size);

/* A folder for this process, in TMPDIR; and a file of that name in it, with these bytes. */
const char *fuzz_folder(void);
const char *fuzz_file(const char *name, const void *bytes, size_t length);

/* For people and for JSON alike: no control character, and UTF-8. */
int fuzz_is_line(const char *text, size_t length);
/* Whether it is one JSON value, as json-c reads it strictly. */
int fuzz_is_json(const char *text, size_t length);

#endif
