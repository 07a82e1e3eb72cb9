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

/* What is in a list, as the ends of the ids: "1 2 3". Static storage, eight in turn. */
const char *lua_list(redisContext *c, const char *key);
/* The same of alice's three queues, "1 2|3|" (normal, high, low), on lua_redis. */
const char *lua_waiting(void);

/* lua_text(lua_call(...)) */
#define lua(c, script, keys, ...) lua_text(lua_call(c, script, keys, __VA_ARGS__))
/* lua_text() of a plain command. */
const char *redis_text(redisContext *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The pieces of an argument list; static storage, 32 in turn. */
const char *lua_num(int64_t v);
const char *lua_id(unsigned n); /* a message id that ends in n, four digits */
/* A record as wire/record.h describes it, with that id and "hello" for a body. */
const char *lua_record(unsigned n, int64_t expires_ms);
/* The same with words behind the App's id, " p=high c=price r" (or "" for none), of
 * another App, and another body. */
const char *lua_record_with(unsigned n, int64_t expires_ms, const char *words);
const char *lua_record_of(const char *app, unsigned n, int64_t expires_ms, const char *words,
			  const char *body);
/* The server's clock. */
int64_t lua_now_ms(redisContext *c);

/* For tests that need one server and one connection:
 *   TestSuite(message_ack, .init = lua_setup, .fini = lua_teardown); */
extern struct redis_server lua_server;
extern redisContext *lua_redis;
void lua_setup(void);
/* lua_setup(), and alice is online at broker mb1: owner 1700, since 1700000000000. */
void lua_setup_online(void);
void lua_log_in(void);
void lua_teardown(void);

/* What every user's script is called with in the tests. */
#define LUA_QUEUE "rs:{alice}:queue"
#define LUA_HIGH "rs:{alice}:queue:high"
#define LUA_LOW "rs:{alice}:queue:low"
#define LUA_LANES LUA_QUEUE, LUA_HIGH, LUA_LOW
#define LUA_SETTINGS "rs:{alice}:settings"
#define LUA_INDEX "rs:{alice}:index"
#define LUA_JOURNAL "rs:{alice}:journal"
#define LUA_MISSED "rs:{alice}:missed"
#define LUA_PRESENCE "rs:{alice}:presence"
#define LUA_CURSOR "rs:{alice}:cursor"
#define LUA_KEPT "rs:broadcast:{all}:kept"
#define LUA_VERSION "rs:broadcast:{all}:version"
#define LUA_ONCE "rs:{alice}:once:{chat}:order-17"

#endif
