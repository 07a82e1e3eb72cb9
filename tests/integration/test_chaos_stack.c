/* SPDX-License-Identifier: Apache-2.0 */
/* A steady stream of messages through two DCs, three brokers, two LBs and a Redis,
 * while every few seconds one of them, drawn from a seed, is killed and started
 * again, or stopped for a while. What happened goes into a record; the judgement is
 * record_check's alone. The environment makes it large: docs/testing.md. */
#include "support/app_sender.h"
#include "support/receiver.h"
#include "support/record_check.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS = 200, MESSAGES = 4000, RATE = 160, LARGE = 20000 };
enum { GAP_MS = 1000, DEAD_MS = 500, PAUSE_MS = 2000, PAUSE_LARGE_MS = 10000 };
enum { STILL_MS = 60000, AFTER_MS = 1500, SESSION_S = 36000 };

enum what { NOTHING, KILLED, PAUSED, RETURNING };

static struct stack s;
static struct receiver *r;
static size_t *recorded; /* of what each receiver was shown: how many are in the record */
static struct app_sender app;
static unsigned users, per_user, rate;
static uint64_t seed, draws;
static FILE *record;
static char path[TEMP_PATH_MAX];

static struct stack_daemon *victim; /* NULL: Redis */
static enum what state;
static uint64_t next_ms;            /* when the state changes, at the earliest */
static uint64_t ready_by_ms;
static unsigned kills, pauses, of_redis;

static uint64_t shown, progress_ms, progress;

static void stop(void)
{
	app_sender_close(&app);
	for (unsigned i = 0; r && i < users; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	free(r);
	free(recorded);
	r = NULL;
	recorded = NULL;
	if (record)
		fclose(record);
	record = NULL;
	stack_stop(&s);
}
/* Its own deadlines end it; how long a large run takes nobody can say here. */
TestSuite(chaos_stack, .fini = stop, .timeout = 7200);

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* splitmix64 */
static unsigned draw(unsigned below)
{
	uint64_t z = seed + ++draws * 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (unsigned)((z ^ z >> 31) % below);
}

/* ---- the record ---- */

static void record_shown(unsigned i)
{
	for (; recorded[i] < r[i].count; recorded[i]++) {
		struct shown *m = &r[i].shown[recorded[i]];
		unsigned user, number;
		if (sscanf((char *)m->body, "u%u-%u", &user, &number) == 2)
			fprintf(record, "shown %u %u %u\n", i, user, number);
		else
			fprintf(record, "shown %u what is no message of ours\n", i);
		shown++;
	}
}

static void turn(void)
{
	app_sender_turn(&app);
	receivers_turn(r, users, 5);
	for (unsigned i = 0; i < users; i++)
		record_shown(i);
	if (app.okd + shown != progress) {
		progress = app.okd + shown;
		progress_ms = clock_mono_ms();
	}
}

static bool stands_still(void) { return clock_mono_ms() - progress_ms > STILL_MS; }

/* ---- chaos ---- */

/* The kind first: Redis and the few are struck as often as the many; and of the DCs,
 * every other time the one that the App talks to. */
static struct stack_daemon *draw_daemon(void)
{
	switch (draw(4)) {
	case 0:
		return &s.dc[draw(2) ? app.dc : draw(s.options.dcs)];
	case 1:
		return &s.mb[draw(s.options.mbs)];
	case 2:
		return &s.lb[draw(s.options.lbs)];
	default:
		return NULL;
	}
}

static void strike(void)
{
	victim = draw_daemon();
	state = draw(2) ? KILLED : PAUSED;
	fprintf(stderr, "  %s %s, %u OK'd, %" PRIu64 " shown\n", victim ? victim->id : "redis",
		state == KILLED ? "killed" : "stopped", app.okd, shown);
	of_redis += !victim;
	if (state == KILLED) {
		kills++;
		victim ? stack_kill(victim) : redis_server_kill(&s.redis);
		next_ms = clock_mono_ms() + DEAD_MS;
	} else {
		pauses++;
		victim ? stack_pause(victim) : redis_server_pause(&s.redis);
		next_ms = clock_mono_ms() + (users * per_user >= LARGE ? PAUSE_LARGE_MS : PAUSE_MS);
	}
}

static void bring_back(void)
{
	if (state == KILLED)
		victim ? stack_restart(victim) : redis_server_run(&s.redis);
	else
		victim ? stack_resume(victim) : redis_server_resume(&s.redis);
	state = RETURNING;
	ready_by_ms = clock_mono_ms() + STILL_MS;
	next_ms = clock_mono_ms() + 50;
}

/* Without Redis none is ready: then all must be again. */
static bool are_ready(void)
{
	if (victim)
		return stack_is_ready(victim);
	for (unsigned i = 0; i < STACK_KIND_MAX; i++)
		if ((i < s.options.dcs && !stack_is_ready(&s.dc[i])) ||
		    (i < s.options.mbs && !stack_is_ready(&s.mb[i])) ||
		    (i < s.options.lbs && !stack_is_ready(&s.lb[i])))
			return false;
	return true;
}

static void chaos_turn(void)
{
	if (clock_mono_ms() < next_ms)
		return;
	if (state == NOTHING) {
		strike();
	} else if (state != RETURNING) {
		bring_back();
	} else if (are_ready()) {
		state = NOTHING;
		next_ms = clock_mono_ms() + GAP_MS;
	} else {
		cr_assert_lt(clock_mono_ms(), ready_by_ms, "%s does not become ready",
			     victim ? victim->id : "not all after redis");
		next_ms = clock_mono_ms() + 50;
	}
}

/* ---- the run ---- */

static void start(void)
{
	char session[STACK_SESSION], user[16];
	users = (unsigned)setting("RESTANTE_CHAOS_USERS", USERS);
	per_user = (unsigned)setting("RESTANTE_CHAOS_MESSAGES", MESSAGES) / users;
	rate = (unsigned)setting("RESTANTE_CHAOS_RATE", RATE);
	seed = setting("RESTANTE_CHAOS_SEED", 7);
	fprintf(stderr, "chaos of seed %" PRIu64 ": %u users, %u messages, %u a second\n", seed, users,
		users * per_user, rate);
	stack_start(&s, &(struct stack_options){.dcs = 2, .mbs = 3, .lbs = 2});
	record = fopen(temp_path(&s.dir, "record", path), "we");
	r = calloc(users, sizeof *r);
	recorded = calloc(users, sizeof *recorded);
	cr_assert(record && r && recorded);
	for (unsigned i = 0; i < users; i++) {
		snprintf(user, sizeof user, "u%u", i);
		receiver_open(&r[i], &s, user, stack_session(&s, user, SESSION_S, session));
	}
}

/* Each user's messages come at the same distance, and no two users' together. */
static void start_app(void)
{
	unsigned pause_ms = (unsigned)(1000ull * users / rate);
	uint64_t now_ms = clock_mono_ms();
	app_sender_open(&app, &s, users, per_user, pause_ms);
	app.record = record;
	for (unsigned i = 0; i < users; i++)
		app.user[i].next_ms = now_ms + (uint64_t)pause_ms * i / users;
}

static unsigned online_count(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < users; i++)
		n += receiver_is_online(&r[i]);
	return n;
}

static void play(void)
{
	start();
	RECEIVERS_UNTIL(r, users, online_count() > users / 2);
	start_app();
	progress_ms = clock_mono_ms();
	next_ms = clock_mono_ms() + GAP_MS;
	while (!app_sender_is_done(&app) && !stands_still()) {
		turn();
		chaos_turn();
	}
	while (state != NOTHING) { /* let what was struck last come back */
		turn();
		chaos_turn();
	}
	while (shown < app.okd && !stands_still())
		turn();
	for (uint64_t until = clock_mono_ms() + AFTER_MS; clock_mono_ms() < until;)
		turn(); /* nothing comes again */
	fprintf(record, "end\n");
	cr_assert_eq(fflush(record), 0);
}

static void judge(uint64_t took_ms)
{
	struct record_check c;
	cr_assert(record_check_file(&c, path));
	fprintf(stderr,
		"chaos of seed %" PRIu64 ": %u users, %" PRIu64 " sent, %" PRIu64 " OK'd, %" PRIu64
		" shown in %" PRIu64 " s; %u killed, %u stopped, %u of them redis; %u breaks, %u unavailable, "
		"%u duplicates; %" PRIu64 " lost, %" PRIu64 " doubled, %" PRIu64 " early, %" PRIu64
		" unknown, %" PRIu64 " malformed\n",
		seed, users, c.sent, c.okd, c.shown, took_ms / 1000, kills, pauses, of_redis, app.breaks,
		app.unavailable, app.duplicates, c.count[RECORD_LOST], c.count[RECORD_DOUBLED],
		c.count[RECORD_EARLY], c.count[RECORD_UNKNOWN], c.count[RECORD_MALFORMED]);
	for (int i = 0; i < RECORD_FAULTS; i++)
		cr_expect_eq(c.count[i], 0, "%s: %s", record_fault_name((enum record_fault)i), c.first[i]);
	cr_expect_eq(c.okd, (uint64_t)users * per_user);
	record_check_deinit(&c);
}

TestThen(stop, chaos_stack, nothing_is_lost)
{
	uint64_t began_ms = clock_mono_ms();
	play();
	judge(clock_mono_ms() - began_ms);
}
