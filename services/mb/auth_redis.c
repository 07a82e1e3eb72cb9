/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/name.h"
#include "rds/keys.h"
#include "rds/rds.h"

#include <stdlib.h>
#include <string.h>

struct auth_redis {
	struct auth base;
	struct rds *rds;
};

struct query {
	auth_fn *done;
	void *ctx;
	size_t user_len;
	char user[NAME_MAX_BYTES];
};

static enum auth_result judge(const struct query *q, const struct redisReply *reply)
{
	size_t len;
	int64_t expires;
	const struct redisReply *user = reply_field(reply, "user");
	const char *name = user ? reply_str(user, &len) : NULL;
	if (!name || len != q->user_len || !bytes_equal_ct(name, q->user, len))
		return AUTH_WRONG;
	const struct redisReply *end = reply_field(reply, "expires");
	if (!end || !reply_int(end, &expires) || expires < 0)
		return AUTH_WRONG;
	return (uint64_t)expires > clock_wall_ms() ? AUTH_GOOD : AUTH_EXPIRED;
}

static void on_reply(void *ctx, int err, const struct redisReply *reply)
{
	struct query *q = ctx;
	enum auth_result result = err ? AUTH_UNAVAILABLE : judge(q, reply);
	q->done(q->ctx, result);
	free(q);
}

static int verify(struct auth *base, const char *user, size_t user_len, const char *session,
		  size_t session_len, auth_fn *done, void *ctx)
{
	struct auth_redis *a = (struct auth_redis *)base;
	char key[KEY_MAX];
	if (user_len > NAME_MAX_BYTES)
		return RS_EINVAL;
	struct query *q = malloc(sizeof *q);
	if (!q)
		return RS_ENOMEM;
	*q = (struct query){.done = done, .ctx = ctx, .user_len = user_len};
	memcpy(q->user, user, user_len);
	size_t key_len = key_session(key, session, session_len);
	struct rds_arg argv[] = {RDS_STR("HGETALL"), RDS_MEM(key, key_len)};
	int err = rds_command(a->rds, 2, argv, on_reply, q);
	if (err)
		free(q);
	return err;
}

static void auth_redis_free(struct auth *base) { free(base); }

int auth_redis_new(struct auth **out, struct rds *rds)
{
	struct auth_redis *a = malloc(sizeof *a);
	if (!a)
		return RS_ENOMEM;
	*a = (struct auth_redis){.base = {verify, auth_redis_free}, .rds = rds};
	*out = &a->base;
	return RS_OK;
}
