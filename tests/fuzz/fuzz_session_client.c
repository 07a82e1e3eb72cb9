/* SPDX-License-Identifier: Apache-2.0 */
/* A client between a hostile network and a hostile broker: raw datagrams in every
 * state, and from the balancer and the broker whatever payload or frames verify. The
 * client shows each message once, keeps no more than its window, sends only what is
 * well-formed, and never uses a packet number twice. */
#include "engine.h"

#include "base/bytes.h"
#include "session/client_state.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS = 96, SHOWN_MAX = 4096, WINDOW = 20000, BALANCER = 1, BROKER = 2, OTHER = 3 };

struct world {
	struct client *client;
	struct noise noise;   /* ours, of the last handshake that was answered */
	struct keys keys;     /* the broker's */
	bool has_keys;
	uint32_t conn;
	uint8_t token[RESET_TOKEN];
	uint64_t next;        /* the broker's next number */
	uint64_t client_next; /* the client's */
	uint8_t hello[ASK_BYTES];
	uint8_t beat[HEARTBEAT_BYTES];
	unsigned refuse;      /* messages not taken now */
	bool stops;           /* client_stop() from inside of the next message */
	struct ulid shown[SHOWN_MAX];
	bool forgets;         /* it remembers so many that the first is forgotten */
	size_t shown_count;
	unsigned asked, answered; /* requests: so many have a number, so many their answer */
	bool asks_again;      /* from inside of the next answer */
	enum client_state state;
	unsigned sent;        /* in this step */
};

static struct ulid seeded;

void fuzz_start(void) { engine_start(); }

/* ---- what the client does ---- */

static void see_frames(const struct world *w, const uint8_t *data, size_t len)
{
	struct reader r = reader_over(data, len);
	struct frame f;
	unsigned count = 0;
	for (; frame_read(&r, &f) == RS_OK; count++) {
		if (f.type == FRAME_REQUEST) {
			fuzz_check(w->state == CLIENT_ONLINE && f.request.number == w->answered + 1, "request %u is sent out of turn",
				   f.request.number);
			continue;
		}
		fuzz_check(f.type == FRAME_LOGIN || f.type == FRAME_FRAGMENT_ACK || f.type == FRAME_MESSAGE_ACK ||
				   f.type == FRAME_RESPONSE || f.type == FRAME_CLOSE || f.type == FRAME_MOVE,
			   "a client sends frame %u", f.type);
	}
	fuzz_check(!r.failed && count > 0, "the client sends a malformed frame or none");
}

static void see_session_packet(struct world *w, const uint8_t *data, size_t len)
{
	uint8_t packet[PACKET_MAX];
	struct packet_header h = packet_read_header(data);
	fuzz_check(w->has_keys && h.conn == w->conn, "a packet of no session");
	fuzz_check(h.number == (w->client_next & 0xffffff), "number %u, expected %u", h.number,
		   (unsigned)w->client_next);
	memcpy(packet, data, len);
	if (data[0] == PACKET_HEARTBEAT) {
		fuzz_check(keys_check_beat(&w->keys, w->client_next++, packet), "a heartbeat does not verify");
		memcpy(w->beat, data, sizeof w->beat);
		return;
	}
	int frames = keys_open(&w->keys, w->client_next++, packet, len);
	fuzz_check(frames > 0, "the client's packet does not verify");
	see_frames(w, packet + PACKET_HEADER, (size_t)frames);
}

static void sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct world *w = ctx;
	(void)to;
	fuzz_check(packet_length_ok(data, len), "a malformed packet is sent");
	fuzz_check(++w->sent < 300, "the client talks without end");
	if (data[0] == PACKET_INIT || data[0] == PACKET_ASK)
		memcpy(w->hello, data, len);
	else if (data[0] == PACKET_DATA || data[0] == PACKET_HEARTBEAT)
		see_session_packet(w, data, len);
	else
		fuzz_check(false, "a client sends type %u", data[0]);
}

static int on_message(void *ctx, const struct client_message *m)
{
	struct world *w = ctx;
	fuzz_check(w->state == CLIENT_ONLINE, "a message is shown while not online");
	fuzz_check(!name_fault(m->record.app, m->record.app_len), "an App's name that is none");
	fuzz_check(m->record.body_len <= RECORD_BODY_MAX, "a body of %zu bytes", m->record.body_len);
	free(fuzz_copy(m->record.body, m->record.body_len)); /* all of it can be read */
	if (w->stops)
		client_stop(w->client);
	w->stops = false;
	if (w->refuse > 0) {
		w->refuse--;
		return -1;
	}
	fuzz_check(w->forgets || !ulid_equal(&m->record.id, &seeded), "what was shown before the start is shown");
	for (size_t i = 0; i < w->shown_count; i++)
		fuzz_check(!ulid_equal(&w->shown[i], &m->record.id), "a message is shown twice");
	if (w->shown_count < SHOWN_MAX)
		w->shown[w->shown_count++] = m->record.id;
	return 0;
}

static void on_state(void *ctx, enum client_state state, unsigned why)
{
	struct world *w = ctx;
	(void)why;
	w->state = state;
	client_state_text(state);
}

static void ask(struct world *w, unsigned kind, struct piece text)
{
	bool good = kind >= REQUEST_SUBSCRIBE && kind <= REQUEST_STORE_OFF && !name_fault(text.data, text.len);
	bool full = w->asked - w->answered == CLIENT_REQUESTS_MAX;
	int number = client_request(w->client, fuzz_now_ms, (enum request_kind)kind, (const char *)text.data, text.len);
	fuzz_check(number == (!good ? RS_EINVAL : full ? RS_ELIMIT : (int)w->asked + 1), "a request: %d", number);
	w->asked += number > 0;
}

static void on_reply(void *ctx, uint32_t number, unsigned code)
{
	struct world *w = ctx;
	fuzz_check(number == ++w->answered && number <= w->asked, "request %u is answered out of turn", number);
	fuzz_check(code != REPLY_LATER && code <= UINT16_MAX && w->state == CLIENT_ONLINE, "an answer that is none");
	if (w->asks_again)
		ask(w, REQUEST_SUBSCRIBE, (struct piece){(const uint8_t *)"again", 5});
	w->asks_again = false;
}

/* ---- what the others do ---- */

static void receive_from(struct world *w, const struct addr *from, const uint8_t *data, size_t len)
{
	uint8_t *exact = fuzz_copy(data, len);
	client_recv(w->client, fuzz_now_ms, fuzz_wall_ms(), from, exact, len);
	free(exact);
}

static void receive(struct world *w, const uint8_t *data, size_t len)
{
	struct addr from = w->client->peer;
	receive_from(w, &from, data, len);
}

static void receive_raw(struct world *w, struct fuzz *in)
{
	uint8_t packet[PACKET_MAX + 64];
	unsigned how = fuzz_byte(in);
	struct piece p = fuzz_piece(in, PACKET_MAX + 64);
	struct addr from = how & 1 ? w->client->peer : fuzz_addr(OTHER);
	if (how & 2)
		receive_from(w, &from, packet, engine_shape(p, w->conn, w->client->attempt, packet));
	else
		receive_from(w, &from, p.data, p.len);
}

static void receive_cookie(struct world *w, struct fuzz *in)
{
	uint8_t packet[COOKIE_BYTES];
	struct piece p = fuzz_piece(in, COOKIE_LEN);
	packet_write_hello(packet, PACKET_COOKIE, w->client->attempt);
	memset(packet + HELLO_HEADER, 0xaa, COOKIE_LEN);
	memcpy(packet + HELLO_HEADER, p.data, p.len);
	receive(w, packet, sizeof packet);
}

/* Brokers with which we can shake hands: their key is ours. */
static void own_keys(struct broker_entry *at, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		memcpy(at[i].key, engine_key.pub, sizeof at[i].key);
}

static void receive_answer(struct world *w, struct fuzz *in, bool ours)
{
	uint8_t packet[PACKET_MAX], payload[ANSWER_PAYLOAD_MAX];
	struct piece p = fuzz_piece(in, ANSWER_PAYLOAD_MAX);
	struct answer_payload a;
	if (w->state != CLIENT_ASKING)
		return;
	if (ours && answer_payload_read(p.data, p.len, &a) == RS_OK) {
		own_keys(a.broker, a.count);
		p = (struct piece){payload, answer_payload_write(&a, payload)};
	}
	size_t len = engine_answer_hello(&w->noise, w->hello, PACKET_ANSWER, p, packet);
	receive(w, packet, len);
	noise_wipe(&w->noise);
}

static void receive_resp(struct world *w, struct fuzz *in)
{
	uint8_t packet[PACKET_MAX];
	struct piece p = fuzz_piece(in, RESP_PAYLOAD);
	uint8_t payload[RESP_PAYLOAD] = {0};
	struct resp_payload r;
	if (w->state != CLIENT_HELLO || memcmp(w->client->choice.at[w->client->at].key, engine_key.pub, 32) != 0)
		return;
	memcpy(payload, p.data, p.len);
	size_t len = engine_answer_hello(&w->noise, w->hello, PACKET_RESP, p, packet);
	resp_payload_read(payload, &r);
	keys_from_noise(&w->keys, &w->noise, false);
	w->conn = r.conn;
	memcpy(w->token, r.reset_token, sizeof w->token);
	w->next = w->client_next = 0;
	w->has_keys = true;
	receive(w, packet, len);
	fuzz_check(w->state == CLIENT_LOGIN, "a good RESP was not taken");
}

static void receive_frames(struct world *w, int8_t skip, struct piece p)
{
	uint8_t packet[PACKET_MAX];
	if (!w->has_keys)
		return;
	memcpy(packet + PACKET_HEADER, p.data, p.len);
	int len = keys_seal(&w->keys, w->conn, engine_take_number(&w->next, skip), packet, p.len);
	fuzz_check(len > 0, "not sealed");
	receive(w, packet, (size_t)len);
}

/* A whole message, in its pieces: references and sizes are the input's. */
static void receive_message(struct world *w, struct fuzz *in)
{
	static uint8_t object[MESSAGE_TOTAL_MAX];
	static const uint8_t body[RECORD_BODY_MAX];
	uint8_t bytes[PACKET_FRAMES_MAX];
	uint32_t ref = w->client->inbox.next + fuzz_byte(in) % 70 - 3; /* also those before */
	size_t body_len = (size_t)fuzz_byte(in) * 64;
	uint8_t id = fuzz_byte(in);
	struct record r = {.id = {{1, 2, id}}, .sent_ms = 5, .expires_ms = 6, .app = "app", .app_len = 3,
			   .body = body, .body_len = body_len};
	r.topic = "topic";
	r.topic_len = id & 4 ? 5 : 0;
	int total = object_encode(&r, id & 2 ? OBJECT_NOTICE : OBJECT_STORED, object, sizeof object);
	fuzz_check(total > 0, "no object");
	for (unsigned i = 0; i < frame_pieces((unsigned)total); i++) {
		struct frame f = {.type = FRAME_MESSAGE};
		struct writer out = writer_over(bytes, sizeof bytes);
		size_t left = (size_t)total - i * FRAME_PIECE;
		f.message = (struct frame_message){ref, (uint16_t)total, (uint8_t)i, object + i * FRAME_PIECE,
						   (uint16_t)(left < FRAME_PIECE ? left : FRAME_PIECE)};
		frame_write(&out, &f);
		receive_frames(w, 0, (struct piece){bytes, writer_len(&out)});
	}
}

static void receive_beat(struct world *w, uint8_t how)
{
	static const enum packet_type types[] = {PACKET_HEARTBEAT_ACK, PACKET_HEARTBEAT_MORE, PACKET_HEARTBEAT_MOVED};
	uint8_t packet[HEARTBEAT_BYTES];
	struct packet_header h = packet_read_header(w->beat);
	if (!w->has_keys)
		return;
	keys_write_beat(&w->keys, types[how % 3], w->conn, h.number + (how & 0x40 ? 1 : 0), packet);
	receive(w, packet, sizeof packet);
}

static void receive_reset(struct world *w)
{
	uint8_t packet[RESET_BYTES] = {PACKET_RESET};
	be_put(packet + 1, w->conn, 4);
	memcpy(packet + PACKET_HEADER, w->token, RESET_TOKEN);
	receive(w, packet, sizeof packet);
}

static void tick(struct world *w, uint64_t ms)
{
	uint64_t deadline = client_deadline(w->client);
	fuzz_now_ms += ms;
	if (ms == 0 && deadline != UINT64_MAX && deadline > fuzz_now_ms)
		fuzz_now_ms = deadline;
	client_tick(w->client, fuzz_now_ms, fuzz_wall_ms());
}

static void step(struct world *w, struct fuzz *in)
{
	uint8_t op = fuzz_byte(in);
	switch ((op & 15) % 14) {
	case 0: receive_raw(w, in); break;
	case 1: receive_cookie(w, in); break;
	case 2: receive_answer(w, in, !(op & 0x80)); break;
	case 3: receive_resp(w, in); break;
	case 4:
	case 5: receive_frames(w, 0, fuzz_piece(in, PACKET_FRAMES_MAX)); break;
	case 6: {
		int8_t skip = (int8_t)fuzz_byte(in);
		receive_frames(w, skip, fuzz_piece(in, PACKET_FRAMES_MAX));
		break;
	}
	case 7: receive_message(w, in); break;
	case 8: receive_beat(w, fuzz_byte(in)); break;
	case 9: receive_reset(w); break;
	case 10: tick(w, fuzz_number(in, op & 0x80 ? 3 : 1) * 10); break;
	case 11:
		w->refuse = fuzz_byte(in) % 4;
		w->stops = op & 0x80;
		break;
	case 12:
		if (op & 0x80)
			client_hint_unreachable(w->client, fuzz_now_ms);
		else if (w->state == CLIENT_STOPPED)
			client_start(w->client, fuzz_now_ms, fuzz_wall_ms());
		else if (fuzz_byte(in) & 1)
			client_stop(w->client);
		break;
	case 13: {
		unsigned kind = fuzz_byte(in);
		ask(w, kind & 7, fuzz_piece(in, NAME_MAX_BYTES + 8));
		w->asks_again = kind & 8;
		break;
	}
	}
	own_keys(w->client->choice.at, ANSWER_BROKERS_MAX);
	own_keys(w->client->fallback.at, ANSWER_BROKERS_MAX);
	if (!(op & 0x40)) /* several packets make a batch */
		client_flush(w->client, fuzz_now_ms);
}

static void check(const struct world *w)
{
	const struct client *c = w->client;
	uint32_t held = 0;
	fuzz_check(client_state(c) == w->state, "the state changed without a word");
	for (unsigned i = 0; i < INBOX_REFS; i++)
		held += c->inbox.slot[i] != NULL;
	fuzz_check(c->inbox.bytes <= WINDOW + MESSAGE_TOTAL_MAX, "%u bytes are held", c->inbox.bytes);
	fuzz_check(held || c->inbox.bytes == 0, "%u bytes of nothing are held", c->inbox.bytes);
	fuzz_check(client_stats(c)->shown == w->shown_count || w->shown_count == SHOWN_MAX, "the count of messages is off");
	fuzz_check((w->state == CLIENT_STOPPED) == (client_deadline(c) == UINT64_MAX), "a deadline is missing");
	client_broker(c);
	client_owner(c);
}

static void make_client(struct world *w, unsigned how)
{
	static const struct client_handler handler = {sends, on_message, on_state, on_reply};
	struct client_config config = {.user = "alice", .session = "session", .random = fuzz_random,
				       .window = WINDOW};
	config.broker.address = fuzz_addr(BROKER);
	memcpy(config.broker.key, engine_key.pub, 32);
	config.balancer_count = how & 3;
	for (size_t i = 0; i < config.balancer_count; i++) {
		config.balancer[i] = (struct client_balancer){.address = fuzz_addr(BALANCER), .key_count = how & 4 ? 2 : 1};
		memcpy(config.balancer[i].key[0], engine_key.pub, 32);
		memcpy(config.balancer[i].key[1], engine_key.pub, 32);
	}
	fuzz_check(client_new(&w->client, &config, &handler, w) == RS_OK, "no client");
	if (how & 8)
		client_seed_seen(w->client, &seeded);
	for (uint32_t i = 0; (how & 0xf0) == 0xf0 && i < SEEN_MAX; i++) { /* it is full */
		struct ulid id = {{7}};
		be_put(id.b + 12, i * 2654435761u, 4);
		client_seed_seen(w->client, &id);
	}
}

void fuzz_one(struct fuzz *in)
{
	struct world *w = calloc(1, sizeof *w);
	fuzz_check(w != NULL, "out of memory");
	unsigned how = fuzz_byte(in);
	seeded = (struct ulid){{how & 8 ? 1 : 0xff, 2, 9}};
	w->forgets = (how & 0xf0) == 0xf0;
	make_client(w, how);
	client_start(w->client, fuzz_now_ms, fuzz_wall_ms());
	for (unsigned i = 0; i < STEPS && fuzz_left(in) > 0; i++) {
		w->sent = 0;
		step(w, in);
		check(w);
	}
	client_free(w->client);
	free(w);
}
