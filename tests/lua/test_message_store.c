/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(message_store, .init = lua_setup, .fini = lua_teardown);

static int64_t now;

static const char *store_max(unsigned n, int64_t ttl, int max)
{
	now = lua_now_ms(lua_redis);
	return lua(lua_redis, SCRIPT_MESSAGE_STORE, 2, LUA_QUEUE, LUA_PRESENCE,
		   lua_record(n, now + ttl), lua_num(now + ttl), lua_num(now), lua_num(max), "60000");
}

static const char *store(unsigned n, int64_t ttl) { return store_max(n, ttl, 100); }

static const char *store_once(unsigned n, int max)
{
	now = lua_now_ms(lua_redis);
	return lua(lua_redis, SCRIPT_MESSAGE_STORE, 3, LUA_QUEUE, LUA_PRESENCE, LUA_ONCE,
		   lua_record(n, now + 9000), lua_num(now + 9000), lua_num(now), lua_num(max), "60000");
}

static void log_in(void)
{
	redis_text(lua_redis, "HSET %s broker mb1 boot 3 conn 77 owner 1700 address 127.0.0.1:9", LUA_PRESENCE);
}

static int64_t ttl_of(const char *key) { return atoll(redis_text(lua_redis, "PTTL %s", key)); }

Test(message_store, offline_user_gets_the_message_kept)
{
	cr_assert_str_eq(store(1, 9000), "[stored 1]");
	cr_assert_str_eq(store(2, 9000), "[stored 2]");
	cr_assert_str_eq(redis_text(lua_redis, "TYPE %s", LUA_QUEUE), "list");
	cr_assert_str_eq(redis_text(lua_redis, "LINDEX %s -1", LUA_QUEUE), lua_record(2, now + 9000));
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_PRESENCE), "0");
}

Test(message_store, online_user_is_named_with_the_message_before)
{
	char want[128];
	log_in();
	cr_assert_str_eq(store(1, 9000), "[stored 1 '' mb1 3 77 1700]");
	snprintf(want, sizeof want, "[stored 2 %s mb1 3 77 1700]", lua_id(1));
	cr_assert_str_eq(store(2, 9000), want);
}

Test(message_store, tombstone_means_offline)
{
	redis_text(lua_redis, "HSET %s owner 1700 seen 1", LUA_PRESENCE);
	cr_assert_str_eq(store(1, 9000), "[stored 1]");
}

Test(message_store, key_lives_as_long_as_its_longest_message)
{
	store(1, 50000);
	cr_assert(ttl_of(LUA_QUEUE) > 45000 && ttl_of(LUA_QUEUE) <= 50000);
	store(2, 3000);
	cr_assert(ttl_of(LUA_QUEUE) > 40000, "a short one must not shorten it");
	store(3, 90000);
	cr_assert(ttl_of(LUA_QUEUE) > 80000, "a long one must lengthen it");
}

Test(message_store, key_is_gone_when_the_last_message_would_be)
{
	store(1, 60);
	store(2, 120);
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_QUEUE), "1");
	int64_t until = now + 10000;
	while (strcmp(redis_text(lua_redis, "EXISTS %s", LUA_QUEUE), "0") != 0)
		cr_assert_lt(lua_now_ms(lua_redis), until);
	cr_assert_geq(lua_now_ms(lua_redis), now + 120);
}

Test(message_store, full_queue_refuses_and_changes_nothing)
{
	store_max(1, 9000, 2);
	store_max(2, 9000, 2);
	int64_t before = ttl_of(LUA_QUEUE);
	cr_assert_str_eq(store_max(3, 90000, 2), "[full 2]");
	cr_assert_leq(ttl_of(LUA_QUEUE), before);
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "2");
	cr_assert_eq(memcmp(redis_text(lua_redis, "LINDEX %s -1", LUA_QUEUE), lua_id(2), 26), 0);
}

Test(message_store, full_on_an_empty_queue_leaves_no_key)
{
	cr_assert_str_eq(store_max(1, 9000, 0), "[full 0]");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(message_store, full_queue_drops_what_expired_at_its_head)
{
	now = lua_now_ms(lua_redis);
	redis_text(lua_redis, "RPUSH %s %s %s %s", LUA_QUEUE, lua_record(1, now - 5),
		   lua_record(2, now - 1), lua_record(3, now + 50000));
	cr_assert_str_eq(store_max(4, 9000, 3), "[stored 2]");
	cr_assert_str_eq(store_max(5, 9000, 3), "[stored 3]");
	cr_assert_str_eq(store_max(6, 9000, 3), "[full 3]");
}

Test(message_store, every_sixteenth_store_clears_the_expired_head)
{
	now = lua_now_ms(lua_redis);
	for (unsigned n = 1; n <= 14; n++)
		redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(n, now - 1));
	cr_assert_str_eq(store(15, 9000), "[stored 15]");
	cr_assert_str_eq(store(16, 9000), "[stored 2]");
}

Test(message_store, repeated_id_is_a_duplicate)
{
	char want[128];
	cr_assert_str_eq(store_once(1, 100), "[stored 1]");
	snprintf(want, sizeof want, "[duplicate %s]", lua_id(1));
	cr_assert_str_eq(store_once(2, 100), want);
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "1");
	cr_assert(ttl_of(LUA_ONCE) > 50000 && ttl_of(LUA_ONCE) <= 60000);
	log_in();
	snprintf(want, sizeof want, "[duplicate %s '' mb1 3 77 1700]", lua_id(1));
	cr_assert_str_eq(store_once(3, 100), want);
}

Test(message_store, refused_send_may_be_repeated)
{
	store(1, 9000);
	cr_assert_str_eq(store_once(2, 1), "[full 1]");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_ONCE), "0");
	cr_assert_str_eq(store_once(2, 2), "[stored 2]");
}

Test(message_store, body_may_hold_any_bytes)
{
	static const char record[] = "01JDCF3K7Q9R8W2ZT5XV6Y0001 chat 1700000000000 9999999999999 -\n\0\r\n\xff\0";
	const size_t len = sizeof record - 1;
	freeReplyObject(redisCommand(lua_redis, "SCRIPT LOAD %s", scripts[SCRIPT_MESSAGE_STORE].source));
	freeReplyObject(redisCommand(lua_redis, "EVALSHA %s 2 %s %s %b 9999999999999 1 10 1",
				     scripts[SCRIPT_MESSAGE_STORE].sha1, LUA_QUEUE, LUA_PRESENCE, record, len));
	redisReply *r = redisCommand(lua_redis, "LINDEX %s 0", LUA_QUEUE);
	cr_assert_eq(r->len, len);
	cr_assert_eq(memcmp(r->str, record, len), 0);
	freeReplyObject(r);
}

Test(message_store, wrong_arguments_are_refused_before_anything_is_written)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 1, LUA_QUEUE, "r", "1", "1", "1", "1"),
			 "!ERR message_store: wants 2 or 3 KEYS and 5 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 2, LUA_QUEUE, LUA_PRESENCE, "r", "1", "1", "1"),
			 "!ERR message_store: wants 2 or 3 KEYS and 5 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STORE, 2, LUA_QUEUE, LUA_PRESENCE, "r", "x", "1", "1", "1"),
			 "!ERR message_store: expires, now, max_count, once_ttl must be numbers");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(message_store, key_of_another_type_changes_nothing)
{
	redis_text(lua_redis, "SET %s x", LUA_PRESENCE);
	cr_assert_not_null(strstr(store(1, 9000), "WRONGTYPE"));
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_QUEUE), "0");
}

Test(message_store, full_redis_refuses_stores_but_lets_itself_be_emptied)
{
	char filler[4096];
	memset(filler, 'x', sizeof filler - 1);
	filler[sizeof filler - 1] = '\0';
	log_in();
	store(1, 9000);
	redis_text(lua_redis, "SET filler %s", filler);
	redis_text(lua_redis, "CONFIG SET maxmemory 1");
	cr_assert_not_null(strstr(store_once(2, 100), "OOM"));
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "1");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_ONCE), "0");

	const char *got = lua(lua_redis, SCRIPT_MESSAGE_FETCH, 2, LUA_QUEUE, LUA_PRESENCE, "1700", "",
			      "0", "10", "65536", lua_num(now));
	cr_assert_eq(strncmp(got, "[ok 0 0 01JD", 12), 0, "%s", got);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_RENEW, 2, LUA_PRESENCE, LUA_QUEUE, "1700", "mb1",
			     "3", "77", "127.0.0.1:9", "1", "60000"), "1");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 2, LUA_QUEUE, LUA_PRESENCE, "1700", lua_id(1)),
			 "[ok 1 0]");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 1, LUA_QUEUE, lua_num(now)), "0");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_CLEAR, 1, LUA_PRESENCE, "1700", "60000"), "1");
	got = lua(lua_redis, SCRIPT_PRESENCE_CLAIM, 2, LUA_PRESENCE, LUA_QUEUE, "mb2", "1", "5",
		  "127.0.0.1:9", "60000");
	cr_assert_neq(got[0], '!', "%s", got);
	got = lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, "rs:dc:dc1", "5000", "boot", "1");
	cr_assert_neq(got[0], '!', "%s", got);
}
