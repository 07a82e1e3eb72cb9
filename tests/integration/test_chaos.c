/* SPDX-License-Identifier: Apache-2.0 */
/* A thousand messages to fifty users while brokers and Data Centers are killed
 * and started again. What was OK'd is shown exactly once, in order. */
#include "support/app_sender.h"
#include "support/lua_call.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { USERS = 50, PER_USER = 20, PAUSE_MS = 500, ROUNDS_MIN = 3 };
enum { DEAD_MS = 500, ALIVE_MS = 300, WAIT_MS = 60000 };

static struct stack s;
static struct receiver r[USERS];
static struct app_sender app;
static unsigned kills;

static void stop(void)
{
	app_sender_close(&app);
	for (unsigned i = 0; i < USERS; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	stack_stop(&s);
}
TestSuite(chaos, .fini = stop, .timeout = 250);

static void start(const struct stack_options *options)
{
	char session[STACK_SESSION], user[8];
	stack_start(&s, options);
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(user, sizeof user, "u%u", i);
		receiver_open(&r[i], &s, user, stack_session(&s, user, 600, session));
	}
	app_sender_open(&app, &s, USERS, PER_USER, PAUSE_MS);
}

static void turn(void)
{
	app_sender_turn(&app);
	receivers_turn(r, USERS, 5);
}

static void turn_for(unsigned ms)
{
	for (uint64_t until = clock_mono_ms() + ms; clock_mono_ms() < until;)
		turn();
}

/* Much is on its way when it happens: answers to the App, each time a little
 * further, and every other time what the clients say to it. */
static void kill_in_the_midst(struct stack_daemon *d)
{
	unsigned ms = kills++ % 6;
	app_sender_hurry(&app);
	if (ms % 2)
		turn_for(ms);
	else
		nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
	stack_kill(d);
}

static void kill_and_restart(struct stack_daemon *d)
{
	uint64_t until = clock_mono_ms() + WAIT_MS;
	kill_in_the_midst(d);
	turn_for(DEAD_MS);
	stack_restart(d);
	do {
		cr_assert_lt(clock_mono_ms(), until, "%s does not become ready", d->id);
		turn_for(50);
	} while (!stack_is_ready(d));
	turn_for(ALIVE_MS);
}

/* ---- what came of it ---- */

static unsigned shown_count(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < USERS; i++)
		n += (unsigned)r[i].count;
	return n;
}

/* Every message of a user by its number: how often it was shown, and whether one
 * came before its turn. */
static void judge(unsigned *lost, unsigned *doubled, unsigned *early)
{
	for (unsigned i = 0; i < USERS; i++) {
		unsigned times[PER_USER] = {0}, user, number, next = 0;
		for (size_t k = 0; k < r[i].count; k++) {
			const char *body = (const char *)r[i].shown[k].body;
			cr_assert(sscanf(body, "u%u-%u", &user, &number) == 2 && user == i &&
					  number < PER_USER,
				  "%s", body);
			cr_expect_str_eq(r[i].shown[k].app_id, body);
			*early += number > next;
			next = number >= next ? number + 1 : next;
			*doubled += times[number]++ > 0;
		}
		for (unsigned k = 0; k < app.user[i].okd; k++)
			*lost += times[k] == 0;
	}
}

static unsigned queues_left(void)
{
	redisReply *keys = redisCommand(s.c, "KEYS rs:{*}:queue");
	cr_assert(keys && keys->type == REDIS_REPLY_ARRAY);
	unsigned n = (unsigned)keys->elements;
	freeReplyObject(keys);
	return n;
}

static void report(const char *what)
{
	unsigned lost = 0, doubled = 0, early = 0;
	judge(&lost, &doubled, &early);
	fprintf(stderr,
		"chaos, %s: %u messages sent in %u requests (%u breaks, %u unavailable, %u duplicates), "
		"%u OK'd, %u shown, %u lost, %u doubled, %u before their turn\n",
		what, USERS * PER_USER, app.sent, app.breaks, app.unavailable, app.duplicates, app.okd,
		shown_count(), lost, doubled, early);
	cr_expect_eq(app.okd, USERS * PER_USER);
	cr_expect_eq(lost, 0);
	cr_expect_eq(doubled, 0);
	cr_expect_eq(early, 0);
}

static unsigned online_count(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < USERS; i++)
		n += receiver_is_online(&r[i]);
	return n;
}

static void play(const struct stack_options *options, bool kills_brokers, const char *what)
{
	start(options);
	RECEIVERS_UNTIL(r, USERS, online_count() > USERS / 2);
	for (unsigned round = 0; round < ROUNDS_MIN || !app_sender_is_done(&app); round++) {
		cr_assert_lt(round, 50, "the App is not done");
		if (kills_brokers)
			kill_and_restart(&s.mb[round % s.options.mbs]);
		kill_and_restart(&s.dc[round % s.options.dcs]);
	}
	for (uint64_t until = clock_mono_ms() + WAIT_MS; clock_mono_ms() < until;) {
		turn();
		if (shown_count() >= USERS * PER_USER && queues_left() == 0)
			break;
	}
	report(what);
	cr_expect_eq(queues_left(), 0);
	receivers_turn_for(r, USERS, 1500); /* nothing comes again */
	cr_expect_eq(shown_count(), USERS * PER_USER);
}

TestThen(stop, chaos, two_data_centers)
{
	play(&(struct stack_options){.dcs = 2, .mbs = 2}, true, "two DCs");
}

TestThen(stop, chaos, one_data_center) { play(&(struct stack_options){.dcs = 1, .mbs = 2}, true, "one DC"); }

/* The broker stays, and no renewal comes to its help: what the DC took with it must
 * be asked for again when it is back. */
TestThen(stop, chaos, only_the_data_center)
{
	play(&(struct stack_options){.lease_s = 600}, false, "only the DC");
}
