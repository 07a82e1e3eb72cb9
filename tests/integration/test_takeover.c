/* SPDX-License-Identifier: Apache-2.0 */
/* Two clients of one user: the later login wins. A broker that does not know yet
 * that it lost the user can do nothing to the queue or the newer presence. */
#include "support/lua_call.h"
#include "support/receiver.h"
#include "support/stack.h"
#include "wire/packet.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* So long that no renewal tells a broker what it has lost. */
enum { LONG_LEASE_S = 600 };

static struct stack s;
static struct receiver r[2]; /* the earlier, the later */
static char session[STACK_SESSION];

static void stop(void)
{
	for (int i = 0; i < 2; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	stack_stop(&s);
}
TestSuite(takeover, .fini = stop, .timeout = 150);

#define in_redis(command, is) (strcmp(redis_text(s.c, command), is) == 0)

static void log_in(unsigned i)
{
	receiver_open(&r[i], &s, "alice", session);
	RECEIVERS_UNTIL(&r[i], 1, receiver_is_online(&r[i]));
}

static struct stack_daemon *broker_of(unsigned i)
{
	for (unsigned b = 0; b < s.options.mbs; b++)
		if (receiver_is_at(&r[i], &s.mb[b]))
			return &s.mb[b];
	cr_assert_fail("no broker has the address %s", restante_broker(r[i].client));
	return NULL;
}

/* The earlier is online; with two brokers, the balancer knows which one has it. */
static struct stack_daemon *start(unsigned mbs, unsigned lease_s)
{
	stack_start(&s, &(struct stack_options){.mbs = mbs, .lease_s = lease_s});
	stack_session(&s, "alice", 600, session);
	log_in(0);
	struct stack_daemon *d = broker_of(0);
	RECEIVERS_UNTIL(r, 1, stack_has_sessions(d, 1));
	return d;
}

static void expect_the_later_wins(void)
{
	RECEIVERS_UNTIL(r, 2, receiver_is_stopped(&r[0]));
	cr_expect_eq(r[0].codes[CLOSE_SUPERSEDED], 1);
	cr_expect_eq(restante_why(r[0].client), CLOSE_SUPERSEDED);
	stack_send(&s, "alice", "for the later");
	RECEIVERS_UNTIL(r, 2, r[1].count == 1);
	RECEIVERS_UNTIL(r, 2, in_redis("EXISTS rs:{alice}:queue", "0"));
	receivers_turn_for(r, 2, 2500);
	cr_expect_eq(r[0].onlines, 1, "it does not come back");
	cr_expect_eq(r[0].count, 0);
	cr_expect_eq(r[1].onlines, 1);
	cr_expect(receiver_is_online(&r[1]));
}

TestThen(stop, takeover, on_the_same_broker)
{
	start(1, LONG_LEASE_S);
	log_in(1);
	expect_the_later_wins();
}

TestThen(stop, takeover, on_another_broker)
{
	struct stack_daemon *first = start(2, LONG_LEASE_S);
	log_in(1);
	cr_assert_neq(broker_of(1), first, "the balancer sent both to one broker");
	expect_the_later_wins();
}

/* Boot numbers are random and take 64 bits, half of them more than 63. */
TestThen(stop, takeover, whatever_the_boot_number_of_the_earlier_broker)
{
	stack_start(&s, &(struct stack_options){.lease_s = LONG_LEASE_S});
	redis_text(s.c, "HSET rs:{alice}:presence broker mb9 boot 18446744073709551615 conn 1 owner 3");
	stack_session(&s, "alice", 600, session);
	log_in(0);
	cr_expect_eq(stack_metric(&s.mb[0], "mb_kicks_sent_total"), 1);
}

/* ---- the broker that stood still ---- */

static char owner[32], broker[16];

static const char *now_in(const char *field) { return redis_text(s.c, "HGET rs:{alice}:presence %s", field); }

/* The earlier's broker stands still, and so does the DC: no word of the new login
 * reaches the old broker. */
static void log_in_behind_its_back(struct stack_daemon *old)
{
	stack_pause(&s.dc[0]);
	log_in(1);
	cr_assert_neq(broker_of(1), old);
	snprintf(owner, sizeof owner, "%s", now_in("owner"));
	snprintf(broker, sizeof broker, "%s", now_in("broker"));
	cr_assert_str_eq(broker, broker_of(1)->id);
}

static void expect_presence_untouched(void)
{
	cr_expect_str_eq(now_in("owner"), owner);
	cr_expect_str_eq(now_in("broker"), broker);
}

TestThen(stop, takeover, a_broker_that_stood_still_cannot_acknowledge)
{
	struct stack_daemon *old = start(2, LONG_LEASE_S);
	r[0].refuses = true;
	stack_send(&s, "alice", "hello");
	RECEIVERS_UNTIL(r, 1, r[0].offered > 0);
	stack_pause(old);
	r[0].refuses = false;
	RECEIVERS_UNTIL(r, 1, r[0].count == 1); /* its acknowledgement waits in the socket */
	log_in_behind_its_back(old);
	r[1].refuses = true;

	stack_resume(old);
	RECEIVERS_UNTIL(&r[1], 1, stack_metric(old, "mb_acks_sent_total") == 1);
	stack_resume(&s.dc[0]);
	RECEIVERS_UNTIL(r, 2, receiver_is_stopped(&r[0]));
	cr_expect_eq(r[0].codes[CLOSE_SUPERSEDED], 1);
	RECEIVERS_UNTIL(r, 2, r[1].offered > 0); /* the DC is at work again */
	cr_expect_str_eq(redis_text(s.c, "LLEN rs:{alice}:queue"), "1");
	expect_presence_untouched();

	r[1].refuses = false;
	RECEIVERS_UNTIL(r, 2, r[1].count == 1);
	cr_expect(receiver_was_shown(&r[1], 0, "hello", 5));
	RECEIVERS_UNTIL(r, 2, in_redis("EXISTS rs:{alice}:queue", "0"));
}

TestThen(stop, takeover, a_broker_that_stood_still_cannot_clear)
{
	struct stack_daemon *old = start(2, LONG_LEASE_S);
	stack_pause(old);
	receiver_close(&r[0]); /* its farewell waits in the socket */
	log_in_behind_its_back(old);
	stack_resume(old);
	RECEIVERS_UNTIL(&r[1], 1, stack_metric(old, "mb_presence_cleared_total") == 1);
	expect_presence_untouched();
	stack_resume(&s.dc[0]);
	stack_send(&s, "alice", "hello");
	RECEIVERS_UNTIL(&r[1], 1, r[1].count == 1);
	expect_presence_untouched();
}

/* With no DC at all to tell it: its own renewal of the lease does. */
TestThen(stop, takeover, a_broker_that_stood_still_cannot_renew)
{
	struct stack_daemon *old = start(2, 4);
	stack_pause(old);
	stack_kill(&s.dc[0]);
	log_in(1);
	cr_assert_neq(broker_of(1), old);
	snprintf(owner, sizeof owner, "%s", now_in("owner"));
	snprintf(broker, sizeof broker, "%s", now_in("broker"));
	stack_resume(old);
	RECEIVERS_UNTIL(r, 2, receiver_is_stopped(&r[0]));
	cr_expect_eq(r[0].codes[CLOSE_SUPERSEDED], 1);
	expect_presence_untouched();
	cr_expect_eq(stack_metric(old, "mb_fenced_total"), 1);
	stack_restart(&s.dc[0]);
	RECEIVERS_UNTIL(&r[1], 1, stack_is_ready(&s.dc[0]) && stack_is_ready(broker_of(1)));
	stack_send(&s, "alice", "hello");
	RECEIVERS_UNTIL(&r[1], 1, r[1].count == 1);
}
