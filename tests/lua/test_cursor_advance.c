/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static int64_t now;

static void setup(void)
{
	lua_setup();
	now = lua_now_ms(lua_redis);
	redis_text(lua_redis, "HSET %s broker mb1 boot 3 conn 77 owner 1700", LUA_PRESENCE);
}

TestSuite(cursor_advance, .init = setup, .fini = lua_teardown);

static const char *advance(const char *owner, const char *number, int64_t expires)
{
	return lua(lua_redis, SCRIPT_CURSOR_ADVANCE, 2, LUA_CURSOR, LUA_PRESENCE, owner, number, lua_num(expires));
}

static const char *cursor(void) { return redis_text(lua_redis, "GET %s", LUA_CURSOR); }
static int64_t ends(void) { return atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_CURSOR)); }

Test(cursor_advance, goes_forward_only)
{
	cr_assert_str_eq(advance("1700", "1795471644540688", now + 60000), "1");
	cr_assert_str_eq(cursor(), "1795471644540688");
	cr_assert_str_eq(advance("1700", "1795471644540688", now + 60000), "0");
	cr_assert_str_eq(advance("1700", "1795471644540687", now + 60000), "0");
	cr_assert_str_eq(cursor(), "1795471644540688");
	cr_assert_str_eq(advance("1700", "1795471644540689", now + 60000), "1");
	cr_assert_str_eq(cursor(), "1795471644540689");
}

Test(cursor_advance, goes_with_the_longest_broadcast)
{
	advance("1700", "5", now + 60000);
	cr_assert_eq(ends(), now + 60000);
	advance("1700", "6", now + 90000);
	cr_assert_eq(ends(), now + 90000);
	advance("1700", "7", now + 1000);
	cr_assert_eq(ends(), now + 90000, "its end is not put forward");
}

Test(cursor_advance, one_that_is_over_leaves_nothing)
{
	cr_assert_str_eq(advance("1700", "5", now - 1), "1");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_CURSOR), "0");
}

Test(cursor_advance, is_fenced)
{
	cr_assert_str_eq(advance("1699", "5", now + 60000), "-1");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_CURSOR), "0");
	redis_text(lua_redis, "DEL %s", LUA_PRESENCE);
	cr_assert_str_eq(advance("1700", "5", now + 60000), "-1");
}

Test(cursor_advance, counts_after_a_logout)
{
	lua(lua_redis, SCRIPT_PRESENCE_CLEAR, 1, LUA_PRESENCE, "1700", "60000");
	cr_assert_str_eq(advance("1700", "5", now + 60000), "1");
}

Test(cursor_advance, works_in_a_full_redis)
{
	redis_text(lua_redis, "CONFIG SET maxmemory 1");
	cr_assert_str_eq(advance("1700", "5", now + 60000), "1");
}

Test(cursor_advance, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_CURSOR_ADVANCE, 2, LUA_CURSOR, LUA_PRESENCE, "1700", "5"),
			 "!ERR cursor_advance: wants 2 KEYS and 3 ARGV");
	cr_assert_str_eq(advance("1700", "five", now), "!ERR cursor_advance: number and expires must be numbers");
	cr_assert_str_eq(advance("1700", "5", -1), "!ERR cursor_advance: number and expires must be numbers");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_CURSOR), "0");
}
