/* SPDX-License-Identifier: Apache-2.0 */
/* What anyone can send to a broker before he has logged in: datagrams from several
 * addresses, true and false handshakes, cookies, while time goes on. No answer is
 * longer than what it answers, or goes elsewhere; what is kept is bounded. */
#include "engine.h"

#include "session/server.h"

#include <stdlib.h>
#include <string.h>

enum { SESSIONS = 4, ADDRESSES = 4, STEPS = 64 };

struct world {
	struct server *server;
	struct noise noise[ADDRESSES]; /* handshakes of each address; only the last one */
	uint32_t attempt[ADDRESSES];
	bool shakes[ADDRESSES];
	uint8_t cookie[COOKIE_LEN];
	struct addr from;              /* of the datagram at hand */
	unsigned who;
	size_t allowed;                /* bytes that may still go there */
	uint32_t conn;                 /* of the last RESP */
	uint8_t last[PACKET_MAX + 64];
	size_t last_len;
};

void fuzz_start(void) { engine_start(); }

static void take_resp(struct world *w, const uint8_t *data, size_t len)
{
	uint8_t payload[PACKET_MAX];
	struct resp_payload p;
	struct noise n = w->noise[w->who]; /* the same RESP may come again */
	uint32_t attempt;
	if (!packet_read_hello(data, &attempt) || !w->shakes[w->who] || attempt != w->attempt[w->who])
		return;
	if (noise_read_resp(&n, data + HELLO_HEADER, len - HELLO_HEADER, payload))
		return; /* to an earlier INIT of this attempt, with another payload */
	resp_payload_read(payload, &p);
	w->conn = p.conn;
}

static void sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct world *w = ctx;
	engine_check_answer(to, &w->from, data, len, &w->allowed);
	if (data[0] == PACKET_COOKIE)
		memcpy(w->cookie, data + HELLO_HEADER, COOKIE_LEN);
	else if (data[0] == PACKET_RESP)
		take_resp(w, data, len);
	else
		fuzz_check(data[0] == PACKET_RESET, "type %u is sent to a stranger", data[0]);
}

static void on_login(void *ctx, uint32_t conn, const struct frame_login *login, const struct addr *from)
{
	(void)ctx, (void)conn, (void)login, (void)from;
	fuzz_check(false, "a login without keys");
}

static void on_acked(void *ctx, uint32_t conn, void *user, const struct outbox_done *done)
{
	(void)ctx, (void)conn, (void)user, (void)done;
	fuzz_check(false, "an acknowledgement without keys");
}

static void on_gone(void *ctx, uint32_t conn, void *user, enum close_code why)
{
	(void)ctx, (void)conn, (void)user, (void)why;
	fuzz_check(false, "the end of a session that never was");
}

static void receive(struct world *w, unsigned who, const uint8_t *data, size_t len)
{
	uint8_t *exact = fuzz_copy(data, len);
	w->who = who % ADDRESSES;
	w->from = fuzz_addr(w->who);
	w->allowed = len;
	memmove(w->last, data, len);
	w->last_len = len;
	server_recv(w->server, fuzz_now_ms, fuzz_wall_ms(), &w->from, exact, len);
	server_flush(w->server, fuzz_now_ms, fuzz_wall_ms());
	w->allowed = 0;
	free(exact);
}

static void receive_raw(struct world *w, struct fuzz *in)
{
	uint8_t packet[PACKET_MAX + 64];
	unsigned who = fuzz_byte(in);
	struct piece p = fuzz_piece(in, PACKET_MAX + 64);
	if (who & 0x80)
		receive(w, who, packet, engine_shape(p, w->conn, w->attempt[who % ADDRESSES], packet));
	else
		receive(w, who, p.data, p.len);
}

static void receive_init(struct world *w, struct fuzz *in)
{
	uint8_t packet[PACKET_MAX];
	unsigned who = fuzz_byte(in), how = fuzz_byte(in);
	uint32_t attempt = how >> 2;
	size_t len = engine_write_hello(&w->noise[who % ADDRESSES], PACKET_INIT, attempt,
					how & 1 ? w->cookie : NULL, fuzz_piece(in, INIT_PAYLOAD), packet);
	w->attempt[who % ADDRESSES] = attempt;
	w->shakes[who % ADDRESSES] = true;
	receive(w, who, packet, len);
	if (how & 2) /* once more */
		receive(w, who, packet, len);
}

static void step(struct world *w, struct fuzz *in)
{
	switch (fuzz_byte(in) % 6) {
	case 0:
	case 1: receive_raw(w, in); break;
	case 2: receive_init(w, in); break;
	case 3:
		fuzz_now_ms += fuzz_number(in, 2) * 4;
		server_tick(w->server, fuzz_now_ms, fuzz_wall_ms());
		break;
	case 4: { /* again, once or, where it costs little, often */
		unsigned who = fuzz_byte(in), times = w->last_len <= COOKIE_BYTES ? who / ADDRESSES * 4 : 0;
		for (unsigned i = 0; i <= times; i++)
			receive(w, who, w->last, w->last_len);
		break;
	}
	case 5: server_shut(w->server, fuzz_byte(in) & 1); break;
	}
}

void fuzz_one(struct fuzz *in)
{
	static const struct server_handler handler = {sends, on_login, on_acked, on_gone, NULL};
	struct world *w = calloc(1, sizeof *w);
	unsigned how = fuzz_byte(in);
	struct server_config config = {.key = engine_key, .boot = 7, .heartbeat_s = how & 2 ? 30 : 3,
				       .sessions_max = SESSIONS, .cookie_above = how & 1 ? 1 : 1024};
	config.gate.random = fuzz_random;
	config.gate.free_per_s = how & 4 ? 2 : 0;
	config.gate.address_per_s = how & 8 ? 1 : 0;
	fuzz_check(w && server_new(&w->server, &config, &handler, w, fuzz_now_ms) == RS_OK, "no server");
	for (unsigned i = 0; i < STEPS && fuzz_left(in) > 0; i++) {
		step(w, in);
		const struct server_stats *s = server_stats(w->server);
		fuzz_check(s->sessions <= SESSIONS && s->half_open <= s->sessions && s->online == 0,
			   "%u sessions, %u half open, %u online", s->sessions, s->half_open, s->online);
	}
	fuzz_now_ms += 60000;
	for (unsigned i = 0; i < 20; i++, fuzz_now_ms += 100)
		server_tick(w->server, fuzz_now_ms, fuzz_wall_ms());
	fuzz_check(server_gate_stats(w->server) != NULL, "no counts of the gate");
	fuzz_check(server_stats(w->server)->sessions == 0, "handshakes are kept for ever");
	server_free(w->server);
	free(w);
}
