/* SPDX-License-Identifier: Apache-2.0 */
/* Runs an embedded Lua script against a Redis and waits for the answer: for
 * tests only. Arguments are NUL-terminated strings.
 *
 *   redisReply *r = lua_call(c, SCRIPT_MESSAGE_ACK, 2, queue, presence, owner, id);
 */
#ifndef SUPPORT_LUA_CALL_H
#define SUPPORT_LUA_CALL_H

#include "rds/scripts.h"
#include "support/redis_server.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

/* Connected and answering within seconds, or the test ends. */
redisContext *lua_connect(uint16_t port);

/* `...`: the KEYS (as many as `keys` says), then the ARGV. The caller frees the reply. */
#define lua_call(c, script, keys, ...) \
	lua_call_argv(c, script, keys, \
		      sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *), \
		      (const char *[]){__VA_ARGS__})
redisReply *lua_call_argv(redisContext *c, enum script_id script, size_t keys, size_t argc,
			  const char *const *argv);

/* The reply as one line, "[stored 2 [] 7]" style, which compares well and reads
 * well in a failed test: arrays in brackets, strings as they are ('' if empty),
 * nil as "nil", errors as "!text". Frees the reply. Static storage, eight in turn. */
const char *lua_text(redisReply *reply);

/* lua_text(lua_call(...)) */
#define lua(c, script, keys, ...) lua_text(lua_call(c, script, keys, __VA_ARGS__))
/* lua_text() of a plain command. */
const char *redis_text(redisContext *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The pieces of an argument list; static storage, 32 in turn. */
const char *lua_num(int64_t v);
const char *lua_id(unsigned n); /* a message id that ends in n, four digits */
/* A record as wire/record.h describes it, with that id and "hello" for a body. */
const char *lua_record(unsigned n, int64_t expires_ms);
/* The server's clock. */
int64_t lua_now_ms(redisContext *c);

/* For tests that need one server and one connection:
 *   TestSuite(message_ack, .init = lua_setup, .fini = lua_teardown); */
extern struct redis_server lua_server;
extern redisContext *lua_redis;
void lua_setup(void);
void lua_teardown(void);

/* What every user's script is called with in the tests. */
#define LUA_QUEUE "rs:{alice}:queue"
#define LUA_PRESENCE "rs:{alice}:presence"
#define LUA_ONCE "rs:{alice}:once:{chat}:order-17"

#endif
