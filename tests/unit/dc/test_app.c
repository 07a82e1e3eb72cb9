/* SPDX-License-Identifier: Apache-2.0 */
/* The rate of an App, with a clock of the test's own. */
#include "dc/app.h"

#include <criterion/criterion.h>

static struct app app_with(uint32_t rate, uint32_t burst)
{
	return (struct app){
		.limits = {.rate = rate, .burst = burst},
		.tokens = (int64_t)(burst ? burst : rate) * 1000,
		.tokens_ms = 1000,
	};
}

/* Steps in order on one App: at that time, so many at once. */
struct step {
	uint64_t at_ms;
	unsigned count;
	bool passes;
	unsigned retry_after_s; /* when it does not */
};

static void run(struct app *app, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned retry_after_s = 0;
		bool passes = app_may_send(app, steps[i].at_ms, steps[i].count, &retry_after_s);
		cr_expect_eq(passes, steps[i].passes, "step %zu", i);
		cr_expect_eq(retry_after_s, steps[i].retry_after_s, "step %zu: %u", i, retry_after_s);
	}
}
#define RUN(app, steps) run(app, steps, sizeof(steps) / sizeof *(steps))

Test(app, fills_up_again_at_the_rate)
{
	static const struct step steps[] = {
		{1000, 1, true, 0},
		{1000, 1, true, 0},
		{1000, 1, false, 1},
		{1499, 1, false, 1},
		{1500, 1, true, 0}, /* two a second */
		{1500, 1, false, 1},
		{1999, 1, false, 1},
		{2000, 1, true, 0},
		{900, 1, false, 1},      /* a clock that went back gives nothing */
		{9999999, 2, true, 0},   /* and a long pause no more than the burst */
		{9999999, 1, false, 1},
		{UINT64_MAX, 2, true, 0},
		{UINT64_MAX, 1, false, 1},
	};
	struct app app = app_with(2, 0);
	RUN(&app, steps);
}

Test(app, whole_seconds_until_enough_is_there)
{
	static const struct step steps[] = {
		{1000, 5, true, 0},
		{1000, 1, false, 1},
		{1000, 2, false, 2},
		{1000, 5, false, 5},
		{1001, 5, false, 5}, /* 4,999 ms */
		{2000, 5, false, 4},
		{5999, 5, false, 1},
		{6000, 5, true, 0},
	};
	struct app app = app_with(1, 5);
	RUN(&app, steps);
}

/* It could never be sent otherwise; what follows waits until it is paid for. */
Test(app, more_than_the_burst_at_once)
{
	static const struct step steps[] = {
		{1000, 1, true, 0},
		{1000, 30, false, 1},   /* not full */
		{1099, 30, false, 1},
		{1100, 30, true, 0},    /* full: 5 there, 25 owed */
		{1100, 1, false, 3},
		{3699, 1, false, 1},
		{3700, 1, true, 0},
		{3700, UINT32_MAX, false, 1},
		{4200, UINT32_MAX, true, 0},
		{4200, 1, false, 429496730},
	};
	struct app app = app_with(10, 5);
	RUN(&app, steps);
}

Test(app, no_rate_no_limit)
{
	static const struct step steps[] = {{1000, UINT32_MAX, true, 0}, {1000, UINT32_MAX, true, 0}};
	struct app app = app_with(0, 3);
	RUN(&app, steps);
}

Test(app, highest_numbers)
{
	static const struct step steps[] = {
		{1000, 1000000, true, 0}, {1000, 1, false, 1}, {1001, 1000, true, 0}, {1001, 1, false, 1},
		{UINT64_MAX, 1000000, true, 0},
	};
	struct app app = app_with(1000000, 1000000);
	RUN(&app, steps);
}
