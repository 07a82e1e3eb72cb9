/* SPDX-License-Identifier: Apache-2.0 */
/* The clients of the simulated world: what their applications check, and what
 * befalls their machines: sleep, a new address, a NAT that forgets. */
#include "sim/world_state.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { BUSY_PCT = 2, PORT_LEAST = 1024, PORTS = 60000 };

void world_move(struct peer *p)
{
	struct world *w = p->world;
	be_put(p->addr.port, PORT_LEAST + world_below(w, PORTS), 2);
	world_check_own(p, &p->addr);
	w->result.moves++;
	world_trace(w, "%s has port %u now", p->name, addr_port(&p->addr));
}

static bool nat_forgot(const struct peer *p)
{
	const struct world *w = p->world;
	return w->plan.nat_s && w->now_ms - p->last_out_ms >= w->plan.nat_s * 1000ull;
}

static void client_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct peer *p = ctx;
	struct world *w = p->world;
	if (nat_forgot(p))
		world_move(p);
	p->last_out_ms = w->now_ms;
	world_check_client_sends(p, data, len);
	world_transmit(w, &p->addr, to, data, len);
}

static void note_time(struct world *w, uint32_t i, uint64_t took_ms)
{
	struct world_result *r = &w->result;
	if (took_ms > r->slowest_ms)
		r->slowest_ms = took_ms;
	if (i >= w->plan.messages / 2 && took_ms > r->slowest_late_ms)
		r->slowest_late_ms = took_ms;
}

static int on_message(void *ctx, const struct client_message *m)
{
	static uint8_t body[RECORD_BODY_MAX + 8];
	struct peer *p = ctx;
	struct world *w = p->world;
	uint32_t i = (uint32_t)be_get(m->record.id.b + 12, 4);
	if (world_chance(w, BUSY_PCT))
		return -1; /* the application is busy */
	size_t len = world_make_body(p, i, body);
	if (i >= p->stored || len != m->record.body_len || memcmp(body, m->record.body, len) != 0) {
		world_fault(w, FAULT_DAMAGED);
		return 0;
	}
	if (i < p->shown)
		world_fault(w, FAULT_DOUBLED);
	else if (i > p->shown)
		world_fault(w, FAULT_DISORDERED);
	p->shown = i + 1;
	w->result.shown++;
	note_time(w, i, w->now_ms - p->stored_ms[i]);
	return 0;
}

/* An old session's "superseded" can reach nobody: its keys are gone. */
static void on_state(void *ctx, enum client_state state, unsigned why)
{
	struct peer *p = ctx;
	struct world *w = p->world;
	bool over = state == CLIENT_WAITING || state == CLIENT_STOPPED;
	world_trace(w, "%s is %s%s%s", p->name, client_state_text(state), over ? ": " : "",
		    over ? close_code_text(why) : "");
	if (state == CLIENT_STOPPED && why != CLOSE_NORMAL)
		world_fault(w, FAULT_STOPPED);
	if (state == CLIENT_LOGIN)
		p->last_number = -1; /* new keys */
	if (p->online && state != CLIENT_ONLINE) {
		w->result.dropped++;
		if (w->quiet)
			world_fault(w, FAULT_DISTURBED);
	}
	p->online = state == CLIENT_ONLINE;
}

static const struct client_handler client_events = {client_sends, on_message, on_state, world_on_reply};

/* In some worlds the first of the balancer's pinned keys is not the right one. */
static void name_servers(const struct world *w, struct client_config *c)
{
	struct client_balancer *lb = &c->balancer[0];
	if (w->plan.balancer) {
		c->balancer_count = 1;
		lb->address = w->balancer_addr;
		lb->key_count = 1 + (w->plan.seed % 3 == 0);
		memcpy(lb->key[0], w->broker[0].config.key.pub, X25519_BYTES);
		memcpy(lb->key[lb->key_count - 1], w->balancer.config.key.pub, X25519_BYTES);
	}
	c->broker.address = w->broker[0].addr;
	memcpy(c->broker.key, w->broker[0].config.key.pub, sizeof c->broker.key);
}

void world_start_client(struct world *w, unsigned i)
{
	struct peer *p = &w->peer[i];
	char text[ADDR_TEXT_MAX];
	struct client_config c = {.user = p->name, .session = "sim-session", .random = world_engine_random,
				  .window = w->plan.window};
	p->world = w;
	snprintf(p->name, sizeof p->name, "user%u", i);
	snprintf(text, sizeof text, "10.0.0.%u:4000", i + 1);
	name_servers(w, &c);
	if (addr_parse(text, &p->addr))
		abort();
	p->last_out_ms = w->now_ms;
	world_check_own(p, &p->addr);
	struct meter *before = world_meter(&p->meter);
	if (client_new(&p->client, &c, &client_events, p))
		abort();
	p->base_bytes = p->meter.live;
	client_start(p->client, world_peer_now(p), world_wall(w));
	world_meter(before);
}

void world_end_client(struct peer *p)
{
	struct meter *before = world_meter(&p->meter);
	client_free(p->client);
	world_meter(before);
	if (p->meter.live != 0)
		world_fault(p->world, FAULT_MEMORY); /* lost, not freed */
}

/* What a packet can do to a client. None of it may come of a forged one. */
struct effect {
	enum client_state state;
	uint64_t data_in, data_out, resets, reconnects, heartbeats;
};

static struct effect effect_of(const struct peer *p)
{
	const struct client_stats *s = client_stats(p->client);
	return (struct effect){client_state(p->client), s->data_in, s->data_out, s->resets, s->reconnects,
			       s->heartbeats};
}

static bool same(const struct effect *a, const struct effect *b)
{
	return a->state == b->state && a->data_in == b->data_in && a->data_out == b->data_out &&
	       a->resets == b->resets && a->reconnects == b->reconnects && a->heartbeats == b->heartbeats;
}

/* A cookie is not authentic, and may cost one more INIT. */
static void give(struct peer *p, struct flying *f)
{
	struct world *w = p->world;
	struct effect was = effect_of(p), is;
	struct flying what = {.serial = f->serial};
	struct meter *before = world_meter(&p->meter);
	client_recv(p->client, world_peer_now(p), world_wall(w), &f->from, f->data, f->len);
	is = effect_of(p);
	if (f->serial == 0 && !same(&was, &is))
		world_fault(w, FAULT_FORGED);
	if (is.data_in != was.data_in) {
		p->data_came++;
		world_check_taken(w, &what);
	}
	client_flush(p->client, world_peer_now(p));
	world_meter(before);
	world_free_flying(f);
}

void world_client_recv(struct peer *p, struct flying *f)
{
	struct world *w = p->world;
	if (nat_forgot(p) || (p->awake_ms && (!p->keeps || p->kept_count == KEPT_MAX))) {
		world_free_flying(f);
		return;
	}
	if (p->awake_ms) {
		p->kept[p->kept_count++] = f;
		return;
	}
	give(p, f);
	if (w->plan.move_after_data && !w->moved_once && p == w->peer &&
	    p->data_came >= w->plan.move_after_data) {
		w->moved_once = true;
		world_move(p);
	}
}

void world_fall_asleep(struct peer *p, uint64_t ms, bool keeps)
{
	struct world *w = p->world;
	p->fell_asleep_ms = w->now_ms;
	p->awake_ms = w->now_ms + ms + 1;
	p->keeps = keeps;
	p->clock_stops = !keeps && world_chance(w, 50);
	w->result.sleeps++;
	world_trace(w, "%s sleeps for %llu ms%s", p->name, (unsigned long long)ms, keeps ? ", its socket does not" : "");
}

static void tick(struct peer *p)
{
	struct meter *before = world_meter(&p->meter);
	if (client_deadline(p->client) <= world_peer_now(p))
		client_tick(p->client, world_peer_now(p), world_wall(p->world));
	world_meter(before);
}

/* Which comes first, the timer or the packets, is a matter of the loop. */
void world_wake(struct peer *p)
{
	struct world *w = p->world;
	if (p->clock_stops)
		p->lag_ms += w->now_ms - p->fell_asleep_ms;
	p->awake_ms = 0;
	world_trace(w, "%s wakes up, %u packets wait", p->name, p->kept_count);
	if (world_chance(w, 50))
		tick(p);
	for (unsigned i = 0; i < p->kept_count; i++)
		give(p, p->kept[i]);
	p->kept_count = 0;
}

void world_client_run(struct peer *p)
{
	if (p->awake_ms && p->world->now_ms >= p->awake_ms)
		world_wake(p);
	if (!p->awake_ms) {
		world_ask(p);
		tick(p);
	}
}

uint64_t world_client_deadline(const struct peer *p)
{
	uint64_t at = client_deadline(p->client);
	if (p->awake_ms)
		return p->awake_ms;
	if (at != UINT64_MAX)
		at += p->lag_ms;
	return at < world_next_ask(p) ? at : world_next_ask(p);
}
