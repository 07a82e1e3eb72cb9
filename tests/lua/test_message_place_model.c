/* SPDX-License-Identifier: Apache-2.0 */
/* Some thousand random operations on one user's queues, by all scripts that touch
 * them, against a model of three plain lists: same answers, same queues, and an
 * index that is right. */
#include "support/lua_place.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES_MAX = 128, LANES = PRIORITIES, STEPS = 2500, TEXT_MAX = 16384 };

struct message {
	unsigned n;
	const char *app, *key; /* key NULL: none */
	bool receipt;
	long long size, expires;
};

struct lane {
	struct message all[MESSAGES_MAX];
	size_t count;
};

static struct lane model[LANES];
static const char *const queues[LANES] = {LUA_LANES};
static const char *const lane_names[LANES] = {"normal", "high", "low"};
static int64_t now;
static uint64_t seed;
static long long displaced_in_all[2];

static unsigned draw(unsigned below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % below;
}

static struct message take(struct lane *l, size_t at)
{
	const struct message m = l->all[at];
	memmove(&l->all[at], &l->all[at + 1], (--l->count - at) * sizeof m);
	return m;
}

static void drop_expired(struct lane *l)
{
	for (size_t i = l->count; i-- > 0;)
		if (l->all[i].expires <= now)
			take(l, i);
}

/* Of an App, or of all (NULL). */
static void sum(const char *app, long long *count, long long *bytes)
{
	*count = *bytes = 0;
	for (size_t i = 0; i < LANES; i++)
		for (size_t k = 0; k < model[i].count; k++)
			if (!app || strcmp(model[i].all[k].app, app) == 0) {
				++*count;
				*bytes += model[i].all[k].size;
			}
}

static bool over(const struct lua_place *p, const struct message *m)
{
	long long count, bytes;
	sum(p->app, &count, &bytes);
	if ((p->app_count && count + 1 > p->app_count) || (p->app_bytes && bytes + m->size > p->app_bytes))
		return true;
	sum(NULL, &count, &bytes);
	return count + 1 > p->max_count || bytes + m->size > p->max_bytes;
}

/* Takes the one with the same collapse key out; its event, or "". */
static const char *take_same_key(const struct message *m)
{
	static char event[96];
	for (size_t i = 0; m->key && i < LANES; i++)
		for (size_t k = 0; k < model[i].count; k++) {
			const struct message *old = &model[i].all[k];
			if (!old->key || strcmp(old->key, m->key) != 0 || strcmp(old->app, m->app) != 0)
				continue;
			const struct message gone = take(&model[i], k);
			if (gone.expires <= now)
				return "";
			snprintf(event, sizeof event, " replaced %s %s %c", gone.app, lua_id(gone.n),
				 gone.receipt ? 'r' : '-');
			return event;
		}
	return "";
}

/* The place of the first of an App in a lane, or the count of the lane. */
static size_t first_of(const struct lane *l, const char *app)
{
	size_t i = 0;
	while (i < l->count && strcmp(l->all[i].app, app) != 0)
		i++;
	return i;
}

/* Takes out what the policy gives up next; false: nothing. */
static bool give_up(const struct lua_place *p, char *events, size_t cap)
{
	static const int lowest_first[LANES] = {PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH};
	int from = -1;
	for (size_t i = 0; i < LANES; i++) {
		const int lane = lowest_first[i];
		const size_t at = first_of(&model[lane], p->app);
		if (at < model[lane].count) {
			const bool oldest = strcmp(p->policy, "drop-oldest") == 0;
			if (from < 0 || (oldest && model[lane].all[at].n < model[from].all[first_of(&model[from], p->app)].n))
				from = lane;
		}
		if (lane == (int)p->lane && strcmp(p->policy, "drop-lowest") == 0)
			break;
	}
	if (from < 0)
		return false;
	const struct message m = take(&model[from], first_of(&model[from], p->app));
	const size_t len = strlen(events);
	snprintf(events + len, cap - len, " displaced %s %s %c", m.app, lua_id(m.n), m.receipt ? 'r' : '-');
	return true;
}

/* Makes room for m in the model; false: it is full, and only what expired has gone. */
static bool make_room(const struct lua_place *p, const struct message *m, char *events, size_t cap,
		      bool *expire_first)
{
	struct lane before[LANES];
	memcpy(before, model, sizeof model);
	snprintf(events, cap, "%s", take_same_key(m));
	*expire_first = over(p, m);
	if (*expire_first) {
		memcpy(model, before, sizeof model);
		for (size_t i = 0; i < LANES; i++)
			drop_expired(&model[i]);
		memcpy(before, model, sizeof model);
		snprintf(events, cap, "%s", take_same_key(m));
	}
	while (over(p, m))
		if (strcmp(p->policy, "reject") == 0 || !give_up(p, events, cap)) {
			memcpy(model, before, sizeof model);
			return false;
		}
	return true;
}

static const char *place_in_model(const struct lua_place *p, const struct message *m)
{
	static char text[TEXT_MAX];
	char events[TEXT_MAX / 2], prev[32] = "''";
	struct lane *l = &model[p->lane], last = *l;
	bool expire_first;
	if (!make_room(p, m, events, sizeof events, &expire_first))
		return "[full ";
	/* The one before is the last there was before one was replaced or displaced, but none that expired. */
	if (expire_first)
		drop_expired(&last);
	if (last.count)
		snprintf(prev, sizeof prev, "%s", lua_id(last.all[last.count - 1].n));
	l->all[l->count++] = *m;
	for (const char *e = events; (e = strstr(e, " displaced ")); e++)
		displaced_in_all[strcmp(m->app, "chat") != 0]++;
	snprintf(text, sizeof text, "[stored %zu %s mb1 3 77 1700%s]", l->count, prev, events);
	return text;
}

static void place(unsigned n)
{
	static const char *const apps[] = {"chat", "chat", "shop"}, *const keys[] = {"a", "b", "c", "d"};
	static const char *const policies[] = {"reject", "drop-oldest", "drop-lowest"};
	char body[81];
	const unsigned body_len = draw(sizeof body);
	memset(body, 'x', body_len);
	body[body_len] = '\0';
	const struct lua_place p = {
		.app = apps[draw(3)], .lane = (enum priority)draw(LANES), .now_ms = now,
		.ttl_ms = draw(3) ? 1000000 : 1 + draw(400), .collapse = draw(3) ? NULL : keys[draw(4)],
		.receipt = draw(2), .body = body, .policy = policies[draw(3)],
		.max_count = 20 + draw(20), .max_bytes = 1500 + draw(2000),
		.app_count = draw(2) ? 0 : 8 + draw(20), .app_bytes = draw(2) ? 0 : 700 + draw(2000),
	};
	const struct message m = {
		.n = n, .app = p.app, .key = p.collapse, .receipt = p.receipt, .expires = now + p.ttl_ms,
		.size = (long long)strlen(lua_place_record(n, &p, now + p.ttl_ms)),
	};
	const char *want = place_in_model(&p, &m), *got = lua_place(n, &p);
	if (strcmp(want, "[full ") == 0)
		cr_assert_eq(strncmp(got, want, 6), 0, "%u: %s", n, got);
	else
		cr_assert_str_eq(got, want, "%u", n);
}

/* The plain way in: only while there is no index. */
static void store(unsigned n)
{
	const bool index = strcmp(redis_text(lua_redis, "EXISTS %s", LUA_INDEX), "1") == 0;
	const char *record = lua_record(n, now + 300);
	const char *got = lua(lua_redis, SCRIPT_MESSAGE_STORE, 5, LUA_QUEUE, LUA_PRESENCE, LUA_SETTINGS, LUA_INDEX,
			      LUA_JOURNAL, record, lua_num(now + 300), lua_num(now), "100", "60000", "60000");
	if (index) {
		cr_assert_str_eq(got, "[more]");
		return;
	}
	struct lane *l = &model[0];
	l->all[l->count++] = (struct message){n, "chat", NULL, false, (long long)strlen(record), now + 300};
	if (l->count % 16 == 0)
		while (l->count && l->all[0].expires <= now)
			take(l, 0);
	cr_assert_eq(strncmp(got, "[stored ", 8), 0, "%s", got);
}

static void ack(void)
{
	const size_t lane = draw(LANES);
	struct lane *l = &model[lane];
	const char *argv[6 + 8] = {queues[lane], LUA_PRESENCE, LUA_JOURNAL, "1700", lua_num(now), "60000"};
	size_t argc = 6;
	for (unsigned i = 0, ids = 1 + draw(4); i < ids; i++) {
		const size_t at = draw((unsigned)l->count + 1);
		argv[argc++] = lua_id(at < l->count ? take(l, at).n : 9999);
		argv[argc++] = "1";
	}
	char left[32];
	const char *got = lua_text(lua_call_argv(lua_redis, SCRIPT_MESSAGE_ACK, 3, argc, argv));
	snprintf(left, sizeof left, " %zu", l->count);
	const char *counts = strchr(got + 4, ' ');
	cr_assert(counts && strncmp(counts, left, strlen(left)) == 0, "%s, left:%s", got, left);
}

static void fetch(void)
{
	const size_t lane = draw(LANES);
	struct lane *l = &model[lane];
	lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, queues[lane], LUA_PRESENCE, LUA_JOURNAL, "1700", "", "0", "100",
	    "100000", lua_num(now), "60000", lane_names[lane]);
	drop_expired(l);
}

static void withdraw(bool all)
{
	const char *app = draw(2) ? "chat" : "shop";
	struct lane *one = &model[draw(LANES)];
	const unsigned n = one->count ? one->all[draw((unsigned)one->count)].n : 9999;
	unsigned count = 0;
	for (size_t i = 0; i < LANES; i++)
		for (size_t k = model[i].count; k-- > 0;) {
			const struct message *m = &model[i].all[k];
			if (strcmp(m->app, app) == 0 && m->expires > now && (all || m->n == n)) {
				take(&model[i], k);
				count++;
			}
		}
	const char *got = lua(lua_redis, SCRIPT_MESSAGE_WITHDRAW, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, app,
			      all ? "" : lua_id(n), lua_num(now), "60000");
	cr_assert_eq((unsigned)atoi(got + 1), count, "%s", got);
}

static void expire(void)
{
	lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 4, LUA_LANES, LUA_JOURNAL, lua_num(now), "60000");
	for (size_t i = 0; i < LANES; i++)
		drop_expired(&model[i]);
}

static void harm_index(bool delete)
{
	if (delete)
		redis_text(lua_redis, "DEL %s", LUA_INDEX);
	else if (strcmp(redis_text(lua_redis, "EXISTS %s", LUA_INDEX), "1") == 0)
		redis_text(lua_redis, "HSET %s seen x", LUA_INDEX);
}

static void step(unsigned n)
{
	const unsigned what = draw(100);
	now += draw(20);
	if (what < 60)
		place(n);
	else if (what < 66)
		store(n);
	else if (what < 82)
		ack();
	else if (what < 88)
		fetch();
	else if (what < 95)
		withdraw(what == 94);
	else if (what < 97)
		expire();
	else
		harm_index(what == 97);
}

static void compare(unsigned n)
{
	for (size_t i = 0; i < LANES; i++) {
		char want[TEXT_MAX] = "";
		size_t len = 0;
		for (size_t k = 0; k < model[i].count; k++)
			len += (size_t)snprintf(want + len, sizeof want - len, k ? " %u" : "%u", model[i].all[k].n);
		cr_assert_str_eq(lua_list(lua_redis, queues[i]), want, "step %u, %s", n, lane_names[i]);
	}
	const char *wrong = lua_index_wrong();
	cr_assert_str_eq(wrong, "", "step %u: %s", n, wrong);
}

static void run(uint64_t with_seed)
{
	lua_setup_online();
	now = lua_now_ms(lua_redis);
	seed = with_seed;
	for (unsigned n = 1; n <= STEPS; n++) {
		step(n);
		compare(n);
	}
	static const char *const apps[] = {"chat", "shop"};
	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(atoll(redis_text(lua_redis, "HGET %s %s", LUA_MISSED, apps[i])), displaced_in_all[i]);
	cr_assert_gt(displaced_in_all[0], 50, "the limits were met");
	lua_teardown();
}

Test(message_place_model, seed_1) { run(1); }
Test(message_place_model, seed_2) { run(2); }
Test(message_place_model, seed_3) { run(3); }
Test(message_place_model, seed_4) { run(4); }
