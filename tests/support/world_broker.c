/* SPDX-License-Identifier: Apache-2.0 */
/* The brokers of the simulated world, the balancer, and what stands behind them:
 * an application that stores messages, and a "Redis" of one row a user, whose
 * newest login owns the queue. A broker's questions take their time. */
#include "sim/world_state.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { FED_MAX = 70, BACK_MS = 3000, BALANCER_RETRY_MS = 500, SPREAD_MS = 3000 };

/* ---- messages ---- */

size_t world_make_body(const struct peer *p, unsigned i, uint8_t *out)
{
	uint64_t state = p->world->plan.seed * 977 + (uint64_t)(p - p->world->peer) * 7919 + i + 1;
	size_t len = world_draw(&state) % (p->world->plan.size_max + 1);
	for (size_t k = 0; k < len; k += 8) {
		uint64_t v = world_draw(&state);
		memcpy(out + k, &v, len - k < 8 ? len - k : 8);
	}
	return len;
}

struct ulid world_make_id(const struct peer *p, unsigned i)
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
	struct broker *b = &w->broker[p->broker];
	struct meter *before = world_meter(&b->meter);
	unsigned i = p->acked;
	int err = RS_OK;
	for (unsigned fed = 0; p->conn && i < p->stored && fed < FED_MAX; i++) {
		if (p->gone[i])
			continue;
		struct record r = {.id = world_make_id(p, i), .sent_ms = world_wall(w),
				   .expires_ms = UINT64_MAX / 2, .app = "sim", .app_len = 3, .body = body};
		r.body_len = world_make_body(p, i, body);
		err = server_push(b->server, p->conn, &r, OBJECT_STORED, 0, world_wall(w));
		if (err && err != RS_EEXIST)
			break;
		fed++;
	}
	if (p->conn)
		server_set_more(b->server, p->conn, err == RS_EBUSY);
	world_meter(before);
}

void world_application(struct world *w)
{
	for (unsigned i = 0; i < w->plan.clients; i++) {
		struct peer *p = &w->peer[i];
		if (p->stored < w->plan.messages && w->now_ms >= p->next_send_ms) {
			p->stored_ms[p->stored++] = w->now_ms;
			w->result.sent++;
			p->next_send_ms = w->now_ms + world_below(w, w->plan.spacing_ms);
			p->hungry = true;
		}
		if (p->conn && p->hungry) {
			p->hungry = false;
			feed(w, p);
		}
	}
}

/* ---- what a broker asks ---- */

static void accept_login(struct world *w, struct broker *b, uint32_t conn, struct peer *p)
{
	struct due kick = {.at_ms = w->now_ms + world_below(w, w->plan.kick_ms + 1), .conn = p->conn,
			   .broker = p->broker, .boot = w->broker[p->broker].config.boot, .kind = DUE_KICK};
	if (server_accept(b->server, conn, w->now_ms, ++w->next_owner, p))
		return;
	p->conn = conn;
	p->broker = b->index;
	p->owner = w->next_owner;
	p->hungry = true;
	if (kick.conn && w->due_count < DUE_MAX)
		w->due[w->due_count++] = kick;
}

static void answer(struct world *w, const struct due *d)
{
	struct broker *b = &w->broker[d->broker];
	if (!b->server || b->config.boot != d->boot)
		return;
	struct meter *before = world_meter(&b->meter);
	if (d->kind == DUE_REQUEST)
		world_carry_out(b, d);
	else if (d->kind == DUE_KICK)
		server_close_session(b->server, d->conn, w->now_ms, CLOSE_SUPERSEDED);
	else if (d->peer)
		accept_login(w, b, d->conn, d->peer);
	else if (server_reject(b->server, d->conn, w->now_ms, CLOSE_BAD_SESSION, 0))
		world_trace(w, "refused login is gone already");
	world_meter(before);
}

void world_add_due(struct world *w, const struct due *d)
{
	if (d->at_ms == w->now_ms || w->due_count == DUE_MAX)
		answer(w, d);
	else
		w->due[w->due_count++] = *d;
}

void world_run_due(struct world *w)
{
	for (unsigned i = 0; i < w->due_count;) {
		if (w->due[i].at_ms > w->now_ms) {
			i++;
			continue;
		}
		struct due d = w->due[i];
		w->due[i] = w->due[--w->due_count];
		answer(w, &d);
	}
}

/* ---- the broker's engine ---- */

static void server_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct broker *b = ctx;
	world_check_server_sends(b, to, data, len);
	world_transmit(b->world, &b->addr, to, data, len);
}

static struct peer *peer_of_login(struct world *w, const struct frame_login *login)
{
	static const char right[] = "sim-session";
	if (login->session_len != sizeof right - 1 || memcmp(login->session, right, sizeof right - 1) != 0)
		return NULL;
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (strlen(w->peer[i].name) == login->user_len &&
		    memcmp(w->peer[i].name, login->user, login->user_len) == 0)
			return &w->peer[i];
	return NULL;
}

static void on_login(void *ctx, uint32_t conn, const struct frame_login *login, const struct addr *from)
{
	struct broker *b = ctx;
	struct world *w = b->world;
	struct due d = {.at_ms = w->now_ms + world_below(w, w->plan.login_ms + 1),
			.peer = peer_of_login(w, login), .conn = conn, .broker = b->index,
			.boot = b->config.boot};
	world_check_proven(w, b->index, b->config.boot, from);
	if (b->base_bytes == 0)
		b->base_bytes = b->meter.live;
	world_add_due(w, &d);
}

/* The queue obeys the newest owner only. */
static void on_acked(void *ctx, uint32_t conn, void *user, const struct outbox_done *done)
{
	struct broker *b = ctx;
	struct peer *p = user;
	uint32_t i = (uint32_t)be_get(done->id.b + 12, 4);
	if (i >= p->shown)
		world_fault(b->world, FAULT_EARLY_ACK);
	if (server_owner(b->server, conn) != p->owner || i >= p->stored)
		return;
	p->hungry = true;
	p->gone[i] = true;
	while (p->acked < p->stored && p->gone[p->acked])
		p->acked++;
}

static void on_gone(void *ctx, uint32_t conn, void *user, enum close_code why)
{
	struct broker *b = ctx;
	struct peer *p = user;
	world_trace(b->world, "broker %u: session of %s ends (%s)", b->index, p->name, close_code_text(why));
	if (p->conn == conn && p->broker == b->index)
		p->conn = 0;
}

static const struct server_handler server_events = {server_sends, on_login, on_acked, on_gone,
						     world_on_request};

static void name_fallback(struct broker *b)
{
	struct world *w = b->world;
	struct frame_brokers list = {.count = (uint8_t)w->plan.brokers};
	for (unsigned i = 0; i < w->plan.brokers; i++) {
		const struct broker *other = &w->broker[(b->index + 1 + i) % w->plan.brokers];
		list.at[i].address = other->addr;
		memcpy(list.at[i].key, other->config.key.pub, sizeof list.at[i].key);
	}
	server_set_fallback(b->server, &list);
}

void world_start_broker(struct broker *b)
{
	struct world *w = b->world;
	struct meter *before = world_meter(&b->meter);
	b->config.boot++;
	b->base_bytes = 0;
	if (server_new(&b->server, &b->config, &server_events, b, w->now_ms))
		abort();
	if (w->plan.balancer)
		name_fallback(b);
	world_meter(before);
}

void world_kill_broker(struct broker *b)
{
	struct world *w = b->world;
	struct meter *before = world_meter(&b->meter);
	server_free(b->server);
	world_meter(before);
	b->server = NULL;
	if (b->meter.live != 0)
		world_fault(w, FAULT_MEMORY); /* lost, not freed */
	b->meter.live = 0;
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (w->peer[i].broker == b->index)
			w->peer[i].conn = 0;
}

/* The session that sent this now goes where its client is, or was. */
static void check_address(struct broker *b, const struct flying *f)
{
	struct world *w = b->world;
	uint32_t conn = packet_read_header(f->data).conn;
	struct peer *p = server_user(b->server, conn);
	if (!p)
		return;
	struct addr at = server_address(b->server, conn);
	if (world_check_owns(p, &at))
		world_check_proven(w, b->index, b->config.boot, &at);
	else
		world_fault(w, FAULT_STRAYED);
}

void world_broker_recv(struct broker *b, struct flying *f)
{
	struct world *w = b->world;
	if (!b->server)
		return;
	const struct server_stats *s = server_stats(b->server);
	uint64_t taken = s->data_in + s->heartbeats, shook = s->handshakes;
	bool session = f->len >= PACKET_HEADER && (f->data[0] == PACKET_DATA || f->data[0] == PACKET_HEARTBEAT);
	struct flying copy = {.serial = f->serial};
	struct addr from = f->from;
	struct meter *before = world_meter(&b->meter);
	world_check_request(w, b->index, b->config.boot, &from, f->len);
	w->request_from = &from;
	w->request_len = f->len;
	server_recv(b->server, w->now_ms, world_wall(w), &from, f->data, f->len);
	w->request_from = NULL;
	s = server_stats(b->server);
	if (s->data_in + s->heartbeats != taken)
		world_check_taken(w, &copy);
	if (s->handshakes != shook && f->serial == 0)
		world_fault(w, FAULT_FORGED);
	if (session)
		check_address(b, f);
	server_flush(b->server, w->now_ms, world_wall(w));
	world_meter(before);
}

uint64_t world_broker_deadline(const struct broker *b)
{
	return b->server ? server_deadline(b->server) : b->back_ms;
}

static void restart(struct broker *b)
{
	struct world *w = b->world;
	if (!b->server) {
		if (w->now_ms >= b->back_ms || world_is_calm(w)) {
			world_start_broker(b);
			b->next_restart_ms = world_after(w, w->plan.restart_every_s);
		}
	} else if (w->plan.restart_every_s && !world_is_calm(w) && w->now_ms >= b->next_restart_ms) {
		world_trace(w, "broker %u is killed", b->index);
		world_kill_broker(b);
		b->back_ms = w->now_ms + world_below(w, BACK_MS);
	}
}

/* It is drained: all its clients are to go elsewhere. */
static void redirect(struct broker *b)
{
	struct world *w = b->world;
	if (!w->plan.redirect_every_s || world_is_calm(w) || w->now_ms < b->next_redirect_ms)
		return;
	for (unsigned i = 0; i < w->plan.clients; i++) {
		struct peer *p = &w->peer[i];
		if (p->conn && p->broker == b->index &&
		    server_redirect(b->server, p->conn, w->now_ms, (uint32_t)world_below(w, SPREAD_MS)) == RS_OK)
			w->result.redirects++;
	}
	b->next_redirect_ms = world_after(w, w->plan.redirect_every_s);
}

void world_broker_run(struct broker *b)
{
	struct world *w = b->world;
	restart(b);
	if (!b->server)
		return;
	struct meter *before = world_meter(&b->meter);
	redirect(b);
	if (server_deadline(b->server) <= w->now_ms)
		server_tick(b->server, w->now_ms, world_wall(w));
	server_flush(b->server, w->now_ms, world_wall(w));
	world_meter(before);
}

/* ---- the balancer ---- */

static void balancer_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct world *w = ctx;
	world_check_answer(w, BALANCER_NODE, 0, to, len);
	if (data[0] == PACKET_ANSWER)
		world_check_hello(w, data, len, HELLO_HEADER);
	world_transmit(w, &w->balancer_addr, to, data, len);
}

static bool avoids(const struct ask_payload *ask, const struct addr *a)
{
	for (unsigned i = 0; i < ask->avoid_count; i++)
		if (addr_equal(&ask->avoid[i], a))
			return true;
	return false;
}

/* Any broker that lives, those to avoid last; it knows late who died. */
static void choose(void *ctx, const struct addr *from, const struct ask_payload *ask,
		   struct answer_payload *out)
{
	struct world *w = ctx;
	(void)from;
	*out = (struct answer_payload){0};
	unsigned first = (unsigned)world_below(w, w->plan.brokers);
	for (int avoided = 0; avoided < 2; avoided++)
		for (unsigned k = 0; k < w->plan.brokers; k++) {
			const struct broker *b = &w->broker[(first + k) % w->plan.brokers];
			if (avoids(ask, &b->addr) != avoided || (!b->server && world_chance(w, 50)))
				continue;
			struct broker_entry *e = &out->broker[out->count++];
			e->address = b->addr;
			memcpy(e->key, b->config.key.pub, sizeof e->key);
		}
	if (out->count == 0) {
		out->status = 1;
		out->retry_ms = BALANCER_RETRY_MS;
	}
}

void world_balancer_start(struct world *w)
{
	static const struct balancer_handler events = {balancer_sends, choose};
	struct balancer_config config = {
		.gate = {.free_per_s = w->plan.free_per_s, .bad_burst = w->plan.bad_burst,
			 .address_per_s = w->plan.address_per_s, .random = world_engine_random},
	};
	uint8_t priv[X25519_BYTES];
	world_engine_random(priv, sizeof priv);
	if (x25519_from_private(priv, &config.key) ||
	    balancer_init(&w->balancer, &config, &events, w, w->now_ms))
		abort();
}

void world_balancer_recv(struct world *w, struct flying *f)
{
	uint64_t asks = w->balancer.stats.asks;
	struct addr from = f->from;
	world_check_request(w, BALANCER_NODE, 0, &from, f->len);
	w->request_from = &from;
	w->request_len = f->len;
	balancer_recv(&w->balancer, w->now_ms, &from, f->data, f->len);
	w->request_from = NULL;
	if (w->balancer.stats.asks != asks && f->serial == 0)
		world_fault(w, FAULT_FORGED);
}
