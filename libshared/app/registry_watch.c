/* SPDX-License-Identifier: Apache-2.0 */
/* The watching half of the registry. A round: ids and time, then the hash of
 * each id, then one call of on_members. A round that meets an error is given
 * up; the next one begins a second later. */
#include "app/registry.h"

#include "app/member.h"
#include "base/clock.h"
#include "base/log.h"
#include "rds/keys.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An id whose hash is gone and whose last beat is older is taken out of the set. */
#define FORGOTTEN_MS 60000

static const double tick_s = 0.1;

enum answer {
	ANSWER_NONE, /* there is no hash */
	ANSWER_GOOD,
	ANSWER_BAD,  /* malformed: the member is not shown */
};

struct slot {
	struct registry_watch *watch; /* for the callback of its HGETALL */
	enum answer answer;
	struct member member;
};

struct registry_watch {
	struct ev_loop *loop;
	struct rds *rds;
	char kind[MEMBER_KIND_MAX];
	registry_members_fn *on_members;
	void *ctx;
	ev_timer timer;
	uint64_t due_ms;
	unsigned pending; /* answers still to come in this round */
	bool failed;      /* this round is given up */
	bool warned;      /* of a malformed member */
	bool freed;
	uint64_t now_ms;  /* Redis's time in this round */
	size_t count;
	struct slot slots[REGISTRY_MEMBERS_MAX];
	struct member listing[REGISTRY_MEMBERS_MAX]; /* what is handed out */
};

static void ask(struct registry_watch *w, size_t argc, const struct rds_arg *argv, rds_reply_fn *fn,
		void *ctx)
{
	if (w->failed)
		return;
	if (rds_command(w->rds, argc, argv, fn, ctx) == RS_OK)
		w->pending++;
	else
		w->failed = true;
}

static void warn_once(struct registry_watch *w, const char *id, size_t len, const char *what)
{
	if (!w->warned)
		log_warn("malformed member in the registry is passed over", LOG_STR("kind", w->kind),
			 LOG_BYTES("id", id, len), LOG_STR("field", what));
	w->warned = true;
}

static void forget(struct registry_watch *w, const char *id)
{
	char key[KEY_MAX];
	size_t len = key_members(key, w->kind);
	struct rds_arg argv[] = {RDS_STR("ZREM"), RDS_MEM(key, len), RDS_STR(id)};
	if (rds_command(w->rds, 3, argv, NULL, NULL) == RS_OK)
		log_debug("member forgotten", LOG_STR("kind", w->kind), LOG_STR("id", id));
}

static void deliver(struct registry_watch *w)
{
	size_t n = 0;
	for (size_t i = 0; i < w->count; i++) {
		struct member *m = &w->slots[i].member;
		if (w->slots[i].answer == ANSWER_NONE && m->beat_ms + FORGOTTEN_MS < w->now_ms)
			forget(w, m->id);
		if (w->slots[i].answer != ANSWER_GOOD)
			continue;
		m->alive = m->beat_ms + REGISTRY_ALIVE_MS >= w->now_ms;
		w->listing[n++] = *m;
	}
	w->on_members(w->ctx, w->listing, n, w->now_ms); /* it may free w */
}

/* Each answer begins with this; false: it is not to be looked at. */
static bool take_answer(struct registry_watch *w, int err)
{
	w->pending--;
	if (err)
		w->failed = true;
	return !w->freed && !w->failed;
}

/* ... and ends with this. */
static void end_answer(struct registry_watch *w)
{
	if (w->pending > 0)
		return;
	if (w->freed)
		free(w);
	else if (!w->failed)
		deliver(w);
}

static void on_hash(void *ctx, int err, const struct redisReply *reply)
{
	struct slot *s = ctx;
	struct registry_watch *w = s->watch;
	const char *field;
	if (take_answer(w, err) && reply_count(reply) > 0) {
		s->answer = ANSWER_GOOD;
		if (member_read(reply, &s->member, &field)) {
			s->answer = ANSWER_BAD;
			warn_once(w, s->member.id, strlen(s->member.id), field);
		}
	}
	end_answer(w);
}

static void ask_hash(struct registry_watch *w, const char *id, size_t len, uint64_t beat_ms)
{
	char key[KEY_MAX];
	struct slot *s = &w->slots[w->count++];
	*s = (struct slot){.watch = w, .member.beat_ms = beat_ms};
	memcpy(s->member.id, id, len);
	struct rds_arg argv[] = {RDS_STR("HGETALL"), RDS_MEM(key, key_member(key, w->kind, s->member.id))};
	ask(w, 2, argv, on_hash, s);
}

static void on_ids(void *ctx, int err, const struct redisReply *reply)
{
	struct registry_watch *w = ctx;
	bool look = take_answer(w, err);
	size_t pairs = look ? reply_count(reply) / 2 : 0;
	/* The newest stand at the end; where there are too many, they count. */
	for (size_t i = pairs > REGISTRY_MEMBERS_MAX ? pairs - REGISTRY_MEMBERS_MAX : 0; i < pairs; i++) {
		size_t len = 0;
		int64_t beat_ms;
		const char *id = reply_str(reply_at(reply, 2 * i), &len);
		if (!id || name_fault(id, len) || !reply_int(reply_at(reply, 2 * i + 1), &beat_ms) || beat_ms < 0)
			warn_once(w, id ? id : "", len, "id");
		else
			ask_hash(w, id, len, (uint64_t)beat_ms);
	}
	end_answer(w);
}

static void on_time(void *ctx, int err, const struct redisReply *reply)
{
	struct registry_watch *w = ctx;
	int64_t s, us;
	if (take_answer(w, err)) {
		if (reply_int(reply_at(reply, 0), &s) && reply_int(reply_at(reply, 1), &us) && s > 0)
			w->now_ms = (uint64_t)s * 1000 + (uint64_t)us / 1000;
		else
			w->failed = true;
	}
	end_answer(w);
}

static void begin(struct registry_watch *w)
{
	char key[KEY_MAX];
	struct rds_arg range[] = {RDS_STR("ZRANGE"), RDS_MEM(key, key_members(key, w->kind)), RDS_STR("0"),
				  RDS_STR("-1"), RDS_STR("WITHSCORES")};
	struct rds_arg time[] = {RDS_STR("TIME")};
	w->failed = false;
	w->count = 0;
	w->due_ms = clock_mono_ms() + REGISTRY_BEAT_MS;
	ask(w, 5, range, on_ids, w);
	ask(w, 1, time, on_time, w);
}

static void on_tick(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct registry_watch *w = t->data;
	(void)loop, (void)revents;
	if (w->pending == 0 && clock_mono_ms() >= w->due_ms && rds_is_up(w->rds))
		begin(w);
}

int registry_watch(struct registry_watch **out, struct ev_loop *loop, struct rds *rds,
		   const char *kind, registry_members_fn *on_members, void *ctx)
{
	if (strlen(kind) >= MEMBER_KIND_MAX)
		return RS_EINVAL;
	struct registry_watch *w = calloc(1, sizeof *w);
	if (!w)
		return RS_ENOMEM;
	w->loop = loop;
	w->rds = rds;
	w->on_members = on_members;
	w->ctx = ctx;
	snprintf(w->kind, sizeof w->kind, "%s", kind);
	ev_timer_init(&w->timer, on_tick, 0.0, tick_s);
	w->timer.data = w;
	ev_timer_start(loop, &w->timer);
	*out = w;
	return RS_OK;
}

void registry_watch_free(struct registry_watch *w)
{
	if (!w)
		return;
	ev_timer_stop(w->loop, &w->timer);
	w->freed = true;
	if (w->pending == 0)
		free(w);
}
