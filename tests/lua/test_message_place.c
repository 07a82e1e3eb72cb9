/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes, collapse keys, and what message_place has in common with message_store. */
#include "support/lua_place.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(message_place, .init = lua_place_setup, .fini = lua_place_teardown);

#define STORED(count) "[stored " #count " '' '' '' '' '']"

static const char *journal(void) { return redis_text(lua_redis, "LRANGE %s 0 -1", LUA_JOURNAL); }

/* "[stored <count> <id of prev> '' '' '' ''<rest>]" */
static const char *stored(int count, unsigned prev, const char *rest)
{
	static char text[512];
	snprintf(text, sizeof text, "[stored %d %s '' '' '' ''%s]", count, lua_id(prev), rest);
	return text;
}

/* " <event> <app> <id> <r or ->" */
static const char *event(const char *what, const char *app, unsigned n, char receipt)
{
	static char text[128];
	snprintf(text, sizeof text, " %s %s %s %c", what, app, lua_id(n), receipt);
	return text;
}

Test(message_place, each_priority_has_a_lane)
{
	cr_assert_str_eq(PLACE(1), STORED(1));
	cr_assert_str_eq(PLACE(2, .lane = PRIORITY_HIGH), STORED(1));
	cr_assert_str_eq(PLACE(3, .lane = PRIORITY_LOW), STORED(1));
	cr_assert_str_eq(PLACE(4, .lane = PRIORITY_HIGH), stored(2, 2, ""));
	cr_assert_str_eq(PLACE(5, .lane = PRIORITY_LOW), stored(2, 3, ""));
	cr_assert_str_eq(PLACE(6), stored(2, 1, ""));
	cr_assert_str_eq(lua_waiting(), "1 6|2 4|3 5");
	cr_assert_not_null(strstr(redis_text(lua_redis, "LINDEX %s 0", LUA_HIGH), " - p=high\nhello"));
	cr_assert_str_eq(journal(), "[]");
}

Test(message_place, online_user_is_named_with_the_message_before)
{
	char want[128];
	lua_log_in();
	cr_assert_str_eq(PLACE(1, .lane = PRIORITY_LOW), "[stored 1 '' mb1 3 77 1700]");
	snprintf(want, sizeof want, "[stored 2 %s mb1 3 77 1700]", lua_id(1));
	cr_assert_str_eq(PLACE(2, .lane = PRIORITY_LOW), want);
	redis_text(lua_redis, "HDEL %s broker boot conn", LUA_PRESENCE);
	cr_assert_str_eq(PLACE(3, .lane = PRIORITY_HIGH), "[stored 1 '' '' '' '' 1700]", "a tombstone");
}

Test(message_place, each_lane_lives_as_long_as_its_longest_message)
{
	PLACE(1, .now_ms = lua_t0, .ttl_ms = 9000);
	PLACE(2, .now_ms = lua_t0, .ttl_ms = 1000);
	PLACE(3, .now_ms = lua_t0, .ttl_ms = 20000, .lane = PRIORITY_HIGH);
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_QUEUE)), lua_t0 + 9000 + LUA_PLACE_KEEP_MS);
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_HIGH)), lua_t0 + 20000 + LUA_PLACE_KEEP_MS);
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_INDEX)), lua_t0 + 20000 + LUA_PLACE_KEEP_MS);
}

Test(message_place, a_newer_one_takes_the_place_of_the_one_with_its_key)
{
	char want[128];
	PLACE(1);
	PLACE(2, .collapse = "price");
	PLACE(3, .collapse = "weather");
	cr_assert_str_eq(PLACE(4, .collapse = "price", .now_ms = lua_t0), stored(3, 3, event("replaced", "chat", 2, '-')));
	cr_assert_str_eq(lua_waiting(), "1 3 4||");
	snprintf(want, sizeof want, "[%lld replaced chat %s]", (long long)lua_t0, lua_id(2));
	cr_assert_str_eq(journal(), want);
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_MISSED), "0", "nothing is missed by it");
	cr_assert_str_eq(PLACE(5, .collapse = "price"), stored(3, 4, event("replaced", "chat", 4, '-')));
	cr_assert_str_eq(PLACE(6), stored(4, 5, ""), "one without a key replaces nothing");
	cr_assert_str_eq(PLACE(7, .collapse = "pric"), stored(5, 6, ""), "nor does another key");
}

Test(message_place, the_keys_of_apps_have_nothing_to_do_with_each_other)
{
	PLACE(1, .collapse = "price");
	PLACE(2, .app = "shop", .collapse = "price");
	cr_assert_str_eq(PLACE(3, .app = "shop", .collapse = "price"), stored(2, 2, event("replaced", "shop", 2, '-')));
	cr_assert_str_eq(PLACE(4, .app = "cha", .collapse = "price"), stored(3, 3, ""));
	cr_assert_str_eq(lua_waiting(), "1 3 4||");
}

Test(message_place, collapses_across_lanes)
{
	PLACE(1, .collapse = "price");
	cr_assert_str_eq(PLACE(2, .collapse = "price", .lane = PRIORITY_HIGH),
			 "[stored 1 '' '' '' '' '' replaced chat 01JDCF3K7Q9R8W2ZT5XV6Y0001 -]");
	cr_assert_str_eq(lua_waiting(), "|2|");
	PLACE(3, .collapse = "price", .lane = PRIORITY_LOW);
	cr_assert_str_eq(lua_waiting(), "||3");
	PLACE(4, .collapse = "price");
	cr_assert_str_eq(lua_waiting(), "4||");
}

Test(message_place, who_wants_a_receipt_is_in_the_event)
{
	PLACE(1, .collapse = "r", .receipt = true);
	cr_assert_str_eq(PLACE(2, .collapse = "r"), stored(1, 1, event("replaced", "chat", 1, 'r')));
	cr_assert_str_eq(PLACE(3, .collapse = "r", .receipt = true), stored(1, 2, event("replaced", "chat", 2, '-')));
}

/* The broker goes on from there: the id of one that has left tells it so. */
Test(message_place, the_last_one_replaced_is_still_the_one_before)
{
	PLACE(1);
	PLACE(2, .collapse = "k");
	cr_assert_str_eq(PLACE(3, .collapse = "k"), stored(2, 2, event("replaced", "chat", 2, '-')));
}

Test(message_place, the_only_one_replaced)
{
	PLACE(1, .collapse = "k", .now_ms = lua_t0, .ttl_ms = 90000);
	PLACE(2, .collapse = "k", .now_ms = lua_t0, .ttl_ms = 5000);
	cr_assert_str_eq(lua_waiting(), "2||");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_QUEUE)), lua_t0 + 5000 + LUA_PLACE_KEEP_MS);
}

Test(message_place, one_under_way_is_replaced_and_its_acknowledgement_removes_nothing)
{
	lua_log_in();
	PLACE(1, .collapse = "k");
	PLACE(2);
	lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700", "", "0", "9", "9999",
	    lua_num(lua_t0), "60000", "normal");
	PLACE(3, .collapse = "k");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700",
			     lua_num(lua_t0), "60000", lua_id(1), lua_num(lua_t0)), "[ok 0 2]");
	cr_assert_str_eq(lua_waiting(), "2 3||");
}

Test(message_place, one_that_left_is_not_replaced)
{
	lua_log_in();
	PLACE(1, .collapse = "k");
	PLACE(2, .collapse = "other");
	lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL, "1700", lua_num(lua_t0), "60000",
	    lua_id(1), "1");
	char want[128];
	snprintf(want, sizeof want, "[stored 2 %s mb1 3 77 1700]", lua_id(2));
	cr_assert_str_eq(PLACE(3, .collapse = "k"), want);
}

Test(message_place, one_that_expired_is_no_event)
{
	PLACE(1, .collapse = "k", .now_ms = lua_t0, .ttl_ms = 10, .receipt = true);
	cr_assert_str_eq(PLACE(2, .collapse = "k", .now_ms = lua_t0 + 10), stored(1, 1, ""));
	cr_assert_str_eq(lua_waiting(), "2||");
	cr_assert_not_null(strstr(journal(), " expired chat "));
}

/* Wherever it stands in a long queue. */
Test(message_place, replaces_far_down_a_long_queue)
{
	char key[32];
	for (unsigned n = 1; n <= 400; n++) {
		snprintf(key, sizeof key, "k%u", n);
		PLACE(n, .collapse = key, .lane = PRIORITY_LOW);
	}
	static const unsigned which[] = {1, 64, 65, 200, 201, 336, 337, 399, 400};
	for (unsigned i = 0; i < sizeof which / sizeof *which; i++) {
		snprintf(key, sizeof key, "k%u", which[i]);
		const char *got = PLACE(500 + i, .collapse = key, .lane = PRIORITY_LOW);
		cr_expect_not_null(strstr(got, event("replaced", "chat", which[i], '-')), "%s", got);
	}
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_LOW), "400");
}

Test(message_place, repeated_id_is_answered_as_the_first_time)
{
	char want[128];
	PLACE(1, .once = LUA_ONCE, .lane = PRIORITY_HIGH);
	snprintf(want, sizeof want, "[duplicate %s stored]", lua_id(1));
	cr_assert_str_eq(PLACE(2, .once = LUA_ONCE, .max_count = 1), want);
	lua_log_in();
	snprintf(want, sizeof want, "[duplicate %s stored mb1 3 77 1700]", lua_id(1));
	cr_assert_str_eq(PLACE(3, .once = LUA_ONCE), want);
	redis_text(lua_redis, "DEL %s", LUA_ONCE);
	PLACE(4, .once = LUA_ONCE);
	snprintf(want, sizeof want, "[duplicate %s pushed mb1 3 77 1700]", lua_id(4));
	cr_assert_str_eq(PLACE(5, .once = LUA_ONCE), want);
	cr_assert_str_eq(lua_waiting(), "4|1|");
	int64_t ttl = atoll(redis_text(lua_redis, "PTTL %s", LUA_ONCE));
	cr_assert(ttl > 50000 && ttl <= 60000);
}

Test(message_place, refused_send_may_be_repeated)
{
	PLACE(1, .lane = PRIORITY_LOW);
	cr_assert_str_eq(PLACE(2, .once = LUA_ONCE, .max_count = 1), "[full messages]");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_ONCE), "0");
	cr_assert_str_eq(PLACE(2, .once = LUA_ONCE, .max_count = 2), STORED(1));
}

Test(message_place, who_wants_nothing_stored_gets_nothing_stored)
{
	static const char *const off[] = {"off:chat", "off:*"};
	for (size_t i = 0; i < 2; i++) {
		redis_text(lua_redis, "FLUSHALL");
		redis_text(lua_redis, "HSET %s %s 1700000000000", LUA_SETTINGS, off[i]);
		cr_expect_str_eq(PLACE(1, .once = LUA_ONCE, .lane = PRIORITY_HIGH, .collapse = "k"), "[off]");
		cr_expect_str_eq(redis_text(lua_redis, "DBSIZE"), "1");
		lua_log_in();
		cr_expect_str_eq(PLACE(1, .once = LUA_ONCE), "[off '' '' mb1 3 77 1700]");
		cr_expect_str_eq(redis_text(lua_redis, "DBSIZE"), "2");
	}
	cr_expect_str_eq(PLACE(1, .once = LUA_ONCE, .elsewhere = 100), "[off '' '' mb1 3 77 1700]");
	cr_expect_eq(strncmp(PLACE(1, .once = LUA_ONCE, .elsewhere = 100), "[duplicate", 10), 0, "a fan-out that comes again");
	redis_text(lua_redis, "FLUSHALL");
	redis_text(lua_redis, "HSET %s off:shop 1", LUA_SETTINGS);
	cr_assert_str_eq(PLACE(1), STORED(1));
}

#define PLACE_RAW(record, lane, limits, policy) lua(lua_redis, SCRIPT_MESSAGE_PLACE, 8, LUA_PLACE_KEYS, record, \
	lane, "9999999999999", "1", "1", "1", limits, limits, "0", "0", policy, "")

Test(message_place, what_is_no_record_is_refused)
{
	static const char *const odd[] = {
		"", "x", "01JDCF3K7Q9R8W2ZT5XV6Y0001", "01JDCF3K7Q9R8W2ZT5XV6Y0001 chat",
		"01JDCF3K7Q9R8W2ZT5XV6Y0001 chat 1700000000000 soon -\nhello",
	};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		cr_expect_str_eq(PLACE_RAW(odd[i], "1", "9", "reject"), "!ERR message_place: not a record", "%zu", i);
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(message_place, wrong_arguments_are_refused_before_anything_is_written)
{
	static const char *const wrong = "!ERR message_place: wants 8 or 9 KEYS and 12 ARGV";
	static const char *const no_number = "!ERR message_place: ARGV 2 to 10 must be numbers, lane 1 to 3";
	const char *r = lua_record(1, 9999999999999);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_PLACE, 8, LUA_PLACE_KEYS, r, "1", "1", "1", "1", "1", "1", "1",
			     "1", "1", "reject"), wrong);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_PLACE, 7, LUA_PLACE_KEYS, r, "1", "1", "1", "1", "1", "1", "1",
			     "1", "1", "reject"), wrong);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_PLACE, 10, LUA_PLACE_KEYS, LUA_ONCE, LUA_ONCE, r, "1", "1",
			     "1", "1", "1", "1", "1", "1", "1", "reject", ""), wrong);
	static const char *const lanes[] = {"0", "4", "-1", "high", "1.5", ""};
	for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++)
		cr_expect_str_eq(PLACE_RAW(r, lanes[i], "9", "reject"), no_number, "lane %s", lanes[i]);
	cr_assert_str_eq(PLACE_RAW(r, "1", "many", "reject"), no_number);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_PLACE, 9, LUA_PLACE_KEYS, LUA_ONCE, r, "1", "9999999999999", "1",
			     "1", "0", "9", "99", "0", "0", "reject", ""), no_number, "once_ttl");
	static const char *const policies[] = {"", "drop", "DROP-OLDEST"};
	for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
		cr_expect_str_eq(PLACE_RAW(r, "1", "9", policies[i]),
				 "!ERR message_place: policy must be reject, drop-oldest or drop-lowest");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(message_place, key_of_another_type_changes_nothing)
{
	static const char *const keys[] = {LUA_PLACE_KEYS, LUA_ONCE};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		redis_text(lua_redis, "FLUSHALL");
		redis_text(lua_redis, "ZADD %s 1 x", keys[i]);
		const char *got = PLACE(1, .once = LUA_ONCE, .collapse = "k");
		cr_expect_not_null(strstr(got, "WRONGTYPE"), "%s: %s", keys[i], got);
		cr_expect_str_eq(redis_text(lua_redis, "DBSIZE"), "1", "%s", keys[i]);
	}
	redis_text(lua_redis, "FLUSHALL");
}

Test(message_place, a_full_redis_refuses_it)
{
	redis_text(lua_redis, "CONFIG SET maxmemory 1");
	cr_assert_eq(strncmp(PLACE(1, .once = LUA_ONCE), "!OOM", 4), 0);
	redis_text(lua_redis, "CONFIG SET maxmemory 0");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}
