/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's engine: logins, ends of sessions, timeouts, and what it tells
 * clients that it does not know. Handshakes and addresses: test_server_hello.c
 * and test_server_path.c. */
#include "support/engine_pair.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

static enum session_state state_of(const struct engine_pair *p)
{
	struct session *x = pair_session(p, 0);
	return x ? (enum session_state)x->state : SESSION_FREE;
}

/* A broker without a client has timers too; they must lie in the future, or the
 * loop around it would turn without end. */
Test(server, the_deadline_is_in_the_future_after_a_tick)
{
	struct engine_pair *p = pair_new(NULL);
	for (int i = 0; i < 50; i++) {
		p->now_ms = server_deadline(p->server) > p->now_ms ? server_deadline(p->server) : p->now_ms;
		server_tick(p->server, p->now_ms, pair_wall(p));
		cr_assert_gt(server_deadline(p->server), p->now_ms, "turn %d, no session", i);
		if (i == 20)
			pair_start(p, 0);
		pair_settle(p);
	}
	pair_free(p);
}

Test(server, login_is_accepted)
{
	struct engine_pair *p = pair_online(NULL);
	const struct server_stats *s = server_stats(p->server);
	cr_expect(s->handshakes == 1 && s->logins == 1 && s->accepted == 1 && s->online == 1);
	cr_expect(s->sessions == 1 && s->half_open == 0);
	cr_expect_eq(client_owner(p->client[0].client), 1);
	cr_expect_eq(server_user(p->server, p->conn), p);
	struct addr at = server_address(p->server, p->conn);
	cr_expect(addr_equal(&at, &p->client[0].addr));
	cr_expect_eq(server_accept(p->server, p->conn, p->now_ms, 2, p), RS_ENOENT, "once");
	cr_expect_eq(server_reject(p->server, p->conn, p->now_ms, CLOSE_EXPIRED, 0), RS_ENOENT);
	pair_free(p);
}

static unsigned each_calls;
static void count_each(void *ctx, uint32_t conn, void *user)
{
	struct engine_pair *p = ctx;
	cr_assert(conn == p->conn && user == p);
	each_calls++;
}

Test(server, a_session_that_is_not_online_is_not_there_for_the_broker)
{
	struct engine_pair *p = pair_new(NULL);
	p->login_does = PAIR_HOLD;
	pair_start(p, 0);
	pair_run(p, 100);
	cr_assert_eq(state_of(p), SESSION_LOGIN);
	p->conn = p->login_conn;
	cr_expect_null(server_user(p->server, p->conn));
	cr_expect_eq(pair_push(p, 1, 10, UINT64_MAX), RS_ENOENT);
	cr_expect_not(server_has_room(p->server, p->conn));
	server_each(p->server, count_each, p);
	cr_expect_eq(each_calls, 0);
	cr_assert_eq(server_accept(p->server, p->conn, p->now_ms, 9, p), RS_OK);
	server_each(p->server, count_each, p);
	cr_expect_eq(each_calls, 1);
	uint32_t place = 0;
	for (int parts = 0; server_each_of(p->server, &place, 1, count_each, p); parts++)
		cr_assert_lt(parts, 1 << 22, "it comes to an end");
	cr_expect_eq(each_calls, 2, "in parts, once as well");
	cr_expect_not(server_each_of(p->server, &place, 1, count_each, p));
	cr_expect_eq(each_calls, 2);
	cr_expect(server_has_room(p->server, p->conn));
	cr_expect_eq(pair_push(p, 1, 10, UINT64_MAX), RS_OK);
	cr_expect_null(server_user(p->server, p->conn + 1));
	server_close_session(p->server, 12345, p->now_ms, CLOSE_TIMEOUT); /* no such: nothing */
	pair_free(p);
}

Test(server, login_repeated_is_answered_again_and_asked_once)
{
	struct engine_pair *p = pair_new(NULL);
	p->login_does = PAIR_HOLD;
	pair_start(p, 0);
	pair_run(p, 4000); /* LOGIN at 0, 0.5, 1.5, 3.5 s */
	cr_expect_eq(p->count[TO_SERVER][PACKET_DATA], 4);
	cr_expect_eq(p->logins, 1);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_DATA], 0);
	p->hold = true; /* LOGIN_OK is lost */
	cr_assert_eq(server_accept(p->server, p->login_conn, p->now_ms, 77, p), RS_OK);
	p->conn = p->login_conn;
	p->wire_count = 0;
	p->hold = false;
	cr_expect(pair_until(p, CLIENT_ONLINE, 5000));
	cr_expect_eq(p->logins, 1);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_DATA], 2);
	cr_expect_eq(client_owner(p->client[0].client), 77);
	pair_free(p);
}

/* Each code of LOGIN_FAIL, and what the client makes of it. */
Test(server, login_rejected)
{
	for (unsigned code = 0; code <= CLOSE_LEASE_LOST + 1; code++) {
		bool final = code == CLOSE_BAD_SESSION || code == CLOSE_EXPIRED || code == CLOSE_SUPERSEDED;
		struct engine_pair *p = pair_new(NULL);
		p->login_does = PAIR_REJECT;
		p->reject_code = (enum close_code)code;
		p->reject_retry_ms = 3000;
		pair_start(p, 0);
		cr_assert(pair_until(p, final ? CLIENT_STOPPED : CLIENT_WAITING, 1000), "code %u", code);
		cr_expect_eq(p->client[0].why, code);
		cr_expect_eq(p->gone, 0, "it was never there");
		cr_expect_eq(state_of(p), SESSION_CLOSED);
		uint64_t since = p->now_ms;
		p->login_does = PAIR_ACCEPT;
		bool again = pair_until(p, CLIENT_ONLINE, 60000);
		cr_expect_eq(again, !final, "code %u", code);
		if (again) /* retry_ms, and up to a second (and retry_ms, where the broker is well) more */
			cr_expect(p->now_ms - since >= 3000 && p->now_ms - since <= 7100, "%llu ms",
				  (unsigned long long)(p->now_ms - since));
		pair_free(p);
	}
}

Test(server, login_fail_that_was_lost_is_said_again)
{
	struct engine_pair *p = pair_new(NULL);
	p->login_does = PAIR_HOLD;
	pair_start(p, 0);
	pair_run(p, 100);
	p->hold = true;
	cr_assert_eq(server_reject(p->server, p->login_conn, p->now_ms, CLOSE_EXPIRED, 0), RS_OK);
	p->wire_count = 0;
	p->hold = false;
	cr_expect(pair_until(p, CLIENT_STOPPED, 1000));
	cr_expect_eq(p->client[0].why, CLOSE_EXPIRED);
	pair_free(p);
}

Test(server, a_login_that_is_never_answered_is_refused)
{
	struct engine_pair *p = pair_new(NULL);
	p->login_does = PAIR_HOLD;
	pair_start(p, 0);
	pair_run(p, 100);
	uint32_t conn = p->login_conn;
	pair_run(p, 17400);
	cr_expect_eq(server_stats(p->server)->login_timeouts, 1);
	cr_expect_eq(p->gone, 0);
	cr_expect_eq(server_accept(p->server, conn, p->now_ms, 1, p), RS_ENOENT, "too late");
	pair_free(p);
}

/* Two clients of one user; the first is told, or, if that was lost, told when it
 * speaks next, and stays away. */
static void superseded(bool close_is_lost, uint16_t heartbeat_s)
{
	struct pair_options o = {.heartbeat_s = heartbeat_s};
	struct engine_pair *p = pair_online(&o);
	pair_run(p, 200);
	pair_start(p, 1);
	p->hold = close_is_lost;
	for (int i = 0; close_is_lost && p->logins < 2 && i < 10; i++) {
		for (unsigned k = 0; k < p->wire_count; k++)
			if (!addr_equal(&p->wire[k].to, &p->client[0].addr))
				pair_hand(p, &p->wire[k]);
		p->wire_count = 0;
		client_tick(p->client[1].client, p->now_ms, pair_wall(p));
	}
	pair_settle(p);
	if (close_is_lost) {
		cr_assert_eq(p->logins, 2);
		cr_assert_eq(p->client[0].state, CLIENT_ONLINE);
		struct datagram d = p->last[TO_CLIENT][PACKET_DATA]; /* LOGIN_OK; CLOSE went before it */
		p->wire_count = 0;
		p->hold = false;
		pair_hand(p, &d);
	}
	pair_run(p, 3 * 1000ull * heartbeat_s);
	cr_expect_eq(p->client[0].state, CLIENT_STOPPED);
	cr_expect_eq(p->client[0].why, CLOSE_SUPERSEDED);
	cr_expect_eq(p->client[1].state, CLIENT_ONLINE);
	cr_expect_eq(p->logins, 2);
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(p->gone_why, CLOSE_SUPERSEDED);
	pair_free(p);
}

Test(server, superseded) { superseded(false, 10); }
Test(server, superseded_and_the_close_was_lost) { superseded(true, 10); }
/* The closed session must answer for longer than the client may be silent. */
Test(server, superseded_with_a_long_heartbeat_and_the_close_was_lost) { superseded(true, 120); }

Test(server, silence_ends_a_session_after_three_heartbeats)
{
	struct engine_pair *p = pair_online(NULL);
	struct client *c = p->client[0].client;
	p->client[0].client = NULL; /* it is unplugged */
	pair_run(p, 3 * 1000 * PAIR_HEARTBEAT_S - 1000);
	cr_expect_eq(p->gone, 0);
	pair_run(p, 3200);
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(p->gone_why, CLOSE_TIMEOUT);
	cr_expect_eq(server_stats(p->server)->timeouts, 1);
	cr_expect_eq(server_stats(p->server)->online, 0);
	pair_run(p, SERVER_LINGER_MS + 3000);
	cr_expect_eq(server_stats(p->server)->sessions, 0, "and frees it after a while");
	p->client[0].client = c;
	pair_free(p);
}

Test(server, heartbeats_keep_it_online)
{
	struct engine_pair *p = pair_online(NULL);
	pair_run(p, 600 * 1000);
	cr_expect_eq(p->gone, 0);
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	cr_expect_eq(p->count[TO_SERVER][PACKET_HEARTBEAT], 60);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_HEARTBEAT_ACK], 60);
	pair_free(p);
}

Test(server, a_closed_session_says_why_and_is_forgotten_later)
{
	struct engine_pair *p = pair_online(NULL);
	struct datagram beat;
	p->hold = true;
	client_send_beat(p->client[0].client, p->now_ms);
	beat = p->last[TO_SERVER][PACKET_HEARTBEAT];
	server_close_session(p->server, p->conn, p->now_ms, CLOSE_SHUTDOWN);
	p->wire_count = 0;
	unsigned before = p->count[TO_CLIENT][PACKET_DATA];
	pair_hand(p, &beat);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_DATA], before + 1, "a heartbeat is answered with CLOSE");
	pair_hand(p, &beat);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_DATA], before + 1, "a replay is not");
	struct client *c = p->client[0].client;
	p->client[0].client = NULL;
	pair_run(p, SERVER_LINGER_MS + 3000);
	p->client[0].client = c;
	pair_hand(p, &beat);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_RESET], 1);
	pair_free(p);
}

Test(server, log_out)
{
	struct engine_pair *p = pair_online(NULL);
	cr_assert_eq(pair_push(p, 1, 3000, UINT64_MAX), RS_OK);
	client_stop(p->client[0].client);
	pair_settle(p);
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(p->gone_why, CLOSE_NORMAL);
	cr_expect_eq(server_stats(p->server)->sessions, 0);
	cr_expect_eq(server_stats(p->server)->online, 0);
	pair_free(p);
}

Test(server, malformed_frames_close_the_session_with_code_8)
{
	static const uint8_t bad[][5] = {
		{FRAME_CLOSE, 0, 9, 0, 0}, {FRAME_FRAGMENT_ACK, 0, 2, 1, 2}, {FRAME_MOVE, 0, 1, 0, 0}};
	for (size_t i = 0; i < 3; i++) {
		struct engine_pair *p = pair_online(NULL);
		struct datagram d = pair_seal_bytes(p, false, bad[i], 5);
		pair_hand(p, &d);
		cr_expect_eq(p->gone, 1);
		cr_expect_eq(p->gone_why, CLOSE_PROTOCOL);
		cr_expect(pair_until(p, CLIENT_WAITING, 100));
		cr_expect_eq(p->client[0].why, CLOSE_PROTOCOL);
		pair_free(p);
	}
}

Test(server, a_malformed_login_is_refused_with_code_8)
{
	struct engine_pair *p = pair_new(NULL);
	p->hold = true;
	pair_start(p, 0);
	pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
	pair_hand(p, &p->last[TO_CLIENT][PACKET_RESP]);
	struct datagram d = pair_seal_bytes(p, false, (const uint8_t[]){FRAME_LOGIN, 0, 1, 0}, 4);
	pair_hand(p, &d);
	cr_expect_eq(state_of(p), SESSION_CLOSED);
	cr_expect(p->logins == 0 && p->gone == 0);
	cr_expect_eq(server_stats(p->server)->half_open, 0);
	pair_hand(p, &p->last[TO_CLIENT][PACKET_DATA]);
	cr_expect_eq(p->client[0].state, CLIENT_WAITING);
	cr_expect_eq(p->client[0].why, CLOSE_PROTOCOL);
	pair_free(p);
}

/* What stands before the malformed frame counts; what stands behind does not. */
Test(server, frames_around_a_malformed_one)
{
	struct engine_pair *p = pair_online(NULL);
	uint8_t frames[64];
	struct frame a = {.type = FRAME_MESSAGE_ACK, .message_ack = {0, 1, (const uint8_t *)"\0\0\0\1"}}, b = a;
	b.message_ack.refs = (const uint8_t *)"\0\0\0\2";
	p->hold = true;
	cr_assert_eq(pair_push(p, 1, 10, UINT64_MAX), RS_OK);
	cr_assert_eq(pair_push(p, 2, 10, UINT64_MAX), RS_OK);
	pair_settle(p);
	struct writer w = writer_over(frames, sizeof frames);
	frame_write(&w, &a);
	write_bytes(&w, "\x23\0\1\0", 4);
	frame_write(&w, &b);
	struct datagram d = pair_seal_bytes(p, false, frames, writer_len(&w));
	pair_hand(p, &d);
	cr_expect_eq(p->acked, 1);
	cr_expect_eq(p->acked_id[0], 1);
	cr_expect_eq(p->gone_why, CLOSE_PROTOCOL);
	pair_free(p);
}

Test(server, resets_are_limited)
{
	struct engine_pair *p = pair_online(NULL);
	struct datagram d = {.from = p->client[0].addr, .to = p->server_addr, .len = HEARTBEAT_BYTES,
			     .data = {PACKET_HEARTBEAT, 9}};
	p->hold = true;
	for (int second = 0; second < 3; second++, p->now_ms += 1000)
		for (int i = 0; i < SERVER_RESETS_PER_S * 3 / 2; i++) {
			pair_hand(p, &d);
			p->wire_count = 0;
		}
	cr_expect_eq(p->count[TO_CLIENT][PACKET_RESET], 3 * SERVER_RESETS_PER_S);
	cr_expect_eq(server_stats(p->server)->resets_suppressed, 3 * SERVER_RESETS_PER_S / 2);
	pair_free(p);
}

Test(server, heartbeat_says_more_while_something_waits)
{
	struct engine_pair *p = pair_online(NULL);
	server_set_more(p->server, p->conn, true);
	pair_run(p, 10100);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_HEARTBEAT_MORE], 1);
	pair_run(p, 2000); /* and the client beats again within 2 s */
	cr_expect_eq(p->count[TO_CLIENT][PACKET_HEARTBEAT_MORE], 2);
	server_set_more(p->server, p->conn, false);
	pair_run(p, 2000);
	cr_expect_eq(p->count[TO_CLIENT][PACKET_HEARTBEAT_ACK], 1);
	pair_run(p, 9000);
	cr_expect_eq(p->count[TO_SERVER][PACKET_HEARTBEAT], 3, "then at its usual pace");
	pair_free(p);
}

/* Numbers of the broker's packets are not to run out: it closes in time. */
Test(server, a_session_at_its_last_number_is_closed)
{
	struct engine_pair *p = pair_online(NULL);
	pair_session(p, 0)->next_number = SERVER_NUMBER_MAX + 1000; /* its low 24 bits are new, too */
	cr_assert_eq(pair_push(p, 1, 10, UINT64_MAX), RS_OK);
	pair_settle(p);
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(p->gone_why, CLOSE_SHUTDOWN);
	pair_free(p);
}

/* A client that never renews its keys is ended by its own numbers. */
Test(server, a_client_at_its_last_number_is_closed)
{
	struct engine_pair *p = pair_online(NULL);
	struct client *c = p->client[0].client;
	c->next_number = SERVER_NUMBER_MAX + 1000;
	pair_session(p, 0)->received.next = SERVER_NUMBER_MAX + 1000;
	client_send_beat(c, p->now_ms);
	pair_settle(p);
	cr_expect_eq(p->gone, 1);
	cr_expect_eq(p->gone_why, CLOSE_SHUTDOWN);
	pair_free(p);
}

Test(server, fallback_brokers_are_named_at_login)
{
	struct engine_pair *p = pair_new(NULL);
	struct frame_brokers f = {.count = 2};
	f.at[0].address = p->balancer_addr;
	f.at[1].address = p->server_addr;
	server_set_fallback(p->server, &f);
	pair_start(p, 0);
	cr_assert(pair_until(p, CLIENT_ONLINE, 1000));
	const struct client *c = p->client[0].client;
	cr_expect_eq(c->fallback.count, 2);
	cr_expect(addr_equal(&c->fallback.at[1].address, &p->server_addr));
	pair_free(p);
}
