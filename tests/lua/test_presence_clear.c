/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(presence_clear, .init = lua_setup, .fini = lua_teardown);

static const char *clear(const char *owner)
{
	return lua(lua_redis, SCRIPT_PRESENCE_CLEAR, 1, LUA_PRESENCE, owner, "60000");
}

static void log_in(void)
{
	redis_text(lua_redis, "HSET %s broker mb1 boot 3 conn 77 owner 1700 address a:1 since 5 lease 6 "
		   "handed:normal x handed:high y handed:low z", LUA_PRESENCE);
}

Test(presence_clear, leaves_a_tombstone)
{
	log_in();
	int64_t before = lua_now_ms(lua_redis);
	cr_assert_str_eq(clear("1700"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "HLEN %s", LUA_PRESENCE), "2");
	cr_assert_str_eq(redis_text(lua_redis, "HGET %s owner", LUA_PRESENCE), "1700");
	int64_t seen = atoll(redis_text(lua_redis, "HGET %s seen", LUA_PRESENCE));
	cr_assert(seen >= before && seen <= lua_now_ms(lua_redis));
	int64_t ttl = atoll(redis_text(lua_redis, "PTTL %s", LUA_PRESENCE));
	cr_assert(ttl > 50000 && ttl <= 60000);
}

Test(presence_clear, only_the_owner)
{
	log_in();
	cr_assert_str_eq(clear("1699"), "0");
	cr_assert_str_eq(clear("1701"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "HLEN %s", LUA_PRESENCE), "10");
}

Test(presence_clear, nobody_there)
{
	cr_assert_str_eq(clear("1700"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
	log_in();
	clear("1700");
	cr_assert_str_eq(clear("1700"), "0", "a second time");
}

Test(presence_clear, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_CLEAR, 1, LUA_PRESENCE, "1700"),
			 "!ERR presence_clear: wants 1 KEYS and 2 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_PRESENCE_CLEAR, 1, LUA_PRESENCE, "1700", "long"),
			 "!ERR presence_clear: tombstone must be a number");
}
