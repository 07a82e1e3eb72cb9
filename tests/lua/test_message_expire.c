/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>

TestSuite(message_expire, .init = lua_setup, .fini = lua_teardown);

static void push(unsigned n, int64_t expires_ms)
{
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(n, expires_ms));
}

static const char *expire(int64_t now)
{
	return lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 1, LUA_QUEUE, lua_num(now));
}

Test(message_expire, no_queue) { cr_assert_str_eq(expire(1800000000000), "0"); }

Test(message_expire, wherever_they_stand)
{
	for (unsigned n = 1; n <= 200; n++)
		push(n, n % 2 || n < 10 ? 1700000000000 : 1900000000000);
	cr_assert_str_eq(expire(1699999999999), "0");
	cr_assert_str_eq(expire(1700000000000), "104");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "96");
	cr_assert_str_eq(redis_text(lua_redis, "LINDEX %s 0", LUA_QUEUE), lua_record(10, 1900000000000));
	cr_assert_str_eq(redis_text(lua_redis, "LINDEX %s -1", LUA_QUEUE), lua_record(200, 1900000000000));
	cr_assert_str_eq(expire(1900000000000), "96");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_QUEUE), "0");
}

Test(message_expire, what_cannot_be_read_is_not_deleted)
{
	redis_text(lua_redis, "RPUSH %s %s %s", LUA_QUEUE, "rubbish",
		   "01JDCF3K7Q9R8W2ZT5XV6Y0001 chat 1700000000000 soon -");
	cr_assert_str_eq(expire(1900000000000), "0");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "2");
}

Test(message_expire, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 1, LUA_QUEUE),
			 "!ERR message_expire: wants 1 KEYS and 1 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 1, LUA_QUEUE, "soon"),
			 "!ERR message_expire: now must be a number");
}
