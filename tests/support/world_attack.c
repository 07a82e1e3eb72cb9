/* SPDX-License-Identifier: Apache-2.0 */
/* The attacker: he sends what he likes from where he likes, knows the connection
 * ids, and when he is on the path sees every packet and is sometimes faster. He
 * cannot stop packets, and he answers no challenge: who did both would be the path. */
#include "sim/world_state.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { BURST = 4, BIG_BURST = 24, RACE_MS = 20000, GARBAGE_MAX = PACKET_MAX + 8 };

/* ---- what he knows ---- */

void world_attack_sights(struct world *w, const struct addr *from, const struct addr *to,
			 const uint8_t *data, size_t len, uint32_t serial)
{
	struct attack *a = &w->attack;
	if (addr_equal(to, &a->evil_addr) || addr_equal(from, &a->evil_addr) || addr_equal(to, &a->own[0]) ||
	    addr_equal(to, &a->own[1]))
		return; /* not what was for himself: to pass on his challenges is to be the path */
	struct sighted *s = &a->sighted[a->sighted_next];
	a->sighted_next = (a->sighted_next + 1) % SIGHTED_MAX;
	if (a->sighted_count < SIGHTED_MAX)
		a->sighted_count++;
	s->from = *from;
	s->to = *to;
	s->serial = serial;
	s->len = (uint16_t)len;
	memcpy(s->data, data, len);
	if (w->now_ms >= a->race_ms && (data[0] == PACKET_DATA || data[0] == PACKET_HEARTBEAT)) {
		world_fly(w, &a->own[0], to, data, len, serial, w->now_ms);
		a->race_ms = w->now_ms + RACE_MS + world_below(w, RACE_MS);
	}
}

static const struct sighted *recall(struct world *w)
{
	struct attack *a = &w->attack;
	return a->sighted_count ? &a->sighted[world_below(w, a->sighted_count)] : NULL;
}

static struct broker *any_broker(struct world *w) { return &w->broker[world_below(w, w->plan.brokers)]; }
static struct peer *any_peer(struct world *w) { return &w->peer[world_below(w, w->plan.clients)]; }

static struct addr any_source(struct world *w)
{
	struct addr a = w->attack.own[world_below(w, 2)];
	switch (world_below(w, 4)) {
	case 0:
		return any_peer(w)->addr;
	case 1:
		return any_broker(w)->addr;
	case 2:
		be_put(a.port, 1024 + world_below(w, 64), 2);
		return a;
	default:
		return a;
	}
}

static struct addr any_target(struct world *w)
{
	switch (world_below(w, 3)) {
	case 0:
		return any_peer(w)->addr;
	case 1:
		return w->plan.balancer ? w->balancer_addr : any_broker(w)->addr;
	default:
		return any_broker(w)->addr;
	}
}

static void garbage(struct world *w, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(world_draw(&w->rng) >> 32);
}

static void launch(struct world *w, const struct addr *from, const struct addr *to, const uint8_t *data,
		   size_t len, uint32_t serial)
{
	w->result.attacks++;
	world_fly(w, from, to, data, len, serial, w->now_ms + world_below(w, 40));
}

/* ---- what he does ---- */

static size_t any_length(struct world *w, uint8_t type)
{
	static const struct { uint8_t type; uint16_t len; } fixed[] = {
		{PACKET_HEARTBEAT, HEARTBEAT_BYTES}, {PACKET_HEARTBEAT_ACK, HEARTBEAT_BYTES},
		{PACKET_HEARTBEAT_MORE, HEARTBEAT_BYTES}, {PACKET_HEARTBEAT_MOVED, HEARTBEAT_BYTES},
		{PACKET_RESET, RESET_BYTES}, {PACKET_INIT, INIT_BYTES}, {PACKET_RESP, RESP_BYTES},
		{PACKET_COOKIE, COOKIE_BYTES}, {PACKET_ASK, ASK_BYTES}, {PACKET_ANSWER, ANSWER_BYTES_MIN + 50},
	};
	for (unsigned i = 0; i < sizeof fixed / sizeof *fixed; i++)
		if (fixed[i].type == type)
			return fixed[i].len;
	return PACKET_HEADER + PACKET_TAG + 1 + world_below(w, PACKET_FRAMES_MAX);
}

static uint8_t any_type(struct world *w)
{
	static const uint8_t types[] = {
		PACKET_HEARTBEAT, PACKET_HEARTBEAT_ACK, PACKET_HEARTBEAT_MORE, PACKET_HEARTBEAT_MOVED,
		PACKET_DATA, PACKET_DATA, PACKET_RESET, PACKET_INIT, PACKET_RESP, PACKET_COOKIE, PACKET_ASK,
		PACKET_ANSWER, 0, 0x7f,
	};
	return types[world_below(w, sizeof types)];
}

static void send_garbage(struct world *w)
{
	uint8_t data[GARBAGE_MAX];
	uint8_t type = any_type(w);
	size_t len = world_chance(w, 20) ? 1 + world_below(w, GARBAGE_MAX) : any_length(w, type);
	struct addr from = any_source(w), to = any_target(w);
	garbage(w, data, len);
	if (world_chance(w, 80))
		data[0] = type;
	launch(w, &from, &to, data, len, 0);
}

/* The number a sighted packet of that connection bore, and a little more. */
static uint32_t plausible_number(struct world *w, uint32_t conn)
{
	const struct sighted *s = recall(w);
	uint32_t number = 0;
	if (s && s->len >= PACKET_HEADER && packet_read_header(s->data).conn == conn)
		number = packet_read_header(s->data).number;
	return (number + (uint32_t)world_below(w, 200)) & 0xffffff;
}

/* For a real session, from its client or its broker or from elsewhere. */
static void forge_session_packet(struct world *w)
{
	uint8_t data[PACKET_MAX];
	struct peer *p = any_peer(w);
	bool to_client = world_chance(w, 50);
	struct packet_header h = {world_chance(w, 50) ? PACKET_DATA : PACKET_HEARTBEAT, p->conn,
				  plausible_number(w, p->conn)};
	if (to_client && h.type == PACKET_HEARTBEAT)
		h.type = world_chance(w, 50) ? PACKET_HEARTBEAT_ACK : PACKET_HEARTBEAT_MOVED;
	size_t len = any_length(w, (uint8_t)h.type);
	struct addr broker = w->broker[p->broker].addr, from = to_client ? broker : p->addr;
	garbage(w, data, len);
	packet_write_header(data, &h);
	if (!to_client && world_chance(w, 50))
		from = any_source(w);
	launch(w, &from, to_client ? &p->addr : &broker, data, len, 0);
}

/* A RESET of a real session: with a token of his own, or one he saw. */
static void forge_reset(struct world *w)
{
	uint8_t data[RESET_BYTES] = {PACKET_RESET};
	struct peer *p = any_peer(w);
	const struct sighted *s = recall(w);
	be_put(data + 1, p->conn, 4);
	garbage(w, data + PACKET_HEADER, RESET_TOKEN);
	if (s && s->data[0] == PACKET_RESET)
		memcpy(data + PACKET_HEADER, s->data + PACKET_HEADER, RESET_TOKEN);
	launch(w, &w->broker[p->broker].addr, &p->addr, data, sizeof data, 0);
}

/* An answer to the handshake that he sees, or to one that he guesses. */
static void forge_hello(struct world *w)
{
	static const uint8_t types[] = {PACKET_COOKIE, PACKET_RESP, PACKET_ANSWER};
	uint8_t data[PACKET_MAX], type = types[world_below(w, sizeof types)];
	size_t len = any_length(w, type);
	const struct sighted *s = recall(w);
	struct peer *p = any_peer(w);
	struct addr from = type == PACKET_ANSWER ? w->balancer_addr : any_broker(w)->addr, to = p->addr;
	uint32_t attempt = (uint32_t)world_draw(&w->rng);
	if (s && (s->data[0] == PACKET_INIT || s->data[0] == PACKET_ASK)) {
		attempt = (uint32_t)be_get(s->data + 4, 4);
		from = s->to;
		to = s->from;
	}
	garbage(w, data, len);
	packet_write_hello(data, type, attempt);
	launch(w, &from, &to, data, len, 0);
}

static void send_altered(struct world *w)
{
	uint8_t data[GARBAGE_MAX];
	const struct sighted *s = recall(w);
	if (!s)
		return;
	size_t len = s->len;
	garbage(w, data, sizeof data);
	memcpy(data, s->data, len);
	switch (world_below(w, 3)) {
	case 0:
		len = 1 + world_below(w, len - 1);
		break;
	case 1:
		len += 1 + world_below(w, GARBAGE_MAX - len);
		break;
	default:
		data[world_below(w, len)] ^= (uint8_t)(1u << world_below(w, 8));
	}
	struct addr from = world_chance(w, 70) ? s->from : any_source(w);
	launch(w, &from, &s->to, data, len, 0);
}

static void send_old(struct world *w)
{
	const struct sighted *s = recall(w);
	if (!s)
		return;
	struct addr from = world_chance(w, 50) ? s->from : any_source(w);
	launch(w, &from, &s->to, s->data, s->len, s->serial);
}

/* INITs that cost the broker an agreement each and come to nothing. */
static void flood_inits(struct world *w)
{
	uint8_t data[INIT_BYTES];
	struct addr to = any_broker(w)->addr;
	for (uint64_t n = 1 + world_below(w, BURST); n > 0; n--) {
		struct addr from = any_source(w);
		garbage(w, data, sizeof data);
		packet_write_hello(data, PACKET_INIT, (uint32_t)world_draw(&w->rng));
		if (world_chance(w, 70))
			memset(data + HELLO_HEADER, 0, COOKIE_LEN);
		launch(w, &from, &to, data, sizeof data, 0);
	}
}

/* Small packets of sessions that are not there: each is answered with a RESET. */
static void flood_strangers(struct world *w)
{
	uint8_t data[HEARTBEAT_BYTES];
	struct addr from = any_source(w), to = any_broker(w)->addr;
	uint32_t conn = world_chance(w, 50) ? any_peer(w)->conn : (uint32_t)world_draw(&w->rng);
	for (uint64_t n = 1 + world_below(w, BIG_BURST); n > 0; n--) {
		garbage(w, data, sizeof data);
		data[0] = PACKET_HEARTBEAT;
		be_put(data + 1, conn, 4);
		launch(w, &from, &to, data, sizeof data, 0);
	}
}

/* His own client: begins handshakes, and never logs in or is refused. */
static void use_own_client(struct world *w)
{
	struct attack *a = &w->attack;
	a->evil_mute = world_chance(w, 50);
	for (uint64_t n = 1 + world_below(w, 3); n > 0; n--) {
		client_stop(a->evil);
		be_put(a->evil_addr.port, 5000 + world_below(w, 64), 2);
		client_start(a->evil, w->now_ms, world_wall(w));
		w->result.attacks++;
	}
}

static void say_unreachable(struct world *w)
{
	struct peer *p = any_peer(w);
	if (!p->awake_ms)
		client_hint_unreachable(p->client, w->now_ms - p->lag_ms);
}

static void attack_once(struct world *w)
{
	static void (*const ways[])(struct world *) = {
		send_garbage, send_garbage, forge_session_packet, forge_session_packet, forge_reset, forge_hello,
		send_altered, send_altered, send_old, send_old, flood_inits, flood_strangers, use_own_client,
		say_unreachable,
	};
	ways[world_below(w, sizeof ways / sizeof *ways)](w);
}

void world_attack_run(struct world *w)
{
	struct attack *a = &w->attack;
	if (!w->plan.attacker)
		return;
	if (client_deadline(a->evil) <= w->now_ms)
		client_tick(a->evil, w->now_ms, world_wall(w));
	if (world_is_calm(w) || w->now_ms < a->next_ms)
		return;
	for (uint64_t n = 1 + world_below(w, world_chance(w, 5) ? BIG_BURST : BURST); n > 0; n--)
		attack_once(w);
	a->next_ms = w->now_ms + 1 + world_below(w, 2ull * w->plan.attack_every_ms);
}

uint64_t world_attack_deadline(const struct world *w)
{
	if (!w->plan.attacker)
		return UINT64_MAX;
	uint64_t own = client_deadline(w->attack.evil);
	return world_is_calm(w) || own < w->attack.next_ms ? own : w->attack.next_ms;
}

/* ---- his own client ---- */

static void evil_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct world *w = ctx;
	if (data[0] == PACKET_DATA && w->attack.evil_mute)
		return;
	world_transmit(w, &w->attack.evil_addr, to, data, len);
}

static int evil_message(void *ctx, const struct client_message *m)
{
	(void)m;
	world_fault(ctx, FAULT_FORGED); /* it is nobody's */
	return 0;
}

static void evil_state(void *ctx, enum client_state state, unsigned why)
{
	(void)why;
	if (state == CLIENT_ONLINE)
		world_fault(ctx, FAULT_FORGED);
}

void world_attack_recv(struct world *w, struct flying *f)
{
	struct attack *a = &w->attack;
	if (!w->plan.attacker || !addr_equal(&f->to, &a->evil_addr))
		return;
	client_recv(a->evil, w->now_ms, world_wall(w), &f->from, f->data, f->len);
	client_flush(a->evil, w->now_ms);
}

void world_attack_begin(struct world *w)
{
	static const struct client_handler events = {evil_sends, evil_message, evil_state, NULL};
	struct attack *a = &w->attack;
	struct client_config c = {.user = "user0", .session = "not-this-one", .random = world_engine_random};
	if (!w->plan.attacker)
		return;
	c.broker.address = w->broker[w->plan.brokers - 1].addr;
	memcpy(c.broker.key, w->broker[w->plan.brokers - 1].config.key.pub, sizeof c.broker.key);
	if (addr_parse("198.51.100.1:666", &a->own[0]) || addr_parse("198.51.100.2:667", &a->own[1]) ||
	    addr_parse("198.51.100.3:5000", &a->evil_addr) || client_new(&a->evil, &c, &events, w))
		abort();
	a->next_ms = w->now_ms + world_below(w, w->plan.attack_every_ms);
}

void world_attack_end(struct world *w) { client_free(w->attack.evil); }
