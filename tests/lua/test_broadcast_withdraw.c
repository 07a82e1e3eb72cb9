/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t now;

/* Three are kept, of the App "chat"; the first one longest. */
static void setup(void)
{
	lua_setup();
	now = lua_now_ms(lua_redis);
	for (unsigned n = 1; n <= 3; n++) {
		int64_t expires = now + (n == 1 ? 3600000 : 60000 * n);
		const char *got = lua(lua_redis, SCRIPT_BROADCAST_ADD, 2, LUA_KEPT, LUA_VERSION,
				      lua_record(n, expires), lua_num(expires), lua_num(now), "256", "1000");
		cr_assert_eq(strncmp(got, "[kept ", 6), 0, "%s", got);
	}
}

TestSuite(broadcast_withdraw, .init = setup, .fini = lua_teardown);

#define WITHDRAW(app, id) lua(lua_redis, SCRIPT_BROADCAST_WITHDRAW, 2, LUA_KEPT, LUA_VERSION, app, id)

static int64_t version(void) { return atoll(redis_text(lua_redis, "GET %s", LUA_VERSION)); }
static const char *count(void) { return redis_text(lua_redis, "ZCARD %s", LUA_KEPT); }

Test(broadcast_withdraw, an_app_takes_back_its_own)
{
	int64_t before = version();
	cr_assert_str_eq(WITHDRAW("chat", lua_id(2)), "1");
	cr_assert_str_eq(count(), "2");
	cr_assert_null(strstr(redis_text(lua_redis, "ZRANGE %s 0 -1", LUA_KEPT), lua_id(2)));
	cr_assert_gt(version(), before, "the brokers see it by that");
	cr_assert_str_eq(WITHDRAW("chat", lua_id(2)), "0", "a second time there is none");
}

Test(broadcast_withdraw, not_another_apps)
{
	int64_t before = version();
	cr_assert_str_eq(WITHDRAW("shop", lua_id(2)), "0");
	cr_assert_str_eq(WITHDRAW("cha", lua_id(2)), "0");
	cr_assert_str_eq(count(), "3");
	cr_assert_eq(version(), before);
}

Test(broadcast_withdraw, the_operator_takes_back_any)
{
	cr_assert_str_eq(WITHDRAW("", lua_id(2)), "1");
	cr_assert_str_eq(count(), "2");
}

Test(broadcast_withdraw, an_unknown_id_changes_nothing)
{
	int64_t before = version();
	cr_assert_str_eq(WITHDRAW("chat", lua_id(4)), "0");
	cr_assert_str_eq(WITHDRAW("chat", "01JDCF3K7Q"), "0", "a beginning of an id is none");
	cr_assert_str_eq(WITHDRAW("", ""), "0");
	cr_assert_eq(version(), before);
}

Test(broadcast_withdraw, the_key_goes_with_the_longest_left)
{
	cr_assert_str_eq(WITHDRAW("chat", lua_id(1)), "1");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_KEPT)), now + 180000);
	WITHDRAW("chat", lua_id(2));
	WITHDRAW("chat", lua_id(3));
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_KEPT), "0");
}

Test(broadcast_withdraw, the_number_of_the_last_is_never_given_again)
{
	redis_text(lua_redis, "SET %s 8000000000000000", LUA_VERSION);
	WITHDRAW("chat", lua_id(3));
	cr_assert_eq(version(), 8000000000000001);
}

Test(broadcast_withdraw, works_in_a_full_redis)
{
	redis_text(lua_redis, "CONFIG SET maxmemory 1");
	cr_assert_str_eq(WITHDRAW("chat", lua_id(1)), "1");
}

Test(broadcast_withdraw, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_BROADCAST_WITHDRAW, 1, LUA_KEPT, "chat", lua_id(1)),
			 "!ERR broadcast_withdraw: wants 2 KEYS and 2 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_BROADCAST_WITHDRAW, 2, LUA_KEPT, LUA_VERSION, lua_id(1)),
			 "!ERR broadcast_withdraw: wants 2 KEYS and 2 ARGV");
	cr_assert_str_eq(count(), "3");
}
