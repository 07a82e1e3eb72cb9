/* SPDX-License-Identifier: Apache-2.0 */
#include "mb/guard.h"

#include "mb/mb.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* main.c's, which the other parts of the broker want; not used here. */
struct mb_time mb_time(void) { return (struct mb_time){0}; }
void mb_flush(struct mb *m) { (void)m; }
void mb_flush_later(struct mb *m) { (void)m; }

enum { MINUTE = 60000, T = 5000 };

static struct guard made(uint32_t per_address, uint32_t per_user)
{
	struct guard g;
	cr_assert_eq(guard_init(&g, per_address, per_user), RS_OK);
	return g;
}

static struct addr address(const char *text)
{
	struct addr a;
	cr_assert_eq(addr_parse(text, &a), RS_OK, "%s", text);
	return a;
}

/* The nth of many hosts. */
static struct addr host(unsigned n)
{
	char text[ADDR_TEXT_MAX];
	snprintf(text, sizeof text, "10.%u.%u.%u:4000", n >> 16 & 255, n >> 8 & 255, n & 255);
	return address(text);
}

static void wrong(struct guard *g, struct addr from, const char *user, unsigned times, uint64_t now_ms)
{
	while (times-- > 0)
		guard_wrong(g, &from, user, strlen(user), now_ms);
}

static enum guard_verdict check(const struct guard *g, struct addr from, const char *user, uint64_t now_ms)
{
	return guard_check(g, &from, user, strlen(user), now_ms);
}

Test(guard, so_many_wrong_logins_of_an_address)
{
	struct guard g = made(5, 1000);
	for (unsigned i = 0; i < 5; i++) {
		char user[8];
		snprintf(user, sizeof user, "u%u", i);
		cr_assert_eq(check(&g, host(1), user, T), GUARD_PASS);
		wrong(&g, host(1), user, 1, T);
	}
	cr_expect_eq(check(&g, host(1), "alice", T), GUARD_ADDRESS, "whatever it brings");
	cr_expect_eq(check(&g, address("10.0.0.1:9"), "alice", T), GUARD_ADDRESS, "nor does the port matter");
	cr_expect_eq(check(&g, host(2), "u1", T), GUARD_PASS);
	guard_deinit(&g);
}

/* An IPv6 host has a whole /64. */
Test(guard, ipv6_counts_by_64)
{
	struct guard g = made(2, 0);
	wrong(&g, address("[2001:db8:0:1::1]:1"), "alice", 1, T);
	wrong(&g, address("[2001:db8:0:1::2]:1"), "bob", 1, T);
	cr_expect_eq(check(&g, address("[2001:db8:0:1::3]:1"), "carol", T), GUARD_ADDRESS);
	cr_expect_eq(check(&g, address("[2001:db8:0:2::3]:1"), "carol", T), GUARD_PASS);
	guard_deinit(&g);
}

/* Many hosts try one name: each of them that was wrong is not heard again; who
 * was never wrong is, so that nobody locks the user out. */
Test(guard, a_name_tried_from_many_addresses)
{
	struct guard g = made(100, 20);
	for (unsigned n = 1; n < 20; n++)
		wrong(&g, host(n), "alice", 1, T);
	cr_expect_eq(check(&g, host(1), "alice", T), GUARD_PASS, "one is left");
	wrong(&g, host(20), "alice", 1, T);
	for (unsigned n = 1; n <= 20; n++)
		cr_expect_eq(check(&g, host(n), "alice", T), GUARD_USER, "host %u", n);
	cr_expect_eq(check(&g, host(1), "bob", T), GUARD_PASS, "other names from there are heard");
	cr_expect_eq(check(&g, host(1), "alic", T), GUARD_PASS);
	cr_expect_eq(check(&g, host(1), "alice2", T), GUARD_PASS);
	cr_expect_eq(check(&g, host(21), "alice", T), GUARD_PASS, "the owner, from a clean address");
	guard_deinit(&g);
}

/* However many guess, and however long: the owner is heard each time. */
Test(guard, the_owner_is_never_locked_out)
{
	struct guard g = made(100, 20);
	const struct addr owner = address("192.0.2.7:4000");
	for (unsigned n = 0; n < 20000; n++) {
		wrong(&g, host(n), "alice", 1, T + n);
		if (n % 100 == 0)
			cr_assert_eq(check(&g, owner, "alice", T + n), GUARD_PASS, "after %u", n);
	}
	cr_expect_eq(check(&g, host(19999), "alice", T + 20000), GUARD_USER);
	guard_deinit(&g);
}

/* What is over the limit for an address comes before what is for the name. */
Test(guard, the_address_is_named_first)
{
	struct guard g = made(3, 3);
	wrong(&g, host(1), "alice", 3, T);
	cr_expect_eq(check(&g, host(1), "alice", T), GUARD_ADDRESS);
	guard_deinit(&g);
}

/* The limit is of a minute: in it all comes back, evenly. */
Test(guard, recovers_within_a_minute)
{
	struct guard g = made(6, 3);
	wrong(&g, host(1), "bob", 7, T);
	cr_expect_eq(check(&g, host(1), "carol", T + MINUTE / 6), GUARD_ADDRESS);
	cr_expect_eq(check(&g, host(1), "carol", T + MINUTE / 6 + 1), GUARD_PASS);
	wrong(&g, host(2), "alice", 4, T);
	cr_expect_eq(check(&g, host(2), "alice", T + MINUTE / 3), GUARD_USER);
	cr_expect_eq(check(&g, host(2), "alice", T + MINUTE / 3 + 1), GUARD_PASS);
	wrong(&g, host(3), "dora", 6, T);
	cr_expect_eq(check(&g, host(3), "carol", T), GUARD_ADDRESS);
	wrong(&g, host(3), "bob", 5, T + MINUTE);
	cr_expect_eq(check(&g, host(3), "carol", T + MINUTE), GUARD_PASS, "all had come back: five are not six");
	wrong(&g, host(3), "bob", 1, T + MINUTE);
	cr_expect_eq(check(&g, host(3), "carol", T + MINUTE), GUARD_ADDRESS);
	guard_deinit(&g);
}

/* A minute more at the most, whatever was tried while it was refused. */
Test(guard, what_was_tried_beyond_the_limit_is_forgiven_too)
{
	struct guard g = made(6, 0);
	wrong(&g, host(1), "alice", 1000, T);
	cr_expect_eq(check(&g, host(1), "alice", T + MINUTE), GUARD_ADDRESS);
	cr_expect_eq(check(&g, host(1), "alice", T + MINUTE + 1), GUARD_PASS);
	guard_deinit(&g);
}

/* Who guesses slowly is not taken for one who never did. */
Test(guard, one_that_guesses_slowly_is_a_guesser)
{
	struct guard g = made(600, 20);
	unsigned heard = 0;
	for (uint64_t t = T; t < T + 10 * MINUTE; t += 500)
		if (check(&g, host(1), "alice", t) == GUARD_PASS) {
			wrong(&g, host(1), "alice", 1, t);
			heard++;
		}
	cr_expect_leq(heard, 20 + 10 * 20 + 1, "%u of 1200", heard);
	cr_expect_eq(check(&g, host(1), "alice", T + 11 * MINUTE), GUARD_PASS, "the name's minute is over");
	guard_deinit(&g);
}

Test(guard, zero_is_no_limit)
{
	struct guard g = made(0, 20);
	wrong(&g, host(1), "alice", 1000, T);
	cr_expect_eq(check(&g, host(1), "alice", T), GUARD_USER, "none per address: per user all the same");
	cr_expect_eq(check(&g, host(1), "bob", T), GUARD_PASS);
	cr_expect_eq(check(&g, host(2), "alice", T), GUARD_PASS);
	guard_deinit(&g);
	g = made(100, 0);
	wrong(&g, host(1), "alice", 99, T);
	wrong(&g, host(2), "alice", 99, T);
	cr_expect_eq(check(&g, host(1), "alice", T), GUARD_PASS);
	wrong(&g, host(1), "alice", 1, T);
	cr_expect_eq(check(&g, host(1), "alice", T), GUARD_ADDRESS);
	guard_deinit(&g);
}
