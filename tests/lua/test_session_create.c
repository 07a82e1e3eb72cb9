/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(session_create, .init = lua_setup, .fini = lua_teardown);

#define SESSION "rs:session:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static const char *create(const char *user, int64_t keep_until)
{
	return lua(lua_redis, SCRIPT_SESSION_CREATE, 1, SESSION, user, "1700000000000", "1700000005000",
		   lua_num(keep_until));
}

Test(session_create, once_and_until_its_time)
{
	int64_t until = lua_now_ms(lua_redis) + 60000;
	cr_assert_str_eq(create("alice", until), "1");
	cr_assert_str_eq(create("mallory", until + 5000), "0");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s user created expires", SESSION),
			 "[alice 1700000000000 1700000005000]");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", SESSION)), until);
}

Test(session_create, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_SESSION_CREATE, 1, SESSION, "alice", "1", "2"),
			 "!ERR session_create: wants 1 KEYS and 4 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_SESSION_CREATE, 1, SESSION, "alice", "1", "2", "never"),
			 "!ERR session_create: created, expires, keep_until must be numbers");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}
