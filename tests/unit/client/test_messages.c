/* SPDX-License-Identifier: Apache-2.0 */
/* What librestante shows, in which order; and that it may be stopped at any point. */
#include "support/client_fixture.h"

#include "base/clock.h"
#include "session/client.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <unistd.h>

TestSuite(messages, .init = fixture_start, .fini = fixture_stop, .timeout = 120);

static bool one_acked(void) { return fixture_acked() == 1; }

Test(messages, messages_of_all_lengths_come_in_order_and_unchanged)
{
	static const size_t lengths[] = {0, 1, 447, 511, 512, 513, 4096, 16384};
	static uint8_t bytes[16384];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = net_pattern(i);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		fixture_add(bytes, lengths[i]);
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	cr_assert_eq(restante_state(r), RESTANTE_WAITING);
	cr_assert_eq(restante_timeout_ms(r), 0);
	int fd = restante_fd(r);
	cr_assert(fixture_run(r, fixture_all_acked));
	cr_assert_eq(fixture.shown.count, fixture.count);
	for (size_t i = 0; i < fixture.count; i++)
		cr_assert_eq(fixture.shown.of[i], i);
	char at[ADDR_TEXT_MAX];
	cr_assert_str_eq(restante_broker(r), addr_format(&fixture.broker_at, at));
	cr_assert_eq(restante_fd(r), fd);
	const bool *saw = fixture.shown.saw;
	cr_assert(saw[RESTANTE_ASKING] && saw[RESTANTE_HELLO] && saw[RESTANTE_LOGIN]);
	restante_close(r);
	cr_assert(fixture_run(NULL, fixture_gone), "closing logs out");
}

Test(messages, a_balancer_over_ipv6_and_a_broker_over_ipv4)
{
	close(fixture.balancer_fd);
	balancer_deinit(&fixture.balancer);
	fixture_start_balancer("[::1]:0");
	if (fixture.balancer_fd < 0)
		cr_skip_test("no IPv6 on this host");
	fixture_add("hello", 5);
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	cr_assert(fixture_run(r, fixture_all_acked));
	restante_close(r);
}

Test(messages, what_is_refused_is_offered_again_before_what_comes_behind_it)
{
	fixture_add("first", 5);
	fixture_add("second", 6);
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	fixture.shown.refusals = 1;
	uint64_t start = clock_mono_ms();
	cr_assert(fixture_run(r, fixture_all_acked));
	cr_assert_geq(clock_mono_ms() - start, 900);
	cr_assert_eq(fixture.shown.count, 2);
	cr_assert_eq(fixture.shown.of[0], 0);
	cr_assert_eq(fixture.shown.of[1], 1);
	restante_close(r);
}

Test(messages, stop_from_inside_the_callback_acknowledges_that_message_and_shows_no_other)
{
	for (int i = 0; i < 5; i++)
		fixture_add("hello", 5);
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	fixture.shown.stop_at = 1;
	cr_assert(fixture_run(r, fixture_stopped));
	cr_assert(fixture_run(r, fixture_gone));
	cr_assert(one_acked());
	cr_assert(fixture.queue[0].acked);
	cr_assert_eq(fixture.shown.count, 1);
	cr_assert_eq(restante_why(r), CLOSE_NORMAL);
	cr_assert_eq(restante_timeout_ms(r), -1);
	restante_process(r);
	restante_stop(r);
	restante_close(r);
}

Test(messages, stop_before_anything_was_processed)
{
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	restante_stop(r);
	cr_assert_eq(restante_state(r), RESTANTE_STOPPED);
	restante_process(r);
	cr_assert_eq(restante_state(r), RESTANTE_STOPPED);
	restante_close(r);
	cr_assert_eq(fixture.logins, 0);
}

static void stop_when(void *ctx, enum restante_state state, unsigned code)
{
	(void)code;
	enum restante_state *at = ctx;
	if (state == *at)
		restante_stop(fixture.shown.client);
}

static int take(void *ctx, const struct restante_message *m)
{
	(void)ctx, (void)m;
	return 0;
}

Test(messages, stop_from_inside_each_change_of_state)
{
	for (enum restante_state at = RESTANTE_ASKING; at <= RESTANTE_ONLINE; at++) {
		struct restante_options o = fixture_options();
		o.on_message = take;
		o.on_state = stop_when;
		o.ctx = &at;
		struct restante *r = fixture_open(&o);
		cr_assert(fixture_run(r, fixture_stopped), "in state %s", restante_state_text(at));
		restante_close(r);
	}
}

Test(messages, close_in_each_state)
{
	for (unsigned steps = 0; steps < 8; steps++) {
		struct restante_options o = fixture_options();
		struct restante *r = fixture_open(&o);
		for (unsigned i = 0; i < steps; i++) {
			restante_process(r);
			fixture_serve();
		}
		unsigned states = fixture.shown.states;
		restante_close(r);
		cr_assert_eq(fixture.shown.states, states, "close calls nobody back");
	}
	restante_close(NULL);
}
