/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes at the broker: cookies, repeated INITs, the bounded table of those
 * under way. */
#include "support/engine_pair.h"

#include "base/bytes.h"
#include "crypto/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* An INIT from a client of its own: n gives address and attempt. The handshake
 * is not gone on with. */
static struct datagram make_init(const struct engine_pair *p, uint32_t n, const uint8_t *cookie)
{
	struct datagram d = {.to = p->server_addr, .len = INIT_BYTES};
	uint8_t prologue[NOISE_PROLOGUE], payload[INIT_PAYLOAD];
	struct init_payload i = {pair_wall(p), 65536, 0};
	struct noise noise;
	struct keypair e;
	cr_assert_eq(addr_parse("10.9.0.0:5000", &d.from), RS_OK);
	be_put(d.from.ip + 13, n, 3);
	packet_write_hello(d.data, PACKET_INIT, n * 2654435761u);
	if (cookie)
		memcpy(d.data + HELLO_HEADER, cookie, COOKIE_LEN);
	packet_prologue(d.data, prologue);
	init_payload_write(&i, payload);
	cr_assert_eq(x25519_generate(random_bytes, &e), RS_OK);
	cr_assert_eq(noise_write_init(&noise, &e, p->server_key.pub, prologue, sizeof prologue, payload,
				      sizeof payload, d.data + HELLO_HEADER + COOKIE_LEN), RS_OK);
	noise_wipe(&noise);
	return d;
}

static void hand(struct engine_pair *p, const struct datagram *d)
{
	pair_hand(p, d);
	p->wire_count = 0;
}

Test(server_hello, init_repeated_gives_the_very_same_resp)
{
	struct engine_pair *p = pair_new(NULL);
	p->hold = true;
	struct datagram d = make_init(p, 1, NULL);
	hand(p, &d);
	struct datagram first = p->last[TO_CLIENT][PACKET_RESP];
	for (int i = 0; i < 10; i++) {
		p->now_ms += 700;
		hand(p, &d);
		cr_expect_arr_eq(p->last[TO_CLIENT][PACKET_RESP].data, first.data, RESP_BYTES);
	}
	const struct server_stats *s = server_stats(p->server);
	cr_expect(s->handshakes == 1 && s->sessions == 1 && s->half_open == 1);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_RESP], 11);
	d.from.port[1] ^= 1; /* the same bytes from elsewhere: another handshake */
	hand(p, &d);
	cr_expect_eq(server_stats(p->server)->handshakes, 2);
	cr_expect_arr_neq(p->last[TO_CLIENT][PACKET_RESP].data, first.data, RESP_BYTES);
	pair_free(p);
}

/* The second RESP of a repeated INIT is dropped by the client, which went on. */
Test(server_hello, a_client_whose_init_came_twice_logs_in)
{
	struct engine_pair *p = pair_new(NULL);
	p->hold = true;
	pair_start(p, 0);
	p->wire[p->wire_count] = p->wire[0];
	p->wire_count++;
	p->hold = false;
	cr_expect(pair_until(p, CLIENT_ONLINE, 1000));
	pair_run(p, 100);
	cr_expect_eq(p->logins, 1);
	pair_free(p);
}

Test(server_hello, half_open_sessions_are_freed_after_ten_seconds)
{
	struct engine_pair *p = pair_new(NULL);
	p->hold = true;
	struct datagram d = make_init(p, 1, NULL);
	hand(p, &d);
	pair_run(p, SERVER_HALF_OPEN_MS - 200);
	cr_expect_eq(server_stats(p->server)->half_open, 1);
	pair_run(p, 2500);
	cr_expect_eq(server_stats(p->server)->half_open, 0);
	cr_expect_eq(server_stats(p->server)->sessions, 0);
	cr_expect_eq(p->gone, 0);
	pair_free(p);
}

Test(server_hello, the_cookie_is_required_above_the_threshold_only)
{
	struct pair_options o = {.cookie_above = 3};
	struct engine_pair *p = pair_new(&o);
	p->hold = true;
	for (uint32_t n = 1; n <= 6; n++) {
		struct datagram d = make_init(p, n, NULL);
		hand(p, &d);
		cr_expect_eq(p->count[TO_CLIENT][PACKET_COOKIE], n <= 3 ? 0 : n - 3);
	}
	cr_expect_eq(server_stats(p->server)->half_open, 3);
	cr_expect_eq(p->last[TO_CLIENT][PACKET_COOKIE].len, COOKIE_BYTES);
	p->hold = false;
	pair_start(p, 0);
	cr_expect(pair_until(p, CLIENT_ONLINE, 1000), "a client answers with the cookie");
	cr_expect_eq(p->count[TO_SERVER][PACKET_INIT], 2);
	pair_run(p, 13000); /* the others are freed: no cookie any more */
	struct datagram d = make_init(p, 9, NULL);
	unsigned cookies = p->count[TO_CLIENT][PACKET_COOKIE];
	hand(p, &d);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_COOKIE], cookies);
	pair_free(p);
}

Test(server_hello, which_cookies_are_taken)
{
	static const struct { const char *what; uint64_t age_ms; bool wrong_addr, wrong_attempt, flipped, want; } cases[] = {
		{"fresh", 0, false, false, false, true}, {"of the secret before", COOKIE_ROTATE_MS, false, false, false, true},
		{"nearly two secrets old", 2 * COOKIE_ROTATE_MS - 2000, false, false, false, true},
		{"two secrets old", 2 * COOKIE_ROTATE_MS, false, false, false, false},
		{"another address", 0, true, false, false, false}, {"another attempt", 0, false, true, false, false},
		{"a bit of it changed", 0, false, false, true, false}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pair_options o = {.cookie_always = true};
		struct engine_pair *p = pair_new(&o);
		uint8_t cookie[COOKIE_LEN];
		p->hold = true;
		struct datagram d = make_init(p, 1, NULL), other = make_init(p, 2, NULL);
		hand(p, cases[i].wrong_attempt ? &other : &d);
		memcpy(cookie, p->last[TO_CLIENT][PACKET_COOKIE].data + HELLO_HEADER, COOKIE_LEN);
		cookie[15] ^= cases[i].flipped;
		p->now_ms += cases[i].age_ms;
		d = make_init(p, 1, cookie);
		if (cases[i].wrong_attempt)
			d.from = other.from;
		if (cases[i].wrong_addr)
			d.from.port[1] ^= 1;
		hand(p, &d);
		cr_expect_eq(p->count[TO_CLIENT][PACKET_RESP], cases[i].want, "%s", cases[i].what);
		cr_expect_eq(server_gate_stats(p->server)->cookies_bad, !cases[i].want, "%s", cases[i].what);
		cr_expect_eq(p->count[TO_CLIENT][PACKET_COOKIE], 1, "a wrong one is not answered");
		pair_free(p);
	}
}

/* 4,096 are the most; who loses its place can begin again. */
Test(server_hello, the_table_of_handshakes_is_bounded)
{
	enum { FLOOD = 6000 };
	struct pair_options o = {.cookie_above = UINT32_MAX, .sessions_max = 8192,
				 .gate = {.free_per_s = UINT32_MAX, .most_per_s = UINT32_MAX}};
	struct engine_pair *p = pair_new(&o);
	p->hold = true;
	pair_start(p, 0);
	hand(p, &p->last[TO_SERVER][PACKET_INIT]);
	struct datagram resp = p->last[TO_CLIENT][PACKET_RESP];
	for (uint32_t n = 1; n <= FLOOD; n++) {
		struct datagram d = make_init(p, n, NULL);
		p->now_ms += n % 2;
		hand(p, &d);
	}
	const struct server_stats *s = server_stats(p->server);
	cr_expect_leq(s->half_open, SERVER_HALF_OPEN_MAX);
	cr_expect_gt(s->half_open_evicted, 500);
	cr_expect_eq(s->sessions, s->half_open);
	cr_expect_eq(s->half_open + s->half_open_evicted, FLOOD + 1);
	pair_hand(p, &resp); /* its answer, late: by now its place may be gone */
	p->hold = false;
	cr_expect(pair_until(p, CLIENT_ONLINE, 60000));
	pair_free(p);
}

/* The evicted client's LOGIN finds no session: RESET, and it begins again. */
Test(server_hello, an_evicted_client_tries_again_and_succeeds)
{
	struct pair_options o = {.cookie_above = UINT32_MAX, .sessions_max = 8192,
				 .gate = {.free_per_s = UINT32_MAX, .most_per_s = UINT32_MAX}};
	struct engine_pair *p = pair_new(&o);
	p->hold = true;
	pair_start(p, 0);
	hand(p, &p->last[TO_SERVER][PACKET_INIT]);
	struct datagram resp = p->last[TO_CLIENT][PACKET_RESP];
	for (uint32_t n = 1; server_stats(p->server)->half_open_evicted < 3000; n++) {
		struct datagram d = make_init(p, n, NULL);
		p->now_ms += n % 4 == 0;
		hand(p, &d);
		cr_assert_lt(n, 40000);
	}
	pair_hand(p, &resp);
	cr_assert_eq(p->client[0].state, CLIENT_LOGIN);
	cr_assert_null(pair_session(p, 0), "the oldest went first");
	p->hold = false;
	cr_expect(pair_until(p, CLIENT_WAITING, 600));
	cr_expect_eq(p->count[TO_CLIENT][PACKET_RESET], 1);
	cr_expect(pair_until(p, CLIENT_ONLINE, 3000));
	pair_free(p);
}

Test(server_hello, a_full_broker_stays_silent)
{
	struct pair_options o = {.sessions_max = 2};
	struct engine_pair *p = pair_new(&o);
	p->hold = true;
	for (uint32_t n = 1; n <= 5; n++) {
		struct datagram d = make_init(p, n, NULL);
		hand(p, &d);
	}
	cr_expect_eq(p->count[TO_CLIENT][PACKET_RESP], 2);
	cr_expect_eq(server_stats(p->server)->refused_full, 3);
	pair_free(p);
}

Test(server_hello, window_and_heartbeat_are_brought_into_bounds)
{
	static const struct { uint32_t window, want; uint16_t wanted_s, own_s, heartbeat_s; } cases[] = {
		{0, 17024, 0, 30, 30}, {17023, 17024, 30, 30, 30}, {17088, 17088, 29, 30, 29}, {65536, 65536, 5, 30, 5},
		{262144, 262144, 4, 30, 5}, {262145, 262144, 1, 30, 5}, {UINT32_MAX, 262144, 65535, 30, 30},
		{65536, 65536, 1, 3, 3}, {65536, 65536, 2, 3, 3}, {65536, 65536, 1, 1, 1}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pair_options o = {.heartbeat_s = cases[i].own_s};
		struct engine_pair *p = pair_new(&o);
		struct client *c = pair_start(p, 0);
		client_stop(c);
		p->wire_count = 0;
		c->config.window = cases[i].window;
		c->config.heartbeat_s = cases[i].wanted_s;
		client_start(c, p->now_ms, pair_wall(p));
		cr_assert(pair_until(p, CLIENT_ONLINE, 1000));
		cr_expect_eq(pair_session(p, 0)->window * SESSION_WINDOW_UNIT, cases[i].want, "case %zu", i);
		cr_expect_eq(c->heartbeat_s, cases[i].heartbeat_s, "case %zu", i);
		pair_free(p);
	}
}
