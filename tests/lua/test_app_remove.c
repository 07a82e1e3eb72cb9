/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(app_remove, .init = lua_setup, .fini = lua_teardown);

#define APP "rs:app:chat"

Test(app_remove, removes_and_says_whether_it_was_there)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, APP, "abc", "17", "rate", "5"), "1");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_REMOVE, 1, APP), "1");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_REMOVE, 1, APP), "0");
}

Test(app_remove, a_key_of_another_type)
{
	redis_text(lua_redis, "SET " APP " x");
	cr_assert_not_null(strstr(lua(lua_redis, SCRIPT_APP_REMOVE, 1, APP), "WRONGTYPE"));
	cr_assert_str_eq(redis_text(lua_redis, "GET " APP), "x");
}

Test(app_remove, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_REMOVE, 1, APP, "abc"),
			 "!ERR app_remove: wants 1 KEYS and no ARGV");
}
