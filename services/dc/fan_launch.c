/* SPDX-License-Identifier: Apache-2.0 */
#include "fan_launch.h"

#include "crypto/random.h"
#include "dc.h"
#include "fan_board.h"
#include "fan_count.h"
#include "fan_job.h"
#include "rds/keys.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

enum {
	NAMES_AT_ONCE = 1000, /* in one RPUSH */
	NAMES_KEEP_MS = 60000, /* until the fan-out is made; then nobody comes for them any more */
};

struct launch {
	struct fan *fan;
	struct text_span names;
	launch_fn *fn;
	void *ctx;
	bool leased;
	int err;            /* of the requests of one step that were answered so far ... */
	unsigned waiting;   /* ... and those that were not */
	struct fan_count count;
};

static void end(struct launch *l, int err, enum launched how)
{
	launch_fn *fn = l->fn;
	void *ctx = l->ctx;
	free(l);
	fn(ctx, err, how);
}

static struct rds *redis_of(const struct launch *l) { return pool_first(l->fan->dc->redis); }

/* --- 5: listed --- */

static void on_listed(void *ctx, int err, const struct redisReply *reply)
{
	struct launch *l = ctx;
	(void)reply;
	l->fan->durable = !err && l->leased;
	end(l, err, LAUNCH_NEW);
}

/* It is there already; perhaps the DC that made it died before it was listed. */
static void on_listed_again(void *ctx, int err, const struct redisReply *reply)
{
	(void)reply;
	end(ctx, err, LAUNCH_REPEATED);
}

static void repeat(struct launch *l)
{
	int err = fan_job_list(l->fan, true, on_listed_again, l);
	if (err)
		end(l, err, LAUNCH_REPEATED);
}

/* --- 4: made --- */

static void on_created(void *ctx, int err, const struct redisReply *reply)
{
	struct launch *l = ctx;
	int64_t created = 0;
	if (!err && !reply_int(reply, &created))
		err = RS_EREMOTE;
	if (err) {
		pool_warn("fan-out not made", err, reply);
		end(l, err, LAUNCH_NEW);
	} else if (!created) {
		repeat(l);
	} else {
		err = fan_job_list(l->fan, !l->leased, on_listed, l);
		if (err)
			end(l, RS_ELOST, LAUNCH_NEW); /* it is made, though nobody knows */
	}
}

static void create(struct launch *l)
{
	if (!l->err && l->fan->total == 0) {
		end(l, RS_OK, LAUNCH_NOBODY);
		return;
	}
	l->leased = fan_board_has_room(l->fan->dc->fans);
	int err = l->err ? l->err : fan_job_create(l->fan, l->leased, on_created, l);
	if (err)
		end(l, err, LAUNCH_NEW);
}

/* The last answer of a step with several requests goes on to the next. */
static void one_less(struct launch *l, int err)
{
	if (err && !l->err)
		l->err = err;
	if (--l->waiting == 0)
		create(l);
}

/* --- 3: the names of a list --- */

static void on_written(void *ctx, int err, const struct redisReply *reply)
{
	(void)reply;
	one_less(ctx, err);
}

static void ask(struct launch *l, size_t argc, const struct rds_arg *argv, rds_reply_fn *fn)
{
	int err = l->err ? l->err : rds_command(redis_of(l), argc, argv, fn, l);
	if (err)
		l->err = err;
	else
		l->waiting++;
}

/* Up to NAMES_AT_ONCE of them; where it stopped. */
static const char *push_names(struct launch *l, struct rds_arg key, const char *at, const char *end)
{
	static struct rds_arg argv[2 + NAMES_AT_ONCE];
	size_t n = 2;
	argv[0] = RDS_STR("RPUSH");
	argv[1] = key;
	while (at < end && n < 2 + NAMES_AT_ONCE) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		argv[n++] = RDS_MEM(at, (size_t)(lf - at));
		at = lf + 1;
	}
	ask(l, n, argv, on_written);
	return at;
}

/* Under a name that no other attempt has: one with the same id may have been quicker, and
 * its fan-out runs by the list. */
static void write_names(struct launch *l)
{
	char key[KEY_MAX], keep[RDS_NUM_MAX];
	struct fan *f = l->fan;
	const char *at = l->names.at, *end = at + l->names.len;
	random_bytes(&f->names.attempt, sizeof f->names.attempt);
	struct rds_arg list = RDS_MEM(key, key_fan_names(key, &f->id, f->names.attempt));
	struct rds_arg expire[] = {RDS_STR("PEXPIRE"), list, rds_num(NAMES_KEEP_MS, keep)};
	l->waiting = 1; /* until all are sent */
	at = push_names(l, list, at, end);
	ask(l, 3, expire, on_written);
	while (at < end)
		at = push_names(l, list, at, end);
	one_less(l, RS_OK);
}

/* --- 2: the subscribers of a topic --- */

static void on_counted(void *ctx, int err)
{
	struct launch *l = ctx;
	l->err = err;
	create(l);
}

static void count_users(struct launch *l)
{
	l->count = (struct fan_count){.fan = l->fan, .fn = on_counted, .ctx = l};
	int err = fan_count(l->fan->dc->counter, &l->count);
	if (err)
		end(l, err, LAUNCH_NEW);
}

static void write_all(struct launch *l)
{
	if (l->fan->kind == FAN_LIST)
		write_names(l);
	else
		count_users(l);
}

/* --- 1: the App's id --- */

static void on_state(void *ctx, int err, const struct redisReply *reply)
{
	struct launch *l = ctx;
	size_t len = 0;
	const char *state = err ? NULL : reply_str(reply, &len);
	if (err)
		end(l, err, LAUNCH_NEW);
	else if (!state)
		write_all(l);
	else if (strcmp(state, "withdrawn") == 0)
		end(l, RS_OK, LAUNCH_WITHDRAWN);
	else if (strcmp(state, "running") == 0)
		repeat(l);
	else
		end(l, RS_OK, LAUNCH_REPEATED);
}

/* Nil, or the message id of the first time. */
static void on_once(void *ctx, int err, const struct redisReply *reply)
{
	struct launch *l = ctx;
	struct ulid first;
	char key[KEY_MAX];
	size_t len = 0;
	const char *id = err ? NULL : reply_str(reply, &len);
	if (!err && reply_is_nil(reply)) {
		write_all(l);
		return;
	}
	if (!err && (!id || len != ULID_TEXT || ulid_parse(id, &first)))
		err = RS_EREMOTE;
	if (!err) {
		fan_set_id(l->fan, &first);
		struct rds_arg argv[] = {RDS_STR("HGET"), RDS_MEM(key, key_fan(key, &first)), RDS_STR("state")};
		err = rds_command(redis_of(l), 3, argv, on_state, l);
	}
	if (err)
		end(l, err, LAUNCH_NEW);
}

static int tie_id(struct launch *l)
{
	char key[KEY_MAX], ms[RDS_NUM_MAX];
	const struct fan *f = l->fan;
	size_t len = key_fan_once(key, f->app, f->app_len, f->app_id, f->app_id_len);
	struct rds_arg argv[] = {RDS_STR("SET"), RDS_MEM(key, len), RDS_MEM(f->record, ULID_TEXT), RDS_STR("NX"),
				 RDS_STR("GET"), RDS_STR("PX"), rds_num(STORE_ONCE_MS, ms)};
	return rds_command(redis_of(l), 7, argv, on_once, l);
}

int fan_launch(struct fan *f, struct text_span names, launch_fn *fn, void *ctx)
{
	struct launch *l = malloc(sizeof *l);
	if (!l)
		return RS_ENOMEM;
	*l = (struct launch){.fan = f, .names = names, .fn = fn, .ctx = ctx};
	if (f->app_id_len) {
		int err = tie_id(l);
		if (err)
			free(l);
		return err;
	}
	write_all(l);
	return RS_OK;
}
