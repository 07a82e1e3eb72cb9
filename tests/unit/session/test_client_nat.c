/* SPDX-License-Identifier: Apache-2.0 */
/* A client behind a NAT that forgets in a silence: the heartbeat learns how long
 * a silence may last. */
#include "support/engine_pair.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

/* The NAT: what the client sends leaves from `outside`, which is another port
 * after each silence of forget_ms; what comes for an older port is lost. */
static struct {
	uint64_t forget_ms, last_ms;
	struct addr outside;
	unsigned ports, lost;
} nat;

static bool through_nat(struct engine_pair *p, struct datagram *d)
{
	struct addr inside = p->client[0].addr;
	bool forgot = p->now_ms - nat.last_ms >= nat.forget_ms;
	if (addr_equal(&d->from, &inside)) {
		if (forgot)
			be_put(nat.outside.port, ++nat.ports, 2);
		nat.last_ms = p->now_ms;
		d->from = nat.outside;
	} else if (forgot || !addr_equal(&d->to, &nat.outside)) {
		nat.lost++;
		return false;
	} else {
		nat.last_ms = p->now_ms;
		d->to = inside;
	}
	return true;
}

static void start_nat(struct engine_pair *p, uint64_t forget_ms)
{
	nat.forget_ms = forget_ms;
	nat.last_ms = p->now_ms;
	nat.ports = 10000;
	nat.lost = 0;
	cr_assert_eq(addr_parse("203.0.113.7:10000", &nat.outside), RS_OK);
	p->pass = through_nat;
}

/* Online through a NAT that forgets nothing yet. */
static struct engine_pair *behind_nat(uint16_t heartbeat_s)
{
	struct pair_options o = {.heartbeat_s = heartbeat_s};
	struct engine_pair *p = pair_new(&o);
	start_nat(p, UINT64_MAX);
	pair_start(p, 0);
	cr_assert(pair_until(p, CLIENT_ONLINE, 5000));
	pair_settle(p);
	return p;
}

static uint32_t beat_s(const struct engine_pair *p) { return client_stats(p->client[0].client)->beat_s; }

/* Runs until the client has beaten so often and each was answered. */
static void beats(struct engine_pair *p, unsigned count)
{
	unsigned want = p->count[TO_SERVER][PACKET_HEARTBEAT] + count;
	for (uint64_t end = p->now_ms + 1000000; p->count[TO_SERVER][PACKET_HEARTBEAT] < want && p->now_ms < end;)
		pair_run(p, 50);
	cr_assert_eq(p->count[TO_SERVER][PACKET_HEARTBEAT], want);
	cr_assert_eq(p->client[0].state, CLIENT_ONLINE);
}

/* The network gives the client another address, at once. */
static void other_port(void) { nat.outside.port[1] ^= 1; }

Test(client_nat, nothing_to_learn)
{
	struct engine_pair *p = behind_nat(40);
	cr_expect_eq(beat_s(p), 40);
	pair_run(p, 1000000);
	cr_expect_eq(beat_s(p), 40);
	cr_expect_eq(p->count[TO_SERVER][PACKET_HEARTBEAT], 25);
	pair_free(p);
}

/* Two silences in a row after each of which the address was another. */
Test(client_nat, two_silences_halve_the_interval)
{
	struct engine_pair *p = behind_nat(40);
	uint64_t start = p->now_ms;
	nat.forget_ms = 30000;
	beats(p, 1);
	cr_expect_eq(server_stats(p->server)->moved, 1);
	cr_expect_eq(beat_s(p), 40, "one could be a change of network");
	beats(p, 1); /* two seconds later: it proves the move, and is no silence */
	cr_expect_lt(p->now_ms - start, 43000);
	cr_expect_eq(beat_s(p), 40);
	beats(p, 1);
	cr_expect_eq(server_stats(p->server)->moved, 2);
	cr_expect_eq(beat_s(p), 20);
	uint64_t moved = server_stats(p->server)->moved;
	pair_run(p, 3600000);
	cr_expect_eq(beat_s(p), 20, "which is often enough");
	cr_expect_eq(server_stats(p->server)->moved, moved);
	cr_expect_eq(p->client[0].client->stats.reconnects, 0);
	pair_free(p);
}

/* A change of network now and then, with whole silences in between. */
Test(client_nat, one_silence_with_a_move_is_no_sign)
{
	struct engine_pair *p = behind_nat(20);
	for (int i = 0; i < 10; i++) {
		other_port();
		beats(p, 3); /* moved; the one soon after; a silence with no move */
		cr_assert_eq(server_stats(p->server)->moved, (uint64_t)i + 1);
	}
	cr_expect_eq(beat_s(p), 20);
	pair_free(p);
}

Test(client_nat, the_floor)
{
	static const struct { uint16_t broker_s, least_s; } cases[] = {
		{60, 5}, {40, 5}, {11, 5}, {10, 5}, {9, 5}, {6, 5}, {5, 5}, {4, 4}, {2, 2}, {1, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct engine_pair *p = behind_nat(cases[i].broker_s);
		nat.forget_ms = 3000;
		pair_run(p, 600000);
		cr_expect_eq(beat_s(p), cases[i].least_s, "%u s: %u", cases[i].broker_s, beat_s(p));
		cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
		pair_free(p);
	}
}

/* It goes down by halves, and stops where the NAT bears it. */
Test(client_nat, finds_what_the_nat_bears)
{
	static const struct { uint64_t forget_ms; uint32_t want_s; } cases[] = {
		{59000, 30}, {31000, 30}, {29000, 15}, {16000, 15}, {14000, 7}, {8000, 7}, {6000, 5}, {4000, 5}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct engine_pair *p = behind_nat(60);
		nat.forget_ms = cases[i].forget_ms;
		pair_run(p, 1200000);
		cr_expect_eq(beat_s(p), cases[i].want_s, "%llu ms: %u s", (unsigned long long)cases[i].forget_ms, beat_s(p));
		pair_free(p);
	}
}

/* The address changes with every heartbeat that comes early: those say nothing
 * about how long a silence may last. */
Test(client_nat, moves_without_a_silence_do_not_count)
{
	struct engine_pair *p = behind_nat(40);
	for (int i = 0; i < 50; i++) {
		other_port();
		client_hint_unreachable(p->client[0].client, p->now_ms); /* beats at once */
		beats(p, 1);
		pair_run(p, 3000);
	}
	cr_expect_geq(server_stats(p->server)->moved, 50);
	cr_expect_eq(beat_s(p), 40);
	pair_free(p);
}

/* The first heartbeat after the silence was lost, and the next one found the move:
 * it was the same silence. */
static bool lose_beat(struct engine_pair *p, struct datagram *d)
{
	if (d->data[0] == PACKET_HEARTBEAT && p->pass_left && p->pass_left--)
		return false;
	return through_nat(p, d);
}

Test(client_nat, a_silence_whose_heartbeat_was_lost)
{
	struct engine_pair *p = behind_nat(40);
	p->pass = lose_beat;
	nat.forget_ms = 30000;
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(beat_s(p), 40);
		p->pass_left = 1;
		beats(p, 3); /* lost; moved; two seconds later */
		cr_expect_eq(server_stats(p->server)->moved, (uint64_t)i + 1);
	}
	cr_expect_eq(beat_s(p), 20);
	pair_free(p);
}

/* A heartbeat that came early, and was lost, and again, until the answer to one
 * took longer than a silence: the NAT was spoken to all the time. */
Test(client_nat, an_early_heartbeat_that_is_repeated_is_no_silence)
{
	struct engine_pair *p = behind_nat(6);
	server_set_more(p->server, p->conn, true); /* so it beats every two seconds */
	beats(p, 1);
	p->pass = lose_beat;
	for (int i = 0; i < 5; i++) {
		other_port();
		p->pass_left = 3;
		beats(p, 5); /* three lost, nine seconds after the last answer moved, the one soon after */
		cr_assert_eq(server_stats(p->server)->moved, (uint64_t)i + 1);
	}
	cr_expect_eq(beat_s(p), 6);
	pair_free(p);
}

/* What was learned is of this network: the next session begins as the broker says. */
Test(client_nat, a_new_session_begins_anew)
{
	struct engine_pair *p = behind_nat(40);
	nat.forget_ms = 15000;
	pair_run(p, 600000);
	cr_assert_eq(beat_s(p), 10);
	nat.forget_ms = UINT64_MAX;
	server_close_session(p->server, p->conn, p->now_ms, CLOSE_SHUTDOWN);
	cr_assert(pair_until(p, CLIENT_WAITING, 10));
	cr_assert(pair_until(p, CLIENT_ONLINE, 3000));
	pair_settle(p);
	cr_expect_eq(beat_s(p), 40);
	unsigned before = p->count[TO_SERVER][PACKET_HEARTBEAT];
	pair_run(p, 39000);
	cr_expect_eq(p->count[TO_SERVER][PACKET_HEARTBEAT], before);
	pair_run(p, 1100);
	cr_expect_eq(p->count[TO_SERVER][PACKET_HEARTBEAT], before + 1);
	pair_free(p);
}

/* One move at the end of a session and one at the start of the next are not two. */
Test(client_nat, what_was_half_learned_is_forgotten_too)
{
	struct engine_pair *p = behind_nat(40);
	nat.forget_ms = 30000;
	beats(p, 2);
	cr_assert_eq(server_stats(p->server)->moved, 1);
	server_close_session(p->server, p->conn, p->now_ms, CLOSE_SHUTDOWN);
	cr_assert(pair_until(p, CLIENT_WAITING, 10));
	cr_assert(pair_until(p, CLIENT_ONLINE, 3000));
	pair_settle(p);
	beats(p, 1);
	cr_expect_eq(server_stats(p->server)->moved, 2);
	cr_expect_eq(beat_s(p), 40);
	pair_free(p);
}

/* What it is for: a message in the middle of a silence is lost at first, and
 * waits for the next heartbeat; once the interval is learned it arrives at once. */
Test(client_nat, messages_arrive_in_between)
{
	struct engine_pair *p = behind_nat(40);
	nat.forget_ms = 12000;
	beats(p, 2);
	pair_run(p, 25000);
	cr_assert_eq(pair_push(p, 1, 100, UINT64_MAX), RS_OK);
	pair_run(p, 100);
	cr_expect_eq(p->client[0].shown, 0, "the NAT has forgotten");
	pair_run(p, 600000);
	cr_assert_eq(beat_s(p), 10);
	cr_expect_eq(p->client[0].shown, 1, "but it is not lost");
	for (uint32_t n = 2; n <= 100; n++) {
		pair_run(p, 1000 * (n % 37) + 777);
		cr_assert_eq(pair_push(p, n, 100, UINT64_MAX), RS_OK);
		pair_run(p, 1);
		cr_assert_eq(p->client[0].shown, n, "at once");
	}
	pair_free(p);
}
