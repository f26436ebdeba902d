/* The endpoint that ECS and EKS give a container for its role's credentials. "Container credential provider" in the AWS
 * SDKs and Tools Reference Guide. SPDX-License-Identifier: Apache-2.0 */
#ifndef CS_CONTAINER_H
#define CS_CONTAINER_H

#include "deliver/search.h"

/* CS_ABSENT: the environment has no AWS_CONTAINER_CREDENTIALS_…_URI. */
cs_found_t cs_container_credentials(cs_credentials_t *found, cs_search_t *search);

#endif
