/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>

TestSuite(settings_store, .init = lua_setup_online, .fini = lua_teardown);

#define STORE(owner, app, on, now, max) \
	lua(lua_redis, SCRIPT_SETTINGS_STORE, 2, LUA_SETTINGS, LUA_PRESENCE, owner, app, on, now, max)

static const char *all(void) { return redis_text(lua_redis, "HGETALL %s", LUA_SETTINGS); }

Test(settings_store, off_and_on_again)
{
	cr_assert_str_eq(STORE("1700", "chat", "0", "5", "100"), "1");
	cr_assert_str_eq(STORE("1700", "*", "0", "6", "100"), "1");
	cr_assert_str_eq(all(), "[off:chat 5 off:* 6]");
	cr_assert_str_eq(STORE("1700", "chat", "0", "7", "100"), "0", "since when it is off stays");
	cr_assert_str_eq(all(), "[off:chat 5 off:* 6]");
	cr_assert_str_eq(STORE("1700", "chat", "1", "8", "100"), "1");
	cr_assert_str_eq(STORE("1700", "chat", "1", "8", "100"), "0");
	cr_assert_str_eq(all(), "[off:* 6]");
}

Test(settings_store, an_earlier_login_changes_nothing)
{
	cr_assert_str_eq(STORE("1699", "chat", "0", "5", "100"), "-1");
	cr_assert_str_eq(STORE("1701", "chat", "1", "5", "100"), "-1");
	cr_assert_str_eq(all(), "[]");
	cr_assert_str_eq(STORE("", "chat", "0", "5", "100"), "1", "an App has no token");
}

Test(settings_store, no_more_than_may_be)
{
	cr_assert_str_eq(STORE("", "a", "0", "1", "2"), "1");
	cr_assert_str_eq(STORE("", "b", "0", "1", "2"), "1");
	cr_assert_str_eq(STORE("", "c", "0", "1", "2"), "-2");
	cr_assert_str_eq(STORE("", "b", "0", "1", "2"), "0");
	cr_assert_str_eq(STORE("", "b", "1", "1", "2"), "1");
	cr_assert_str_eq(STORE("", "c", "0", "1", "2"), "1");
}

Test(settings_store, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_SETTINGS_STORE, 1, LUA_SETTINGS, "", "chat", "0", "1", "2"),
			 "!ERR settings_store: wants 2 KEYS and 5 ARGV");
	cr_assert_str_eq(STORE("", "chat", "yes", "1", "2"),
			 "!ERR settings_store: on must be 0 or 1, now and max must be numbers");
	cr_assert_str_eq(STORE("", "chat", "0", "x", "2"),
			 "!ERR settings_store: on must be 0 or 1, now and max must be numbers");
	cr_assert_str_eq(all(), "[]");
}
