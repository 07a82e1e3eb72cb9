/* SPDX-License-Identifier: Apache-2.0 */
/* The beating half of the registry. An answer from Redis may come after
 * registry_free(): the memory stays until the last one is there. */
#include "app/registry.h"

#include "app/member.h"
#include "base/clock.h"
#include "base/log.h"
#include "rds/keys.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How often to see whether a beat is due and Redis there: so that a daemon is
 * known soon after its start, and soon after Redis is back. */
static const double tick_s = 0.1;

enum { TWIN_MS = 3 * REGISTRY_BEAT_MS };

struct registry {
	struct ev_loop *loop;
	struct rds *rds;
	char kind[MEMBER_KIND_MAX];
	struct member self;
	ev_timer timer;
	uint64_t due_ms;
	unsigned pending;   /* answers still to come */
	bool beating;       /* the answer to a beat is to come */
	bool cleared;       /* the fields of a former life are gone */
	bool refused;       /* it was logged that Redis refuses our beats */
	uint64_t twin_ms;   /* when another daemon of this id was seen last; 0: none was */
	bool left, freed;
	void (*done)(void *ctx);
	void *done_ctx;
	void (*on_drain)(void *ctx, uint32_t over_s);
	void *drain_ctx;
	const char *(*not_ready)(void *ctx);
	void *ready_ctx;
};

static void deinit_if_last(struct registry *r)
{
	if (r->freed && r->pending == 0)
		free(r);
}

static int ask(struct registry *r, size_t argc, const struct rds_arg *argv, rds_reply_fn *fn)
{
	int err = rds_command(r->rds, argc, argv, fn, r);
	if (!err)
		r->pending++;
	return err;
}

static void on_ignored(void *ctx, int err, const struct redisReply *reply)
{
	struct registry *r = ctx;
	(void)err, (void)reply;
	r->pending--;
	deinit_if_last(r);
}

/* Fields that this life does not have must not be read from the last one. */
static void clear_fields(struct registry *r)
{
	char key[KEY_MAX];
	size_t len = key_member(key, r->kind, r->self.id);
	struct rds_arg argv[] = {RDS_STR("DEL"), RDS_MEM(key, len)};
	r->cleared = ask(r, 2, argv, on_ignored) == RS_OK;
}

static void put_in_set(struct registry *r, int64_t beat_ms)
{
	char key[KEY_MAX], num[RDS_NUM_MAX];
	size_t len = key_members(key, r->kind);
	struct rds_arg argv[] = {RDS_STR("ZADD"), RDS_MEM(key, len), rds_num(beat_ms, num), RDS_STR(r->self.id)};
	if (ask(r, 4, argv, on_ignored))
		r->due_ms = 0; /* not known to anyone: again at the next tick */
}

static void note_refusal(struct registry *r, int err, const struct redisReply *reply)
{
	size_t len = 0;
	const char *why = err == RS_EREMOTE ? reply_str(reply, &len) : NULL;
	if (why && !r->refused)
		log_warn("Redis refuses the beat", LOG_STR("id", r->self.id), LOG_BYTES("reason", why, len));
	r->refused = why != NULL;
}

const char *registry_fault(const struct registry *r)
{
	bool twin = r->twin_ms && clock_mono_ms() - r->twin_ms < TWIN_MS;
	return twin ? "another daemon has this id, too: give each its own" : NULL;
}

static void note_twin(struct registry *r)
{
	if (!registry_fault(r))
		log_error("another daemon beats under this id; give each its own", LOG_STR("id", r->self.id));
	r->twin_ms = clock_mono_ms();
}

static void take_beat(struct registry *r, const struct redisReply *reply)
{
	int64_t beat_ms;
	uint64_t value;
	if (reply_int(reply_at(reply, 0), &beat_ms) && beat_ms > 0)
		put_in_set(r, beat_ms);
	if (reply_uint(reply_at(reply, 2), UINT64_MAX, &value))
		note_twin(r);
	if (r->on_drain && reply_uint(reply_at(reply, 1), REGISTRY_DRAIN_MAX_S, &value))
		r->on_drain(r->drain_ctx, (uint32_t)value);
}

static void on_beat(void *ctx, int err, const struct redisReply *reply)
{
	struct registry *r = ctx;
	r->pending--;
	r->beating = false;
	if (!r->freed && !r->left) {
		note_refusal(r, err, reply);
		if (!err)
			take_beat(r, reply);
	}
	deinit_if_last(r);
}

/* Others hear of a change at once. */
static void judge(struct registry *r)
{
	const char *why = r->not_ready ? r->not_ready(r->ready_ctx) : NULL;
	char fault[REGISTRY_FAULT_MAX];
	snprintf(fault, sizeof fault, "%s", why ? why : "");
	if (strcmp(fault, r->self.fault) != 0)
		r->due_ms = 0;
	memcpy(r->self.fault, fault, sizeof fault);
}

static void beat(struct registry *r)
{
	char key[KEY_MAX], ttl[RDS_NUM_MAX];
	struct member_fields fields;
	struct rds_arg argv[2 + 2 * MEMBER_FIELDS_MAX];
	if (!r->cleared)
		clear_fields(r);
	member_write(&r->self, strcmp(r->kind, "broker") == 0, &fields);
	argv[0] = RDS_MEM(key, key_member(key, r->kind, r->self.id));
	argv[1] = rds_num(REGISTRY_TTL_MS, ttl);
	memcpy(argv + 2, fields.at, fields.count * sizeof *argv);
	if (rds_script(r->rds, SCRIPT_REGISTRY_BEAT, 1, 2 + fields.count, argv, on_beat, r))
		return;
	r->pending++;
	r->beating = true;
	r->due_ms = clock_mono_ms() + REGISTRY_BEAT_MS;
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct registry *r = w->data;
	(void)loop, (void)revents;
	judge(r);
	if (!r->beating && clock_mono_ms() >= r->due_ms && rds_is_up(r->rds))
		beat(r);
}

int registry_join(struct registry **out, struct ev_loop *loop, struct rds *rds, const char *kind,
		  const struct member *self)
{
	if (strlen(kind) >= MEMBER_KIND_MAX || name_fault(self->id, strlen(self->id)))
		return RS_EINVAL;
	struct registry *r = calloc(1, sizeof *r);
	if (!r)
		return RS_ENOMEM;
	r->loop = loop;
	r->rds = rds;
	r->self = *self;
	snprintf(r->kind, sizeof r->kind, "%s", kind);
	ev_timer_init(&r->timer, on_tick, 0.0, tick_s);
	r->timer.data = r;
	ev_timer_start(loop, &r->timer);
	*out = r;
	return RS_OK;
}

void registry_update(struct registry *r, const struct member *self)
{
	if (r->self.draining != self->draining)
		r->due_ms = 0; /* others should hear of it now */
	struct member next = *self;
	memcpy(next.id, r->self.id, sizeof next.id);
	memcpy(next.fault, r->self.fault, sizeof next.fault);
	r->self = next;
}

void registry_tell_ready(struct registry *r, const char *(*not_ready)(void *ctx), void *ctx)
{
	r->not_ready = not_ready;
	r->ready_ctx = ctx;
}

void registry_on_drain(struct registry *r, void (*fn)(void *ctx, uint32_t over_s), void *ctx)
{
	r->on_drain = fn;
	r->drain_ctx = ctx;
}

/* The answer to the last request of a leave; those before it are there too. */
static void on_left(void *ctx, int err, const struct redisReply *reply)
{
	struct registry *r = ctx;
	void (*done)(void *) = r->freed ? NULL : r->done;
	void *done_ctx = r->done_ctx;
	on_ignored(r, err, reply);
	if (done)
		done(done_ctx); /* it may free r */
}

void registry_leave(struct registry *r, void (*done)(void *ctx), void *ctx)
{
	char members[KEY_MAX], member[KEY_MAX];
	r->left = true;
	r->done = done;
	r->done_ctx = ctx;
	ev_timer_stop(r->loop, &r->timer);
	struct rds_arg zrem[] = {RDS_STR("ZREM"), RDS_MEM(members, key_members(members, r->kind)),
				 RDS_STR(r->self.id)};
	struct rds_arg del[] = {RDS_STR("DEL"), RDS_MEM(member, key_member(member, r->kind, r->self.id))};
	int err = ask(r, 3, zrem, on_ignored);
	if (!err)
		err = ask(r, 2, del, on_left);
	if (err && done)
		done(ctx);
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	ev_timer_stop(r->loop, &r->timer);
	r->freed = true;
	deinit_if_last(r);
}
