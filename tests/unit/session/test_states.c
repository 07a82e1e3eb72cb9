/* SPDX-License-Identifier: Apache-2.0 */
/* Every packet and every frame in every state of a client and of a broker's
 * session. Those of a session are authentic: what counts is whether they make
 * sense now. "Nothing" means that no byte of either engine changes; for DATA,
 * which leaves its number, that nothing is sent and nobody hears of it. */
#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <string.h>

enum { FRAMES = 14, OTHERS = 12 };

static const uint8_t refs[] = {0, 0, 0, 1};
static const uint8_t piece[10] = {0};

static const struct frame frame[FRAMES] = {
	{.type = FRAME_LOGIN, .login = {{0}, "alice", "s", 5, 1}},
	{.type = FRAME_LOGIN_OK, .login_ok = {7, 20, {0}}},
	{.type = FRAME_LOGIN_FAIL, .login_fail = {CLOSE_UNAVAILABLE, 100}},
	{.type = FRAME_MESSAGE, .message = {1, 10, 0, piece, 10}},
	{.type = FRAME_FRAGMENT_ACK, .fragment_ack = {1, 1, 1}},
	{.type = FRAME_MESSAGE_ACK, .message_ack = {1, 1, refs}},
	{.type = FRAME_CHALLENGE, .token = {1}},
	{.type = FRAME_RESPONSE, .token = {1}},
	{.type = FRAME_REDIRECT, .redirect = {100, {0}}},
	{.type = FRAME_CLOSE, .close_code = CLOSE_LEASE_LOST},
	{.type = FRAME_MOVE},
	{.type = FRAME_REQUEST, .request = {1, REQUEST_SUBSCRIBE, 1, "a"}},
	{.type = FRAME_REPLY, .reply = {1, REPLY_DONE}}, /* of nothing that was asked */
	{.type = (enum frame_type)0x7f}, /* of a later version: an empty frame */
};

/* ---- the client ---- */

/* What was heard on the way into a state, to be said again in it. */
struct heard {
	struct engine_pair *p;
	struct keys client, server; /* of the session there was */
	uint32_t conn, number;      /* next of the broker's, far enough on */
	struct datagram resp, answer, reset, init, ask, beat, cookie;
	uint8_t token[RESET_TOKEN];
};

static struct engine_pair *to_state(struct heard *h, enum client_state state)
{
	static const struct pair_options o = {.balancer = true, .gate = {.bad_burst = UINT32_MAX}};
	struct engine_pair *p = h->p = pair_online(&o);
	struct client *c = p->client[0].client;
	h->client = c->keys;
	h->server = pair_session(p, 0)->keys;
	h->conn = c->conn;
	h->number = 50;
	memcpy(h->token, c->reset_token, sizeof h->token);
	h->resp = p->last[TO_CLIENT][PACKET_RESP];
	h->answer = p->last[TO_CLIENT][PACKET_ANSWER];
	h->init = p->last[TO_SERVER][PACKET_INIT];
	h->ask = p->last[TO_SERVER][PACKET_ASK];
	if (state == CLIENT_ONLINE) {
		p->hold = true;
		return p;
	}
	if (state == CLIENT_STOPPED) {
		client_stop(c);
		p->hold = true;
		return p;
	}
	struct datagram close = pair_seal(p, true, &frame[9], 1);
	pair_hand(p, &close);
	p->hold = true;
	p->wire_count = 0;
	if (state != CLIENT_WAITING)
		cr_assert(pair_until(p, CLIENT_ASKING, 2000));
	if (state == CLIENT_HELLO || state == CLIENT_LOGIN) {
		pair_hand(p, &p->last[TO_SERVER][PACKET_ASK]);
		pair_hand(p, &p->last[TO_CLIENT][PACKET_ANSWER]);
	}
	if (state == CLIENT_LOGIN) {
		pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
		pair_hand(p, &p->last[TO_CLIENT][PACKET_RESP]);
		h->client = c->keys;
		h->server = pair_session(p, 0)->keys;
		h->conn = c->conn;
		memcpy(h->token, c->reset_token, sizeof h->token);
	}
	cr_assert_eq(client_state(c), state);
	return p;
}

static struct datagram from_peer(const struct heard *h)
{
	return (struct datagram){.from = h->p->client[0].client->peer, .to = h->p->client[0].addr};
}

static struct datagram data_to_client(struct heard *h, const struct frame *f)
{
	struct datagram d = from_peer(h);
	struct writer w = writer_over(d.data + PACKET_HEADER, PACKET_FRAMES_MAX);
	frame_write(&w, f);
	d.len = (size_t)keys_seal(&h->server, h->conn, h->number++, d.data, writer_len(&w));
	return d;
}

/* The packets that are not DATA, in the order of their types. */
static struct datagram other_to_client(struct heard *h, unsigned i)
{
	static const uint8_t beats[] = {PACKET_HEARTBEAT, PACKET_HEARTBEAT_ACK, PACKET_HEARTBEAT_MORE,
					PACKET_HEARTBEAT_MOVED};
	struct datagram d = from_peer(h), *last;
	if (i < 4) {
		keys_write_beat(&h->client, (enum packet_type)beats[i], h->conn, h->p->client[0].client->beat_number, d.data);
		d.len = HEARTBEAT_BYTES;
		return d;
	}
	if (i == 4) {
		struct packet_header header = {PACKET_RESET, h->conn, 0};
		packet_write_header(d.data, &header);
		memcpy(d.data + PACKET_HEADER, h->token, RESET_TOKEN);
		d.len = RESET_BYTES;
		return d;
	}
	struct datagram *const stale[] = {&h->init, &h->resp, &h->ask, &h->answer};
	if (i < 9) {
		last = stale[i - 5];
		memcpy(d.data, last->data, d.len = last->len);
		return d;
	}
	packet_write_hello(d.data, i == 9 ? PACKET_COOKIE : i == 10 ? PACKET_RESP : PACKET_ANSWER,
			   h->p->client[0].client->attempt);
	d.len = i == 9 ? COOKIE_BYTES : i == 10 ? RESP_BYTES : 112; /* of this attempt; the latter two do not verify */
	return d;
}

/* By frame: what it does in LOGIN and ONLINE. 's': something is sent; otherwise
 * the state afterwards (L stays in LOGIN, O ONLINE, W WAITING). */
static const char in_login[FRAMES + 1] = "LOWLLLsLLWLLLL", in_online[FRAMES + 1] = "OOWsOOsOWWOOOO";

static void check_client_frame(enum client_state state, unsigned i)
{
	struct heard h;
	struct pair_image image = {0};
	struct engine_pair *p = to_state(&h, state);
	struct datagram d = data_to_client(&h, &frame[i]);
	if (i == FRAMES - 1)
		cr_assert_eq(d.len, PACKET_HEADER + FRAME_HEADER + PACKET_TAG);
	unsigned sent = p->sent, events = p->events;
	pair_image_take(&image, p);
	pair_hand(p, &d);
	char want = state == CLIENT_LOGIN ? in_login[i] : state == CLIENT_ONLINE ? in_online[i] : '-';
	enum client_state after = want == 'W' ? CLIENT_WAITING : want == 'O' ? CLIENT_ONLINE : state;
	if (want == '-')
		cr_expect(pair_image_same(&image, p), "frame %u while %s", i, client_state_text(state));
	cr_expect_eq(p->sent - sent, want == 's', "frame %u while %s", i, client_state_text(state));
	cr_expect_eq(client_state(p->client[0].client), after, "frame %u while %s", i, client_state_text(state));
	bool shows = state == CLIENT_ONLINE && frame[i].type == FRAME_MESSAGE; /* not an object: not shown, yet taken */
	cr_expect_eq(p->events - events, after != state, "frame %u while %s", i, client_state_text(state));
	cr_expect_eq(client_stats(p->client[0].client)->shown, 0);
	cr_expect_eq(p->client[0].client->inbox.next, shows ? 2 : 1);
	pair_image_deinit(&image);
	pair_free(p);
}

Test(states, every_frame_in_every_state_of_a_client)
{
	unsigned cases = 0;
	for (int state = CLIENT_STOPPED; state <= CLIENT_ONLINE; state++)
		for (unsigned i = 0; i < FRAMES; i++, cases++)
			check_client_frame((enum client_state)state, i);
	cr_expect_eq(cases, 84);
}

Test(states, every_other_packet_in_every_state_of_a_client)
{
	for (int state = CLIENT_STOPPED; state <= CLIENT_ONLINE; state++)
		for (unsigned i = 0; i < OTHERS; i++) {
			struct heard h;
			struct pair_image image = {0};
			struct engine_pair *p = to_state(&h, (enum client_state)state);
			struct datagram d = other_to_client(&h, i);
			pair_image_take(&image, p);
			pair_hand(p, &d);
			bool session = state == CLIENT_LOGIN || state == CLIENT_ONLINE;
			bool hello = state == CLIENT_HELLO || state == CLIENT_ASKING;
			bool counts = (i == 4 && session) || (i == 9 && hello); /* RESET; COOKIE */
			cr_expect_eq(pair_image_same(&image, p), !counts, "packet %u while %s", i,
				     client_state_text((enum client_state)state));
			pair_image_deinit(&image);
			pair_free(p);
		}
}

/* ---- the broker ---- */

enum { UNKNOWN = SESSION_FREE };

static struct engine_pair *server_in(enum session_state state)
{
	static const struct pair_options o = {.gate = {.bad_burst = UINT32_MAX}};
	struct engine_pair *p = pair_new(&o);
	p->hold = true;
	p->login_does = state == SESSION_LOGIN ? PAIR_HOLD : PAIR_ACCEPT;
	pair_start(p, 0);
	pair_hand(p, &p->last[TO_SERVER][PACKET_INIT]);
	pair_hand(p, &p->last[TO_CLIENT][PACKET_RESP]);
	if (state == SESSION_LOGIN || state == SESSION_ONLINE || state == SESSION_CLOSED) {
		client_tick(p->client[0].client, p->now_ms, pair_wall(p));
		pair_hand(p, &p->last[TO_SERVER][PACKET_DATA]);
	}
	if (state == SESSION_CLOSED)
		server_close_session(p->server, p->conn, p->now_ms, CLOSE_LEASE_LOST);
	if (state == SESSION_ONLINE)
		cr_assert_eq(pair_push(p, 1, 10, UINT64_MAX), RS_OK);
	server_flush(p->server, p->now_ms, pair_wall(p));
	cr_assert_eq(pair_session(p, 0)->state, state);
	return p;
}

/* After each frame: the state (H, L, O, C; F: freed), and how many packets. */
static const struct { enum session_state state; char after[FRAMES + 1]; char sent[FRAMES + 1]; } broker[] = {
	{SESSION_HALF_OPEN, "OHHHHHHHHFHHHH", "10000000000000"},
	{SESSION_LOGIN, "LLLLLLLLLFLLLL", "00000000000000"},
	{SESSION_ONLINE, "OOOOOOOOOFOOOO", "10000000000100"},
	{SESSION_CLOSED, "CCCCCCCCCCCCCC", "11111111111111"},
};

Test(states, every_frame_in_every_state_of_a_session)
{
	for (size_t k = 0; k < sizeof broker / sizeof *broker; k++)
		for (unsigned i = 0; i < FRAMES; i++) {
			struct engine_pair *p = server_in(broker[k].state);
			struct datagram d = pair_seal(p, false, &frame[i], 1);
			unsigned sent = p->sent, acked = p->acked;
			pair_hand(p, &d);
			struct session *x = pair_session(p, 0);
			char after = x ? "FHLOC"[x->state] : 'F';
			cr_expect_eq(after, broker[k].after[i], "state %zu frame %u: %c", k, i, after);
			cr_expect_eq(p->sent - sent, (unsigned)(broker[k].sent[i] - '0'), "state %zu frame %u", k, i);
			cr_expect_eq(p->acked - acked, broker[k].state == SESSION_ONLINE && frame[i].type == FRAME_MESSAGE_ACK);
			pair_free(p);
		}
}

/* Not DATA. What a broker or a balancer sends is dropped; a heartbeat is answered
 * when online, and with the reason when closed. */
Test(states, every_other_packet_in_every_state_of_a_session)
{
	static const uint8_t type[] = {PACKET_HEARTBEAT, PACKET_HEARTBEAT_ACK, PACKET_HEARTBEAT_MORE, PACKET_HEARTBEAT_MOVED,
				       PACKET_RESET, PACKET_RESP, PACKET_COOKIE, PACKET_ASK, PACKET_ANSWER};
	static const size_t len[] = {16, 16, 16, 16, 16, 96, 24, 512, 112};
	for (size_t k = 0; k < sizeof broker / sizeof *broker; k++)
		for (size_t i = 0; i < sizeof type; i++) {
			struct engine_pair *p = server_in(broker[k].state);
			struct client *c = p->client[0].client;
			struct pair_image image = {0};
			struct datagram d = {.from = p->client[0].addr, .to = p->server_addr, .len = len[i]};
			keys_write_beat(&c->keys, (enum packet_type)type[i], c->conn, c->next_number++, d.data);
			pair_image_take(&image, p);
			unsigned sent = p->sent;
			pair_hand(p, &d);
			bool answered = i == 0 && (broker[k].state == SESSION_ONLINE || broker[k].state == SESSION_CLOSED);
			cr_expect_eq(p->sent - sent, answered, "state %zu packet %zu", k, i);
			cr_expect(i == 0 || pair_image_same(&image, p), "state %zu packet %zu", k, i);
			cr_expect_eq(pair_session(p, 0)->state, broker[k].state);
			pair_image_deinit(&image);
			pair_free(p);
		}
}

/* A conn that is not known: RESET for DATA and HEARTBEAT, nothing for the rest. */
Test(states, every_packet_for_an_unknown_session)
{
	struct engine_pair *p = server_in(SESSION_ONLINE);
	struct pair_image image = {0};
	pair_image_take(&image, p);
	for (unsigned type = 0; type < 256; type++)
		for (size_t len = 0; len <= 512; len += len < 130 ? 1 : 191) {
			struct datagram d = {.from = p->client[0].addr, .to = p->server_addr, .len = len};
			memset(d.data, 0x5a, sizeof d.data);
			d.data[0] = (uint8_t)type;
			unsigned sent = p->sent, resets = p->count[TO_CLIENT][PACKET_RESET];
			pair_hand(p, &d);
			p->wire_count = 0;
			bool reset = (type == PACKET_HEARTBEAT && len == 16) || (type == PACKET_DATA && len >= 25);
			cr_assert_eq(p->sent - sent, reset, "type %#x, %zu bytes", type, len);
			cr_assert_eq(p->count[TO_CLIENT][PACKET_RESET] - resets, reset);
			cr_assert(!reset || p->last[TO_CLIENT][PACKET_RESET].len <= len);
		}
	cr_expect(pair_image_same(&image, p));
	pair_image_deinit(&image);
	pair_free(p);
}
