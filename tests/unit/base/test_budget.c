/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

enum { BURST = 10, PER_MINUTE = 60, UNIT_MS = 60000 / PER_MINUTE, SOURCES = 64 };

static const uint64_t YEAR_MS = 365ull * 24 * 3600 * 1000;

static struct budget made(uint32_t burst, uint32_t per_minute)
{
	struct budget b;
	cr_assert_eq(budget_init(&b, SOURCES, burst, per_minute, 0x5eed), RS_OK);
	return b;
}

static const uint8_t *source(uint32_t n)
{
	static uint8_t out[ADDR_SOURCE];
	memset(out, 0, sizeof out);
	be_put(out + 12, n, 4);
	return out;
}

static void spend(struct budget *b, uint32_t who, unsigned units, uint64_t now_ms)
{
	while (units-- > 0)
		budget_spend(b, source(who), now_ms);
}

static bool over(const struct budget *b, uint32_t who, uint64_t now_ms)
{
	return budget_over(b, source(who), now_ms);
}

static bool clean(const struct budget *b, uint32_t who, uint64_t now_ms)
{
	return budget_clean(b, source(who), now_ms);
}

Test(budget, the_burst_and_no_more)
{
	struct budget b = made(BURST, PER_MINUTE);
	cr_expect(clean(&b, 1, 1000));
	cr_expect_not(over(&b, 1, 1000));
	spend(&b, 1, BURST - 1, 1000);
	cr_expect_not(over(&b, 1, 1000), "one is left");
	cr_expect_not(clean(&b, 1, 1000));
	spend(&b, 1, 1, 1000);
	cr_expect(over(&b, 1, 1000));
	cr_expect(clean(&b, 2, 1000), "another pays nothing");
	cr_expect_not(over(&b, 2, 1000));
	budget_deinit(&b);
}

/* What comes back does so evenly, to the millisecond; the smallest part of a unit
 * is something that is left, and one more may be spent on it. */
Test(budget, comes_back_to_the_millisecond)
{
	static const struct { uint32_t per_minute; uint64_t one_ms, all_ms; } cases[] = {
		{60, 1000, 10000}, {600, 100, 1000}, {60000, 1, 10}, {1, 60000, 600000}, {7, 8571, 85715},
		{120000, 0, 5}, {45000, 1, 14},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct budget b = made(BURST, cases[i].per_minute);
		const uint64_t t = 5000;
		spend(&b, 1, BURST, t);
		spend(&b, 2, BURST + 1, t);
		cr_expect(over(&b, 1, t), "case %zu", i);
		cr_expect_not(over(&b, 1, t + 1), "case %zu", i);
		cr_expect(over(&b, 2, t + cases[i].one_ms), "case %zu", i);
		cr_expect_not(over(&b, 2, t + cases[i].one_ms + 1), "case %zu", i);
		cr_expect_not(clean(&b, 1, t + cases[i].all_ms - 1), "case %zu", i);
		cr_expect(clean(&b, 1, t + cases[i].all_ms), "case %zu", i);
		budget_deinit(&b);
	}
}

/* What came back is counted once, however often it is asked or spent in between. */
Test(budget, spending_in_between_loses_no_part_of_a_unit)
{
	struct budget b = made(BURST, 7);
	const uint64_t t = 1000;
	spend(&b, 1, BURST + 1, t);
	for (uint64_t i = 1; i <= 7; i++) /* as fast as it comes back, in uneven steps */
		spend(&b, 1, 1, t + 60000 * i / 7);
	for (uint64_t i = 0; i <= 60000 / 7; i++)
		cr_assert(over(&b, 1, t + 60000 + i)); /* asking costs nothing and gives nothing */
	cr_expect_not(over(&b, 1, t + 60000 + 60000 / 7 + 1));
	budget_deinit(&b);
}

Test(budget, nobody_owes_more_than_twice_the_limit)
{
	struct budget b = made(BURST, PER_MINUTE);
	spend(&b, 1, 5 * BURST, 0);
	cr_expect(over(&b, 1, BURST * UNIT_MS));
	cr_expect_not(over(&b, 1, BURST * UNIT_MS + 1));
	spend(&b, 2, 2 * BURST - 1, 0); /* below the cap each counts */
	cr_expect(over(&b, 2, (BURST - 1) * UNIT_MS));
	cr_expect_not(over(&b, 2, (BURST - 1) * UNIT_MS + 1));
	budget_deinit(&b);
}

/* Who goes on while it is over stays over; from its last packet it takes at most
 * twice the time of a full refill. */
Test(budget, who_never_stops_is_never_let_in)
{
	struct budget b = made(BURST, PER_MINUTE);
	uint64_t t = 0;
	spend(&b, 1, BURST, t);
	for (; t < 1000000; t += 100) {
		cr_assert(over(&b, 1, t), "after %llu ms", (unsigned long long)t);
		spend(&b, 1, 1, t);
	}
	cr_expect(clean(&b, 1, t + 2 * BURST * UNIT_MS));
	budget_deinit(&b);
}

/* When the table is full whoever owes least goes. */
Test(budget, new_names_do_not_clear_an_old_debt)
{
	struct budget b = made(BURST, PER_MINUTE);
	spend(&b, 1, BURST + 2, 1000);
	for (uint32_t n = 100; n < 20000; n++)
		spend(&b, n, 1, 1000 + n / 10000);
	cr_expect(over(&b, 1, 1000 + 2 * UNIT_MS));
	cr_expect_not(over(&b, 1, 1001 + 2 * UNIT_MS), "it gets back as if it were alone");
	budget_deinit(&b);
}

/* One that owed much long ago owes nothing now, and its place is free to take. */
Test(budget, who_owed_much_long_ago_is_forgotten_first)
{
	struct budget b;
	cr_assert_eq(budget_init(&b, 8, BURST, PER_MINUTE, 1), RS_OK);
	for (uint32_t n = 1; n <= 4; n++)
		spend(&b, n, 2 * BURST, 0);
	const uint64_t later = 3 * BURST * UNIT_MS;
	for (uint32_t n = 11; n <= 18; n++)
		spend(&b, n, 1 + (n > 14), later);
	for (uint32_t n = 11; n <= 18; n++)
		cr_expect_not(clean(&b, n, later), "%u was forgotten for one that owes nothing", n);
	spend(&b, 20, 1, later);
	for (uint32_t n = 15; n <= 18; n++)
		cr_expect_not(clean(&b, n, later), "%u owes two, others one", n);
	cr_expect_not(clean(&b, 20, later), "a new one is noted even so");
	budget_deinit(&b);
}

/* A new name in the place of another begins with nothing but its own. */
Test(budget, a_debt_is_not_inherited)
{
	struct budget b;
	cr_assert_eq(budget_init(&b, 1, BURST, PER_MINUTE, 1), RS_OK);
	for (uint32_t n = 1; n <= 8; n++)
		spend(&b, n, 2 * BURST, 0);
	spend(&b, 9, 1, 0);
	cr_expect_not(over(&b, 9, 0));
	cr_expect(clean(&b, 9, UNIT_MS));
	budget_deinit(&b);
}

Test(budget, zero_is_no_limit)
{
	struct budget b = made(0, 0);
	spend(&b, 1, 100000, 1000);
	cr_expect_not(over(&b, 1, 1000));
	cr_expect(clean(&b, 1, 1000));
	budget_deinit(&b);
}

Test(budget, nothing_comes_back_while_time_stands_still)
{
	struct budget b = made(BURST, UINT32_MAX);
	spend(&b, 1, BURST, 1000);
	cr_expect(over(&b, 1, 1000));
	cr_expect(over(&b, 1, 999), "nor when it goes back");
	cr_expect(over(&b, 1, 0));
	budget_deinit(&b);
	b = made(BURST, 0);
	spend(&b, 1, BURST, 1000);
	cr_expect(over(&b, 1, 1000 + 10 * YEAR_MS), "none a minute");
	budget_deinit(&b);
}

/* However long it was, and however much comes back a minute. */
Test(budget, years_go_by)
{
	static const struct { uint32_t burst, per_minute; } cases[] = {
		{1, 1}, {BURST, 60}, {10000000, 60000000}, {UINT32_MAX, 600}, {UINT32_MAX, UINT32_MAX},
		{1, UINT32_MAX},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct budget b = made(cases[i].burst, cases[i].per_minute);
		for (uint64_t years = 1; years < 500; years += 7)
			for (uint64_t t = years * YEAR_MS - 50; t < years * YEAR_MS; t++) {
				spend(&b, 1, 1, 0);
				cr_assert(clean(&b, 1, t), "case %zu, after %llu ms", i, (unsigned long long)t);
			}
		spend(&b, 1, 3, UINT64_MAX - 5);
		cr_expect_eq(over(&b, 1, UINT64_MAX - 5), cases[i].burst == 1, "case %zu", i);
		budget_deinit(&b);
	}
}

/* Products at which 64 bits would run over to a small number. */
Test(budget, a_product_that_would_run_over)
{
	struct budget b = made(1, 1u << 31);
	spend(&b, 1, 2, 0);
	cr_expect(clean(&b, 1, 1ull << 33), "2^31 a minute for 2^33 ms is 2^64");
	cr_expect_not(over(&b, 1, 1ull << 33));
	budget_deinit(&b);
}

Test(budget, the_whole_source_counts)
{
	struct budget b = made(1, 1);
	uint8_t a[ADDR_SOURCE] = {1};
	budget_spend(&b, a, 0);
	for (size_t i = 0; i < ADDR_SOURCE; i++) {
		uint8_t other[ADDR_SOURCE];
		memcpy(other, a, sizeof other);
		other[i] ^= 0x80;
		cr_expect(budget_clean(&b, other, 0), "byte %zu", i);
	}
	cr_expect(budget_over(&b, a, 0));
	budget_deinit(&b);
}

Test(budget, takes_any_number_of_sources)
{
	static const uint32_t sources[] = {0, 1, 7, 8, 9, 4096};
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		struct budget b;
		cr_assert_eq(budget_init(&b, sources[i], 1, 1, i), RS_OK);
		for (uint32_t n = 0; n < 5000; n++)
			spend(&b, n, 1, n);
		cr_expect(over(&b, 4999, 4999), "%u sources", sources[i]);
		budget_deinit(&b);
	}
}
