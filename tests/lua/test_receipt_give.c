/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AWAITED "rs:app:{chat}:awaited"
#define RECEIPTS "rs:app:{chat}:receipts"
#define KEEP "60000"

TestSuite(receipt_give, .init = lua_setup, .fini = lua_teardown);

static void await(const char *user, unsigned n)
{
	char member[128];
	snprintf(member, sizeof member, "%s %s", user, lua_id(n));
	redisReply *r = redisCommand(lua_redis, "ZADD %s 1000 %b", AWAITED, member, strlen(member));
	cr_assert(r && r->type == REDIS_REPLY_INTEGER && r->integer == 1);
	freeReplyObject(r);
}

#define GIVE(user, id, state) lua(lua_redis, SCRIPT_RECEIPT_GIVE, 2, AWAITED, RECEIPTS, user, id, state, "1795471644473", KEEP)
#define LEN() redis_text(lua_redis, "XLEN " RECEIPTS)

Test(receipt_give, once_and_with_all_there_is_to_say)
{
	await("alice", 1);
	const char *cursor = GIVE("alice", lua_id(1), "acknowledged");
	cr_assert_not_null(strchr(cursor, '-'), "%s", cursor);
	const char *all = redis_text(lua_redis, "XRANGE " RECEIPTS " - +");
	char want[256];
	snprintf(want, sizeof want, "[[%s [message %s to alice state acknowledged at 1795471644473]]]", cursor, lua_id(1));
	cr_expect_str_eq(all, want);
	cr_expect_str_eq(GIVE("alice", lua_id(1), "acknowledged"), "''");
	cr_expect_str_eq(GIVE("alice", lua_id(1), "expired"), "''", "whatever the end is");
	cr_expect_str_eq(LEN(), "1");
	cr_expect_str_eq(redis_text(lua_redis, "EXISTS " AWAITED), "0");
}

Test(receipt_give, what_is_not_awaited_gives_none)
{
	await("alice", 1);
	cr_expect_str_eq(GIVE("alice", lua_id(2), "acknowledged"), "''");
	cr_expect_str_eq(GIVE("bob", lua_id(1), "acknowledged"), "''", "of another user");
	cr_expect_str_eq(redis_text(lua_redis, "EXISTS " RECEIPTS), "0");
	cr_expect_str_eq(redis_text(lua_redis, "ZCARD " AWAITED), "1");
}

Test(receipt_give, in_the_order_in_which_they_were_given)
{
	for (unsigned n = 1; n <= 3; n++) {
		await("alice", n);
		GIVE("alice", lua_id(n), "withdrawn");
	}
	redisReply *r = redisCommand(lua_redis, "XRANGE " RECEIPTS " - +");
	cr_assert_eq(r->elements, 3);
	for (unsigned n = 1; n <= 3; n++)
		cr_expect_str_eq(r->element[n - 1]->element[1]->element[1]->str, lua_id(n));
	freeReplyObject(r);
}

/* Redis trims by whole nodes of up to 100 entries: what is younger stays in any case. */
Test(receipt_give, what_is_too_old_goes)
{
	for (unsigned n = 1; n <= 300; n++)
		redis_text(lua_redis, "XADD " RECEIPTS " 1000-%u message x", n);
	await("alice", 1);
	GIVE("alice", lua_id(1), "displaced");
	cr_expect_leq(atoll(LEN()), 101);
	int64_t ttl = atoll(redis_text(lua_redis, "PTTL " RECEIPTS));
	cr_expect(ttl > 50000 && ttl <= 60000, "%lld", (long long)ttl);
}

Test(receipt_give, wrong_use_changes_nothing)
{
	await("alice", 1);
	const char *wrong[] = {
		lua(lua_redis, SCRIPT_RECEIPT_GIVE, 1, AWAITED, "alice", lua_id(1), "expired", "1", KEEP),
		lua(lua_redis, SCRIPT_RECEIPT_GIVE, 2, AWAITED, RECEIPTS, "alice", lua_id(1), "expired", "1"),
		lua(lua_redis, SCRIPT_RECEIPT_GIVE, 2, AWAITED, RECEIPTS, "alice", lua_id(1), "expired", "soon", KEEP),
		lua(lua_redis, SCRIPT_RECEIPT_GIVE, 2, AWAITED, RECEIPTS, "alice", lua_id(1), "expired", "1", "long"),
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		cr_expect_eq(wrong[i][0], '!', "case %zu: %s", i, wrong[i]);
	redis_text(lua_redis, "SET " RECEIPTS " x");
	cr_expect_eq(GIVE("alice", lua_id(1), "expired")[0], '!');
	cr_expect_str_eq(redis_text(lua_redis, "ZCARD " AWAITED), "1", "it is still awaited");
}

Test(receipt_give, a_full_redis_refuses_before_anything_is_changed)
{
	await("alice", 1);
	redis_text(lua_redis, "CONFIG SET maxmemory 1");
	cr_expect_not_null(strstr(GIVE("alice", lua_id(1), "expired"), "OOM"));
	redis_text(lua_redis, "CONFIG SET maxmemory 0");
	cr_expect_str_eq(redis_text(lua_redis, "ZCARD " AWAITED), "1");
	cr_expect_str_neq(GIVE("alice", lua_id(1), "expired"), "''");
}
