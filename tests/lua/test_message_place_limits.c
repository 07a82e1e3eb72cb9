/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of message_place by number and bytes, what gives way when one is
 * reached, and that expired messages go before. */
#include "support/lua_place.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(message_place_limits, .init = lua_place_setup, .fini = lua_place_teardown);

enum { SIZE = 26 + 6 + 13 + 1 + 13 + 3 + 5 }; /* bytes of a plain record of "chat" with "hello" */

static const char *missed(void) { return redis_text(lua_redis, "HMGET %s chat shop", LUA_MISSED); }
static const char *journal(void) { return redis_text(lua_redis, "LRANGE %s 0 -1", LUA_JOURNAL); }

/* Whether a reply is "stored", with as many displaced as are named by the ends of their ids. */
static void assert_displaced(const char *got, const char *want)
{
	char text[512] = "";
	size_t len = 0;
	cr_assert_eq(strncmp(got, "[stored ", 8), 0, "%s", got);
	for (const char *p = strstr(got, "displaced "); p; p = strstr(p + 1, "displaced "))
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%d", len ? " " : "",
					atoi(strstr(p, "01JD") + 22));
	cr_assert_str_eq(text, want, "%s", got);
}

Test(message_place_limits, each_limit_is_met_exactly)
{
	static const struct {
		struct lua_place at; /* the limits that two messages reach */
		struct lua_place above;
		const char *what;
	} cases[] = {
		{{.max_count = 2}, {.max_count = 3}, "[full messages]"},
		{{.max_bytes = 3 * SIZE - 1}, {.max_bytes = 3 * SIZE}, "[full bytes]"},
		{{.app_count = 2}, {.app_count = 3}, "[full messages of the App]"},
		{{.app_bytes = 3 * SIZE - 1}, {.app_bytes = 3 * SIZE}, "[full bytes of the App]"},
		{{.max_count = 2, .app_count = 2}, {.max_count = 3, .app_count = 3}, "[full messages of the App]"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		redis_text(lua_redis, "FLUSHALL");
		PLACE(1, .lane = PRIORITY_NORMAL);
		PLACE(2);
		cr_expect_str_eq(lua_place(3, &cases[i].at), cases[i].what);
		cr_expect_str_eq(lua_waiting(), "1 2||");
		cr_expect_str_eq(lua_index_wrong(), "");
		cr_expect_str_eq(journal(), "[]");
		cr_expect_eq(strncmp(lua_place(3, &cases[i].above), "[stored 3 ", 10), 0, "%zu", i);
	}
}

/* The header line is as long as that of a plain one with " f=..." and without "hello". */
Test(message_place_limits, a_body_that_lies_elsewhere_counts)
{
	enum { BYTES = 1000, EACH = SIZE - 5 + 7 + BYTES };
	PLACE(1, .lane = PRIORITY_HIGH, .body = "");
	const long long high = SIZE - 5 + 7; /* " p=high" */
	PLACE(2, .elsewhere = BYTES);
	cr_assert_str_eq(PLACE(3, .elsewhere = BYTES, .max_bytes = high + 2 * EACH - 1), "[full bytes]");
	cr_assert_str_eq(PLACE(3, .elsewhere = BYTES, .app_bytes = high + 2 * EACH - 1), "[full bytes of the App]");
	redis_text(lua_redis, "DEL %s", LUA_INDEX);
	cr_assert_str_eq(PLACE(3, .app_bytes = high + EACH + SIZE - 1), "[full bytes of the App]", "made anew, too");
	cr_assert_eq(strncmp(PLACE(3, .elsewhere = BYTES, .app_bytes = high + 2 * EACH), "[stored", 7), 0);
	cr_expect_str_eq(lua_index_wrong(), "");
	assert_displaced(PLACE(4, .app_bytes = EACH + SIZE, .policy = "drop-oldest"), "1 2");
}

Test(message_place_limits, they_are_of_all_lanes_together)
{
	PLACE(1, .lane = PRIORITY_HIGH);
	PLACE(2, .lane = PRIORITY_LOW);
	cr_assert_str_eq(PLACE(3, .max_count = 2), "[full messages]");
	cr_assert_str_eq(PLACE(3, .lane = PRIORITY_HIGH, .app_count = 2), "[full messages of the App]");
	cr_assert_eq(strncmp(PLACE(3, .app = "shop", .app_count = 1), "[stored", 7), 0, "another App's");
	cr_assert_str_eq(PLACE(4, .app = "shop", .max_count = 3), "[full messages]");
}

Test(message_place_limits, the_one_that_is_replaced_makes_room)
{
	PLACE(1, .collapse = "k");
	PLACE(2);
	cr_assert_str_eq(PLACE(3, .max_count = 2), "[full messages]");
	cr_assert_eq(strncmp(PLACE(4, .collapse = "k", .max_count = 2, .app_count = 2), "[stored", 7), 0);
	cr_assert_str_eq(lua_waiting(), "2 4||");
}

Test(message_place_limits, refused_although_it_would_replace_one_leaves_that_one)
{
	PLACE(1, .collapse = "k");
	PLACE(2);
	cr_assert_str_eq(PLACE(3, .collapse = "k", .max_bytes = 2 * SIZE, .body = "much longer than the old one"),
			 "[full bytes]");
	cr_assert_str_eq(lua_waiting(), "1 2||");
}

Test(message_place_limits, drop_oldest_goes_by_age_across_the_lanes)
{
	PLACE(1, .lane = PRIORITY_HIGH);
	PLACE(2, .lane = PRIORITY_LOW);
	PLACE(3);
	PLACE(4, .lane = PRIORITY_HIGH);
	PLACE(5, .app = "shop");
	assert_displaced(PLACE(6, .app_count = 4, .policy = "drop-oldest", .now_ms = lua_t0), "1");
	cr_assert_str_eq(lua_waiting(), "3 5 6|4|2");
	char want[128];
	snprintf(want, sizeof want, "[%lld displaced chat %s]", (long long)lua_t0, lua_id(1));
	cr_assert_str_eq(journal(), want);
	cr_assert_str_eq(missed(), "[1 nil]");
	assert_displaced(PLACE(7, .app_count = 2, .policy = "drop-oldest", .lane = PRIORITY_LOW), "2 3 4");
	cr_assert_str_eq(lua_waiting(), "5 6||7");
	cr_assert_str_eq(missed(), "[4 nil]");
	cr_assert_gt(atoll(redis_text(lua_redis, "PTTL %s", LUA_MISSED)), 29LL * 24 * 3600 * 1000);
}

Test(message_place_limits, as_many_go_as_the_bytes_ask_for)
{
	char body[151];
	memset(body, 'x', 150);
	body[150] = '\0';
	for (unsigned n = 1; n <= 10; n++)
		PLACE(n);
	/* 150 - 5 bytes more than a plain one: it takes the room of four (3.2). */
	assert_displaced(PLACE(11, .max_bytes = 10 * SIZE, .policy = "drop-oldest", .body = body), "1 2 3 4");
	assert_displaced(PLACE(12, .max_bytes = 11 * SIZE, .policy = "drop-oldest"), "");
	cr_assert_str_eq(lua_waiting(), "5 6 7 8 9 10 11 12||");
}

Test(message_place_limits, drop_lowest_gives_up_low_ones_first)
{
	PLACE(1, .lane = PRIORITY_HIGH);
	PLACE(2);
	PLACE(3, .lane = PRIORITY_LOW);
	PLACE(4, .lane = PRIORITY_LOW);
	PLACE(5);
	assert_displaced(PLACE(6, .app_count = 5, .policy = "drop-lowest"), "3");
	assert_displaced(PLACE(7, .app_count = 3, .policy = "drop-lowest", .lane = PRIORITY_HIGH), "4 2 5");
	cr_assert_str_eq(lua_waiting(), "6|1 7|");
	assert_displaced(PLACE(8, .app_count = 1, .policy = "drop-lowest", .lane = PRIORITY_HIGH), "6 1 7");
	cr_assert_str_eq(lua_waiting(), "|8|");
}

Test(message_place_limits, drop_lowest_never_gives_up_a_higher_one)
{
	PLACE(1, .lane = PRIORITY_HIGH);
	PLACE(2);
	cr_assert_str_eq(PLACE(3, .app_count = 2, .policy = "drop-lowest", .lane = PRIORITY_LOW),
			 "[full messages of the App]");
	assert_displaced(PLACE(4, .app_count = 2, .policy = "drop-lowest"), "2");
	cr_assert_str_eq(lua_waiting(), "4|1|");
	cr_assert_str_eq(PLACE(5, .app_count = 1, .policy = "drop-lowest"), "[full messages of the App]",
			 "one is not enough: none goes");
	cr_assert_str_eq(lua_waiting(), "4|1|");
	cr_assert_str_eq(missed(), "[1 nil]");
	PLACE(6, .lane = PRIORITY_LOW);
	assert_displaced(PLACE(7, .app_count = 3, .policy = "drop-lowest", .lane = PRIORITY_LOW), "6");
}

Test(message_place_limits, never_another_apps_messages)
{
	static const char *const policies[] = {"drop-oldest", "drop-lowest"};
	for (size_t i = 0; i < 2; i++) {
		redis_text(lua_redis, "FLUSHALL");
		PLACE(1, .app = "shop", .lane = PRIORITY_LOW);
		PLACE(2, .app = "shop");
		cr_expect_str_eq(PLACE(3, .max_count = 2, .policy = policies[i], .lane = PRIORITY_HIGH), "[full messages]");
		cr_expect_str_eq(lua_waiting(), "2||1");
		PLACE(4);
		assert_displaced(PLACE(5, .max_count = 3, .policy = policies[i], .lane = PRIORITY_HIGH), "4");
		cr_expect_str_eq(lua_waiting(), "2|5|1");
		cr_expect_str_eq(missed(), "[1 nil]");
	}
}

/* It is known without looking that this cannot be made good. */
Test(message_place_limits, what_can_have_no_room_displaces_nothing)
{
	PLACE(1);
	PLACE(2);
	cr_assert_str_eq(PLACE(3, .app_bytes = SIZE - 1, .policy = "drop-oldest"), "[full bytes of the App]");
	cr_assert_str_eq(PLACE(3, .max_bytes = SIZE - 1, .policy = "drop-lowest"), "[full bytes]");
	cr_assert_str_eq(lua_waiting(), "1 2||");
	cr_assert_str_eq(missed(), "[nil nil]");
	redis_text(lua_redis, "FLUSHALL");
	cr_assert_str_eq(PLACE(3, .max_bytes = SIZE - 1, .once = LUA_ONCE), "[full bytes]");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0", "not even an index");
}

Test(message_place_limits, replaced_and_displaced_at_once)
{
	PLACE(1, .receipt = true);
	PLACE(2, .collapse = "k");
	PLACE(3, .receipt = true);
	PLACE(4);
	const char *got = PLACE(5, .collapse = "k", .app_count = 2, .policy = "drop-oldest");
	char want[512];
	snprintf(want, sizeof want, "[stored 2 %s '' '' '' '' replaced chat %s - displaced chat %s r displaced chat %s r]",
		 lua_id(4), lua_id(2), lua_id(1), lua_id(3));
	cr_assert_str_eq(got, want);
	cr_assert_str_eq(lua_waiting(), "4 5||");
	cr_assert_str_eq(missed(), "[2 nil]");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_JOURNAL), "2", "a line for each kind");
}

Test(message_place_limits, a_key_is_forgotten_with_the_message_that_was_displaced)
{
	PLACE(1, .collapse = "k");
	PLACE(2, .collapse = "l");
	assert_displaced(PLACE(3, .app_count = 2, .policy = "drop-oldest"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "HEXISTS %s collapse:{chat}:k", LUA_INDEX), "0");
	cr_assert_str_eq(redis_text(lua_redis, "HEXISTS %s collapse:{chat}:l", LUA_INDEX), "1");
	cr_assert_null(strstr(PLACE(4, .collapse = "k"), "replaced"));
}

Test(message_place_limits, what_expired_goes_before_anything_is_refused)
{
	char want[256];
	PLACE(1, .now_ms = lua_t0, .lane = PRIORITY_HIGH);
	PLACE(2, .now_ms = lua_t0, .ttl_ms = 10, .receipt = true);
	PLACE(3, .now_ms = lua_t0, .ttl_ms = 10, .app = "shop", .lane = PRIORITY_LOW);
	cr_assert_str_eq(PLACE(4, .now_ms = lua_t0 + 9, .max_count = 3), "[full messages]");
	cr_assert_str_eq(journal(), "[]");
	cr_assert_str_eq(PLACE(4, .now_ms = lua_t0 + 10, .max_count = 3), "[stored 1 '' '' '' '' '']");
	cr_assert_str_eq(lua_waiting(), "4|1|");
	snprintf(want, sizeof want, "[%lld expired chat %s@%lld %lld expired shop %s@%lld]", (long long)lua_t0 + 10,
		 lua_id(2), (long long)lua_t0 + 10, (long long)lua_t0 + 10, lua_id(3), (long long)lua_t0 + 10);
	cr_assert_str_eq(journal(), want);
}

Test(message_place_limits, what_expired_goes_before_anything_is_displaced)
{
	static const char *const policies[] = {"drop-oldest", "drop-lowest"};
	for (size_t i = 0; i < 2; i++) {
		redis_text(lua_redis, "FLUSHALL");
		PLACE(1, .now_ms = lua_t0);
		PLACE(2, .now_ms = lua_t0, .ttl_ms = 10);
		assert_displaced(PLACE(3, .now_ms = lua_t0 + 10, .app_count = 2, .policy = policies[i]), "");
		cr_expect_str_eq(lua_waiting(), "1 3||");
		cr_expect_str_eq(missed(), "[nil nil]");
		assert_displaced(PLACE(4, .now_ms = lua_t0 + 10, .app_count = 2, .policy = policies[i]), "1");
	}
}

Test(message_place_limits, what_expired_is_gone_even_if_that_is_not_enough)
{
	PLACE(1, .now_ms = lua_t0);
	PLACE(2, .now_ms = lua_t0, .ttl_ms = 10);
	cr_assert_str_eq(PLACE(3, .now_ms = lua_t0 + 10, .app_count = 1), "[full messages of the App]");
	cr_assert_str_eq(lua_waiting(), "1||");
	cr_assert_not_null(strstr(journal(), " expired chat "));
	cr_assert_str_eq(PLACE(3, .now_ms = lua_t0 + 10, .app_count = 2), "[stored 2 01JDCF3K7Q9R8W2ZT5XV6Y0001 '' '' '' '']");
}

Test(message_place_limits, with_room_expired_ones_stay_for_another)
{
	PLACE(1, .now_ms = lua_t0, .ttl_ms = 10);
	PLACE(2, .now_ms = lua_t0 + 10);
	cr_assert_str_eq(lua_waiting(), "1 2||");
}

Test(message_place_limits, what_is_no_record_counts_but_is_not_given_up)
{
	redis_text(lua_redis, "RPUSH %s rubbish %s", LUA_QUEUE, lua_id(7));
	redis_text(lua_redis, "PEXPIRE %s 60000", LUA_QUEUE);
	PLACE(1);
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s count count:chat", LUA_INDEX), "[3 1]");
	cr_assert_str_eq(PLACE(2, .max_count = 3), "[full messages]");
	assert_displaced(PLACE(3, .max_count = 3, .policy = "drop-oldest"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "3");
	redis_text(lua_redis, "DEL %s %s", LUA_QUEUE, LUA_INDEX);
}

/* Those of another App, more than one reading of the queue holds, stand before. */
Test(message_place_limits, far_down_a_long_queue)
{
	for (unsigned n = 1; n <= 150; n++)
		PLACE(n, .app = n == 70 || n == 140 ? "chat" : "shop");
	assert_displaced(PLACE(200, .app_count = 2, .policy = "drop-oldest"), "70");
	assert_displaced(PLACE(201, .app_count = 1, .policy = "drop-oldest"), "140 200");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "149");
}
