/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t now;

static void setup(void)
{
	lua_setup_online();
	now = lua_now_ms(lua_redis);
}

#define KEYS LUA_QUEUE, LUA_PRESENCE, LUA_JOURNAL
#define KEEP "60000"

TestSuite(message_fetch, .init = setup, .fini = lua_teardown);

static void push(unsigned n, int64_t ttl)
{
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record(n, now + ttl));
}

static void push_range(unsigned from, unsigned to)
{
	for (unsigned n = from; n <= to; n++)
		push(n, 60000);
}

/* "left=2 expired=0: 1 2 3", the numbers being the ends of the ids. */
static const char *fetch_by(const char *owner, const char *after, int skip, int count, int bytes)
{
	static char text[4096];
	redisReply *r = lua_call(lua_redis, SCRIPT_MESSAGE_FETCH, 3, KEYS, owner, after, lua_num(skip),
				 lua_num(count), lua_num(bytes), lua_num(now), KEEP, "normal");
	if (r->type != REDIS_REPLY_ARRAY || r->elements < 3)
		return lua_text(r);
	int len = snprintf(text, sizeof text, "left=%lld expired=%lld:", r->element[1]->integer,
			   r->element[2]->integer);
	for (size_t i = 3; i < r->elements; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, " %d",
				atoi(r->element[i]->str + 22));
	freeReplyObject(r);
	return text;
}

static const char *fetch(const char *after, int skip, int count)
{
	return fetch_by("1700", after, skip, count, 1 << 20);
}

Test(message_fetch, empty_queue) { cr_assert_str_eq(fetch("", 0, 10), "left=0 expired=0:"); }

Test(message_fetch, oldest_first_and_nothing_is_removed)
{
	push_range(1, 3);
	cr_assert_str_eq(fetch("", 0, 10), "left=0 expired=0: 1 2 3");
	cr_assert_str_eq(fetch("", 0, 10), "left=0 expired=0: 1 2 3");
	char want[256];
	snprintf(want, sizeof want, "[ok 2 0 %s]", lua_record(1, now + 60000));
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, KEYS, "1700", "", "0", "1", "1",
			     lua_num(now), KEEP, "normal"), want);
}

Test(message_fetch, only_the_owner)
{
	push_range(1, 3);
	cr_assert_str_eq(fetch_by("1699", "", 0, 10, 100), "[fenced]");
	cr_assert_str_eq(fetch_by("1701", "", 0, 10, 100), "[fenced]");
	redis_text(lua_redis, "DEL %s", LUA_PRESENCE);
	cr_assert_str_eq(fetch_by("1700", "", 0, 10, 100), "[fenced]");
}

Test(message_fetch, pages_follow_each_other)
{
	push_range(1, 7);
	cr_assert_str_eq(fetch("", 0, 3), "left=4 expired=0: 1 2 3");
	cr_assert_str_eq(fetch(lua_id(3), 3, 3), "left=1 expired=0: 4 5 6");
	cr_assert_str_eq(fetch(lua_id(6), 6, 3), "left=0 expired=0: 7");
	cr_assert_str_eq(fetch(lua_id(7), 7, 3), "left=0 expired=0:");
}

Test(message_fetch, a_wrong_hint_costs_only_a_search)
{
	push_range(1, 200);
	static const int hints[] = {0, 1, 99, 101, 200, 201, 100000, -5};
	for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
		cr_expect_str_eq(fetch(lua_id(100), hints[i], 2), "left=98 expired=0: 101 102",
				 "hint %d", hints[i]);
	cr_assert_str_eq(fetch(lua_id(200), 7, 2), "left=0 expired=0:");
	cr_assert_str_eq(fetch(lua_id(64), 1, 1), "left=135 expired=0: 65", "last of a chunk");
}

Test(message_fetch, unknown_after_begins_at_the_head)
{
	push_range(1, 40);
	cr_assert_str_eq(fetch(lua_id(999), 7, 2), "left=38 expired=0: 1 2");
	cr_assert_str_eq(fetch("nonsense", 0, 1), "left=39 expired=0: 1");
}

/* Only the first skip + 1024 are looked at. */
Test(message_fetch, far_away_after_begins_at_the_head)
{
	push_range(1, 1100);
	cr_assert_str_eq(fetch(lua_id(1100), 0, 1), "left=1099 expired=0: 1");
	cr_assert_str_eq(fetch(lua_id(1025), -7, 1), "left=1099 expired=0: 1");
	cr_assert_str_eq(fetch(lua_id(1024), 0, 1), "left=75 expired=0: 1025");
	cr_assert_str_eq(fetch(lua_id(1099), 75, 1), "left=0 expired=0: 1100");
	cr_assert_str_eq(fetch(lua_id(1099), 1099, 1), "left=0 expired=0: 1100", "the hint is right");
}

Test(message_fetch, bytes_are_bounded_but_one_record_always_comes)
{
	push_range(1, 5);
	const int size = (int)strlen(lua_record(1, now));
	cr_assert_str_eq(fetch_by("1700", "", 0, 10, 1), "left=4 expired=0: 1");
	cr_assert_str_eq(fetch_by("1700", "", 0, 10, 2 * size), "left=3 expired=0: 1 2");
	cr_assert_str_eq(fetch_by("1700", "", 0, 10, 2 * size - 1), "left=4 expired=0: 1");
	cr_assert_str_eq(fetch_by("1700", "", 0, 0, 100000), "left=4 expired=0: 1");
}

Test(message_fetch, expired_ones_are_counted_and_removed_never_returned)
{
	push(1, -5);
	push(2, -1);
	push(3, 60000);
	push(4, -1);
	push(5, 60000);
	push(6, 0);
	cr_assert_str_eq(fetch("", 0, 10), "left=0 expired=4: 3 5");
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "2");
	cr_assert_str_eq(fetch("", 0, 10), "left=0 expired=0: 3 5");
}

Test(message_fetch, expired_behind_the_page_wait_for_their_turn)
{
	push(1, 60000);
	push(2, 60000);
	push(3, -1);
	cr_assert_str_eq(fetch("", 0, 2), "left=1 expired=0: 1 2");
	cr_assert_str_eq(fetch(lua_id(2), 2, 2), "left=0 expired=1:");
}

Test(message_fetch, a_long_row_of_expired_does_not_end_the_page)
{
	for (unsigned n = 1; n <= 150; n++)
		push(n, n % 50 == 0 ? 60000 : -1);
	cr_assert_str_eq(fetch("", 0, 10), "left=0 expired=147: 50 100 150");
	redis_text(lua_redis, "DEL %s", LUA_QUEUE);
	for (unsigned n = 1; n <= 100; n++)
		push(n, -1);
	cr_assert_str_eq(fetch("", 0, 1), "left=0 expired=100:");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_QUEUE), "0");
}

Test(message_fetch, what_cannot_be_read_is_not_deleted)
{
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, "rubbish");
	push(2, 60000);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, KEYS, "1700", "", "0", "1", "1",
			     lua_num(now), KEEP, "normal"), "[ok 1 0 rubbish]");
}

static const char *fetch_lane(const char *queue, const char *lane)
{
	return lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, queue, LUA_PRESENCE, LUA_JOURNAL, "1700", "", "0", "2",
		   "9999", lua_num(now), KEEP, lane);
}

static const char *handed(void)
{
	return redis_text(lua_redis, "HMGET %s handed:normal handed:high handed:low", LUA_PRESENCE);
}

Test(message_fetch, notes_for_each_lane_how_far_it_was_handed_over)
{
	char want[256];
	push_range(1, 3);
	redis_text(lua_redis, "RPUSH %s %s", LUA_HIGH, lua_record_with(4, now + 60000, " p=high"));
	cr_assert_str_eq(fetch_lane(LUA_LOW, "low"), "[ok 0 0]");
	cr_assert_str_eq(handed(), "[nil nil nil]", "nothing was");
	snprintf(want, sizeof want, "[ok 0 0 %s]", lua_record_with(4, now + 60000, " p=high"));
	cr_assert_str_eq(fetch_lane(LUA_HIGH, "high"), want);
	snprintf(want, sizeof want, "[nil %s %lld nil]", lua_id(4), (long long)now);
	cr_assert_str_eq(handed(), want);
	fetch("", 0, 2);
	snprintf(want, sizeof want, "[%s %lld %s %lld nil]", lua_id(2), (long long)now, lua_id(4), (long long)now);
	cr_assert_str_eq(handed(), want);
	fetch(lua_id(3), 3, 2);
	cr_assert_str_eq(handed(), want, "an empty page changes nothing");
}

Test(message_fetch, expired_ones_go_into_the_journal)
{
	char want[256];
	push(1, -1);
	push(2, 60000);
	push(3, -1);
	redis_text(lua_redis, "RPUSH %s %s", LUA_QUEUE, lua_record_of("shop", 4, now - 1, " r", "x"));
	cr_assert_str_eq(fetch("", 0, 10), "left=0 expired=3: 2");
	snprintf(want, sizeof want, "[%lld expired chat %s@%lld %s@%lld %lld expired shop %s@%lld]",
		 (long long)now, lua_id(1), (long long)now - 1, lua_id(3), (long long)now - 1, (long long)now,
		 lua_id(4), (long long)now - 1);
	cr_assert_str_eq(redis_text(lua_redis, "LRANGE %s 0 -1", LUA_JOURNAL), want);
	cr_assert_str_eq(lua_list(lua_redis, LUA_QUEUE), "2");
}

Test(message_fetch, what_expires_between_two_pages_is_passed_over)
{
	push_range(1, 2);
	push(3, 10);
	push(4, 10);
	push(5, 60000);
	cr_assert_str_eq(fetch("", 0, 2), "left=3 expired=0: 1 2");
	now += 10;
	cr_assert_str_eq(fetch(lua_id(2), 2, 2), "left=0 expired=2: 5");
	cr_assert_str_eq(lua_list(lua_redis, LUA_QUEUE), "1 2 5");
}

Test(message_fetch, wrong_arguments)
{
	const char *want = "!ERR message_fetch: wants 3 KEYS and 8 ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, KEYS, "1", "", "0", "1", "1", "1", "1"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_FETCH, 2, LUA_QUEUE, LUA_PRESENCE, "1", "", "0", "1", "1",
			     "1", "1", "normal"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_MESSAGE_FETCH, 3, KEYS, "1", "", "0", "many", "1", "1", "1", "normal"),
			 "!ERR message_fetch: skip, max_count, max_bytes, now, keep must be numbers");
	cr_assert_str_eq(fetch_lane(LUA_QUEUE, "urgent"), "!ERR message_fetch: lane must be normal, high or low");
}

Test(message_fetch, key_of_another_type_changes_nothing)
{
	push(1, -1);
	redis_text(lua_redis, "SET %s x", LUA_JOURNAL);
	cr_assert_not_null(strstr(fetch("", 0, 10), "WRONGTYPE"));
	cr_assert_str_eq(lua_list(lua_redis, LUA_QUEUE), "1");
}
