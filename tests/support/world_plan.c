/* SPDX-License-Identifier: Apache-2.0 */
/* Plans drawn from seeds, and the verdict on a run. */
#include "sim/world_state.h"

enum { CALM_S = 600, HOUR_S = 3600, AFTER_CALM_S = 3000 };

static unsigned pick(uint64_t *s, unsigned n) { return (unsigned)((world_draw(s) >> 20) % n); }
/* least .. least + n - 1 in one of `in` worlds, else 0 */
static unsigned sometimes(uint64_t *s, unsigned in, unsigned least, unsigned n)
{
	unsigned v = least + pick(s, n);
	return pick(s, in) ? 0 : v;
}

static void draw_network(struct world_plan *p, uint64_t *s)
{
	p->loss_pct = pick(s, 3) ? pick(s, 30) : pick(s, 51);
	p->dup_pct = pick(s, 20);
	p->corrupt_pct = pick(s, 5);
	p->replay_pct = pick(s, 5);
	p->reorder_pct = sometimes(s, 3, 1, 20);
	p->delay_ms = pick(s, 150);
	p->jitter_ms = pick(s, 2) ? pick(s, 200) : 0;
	p->nat_s = sometimes(s, 5, 8, 33);
}

static void draw_events(struct world_plan *p, uint64_t *s)
{
	p->move_every_s = sometimes(s, 3, 5, 20);
	p->restart_every_s = sometimes(s, 4, 10, 30);
	p->redirect_every_s = p->brokers > 1 ? sometimes(s, 3, 10, 30) : 0;
	p->silence_every_s = sometimes(s, 4, 10, 40);
	p->silence_for_s = 2 + (pick(s, 2) ? pick(s, 20) : pick(s, 100));
	p->sleep_every_s = sometimes(s, 4, 10, 60);
	p->sleep_for_s = pick(s, 12) ? 1 + pick(s, 90) : HOUR_S;
	p->keep_pct = pick(s, 3) * 50;
}

static void draw_requests(struct world_plan *p, uint64_t *s)
{
	p->requests = sometimes(s, 2, 1, 40);
	p->ask_spacing_ms = pick(s, 3) * 5000;
	p->ask_ms = sometimes(s, 2, 1, 3000);
}

/* The attacker alone: whatever he does no session ends. */
static void make_quiet(struct world_plan *p, uint64_t *s)
{
	p->loss_pct = p->corrupt_pct = p->reorder_pct = p->nat_s = 0;
	p->move_every_s = p->restart_every_s = p->redirect_every_s = 0;
	p->silence_every_s = p->sleep_every_s = 0;
	p->attacker = ATTACKER_BLIND + pick(s, 2);
	p->attack_every_ms = 40 + pick(s, 1500);
	p->spacing_ms = 400 + pick(s, 4000);
}

struct world_plan world_plan_from_seed(uint64_t seed)
{
	uint64_t s = seed * 0x9e3779b97f4a7c15u + 1;
	for (int i = 0; i < 4; i++)
		world_draw(&s);
	struct world_plan p = {.seed = seed, .calm_after_s = CALM_S};
	p.clients = 1 + pick(&s, 3);
	p.brokers = 1 + pick(&s, 2);
	p.balancer = p.brokers > 1 || pick(&s, 4) == 0;
	p.messages = 1 + pick(&s, 40);
	p.size_max = pick(&s, 4) ? pick(&s, 900) : RECORD_BODY_MAX;
	p.spacing_ms = pick(&s, 4) ? 400 : 1000 + pick(&s, 9000);
	p.heartbeat_s = 5 + pick(&s, 26);
	p.window = pick(&s, 4) ? 0 : 1024 + pick(&s, 32768);
	p.sessions_max = 16 + pick(&s, 64);
	p.cookie_above = 1 + pick(&s, 24);
	p.free_per_s = sometimes(&s, 4, 1, 8);
	p.bad_burst = sometimes(&s, 4, 1, 64);
	p.address_per_s = sometimes(&s, 4, 1, 4);
	p.login_ms = sometimes(&s, 2, 1, 1500);
	p.kick_ms = sometimes(&s, 2, 1, 2000);
	draw_network(&p, &s);
	draw_events(&p, &s);
	if (pick(&s, 3) == 0) {
		p.attacker = ATTACKER_BLIND + pick(&s, 2);
		p.attack_every_ms = 100 + pick(&s, 3000);
	}
	if (pick(&s, 8) == 0)
		make_quiet(&p, &s);
	draw_requests(&p, &s);
	p.limit_s = CALM_S + AFTER_CALM_S + (p.sleep_every_s ? p.sleep_for_s : 0);
	return p;
}

bool world_plan_is_quiet(const struct world_plan *p)
{
	return p->attacker && !p->loss_pct && !p->corrupt_pct && !p->reorder_pct && !p->nat_s &&
	       !p->move_every_s && !p->move_after_data && !p->restart_every_s && !p->redirect_every_s &&
	       !p->silence_every_s && !p->sleep_every_s;
}

const char *world_fault_text(enum world_fault f)
{
	static const char *const text[] = {
		[FAULT_LOST] = "not everything arrived",
		[FAULT_DOUBLED] = "a message was shown twice",
		[FAULT_DISORDERED] = "the order was broken",
		[FAULT_DAMAGED] = "a message was not what was sent",
		[FAULT_EARLY_ACK] = "an acknowledgement came before the showing",
		[FAULT_REQUEST] = "a request was carried out damaged, or after a later one",
		[FAULT_REPLY] = "a request was answered twice, out of order, wrongly, or for nothing",
		[FAULT_STOPPED] = "a client stopped for good",
		[FAULT_NONCE] = "a packet number or an ephemeral key was used twice",
		[FAULT_FORGED] = "a forged packet was taken for genuine",
		[FAULT_REPLAYED] = "a packet was taken twice",
		[FAULT_AMPLIFIED] = "more was sent to an unproven address than came from it",
		[FAULT_STRAYED] = "a session went to an address that its client never had",
		[FAULT_DISTURBED] = "the attacker's packets ended a session",
		[FAULT_MEMORY] = "an engine's memory went beyond its bound, or was kept",
		[FAULT_OFFLINE] = "a client did not come back online",
	};
	return text[f];
}

const char *world_verdict(const struct world_result *r)
{
	for (int i = 0; i < WORLD_FAULTS; i++)
		if (r->fault[i])
			return world_fault_text((enum world_fault)i);
	return NULL;
}
