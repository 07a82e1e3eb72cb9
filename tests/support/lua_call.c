/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lua_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGS_MAX = 4096, TEXT_MAX = 65536, TEXTS = 8, PIECES = 32, PIECE_MAX = 256 };

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "lua_call: %s: %s\n", what, why);
	abort();
}

redisContext *lua_connect(uint16_t port)
{
	redisContext *c = redisConnectWithTimeout("127.0.0.1", port, (struct timeval){5, 0});
	if (!c || c->err || redisSetTimeout(c, (struct timeval){20, 0}) != REDIS_OK)
		fail("connect", c ? c->errstr : "out of memory");
	return c;
}

static redisReply *send_argv(redisContext *c, size_t argc, const char **argv)
{
	size_t len[ARGS_MAX];
	for (size_t i = 0; i < argc; i++)
		len[i] = strlen(argv[i]);
	redisReply *r = redisCommandArgv(c, (int)argc, argv, len);
	if (!r)
		fail(argv[0], c->errstr);
	return r;
}

redisReply *lua_call_argv(redisContext *c, enum script_id script, size_t keys, size_t argc,
			  const char *const *argv)
{
	char count[24];
	const char *full[ARGS_MAX] = {"EVALSHA", scripts[script].sha1, count};
	if (argc + 3 > ARGS_MAX)
		fail(scripts[script].name, "too many arguments");
	snprintf(count, sizeof count, "%zu", keys);
	memcpy(full + 3, argv, argc * sizeof *argv);
	redisReply *r = send_argv(c, argc + 3, full);
	if (r->type != REDIS_REPLY_ERROR || strncmp(r->str, "NOSCRIPT", 8) != 0)
		return r;
	freeReplyObject(r);
	const char *load[] = {"SCRIPT", "LOAD", scripts[script].source};
	r = send_argv(c, 3, load);
	if (r->type == REDIS_REPLY_ERROR || strcmp(r->str, scripts[script].sha1) != 0)
		fail(scripts[script].name, r->str);
	freeReplyObject(r);
	return send_argv(c, argc + 3, full);
}

static void put(FILE *f, const redisReply *r)
{
	switch (r->type) {
	case REDIS_REPLY_INTEGER:
		fprintf(f, "%lld", r->integer);
		break;
	case REDIS_REPLY_NIL:
		fputs("nil", f);
		break;
	case REDIS_REPLY_ARRAY:
		fputc('[', f);
		for (size_t i = 0; i < r->elements; i++) {
			if (i)
				fputc(' ', f);
			put(f, r->element[i]);
		}
		fputc(']', f);
		break;
	case REDIS_REPLY_ERROR:
		fprintf(f, "!%s", r->str);
		break;
	default:
		fputs(r->len ? r->str : "''", f);
	}
}

const char *lua_text(redisReply *reply)
{
	static char texts[TEXTS][TEXT_MAX];
	static unsigned turn;
	char *text = texts[turn++ % TEXTS];
	FILE *f = fmemopen(text, TEXT_MAX, "w");
	if (!f)
		fail("lua_text", "fmemopen");
	put(f, reply);
	fclose(f);
	freeReplyObject(reply);
	return text;
}

const char *lua_list(redisContext *c, const char *key)
{
	static char lists[TEXTS][TEXT_MAX];
	static unsigned turn;
	char *text = lists[turn++ % TEXTS];
	size_t len = 0;
	text[0] = '\0';
	redisReply *r = redisCommand(c, "LRANGE %s 0 -1", key);
	if (!r || r->type != REDIS_REPLY_ARRAY)
		fail(key, r ? r->str : c->errstr);
	for (size_t i = 0; i < r->elements && len < TEXT_MAX; i++)
		len += (size_t)snprintf(text + len, TEXT_MAX - len, i ? " %d" : "%d",
					r->element[i]->len > 22 ? atoi(r->element[i]->str + 22) : -1);
	freeReplyObject(r);
	return text;
}

const char *redis_text(redisContext *c, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	redisReply *r = redisvCommand(c, format, ap);
	va_end(ap);
	if (!r)
		fail(format, c->errstr);
	return lua_text(r);
}

static char *piece(void)
{
	static char pieces[PIECES][PIECE_MAX];
	static unsigned turn;
	return pieces[turn++ % PIECES];
}

const char *lua_num(int64_t v)
{
	char *p = piece();
	snprintf(p, PIECE_MAX, "%lld", (long long)v);
	return p;
}

const char *lua_id(unsigned n)
{
	char *p = piece();
	snprintf(p, PIECE_MAX, "01JDCF3K7Q9R8W2ZT5XV6Y%04u", n);
	return p;
}

const char *lua_record_of(const char *app, unsigned n, int64_t expires_ms, const char *words,
			  const char *body)
{
	char *p = piece();
	if (snprintf(p, PIECE_MAX, "%s %s 1700000000000 %013lld -%s\n%s", lua_id(n), app,
		     (long long)expires_ms, words, body) >= PIECE_MAX)
		fail("lua_record_of", "too long");
	return p;
}

const char *lua_record_with(unsigned n, int64_t expires_ms, const char *words)
{
	return lua_record_of("chat", n, expires_ms, words, "hello");
}

const char *lua_record(unsigned n, int64_t expires_ms)
{
	return lua_record_with(n, expires_ms, "");
}

int64_t lua_now_ms(redisContext *c)
{
	redisReply *r = redisCommand(c, "TIME");
	if (!r || r->elements != 2)
		fail("TIME", c->errstr);
	int64_t ms = atoll(r->element[0]->str) * 1000 + atoll(r->element[1]->str) / 1000;
	freeReplyObject(r);
	return ms;
}

struct redis_server lua_server;
redisContext *lua_redis;

void lua_setup(void)
{
	redis_server_start(&lua_server, NULL);
	lua_redis = lua_connect(lua_server.port);
}

const char *lua_waiting(void)
{
	static char texts[TEXTS][TEXT_MAX];
	static unsigned turn;
	char *text = texts[turn++ % TEXTS];
	if (snprintf(text, TEXT_MAX, "%s|%s|%s", lua_list(lua_redis, LUA_QUEUE), lua_list(lua_redis, LUA_HIGH),
		     lua_list(lua_redis, LUA_LOW)) >= TEXT_MAX)
		fail("lua_waiting", "too long");
	return text;
}

void lua_log_in(void)
{
	redis_text(lua_redis, "HSET %s broker mb1 boot 3 conn 77 owner 1700 address 127.0.0.1:9 "
		   "since 1700000000000", LUA_PRESENCE);
}

void lua_setup_online(void)
{
	lua_setup();
	lua_log_in();
}

void lua_teardown(void)
{
	redisFree(lua_redis);
	redis_server_stop(&lua_server);
}
