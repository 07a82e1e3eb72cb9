/* SPDX-License-Identifier: Apache-2.0 */
/* How a client finds a broker and gets a session: balancers and their keys,
 * brokers one after the other, waits, cookies. */
#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t deaf_to; /* packets of this type are lost */

static bool lose_type(struct engine_pair *p, struct datagram *d)
{
	(void)p;
	return d->data[0] != deaf_to;
}

/* When packets of a type were sent, since `start`, and to whom. */
static unsigned sent(const struct engine_pair *p, uint8_t type, uint64_t start, uint64_t *at, struct addr *to)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->log_count && n < 64; i++)
		if (p->log[i].data[0] == type) {
			to[n] = p->log[i].to;
			at[n++] = p->log[i].due_ms - start;
		}
	return n;
}

static struct engine_pair *start(const struct pair_options *o, uint8_t lost)
{
	struct engine_pair *p = pair_new(o);
	deaf_to = lost;
	p->pass = lose_type;
	p->log_all = true;
	pair_start(p, 0);
	return p;
}

Test(client_hello, init_is_said_three_times_in_the_same_bytes)
{
	struct engine_pair *p = start(NULL, PACKET_INIT);
	uint64_t at[64];
	struct addr to[64];
	cr_assert(pair_until(p, CLIENT_WAITING, 10000));
	cr_expect_eq(p->now_ms, 1000 + 3500);
	cr_assert_eq(sent(p, PACKET_INIT, 1000, at, to), 3);
	cr_expect(at[0] == 0 && at[1] == 500 && at[2] == 1500);
	cr_expect_arr_eq(p->log[1].data, p->log[0].data, INIT_BYTES);
	cr_expect_arr_eq(p->log[2].data, p->log[0].data, INIT_BYTES);
	cr_assert(pair_until(p, CLIENT_HELLO, 2000));
	pair_settle(p);
	cr_expect_arr_neq(p->log[3].data + 4, p->log[0].data + 4, 4, "a new attempt");
	cr_expect_arr_neq(p->log[3].data + 24, p->log[0].data + 24, 32, "a new key");
	pair_free(p);
}

Test(client_hello, login_is_said_five_times_in_new_packets)
{
	struct engine_pair *p = start(NULL, PACKET_DATA);
	uint64_t at[64];
	struct addr to[64];
	cr_assert(pair_until(p, CLIENT_WAITING, 30000));
	cr_expect_eq(p->now_ms, 1000 + 15500);
	cr_assert_eq(sent(p, PACKET_DATA, 1000, at, to), 5);
	cr_expect(at[0] == 0 && at[1] == 500 && at[2] == 1500 && at[3] == 3500 && at[4] == 7500);
	cr_expect_eq(p->client[0].client->avoid_count, 1);
	pair_free(p);
}

/* Pauses: a quarter of a second, and up to 1, 2, 4, ... 60 s more. */
Test(client_hello, the_pause_doubles_up_to_a_minute)
{
	for (int run = 0; run < 5; run++) {
		struct engine_pair *p = start(NULL, PACKET_INIT);
		uint64_t most = 1000, longest = 0;
		for (int i = 0; i < run; i++) /* other random numbers */
			p->server_config.gate.random(&(uint64_t){0}, 8);
		for (int round = 0; round < 12; round++) {
			cr_assert(pair_until(p, CLIENT_WAITING, 5000));
			uint64_t wait = client_deadline(p->client[0].client) - p->now_ms;
			cr_expect(wait >= 250 && wait <= 250 + most, "round %d: %llu ms", round, (unsigned long long)wait);
			longest = wait > longest ? wait : longest;
			most = most < 30000 ? 2 * most : 60000;
			cr_assert(pair_until(p, CLIENT_HELLO, 70000));
		}
		cr_expect_gt(longest, 2000);
		p->pass = NULL;
		cr_expect(pair_until(p, CLIENT_ONLINE, 70000));
		cr_expect_eq(p->client[0].client->failures, 0);
		pair_free(p);
	}
}

/* Two balancers of two keys each: each key three times, then the next; then the
 * other balancer after a pause. */
Test(client_hello, balancers_and_their_keys_in_turn)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_new(&o);
	uint64_t at[64];
	struct addr to[64], second;
	struct client *c = pair_start(p, 0);
	client_stop(c);
	p->wire_count = 0;
	c->config.balancer_count = 2;
	c->config.balancer[1] = c->config.balancer[0];
	cr_assert_eq(addr_parse("192.0.2.3:7300", &second), RS_OK);
	c->config.balancer[1].address = second;
	for (int i = 0; i < 2; i++) {
		c->config.balancer[i].key_count = 2;
		memset(c->config.balancer[i].key[1], 9, 32);
	}
	p->hold = true;
	p->log_all = true;
	client_start(c, p->now_ms, pair_wall(p));
	c->balancer = 0; /* it begins with any */
	cr_assert(pair_until(p, CLIENT_WAITING, 10000));
	cr_expect_eq(p->now_ms, 1000 + 2 * 3500);
	cr_expect_eq(sent(p, PACKET_ASK, 1000, at, to), 6);
	cr_expect(at[2] == 1500 && at[3] == 3500);
	cr_expect_arr_eq(p->log[0].data, p->log[2].data, ASK_BYTES);
	cr_expect_arr_neq(p->log[2].data, p->log[3].data, ASK_BYTES);
	cr_assert(pair_until(p, CLIENT_ASKING, 2000));
	p->log_count = 1;
	p->log[0] = p->last[TO_SERVER][PACKET_ASK];
	cr_expect(addr_equal(&p->last[TO_CLIENT][PACKET_ASK].to, &second), "the other one");
	pair_free(p);
}

Test(client_hello, the_second_key_of_a_balancer_is_used)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_new(&o);
	struct client *c = pair_start(p, 0);
	client_stop(c);
	p->wire_count = 0;
	memcpy(c->config.balancer[0].key[1], c->config.balancer[0].key[0], 32);
	memset(c->config.balancer[0].key[0], 7, 32);
	c->config.balancer[0].key_count = 2;
	client_start(c, p->now_ms, pair_wall(p));
	cr_expect(pair_until(p, CLIENT_ONLINE, 4000));
	cr_expect_gt(p->balancer.stats.asks_bad, 0);
	pair_free(p);
}

/* Six brokers, the last alive: each is tried, and those that failed are named. */
Test(client_hello, brokers_of_the_answer_in_turn)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_new(&o);
	for (unsigned i = 5; i > 0; i--) {
		p->answer.broker[i] = p->answer.broker[0];
		p->answer.broker[i].address.ip[15] = (uint8_t)(i < 5 ? 100 + i : p->server_addr.ip[15]);
	}
	p->answer.broker[0].address.ip[15] = 100;
	p->answer.count = 6;
	pair_start(p, 0);
	cr_expect(pair_until(p, CLIENT_ONLINE, 30000));
	cr_expect_leq(p->now_ms - (1000 + 5 * 3500), 1);
	cr_expect_eq(p->count[TO_SERVER][PACKET_ASK], 1);
	pair_free(p);
}

Test(client_hello, the_last_eight_that_failed_are_to_be_avoided)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_new(&o);
	p->answer.count = 6;
	for (unsigned i = 0; i < 6; i++)
		p->answer.broker[i].address = p->answer.broker[0].address;
	pair_start(p, 0);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 6; i++)
			p->answer.broker[i].address.ip[15] = (uint8_t)(10 * (round + 1) + i);
		cr_assert(pair_until(p, CLIENT_HELLO, 70000));
		cr_expect_eq(p->asked.avoid_count, round == 0 ? 0 : round == 1 ? 6 : 8);
		cr_assert(pair_until(p, CLIENT_WAITING, 70000));
	}
	static const uint8_t want[8] = {14, 15, 20, 21, 22, 23, 24, 25};
	for (unsigned i = 0; i < 8; i++)
		cr_expect_eq(p->asked.avoid[i].ip[15], want[i], "%u: the last failed last", i);
	pair_free(p);
}

Test(client_hello, no_broker_now)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_new(&o);
	p->answer.count = 0;
	p->answer.status = 1;
	p->answer.retry_ms = 4000;
	pair_start(p, 0);
	cr_assert(pair_until(p, CLIENT_WAITING, 1000));
	cr_expect_eq(p->client[0].why, CLOSE_OVERLOADED);
	uint64_t wait = client_deadline(p->client[0].client) - p->now_ms;
	cr_expect(wait >= 4000 && wait <= 8000);
	p->answer.count = 1;
	p->answer.status = 0;
	cr_expect(pair_until(p, CLIENT_ONLINE, 9000));
	pair_free(p);
}

/* A balancer that names no time is not asked over and over at once. */
Test(client_hello, no_broker_and_no_time)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_new(&o);
	p->answer = (struct answer_payload){.status = 1};
	pair_start(p, 0);
	pair_run(p, 10000);
	cr_expect_leq(p->count[TO_SERVER][PACKET_ASK], 11);
	pair_free(p);
}

/* Codes 3 and 4 both come with a time; only a full broker is to be avoided. */
Test(client_hello, a_full_broker_is_avoided)
{
	for (unsigned code = CLOSE_UNAVAILABLE; code <= CLOSE_OVERLOADED; code++) {
		struct pair_options o = {.balancer = true};
		struct engine_pair *p = pair_new(&o);
		p->login_does = PAIR_REJECT;
		p->reject_code = (enum close_code)code;
		pair_start(p, 0);
		cr_assert(pair_until(p, CLIENT_WAITING, 1000));
		p->login_does = PAIR_ACCEPT;
		cr_assert(pair_until(p, CLIENT_ONLINE, 3000));
		cr_expect_eq(p->asked.avoid_count, code == CLOSE_OVERLOADED);
		pair_free(p);
	}
}

Test(client_hello, fallback_brokers_when_no_balancer_answers)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_new(&o);
	struct frame_brokers f = {.count = 1};
	f.at[0] = p->answer.broker[0];
	server_set_fallback(p->server, &f);
	pair_start(p, 0);
	cr_assert(pair_until(p, CLIENT_ONLINE, 1000));
	deaf_to = PACKET_ASK;
	p->pass = lose_type;
	server_close_session(p->server, p->conn, p->now_ms, CLOSE_LEASE_LOST);
	pair_settle(p);
	cr_expect(pair_until(p, CLIENT_ONLINE, 5000));
	cr_expect_eq(p->logins, 2);
	pair_free(p);
}

Test(client_hello, a_hint_while_shaking_hands_moves_on_to_the_next_broker)
{
	struct pair_options o = {.balancer = true};
	struct engine_pair *p = pair_new(&o);
	p->answer.count = 2;
	p->answer.broker[1] = p->answer.broker[0];
	p->answer.broker[0].address.ip[15] = 77;
	pair_start(p, 0);
	cr_assert(pair_until(p, CLIENT_HELLO, 100));
	client_hint_unreachable(p->client[0].client, p->now_ms);
	cr_expect(pair_until(p, CLIENT_ONLINE, 100));
	pair_free(p);
	/* there is no other: it waits as without the hint */
	p = start(NULL, PACKET_INIT);
	client_hint_unreachable(p->client[0].client, p->now_ms);
	pair_run(p, 100);
	cr_expect_eq(p->client[0].state, CLIENT_HELLO);
	pair_free(p);
}

Test(client_hello, only_the_first_cookie_of_an_attempt_is_used)
{
	struct pair_options o = {.cookie_always = true};
	struct engine_pair *p = pair_new(&o);
	p->hold = true;
	pair_start(p, 0);
	struct datagram init = p->last[TO_SERVER][PACKET_INIT];
	pair_hand(p, &init);
	struct datagram cookie = p->last[TO_CLIENT][PACKET_COOKIE];
	pair_hand(p, &cookie);
	struct datagram again = p->last[TO_SERVER][PACKET_INIT];
	cr_expect_arr_eq(again.data + 4, init.data + 4, 4, "the same attempt");
	cr_expect_arr_eq(again.data + 8, cookie.data + 8, COOKIE_LEN);
	cr_expect_arr_neq(again.data + 24, init.data + 24, 32, "a new key");
	for (int i = 0; i < 20; i++) {
		cookie.data[8]++;
		pair_hand(p, &cookie);
	}
	cr_expect_eq(p->count[TO_SERVER][PACKET_INIT], 2);
	pair_free(p);
}

/* A COOKIE whose cookie was damaged costs an attempt, not more. */
Test(client_hello, a_damaged_cookie)
{
	for (unsigned bit = 0; bit < 8 * COOKIE_LEN; bit++) {
		struct pair_options o = {.cookie_always = true};
		struct engine_pair *p = pair_new(&o);
		p->hold = true;
		pair_start(p, 0);
		pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
		struct datagram d = p->last[TO_CLIENT][PACKET_COOKIE], right = d;
		d.data[HELLO_HEADER + bit / 8] ^= (uint8_t)(1u << bit % 8);
		pair_hand(p, &d);
		pair_hand(p, &right); /* too late: the attempt had its cookie */
		cr_expect_eq(p->count[TO_SERVER][PACKET_INIT], 2);
		p->wire_count = 0;
		pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
		cr_expect_eq(server_gate_stats(p->server)->cookies_bad, 1, "bit %u", bit);
		cr_expect_eq(server_stats(p->server)->sessions, 0);
		p->hold = false;
		cr_expect(pair_until(p, CLIENT_ONLINE, 6000), "bit %u", bit);
		pair_free(p);
	}
}

/* Answers of an earlier attempt, and from another address, are not taken. */
Test(client_hello, stale_and_foreign_answers)
{
	struct engine_pair *p = pair_new(NULL);
	struct pair_image image = {0};
	p->hold = true;
	pair_start(p, 0);
	pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
	struct datagram stale = p->last[TO_CLIENT][PACKET_RESP], foreign;
	client_stop(p->client[0].client);
	client_start(p->client[0].client, p->now_ms, pair_wall(p));
	pair_image_take(&image, p);
	pair_hand(p, &stale);
	cr_expect(pair_image_same(&image, p));
	pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
	foreign = p->last[TO_CLIENT][PACKET_RESP];
	foreign.from.port[1] ^= 1;
	pair_image_take(&image, p);
	pair_hand(p, &foreign);
	cr_expect(pair_image_same(&image, p));
	pair_hand(p, &p->last[TO_CLIENT][PACKET_RESP]);
	cr_expect_eq(p->client[0].state, CLIENT_LOGIN);
	pair_image_deinit(&image);
	pair_free(p);
}
