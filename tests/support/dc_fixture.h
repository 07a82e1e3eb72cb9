/* SPDX-License-Identifier: Apache-2.0 */
/* A private Redis with the App "chat" (key DC_KEY) and a restante-dc on it. */
#ifndef SUPPORT_DC_FIXTURE_H
#define SUPPORT_DC_FIXTURE_H

#include "support/daemon_process.h"
#include "support/redis_server.h"
#include "support/test_then.h"
#include "support/text_client.h"

#include <hiredis/hiredis.h>

#define DC_KEY "a key of sufficient length"

struct dc_fixture {
	struct redis_server redis;
	redisContext *c; /* for the test's own questions */
	struct daemon_process dc;
	struct addr apps, brokers, http;
};

/* redis NULL: nothing kept, and then durability is memory. args: more arguments of
 * the DC, NULL-terminated, may be NULL. Returns when the DC answers. */
void dc_fixture_start(struct dc_fixture *f, const struct redis_options *redis, const char *const *args);
/* Stops all; the DC must end in order. A second call does nothing. */
void dc_fixture_stop(struct dc_fixture *f);
/* An authenticated connection. */
void dc_fixture_client(const struct dc_fixture *f, struct text_client *c);
/* Creates an App with DC_KEY. */
void dc_fixture_add_app(struct dc_fixture *f, const char *app);
/* All that is stored of users, sorted, as one line: what must not change when a
 * request is refused. Static storage, two in turn. */
const char *dc_fixture_stored(struct dc_fixture *f);
/* The connection for the test's own questions, anew after a restart of Redis. */
void dc_fixture_reconnect(struct dc_fixture *f);
/* Waits until the DC has all its connections to Redis, or none. */
void dc_fixture_wait_redis(const struct dc_fixture *f, bool up);
/* The value of a line of /metrics ("restante_dc_links 1"), or -1. */
double dc_fixture_metric(const struct dc_fixture *f, const char *name);

#endif
