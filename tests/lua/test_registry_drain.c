/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>

TestSuite(registry_drain, .init = lua_setup, .fini = lua_teardown);

#define MEMBER "rs:broker:mb1"

Test(registry_drain, the_broker_hears_of_it_with_each_beat)
{
	lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, MEMBER, "5000", "boot", "3");
	cr_expect_str_eq(lua(lua_redis, SCRIPT_REGISTRY_DRAIN, 1, MEMBER, "30"), "1");
	for (int i = 0; i < 2; i++) {
		redisReply *r = lua_call(lua_redis, SCRIPT_REGISTRY_BEAT, 1, MEMBER, "5000", "boot", "3");
		cr_assert_eq(r->type, REDIS_REPLY_ARRAY);
		cr_assert_eq(r->elements, 3);
		cr_expect_eq(r->element[0]->type, REDIS_REPLY_INTEGER);
		cr_expect_str_eq(r->element[1]->str, "30");
		freeReplyObject(r);
	}
}

Test(registry_drain, told_again_it_is_another_time)
{
	lua(lua_redis, SCRIPT_REGISTRY_BEAT, 1, MEMBER, "5000", "boot", "3");
	lua(lua_redis, SCRIPT_REGISTRY_DRAIN, 1, MEMBER, "30");
	cr_expect_str_eq(lua(lua_redis, SCRIPT_REGISTRY_DRAIN, 1, MEMBER, "5"), "2");
	cr_expect_str_eq(redis_text(lua_redis, "HGET %s drain", MEMBER), "5");
	cr_expect_str_neq(redis_text(lua_redis, "PTTL %s", MEMBER), "-1", "it still ends with the broker");
}

Test(registry_drain, of_no_broker_nothing_is_left_behind)
{
	cr_expect_str_eq(lua(lua_redis, SCRIPT_REGISTRY_DRAIN, 1, MEMBER, "30"), "0");
	cr_expect_str_eq(redis_text(lua_redis, "EXISTS %s", MEMBER), "0");
}

Test(registry_drain, wrong_arguments)
{
	cr_expect_str_eq(lua(lua_redis, SCRIPT_REGISTRY_DRAIN, 1, MEMBER, "30", "1"),
			 "!ERR registry_drain: wants 1 KEYS and 1 ARGV");
	cr_expect_str_eq(lua(lua_redis, SCRIPT_REGISTRY_DRAIN, 1, MEMBER, "soon"),
			 "!ERR registry_drain: over must be a whole number");
	cr_expect_str_eq(lua(lua_redis, SCRIPT_REGISTRY_DRAIN, 1, MEMBER, "-1"),
			 "!ERR registry_drain: over must be a whole number");
}
