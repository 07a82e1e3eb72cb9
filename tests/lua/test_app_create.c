/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>

TestSuite(app_create, .init = lua_setup, .fini = lua_teardown);

Test(app_create, once_and_for_ever)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, "rs:app:chat", "abc", "1700000000000"), "1");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, "rs:app:chat", "def", "1700000000001"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET rs:app:chat key created"), "[abc 1700000000000]");
	cr_assert_str_eq(redis_text(lua_redis, "TTL rs:app:chat"), "-1");
}

Test(app_create, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, "rs:app:chat", "abc"),
			 "!ERR app_create: wants 1 KEYS and 2 ARGV");
}
