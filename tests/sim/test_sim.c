/* SPDX-License-Identifier: Apache-2.0 */
/* The session engines in a hostile network: cases that somebody lives through,
 * each as a fixed plan. Thousands of drawn ones: sim_seeds. */
#include "sim/world.h"

#include <criterion/criterion.h>

static struct world_result run(const struct world_plan *plan)
{
	struct world_result r = world_run(plan);
	const char *fault = world_verdict(&r);
	cr_assert_null(fault, "%s (sent %u, shown %u at %llu ms)", fault, r.sent, r.shown,
		       (unsigned long long)r.ended_ms);
	cr_assert_eq(r.shown, r.sent);
	return r;
}

Test(sim, quiet_network_delivers_everything)
{
	struct world_plan plan = {.seed = 1, .clients = 3, .messages = 100, .size_max = 300, .delay_ms = 20,
				  .limit_s = 120};
	struct world_result r = run(&plan);
	cr_assert_eq(r.shown, 300);
	cr_assert_eq(r.dropped, 0);
}

Test(sim, half_of_all_packets_lost_each_way)
{
	struct world_plan plan = {.seed = 2, .clients = 2, .messages = 30, .size_max = 4000, .delay_ms = 30,
				  .loss_pct = 50, .limit_s = 20000};
	run(&plan);
}

Test(sim, half_of_all_packets_lost_and_a_balancer_to_find)
{
	struct world_plan plan = {.seed = 3, .clients = 2, .brokers = 2, .balancer = true, .messages = 30,
				  .size_max = 1000, .delay_ms = 30, .loss_pct = 50, .restart_every_s = 60,
				  .limit_s = 20000};
	run(&plan);
}

/* Each in the end has one answer, in order, and was carried out. */
Test(sim, requests_while_half_of_all_packets_are_lost)
{
	for (unsigned i = 0; i < 4; i++) {
		struct world_plan plan = {.seed = 300 + i, .clients = 2, .messages = 20, .size_max = 1000, .delay_ms = 30,
					  .requests = 60, .ask_spacing_ms = i * 2000, .ask_ms = 1500, .loss_pct = 50,
					  .dup_pct = 10, .reorder_pct = 20, .limit_s = 20000};
		struct world_result r = run(&plan);
		cr_assert_eq(r.answered, 120);
	}
}

Test(sim, requests_while_brokers_die_and_addresses_change)
{
	for (unsigned i = 0; i < 4; i++) {
		struct world_plan plan = {.seed = 310 + i, .clients = 2, .brokers = 2, .balancer = true, .messages = 20,
					  .delay_ms = 30, .requests = 60, .ask_spacing_ms = 4000, .ask_ms = 2000,
					  .reorder_pct = 10, .restart_every_s = 20, .redirect_every_s = 15,
					  .move_every_s = 10, .limit_s = 20000};
		struct world_result r = run(&plan);
		cr_assert_eq(r.answered, 120);
	}
}

/* Closed after some messages, opened after an hour, twice; more came meanwhile. */
Test(sim, laptop_closed_for_an_hour)
{
	struct world_plan plan = {.seed = 4, .clients = 1, .messages = 400, .size_max = 500, .delay_ms = 30,
				  .spacing_ms = 40000, .sleep_every_s = 600, .sleep_for_s = 3600,
				  .exact = true, .limit_s = 20000};
	struct world_result r = run(&plan);
	cr_assert_geq(r.sleeps, 2);
	cr_assert_geq(r.dropped, 1); /* it was renewed */
}

static void stop_for_five_minutes(unsigned keep_pct)
{
	struct world_plan plan = {.seed = 5, .clients = 1, .messages = 100, .size_max = 16384, .delay_ms = 30,
				  .spacing_ms = 10000, .sleep_every_s = 60, .sleep_for_s = 300,
				  .keep_pct = keep_pct, .exact = true, .limit_s = 5000};
	struct world_result r = run(&plan);
	cr_assert_geq(r.sleeps, 1);
}

Test(sim, stopped_for_five_minutes_with_packets_kept) { stop_for_five_minutes(100); }
Test(sim, stopped_for_five_minutes_with_packets_lost) { stop_for_five_minutes(0); }

/* At every one of the 37 packets of a message of 16 KiB. */
Test(sim, address_changes_while_a_large_message_is_half_through)
{
	for (unsigned at = 1; at < 45; at++) {
		struct world_plan plan = {.seed = 100 + at, .clients = 1, .messages = 6, .size_max = 16384,
					  .delay_ms = 40, .move_after_data = at, .limit_s = 120};
		struct world_result r = run(&plan);
		cr_assert_eq(r.moves, 1, "at %u: %u moves", at, r.moves);
		cr_assert_eq(r.dropped, 0, "at %u: the session was lost", at);
	}
}

Test(sim, address_changes_every_20_s_for_an_hour)
{
	struct world_plan plan = {.seed = 7, .clients = 1, .messages = 720, .size_max = 600, .delay_ms = 50,
				  .spacing_ms = 10000, .move_every_s = 20, .exact = true, .limit_s = 8000};
	struct world_result r = run(&plan);
	cr_assert_geq(r.moves, 150);
	cr_assert_eq(r.dropped, 0, "the session was lost %u times", r.dropped);
	cr_assert_leq(r.slowest_ms, 30000);
}

Test(sim, the_attacker_alone_disturbs_nobody)
{
	for (unsigned i = 0; i < 8; i++) {
		struct world_plan plan = {.seed = 800 + i, .clients = 3, .brokers = 1 + i % 2, .balancer = i % 2,
					  .messages = 60, .size_max = 3000, .delay_ms = 20, .spacing_ms = 4000,
					  .requests = 30, .ask_spacing_ms = 5000, .attacker = i < 4 ? ATTACKER_BLIND : ATTACKER_ON_PATH,
					  .attack_every_ms = 20, .limit_s = 600};
		struct world_result r = run(&plan);
		cr_assert_gt(r.attacks, 1000);
		cr_assert_eq(r.dropped, 0);
		cr_assert_eq(r.answered, 3 * plan.requests);
	}
}

Test(sim, one_way_silence_for_a_minute)
{
	for (unsigned i = 0; i < 8; i++) {
		struct world_plan plan = {.seed = 900 + i, .clients = 2, .messages = 60, .size_max = 2000,
					  .delay_ms = 40, .spacing_ms = 5000, .silence_every_s = 90,
					  .silence_for_s = 60, .exact = true, .limit_s = 3000};
		run(&plan);
	}
}

/* Until the client has learned it, a message waits for the next heartbeat; then
 * heartbeats keep the mapping, and a message comes at once. */
Test(sim, a_nat_that_forgets_between_heartbeats)
{
	for (unsigned i = 0; i < 8; i++) {
		struct world_plan plan = {.seed = 1000 + i, .clients = 1, .messages = 100, .size_max = 300,
					  .delay_ms = 40, .spacing_ms = 60000, .heartbeat_s = 30, .nat_s = 10,
					  .limit_s = 20000};
		struct world_result r = run(&plan);
		cr_assert_eq(r.dropped, 0);
		cr_assert_leq(r.slowest_ms, 35000, "a message took %llu ms", (unsigned long long)r.slowest_ms);
		cr_assert_leq(r.slowest_late_ms, 5000, "later a message took %llu ms",
			      (unsigned long long)r.slowest_late_ms);
	}
}

Test(sim, a_seed_gives_the_same_run_again)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world_plan plan = world_plan_from_seed(seed);
		struct world_result a = world_run(&plan), b = world_run(&plan);
		cr_assert_eq(a.ended_ms, b.ended_ms, "seed %llu", (unsigned long long)seed);
		cr_assert_eq(a.packets, b.packets, "seed %llu", (unsigned long long)seed);
	}
}
