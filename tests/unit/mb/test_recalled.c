/* SPDX-License-Identifier: Apache-2.0 */
#include "mb/recalled.h"

#include "crypto/random.h"
#include "mb/mb.h"

#include <criterion/criterion.h>

/* For the broker's other files, which are linked as well. */
struct mb_time mb_time(void) { return (struct mb_time){0}; }
void mb_flush(struct mb *m) { (void)m; }
void mb_flush_later(struct mb *m) { (void)m; }

static struct ulid new_id(uint64_t ms)
{
	uint8_t chance[10];
	random_bytes(chance, sizeof chance);
	return ulid_make(ms, chance);
}

Test(recalled, remembers_what_was_added)
{
	static struct recalled r;
	struct ulid a = new_id(1795471644473), b = new_id(1795471644473);
	cr_expect_not(recalled_has(&r, &a));
	recalled_add(&r, &a);
	cr_expect(recalled_has(&r, &a));
	cr_expect_not(recalled_has(&r, &b));
	recalled_add(&r, &a);
	cr_expect(recalled_has(&r, &a));
}

/* Of as many as a busy second has, most are still known, and none that was not added. */
Test(recalled, forgets_the_older_ones)
{
	enum { MANY = 1000 };
	static struct recalled r;
	struct ulid id[MANY];
	unsigned known = 0;
	for (unsigned i = 0; i < MANY; i++) {
		id[i] = new_id(1795471644473);
		recalled_add(&r, &id[i]);
	}
	for (unsigned i = 0; i < MANY; i++) {
		struct ulid other = new_id(1795471644473);
		known += recalled_has(&r, &id[i]);
		cr_assert_not(recalled_has(&r, &other));
	}
	cr_expect_gt(known, MANY * 3 / 4);
	cr_expect(recalled_has(&r, &id[MANY - 1]));
}
