/* SPDX-License-Identifier: Apache-2.0 */
#include "mb/shed.h"

#include "mb/mb.h"
#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <string.h>

/* main.c's, which the other parts of the broker want; not used here. */
struct mb_time mb_time(void) { return (struct mb_time){0}; }
void mb_flush(struct mb *m) { (void)m; }
void mb_flush_later(struct mb *m) { (void)m; }

enum { PERIOD = 100 };

static struct engine_pair *pair;
static struct shed shed;
static struct udp_stats udp;
static uint64_t now;

static void begin(void)
{
	pair = pair_online(NULL);
	shed = (struct shed){0};
	udp = (struct udp_stats){0};
	now = 777000;
	shed_tick(&shed, pair->server, &udp, now, PERIOD);
}

static void end(void) { pair_free(pair); }
TestSuite(shed, .init = begin, .fini = end);

/* The next tick, so late; what the socket did in between. */
static void tick(uint64_t late_ms, unsigned emptied, unsigned cut)
{
	udp.rx_emptied += emptied;
	udp.rx_cut += cut;
	now += PERIOD + late_ms;
	shed_tick(&shed, pair->server, &udp, now, PERIOD);
}

/* As a new client sees it. */
static bool takes_handshakes(void)
{
	uint64_t before = server_gate_stats(pair->server)->shed;
	uint8_t init[INIT_BYTES] = {0};
	struct addr from;
	cr_assert_eq(addr_parse("10.0.0.77:5", &from), RS_OK);
	packet_write_hello(init, PACKET_INIT, (uint32_t)now);
	server_recv(pair->server, pair->now_ms, pair_wall(pair), &from, init, sizeof init);
	return server_gate_stats(pair->server)->shed == before;
}

Test(shed, in_time_nothing_is_shed)
{
	cr_expect(takes_handshakes(), "the first tick of all is not late, whatever the clock says");
	for (int i = 0; i < 100; i++) {
		tick(i % 2 ? 0 : SHED_HANDSHAKES_MS - 1, 5, 0);
		cr_assert(takes_handshakes());
		cr_assert_not(shed_logins(&shed, now));
	}
	cr_expect_eq(shed.times, 0);
}

Test(shed, a_tick_before_its_time_is_not_late)
{
	now -= 50;
	tick(0, 1, 0);
	cr_expect(takes_handshakes());
	cr_expect_eq(shed.times, 0);
}

/* First handshakes, and only when it is worse logins. */
Test(shed, in_this_order)
{
	static const struct { uint64_t late_ms; bool handshakes, logins; } cases[] = {
		{0, true, true}, {SHED_HANDSHAKES_MS - 1, true, true}, {SHED_HANDSHAKES_MS, false, true},
		{SHED_LOGINS_MS - 1, false, true}, {SHED_LOGINS_MS, false, false}, {60000, false, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		tick(cases[i].late_ms, 1, 0);
		cr_expect_eq(takes_handshakes(), cases[i].handshakes, "%zu", i);
		cr_expect_eq(!shed_logins(&shed, now), cases[i].logins, "%zu", i);
		for (int n = 0; n < 2 * (int)SHED_HOLD_MS / PERIOD; n++)
			tick(0, 1, 0);
	}
	cr_expect_eq(shed.times, 4);
}

/* Sessions go on all the while. */
Test(shed, never_what_sessions_send_and_are_sent)
{
	tick(60000, 0, 5);
	cr_assert_not(takes_handshakes());
	cr_assert_eq(pair_push(pair, 1, 3000, UINT64_MAX), RS_OK);
	pair_run(pair, 60000);
	cr_expect_eq(pair->acked, 1);
	cr_expect_eq(pair->client[0].state, CLIENT_ONLINE);
	cr_expect_geq(server_stats(pair->server)->heartbeats, 5);
	cr_expect_eq(pair->gone, 0);
}

/* For SHED_HOLD_MS after the last time that it was in need; that counts once. */
Test(shed, holds_for_a_while)
{
	tick(SHED_HANDSHAKES_MS, 1, 0);
	for (int i = 0; i < 25; i++) {
		tick(i == 5 ? SHED_HANDSHAKES_MS : 0, 1, 0);
		cr_assert_eq(takes_handshakes(), i >= 5 + (int)SHED_HOLD_MS / PERIOD, "tick %d", i);
	}
	cr_expect_eq(shed.times, 1, "it was one time of need");
	tick(SHED_HANDSHAKES_MS, 1, 0);
	cr_expect_eq(shed.times, 2);
	cr_expect_not(takes_handshakes());
}

Test(shed, logins_are_taken_again_on_time)
{
	tick(SHED_LOGINS_MS, 1, 0);
	uint64_t at = now;
	cr_expect(shed_logins(&shed, at + SHED_HOLD_MS - 1));
	cr_expect_not(shed_logins(&shed, at + SHED_HOLD_MS));
	tick(SHED_HANDSHAKES_MS, 1, 0);
	cr_expect(shed_logins(&shed, at + SHED_HOLD_MS - 1), "being less late does not shorten it");
	cr_expect_not(shed_logins(&shed, at + SHED_HOLD_MS), "nor make it longer");
}

/* In need is also who never read its socket to the end between two ticks. */
Test(shed, a_flood)
{
	tick(0, 1, 10);
	cr_expect(takes_handshakes(), "once to its end is enough");
	tick(0, 0, 0);
	cr_expect(takes_handshakes(), "nothing came: nothing to be read");
	tick(0, 0, 1);
	cr_expect_not(takes_handshakes());
	cr_expect_not(shed_logins(&shed, now), "logins are still decided: the loop is in time");
	cr_expect_eq(shed.times, 1);
	for (int i = 1; i < (int)SHED_HOLD_MS / PERIOD; i++) {
		tick(0, 3, 0);
		cr_assert_not(takes_handshakes(), "%d", i);
	}
	tick(0, 3, 0);
	cr_expect(takes_handshakes());
}

Test(shed, a_flood_that_goes_on)
{
	for (int i = 0; i < 100; i++) {
		tick(0, 0, 7);
		cr_assert_not(takes_handshakes(), "%d", i);
	}
	cr_expect_eq(shed.times, 1);
}
