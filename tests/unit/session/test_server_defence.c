/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's engine against who floods it: budgets of bad packets of sessions
 * and addresses; shut for handshakes; and sessions sent to other brokers. */
#include "support/engine_pair.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

static struct addr address(const char *text)
{
	struct addr a;
	cr_assert_eq(addr_parse(text, &a), RS_OK);
	return a;
}

/* As if it came from there: a heartbeat of the session, but not authentic. */
static void forge(struct engine_pair *p, struct addr from, unsigned count)
{
	while (count-- > 0) {
		struct datagram d = {.from = from, .to = p->server_addr, .len = HEARTBEAT_BYTES, .data = {PACKET_HEARTBEAT}};
		be_put(d.data + 1, p->client[0].client->conn, 4);
		be_put(d.data + 5, p->client[0].client->next_number, 3);
		pair_hand(p, &d);
	}
}

static void junk(struct engine_pair *p, struct addr from, unsigned count)
{
	while (count-- > 0) {
		struct datagram d = {.from = from, .to = p->server_addr, .len = 5, .data = {0x7f}};
		pair_hand(p, &d);
	}
}

/* A packet of an unknown session; true: RESET came. */
static bool gets_reset(struct engine_pair *p, struct addr from)
{
	unsigned before = p->count[TO_CLIENT][PACKET_RESET];
	struct datagram d = {.from = from, .to = p->server_addr, .len = HEARTBEAT_BYTES, .data = {PACKET_HEARTBEAT}};
	be_put(d.data + 1, 0x12345678, 4);
	pair_hand(p, &d);
	return p->count[TO_CLIENT][PACKET_RESET] > before;
}

/* An authentic packet of client 0, from there. */
static void moves(struct engine_pair *p, struct addr from)
{
	struct frame f = {.type = FRAME_MOVE};
	struct datagram d = pair_seal(p, false, &f, 1);
	d.from = from;
	pair_hand(p, &d);
}

static unsigned challenges(const struct engine_pair *p) { return p->count[TO_CLIENT][PACKET_DATA]; }

/* ---- the budget of a session ---- */

Test(server_defence, a_session_under_fire_from_elsewhere)
{
	struct engine_pair *p = pair_online(NULL);
	const struct server_stats *s = server_stats(p->server);
	p->hold = true;
	forge(p, address("10.0.0.66:1"), SERVER_BAD_MAX - 1);
	unsigned before = challenges(p);
	moves(p, address("10.0.0.5:1"));
	cr_expect_eq(challenges(p), before + 1, "one is left: it is still tried");
	cr_expect_eq(s->shed, 0);
	forge(p, address("10.0.0.66:1"), 1);
	struct pair_image image = {0};
	pair_image_take(&image, p);
	unsigned sent = p->sent, events = p->events;
	uint64_t bad = s->bad_packets;
	forge(p, address("10.0.0.66:1"), 10);
	forge(p, address("10.0.0.67:1"), 10);
	struct frame f = {.type = FRAME_MOVE};
	struct datagram d = pair_seal(p, false, &f, 1); /* authentic */
	pair_image_take(&image, p);
	d.from = address("10.0.0.5:1");
	pair_hand(p, &d);
	cr_expect_eq(s->shed, 21);
	cr_expect_eq(s->bad_packets, bad, "what is not tried is not bad");
	cr_expect_eq(p->sent, sent);
	cr_expect_eq(p->events, events);
	cr_expect(pair_image_same(&image, p));
	d.from = p->client[0].addr;
	pair_hand(p, &d);
	cr_expect_eq(s->shed, 21, "from the proven address it is taken, also the same one");
	cr_expect_not(pair_image_same(&image, p));
	pair_image_deinit(&image);
	pair_free(p);
}

Test(server_defence, its_proven_address_is_always_heard)
{
	struct engine_pair *p = pair_online(NULL);
	for (uint32_t n = 1; n <= 50; n++) {
		forge(p, address("10.0.0.66:1"), 100);
		cr_assert_eq(pair_push(p, n, 1000, UINT64_MAX), RS_OK);
		pair_settle(p);
		cr_assert_eq(p->acked, n);
		pair_run(p, 1000);
	}
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_eq(p->gone, 0);
	cr_expect_gt(server_stats(p->server)->shed, 1000);
	pair_free(p);
}

/* Other sessions of the same broker are not concerned. */
Test(server_defence, the_budget_is_the_sessions_own)
{
	struct pair_options o = {.gate = {.bad_burst = UINT32_MAX}};
	struct engine_pair *p = pair_online(&o);
	forge(p, address("10.0.0.66:1"), 1000);
	cr_assert_eq(pair_session(p, 0)->bad, SERVER_BAD_MAX);
	p->conn = 0;
	pair_start(p, 1);
	pair_run(p, 1);
	cr_assert_eq(p->client[1].state, CLIENT_ONLINE);
	p->client[1].addr = address("10.0.0.2:5000");
	uint64_t moved = server_stats(p->server)->moved;
	client_hint_unreachable(p->client[1].client, p->now_ms);
	forge(p, address("10.0.0.66:1"), 1000);
	pair_run(p, 1);
	cr_expect_eq(server_stats(p->server)->moved, moved + 1);
	pair_free(p);
}

/* The sweep gives a new budget: who moved while others forged gets through. */
Test(server_defence, the_sweep_ends_it)
{
	struct engine_pair *p = pair_online(NULL);
	pair_run(p, SERVER_BAD_MS);
	forge(p, address("10.0.0.66:1"), SERVER_BAD_MAX);
	p->client[0].addr = address("10.0.0.5:1");
	moves(p, p->client[0].addr);
	pair_settle(p);
	cr_expect_eq(server_stats(p->server)->moved, 0);
	cr_expect_eq(server_stats(p->server)->shed, 1);
	pair_run(p, SERVER_BAD_MS);
	moves(p, p->client[0].addr);
	pair_settle(p);
	cr_expect_eq(server_stats(p->server)->moved, 1);
	pair_free(p);
}

/* Anyone can write the client's address on what it forges: the client is heard
 * all the same, in every state, however much of it there was. */
Test(server_defence, forging_in_the_name_of_the_client_does_not_silence_it)
{
	struct engine_pair *p = pair_new(NULL);
	p->hold = true;
	pair_start(p, 0);
	pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
	pair_hand(p, &p->last[TO_CLIENT][PACKET_RESP]);
	p->wire_count = 0;
	forge(p, p->client[0].addr, 5000);
	p->hold = false;
	cr_assert(pair_until(p, CLIENT_ONLINE, 1), "LOGIN is taken");
	for (uint32_t n = 1; n <= 20; n++) {
		forge(p, p->client[0].addr, 1000);
		cr_assert_eq(pair_push(p, n, 1000, UINT64_MAX), RS_OK);
		pair_settle(p);
		cr_assert_eq(p->acked, n);
		pair_run(p, 5000);
	}
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_eq(p->client[0].client->stats.reconnects, 0);
	cr_expect_eq(server_stats(p->server)->shed, 0);
	pair_free(p);
}

/* ---- the budget of an address ---- */

static const struct pair_options strict = {.gate = {.bad_burst = 30}};

/* Each kind of packet that makes no sense is charged to where it came from. */
Test(server_defence, what_is_charged_to_an_address)
{
	struct engine_pair *p = pair_online(&strict);
	struct addr x = address("10.0.0.66:1");
	p->hold = true;
	forge(p, x, 10);
	junk(p, x, 10);
	for (uint32_t i = 0; i < 10; i++) { /* handshakes that do not verify */
		struct datagram d = {.from = x, .to = p->server_addr, .len = INIT_BYTES};
		cr_assert_not(gate_distrusts(&p->server->gate, p->now_ms, &x));
		packet_write_hello(d.data, PACKET_INIT, i);
		pair_hand(p, &d);
	}
	cr_expect(gate_distrusts(&p->server->gate, p->now_ms, &x));
	cr_expect_eq(server_stats(p->server)->handshakes_bad, 10);
	cr_expect_eq(server_stats(p->server)->bad_packets, 20);
	pair_free(p);
}

/* Sessions are not concerned: whoever forges in the name of an address must not
 * cut off the clients that come from there with another port. */
Test(server_defence, an_address_over_its_budget_gets_no_reset)
{
	struct engine_pair *p = pair_online(&strict);
	const struct server_stats *s = server_stats(p->server);
	struct addr x = address("10.0.0.66:1"), port = address("10.0.0.66:2"), other = address("10.0.0.67:1");
	p->hold = true;
	cr_expect(gets_reset(p, x));
	junk(p, x, 30);
	cr_expect_not(gets_reset(p, x));
	cr_expect_not(gets_reset(p, port));
	cr_expect_eq(s->resets_suppressed, 2);
	cr_expect(gets_reset(p, other));
	unsigned sent = p->sent;
	moves(p, port);
	cr_expect_eq(p->sent, sent + 1, "the session is heard from there");
	cr_expect_eq(s->shed, 0);
	p->now_ms += 60000; /* no clock of ours but the budget's */
	cr_expect(gets_reset(p, x));
	pair_free(p);
}

/* Behind one address with the attacker: INIT needs the cookie, and the client
 * gets in with it, without further ado. */
Test(server_defence, a_client_behind_the_same_address)
{
	struct engine_pair *p = pair_new(&strict);
	junk(p, address("10.0.0.1:9"), 1000);
	junk(p, address("10.0.0.1:10"), 1000);
	pair_start(p, 0); /* 10.0.0.1:4000 */
	cr_assert(pair_until(p, CLIENT_ONLINE, 10));
	cr_expect_eq(p->count[TO_CLIENT][PACKET_COOKIE], 1);
	cr_expect_eq(p->count[TO_SERVER][PACKET_INIT], 2);
	pair_start(p, 1); /* 10.0.0.2 */
	pair_run(p, 10);
	cr_expect_eq(p->client[1].state, CLIENT_ONLINE);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_COOKIE], 1, "elsewhere no cookie is needed");
	pair_free(p);
}

/* And is heard and served, while the attacker goes on. */
Test(server_defence, a_session_behind_the_same_address)
{
	struct engine_pair *p = pair_online(&strict);
	for (uint32_t n = 1; n <= 20; n++) {
		junk(p, address("10.0.0.1:9"), 1000);
		forge(p, address("10.0.0.1:9"), 1000);
		cr_assert_eq(pair_push(p, n, 2000, UINT64_MAX), RS_OK);
		pair_run(p, 7000);
		cr_assert_eq(p->acked, n);
	}
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_eq(p->client[0].client->stats.reconnects, 0);
	pair_free(p);
}

/* ---- shut ---- */

Test(server_defence, shut_for_handshakes)
{
	struct engine_pair *p = pair_online(NULL);
	server_shut(p->server, true);
	pair_start(p, 1);
	pair_run(p, 3000);
	cr_expect_eq(p->client[1].state == CLIENT_ONLINE || p->client[1].state == CLIENT_LOGIN, false);
	cr_expect_eq(server_gate_stats(p->server)->shed, p->count[TO_SERVER][PACKET_INIT] - 1);
	cr_expect_geq(server_gate_stats(p->server)->shed, 3, "each was counted");
	cr_expect_eq(p->count[TO_CLIENT][PACKET_COOKIE], 0);
	cr_assert_eq(pair_push(p, 1, 5000, UINT64_MAX), RS_OK);
	pair_run(p, 25000);
	cr_expect_eq(p->acked, 1);
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_eq(p->client[0].client->stats.reconnects, 0);
	cr_expect_geq(p->count[TO_CLIENT][PACKET_HEARTBEAT_ACK], 2);
	server_shut(p->server, false);
	p->conn = 0;
	pair_run(p, 60000);
	cr_expect_eq(p->client[1].state, CLIENT_ONLINE);
	pair_free(p);
}

/* A handshake that was answered before is brought to its end: LOGIN is taken, and
 * a RESP that was lost comes again. */
Test(server_defence, shut_while_a_handshake_is_under_way)
{
	struct engine_pair *p = pair_new(NULL);
	p->hold = true;
	pair_start(p, 0);
	pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
	cr_assert_eq(p->count[TO_CLIENT][PACKET_RESP], 1);
	p->wire_count = 0; /* lost */
	server_shut(p->server, true);
	p->hold = false;
	cr_expect(pair_until(p, CLIENT_ONLINE, 1000));
	cr_expect_eq(p->count[TO_CLIENT][PACKET_RESP], 2);
	cr_expect_eq(server_gate_stats(p->server)->shed, 0);
	pair_free(p);
}

/* ---- redirect ---- */

static struct frame_brokers brokers(const struct engine_pair *p, unsigned count)
{
	struct frame_brokers list = {.count = (uint8_t)count};
	for (unsigned i = 0; i < count; i++) {
		list.at[i].address = p->server_addr;
		memcpy(list.at[i].key, p->server_key.pub, 32);
	}
	return list;
}

static const struct pair_options asks = {.balancer = true, .delay_ms = 5};

Test(server_defence, redirected_to_the_brokers_named)
{
	struct engine_pair *p = pair_online(&asks);
	struct frame_brokers list = brokers(p, 2);
	struct addr absent = address("192.0.2.99:7200");
	list.at[0].address = absent;
	server_set_fallback(p->server, &list);
	cr_assert_eq(server_redirect(p->server, p->conn, p->now_ms, 4000), RS_OK);
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(p->gone_why, CLOSE_SHUTDOWN);
	cr_expect_eq(server_stats(p->server)->redirected, 1);
	cr_expect_eq(server_stats(p->server)->online, 0);
	cr_assert(pair_until(p, CLIENT_WAITING, 5));
	cr_expect_eq(p->client[0].why, CLOSE_SHUTDOWN);
	cr_assert(pair_until(p, CLIENT_HELLO, 4000));
	struct addr at = client_broker(p->client[0].client);
	cr_expect(addr_equal(&at, &absent), "in their order");
	cr_assert(pair_until(p, CLIENT_ONLINE, 4000), "and the next, when the first does not answer");
	cr_expect_eq(p->count[TO_SERVER][PACKET_ASK], 1, "no balancer was asked");
	cr_expect_eq(p->gone, 1, "once");
	pair_run(p, 60000);
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	pair_free(p);
}

static bool lose_data_to_client(struct engine_pair *p, struct datagram *d)
{
	bool counts = d->data[0] == PACKET_DATA && addr_equal(&d->to, &p->client[0].addr);
	return !counts || p->pass_left == 0 || p->pass_left-- == 0;
}

/* The session is over for the broker, and what the client sends is answered with
 * the same REDIRECT until one arrives. */
Test(server_defence, a_redirect_that_is_lost_comes_again)
{
	struct engine_pair *p = pair_online(&asks);
	struct frame_brokers list = brokers(p, 1);
	server_set_fallback(p->server, &list);
	p->pass = lose_data_to_client;
	p->pass_left = 3;
	cr_assert_eq(server_redirect(p->server, p->conn, p->now_ms, 300), RS_OK);
	pair_run(p, 9000);
	cr_assert_eq(p->client[0].state, CLIENT_ONLINE, "it does not know yet");
	pair_run(p, 1100); /* its heartbeat, answered in vain */
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_DATA], 3);
	moves(p, p->client[0].addr);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_DATA], 4, "DATA is answered, too");
	cr_assert(pair_until(p, CLIENT_WAITING, 2000), "the next one");
	cr_expect_eq(p->client[0].why, CLOSE_SHUTDOWN);
	cr_assert(pair_until(p, CLIENT_ONLINE, 1000));
	cr_expect_eq(p->count[TO_SERVER][PACKET_ASK], 1);
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(server_stats(p->server)->redirected, 1);
	pair_free(p);
}

Test(server_defence, redirected_nowhere_it_asks_a_balancer)
{
	struct engine_pair *p = pair_online(&asks);
	cr_assert_eq(server_redirect(p->server, p->conn, p->now_ms, 1000), RS_OK);
	cr_assert(pair_until(p, CLIENT_WAITING, 5));
	cr_assert(pair_until(p, CLIENT_ASKING, 1000));
	cr_assert(pair_until(p, CLIENT_ONLINE, 1000));
	cr_expect_eq(p->count[TO_SERVER][PACKET_ASK], 2);
	pair_free(p);
}

/* Each waits a random time below the spread, and they are spread indeed. */
Test(server_defence, the_spread_is_honoured)
{
	enum { ROUNDS = 40, SPREAD = 20000 };
	struct engine_pair *p = pair_online(&asks);
	struct frame_brokers list = brokers(p, 1);
	unsigned quarter[4] = {0};
	server_set_fallback(p->server, &list);
	for (int i = 0; i < ROUNDS; i++) {
		cr_assert_eq(server_redirect(p->server, p->conn, p->now_ms, SPREAD), RS_OK);
		cr_assert(pair_until(p, CLIENT_WAITING, 5));
		uint64_t start = p->now_ms;
		cr_assert(pair_until(p, CLIENT_HELLO, SPREAD), "round %d", i);
		uint64_t wait = p->now_ms - start;
		cr_assert_lt(wait, SPREAD);
		quarter[wait * 4 / SPREAD]++;
		cr_assert(pair_until(p, CLIENT_ONLINE, 1000));
	}
	for (int i = 0; i < 4; i++)
		cr_expect_geq(quarter[i], ROUNDS / 16, "quarter %d: %u", i, quarter[i]);
	cr_assert_eq(server_redirect(p->server, p->conn, p->now_ms, 0), RS_OK);
	cr_expect(pair_until(p, CLIENT_HELLO, 5), "without a spread at once");
	pair_free(p);
}

/* What is under way is not lost by it: it stays with the owner, and is not shown twice. */
Test(server_defence, redirected_in_the_middle_of_a_delivery)
{
	struct engine_pair *p = pair_online(&asks);
	struct frame_brokers list = brokers(p, 1);
	server_set_fallback(p->server, &list);
	cr_assert_eq(pair_push(p, 1, 16000, UINT64_MAX), RS_OK);
	cr_assert_eq(server_redirect(p->server, p->conn, p->now_ms, 300), RS_OK);
	cr_expect_eq(pair_session(p, 0)->outbox, NULL);
	cr_assert(pair_until(p, CLIENT_WAITING, 10));
	cr_assert(pair_until(p, CLIENT_ONLINE, 1000));
	pair_settle(p);
	cr_assert_eq(pair_push(p, 1, 16000, UINT64_MAX), RS_OK);
	pair_run(p, 1000);
	cr_expect_eq(p->client[0].shown, 1);
	cr_expect_eq(p->acked, 1);
	pair_free(p);
}

/* Only who is online can be sent elsewhere. */
Test(server_defence, no_such_session_online)
{
	struct engine_pair *p = pair_new(NULL);
	p->login_does = PAIR_HOLD;
	cr_expect_eq(server_redirect(p->server, 0, p->now_ms, 0), RS_ENOENT);
	cr_expect_eq(server_redirect(p->server, 12345, p->now_ms, 0), RS_ENOENT);
	pair_start(p, 0);
	pair_run(p, 10);
	cr_assert_eq(p->logins, 1);
	cr_expect_eq(server_redirect(p->server, p->login_conn, p->now_ms, 0), RS_ENOENT, "not accepted yet");
	cr_assert_eq(server_accept(p->server, p->login_conn, p->now_ms, 1, p), RS_OK);
	pair_settle(p);
	cr_expect_eq(server_redirect(p->server, p->login_conn, p->now_ms, 0), RS_OK);
	cr_expect_eq(server_redirect(p->server, p->login_conn, p->now_ms, 0), RS_ENOENT, "not twice");
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(server_stats(p->server)->redirected, 1);
	pair_free(p);
}
