/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that come by way of the balancers, at all brokers, and an App that sends to
 * all of them at an even pace. Then one broker dies: how long until its clients are
 * served again, and what the others notice of it. */
#include "bench.h"
#include "bench_meter.h"
#include "bench_redis.h"
#include "bench_sender.h"
#include "bench_swarm.h"
#include "bench_turn.h"
#include "page.h"
#include "say.h"

#include "base/clock.h"
#include "command.h"
#include "operator.h"

#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 3000, SIZE = 200, PACE = 500, SECONDS = 15, WINDOW = 256, DEPTH = 4096, WAIT_MS = 2 };
enum { KEYS = 3 }; /* for each client at the victim: handshakes with a balancer, a broker, one more */
enum { CALM_S = 5 }; /* for what the logins and the keys have put off */
enum { KILL_WAIT_S = 300, SERVED_WAIT_S = 150, LOOK_MS = 100, STALL_MS = 20000, US = 1000000 };

struct failover {
	struct bench *bench;
	struct bench_redis redis;
	struct sender sender;
	struct swarm swarm;
	struct member brokers[REGISTRY_MEMBERS_MAX];
	size_t broker_count;
	const struct member *victim;
	struct addr metrics;            /* the victim's */
	uint32_t clients, pace;
	uint64_t start_us, died_us, served_us; /* the App's first message; 0: not yet */
	uint64_t calm_us;               /* from when on "before" is measured */
	uint64_t shown, look_ms;
	uint32_t *latency_us;           /* of message i; 0: not shown */
	bool *moved;                    /* whether the client was at the victim */
	uint32_t *served_after_us;      /* of those, in the order in which they were served again */
	uint32_t moved_count, served, from_elsewhere;
};

/* ---- what happens to the clients ---- */

static void on_shown(void *ctx, const struct client_message *m)
{
	struct failover *f = ctx;
	uint64_t i;
	if (!sender_read_body(m->record.body, m->record.body_len, &i) || i >= f->sender.pipe.made || f->latency_us[i])
		return;
	f->latency_us[i] = (uint32_t)(f->swarm.came_us - f->sender.sent_us[i]) + 1;
	f->shown++;
}

static void on_online(void *ctx, uint32_t client)
{
	struct failover *f = ctx;
	if (f->died_us && !f->moved[client])
		f->from_elsewhere++;
	if (!f->died_us || !f->moved[client] || f->served == f->moved_count)
		return;
	f->served_after_us[f->served++] = (uint32_t)(clock_mono_us() - f->died_us);
	if (f->served >= f->moved_count - f->moved_count / 100 && !f->served_us)
		f->served_us = clock_mono_us();
}

static bool is_at(const struct failover *f, uint32_t client, const struct member *m)
{
	struct client *c = f->swarm.at[client].engine;
	struct addr at = client_broker(c);
	return client_state(c) == CLIENT_ONLINE && addr_equal(&at, &m->address);
}

static uint32_t count_at(const struct failover *f, const struct member *m)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < f->clients; i++)
		n += is_at(f, i, m);
	return n;
}

/* ---- the run ---- */

/* What the pace allows by now. */
static int turn(struct failover *f)
{
	uint64_t due = (clock_mono_us() - f->start_us) * f->pace / US, made = f->sender.pipe.made;
	return bench_turn(&f->sender, &f->swarm, due > made ? due - made : 0, WAIT_MS);
}

static int send_for(struct failover *f, int64_t seconds)
{
	uint64_t until = clock_mono_ms() + 1000 * (uint64_t)seconds;
	int err = RS_OK;
	while (!err && clock_mono_ms() < until)
		err = turn(f);
	return err;
}

static bool victim_answers(struct failover *f)
{
	struct buf page = {0};
	const char *why;
	int code, err = page_get(&f->metrics, "/healthz", &code, &page, &why);
	buf_deinit(&page);
	return err == RS_OK;
}

/* The one to be killed: the one that was named, else the one with the most clients. */
static int choose_victim(struct failover *f)
{
	const char *wanted = f->bench->options->broker;
	char text[ADDR_TEXT_MAX];
	uint32_t most = 0;
	for (size_t i = 0; i < f->broker_count; i++) {
		const struct member *m = &f->brokers[i];
		uint32_t count = count_at(f, m);
		if (wanted ? strcmp(wanted, m->id) == 0 : count > most) {
			f->victim = m;
			most = count;
		}
	}
	if (!f->victim || most == 0) {
		say("no client is at broker \"%s\"; see restante brokers", wanted ? wanted : "");
		return RS_ENOENT;
	}
	int err = meter_find(f->bench->options->metrics, &f->victim->address, &f->metrics);
	if (!err && !victim_answers(f)) {
		say("nobody answers at http://%s/healthz; is --metrics the listen_http of broker %s?",
		    addr_format(&f->metrics, text), f->victim->id);
		err = RS_EDOWN;
	}
	return err;
}

static void note_death(struct failover *f)
{
	for (uint32_t i = 0; i < f->clients; i++) {
		f->moved[i] = is_at(f, i, f->victim);
		f->moved_count += f->moved[i];
	}
	f->died_us = clock_mono_us();
}

static int wait_for_death(struct failover *f)
{
	uint64_t until = clock_mono_ms() + 1000ull * KILL_WAIT_S;
	int err = RS_OK;
	say("%u of %u clients are at broker %s: kill it now (kill -9)", count_at(f, f->victim), f->clients,
	    f->victim->id);
	while (!err && !f->died_us) {
		err = turn(f);
		if (clock_mono_ms() > until)
			return say("broker %s was not killed within %d s", f->victim->id, KILL_WAIT_S), RS_ETIMEOUT;
		if (clock_mono_ms() < f->look_ms)
			continue;
		f->look_ms = clock_mono_ms() + LOOK_MS;
		if (!victim_answers(f))
			note_death(f);
	}
	return err;
}

static int wait_for_served(struct failover *f)
{
	uint64_t until = f->died_us + (uint64_t)SERVED_WAIT_S * US;
	int err = RS_OK;
	while (!err && f->served < f->moved_count && clock_mono_us() < until)
		err = turn(f);
	if (!err && !f->served_us) {
		say("%u of %u clients are served again %d s after the broker's death", f->served, f->moved_count,
		    SERVED_WAIT_S);
		return RS_ETIMEOUT;
	}
	return err;
}

/* What was OK'd has to be shown. */
static int wait_for_shown(struct failover *f)
{
	uint64_t progress_ms = clock_mono_ms(), before = f->shown;
	while (f->shown < f->sender.pipe.made && clock_mono_ms() - progress_ms < STALL_MS) {
		int err = bench_turn(&f->sender, &f->swarm, 0, WAIT_MS);
		if (err)
			return err;
		if (f->shown != before)
			progress_ms = clock_mono_ms();
		before = f->shown;
	}
	return RS_OK;
}

/* ---- what came of it ---- */

/* p50 and p99 of what was sent from..to to clients that were not at the victim, ms. */
static double latency_of_others(const struct failover *f, uint64_t from_us, uint64_t to_us, uint32_t *room, double *p99)
{
	size_t n = 0;
	for (uint64_t i = 0; i < f->sender.pipe.made; i++)
		if (f->latency_us[i] && !f->moved[i % f->clients] && f->sender.sent_us[i] >= from_us &&
		    f->sender.sent_us[i] < to_us)
			room[n++] = f->latency_us[i];
	latency_sort(room, n);
	*p99 = latency_ms(room, n, 99);
	return latency_ms(room, n, 50);
}

static int report(struct failover *f)
{
	struct bench *b = f->bench;
	uint32_t *room = calloc(f->sender.pipe.made + 1, sizeof *room);
	double before99, during99;
	if (!room)
		return say("out of memory"), RS_ENOMEM;
	double before50 = latency_of_others(f, f->calm_us, f->died_us, room, &before99);
	double during50 = latency_of_others(f, f->died_us, f->served_us, room, &during99);
	free(room);
	latency_sort(f->served_after_us, f->served);
	bench_figure(b, "moved", "clients at the broker that died", f->moved_count, "");
	bench_figure(b, "served", "  of these, served again", f->served, "");
	bench_figure(b, "served_p50_s", "  half of them after", latency_ms(f->served_after_us, f->served, 50) / 1000, "s");
	bench_figure(b, "served_p99_s", "  99 % after (must 60)", (double)(f->served_us - f->died_us) / US, "s");
	bench_figure(b, "reconnected_others", "others that had to log in again", f->from_elsewhere, "");
	bench_figure(b, "others_before_p50_ms", "others: SEND to shown before, p50", before50, "ms");
	bench_figure(b, "others_before_p99_ms", "  p99", before99, "ms");
	bench_figure(b, "others_during_p50_ms", "others: until 99 % were served again, p50", during50, "ms");
	bench_figure(b, "others_during_p99_ms", "  p99", during99, "ms");
	bench_figure(b, "others_p99_ratio", "  p99 then / before (must 2)",
		     before99 > 0 ? during99 / before99 : 0, "");
	bench_figure(b, "sent", "messages OK'd", (double)f->sender.taken, "");
	bench_figure(b, "lost", "  of these never shown", (double)(f->sender.taken - f->shown), "");
	return bench_print(b, "failover") ? RS_ESYS : RS_OK;
}

/* ---- */

/* A name that is none is told before all clients have logged in. */
static int find_brokers(struct failover *f)
{
	const char *wanted = f->bench->options->broker;
	int err = operator_list(f->bench->settings, "broker", f->brokers, &f->broker_count);
	for (size_t i = 0; !err && wanted && i < f->broker_count; i++)
		if (strcmp(wanted, f->brokers[i].id) == 0)
			return RS_OK;
	if (!err && wanted) {
		say("no broker \"%s\" is in the registry; see restante brokers", wanted);
		err = RS_ENOENT;
	}
	return err;
}

static int start(struct failover *f, int64_t seconds, size_t size)
{
	uint64_t count = f->pace * (uint64_t)(CALM_S + seconds + KILL_WAIT_S + SERVED_WAIT_S);
	f->latency_us = calloc(count, sizeof *f->latency_us);
	f->moved = calloc(f->clients, sizeof *f->moved);
	f->served_after_us = calloc(f->clients, sizeof *f->served_after_us);
	if (!f->latency_us || !f->moved || !f->served_after_us)
		return say("out of memory"), RS_ENOMEM;
	int err = bench_redis_open(&f->redis, f->bench);
	if (!err)
		err = bench_redis_make_sessions(&f->redis, f->clients);
	if (!err)
		err = find_brokers(f);
	if (!err)
		err = swarm_open(&f->swarm, f->bench, f->clients, true);
	if (!err)
		err = swarm_login(&f->swarm, 0, f->clients, WINDOW);
	if (!err)
		err = sender_open(&f->sender, f->bench, f->clients, count, size, DEPTH);
	if (err)
		return err;
	f->sender.sent_us = calloc(count, sizeof *f->sender.sent_us);
	f->swarm.on_shown = on_shown;
	f->swarm.on_online = on_online;
	f->swarm.ctx = f;
	return f->sender.sent_us ? RS_OK : (say("out of memory"), RS_ENOMEM);
}

int bench_failover(struct bench *b)
{
	const struct bench_options *o = b->options;
	int64_t seconds = bench_or(o->seconds, SECONDS);
	static struct failover f;
	f = (struct failover){.bench = b, .clients = (uint32_t)bench_or(o->count, CLIENTS),
			      .pace = (uint32_t)bench_or(o->pace, PACE), .redis = {.fd = -1}, .sender = {.dc = {.fd = -1}}};
	int err = start(&f, seconds, (size_t)bench_or(o->size, SIZE));
	if (!err)
		err = choose_victim(&f);
	if (!err)
		err = swarm_make_keys(&f.swarm, KEYS * count_at(&f, f.victim));
	f.start_us = clock_mono_us();
	if (!err)
		err = send_for(&f, CALM_S);
	f.calm_us = clock_mono_us();
	if (!err)
		err = send_for(&f, seconds);
	if (!err)
		err = wait_for_death(&f);
	if (!err)
		err = wait_for_served(&f);
	if (!err)
		err = wait_for_shown(&f);
	if (!err)
		err = report(&f);
	if (f.swarm.at)
		swarm_logout(&f.swarm);
	if (f.redis.fd >= 0 && bench_redis_clean(&f.redis, 0, f.clients))
		say("the benchmark's users %s0 and on are left in Redis; they expire", b->prefix);
	swarm_close(&f.swarm);
	sender_close(&f.sender);
	bench_redis_close(&f.redis);
	free(f.latency_us);
	free(f.moved);
	free(f.served_after_us);
	return err ? EXIT_FAILED : EXIT_DONE;
}
