/* SPDX-License-Identifier: Apache-2.0 */
#include "fan_job.h"

#include "base/clock.h"
#include "base/log.h"
#include "dc.h"
#include "fan_board.h"
#include "fan_claim.h"
#include "rds/keys.h"
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGS_MAX = 56, OWNER_MAX = NAME_MAX_BYTES + 24 };

/* A command being put together. */
struct call {
	char keys[4][KEY_MAX], nums[24][RDS_NUM_MAX], text[3][FAN_AT_MAX + OWNER_MAX];
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
	if (f->kind == FAN_LIST)
		add(&c, RDS_MEM(c.keys[3], key_fan_names(c.keys[3], &f->id, f->names.attempt)));
	size_t keys = c.argc;
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
	return rds_script(pool_first(f->dc->redis), SCRIPT_FAN_CREATE, keys, c.argc, c.argv, fn, ctx);
}

/* which: of fan_enlist. */
static int enlist(struct dc *dc, const struct ulid *id, uint64_t lease_ms, const char *which, rds_reply_fn *fn,
		  void *ctx)
{
	char key[KEY_MAX], lease[RDS_NUM_MAX], text[ULID_TEXT + 1];
	struct rds_arg argv[] = {RDS_MEM(key, key_fans(key)), RDS_MEM(ulid_format(id, text), ULID_TEXT),
				 rds_num((int64_t)lease_ms, lease), RDS_STR(which)};
	return rds_script(pool_first(dc->redis), SCRIPT_FAN_ENLIST, 1, 4, argv, fn, ctx);
}

int fan_job_list(struct fan *f, bool if_absent, rds_reply_fn *fn, void *ctx)
{
	return enlist(f->dc, &f->id, if_absent ? 0 : FAN_LEASE_MS, if_absent ? "new" : "any", fn, ctx);
}

int fan_job_keep(const struct fan *f, rds_reply_fn *fn, void *ctx)
{
	struct call c = {.argc = 0};
	add(&c, RDS_MEM(c.keys[0], key_fan(c.keys[0], &f->id)));
	add(&c, RDS_MEM(c.keys[1], key_fan_body(c.keys[1], &f->id)));
	add(&c, RDS_MEM(f->record + f->header_len, f->record_len - f->header_len));
	add_num(&c, f->expires_ms + FAN_BODY_GRACE_MS);
	add_num(&c, f->expires_ms + (uint64_t)f->dc->config->status_s * 1000);
	return rds_script(pool_first(f->dc->redis), SCRIPT_FAN_KEEP, 2, c.argc, c.argv, fn, ctx);
}

static void on_looked(void *ctx, int err, const struct redisReply *reply)
{
	struct fan *f = ctx;
	int64_t said = 0;
	f->under_way--;
	if (err || !reply_int(reply, &said))
		pool_warn("the body of a message to many was not kept", err, reply);
	else if (said == -1 && f->state != FAN_OVER)
		fan_set_state(f, FAN_OVER);
	fan_board_turn(f->dc->fans);
}

void fan_job_look(struct fan *f)
{
	int err = fan_job_keep(f, on_looked, f);
	if (err)
		pool_warn("the body of a message to many was not kept", err, NULL);
	else
		f->under_way++;
}

void fan_job_unlist(struct dc *dc, const char *member, size_t len)
{
	char key[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR("ZREM"), RDS_MEM(key, key_fans(key)), RDS_MEM(member, len)};
	if (rds_command(pool_first(dc->redis), 3, argv, NULL, NULL)) /* found again, and taken out then */
		log_debug("a fan-out stays listed", LOG_BYTES("id", member, len));
}

static void unlist(struct dc *dc, const struct ulid *id)
{
	char text[ULID_TEXT + 1];
	fan_job_unlist(dc, ulid_format(id, text), ULID_TEXT);
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
		f->shared = true;
		if (!f->waited_for)
			fan_set_state(f, FAN_OVER);
	}
	fan_board_turn(f->dc->fans);
}

/* Done, and nobody has it waiting: all that is left to keep is what STATUS and a
 * repetition of the App's id ask for. */
static void add_unused(struct call *c, const struct fan *f, bool done)
{
	uint64_t keep_ms = (uint64_t)f->dc->config->status_s * 1000;
	if (f->app_id_len && keep_ms < STORE_ONCE_MS)
		keep_ms = STORE_ONCE_MS;
	if (done && !f->waits)
		add_num(c, keep_ms);
	else
		add(c, RDS_STR(""));
}

static int send_lease(struct fan *f, uint64_t lease_ms, bool done)
{
	struct call c = {.argc = 0};
	add(&c, RDS_MEM(c.keys[0], key_fan(c.keys[0], &f->id)));
	add(&c, RDS_MEM(c.keys[1], key_fan_to(c.keys[1], &f->id)));
	add(&c, RDS_MEM(c.keys[2], key_fan_body(c.keys[2], &f->id)));
	add_owner(&c, f->dc);
	add_num(&c, lease_ms);
	add(&c, RDS_STR(done ? "done" : "running"));
	add_unused(&c, f, done);
	add_progress(&c, f);
	int err = rds_script(pool_first(f->dc->redis), SCRIPT_FAN_LEASE, 3, c.argc, c.argv, on_saved, f);
	if (!err)
		f->under_way++;
	return err;
}

void fan_job_save(struct fan *f, bool done)
{
	int err = send_lease(f, FAN_LEASE_MS, done);
	if (!err && !done)
		err = fan_job_list(f, false, NULL, NULL);
	if (err)
		pool_warn("progress of a fan-out not saved", err, NULL);
}

void fan_job_leave(struct fan *f)
{
	char id[ULID_TEXT + 1];
	int err = send_lease(f, 0, false);
	if (!err)
		err = enlist(f->dc, &f->id, 0, "any", NULL, NULL);
	if (err) /* its lease ends by itself */
		log_debug("a fan-out was not given away", LOG_STR("id", ulid_format(&f->id, id)));
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

/* Not now, but it stays listed: behind those that are due by then. Else a few that nobody
 * can take over would be all that is ever found. */
static void postpone(struct claim *c)
{
	int err = enlist(c->dc, &c->id, FAN_LEASE_MS, "old", NULL, NULL);
	if (err)
		pool_warn("a fan-out that cannot be taken over was not postponed", err, NULL);
}

static void on_claimed(void *ctx, int err, const struct redisReply *reply)
{
	struct claim *c = ctx;
	size_t len = 0;
	const char *said = err ? NULL : reply_str(reply_at(reply, 0), &len);
	bool ok = said && strcmp(said, "ok") == 0, over = said && !ok && strcmp(said, "leased") != 0;
	if (ok) {
		c->fan = fan_claim_read(c->dc, &c->id, reply_at(reply, 1));
		if (c->fan && ask_body(c) == RS_OK)
			return;
		over = !c->fan && fan_claim_is_too_late(reply_at(reply, 1));
	}
	if (over)
		unlist(c->dc, &c->id);
	else if (!err || err == RS_EREMOTE)
		postpone(c);
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
