/* SPDX-License-Identifier: Apache-2.0 */
#include "receipt.h"

#include "base/clock.h"
#include "dc.h"
#include "receipts.h"
#include "rds/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MEMBER_MAX = NAME_MAX_BYTES + 1 + ULID_TEXT + 1,
	MARK_MS = 60000,
	LOOK_MAX_MS = 3600 * 1000,
	LOOK_SHARE = 8, /* of the time that a message has waited */
};

/* "<user> <id>" */
static size_t format_member(char out[MEMBER_MAX], struct text_span user, const struct ulid *id)
{
	char text[ULID_TEXT + 1];
	return (size_t)snprintf(out, MEMBER_MAX, "%.*s %s", (int)user.len, user.at, ulid_format(id, text));
}

uint64_t receipt_next_look(const struct dc *dc, const struct ulid *id, uint64_t expires_ms, uint64_t now_ms)
{
	uint64_t least = (uint64_t)dc->config->receipt_look_s * 1000, sent = ulid_time(id);
	uint64_t pause = now_ms > sent ? (now_ms - sent) / LOOK_SHARE : 0;
	uint64_t end = expires_ms + RECEIPT_LATE_MS;
	pause = pause > LOOK_MAX_MS ? LOOK_MAX_MS : pause < least ? least : pause;
	return now_ms + pause < end ? now_ms + pause : end;
}

/* ---- awaiting ---- */

/* NULL: not in rs:awaiting, or too long ago to be sure. */
static const struct receipt_mark *find_mark(const struct dc *dc, struct text_span app)
{
	for (size_t i = 0; i < RECEIPT_MARKS; i++) {
		const struct receipt_mark *m = &dc->receipt_marks[i];
		if (m->len == app.len && memcmp(m->app, app.at, app.len) == 0 && clock_mono_ms() < m->until_ms)
			return m;
	}
	return NULL;
}

static void set_mark(struct dc *dc, struct text_span app)
{
	struct receipt_mark *m = dc->receipt_marks;
	for (size_t i = 1; i < RECEIPT_MARKS; i++)
		if (dc->receipt_marks[i].until_ms < m->until_ms)
			m = &dc->receipt_marks[i];
	m->until_ms = clock_mono_ms() + MARK_MS;
	m->len = app.len;
	memcpy(m->app, app.at, app.len);
}

struct await {
	struct dc *dc;
	receipt_fn *fn;
	void *ctx;
	uint64_t look_ms;
	size_t app_len, member_len;
	char app[NAME_MAX_BYTES], member[MEMBER_MAX];
};

static void finish(struct await *w, int err, bool is_new)
{
	receipt_fn *fn = w->fn;
	void *ctx = w->ctx;
	free(w);
	fn(ctx, err, is_new);
}

static void on_awaited(void *ctx, int err, const struct redisReply *reply)
{
	struct await *w = ctx;
	int64_t added = 0;
	if (err)
		pool_warn("receipt cannot be awaited", err, reply);
	else
		w->dc->counts.receipts_awaited++;
	finish(w, err, !err && reply_int(reply, &added) && added > 0);
}

static int add_member(struct await *w)
{
	char key[KEY_MAX], look[RDS_NUM_MAX];
	size_t len = key_awaited(key, w->app, w->app_len);
	struct rds_arg argv[] = {RDS_STR("ZADD"), RDS_MEM(key, len), rds_num((int64_t)w->look_ms, look),
				 RDS_MEM(w->member, w->member_len)};
	return pool_command(w->dc->redis, w->app, w->app_len, 4, argv, on_awaited, w);
}

static void on_marked(void *ctx, int err, const struct redisReply *reply)
{
	struct await *w = ctx;
	if (err)
		pool_warn("receipt cannot be awaited", err, reply);
	else
		set_mark(w->dc, (struct text_span){w->app, w->app_len});
	if (!err)
		err = add_member(w);
	if (err)
		finish(w, err, false);
}

/* First the App among those that owed.c looks at, then the message: none is overlooked. */
static int add_app(struct await *w)
{
	char key[KEY_MAX], now[RDS_NUM_MAX];
	size_t len = key_awaiting(key);
	struct rds_arg argv[] = {RDS_STR("ZADD"), RDS_MEM(key, len), rds_num((int64_t)clock_wall_ms(), now),
				 RDS_MEM(w->app, w->app_len)};
	return pool_command(w->dc->redis, w->app, w->app_len, 4, argv, on_marked, w);
}

int receipt_await(struct dc *dc, struct text_span app, struct text_span user, const struct ulid *id,
		  uint64_t expires_ms, receipt_fn *fn, void *ctx)
{
	struct await *w = malloc(sizeof *w);
	if (!w)
		return RS_ENOMEM;
	*w = (struct await){.dc = dc, .fn = fn, .ctx = ctx, .app_len = app.len};
	memcpy(w->app, app.at, app.len);
	w->member_len = format_member(w->member, user, id);
	uint64_t now = clock_wall_ms(), look = receipt_next_look(dc, id, expires_ms, now);
	w->look_ms = look > now + RECEIPT_FIRST_MS ? look : now + RECEIPT_FIRST_MS;
	int err = find_mark(dc, app) ? add_member(w) : add_app(w);
	if (err)
		free(w);
	return err;
}

void receipt_forget(struct dc *dc, struct text_span app, struct text_span user, const struct ulid *id)
{
	char key[KEY_MAX], member[MEMBER_MAX];
	size_t len = key_awaited(key, app.at, app.len), member_len = format_member(member, user, id);
	struct rds_arg argv[] = {RDS_STR("ZREM"), RDS_MEM(key, len), RDS_MEM(member, member_len)};
	if (pool_command(dc->redis, app.at, app.len, 3, argv, NULL, NULL))
		dc->counts.receipts_late++;
}

void receipt_postpone(struct dc *dc, struct text_span app, struct text_span user, const struct ulid *id,
		      uint64_t until_ms)
{
	char key[KEY_MAX], until[RDS_NUM_MAX], member[MEMBER_MAX];
	size_t len = key_awaited(key, app.at, app.len), member_len = format_member(member, user, id);
	/* XX: its receipt may have been given meanwhile. */
	struct rds_arg argv[] = {RDS_STR("ZADD"), RDS_MEM(key, len), RDS_STR("XX"),
				 rds_num((int64_t)until_ms, until), RDS_MEM(member, member_len)};
	if (pool_command(dc->redis, app.at, app.len, 5, argv, NULL, NULL))
		dc->counts.receipts_late++;
}

/* ---- giving ---- */

struct gift {
	struct dc *dc;
	enum ended_how how;
	size_t app_len;
	char app[NAME_MAX_BYTES];
};

static void on_given(void *ctx, int err, const struct redisReply *reply)
{
	struct gift *g = ctx;
	struct dc *dc = g->dc;
	size_t len = 0;
	if (err || !reply_str(reply, &len)) {
		pool_warn("receipt not given; it comes later", err, reply);
		dc->counts.receipts_late++;
	} else if (len > 0) {
		dc->counts.receipts[g->how]++;
		receipts_given(dc->receipts, (struct text_span){g->app, g->app_len});
	}
	free(g);
}

void receipt_give(struct dc *dc, struct text_span app, struct text_span user, const struct ulid *id,
		  enum ended_how how, uint64_t at_ms)
{
	char keys[2][KEY_MAX], nums[2][RDS_NUM_MAX], text[ULID_TEXT + 1];
	struct rds_arg argv[] = {
		RDS_MEM(keys[0], key_awaited(keys[0], app.at, app.len)),
		RDS_MEM(keys[1], key_receipts(keys[1], app.at, app.len)),
		RDS_MEM(user.at, user.len),
		RDS_MEM(ulid_format(id, text), ULID_TEXT),
		RDS_STR(ended_words[how]),
		rds_num((int64_t)at_ms, nums[0]),
		rds_num(dc->config->status_s * 1000, nums[1]),
	};
	struct gift *g = malloc(sizeof *g);
	if (g) {
		*g = (struct gift){.dc = dc, .how = how, .app_len = app.len};
		memcpy(g->app, app.at, app.len);
		if (pool_script(dc->redis, app.at, app.len, SCRIPT_RECEIPT_GIVE, 2, 7, argv, on_given, g) == RS_OK)
			return;
	}
	free(g);
	dc->counts.receipts_late++;
}
