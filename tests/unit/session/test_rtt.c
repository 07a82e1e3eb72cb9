/* SPDX-License-Identifier: Apache-2.0 */
#include "session/rtt.h"

#include <criterion/criterion.h>

Test(rtt, before_the_first_sample)
{
	struct rtt r = {0};
	cr_expect_eq(rtt_timeout_ms(&r), RTO_FIRST_MS);
	cr_expect_eq(rtt_smoothed_ms(&r), 0);
}

/* RFC 6298, 2.2: srtt = r, rttvar = r / 2, rto = srtt + 4 * rttvar = 3 r. */
Test(rtt, the_first_sample)
{
	static const struct { uint32_t ms, rto; } cases[] = {
		{0, RTO_MIN_MS}, {1, RTO_MIN_MS}, {33, RTO_MIN_MS}, {34, 102}, {100, 300}, {200, 600}, {1000, 3000},
		{2666, 7998}, {2667, RTO_MAX_MS}, {8000, RTO_MAX_MS}, {60000, RTO_MAX_MS}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rtt r = {0};
		rtt_sample(&r, cases[i].ms);
		cr_expect_eq(rtt_timeout_ms(&r), cases[i].rto, "%u ms gave %u", cases[i].ms, rtt_timeout_ms(&r));
	}
}

/* 2.3: srtt = 7/8 srtt + 1/8 r, rttvar = 3/4 rttvar + 1/4 |srtt - r|, the latter first. */
Test(rtt, later_samples)
{
	struct rtt r = {0};
	rtt_sample(&r, 400);
	rtt_sample(&r, 480);
	cr_expect_eq(rtt_smoothed_ms(&r), 410);
	cr_expect_eq(r.variance_x4, 800 - 200 + 80);
	cr_expect_eq(rtt_timeout_ms(&r), 410 + 680);
	rtt_sample(&r, 330);
	cr_expect_eq(rtt_smoothed_ms(&r), 400);
	cr_expect_eq(r.variance_x4, 680 - 170 + 80);
}

Test(rtt, settles_and_stays_within_bounds)
{
	struct rtt r = {0};
	for (int i = 0; i < 200; i++)
		rtt_sample(&r, 250);
	cr_expect_eq(rtt_smoothed_ms(&r), 250);
	cr_expect_leq(rtt_timeout_ms(&r), 266);
	for (int i = 0; i < 200; i++)
		rtt_sample(&r, 0);
	cr_expect_leq(rtt_smoothed_ms(&r), 8);
	cr_expect_geq(rtt_timeout_ms(&r), RTO_MIN_MS);
	unsigned dice = 3;
	for (int i = 0; i < 20000; i++) {
		dice = dice * 1103515245u + 12345u;
		rtt_sample(&r, dice >> 16 & (i & 64 ? 0xffff : 0xff));
		uint32_t rto = rtt_timeout_ms(&r);
		cr_assert(rto >= RTO_MIN_MS && rto <= RTO_MAX_MS);
		cr_assert_leq(rtt_smoothed_ms(&r), 0xffff);
	}
}

Test(rtt, backoff_doubles_up_to_the_most_and_ends_with_a_sample)
{
	static const uint32_t want[] = {500, 1000, 2000, 4000, 8000, 8000, 8000};
	struct rtt r = {0};
	for (unsigned i = 0; i < sizeof want / sizeof *want; i++) {
		r.backoff = (uint8_t)i;
		cr_expect_eq(rtt_timeout_ms(&r), want[i], "after %u timeouts", i);
	}
	r.backoff = 255;
	cr_expect_eq(rtt_timeout_ms(&r), RTO_MAX_MS);
	rtt_sample(&r, 100);
	cr_expect_eq(r.backoff, 0);
	cr_expect_eq(rtt_timeout_ms(&r), 300);
}
