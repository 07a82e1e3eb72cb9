/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever stands in a queue, in the journal and in the other keys of a user: no script
 * ends in an error of its own, and what is not understood stays. */
#include "support/lua_place.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ID "01JDCF3K7Q9R8W2ZT5XV6Y0009"

static int64_t now;

static void setup(void)
{
	lua_setup_online();
	now = lua_now_ms(lua_redis);
}

TestSuite(odd_elements, .init = setup, .fini = lua_teardown);

static void call_all(const char *odd)
{
	char at[24];
	snprintf(at, sizeof at, "%lld", (long long)now);
	const char *const got[] = {
		PLACE(1, .collapse = "k", .lane = PRIORITY_NORMAL),
		PLACE(2, .collapse = "k", .app_count = 1, .policy = "drop-oldest"),
		PLACE(3, .max_count = 1, .policy = "drop-lowest"),
		lua(lua_redis, SCRIPT_MESSAGE_STATUS, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "chat", ID, at),
		lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700", ID, "1", "9",
		    "9999", at, "60000", "normal"),
		lua(lua_redis, SCRIPT_MESSAGE_STATUS, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "chat", lua_id(2), at),
		lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700", at, "60000",
		    lua_id(2), "1"),
		lua(lua_redis, SCRIPT_MESSAGE_WITHDRAW, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "chat", lua_id(1), at,
		    "60000"),
	};
	for (size_t i = 0; i < sizeof got / sizeof *got; i++)
		cr_expect_neq(got[i][0], '!', "%zu, after \"%s\": %s", i, odd, got[i]);
	const char *more[] = {
		lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 4, LUA_LANES, LUA_JOURNAL, at, "60000"),
		lua(lua_redis, SCRIPT_MISSED_TOLD, 2, LUA_MISSED, LUA_PRESENCE, "1700", "chat", "1"),
		lua(lua_redis, SCRIPT_PRESENCE_CLAIM, 6, LUA_PRESENCE, LUA_LANES, LUA_CURSOR, LUA_MISSED, "mb1", "3",
		    "77", "127.0.0.1:9", "60000"),
	};
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		cr_expect_neq(more[i][0], '!', "%zu, after \"%s\": %s", i, odd, more[i]);
}

Test(odd_elements, in_a_queue)
{
	static const char *const odd[] = {
		"", " ", "\n", "x", ID, ID " ", ID " chat", ID " chat ", ID "chat 1700000000000 1900000000000 -\n",
		ID " chat 1700000000000 soon.........  -\n", ID " chat 1700000000000 -\n 9999999999999",
		"                                                                          ",
	};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		redis_text(lua_redis, "FLUSHALL");
		lua_log_in();
		for (size_t lane = 0; lane < PRIORITIES; lane++)
			redis_text(lua_redis, "RPUSH %s %s", (const char *const[]){LUA_LANES}[lane], odd[i]);
		call_all(odd[i]);
		for (size_t lane = 0; lane < PRIORITIES; lane++)
			cr_expect_str_eq(redis_text(lua_redis, "LINDEX %s 0", (const char *const[]){LUA_LANES}[lane]),
					 *odd[i] ? odd[i] : "''");
	}
}

/* These can be read as far as the time when they expire, and no further. */
Test(odd_elements, in_a_header)
{
	static const char *const odd[] = {
		ID " chat yesterday.... 1900000000000 -\n", ID " chat 1700000000000 1900000000000",
		ID " chat 1700000000000 1900000000000\n", ID " chat 1700000000000 1900000000000 - c= r",
		ID " chat 1700000000000 1900000000000 - c=\n", ID " chat 1700000000000 1900000000000 -  c=k  r \n",
		ID " chat 1700000000000 1900000000000 - c=k c=l p=x\n", ID "  1700000000000 1900000000000 -\n",
		ID " chat 1700000000000          1e99 -\n",
	};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		redis_text(lua_redis, "FLUSHALL");
		lua_log_in();
		redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, odd[i]);
		redis_text(lua_redis, "PEXPIRE %s 60000", LUA_QUEUE);
		call_all(odd[i]);
	}
}

Test(odd_elements, in_the_journal_and_the_hashes)
{
	static const char *const odd[] = {"", "x", "-1", "1 2", "1e400", "nan", "99999999999999999999", "\n", "\xff"};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		redis_text(lua_redis, "FLUSHALL");
		lua_log_in();
		redis_text(lua_redis, "RPUSH %s %s", LUA_JOURNAL, odd[i]);
		redis_text(lua_redis, "HSET %s since %s handed:normal %s", LUA_PRESENCE, odd[i], odd[i]);
		redis_text(lua_redis, "HSET %s seen %s count %s bytes %s soonest %s count:chat %s bytes:chat %s "
			   "since %s collapse:{chat}:k %s", LUA_INDEX, odd[i], odd[i], odd[i], odd[i], odd[i], odd[i],
			   odd[i], odd[i]);
		call_all(odd[i]);
	}
}

/* What is displaced is gone by the time it is counted. */
Test(odd_elements, in_missed)
{
	redis_text(lua_redis, "HSET %s chat many", LUA_MISSED);
	PLACE(1);
	PLACE(2);
	const char *got = PLACE(3, .app_count = 2, .policy = "drop-oldest");
	cr_assert_eq(strncmp(got, "[stored ", 8), 0, "%s", got);
	cr_assert_str_eq(lua_waiting(), "2 3||");
	cr_assert_str_eq(redis_text(lua_redis, "HGET %s chat", LUA_MISSED), "1");
}
