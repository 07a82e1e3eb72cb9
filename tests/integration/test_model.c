/* SPDX-License-Identifier: Apache-2.0 */
/* Many operations, drawn from a seed, against a model of what must be where
 * (support/model.h). After each thousand all is brought to rest, and compared: each
 * queue of each user, what was displaced, what STATUS says of each message; and all the
 * while what each client was shown.
 *
 *   RESTANTE_MODEL_STEPS=100000 RESTANTE_MODEL_SEED=7 ./run test integration/model */
#include "support/chance.h"
#include "support/crowd.h"
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 20000, ROUND = 1000, REST_MS = 5000, ALL_MS = 60000 };

static struct crowd w;
static uint64_t seed, state;
static unsigned step, notices_again;
static bool quiet[MODEL_USERS]; /* no client of this user comes in this round */

static void start(void) { crowd_start(&w); }
static void stop(void) { crowd_stop(&w); }
TestSuite(model, .init = start, .fini = stop, .timeout = 900);

/* ---- chance ---- */

static unsigned draw_below(unsigned n) { return chance_below(&state, n); }

static void check_model(void)
{
	if (!*w.model.fault)
		return;
	stack_show_logs(&w.stack);
	cr_assert_fail("RESTANTE_MODEL_SEED=%" PRIu64 ", step %u: %s", seed, step, w.model.fault);
}

/* ---- operations ---- */

static void send_one(uint32_t user)
{
	const struct model_user *u = &w.model.user[user];
	struct model_message x = {.user = user, .app = (uint8_t)draw_below(MODEL_APPS),
				  .lane = (uint8_t)draw_below(PRIORITIES), .body_len = draw_below(300)};
	unsigned kind = draw_below(100), ttl = draw_below(100), named = draw_below(100);
	x.key = (uint8_t)(kind < 25 ? 1 + draw_below(3) : 0);
	x.store = kind < 92;
	if (kind >= 25 && kind < 50)
		x.lane = PRIORITY_NORMAL; /* and no key: the way of most */
	x.ttl_s = ttl < 10 ? 1 : ttl < 15 ? 2 : 3600;
	x.name = named < 20 ? 1 + draw_below(1u << 30) : 0;
	if (named < 5 && u->named_count > 0) {
		const struct model_message *before = &w.model.message[u->named[draw_below((unsigned)u->named_count)]];
		x.app = before->app;
		x.name = before->name;
	}
	crowd_send(&w, draw_below(CROWD_DCS), &x);
}

static void withdraw_one(uint32_t user)
{
	const struct model_user *u = &w.model.user[user];
	unsigned dc = draw_below(CROWD_DCS), which = draw_below(1u << 20);
	crowd_finish(&w, user);
	if (u->waiting_count > 0)
		crowd_withdraw(&w, dc, u->waiting[which % u->waiting_count]);
	else
		send_one(user);
}

static void toggle_storage(uint32_t user)
{
	unsigned app = draw_below(MODEL_APPS);
	bool off = draw_below(6) == 0;
	crowd_finish(&w, user);
	if (off)
		redis_text(w.stack.c, "HSET rs:{u%u}:settings off:%s 1700000000000", user, model_apps[app]);
	else
		redis_text(w.stack.c, "HDEL rs:{u%u}:settings off:%s", user, model_apps[app]);
	w.model.user[user].off[app] = off;
}

/* False: this user does not do that now. */
static bool move_client(uint32_t user, unsigned what)
{
	struct crowd_client *c = &w.client[user];
	bool open = crowd_is_open(&w, user);
	if (quiet[user] || open == (what < 4))
		return false;
	if (what < 4)
		crowd_log_in(&w, user);
	else if (what < 7)
		crowd_log_out(&w, user);
	else if (what < 8)
		crowd_set_deaf(&w, user, !c->deaf);
	else
		c->r.refuses = !c->r.refuses;
	return true;
}

static void do_step(void)
{
	uint32_t user = draw_below(MODEL_USERS);
	unsigned what = draw_below(1000);
	if (what < 80)
		withdraw_one(user);
	else if (what < 90)
		toggle_storage(user);
	else if (what >= 190 || !move_client(user, (what - 90) / 10))
		send_one(user);
	if (step % 8 == 0)
		crowd_turn(&w, 0);
}

/* ---- rest ---- */

/* What Redis has of all users at one moment. */
struct picture {
	redisReply *lane[MODEL_USERS][PRIORITIES], *missed[MODEL_USERS], *broker[MODEL_USERS];
	uint64_t now_ms;
};

static redisReply *next_reply(void)
{
	void *reply = NULL;
	cr_assert_eq(redisGetReply(w.stack.c, &reply), REDIS_OK);
	return reply;
}

static void take_picture(struct picture *p)
{
	static const char *const lanes[PRIORITIES] = {"queue", "queue:high", "queue:low"};
	for (unsigned u = 0; u < MODEL_USERS; u++) {
		for (unsigned i = 0; i < PRIORITIES; i++)
			redisAppendCommand(w.stack.c, "LRANGE rs:{u%u}:%s 0 -1", u, lanes[i]);
		redisAppendCommand(w.stack.c, "HMGET rs:{u%u}:missed chat shop news", u);
		redisAppendCommand(w.stack.c, "HEXISTS rs:{u%u}:presence broker", u);
	}
	for (unsigned u = 0; u < MODEL_USERS; u++) {
		for (unsigned i = 0; i < PRIORITIES; i++)
			p->lane[u][i] = next_reply();
		p->missed[u] = next_reply();
		p->broker[u] = next_reply();
	}
	p->now_ms = clock_wall_ms();
}

static void drop_picture(struct picture *p)
{
	for (unsigned u = 0; u < MODEL_USERS; u++) {
		for (unsigned i = 0; i < PRIORITIES; i++)
			freeReplyObject(p->lane[u][i]);
		freeReplyObject(p->missed[u]);
		freeReplyObject(p->broker[u]);
	}
}

static struct model_message *message_of(const redisReply *record)
{
	const char *body = strchr(record->str, '\n');
	uint32_t n = body ? (uint32_t)strtoul(body + 1, NULL, 10) : 0;
	cr_assert_lt(n, w.model.count);
	return &w.model.message[n];
}

/* Why this user is not at rest, NULL: it is. patient: an acknowledgement of a session
 * that is over may be on its way still; after a while it is not. */
static const char *unrest(const struct picture *p, uint32_t u, bool patient)
{
	const struct crowd_client *c = &w.client[u];
	bool open = crowd_is_open(&w, u), drains = open && !c->deaf && !c->r.refuses;
	if (open && !c->deaf && !receiver_is_online(&c->r))
		return "a client is not online";
	if (!open && p->broker[u]->integer)
		return "a client has logged out, and Redis does not know";
	for (unsigned i = 0; i < PRIORITIES; i++)
		for (size_t at = 0; at < p->lane[u][i]->elements; at++) {
			struct model_message *x = message_of(p->lane[u][i]->element[at]);
			bool same_session = open && !c->deaf && c->r.onlines == 1 && x->shown_in == c->life;
			if (x->expires_ms <= p->now_ms)
				continue;
			if (drains)
				return "a client is online, and its queue is not empty";
			if (x->shown && !x->lost && (patient || same_session))
				return "a message was shown, and is in Redis";
			x->lost = x->shown > 0;
		}
	return NULL;
}

static void wait_for_rest(void)
{
	struct picture p;
	const char *why = "";
	uint32_t who = 0;
	uint64_t began = clock_mono_ms();
	crowd_finish_all(&w);
	for (; why; crowd_turn(&w, 5)) {
		take_picture(&p);
		uint64_t waited = clock_mono_ms() - began;
		why = NULL;
		for (uint32_t u = 0; u < MODEL_USERS && !why; u++)
			why = unrest(&p, who = u, waited < REST_MS);
		drop_picture(&p);
		check_model();
		if (why && waited > ALL_MS) {
			model_fail(&w.model, "u%u: %s", who, why);
			check_model();
		}
	}
}

/* Of all that may have changed, and of some others. */
static void ask_all(void)
{
	for (uint32_t n = 1; n < w.model.count; n++) {
		const struct model_message *x = &w.model.message[n];
		bool may_change = x->fate == FATE_WAITS && w.model.user[x->user].loose;
		bool is_new = x->fate > FATE_WAITS && !x->told;
		if (may_change || is_new || (x->fate == FATE_WAITS && draw_below(8) == 0))
			crowd_status(&w, draw_below(CROWD_DCS), n);
	}
	crowd_finish_all(&w);
}

/* How many the client was told of, and Redis still has to tell, beyond what was displaced. */
static int64_t missed_too_many(const struct picture *p, uint32_t u, unsigned app)
{
	const redisReply *r = p->missed[u]->element[app];
	int64_t in_redis = r->type == REDIS_REPLY_STRING ? atoll(r->str) : 0;
	uint64_t told = w.client[u].told[app] + receiver_missed(&w.client[u].r, model_apps[app]).count;
	return in_redis + (int64_t)told - (int64_t)w.model.user[u].missed[app];
}

/* Told, and Redis does not know yet. */
static bool missed_are_unsettled(const struct picture *p)
{
	for (uint32_t u = 0; u < MODEL_USERS; u++)
		for (unsigned i = 0; i < MODEL_APPS; i++)
			if (missed_too_many(p, u, i) > 0)
				return true;
	return false;
}

static void settle_missed(void)
{
	struct picture p;
	bool waits = true;
	for (uint64_t until = clock_mono_ms() + REST_MS; waits && clock_mono_ms() < until; crowd_turn(&w, waits ? 5 : 0)) {
		take_picture(&p);
		waits = missed_are_unsettled(&p);
		drop_picture(&p);
	}
}

/* A session that ended before the broker's word that the notice was taken: it came again. */
static void compare_missed(const struct picture *p, uint32_t u)
{
	for (unsigned i = 0; i < MODEL_APPS; i++) {
		int64_t more = missed_too_many(p, u, i);
		if (more < 0 || (more > 0 && w.client[u].life < 2))
			model_fail(&w.model, "u%u: %" PRIu64 " of %s were displaced, told and yet to tell are %" PRId64 " more",
				   u, w.model.user[u].missed[i], model_apps[i], more);
		notices_again += more > 0;
		w.model.user[u].missed[i] += (uint64_t)more;
	}
}

static void compare(void)
{
	struct picture p;
	const char *records[256];
	take_picture(&p);
	for (uint32_t u = 0; u < MODEL_USERS; u++) {
		for (unsigned i = 0; i < PRIORITIES; i++) {
			const redisReply *r = p.lane[u][i];
			cr_assert_leq(r->elements, sizeof records / sizeof *records);
			for (size_t at = 0; at < r->elements; at++)
				records[at] = r->element[at]->str;
			model_compare(&w.model, u, (enum priority)i, records, r->elements, p.now_ms);
		}
		compare_missed(&p, u);
		w.model.user[u].loose = crowd_is_open(&w, u);
		quiet[u] = !crowd_is_open(&w, u) && draw_below(2);
	}
	drop_picture(&p);
}

static void rest(void)
{
	wait_for_rest();
	ask_all();
	check_model();
	settle_missed();
	compare();
	check_model();
}

TestThen(stop, model, random_operations)
{
	unsigned steps = (unsigned)from_env("RESTANTE_MODEL_STEPS", STEPS);
	uint64_t began = clock_mono_ms(), rests = 0, longest = 0;
	seed = state = from_env("RESTANTE_MODEL_SEED", clock_wall_ms());
	fprintf(stderr, "RESTANTE_MODEL_SEED=%" PRIu64 ", %u steps\n", seed, steps);
	for (step = 1; step <= steps; step++) {
		do_step();
		check_model();
		if (step % ROUND)
			continue;
		uint64_t before = clock_mono_ms();
		rest();
		before = clock_mono_ms() - before;
		rests += before;
		longest = before > longest ? before : longest;
	}
	unsigned fates[FATES] = {0};
	for (uint32_t n = 1; n < w.model.count; n++)
		fates[w.model.message[n].fate]++;
	fprintf(stderr, "%u messages: %u not stored, %u wait, %u acknowledged, %u expired, %u replaced, %u displaced, %u withdrawn; "
		"%u notices came again; %" PRIu64 " ms, of these %" PRIu64 " until all was at rest (at most %" PRIu64 ")\n", w.model.count - 1, fates[FATE_NONE], fates[FATE_WAITS],
		fates[FATE_ACKNOWLEDGED], fates[FATE_EXPIRED], fates[FATE_REPLACED], fates[FATE_DISPLACED],
		fates[FATE_WITHDRAWN], notices_again, clock_mono_ms() - began, rests, longest);
	cr_expect_leq(notices_again, steps / 10000);
}
