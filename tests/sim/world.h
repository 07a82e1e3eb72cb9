/* SPDX-License-Identifier: Apache-2.0 */
/* A small world for the session engines: one broker, some clients, a hostile
 * network with a virtual clock, and an application that keeps a queue for each
 * user as Redis would. Everything that happens follows from the seed. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

struct world_plan {
	uint64_t seed;
	unsigned clients;
	unsigned messages;     /* to each client */
	unsigned size_max;     /* bytes of a body */
	unsigned loss_pct, dup_pct, corrupt_pct, replay_pct; /* of packets, each way */
	unsigned delay_ms, jitter_ms;
	unsigned move_every_s; /* a client's address changes; 0: never */
	unsigned restart_every_s; /* the broker is killed and comes back; 0: never */
	uint64_t limit_s;      /* virtual time after which everything must have arrived */
	uint64_t calm_after_s; /* the network is good from then on; 0: never */
};

struct world_result {
	unsigned sent, shown, doubled, disordered, damaged;
	unsigned packets, amplified; /* answers longer than requests, to unproven addresses */
	uint64_t ended_ms;           /* virtual time */
	bool arrived;                /* every message was shown */
};

/* A plan drawn from the seed alone. */
struct world_plan world_plan_from_seed(uint64_t seed);
struct world_result world_run(const struct world_plan *plan);
/* NULL: all promises held; else the one that did not. */
const char *world_verdict(const struct world_result *r);

#endif
