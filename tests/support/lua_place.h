/* SPDX-License-Identifier: Apache-2.0 */
/* The script message_place for tests: its many arguments by name, and a check of
 * the index it leaves. On lua_redis, for the user alice.
 *
 *   cr_assert_str_eq(PLACE(1, .lane = PRIORITY_HIGH, .collapse = "price"), "[stored 1 '' '' '' '' '']"); */
#ifndef SUPPORT_LUA_PLACE_H
#define SUPPORT_LUA_PLACE_H

#include "support/lua_call.h"
#include "wire/record.h"

struct lua_place {
	const char *app;      /* NULL: "chat" */
	enum priority lane;
	int64_t now_ms;       /* 0: the server's clock */
	int64_t ttl_ms;       /* 0: a minute */
	const char *collapse; /* NULL: none */
	bool receipt;
	const char *body;     /* NULL: "hello" */
	unsigned elsewhere;   /* bytes of a body that lies elsewhere; 0: none does */
	int64_t max_count, max_bytes; /* 0: far away */
	int64_t app_count, app_bytes; /* 0: none */
	const char *policy;   /* NULL: "reject" */
	const char *once;     /* the key; NULL: none */
};

#define LUA_PLACE_KEEP_MS 3600000
#define LUA_PLACE_KEYS \
	LUA_PRESENCE, LUA_SETTINGS, LUA_LANES, LUA_INDEX, LUA_JOURNAL, LUA_MISSED

#define PLACE(n, ...) lua_place(n, &(struct lua_place){__VA_ARGS__})

/* Calls the script for message n, and returns its reply as lua_text() does. */
const char *lua_place(unsigned n, const struct lua_place *p);
/* The record it places; static storage, as lua_record(). */
const char *lua_place_record(unsigned n, const struct lua_place *p, int64_t expires_ms);

/* Compares the index with what is in the queues: exact where `seen` fits, and never
 * less than there is. Returns "" or what is wrong. Static storage. */
const char *lua_index_wrong(void);

/* For the tests of message_place; what they leave must have an index that is right.
 *   TestSuite(message_place, .init = lua_place_setup, .fini = lua_place_teardown); */
extern int64_t lua_t0; /* the server's clock when the test begins, ms */
void lua_place_setup(void);
void lua_place_setup_online(void);
void lua_place_teardown(void);

#endif
