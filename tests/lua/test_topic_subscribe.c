/* SPDX-License-Identifier: Apache-2.0 */
/* topic_subscribe and topic_unsubscribe. */
#include "support/lua_call.h"

#include <criterion/criterion.h>

TestSuite(topic_subscribe, .init = lua_setup_online, .fini = lua_teardown);

#define LUA_TOPICS "rs:{alice}:topics"
#define SUBSCRIBE(owner, filter, max) \
	lua(lua_redis, SCRIPT_TOPIC_SUBSCRIBE, 2, LUA_TOPICS, LUA_PRESENCE, owner, filter, max)
#define UNSUBSCRIBE(owner, filter) \
	lua(lua_redis, SCRIPT_TOPIC_UNSUBSCRIBE, 2, LUA_TOPICS, LUA_PRESENCE, owner, filter)

static const char *count(void) { return redis_text(lua_redis, "SCARD %s", LUA_TOPICS); }

Test(topic_subscribe, there_and_back)
{
	cr_assert_str_eq(SUBSCRIBE("1700", "news/+", "100"), "1");
	cr_assert_str_eq(SUBSCRIBE("1700", "news/+", "100"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "SMEMBERS %s", LUA_TOPICS), "[news/+]");
	cr_assert_str_eq(UNSUBSCRIBE("1700", "news/#"), "0");
	cr_assert_str_eq(UNSUBSCRIBE("1700", "news/+"), "1");
	cr_assert_str_eq(UNSUBSCRIBE("1700", "news/+"), "0");
	cr_assert_str_eq(count(), "0");
}

Test(topic_subscribe, an_earlier_login_changes_nothing)
{
	cr_assert_str_eq(SUBSCRIBE("1699", "news", "100"), "-1");
	cr_assert_str_eq(count(), "0");
	cr_assert_str_eq(SUBSCRIBE("", "news", "100"), "1", "an App has no token");
	cr_assert_str_eq(UNSUBSCRIBE("1701", "news"), "-1");
	cr_assert_str_eq(count(), "1");
	cr_assert_str_eq(UNSUBSCRIBE("", "news"), "1");
}

Test(topic_subscribe, no_more_than_may_be)
{
	cr_assert_str_eq(SUBSCRIBE("", "a", "2"), "1");
	cr_assert_str_eq(SUBSCRIBE("", "b", "2"), "1");
	cr_assert_str_eq(SUBSCRIBE("", "c", "2"), "-2");
	cr_assert_str_eq(SUBSCRIBE("", "b", "2"), "0", "what is there is no more");
}

Test(topic_subscribe, wrong_arguments)
{
	cr_assert_str_eq(SUBSCRIBE("", "a", "many"), "!ERR topic_subscribe: max must be a number");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_TOPIC_SUBSCRIBE, 2, LUA_TOPICS, LUA_PRESENCE, "", "a"),
			 "!ERR topic_subscribe: wants 2 KEYS and 3 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_TOPIC_UNSUBSCRIBE, 1, LUA_TOPICS, "", "a"),
			 "!ERR topic_unsubscribe: wants 2 KEYS and 2 ARGV");
	cr_assert_str_eq(count(), "0");
}
