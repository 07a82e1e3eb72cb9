/* SPDX-License-Identifier: Apache-2.0 */
/* The client's engine once it has a session: heartbeats, ends, new keys, hints.
 * How it gets there: test_client_hello.c. */
#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <string.h>

static bool lose_to_client(struct engine_pair *p, struct datagram *d) 
{
	return !addr_equal(&d->to, &p->client[0].addr);
}

static bool lose_beats(struct engine_pair *p, struct datagram *d)
{
	(void)p;
	return d->data[0] != PACKET_HEARTBEAT && d->data[0] != PACKET_INIT;
}

/* When packets of a type were sent, relative to the first; returns how many. */
static unsigned times_of(const struct engine_pair *p, uint8_t type, uint64_t *out, unsigned cap)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->log_count && n < cap; i++)
		if (p->log[i].data[0] == type)
			out[n++] = p->log[i].due_ms;
	for (unsigned i = n; i-- > 0;)
		out[i] -= out[0];
	return n;
}

Test(client, configurations_that_are_refused)
{
	static char long_session[SESSION_ID_MAX + 2], long_user[NAME_MAX_BYTES + 2];
	memset(long_session, 's', SESSION_ID_MAX + 1);
	memset(long_user, 'u', NAME_MAX_BYTES + 1);
	const struct { const char *user, *session; size_t balancers; int want; } cases[] = {
		{"alice", "s", 0, RS_OK}, {"", "s", 0, RS_EINVAL}, {"a b", "s", 0, RS_EINVAL}, {long_user, "s", 0, RS_EINVAL},
		{"alice", "", 0, RS_EINVAL}, {"alice", long_session, 0, RS_EINVAL}, {"alice", long_session + 1, 0, RS_OK},
		{"alice", "s", CLIENT_BALANCERS_MAX, RS_OK}, {"alice", "s", CLIENT_BALANCERS_MAX + 1, RS_EINVAL}};
	static const struct client_handler none;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct client_config c = {.user = cases[i].user, .session = cases[i].session, .balancer_count = cases[i].balancers};
		struct client *out = NULL;
		cr_expect_eq(client_new(&out, &c, &none, NULL), cases[i].want, "case %zu", i);
		client_free(out);
	}
}

Test(client, a_dead_broker_is_left_after_fifteen_seconds)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_online(&o);
	uint64_t at[16];
	p->pass = lose_beats;
	p->log_all = true;
	uint64_t start = p->now_ms;
	cr_assert(pair_until(p, CLIENT_WAITING, 60000));
	cr_expect_eq(p->now_ms - start, 10000 + 15000);
	cr_expect_eq(p->client[0].why, CLOSE_TIMEOUT);
	cr_expect_eq(times_of(p, PACKET_HEARTBEAT, at, 16), 4);
	cr_expect(at[1] == 1000 && at[2] == 3000 && at[3] == 7000);
	cr_assert(pair_until(p, CLIENT_HELLO, 1000), "a pause of up to a second");
	cr_expect_eq(p->asked.avoid_count, 1);
	cr_expect(addr_equal(&p->asked.avoid[0], &p->server_addr));
	p->pass = NULL;
	cr_assert(pair_until(p, CLIENT_ONLINE, 10000));
	cr_expect_eq(p->client[0].client->avoid_count, 0, "it works: nothing to avoid");
	pair_free(p);
}

/* The time from now until the next heartbeat is sent. */
static uint64_t until_beat(struct engine_pair *p)
{
	uint64_t start = p->now_ms;
	unsigned before = p->count[TO_SERVER][PACKET_HEARTBEAT];
	while (p->count[TO_SERVER][PACKET_HEARTBEAT] == before && p->now_ms - start < 60000)
		pair_run(p, 1);
	return p->now_ms - start;
}

Test(client, those_who_come_together_do_not_beat_together)
{
	enum { LOGINS = 64, PARTS = 8, T = 1000 * PAIR_HEARTBEAT_S };
	struct pair_options o = {.drawn_beats = true};
	struct engine_pair *p = pair_online(&o);
	unsigned first[PARTS] = {0}, pushed[PARTS] = {0}, filled_first = 0, filled_pushed = 0;
	for (uint32_t i = 0; i < LOGINS; i++) {
		uint64_t at = until_beat(p);
		cr_assert(at > 0 && at <= T);
		first[(at - 1) * PARTS / T]++;
		cr_expect_eq(until_beat(p), T, "and then after whole intervals");
		cr_assert_eq(pair_push(p, i, 10, 0), RS_OK);
		pair_settle(p);
		at = until_beat(p);
		cr_assert(at > T * 3 / 4 && at <= T);
		pushed[(at - T * 3 / 4 - 1) * PARTS / (T / 4)]++;
		client_stop(p->client[0].client);
		pair_start(p, 0);
		cr_assert(pair_until(p, CLIENT_ONLINE, 1000));
	}
	for (unsigned i = 0; i < PARTS; i++) {
		filled_first += first[i] > 0;
		filled_pushed += pushed[i] > 0;
	}
	cr_expect_eq(filled_first, PARTS);
	cr_expect_eq(filled_pushed, PARTS);
	pair_free(p);
}

Test(client, an_answer_to_a_later_heartbeat_saves_the_session)
{
	for (unsigned lost = 1; lost <= 3; lost++) {
		struct engine_pair *p = pair_online(NULL);
		p->pass = lose_beats;
		pair_run(p, 10000);
		while (p->count[TO_SERVER][PACKET_HEARTBEAT] < lost)
			pair_run(p, 100);
		p->pass = NULL;
		pair_run(p, 30000);
		cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
		cr_expect_eq(p->logins, 1);
		pair_free(p);
	}
}

Test(client, one_answer_to_the_newest_heartbeat_only)
{
	struct engine_pair *p = pair_online(NULL);
	struct client *c = p->client[0].client;
	struct pair_image image = {0};
	p->hold = true;
	client_send_beat(c, p->now_ms);
	pair_hand(p, &p->last[TO_SERVER][PACKET_HEARTBEAT]);
	struct datagram first = p->last[TO_CLIENT][PACKET_HEARTBEAT_ACK];
	client_send_beat(c, p->now_ms);
	pair_hand(p, &p->last[TO_SERVER][PACKET_HEARTBEAT]);
	struct datagram second = p->last[TO_CLIENT][PACKET_HEARTBEAT_ACK];
	p->now_ms += 33;
	pair_image_take(&image, p);
	pair_hand(p, &first);
	cr_expect(pair_image_same(&image, p), "of an older one");
	pair_hand(p, &second);
	cr_expect_not(pair_image_same(&image, p));
	cr_expect_eq(client_stats(c)->rtt_ms, 33);
	pair_image_take(&image, p);
	pair_hand(p, &second);
	cr_expect(pair_image_same(&image, p), "twice");
	pair_image_deinit(&image);
	pair_free(p);
}

Test(client, data_puts_the_heartbeat_off)
{
	struct engine_pair *p = pair_online(NULL);
	for (uint32_t n = 1; n <= 20; n++) {
		pair_run(p, 5000);
		cr_assert_eq(pair_push(p, n, 10, UINT64_MAX), RS_OK);
	}
	pair_run(p, 1000);
	cr_expect_eq(p->count[TO_SERVER][PACKET_HEARTBEAT], 0);
	cr_expect_eq(p->acked, 20);
	pair_free(p);
}

Test(client, reset_counts_with_the_right_token_only)
{
	struct engine_pair *p = pair_online(NULL);
	p->hold = true;
	pair_restart_server(p);
	client_send_beat(p->client[0].client, p->now_ms);
	pair_hand(p, &p->last[TO_SERVER][PACKET_HEARTBEAT]);
	struct datagram right = p->last[TO_CLIENT][PACKET_RESET], d;
	cr_assert_eq(right.len, RESET_BYTES);
	for (unsigned bit = 0; bit < 64; bit++) {
		d = right;
		d.data[PACKET_HEADER + bit / 8] ^= (uint8_t)(1u << bit % 8);
		pair_hand(p, &d);
		cr_expect_eq(p->client[0].state, CLIENT_ONLINE, "bit %u", bit);
	}
	d = right;
	d.from = p->balancer_addr;
	pair_hand(p, &d);
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE, "from elsewhere");
	pair_hand(p, &right);
	cr_expect_eq(p->client[0].state, CLIENT_WAITING);
	p->wire_count = 0;
	p->hold = false;
	uint64_t start = p->now_ms;
	cr_expect(pair_until(p, CLIENT_ONLINE, 1100));
	cr_expect_leq(p->now_ms - start, 1000);
	pair_free(p);
}

Test(client, what_it_does_after_each_close_code)
{
	for (unsigned code = 0; code <= CLOSE_LEASE_LOST + 3; code++) {
		bool final = code == CLOSE_BAD_SESSION || code == CLOSE_EXPIRED || code == CLOSE_SUPERSEDED;
		struct engine_pair *p = pair_online(NULL);
		server_close_session(p->server, p->conn, p->now_ms, (enum close_code)code);
		pair_settle(p);
		cr_expect_eq(p->client[0].state, final ? CLIENT_STOPPED : CLIENT_WAITING, "code %u", code);
		cr_expect_eq(p->client[0].why, code);
		cr_expect_eq(pair_until(p, CLIENT_ONLINE, 1100), !final, "code %u", code);
		pair_free(p);
	}
}

Test(client, an_unreachable_hint_only_makes_it_look_sooner)
{
	struct engine_pair *p = pair_online(NULL);
	pair_run(p, 3000);
	client_hint_unreachable(p->client[0].client, p->now_ms);
	pair_run(p, 1);
	cr_expect_eq(p->count[TO_SERVER][PACKET_HEARTBEAT], 1);
	for (int i = 0; i < 100; i++) { /* a forger keeps at it */
		client_hint_unreachable(p->client[0].client, p->now_ms);
		pair_run(p, 100);
	}
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_eq(p->logins, 1);
	pair_free(p);
}

Test(client, after_a_hint_a_dead_broker_is_left_within_four_seconds)
{
	struct engine_pair *p = pair_online(NULL);
	uint64_t at[8], start = p->now_ms;
	p->pass = lose_to_client;
	p->log_all = true;
	client_hint_unreachable(p->client[0].client, p->now_ms);
	for (int i = 0; i < 3; i++) /* said again, it does not begin anew */
		client_hint_unreachable(p->client[0].client, p->now_ms);
	cr_assert(pair_until(p, CLIENT_WAITING, 60000));
	cr_expect_eq(p->now_ms - start, 3750);
	cr_expect_eq(times_of(p, PACKET_HEARTBEAT, at, 8), 4);
	cr_expect(at[1] == 250 && at[2] == 750 && at[3] == 1750);
	pair_free(p);
}

/* Data that comes between the hint and the heartbeat does not cancel it: another
 * hint, later, must find the client ready to look again. */
Test(client, data_after_a_hint)
{
	struct engine_pair *p = pair_online(NULL);
	client_hint_unreachable(p->client[0].client, p->now_ms);
	cr_assert_eq(pair_push(p, 1, 10, UINT64_MAX), RS_OK);
	pair_settle(p);
	pair_run(p, 1);
	cr_expect_eq(p->count[TO_SERVER][PACKET_HEARTBEAT], 1);
	pair_free(p);
}

static struct datagram redirect(struct engine_pair *p, uint32_t spread_ms, unsigned count)
{
	struct frame f = {.type = FRAME_REDIRECT};
	f.redirect.spread_ms = spread_ms;
	f.redirect.to.count = (uint8_t)count;
	for (unsigned i = 0; i < count; i++)
		f.redirect.to.at[i] = p->answer.broker[0];
	if (count > 1) /* the first is not there */
		f.redirect.to.at[0].address.ip[15] = 99;
	return pair_seal(p, true, &f, 1);
}

Test(client, redirected_to_a_broker_it_asks_no_balancer)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_online(&o);
	struct datagram d = redirect(p, 5000, 2);
	pair_hand(p, &d);
	cr_expect_eq(p->client[0].state, CLIENT_WAITING);
	cr_expect_eq(p->client[0].why, CLOSE_SHUTDOWN);
	uint64_t start = p->now_ms;
	cr_assert(pair_until(p, CLIENT_HELLO, 10000));
	cr_expect_leq(p->now_ms - start, 5000);
	cr_assert(pair_until(p, CLIENT_ONLINE, 5000), "the second of the two answers");
	cr_expect_eq(p->count[TO_SERVER][PACKET_ASK], 1);
	pair_free(p);
}

Test(client, redirected_nowhere_it_asks)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_online(&o);
	struct datagram d = redirect(p, 1000, 0);
	pair_hand(p, &d);
	cr_assert(pair_until(p, CLIENT_ONLINE, 3000));
	cr_expect_eq(p->count[TO_SERVER][PACKET_ASK], 2);
	pair_free(p);
}

/* Keys are changed after 2^22 packets of its own, as many of the broker's, or a
 * day; also where messages never stop, so that no heartbeat is ever due. */
static void renews(int which, bool busy)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_online(&o);
	struct client *c = p->client[0].client;
	uint32_t n = 0;
	if (which == 0)
		c->next_number = CLIENT_RENEW_NUMBER;
	else if (which == 1)
		pair_session(p, 0)->next_number = CLIENT_RENEW_NUMBER;
	else
		c->born_ms -= CLIENT_RENEW_MS - 5000;
	for (int i = 0; i < 40 && p->logins < 2; i++) {
		if (busy || i == 0)
			cr_assert_eq(pair_push(p, ++n, 10, UINT64_MAX), RS_OK);
		pair_run(p, 1000);
	}
	cr_expect_eq(client_stats(c)->renewed, 1, "%d busy %d", which, busy);
	cr_expect_eq(p->count[TO_SERVER][PACKET_ASK], 1, "with the same broker");
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_assert_eq(pair_push(p, n, 10, UINT64_MAX), RS_OK, "as a broker does with what is still in the queue");
	pair_run(p, 100);
	cr_expect_eq(p->client[0].shown, n, "each once");
	cr_expect_eq(p->logins, 2);
	cr_expect_lt(c->next_number, 100);
	pair_free(p);
}

Test(client, renews_after_its_own_packets) { renews(0, false); }
Test(client, renews_after_the_brokers_packets) { renews(1, false); }
Test(client, renews_after_a_day) { renews(2, false); }
Test(client, renews_after_its_own_packets_while_busy) { renews(0, true); }
Test(client, renews_after_the_brokers_packets_while_busy) { renews(1, true); }
Test(client, renews_after_a_day_while_busy) { renews(2, true); }

/* The computer slept, here the client alone: time passes, and nobody looks at its
 * timer. From another address, too, where no RESET would reach it. */
static void oversleeps(uint64_t ms, bool elsewhere, bool renewed)
{
	struct engine_pair *p = pair_online(NULL);
	p->now_ms += ms;
	server_tick(p->server, p->now_ms, pair_wall(p));
	server_tick(p->server, p->now_ms + SERVER_BAD_MS, pair_wall(p));
	p->wire_count = 0; /* what was said to it meanwhile is lost */
	if (elsewhere)
		p->client[0].addr.port[1] ^= 0x40;
	uint64_t woke = p->now_ms;
	unsigned hellos = p->count[TO_SERVER][PACKET_INIT];
	client_tick(p->client[0].client, p->now_ms, pair_wall(p));
	cr_expect_eq(p->count[TO_SERVER][PACKET_INIT] - hellos, renewed, "after %llu ms", (unsigned long long)ms);
	pair_until(p, CLIENT_ONLINE, 20000);
	pair_run(p, 100);
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_leq(p->now_ms - woke, 200, "online at once");
	cr_expect_eq(p->client[0].client->stats.renewed, renewed);
	pair_free(p);
}

Test(client, after_an_hour_of_sleep_it_shakes_hands_at_once) { oversleeps(3600000, false, true); }
Test(client, after_an_hour_of_sleep_elsewhere) { oversleeps(3600000, true, true); }
Test(client, after_a_nap_the_session_goes_on) { oversleeps(PAIR_HEARTBEAT_S * 2500, false, false); }

Test(client, numbers_go_on_beyond_24_bits)
{
	struct engine_pair *p = pair_online(NULL);
	struct client *c = p->client[0].client;
	struct session *x = pair_session(p, 0);
	c->born_ms += 1;
	c->next_number = x->received.next = 0xfffffe;
	x->next_number = c->received.next = 0xfffffe;
	for (uint32_t n = 1; n <= 6; n++) { /* no tick: it would change the keys */
		struct frame f = {.type = FRAME_CHALLENGE};
		struct datagram d = pair_seal(p, true, &f, 1);
		pair_hand(p, &d);
		pair_settle(p);
		client_send_beat(c, p->now_ms);
		pair_settle(p);
		cr_expect_not(c->beat_waits, "heartbeat %u was answered", n);
	}
	cr_expect_eq(c->received.next, 0x1000004);
	cr_expect_eq(x->received.next, c->next_number);
	cr_expect_eq(server_stats(p->server)->path_bad, 6);
	p->repeated = 0; /* the low 24 bits do come again */
	pair_free(p);
}

Test(client, logged_out_it_stays_out)
{
	struct engine_pair *p = pair_online(NULL);
	client_stop(p->client[0].client);
	client_stop(p->client[0].client);
	cr_expect_eq(p->client[0].state, CLIENT_STOPPED);
	cr_expect_eq(p->client[0].why, CLOSE_NORMAL);
	cr_expect_eq(client_deadline(p->client[0].client), UINT64_MAX);
	struct addr none = {{0}, {0}}, at = client_broker(p->client[0].client);
	cr_expect(addr_equal(&at, &none));
	pair_run(p, 60000);
	cr_expect_eq(p->sent, 2 + p->count[TO_SERVER][PACKET_DATA] + p->count[TO_CLIENT][PACKET_DATA],
		     "INIT, RESP, DATA");
	client_start(p->client[0].client, p->now_ms, pair_wall(p));
	cr_expect(pair_until(p, CLIENT_ONLINE, 1000), "and can be started again");
	pair_free(p);
}

Test(client, states_have_names)
{
	cr_expect_str_eq(client_state_text(CLIENT_STOPPED), "stopped");
	cr_expect_str_eq(client_state_text(CLIENT_ONLINE), "online");
}
