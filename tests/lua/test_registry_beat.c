/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(registry_beat, .init = lua_setup, .fini = lua_teardown);

#define MEMBER "rs:broker:mb1"

Test(registry_beat, writes_fields_and_the_time)
{
	int64_t before = lua_now_ms(lua_redis);
	const char *answer = lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, MEMBER, "5000", "boot", "3", "address",
				 "127.0.0.1:7200");
	int64_t beat = atoll(answer + 1);
	cr_assert_str_eq(strchr(answer, ' '), " '' '']", "%s", answer);
	cr_assert(beat >= before && beat <= lua_now_ms(lua_redis));
	cr_assert_eq(atoll(redis_text(lua_redis, "HGET %s beat", MEMBER)), beat);
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s boot address", MEMBER), "[3 127.0.0.1:7200]");
	int64_t ttl = atoll(redis_text(lua_redis, "PTTL %s", MEMBER));
	cr_assert(ttl > 3000 && ttl <= 5000);
}

Test(registry_beat, silence_ends_the_membership)
{
	lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, MEMBER, "50");
	int64_t until = lua_now_ms(lua_redis) + 10000;
	while (strcmp(redis_text(lua_redis, "EXISTS %s", MEMBER), "0") != 0)
		cr_assert_lt(lua_now_ms(lua_redis), until);
}

static const char *beat_as(const char *boot)
{
	const char *answer = lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, MEMBER, "5000", "boot", boot);
	return strchr(answer, ' ');
}

Test(registry_beat, tells_of_another_with_the_same_id)
{
	cr_assert_str_eq(beat_as("3"), " '' '']");
	cr_assert_str_eq(beat_as("3"), " '' '']");
	cr_assert_str_eq(beat_as("4"), " '' 3]");
	cr_assert_str_eq(beat_as("3"), " '' 4]");
	cr_assert_str_eq(beat_as("3"), " '' '']");
}

Test(registry_beat, wrong_arguments)
{
	const char *want = "!ERR registry_beat: wants 1 KEYS, a ttl and pairs of field and value as ARGV";
	cr_assert_str_eq(lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, MEMBER), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, MEMBER, "5000", "boot"), want);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, MEMBER, "long"),
			 "!ERR registry_beat: ttl must be a number");
}
