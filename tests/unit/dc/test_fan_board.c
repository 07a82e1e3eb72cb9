/* SPDX-License-Identifier: Apache-2.0 */
/* What the board does with a fan-out that it gets. There is no Redis. */
#include "dc/fan_board.h"

#include "dc/bodies.h"
#include "dc/dc.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>

static struct dc dc;
static struct dc_config config = {.fan_in_flight = 1};

static void setup(void)
{
	struct rds_config redis = {.max_in_flight = 1};
	dc = (struct dc){.loop = ev_loop_new(EVFLAG_AUTO), .config = &config};
	cr_assert_eq(pool_new(&dc.redis, dc.loop, &redis, 1, NULL, NULL), RS_OK);
	cr_assert_eq(bodies_new(&dc.bodies, &dc), RS_OK);
	cr_assert_eq(fan_board_new(&dc.fans, &dc), RS_OK);
}

static void teardown(void)
{
	pool_free(dc.redis);
	fan_board_free(dc.fans);
	bodies_free(dc.bodies);
	ev_loop_destroy(dc.loop);
}

TestSuite(fan_board, .init = setup, .fini = teardown);

/* Of a list; its id. */
static struct ulid add(const char *body, enum fan_state state)
{
	struct send send = {.app = {"chat", 4}, .store = true, .ttl_s = 60, .body = (const uint8_t *)body,
			    .body_len = strlen(body)};
	struct fan *f = fan_new(&dc, FAN_LIST, &send);
	cr_assert(f && fan_set_record(f, &send, (struct text_span){"", 0}) == RS_OK);
	fan_set_state(f, state);
	fan_board_add(dc.fans, f);
	return f->id;
}

static enum body_state at_hand(const struct ulid *id)
{
	struct body_wait wait = {0};
	struct body *b = bodies_get(dc.bodies, id, &wait);
	cr_assert_not_null(b);
	enum body_state state = b->state;
	body_put(b, &wait);
	return state;
}

Test(fan_board, the_body_of_a_fan_out_is_at_hand)
{
	struct ulid one = add("hello", FAN_READING), empty = add("", FAN_READING);
	cr_expect_eq(at_hand(&one), BODY_READY);
	cr_expect_eq(at_hand(&empty), BODY_READY);
}

/* Taken over after its body was withdrawn, or had expired. */
Test(fan_board, a_body_that_is_gone_is_not_an_empty_one)
{
	struct ulid id = add("", FAN_ENDING);
	cr_expect_eq(at_hand(&id), BODY_FAILED, "Redis is asked, which is not there");
}
