/* SPDX-License-Identifier: Apache-2.0 */
/* Stores through a Data Center against the same script called straight in Redis:
 * the same depth, users, sizes, one after the other in each round. */
#include "bench.h"
#include "bench_redis.h"
#include "bench_sender.h"
#include "say.h"

#include "base/clock.h"
#include "command.h"
#include "crypto/random.h"
#include "rds/keys.h"
#include "wire/record.h"

#include <stdlib.h>
#include <string.h>

enum { COUNT = 100000, SIZE = 200, DEPTH = 256, USERS = 10000, ROUNDS = 3, CONNECTIONS = 8 };
enum { TTL_MS = BENCH_TTL_S * 1000, MAX_COUNT = 10000, ONCE_TTL_MS = 24 * 3600 * 1000, KEEP_MS = JOURNAL_KEEP_S * 1000 };

struct store;

/* One connection straight to Redis: messages index, index + lanes, ... */
struct lane {
	struct store *store;
	struct bench_redis redis;
	unsigned index;
};

struct store {
	struct bench *bench;
	struct bench_redis redis;
	struct sender sender;
	uint64_t count;
	uint32_t users, first_user;
	unsigned depth;
	size_t size;
	struct lane lane[PIPES_MAX];
	unsigned lanes;
	struct series bare, dc;                /* messages a second */
	struct series memory;                  /* bytes of Redis a message that waits */
	uint32_t *bare_us, *dc_us;             /* latencies of all rounds */
	size_t bare_count, dc_count;
};

/* ---- straight to Redis ---- */

static size_t make_record(const struct store *s, uint64_t i, int64_t now, uint8_t *out)
{
	uint8_t body[RECORD_BODY_MAX], random[10];
	const char *app = s->bench->settings->app;
	memset(random, 0, sizeof random);
	memcpy(random, &i, sizeof i);
	sender_write_body(body, s->size, i);
	struct record r = {
		.id = ulid_make((uint64_t)now, random), .sent_ms = (uint64_t)now,
		.expires_ms = (uint64_t)now + TTL_MS, .app = app, .app_len = strlen(app),
		.body = body, .body_len = s->size,
	};
	int len = record_format(&r, out, RECORD_MAX);
	return len < 0 ? 0 : (size_t)len;
}

static int make_store(void *ctx, uint64_t turn, struct buf *out)
{
	const struct lane *lane = ctx;
	const struct store *s = lane->store;
	uint64_t i = turn * s->lanes + lane->index;
	char user[BENCH_USER_MAX], key[5][KEY_MAX], num[5][RDS_NUM_MAX];
	uint8_t record[RECORD_MAX];
	int64_t now = (int64_t)clock_wall_ms();
	size_t record_len = make_record(s, i, now, record);
	size_t user_len = bench_user(s->bench, s->first_user + (uint32_t)(i % s->users), user);
	struct rds_arg argv[] = {
		RDS_STR("EVALSHA"), RDS_STR(scripts[SCRIPT_MESSAGE_STORE].sha1), RDS_STR("5"),
		RDS_MEM(key[0], key_queue(key[0], user, user_len, PRIORITY_NORMAL)),
		RDS_MEM(key[1], key_presence(key[1], user, user_len)),
		RDS_MEM(key[2], key_settings(key[2], user, user_len)),
		RDS_MEM(key[3], key_index(key[3], user, user_len)),
		RDS_MEM(key[4], key_journal(key[4], user, user_len)),
		RDS_MEM(record, record_len), rds_num(now + TTL_MS, num[0]), rds_num(now, num[1]),
		rds_num(MAX_COUNT, num[2]), rds_num(KEEP_MS, num[3]), rds_num(ONCE_TTL_MS, num[4]),
	};
	return bench_redis_command(out, 14, argv);
}

static int take_stored(void *ctx, uint64_t i, const uint8_t *data, size_t len)
{
	(void)ctx, (void)i;
	if (len > 4 && data[0] == '*')
		return RS_OK;
	say("Redis refuses to store: %.*s", (int)(len > 202 ? 200 : len - 2), (const char *)data);
	return RS_EREMOTE;
}

static int open_lanes(struct store *s)
{
	int err = RS_OK;
	for (unsigned k = 0; k < s->lanes && !err; k++) {
		s->lane[k].store = s;
		s->lane[k].index = k;
		err = bench_redis_open(&s->lane[k].redis, s->bench);
	}
	return err;
}

static void close_lanes(struct store *s)
{
	for (unsigned k = 0; k < s->lanes; k++)
		if (s->lane[k].store)
			bench_redis_close(&s->lane[k].redis);
}

static void take_latencies(struct store *s, const struct pipe *pipes)
{
	for (unsigned k = 0; k < s->lanes; k++) {
		memcpy(s->bare_us + s->bare_count, pipes[k].latency_us, pipes[k].count * sizeof *s->bare_us);
		s->bare_count += pipes[k].count;
	}
}

static int bare_round(struct store *s)
{
	static const struct pipe_handler handler = {bench_redis_whole, make_store, take_stored};
	struct pipe pipes[PIPES_MAX] = {{.fd = -1}};
	unsigned depth = s->depth / s->lanes ? s->depth / s->lanes : 1;
	int err = RS_OK;
	for (unsigned k = 0; k < s->lanes && !err; k++)
		err = pipe_init(&pipes[k], s->lane[k].redis.fd, &handler, &s->lane[k],
				s->count / s->lanes + (k < s->count % s->lanes), depth);
	uint64_t start = clock_mono_us();
	if (!err)
		err = pipe_run(pipes, s->lanes);
	if (!err) {
		series_add(&s->bare, (double)s->count * 1e6 / (double)(clock_mono_us() - start));
		take_latencies(s, pipes);
	} else if (err != RS_EREMOTE) {
		say("Redis cannot be used for the benchmark: %s", err_str(err));
	}
	for (unsigned k = 0; k < s->lanes; k++)
		pipe_deinit(&pipes[k]);
	return err;
}

/* ---- through the Data Center ---- */

static int dc_round(struct store *s)
{
	int64_t before = 0, after = 0;
	int err = bench_redis_memory(&s->redis, &before);
	if (!err)
		err = sender_restart(&s->sender, s->first_user, s->count, s->depth);
	uint64_t start = clock_mono_us();
	if (!err)
		err = sender_run(&s->sender);
	if (err)
		return err;
	series_add(&s->dc, (double)s->count * 1e6 / (double)(clock_mono_us() - start));
	memcpy(s->dc_us + s->dc_count, s->sender.pipe.latency_us, s->count * sizeof *s->dc_us);
	s->dc_count += s->count;
	err = bench_redis_memory(&s->redis, &after);
	if (!err)
		series_add(&s->memory, (double)(after - before) / (double)s->count);
	return err;
}

/* Each round has its own users, so that both store into the same state. */
static int one_of(struct store *s, int (*round)(struct store *), uint32_t turn)
{
	s->first_user = turn * s->users;
	int err = round(s);
	int cleaned = bench_redis_clean(&s->redis, s->first_user, s->first_user + s->users);
	return err ? err : cleaned;
}

static int run_rounds(struct store *s, int64_t rounds)
{
	int err = bench_redis_load(&s->redis, SCRIPT_MESSAGE_STORE);
	for (uint32_t i = 0; i < rounds && !err; i++) {
		/* Who comes first changes, for what one leaves to the other. */
		err = one_of(s, i % 2 ? dc_round : bare_round, 2 * i);
		if (!err)
			err = one_of(s, i % 2 ? bare_round : dc_round, 2 * i + 1);
	}
	return err;
}

static int report(struct store *s)
{
	static const char *const dc_names[] = {"dc_p50_ms", "dc_p90_ms", "dc_p99_ms", "dc_p999_ms"};
	static const char *const bare_names[] = {"bare_p50_ms", "bare_p90_ms", "bare_p99_ms", "bare_p999_ms"};
	static const char *const dc_labels[] = {"latency through the DC, p50", "p90", "p99", "p99.9"};
	static const char *const bare_labels[] = {"latency of the bare script, p50", "p90", "p99", "p99.9"};
	struct bench *b = s->bench;
	bench_figure(b, "dc_per_s", "stored through the DC (median)", series_median(&s->dc), "messages/s");
	bench_figure(b, "bare_per_s", "the same script straight in Redis (median)", series_median(&s->bare),
		     "messages/s");
	bench_figure(b, "ratio", "through the DC / straight (must 0.7, aim 0.9)", series_ratio(&s->dc, &s->bare), "");
	bench_figure(b, "bytes_per_message", "Redis's memory a message that waits (must 400)", series_median(&s->memory),
		     "bytes");
	bench_latencies(b, dc_names, dc_labels, s->dc_us, s->dc_count);
	bench_latencies(b, bare_names, bare_labels, s->bare_us, s->bare_count);
	return bench_print(b, "store") ? EXIT_FAILED : EXIT_DONE;
}

int bench_store(struct bench *b)
{
	const struct bench_options *o = b->options;
	int64_t rounds = bench_or(o->rounds, ROUNDS);
	int code = EXIT_FAILED;
	struct store s = {
		.bench = b, .count = (uint64_t)bench_or(o->count, COUNT), .size = (size_t)bench_or(o->size, SIZE),
		.depth = (unsigned)bench_or(o->depth, DEPTH), .users = (uint32_t)bench_or(o->users, USERS),
		.lanes = (unsigned)bench_or(o->connections, CONNECTIONS), .redis = {.fd = -1},
		.sender = {.dc = {.fd = -1}},
	};
	s.bare_us = calloc((size_t)rounds * s.count, sizeof *s.bare_us);
	s.dc_us = calloc((size_t)rounds * s.count, sizeof *s.dc_us);
	if (!s.bare_us || !s.dc_us)
		say("out of memory");
	else if (!bench_redis_open(&s.redis, b) && !open_lanes(&s) &&
		 !sender_open(&s.sender, b, s.users, s.count, s.size, s.depth) &&
		 !run_rounds(&s, rounds))
		code = report(&s);
	sender_close(&s.sender);
	close_lanes(&s);
	bench_redis_close(&s.redis);
	free(s.bare_us);
	free(s.dc_us);
	return code;
}
