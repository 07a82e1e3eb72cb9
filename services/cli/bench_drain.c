/* SPDX-License-Identifier: Apache-2.0 */
/* Queues that have filled while everyone was away, emptied by everyone's login. */
#include "bench.h"
#include "bench_redis.h"
#include "bench_sender.h"
#include "bench_swarm.h"
#include "say.h"

#include "base/clock.h"
#include "command.h"

enum { USERS = 100, MESSAGES = 100, SIZE = 200, DEPTH = 256, ROUNDS = 3, WINDOW = 256 };
enum { STALL_MS = 20000, LOOK_MS = 2 };

struct drain {
	struct bench *bench;
	struct bench_redis redis;
	uint32_t users;
	uint64_t count, shown;
	size_t size;
	struct series stored, online, shown_per_s, gone_per_s;
};

static void on_shown(void *ctx, const struct client_message *m)
{
	struct drain *d = ctx;
	(void)m;
	d->shown++;
}

static double since(uint64_t start_us) { return (double)(clock_mono_us() - start_us) / 1e6; }

static int fill(struct drain *d)
{
	struct sender s;
	int err = sender_open(&s, d->bench, d->users, d->count, d->size, DEPTH);
	uint64_t start = clock_mono_us();
	if (!err)
		err = sender_run(&s);
	if (!err)
		series_add(&d->stored, (double)d->count / since(start));
	sender_close(&s);
	return err;
}

static int until_shown(struct drain *d, struct swarm *s)
{
	uint64_t progress_ms = clock_mono_ms();
	while (d->shown < d->count) {
		uint64_t before = d->shown;
		swarm_receive(s, LOOK_MS);
		swarm_tick(s);
		uint64_t now = clock_mono_ms();
		if (d->shown != before)
			progress_ms = now;
		if (now - progress_ms > STALL_MS) {
			say("it stalls: %llu of %llu messages were shown", (unsigned long long)d->shown,
			    (unsigned long long)d->count);
			return RS_ETIMEOUT;
		}
	}
	return RS_OK;
}

static int empty(struct drain *d, struct swarm *s)
{
	uint64_t start = clock_mono_us();
	d->shown = 0;
	s->on_shown = on_shown;
	s->ctx = d;
	int err = swarm_login(s, 0, d->users, WINDOW);
	double online = since(start);
	if (!err)
		err = until_shown(d, s);
	double shown = since(start);
	if (!err)
		err = swarm_wait_empty(s, &d->redis);
	if (err)
		return err;
	series_add(&d->online, online * 1000);
	series_add(&d->shown_per_s, (double)d->count / shown);
	series_add(&d->gone_per_s, (double)d->count / since(start));
	return RS_OK;
}

static int one_round(struct drain *d)
{
	struct swarm s = {.count = 0};
	int err = bench_redis_make_sessions(&d->redis, d->users);
	if (!err)
		err = swarm_open(&s, d->bench, d->users, false);
	if (!err)
		err = fill(d);
	if (!err)
		err = empty(d, &s);
	if (s.at)
		swarm_logout(&s);
	swarm_close(&s);
	int cleaned = bench_redis_clean(&d->redis, 0, d->users);
	return err ? err : cleaned;
}

int bench_drain(struct bench *b)
{
	const struct bench_options *o = b->options;
	int64_t rounds = bench_or(o->rounds, ROUNDS);
	struct drain d = {.bench = b, .users = (uint32_t)bench_or(o->users, USERS),
			  .size = (size_t)bench_or(o->size, SIZE)};
	d.count = d.users * (uint64_t)bench_or(o->messages, MESSAGES);
	int err = bench_redis_open(&d.redis, b);
	for (int64_t i = 0; i < rounds && !err; i++)
		err = one_round(&d);
	bench_redis_close(&d.redis);
	if (err)
		return EXIT_FAILED;
	bench_figure(b, "stored_per_s", "stored while all are away (median)", series_median(&d.stored), "messages/s");
	bench_figure(b, "online_ms", "until all were logged in", series_median(&d.online), "ms");
	bench_figure(b, "shown_per_s", "from the first login until all was shown", series_median(&d.shown_per_s), "messages/s");
	bench_figure(b, "drained_per_s", "until all was acknowledged and deleted", series_median(&d.gone_per_s), "messages/s");
	return bench_print(b, "drain") ? EXIT_FAILED : EXIT_DONE;
}
