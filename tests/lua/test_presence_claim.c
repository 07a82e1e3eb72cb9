/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(presence_claim, .init = lua_setup, .fini = lua_teardown);

#define KEYS LUA_PRESENCE, LUA_LANES, LUA_CURSOR, LUA_MISSED

static const char *claim(const char *broker, const char *conn)
{
	return lua(lua_redis, SCRIPT_PRESENCE_CLAIM, 6, KEYS, broker, "3", conn, "127.0.0.1:40000", "45000");
}

static const char *field(const char *name)
{
	return redis_text(lua_redis, "HGET %s %s", LUA_PRESENCE, name);
}

Test(presence_claim, first_login_writes_a_readable_hash)
{
	char want[64];
	int64_t before = lua_now_ms(lua_redis);
	const char *got = claim("mb1", "77");
	int64_t after = lua_now_ms(lua_redis);
	snprintf(want, sizeof want, "[%s [0 0 0] '' []]", field("owner"));
	cr_assert_str_eq(got, want);
	int64_t owner = atoll(field("owner")), since = atoll(field("since"));
	cr_assert(owner >= before * 1000 && owner <= after * 1000 + 999, "token is Redis's time in us");
	cr_assert(since >= before && since <= after);
	cr_assert_eq(atoll(field("lease")), since + 45000);
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s broker boot conn address", LUA_PRESENCE),
			 "[mb1 3 77 127.0.0.1:40000]");
	cr_assert_str_eq(redis_text(lua_redis, "TYPE %s", LUA_PRESENCE), "hash");
	cr_assert_str_eq(redis_text(lua_redis, "HLEN %s", LUA_PRESENCE), "7");
	int64_t ttl = atoll(redis_text(lua_redis, "PTTL %s", LUA_PRESENCE));
	cr_assert(ttl > 40000 && ttl <= 45000);
}

Test(presence_claim, second_login_is_told_whom_it_replaced)
{
	char want[128], first[32];
	claim("mb1", "77");
	strcpy(first, field("owner"));
	redis_text(lua_redis, "RPUSH %s a b", LUA_QUEUE);
	const char *got = claim("mb2", "78");
	snprintf(want, sizeof want, "[%s [2 0 0] '' [] mb1 3 77 %s]", field("owner"), first);
	cr_assert_str_eq(got, want);
	cr_assert_gt(atoll(field("owner")), atoll(first));
}

Test(presence_claim, two_brokers_in_turn_only_ever_raise_the_token)
{
	int64_t last = 0;
	for (int i = 0; i < 200; i++) {
		claim(i % 2 ? "mb1" : "mb2", "1");
		int64_t owner = atoll(field("owner"));
		cr_assert_gt(owner, last);
		last = owner;
	}
}

Test(presence_claim, token_grows_even_if_the_clock_went_back)
{
	redis_text(lua_redis, "HSET %s owner 8000000000000000", LUA_PRESENCE);
	cr_assert_str_eq(claim("mb1", "1"), "[8000000000000001 [0 0 0] '' []]");
	cr_assert_str_eq(claim("mb1", "2"), "[8000000000000002 [0 0 0] '' [] mb1 3 1 8000000000000001]");
}

Test(presence_claim, tombstone_is_no_login)
{
	redis_text(lua_redis, "HSET %s owner 1700 seen 5", LUA_PRESENCE);
	const char *got = claim("mb1", "1");
	cr_assert_str_eq(strchr(got, ' '), " [0 0 0] '' []]");
	cr_assert_null(strstr(got, "1700 "), "%s", got);
	cr_assert_str_eq(field("seen"), "nil");
}

Test(presence_claim, the_cursor_is_told)
{
	char want[64];
	redis_text(lua_redis, "SET %s 1795471644540688", LUA_CURSOR);
	const char *got = claim("mb1", "77");
	snprintf(want, sizeof want, "[%s [0 0 0] 1795471644540688 []]", field("owner"));
	cr_assert_str_eq(got, want);
}

Test(presence_claim, what_waits_in_each_lane_and_what_was_missed_is_told)
{
	char want[128];
	redis_text(lua_redis, "RPUSH %s a", LUA_QUEUE);
	redis_text(lua_redis, "RPUSH %s a b", LUA_HIGH);
	redis_text(lua_redis, "RPUSH %s a b c", LUA_LOW);
	redis_text(lua_redis, "HSET %s chat 7 shop 2", LUA_MISSED);
	const char *got = claim("mb1", "77");
	snprintf(want, sizeof want, "[%s [1 2 3] '' [chat 7 shop 2]]", field("owner"));
	cr_assert_str_eq(got, want);
	cr_assert_str_eq(redis_text(lua_redis, "HLEN %s", LUA_MISSED), "2", "until the client has taken it");
}

Test(presence_claim, nothing_is_handed_over_in_a_new_login)
{
	redis_text(lua_redis, "HSET %s owner 1700 broker mb1 handed:normal x handed:high y handed:low z", LUA_PRESENCE);
	claim("mb2", "1");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s handed:normal handed:high handed:low", LUA_PRESENCE),
			 "[nil nil nil]");
}

Test(presence_claim, a_key_of_another_type_changes_nothing)
{
	static const char *const keys[] = {LUA_LANES, LUA_CURSOR, LUA_MISSED};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		redis_text(lua_redis, "FLUSHALL");
		redis_text(lua_redis, "ZADD %s 1 x", keys[i]);
		cr_expect_not_null(strstr(claim("mb1", "77"), "WRONGTYPE"), "%s", keys[i]);
		cr_expect_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_PRESENCE), "0", "%s", keys[i]);
	}
}

Test(presence_claim, the_old_owner_is_fenced_everywhere)
{
	char old[32];
	claim("mb1", "77");
	strcpy(old, field("owner"));
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(1, 9999999999999));
	claim("mb2", "78");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, old, "",
			     "0", "9", "9999", "1", "1", "normal"), "[fenced]");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, old, "1", "1",
			     lua_id(1), "1"), "[fenced]");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MISSED_TOLD, 2, LUA_MISSED, LUA_PRESENCE, old, "chat", "1"), "-1");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_RENEW, 4, LUA_PRESENCE, LUA_LANES, old, "mb1", "3", "77",
			     "127.0.0.1:1", "1", "45000"), "-1");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_CLEAR, 1, LUA_PRESENCE, old, "1000"), "0");
	cr_assert_str_eq(field("broker"), "mb2");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "1");
}

Test(presence_claim, wrong_arguments)
{
	const char *want = "!ERR presence_claim: wants 6 KEYS and 5 ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_CLAIM, 6, KEYS, "mb1", "3", "77", "a"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_CLAIM, 3, LUA_PRESENCE, LUA_QUEUE, LUA_CURSOR, "mb1", "3",
			     "77", "a", "1"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_CLAIM, 6, KEYS, "mb1", "3", "77", "a", "long"),
			 "!ERR presence_claim: lease must be a number");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}
