/* SPDX-License-Identifier: Apache-2.0 */
/* A message to a topic with many subscribers, of whom some are online: when the last
 * of these has it, when all are served, and how long single messages to others take
 * meanwhile, one every few milliseconds. */
#include "bench.h"
#include "bench_redis.h"
#include "bench_sender.h"
#include "bench_swarm.h"
#include "say.h"

#include "base/clock.h"
#include "command.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { USERS = 100000, CLIENTS = 1000, SIZE = 200, ROUNDS = 3, WINDOW = 256 };
enum { SINGLE_USERS = 50, SINGLES_MAX = 200000, SINGLE_US = 4000, ASK_MS = 50, STALL_MS = 120000, IDLE_MS = 1000 };
#define MARK (1ull << 40) /* in the body of a message to the topic, with the round */

struct fan {
	struct bench *bench;
	struct bench_redis redis;
	struct textclient app;          /* sends to the topic, and asks how far it is */
	struct sender sender;           /* single messages */
	struct swarm swarm;
	char topic[BENCH_PREFIX_MAX + 8];
	uint32_t users, clients, shown;
	size_t size;
	uint64_t round, next_us, ask_ms;
	struct ulid ids[BENCH_ROUNDS_MAX];
	bool done;
	struct series ok_ms, online_ms, all_ms;
	uint32_t *latency_us[2];        /* of single messages: before, and beside it */
	size_t latencies[2];
	bool beside;
};

static void on_shown(void *ctx, const struct client_message *m)
{
	struct fan *f = ctx;
	uint64_t i;
	if (sender_read_body(m->record.body, m->record.body_len, &i) && i == (MARK | f->round))
		f->shown++;
}

/* One single message on the way at a time, begun evenly. */
static int single(struct fan *f)
{
	struct pipe *p = &f->sender.pipe;
	uint64_t now = clock_mono_us(), done = p->done;
	int err = RS_OK;
	if (p->made == p->done && now >= f->next_us && !pipe_is_done(p)) {
		err = pipe_fill(p, 1);
		f->next_us = now + SINGLE_US;
	} else if (p->made > p->done) {
		err = pipe_drain(p);
	}
	if (p->done > done && f->latencies[f->beside] < SINGLES_MAX)
		f->latency_us[f->beside][f->latencies[f->beside]++] = p->latency_us[done];
	return sender_say(&f->sender, err);
}

static int turn(struct fan *f)
{
	struct pollfd w[2] = {{f->sender.pipe.fd, POLLIN, 0}, {bench_udp_fd(f->swarm.udp), POLLIN, 0}};
	poll(w, 2, 1);
	if (w[1].revents)
		swarm_receive(&f->swarm, 0);
	swarm_tick(&f->swarm);
	return single(f);
}

/* One request on the App's connection. Failures are said. */
static int ask(struct fan *f, struct buf *request, struct text_answer *out)
{
	int err = textclient_ask(&f->app, request, out);
	const char *reason = text_answer_value(out, "reason");
	if (err == RS_EREMOTE)
		say("the DC refuses: %u %s", out->code, reason ? reason : "");
	buf_deinit(request);
	return err;
}

static int publish(struct fan *f)
{
	struct buf request = {0};
	struct text_answer answer;
	char body[RECORD_BODY_MAX];
	sender_write_body(body, f->size, MARK | f->round);
	int err = buf_printf(&request, "SEND 1\r\ntopic %s\r\nttl %d\r\nlength %zu\r\n\r\n", f->topic, BENCH_TTL_S, f->size);
	if (!err)
		err = buf_append(&request, body, f->size);
	if (!err)
		err = ask(f, &request, &answer);
	const char *id = err ? NULL : text_answer_value(&answer, "message");
	if (!err && (!id || strlen(id) != ULID_TEXT || ulid_parse(id, &f->ids[f->round])))
		err = RS_EREMOTE;
	return err;
}

static int look_if_done(struct fan *f)
{
	struct buf request = {0};
	struct text_answer answer;
	char id[ULID_TEXT + 1];
	if (clock_mono_ms() < f->ask_ms)
		return RS_OK;
	f->ask_ms = clock_mono_ms() + ASK_MS;
	int err = buf_printf(&request, "STATUS 1\r\nmessage %s\r\n\r\n", ulid_format(&f->ids[f->round], id));
	if (!err)
		err = ask(f, &request, &answer);
	const char *state = err ? NULL : text_answer_value(&answer, "state");
	f->done = state && strcmp(state, "done") == 0;
	return err;
}

static int one_round(struct fan *f)
{
	uint64_t start = clock_mono_us(), until_ms = clock_mono_ms() + STALL_MS;
	int err = publish(f);
	uint64_t ok = clock_mono_us(), online = 0;
	f->beside = true;
	for (f->done = false; !err && (!f->done || f->shown < f->clients);) {
		err = turn(f);
		if (!online && f->shown == f->clients)
			online = clock_mono_us();
		if (!err && online && !f->done)
			err = look_if_done(f);
		if (!err && clock_mono_ms() > until_ms) {
			say("it stalls: %u of %u clients have it", f->shown, f->clients);
			err = RS_ETIMEOUT;
		}
	}
	f->beside = false;
	if (err)
		return err;
	series_add(&f->ok_ms, (double)(ok - start) / 1e3);
	series_add(&f->online_ms, (double)(online - ok) / 1e3);
	series_add(&f->all_ms, (double)(clock_mono_us() - ok) / 1e3);
	return RS_OK;
}

static int rounds(struct fan *f, int64_t count)
{
	int err = RS_OK;
	for (f->round = 0; f->round < (uint64_t)count && !err; f->round++) {
		f->shown = 0;
		for (uint64_t until = clock_mono_ms() + IDLE_MS; clock_mono_ms() < until && !err;)
			err = turn(f);
		if (!err)
			err = one_round(f);
	}
	return err;
}

static int report(struct fan *f)
{
	static const char *const names[2][4] = {{"idle_p50_ms", "idle_p90_ms", "idle_p99_ms", "idle_p999_ms"},
						{"p50_ms", "p90_ms", "p99_ms", "p999_ms"}};
	static const char *const labels[2][4] = {{"a single SEND alone, p50", "p90", "p99", "p99.9"},
						 {"a single SEND beside it, p50", "p90", "p99 (must 20)", "p99.9"}};
	struct bench *b = f->bench;
	bench_figure(b, "subscribers", "subscribers", f->users, "");
	bench_figure(b, "online", "  of whom online", f->clients, "");
	bench_figure(b, "ok_ms", "from SEND to OK (median)", series_median(&f->ok_ms), "ms");
	bench_figure(b, "online_ms", "from OK to the last one online (must 1000)", series_median(&f->online_ms), "ms");
	bench_figure(b, "all_ms", "from OK until all are served", series_median(&f->all_ms), "ms");
	for (int i = 0; i < 2; i++)
		bench_latencies(b, names[i], labels[i], f->latency_us[i], f->latencies[i]);
	return bench_print(b, "fan") ? EXIT_FAILED : EXIT_DONE;
}

static int start(struct fan *f)
{
	for (int i = 0; i < 2; i++)
		f->latency_us[i] = calloc(SINGLES_MAX, sizeof *f->latency_us[i]);
	if (!f->latency_us[0] || !f->latency_us[1])
		return say("out of memory"), RS_ENOMEM;
	int err = bench_redis_open(&f->redis, f->bench);
	if (!err)
		err = bench_redis_make_sessions(&f->redis, f->clients);
	if (!err)
		err = bench_redis_subscribe(&f->redis, f->topic, f->users);
	textclient_init(&f->app, f->bench->settings, false);
	if (!err)
		err = textclient_open(&f->app);
	if (!err)
		err = sender_open(&f->sender, f->bench, SINGLE_USERS, SINGLES_MAX, f->size, 1);
	f->sender.first_user = f->users;
	if (!err)
		err = swarm_open(&f->swarm, f->bench, f->clients, false);
	f->swarm.on_shown = on_shown;
	f->swarm.ctx = f;
	return err ? err : swarm_login(&f->swarm, 0, f->clients, WINDOW);
}

static void clean_up(struct fan *f)
{
	int err = RS_OK;
	if (f->swarm.at)
		swarm_logout(&f->swarm);
	if (f->redis.fd >= 0)
		err = bench_redis_clean(&f->redis, 0, f->users + SINGLE_USERS);
	if (!err && f->redis.fd >= 0)
		err = bench_redis_forget_topic(&f->redis, f->topic);
	for (size_t i = 0; !err && i < f->all_ms.count; i++)
		err = bench_redis_forget_fan(&f->redis, &f->ids[i], f->users);
	if (err)
		say("what the benchmark made is left in Redis: users %s0 and on, and the topic", f->bench->prefix);
}

int bench_fan(struct bench *b)
{
	const struct bench_options *o = b->options;
	struct fan f = {.bench = b, .users = (uint32_t)bench_or(o->users, USERS), .size = (size_t)bench_or(o->size, SIZE),
			.redis = {.fd = -1}, .sender = {.dc = {.fd = -1}}, .app = {.fd = -1}};
	f.clients = (uint32_t)bench_or(o->clients, f.users < CLIENTS ? f.users : CLIENTS);
	if (f.clients > f.users)
		return say("--clients is more than --users"), EXIT_USAGE;
	snprintf(f.topic, sizeof f.topic, "%stopic", b->prefix);
	int code = EXIT_FAILED;
	if (!start(&f) && !rounds(&f, bench_or(o->rounds, ROUNDS)))
		code = report(&f);
	clean_up(&f);
	swarm_close(&f.swarm);
	sender_close(&f.sender);
	textclient_close(&f.app);
	bench_redis_close(&f.redis);
	free(f.latency_us[0]);
	free(f.latency_us[1]);
	return code;
}
