/* SPDX-License-Identifier: Apache-2.0 */
#include "session/balancer.h"

#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct pair_options asks = {.balancer = true};

Test(balancer, answers_what_was_chosen)
{
	for (unsigned count = 1; count <= ANSWER_BROKERS_MAX; count++) {
		struct engine_pair *p = pair_new(&asks);
		p->answer.count = (uint8_t)count;
		for (unsigned i = 1; i < count; i++) {
			p->answer.broker[i] = p->answer.broker[0];
			p->answer.broker[i].address.port[0] = (uint8_t)i;
		}
		p->hold = true;
		pair_start(p, 0);
		pair_hand(p, &p->last[TO_SERVER][PACKET_ASK]);
		pair_hand(p, &p->last[TO_CLIENT][PACKET_ANSWER]);
		cr_assert_eq(p->client[0].state, CLIENT_HELLO);
		cr_expect_eq(p->last[TO_CLIENT][PACKET_ANSWER].len, 62 + 50 * count);
		const struct frame_brokers *got = &p->client[0].client->choice;
		cr_expect_eq(got->count, count);
		cr_expect_arr_eq(got->at, p->answer.broker, count * sizeof *got->at);
		cr_expect_eq(p->asked.client_ms, pair_wall(p));
		cr_expect(p->balancer.stats.asks == 1 && p->balancer.stats.answers == 1);
		pair_free(p);
	}
}

Test(balancer, no_broker)
{
	struct engine_pair *p = pair_new(&asks);
	p->answer = (struct answer_payload){.status = 1, .retry_ms = 1000};
	pair_start(p, 0);
	cr_assert(pair_until(p, CLIENT_WAITING, 100));
	cr_expect_eq(p->last[TO_CLIENT][PACKET_ANSWER].len, 62);
	pair_free(p);
}

/* It keeps nothing: the same ASK gets an answer each time, none the same, none
 * longer than the ASK. */
Test(balancer, keeps_nothing_for_a_client)
{
	struct engine_pair *p = pair_new(&asks);
	struct pair_image image = {0};
	p->hold = true;
	p->answer.count = ANSWER_BROKERS_MAX;
	pair_start(p, 0);
	struct datagram ask = p->last[TO_SERVER][PACKET_ASK], before = {0};
	pair_image_take(&image, p);
	for (unsigned i = 1; i <= 5; i++) {
		struct balancer *b = &p->balancer;
		uint8_t copy[ASK_BYTES];
		memcpy(copy, ask.data, sizeof copy);
		balancer_recv(b, p->now_ms, &ask.from, copy, sizeof copy);
		cr_expect_eq(p->count[TO_CLIENT][PACKET_ANSWER], i);
		cr_expect_arr_neq(p->last[TO_CLIENT][PACKET_ANSWER].data + 8, before.data + 8, 32);
		before = p->last[TO_CLIENT][PACKET_ANSWER];
		cr_expect_lt(before.len, ASK_BYTES);
	}
	cr_expect(pair_image_same(&image, p));
	pair_image_deinit(&image);
	pair_free(p);
}

Test(balancer, the_cookie_is_required_above_a_rate)
{
	struct pair_options o = {.balancer = true, .balancer_cookie_above = 3};
	struct engine_pair *p = pair_new(&o);
	p->hold = true;
	pair_start(p, 0);
	struct datagram ask = p->last[TO_SERVER][PACKET_ASK];
	for (unsigned second = 0; second < 3; second++, p->now_ms += 1000)
		for (unsigned i = 0; i < 10; i++)
			pair_hand(p, &ask);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_ANSWER], 9);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_COOKIE], 21);
	cr_expect_eq(p->last[TO_CLIENT][PACKET_COOKIE].len, COOKIE_BYTES);
	pair_free(p);
}

/* Over the rate: the client comes back with the cookie; a wrong one is refused
 * without a word. */
Test(balancer, with_the_cookie_it_answers)
{
	struct pair_options o = {.balancer = true, .balancer_cookie_above = 1};
	struct engine_pair *p = pair_new(&o);
	p->hold = true;
	pair_start(p, 0);
	struct datagram ask = p->last[TO_SERVER][PACKET_ASK];
	pair_hand(p, &ask);
	pair_hand(p, &ask);
	cr_assert_eq(p->count[TO_CLIENT][PACKET_COOKIE], 1);
	pair_hand(p, &p->last[TO_CLIENT][PACKET_COOKIE]);
	struct datagram with = p->last[TO_SERVER][PACKET_ASK], wrong = with;
	wrong.data[HELLO_HEADER] ^= 1;
	pair_hand(p, &wrong);
	wrong = with;
	wrong.from.port[1] ^= 1;
	pair_hand(p, &wrong);
	cr_expect_eq(p->balancer.gate.stats.cookies_bad, 2);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_ANSWER], 1);
	pair_hand(p, &with);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_ANSWER], 2);
	p->hold = false;
	cr_expect(pair_until(p, CLIENT_ONLINE, 1000));
	pair_free(p);
}

/* What is not an ASK, or not sealed for this key, is dropped. */
Test(balancer, everything_else_is_dropped)
{
	struct engine_pair *p = pair_new(&asks);
	p->hold = true;
	pair_start(p, 0);
	struct datagram ask = p->last[TO_SERVER][PACKET_ASK], d;
	for (unsigned type = 0; type < 256; type++) {
		static const size_t lens[] = {0, 1, 16, 24, 25, 96, 128, 362, 512};
		for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
			d = ask;
			d.data[0] = (uint8_t)type;
			d.len = lens[i];
			if (type != PACKET_ASK || d.len != ASK_BYTES)
				pair_hand(p, &d);
		}
	}
	cr_expect_eq(p->sent, 1);
	cr_expect_eq(p->balancer.stats.bad_packets, 256 * 9 - 1);
	cr_expect(gate_distrusts(&p->balancer.gate, p->now_ms, &ask.from));
	p->now_ms += 60000; /* that is over, in the end */
	p->balancer.config.key = p->server_key;
	pair_hand(p, &ask);
	cr_expect_eq(p->sent, 1, "sealed for another key");
	cr_expect_eq(p->balancer.stats.asks_bad, 1);
	pair_free(p);
}
