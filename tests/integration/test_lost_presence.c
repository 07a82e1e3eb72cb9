/* SPDX-License-Identifier: Apache-2.0 */
/* Redis lost what it knew, or holds what nobody can read: a session that lives
 * goes on, and what waits is shown. */
#include "support/lua_call.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <string.h>

enum { LONG_LEASE_S = 600 }; /* no renewal comes by itself */

static struct stack s;
static struct receiver r;

static void stop(void)
{
	if (r.client)
		receiver_close(&r);
	stack_stop(&s);
}
TestSuite(lost_presence, .fini = stop, .timeout = 150);

#define in_redis(command, is) (strcmp(redis_text(s.c, command), is) == 0)
static void log_in(unsigned lease_s)
{
	char session[STACK_SESSION];
	stack_start(&s, &(struct stack_options){.lease_s = lease_s});
	stack_session(&s, "alice", 600, session);
	receiver_open(&r, &s, "alice", session);
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
}

TestThen(stop, lost_presence, is_put_back_when_an_acknowledgement_is_refused)
{
	log_in(LONG_LEASE_S);
	r.refuses = true;
	stack_send(&s, "alice", "before the loss");
	RECEIVERS_UNTIL(&r, 1, r.offered > 0);
	cr_assert(in_redis("DEL rs:{alice}:presence", "1"));
	r.refuses = false; /* it is acknowledged now, and Redis refuses that */
	RECEIVERS_UNTIL(&r, 1, r.count == 1);
	RECEIVERS_UNTIL(&r, 1, in_redis("EXISTS rs:{alice}:queue", "0"));
	RECEIVERS_UNTIL(&r, 1, in_redis("HGET rs:{alice}:presence broker", "mb1"));
	stack_send(&s, "alice", "after it");
	RECEIVERS_UNTIL(&r, 1, r.count == 2);
	cr_expect(receiver_is_online(&r));
	cr_expect_eq(r.onlines, 1, "the session was never interrupted");
}

TestThen(stop, lost_presence, is_put_back_by_the_next_renewal)
{
	log_in(4);
	cr_assert(in_redis("DEL rs:{alice}:presence", "1"));
	stack_send(&s, "alice", "stored only, nobody was online");
	RECEIVERS_UNTIL(&r, 1, r.count == 1);
	RECEIVERS_UNTIL(&r, 1, in_redis("EXISTS rs:{alice}:queue", "0"));
	cr_expect(receiver_is_online(&r));
}

TestThen(stop, lost_presence, what_cannot_be_read_holds_up_nothing)
{
	char session[STACK_SESSION];
	stack_start(&s, &(struct stack_options){.lease_s = LONG_LEASE_S});
	for (unsigned i = 0; i < 100; i++) {
		redis_text(s.c, "RPUSH rs:{alice}:queue 01M857WYGFQ5Z7MZ7JQ31E%04u_damaged", i);
	}
	stack_send(&s, "alice", "behind the damage");
	stack_session(&s, "alice", 600, session);
	receiver_open(&r, &s, "alice", session);
	RECEIVERS_UNTIL(&r, 1, r.count == 1);
	cr_expect(receiver_was_shown(&r, 0, "behind the damage", 17));
	cr_expect_leq(stack_metric(&s.mb[0], "mb_fetches_total"), 20, "it does not fetch in a circle");
	cr_expect_eq(stack_metric(&s.mb[0], "mb_damaged_records_total"), 100);
}
