/* SPDX-License-Identifier: Apache-2.0 */
/* Who may log in. The broker asks through this interface and does not care who
 * answers: the session store in Redis today (auth_redis.c); an HTTP service or
 * signed tokens fit behind it. */
#ifndef MB_AUTH_H
#define MB_AUTH_H

#include "base/err.h"

#include <stddef.h>

enum auth_result {
	AUTH_GOOD,        /* the session id is this user's and valid */
	AUTH_WRONG,       /* unknown, or another user's: the client cannot tell which */
	AUTH_EXPIRED,
	AUTH_UNAVAILABLE, /* cannot be checked now */
};

typedef void auth_fn(void *ctx, enum auth_result result);

struct auth {
	/* done is called exactly once, never from inside verify(), if it returns 0. */
	int (*verify)(struct auth *a, const char *user, size_t user_len, const char *session,
		      size_t session_len, auth_fn *done, void *ctx);
	void (*free)(struct auth *a);
};

struct rds;
/* Session ids that session_create.lua stored: rs:session:<sha256>. */
RS_MUST_CHECK int auth_redis_new(struct auth **out, struct rds *rds);

#endif
