/* SPDX-License-Identifier: Apache-2.0 */
#include "session/gate.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

enum { ATTEMPT = 0x01020304 };

static void count_up(void *out, size_t len)
{
	static uint8_t next = 1;
	memset(out, next++, len);
}

static struct addr address(const char *text)
{
	struct addr a;
	cr_assert_eq(addr_parse(text, &a), RS_OK, "%s", text);
	return a;
}

static struct gate made(struct gate_config c)
{
	struct gate g;
	c.random = count_up;
	cr_assert_eq(gate_init(&g, &c, 0), RS_OK);
	return g;
}

/* An INIT as the gate looks at it; cookie NULL: none. */
static const uint8_t *hello(const uint8_t *cookie)
{
	static uint8_t init[INIT_BYTES];
	packet_write_hello(init, PACKET_INIT, ATTEMPT);
	memset(init + HELLO_HEADER, 0, COOKIE_LEN);
	if (cookie)
		memcpy(init + HELLO_HEADER, cookie, COOKIE_LEN);
	return init;
}

static enum gate_verdict bare(struct gate *g, uint64_t now_ms, const struct addr *from)
{
	uint8_t cookie[COOKIE_BYTES];
	return gate_check(g, now_ms, from, hello(NULL), false, cookie);
}

static enum gate_verdict with_cookie(struct gate *g, uint64_t now_ms, const struct addr *from)
{
	uint8_t cookie[COOKIE_LEN], packet[COOKIE_BYTES];
	cookie_make(&g->jar, now_ms, from, ATTEMPT, cookie);
	return gate_check(g, now_ms, from, hello(cookie), false, packet);
}

static enum gate_verdict with_wrong_cookie(struct gate *g, uint64_t now_ms, const struct addr *from)
{
	static const uint8_t wrong[COOKIE_LEN] = {1, 2, 3};
	uint8_t packet[COOKIE_BYTES];
	return gate_check(g, now_ms, from, hello(wrong), false, packet);
}

static void distrust(struct gate *g, uint64_t now_ms, const struct addr *from)
{
	for (int i = 0; i < 10000 && !gate_distrusts(g, now_ms, from); i++)
		gate_bad(g, now_ms, from);
	cr_assert(gate_distrusts(g, now_ms, from));
}

/* So many handshakes in a second get in without a cookie; with one, more. */
Test(gate, the_free_rate_and_its_renewal)
{
	struct gate g = made((struct gate_config){.free_per_s = 5});
	struct addr a = address("10.0.0.1:4000");
	for (uint64_t second = 0; second < 3; second++) {
		for (int i = 0; i < 5; i++)
			cr_assert_eq(bare(&g, second * 1000 + 1, &a), GATE_PASS, "%d", i);
		cr_expect_eq(bare(&g, second * 1000 + 1, &a), GATE_ASK_COOKIE);
		cr_expect_eq(bare(&g, second * 1000 + 999, &a), GATE_ASK_COOKIE);
		cr_expect_eq(with_cookie(&g, second * 1000 + 999, &a), GATE_PASS);
	}
	cr_expect_eq(g.stats.cookies_sent, 6);
	cr_expect_eq(g.stats.cookies_bad + g.stats.shed + g.stats.refused_address, 0);
	gate_deinit(&g);
}

Test(gate, zeros_mean_the_defaults)
{
	struct gate g = made((struct gate_config){0});
	struct addr a = address("10.0.0.1:4000");
	const unsigned half = GATE_MOST_PER_S * GATE_SLICE_MS / 1000 / 2;
	for (unsigned i = 0; i < GATE_MOST_PER_S; i++) {
		uint64_t t = i / half / 2 * GATE_SLICE_MS;
		bool is_bare = i / half % 2 == 0 && i < GATE_FREE_PER_S;
		if (i == GATE_FREE_PER_S)
			cr_expect_eq(bare(&g, t, &a), GATE_ASK_COOKIE);
		cr_assert_eq(is_bare ? bare(&g, t, &a) : with_cookie(&g, t, &a), GATE_PASS,
			     "%u: without address_per_s there is no limit", i);
	}
	cr_expect_eq(with_cookie(&g, 999, &a), GATE_DROP);
	struct addr b = address("10.0.0.2:4000");
	for (unsigned i = 0; i < GATE_BAD_BURST; i++) {
		cr_assert_not(gate_distrusts(&g, 10, &b), "%u", i);
		gate_bad(&g, 10, &b);
	}
	cr_expect(gate_distrusts(&g, 10, &b));
	cr_expect_not(gate_distrusts(&g, 10 + 60000 / GATE_BAD_PER_MINUTE, &b));
	gate_deinit(&g);
}

/* What is asked for is the whole COOKIE packet, and what it holds opens the gate. */
Test(gate, the_cookie_it_asks_for_opens_it)
{
	struct gate g = made((struct gate_config){0});
	struct addr a = address("10.0.0.1:4000"), other = address("10.0.0.1:4001");
	uint8_t packet[COOKIE_BYTES], out[COOKIE_BYTES];
	uint32_t attempt;
	cr_assert_eq(gate_check(&g, 5, &a, hello(NULL), true, packet), GATE_ASK_COOKIE);
	cr_expect_eq(packet[0], PACKET_COOKIE);
	cr_expect(packet_read_hello(packet, &attempt));
	cr_expect_eq(attempt, ATTEMPT);
	cr_expect_eq(gate_check(&g, 6, &other, hello(packet + HELLO_HEADER), true, out), GATE_DROP, "of another port");
	cr_expect_eq(gate_check(&g, 6, &a, hello(packet + HELLO_HEADER), true, out), GATE_PASS);
	gate_deinit(&g);
}

/* A caller in need gets cookies asked for, of everyone. */
Test(gate, a_caller_in_need)
{
	struct gate g = made((struct gate_config){0});
	struct addr a = address("10.0.0.1:4000");
	uint8_t packet[COOKIE_BYTES];
	cr_expect_eq(gate_check(&g, 5, &a, hello(NULL), true, packet), GATE_ASK_COOKIE);
	cr_expect_eq(gate_check(&g, 5, &a, hello(NULL), false, packet), GATE_PASS);
	gate_deinit(&g);
}

/* An address that sent too many bad packets needs the cookie, on all its ports;
 * others do not; and after a while it does not any more. */
Test(gate, a_distrusted_address_needs_the_cookie)
{
	struct gate g = made((struct gate_config){.bad_burst = 20});
	struct addr bad = address("10.0.0.1:4000"), port = address("10.0.0.1:5000"), good = address("10.0.0.2:4000");
	for (int i = 0; i < 19; i++)
		gate_bad(&g, 100, &bad);
	cr_expect_eq(bare(&g, 100, &bad), GATE_PASS, "one is left");
	gate_bad(&g, 100, &bad);
	cr_expect(gate_distrusts(&g, 100, &bad));
	gate_bad(&g, 100, &bad);
	cr_expect_eq(bare(&g, 100, &bad), GATE_ASK_COOKIE);
	cr_expect_eq(bare(&g, 100, &port), GATE_ASK_COOKIE);
	cr_expect_eq(bare(&g, 100, &good), GATE_PASS);
	cr_expect_eq(with_cookie(&g, 100, &bad), GATE_PASS);
	cr_expect_eq(with_cookie(&g, 100, &port), GATE_PASS);
	cr_expect_eq(bare(&g, 100 + 60000 / GATE_BAD_PER_MINUTE, &bad), GATE_ASK_COOKIE);
	cr_expect_eq(bare(&g, 100 + 60000 / GATE_BAD_PER_MINUTE + 1, &bad), GATE_PASS);
	gate_deinit(&g);
}

/* A wrong cookie, where one is required, is a bad packet. */
Test(gate, a_wrong_cookie_costs)
{
	struct gate g = made((struct gate_config){.bad_burst = 20, .free_per_s = 1});
	struct addr a = address("10.0.0.1:4000"), first = address("10.0.0.9:4000");
	cr_assert_eq(bare(&g, 100, &first), GATE_PASS);
	for (unsigned i = 1; i <= 20; i++) {
		cr_assert_not(gate_distrusts(&g, 100, &a));
		cr_assert_eq(with_wrong_cookie(&g, 100, &a), GATE_DROP);
		cr_expect_eq(g.stats.cookies_bad, i);
	}
	cr_expect(gate_distrusts(&g, 100, &a));
	cr_expect_not(gate_distrusts(&g, 100, &first));
	for (unsigned i = 0; i < 20; i++)
		with_wrong_cookie(&g, 100, &a);
	cr_expect_eq(bare(&g, 1200, &a), GATE_ASK_COOKIE, "though this second is young");
	gate_deinit(&g);
}

/* A proven address has ten seconds' worth of handshakes, then so many a second. */
Test(gate, a_proven_address_has_its_limit)
{
	struct gate g = made((struct gate_config){.free_per_s = 1, .address_per_s = 3});
	struct addr a = address("10.0.0.1:4000"), port = address("10.0.0.1:9"), b = address("10.0.0.2:4000");
	bare(&g, 100, &b);
	for (int i = 0; i < 30; i++)
		cr_assert_eq(with_cookie(&g, 100, &a), GATE_PASS, "%d", i);
	cr_expect_eq(with_cookie(&g, 100, &a), GATE_DROP);
	cr_expect_eq(with_cookie(&g, 100, &port), GATE_DROP, "the port does not count");
	cr_expect_eq(g.stats.refused_address, 2);
	cr_expect_eq(with_cookie(&g, 100, &b), GATE_PASS);
	cr_expect_eq(bare(&g, 100, &a), GATE_ASK_COOKIE, "it is told no less than others");
	bare(&g, 1100, &b); /* uses what is free in the next second */
	for (int i = 0; i < 3; i++)
		cr_expect_eq(with_cookie(&g, 1100, &a), GATE_PASS, "%d", i);
	cr_expect_eq(with_cookie(&g, 1100, &a), GATE_DROP);
	gate_deinit(&g);
}

/* Anyone can write another's address on a packet. Whatever is sent in the name of
 * a victim that cannot see the answers, without a cookie or with a wrong one: with
 * a right one the victim gets in. */
Test(gate, nobody_is_kept_out_by_what_others_send_in_its_name)
{
	struct gate g = made((struct gate_config){.free_per_s = 10, .address_per_s = 1});
	struct addr victim = address("10.0.0.1:4000");
	for (uint64_t t = 0; t < 10000; t += 1000) {
		for (int i = 0; i < 3000; i++) {
			bare(&g, t, &victim);
			with_wrong_cookie(&g, t, &victim);
			gate_bad(&g, t, &victim);
		}
		cr_assert_eq(bare(&g, t, &victim), GATE_ASK_COOKIE);
		cr_assert_eq(with_cookie(&g, t, &victim), GATE_PASS, "at %llu ms", (unsigned long long)t);
	}
	cr_expect_eq(g.stats.refused_address, 0);
	gate_deinit(&g);
}

/* What passes without a cookie is not written on the account of its address. */
Test(gate, without_cookie_nobody_pays)
{
	struct gate g = made((struct gate_config){.free_per_s = 500, .most_per_s = 10000, .address_per_s = 1});
	struct addr victim = address("10.0.0.1:4000");
	for (int i = 0; i < 500; i++)
		cr_assert_eq(bare(&g, 100, &victim), GATE_PASS);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(with_cookie(&g, 100, &victim), GATE_PASS, "%d", i);
	cr_expect_eq(with_cookie(&g, 100, &victim), GATE_DROP);
	gate_deinit(&g);
}

/* Given out in slices, so that a burst at the start of a second does not take all of it. */
Test(gate, most_per_s_is_for_all)
{
	struct gate g = made((struct gate_config){.free_per_s = 4, .most_per_s = 60, .address_per_s = 1});
	struct addr a = address("10.0.0.1:4000"), b = address("10.0.0.2:4000"), c = address("10.0.0.3:4000");
	for (int i = 0; i < 3; i++)
		cr_assert_eq(bare(&g, 0, &a), GATE_PASS);
	cr_expect_eq(bare(&g, 0, &a), GATE_ASK_COOKIE, "the other half is for those who bring one");
	for (int i = 0; i < 3; i++)
		cr_assert_eq(with_cookie(&g, 0, i ? &c : &a), GATE_PASS);
	for (uint64_t t = 0; t < GATE_SLICE_MS; t += 33) {
		cr_expect_eq(with_cookie(&g, t, &b), GATE_DROP);
		cr_expect_eq(bare(&g, t, &b), GATE_DROP, "nor is a cookie of any use");
	}
	cr_expect_eq(g.stats.shed, 8);
	for (int i = 0; i < 6; i++)
		cr_expect_eq(with_cookie(&g, GATE_SLICE_MS, &b), GATE_PASS, "what was dropped was not paid for");
	cr_expect_eq(with_cookie(&g, GATE_SLICE_MS, &b), GATE_DROP);
	cr_expect_eq(bare(&g, 1000, &b), GATE_PASS);
	gate_deinit(&g);
}

/* However few handshakes are allowed: most of them are for those who bring a cookie. */
Test(gate, the_cookie_is_asked_for_before_all_is_given_out)
{
	struct gate g = made((struct gate_config){.most_per_s = 500});
	struct addr spoofed = address("10.0.0.1:4000"), honest = address("10.0.0.2:4000");
	unsigned passed = 0;
	for (uint64_t t = 0; t < 1000; t++) {
		bare(&g, t, &spoofed);
		if (t % 100 == 99 && t > 200)
			passed += with_cookie(&g, t, &honest) == GATE_PASS;
	}
	cr_expect_eq(passed, 8);
	gate_deinit(&g);
}

/* With a cookie and a seal that is none, an attacker would take the places of others
 * for no work of his own. */
Test(gate, a_bad_handshake_costs_a_proven_address_dearly)
{
	struct gate g = made((struct gate_config){.free_per_s = 1, .most_per_s = 10000, .address_per_s = 100});
	struct addr a = address("10.0.0.1:4000"), b = address("10.0.0.2:4000");
	unsigned in = 0;
	bare(&g, 0, &b);
	for (int i = 0; i < 500; i++)
		if (with_cookie(&g, 0, &a) == GATE_PASS) {
			gate_bad_hello(&g, 0, &a);
			in++;
		}
	cr_expect_eq(in, 1000 / GATE_BAD_COST);
	cr_expect_eq(with_cookie(&g, 0, &b), GATE_PASS);
	gate_deinit(&g);
}

/* Distrust alone, without load, costs a cookie and nothing else: a neighbour behind
 * the same address cannot use its handshakes up. */
Test(gate, without_load_nobody_pays)
{
	struct gate g = made((struct gate_config){.free_per_s = 2000, .most_per_s = 20000, .address_per_s = 1});
	struct addr a = address("10.0.0.1:4000");
	distrust(&g, 0, &a);
	for (int i = 0; i < 900; i++)
		cr_assert_eq(with_cookie(&g, 0, &a), GATE_PASS, "%d", i);
	gate_deinit(&g);
}

/* Only agreements count for the rates: who is asked for a cookie and never comes
 * back takes no place of others. */
Test(gate, what_does_not_pass_is_not_counted)
{
	struct gate g = made((struct gate_config){.free_per_s = 2, .most_per_s = 40});
	struct addr a = address("10.0.0.1:4000"), b = address("10.0.0.2:4000");
	bare(&g, 0, &a);
	bare(&g, 0, &a);
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(bare(&g, 0, &a), GATE_ASK_COOKIE);
		cr_assert_eq(with_wrong_cookie(&g, 0, &a), GATE_DROP);
	}
	cr_expect_eq(with_cookie(&g, 0, &b), GATE_PASS);
	cr_expect_eq(with_cookie(&g, 0, &b), GATE_PASS);
	gate_deinit(&g);
}

Test(gate, while_it_is_shut_nobody_gets_in)
{
	struct gate g = made((struct gate_config){0});
	struct addr a = address("10.0.0.1:4000");
	g.shut = true;
	cr_expect_eq(bare(&g, 5, &a), GATE_DROP);
	cr_expect_eq(with_cookie(&g, 5, &a), GATE_DROP);
	cr_expect_eq(with_wrong_cookie(&g, 5, &a), GATE_DROP);
	cr_expect_eq(g.stats.shed, 3);
	cr_expect_eq(g.stats.cookies_sent, 0);
	g.shut = false;
	cr_expect_eq(bare(&g, 5, &a), GATE_PASS);
	gate_deinit(&g);
}

/* One host has a whole /64, and pays for all of it; the next has its own. */
Test(gate, ipv6_counts_by_64)
{
	struct gate g = made((struct gate_config){.bad_burst = 100, .address_per_s = 1, .free_per_s = 1});
	struct addr all = address("[2001:db8:0:1::]:1"), next = address("[2001:db8:0:2::1]:1");
	for (unsigned i = 0; i < 100; i++) {
		struct addr a = all;
		be_put(a.ip + 8, 0x9e3779b97f4a7c15u * (i + 1), 8);
		gate_bad(&g, 0, &a);
	}
	cr_expect_eq(bare(&g, 0, &all), GATE_ASK_COOKIE);
	cr_expect_eq(bare(&g, 0, &next), GATE_PASS);
	for (unsigned i = 0; i < 10; i++) {
		struct addr a = all;
		be_put(a.ip + 8, 0x9e3779b97f4a7c15u * (i + 1), 8);
		cr_assert_eq(with_cookie(&g, 0, &a), GATE_PASS);
	}
	cr_expect_eq(with_cookie(&g, 0, &all), GATE_DROP);
	distrust(&g, 0, &next);
	cr_expect_eq(with_cookie(&g, 0, &next), GATE_PASS);
	gate_deinit(&g);
}
