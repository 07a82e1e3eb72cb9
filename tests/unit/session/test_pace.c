/* SPDX-License-Identifier: Apache-2.0 */
/* A window of many packets goes out in bursts, evenly over a round trip. */
#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { DELAY_MS = 50, RTT_MS = 2 * DELAY_MS, MESSAGES = 200, WINDOW = 256 * 1024 };

/* How many packets of messages the broker sent, in each millisecond. */
static struct {
	unsigned *at, most;
	uint64_t end_ms;
	unsigned all;
} sent;

enum { CLOCK_MS = 1000000 };

static bool count_bursts(struct engine_pair *p, struct datagram *d)
{
	if (d->data[0] != PACKET_DATA || !addr_equal(&d->from, &p->server_addr))
		return true;
	cr_assert_lt(p->now_ms, CLOCK_MS);
	unsigned n = ++sent.at[p->now_ms];
	sent.all++;
	if (n > sent.most)
		sent.most = n;
	return true;
}

static void begin(void)
{
	sent.at = calloc(CLOCK_MS, sizeof *sent.at);
	cr_assert_not_null(sent.at);
}

static void end(void) { free(sent.at); }
TestSuite(pace, .init = begin, .fini = end);

static struct engine_pair *far_away(void)
{
	struct pair_options o = {.delay_ms = DELAY_MS, .window = WINDOW, .heartbeat_s = 60};
	struct engine_pair *p = pair_online(&o);
	p->pass = count_bursts;
	pair_run(p, 37); /* so that the sweep never meets an outbox that is empty for the moment */
	sent.most = sent.all = 0;
	return p;
}

static struct outbox *outbox(const struct engine_pair *p) { return pair_session(p, 0)->outbox; }

/* As if there was no pacing: each pause ends at once. */
static void no_pause(struct engine_pair *p)
{
	while (outbox(p) && outbox(p)->pace_ms) {
		outbox(p)->pace_ms = outbox(p)->burst = 0;
		server_make_ready(p->server, outbox(p));
		pair_settle(p);
	}
}

/* Pushes all as there is room, and returns how long it took. */
static uint64_t transfer(struct engine_pair *p, bool paced)
{
	uint64_t start = p->now_ms;
	for (uint32_t n = 1; p->acked < MESSAGES;) {
		cr_assert_lt(p->now_ms - start, 60000, "%u acknowledged", p->acked);
		while (n <= MESSAGES && server_has_room(p->server, p->conn) && pair_push(p, n, RECORD_BODY_MAX, UINT64_MAX) == RS_OK)
			n++;
		pair_settle(p);
		if (!paced)
			no_pause(p);
		pair_run(p, 1);
	}
	return p->now_ms - start;
}

static void all_shown(const struct engine_pair *p, unsigned count)
{
	cr_assert_eq(p->client[0].shown, count);
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(p->client[0].id[i], i + 1);
	cr_expect_eq(p->client[0].damaged, 0);
	cr_expect_eq(p->client[0].client->stats.doubled, 0);
}

/* 200 messages of 16 KiB over 100 ms: never more than a burst in an instant
 * (acknowledgements that arrive together do not add to it), none sent twice, and
 * as fast as without, but for the round trip that the first and last window take. */
Test(pace, bursts_are_bounded_and_cost_no_time)
{
	struct engine_pair *p = far_away();
	uint64_t with = transfer(p, true);
	unsigned most = sent.most, all = sent.all;
	all_shown(p, MESSAGES);
	cr_expect_leq(most, OUTBOX_BURST, "%u at once", most);
	cr_expect_eq(p->client[0].client->stats.replays, 0);
	cr_expect_leq(all, MESSAGES * 38u, "a piece was sent twice");
	pair_free(p);

	memset(sent.at, 0, CLOCK_MS * sizeof *sent.at);
	sent.most = 0;
	p = far_away();
	uint64_t without = transfer(p, false);
	all_shown(p, MESSAGES);
	cr_expect_gt(sent.most, OUTBOX_BURST, "the comparison is with something else: %u", sent.most);
	cr_expect_leq(100 * with, 102 * without + 100 * RTT_MS, "%llu ms, without pacing %llu", (unsigned long long)with,
		      (unsigned long long)without);
	pair_free(p);
}

/* Messages wait, the round trip is known, and the window is wide. */
static struct engine_pair *ready(uint32_t cwnd, uint32_t bytes, uint32_t *last)
{
	struct engine_pair *p = far_away();
	uint32_t n = 0;
	for (uint32_t pushed = 0; pushed < bytes; pushed += RECORD_BODY_MAX)
		if (pair_push(p, ++n, RECORD_BODY_MAX, UINT64_MAX))
			break;
	cr_assert_not_null(outbox(p));
	rtt_sample(&outbox(p)->rtt, RTT_MS);
	outbox(p)->cwnd = outbox(p)->threshold = cwnd;
	*last = n;
	return p;
}

/* The window is out within one round trip, whatever its size, evenly: a quarter
 * faster than it needs to be, so five eighths in the first half. */
Test(pace, a_window_is_out_within_a_round_trip)
{
	static const uint32_t cwnd[] = {16 * 1024, 32 * 1024, 64 * 1024, 128 * 1024, 230 * 1024};
	for (size_t i = 0; i < sizeof cwnd / sizeof *cwnd; i++) {
		uint32_t last;
		struct engine_pair *p = ready(cwnd[i], cwnd[i] + RECORD_BODY_MAX, &last);
		uint64_t start = p->now_ms;
		sent.most = sent.all = 0;
		memset(sent.at, 0, CLOCK_MS * sizeof *sent.at);
		unsigned half = 0, packets = cwnd[i] / 460;
		for (uint64_t t = 0; t < RTT_MS; t++) {
			pair_run(p, p->now_ms < start + t ? 1 : 0);
			if (t == RTT_MS / 2)
				half = sent.all;
		}
		cr_expect_leq(sent.most, OUTBOX_BURST, "%u bytes", cwnd[i]);
		cr_expect_geq(sent.all, packets, "%u bytes: %u packets of %u", cwnd[i], sent.all, packets);
		cr_expect_leq(half, packets * 5 / 8 + 2 * OUTBOX_BURST, "%u bytes: %u of %u in the first half", cwnd[i], half, packets);
		pair_run(p, 2000);
		cr_expect_eq(p->client[0].damaged, 0);
		pair_free(p);
	}
}

/* While nothing is known of the round trip there is no reason to wait for long. */
Test(pace, before_the_first_sample)
{
	struct engine_pair *p = far_away();
	cr_assert_eq(pair_push(p, 1, RECORD_BODY_MAX, UINT64_MAX), RS_OK);
	outbox(p)->cwnd = 64 * 1024;
	pair_run(p, 5);
	cr_expect_eq(sent.all, 37);
	cr_expect_leq(sent.most, OUTBOX_BURST);
	pair_free(p);
}

/* Where less than a burst waits, nothing is put off. */
Test(pace, little_goes_at_once)
{
	struct engine_pair *p = far_away();
	for (uint32_t n = 1; n < 10; n++) {
		cr_assert_eq(pair_push(p, n, 400, UINT64_MAX), RS_OK);
		pair_settle(p);
		cr_assert_eq(sent.all, n);
		pair_run(p, 1);
	}
	pair_free(p);
}

/* The timer of what was sent runs on in a pause, however long, and what it finds
 * lost leaves when the pause is over. */
Test(pace, the_timer_runs_in_a_pause)
{
	uint32_t last;
	struct engine_pair *p = ready(64 * 1024, 60 * 1024, &last);
	p->hold = true;
	pair_settle(p);
	cr_assert_eq(sent.all, OUTBOX_BURST);
	cr_assert_neq(outbox(p)->pace_ms, 0);
	outbox(p)->pace_ms = p->now_ms + 3000;
	server_make_ready(p->server, outbox(p));
	pair_settle(p);
	p->wire_count = 0; /* the burst is lost */
	p->hold = false;
	uint64_t pause_ends = outbox(p)->pace_ms;
	pair_run(p, 1000);
	cr_expect_geq(outbox(p)->rtt.backoff, 1, "the timer ran out");
	cr_expect_eq(outbox(p)->cwnd, OUTBOX_CWND_MIN);
	cr_expect_eq(outbox(p)->flight, 0);
	cr_expect_eq(sent.all, OUTBOX_BURST, "but the pause goes on");
	pair_run(p, pause_ends - p->now_ms);
	cr_expect_gt(sent.all, OUTBOX_BURST);
	pair_run(p, 5000);
	all_shown(p, last);
	cr_expect_eq(p->acked, last);
	pair_free(p);
}

/* However narrow the window: a pause is no longer than a round trip. */
Test(pace, a_pause_is_no_longer_than_a_round_trip)
{
	struct outbox o;
	outbox_init(&o, 1);
	o.cwnd = OUTBOX_CWND_MIN;
	rtt_sample(&o.rtt, 30);
	outbox_pace(&o, 5000);
	cr_expect_eq(o.pace_ms, 5030);
	rtt_sample(&o.rtt, 100000); /* a client that answers late cannot stop the clock */
	outbox_pace(&o, 5000);
	cr_expect_eq(o.pace_ms, 5000 + OUTBOX_PAUSE_MAX_MS);
	cr_expect_lt(OUTBOX_PAUSE_MAX_MS, RTO_MIN_MS);
	o.cwnd = OUTBOX_CWND_MAX;
	o.rtt = (struct rtt){0};
	outbox_pace(&o, 5000);
	cr_expect_eq(o.pace_ms, 5001, "a millisecond when nothing is known");
}

/* A queue on the way that holds little more than a burst, emptied at the rate of the window. */
enum { QUEUE = 24 };
static struct { unsigned filled, dropped; uint64_t at_ms; unsigned per_ms; } queue;

static bool through_queue(struct engine_pair *p, struct datagram *d)
{
	if (!addr_equal(&d->from, &p->server_addr))
		return true;
	uint64_t out = (p->now_ms - queue.at_ms) * queue.per_ms;
	queue.filled = queue.filled > out ? queue.filled - (unsigned)out : 0;
	queue.at_ms = p->now_ms;
	if (queue.filled >= QUEUE) {
		queue.dropped++;
		return false;
	}
	queue.filled++;
	return count_bursts(p, d);
}

/* 100 KiB fit into the path, but not into the queue at once. */
Test(pace, no_queue_on_the_way_runs_over)
{
	for (int paced = 0; paced < 2; paced++) {
		uint32_t last;
		struct engine_pair *p = ready(100 * 1024, 200 * 1024, &last);
		queue.filled = queue.dropped = 0;
		queue.at_ms = p->now_ms;
		queue.per_ms = 3;
		p->pass = through_queue;
		for (int ms = 0; ms < 3000 && p->acked < last; ms++) {
			pair_settle(p);
			if (!paced)
				no_pause(p);
			pair_run(p, 1);
		}
		cr_expect_eq(p->acked, last);
		if (paced)
			cr_expect_eq(queue.dropped, 0, "%u were dropped", queue.dropped);
		else
			cr_expect_gt(queue.dropped, 0);
		pair_free(p);
	}
}

/* With losses on top, nothing is lost for good. */
static bool lose_some(struct engine_pair *p, struct datagram *d)
{
	count_bursts(p, d);
	return ++p->pass_left % 211 != 0;
}

Test(pace, nothing_is_lost)
{
	struct engine_pair *p = far_away();
	p->pass = lose_some;
	transfer(p, true);
	all_shown(p, MESSAGES);
	cr_expect_leq(sent.most, OUTBOX_BURST);
	pair_free(p);
}
