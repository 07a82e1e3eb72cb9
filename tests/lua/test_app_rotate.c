/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>

TestSuite(app_rotate, .init = lua_setup, .fini = lua_teardown);

#define APP "rs:app:chat"
#define KEYS "HMGET " APP " key key2 key2_until"

static void create(void)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, APP, "abc", "17", "rate", "5"), "1");
}

Test(app_rotate, the_former_key_is_kept)
{
	create();
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_ROTATE, 1, APP, "def", "1800000000000"), "1");
	cr_assert_str_eq(redis_text(lua_redis, KEYS), "[def abc 1800000000000]");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_ROTATE, 1, APP, "ghi", "1900000000000"), "1");
	cr_assert_str_eq(redis_text(lua_redis, KEYS), "[ghi def 1900000000000]", "of the last one only");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET " APP " created rate"), "[17 5]");
}

Test(app_rotate, without_grace_no_former_key_is_left)
{
	create();
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_ROTATE, 1, APP, "def", "1800000000000"), "1");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_ROTATE, 1, APP, "ghi", "0"), "1");
	cr_assert_str_eq(redis_text(lua_redis, KEYS), "[ghi nil nil]");
}

Test(app_rotate, only_an_app_that_is_there)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_ROTATE, 1, APP, "def", "1800000000000"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(app_rotate, wrong_arguments)
{
	create();
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_ROTATE, 1, APP, "def"),
			 "!ERR app_rotate: wants 1 KEYS and 2 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_ROTATE, 1, APP, "def", "soon"),
			 "!ERR app_rotate: until must be a number");
	cr_assert_str_eq(redis_text(lua_redis, KEYS), "[abc nil nil]");
}
