/* SPDX-License-Identifier: Apache-2.0 */
/* The Apps in Redis, as `restante app` makes, changes and lists them. What goes wrong
 * was said when a function returns something other than 0. */
#ifndef CLI_APP_H
#define CLI_APP_H

#include "operator.h"
#include "option.h"

#include "crypto/hash.h"
#include "rds/app_limits.h"

#define APP_KEY_HASH (2 * SHA256_BYTES + 1)

/* What stands for a limit in place of a value: it is taken away. */
#define APP_NONE "none"

struct app_options {
	const char *limits[APP_LIMITS]; /* checked, or NULL: not given */
	int64_t grace_s;                /* less than 0: not given */
};

/* The table's first APP_LIMITS are the limits, by enum app_limit. */
extern const struct option app_options[];

/* Each limit is a value of its own, or none. RS_EINVAL: it was said what is right. */
RS_MUST_CHECK int app_check_limits(const struct app_options *o);
bool app_has_limits(const struct app_options *o);

RS_MUST_CHECK int app_create(const struct settings *s, const char *name, const char hash[APP_KEY_HASH],
			     const struct app_options *o);
RS_MUST_CHECK int app_set(const struct settings *s, const char *name, const struct app_options *o);
/* The key it has is good for so long. */
RS_MUST_CHECK int app_rotate(const struct settings *s, const char *name, const char hash[APP_KEY_HASH],
			     int64_t grace_s);
RS_MUST_CHECK int app_remove(const struct settings *s, const char *name);
/* Prints them all, by name. */
RS_MUST_CHECK int app_list(const struct settings *s);

#endif
