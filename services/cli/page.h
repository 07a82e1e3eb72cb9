/* SPDX-License-Identifier: Apache-2.0 */
/* A page of a daemon's listen_http. */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include "base/addr.h"
#include "base/buf.h"

/* GET `path`; *code: the answer's; out: its body, with a NUL behind that does not
 * count. Not 0: nobody was there (*why says it, in static storage), or no answer. */
RS_MUST_CHECK int page_get(const struct addr *at, const char *path, int *code, struct buf *out,
			   const char **why);

#endif
