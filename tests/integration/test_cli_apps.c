/* SPDX-License-Identifier: Apache-2.0 */
/* `restante app` and what it leaves in Redis. */
#include "crypto/hash.h"
#include "support/cli_run.h"
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(cli_apps, .init = lua_setup, .fini = lua_teardown, .timeout = 60);

static void expect_hash(const char *field, const char *key)
{
	char hash[2 * SHA256_BYTES + 1];
	sha256_hex(key, strlen(key), hash);
	cr_expect_str_eq(redis_text(lua_redis, "HGET rs:app:chat %s", field), hash);
}

static void expect(int code, const char *says, const char *arguments)
{
	struct cli_result r = cli_run(&lua_server, "%s", arguments);
	cr_expect_eq(r.code, code, "%s: exit %d: %s", arguments, r.code, r.out);
	if (*says)
		cr_expect_not_null(strstr(r.out, says), "%s: %s", arguments, r.out);
	else
		cr_expect_str_empty(r.out, "%s", arguments);
}

Test(cli_apps, create)
{
	char key[CLI_KEY_MAX];
	cli_run_key(&lua_server, key, "app create chat --rate 5 --burst none --overflow drop-lowest");
	expect_hash("key", key);
	cr_expect_str_eq(redis_text(lua_redis, "HMGET rs:app:chat rate burst overflow"), "[5 nil drop-lowest]");
	cr_expect_str_eq(redis_text(lua_redis, "SMEMBERS rs:apps"), "[chat]");
	expect(1, "exists already", "app create chat --rate 7");
	expect_hash("key", key);
	cr_expect_str_eq(redis_text(lua_redis, "HGET rs:app:chat rate"), "5");
}

Test(cli_apps, set)
{
	char key[CLI_KEY_MAX];
	expect(1, "no App \"chat\"", "app set chat --rate 5");
	cr_expect_str_eq(redis_text(lua_redis, "DBSIZE"), "0");
	cli_run_key(&lua_server, key, "app create chat --rate 5");
	expect(0, "", "app set chat --rate none --burst 9 --body-max 100 --queue-messages 7 --queue-bytes 8 "
		      "--overflow drop-oldest --broadcast no");
	cr_expect_str_eq(redis_text(lua_redis, "HMGET rs:app:chat rate burst body_max queue_messages queue_bytes "
				    "overflow broadcast"), "[nil 9 100 7 8 drop-oldest no]");
	expect_hash("key", key);
}

Test(cli_apps, rotate)
{
	char first[CLI_KEY_MAX], second[CLI_KEY_MAX];
	expect(1, "no App \"chat\"", "app rotate chat");
	cli_run_key(&lua_server, first, "app create chat");
	int64_t now = lua_now_ms(lua_redis);
	cli_run_key(&lua_server, second, "app rotate chat");
	expect_hash("key", second);
	expect_hash("key2", first);
	int64_t until = strtoll(redis_text(lua_redis, "HGET rs:app:chat key2_until"), NULL, 10);
	cr_expect(until >= now + 3600000 && until < now + 3600000 + 60000);
	cli_run_key(&lua_server, first, "app rotate chat --grace 0");
	expect_hash("key", first);
	cr_expect_str_eq(redis_text(lua_redis, "HMGET rs:app:chat key2 key2_until"), "[nil nil]");
}

Test(cli_apps, rm)
{
	char key[CLI_KEY_MAX];
	expect(1, "no App \"chat\"", "app rm chat");
	cli_run_key(&lua_server, key, "app create chat");
	redis_text(lua_redis, "ZADD rs:awaiting 1 chat");
	redis_text(lua_redis, "ZADD rs:app:{chat}:awaited 1 x");
	redis_text(lua_redis, "XADD rs:app:{chat}:receipts * message x");
	expect(0, "", "app rm chat");
	cr_expect_str_eq(redis_text(lua_redis, "DBSIZE"), "0", "its receipts go, too");
	redis_text(lua_redis, "SADD rs:apps chat");
	expect(1, "no App \"chat\"", "app rm chat");
	cr_expect_str_eq(redis_text(lua_redis, "DBSIZE"), "0", "what a create left behind");
}

/* By name; an App whose hash is gone is not shown, and never a key. */
Test(cli_apps, ls)
{
	char key[CLI_KEY_MAX];
	expect(0, "", "app ls");
	cli_run_key(&lua_server, key, "app create shop --rate 5 --broadcast no");
	cli_run_key(&lua_server, key, "app create chat");
	redis_text(lua_redis, "HSET rs:app:shop created 1700000000000 body_max 0 burst 3");
	redis_text(lua_redis, "HSET rs:app:chat created 1700000001000");
	redis_text(lua_redis, "SADD rs:apps gone");
	struct cli_result r = cli_run(&lua_server, "app ls");
	cr_expect_eq(r.code, 0);
	cr_expect_str_eq(r.out, "chat 2023-11-14T22:13:21.000Z\n"
				"shop 2023-11-14T22:13:20.000Z rate=5 burst=3 body-max=? broadcast=no\n");
	redis_text(lua_redis, "SADD rs:apps a{b}");
	expect(0, "1 members of rs:apps are no names", "app ls");
}
