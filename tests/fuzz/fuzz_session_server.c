/* SPDX-License-Identifier: Apache-2.0 */
/* A client that has shaken hands and is hostile: sealed frames and heartbeats of any
 * content, numbers and addresses, while messages are pushed, time goes on and the
 * broker decides about the login. */
#include "engine.h"

#include "base/bytes.h"
#include "session/server_state.h"

#include <stdlib.h>
#include <string.h>

enum { ADDRESSES = 4, STEPS = 96, PUSHES = 80, OBJECTS = 8 };

struct push {
	uint16_t object, total; /* which of the objects, its length */
	uint64_t expires_ms;
	bool acked, withdrawn;
};

struct world {
	struct server *server;
	struct keys keys;      /* the client's */
	uint32_t conn;
	uint64_t next;         /* the client's next number */
	uint32_t broker_next;  /* the broker's */
	uint8_t token[8];      /* of the last CHALLENGE */
	size_t allowed;        /* bytes to an address that is not proven */
	bool accepts, rejects; /* at once */
	bool online, ended;
	unsigned logins, accepted, gone, acked;
	struct push push[PUSHES];
	uint32_t asks;         /* number of the request that waits for its answer; 0: none */
	unsigned asked, answered;
	bool answers;          /* at once */
	unsigned pushed;       /* reference n is push[n - 1] */
	uint8_t last[PACKET_MAX + 64];
	size_t last_len;
};

static uint8_t object[OBJECTS][OBJECT_MAX]; /* but for id and expiry, which stand at the front */
static uint16_t object_len[OBJECTS];

static struct record make_record(unsigned which)
{
	static const size_t sizes[OBJECTS] = {0, 1, 300, 370, 448, 2000, 9000, RECORD_BODY_MAX};
	static uint8_t body[RECORD_BODY_MAX];
	for (size_t i = 0; i < sizes[which]; i++)
		body[i] = (uint8_t)(i * 7 + which);
	return (struct record){.sent_ms = FUZZ_WALL_MS, .app = "app", .app_len = 3, .body = body,
			       .body_len = sizes[which]};
}

void fuzz_start(void)
{
	engine_start();
	for (unsigned i = 0; i < OBJECTS; i++) {
		struct record r = make_record(i);
		object_len[i] = (uint16_t)object_encode(&r, OBJECT_STORED, object[i], OBJECT_MAX);
	}
}

/* ---- what the broker sends ---- */

static void see_message(struct world *w, const struct frame_message *f)
{
	fuzz_check(f->ref >= 1 && f->ref <= w->pushed, "reference %u was never given", f->ref);
	const struct push *p = &w->push[f->ref - 1];
	fuzz_check(!p->acked, "a message that was acknowledged is sent");
	if (f->total == 0) {
		fuzz_check(p->withdrawn || p->expires_ms <= fuzz_wall_ms(), "a message is void before its time");
		return;
	}
	fuzz_check(!p->withdrawn, "a piece of a message that was withdrawn");
	fuzz_check(f->total == p->total, "a message of %u bytes instead of %u", f->total, p->total);
	unsigned at = f->index * FRAME_PIECE, skip = at ? 0 : ULID_BYTES + 8 + 8;
	fuzz_check(memcmp(f->piece + skip, object[p->object] + at + skip, f->piece_len - skip) == 0,
		   "a piece is not what was pushed");
}

static void see_frames(struct world *w, const uint8_t *data, size_t len)
{
	struct reader r = reader_over(data, len);
	struct frame f;
	unsigned count = 0;
	for (; frame_read(&r, &f) == RS_OK; count++) {
		if (f.type == FRAME_MESSAGE)
			see_message(w, &f.message);
		else if (f.type == FRAME_CHALLENGE)
			memcpy(w->token, f.token, sizeof w->token);
		else if (f.type == FRAME_REPLY)
			w->answered++; /* one of a kind that is not known, too, was never asked */
		else
			fuzz_check(f.type == FRAME_LOGIN_OK || f.type == FRAME_LOGIN_FAIL || f.type == FRAME_CLOSE ||
					   f.type == FRAME_REDIRECT, "a broker sends frame %u", f.type);
	}
	fuzz_check(!r.failed && count > 0, "the broker sends a malformed frame or none");
}

static void see_session_packet(struct world *w, const uint8_t *data, size_t len)
{
	uint8_t packet[PACKET_MAX];
	struct packet_header h = packet_read_header(data);
	fuzz_check(h.conn == w->conn, "a packet for another connection");
	if (data[0] != PACKET_DATA)
		return;
	fuzz_check(h.number == (w->broker_next & 0xffffff), "number %u after %u", h.number, w->broker_next);
	memcpy(packet, data, len);
	int frames = keys_open(&w->keys, w->broker_next++, packet, len);
	fuzz_check(frames > 0, "the broker's packet does not verify");
	see_frames(w, packet + PACKET_HEADER, (size_t)frames);
}

/* The handshake is the same for all inputs, but for window and heartbeat: the client's side
 * of it is worked out once. */
static struct hello {
	uint8_t init[INIT_BYTES], resp[RESP_BYTES];
	struct noise noise;
	struct keys keys;
	uint32_t conn; /* 0: not done yet */
} hellos[4], *hello;

static void take_resp(struct world *w, const uint8_t *data, size_t len)
{
	uint8_t payload[PACKET_MAX];
	struct resp_payload p;
	if (hello->conn == 0) {
		engine_read_answer(&hello->noise, data, len, payload);
		resp_payload_read(payload, &p);
		keys_from_noise(&hello->keys, &hello->noise, true);
		hello->conn = p.conn;
		memcpy(hello->resp, data, len);
	}
	fuzz_check(memcmp(hello->resp, data, len) == 0, "the handshake is not the same each time");
	w->conn = hello->conn;
	w->keys = hello->keys;
}

static void sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct world *w = ctx;
	struct addr proven = server_address(w->server, w->conn);
	fuzz_check(packet_length_ok(data, len), "a malformed packet is sent");
	if (!addr_equal(to, &proven)) {
		fuzz_check(len <= w->allowed, "%zu bytes for an address that is not proven, where %zu may be", len,
			   w->allowed);
		w->allowed -= len;
	}
	if (data[0] == PACKET_RESP && w->conn == 0)
		take_resp(w, data, len);
	else if (data[0] != PACKET_RESP && data[0] != PACKET_COOKIE && data[0] != PACKET_RESET)
		see_session_packet(w, data, len);
}

/* ---- what the broker's application hears ---- */

static void accept_login(struct world *w)
{
	if (server_accept(w->server, w->conn, fuzz_now_ms, 77, w) != RS_OK)
		return;
	fuzz_check(w->logins > w->accepted, "accepted without a login");
	w->accepted++;
	w->online = true;
}

static void on_login(void *ctx, uint32_t conn, const struct frame_login *login, const struct addr *from)
{
	struct world *w = ctx;
	fuzz_check(conn == w->conn && from != NULL, "a login of nobody");
	fuzz_check(!name_fault(login->user, login->user_len), "a user's name that is none");
	fuzz_check(login->session_len > 0 && login->session_len <= SESSION_ID_MAX, "a bad session id");
	w->logins++;
	fuzz_check(w->logins == 1, "a session logs in %u times", w->logins);
	if (w->accepts)
		accept_login(w);
	else if (w->rejects && server_reject(w->server, conn, fuzz_now_ms, CLOSE_OVERLOADED, 1234))
		fuzz_check(false, "a login cannot be refused");
}

static void on_acked(void *ctx, uint32_t conn, void *user, const struct outbox_done *done)
{
	struct world *w = ctx;
	uint32_t n = (uint32_t)be_get(done->id.b + 12, 4);
	fuzz_check(conn == w->conn && user == w && w->online, "an acknowledgement out of its time");
	fuzz_check(n < w->pushed && !w->push[n].acked, "an acknowledgement of nothing");
	fuzz_check(!done->voided || w->push[n].withdrawn || w->push[n].expires_ms <= fuzz_wall_ms(),
		   "void before its time");
	fuzz_check(done->tag == (uint8_t)n && done->handed_ms > 0, "the tag is another");
	w->push[n].acked = true;
	w->acked++;
}

static void on_gone(void *ctx, uint32_t conn, void *user, enum close_code why)
{
	struct world *w = ctx;
	(void)why;
	fuzz_check(conn == w->conn && user == w && w->online, "a session ends that is not online");
	fuzz_check(server_owner(w->server, conn) == 77, "its owner is not known any more");
	w->online = false;
	w->asks = 0;
	w->gone++;
}

static void answer(struct world *w, uint8_t code)
{
	unsigned before = w->answered;
	bool waits = w->asks != 0;
	server_reply(w->server, w->conn, w->asks, (enum reply_code)(code & 3));
	w->asks = 0;
	fuzz_check(w->answered == before + waits, "an answer is not sent, or nobody asked");
}

static void on_request(void *ctx, uint32_t conn, void *user, const struct frame_request *f)
{
	struct world *w = ctx;
	fuzz_check(conn == w->conn && user == w && w->online, "a request out of its time");
	fuzz_check(w->asks == 0, "a request while another is under way");
	fuzz_check(f->number > 0 && f->kind >= REQUEST_SUBSCRIBE && f->kind <= REQUEST_STORE_OFF &&
			   !name_fault(f->text, f->text_len), "a request that makes no sense");
	w->asks = f->number;
	w->asked++;
	if (w->answers)
		answer(w, REPLY_DONE);
}

/* ---- what the input does ---- */

static void receive(struct world *w, unsigned who, const uint8_t *data, size_t len)
{
	struct addr from = fuzz_addr(who % ADDRESSES);
	uint8_t *exact = fuzz_copy(data, len);
	w->allowed = len;
	memmove(w->last, data, len);
	w->last_len = len;
	server_recv(w->server, fuzz_now_ms, fuzz_wall_ms(), &from, exact, len);
	if (who & 0x40)
		server_flush(w->server, fuzz_now_ms, fuzz_wall_ms());
	w->allowed = 0;
	free(exact);
}

static void receive_frames(struct world *w, unsigned who, int8_t skip, struct piece p)
{
	uint8_t packet[PACKET_MAX];
	memcpy(packet + PACKET_HEADER, p.data, p.len);
	int len = keys_seal(&w->keys, w->conn, engine_take_number(&w->next, skip), packet, p.len);
	fuzz_check(len > 0, "not sealed");
	receive(w, who, packet, (size_t)len);
}

static void receive_beat(struct world *w, unsigned who, int8_t skip)
{
	uint8_t packet[HEARTBEAT_BYTES];
	keys_write_beat(&w->keys, PACKET_HEARTBEAT, w->conn, engine_take_number(&w->next, skip), packet);
	receive(w, who, packet, sizeof packet);
}

static void receive_response(struct world *w, unsigned who)
{
	uint8_t bytes[FRAME_HEADER + 8];
	struct writer out = writer_over(bytes, sizeof bytes);
	struct frame f = {.type = FRAME_RESPONSE};
	memcpy(f.token, w->token, sizeof f.token);
	frame_write(&out, &f);
	receive_frames(w, who, 0, (struct piece){bytes, writer_len(&out)});
}

static void push(struct world *w, struct fuzz *in)
{
	unsigned which = fuzz_byte(in) % OBJECTS;
	uint64_t expires_ms = fuzz_wall_ms() + (uint64_t)fuzz_byte(in) * 200;
	bool room = server_has_room(w->server, w->conn);
	if (w->pushed == PUSHES)
		return;
	w->push[w->pushed] = (struct push){(uint16_t)which, object_len[which], expires_ms, false, false};
	struct record r = make_record(which);
	be_put(r.id.b + 12, w->pushed, 4);
	r.expires_ms = expires_ms;
	int err = server_push(w->server, w->conn, &r, OBJECT_STORED, (uint8_t)w->pushed, fuzz_wall_ms());
	fuzz_check(err == RS_OK || err == RS_EBUSY || (err == RS_ENOENT && !w->online), "push: %d", err);
	fuzz_check(err != RS_OK || room, "pushed without room");
	w->pushed += err == RS_OK;
	fuzz_check(err || server_push(w->server, w->conn, &r, OBJECT_STORED, 0, fuzz_wall_ms()) == RS_EEXIST, "pushed twice");
}

static void withdraw(struct world *w, unsigned n)
{
	struct record r = make_record(0);
	be_put(r.id.b + 12, n, 4);
	int err = server_withdraw(w->server, w->conn, &r.id);
	bool there = w->online && n < w->pushed && !w->push[n].acked;
	fuzz_check(err == (there ? RS_OK : RS_ENOENT), "withdrawn: %d", err);
	if (there)
		w->push[n].withdrawn = true;
}

/* What the application does beside pushing: it answers, or withdraws. */
static void act(struct world *w, uint8_t how)
{
	if (how & 0x80)
		answer(w, how);
	else
		withdraw(w, how);
}

static void decide(struct world *w, uint8_t how)
{
	switch (how % 5) {
	case 0: accept_login(w); break;
	case 1:
		if (server_reject(w->server, w->conn, fuzz_now_ms, CLOSE_BAD_SESSION, 0) == RS_OK)
			fuzz_check(!w->online, "a login was refused after it was accepted");
		break;
	case 2: server_close_session(w->server, w->conn, fuzz_now_ms, CLOSE_SUPERSEDED); break;
	case 3: server_set_more(w->server, w->conn, how & 0x80); break;
	case 4:
		if (server_redirect(w->server, w->conn, fuzz_now_ms, how * 100u))
			fuzz_check(!w->online, "a client that is online cannot be redirected");
		break;
	}
}

static void step(struct world *w, struct fuzz *in)
{
	uint8_t packet[PACKET_MAX + 64];
	uint8_t op = fuzz_byte(in), who = 0;
	if (op & 0x80)
		who = fuzz_byte(in);
	switch ((op & 15) % 9) {
	case 0:
	case 1: receive_frames(w, 0x40 | who, 0, fuzz_piece(in, PACKET_FRAMES_MAX)); break;
	case 2: {
		int8_t skip = (int8_t)fuzz_byte(in);
		receive_frames(w, who, skip, fuzz_piece(in, PACKET_FRAMES_MAX));
		break;
	}
	case 3: receive_beat(w, who, (int8_t)fuzz_byte(in)); break;
	case 4:
		fuzz_now_ms += fuzz_number(in, op & 0x40 ? 2 : 1);
		server_tick(w->server, fuzz_now_ms, fuzz_wall_ms());
		fuzz_check(server_deadline(w->server) > fuzz_now_ms, "a deadline that is over after the tick");
		break;
	case 5:
		if (op & 0x40)
			act(w, fuzz_byte(in));
		else
			push(w, in);
		break;
	case 6: receive_response(w, 0x40 | who); break;
	case 7: {
		struct piece p = fuzz_piece(in, PACKET_MAX + 64);
		size_t len = engine_shape(p, w->conn, 5, packet);
		for (unsigned i = 0; i <= (op & 0x40 ? 255u : 0); i++) /* more than a budget bears */
			receive(w, who & ~0x40u, packet, len);
		break;
	}
	case 8:
		if (op & 0x40)
			receive(w, who, w->last, w->last_len);
		else
			decide(w, fuzz_byte(in));
		break;
	}
}

static void check(const struct world *w)
{
	const struct server_stats *s = server_stats(w->server);
	const struct session *x = table_find(&w->server->table, w->conn);
	fuzz_check(s->online == w->online && s->accepted == w->accepted && s->acked == w->acked &&
			   s->pushed == w->pushed, "the counts do not agree with what happened");
	fuzz_check(w->accepted == w->gone + w->online, "%u were accepted, %u are gone", w->accepted, w->gone);
	fuzz_check(w->answered <= s->requests && s->requests >= w->asked, "%u of %u requests were answered", w->answered,
		   w->asked);
	fuzz_check(s->half_open <= s->sessions && s->online <= s->sessions, "more than there are sessions");
	fuzz_check((server_user(w->server, w->conn) == w) == w->online, "the user is not where it should be");
	if (!x || !x->outbox)
		return;
	const struct outbox *o = x->outbox;
	uint32_t window = (uint32_t)x->window * SESSION_WINDOW_UNIT;
	fuzz_check(o->count <= OUTBOX_REFS_MAX && (o->bytes <= window || o->count == 1), "%u bytes in %u messages",
		   o->bytes, o->count);
	fuzz_check(o->count || (o->bytes == 0 && o->flight == 0), "%u bytes in flight of nothing", o->flight);
	fuzz_check(o->flight <= o->bytes + OUTBOX_REFS_MAX * FRAME_PIECES_MAX * 10u, "%u bytes in flight", o->flight);
	fuzz_check(o->cwnd >= OUTBOX_CWND_MIN && o->cwnd <= OUTBOX_CWND_MAX, "a window of %u", o->cwnd);
	fuzz_check(w->acked + o->count == w->pushed, "a message is lost: %u pushed, %u acked, %u there", w->pushed,
		   w->acked, o->count);
}

static void shake_hands(struct world *w, bool small, bool slow)
{
	uint8_t payload[INIT_PAYLOAD], packet[PACKET_MAX];
	struct init_payload p = {.client_ms = 1, .window = small ? 20000 : 256 * 1024};
	hello = &hellos[small + 2 * slow];
	if (hello->conn == 0) {
		init_payload_write(&p, payload);
		engine_write_hello(&hello->noise, PACKET_INIT, 5, NULL, (struct piece){payload, sizeof payload}, packet);
		memcpy(hello->init, packet, INIT_BYTES);
	}
	receive(w, 0, hello->init, INIT_BYTES);
	fuzz_check(w->conn != 0, "no handshake");
}

static void count_one(void *ctx, uint32_t conn, void *user)
{
	(void)conn, (void)user;
	++*(unsigned *)ctx;
}

static void on_path(void *ctx, const struct addr *to, const struct server_path *p)
{
	struct world *w = ctx;
	(void)to;
	fuzz_check(w->online && p->sent > 0 && p->rtt_ms < 3600000, "%u pieces in round trips of %u ms", p->sent, p->rtt_ms);
}

void fuzz_one(struct fuzz *in)
{
	static const struct server_handler handler = {sends, on_login, on_acked, on_gone, on_request};
	struct world *w = calloc(1, sizeof *w);
	unsigned how = fuzz_byte(in);
	struct server_config config = {.key = engine_key, .boot = 7, .heartbeat_s = how & 8 ? 300 : 3, .sessions_max = 4,
				       .cookie_above = 1024, .on_path = on_path};
	config.gate.random = fuzz_random;
	fuzz_check(w && server_new(&w->server, &config, &handler, w, fuzz_now_ms) == RS_OK, "no server");
	server_set_fallback(w->server, &(struct frame_brokers){.count = how >> 6});
	w->accepts = how & 1;
	w->rejects = how & 2;
	w->answers = how & 16;
	shake_hands(w, how & 4, how & 8);
	for (unsigned i = 0; i < STEPS && fuzz_left(in) > 0; i++) {
		step(w, in);
		check(w);
	}
	unsigned online = 0;
	server_each(w->server, count_one, &online);
	fuzz_check(online == w->online, "%u are online", online);
	server_free(w->server);
	free(w);
}
