/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <string.h>

static void setup(void)
{
	lua_setup_online();
	redis_text(lua_redis, "HSET %s chat 5 shop 2", LUA_MISSED);
}

TestSuite(missed_told, .init = setup, .fini = lua_teardown);

#define TOLD(owner, app, count) lua(lua_redis, SCRIPT_MISSED_TOLD, 2, LUA_MISSED, LUA_PRESENCE, owner, app, count)

static const char *missed(void) { return redis_text(lua_redis, "HMGET %s chat shop", LUA_MISSED); }

Test(missed_told, of_all_of_them)
{
	cr_assert_str_eq(TOLD("1700", "chat", "5"), "0");
	cr_assert_str_eq(missed(), "[nil 2]");
	cr_assert_str_eq(TOLD("1700", "chat", "5"), "0", "a second time");
	cr_assert_str_eq(TOLD("1700", "shop", "2"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_MISSED), "0");
}

/* More were displaced while the notice was under way. */
Test(missed_told, of_a_part)
{
	redis_text(lua_redis, "PEXPIRE %s 60000", LUA_MISSED);
	cr_assert_str_eq(TOLD("1700", "chat", "3"), "2");
	cr_assert_str_eq(missed(), "[2 2]");
	cr_assert_str_neq(redis_text(lua_redis, "PTTL %s", LUA_MISSED), "-1", "it keeps its end");
	cr_assert_str_eq(TOLD("1700", "chat", "2"), "0");
}

Test(missed_told, of_more_than_there_are)
{
	cr_assert_str_eq(TOLD("1700", "chat", "9"), "0");
	cr_assert_str_eq(TOLD("1700", "none", "9"), "0");
	cr_assert_str_eq(missed(), "[nil 2]");
}

Test(missed_told, what_is_no_number_goes)
{
	redis_text(lua_redis, "HSET %s chat many", LUA_MISSED);
	cr_assert_str_eq(TOLD("1700", "chat", "1"), "0");
	cr_assert_str_eq(missed(), "[nil 2]");
}

Test(missed_told, only_the_owner)
{
	cr_assert_str_eq(TOLD("1699", "chat", "5"), "-1");
	redis_text(lua_redis, "DEL %s", LUA_PRESENCE);
	cr_assert_str_eq(TOLD("1700", "chat", "5"), "-1");
	cr_assert_str_eq(missed(), "[5 2]");
}

Test(missed_told, wrong_arguments_and_types_change_nothing)
{
	const char *want = "!ERR missed_told: wants 2 KEYS and 3 ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MISSED_TOLD, 2, LUA_MISSED, LUA_PRESENCE, "1700", "chat"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MISSED_TOLD, 1, LUA_MISSED, "1700", "chat", "1"), want);
	cr_assert_str_eq(TOLD("1700", "chat", "many"), "!ERR missed_told: count must be a number");
	cr_assert_str_eq(missed(), "[5 2]");
	redis_text(lua_redis, "DEL %s", LUA_MISSED);
	redis_text(lua_redis, "SET %s x", LUA_MISSED);
	cr_assert_not_null(strstr(TOLD("1700", "chat", "1"), "WRONGTYPE"));
}
