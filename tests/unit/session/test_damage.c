/* SPDX-License-Identifier: Apache-2.0 */
/* Every packet with each of its bits flipped, cut to each length, and a byte too
 * long: none has an effect on who receives it, and the packet itself, coming
 * afterwards, is still taken.
 *
 * What is allowed: bits of `conn` make it a packet for an unknown session, which
 * the broker may answer with RESET; an INIT without a cookie, where one is
 * required, is answered with COOKIE before anything of it is looked at; the 16
 * bytes of the cookie in COOKIE are not authenticated (the client would answer with
 * what it got: test_client_hello.c, a_damaged_cookie). */
#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <string.h>

enum { /* bits */
	CONN_FROM = 8,
	CONN_TO = 40,
	HELLO_FIELDS = 32,
	COOKIE_FROM = 8 * HELLO_HEADER,
	COOKIE_TO = COOKIE_FROM + 8 * COOKIE_LEN,
};

static unsigned cases;

/* The type that may answer a packet with this bit flipped; 0: none. */
static uint8_t allowed(const struct engine_pair *p, const struct datagram *right, size_t bit)
{
	uint8_t type = right->data[0];
	bool session = type == PACKET_DATA || type == PACKET_HEARTBEAT, in_cookie = bit >= COOKIE_FROM && bit < COOKIE_TO;
	if (session && bit >= CONN_FROM && bit < CONN_TO)
		return PACKET_RESET;
	static const uint8_t none[COOKIE_LEN];
	bool bare = type == PACKET_INIT && memcmp(right->data + HELLO_HEADER, none, COOKIE_LEN) == 0;
	return bare && p->options.cookie_always && bit >= HELLO_FIELDS && !in_cookie ? PACKET_COOKIE : 0;
}

static void one(struct engine_pair *p, const struct pair_image *image, const struct datagram *d, uint8_t answer,
		const char *what, size_t where)
{
	unsigned sent = p->sent, events = p->events, before = p->count[TO_CLIENT][answer];
	pair_hand(p, d);
	p->wire_count = 0;
	unsigned more = answer ? p->count[TO_CLIENT][answer] - before : 0;
	cr_assert_leq(more, 1, "%s %zu", what, where);
	cr_assert_eq(p->sent, sent + more, "%s %zu: something was sent", what, where);
	cr_assert_eq(p->events, events, "%s %zu: something happened", what, where);
	cr_assert(pair_image_same(image, p), "%s %zu: the state changed", what, where);
	cases++;
}

static void damage(struct engine_pair *p, const struct datagram *right, const char *name)
{
	struct pair_image image = {0};
	uint8_t type = right->data[0];
	pair_image_take(&image, p);
	for (size_t bit = 0; bit < 8 * right->len; bit++) {
		struct datagram d = *right;
		if (type == PACKET_COOKIE && bit >= COOKIE_FROM && bit < COOKIE_TO)
			continue;
		d.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		one(p, &image, &d, allowed(p, right, bit), name, bit);
	}
	for (size_t len = 0; len < right->len; len++) {
		struct datagram d = *right;
		d.len = len;
		one(p, &image, &d, 0, name, len);
	}
	struct datagram d = *right;
	d.data[d.len++] = 0;
	one(p, &image, &d, 0, name, d.len);
	unsigned sent = p->sent, events = p->events;
	if (pair_session(p, 0)) /* its budget of bad packets, too */
		pair_session(p, 0)->bad = 0;
	pair_hand(p, right);
	cr_assert(p->sent > sent || p->events > events || !pair_image_same(&image, p), "%s itself is taken", name);
	pair_image_deinit(&image);
}

/* The budget of bad packets is not what is tested here. */
static const struct pair_options patient = {.gate = {.bad_burst = UINT32_MAX, .most_per_s = UINT32_MAX}};

/* The packets of a first login through a balancer, each damaged on its way; with
 * cookies, or without. */
static void handshakes(bool cookies)
{
	struct pair_options o = {.balancer = true, .cookie_always = cookies, .balancer_cookie_above = UINT32_MAX,
				 .gate = {.bad_burst = UINT32_MAX, .most_per_s = UINT32_MAX}};
	struct engine_pair *p = pair_new(&o);
	p->hold = true;
	pair_start(p, 0);
	damage(p, &p->last[TO_SERVER][PACKET_ASK], "ASK");
	damage(p, &p->last[TO_CLIENT][PACKET_ANSWER], "ANSWER");
	damage(p, &p->last[TO_SERVER][PACKET_INIT], "INIT");
	if (cookies) {
		damage(p, &p->last[TO_CLIENT][PACKET_COOKIE], "COOKIE");
		damage(p, &p->last[TO_SERVER][PACKET_INIT], "INIT with a cookie");
	}
	damage(p, &p->last[TO_CLIENT][PACKET_RESP], "RESP");
	client_tick(p->client[0].client, p->now_ms, pair_wall(p));
	damage(p, &p->last[TO_SERVER][PACKET_DATA], "LOGIN");
	cr_assert_eq(p->logins, 1);
	damage(p, &p->last[TO_CLIENT][PACKET_DATA], "LOGIN_OK");
	cr_assert_eq(p->client[0].state, CLIENT_ONLINE);
	pair_free(p);
}

Test(damage, handshakes)
{
	handshakes(false);
	cr_expect_gt(cases, 8000, "%u cases", cases);
}

Test(damage, handshakes_with_cookies)
{
	handshakes(true);
	cr_expect_gt(cases, 9000, "%u cases", cases);
}

Test(damage, messages_and_acknowledgements)
{
	struct engine_pair *p = pair_online(&patient);
	p->hold = true;
	cr_assert_eq(pair_push(p, 1, 700, UINT64_MAX), RS_OK);
	pair_settle(p);
	cr_assert_eq(p->wire_count, 2);
	struct datagram first = p->wire[0], second = p->wire[1];
	damage(p, &first, "a message's first piece");
	struct datagram pieces = p->last[TO_SERVER][PACKET_DATA];
	damage(p, &pieces, "its acknowledgement");
	damage(p, &second, "its second piece");
	cr_assert_eq(p->client[0].shown, 1);
	damage(p, &p->last[TO_SERVER][PACKET_DATA], "the message's acknowledgement");
	cr_assert_eq(p->acked, 1);
	cr_expect_gt(cases, 7000, "%u cases", cases);
	pair_free(p);
}

Test(damage, requests_and_replies)
{
	struct engine_pair *p = pair_online(&patient);
	p->hold = true;
	cr_assert_eq(client_request(p->client[0].client, p->now_ms, REQUEST_SUBSCRIBE, "news", 4), 1);
	damage(p, &p->last[TO_SERVER][PACKET_DATA], "REQUEST");
	cr_assert_eq(p->asks, 1);
	damage(p, &p->last[TO_CLIENT][PACKET_DATA], "REPLY");
	cr_assert_eq(p->client[0].replies, 1);
	cr_expect_gt(cases, 600, "%u cases", cases);
	pair_free(p);
}

Test(damage, heartbeats_of_each_kind)
{
	for (int kind = 0; kind < 3; kind++) {
		static const uint8_t type[] = {PACKET_HEARTBEAT_ACK, PACKET_HEARTBEAT_MORE, PACKET_HEARTBEAT_MOVED};
		struct engine_pair *p = pair_online(&patient);
		p->hold = true;
		server_set_more(p->server, p->conn, kind == 1);
		if (kind == 2)
			p->client[0].addr.port[1] ^= 1;
		client_send_beat(p->client[0].client, p->now_ms);
		p->wire_count = 0;
		p->now_ms += 10;
		damage(p, &p->last[TO_SERVER][PACKET_HEARTBEAT], "HEARTBEAT");
		cr_assert_eq(p->count[TO_CLIENT][type[kind]], 1);
		damage(p, &p->last[TO_CLIENT][type[kind]], "its answer");
		cr_expect_not(p->client[0].client->beat_waits);
		pair_free(p);
	}
	cr_expect_eq(cases, 3 * 2 * (128 + 16 + 1));
}

Test(damage, moves)
{
	struct engine_pair *p = pair_online(&patient);
	p->hold = true;
	p->client[0].addr.port[1] ^= 1;
	struct frame f = {.type = FRAME_MOVE};
	client_send_frame(p->client[0].client, &f);
	damage(p, &p->last[TO_SERVER][PACKET_DATA], "MOVE");
	damage(p, &p->last[TO_CLIENT][PACKET_DATA], "CHALLENGE");
	damage(p, &p->last[TO_SERVER][PACKET_DATA], "RESPONSE");
	cr_expect_eq(server_stats(p->server)->moved, 1);
	pair_free(p);
}

Test(damage, resets_and_closes)
{
	struct engine_pair *p = pair_online(&patient);
	p->hold = true;
	pair_restart_server(p);
	client_send_beat(p->client[0].client, p->now_ms);
	pair_hand(p, &p->last[TO_SERVER][PACKET_HEARTBEAT]);
	damage(p, &p->last[TO_CLIENT][PACKET_RESET], "RESET");
	cr_expect_eq(p->client[0].state, CLIENT_WAITING);
	p->wire_count = 0;
	p->hold = false;
	cr_assert(pair_until(p, CLIENT_ONLINE, 3000));
	p->hold = true;
	server_close_session(p->server, p->conn, p->now_ms, CLOSE_SUPERSEDED);
	damage(p, &p->last[TO_CLIENT][PACKET_DATA], "CLOSE");
	cr_expect_eq(p->client[0].state, CLIENT_STOPPED);
	pair_free(p);
}

/* A packet that was taken is not taken again, from wherever it comes. */
Test(damage, replays)
{
	struct engine_pair *p = pair_online(&patient);
	struct pair_image image = {0};
	p->log_all = true;
	for (uint32_t n = 1; n <= 30; n++)
		cr_assert_eq(pair_push(p, n, 300, UINT64_MAX), RS_OK);
	pair_run(p, 25000);
	cr_assert_eq(p->acked, 30);
	p->hold = true;
	p->log_all = false;
	pair_image_take(&image, p);
	for (unsigned i = 0; i < p->log_count; i++) {
		struct datagram d = p->log[i];
		one(p, &image, &d, 0, "again", i);
		d.from.port[1] ^= 1;
		one(p, &image, &d, 0, "again from elsewhere", i);
	}
	cr_expect_gt(cases, 30, "%u cases", cases);
	pair_image_deinit(&image);
	pair_free(p);
}
