/* SPDX-License-Identifier: Apache-2.0 */
/* fan_create, fan_claim, fan_due, fan_enlist, fan_keep, fan_lease, fan_withdraw. */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAN "rs:fan:{X}"
#define BODY "rs:fan:{X}:body"
#define TO "rs:fan:{X}:to"
#define NAMES "rs:fan:{X}:to:1"

static int64_t now;

static void setup(void)
{
	lua_setup();
	now = lua_now_ms(lua_redis);
	redis_text(lua_redis, "RPUSH %s alice bob", NAMES);
}

TestSuite(fan, .init = setup, .fini = lua_teardown);

static const char *create(const char *lease)
{
	return lua(lua_redis, SCRIPT_FAN_CREATE, 4, FAN, BODY, TO, NAMES, "hello", lua_num(now + 60000), lua_num(now + 90000),
		   "dc1:7", lease, "app", "chat", "total", "2");
}

#define CLAIM(owner) lua(lua_redis, SCRIPT_FAN_CLAIM, 1, FAN, owner, "5000")
#define LEASE(owner, lease, state, ...) \
	lua(lua_redis, SCRIPT_FAN_LEASE, 3, FAN, TO, BODY, owner, lease, state, "", __VA_ARGS__)
#define DONE_UNUSED(owner, keep) lua(lua_redis, SCRIPT_FAN_LEASE, 3, FAN, TO, BODY, owner, "0", "done", keep, "at", "9")
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

Test(fan, of_two_attempts_the_first_has_its_names)
{
	create("5000");
	cr_assert_str_eq(redis_text(lua_redis, "LRANGE %s 0 -1", TO), "[alice bob]");
	redis_text(lua_redis, "RPUSH %s carol", NAMES);
	cr_assert_str_eq(create("5000"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "LRANGE %s 0 -1", TO), "[alice bob]");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", NAMES), "0");
}

Test(fan, without_its_names_none_is_made)
{
	redis_text(lua_redis, "DEL %s", NAMES);
	cr_assert_str_eq(create("5000"), "!ERR fan_create: the names are gone");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s %s %s", FAN, BODY, TO), "0");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_CREATE, 3, FAN, BODY, TO, "hello", lua_num(now + 60000),
			     lua_num(now + 90000), "dc1:7", "0", "kind", "topic"), "1", "a topic has none");
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

#define FANS "rs:fans"
#define ENLIST(id, lease, which) lua(lua_redis, SCRIPT_FAN_ENLIST, 1, FANS, id, lease, which)
#define DUE(max) lua(lua_redis, SCRIPT_FAN_DUE, 1, FANS, max)

Test(fan, those_whose_lease_has_ended_are_due)
{
	cr_assert_str_eq(DUE("2"), "[]");
	cr_assert_str_eq(ENLIST("A", "60000", "any"), "1");
	int64_t score = atoll(redis_text(lua_redis, "ZSCORE %s A", FANS));
	cr_assert(score >= now + 60000 && score <= lua_now_ms(lua_redis) + 60000, "by Redis's clock");
	cr_assert_str_eq(ENLIST("B", "-3", "new"), "1");
	cr_assert_str_eq(ENLIST("C", "-500", "new"), "1");
	cr_assert_str_eq(ENLIST("D", "-20", "any"), "1");
	cr_assert_str_eq(DUE("9"), "[C D B]");
	cr_assert_str_eq(DUE("2"), "[C D]");
}

Test(fan, one_is_listed_anew_or_put_off)
{
	cr_assert_str_eq(ENLIST("A", "5000", "old"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", FANS), "0", "what is not listed is not put off");
	ENLIST("A", "-5", "any");
	cr_assert_str_eq(ENLIST("A", "5000", "new"), "0");
	cr_assert_str_eq(DUE("9"), "[A]", "as it was");
	cr_assert_str_eq(ENLIST("A", "5000", "old"), "0");
	cr_assert_str_eq(DUE("9"), "[]");
	ENLIST("A", "-5", "any");
	cr_assert_str_eq(DUE("9"), "[A]");
	cr_assert_str_eq(ENLIST("A", "5", "some"), "!ERR fan_enlist: which must be any, new or old");
	cr_assert_str_eq(ENLIST("A", "soon", "any"), "!ERR fan_enlist: lease must be a number");
	cr_assert_str_eq(DUE("all"), "!ERR fan_due: max must be a number");
	redis_text(lua_redis, "CONFIG SET maxmemory 1");
	cr_assert_str_eq(ENLIST("B", "-1", "any"), "1", "a full Redis goes on with what it has");
}

#define KEEP(bytes, body_until, keep_until) \
	lua(lua_redis, SCRIPT_FAN_KEEP, 2, FAN, BODY, bytes, lua_num(body_until), lua_num(keep_until))

Test(fan, a_repetition_keeps_the_body_and_its_withdrawal)
{
	create("5000");
	cr_assert_str_eq(KEEP("other", now + 1000, now + 2000), "1");
	cr_assert_str_eq(redis_text(lua_redis, "GET %s", BODY), "hello");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", BODY)), now + 60000, "no shorter");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", FAN)), now + 90000);
	cr_assert_str_eq(KEEP("hello", now + 100000, now + 120000), "1");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", BODY)), now + 100000);
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", FAN)), now + 120000);
	redis_text(lua_redis, "DEL %s", BODY);
	cr_assert_str_eq(KEEP("hello", now + 100000, now + 120000), "1");
	cr_assert_str_eq(redis_text(lua_redis, "GET %s", BODY), "hello");
	WITHDRAW("chat");
	cr_assert_str_eq(KEEP("hello", now + 100000, now + 120000), "-1");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", BODY), "0", "it does not come back");
}

Test(fan, a_body_that_nobody_has_waiting_goes_with_the_end)
{
	create("5000");
	cr_assert_str_eq(DONE_UNUSED("dc2:1", "1000"), "0");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", BODY), "1", "another DC's");
	cr_assert_str_eq(DONE_UNUSED("dc1:7", "1000"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s %s", BODY, TO), "0");
	cr_assert_str_eq(field("state"), "done");
	cr_assert_leq(atoll(redis_text(lua_redis, "PTTL %s", FAN)), 1000);
	KEEP("hello", now + 60000, now + 90000);
	cr_assert_str_eq(redis_text(lua_redis, "GET %s", BODY), "hello", "a repetition needs it again");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", FAN)), now + 90000);
}

Test(fan, a_body_that_a_repetition_needs_stays)
{
	create("5000");
	KEEP("hello", now + 60000, now + 90000);
	cr_assert_str_eq(DONE_UNUSED("dc1:7", "1000"), "1");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s", BODY), "1");
	cr_assert_eq(atoll(redis_text(lua_redis, "PEXPIRETIME %s", FAN)), now + 90000);
}

Test(fan, wrong_arguments)
{
	create("5000");
	cr_assert_str_eq(DONE_UNUSED("dc1:7", "soon"), "!ERR fan_lease: lease, and unused if it is there, must be numbers");
	cr_assert_str_eq(field("state"), "running");
	WITHDRAW("");
	redis_text(lua_redis, "DEL %s", FAN);
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_KEEP, 1, FAN, "x", "1", "1"), "!ERR fan_keep: wants 2 KEYS and 3 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_KEEP, 2, FAN, BODY, "x", "1", "soon"),
			 "!ERR fan_keep: body_until and keep_until must be numbers");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_CREATE, 2, FAN, BODY, "hello", "1", "1", "dc1", "5"),
			 "!ERR fan_create: wants 3 or 4 KEYS, 5 ARGV and pairs of field and value");
	cr_assert_str_eq(create("soon"), "!ERR fan_create: body_until, keep_until, lease must be numbers");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_CLAIM, 1, FAN, "dc1"), "!ERR fan_claim: wants 1 KEYS and 2 ARGV");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_LEASE, 3, FAN, TO, BODY, "dc1", "5", "running", "", "at"),
			 "!ERR fan_lease: wants 3 KEYS, 4 ARGV and pairs of field and value");
	cr_assert_str_eq(LEASE("dc1", "5", "gone", "at", "1"), "!ERR fan_lease: state must be running or done");
	cr_assert_str_eq(lua(lua_redis, SCRIPT_FAN_WITHDRAW, 1, FAN, "chat"), "!ERR fan_withdraw: wants 3 KEYS and 1 ARGV");
	cr_assert_str_eq(redis_text(lua_redis, "EXISTS %s %s", FAN, BODY), "0");
}
