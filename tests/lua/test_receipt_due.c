/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <criterion/criterion.h>

#define AWAITED "rs:app:{chat}:awaited"

static void setup(void)
{
	lua_setup();
	redis_text(lua_redis, "ZADD " AWAITED " 3000 c 1000 a 2000 b 9000 d");
}

TestSuite(receipt_due, .init = setup, .fini = lua_teardown);

#define DUE(now, again, max) lua(lua_redis, SCRIPT_RECEIPT_DUE, 1, AWAITED, now, again, max)

Test(receipt_due, the_longest_due_first_and_once)
{
	cr_expect_str_eq(DUE("999", "5000", "10"), "[]");
	cr_expect_str_eq(DUE("3000", "5000", "2"), "[a b]");
	cr_expect_str_eq(DUE("3000", "5000", "2"), "[c]", "another DC gets others");
	cr_expect_str_eq(DUE("3000", "5000", "2"), "[]");
}

Test(receipt_due, again_when_who_took_them_died)
{
	DUE("3000", "5000", "10");
	cr_expect_str_eq(DUE("4999", "6000", "10"), "[]");
	cr_expect_str_eq(DUE("5000", "6000", "10"), "[a b c]");
	cr_expect_str_eq(redis_text(lua_redis, "ZSCORE " AWAITED " d"), "9000");
}

Test(receipt_due, wrong_use_changes_nothing)
{
	cr_expect_eq(lua(lua_redis, SCRIPT_RECEIPT_DUE, 1, AWAITED, "3000", "5000")[0], '!');
	cr_expect_eq(DUE("soon", "5000", "10")[0], '!');
	cr_expect_eq(DUE("3000", "later", "10")[0], '!');
	cr_expect_eq(DUE("3000", "5000", "all")[0], '!');
	cr_expect_str_eq(redis_text(lua_redis, "ZSCORE " AWAITED " a"), "1000");
}
