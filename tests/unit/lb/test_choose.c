/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/choose.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct table table;
static const struct ask_payload nothing_to_avoid;

static struct link_load load_of(unsigned port, uint32_t sessions, uint32_t capacity)
{
	static uint8_t key[32];
	char text[ADDR_TEXT_MAX];
	struct link_load l = {.sessions = sessions, .capacity = capacity, .key = key, .zone = {"", 0}};
	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	cr_assert_eq(addr_parse(text, &l.address), 0);
	return l;
}

static void report(const char *id, unsigned port, uint32_t sessions, uint32_t capacity, uint64_t now)
{
	struct link_load l = load_of(port, sessions, capacity);
	table_on_load(&table, id, 7, &l, now);
}

/* The ports of the brokers named, best first, as text. */
static const char *choose(const struct ask_payload *ask, uint64_t now)
{
	static char out[128];
	struct answer_payload a;
	choose_brokers(&table, ask, now, &a);
	cr_assert_eq(a.status, a.count ? 0 : 1);
	size_t at = 0;
	out[0] = '\0';
	for (unsigned i = 0; i < a.count; i++)
		at += (size_t)snprintf(out + at, sizeof out - at, "%s%u", i ? " " : "",
				       addr_port(&a.broker[i].address));
	return out;
}

static void empty(void) { memset(&table, 0, sizeof table); }
TestSuite(choose, .init = empty);

Test(choose, nobody_there_says_when_to_ask_again)
{
	struct answer_payload a;
	choose_brokers(&table, &nothing_to_avoid, 1000, &a);
	cr_assert_eq(a.status, 1);
	cr_assert_eq(a.count, 0);
	cr_assert_eq(a.retry_ms, CHOOSE_RETRY_MS);
}

Test(choose, least_loaded_first_by_share_of_capacity)
{
	report("a", 1, 50, 100, 1000);
	report("b", 2, 60, 1000, 1000);
	report("c", 3, 10, 100, 1000);
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "2 3 1");
}

Test(choose, those_handed_out_since_the_last_report_count)
{
	report("a", 1, 0, 100, 1000);
	report("b", 2, 0, 100, 1000);
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "1 2");
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "2 1");
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "1 2");
	report("a", 1, 0, 100, 1500); /* none of them came */
	cr_assert_str_eq(choose(&nothing_to_avoid, 1500), "1 2");
}

Test(choose, full_draining_and_silent_ones_are_left_out)
{
	struct link_load draining = load_of(3, 0, 100);
	draining.draining = true;
	report("full", 1, 100, 100, 5000);
	report("silent", 2, 0, 100, 5000 - TABLE_ALIVE_MS - 1);
	table_on_load(&table, "draining", 7, &draining, 5000);
	report("good", 4, 99, 100, 5000);
	cr_assert_str_eq(choose(&nothing_to_avoid, 5000), "4");
}

Test(choose, what_the_client_found_dead_comes_last)
{
	struct ask_payload ask = {.avoid_count = 1};
	report("a", 1, 0, 100, 1000);
	report("b", 2, 90, 100, 1000);
	cr_assert_eq(addr_parse("127.0.0.1:1", &ask.avoid[0]), 0);
	cr_assert_str_eq(choose(&ask, 1000), "2 1");
}

Test(choose, no_more_than_six)
{
	for (unsigned i = 0; i < 9; i++) {
		char id[8];
		snprintf(id, sizeof id, "b%u", i);
		report(id, 10 + i, i, 100, 1000);
	}
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "10 11 12 13 14 15");
}

/* ---- who is alive ---- */

static struct member member(const char *id, uint64_t boot, uint64_t beat_ms)
{
	struct member m = {.boot = boot, .beat_ms = beat_ms, .capacity = 100, .alive = true};
	memcpy(m.id, id, strlen(id) + 1);
	return m;
}

Test(choose, a_broken_link_counts_more_than_the_registry)
{
	struct member m = member("a", 7, 50000);
	report("a", 1, 0, 100, 1000);
	table_on_members(&table, &m, 1, 50100, 1000);
	cr_assert_eq(table_alive_count(&table, 1000), 1);
	table_on_link_lost(&table, "a", 7, 1200);
	cr_assert_eq(table_alive_count(&table, 1200), 0);
	table_on_members(&table, &m, 1, 50600, 1500); /* the beat of before */
	cr_assert_eq(table_alive_count(&table, 1500), 0);
	m.beat_ms = 50900; /* it lives after all */
	table_on_members(&table, &m, 1, 51000, 1900);
	cr_assert_eq(table_alive_count(&table, 1900), 1);
}

Test(choose, a_broker_without_a_link_is_known_from_the_registry_until_it_falls_silent)
{
	struct member m = member("a", 7, 50000);
	table_on_members(&table, &m, 1, 50100, 1000);
	cr_assert_eq(table_alive_count(&table, 1000), 1);
	table_on_members(&table, &m, 1, 51100, 2000); /* no new beat */
	cr_assert_eq(table_alive_count(&table, 1000 + TABLE_ALIVE_MS), 1);
	cr_assert_eq(table_alive_count(&table, 1001 + TABLE_ALIVE_MS), 0);
}

Test(choose, a_new_boot_starts_anew_and_an_old_one_does_not_come_back)
{
	report("a", 1, 80, 100, 1000);
	table_on_link_lost(&table, "a", 7, 1100);
	struct link_load l = load_of(1, 0, 100);
	table_on_load(&table, "a", 8, &l, 1200);
	cr_assert_eq(table.count, 1);
	cr_assert_eq(table_alive_count(&table, 1200), 1);
	table_on_link_lost(&table, "a", 7, 1300); /* late word of the old boot */
	cr_assert_eq(table_alive_count(&table, 1300), 1);
}

Test(choose, a_stopped_linked_broker_is_not_used_whatever_redis_says)
{
	struct member m = member("a", 7, 50000);
	report("a", 1, 0, 100, 1000);
	for (uint64_t t = 1000; t <= 4000; t += 1000) {
		m.beat_ms = 49000 + t;
		table_on_members(&table, &m, 1, 49000 + t, t);
	}
	cr_assert_eq(table_alive_count(&table, 1000 + TABLE_ALIVE_MS + 1), 0);
}

Test(choose, those_long_gone_are_forgotten)
{
	report("a", 1, 0, 100, 1000);
	table_on_link_lost(&table, "a", 7, 2000);
	table_on_members(&table, NULL, 0, 900000, 200000);
	cr_assert_eq(table.count, 0);
}
