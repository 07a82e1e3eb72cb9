/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that stand still, are cut off, or change their address: a stopped
 * process, a closed laptop, a phone on its way. The session goes on or is
 * renewed; nothing is lost, nothing comes twice or out of order. */
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"
#include "wire/packet.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
	BIG = 16384,
	BIG_PIECES = 37,       /* that it goes in */
	SHORT_STOP_MS = 1500,
	TRICKLE_MS = 10000,
	TRICKLE_EVERY_MS = 100,
	PATH_MS = 200,         /* how long an address lasts */
};

static struct stack s;
static struct receiver r;
static struct daemon_process listener; /* restante listen, for what only a process can do */
static unsigned sent;

static void stop(void)
{
	if (listener.pid > 0)
		daemon_process_kill(&listener);
	if (r.client)
		receiver_close(&r);
	stack_stop(&s);
}
TestSuite(asleep, .fini = stop, .timeout = 150);

static double timeouts(void) { return stack_metric(&s.mb[0], "mb_timeouts_total"); }
static double logins(void) { return stack_metric(&s.mb[0], "mb_logins_total"); }

/* "m0", "m1", ... */
static void send_some(unsigned count)
{
	char body[16];
	while (count-- > 0) {
		snprintf(body, sizeof body, "m%u", sent++);
		stack_send(&s, "alice", body);
	}
}

static void expect_shown_once_in_order(void)
{
	char body[16];
	RECEIVERS_UNTIL(&r, 1, r.count >= sent);
	receivers_turn_for(&r, 1, 300);
	cr_expect_eq(r.count, sent, "%zu of %u were shown", r.count, sent);
	for (unsigned n = 0; n < sent; n++)
		cr_expect(receiver_was_shown(&r, n, body, (size_t)snprintf(body, sizeof body, "m%u", n)),
			  "place %u: %s", n, (const char *)r.shown[n].body);
}

/* ---- a process that is stopped ---- */

static void start_listener(unsigned heartbeat_s)
{
	char session[STACK_SESSION], balancers[80], key[96];
	stack_start(&s, &(struct stack_options){.heartbeat_s = heartbeat_s});
	stack_session(&s, "alice", 600, session);
	snprintf(balancers, sizeof balancers, "--balancers=%s", stack_balancers(&s));
	snprintf(key, sizeof key, "--balancer-keys=%s", stack_balancer_key(&s));
	const char *argv[] = {"restante", balancers, key, "listen", "--user", "alice", "--session", session, NULL};
	daemon_process_start(&listener, argv, NULL);
	RECEIVERS_UNTIL(&r, 0, logins() == 1);
}

/* How many lines of the listener's output are bodies; each must be the next. */
static unsigned listener_shown(void)
{
	char line[256];
	unsigned n = 0, number;
	FILE *f = fopen(listener.log, "re");
	cr_assert_not_null(f);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "m%u\n", &number) == 1)
			cr_assert_eq(number, n++, "%s came as number %u", line, n);
	fclose(f);
	return n;
}

static void stop_listener(void)
{
	siginfo_t info = {0};
	cr_assert_eq(kill(listener.pid, SIGSTOP), 0);
	cr_assert_eq(waitid(P_PID, (id_t)listener.pid, &info, WSTOPPED | WEXITED | WNOWAIT), 0);
	cr_assert_eq(info.si_code, CLD_STOPPED);
}

static void expect_listener_shown(void)
{
	RECEIVERS_UNTIL(&r, 0, listener_shown() >= sent);
	receivers_turn_for(&r, 0, 300);
	cr_expect_eq(listener_shown(), sent);
	daemon_process_stop_clean(&listener);
}

TestThen(stop, asleep, a_process_stopped_for_longer_than_the_broker_waits)
{
	start_listener(1);
	send_some(3);
	RECEIVERS_UNTIL(&r, 0, listener_shown() == sent);
	stop_listener();
	send_some(3); /* to a session that is still thought alive */
	RECEIVERS_UNTIL(&r, 0, timeouts() == 1);
	send_some(3);
	cr_assert_eq(kill(listener.pid, SIGCONT), 0);
	send_some(3);
	expect_listener_shown();
	cr_expect_eq(logins(), 2);
}

TestThen(stop, asleep, a_process_stopped_for_a_moment)
{
	start_listener(3);
	send_some(3);
	stop_listener();
	send_some(3);
	receivers_turn_for(&r, 0, SHORT_STOP_MS);
	send_some(3);
	cr_assert_eq(kill(listener.pid, SIGCONT), 0);
	send_some(3);
	expect_listener_shown();
	cr_expect_eq(logins(), 1, "the session should have gone on");
	cr_expect_eq(timeouts(), 0);
}

/* ---- a laptop that is closed ---- */

static void start_behind_relay(unsigned heartbeat_s, const struct relay_plan *plan)
{
	char session[STACK_SESSION];
	stack_start(&s, &(struct stack_options){.relays = true, .relay = *plan, .heartbeat_s = heartbeat_s});
	receiver_open(&r, &s, "alice", stack_session(&s, "alice", 600, session));
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
}

static void cut(bool is_cut)
{
	relay_change(&s.mb[0].relay, &(struct relay_plan){.cut = is_cut});
	relay_change(&s.lb[0].relay, &(struct relay_plan){.cut = is_cut});
}

/* It goes on by itself all the while, and finds nobody. */
TestThen(stop, asleep, cut_off_for_longer_than_the_broker_waits)
{
	start_behind_relay(1, &(struct relay_plan){0});
	send_some(3);
	cut(true);
	send_some(3);
	RECEIVERS_UNTIL(&r, 1, timeouts() == 1);
	send_some(3);
	cut(false);
	send_some(3);
	expect_shown_once_in_order();
	cr_expect_eq(r.onlines, 2);
}

TestThen(stop, asleep, cut_off_until_the_client_gives_up_too)
{
	start_behind_relay(1, &(struct relay_plan){0});
	send_some(3);
	cut(true);
	send_some(3);
	RECEIVERS_UNTIL(&r, 1, !receiver_is_online(&r));
	RECEIVERS_UNTIL(&r, 1, timeouts() == 1);
	send_some(3);
	cut(false);
	expect_shown_once_in_order();
	cr_expect_eq(r.onlines, 2);
}

/* ---- a client that moves ---- */

static void send_big(unsigned number)
{
	struct text_client app;
	struct text_answer a;
	static uint8_t body[BIG];
	for (size_t i = 0; i < BIG; i++)
		body[i] = net_pattern(i + number);
	stack_client(&s, &app);
	text_client_printf(&app, "SEND 1\r\nto alice\r\nlength %u\r\n\r\n", BIG);
	text_client_write(&app, body, BIG);
	cr_assert(text_client_read(&app, &a) && a.code == 200, "%s", a.text);
	text_client_close(&app);
	RECEIVERS_UNTIL(&r, 1, r.count > number);
	cr_expect(receiver_was_shown(&r, number, body, BIG), "message %u", number);
	cr_expect_eq(r.count, number + 1);
}

/* After a few pieces, when half is through, and when almost all is. */
static void play_moves(unsigned loss_pct)
{
	static const unsigned after[] = {3, BIG_PIECES / 2, BIG_PIECES / 2, BIG_PIECES - 4};
	enum { COUNT = sizeof after / sizeof *after };
	struct relay *relay = &s.mb[0].relay;
	start_behind_relay(2, &(struct relay_plan){.seed = 1, .loss_pct = loss_pct});
	for (unsigned n = 0; n < COUNT; n++) {
		struct relay_plan plan = {.loss_pct = loss_pct};
		plan.move_at = relay_counts(relay).pieces + after[n];
		relay_change(relay, &plan);
		send_big(n);
	}
	cr_expect_eq(relay_counts(relay).moves, COUNT);
	/* With loss, so much can go in a row that both sides give the session up. */
	cr_expect_geq(stack_metric(&s.mb[0], "mb_moved_total"), loss_pct ? 1 : COUNT);
	cr_expect(loss_pct || r.onlines == 1, "the session should have moved: online %u times", r.onlines);
}

TestThen(stop, asleep, a_new_address_while_a_message_is_half_through) { play_moves(0); }

TestThen(stop, asleep, a_new_address_while_a_message_is_half_through_and_packets_are_lost) { play_moves(20); }

TestThen(stop, asleep, a_new_address_again_and_again)
{
	start_behind_relay(2, &(struct relay_plan){.move_every_ms = PATH_MS});
	for (uint64_t until = clock_mono_ms() + TRICKLE_MS; clock_mono_ms() < until;) {
		send_some(1);
		receivers_turn_for(&r, 1, TRICKLE_EVERY_MS);
	}
	expect_shown_once_in_order();
	cr_expect_geq(relay_counts(&s.mb[0].relay).moves, TRICKLE_MS / PATH_MS / 2);
	cr_expect_gt(stack_metric(&s.mb[0], "mb_moved_total"), 0);
	cr_expect_eq(r.onlines, 1, "online %u times", r.onlines);
}
