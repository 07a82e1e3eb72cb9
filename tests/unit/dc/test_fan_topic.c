/* SPDX-License-Identifier: Apache-2.0 */
/* What it takes a fan-out to find its next filter. Nothing of it runs: there is no Redis,
 * and the fan-out ends, or its question is refused. */
#include "dc/dc.h"
#include "dc/fan.h"
#include "dc/fan_board.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>

#define TOPIC "1/2/3/4/5/6/7/8"

static struct dc dc;
static struct dc_config config = {.fan_in_flight = 1};
static struct fan *f;
static unsigned made; /* times that filters were made */

void __real_topic_each_filter(const char *topic, size_t len, topic_filter_fn *fn, void *ctx);
void __wrap_topic_each_filter(const char *topic, size_t len, topic_filter_fn *fn, void *ctx);

void __wrap_topic_each_filter(const char *topic, size_t len, topic_filter_fn *fn, void *ctx)
{
	made++;
	__real_topic_each_filter(topic, len, fn, ctx);
}

static void setup(void)
{
	struct rds_config redis = {.max_in_flight = 1};
	struct send send = {.app = {"chat", 4}, .topic = {TOPIC, strlen(TOPIC)}, .store = true};
	dc = (struct dc){.loop = ev_loop_new(EVFLAG_AUTO), .config = &config};
	cr_assert_eq(pool_new(&dc.redis, dc.loop, &redis, 1, NULL, NULL), RS_OK);
	cr_assert_eq(fan_board_new(&dc.fans, &dc), RS_OK);
	f = fan_new(&dc, FAN_TOPIC, &send);
	cr_assert_not_null(f);
	memset(f->filters.absent, 0xff, sizeof f->filters.absent);
	fan_set_state(f, FAN_READING);
	made = 0;
}

static void teardown(void)
{
	fan_free(f);
	pool_free(dc.redis);
	fan_board_free(dc.fans);
	ev_loop_destroy(dc.loop);
}

TestSuite(fan_topic, .init = setup, .fini = teardown);

static void has_users(unsigned i) { f->filters.absent[i / 8] &= (uint8_t)~(1u << (i % 8)); }

Test(fan_topic, without_subscribers_no_filter_is_made)
{
	cr_expect_eq(f->source->read(f), RS_OK);
	cr_expect_eq(f->state, FAN_OVER);
	cr_expect_eq(made, 0, "%u", made);
}

Test(fan_topic, absent_filters_cost_nothing)
{
	has_users(TOPIC_FILTERS_MAX - 1);
	cr_expect_eq(f->source->read(f), RS_EDOWN);
	cr_expect_eq(f->filters.index, TOPIC_FILTERS_MAX - 1);
	cr_expect_eq(made, 1, "%u", made);
}

/* Of a fan-out that was taken over nobody knows which are absent, nor how many there are. */
Test(fan_topic, both_passes_come_to_their_end)
{
	memset(f->filters.absent, 0, sizeof f->filters.absent);
	for (unsigned i = 0; i < 2 * TOPIC_FILTERS_MAX; i++) {
		cr_assert_eq(f->source->read(f), RS_EDOWN);
		cr_assert_eq(f->filters.index, i % TOPIC_FILTERS_MAX);
		cr_assert_eq(f->filters.pass, 1 + i / TOPIC_FILTERS_MAX);
		strcpy(f->filters.next, "0");
		f->source->advance(f);
	}
	cr_expect_eq(f->source->read(f), RS_OK);
	cr_expect_eq(f->state, FAN_OVER);
}
