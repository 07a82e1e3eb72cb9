/* SPDX-License-Identifier: Apache-2.0 */
/* A client's change of address: MOVED, MOVE, CHALLENGE, RESPONSE; and that
 * nothing longer than what came is sent to an address that is not proven. */
#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <string.h>

static struct addr old_addr;
static unsigned amplified;
static size_t request_len;

/* The wire tells the broker's answers to the new address from those to the old one. */
static bool watch_length(struct engine_pair *p, struct datagram *d)
{
	bool from_server = addr_equal(&d->from, &p->server_addr);
	struct session *x = pair_session(p, 0);
	if (!from_server)
		request_len = d->len;
	else if (x && !addr_equal(&d->to, &x->addr) && d->len > request_len)
		amplified++;
	return true;
}

static struct engine_pair *moved(void)
{
	struct engine_pair *p = pair_online(NULL);
	old_addr = p->client[0].addr;
	p->client[0].addr.port[1] ^= 0x40;
	amplified = 0;
	p->pass = watch_length;
	return p;
}

static bool session_moved(const struct engine_pair *p)
{
	struct addr at = server_address(p->server, p->conn);
	return addr_equal(&at, &p->client[0].addr);
}

Test(server_path, a_heartbeat_from_a_new_address_moves_the_session)
{
	struct engine_pair *p = moved();
	p->log_all = true;
	pair_run(p, 9900);
	cr_expect_eq(p->log_count, 0);
	pair_run(p, 200);
	static const struct { bool to_client; uint8_t type; size_t len; } want[] = {
		{false, PACKET_HEARTBEAT, 16}, {true, PACKET_HEARTBEAT_MOVED, 16}, {false, PACKET_DATA, 51},
		{true, PACKET_DATA, 35}, {false, PACKET_DATA, 35}};
	cr_assert_eq(p->log_count, 5);
	for (int i = 0; i < 5; i++) {
		cr_expect_eq(p->log[i].data[0], want[i].type, "packet %d", i);
		cr_expect_eq(p->log[i].len, want[i].len, "packet %d", i);
		cr_expect(addr_equal(want[i].to_client ? &p->log[i].to : &p->log[i].from, &p->client[0].addr));
	}
	cr_expect(session_moved(p));
	cr_expect_eq(server_stats(p->server)->moved, 1);
	cr_expect_eq(amplified, 0);
	pair_run(p, 60000);
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_eq(p->gone, 0);
	cr_expect_eq(p->logins, 1);
	pair_free(p);
}

Test(server_path, what_was_under_way_follows)
{
	struct engine_pair *p = moved();
	for (uint32_t n = 1; n <= 5; n++)
		cr_assert_eq(pair_push(p, n, 2000, UINT64_MAX), RS_OK);
	pair_run(p, 9000);
	cr_expect_eq(p->client[0].shown, 0, "it went to the old address");
	pair_run(p, 3000);
	cr_expect_eq(p->client[0].shown, 5);
	cr_expect_eq(p->acked, 5);
	cr_expect_eq(amplified, 0);
	pair_free(p);
}

/* Each step of the proof is lost once; it is repeated within two seconds, not
 * only with the next heartbeat. */
static bool lose_one(struct engine_pair *p, struct datagram *d)
{
	(void)d;
	return p->pass_left == 0 || --p->pass_left > 0;
}

Test(server_path, a_step_that_is_lost_is_repeated_soon)
{
	for (unsigned step = 2; step <= 5; step++) {
		struct engine_pair *p = moved();
		p->pass = lose_one;
		p->pass_left = step;
		pair_run(p, 10000);
		cr_assert_not(session_moved(p));
		pair_run(p, 2500);
		cr_expect(session_moved(p), "packet %u was lost", step);
		pair_free(p);
	}
}

Test(server_path, a_wrong_token_is_refused)
{
	for (unsigned bit = 0; bit < 64; bit += 7) {
		struct engine_pair *p = moved();
		p->hold = true;
		struct frame f = {.type = FRAME_MOVE};
		struct datagram d = pair_seal(p, false, &f, 1);
		pair_hand(p, &d);
		struct datagram challenge = p->last[TO_CLIENT][PACKET_DATA];
		cr_assert_gt(keys_open(&p->client[0].client->keys, 1, challenge.data, challenge.len), 0);
		f.type = FRAME_RESPONSE;
		memcpy(f.token, challenge.data + PACKET_HEADER + FRAME_HEADER, 8);
		f.token[bit / 8] ^= (uint8_t)(1u << bit % 8);
		d = pair_seal(p, false, &f, 1);
		pair_hand(p, &d);
		cr_expect_not(session_moved(p));
		cr_expect_eq(server_stats(p->server)->path_bad, 1);
		f.token[bit / 8] ^= (uint8_t)(1u << bit % 8);
		struct addr third = p->client[0].addr;
		third.port[0] ^= 1;
		d = pair_seal(p, false, &f, 1);
		d.from = third;
		pair_hand(p, &d);
		cr_expect_eq(server_stats(p->server)->path_bad, 2, "right, but of another address");
		d = pair_seal(p, false, &f, 1);
		pair_hand(p, &d);
		cr_expect(session_moved(p));
		pair_free(p);
	}
}

/* A packet that was overtaken does not start anything: an attacker who delays and
 * forwards old ones from elsewhere gets no answer. */
Test(server_path, only_the_newest_packet_counts)
{
	struct engine_pair *p = moved();
	p->hold = true;
	struct frame f = {.type = FRAME_MOVE};
	struct datagram move = pair_seal(p, false, &f, 1);
	client_send_beat(p->client[0].client, p->now_ms);
	struct datagram beat = p->last[TO_SERVER][PACKET_HEARTBEAT];
	struct datagram newer = pair_seal(p, false, &f, 1);
	newer.from = old_addr;
	pair_hand(p, &newer);
	unsigned before = p->sent;
	pair_hand(p, &move);
	pair_hand(p, &beat);
	cr_expect_eq(p->sent, before);
	pair_free(p);
}

/* DATA too short to be answered with CHALLENGE is not, whatever it says. */
Test(server_path, short_packets_are_not_answered)
{
	struct engine_pair *p = moved();
	p->hold = true;
	static const uint8_t unknown[64] = {0x7f, 0, 0};
	for (size_t len = 3; len <= 40; len++) {
		uint8_t frames[64];
		memcpy(frames, unknown, sizeof frames);
		frames[2] = (uint8_t)(len - 3);
		struct datagram d = pair_seal_bytes(p, false, frames, len);
		unsigned before = p->sent;
		request_len = d.len;
		pair_hand(p, &d);
		cr_expect_eq(p->sent - before, d.len >= 35, "%zu bytes", d.len);
	}
	cr_expect_eq(amplified, 0);
	pair_free(p);
}

Test(server_path, acknowledgements_from_an_address_without_proof_count)
{
	struct engine_pair *p = moved();
	p->hold = true;
	cr_assert_eq(pair_push(p, 1, 10, UINT64_MAX), RS_OK);
	pair_settle(p);
	struct frame f = {.type = FRAME_MESSAGE_ACK, .message_ack = {1, 1, (const uint8_t *)"\0\0\0\1"}};
	struct datagram d = pair_seal(p, false, &f, 1);
	pair_hand(p, &d);
	cr_expect_eq(p->acked, 1, "they are authentic");
	cr_expect_not(session_moved(p));
	pair_free(p);
}

/* Before the login an address does not change: LOGIN from elsewhere is dropped. */
Test(server_path, login_from_another_address_is_dropped)
{
	struct engine_pair *p = pair_new(NULL);
	p->hold = true;
	pair_start(p, 0);
	pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
	pair_hand(p, &p->last[TO_CLIENT][PACKET_RESP]);
	client_tick(p->client[0].client, p->now_ms, pair_wall(p));
	struct datagram login = p->last[TO_SERVER][PACKET_DATA];
	login.from.port[1] ^= 1;
	unsigned before = p->sent;
	pair_hand(p, &login);
	cr_expect_eq(p->logins, 0);
	cr_expect_eq(p->sent, before);
	p->wire_count = 0;
	p->hold = false;
	cr_expect(pair_until(p, CLIENT_ONLINE, 3000), "the next LOGIN, from the right one, is taken");
	pair_free(p);
}

/* A closed session: the other address gets nothing. */
Test(server_path, a_closed_session_answers_its_own_address_only)
{
	struct engine_pair *p = moved();
	p->hold = true;
	server_close_session(p->server, p->conn, p->now_ms, CLOSE_SHUTDOWN);
	unsigned before = p->sent;
	client_send_beat(p->client[0].client, p->now_ms);
	pair_hand(p, &p->last[TO_SERVER][PACKET_HEARTBEAT]);
	struct frame f = {.type = FRAME_MOVE};
	struct datagram d = pair_seal(p, false, &f, 1);
	pair_hand(p, &d);
	cr_expect_eq(p->sent, before + 1, "the heartbeat itself");
	pair_free(p);
}
