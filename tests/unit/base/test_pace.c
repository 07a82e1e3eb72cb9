/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pace.h"

#include <criterion/criterion.h>

enum { PER_S = 100, START_MS = 5000, LEAST_MS = 1000 };

static unsigned admitted(struct pace *p, uint32_t per_s, uint64_t now_ms, unsigned tries)
{
	unsigned n = 0;
	for (unsigned i = 0; i < tries; i++)
		n += pace_admits(p, per_s, now_ms);
	return n;
}

Test(pace, a_second_at_once_then_the_rate)
{
	struct pace p = {0};
	cr_expect_eq(admitted(&p, PER_S, START_MS, 1000), PER_S);
	cr_expect_eq(admitted(&p, PER_S, START_MS + 9, 1000), 0);
	cr_expect_eq(admitted(&p, PER_S, START_MS + 10, 1000), 1);
	cr_expect_eq(admitted(&p, PER_S, START_MS + 510, 1000), 50);
	cr_expect_eq(admitted(&p, PER_S, START_MS + 3600000, 1000), PER_S, "what is not taken does not add up");
}

/* As clients do who obey: they come when they were told, and are let in then. */
Test(pace, a_storm_comes_back_at_the_rate)
{
	enum { CLIENTS = 3000, MOST_S = 40 };
	static uint64_t due_ms[CLIENTS];
	unsigned in_second[MOST_S] = {0}, left = CLIENTS;
	struct pace p = {0};
	for (uint64_t now = START_MS; now < START_MS + MOST_S * 1000; now++)
		for (unsigned i = 0; i < CLIENTS; i++) {
			if (due_ms[i] > now || due_ms[i] == UINT64_MAX)
				continue;
			if (pace_admits(&p, PER_S, now)) {
				due_ms[i] = UINT64_MAX;
				in_second[(now - START_MS) / 1000]++;
				left--;
			} else {
				due_ms[i] = now + pace_defer(&p, PER_S, now, 1);
			}
		}
	cr_expect_eq(left, 0, "%u of %u are not in after %u s", left, CLIENTS, MOST_S);
	cr_expect_leq(in_second[0], 2 * PER_S); /* what was saved up, and the second's own */
	for (unsigned s = 1; s < MOST_S; s++)
		cr_expect_leq(in_second[s], PER_S + 1, "second %u: %u", s, in_second[s]);
}

Test(pace, each_is_told_a_later_time)
{
	struct pace p = {0};
	admitted(&p, PER_S, START_MS, PER_S);
	cr_expect_eq(pace_defer(&p, PER_S, START_MS, 0), 1010);
	cr_expect_eq(pace_defer(&p, PER_S, START_MS, 0), 1020);
	cr_expect_eq(pace_defer(&p, PER_S, START_MS + 500, 0), 530);
	cr_expect_eq(pace_defer(&p, PER_S, START_MS + 500, LEAST_MS), LEAST_MS, "but not too soon");
}

Test(pace, nobody_is_told_more_than_the_most)
{
	struct pace p = {0};
	uint32_t told = 0;
	for (unsigned i = 0; i < 2 * PER_S * PACE_MOST_MS / 1000; i++)
		told = pace_defer(&p, PER_S, START_MS, 0);
	cr_expect_eq(told, PACE_MOST_MS);
	cr_expect_eq(pace_defer(&p, PER_S, START_MS + 2 * PACE_MOST_MS, 0), 10, "the line has gone");
}

Test(pace, without_a_rate_all_are_admitted)
{
	struct pace p = {0};
	cr_expect_eq(admitted(&p, 0, START_MS, 100000), 100000);
	cr_expect_eq(pace_defer(&p, 0, START_MS, LEAST_MS), LEAST_MS);
}

Test(pace, rates_that_do_not_divide_a_second)
{
	struct pace p = {0};
	cr_expect_eq(admitted(&p, 1, START_MS, 10), 1);
	cr_expect_eq(admitted(&p, 7, START_MS + 60000, 1000), 6, "rounded so that it is never more");
	cr_expect_eq(admitted(&p, UINT32_MAX, START_MS + 120000, 1000), 1000);
}
