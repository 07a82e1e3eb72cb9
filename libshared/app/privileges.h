/* SPDX-License-Identifier: Apache-2.0 */
/* From root to a user that owns nothing, once the sockets and files are open. */
#ifndef APP_PRIVILEGES_H
#define APP_PRIVILEGES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct privileges {
	bool drop;    /* false: not root, or told to stay root */
	bool is_root; /* told to stay root: worth a warning */
	uid_t uid;
	gid_t gid;
};

/* Looks `user` up when the process is root; "" and "root" mean to stay.
 * RS_EINVAL: `fault` says why not. */
RS_MUST_CHECK int privileges_find(const char *user, struct privileges *out, char *fault,
				  size_t fault_cap);
/* Drops them for good, and forbids to gain any (set-user-ID programs) and to
 * dump core with the keys in it. */
RS_MUST_CHECK int privileges_drop(const struct privileges *p, char *fault, size_t fault_cap);

#endif
