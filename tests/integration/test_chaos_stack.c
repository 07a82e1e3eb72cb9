/* SPDX-License-Identifier: Apache-2.0 */
/* A steady stream of messages through two DCs, three brokers, two LBs and a Redis,
 * while every few seconds one of them, drawn from a seed, is killed and started
 * again, or stopped for a while. The judgement is the record's alone. The environment
 * makes it large: docs/testing.md. */
#include "support/chance.h"
#include "support/recorded_load.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

enum { USERS = 200, MESSAGES = 4000, RATE = 160, LARGE = 20000 };
enum { GAP_MS = 1000, DEAD_MS = 500, PAUSE_MS = 2000, PAUSE_LARGE_MS = 10000, RETURN_MS = 60000 };

enum what { NOTHING, KILLED, PAUSED, RETURNING };

static struct recorded_load l;
static struct stack *const s = &l.stack;
static uint64_t seed, chance;

static struct stack_daemon *victim; /* NULL: Redis */
static enum what state;
static uint64_t next_ms;            /* when the state changes, at the earliest */
static uint64_t ready_by_ms;
static unsigned kills, pauses, of_redis;

static void stop(void) { recorded_load_stop(&l); }
/* Its own deadlines end it; how long a large run takes nobody can say here. */
TestSuite(chaos_stack, .fini = stop, .timeout = 7200);

static unsigned draw(unsigned below) { return chance_below(&chance, below); }

/* The kind first: Redis and the few are struck as often as the many; and of the DCs,
 * every other time the one that the App talks to. */
static struct stack_daemon *draw_daemon(void)
{
	switch (draw(4)) {
	case 0:
		return &s->dc[draw(2) ? l.app.dc : draw(s->options.dcs)];
	case 1:
		return &s->mb[draw(s->options.mbs)];
	case 2:
		return &s->lb[draw(s->options.lbs)];
	default:
		return NULL;
	}
}

static void strike(void)
{
	victim = draw_daemon();
	state = draw(2) ? KILLED : PAUSED;
	fprintf(stderr, "  %s %s, %u OK'd, %" PRIu64 " shown\n", victim ? victim->id : "redis",
		state == KILLED ? "killed" : "stopped", l.app.okd, l.shown);
	of_redis += !victim;
	if (state == KILLED) {
		kills++;
		victim ? stack_kill(victim) : redis_server_kill(&s->redis);
		next_ms = clock_mono_ms() + DEAD_MS;
	} else {
		pauses++;
		victim ? stack_pause(victim) : redis_server_pause(&s->redis);
		next_ms = clock_mono_ms() + (l.size.messages >= LARGE ? PAUSE_LARGE_MS : PAUSE_MS);
	}
}

static void bring_back(void)
{
	if (state == KILLED)
		victim ? stack_restart(victim) : redis_server_run(&s->redis);
	else
		victim ? stack_resume(victim) : redis_server_resume(&s->redis);
	state = RETURNING;
	ready_by_ms = clock_mono_ms() + RETURN_MS;
	next_ms = clock_mono_ms() + 50;
}

static void chaos_turn(void)
{
	recorded_load_turn(&l);
	if (clock_mono_ms() < next_ms)
		return;
	if (state == NOTHING) {
		strike();
	} else if (state != RETURNING) {
		bring_back();
	} else if (victim ? stack_is_ready(victim) : stack_all_ready(s)) { /* without Redis none is */
		state = NOTHING;
		next_ms = clock_mono_ms() + GAP_MS;
	} else {
		cr_assert_lt(clock_mono_ms(), ready_by_ms, "%s does not become ready",
			     victim ? victim->id : "not all after redis");
		next_ms = clock_mono_ms() + 50;
	}
}

TestThen(stop, chaos_stack, nothing_is_lost)
{
	char what[96];
	seed = chance = from_env("RESTANTE_CHAOS_SEED", 7);
	fprintf(stderr, "chaos of seed %" PRIu64 "\n", seed);
	recorded_load_start(&l, &(struct recorded_load_size){USERS, MESSAGES, RATE},
			    &(struct stack_options){.dcs = 2, .mbs = 3, .lbs = 2});
	next_ms = clock_mono_ms() + GAP_MS;
	while (recorded_load_sends(&l) || state != NOTHING)
		chaos_turn();
	recorded_load_finish(&l);
	snprintf(what, sizeof what, "chaos of seed %" PRIu64 ", %u killed, %u stopped, %u of them redis", seed,
		 kills, pauses, of_redis);
	recorded_load_judge(&l, what);
}
