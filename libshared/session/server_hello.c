/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes at the broker: INIT in, RESP or COOKIE out; RESET for packets of
 * sessions that are not known here. No answer is longer than what it answers. */
#include "session/server_state.h"

#include "base/bytes.h"

#include <string.h>

enum {
	NOISE_AT = HELLO_HEADER + COOKIE_LEN,
	INIT_NOISE = INIT_BYTES - NOISE_AT,
	HEARTBEAT_LEAST_S = 5, /* a client may not ask for less, unless the broker's own is */
	WINDOW_LEAST = MESSAGE_TOTAL_MAX,
	WINDOW_MOST = 256 * 1024,
};

/* Bound to the address as well, so that nobody can ask for another's. */
static void reset_token(const struct server *s, uint32_t conn, const struct addr *at,
			uint8_t out[RESET_TOKEN])
{
	address_mac(s->reset_key, at, conn, out, RESET_TOKEN);
}

void server_send_reset(struct server *s, uint64_t now_ms, const struct addr *to, uint32_t conn)
{
	if (now_ms - s->reset_window_ms >= 1000) {
		s->reset_window_ms = now_ms;
		s->resets = 0;
	}
	if (s->resets >= SERVER_RESETS_PER_S || gate_distrusts(&s->gate, now_ms, to)) {
		s->stats.resets_suppressed++;
		return;
	}
	s->resets++;
	s->stats.resets_sent++;
	uint8_t packet[RESET_BYTES] = {PACKET_RESET};
	be_put(packet + 1, conn, 4);
	reset_token(s, conn, to, packet + PACKET_HEADER);
	s->handler.send(s->ctx, to, packet, sizeof packet);
}

static uint32_t clamp(uint32_t v, uint32_t lo, uint32_t hi) { return v < lo ? lo : v > hi ? hi : v; }

static uint16_t choose_heartbeat(const struct server *s, uint16_t wanted)
{
	uint16_t own = s->config.heartbeat_s;
	if (wanted == 0 || wanted >= own)
		return own;
	return (uint16_t)clamp(wanted, HEARTBEAT_LEAST_S < own ? HEARTBEAT_LEAST_S : own, own);
}

static int write_resp(struct server *s, struct session *x, struct noise *noise, uint64_t wall_ms,
		      uint32_t attempt, uint8_t *resp)
{
	uint8_t payload[RESP_PAYLOAD];
	struct keypair e;
	struct resp_payload p = {.conn = x->conn, .heartbeat_s = x->heartbeat_s,
				 .boot = s->config.boot, .server_ms = wall_ms};
	reset_token(s, x->conn, &x->addr, p.reset_token);
	resp_payload_write(&p, payload);
	packet_write_hello(resp, PACKET_RESP, attempt);
	bool ahead = s->config.ephemeral && s->config.ephemeral(s->ctx, &e);
	int err = ahead ? RS_OK : x25519_generate(s->config.gate.random, &e);
	if (!err)
		err = noise_write_resp(noise, &e, payload, sizeof payload, resp + HELLO_HEADER);
	if (!err)
		keys_from_noise(&x->keys, noise, false);
	explicit_bzero(&e, sizeof e);
	return err;
}

/* A session and a half-open entry for a handshake that verified; NULL: no place. */
static struct session *open_half(struct server *s, uint64_t now_ms, const struct addr *from,
				 const uint8_t *init, struct half **half)
{
	struct session *x = table_take(&s->table, (uint16_t)s->half.seed);
	if (!x) {
		s->stats.refused_full++;
		return NULL;
	}
	uint32_t evicted;
	*half = halfopen_take(&s->half, from, init, &evicted);
	if (evicted) {
		struct session *victim = table_find(&s->table, evicted);
		s->stats.half_open_evicted++;
		if (victim)
			table_put(&s->table, victim);
	}
	(*half)->conn = x->conn;
	(*half)->since_ms = now_ms;
	x->addr = *from;
	x->half = halfopen_place(&s->half, *half) + 1;
	x->next_ref = 1;
	server_set_state(s, x, SESSION_HALF_OPEN, now_ms);
	return x;
}

void server_on_init(struct server *s, uint64_t now_ms, uint64_t wall_ms, const struct addr *from,
		    const uint8_t *init)
{
	uint32_t attempt;
	uint8_t prologue[NOISE_PROLOGUE], payload[INIT_PAYLOAD];
	struct noise noise;
	struct init_payload p;
	if (!packet_read_hello(init, &attempt)) {
		server_bad_packet(s, now_ms, from);
		return;
	}
	struct half *half = halfopen_find(&s->half, from, init);
	if (half) {
		s->handler.send(s->ctx, from, half->resp, RESP_BYTES);
		return;
	}
	bool crowded = s->half.count >= s->config.cookie_above; /* many handshakes hang */
	if (!gate_lets_in(&s->gate, now_ms, from, init, crowded, s->handler.send, s->ctx))
		return;
	packet_prologue(init, prologue);
	if (noise_read_init(&noise, &s->config.key, prologue, sizeof prologue, init + NOISE_AT,
			    INIT_NOISE, payload)) {
		s->stats.handshakes_bad++;
		gate_bad_hello(&s->gate, now_ms, from);
		return;
	}
	init_payload_read(payload, &p);
	struct session *x = open_half(s, now_ms, from, init, &half);
	if (x) {
		x->heartbeat_s = choose_heartbeat(s, p.heartbeat_s);
		x->window = (uint16_t)(clamp(p.window, WINDOW_LEAST, WINDOW_MOST) / SESSION_WINDOW_UNIT);
		if (write_resp(s, x, &noise, wall_ms, attempt, half->resp)) {
			server_drop(s, x, now_ms);
		} else {
			s->stats.handshakes++;
			s->handler.send(s->ctx, from, half->resp, RESP_BYTES);
		}
	}
	noise_wipe(&noise);
}
