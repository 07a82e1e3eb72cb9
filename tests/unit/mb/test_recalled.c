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

static struct link_withdraw withdraw(uint64_t owner, struct ulid id)
{
	return (struct link_withdraw){.to = {7, owner}, .id = id};
}

Test(recalled, remembers_what_was_added)
{
	static struct recalled r;
	struct ulid a = new_id(1795471644473), b = new_id(1795471644473);
	struct link_withdraw w = withdraw(1795471644540688, a);
	cr_expect_not(recalled_has(&r, w.to, &a));
	recalled_add(&r, &w);
	cr_expect(recalled_has(&r, w.to, &a));
	cr_expect_not(recalled_has(&r, w.to, &b));
	recalled_add(&r, &w);
	cr_expect(recalled_has(&r, w.to, &a));
}

/* The copies of a message to many have one id. */
Test(recalled, of_one_login_only)
{
	static struct recalled r;
	struct ulid id = new_id(1795471644473);
	struct link_withdraw w = withdraw(1795471644540688, id);
	recalled_add(&r, &w);
	cr_expect_not(recalled_has(&r, (struct link_owner){7, 1795471644540689}, &id));
	cr_expect_not(recalled_has(&r, (struct link_owner){7, 1795471644540688 + RECALLED_MAX}, &id));
	cr_expect_not(recalled_has(&r, (struct link_owner){8, 1795471644540688}, &id));
}

/* Of as many as a busy second has, most are still known, and none that was not added. */
Test(recalled, forgets_the_older_ones)
{
	enum { MANY = 1000 };
	static struct recalled r;
	struct link_withdraw w[MANY];
	unsigned known = 0;
	for (unsigned i = 0; i < MANY; i++) {
		w[i] = withdraw(1795471644540688 + i, new_id(1795471644473));
		recalled_add(&r, &w[i]);
	}
	for (unsigned i = 0; i < MANY; i++) {
		struct ulid other = new_id(1795471644473);
		known += recalled_has(&r, w[i].to, &w[i].id);
		cr_assert_not(recalled_has(&r, w[i].to, &other));
	}
	cr_expect_gt(known, MANY * 3 / 4);
	cr_expect(recalled_has(&r, w[MANY - 1].to, &w[MANY - 1].id));
}
