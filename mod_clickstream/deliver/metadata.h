/* An EC2 instance's metadata, version 2: its role's credentials, and its region. Never version 1, which answers whoever
 * can make this machine fetch a URL. "Use the Instance Metadata Service" in the Amazon EC2 User Guide.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_METADATA_H
#define CS_METADATA_H

#include "deliver/search.h"

/* CS_ABSENT: AWS_EC2_METADATA_DISABLED, or nobody gives a token there. */
cs_found_t cs_metadata_credentials(cs_credentials_t *found, cs_search_t *search);
cs_found_t cs_metadata_region(const char **region, cs_search_t *search);

#endif
