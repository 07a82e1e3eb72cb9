/* SPDX-License-Identifier: Apache-2.0 */
#include "mb/lease.h"

#include <criterion/criterion.h>

/* ---- what main.c has ---- */

struct mb_time mb_time(void) { return (struct mb_time){0}; }
void mb_flush(struct mb *m) { (void)m; }
void mb_flush_later(struct mb *m) { (void)m; }

/* ---- */

/* Whatever the number of users and the lease, nobody's runs out for want of a turn. */
Test(lease, all_are_renewed_twice_in_half_a_lease)
{
	static const struct {
		uint32_t users;
		int64_t lease_s;
	} cases[] = {{0, 300}, {1, 4}, {75000, 300}, {1000000, 300}, {75000, 10}, {1000000, 4}, {4000000, 86400},
		     {4000000, 4}, {10001, 4}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t share = lease_share(cases[i].users, cases[i].lease_s);
		uint64_t renewed = (uint64_t)share * (1000 / MB_TICK_MS) * (uint64_t)cases[i].lease_s / 2;
		cr_expect_geq(share, LEASE_SHARE_MIN);
		cr_expect_geq(renewed, 2ull * cases[i].users, "case %zu", i);
		cr_expect(share == LEASE_SHARE_MIN || renewed <= 2ull * cases[i].users + 5 * (uint64_t)cases[i].lease_s,
			  "case %zu: no more than that", i);
	}
}
