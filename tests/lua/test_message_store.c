/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(message_store, .init = lua_setup, .fini = lua_teardown);

#define KEYS LUA_QUEUE, LUA_PRESENCE, LUA_SETTINGS, LUA_INDEX, LUA_JOURNAL

enum { KEEP_MS = 3600000 };

static int64_t now;

static const char *store_keep(unsigned n, int64_t ttl, int max, int64_t keep)
{
	now = lua_now_ms(lua_redis);
	return lua(lua_redis, SCRIPT_MESSAGE_STORE, 5, KEYS, lua_record(n, now + ttl), lua_num(now + ttl),
		   lua_num(now), lua_num(max), lua_num(keep), "60000");
}

static const char *store_max(unsigned n, int64_t ttl, int max) { return store_keep(n, ttl, max, KEEP_MS); }
static const char *store(unsigned n, int64_t ttl) { return store_max(n, ttl, 100); }

static const char *store_once(unsigned n, int max)
{
	now = lua_now_ms(lua_redis);
	return lua(lua_redis, SCRIPT_MESSAGE_STORE, 6, KEYS, LUA_ONCE, lua_record(n, now + 9000),
		   lua_num(now + 9000), lua_num(now), lua_num(max), lua_num(KEEP_MS), "60000");
}

static int64_t ttl_of(const char *key) { return atoll(redis_text(lua_redis, "PTTL %s", key)); }

Test(message_store, offline_user_gets_the_message_kept)
{
	cr_assert_str_eq(store(1, 9000), "[stored 1]");
	cr_assert_str_eq(store(2, 9000), "[stored 2]");
	cr_assert_str_eq(redis_text(lua_redis, "TYPE %s", LUA_QUEUE), "list");
	cr_assert_str_eq(redis_text(lua_redis, "LINDEX %s -1", LUA_QUEUE), lua_record(2, now + 9000));
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "1", "nothing else is written");
}

Test(message_store, online_user_is_named_with_the_message_before)
{
	char want[128];
	lua_log_in();
	cr_assert_str_eq(store(1, 9000), "[stored 1 '' mb1 3 77 1700]");
	snprintf(want, sizeof want, "[stored 2 %s mb1 3 77 1700]", lua_id(1));
	cr_assert_str_eq(store(2, 9000), want);
}

Test(message_store, tombstone_means_offline)
{
	redis_text(lua_redis, "HSET %s owner 1700 seen 1", LUA_PRESENCE);
	cr_assert_str_eq(store(1, 9000), "[stored 1]");
}

/* So that it can still be told that the last one expired. */
Test(message_store, key_lives_a_while_longer_than_its_longest_message)
{
	store(1, 50000);
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_QUEUE)), now + 50000 + KEEP_MS);
	store(2, 3000);
	cr_assert_gt(ttl_of(LUA_QUEUE), 40000 + KEEP_MS, "a short one must not shorten it");
	store(3, 90000);
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_QUEUE)), now + 90000 + KEEP_MS);
}

Test(message_store, key_is_gone_when_the_last_message_would_be)
{
	store_keep(1, 30, 100, 30);
	store_keep(2, 60, 100, 60);
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_QUEUE), "1");
	int64_t until = now + 10000;
	while (strcmp(redis_text(lua_redis, "EXISTS %s", LUA_QUEUE), "0") != 0)
		cr_assert_lt(lua_now_ms(lua_redis), until);
	cr_assert_geq(lua_now_ms(lua_redis), now + 120);
}

Test(message_store, full_queue_is_left_to_message_place_as_it_is)
{
	store_max(1, 9000, 2);
	store_max(2, 9000, 2);
	int64_t before = ttl_of(LUA_QUEUE);
	cr_assert_str_eq(store_max(3, 90000, 2), "[more]");
	cr_assert_leq(ttl_of(LUA_QUEUE), before);
	cr_assert_str_eq(lua_list(lua_redis, LUA_QUEUE), "1 2");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "1");
}

Test(message_store, full_on_an_empty_queue_leaves_no_key)
{
	cr_assert_str_eq(store_max(1, 9000, 0), "[more]");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(message_store, full_queue_drops_what_expired_at_its_head)
{
	char want[128];
	int64_t then = lua_now_ms(lua_redis);
	redis_text(lua_redis, "RPUSH %s %s %s %s", LUA_QUEUE, lua_record(1, then - 5),
		   lua_record(2, then - 1), lua_record(3, then + 50000));
	cr_assert_str_eq(store_max(4, 9000, 3), "[stored 2]");
	snprintf(want, sizeof want, "[%lld expired chat %s@%lld %s@%lld]", (long long)now, lua_id(1),
		 (long long)then - 5, lua_id(2), (long long)then - 1);
	cr_assert_str_eq(redis_text(lua_redis, "LRANGE %s 0 -1", LUA_JOURNAL), want);
	int64_t ttl = ttl_of(LUA_JOURNAL);
	cr_assert(ttl > KEEP_MS - 9000 && ttl <= KEEP_MS);
	cr_assert_str_eq(store_max(5, 9000, 3), "[stored 3]");
	cr_assert_str_eq(store_max(6, 9000, 3), "[more]");
	cr_assert_str_eq(lua_list(lua_redis, LUA_QUEUE), "3 4 5");
}

Test(message_store, every_sixteenth_store_clears_the_expired_head)
{
	now = lua_now_ms(lua_redis);
	for (unsigned n = 1; n <= 14; n++)
		redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(n, now - 1));
	cr_assert_str_eq(store(15, 9000), "[stored 15]");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_JOURNAL), "0");
	cr_assert_str_eq(store(16, 9000), "[stored 2]");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_JOURNAL), "1");
}

Test(message_store, a_long_expired_head_goes_at_once)
{
	now = lua_now_ms(lua_redis);
	for (unsigned n = 1; n <= 255; n++)
		redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(n, n == 200 ? now + 9000 : now - 1));
	cr_assert_str_eq(store_max(256, 9000, 1000), "[stored 57]");
	cr_assert_eq(memcmp(redis_text(lua_redis, "LINDEX %s 0", LUA_QUEUE), lua_id(200), 26), 0);
}

Test(message_store, repeated_id_is_answered_as_the_first_time)
{
	char want[128];
	cr_assert_str_eq(store_once(1, 100), "[stored 1]");
	snprintf(want, sizeof want, "[duplicate %s stored]", lua_id(1));
	cr_assert_str_eq(store_once(2, 100), want);
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "1");
	cr_assert(ttl_of(LUA_ONCE) > 50000 && ttl_of(LUA_ONCE) <= 60000);
	lua_log_in();
	snprintf(want, sizeof want, "[duplicate %s stored mb1 3 77 1700]", lua_id(1));
	cr_assert_str_eq(store_once(3, 100), want);

	redis_text(lua_redis, "DEL %s", LUA_ONCE);
	store_once(4, 100);
	snprintf(want, sizeof want, "[duplicate %s pushed mb1 3 77 1700]", lua_id(4));
	cr_assert_str_eq(store_once(5, 100), want);
	redis_text(lua_redis, "DEL %s", LUA_PRESENCE);
	snprintf(want, sizeof want, "[duplicate %s pushed]", lua_id(4));
	cr_assert_str_eq(store_once(6, 100), want, "also when the user has left");
}

Test(message_store, a_duplicate_comes_before_all_else)
{
	char want[128];
	store_once(1, 100);
	redis_text(lua_redis, "HSET %s off:* 1", LUA_SETTINGS);
	redis_text(lua_redis, "HSET %s count 1", LUA_INDEX);
	snprintf(want, sizeof want, "[duplicate %s stored]", lua_id(1));
	cr_assert_str_eq(store_once(2, 0), want);
}

Test(message_store, refused_send_may_be_repeated)
{
	store(1, 9000);
	cr_assert_str_eq(store_once(2, 1), "[more]");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_ONCE), "0");
	cr_assert_str_eq(store_once(2, 2), "[stored 2]");
}

Test(message_store, who_wants_nothing_stored_gets_nothing_stored)
{
	static const struct {
		const char *field;
		bool off;
	} cases[] = {
		{"off:chat", true}, {"off:*", true}, {"off:shop", false}, {"off:chat2", false},
		{"off:", false}, {"on:chat", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		redis_text(lua_redis, "FLUSHALL");
		redis_text(lua_redis, "HSET %s %s 1700000000000", LUA_SETTINGS, cases[i].field);
		cr_expect_str_eq(store_once(1, 100), cases[i].off ? "[off]" : "[stored 1]", "%s", cases[i].field);
		cr_expect_str_eq(redis_text(lua_redis, "DBSIZE"), cases[i].off ? "1" : "3");
		redis_text(lua_redis, "DEL %s %s", LUA_QUEUE, LUA_ONCE);
		lua_log_in();
		cr_expect_str_eq(store_once(1, 100),
				 cases[i].off ? "[off '' '' mb1 3 77 1700]" : "[stored 1 '' mb1 3 77 1700]");
		cr_expect_str_eq(redis_text(lua_redis, "DBSIZE"), cases[i].off ? "2" : "4");
	}
}

Test(message_store, a_fan_out_remembers_whom_it_did_not_store_for)
{
	char want[128];
	const int64_t expires = lua_now_ms(lua_redis) + 60000;
#define STORE_MANY(words) lua(lua_redis, SCRIPT_MESSAGE_STORE, 6, LUA_QUEUE, LUA_PRESENCE, LUA_SETTINGS, LUA_INDEX, \
	LUA_JOURNAL, LUA_ONCE, lua_record_of("chat", 1, expires, words, ""), lua_num(expires), \
	lua_num(expires - 60000), "100", "60000", "60000")
	for (unsigned online = 0; online < 2; online++) {
		redis_text(lua_redis, "FLUSHALL");
		redis_text(lua_redis, "HSET %s off:chat 1", LUA_SETTINGS);
		if (online)
			lua_log_in();
		cr_assert_eq(strncmp(STORE_MANY(online ? " t=f f=100" : " f"), "[off", 4), 0);
		snprintf(want, sizeof want, "%s %s", lua_id(1), online ? "pushed" : "dropped");
		cr_expect_str_eq(redis_text(lua_redis, "GET %s", LUA_ONCE), want);
		cr_expect_eq(strncmp(STORE_MANY(" f"), "[duplicate", 10), 0);
	}
}

Test(message_store, an_index_means_message_place)
{
	redis_text(lua_redis, "HSET %s count 0", LUA_INDEX);
	cr_assert_str_eq(store_once(1, 100), "[more]");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "1");
	redis_text(lua_redis, "HSET %s off:chat 1", LUA_SETTINGS);
	cr_assert_str_eq(store_once(1, 100), "[off]", "there is nothing to place");
}

Test(message_store, body_may_hold_any_bytes)
{
	static const char record[] = "01JDCF3K7Q9R8W2ZT5XV6Y0001 chat 1700000000000 9999999999999 -\n\0\r\n\xff\0";
	const size_t len = sizeof record - 1;
	freeReplyObject(redisCommand(lua_redis, "SCRIPT LOAD %s", scripts[SCRIPT_MESSAGE_STORE].source));
	freeReplyObject(redisCommand(lua_redis, "EVALSHA %s 5 %s %s %s %s %s %b 9999999999999 1 10 1 1",
				     scripts[SCRIPT_MESSAGE_STORE].sha1, KEYS, record, len));
	redisReply *r = redisCommand(lua_redis, "LINDEX %s 0", LUA_QUEUE);
	cr_assert_eq(r->len, len);
	cr_assert_eq(memcmp(r->str, record, len), 0);
	freeReplyObject(r);
}

Test(message_store, wrong_arguments_are_refused_before_anything_is_written)
{
	static const char *const wrong = "!ERR message_store: wants 5 or 6 KEYS and 6 ARGV";
	static const char *const no_number =
		"!ERR message_store: expires, now, max_count, keep, once_ttl must be numbers";
	const char *r = lua_record(1, 9999999999999);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 4, LUA_QUEUE, LUA_PRESENCE, LUA_SETTINGS,
			     LUA_INDEX, r, "1", "1", "1", "1", "1"), wrong);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 5, KEYS, r, "1", "1", "1", "1"), wrong);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 5, KEYS, r, "1", "1", "1", "1", "1", "1"), wrong);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 7, KEYS, LUA_ONCE, LUA_ONCE, r, "1", "1", "1", "1",
			     "1"), wrong);
	for (int i = 0; i < 5; i++) {
		const char *a[5] = {"9999999999999", "1", "1", "1", "1"};
		a[i] = "x";
		cr_expect_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 5, KEYS, r, a[0], a[1], a[2], a[3], a[4]),
				 no_number, "%d", i);
	}
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 6, KEYS, LUA_ONCE, r, "9999999999999", "1", "1", "1", "0"),
			 no_number, "Redis takes no such time");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(message_store, what_is_no_record_is_refused)
{
	static const char *const odd[] = {
		"", "x", "01JDCF3K7Q9R8W2ZT5XV6Y0001", "01JDCF3K7Q9R8W2ZT5XV6Y0001 chat",
		"01JDCF3K7Q9R8W2ZT5XV6Y0001 chat 1700000000000 soon -\nhello",
	};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		cr_expect_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 5, KEYS, odd[i], "9999999999999", "1", "9",
				     "1", "1"), "!ERR message_store: not a record", "%zu", i);
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(message_store, key_of_another_type_changes_nothing)
{
	static const char *const all[] = {KEYS, LUA_ONCE};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		/* Whether there is an index is all that is asked of it. */
		if (strcmp(all[i], LUA_INDEX) == 0)
			continue;
		redis_text(lua_redis, "FLUSHALL");
		redis_text(lua_redis, "ZADD %s 1 x", all[i]);
		const char *got = store_once(1, 100);
		cr_expect_not_null(strstr(got, "WRONGTYPE"), "%s: %s", all[i], got);
		cr_expect_str_eq(redis_text(lua_redis, "DBSIZE"), "1", "%s", all[i]);
	}
}

Test(message_store, full_redis_refuses_stores_but_lets_itself_be_emptied)
{
	char filler[4096];
	memset(filler, 'x', sizeof filler - 1);
	filler[sizeof filler - 1] = '\0';
	lua_log_in();
	store(1, 9000);
	store(2, 9000);
	redis_text(lua_redis, "SET filler %s", filler);
	redis_text(lua_redis, "HSET %s chat 2", LUA_MISSED);
	redis_text(lua_redis, "CONFIG SET maxmemory 1");
	cr_assert_not_null(strstr(store_once(3, 100), "OOM"));
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "2");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_ONCE), "0");

	const char *got = lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700",
			      "", "0", "10", "65536", lua_num(now), "1000", "normal");
	cr_assert_eq(strncmp(got, "[ok 0 0 01JD", 12), 0, "%s", got);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_RENEW, 4, LUA_PRESENCE, LUA_LANES, "1700", "mb1",
			     "3", "77", "127.0.0.1:9", "1", "60000"), "[2 0 0]");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700",
			     lua_num(now), "1000", lua_id(1), "1"), "[ok 1 1]");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 4, LUA_LANES, LUA_JOURNAL, lua_num(now), "1000"), "0");
	got = lua(lua_redis, SCRIPT_MESSAGE_STATUS, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "chat", lua_id(1), "1");
	cr_assert_eq(strncmp(got, "[acknowledged ", 14), 0, "%s", got);
	got = lua(lua_redis, SCRIPT_MESSAGE_WITHDRAW, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "chat", "", "1",
		  "1000");
	cr_assert_eq(strncmp(got, "[1 mb1 ", 7), 0, "%s", got);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MISSED_TOLD, 2, LUA_MISSED, LUA_PRESENCE, "1700", "chat", "1"), "1");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_CLEAR, 1, LUA_PRESENCE, "1700", "60000"), "1");
	got = lua(lua_redis, SCRIPT_PRESENCE_CLAIM, 6, LUA_PRESENCE, LUA_LANES, LUA_CURSOR, LUA_MISSED, "mb2", "1",
		  "5", "127.0.0.1:9", "60000");
	cr_assert_neq(got[0], '!', "%s", got);
	got = lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, "rs:dc:dc1", "5000", "boot", "1");
	cr_assert_neq(got[0], '!', "%s", got);
}
