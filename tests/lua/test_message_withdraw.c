/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW "1800000000000"
#define LATER 1900000000000

/* 1 to 3 normal, 4 and 5 high, 6 low; 2 and 5 are of the App "shop", which wants receipts. */
static void setup(void)
{
	lua_setup();
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(1, LATER));
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record_of("shop", 2, LATER, " r", "x"));
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(3, LATER));
	redis_text(lua_redis, "RPUSH %s %s", LUA_HIGH, lua_record_with(4, LATER, " p=high"));
	redis_text(lua_redis, "RPUSH %s %s", LUA_HIGH, lua_record_of("shop", 5, LATER, " p=high r", "x"));
	redis_text(lua_redis, "RPUSH %s %s", LUA_LOW, lua_record_with(6, LATER, " p=low c=k"));
}

TestSuite(message_withdraw, .init = setup, .fini = lua_teardown);

#define WITHDRAW(app, id) lua(lua_redis, SCRIPT_MESSAGE_WITHDRAW, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, \
	app, id, NOW, "60000")

static const char *journal(void) { return redis_text(lua_redis, "LRANGE %s 0 -1", LUA_JOURNAL); }

Test(message_withdraw, one_in_any_lane)
{
	char want[256];
	static const struct {
		const char *app;
		unsigned n;
		char receipt;
		const char *left;
	} cases[] = {
		{"chat", 3, '-', "1 2|4 5|6"}, {"shop", 5, 'r', "1 2|4|6"},
		{"chat", 6, '-', "1 2|4|"}, {"shop", 2, 'r', "1|4|"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *id = lua_id(cases[i].n);
		snprintf(want, sizeof want, "[1 '' '' '' '' withdrawn %s %s %c]", cases[i].app, id, cases[i].receipt);
		cr_expect_str_eq(WITHDRAW(cases[i].app, id), want);
		cr_expect_str_eq(lua_waiting(), cases[i].left);
		snprintf(want, sizeof want, NOW " withdrawn %s %s", cases[i].app, id);
		cr_expect_str_eq(redis_text(lua_redis, "LINDEX %s -1", LUA_JOURNAL), want);
		cr_expect_str_eq(WITHDRAW(cases[i].app, id), "[0 '' '' '' '']", "a second time there is none");
	}
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_JOURNAL), "4");
}

Test(message_withdraw, says_where_the_user_is)
{
	char want[256];
	lua_log_in();
	snprintf(want, sizeof want, "[1 mb1 3 77 1700 withdrawn chat %s -]", lua_id(1));
	cr_assert_str_eq(WITHDRAW("chat", lua_id(1)), want);
	cr_assert_str_eq(WITHDRAW("chat", lua_id(1)), "[0 mb1 3 77 1700]");
	lua(lua_redis, SCRIPT_PRESENCE_CLEAR, 1, LUA_PRESENCE, "1700", "60000");
	cr_assert_str_eq(WITHDRAW("chat", lua_id(1)), "[0 '' '' '' 1700]", "a tombstone");
}

Test(message_withdraw, all_of_an_app)
{
	char want[512];
	snprintf(want, sizeof want, "[2 '' '' '' '' withdrawn shop %s r withdrawn shop %s r]", lua_id(2), lua_id(5));
	cr_assert_str_eq(WITHDRAW("shop", ""), want);
	cr_assert_str_eq(lua_waiting(), "1 3|4|6");
	snprintf(want, sizeof want, "[" NOW " withdrawn shop %s %s]", lua_id(2), lua_id(5));
	cr_assert_str_eq(journal(), want);
}

Test(message_withdraw, the_operator_takes_any_and_all)
{
	cr_assert_eq(strncmp(WITHDRAW("", lua_id(5)), "[1 ", 3), 0);
	cr_assert_str_eq(lua_waiting(), "1 2 3|4|6");
	cr_assert_eq(strncmp(WITHDRAW("", ""), "[5 ", 3), 0);
	cr_assert_str_eq(lua_waiting(), "||");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_JOURNAL), "3", "a line for each App and time");
}

Test(message_withdraw, nothing_that_is_not_the_apps_own)
{
	static const struct {
		const char *app, *id;
	} cases[] = {
		{"shop", "01JDCF3K7Q9R8W2ZT5XV6Y0001"}, {"cha", ""}, {"chat2", ""}, {"chat", "01JDCF3K7Q"},
		{"chat", "01JDCF3K7Q9R8W2ZT5XV6Y0099"}, {"", "01JDCF3K7Q9R8W2ZT5XV6Y00011"}, {"", "x"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		cr_expect_str_eq(WITHDRAW(cases[i].app, cases[i].id), "[0 '' '' '' '']", "%zu", i);
	cr_assert_str_eq(lua_waiting(), "1 2 3|4 5|6");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_JOURNAL), "0");
}

Test(message_withdraw, what_expired_is_not_withdrawn)
{
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(7, 1800000000000));
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(8, 1800000000001));
	cr_assert_str_eq(WITHDRAW("chat", lua_id(7)), "[0 '' '' '' '']");
	cr_assert_eq(strncmp(WITHDRAW("chat", ""), "[5 ", 3), 0);
	cr_assert_str_eq(lua_waiting(), "2 7|5|");
}

Test(message_withdraw, what_is_no_record_stays)
{
	redis_text(lua_redis, "DEL %s", LUA_QUEUE);
	redis_text(lua_redis, "RPUSH %s rubbish %s", LUA_QUEUE, lua_id(1));
	cr_assert_str_eq(WITHDRAW("", lua_id(1)), "[0 '' '' '' '']");
	WITHDRAW("", "");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "2");
}

Test(message_withdraw, of_very_many_the_first_1024_are_named)
{
	for (unsigned n = 1000; n < 4000; n++)
		redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE,
			   n % 2 ? lua_record(n, LATER) : lua_record_of("shop", n, LATER, "", "x"));
	redisReply *r = lua_call(lua_redis, SCRIPT_MESSAGE_WITHDRAW, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "shop",
				 "", NOW, "60000");
	cr_assert_eq(r->element[0]->integer, 1502);
	cr_assert_eq(r->elements, 5 + 1024);
	freeReplyObject(r);
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "1502");
	cr_assert_eq(strncmp(lua_list(lua_redis, LUA_QUEUE), "1 3 1001 1003 ", 14), 0);
}

Test(message_withdraw, wrong_arguments)
{
	const char *want = "!ERR message_withdraw: wants 5 KEYS and 4 ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_WITHDRAW, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "chat",
			     "", "1"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_WITHDRAW, 4, LUA_LANES, LUA_JOURNAL, "chat", "", "1", "1"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_WITHDRAW, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "chat",
			     "", "soon", "1"), "!ERR message_withdraw: now and keep must be numbers");
}

Test(message_withdraw, key_of_another_type_changes_nothing)
{
	static const char *const keys[] = {LUA_LOW, LUA_JOURNAL, LUA_PRESENCE};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		redis_text(lua_redis, "DEL %s", keys[i]);
		redis_text(lua_redis, "SET %s x", keys[i]);
		cr_expect_not_null(strstr(WITHDRAW("", ""), "WRONGTYPE"), "%s", keys[i]);
		redis_text(lua_redis, "DEL %s", keys[i]);
		cr_expect_str_eq(lua_waiting(), "1 2 3|4 5|");
	}
}
