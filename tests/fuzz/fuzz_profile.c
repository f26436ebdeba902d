/* AWS's credentials and config files: the input is both, divided by a NUL. What a profile says is text without line
 * ends. SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "deliver/profile.h"

static int check_setting(void *unused, const char *key, const char *value)
{
    (void)unused;
    FUZZ_CHECK(!strpbrk(key, "=\n") && *value && !strchr(value, '\n'));
    return 1;
}

static void read_profile(cs_profiles_t *profiles, const char *name, cs_search_t *search)
{
    apr_table_t *profile = NULL;
    cs_found_t found = cs_profile_read(&profile, profiles, name, search);

    FUZZ_CHECK((found == CS_FOUND) == (profile != NULL));
    FUZZ_CHECK(found != CS_FAILED || search->why);
    if (profile)
        apr_table_do(check_setting, NULL, profile, NULL);
    FUZZ_CHECK(strchr(cs_profile_title(profiles, name, search->pool), '['));
}

FUZZ_TARGET(profile)
{
    static const cs_halt_t no_halt;
    static cs_stream_t stream;
    apr_pool_t *pool = fuzz_pool();
    cs_search_t search = {.stream = &stream, .halt = &no_halt, .pool = pool};
    const uint8_t *half = memchr(data, 0, size);
    size_t first = half ? (size_t)(half - data) : size, second = half ? size - first - 1 : 0;
    cs_profiles_t profiles;

    setenv("AWS_SHARED_CREDENTIALS_FILE", fuzz_file("credentials", data, first), 1);
    setenv("AWS_CONFIG_FILE", fuzz_file("config", half ? half + 1 : data, second), 1);
    cs_profiles_init(&profiles, &stream, pool);
    read_profile(&profiles, "default", &search);
    read_profile(&profiles, "two words", &search);
    FUZZ_CHECK(!cs_profiles_changed(&profiles, pool));
    return 0;
}
