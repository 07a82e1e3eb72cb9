/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>

TestSuite(app_create, .init = lua_setup, .fini = lua_teardown);

#define APP "rs:app:chat"

Test(app_create, once_and_for_ever)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, APP, "abc", "1700000000000"), "1");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, APP, "def", "1700000000001", "rate", "5"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET " APP " key created rate"), "[abc 1700000000000 nil]");
	cr_assert_str_eq(redis_text(lua_redis, "TTL " APP), "-1");
}

Test(app_create, with_limits)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, APP, "abc", "17", "rate", "5", "burst", "",
			     "overflow", "drop-oldest"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET " APP " key created rate burst overflow"),
			 "[abc 17 5 nil drop-oldest]");
	cr_assert_str_eq(redis_text(lua_redis, "HLEN " APP), "4");
}

Test(app_create, wrong_arguments)
{
	const char *want = "!ERR app_create: wants 1 KEYS, a key, created and pairs of field and value as ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, APP, "abc"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, APP, "abc", "17", "rate"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 2, APP, APP, "abc", "17"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, APP, "abc", "now"),
			 "!ERR app_create: created must be a number");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}
