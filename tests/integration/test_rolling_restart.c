/* SPDX-License-Identifier: Apache-2.0 */
/* Under a steady stream of messages each DC, LB and broker in turn is told to end
 * (SIGTERM), started again, and waited for, as docs/operations.md has it, and Redis
 * (-9) before them; round after round, as long as messages are sent. Nothing is lost,
 * and no daemon holds up the App's sends; Redis does while it reads its file. The environment makes it large: docs/testing.md. */
#include "support/recorded_load.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

enum { USERS = 200, MESSAGES = 2000, RATE = 80 };
enum { GAP_MS = 1000, END_MS = 60000, READY_MS = 60000, HELD_UP_MS = 3000 };

static struct recorded_load l;
static struct stack *const s = &l.stack;
static unsigned restarts, rounds;
static uint64_t longest_ms, longest_redis_ms; /* that a message was held up by daemons, by Redis */

static void stop(void) { recorded_load_stop(&l); }
TestSuite(rolling_restart, .fini = stop, .timeout = 7200);

static void turn_for(unsigned ms)
{
	for (uint64_t until = clock_mono_ms() + ms; clock_mono_ms() < until;)
		recorded_load_turn(&l);
}

static void wait_all_ready(const char *id, uint64_t *longest)
{
	uint64_t until = clock_mono_ms() + READY_MS;
	while (!stack_all_ready(s)) {
		cr_assert_lt(clock_mono_ms(), until, "not all are ready after %s", id);
		turn_for(50);
	}
	turn_for(GAP_MS);
	*longest = l.app.longest_ms > *longest ? l.app.longest_ms : *longest;
	l.app.longest_ms = 0;
	restarts++;
}

static void restart(struct stack_daemon *d)
{
	uint64_t until = clock_mono_ms() + END_MS;
	stack_terminate(d);
	while (daemon_process_runs(&d->process)) {
		cr_assert_lt(clock_mono_ms(), until, "%s does not end", d->id);
		recorded_load_turn(&l);
	}
	stack_restart(d);
	wait_all_ready(d->id, &longest_ms);
}

static void restart_all(struct stack_daemon *d, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		restart(&d[i]);
}

static void restart_redis(void)
{
	redis_server_kill(&s->redis);
	redis_server_run(&s->redis);
	wait_all_ready("redis", &longest_redis_ms);
}

TestThen(stop, rolling_restart, nothing_is_lost_and_nobody_waits)
{
	char what[160];
	recorded_load_start(&l, &(struct recorded_load_size){USERS, MESSAGES, RATE},
			    &(struct stack_options){.dcs = 2, .mbs = 3, .lbs = 2});
	for (; recorded_load_sends(&l); rounds++) {
		restart_redis();
		restart_all(s->dc, s->options.dcs);
		restart_all(s->lb, s->options.lbs);
		restart_all(s->mb, s->options.mbs);
	}
	recorded_load_finish(&l);
	snprintf(what, sizeof what,
		 "rolling restart, %u rounds, %u restarts, sends held up %" PRIu64 " ms at most, by redis %" PRIu64,
		 rounds, restarts, longest_ms, longest_redis_ms);
	recorded_load_judge(&l, what);
	cr_expect_lt(longest_ms, HELD_UP_MS);
}
