/* SPDX-License-Identifier: Apache-2.0 */
#include "session/cookie.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t dice = 1;

static void count_up(void *out, size_t len) { memset(out, dice++, len); }

static struct addr address(const char *text)
{
	struct addr a;
	cr_assert_eq(addr_parse(text, &a), RS_OK);
	return a;
}

Test(cookie, is_bound_to_address_port_and_attempt)
{
	struct cookie_jar j;
	uint8_t c[COOKIE_LEN];
	struct addr a = address("10.0.0.1:4000"), port = address("10.0.0.1:4001"), ip = address("10.0.0.2:4000");
	cookie_jar_init(&j, count_up, 0);
	cookie_make(&j, 5, &a, 7, c);
	cr_expect(cookie_check(&j, 6, &a, 7, c));
	cr_expect_not(cookie_check(&j, 6, &a, 8, c));
	cr_expect_not(cookie_check(&j, 6, &port, 7, c));
	cr_expect_not(cookie_check(&j, 6, &ip, 7, c));
	for (unsigned bit = 0; bit < 8 * COOKIE_LEN; bit++) {
		c[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect_not(cookie_check(&j, 6, &a, 7, c), "bit %u", bit);
		c[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	memset(c, 0, sizeof c);
	cr_expect_not(cookie_check(&j, 6, &a, 7, c), "zeros are no cookie");
}

/* The secret before the present one is still taken; that before it is not. */
Test(cookie, rotation_keeps_the_one_before)
{
	static const struct { uint64_t made, asked; bool want; } cases[] = {
		{0, 0, true}, {0, COOKIE_ROTATE_MS - 1, true}, {0, COOKIE_ROTATE_MS, true}, {0, 2 * COOKIE_ROTATE_MS - 1, true},
		{COOKIE_ROTATE_MS - 1, 2 * COOKIE_ROTATE_MS - 1, true}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct cookie_jar j;
		uint8_t c[COOKIE_LEN];
		struct addr a = address("[2001:db8::1]:4000");
		cookie_jar_init(&j, count_up, 0);
		cookie_make(&j, cases[i].made, &a, 1, c);
		cr_expect_eq(cookie_check(&j, cases[i].asked, &a, 1, c), cases[i].want, "case %zu", i);
	}
	struct cookie_jar j;
	uint8_t c[COOKIE_LEN], d[COOKIE_LEN];
	struct addr a = address("[2001:db8::1]:4000");
	cookie_jar_init(&j, count_up, 0);
	cookie_make(&j, 0, &a, 1, c);
	cookie_make(&j, COOKIE_ROTATE_MS, &a, 1, d);
	cr_expect_arr_neq(c, d, COOKIE_LEN);
	cr_expect(cookie_check(&j, 2 * COOKIE_ROTATE_MS - 1, &a, 1, c));
	cr_expect_not(cookie_check(&j, 2 * COOKIE_ROTATE_MS, &a, 1, c));
	cr_expect(cookie_check(&j, 2 * COOKIE_ROTATE_MS, &a, 1, d));
	cr_expect_not(cookie_check(&j, 3 * COOKIE_ROTATE_MS, &a, 1, d));
}

/* "Good for two to four minutes", also when nobody asked in between. */
Test(cookie, an_old_one_is_refused_after_a_long_silence)
{
	struct cookie_jar j;
	uint8_t c[COOKIE_LEN];
	struct addr a = address("10.0.0.1:1");
	cookie_jar_init(&j, count_up, 0);
	cookie_make(&j, 0, &a, 1, c);
	cr_expect_not(cookie_check(&j, 2 * COOKIE_ROTATE_MS, &a, 1, c), "after four minutes");
	cookie_jar_init(&j, count_up, 0);
	cookie_make(&j, 0, &a, 1, c);
	cr_expect_not(cookie_check(&j, 24 * 3600 * 1000, &a, 1, c), "after a day");
}

Test(cookie, packet)
{
	struct cookie_jar j;
	uint8_t p[COOKIE_BYTES];
	uint32_t attempt;
	struct addr a = address("10.0.0.1:1");
	cookie_jar_init(&j, count_up, 0);
	cookie_packet(&j, 0, &a, 0xabcdef01, p);
	cr_expect_eq(p[0], PACKET_COOKIE);
	cr_expect(packet_length_ok(p, sizeof p));
	cr_expect(packet_read_hello(p, &attempt));
	cr_expect_eq(attempt, 0xabcdef01);
	cr_expect(cookie_check(&j, 0, &a, attempt, p + HELLO_HEADER));
}
