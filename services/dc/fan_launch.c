/* SPDX-License-Identifier: Apache-2.0 */
#include "fan_launch.h"

#include "dc.h"
#include "fan_board.h"
#include "fan_job.h"
#include "rds/keys.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_AT_ONCE = 1000 }; /* in one RPUSH */

struct launch {
	struct fan *fan;
	struct text_span names;
	launch_fn *fn;
	void *ctx;
	bool leased;
	int err;            /* of the requests of one step that were answered so far ... */
	unsigned waiting;   /* ... and those that were not */
	unsigned index;     /* of the filter that is counted next */
	unsigned counted;   /* filters whose count has come */
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

static void write_names(struct launch *l)
{
	char key[KEY_MAX], until[RDS_NUM_MAX];
	const char *at = l->names.at, *end = at + l->names.len;
	struct rds_arg list = RDS_MEM(key, key_fan_to(key, &l->fan->id));
	struct rds_arg del[] = {RDS_STR("DEL"), list};
	struct rds_arg expire[] = {RDS_STR("PEXPIREAT"), list, rds_num((int64_t)l->fan->expires_ms, until)};
	l->waiting = 1; /* until all are sent */
	ask(l, 2, del, on_written); /* of an attempt that broke off */
	while (at < end)
		at = push_names(l, list, at, end);
	ask(l, 3, expire, on_written);
	one_less(l, RS_OK);
}

/* --- 2: the subscribers of a topic --- */

static void on_counted(void *ctx, int err, const struct redisReply *reply)
{
	struct launch *l = ctx;
	struct fan_filters *at = &l->fan->filters;
	unsigned i = l->counted++;
	int64_t users = 0;
	if (!err && (!reply_int(reply, &users) || users < 0))
		err = RS_EREMOTE;
	if (users == 0)
		at->absent[i / 8] |= (uint8_t)(1u << (i % 8));
	l->fan->total += (uint64_t)users;
	one_less(l, err);
}

static void count_filter(void *ctx, const char *filter, size_t len)
{
	struct launch *l = ctx;
	char key[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR("SCARD"), RDS_MEM(key, key_topic(key, filter, len))};
	ask(l, 2, argv, on_counted);
}

static void count_filters(struct launch *l)
{
	l->waiting = 1;
	topic_each_filter(l->fan->topic, l->fan->topic_len, count_filter, l);
	one_less(l, RS_OK);
}

static void write_all(struct launch *l)
{
	if (l->fan->kind == FAN_LIST)
		write_names(l);
	else
		count_filters(l);
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
