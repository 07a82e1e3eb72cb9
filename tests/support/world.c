/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include "base/bytes.h"
#include "base/heap.h"
#include "session/client.h"
#include "session/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS_MAX = 8, MESSAGES_MAX = 512, PROVEN_MAX = 1024, WALL_START_S = 1800000000, HEARTBEAT_S = 10 };

struct flying {
	struct heap_node node; /* key: arrival in ms */
	struct addr from, to;
	size_t len;
	uint8_t data[PACKET_MAX];
};

struct peer {
	struct world *world;
	struct client *client;
	struct addr addr;
	char name[16];
	uint32_t conn;          /* of its session at the broker, 0: none */
	unsigned acked;         /* messages below this are out of the queue */
	bool gone[MESSAGES_MAX]; /* acknowledged */
	unsigned shown;
	uint64_t next_send_ms;
	unsigned stored;        /* messages sent by the application so far */
	bool hungry;            /* something changed: the broker may be fed */
};

struct world {
	struct world_plan plan;
	struct world_result result;
	uint64_t now_ms, rng;
	struct server *server;
	struct server_config server_config;
	struct addr server_addr;
	struct keypair key;
	struct heap flying;
	struct peer peer[CLIENTS_MAX];
	uint64_t next_move_ms, next_restart_ms, broker_back_ms;
	struct addr proven[PROVEN_MAX]; /* addresses that sessions have had */
	unsigned proven_count;
	const struct addr *unproven; /* source of the datagram being handled, if not yet proven */
	size_t request_len;
};

static uint64_t engine_rng = 1;

static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1du;
}

static void engine_random(void *out, size_t len)
{
	uint8_t *p = out;
	while (len-- > 0)
		*p++ = (uint8_t)(draw(&engine_rng) >> 32);
}

static bool chance(struct world *w, unsigned pct) { return (draw(&w->rng) >> 16) % 100 < pct; }
static uint64_t below(struct world *w, uint64_t n) { return n ? (draw(&w->rng) >> 16) % n : 0; }
static uint64_t wall(const struct world *w) { return WALL_START_S * 1000ull + w->now_ms; }

static void fly(struct world *w, const struct addr *from, const struct addr *to, const uint8_t *data,
		size_t len)
{
	struct flying *f = calloc(1, sizeof *f);
	f->from = *from;
	f->to = *to;
	f->len = len;
	memcpy(f->data, data, len);
	uint64_t at = w->now_ms + w->plan.delay_ms + below(w, w->plan.jitter_ms + 1);
	if (!f || heap_set(&w->flying, &f->node, at))
		abort();
}

static void transmit(struct world *w, const struct addr *from, const struct addr *to,
		     const uint8_t *data, size_t len)
{
	uint8_t copy[PACKET_MAX];
	bool calm = w->plan.calm_after_s && w->now_ms > w->plan.calm_after_s * 1000;
	w->result.packets++;
	memcpy(copy, data, len);
	if (!calm && chance(w, w->plan.replay_pct)) {
		/* the attacker keeps it, and plays it again much later from elsewhere */
		struct addr elsewhere = *from;
		elsewhere.port[1] ^= 0x55;
		uint64_t delay = w->plan.delay_ms;
		w->plan.delay_ms += 700;
		fly(w, &elsewhere, to, copy, len);
		w->plan.delay_ms = (unsigned)delay;
	}
	if (!calm && chance(w, w->plan.loss_pct))
		return;
	if (!calm && chance(w, w->plan.corrupt_pct))
		copy[below(w, len)] ^= (uint8_t)(1u << below(w, 8));
	fly(w, from, to, copy, len);
	if (!calm && chance(w, w->plan.dup_pct))
		fly(w, from, to, copy, len);
}

/* ---- the broker and its application ---- */

static void server_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct world *w = ctx;
	if (w->unproven && addr_equal(w->unproven, to) && len > w->request_len)
		w->result.amplified++;
	transmit(w, &w->server_addr, to, data, len);
}

static struct peer *peer_by_name(struct world *w, const char *name, size_t len)
{
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (strlen(w->peer[i].name) == len && memcmp(w->peer[i].name, name, len) == 0)
			return &w->peer[i];
	return NULL;
}

/* The body follows from who and which: a damaged one is noticed. */
static size_t make_body(const struct world *w, const struct peer *p, unsigned i, uint8_t *out)
{
	uint64_t state = w->plan.seed * 977 + (uint64_t)(p - w->peer) * 7919 + i + 1;
	size_t len = draw(&state) % (w->plan.size_max + 1);
	for (size_t k = 0; k < len; k++)
		out[k] = (uint8_t)(draw(&state) >> 40);
	return len;
}

static struct ulid make_id(const struct peer *p, unsigned i)
{
	uint8_t random[10] = {0};
	be_put(random, (uint64_t)(p - p->world->peer) + 1, 4);
	be_put(random + 6, i, 4);
	return ulid_make(WALL_START_S * 1000ull, random);
}

/* Hands over what is in the queue and not under way, oldest first, as it fits. */
static void feed(struct world *w, struct peer *p)
{
	uint8_t body[RECORD_BODY_MAX];
	for (unsigned i = p->acked; p->conn && i < p->stored; i++) {
		if (p->gone[i])
			continue;
		struct record r = {.id = make_id(p, i), .sent_ms = wall(w), .expires_ms = UINT64_MAX / 2,
				   .app = "sim", .app_len = 3, .body = body};
		r.body_len = make_body(w, p, i, body);
		int err = server_push(w->server, p->conn, &r, true);
		if (err && err != RS_EEXIST)
			break;
	}
}

static void on_login(void *ctx, uint32_t conn, const struct frame_login *login, const struct addr *from)
{
	(void)from;
	struct world *w = ctx;
	struct peer *p = peer_by_name(w, login->user, login->user_len);
	if (!p)
		return;
	if (p->conn)
		server_close_session(w->server, p->conn, w->now_ms, CLOSE_SUPERSEDED);
	if (server_accept(w->server, conn, w->now_ms, w->now_ms + 1, p) == RS_OK)
		p->conn = conn;
	p->hungry = true;
}

static void on_acked(void *ctx, uint32_t conn, void *user, const struct outbox_done *done)
{
	(void)ctx;
	(void)conn;
	struct peer *p = user;
	uint32_t i = (uint32_t)be_get(done->id.b + 12, 4);
	p->hungry = true;
	if (i < MESSAGES_MAX)
		p->gone[i] = true;
	if (i >= p->shown) /* acknowledged before it was shown: lost */
		p->world->result.damaged++;
	while (p->acked < p->stored && p->gone[p->acked])
		p->acked++;
}

static void on_gone(void *ctx, uint32_t conn, void *user, enum close_code why)
{
	(void)ctx;
	(void)why;
	struct peer *p = user;
	if (p->conn == conn)
		p->conn = 0;
}

static const struct server_handler server_events = {server_sends, on_login, on_acked, on_gone};

static void start_broker(struct world *w)
{
	w->server_config.boot++;
	if (server_new(&w->server, &w->server_config, &server_events, w, w->now_ms))
		abort();
}

static void kill_broker(struct world *w)
{
	server_free(w->server);
	w->server = NULL;
	for (unsigned i = 0; i < w->plan.clients; i++)
		w->peer[i].conn = 0;
}

/* ---- the clients ---- */

static void client_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct peer *p = ctx;
	transmit(p->world, &p->addr, to, data, len);
}

static int on_message(void *ctx, const struct client_message *m)
{
	struct peer *p = ctx;
	struct world *w = p->world;
	uint8_t body[RECORD_BODY_MAX];
	uint32_t i = (uint32_t)be_get(m->record.id.b + 12, 4);
	if (chance(w, 2))
		return -1; /* the application is busy */
	size_t len = make_body(w, p, i, body);
	if (len != m->record.body_len || memcmp(body, m->record.body, len) != 0)
		w->result.damaged++;
	if (i < p->shown)
		w->result.doubled++;
	else if (i > p->shown)
		w->result.disordered++;
	p->shown = i + 1;
	w->result.shown++;
	return 0;
}

static void on_state(void *ctx, enum client_state state, unsigned why)
{
	struct peer *p = ctx;
	/* An old session's "superseded" can reach nobody: its keys are gone. */
	if (state == CLIENT_STOPPED && why != CLOSE_NORMAL)
		p->world->result.damaged++;
}

static const struct client_handler client_events = {client_sends, on_message, on_state};

static void start_clients(struct world *w)
{
	for (unsigned i = 0; i < w->plan.clients; i++) {
		struct peer *p = &w->peer[i];
		struct client_config c = {.user = p->name, .session = "sim-session", .random = engine_random};
		p->world = w;
		snprintf(p->name, sizeof p->name, "user%u", i);
		c.broker.address = w->server_addr;
		memcpy(c.broker.key, w->key.pub, sizeof c.broker.key);
		char text[ADDR_TEXT_MAX];
		snprintf(text, sizeof text, "10.0.0.%u:4000", i + 1);
		if (addr_parse(text, &p->addr) || client_new(&p->client, &c, &client_events, p))
			abort();
		client_start(p->client, w->now_ms, wall(w));
	}
}

/* ---- the loop ---- */

static bool is_proven(const struct world *w, const struct addr *a)
{
	for (unsigned i = 0; i < w->proven_count; i++)
		if (addr_equal(&w->proven[i], a))
			return true;
	return false;
}

static void note_proven(struct world *w)
{
	for (unsigned i = 0; i < w->plan.clients; i++) {
		struct addr at = w->peer[i].conn ? server_address(w->server, w->peer[i].conn) : (struct addr){0};
		if (w->peer[i].conn && !is_proven(w, &at) && w->proven_count < PROVEN_MAX)
			w->proven[w->proven_count++] = at;
	}
}

static void arrive(struct world *w, struct flying *f)
{
	if (addr_equal(&f->to, &w->server_addr)) {
		if (!w->server)
			return;
		w->unproven = is_proven(w, &f->from) ? NULL : &f->from;
		w->request_len = f->len;
		/* after a LOGIN the address is proven: it used keys that only it received */
		if (f->data[0] == PACKET_DATA && f->len > 60)
			w->unproven = NULL;
		server_recv(w->server, w->now_ms, wall(w), &f->from, f->data, f->len);
		w->unproven = NULL;
		note_proven(w);
		server_flush(w->server, w->now_ms, wall(w));
		return;
	}
	for (unsigned i = 0; i < w->plan.clients; i++) {
		struct peer *p = &w->peer[i];
		if (!addr_equal(&f->to, &p->addr))
			continue;
		client_recv(p->client, w->now_ms, wall(w), &f->from, f->data, f->len);
		client_flush(p->client, w->now_ms);
	}
}

static void application(struct world *w)
{
	for (unsigned i = 0; i < w->plan.clients; i++) {
		struct peer *p = &w->peer[i];
		if (p->stored < w->plan.messages && w->now_ms >= p->next_send_ms) {
			p->stored++;
			w->result.sent++;
			p->next_send_ms = w->now_ms + below(w, 400);
			p->hungry = true;
		}
		if (w->server && p->conn && p->hungry) {
			p->hungry = false;
			feed(w, p);
		}
	}
}

static void disturb(struct world *w)
{
	const struct world_plan *plan = &w->plan;
	bool calm = plan->calm_after_s && w->now_ms > plan->calm_after_s * 1000;
	if (plan->move_every_s && !calm && w->now_ms >= w->next_move_ms) {
		struct peer *p = &w->peer[below(w, plan->clients)];
		be_put(p->addr.port, 1024 + below(w, 60000), 2);
		w->next_move_ms = w->now_ms + plan->move_every_s * 1000;
	}
	if (plan->restart_every_s && !calm && w->server && w->now_ms >= w->next_restart_ms) {
		kill_broker(w);
		w->broker_back_ms = w->now_ms + below(w, 3000);
	}
	if (!w->server && w->now_ms >= w->broker_back_ms) {
		start_broker(w);
		w->next_restart_ms = w->now_ms + plan->restart_every_s * 1000;
	}
}

static bool all_arrived(const struct world *w)
{
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (w->peer[i].acked < w->plan.messages)
			return false;
	return true;
}

static void step(struct world *w)
{
	struct heap_node *n;
	disturb(w);
	application(w);
	while ((n = heap_first(&w->flying)) && n->key <= w->now_ms) {
		struct flying *f = LIST_ENTRY(n, struct flying, node);
		heap_remove(&w->flying, n);
		arrive(w, f);
		free(f);
	}
	if (w->server && server_deadline(w->server) <= w->now_ms)
		server_tick(w->server, w->now_ms, wall(w));
	if (w->server)
		server_flush(w->server, w->now_ms, wall(w));
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (client_deadline(w->peer[i].client) <= w->now_ms)
			client_tick(w->peer[i].client, w->now_ms, wall(w));
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* When something happens next; at least a millisecond on. */
static uint64_t next_event(const struct world *w)
{
	uint64_t at = w->server ? server_deadline(w->server) : w->broker_back_ms;
	struct heap_node *n = heap_first(&w->flying);
	if (n)
		at = sooner(at, n->key);
	for (unsigned i = 0; i < w->plan.clients; i++) {
		const struct peer *p = &w->peer[i];
		at = sooner(at, client_deadline(p->client));
		if (p->stored < w->plan.messages)
			at = sooner(at, p->next_send_ms);
	}
	return at > w->now_ms ? at : w->now_ms + 1;
}

static void clean_up(struct world *w)
{
	for (unsigned i = 0; i < w->plan.clients; i++)
		client_free(w->peer[i].client);
	server_free(w->server);
	for (struct heap_node *n; (n = heap_first(&w->flying));) {
		heap_remove(&w->flying, n);
		free(LIST_ENTRY(n, struct flying, node));
	}
	heap_deinit(&w->flying);
}

struct world_result world_run(const struct world_plan *plan)
{
	static struct world w; /* large: off the stack */
	memset(&w, 0, sizeof w);
	w.plan = *plan;
	w.rng = plan->seed * 2 + 1;
	engine_rng = plan->seed * 2654435761u + 7;
	for (int i = 0; i < 8; i++) {
		draw(&w.rng);
		draw(&engine_rng);
	}
	w.now_ms = 1000;
	uint8_t priv[32];
	engine_random(priv, sizeof priv);
	if (x25519_from_private(priv, &w.key) || addr_parse("192.0.2.1:7200", &w.server_addr))
		abort();
	w.server_config = (struct server_config){.key = w.key, .heartbeat_s = HEARTBEAT_S,
						 .sessions_max = 4096, .cookie_above = 64,
						 .gate = {.random = engine_random}};
	start_broker(&w);
	w.next_restart_ms = plan->restart_every_s * 1000;
	start_clients(&w);
	while (w.now_ms < plan->limit_s * 1000 && !all_arrived(&w)) {
		step(&w);
		w.now_ms = next_event(&w);
	}
	w.result.arrived = all_arrived(&w);
	w.result.ended_ms = w.now_ms;
	clean_up(&w);
	return w.result;
}

struct world_plan world_plan_from_seed(uint64_t seed)
{
	uint64_t s = seed * 0x9e3779b97f4a7c15u + 1;
	for (int i = 0; i < 4; i++)
		draw(&s);
#define PICK(n) ((unsigned)((draw(&s) >> 20) % (n)))
	struct world_plan p = {
		.seed = seed, .clients = 1 + PICK(3), .messages = 1 + PICK(40),
		.size_max = PICK(4) ? PICK(900) : RECORD_BODY_MAX, .loss_pct = PICK(3) ? PICK(30) : PICK(51),
		.dup_pct = PICK(20), .corrupt_pct = PICK(5), .replay_pct = PICK(5), .delay_ms = PICK(150),
		.jitter_ms = PICK(2) ? PICK(200) : 0, .move_every_s = PICK(3) ? 0 : 5 + PICK(20),
		.restart_every_s = PICK(4) ? 0 : 10 + PICK(30), .limit_s = 3000, .calm_after_s = 600,
	};
#undef PICK
	return p;
}

const char *world_verdict(const struct world_result *r)
{
	if (!r->arrived)
		return "not everything arrived";
	if (r->doubled)
		return "a message was shown twice";
	if (r->disordered)
		return "the order was broken";
	if (r->damaged)
		return "a body was damaged, a client stopped, or an acknowledgement came before the showing";
	if (r->amplified)
		return "an answer was longer than its request before the address was proven";
	return NULL;
}
