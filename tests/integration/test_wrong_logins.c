/* SPDX-License-Identifier: Apache-2.0 */
/* Guessing session ids: after a few wrong ones an address is told to wait, and
 * Redis is not asked any more; a user who is being guessed still gets in from an
 * address of their own. (That the limits are lifted again: tests/unit.) */
#include "support/lone_client.h"
#include "support/lua_call.h"
#include "support/receiver.h"
#include "support/stack.h"
#include "wire/packet.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRONG "0123456789abcdef"

enum { PER_ADDRESS = 5, PER_USER = 3, RETRY_MS = 10000, MANY = 20 };

static struct stack s;
static char alices[STACK_SESSION], bobs[STACK_SESSION];

static void start(void)
{
	static const char *const flags[] = {"--wrong-logins-per-address=5", "--wrong-logins-per-user=3", NULL};
	stack_start(&s, &(struct stack_options){.mb_flags = flags, .lease_s = 600});
	stack_session(&s, "alice", 600, alices);
	stack_session(&s, "bob", 600, bobs);
}

static void stop(void) { stack_stop(&s); }
TestSuite(wrong_logins, .init = start, .fini = stop, .timeout = 120);

static double metric(const char *name) { return stack_metric(&s.mb[0], name); }

/* Questions to Redis about a key that is not there, as that of a wrong session id. */
static long misses(void)
{
	const char *text = redis_text(s.c, "INFO stats"), *at = strstr(text, "keyspace_misses:");
	cr_assert_not_null(at);
	return strtol(at + strlen("keyspace_misses:"), NULL, 10);
}

/* What became of it: 0 for online, else the code; *wait_ms: until it tries again. */
static unsigned log_in(uint8_t host, const char *user, const char *session, uint64_t *wait_ms)
{
	struct lone_client l;
	uint64_t until = clock_mono_ms() + RECEIVER_WAIT_MS;
	lone_client_open_from(&l, &s, host, user, session);
	while (l.state != CLIENT_ONLINE && l.why == 0) {
		cr_assert_lt(clock_mono_ms(), until, "neither in nor refused: %s", client_state_text(l.state));
		lone_client_turn(&l, 10);
	}
	unsigned code = l.state == CLIENT_ONLINE ? 0 : l.why;
	cr_expect(code == 0 || l.state == (code == CLOSE_UNAVAILABLE ? CLIENT_WAITING : CLIENT_STOPPED));
	if (wait_ms)
		*wait_ms = client_deadline(l.engine) - clock_mono_ms();
	lone_client_close(&l);
	return code;
}

/* Wrong ones from there until it is told to wait; how many were looked at. */
static unsigned guess_until_refused(uint8_t host)
{
	for (unsigned n = 0; n < MANY; n++) {
		char user[8];
		snprintf(user, sizeof user, "u%u", n); /* so that no user's limit is met */
		unsigned code = log_in(host, user, WRONG, NULL);
		if (code == CLOSE_UNAVAILABLE)
			return n;
		cr_assert_eq(code, CLOSE_BAD_SESSION);
	}
	cr_assert_fail("%u wrong logins, and no end", MANY);
	return MANY;
}

TestThen(stop, wrong_logins, of_an_address)
{
	uint64_t wait_ms;
	long before = misses();
	unsigned heard = guess_until_refused(2);
	cr_expect(heard == PER_ADDRESS || heard == PER_ADDRESS + 1, "%u were heard", heard);
	cr_expect_eq(misses() - before, heard);
	cr_expect_eq(metric("mb_logins_wrong_total"), heard);
	cr_expect_eq(metric("mb_logins_refused_address_total"), 1);

	before = misses();
	for (unsigned i = 0; i < MANY; i++) {
		cr_expect_eq(log_in(2, "carol", WRONG, &wait_ms), CLOSE_UNAVAILABLE);
		cr_expect_geq(wait_ms, RETRY_MS - 500, "it would come again in %u ms", (unsigned)wait_ms);
	}
	cr_expect_eq(log_in(2, "alice", alices, NULL), CLOSE_UNAVAILABLE, "whatever it brings");
	cr_expect_eq(misses(), before, "Redis was asked");
	cr_expect_eq(metric("mb_logins_refused_address_total"), MANY + 2);
	cr_expect_eq(metric("mb_logins_wrong_total"), heard);
	cr_expect_eq(metric("mb_logins_refused_user_total"), 0);
	cr_expect_eq(log_in(3, "alice", alices, NULL), 0, "another address");
}

TestThen(stop, wrong_logins, of_a_user)
{
	long before;
	for (uint8_t host = 10; host < 10 + PER_USER + 1; host++)
		cr_assert_eq(log_in(host, "alice", WRONG, NULL), CLOSE_BAD_SESSION);
	cr_expect_eq(metric("mb_logins_refused_user_total"), 0);

	before = misses();
	cr_expect_eq(log_in(10, "alice", WRONG, NULL), CLOSE_UNAVAILABLE, "it has guessed before");
	cr_expect_eq(log_in(11, "alice", alices, NULL), CLOSE_UNAVAILABLE, "it, too");
	cr_expect_eq(misses(), before, "Redis was asked");
	cr_expect_eq(metric("mb_logins_refused_user_total"), 2);
	cr_expect_eq(metric("mb_logins_refused_address_total"), 0);

	cr_expect_eq(log_in(10, "bob", bobs, NULL), 0, "another user from there");
	cr_expect_eq(log_in(20, "alice", alices, NULL), 0, "the owner from elsewhere");
	cr_expect_eq(metric("mb_logins_total"), 2);
}
