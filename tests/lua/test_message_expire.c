/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(message_expire, .init = lua_setup, .fini = lua_teardown);

static void push(unsigned n, int64_t expires_ms)
{
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(n, expires_ms));
}

static const char *expire(int64_t now)
{
	return lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 4, LUA_LANES, LUA_JOURNAL, lua_num(now), "60000");
}

Test(message_expire, no_queue)
{
	cr_assert_str_eq(expire(1800000000000), "0");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

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

Test(message_expire, in_every_lane_and_into_the_journal)
{
	char want[256];
	push(1, 1700000000000);
	push(2, 1900000000000);
	redis_text(lua_redis, "RPUSH %s %s", LUA_HIGH, lua_record_of("shop", 3, 1700000000000, " p=high", "x"));
	redis_text(lua_redis, "RPUSH %s %s", LUA_LOW, lua_record_with(4, 1700000000000, " p=low"));
	redis_text(lua_redis, "RPUSH %s %s", LUA_LOW, lua_record_with(5, 1900000000000, " p=low"));
	cr_assert_str_eq(expire(1800000000000), "3");
	cr_assert_str_eq(lua_list(lua_redis, LUA_QUEUE), "2");
	cr_assert_str_eq(lua_list(lua_redis, LUA_HIGH), "");
	cr_assert_str_eq(lua_list(lua_redis, LUA_LOW), "5");
	snprintf(want, sizeof want, "[1800000000000 expired chat %s@1700000000000 %s@1700000000000 "
		 "1800000000000 expired shop %s@1700000000000]",
		 lua_id(1), lua_id(4), lua_id(3));
	cr_assert_str_eq(redis_text(lua_redis, "LRANGE %s 0 -1", LUA_JOURNAL), want);
}

Test(message_expire, the_journal_forgets_what_is_old)
{
	redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, "1799999939999 expired chat old");
	redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, "1799999940000 expired chat young");
	push(1, 1700000000000);
	expire(1800000000000);
	cr_assert_null(strstr(redis_text(lua_redis, "LRANGE %s 0 -1", LUA_JOURNAL), "old"));
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_JOURNAL), "2");
}

Test(message_expire, the_journal_has_an_end)
{
	static const char *const fill =
		"for i = 1, 5000 do redis.call('RPUSH', KEYS[1], '1800000000000 expired chat ' .. i) end";
	redis_text(lua_redis, "EVAL %s 1 %s", fill, LUA_JOURNAL);
	push(1, 1700000000000);
	expire(1800000000000);
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_JOURNAL), "4096");
	cr_assert_not_null(strstr(redis_text(lua_redis, "LINDEX %s -1", LUA_JOURNAL), lua_id(1)));
}

Test(message_expire, odd_lines_in_the_journal_harm_nobody)
{
	static const char *const odd[] = {"rubbish", "", "-5 x", "1799999900000"};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		redis_text(lua_redis, "DEL %s", LUA_JOURNAL);
		redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, odd[i]);
		push(1, 1700000000000);
		cr_expect_str_eq(expire(1800000000000), "1", "%s", odd[i]);
	}
}

Test(message_expire, nothing_is_remembered_if_that_is_wanted)
{
	push(1, 1700000000000);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 4, LUA_LANES, LUA_JOURNAL, "1800000000000", "0"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
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
	const char *want = "!ERR message_expire: wants 4 KEYS and 2 ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 4, LUA_LANES, LUA_JOURNAL, "1"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 3, LUA_LANES, "1", "1"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 4, LUA_LANES, LUA_JOURNAL, "soon", "1"),
			 "!ERR message_expire: now and keep must be numbers");
}

Test(message_expire, key_of_another_type_changes_nothing)
{
	push(1, 1700000000000);
	redis_text(lua_redis, "SET %s x", LUA_JOURNAL);
	cr_assert_not_null(strstr(expire(1800000000000), "WRONGTYPE"));
	redis_text(lua_redis, "DEL %s", LUA_JOURNAL);
	redis_text(lua_redis, "SET %s x", LUA_LOW);
	cr_assert_not_null(strstr(expire(1800000000000), "WRONGTYPE"));
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "1");
}
