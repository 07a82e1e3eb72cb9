/* SPDX-License-Identifier: Apache-2.0 */
/* fan_create, fan_claim, fan_lease, fan_withdraw. */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAN "rs:fan:{X}"
#define BODY "rs:fan:{X}:body"
#define TO "rs:fan:{X}:to"

static int64_t now;

static void setup(void)
{
	lua_setup();
	now = lua_now_ms(lua_redis);
	redis_text(lua_redis, "RPUSH %s alice bob", TO);
}

TestSuite(fan, .init = setup, .fini = lua_teardown);

static const char *create(const char *lease)
{
	return lua(lua_redis, SCRIPT_FAN_CREATE, 3, FAN, BODY, TO, "hello", lua_num(now + 60000), lua_num(now + 90000),
		   "dc1:7", lease, "app", "chat", "total", "2");
}

#define CLAIM(owner) lua(lua_redis, SCRIPT_FAN_CLAIM, 1, FAN, owner, "5000")
#define LEASE(owner, lease, state, ...) \
	lua(lua_redis, SCRIPT_FAN_LEASE, 2, FAN, TO, owner, lease, state, __VA_ARGS__)
#define WITHDRAW(app) lua(lua_redis, SCRIPT_FAN_WITHDRAW, 3, FAN, BODY, TO, app)

static const char *field(const char *name) { return redis_text(lua_redis, "HGET %s %s", FAN, name); }

Test(fan, is_made_once_and_whole)
{
	cr_assert_str_eq(create("5000"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s state owner app total", FAN), "[running dc1:7 chat 2]");
	int64_t lease = atoll(field("lease"));
	cr_assert(lease >= now + 5000 && lease <= lua_now_ms(lua_redis) + 5000, "by Redis's clock");
	cr_assert_str_eq(redis_text(lua_redis, "GET %s", BODY), "hello");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", BODY)), now + 60000);
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", FAN)), now + 90000);
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", TO)), now + 90000);
	redis_text(lua_redis, "SET %s other KEEPTTL", BODY);
	cr_assert_str_eq(create("5000"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "GET %s", BODY), "other", "a second time nothing changes");
}

Test(fan, a_full_redis_refuses_it)
{
	redis_text(lua_redis, "CONFIG SET maxmemory 1");
	cr_assert_eq(strncmp(create("5000"), "!OOM", 4), 0);
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s %s", FAN, BODY), "0");
}

Test(fan, is_claimed_when_its_lease_has_ended)
{
	create("300");
	cr_assert_str_eq(CLAIM("dc2:1"), "[leased]");
	usleep(400000);
	const char *got = CLAIM("dc2:1");
	cr_assert_eq(strncmp(got, "[ok [", 5), 0, "%s", got);
	cr_assert(strstr(got, "app chat") && strstr(got, "owner dc1:7"), "as it was: %s", got);
	cr_assert_str_eq(field("owner"), "dc2:1");
	cr_assert_str_eq(CLAIM("dc3:1"), "[leased]", "of two who want it one gets it");
}

Test(fan, one_that_nobody_leased_is_claimed_at_once)
{
	create("0");
	usleep(2000);
	cr_assert_eq(strncmp(CLAIM("dc2:1"), "[ok ", 4), 0);
}

Test(fan, what_is_over_is_not_claimed)
{
	cr_assert_str_eq(CLAIM("dc2:1"), "[gone]");
	create("0");
	cr_assert_str_eq(LEASE("dc1:7", "0", "done", "stored", "2"), "1");
	cr_assert_str_eq(CLAIM("dc2:1"), "[done]");
	WITHDRAW("chat");
	cr_assert_str_eq(CLAIM("dc2:1"), "[withdrawn]");
}

Test(fan, a_lease_is_renewed_with_the_progress)
{
	create("300");
	cr_assert_str_eq(LEASE("dc1:7", "60000", "running", "at", "256", "stored", "250"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s state at stored", FAN), "[running 256 250]");
	cr_assert_geq(atoll(field("lease")), now + 60000);
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", TO), "1");
	cr_assert_str_eq(LEASE("dc1:7", "0", "done", "at", "512"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s %s", TO, BODY), "1", "the names go, the body stays");
	cr_assert_str_eq(LEASE("dc1:7", "0", "running", "at", "1"), "0", "it is over");
}

Test(fan, who_lost_it_changes_nothing)
{
	cr_assert_str_eq(LEASE("dc1:7", "5000", "running", "at", "1"), "0", "it is gone");
	create("0");
	usleep(2000);
	CLAIM("dc2:1");
	cr_assert_str_eq(LEASE("dc1:7", "5000", "done", "at", "9"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "HMGET %s state at", FAN), "[running nil]");
}

Test(fan, its_app_withdraws_it)
{
	create("5000");
	cr_assert_str_eq(WITHDRAW("shop"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s %s", BODY, TO), "2");
	cr_assert_str_eq(WITHDRAW("chat"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s %s", BODY, TO), "0");
	cr_assert_str_eq(LEASE("dc1:7", "5000", "running", "at", "1"), "-1", "the DC that runs it hears of it");
	cr_assert_str_eq(field("state"), "withdrawn");
	cr_assert_str_eq(WITHDRAW(""), "1", "the operator may take any");
}

Test(fan, wrong_arguments)
{
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_CREATE, 2, FAN, BODY, "hello", "1", "1", "dc1", "5"),
			 "!ERR fan_create: wants 3 KEYS, 5 ARGV and pairs of field and value");
	cr_assert_str_eq(create("soon"), "!ERR fan_create: body_until, keep_until, lease must be numbers");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_CLAIM, 1, FAN, "dc1"), "!ERR fan_claim: wants 1 KEYS and 2 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_LEASE, 2, FAN, TO, "dc1", "5", "running", "at"),
			 "!ERR fan_lease: wants 2 KEYS, 3 ARGV and pairs of field and value");
	cr_assert_str_eq(LEASE("dc1", "5", "gone", "at", "1"), "!ERR fan_lease: state must be running or done");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_WITHDRAW, 1, FAN, "chat"), "!ERR fan_withdraw: wants 3 KEYS and 1 ARGV");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s %s", FAN, BODY), "0");
}
