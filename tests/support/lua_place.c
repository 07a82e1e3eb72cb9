/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_place.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const lanes[PRIORITIES] = {LUA_LANES};

const char *lua_place_record(unsigned n, const struct lua_place *p, int64_t expires_ms)
{
	static const char *const priority[PRIORITIES] = {"", " p=high", " p=low"};
	char words[128], elsewhere[16] = "";
	if (p->elsewhere)
		snprintf(elsewhere, sizeof elsewhere, " f=%u", p->elsewhere);
	snprintf(words, sizeof words, "%s%s%s%s%s", priority[p->lane], p->collapse ? " c=" : "",
		 p->collapse ? p->collapse : "", p->receipt ? " r" : "", elsewhere);
	const char *body = p->elsewhere ? "" : p->body ? p->body : "hello";
	return lua_record_of(p->app ? p->app : "chat", n, expires_ms, words, body);
}

const char *lua_place(unsigned n, const struct lua_place *p)
{
	const int64_t now = p->now_ms ? p->now_ms : lua_now_ms(lua_redis);
	const int64_t expires = now + (p->ttl_ms ? p->ttl_ms : 60000);
	const char *argv[21] = {LUA_PLACE_KEYS};
	size_t argc = 8;
	if (p->once)
		argv[argc++] = p->once;
	const size_t keys = argc;
	argv[argc++] = lua_place_record(n, p, expires);
	argv[argc++] = lua_num((int64_t)p->lane + 1);
	argv[argc++] = lua_num(expires);
	argv[argc++] = lua_num(now);
	argv[argc++] = lua_num(LUA_PLACE_KEEP_MS);
	argv[argc++] = "60000";
	argv[argc++] = lua_num(p->max_count ? p->max_count : 1000000);
	argv[argc++] = lua_num(p->max_bytes ? p->max_bytes : 1000000000);
	argv[argc++] = lua_num(p->app_count);
	argv[argc++] = lua_num(p->app_bytes);
	argv[argc++] = p->policy ? p->policy : "reject";
	argv[argc++] = p->collapse ? p->collapse : "";
	return lua_text(lua_call_argv(lua_redis, SCRIPT_MESSAGE_PLACE, keys, argc, argv));
}

struct tally {
	const char *app; /* NULL: all */
	long long count, bytes;
};

static long long size_of(const redisReply *element)
{
	struct record r;
	bool elsewhere = record_parse(element->str, element->len, &r) == RS_OK && r.body_elsewhere;
	return (long long)(element->len + (elsewhere ? r.elsewhere_len : 0));
}

/* Also writes the word that `seen` would have. */
static void count_all(struct tally *tallies, size_t n, char *seen, size_t cap)
{
	size_t len = 0;
	for (size_t i = 0; i < PRIORITIES; i++) {
		redisReply *r = redisCommand(lua_redis, "LRANGE %s 0 -1", lanes[i]);
		for (size_t k = 0; k < r->elements; k++) {
			const char *record = r->element[k]->str, *app = record + 27;
			for (size_t t = 0; t < n; t++) {
				const char *want = tallies[t].app;
				if (want && (strncmp(app, want, strlen(want)) != 0 || app[strlen(want)] != ' '))
					continue;
				tallies[t].count++;
				tallies[t].bytes += size_of(r->element[k]);
			}
		}
		const char *space = i ? " " : "";
		if (!r->elements)
			len += (size_t)snprintf(seen + len, cap - len, "%s0", space);
		else
			len += (size_t)snprintf(seen + len, cap - len, "%s%zu:%.26s:%.26s", space, r->elements,
						r->element[0]->str, r->element[r->elements - 1]->str);
		freeReplyObject(r);
	}
}

static const char *compare(const struct tally *t, bool exact)
{
	static char text[256];
	const char *reply = redis_text(lua_redis, "HMGET %s %s%s %s%s", LUA_INDEX, t->app ? "count:" : "count",
				       t->app ? t->app : "", t->app ? "bytes:" : "bytes", t->app ? t->app : "");
	char *end;
	const long long count = strtoll(reply + 1, &end, 10);
	const char *space = strchr(reply, ' ');
	const long long bytes = space ? strtoll(space + 1, &end, 10) : -1;
	if (exact ? count == t->count && bytes == t->bytes : count >= t->count && bytes >= t->bytes)
		return "";
	snprintf(text, sizeof text, "%s: the index says %s, there are %lld %lld%s", t->app ? t->app : "all", reply,
		 t->count, t->bytes, exact ? "" : " (it is not exact)");
	return text;
}

const char *lua_index_wrong(void)
{
	struct tally tallies[] = {{.app = NULL}, {.app = "chat"}, {.app = "shop"}};
	char seen[512];
	if (strcmp(redis_text(lua_redis, "EXISTS %s", LUA_INDEX), "0") == 0)
		return "";
	count_all(tallies, sizeof tallies / sizeof *tallies, seen, sizeof seen);
	const bool exact = strcmp(redis_text(lua_redis, "HGET %s seen", LUA_INDEX), seen) == 0;
	for (size_t i = 0; i < sizeof tallies / sizeof *tallies; i++) {
		const char *wrong = compare(&tallies[i], exact);
		if (*wrong)
			return wrong;
	}
	return "";
}

int64_t lua_t0;

void lua_place_setup(void)
{
	lua_setup();
	lua_t0 = lua_now_ms(lua_redis);
}

void lua_place_setup_online(void)
{
	lua_place_setup();
	lua_log_in();
}

void lua_place_teardown(void)
{
	const char *wrong = lua_index_wrong();
	cr_expect_str_eq(wrong, "", "%s", wrong);
	lua_teardown();
}
