/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(app_set, .init = lua_setup, .fini = lua_teardown);

#define APP "rs:app:chat"

static void create(void)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_CREATE, 1, APP, "abc", "17", "rate", "5"), "1");
}

Test(app_set, sets_changes_and_takes_away)
{
	create();
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_SET, 1, APP, "rate", "7", "body_max", "100"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET " APP " key created rate body_max"), "[abc 17 7 100]");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_SET, 1, APP, "rate", "", "burst", "", "broadcast", "no"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET " APP " key rate body_max burst broadcast"),
			 "[abc nil 100 nil no]");
}

Test(app_set, only_an_app_that_is_there)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_SET, 1, APP, "rate", "7"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(app_set, never_the_key)
{
	create();
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_SET, 1, APP, "rate", "7", "key", "def"),
			 "!ERR app_set: key is not a limit");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_SET, 1, APP, "key2_until", ""),
			 "!ERR app_set: key2_until is not a limit");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET " APP " key rate"), "[abc 5]");
}

Test(app_set, wrong_arguments)
{
	const char *want = "!ERR app_set: wants 1 KEYS and pairs of field and value as ARGV";
	create();
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_SET, 1, APP), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_SET, 1, APP, "rate"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_APP_SET, 2, APP, APP, "rate", "7"), want);
	cr_assert_str_eq(redis_text(lua_redis, "HGET " APP " rate"), "5");
}

Test(app_set, a_key_of_another_type)
{
	redis_text(lua_redis, "SET " APP " x");
	cr_assert_not_null(strstr(lua(lua_redis, SCRIPT_APP_SET, 1, APP, "rate", "7"), "WRONGTYPE"));
	cr_assert_str_eq(redis_text(lua_redis, "GET " APP), "x");
}
