/* SPDX-License-Identifier: Apache-2.0 */
/* Authenticated frames from a client, and a client's change of address. */
#include "session/server_state.h"

#include "base/bytes.h"

#include <string.h>

static void path_token(const struct server *s, uint32_t conn, const struct addr *at, uint8_t out[8])
{
	address_mac(s->path_key, at, conn, out, 8);
}

/* Only for a request at least as long, from an address that is not proven. */
static void send_challenge(struct server *s, struct session *x, const struct addr *to, size_t packet_len)
{
	struct frame f = {.type = FRAME_CHALLENGE};
	if (packet_len < PACKET_HEADER + FRAME_HEADER + sizeof f.token + PACKET_TAG)
		return;
	path_token(s, x->conn, to, f.token);
	server_send_frame(s, x, to, &f);
}

static void on_response(struct server *s, struct session *x, const struct addr *from,
			const uint8_t token[8])
{
	uint8_t right[8];
	path_token(s, x->conn, from, right);
	if (!bytes_equal_ct(right, token, sizeof right)) {
		s->stats.path_bad++;
		return;
	}
	if (addr_equal(&x->addr, from))
		return;
	x->addr = *from;
	s->stats.moved++;
	if (x->outbox) { /* what was under way went to the old address */
		outbox_on_timeout(x->outbox);
		x->outbox->rtt = (struct rtt){0};
		x->outbox->stalled = false;
		server_make_ready(s, x->outbox);
	}
}

void server_send_login_ok(struct server *s, struct session *x)
{
	struct frame f = {.type = FRAME_LOGIN_OK};
	f.login_ok.owner = x->owner;
	f.login_ok.heartbeat_s = x->heartbeat_s;
	f.login_ok.fallback = s->fallback;
	server_send_frame(s, x, &x->addr, &f);
}

void server_send_closed(struct server *s, struct session *x)
{
	struct frame f = {.type = FRAME_CLOSE, .close_code = x->close_code};
	if (x->rejected) {
		f.type = FRAME_LOGIN_FAIL;
		f.login_fail = (struct frame_login_fail){x->close_code, x->retry_ms};
	} else if (x->redirected) {
		f.type = FRAME_REDIRECT;
		f.redirect = (struct frame_redirect){x->retry_ms, s->fallback};
	}
	server_send_frame(s, x, &x->addr, &f);
}

static void on_login(struct server *s, struct session *x, uint64_t now_ms, const struct frame_login *f)
{
	if (x->state != SESSION_HALF_OPEN)
		return;
	server_set_state(s, x, SESSION_LOGIN, now_ms);
	s->stats.logins++;
	s->handler.on_login(s->ctx, x->conn, f, &x->addr);
}

static void on_message_ack(struct server *s, struct session *x, uint64_t now_ms,
			   const struct frame_message_ack *f)
{
	uint32_t conn = x->conn;
	void *user = x->user;
	for (unsigned i = 0; i < f->count && x->outbox; i++) {
		struct outbox_done done;
		uint32_t ref = (uint32_t)be_get(f->refs + 4 * i, 4);
		if (outbox_on_message_ack(x->outbox, ref, f->seen, now_ms, &done))
			continue;
		s->stats.acked++;
		s->stats.voided += done.voided;
		s->handler.on_acked(s->ctx, conn, user, &done);
		if (x->state != SESSION_ONLINE || x->conn != conn)
			return; /* the handler closed it */
	}
}

/* What is done with at the end of a packet, once for all its frames. */
struct gathered {
	uint32_t seen;
	bool again;                   /* LOGIN, though it is online */
	bool answered;                /* a challenge */
	struct frame_request request; /* the first one; number 0: none */
};

/* One at a time, so that a client cannot have more done for it than it waits for. */
static void on_request(struct server *s, struct session *x, const struct frame_request *f)
{
	bool known = f->kind >= REQUEST_SUBSCRIBE && f->kind <= REQUEST_STORE_OFF;
	if (x->asks) {
		s->stats.requests_dropped++;
		return;
	}
	s->stats.requests++;
	x->asks = true;
	if (known && s->handler.on_request)
		s->handler.on_request(s->ctx, x->conn, x->user, f);
	else
		server_reply(s, x->conn, f->number, REPLY_INVALID);
}

/* Frames of a session that is online, from its proven address or another. */
static void on_frame(struct server *s, struct session *x, uint64_t now_ms, const struct frame *f,
		     struct gathered *g)
{
	uint32_t seen = 0;
	switch (f->type) {
	case FRAME_FRAGMENT_ACK:
		if (x->outbox)
			outbox_on_fragment_ack(x->outbox, &f->fragment_ack, now_ms);
		seen = f->fragment_ack.seen;
		break;
	case FRAME_MESSAGE_ACK:
		on_message_ack(s, x, now_ms, &f->message_ack);
		seen = f->message_ack.seen;
		break;
	case FRAME_REQUEST:
		if (g->request.number == 0)
			g->request = f->request;
		break;
	default:
		break; /* what only a broker sends has no meaning here */
	}
	if (seen > g->seen)
		g->seen = seen;
}

static void client_closes(struct server *s, struct session *x, uint64_t now_ms)
{
	void *user = x->user;
	uint32_t conn = x->conn;
	if (x->state == SESSION_ONLINE) { /* known, but gone, while its owner hears of it */
		server_set_state(s, x, SESSION_CLOSED, now_ms);
		s->handler.on_gone(s->ctx, conn, user, CLOSE_NORMAL);
	}
	server_drop(s, x, now_ms);
}

void server_on_frames(struct server *s, struct session *x, uint64_t now_ms, const struct addr *from,
		      bool newest, size_t packet_len, const uint8_t *frames, size_t len)
{
	struct reader r = reader_over(frames, len);
	struct frame f;
	struct gathered g = {0};
	uint32_t conn = x->conn;
	bool proven = addr_equal(from, &x->addr);
	if (!proven && x->state != SESSION_ONLINE)
		return; /* before the login an address does not change */
	if (x->state == SESSION_CLOSED) {
		server_send_closed(s, x);
		return;
	}
	while (frame_read(&r, &f) == RS_OK) {
		if (f.type == FRAME_CLOSE) {
			client_closes(s, x, now_ms);
			return;
		}
		if (f.type == FRAME_LOGIN) {
			if (proven && x->state == SESSION_ONLINE)
				g.again = true;
			else if (proven)
				on_login(s, x, now_ms, &f.login);
		} else if (x->state != SESSION_ONLINE) {
			continue;
		} else if (f.type == FRAME_RESPONSE) {
			on_response(s, x, from, f.token);
			g.answered = true;
		} else {
			on_frame(s, x, now_ms, &f, &g);
		}
		if (x->conn != conn || x->state == SESSION_CLOSED)
			return;
	}
	if (r.failed) { /* authentic, but it makes no sense */
		server_bad_packet(s, now_ms, from);
		server_close_session(s, conn, now_ms, CLOSE_PROTOCOL); /* a LOGIN that makes no sense, too */
		return;
	}
	if (g.again) /* its LOGIN_OK was lost; one answer, however often it asks */
		server_send_login_ok(s, x);
	if (!proven && !g.answered && newest)
		send_challenge(s, x, from, packet_len);
	if (x->outbox) {
		if (g.seen && g.seen < x->next_number) /* or it has seen what was not sent */
			outbox_on_seen(x->outbox, g.seen, x->next_number);
		server_make_ready(s, x->outbox);
	}
	/* One that was overtaken may have been answered before, and its successor, too. */
	if (g.request.number && proven && newest)
		on_request(s, x, &g.request);
}
