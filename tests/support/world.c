/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of the simulated world: from one event to the next until everything
 * has arrived, then a while in calm, to see what is left. */
#include "sim/world_state.h"

#include "base/bytes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
	LULL_MS = 250,       /* while nothing flies a broker's timers may run that late */
	SETTLE_MS = 40000,   /* everything is idle after this ... */
	SETTLE_MAX_MS = 900000, /* ... once all are online, which takes no longer than this */
	SILENCE_LEAST_PCT = 50,
};

/* ---- chance (xorshift64*) ---- */

static uint64_t engine_rng = 1;

uint64_t world_draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1du;
}

void world_engine_random(void *out, size_t len)
{
	uint8_t *p = out;
	for (uint64_t v; len > 0; p += v, len -= v) {
		uint64_t bits = world_draw(&engine_rng);
		v = len < 8 ? len : 8;
		memcpy(p, &bits, v);
	}
}

void world_seed_engines(uint64_t seed)
{
	engine_rng = seed * 2654435761u + 7;
	for (int i = 0; i < 8; i++)
		world_draw(&engine_rng);
}

uint64_t world_below(struct world *w, uint64_t n) { return n ? (world_draw(&w->rng) >> 16) % n : 0; }
bool world_chance(struct world *w, unsigned pct) { return pct && world_below(w, 100) < pct; }

void world_trace(const struct world *w, const char *format, ...)
{
	va_list args;
	if (!w->plan.trace)
		return;
	va_start(args, format);
	fprintf(stderr, "%10.3f  ", (double)w->now_ms / 1000);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

/* ---- events ---- */

uint64_t world_after(struct world *w, unsigned every_s)
{
	return w->now_ms + every_s * 500ull + world_below(w, every_s * 1000ull);
}

static uint64_t lasts(struct world *w, unsigned for_s)
{
	return w->plan.exact ? for_s * 1000ull : world_below(w, for_s * 1000ull);
}

static void begin_silence(struct world *w)
{
	int way = (int)world_below(w, 2);
	w->silence[way].until_ms = w->now_ms + lasts(w, w->plan.silence_for_s);
	w->silence[way].pct = w->plan.exact || world_chance(w, 50)
				      ? 100 : SILENCE_LEAST_PCT + (unsigned)world_below(w, 50);
	world_trace(w, "%u%% are lost to the %s until %llu ms", w->silence[way].pct,
		    way ? "brokers" : "clients", (unsigned long long)w->silence[way].until_ms);
}

static void disturb(struct world *w)
{
	const struct world_plan *plan = &w->plan;
	if (world_is_calm(w))
		return;
	if (plan->move_every_s && w->now_ms >= w->next_move_ms) {
		world_move(&w->peer[world_below(w, plan->clients)]);
		w->next_move_ms = plan->exact ? w->now_ms + plan->move_every_s * 1000ull : world_after(w, plan->move_every_s);
	}
	if (plan->silence_every_s && w->now_ms >= w->next_silence_ms) {
		begin_silence(w);
		w->next_silence_ms = world_after(w, plan->silence_every_s);
	}
	if (plan->sleep_every_s && w->now_ms >= w->next_sleep_ms) {
		struct peer *p = &w->peer[world_below(w, plan->clients)];
		if (!p->awake_ms)
			world_fall_asleep(p, lasts(w, plan->sleep_for_s), world_chance(w, plan->keep_pct));
		w->next_sleep_ms = world_after(w, plan->sleep_every_s);
	}
}

static void arrive(struct world *w, struct flying *f)
{
	for (unsigned i = 0; i < w->plan.brokers; i++)
		if (addr_equal(&f->to, &w->broker[i].addr)) {
			world_broker_recv(&w->broker[i], f);
			world_free_flying(f);
			return;
		}
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (addr_equal(&f->to, &w->peer[i].addr)) {
			world_client_recv(&w->peer[i], f);
			return;
		}
	if (w->plan.balancer && addr_equal(&f->to, &w->balancer_addr))
		world_balancer_recv(w, f);
	else
		world_attack_recv(w, f);
	world_free_flying(f);
}

static void step(struct world *w)
{
	disturb(w);
	world_run_due(w);
	world_application(w);
	for (struct flying *f; (f = world_next_flying()) && f->node.key <= w->now_ms;) {
		world_land(f);
		arrive(w, f);
	}
	for (unsigned i = 0; i < w->plan.brokers; i++)
		world_broker_run(&w->broker[i]);
	for (unsigned i = 0; i < w->plan.clients; i++)
		world_client_run(&w->peer[i]);
	world_attack_run(w);
	world_check_bounds(w);
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t next_disturbance(const struct world *w)
{
	uint64_t at = UINT64_MAX;
	if (world_is_calm(w))
		return at;
	if (w->plan.move_every_s)
		at = sooner(at, w->next_move_ms);
	if (w->plan.silence_every_s)
		at = sooner(at, w->next_silence_ms);
	if (w->plan.sleep_every_s)
		at = sooner(at, w->next_sleep_ms);
	return at;
}

/* When something happens next; at least a millisecond on. */
static uint64_t next_event(const struct world *w)
{
	const struct flying *f = world_next_flying();
	uint64_t at = f ? f->node.key : UINT64_MAX, brokers = UINT64_MAX;
	for (unsigned i = 0; i < w->plan.brokers; i++)
		brokers = sooner(brokers, world_broker_deadline(&w->broker[i]));
	if (!f && brokers < w->now_ms + LULL_MS)
		brokers = w->now_ms + LULL_MS;
	at = sooner(sooner(at, brokers), sooner(next_disturbance(w), world_attack_deadline(w)));
	for (unsigned i = 0; i < w->plan.clients; i++) {
		const struct peer *p = &w->peer[i];
		at = sooner(at, world_client_deadline(p));
		if (p->stored < w->plan.messages)
			at = sooner(at, p->next_send_ms);
	}
	for (unsigned i = 0; i < w->due_count; i++)
		at = sooner(at, w->due[i].at_ms);
	return at > w->now_ms ? at : w->now_ms + 1;
}

/* ---- beginning and end ---- */

static bool all_arrived(const struct world *w)
{
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (w->peer[i].acked < w->plan.messages || w->peer[i].answered < w->plan.requests)
			return false;
	return true;
}

static bool all_online(const struct world *w)
{
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (!w->peer[i].online)
			return false;
	return true;
}

static void set_defaults(struct world_plan *p)
{
	p->brokers = p->brokers ? p->brokers : 1;
	p->spacing_ms = p->spacing_ms ? p->spacing_ms : 400;
	p->heartbeat_s = p->heartbeat_s ? p->heartbeat_s : 10;
	p->sessions_max = p->sessions_max ? p->sessions_max : 64;
	p->cookie_above = p->cookie_above ? p->cookie_above : 64;
	if (p->clients > CLIENTS_MAX || p->messages > MESSAGES_MAX || p->brokers > BROKERS_MAX)
		abort();
}

static void start_brokers(struct world *w)
{
	static const char *const at[] = {"192.0.2.1:7200", "192.0.2.2:7200"};
	for (unsigned i = 0; i < w->plan.brokers; i++) {
		struct broker *b = &w->broker[i];
		uint8_t priv[X25519_BYTES];
		*b = (struct broker){.world = w, .index = i};
		b->config = (struct server_config){
			.heartbeat_s = (uint16_t)w->plan.heartbeat_s, .sessions_max = w->plan.sessions_max,
			.cookie_above = w->plan.cookie_above,
			.gate = {.free_per_s = w->plan.free_per_s, .bad_burst = w->plan.bad_burst,
				 .address_per_s = w->plan.address_per_s, .random = world_engine_random},
		};
		world_engine_random(priv, sizeof priv);
		if (x25519_from_private(priv, &b->config.key) || addr_parse(at[i], &b->addr))
			abort();
		b->next_restart_ms = world_after(w, w->plan.restart_every_s);
		b->next_redirect_ms = world_after(w, w->plan.redirect_every_s);
	}
	for (unsigned i = 0; i < w->plan.brokers; i++)
		world_start_broker(&w->broker[i]);
}

static void begin(struct world *w, const struct world_plan *plan)
{
	memset(w, 0, sizeof *w);
	w->plan = *plan;
	w->quiet = world_plan_is_quiet(plan);
	set_defaults(&w->plan);
	w->rng = plan->seed * 2 + 1;
	for (int i = 0; i < 8; i++)
		world_draw(&w->rng);
	world_seed_engines(plan->seed);
	w->now_ms = 1000;
	world_check_begin();
	world_net_begin(w);
	if (addr_parse("192.0.2.100:7300", &w->balancer_addr))
		abort();
	world_balancer_start(w);
	start_brokers(w);
	w->next_move_ms = world_after(w, w->plan.move_every_s);
	w->next_silence_ms = world_after(w, w->plan.silence_every_s);
	w->next_sleep_ms = world_after(w, w->plan.sleep_every_s);
	world_attack_begin(w);
	for (unsigned i = 0; i < w->plan.clients; i++)
		world_start_client(w, i);
}

/* Nothing new and no trouble: all come online, and nothing is left under way. */
static void settle(struct world *w)
{
	uint64_t until = w->now_ms + SETTLE_MAX_MS;
	w->draining = true;
	w->quiet = false;
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (w->peer[i].awake_ms)
			world_wake(&w->peer[i]);
	for (uint64_t idle_ms = 0; w->now_ms < until && idle_ms < SETTLE_MS;) {
		uint64_t before = w->now_ms;
		step(w);
		w->now_ms = next_event(w);
		idle_ms = all_online(w) ? idle_ms + w->now_ms - before : 0;
	}
	if (!all_online(w))
		world_fault(w, FAULT_OFFLINE);
	world_check_end(w);
}

static void finish(struct world *w)
{
	for (unsigned i = 0; i < w->plan.clients; i++) {
		if (w->peer[i].meter.peak > w->result.client_peak)
			w->result.client_peak = w->peer[i].meter.peak;
		world_end_client(&w->peer[i]);
	}
	for (unsigned i = 0; i < w->plan.brokers; i++) {
		if (w->broker[i].meter.peak > w->result.server_peak)
			w->result.server_peak = w->broker[i].meter.peak;
		if (w->broker[i].server)
			world_kill_broker(&w->broker[i]);
	}
	balancer_deinit(&w->balancer);
	world_attack_end(w);
	world_net_end();
}

struct world_result world_run(const struct world_plan *plan)
{
	static struct world w; /* large: off the stack */
	begin(&w, plan);
	while (w.now_ms < w.plan.limit_s * 1000 && !all_arrived(&w)) {
		step(&w);
		w.now_ms = next_event(&w);
	}
	w.result.ended_ms = w.now_ms;
	if (all_arrived(&w))
		settle(&w);
	else
		world_fault(&w, FAULT_LOST);
	finish(&w);
	return w.result;
}
