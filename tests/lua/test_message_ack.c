/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void setup(void)
{
	lua_setup();
	redis_text(lua_redis, "HSET %s broker mb1 boot 3 conn 77 owner 1700", LUA_PRESENCE);
}

TestSuite(message_ack, .init = setup, .fini = lua_teardown);

static void push_range(unsigned from, unsigned to)
{
	int64_t now = lua_now_ms(lua_redis);
	for (unsigned n = from; n <= to; n++)
		redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(n, now + 60000));
}

#define ACK(...) lua(lua_redis, SCRIPT_MESSAGE_ACK, 2, LUA_QUEUE, LUA_PRESENCE, "1700", __VA_ARGS__)

/* The queue as the ends of its ids: "1 2 3". */
static const char *queue(void)
{
	static char text[2048];
	int len = 0;
	text[0] = '\0';
	redisReply *r = redisCommand(lua_redis, "LRANGE %s 0 -1", LUA_QUEUE);
	for (size_t i = 0; i < r->elements; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, i ? " %d" : "%d",
				atoi(r->element[i]->str + 22));
	freeReplyObject(r);
	return text;
}

Test(message_ack, head_in_order)
{
	push_range(1, 4);
	cr_assert_str_eq(ACK(lua_id(1)), "[ok 1 3]");
	cr_assert_str_eq(ACK(lua_id(2), lua_id(3)), "[ok 2 1]");
	cr_assert_str_eq(queue(), "4");
}

Test(message_ack, head_in_any_order)
{
	push_range(1, 4);
	cr_assert_str_eq(ACK(lua_id(3), lua_id(1), lua_id(2)), "[ok 3 1]");
	cr_assert_str_eq(queue(), "4");
}

Test(message_ack, with_gaps)
{
	push_range(1, 6);
	cr_assert_str_eq(ACK(lua_id(2), lua_id(5)), "[ok 2 4]");
	cr_assert_str_eq(queue(), "1 3 4 6");
	cr_assert_str_eq(ACK(lua_id(1), lua_id(4), lua_id(6)), "[ok 3 1]");
	cr_assert_str_eq(queue(), "3");
}

Test(message_ack, far_down_a_long_queue)
{
	push_range(1, 300);
	cr_assert_str_eq(ACK(lua_id(300), lua_id(64), lua_id(65), lua_id(1)), "[ok 4 296]");
}

/* Only the first ids + 1024 are looked at. */
Test(message_ack, far_behind_what_is_under_way_is_left_alone)
{
	push_range(1, 1200);
	cr_assert_str_eq(ACK(lua_id(1200)), "[ok 0 1200]");
	cr_assert_str_eq(ACK(lua_id(1026)), "[ok 0 1200]");
	cr_assert_str_eq(ACK(lua_id(1025)), "[ok 1 1199]");
	cr_assert_str_eq(ACK(lua_id(1), lua_id(3), lua_id(1200)), "[ok 2 1197]");
}

Test(message_ack, last_one_takes_the_key_along)
{
	push_range(1, 2);
	cr_assert_str_eq(ACK(lua_id(2), lua_id(1)), "[ok 2 0]");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_QUEUE), "0");
	cr_assert_str_eq(ACK(lua_id(1)), "[ok 0 0]");
}

Test(message_ack, unknown_and_repeated_ids_are_harmless)
{
	push_range(1, 4);
	cr_assert_str_eq(ACK(lua_id(1), lua_id(1), lua_id(1)), "[ok 1 3]");
	cr_assert_str_eq(queue(), "2 3 4");
	cr_assert_str_eq(ACK(lua_id(1)), "[ok 0 3]");
	cr_assert_str_eq(ACK(lua_id(77), lua_id(2), "", "rubbish", lua_id(2)), "[ok 1 2]");
	cr_assert_str_eq(ACK(lua_id(4), lua_id(4), lua_id(77)), "[ok 1 1]");
	cr_assert_str_eq(queue(), "3");
}

Test(message_ack, only_the_owner)
{
	push_range(1, 2);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 2, LUA_QUEUE, LUA_PRESENCE, "1699", lua_id(1)),
			 "[fenced]");
	redis_text(lua_redis, "DEL %s", LUA_PRESENCE);
	cr_assert_str_eq(ACK(lua_id(1)), "[fenced]");
	cr_assert_str_eq(queue(), "1 2");
}

Test(message_ack, wrong_arguments)
{
	const char *want = "!ERR message_ack: wants 2 KEYS and an owner and ids as ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 2, LUA_QUEUE, LUA_PRESENCE, "1700"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 1, LUA_QUEUE, "1700", lua_id(1)), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, LUA_QUEUE, LUA_PRESENCE, LUA_ONCE, "1700", lua_id(1)),
			 want);
}
