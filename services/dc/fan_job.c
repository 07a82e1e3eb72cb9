/* SPDX-License-Identifier: Apache-2.0 */
#include "fan_job.h"

#include "base/clock.h"
#include "base/log.h"
#include "dc.h"
#include "fan_board.h"
#include "fan_claim.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGS_MAX = 48, OWNER_MAX = NAME_MAX_BYTES + 24 };

/* A command being put together. */
struct call {
	char keys[3][KEY_MAX], nums[24][RDS_NUM_MAX], text[3][FAN_AT_MAX + OWNER_MAX];
	struct rds_arg argv[ARGS_MAX];
	size_t argc, nums_used;
};

static void add(struct call *c, struct rds_arg arg) { c->argv[c->argc++] = arg; }
static void add_num(struct call *c, uint64_t v) { add(c, rds_num((int64_t)v, c->nums[c->nums_used++])); }

static void add_field(struct call *c, const char *name, uint64_t v)
{
	add(c, RDS_STR(name));
	add_num(c, v);
}

static void add_text(struct call *c, const char *name, const void *at, size_t len)
{
	add(c, RDS_STR(name));
	add(c, RDS_MEM(at, len));
}

/* The token of this DC in this life. */
static void add_owner(struct call *c, const struct dc *dc)
{
	snprintf(c->text[0], sizeof c->text[0], "%.*s:%" PRIu64, NAME_MAX_BYTES, dc->config->common.id, dc->boot);
	add(c, RDS_STR(c->text[0]));
}

static void add_progress(struct call *c, const struct fan *f)
{
	f->source->say(f, c->text[1]);
	add_text(c, "at", c->text[1], strlen(c->text[1]));
	for (int i = 0; i < FAN_OUTCOMES; i++)
		add_field(c, fan_outcome_words[i], f->counts[i]);
}

int fan_job_create(struct fan *f, bool leased, rds_reply_fn *fn, void *ctx)
{
	struct call c = {.argc = 0};
	const uint64_t keep_ms = (uint64_t)f->dc->config->status_s * 1000;
	add(&c, RDS_MEM(c.keys[0], key_fan(c.keys[0], &f->id)));
	add(&c, RDS_MEM(c.keys[1], key_fan_body(c.keys[1], &f->id)));
	add(&c, RDS_MEM(c.keys[2], key_fan_to(c.keys[2], &f->id)));
	add(&c, RDS_MEM(f->record + f->header_len, f->record_len - f->header_len));
	add_num(&c, f->expires_ms + FAN_BODY_GRACE_MS);
	add_num(&c, f->expires_ms + keep_ms);
	add_owner(&c, f->dc);
	add_num(&c, leased ? FAN_LEASE_MS : 0);
	add_text(&c, "app", f->app, f->app_len);
	add_text(&c, "id", f->app_id, f->app_id_len);
	add(&c, RDS_STR("kind"));
	add(&c, RDS_STR(fan_kind_words[f->kind]));
	add_text(&c, "topic", f->topic, f->topic_len);
	add_text(&c, "record", f->record, f->header_len);
	add_field(&c, "store", f->store);
	add_field(&c, "expires", f->expires_ms);
	add_field(&c, "created", clock_wall_ms());
	add_field(&c, "queue_messages", f->limits.queue_messages);
	add_field(&c, "queue_bytes", f->limits.queue_bytes);
	add_field(&c, "overflow", f->limits.overflow);
	add_field(&c, "total", f->total);
	add_progress(&c, f);
	return rds_script(pool_first(f->dc->redis), SCRIPT_FAN_CREATE, 3, c.argc, c.argv, fn, ctx);
}

int fan_job_list(struct fan *f, bool if_absent, rds_reply_fn *fn, void *ctx)
{
	char key[KEY_MAX], score[RDS_NUM_MAX], id[ULID_TEXT + 1];
	struct rds_arg argv[5] = {RDS_STR("ZADD"), RDS_MEM(key, key_fans(key)), RDS_STR("NX")};
	size_t n = if_absent ? 3 : 2;
	argv[n++] = rds_num((int64_t)(clock_wall_ms() + (if_absent ? 0 : FAN_LEASE_MS)), score);
	argv[n++] = RDS_MEM(ulid_format(&f->id, id), ULID_TEXT);
	return rds_command(pool_first(f->dc->redis), n, argv, fn, ctx);
}

void fan_job_keep_body(const struct fan *f)
{
	char key[KEY_MAX], until[RDS_NUM_MAX];
	struct rds *redis = pool_first(f->dc->redis);
	struct rds_arg body = RDS_MEM(key, key_fan_body(key, &f->id));
	struct rds_arg end = rds_num((int64_t)(f->expires_ms + FAN_BODY_GRACE_MS), until);
	struct rds_arg set[] = {RDS_STR("SET"), body, RDS_MEM(f->record + f->header_len, f->record_len - f->header_len),
				RDS_STR("NX"), RDS_STR("PXAT"), end};
	struct rds_arg keep[] = {RDS_STR("PEXPIREAT"), body, end, RDS_STR("GT")};
	int err = rds_command(redis, 6, set, NULL, NULL);
	if (!err)
		err = rds_command(redis, 4, keep, NULL, NULL);
	if (err)
		pool_warn("the body of a message to many was not kept", err, NULL);
}

static void unlist(struct dc *dc, const struct ulid *id)
{
	char key[KEY_MAX], text[ULID_TEXT + 1];
	struct rds_arg argv[] = {RDS_STR("ZREM"), RDS_MEM(key, key_fans(key)), RDS_MEM(ulid_format(id, text), ULID_TEXT)};
	if (rds_command(pool_first(dc->redis), 3, argv, NULL, NULL))
		log_debug("a fan-out stays listed", LOG_STR("id", text)); /* found again, and taken out then */
}

/* --- saving --- */

/* 1; 0 another DC's, or gone; -1 withdrawn. */
static void on_saved(void *ctx, int err, const struct redisReply *reply)
{
	struct fan *f = ctx;
	int64_t said = 0;
	f->under_way--;
	if (err || !reply_int(reply, &said)) {
		pool_warn("progress of a fan-out not saved", err, reply);
	} else if (said == 1 && f->state == FAN_ENDING && f->asked) {
		unlist(f->dc, &f->id);
		fan_set_state(f, FAN_OVER);
	} else if (said == -1) {
		unlist(f->dc, &f->id);
		fan_set_state(f, FAN_OVER);
	} else if (said == 0) {
		f->durable = false; /* whoever waits for it is served by us all the same */
		if (!f->waited_for)
			fan_set_state(f, FAN_OVER);
	}
	fan_board_turn(f->dc->fans);
}

static int send_lease(struct fan *f, uint64_t lease_ms, const char *state)
{
	struct call c = {.argc = 0};
	add(&c, RDS_MEM(c.keys[0], key_fan(c.keys[0], &f->id)));
	add(&c, RDS_MEM(c.keys[1], key_fan_to(c.keys[1], &f->id)));
	add_owner(&c, f->dc);
	add_num(&c, lease_ms);
	add(&c, RDS_STR(state));
	add_progress(&c, f);
	int err = rds_script(pool_first(f->dc->redis), SCRIPT_FAN_LEASE, 2, c.argc, c.argv, on_saved, f);
	if (!err)
		f->under_way++;
	return err;
}

void fan_job_save(struct fan *f, bool done)
{
	int err = send_lease(f, FAN_LEASE_MS, done ? "done" : "running");
	if (!err && !done)
		err = fan_job_list(f, false, NULL, NULL);
	if (err)
		pool_warn("progress of a fan-out not saved", err, NULL);
}

void fan_job_leave(struct fan *f)
{
	char key[KEY_MAX], id[ULID_TEXT + 1];
	struct rds_arg argv[] = {RDS_STR("ZADD"), RDS_MEM(key, key_fans(key)), RDS_STR("0"),
				 RDS_MEM(ulid_format(&f->id, id), ULID_TEXT)};
	int err = send_lease(f, 0, "running");
	if (!err)
		err = rds_command(pool_first(f->dc->redis), 4, argv, NULL, NULL);
	if (err)
		log_debug("a fan-out was not given away", LOG_STR("id", id)); /* its lease ends by itself */
}

/* --- taking over --- */

struct claim {
	struct dc *dc;
	struct ulid id;
	struct fan *fan;
};

static void drop_claim(struct claim *c)
{
	fan_board_claimed(c->dc->fans, NULL);
	fan_free(c->fan);
	free(c);
}

static void on_body(void *ctx, int err, const struct redisReply *reply)
{
	struct claim *c = ctx;
	size_t len = 0;
	const char *body = err ? NULL : reply_str(reply, &len);
	if (err || fan_claim_body(c->fan, body, len)) {
		drop_claim(c); /* its lease ends, and somebody tries again */
		return;
	}
	if (!body) /* withdrawn, or it has expired: there is nothing to send */
		fan_set_state(c->fan, FAN_ENDING);
	fan_board_claimed(c->dc->fans, c->fan);
	free(c);
}

static int ask_body(struct claim *c)
{
	char key[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR("GET"), RDS_MEM(key, key_fan_body(key, &c->id))};
	return rds_command(pool_first(c->dc->redis), 2, argv, on_body, c);
}

static void on_claimed(void *ctx, int err, const struct redisReply *reply)
{
	struct claim *c = ctx;
	size_t len = 0;
	const char *said = err ? NULL : reply_str(reply_at(reply, 0), &len);
	if (said && strcmp(said, "ok") == 0) {
		c->fan = fan_claim_read(c->dc, &c->id, reply_at(reply, 1));
		if (c->fan && ask_body(c) == RS_OK)
			return;
	} else if (said && strcmp(said, "leased") != 0) {
		unlist(c->dc, &c->id);
	}
	drop_claim(c);
}

void fan_job_claim(struct dc *dc, const struct ulid *id)
{
	struct call k = {.argc = 0};
	struct claim *c = malloc(sizeof *c);
	if (!c)
		return;
	*c = (struct claim){.dc = dc, .id = *id};
	add(&k, RDS_MEM(k.keys[0], key_fan(k.keys[0], id)));
	add_owner(&k, dc);
	add_num(&k, FAN_LEASE_MS);
	fan_board_claims(dc->fans);
	if (rds_script(pool_first(dc->redis), SCRIPT_FAN_CLAIM, 1, k.argc, k.argv, on_claimed, c))
		drop_claim(c);
}
