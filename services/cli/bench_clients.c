/* SPDX-License-Identifier: Apache-2.0 */
/* Idle clients: what one costs the broker in memory, how fast they come, and what
 * their heartbeats cost next to a bare echo. */
#include "bench.h"
#include "bench_echo.h"
#include "bench_meter.h"
#include "bench_redis.h"
#include "bench_swarm.h"
#include "say.h"

#include "base/clock.h"
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { COUNT = 1000, SECONDS = 10, ROUNDS = 5, WINDOW = 256, GROUP = 500, GROUPS_MAX = 20 };
enum { BEATS_IN_FLIGHT = 512, MILLION_PER_S = 33333, HEARTBEAT_S = 30, LEFT_WAIT_MS = 10000 };

struct clients {
	struct bench *bench;
	struct bench_redis redis;
	struct echo echo;
	struct bench_udp *echo_udp;
	struct swarm swarm;
	uint32_t count;
	uint64_t echoed;
	double seconds;                        /* of one round */
	struct series beats, beats_cpu;        /* a second; a CPU second */
	struct series echoes, echoes_cpu;
	struct series shakes, shakes_cpu;
	struct reading first;                  /* before anyone, or after the first group of many */
	uint32_t first_count;
};

static double seconds_since(uint64_t start_us) { return (double)(clock_mono_us() - start_us) / 1e6; }

/* ---- logging in ---- */

/* The first half of all, in groups that the table of half-open handshakes holds.
 * With the first group of many come the buffers and pages that every broker in use
 * has, once: the memory a client is counted from there. */
static int shake_groups(struct clients *c, uint32_t *from)
{
	struct reading before, after;
	uint32_t group = c->count / 2 < GROUP ? c->count / 2 : GROUP;
	for (int i = 0; i < GROUPS_MAX && group && *from + group <= c->count / 2; i++, *from += group) {
		int err = meter_read(&c->swarm.metrics, &before);
		uint64_t start = clock_mono_us();
		if (!err)
			err = swarm_shake(&c->swarm, *from, *from + group, WINDOW);
		double took = seconds_since(start);
		if (!err)
			err = meter_read(&c->swarm.metrics, &after);
		if (!err)
			err = swarm_release(&c->swarm, *from, *from + group);
		if (err)
			return err;
		if (i == 0 && c->count >= 20 * group) {
			c->first_count = group;
			err = meter_read(&c->swarm.metrics, &c->first);
		}
		if (err)
			return err;
		series_add(&c->shakes, group / took);
		if (after.cpu_s > before.cpu_s)
			series_add(&c->shakes_cpu, group / (after.cpu_s - before.cpu_s));
	}
	return RS_OK;
}

static int log_in(struct clients *c)
{
	struct bench *b = c->bench;
	struct reading before, mid, after;
	uint32_t from = 0;
	int err = meter_read(&c->swarm.metrics, &before);
	c->first = before;
	if (!err)
		err = shake_groups(c, &from);
	if (!err)
		err = meter_read(&c->swarm.metrics, &mid);
	uint64_t start = clock_mono_us();
	if (!err)
		err = swarm_login(&c->swarm, from, c->count, WINDOW);
	double took = seconds_since(start);
	if (!err)
		err = meter_read(&c->swarm.metrics, &after);
	if (err)
		return err;
	bench_figure(b, "clients", "clients online", after.online - before.online, "");
	bench_figure(b, "bytes_per_client", "broker's resident memory a client (must 256, aim 128)",
		     (after.resident_bytes - c->first.resident_bytes) / (c->count - c->first_count), "bytes");
	bench_figure(b, "handshakes_per_s", "handshakes (median)", series_median(&c->shakes), "a second");
	bench_figure(b, "handshakes_per_cpu_s", "handshakes in a CPU second of the broker", series_median(&c->shakes_cpu), "");
	bench_figure(b, "logins_per_s", "whole logins, with Redis", (c->count - from) / took, "a second");
	bench_figure(b, "logins_per_cpu_s", "whole logins in a CPU second of the broker",
		     after.cpu_s > mid.cpu_s ? (c->count - from) / (after.cpu_s - mid.cpu_s) : 0, "");
	return RS_OK;
}

/* ---- at full speed ---- */

static int beat_round(struct clients *c)
{
	struct swarm *s = &c->swarm;
	struct reading before, after;
	uint32_t most = c->count < BEATS_IN_FLIGHT ? c->count : BEATS_IN_FLIGHT;
	int err = meter_read(&s->metrics, &before);
	if (err)
		return err;
	uint64_t start = clock_mono_us(), answered = s->beats_answered, quiet_since = start;
	while (seconds_since(start) < c->seconds) {
		while (s->beats_waiting < most)
			swarm_beat(s);
		bench_udp_flush(s->udp);
		if (swarm_receive(s, 10)) {
			quiet_since = clock_mono_us();
		} else if (seconds_since(quiet_since) > 0.1) {
			swarm_beat_again(s);
			quiet_since = clock_mono_us();
		}
	}
	double took = seconds_since(start), count = (double)(s->beats_answered - answered);
	err = meter_read(&s->metrics, &after);
	if (err)
		return err;
	series_add(&c->beats, count / took);
	series_add(&c->beats_cpu, count / (after.cpu_s - before.cpu_s));
	return RS_OK;
}

static void on_echo(void *ctx, const struct bench_datagram *d)
{
	struct clients *c = ctx;
	(void)d;
	c->echoed++;
}

static void echo_round(struct clients *c)
{
	static const uint8_t packet[HEARTBEAT_BYTES];
	uint32_t most = c->count < BEATS_IN_FLIGHT ? c->count : BEATS_IN_FLIGHT, source = 0;
	uint64_t start = clock_mono_us(), sent = 0, quiet_since = start;
	double cpu = echo_cpu_s(&c->echo);
	c->echoed = 0;
	while (seconds_since(start) < c->seconds) {
		for (; sent - c->echoed < most; sent++) {
			bench_udp_send(c->echo_udp, source, &c->echo.at, packet, sizeof packet);
			source = source + 1 < c->count ? source + 1 : 0;
		}
		bench_udp_flush(c->echo_udp);
		if (bench_udp_receive(c->echo_udp, 10, on_echo, c)) {
			quiet_since = clock_mono_us();
		} else if (seconds_since(quiet_since) > 0.1) {
			sent = c->echoed; /* lost */
			quiet_since = clock_mono_us();
		}
	}
	series_add(&c->echoes, (double)c->echoed / seconds_since(start));
	series_add(&c->echoes_cpu, (double)c->echoed / (echo_cpu_s(&c->echo) - cpu));
}

static int full_speed(struct clients *c, int64_t rounds)
{
	struct bench *b = c->bench;
	for (int64_t i = 0; i < rounds; i++) {
		if (i % 2 == 0)
			echo_round(c);
		int err = beat_round(c);
		if (err)
			return err;
		if (i % 2 == 1)
			echo_round(c);
	}
	bench_figure(b, "heartbeats_per_s", "heartbeats at full speed (median)", series_median(&c->beats), "a second");
	bench_figure(b, "echoes_per_s", "bare UDP echoes at full speed (median)", series_median(&c->echoes), "a second");
	bench_figure(b, "heartbeat_ratio", "heartbeats / echoes, in time", series_ratio(&c->beats, &c->echoes), "");
	bench_figure(b, "heartbeats_per_cpu_s", "heartbeats in a CPU second of the broker", series_median(&c->beats_cpu), "");
	bench_figure(b, "echoes_per_cpu_s", "echoes in a CPU second of the echo", series_median(&c->echoes_cpu), "");
	bench_figure(b, "heartbeat_cpu_ratio", "heartbeats / echoes, in CPU (must 0.6, aim 0.8)",
		     series_ratio(&c->beats_cpu, &c->echoes_cpu), "");
	return RS_OK;
}

/* ---- evenly spaced ---- */

static void sleep_until(uint64_t us)
{
	struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* `per_s` heartbeats a second, each at its own moment; the broker's share of a core. */
static int paced(struct clients *c, double per_s, double *core, double *got)
{
	struct swarm *s = &c->swarm;
	struct reading before, after;
	int err = meter_read(&s->metrics, &before);
	if (err)
		return err;
	uint64_t start = clock_mono_us(), sent = 0, answered = s->beats_answered;
	while (seconds_since(start) < c->seconds) {
		uint64_t due = (uint64_t)(seconds_since(start) * per_s) + 1;
		for (; sent < due; sent++)
			swarm_beat(s);
		bench_udp_flush(s->udp);
		while (swarm_receive(s, 0))
			;
		sleep_until(start + (uint64_t)((double)sent * 1e6 / per_s));
	}
	double took = seconds_since(start);
	while (swarm_receive(s, 50))
		;
	err = meter_read(&s->metrics, &after);
	*core = (after.cpu_s - before.cpu_s) / took;
	*got = (double)(s->beats_answered - answered) / took;
	return err;
}

static int at_pace(struct clients *c)
{
	struct bench *b = c->bench;
	double own = (double)bench_or(b->options->pace, c->count / HEARTBEAT_S + 1), core, got;
	prctl(PR_SET_TIMERSLACK, 1000UL); /* ns; else sleeps end 50 us late, in clumps */
	c->seconds = (double)bench_or(b->options->seconds, SECONDS);
	int err = paced(c, own, &core, &got);
	if (err)
		return err;
	bench_figure(b, "pace_per_s", "heartbeats evenly spaced", got, "a second");
	bench_figure(b, "pace_core_percent", "  broker's processor time", 100 * core, "% of a core");
	err = paced(c, MILLION_PER_S, &core, &got);
	if (err)
		return err;
	bench_figure(b, "million_per_s", "as of a million clients at 30 s", got, "a second");
	bench_figure(b, "million_core_percent", "  broker's processor time (must 30, aim 15)", 100 * core, "% of a core");
	return RS_OK;
}

/* ---- */

static int start(struct clients *c)
{
	int err = echo_start(&c->echo);
	if (!err)
		err = bench_udp_open(&c->echo_udp, &c->echo.at);
	if (err) {
		say("the echo cannot be started: %s", strerror(errno));
		return err;
	}
	err = bench_redis_open(&c->redis, c->bench);
	if (!err)
		err = bench_redis_make_sessions(&c->redis, c->count);
	return err ? err : swarm_open(&c->swarm, c->bench, c->count, false);
}

/* The broker writes their tombstones; then all of them goes. */
static void clean_up(struct clients *c)
{
	struct reading now;
	uint64_t until = clock_mono_ms() + LEFT_WAIT_MS;
	bool any = c->swarm.online > 0;
	if (c->swarm.at)
		swarm_logout(&c->swarm);
	while (any && meter_read(&c->swarm.metrics, &now) == RS_OK && now.online > 0 &&
	       clock_mono_ms() < until)
		sleep_until(clock_mono_us() + 200000);
	if (c->redis.fd >= 0 && bench_redis_clean(&c->redis, 0, c->count))
		say("the benchmark's users %s0 and on are left in Redis; they expire", c->bench->prefix);
}

int bench_clients(struct bench *b)
{
	struct clients c = {.bench = b, .count = (uint32_t)bench_or(b->options->count, COUNT), .redis = {.fd = -1}};
	int64_t rounds = bench_or(b->options->rounds, ROUNDS);
	c.seconds = (double)bench_or(b->options->seconds, SECONDS) / (double)rounds;
	int code = EXIT_FAILED;
	if (!start(&c) && !log_in(&c) && !full_speed(&c, rounds) && !at_pace(&c))
		code = bench_print(b, "clients") ? EXIT_FAILED : EXIT_DONE;
	if (c.swarm.bad)
		say("%llu answers were late or came twice: the machine is busy", (unsigned long long)c.swarm.bad);
	clean_up(&c);
	swarm_close(&c.swarm);
	bench_redis_close(&c.redis);
	bench_udp_close(c.echo_udp);
	echo_stop(&c.echo);
	return code;
}
