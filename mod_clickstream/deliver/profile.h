/* The two files that AWS's programs share: credentials ([NAME]) and config ([profile NAME], [default]).
 * As "Configuration and credential file settings" in the AWS CLI User Guide has them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_PROFILE_H
#define CS_PROFILE_H

#include <apr_file_info.h>
#include <apr_tables.h>

#include "deliver/search.h"

/* A file, and what it was like when it was read: another time, size or inode tells that it has changed. */
typedef struct cs_shared_file_t {
    const char *path; /* NULL: there is no place for one */
    int is_needed;    /* named by us, so it must be there */
    apr_time_t time;  /* 0: there was no such file */
    apr_off_t size;
    apr_ino_t inode;
} cs_shared_file_t;

typedef struct cs_profiles_t {
    cs_shared_file_t credentials, config;
    const char *name; /* of the profile that is asked for, by the stream or AWS_PROFILE, or "default" */
    int is_asked_for; /* so that it must be there */
} cs_profiles_t;

/* Where they are: what the stream says, else the environment, else ~/.aws. Reads nothing yet. */
void cs_profiles_init(cs_profiles_t *profiles, const cs_stream_t *stream, apr_pool_t *pool);

/* What both files say about `name`, by the names of the settings; where both name one, the credentials file's counts.
 * CS_ABSENT: there is no such profile. */
cs_found_t cs_profile_read(apr_table_t **profile, cs_profiles_t *profiles, const char *name, cs_search_t *search);

/* Whether one of the files is no longer as it was when it was read last. */
int cs_profiles_changed(const cs_profiles_t *profiles, apr_pool_t *pool);

/* "[x] of /home/me/.aws/credentials", for messages. */
const char *cs_profile_title(const cs_profiles_t *profiles, const char *name, apr_pool_t *pool);

#endif
