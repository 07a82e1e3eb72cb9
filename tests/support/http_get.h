/* SPDX-License-Identifier: Apache-2.0 */
/* One GET, as a person with curl would do it. */
#ifndef SUPPORT_HTTP_GET_H
#define SUPPORT_HTTP_GET_H

#include "base/addr.h"

#include <stddef.h>

#define HTTP_PAGE_MAX 65536

/* The status code; -1 if nobody answers within 2 s. page: the body, or "". */
int http_get(const struct addr *to, const char *path, char page[HTTP_PAGE_MAX]);
/* A value of /metrics by its whole name ("restante_mb_online"); -1 if it is not there. */
double http_metric(const struct addr *to, const char *name);

#endif
