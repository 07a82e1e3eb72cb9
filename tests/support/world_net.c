/* SPDX-License-Identifier: Apache-2.0 */
/* The network of the simulated world: what flies, and what happens to it. The
 * pool of packets outlives a world, so that a world costs no allocation. */
#include "sim/world_state.h"

#include <stdlib.h>
#include <string.h>

enum { FLYING_MAX = 8192, REORDER_MS = 3000, REPLAY_MS = 700 };

static struct flying pool[FLYING_MAX];
static struct flying *idle[FLYING_MAX];
static unsigned idle_count, used;
static struct heap air;

void world_net_begin(struct world *w)
{
	(void)w;
	used = idle_count = 0;
}

static struct flying *take(void)
{
	if (idle_count > 0)
		return idle[--idle_count];
	return used < FLYING_MAX ? &pool[used++] : NULL;
}

void world_free_flying(struct flying *f) { idle[idle_count++] = f; }

void world_fly(struct world *w, const struct addr *from, const struct addr *to, const uint8_t *data,
	       size_t len, uint32_t serial, uint64_t at_ms)
{
	struct flying *f = take();
	if (!f)
		return; /* as a full queue in a router */
	f->node.place = 0;
	f->from = *from;
	f->to = *to;
	f->serial = serial;
	f->len = (uint16_t)len;
	memcpy(f->data, data, len);
	struct meter *before = world_meter(NULL);
	if (heap_set(&air, &f->node, at_ms > w->now_ms ? at_ms : w->now_ms))
		abort();
	world_meter(before);
}

struct flying *world_next_flying(void)
{
	struct heap_node *n = heap_first(&air);
	return n ? LIST_ENTRY(n, struct flying, node) : NULL;
}

void world_land(struct flying *f) { heap_remove(&air, &f->node); }

void world_net_end(void)
{
	heap_deinit(&air);
}

static bool is_server(const struct world *w, const struct addr *a)
{
	if (addr_equal(a, &w->broker[0].addr) || addr_equal(a, &w->balancer_addr))
		return true;
	return w->plan.brokers > 1 && addr_equal(a, &w->broker[1].addr);
}

static uint64_t arrival(struct world *w)
{
	uint64_t at = w->now_ms + w->plan.delay_ms + world_below(w, w->plan.jitter_ms + 1);
	if (world_chance(w, w->plan.reorder_pct) && !world_is_calm(w))
		at += world_below(w, REORDER_MS);
	return at;
}

static bool is_lost(struct world *w, const struct addr *to)
{
	int way = is_server(w, to);
	if (w->silence[way].until_ms > w->now_ms && world_chance(w, w->silence[way].pct))
		return true;
	return world_chance(w, w->plan.loss_pct);
}

uint32_t world_transmit(struct world *w, const struct addr *from, const struct addr *to,
			const uint8_t *data, size_t len)
{
	uint32_t serial = ++w->serials;
	w->result.packets++;
	if (world_is_calm(w)) {
		world_fly(w, from, to, data, len, serial, arrival(w));
		return serial;
	}
	if (w->plan.attacker == ATTACKER_ON_PATH)
		world_attack_sights(w, from, to, data, len, serial);
	if (world_chance(w, w->plan.replay_pct)) {
		/* somebody keeps it, and plays it again much later from elsewhere */
		struct addr elsewhere = *from;
		elsewhere.port[1] ^= 0x55;
		world_fly(w, &elsewhere, to, data, len, serial, arrival(w) + REPLAY_MS);
	}
	if (is_lost(w, to))
		return serial;
	if (world_chance(w, w->plan.corrupt_pct)) {
		uint8_t copy[PACKET_MAX];
		memcpy(copy, data, len);
		copy[world_below(w, len)] ^= (uint8_t)(1u << world_below(w, 8));
		world_fly(w, from, to, copy, len, 0, arrival(w));
	} else {
		world_fly(w, from, to, data, len, serial, arrival(w));
	}
	if (world_chance(w, w->plan.dup_pct))
		world_fly(w, from, to, data, len, serial, arrival(w));
	return serial;
}
