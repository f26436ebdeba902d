/* A preloaded getaddrinfo() with which a test tells what DNS knows of one name: what stands in the file
 * CLICKSTREAM_TEST_NAMES is its address; empty, there is no such name; "silent", and there is no answer yet.
 * Resolvers run in threads of libcurl's, many at once, and may be there until the end of their process.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "firehose.test"
#define PAUSE 20000 /* microseconds */

typedef int getaddrinfo_t(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found);

/* A file that is being replaced is there all the same: rename() does it. */
static void read_names(char *names, int size)
{
    FILE *file = fopen(getenv("CLICKSTREAM_TEST_NAMES"), "re");

    if (!file || !fgets(names, size, file))
        *names = '\0';
    if (file)
        fclose(file);
}

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **found)
{
    getaddrinfo_t *real = (getaddrinfo_t *)dlsym(RTLD_NEXT, "getaddrinfo");
    char names[64];

    if (!node || strcmp(node, NAME) != 0)
        return real(node, service, hints, found);
    for (read_names(names, sizeof(names)); strcmp(names, "silent") == 0; read_names(names, sizeof(names)))
        usleep(PAUSE);
    return *names ? real(names, service, hints, found) : EAI_NONAME;
}
