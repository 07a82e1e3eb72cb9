/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW "1800000000000"
#define LATER 1900000000000
#define ID_1 "01JDCF3K7Q9R8W2ZT5XV6Y0001" /* lua_id(1) */

TestSuite(message_status, .init = lua_setup, .fini = lua_teardown);

#define STATUS(app, id, now) lua(lua_redis, SCRIPT_MESSAGE_STATUS, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, \
	app, id, now)

static const char *status(unsigned n) { return STATUS("chat", lua_id(n), NOW); }

static void push_range(const char *queue, unsigned from, unsigned to)
{
	for (unsigned n = from; n <= to; n++)
		redis_text(lua_redis, "RPUSH %s %s", queue, lua_record(n, LATER));
}

/* Records say that they were sent at 1700000000000. */
static void log_in_since(const char *since)
{
	lua_log_in();
	redis_text(lua_redis, "HSET %s since %s", LUA_PRESENCE, since);
}

Test(message_status, waits_in_any_lane)
{
	push_range(LUA_QUEUE, 1, 2);
	push_range(LUA_HIGH, 3, 4);
	push_range(LUA_LOW, 5, 100);
	static const unsigned ids[] = {1, 2, 3, 4, 5, 100};
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
		cr_expect_str_eq(status(ids[i]), "[stored 1900000000000]", "%u", ids[i]);
}

Test(message_status, unknown)
{
	push_range(LUA_QUEUE, 1, 2);
	redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, NOW " acknowledged chat 01JDCF3K7Q9R8W2ZT5XV6Y0004");
	cr_assert_str_eq(status(3), "[unknown]");
	cr_assert_str_eq(STATUS("shop", lua_id(1), NOW), "[unknown]", "of another App");
	cr_assert_str_eq(STATUS("cha", lua_id(1), NOW), "[unknown]");
	cr_assert_str_eq(STATUS("shop", lua_id(4), NOW), "[unknown]", "of another App, in the journal");
	cr_assert_str_eq(STATUS("", lua_id(4), NOW), "[unknown]");
	cr_assert_str_eq(STATUS("chat", "", NOW), "[unknown]");
	cr_assert_str_eq(STATUS("chat", "01JDCF3K7Q", NOW), "[unknown]", "a beginning of an id is none");
	cr_assert_str_eq(STATUS("chat", "acknowledged", NOW), "[unknown]");
}

Test(message_status, stored_while_the_user_was_online_is_pushed)
{
	static const struct {
		const char *since, *want;
	} cases[] = {
		{"1699999999999", "[pushed 1900000000000 1700000000000]"},
		{"1700000000000", "[pushed 1900000000000 1700000000000]"},
		{"1700000000001", "[stored 1900000000000]"},
	};
	push_range(LUA_QUEUE, 1, 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		log_in_since(cases[i].since);
		cr_expect_str_eq(status(1), cases[i].want, "%s", cases[i].since);
	}
	redis_text(lua_redis, "HDEL %s broker", LUA_PRESENCE);
	redis_text(lua_redis, "HSET %s since 1", LUA_PRESENCE);
	cr_assert_str_eq(status(1), "[stored 1900000000000]", "nobody is logged in");
}

Test(message_status, what_a_login_fetched_is_pushed)
{
	push_range(LUA_QUEUE, 1, 4);
	push_range(LUA_HIGH, 5, 6);
	log_in_since("1750000000000");
	lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700", "", "0", "2", "9999",
	    "1760000000000", "1000", "normal");
	cr_assert_str_eq(status(1), "[pushed 1900000000000 1760000000000]");
	cr_assert_str_eq(status(2), "[pushed 1900000000000 1760000000000]");
	cr_assert_str_eq(status(3), "[stored 1900000000000]");
	cr_assert_str_eq(status(5), "[stored 1900000000000]", "another lane");

	lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700", "1770000000000", "90000",
	    lua_id(2), "1760000000000");
	cr_assert_str_eq(status(1), "[pushed 1900000000000 1760000000000]", "the last one is taken already");
	cr_assert_str_eq(status(3), "[stored 1900000000000]");
	cr_assert_str_eq(status(2), "[acknowledged 1770000000000 1760000000000]");

	lua(lua_redis, SCRIPT_PRESENCE_CLAIM, 6, LUA_PRESENCE, LUA_LANES, LUA_CURSOR, LUA_MISSED, "mb2", "1", "5",
	    "127.0.0.1:9", "60000");
	cr_assert_str_eq(status(1), "[stored 1900000000000]", "another login knows nothing of it");
}

Test(message_status, place_counts_not_the_id)
{
	redis_text(lua_redis, "RPUSH %s %s %s", LUA_QUEUE, lua_record(5, LATER), lua_record(3, LATER));
	log_in_since("1750000000000");
	redis_text(lua_redis, "HSET %s handed:normal %s", LUA_PRESENCE, "01JDCF3K7Q9R8W2ZT5XV6Y0005 1760000000000");
	cr_assert_str_eq(status(5), "[pushed 1900000000000 1760000000000]");
	cr_assert_str_eq(status(3), "[stored 1900000000000]", "it stands behind, though its id is smaller");
}

Test(message_status, a_presence_with_odd_words_harms_nobody)
{
	static const char *const odd[] = {"", "x", "rubbish 1760000000000x", "~ ", "~~ now", " "};
	push_range(LUA_QUEUE, 1, 1);
	log_in_since("soon");
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		redis_text(lua_redis, "HSET %s handed:normal %s", LUA_PRESENCE, odd[i]);
		cr_expect_str_eq(status(1), "[stored 1900000000000]", "%s", odd[i]);
	}
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, "01JDCF3K7Q9R8W2ZT5XV6Y0002 chat yesterday.... 1900000000000 -\n");
	log_in_since("1700000000000");
	cr_assert_str_eq(status(2), "[stored 1900000000000]");
	redis_text(lua_redis, "HDEL %s since handed:normal", LUA_PRESENCE);
	cr_assert_str_eq(status(1), "[stored 1900000000000]");
}

Test(message_status, expired_while_it_waits)
{
	push_range(LUA_LOW, 1, 1);
	redis_text(lua_redis, "RPUSH %s %s", LUA_LOW, lua_record(2, 1800000000001));
	redis_text(lua_redis, "RPUSH %s %s", LUA_LOW, lua_record(3, 1800000000000));
	log_in_since("1");
	cr_assert_str_eq(status(2), "[pushed 1800000000001 1700000000000]");
	cr_assert_str_eq(status(3), "[expired 1800000000000 1700000000000]");
	redis_text(lua_redis, "HDEL %s broker", LUA_PRESENCE);
	cr_assert_str_eq(status(3), "[expired 1800000000000]");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_LOW), "3", "nothing is written");
}

Test(message_status, what_became_of_it)
{
	static const char *const events[] = {"acknowledged", "expired", "replaced", "displaced", "withdrawn"};
	char want[128];
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		redis_text(lua_redis, "DEL %s", LUA_JOURNAL);
		redis_text(lua_redis, "RPUSH %s rubbish", LUA_JOURNAL);
		snprintf(want, sizeof want, "1780000000000 %s shop %s", events[i], lua_id(9));
		redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, want);
		snprintf(want, sizeof want, "1790000000000 %s chat %s %s:1785000000000 %s", events[i], lua_id(1),
			 lua_id(2), lua_id(3));
		redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, want);
		snprintf(want, sizeof want, "[%s 1790000000000]", events[i]);
		cr_expect_str_eq(status(1), want);
		cr_expect_str_eq(status(3), want);
		snprintf(want, sizeof want, "[%s 1790000000000 1785000000000]", events[i]);
		cr_expect_str_eq(status(2), want);
	}
}

/* ... is told with its own time, whenever that was noticed. */
Test(message_status, what_expired)
{
	char line[160];
	snprintf(line, sizeof line, "1790000000000 expired chat %s@1700000000000 %s:1600000000000@1700000000000 %s",
		 lua_id(1), lua_id(2), lua_id(3));
	redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, line);
	cr_assert_str_eq(status(1), "[expired 1700000000000]");
	cr_assert_str_eq(status(2), "[expired 1700000000000 1600000000000]");
	cr_assert_str_eq(status(3), "[expired 1790000000000]", "an older version has written this");
}

Test(message_status, far_down_a_long_journal)
{
	char line[128];
	for (unsigned n = 1; n <= 1000; n++) {
		snprintf(line, sizeof line, "%lld acknowledged chat %s:1", 1780000000000LL + n, lua_id(n));
		redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, line);
	}
	cr_assert_str_eq(status(1000), "[acknowledged 1780000001000 1]");
	cr_assert_str_eq(status(65), "[acknowledged 1780000000065 1]");
}

Test(message_status, odd_lines_in_the_journal_harm_nobody)
{
	static const char *const odd[] = {
		ID_1, ID_1 " " ID_1, " " ID_1, "x expired chat " ID_1, "1790000000000 expired chat" ID_1,
		"1790000000000 expired " ID_1, "1790000000000 " ID_1 " chat ", "1790000000000 expired chat",
	};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, odd[i]);
		cr_expect_str_eq(status(1), "[unknown]", "%s", odd[i]);
	}
	/* An App may be named like an id. */
	redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL,
		   "1790000000000 expired " ID_1 " 01JDCF3K7Q9R8W2ZT5XV6Y0002");
	cr_assert_str_eq(STATUS(lua_id(1), lua_id(1), NOW), "[unknown]");
	cr_assert_str_eq(STATUS(lua_id(1), lua_id(2), NOW), "[expired 1790000000000]");
}

Test(message_status, what_is_no_record_is_unknown)
{
	redis_text(lua_redis, "RPUSH %s %s rubbish", LUA_QUEUE, lua_id(1));
	cr_assert_str_eq(status(1), "[unknown]");
}

Test(message_status, writes_nothing)
{
	redisReply *r = redisCommand(lua_redis, "EVAL_RO %b 5 %s %s %s %s %s chat %s " NOW,
				     scripts[SCRIPT_MESSAGE_STATUS].source, scripts[SCRIPT_MESSAGE_STATUS].source_len,
				     LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, lua_id(1));
	cr_assert_str_eq(lua_text(r), "[unknown]");
}

Test(message_status, wrong_arguments)
{
	const char *want = "!ERR message_status: wants 5 KEYS and 3 ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STATUS, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "chat", "x"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_STATUS, 4, LUA_LANES, LUA_JOURNAL, "chat", "x", "1"), want);
	cr_assert_str_eq(STATUS("chat", lua_id(1), "soon"), "!ERR message_status: now must be a number");
}
