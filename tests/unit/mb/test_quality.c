/* SPDX-License-Identifier: Apache-2.0 */
#include "mb/mb.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* ---- what main.c has ---- */

struct mb_time mb_time(void) { return (struct mb_time){0}; }
void mb_flush(struct mb *m) { (void)m; }
void mb_flush_later(struct mb *m) { (void)m; }

/* ---- */

static struct quality q;
static uint8_t space[4096];
static struct link_path path[LINK_PATHS_MAX];

static void start(void)
{
	static char text[64 * 64];
	size_t line, at = 0;
	char fault[PREFIXES_FAULT_MAX];
	memset(&q, 0, sizeof q);
	for (unsigned i = 0; i < 40; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "10.%u.0.0/16 isp%u\n", i, i);
	cr_assert_eq(prefixes_parse(&q.prefixes.table, text, at, &line, fault), 0);
}

static void stop(void) { prefixes_free(q.prefixes.table); }
TestSuite(quality, .init = start, .fini = stop);

static void sample(unsigned isp, uint32_t rtt_ms, uint32_t sent, uint32_t again, unsigned times, uint64_t now)
{
	struct addr a;
	char text[ADDR_TEXT_MAX];
	snprintf(text, sizeof text, "10.%u.1.2:99", isp);
	cr_assert_eq(addr_parse(text, &a), 0);
	while (times-- > 0)
		quality_sample(&q, &a, &(struct server_path){rtt_ms, sent, again}, now);
}

static unsigned told(uint64_t now)
{
	struct writer w = writer_over(space, sizeof space);
	unsigned count = quality_write(&q, now, &w);
	struct reader r = reader_over(space, writer_len(&w));
	for (unsigned i = 0; i < count; i++)
		path[i] = link_next_path(&r);
	cr_assert(!w.failed && reader_done(&r));
	return count;
}

Test(quality, told_after_some_deliveries)
{
	sample(1, 30, 10, 1, QUALITY_SAMPLES - 1, 1000);
	cr_expect_eq(told(1000), 0);
	sample(1, 30, 10, 1, 1, 1000);
	cr_assert_eq(told(1000), 1);
	cr_expect(path[0].isp.len == 4 && memcmp(path[0].isp.text, "isp1", 4) == 0);
	cr_expect_eq(path[0].rtt_ms, 30);
	cr_expect_eq(path[0].loss, 100);
}

Test(quality, of_addresses_in_no_prefix_nothing)
{
	sample(77, 30, 10, 1, 100, 1000);
	cr_expect_eq(told(1000), 0);
	stop();
	q.prefixes.table = NULL;
	sample(1, 30, 10, 1, 100, 1000);
	cr_expect_eq(told(1000), 0);
}

Test(quality, one_bad_client_says_little)
{
	sample(1, 30, 100, 0, 100, 1000);
	sample(1, 60000, 100, 100, 1, 1000);
	cr_assert_eq(told(1000), 1);
	cr_expect(path[0].rtt_ms < 30 + QUALITY_RTT_MAX_MS / 16 + 1, "%u", path[0].rtt_ms);
	cr_expect(path[0].loss < 12, "%u", path[0].loss);
}

Test(quality, it_follows_what_changes)
{
	sample(1, 30, 1000, 0, 100, 1000);
	sample(1, 200, 1000, 200, 100, 1000);
	cr_assert_eq(told(1000), 1);
	cr_expect(path[0].rtt_ms > 190 && path[0].rtt_ms <= 200, "%u", path[0].rtt_ms);
	cr_expect(path[0].loss > 180 && path[0].loss <= 200, "%u", path[0].loss);
}

Test(quality, forgotten_after_a_while)
{
	sample(1, 30, 10, 0, QUALITY_SAMPLES, 1000);
	sample(2, 40, 10, 0, QUALITY_SAMPLES, 1000 + QUALITY_KEPT_MS);
	cr_expect_eq(told(1000 + QUALITY_KEPT_MS), 2);
	cr_assert_eq(told(1001 + QUALITY_KEPT_MS), 1);
	cr_expect_eq(path[0].rtt_ms, 40);
}

Test(quality, with_too_many_isps_those_heard_of_last)
{
	for (unsigned i = 0; i < 40; i++)
		sample(i, 100 + i, 10, 0, QUALITY_SAMPLES, 1000 + i);
	cr_assert_eq(told(2000), LINK_PATHS_MAX);
	for (unsigned i = 0; i < LINK_PATHS_MAX; i++)
		cr_expect(path[i].rtt_ms >= 100 + 40 - LINK_PATHS_MAX, "%u", path[i].rtt_ms);
}
