/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t now;

static void setup(void)
{
	lua_setup();
	now = lua_now_ms(lua_redis);
}

TestSuite(broadcast_add, .init = setup, .fini = lua_teardown);

#define ONCE "rs:broadcast:{all}:once:{chat}:news-3"
#define ADD(n, expires, max) lua(lua_redis, SCRIPT_BROADCAST_ADD, 2, LUA_KEPT, LUA_VERSION, \
	lua_record(n, expires), lua_num(expires), lua_num(now), max, "86400000")

static int64_t number_of(const char *got)
{
	long long number = 0;
	cr_assert_eq(sscanf(got, "[kept %lld]", &number), 1, "%s", got);
	return number;
}

static const char *count(void) { return redis_text(lua_redis, "ZCARD %s", LUA_KEPT); }

Test(broadcast_add, is_kept_under_the_time_of_redis)
{
	int64_t before = lua_now_ms(lua_redis) * 1000;
	int64_t number = number_of(ADD(1, now + 60000, "256"));
	int64_t after = lua_now_ms(lua_redis) * 1000 + 999;
	cr_assert(number >= before && number <= after);
	char want[256];
	snprintf(want, sizeof want, "[%s %lld]", lua_record(1, now + 60000), (long long)number);
	cr_assert_str_eq(redis_text(lua_redis, "ZRANGE %s 0 -1 WITHSCORES", LUA_KEPT), want);
	cr_assert_eq(atoll(redis_text(lua_redis, "GET %s", LUA_VERSION)), number);
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "2", "nothing else is written");
}

Test(broadcast_add, numbers_only_ever_grow)
{
	int64_t last = 0;
	for (unsigned i = 1; i <= 200; i++) {
		int64_t number = number_of(ADD(i, now + 60000, "256"));
		cr_assert_gt(number, last);
		last = number;
	}
}

Test(broadcast_add, numbers_grow_even_if_the_clock_went_back)
{
	redis_text(lua_redis, "SET %s 8000000000000000", LUA_VERSION);
	cr_assert_str_eq(ADD(1, now + 60000, "256"), "[kept 8000000000000001]");
	redis_text(lua_redis, "DEL %s", LUA_VERSION);
	cr_assert_str_eq(ADD(2, now + 60000, "256"), "[kept 8000000000000002]");
	redis_text(lua_redis, "DEL %s", LUA_KEPT);
	cr_assert_str_eq(ADD(3, now + 60000, "256"), "[kept 8000000000000003]");
}

Test(broadcast_add, the_key_goes_with_its_longest)
{
	ADD(1, now + 3600000, "256");
	ADD(2, now + 60000, "256");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_KEPT)), now + 3600000);
	ADD(3, now + 7200000, "256");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", LUA_KEPT)), now + 7200000);
	cr_assert_str_eq(redis_text(lua_redis, "PEXPIRETIME %s", LUA_VERSION), "-1");
}

Test(broadcast_add, what_has_expired_leaves)
{
	ADD(1, now + 3600000, "256");
	ADD(2, now + 10, "256");
	ADD(3, now + 60000, "256");
	now += 10;
	ADD(4, now + 60000, "256");
	cr_assert_str_eq(count(), "3");
	cr_assert_null(strstr(redis_text(lua_redis, "ZRANGE %s 0 -1", LUA_KEPT), lua_id(2)));
}

Test(broadcast_add, repeated_id_is_kept_once)
{
	const char *expires = lua_num(now + 60000), *at = lua_num(now);
	const char *first = lua(lua_redis, SCRIPT_BROADCAST_ADD, 3, LUA_KEPT, LUA_VERSION, ONCE,
				lua_record(1, now + 60000), expires, at, "256", "86400000");
	char want[64], version[32];
	cr_assert(number_of(first) > 0);
	strcpy(version, redis_text(lua_redis, "GET %s", LUA_VERSION));
	snprintf(want, sizeof want, "[duplicate %s]", lua_id(1));
	cr_assert_str_eq(lua(lua_redis, SCRIPT_BROADCAST_ADD, 3, LUA_KEPT, LUA_VERSION, ONCE,
			     lua_record(2, now + 60000), expires, at, "256", "86400000"), want);
	cr_assert_str_eq(count(), "1");
	cr_assert_str_eq(redis_text(lua_redis, "GET %s", LUA_VERSION), version);
	cr_assert_str_eq(redis_text(lua_redis, "GET %s", ONCE), lua_id(1));
	int64_t ttl = atoll(redis_text(lua_redis, "PTTL %s", ONCE));
	cr_assert(ttl > 86000000 && ttl <= 86400000);
}

Test(broadcast_add, full_adds_nothing_and_does_not_use_up_the_id)
{
	char version[32];
	ADD(1, now + 60000, "2");
	ADD(2, now + 5, "2");
	strcpy(version, redis_text(lua_redis, "GET %s", LUA_VERSION));
	cr_assert_str_eq(lua(lua_redis, SCRIPT_BROADCAST_ADD, 3, LUA_KEPT, LUA_VERSION, ONCE,
			     lua_record(3, now + 60000), lua_num(now + 60000), lua_num(now), "2", "1000"),
			 "[full 2]");
	cr_assert_str_eq(count(), "2");
	cr_assert_str_eq(redis_text(lua_redis, "GET %s", LUA_VERSION), version);
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", ONCE), "0");
	now += 5; /* the second is over: there is room again */
	number_of(ADD(4, now + 60000, "2"));
	cr_assert_str_eq(count(), "2");
}

Test(broadcast_add, what_is_no_record_stays)
{
	redis_text(lua_redis, "ZADD %s 5 nonsense", LUA_KEPT);
	number_of(ADD(1, now + 60000, "256"));
	cr_assert_str_eq(count(), "2");
}

Test(broadcast_add, a_full_redis_refuses_it)
{
	redis_text(lua_redis, "CONFIG SET maxmemory 1");
	cr_assert_eq(strncmp(ADD(1, now + 60000, "256"), "!OOM", 4), 0);
	redis_text(lua_redis, "CONFIG SET maxmemory 0");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
}

Test(broadcast_add, wrong_arguments_and_types_change_nothing)
{
	const char *record = lua_record(1, now + 60000), *at = lua_num(now);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_BROADCAST_ADD, 1, LUA_KEPT, record, at, at, "1", "1"),
			 "!ERR broadcast_add: wants 2 or 3 KEYS and 5 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_BROADCAST_ADD, 2, LUA_KEPT, LUA_VERSION, record, at, at, "1"),
			 "!ERR broadcast_add: wants 2 or 3 KEYS and 5 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_BROADCAST_ADD, 2, LUA_KEPT, LUA_VERSION, record, at, at, "many", "1"),
			 "!ERR broadcast_add: expires, now, max_count, once_ttl must be numbers");
	cr_assert_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
	redis_text(lua_redis, "RPUSH %s x", LUA_VERSION);
	cr_assert_eq(ADD(1, now + 60000, "256")[0], '!');
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", LUA_KEPT), "0");
}
