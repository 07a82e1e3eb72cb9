/* SPDX-License-Identifier: Apache-2.0 */
/* Messages from the broker's engine to the client's, with losses: each is shown
 * once, in order, and acknowledged only after it was taken. */
#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>

static const uint64_t LATE = UINT64_MAX;

/* The nth DATA packet that the broker sends from now on is lost; 0: none. */
static bool lose_nth_to_client(struct engine_pair *p, struct datagram *d)
{
	bool counts = d->data[0] == PACKET_DATA && addr_equal(&d->to, &p->client[0].addr);
	return !counts || p->pass_left == 0 || --p->pass_left > 0;
}

static bool lose_data_to_server(struct engine_pair *p, struct datagram *d)
{
	return d->data[0] != PACKET_DATA || !addr_equal(&d->to, &p->server_addr);
}

static bool lose_data(struct engine_pair *p, struct datagram *d)
{
	(void)p;
	return d->data[0] != PACKET_DATA;
}

static bool lose_all(struct engine_pair *p, struct datagram *d)
{
	(void)p;
	(void)d;
	return false;
}

static struct engine_pair *online(void)
{
	struct pair_options o = {.delay_ms = 20};
	return pair_online(&o);
}

static void shown_in_order(const struct engine_pair *p, unsigned count)
{
	const struct pair_client *c = &p->client[0];
	cr_assert_eq(c->shown, count);
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(c->id[i], i + 1);
	cr_expect_eq(c->damaged, 0);
}

Test(delivery, bodies_of_every_size_class)
{
	static const size_t size[] = {0, 1, 405, 406, 408, 409, 410, 448, 857, 858, 8000, RECORD_BODY_MAX};
	struct engine_pair *p = online();
	for (uint32_t i = 0; i < sizeof size / sizeof *size; i++)
		cr_assert_eq(pair_push(p, i + 1, size[i], LATE), RS_OK);
	pair_run(p, 1000);
	shown_in_order(p, sizeof size / sizeof *size);
	for (unsigned i = 0; i < p->client[0].shown; i++)
		cr_expect_eq(p->client[0].body_len[i], size[i]);
	cr_expect_eq(p->acked, p->client[0].shown);
	pair_free(p);
}

/* Any one packet of ten is lost: the `seen` rule brings it back within a round
 * trip or two, long before the timer. */
Test(delivery, a_lost_piece_comes_again_by_seen)
{
	for (unsigned nth = 1; nth <= 6; nth++) {
		struct engine_pair *p = online();
		cr_assert_eq(pair_push(p, 1, 10, LATE), RS_OK);
		pair_run(p, 100); /* a sample: the timer stands at 120 ms or so */
		p->pass = lose_nth_to_client;
		p->pass_left = nth;
		cr_assert_eq(pair_push(p, 2, 4300, LATE), RS_OK);
		uint64_t start = p->now_ms;
		while (p->client[0].shown < 2 && p->now_ms < start + 1000)
			pair_run(p, 1);
		cr_expect_leq(p->now_ms - start, 62, "packet %u: %llu ms", nth, (unsigned long long)(p->now_ms - start));
		cr_expect_eq(p->client[0].damaged, 0);
		pair_free(p);
	}
}

Test(delivery, the_last_piece_comes_again_by_the_timer)
{
	struct engine_pair *p = online();
	p->pass = lose_nth_to_client;
	p->pass_left = 1;
	cr_assert_eq(pair_push(p, 1, 100, LATE), RS_OK);
	pair_run(p, 519);
	cr_expect_eq(p->client[0].shown, 0);
	pair_run(p, 2); /* 500 ms, and 20 on the way */
	shown_in_order(p, 1);
	pair_free(p);
}

/* 8 timeouts in a row, then silence until the client is heard. */
Test(delivery, a_stall_ends_with_the_next_sign_of_life)
{
	struct pair_options o = {.heartbeat_s = 300};
	struct engine_pair *p = pair_online(&o);
	p->pass = lose_data;
	p->log_all = true;
	cr_assert_eq(pair_push(p, 1, 100, LATE), RS_OK);
	pair_run(p, 120000);
	cr_expect_eq(p->log_count, 8);
	static const uint64_t at[8] = {0, 500, 1500, 3500, 7500, 15500, 23500, 31500};
	for (unsigned i = 0; i < 8 && i < p->log_count; i++)
		cr_expect_eq(p->log[i].due_ms - p->log[0].due_ms, at[i], "packet %u", i);
	cr_expect_eq(server_stats(p->server)->stalls, 1);
	p->pass = NULL;
	client_send_beat(p->client[0].client, p->now_ms);
	pair_run(p, 10);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_HEARTBEAT_MORE], 1);
	shown_in_order(p, 1);
	pair_free(p);
}

Test(delivery, an_expired_message_is_not_shown)
{
	struct engine_pair *p = online();
	p->pass = lose_all;
	cr_assert_eq(pair_push(p, 1, 1000, pair_wall(p) + 300), RS_OK);
	cr_assert_eq(pair_push(p, 2, 10, LATE), RS_OK);
	pair_run(p, 310);
	p->pass = NULL;
	pair_run(p, 1000);
	cr_expect_eq(p->client[0].shown, 1);
	cr_expect_eq(p->client[0].id[0], 2);
	cr_expect(p->acked == 2 && p->voided == 1 && p->acked_id[0] == 1);
	cr_expect_eq(server_stats(p->server)->voided, 1);
	pair_free(p);
}

/* One that waits, one on its way, one that came but the application does not take:
 * each is void from then on. What was acknowledged is not under way any more. */
Test(delivery, a_withdrawn_message_is_not_shown)
{
	struct engine_pair *p = online();
	struct ulid first = pair_id(1), second = pair_id(2), third = pair_id(3);
	cr_expect_eq(server_withdraw(p->server, p->conn, &first), RS_ENOENT, "nothing was ever under way");
	cr_assert_eq(pair_push(p, 1, 10, LATE), RS_OK);
	pair_run(p, 100);
	cr_expect_eq(server_withdraw(p->server, p->conn, &first), RS_ENOENT, "acknowledged");
	p->client[0].refuse = UINT_MAX;
	cr_assert_eq(pair_push(p, 2, 3000, LATE), RS_OK);
	pair_run(p, 100);
	cr_expect_gt(p->client[0].offers, 1);
	p->pass = lose_data;
	cr_assert_eq(pair_push(p, 3, 3000, LATE), RS_OK);
	pair_run(p, 30);
	p->pass = NULL;
	cr_assert_eq(pair_push(p, 4, 10, LATE), RS_OK);
	cr_expect_eq(server_withdraw(p->server, p->conn, &second), RS_OK);
	cr_expect_eq(server_withdraw(p->server, p->conn, &third), RS_OK);
	cr_expect_eq(server_withdraw(p->server, p->conn + 1, &third), RS_ENOENT);
	p->client[0].refuse = 0;
	pair_run(p, 3000);
	cr_expect_eq(p->client[0].shown, 2);
	cr_expect(p->client[0].id[0] == 1 && p->client[0].id[1] == 4);
	cr_expect(p->acked == 4 && p->voided == 2);
	cr_expect_eq(server_stats(p->server)->voided, 2);
	pair_free(p);
}

Test(delivery, a_message_that_is_late_but_not_expired_is_shown)
{
	struct engine_pair *p = online();
	cr_assert_eq(pair_push(p, 1, 10, pair_wall(p) + 1), RS_OK);
	pair_run(p, 500);
	shown_in_order(p, 1);
	pair_free(p);
}

/* The window: 64 messages, and so many bytes. */
Test(delivery, too_much_at_a_time_is_refused)
{
	static const struct { uint32_t window; size_t body; uint32_t fit; } cases[] = {
		{65536, 0, 64}, {65536, 900, 64}, {65536, 1000, 63}, {65536, 16384, 3}, {1, 16384, 1},
		{17024, 8000, 2}, {17024, 8500, 1}, {262144, 16384, 15}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pair_options o = {.window = cases[i].window};
		struct engine_pair *p = pair_online(&o);
		p->hold = true;
		for (uint32_t n = 1; n <= cases[i].fit; n++)
			cr_assert_eq(pair_push(p, n, cases[i].body, LATE), RS_OK, "case %zu: %u", i, n);
		cr_expect_eq(pair_push(p, 100, cases[i].body, LATE), RS_EBUSY, "case %zu", i);
		cr_expect_eq(pair_push(p, 1, cases[i].body, LATE), RS_EEXIST, "what is under way is not taken again");
		p->hold = false;
		pair_run(p, 2000);
		shown_in_order(p, cases[i].fit);
		cr_expect_eq(p->acked, cases[i].fit);
		pair_free(p);
	}
}

/* The client's acknowledgements are lost: what it took is asked for again,
 * acknowledged again, and shown once. */
Test(delivery, a_lost_acknowledgement_is_asked_for)
{
	struct engine_pair *p = online();
	p->pass = lose_data_to_server;
	cr_assert_eq(pair_push(p, 1, 3000, LATE), RS_OK);
	pair_run(p, 400);
	shown_in_order(p, 1);
	cr_expect_eq(p->acked, 0);
	p->pass = NULL;
	pair_run(p, 2000);
	cr_expect_eq(p->acked, 1);
	shown_in_order(p, 1);
	cr_expect_eq(server_stats(p->server)->acked, 1);
	pair_free(p);
}

Test(delivery, a_message_that_comes_again_is_acknowledged_again)
{
	struct engine_pair *p = online();
	struct frame f = {.type = FRAME_MESSAGE};
	uint8_t piece[50] = {0};
	cr_assert_eq(pair_push(p, 1, 10, LATE), RS_OK);
	pair_run(p, 500);
	p->hold = true;
	for (unsigned i = 1; i <= 3; i++) {
		f.message = (struct frame_message){1, 50, 0, piece, 50};
		struct datagram d = pair_seal(p, true, &f, 1);
		unsigned before = p->count[TO_SERVER][PACKET_DATA];
		pair_hand(p, &d);
		cr_assert_eq(p->count[TO_SERVER][PACKET_DATA], before + 1);
		struct datagram ack = p->last[TO_SERVER][PACKET_DATA];
		int len = keys_open(&pair_session(p, 0)->keys, p->client[0].client->next_number - 1, ack.data, ack.len);
		cr_assert_eq(len, 3 + 4 + 4);
		cr_expect_eq(ack.data[PACKET_HEADER], FRAME_MESSAGE_ACK);
		cr_expect_eq(ack.data[PACKET_HEADER + 10], 1);
	}
	cr_expect_eq(p->client[0].offers, 1);
	pair_free(p);
}

/* The same id in another session, or named by a file of the application. */
Test(delivery, an_id_that_was_shown_is_not_shown_again)
{
	struct engine_pair *p = online();
	struct ulid known = pair_id(3);
	client_seed_seen(p->client[0].client, &known);
	client_seed_seen(p->client[0].client, &known);
	for (uint32_t n = 1; n <= 3; n++)
		cr_assert_eq(pair_push(p, n, 10, LATE), RS_OK);
	pair_run(p, 500);
	cr_expect(p->client[0].shown == 2 && p->acked == 3);
	server_close_session(p->server, p->conn, p->now_ms, CLOSE_LEASE_LOST);
	cr_assert(pair_until(p, CLIENT_WAITING, 1000));
	cr_assert(pair_until(p, CLIENT_ONLINE, 3000));
	for (uint32_t n = 1; n <= 4; n++)
		cr_assert_eq(pair_push(p, n, 10, LATE), RS_OK);
	pair_run(p, 500);
	cr_expect_eq(p->client[0].shown, 3);
	cr_expect_eq(p->client[0].id[2], 4);
	cr_expect_eq(p->acked, 7);
	cr_expect_eq(client_stats(p->client[0].client)->doubled, 4);
	pair_free(p);
}

/* The packet of message 1 is late: 2 to 5 wait for it. */
Test(delivery, what_came_ahead_is_held_back)
{
	struct engine_pair *p = pair_online(NULL);
	p->hold = true;
	for (uint32_t n = 1; n <= 5; n++) {
		cr_assert_eq(pair_push(p, n, 10, LATE), RS_OK);
		pair_settle(p);
	}
	cr_assert_eq(p->wire_count, 5);
	struct datagram first = p->wire[0], rest[4];
	memcpy(rest, p->wire + 1, sizeof rest);
	p->wire_count = 0;
	for (int i = 3; i >= 0; i--)
		pair_hand(p, &rest[i]);
	cr_expect(p->client[0].offers == 0 && p->acked == 0);
	pair_hand(p, &first);
	shown_in_order(p, 5);
	pair_free(p);
}

/* Not taken now: nothing is acknowledged, nothing behind it is shown, and it is
 * offered again each second. */
Test(delivery, an_application_that_takes_nothing_now)
{
	struct engine_pair *p = online();
	p->client[0].refuse = 5;
	for (uint32_t n = 1; n <= 4; n++)
		cr_assert_eq(pair_push(p, n, 500, LATE), RS_OK);
	pair_run(p, 100);
	for (unsigned second = 1; second <= 5; second++) {
		cr_expect_eq(p->client[0].offers, second);
		cr_expect(p->client[0].shown == 0 && p->acked == 0);
		pair_run(p, 1000);
	}
	pair_run(p, 100);
	shown_in_order(p, 4);
	cr_expect_eq(p->acked, 4);
	pair_free(p);
}

/* For hours: it stays online, and the broker asks now and then, not always. */
Test(delivery, an_application_that_takes_nothing_for_an_hour)
{
	struct engine_pair *p = online();
	p->client[0].refuse = UINT32_MAX;
	cr_assert_eq(pair_push(p, 1, 1000, LATE), RS_OK);
	cr_assert_eq(pair_push(p, 2, 1000, pair_wall(p) + 60000), RS_OK); /* becomes void behind it */
	unsigned before = p->count[TO_CLIENT][PACKET_DATA];
	pair_run(p, 3600 * 1000);
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_eq(p->logins, 1);
	unsigned asked = p->count[TO_CLIENT][PACKET_DATA] - before;
	cr_expect(asked > 400 && asked < 500, "%u packets: one in eight seconds", asked);
	p->client[0].refuse = 0;
	pair_run(p, 10000);
	cr_expect_eq(p->client[0].shown + p->voided, 2);
	cr_expect_eq(p->acked, 2);
	pair_free(p);
}

/* More than 64 pieces and 64 messages in one batch: all is told, packets are full. */
Test(delivery, many_small_ones)
{
	struct engine_pair *p = online();
	uint32_t n = 0;
	for (int round = 0; round < 300 && p->acked < 500; round++) {
		while (n < 500 && pair_push(p, n + 1, 20, LATE) == RS_OK)
			n++;
		pair_run(p, 20);
	}
	shown_in_order(p, 500);
	cr_expect_eq(p->acked, 500);
	pair_free(p);
}

static unsigned dice = 1;

static bool lossy(struct engine_pair *p, struct datagram *d)
{
	(void)d;
	dice = dice * 1103515245u + 12345u;
	return (dice >> 16) % 100 >= p->pass_left;
}

/* A fifth, a third, a half of all packets lost: all arrives, and no number is used
 * twice by either side (pair_free looks). */
Test(delivery, through_heavy_loss)
{
	static const unsigned loss[] = {20, 33, 50};
	for (int i = 0; i < 3; i++) {
		struct engine_pair *p = online();
		p->pass = lossy;
		p->pass_left = loss[i];
		uint32_t n = 0;
		for (int second = 0; second < 3600 && p->acked < 100; second++) {
			while (n < 100 && p->conn && pair_push(p, n + 1, n * 37 % 3000, LATE) == RS_OK)
				n++;
			pair_run(p, 1000);
			if (p->client[0].state == CLIENT_STOPPED)
				break;
		}
		cr_expect_geq(p->client[0].shown, p->logins > 1 ? 1 : 100, "%u %% lost", loss[i]);
		for (unsigned k = 1; k < p->client[0].shown; k++)
			cr_assert_eq(p->client[0].id[k], p->client[0].id[k - 1] + 1);
		cr_expect_eq(p->client[0].damaged, 0);
		pair_free(p);
	}
}

/* The round trip that the broker measured is that of the wire. */
Test(delivery, the_round_trip_is_measured)
{
	static const uint64_t delay[] = {5, 40, 200}; /* beyond 500 ms the first timer is too early */
	for (int i = 0; i < 3; i++) {
		struct pair_options o = {.delay_ms = delay[i]};
		struct engine_pair *p = pair_online(&o);
		p->client[0].refuse = UINT32_MAX;
		cr_assert_eq(pair_push(p, 1, 3000, LATE), RS_OK);
		pair_run(p, 3 * delay[i]);
		cr_assert_not_null(pair_session(p, 0)->outbox);
		cr_expect_eq(rtt_smoothed_ms(&pair_session(p, 0)->outbox->rtt), 2 * delay[i]);
		pair_free(p);
	}
}

/* ---- what the owner hears of the way ---- */

static struct server_path heard;
static unsigned hearings;

static void on_path(void *ctx, const struct addr *to, const struct server_path *path)
{
	const struct engine_pair *p = ctx;
	cr_expect(addr_equal(to, &p->client[0].addr));
	heard = *path;
	hearings++;
}

Test(delivery, the_owner_hears_of_round_trip_and_loss)
{
	struct engine_pair *p = online();
	p->server->config.on_path = on_path;
	p->pass = lose_nth_to_client;
	p->pass_left = 3;
	cr_assert_eq(pair_push(p, 1, 4000, LATE), RS_OK);
	pair_run(p, 8000);
	shown_in_order(p, 1);
	cr_assert_eq(hearings, 1, "when its outbox goes");
	cr_expect(heard.rtt_ms >= 40 && heard.rtt_ms < 60, "%u", heard.rtt_ms);
	cr_expect_eq(heard.again, 1);
	cr_expect_eq(heard.sent, 4000 / 488 + 2 + 1, "%u", heard.sent);
	pair_free(p);
}

/* Its timeouts say that the client is gone, nothing of the way. */
Test(delivery, of_a_silent_client_the_owner_hears_nothing)
{
	struct engine_pair *p = online();
	p->server->config.on_path = on_path;
	p->pass = lose_all;
	cr_assert_eq(pair_push(p, 1, 4000, LATE), RS_OK);
	pair_run(p, 120000);
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(hearings, 0);
	pair_free(p);
}
