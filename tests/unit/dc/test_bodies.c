/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies at hand, and those that Redis is asked for, with a Redis of the test's own. */
#include "dc/bodies.h"

#include "dc/dc.h"
#include "rds/keys.h"
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>
#include <unistd.h>

static struct dc dc;
static struct bodies *bodies;
static unsigned waited;

static void setup(void)
{
	lua_setup();
	struct rds_config config = {.addr = redis_server_addr(&lua_server)};
	memset(&dc, 0, sizeof dc);
	waited = 0;
	dc.loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_eq(pool_new(&dc.redis, dc.loop, &config, 1, NULL, NULL), RS_OK);
	cr_assert_eq(bodies_new(&bodies, &dc), RS_OK);
	while (!pool_is_up(dc.redis))
		ev_run(dc.loop, EVRUN_ONCE);
}

static void teardown(void)
{
	pool_free(dc.redis);
	bodies_free(bodies);
	ev_loop_destroy(dc.loop);
	lua_teardown();
}

TestSuite(bodies, .init = setup, .fini = teardown, .timeout = 60);

static struct ulid id_of(unsigned n)
{
	static const uint8_t chance[10];
	struct ulid id = ulid_make(1700000000000, chance);
	id.b[ULID_BYTES - 1] = (uint8_t)n;
	id.b[ULID_BYTES - 2] = (uint8_t)(n >> 8);
	return id;
}

static void on_wait(void *ctx)
{
	(void)ctx;
	waited++;
}

static struct body *get(unsigned n, struct body_wait *wait)
{
	struct ulid id = id_of(n);
	*wait = (struct body_wait){.fn = on_wait};
	struct body *b = bodies_get(bodies, &id, wait);
	cr_assert_not_null(b);
	return b;
}

static bool is_at_hand(unsigned n)
{
	struct body_wait wait;
	struct body *b = get(n, &wait);
	bool ready = b->state == BODY_READY;
	body_put(b, &wait);
	return ready;
}

static void put(unsigned n, const void *data, size_t len)
{
	struct ulid id = id_of(n);
	bodies_put(bodies, &id, data, len);
}

static void until(unsigned count)
{
	while (waited < count)
		ev_run(dc.loop, EVRUN_ONCE);
}

Test(bodies, what_was_put_in_is_there)
{
	struct body_wait wait;
	put(1, "hello", 5);
	put(2, "", 0);
	struct body *b = get(1, &wait);
	cr_assert(b->state == BODY_READY && b->len == 5 && memcmp(b->data, "hello", 5) == 0);
	body_put(b, &wait);
	cr_assert(is_at_hand(2), "an empty one, too");
	cr_assert_not(is_at_hand(3));
}

Test(bodies, the_oldest_makes_room_and_whoever_has_it_keeps_it)
{
	static uint8_t data[1024 * 1024];
	struct body_wait wait;
	put(0, data, sizeof data);
	struct body *kept = get(0, &wait);
	for (unsigned n = 1; n <= 6; n++)
		put(n, data, sizeof data);
	cr_assert(is_at_hand(1), "so that it was used after 2");
	put(7, data, sizeof data);
	put(8, data, sizeof data);
	cr_assert_not(is_at_hand(2));
	cr_assert(is_at_hand(1) && is_at_hand(8));
	cr_assert(kept->state == BODY_READY && kept->len == sizeof data && kept->data[5] == 0);
	body_put(kept, &wait);
}

Test(bodies, redis_is_asked_once_for_all_who_wait)
{
	struct body_wait waits[3];
	struct body *b[3];
	char key[KEY_MAX];
	struct ulid id = id_of(5);
	key_fan_body(key, &id);
	redis_text(lua_redis, "SET %s hello", key);
	for (int i = 0; i < 3; i++) {
		b[i] = get(5, &waits[i]);
		cr_assert_eq(b[i]->state, BODY_ASKED);
	}
	body_put(b[2], &waits[2]); /* does not want to wait */
	until(2);
	cr_assert(b[0] == b[1] && b[0]->state == BODY_READY && b[0]->len == 5);
	cr_assert_eq(waited, 2);
	body_put(b[0], &waits[0]);
	body_put(b[1], &waits[1]);
	cr_assert(is_at_hand(5));
}

Test(bodies, gone)
{
	struct body_wait wait;
	struct body *b = get(6, &wait);
	until(1);
	cr_assert_eq(b->state, BODY_GONE);
	body_put(b, &wait);
}

Test(bodies, redis_is_away)
{
	struct body_wait wait;
	redis_server_kill(&lua_server);
	while (pool_is_up(dc.redis))
		ev_run(dc.loop, EVRUN_ONCE);
	struct body *b = get(7, &wait);
	cr_assert_eq(b->state, BODY_FAILED);
	body_put(b, &wait);
	redis_server_run(&lua_server);
}

Test(bodies, what_was_withdrawn_is_forgotten_here_and_soon_elsewhere)
{
	struct ulid id = id_of(1);
	put(1, "hello", 5);
	put(2, "hello", 5);
	bodies_forget(bodies, &id);
	cr_assert_not(is_at_hand(1));
	cr_assert(is_at_hand(2));
	usleep((BODIES_FRESH_MS + 50) * 1000);
	cr_assert_not(is_at_hand(2), "Redis is asked again");
}
