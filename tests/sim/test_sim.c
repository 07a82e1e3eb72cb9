/* SPDX-License-Identifier: Apache-2.0 */
/* The session engines in a hostile network. A failing seed says how to see it again:
 * RESTANTE_SEEDS=A-B test_sim_sim runs a range of seeds by hand. */
#include "sim/world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void run_range(uint64_t from, uint64_t to)
{
	for (uint64_t seed = from; seed <= to; seed++) {
		struct world_plan plan = world_plan_from_seed(seed);
		struct world_result r = world_run(&plan);
		const char *fault = world_verdict(&r);
		cr_assert(!fault, "seed %llu: %s (sent %u shown %u doubled %u disordered %u damaged %u "
			  "amplified %u at %llu ms); again: RESTANTE_SEEDS=%llu-%llu test_sim_sim",
			  (unsigned long long)seed, fault, r.sent, r.shown, r.doubled, r.disordered,
			  r.damaged, r.amplified, (unsigned long long)r.ended_ms, (unsigned long long)seed,
			  (unsigned long long)seed);
	}
}

Test(sim, quiet_network_delivers_everything)
{
	struct world_plan plan = {.seed = 1, .clients = 3, .messages = 100, .size_max = 300, .delay_ms = 20,
				  .limit_s = 120};
	struct world_result r = world_run(&plan);
	cr_assert_null(world_verdict(&r), "%s", world_verdict(&r));
	cr_assert_eq(r.shown, 300);
}

Test(sim, half_of_all_packets_lost_each_way)
{
	struct world_plan plan = {.seed = 2, .clients = 2, .messages = 30, .size_max = 4000, .delay_ms = 30,
				  .loss_pct = 50, .limit_s = 20000};
	struct world_result r = world_run(&plan);
	cr_assert_null(world_verdict(&r), "%s", world_verdict(&r));
}

Test(sim, seeds)
{
	unsigned long long from = 1, to = 1000;
	const char *range = getenv("RESTANTE_SEEDS");
	if (range)
		cr_assert_eq(sscanf(range, "%llu-%llu", &from, &to), 2, "RESTANTE_SEEDS is A-B");
	run_range(from, to);
}
