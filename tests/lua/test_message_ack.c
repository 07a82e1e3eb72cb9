/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW "1800000000000"
#define KEEP "60000"
#define HANDED "1799999999000"

TestSuite(message_ack, .init = lua_setup_online, .fini = lua_teardown);

static void push_range(unsigned from, unsigned to)
{
	for (unsigned n = from; n <= to; n++)
		redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(n, 1900000000000));
}

#define ACK_IN(queue, owner, ...) lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, queue, LUA_PRESENCE, LUA_JOURNAL, \
	owner, NOW, KEEP, __VA_ARGS__)
#define ACK(...) ACK_IN(LUA_QUEUE, "1700", __VA_ARGS__)
/* An id with the time of its handing over. */
#define ID(n) lua_id(n), HANDED

static const char *queue(void) { return lua_list(lua_redis, LUA_QUEUE); }
static const char *journal(void) { return redis_text(lua_redis, "LRANGE %s 0 -1", LUA_JOURNAL); }

Test(message_ack, head_in_order)
{
	push_range(1, 4);
	cr_assert_str_eq(ACK(ID(1)), "[ok 1 3]");
	cr_assert_str_eq(ACK(ID(2), ID(3)), "[ok 2 1]");
	cr_assert_str_eq(queue(), "4");
}

Test(message_ack, head_in_any_order)
{
	push_range(1, 4);
	cr_assert_str_eq(ACK(ID(3), ID(1), ID(2)), "[ok 3 1]");
	cr_assert_str_eq(queue(), "4");
}

Test(message_ack, with_gaps)
{
	push_range(1, 6);
	cr_assert_str_eq(ACK(ID(2), ID(5)), "[ok 2 4]");
	cr_assert_str_eq(queue(), "1 3 4 6");
	cr_assert_str_eq(ACK(ID(1), ID(4), ID(6)), "[ok 3 1]");
	cr_assert_str_eq(queue(), "3");
}

Test(message_ack, far_down_a_long_queue)
{
	push_range(1, 300);
	cr_assert_str_eq(ACK(ID(300), ID(64), ID(65), ID(1)), "[ok 4 296]");
}

/* Only the first ids + 1024 are looked at. */
Test(message_ack, far_behind_what_is_under_way_is_left_alone)
{
	push_range(1, 1200);
	cr_assert_str_eq(ACK(ID(1200)), "[ok 0 1200]");
	cr_assert_str_eq(ACK(ID(1026)), "[ok 0 1200]");
	cr_assert_str_eq(ACK(ID(1025)), "[ok 1 1199]");
	cr_assert_str_eq(ACK(ID(1), ID(3), ID(1200)), "[ok 2 1197]");
}

Test(message_ack, last_one_takes_the_key_along)
{
	push_range(1, 2);
	cr_assert_str_eq(ACK(ID(2), ID(1)), "[ok 2 0]");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_QUEUE), "0");
	cr_assert_str_eq(ACK(ID(1)), "[ok 0 0]");
}

Test(message_ack, the_key_keeps_its_end)
{
	push_range(1, 5);
	redis_text(lua_redis, "PEXPIREAT %s 9000000000000", LUA_QUEUE);
	ACK(ID(1), ID(3), ID(4));
	cr_assert_str_eq(redis_text(lua_redis, "PEXPIRETIME %s", LUA_QUEUE), "9000000000000");
}

Test(message_ack, unknown_and_repeated_ids_are_harmless)
{
	push_range(1, 4);
	cr_assert_str_eq(ACK(ID(1), ID(1), ID(1)), "[ok 1 3]");
	cr_assert_str_eq(queue(), "2 3 4");
	cr_assert_str_eq(ACK(ID(1)), "[ok 0 3]");
	cr_assert_str_eq(ACK(ID(77), ID(2), "", "1", "rubbish", "1", ID(2)), "[ok 1 2]");
	cr_assert_str_eq(ACK(ID(4), ID(4), ID(77)), "[ok 1 1]");
	cr_assert_str_eq(queue(), "3");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_JOURNAL), "3", "of those that were there");
}

Test(message_ack, each_lane_is_a_queue_of_its_own)
{
	redis_text(lua_redis, "RPUSH %s %s", LUA_HIGH, lua_record_with(1, 1900000000000, " p=high"));
	redis_text(lua_redis, "RPUSH %s %s", LUA_LOW, lua_record_with(2, 1900000000000, " p=low"));
	push_range(3, 3);
	cr_assert_str_eq(ACK(ID(1), ID(2)), "[ok 0 1]");
	cr_assert_str_eq(ACK_IN(LUA_HIGH, "1700", ID(1), ID(2)), "[ok 1 0]");
	cr_assert_str_eq(ACK_IN(LUA_LOW, "1700", ID(1), ID(2)), "[ok 1 0]");
	cr_assert_str_eq(queue(), "3");
}

Test(message_ack, is_remembered_with_the_time_of_the_handing_over)
{
	char want[256];
	push_range(1, 3);
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record_of("shop", 4, 1900000000000, "", "x"));
	ACK(lua_id(4), "1799999999004", lua_id(3), "1799999999003", lua_id(1), "1799999999001");
	snprintf(want, sizeof want, "[" NOW " acknowledged chat %s:1799999999001 %s:1799999999003 " NOW
		 " acknowledged shop %s:1799999999004]", lua_id(1), lua_id(3), lua_id(4));
	cr_assert_str_eq(journal(), want);
	redisReply *r = redisCommand(lua_redis, "PTTL %s", LUA_JOURNAL);
	cr_assert(r->integer > 50000 && r->integer <= 60000);
	freeReplyObject(r);
}

Test(message_ack, an_expired_one_was_acknowledged_all_the_same)
{
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(1, 1700000000001));
	cr_assert_str_eq(ACK(ID(1)), "[ok 1 0]");
	cr_assert_not_null(strstr(journal(), "acknowledged"));
}

/* Nobody was shown it. */
Test(message_ack, one_that_expired_at_the_client)
{
	char want[256];
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record_with(1, 1799999999990, " r"));
	push_range(2, 2);
	snprintf(want, sizeof want, "[ok 2 0 expired chat %s]", lua_id(1));
	cr_assert_str_eq(ACK(lua_id(1), "-" HANDED, ID(2)), want);
	snprintf(want, sizeof want, "[" NOW " expired chat %s:" HANDED "@1799999999990 " NOW " acknowledged chat %s:" HANDED "]",
		 lua_id(1), lua_id(2));
	cr_assert_str_eq(journal(), want);
}

Test(message_ack, receipts_for_those_whose_app_wants_one)
{
	char want[256];
	static const char *const words[] = {" r", "", " p=high c=r t=r", " p=high c=k t=news r f"};
	for (unsigned n = 0; n < 4; n++)
		redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record_with(n + 1, 1900000000000, words[n]));
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record_of("shop", 5, 1900000000000, "", " r "));
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record_of("shop", 6, 1900000000000, " r", ""));
	push_range(7, 7);
	snprintf(want, sizeof want, "[ok 6 1 acknowledged chat %s acknowledged chat %s acknowledged shop %s]",
		 lua_id(1), lua_id(4), lua_id(6));
	cr_assert_str_eq(ACK(ID(1), ID(2), ID(3), ID(4), ID(5), ID(6)), want);
}

Test(message_ack, only_the_owner)
{
	push_range(1, 2);
	cr_assert_str_eq(ACK_IN(LUA_QUEUE, "1699", ID(1)), "[fenced]");
	redis_text(lua_redis, "DEL %s", LUA_PRESENCE);
	cr_assert_str_eq(ACK(ID(1)), "[fenced]");
	cr_assert_str_eq(queue(), "1 2");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_JOURNAL), "0");
}

Test(message_ack, a_tombstone_still_counts)
{
	push_range(1, 2);
	lua(lua_redis, SCRIPT_PRESENCE_CLEAR, 1, LUA_PRESENCE, "1700", "60000");
	cr_assert_str_eq(ACK(ID(1)), "[ok 1 1]");
}

Test(message_ack, what_is_no_record_stays_where_it_is)
{
	redis_text(lua_redis, "RPUSH %s rubbish %s ''", LUA_QUEUE, "01JDCF3K7Q9R8W2ZT5XV6Y0009");
	push_range(1, 2);
	cr_assert_str_eq(ACK(ID(1), ID(2)), "[ok 2 3]");
	cr_assert_str_eq(ACK(ID(9)), "[ok 1 2]", "but one with an id is known by it");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_JOURNAL), "1");
}

/* Each is marked where it stands: many acknowledgements cost no walk each. */
Test(message_ack, many_with_gaps_in_a_long_queue)
{
	const char *argv[6 + 2 * 500] = {LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700", NOW, KEEP};
	static char ids[500][32];
	push_range(1, 1200);
	for (unsigned i = 0; i < 500; i++) {
		strcpy(ids[i], lua_id(2 * i + 2));
		argv[6 + 2 * i] = ids[i];
		argv[7 + 2 * i] = HANDED;
	}
	cr_assert_str_eq(lua_text(lua_call_argv(lua_redis, SCRIPT_MESSAGE_ACK, 3, 6 + 2 * 500, argv)), "[ok 500 700]");
	cr_assert_eq(strncmp(queue(), "1 3 5 7 9 ", 10), 0);
	cr_assert_not_null(strstr(queue(), " 997 999 1001 1002 1003 "));
}

Test(message_ack, wrong_arguments)
{
	const char *want = "!ERR message_ack: wants 3 KEYS and an owner, now, keep and pairs of id and time as ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700", NOW,
			     KEEP), want);
	cr_assert_str_eq(ACK(lua_id(1)), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 2, LUA_QUEUE, LUA_PRESENCE, "1700", NOW, KEEP, ID(1)), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700", "soon",
			     KEEP, ID(1)), "!ERR message_ack: now and keep must be numbers");
	push_range(1, 1);
	cr_assert_str_eq(ACK(lua_id(1), "a b\nc"), "!ERR message_ack: a time must be a number");
	cr_assert_str_eq(queue(), "1");
}

Test(message_ack, key_of_another_type_changes_nothing)
{
	push_range(1, 1);
	redis_text(lua_redis, "SET %s x", LUA_JOURNAL);
	cr_assert_not_null(strstr(ACK(ID(1)), "WRONGTYPE"));
	cr_assert_str_eq(queue(), "1");
	redis_text(lua_redis, "DEL %s", LUA_JOURNAL);
	redis_text(lua_redis, "SET %s x", LUA_LOW);
	cr_assert_not_null(strstr(ACK_IN(LUA_LOW, "1700", ID(1)), "WRONGTYPE"));
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_JOURNAL), "0");
}
