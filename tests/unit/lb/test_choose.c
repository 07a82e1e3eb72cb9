/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/choose.h"

#include "crypto/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct table table;
static struct prefixes *prefixes;
static const struct ask_payload nothing_to_avoid;
static const char *client_ip; /* who asks */

/* Random numbers, as a test wants them; then zeros. */
static uint32_t dice[16];
static size_t dice_count, dice_at;

static void scripted(void *out, size_t len)
{
	for (size_t i = 0; i < len / 4; i++)
		((uint32_t *)out)[i] = dice_at < dice_count ? dice[dice_at++] : 0;
}

static void roll(size_t count, const uint32_t *values)
{
	memcpy(dice, values, count * sizeof *dice);
	dice_count = count;
	dice_at = 0;
}
#define ROLL(...) roll(sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__})

static struct addr addr(const char *text)
{
	struct addr a;
	cr_assert_eq(addr_parse_host(text, &a), 0, "%s", text);
	return a;
}

static struct link_load load_of(unsigned port, uint32_t sessions, uint32_t capacity)
{
	static uint8_t key[32];
	char text[ADDR_TEXT_MAX];
	struct link_load l = {.sessions = sessions, .capacity = capacity, .key = key, .zone = {"", 0}};
	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	l.address = addr(text);
	return l;
}

static void report(const char *id, unsigned port, uint32_t sessions, uint32_t capacity, uint64_t now)
{
	struct link_load l = load_of(port, sessions, capacity);
	table_on_load(&table, id, 7, &l, now);
}

/* The ports of the brokers named, best first, as text. */
static const char *choose_by(random_fn *random, const struct ask_payload *ask, uint64_t now)
{
	static char out[128];
	struct answer_payload a;
	struct chooser c = {&table, prefixes, random};
	struct addr from = addr(client_ip);
	choose_brokers(&c, &from, ask, now, &a);
	cr_assert_eq(a.status, a.count ? 0 : 1);
	size_t at = 0;
	out[0] = '\0';
	for (unsigned i = 0; i < a.count; i++)
		at += (size_t)snprintf(out + at, sizeof out - at, "%s%u", i ? " " : "",
				       addr_port(&a.broker[i].address));
	return out;
}

static const char *choose(const struct ask_payload *ask, uint64_t now) { return choose_by(scripted, ask, now); }

static void empty(void)
{
	memset(&table, 0, sizeof table);
	client_ip = "10.9.9.9";
	dice_count = 0;
}

static void drop(void) { prefixes_free(prefixes); }
TestSuite(choose, .init = empty, .fini = drop);

static void use_prefixes(const char *text)
{
	size_t line;
	char fault[PREFIXES_FAULT_MAX];
	cr_assert_eq(prefixes_parse(&prefixes, text, strlen(text), &line, fault), 0, "%s", fault);
}

/* All that a broker says of itself. */
struct says {
	const char *id, *zone;
	unsigned port;
	uint32_t sessions;      /* of 1000 */
	uint32_t packets;
	uint16_t lag_ms;
	const char *isp, *address; /* in which it has which */
	const char *path;       /* the ISP of which it tells rtt and loss */
	uint16_t rtt_ms, loss;
};

static void say(const struct says *s)
{
	uint8_t space[256];
	struct writer w = writer_over(space, sizeof space);
	struct link_load l = load_of(s->port, s->sessions, 1000);
	l.packets = s->packets;
	l.lag_ms = s->lag_ms;
	if (s->zone)
		l.zone = (struct link_name){s->zone, strlen(s->zone)};
	if (s->isp) {
		link_add_isp(&w, &(struct link_isp){{s->isp, strlen(s->isp)}, addr(s->address)});
		l.isp_count = 1;
	}
	l.isps = reader_over(space, writer_len(&w));
	if (s->path) {
		link_add_path(&w, &(struct link_path){{s->path, strlen(s->path)}, s->rtt_ms, s->loss});
		l.path_count = 1;
	}
	l.paths = reader_over(l.isps.end, writer_len(&w) - reader_left(&l.isps));
	table_on_load(&table, s->id, 7, &l, 1000);
}
#define SAY(...) say(&(struct says){__VA_ARGS__})

/* ---- who may be told at all ---- */

Test(choose, nobody_there_says_when_to_ask_again)
{
	struct answer_payload a;
	struct chooser c = {&table, NULL, scripted};
	struct addr from = addr(client_ip);
	choose_brokers(&c, &from, &nothing_to_avoid, 1000, &a);
	cr_assert_eq(a.status, 1);
	cr_assert_eq(a.count, 0);
	cr_assert_eq(a.retry_ms, CHOOSE_RETRY_MS);
}

Test(choose, full_draining_and_silent_ones_are_left_out)
{
	struct link_load draining = load_of(3, 0, 100);
	draining.draining = true;
	report("full", 1, 100, 100, 5000);
	report("silent", 2, 0, 100, 5000 - TABLE_ALIVE_MS - 1);
	table_on_load(&table, "draining", 7, &draining, 5000);
	report("good", 4, 99, 100, 5000);
	report("of no capacity", 5, 0, 0, 5000);
	cr_assert_str_eq(choose(&nothing_to_avoid, 5000), "4");
}

Test(choose, what_the_client_found_dead_comes_last)
{
	struct ask_payload ask = {.avoid_count = 1};
	report("a", 1, 0, 100, 1000);
	report("b", 2, 99, 100, 1000);
	ask.avoid[0] = addr("127.0.0.1:1");
	cr_assert_str_eq(choose(&ask, 1000), "2 1");
	ask.avoid[0] = addr("127.0.0.1:2");
	cr_assert_str_eq(choose(&ask, 1000), "1 2");
}

Test(choose, no_more_than_six)
{
	for (unsigned i = 0; i < 9; i++) {
		char id[8];
		snprintf(id, sizeof id, "b%u", i);
		report(id, 10 + i, i, 100, 1000);
	}
	const char *told = choose(&nothing_to_avoid, 1000);
	cr_assert_eq(strlen(told), 6 * 3 - 1, "%s", told);
}

/* ---- two random choices ---- */

Test(choose, of_two_the_one_with_the_lesser_share_in_use)
{
	report("a", 1, 50, 100, 1000);
	report("b", 2, 60, 1000, 1000);
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "2 1");
	ROLL(1, 0); /* drawn the other way round */
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "2 1");
}

Test(choose, the_emptiest_comes_first_only_if_it_is_drawn)
{
	report("a", 1, 30, 100, 1000);
	report("b", 2, 20, 100, 1000);
	report("c", 3, 0, 100, 1000);
	ROLL(0, 0); /* a and b */
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "2 3 1");
	ROLL(1, 1); /* b and c */
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "3 2 1");
	ROLL(2, 0); /* c and a */
	cr_assert_eq(choose(&nothing_to_avoid, 1000)[0], '3');
}

Test(choose, between_equals_the_one_with_fewer_packets)
{
	SAY(.id = "a", .port = 1, .sessions = 5, .packets = 200);
	SAY(.id = "b", .port = 2, .sessions = 5, .packets = 100);
	cr_assert_str_eq(choose(&nothing_to_avoid, 1000), "2 1");
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

/* A new, empty broker beside nine that are half full: many go there, but no more
 * than twice its share, though nobody hears of its load meanwhile. */
Test(choose, an_empty_one_is_not_stormed)
{
	enum { BROKERS = 10, ASKS = 2000 };
	unsigned to_empty = 0;
	for (unsigned i = 0; i < BROKERS; i++) {
		char id[8];
		snprintf(id, sizeof id, "b%u", i);
		report(id, 10 + i, i ? 500000 : 0, 1000000, 1000);
	}
	for (unsigned i = 0; i < ASKS; i++)
		to_empty += strncmp(choose_by(random_bytes, &nothing_to_avoid, 1000), "10", 2) == 0;
	cr_expect(to_empty > ASKS / BROKERS && to_empty < ASKS * 3 / BROKERS, "%u of %u", to_empty, ASKS);
}

/* ---- points ---- */

#define TABLE_OF_TWO "10.1.0.0/16 norda eu1\n10.2.0.0/16 sudor us1\n10.3.0.0/16 zoneless\n"

Test(choose, the_zone_of_the_client_goes_before_load)
{
	use_prefixes(TABLE_OF_TWO);
	SAY(.id = "a", .port = 1, .sessions = 800, .zone = "eu1");
	SAY(.id = "b", .port = 2, .sessions = 100, .zone = "us1");
	client_ip = "10.1.2.3";
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "1 2");
	client_ip = "10.2.2.3";
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "2 1");
	client_ip = "10.3.2.3"; /* its ISP has no zone: by load */
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "2 1");
	client_ip = "10.4.2.3"; /* in no prefix */
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "2 1");
}

Test(choose, a_client_is_told_the_address_in_its_isp)
{
	use_prefixes(TABLE_OF_TWO);
	SAY(.id = "a", .port = 1, .isp = "norda", .address = "10.1.0.1:71");
	SAY(.id = "b", .port = 2, .isp = "sudor", .address = "10.2.0.1:72", .sessions = 500);
	client_ip = "10.1.2.3";
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "71 2");
	client_ip = "10.2.2.3"; /* 20 points are within the margin: the load decides */
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "1 72");
	client_ip = "10.9.9.9";
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "1 2");
	struct ask_payload ask = {.avoid_count = 1};
	ask.avoid[0] = addr("10.1.0.1:71");
	client_ip = "10.1.2.3";
	cr_expect_str_eq(choose(&ask, 1000), "2 71", "found dead by the address it was told");
}

Test(choose, what_was_measured_goes_before_the_zone)
{
	use_prefixes(TABLE_OF_TWO);
	SAY(.id = "a", .port = 1, .zone = "eu1", .path = "norda", .rtt_ms = 120);
	SAY(.id = "b", .port = 2, .zone = "us1", .path = "norda", .rtt_ms = 30, .sessions = 500);
	client_ip = "10.1.2.3";
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "2 1");
	client_ip = "10.9.9.9"; /* of another ISP */
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "1 2");
}

Test(choose, loss_counts_as_much_as_time)
{
	use_prefixes(TABLE_OF_TWO);
	SAY(.id = "a", .port = 1, .path = "norda", .rtt_ms = 20, .loss = 50);
	SAY(.id = "b", .port = 2, .path = "norda", .rtt_ms = 40, .loss = 1, .sessions = 500);
	client_ip = "10.1.2.3";
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "2 1");
}

Test(choose, one_without_figures_is_tried)
{
	use_prefixes(TABLE_OF_TWO);
	SAY(.id = "a", .port = 1, .zone = "eu1", .path = "norda", .rtt_ms = 30, .sessions = 10);
	SAY(.id = "new", .port = 2, .zone = "eu1");
	SAY(.id = "bad", .port = 3, .zone = "eu1", .path = "norda", .rtt_ms = 200);
	client_ip = "10.1.2.3";
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "2 1 3");
}

Test(choose, one_that_is_nearly_full_or_late_is_spared)
{
	SAY(.id = "a", .port = 1, .sessions = 950);
	SAY(.id = "b", .port = 2, .sessions = 940, .lag_ms = 380);
	SAY(.id = "c", .port = 3, .sessions = 899, .lag_ms = 100);
	cr_expect_str_eq(choose(&nothing_to_avoid, 1000), "3 1 2");
}

Test(choose, explained)
{
	struct buf out = {0};
	struct chooser c = {&table, NULL, scripted};
	struct link_load draining = load_of(3, 0, 100);
	draining.draining = true;
	use_prefixes(TABLE_OF_TWO);
	c.prefixes = prefixes;
	SAY(.id = "a", .port = 1, .zone = "eu1", .path = "norda", .rtt_ms = 30, .loss = 2, .sessions = 10);
	SAY(.id = "b", .port = 2, .zone = "us1", .isp = "norda", .address = "10.1.0.1:71", .lag_ms = 130, .packets = 9);
	table_on_load(&table, "c", 7, &draining, 1000);
	struct addr from = addr("10.1.2.3");
	cr_assert_eq(choose_explain(&c, &from, 1000, &out), 0);
	cr_assert_eq(buf_append(&out, "", 1), 0);
	cr_expect_str_eq((const char *)buf_head(&out),
			 "address 10.1.2.3\nisp norda\nzone eu1\n"
			 "\na\n  verdict good: one of these is told, by load\n"
			 "  points 32 = rtt 30 + loss 2 (measured) + zone 0 + isp 0 + full 0 + lag 0\n"
			 "  load 1.0000 % of 1000, 0 packets a second, loop 0 ms late\n"
			 "  zone eu1\n  told 127.0.0.1:1\n"
			 "\nb\n  verdict far: told after the good ones\n"
			 "  points 122 = rtt 30 + loss 2 (assumed) + zone 60 + isp 0 + full 0 + lag 30\n"
			 "  load 0.0000 % of 1000, 9 packets a second, loop 130 ms late\n"
			 "  zone us1\n  told 10.1.0.1:71\n"
			 "\nc\n  verdict passed over: draining\n"
			 "  points 112 = rtt 30 + loss 2 (assumed) + zone 60 + isp 20 + full 0 + lag 0\n"
			 "  load 0.0000 % of 100, 0 packets a second, loop 0 ms late\n"
			 "  zone -\n  told 127.0.0.1:3\n");
	buf_deinit(&out);
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

/* It is not counted for each ask: whatever changes it must be noticed, and the time. */
Test(choose, the_number_of_the_living_is_right_at_any_time)
{
	struct member m = member("c", 7, 50000);
	cr_assert_eq(table_alive_count(&table, 1000), 0);
	report("a", 1, 0, 100, 1000);
	cr_assert_eq(table_alive_count(&table, 1000), 1);
	report("b", 2, 0, 100, 1500);
	cr_assert_eq(table_alive_count(&table, 1500), 2);
	table_on_members(&table, &m, 1, 50100, 1600);
	cr_assert_eq(table_alive_count(&table, 1600), 3);
	table_on_link_lost(&table, "b", 7, 1600);
	cr_assert_eq(table_alive_count(&table, 1600), 2);
	cr_assert_eq(table_alive_count(&table, 1000 + TABLE_ALIVE_MS), 2);
	cr_assert_eq(table_alive_count(&table, 1001 + TABLE_ALIVE_MS), 1);
	cr_assert_eq(table_alive_count(&table, 1600 + TABLE_ALIVE_MS), 1);
	cr_assert_eq(table_alive_count(&table, 1601 + TABLE_ALIVE_MS), 0);
	report("a", 1, 0, 100, 1602 + TABLE_ALIVE_MS);
	cr_assert_eq(table_alive_count(&table, 1602 + TABLE_ALIVE_MS), 1, "back again");
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
