/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to clients that are online: from an App's SEND to the client's screen
 * and out of Redis again. A bounded number is on the way at any time. */
#include "bench.h"
#include "bench_redis.h"
#include "bench_sender.h"
#include "bench_swarm.h"
#include "bench_turn.h"
#include "say.h"

#include "base/clock.h"
#include "command.h"

#include <stdlib.h>

enum { CLIENTS = 50, COUNT = 20000, SIZE = 200, DEPTH = 256, ROUNDS = 3, WINDOW = 256 };
enum { STALL_MS = 20000, WAIT_MS = 50 };

struct push {
	struct bench *bench;
	struct bench_redis redis;
	struct sender sender;
	struct swarm swarm;
	uint64_t count, shown, strangers;
	unsigned depth;
	uint32_t *latency_us;           /* of message i of this round; after it, of all rounds */
	size_t latency_count;
	struct series per_s, pushed;    /* messages a second; share that was pushed at once */
};

static void on_shown(void *ctx, const struct client_message *m)
{
	struct push *p = ctx;
	uint64_t i;
	if (!sender_read_body(m->record.body, m->record.body_len, &i) || i >= p->sender.pipe.made) {
		p->strangers++;
		return;
	}
	p->latency_us[p->latency_count + i] = (uint32_t)(clock_mono_us() - p->sender.sent_us[i]);
	p->shown++;
}

static int until_shown(struct push *p)
{
	uint64_t progress_ms = clock_mono_ms(), before = 0;
	while (p->shown < p->count || !pipe_is_done(&p->sender.pipe)) {
		uint64_t ahead = p->sender.pipe.made - p->shown; /* sent, not shown */
		int err = bench_turn(&p->sender, &p->swarm, ahead < p->depth ? p->depth - ahead : 0, WAIT_MS);
		uint64_t now = clock_mono_ms();
		if (err)
			return err;
		if (p->shown + p->sender.pipe.done != before)
			progress_ms = now;
		before = p->shown + p->sender.pipe.done;
		if (now - progress_ms > STALL_MS) {
			say("it stalls: of %llu messages %llu were answered by the DC and %llu shown",
			    (unsigned long long)p->count, (unsigned long long)p->sender.pipe.done,
			    (unsigned long long)p->shown);
			return RS_ETIMEOUT;
		}
	}
	return RS_OK;
}

static int one_round(struct push *p)
{
	p->shown = 0;
	int err = sender_restart(&p->sender, 0, p->count, p->depth);
	uint64_t start = clock_mono_us();
	if (!err)
		err = until_shown(p);
	if (!err)
		err = swarm_wait_empty(&p->swarm, &p->redis);
	if (err)
		return err;
	series_add(&p->per_s, (double)p->count * 1e6 / (double)(clock_mono_us() - start));
	series_add(&p->pushed, 100.0 * (double)p->sender.pushed / (double)p->count);
	p->latency_count += p->count;
	return RS_OK;
}

static int report(struct push *p)
{
	static const char *const names[] = {"p50_ms", "p90_ms", "p99_ms", "p999_ms"};
	static const char *const labels[] = {"from SEND to shown, p50", "p90", "p99", "p99.9"};
	struct bench *b = p->bench;
	bench_figure(b, "push_per_s", "sent, shown, acknowledged, deleted (median)", series_median(&p->per_s),
		     "messages/s");
	bench_figure(b, "pushed_percent", "answered \"pushed\"", series_median(&p->pushed), "%");
	bench_latencies(b, names, labels, p->latency_us, p->latency_count);
	if (p->strangers)
		say("%llu messages were shown that this run did not send", (unsigned long long)p->strangers);
	return bench_print(b, "push") ? EXIT_FAILED : EXIT_DONE;
}

static int start(struct push *p, uint32_t clients, size_t size)
{
	int err = bench_redis_open(&p->redis, p->bench);
	if (!err)
		err = bench_redis_make_sessions(&p->redis, clients);
	if (!err)
		err = sender_open(&p->sender, p->bench, clients, p->count, size, p->depth);
	if (!err)
		err = swarm_open(&p->swarm, p->bench, clients, false);
	if (err)
		return err;
	p->sender.sent_us = calloc(p->count, sizeof *p->sender.sent_us);
	p->swarm.on_shown = on_shown;
	p->swarm.ctx = p;
	if (!p->sender.sent_us)
		return say("out of memory"), RS_ENOMEM;
	return swarm_login(&p->swarm, 0, clients, WINDOW);
}

int bench_push(struct bench *b)
{
	const struct bench_options *o = b->options;
	int64_t rounds = bench_or(o->rounds, ROUNDS);
	uint32_t clients = (uint32_t)bench_or(o->clients, CLIENTS);
	struct push p = {.bench = b, .count = (uint64_t)bench_or(o->count, COUNT),
			 .depth = (unsigned)bench_or(o->depth, DEPTH), .redis = {.fd = -1}, .sender = {.dc = {.fd = -1}}};
	int code = EXIT_FAILED, err = RS_ENOMEM;
	p.latency_us = calloc((size_t)rounds * p.count, sizeof *p.latency_us);
	if (!p.latency_us)
		say("out of memory");
	else
		err = start(&p, clients, (size_t)bench_or(o->size, SIZE));
	for (int64_t i = 0; i < rounds && !err; i++)
		err = one_round(&p);
	if (!err)
		code = report(&p);
	if (p.swarm.at)
		swarm_logout(&p.swarm);
	if (p.redis.fd >= 0 && bench_redis_clean(&p.redis, 0, clients))
		say("the benchmark's users %s0 and on are left in Redis; they expire", b->prefix);
	swarm_close(&p.swarm);
	sender_close(&p.sender);
	bench_redis_close(&p.redis);
	free(p.latency_us);
	return code;
}
