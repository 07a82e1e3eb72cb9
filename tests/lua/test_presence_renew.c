/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(presence_renew, .init = lua_setup, .fini = lua_teardown);

static const char *renew(const char *owner, const char *address)
{
	return lua(lua_redis, SCRIPT_PRESENCE_RENEW, 4, LUA_PRESENCE, LUA_LANES, owner, "mb1", "3", "77",
		   address, "1700000000000", "45000");
}

static void assert_leased(int64_t since)
{
	int64_t now = lua_now_ms(lua_redis);
	int64_t lease = atoll(redis_text(lua_redis, "HGET %s lease", LUA_PRESENCE));
	int64_t ttl = atoll(redis_text(lua_redis, "PTTL %s", LUA_PRESENCE));
	cr_assert(lease >= since + 45000 && lease <= now + 45000);
	cr_assert(ttl > 40000 && ttl <= 45000);
}

Test(presence_renew, prolongs_the_lease_and_tells_the_lengths_of_the_queues)
{
	int64_t before = lua_now_ms(lua_redis);
	redis_text(lua_redis, "HSET %s broker mb1 boot 3 conn 77 owner 1700 address a:1 since 5 lease 6", LUA_PRESENCE);
	cr_assert_str_eq(renew("1700", "b:2"), "[0 0 0]");
	assert_leased(before);
	redis_text(lua_redis, "RPUSH %s a b c", LUA_QUEUE);
	redis_text(lua_redis, "RPUSH %s a", LUA_HIGH);
	redis_text(lua_redis, "RPUSH %s a b", LUA_LOW);
	cr_assert_str_eq(renew("1700", "b:2"), "[3 1 2]");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s broker owner address since", LUA_PRESENCE),
			 "[mb1 1700 b:2 5]");
}

Test(presence_renew, what_was_handed_over_stays_known)
{
	redis_text(lua_redis, "HSET %s broker mb1 owner 1700 handed:high x", LUA_PRESENCE);
	renew("1700", "b:2");
	cr_assert_str_eq(redis_text(lua_redis, "HGET %s handed:high", LUA_PRESENCE), "x");
}

Test(presence_renew, a_key_of_another_type_changes_nothing)
{
	redis_text(lua_redis, "SET %s x", LUA_LOW);
	cr_assert_eq(renew("1700", "b:2")[0], '!');
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_PRESENCE), "0");
}

Test(presence_renew, makes_again_what_redis_lost)
{
	int64_t before = lua_now_ms(lua_redis);
	cr_assert_str_eq(renew("1700", "b:2"), "[0 0 0]");
	assert_leased(before);
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s broker boot conn owner address since", LUA_PRESENCE),
			 "[mb1 3 77 1700 b:2 1700000000000]");
}

Test(presence_renew, another_owner_or_a_tombstone_is_fenced)
{
	redis_text(lua_redis, "HSET %s broker mb2 boot 1 conn 1 owner 1701", LUA_PRESENCE);
	cr_assert_str_eq(renew("1700", "b:2"), "-1");
	cr_assert_str_eq(redis_text(lua_redis, "PTTL %s", LUA_PRESENCE), "-1", "untouched");
	redis_text(lua_redis, "DEL %s", LUA_PRESENCE);
	redis_text(lua_redis, "HSET %s owner 1700 seen 5", LUA_PRESENCE);
	cr_assert_str_eq(renew("1700", "b:2"), "-1");
	cr_assert_str_eq(redis_text(lua_redis, "HLEN %s", LUA_PRESENCE), "2");
}

Test(presence_renew, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_RENEW, 4, LUA_PRESENCE, LUA_LANES, "1", "mb1", "3", "7", "a", "1"),
			 "!ERR presence_renew: wants 4 KEYS and 7 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_RENEW, 4, LUA_PRESENCE, LUA_LANES, "1", "mb1", "3", "7", "a", "1",
			     "x"),
			 "!ERR presence_renew: lease must be a number");
}
