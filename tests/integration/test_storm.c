/* SPDX-License-Identifier: Apache-2.0 */
/* Everybody comes at once: the balancer, and the broker behind it, let clients in at
 * their rates, tell the others when to come again, and all of them get in. */
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { CLIENTS_MAX = 60, WAIT_MS = 90000 };

static struct stack s;
static struct receiver r[CLIENTS_MAX];

static void stop(void)
{
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	stack_stop(&s);
}
TestSuite(storm, .fini = stop, .timeout = 200);

static unsigned online(unsigned clients)
{
	unsigned n = 0;
	for (unsigned i = 0; i < clients; i++)
		n += receiver_is_online(&r[i]);
	return n;
}

/* How long it took until all were online, in ms. */
static uint64_t storm(unsigned clients)
{
	char user[16], session[CLIENTS_MAX][STACK_SESSION];
	for (unsigned i = 0; i < clients; i++) {
		snprintf(user, sizeof user, "u%u", i);
		stack_session(&s, user, 600, session[i]);
	}
	uint64_t from = clock_mono_ms();
	for (unsigned i = 0; i < clients; i++) {
		snprintf(user, sizeof user, "u%u", i);
		receiver_open(&r[i], &s, user, session[i]);
	}
	while (online(clients) < clients) {
		cr_assert_lt(clock_mono_ms(), from + WAIT_MS, "%u of %u clients are online", online(clients), clients);
		receivers_turn(r, clients, 10);
	}
	return clock_mono_ms() - from;
}

static double sum(const struct stack_daemon *d, unsigned count, const char *name)
{
	double n = 0;
	for (unsigned i = 0; i < count; i++)
		n += stack_metric(&d[i], name);
	return n;
}

TestThen(stop, storm, the_balancer_lets_in_at_a_rate)
{
	enum { CLIENTS = 60, PER_BROKER = 5, BROKERS = 2, PER_S = PER_BROKER * BROKERS };
	static const char *const flags[] = {"--admissions-per-broker=5", NULL};
	stack_start(&s, &(struct stack_options){.mbs = BROKERS, .lb_flags = flags});
	RECEIVERS_UNTIL(r, 0, stack_metric(&s.lb[0], "lb_brokers_alive") == BROKERS);
	uint64_t took = storm(CLIENTS);
	/* A second's worth at once, then the rate. */
	cr_expect_geq(took, 1000u * (CLIENTS - PER_S) / PER_S - 1000, "all were in after %u ms", (unsigned)took);
	cr_expect_geq(stack_metric(&s.lb[0], "lb_deferred_total"), CLIENTS - 3 * PER_S);
	cr_expect_eq(stack_metric(&s.lb[0], "lb_no_broker_total"), 0);
	cr_expect_eq(sum(s.mb, BROKERS, "mb_logins_total"), CLIENTS);
	cr_expect_eq(sum(s.mb, BROKERS, "mb_logins_deferred_total"), 0);
}

TestThen(stop, storm, the_broker_lets_in_at_a_rate)
{
	enum { CLIENTS = 20, PER_S = 4 };
	static const char *const flags[] = {"--logins-per-s=4", NULL};
	stack_start(&s, &(struct stack_options){.mb_flags = flags});
	RECEIVERS_UNTIL(r, 0, stack_metric(&s.lb[0], "lb_brokers_alive") == 1);
	uint64_t took = storm(CLIENTS);
	cr_expect_geq(took, 1000u * (CLIENTS - PER_S) / PER_S - 1000, "all were in after %u ms", (unsigned)took);
	cr_expect_geq(stack_metric(&s.mb[0], "mb_logins_deferred_total"), CLIENTS - 3 * PER_S);
	cr_expect_eq(stack_metric(&s.mb[0], "mb_logins_total"), CLIENTS);
}
