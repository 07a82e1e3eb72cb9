/* SPDX-License-Identifier: Apache-2.0 */
/* The index of message_place: a cache that no other script keeps, so that it must
 * notice whatever the others do. */
#include "support/lua_place.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(message_place_index, .init = lua_place_setup_online, .fini = lua_place_teardown);

static const char *index_field(const char *name) { return redis_text(lua_redis, "HGET %s %s", LUA_INDEX, name); }

static const char *store(unsigned n)
{
	return lua(lua_redis, SCRIPT_MESSAGE_STORE, 5, LUA_QUEUE, LUA_PRESENCE, LUA_SETTINGS, LUA_INDEX, LUA_JOURNAL,
		   lua_record(n, lua_t0 + 60000), lua_num(lua_t0 + 60000), lua_num(lua_t0), "100", "60000", "60000");
}

static void ack(const char *queue, unsigned n)
{
	const char *got = lua(lua_redis, SCRIPT_MESSAGE_ACK, 3, queue, LUA_PRESENCE, LUA_JOURNAL, "1700", lua_num(lua_t0),
			      "60000", lua_id(n), "1");
	cr_assert_eq(strncmp(got, "[ok 1 ", 6), 0, "%s", got);
}

static bool is_stored(const char *got) { return strncmp(got, "[stored ", 8) == 0; }

static void fill(unsigned from, unsigned to)
{
	for (unsigned n = from; n <= to; n++)
		PLACE(n);
}

Test(message_place_index, says_what_there_is)
{
	char want[128];
	PLACE(1, .now_ms = lua_t0, .ttl_ms = 5000, .lane = PRIORITY_LOW);
	PLACE(2, .now_ms = lua_t0, .ttl_ms = 9000, .collapse = "k", .body = "");
	PLACE(3, .app = "shop", .body = "");
	snprintf(want, sizeof want, "[3 %zu 1 2 1 %s %lld 0]",
		 strlen(lua_record_with(1, lua_t0, " p=low")) + strlen(lua_record_of("chat", 2, lua_t0, " c=k", "")) +
			 strlen(lua_record_of("shop", 3, lua_t0, "", "")),
		 lua_id(2), (long long)lua_t0 + 5000);
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s count bytes count:shop count:chat collapse:{chat}:k soonest since",
				    LUA_INDEX), want);
}

/* Nothing keeps message_store from doing the next. */
Test(message_place_index, one_plain_message_in_empty_queues_leaves_none)
{
	PLACE(1);
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_INDEX), "0");
	cr_assert(is_stored(store(2)));
	PLACE(3);
	cr_assert_str_eq(store(4), "[more]");
	ack(LUA_QUEUE, 1);
	ack(LUA_QUEUE, 2);
	ack(LUA_QUEUE, 3);
	cr_assert_str_eq(store(4), "[more]");
	PLACE(4);
	cr_assert(is_stored(store(5)));
	static const struct lua_place others[] = {{.lane = PRIORITY_HIGH}, {.lane = PRIORITY_LOW}, {.collapse = "k"}};
	for (unsigned i = 0; i < 3; i++) {
		redis_text(lua_redis, "DEL %s %s %s %s", LUA_LANES, LUA_INDEX);
		lua_place(6 + i, &others[i]);
		cr_expect_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_INDEX), "1", "%u", i);
	}
}

Test(message_place_index, is_made_of_what_message_store_left)
{
	store(1);
	store(2);
	cr_assert_str_eq(PLACE(3, .app_count = 2), "[full messages of the App]");
	cr_assert_str_eq(index_field("count:chat"), "2");
	PLACE(3, .app_count = 3);
	cr_assert_str_eq(index_field("count:chat"), "3");
}

Test(message_place_index, notices_acknowledgements_before_it_refuses)
{
	fill(1, 4);
	ack(LUA_QUEUE, 3);
	cr_assert(is_stored(PLACE(5, .app_count = 4)));
	cr_assert_str_eq(PLACE(6, .app_count = 4), "[full messages of the App]");
	ack(LUA_QUEUE, 1);
	ack(LUA_QUEUE, 5);
	cr_assert(is_stored(PLACE(6, .app_count = 4)), "the last one left");
	cr_assert(is_stored(PLACE(7, .app_count = 4)));
	cr_assert_str_eq(PLACE(8, .app_count = 4), "[full messages of the App]");
	cr_assert_str_eq(lua_waiting(), "2 4 6 7||");
}

Test(message_place_index, notices_acknowledgements_before_it_displaces)
{
	fill(1, 4);
	ack(LUA_QUEUE, 2);
	cr_assert_null(strstr(PLACE(5, .app_count = 4, .policy = "drop-oldest"), "displaced"));
	cr_assert_not_null(strstr(PLACE(6, .app_count = 4, .policy = "drop-oldest"), "displaced"));
	cr_assert_str_eq(lua_waiting(), "3 4 5 6||");
}

Test(message_place_index, notices_withdrawals_and_expiry)
{
	fill(1, 3);
	PLACE(4, .now_ms = lua_t0, .ttl_ms = 10, .lane = PRIORITY_HIGH);
	lua(lua_redis, SCRIPT_MESSAGE_WITHDRAW, 5, LUA_LANES, LUA_JOURNAL, LUA_PRESENCE, "chat", lua_id(2), lua_num(lua_t0),
	    "60000");
	cr_assert(is_stored(PLACE(5, .max_count = 4)));
	lua(lua_redis, SCRIPT_MESSAGE_EXPIRE, 4, LUA_LANES, LUA_JOURNAL, lua_num(lua_t0 + 10), "60000");
	cr_assert(is_stored(PLACE(6, .max_count = 4)));
	cr_assert_str_eq(PLACE(7, .max_count = 4), "[full messages]");
}

/* A long queue is not read for each message, only once in a while. */
Test(message_place_index, is_not_made_anew_for_each_message)
{
	fill(1, 40);
	ack(LUA_QUEUE, 1);
	for (unsigned n = 41; n < 60; n++) {
		PLACE(n);
		cr_assert_str_eq(index_field("seen"), "''", "%u", n);
		cr_assert_str_eq(lua_index_wrong(), "");
		if (n < 50)
			ack(LUA_QUEUE, n - 39);
	}
	for (unsigned n = 60; n < 80; n++)
		PLACE(n);
	cr_assert_lt(atoi(index_field("since")), 20);
	cr_assert_str_neq(index_field("seen"), "''");
	cr_assert_str_eq(index_field("count"), redis_text(lua_redis, "LLEN %s", LUA_QUEUE));
}

Test(message_place_index, deleted)
{
	PLACE(1, .collapse = "k");
	fill(2, 4);
	redis_text(lua_redis, "DEL %s", LUA_INDEX);
	cr_assert_str_eq(PLACE(5, .app_count = 4), "[full messages of the App]");
	redis_text(lua_redis, "DEL %s", LUA_INDEX);
	cr_assert_not_null(strstr(PLACE(6, .collapse = "k", .app_count = 4), "replaced"));
	cr_assert_str_eq(lua_waiting(), "2 3 4 6||");
}

Test(message_place_index, damaged)
{
	static const struct {
		const char *field, *value;
	} cases[] = {
		{"seen", "x"}, {"count", "x"}, {"count", "0"}, {"count", "99"}, {"bytes", "many"}, {"soonest", ""},
		{"count:chat", "?"}, {"bytes:chat", ""}, {"since", "x"}, {"collapse:{chat}:k", ""},
		{"collapse:{chat}:k", "9 01JDCF3K7Q9R8W2ZT5XV6Y0001"}, {"collapse:{chat}:k", "nonsense"},
		{"collapse:{chat}:k", "1 "},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		redis_text(lua_redis, "DEL %s %s %s %s", LUA_LANES, LUA_INDEX);
		PLACE(1, .collapse = "k");
		fill(2, 4);
		redis_text(lua_redis, "HSET %s %s %s", LUA_INDEX, cases[i].field, cases[i].value);
		const char *got = PLACE(5, .collapse = "k", .app_count = 4, .max_count = 4);
		cr_expect_not_null(strstr(got, "replaced chat"), "%s=%s: %s", cases[i].field, cases[i].value, got);
		cr_expect_str_eq(PLACE(6, .app_count = 4), "[full messages of the App]", "%s", cases[i].field);
		cr_expect_str_eq(lua_waiting(), "2 3 4 5||");
		cr_expect_str_eq(lua_index_wrong(), "", "%s=%s", cases[i].field, cases[i].value);
	}
}

/* As when somebody put back a queue that had been saved. */
Test(message_place_index, messages_that_came_past_it_are_noticed)
{
	fill(1, 3);
	for (unsigned n = 10; n < 14; n++)
		redis_text(lua_redis, "RPUSH %s %s", LUA_LOW, lua_record_with(n, lua_t0 + 60000, " p=low c=k"));
	redis_text(lua_redis, "PEXPIRE %s 60000", LUA_LOW);
	cr_assert_str_eq(PLACE(20, .app_count = 7), "[full messages of the App]");
	cr_assert_not_null(strstr(PLACE(21, .collapse = "k", .app_count = 7), "replaced chat 01JDCF3K7Q9R8W2ZT5XV6Y0013"));
}

Test(message_place_index, goes_with_the_queues)
{
	PLACE(1, .now_ms = lua_t0, .ttl_ms = 5000, .lane = PRIORITY_LOW);
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_INDEX)), lua_t0 + 5000 + LUA_PLACE_KEEP_MS);
	cr_assert_str_eq(PLACE(2, .max_count = 1), "[full messages]");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_INDEX)), lua_t0 + 5000 + LUA_PLACE_KEEP_MS);
	redis_text(lua_redis, "DEL %s", LUA_INDEX);
	cr_assert_str_eq(PLACE(2, .max_count = 1), "[full messages]");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_INDEX)), lua_t0 + 5000 + LUA_PLACE_KEEP_MS,
		     "also one made for a message that was refused");
}
