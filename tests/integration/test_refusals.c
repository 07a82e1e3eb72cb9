/* SPDX-License-Identifier: Apache-2.0 */
/* What clients are refused, and that nobody else notices: nothing is written to
 * Redis, and bob, who is online all the time, stays so. (What Apps are refused:
 * test_dc_errors.c.) */
#include "crypto/random.h"
#include "rds/keys.h"
#include "support/lone_client.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"
#include "wire/packet.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct stack s;
static struct receiver bob, r;
static char before[262144];

static void start(void)
{
	char session[STACK_SESSION];
	stack_start(&s, &(struct stack_options){.lease_s = 600}); /* no renewal changes anything */
	receiver_open(&bob, &s, "bob", stack_session(&s, "bob", 600, session));
	RECEIVERS_UNTIL(&bob, 1, receiver_is_online(&bob));
}

static void remember(void) { snprintf(before, sizeof before, "%s", stack_stored(&s)); }

/* bob is as he was, Redis too; and he still gets his messages. */
static void expect_nothing_disturbed(void)
{
	struct text_client app;
	cr_expect_str_eq(stack_stored(&s), before);
	receivers_turn_for(&bob, 1, 1200); /* a heartbeat is answered */
	cr_expect(receiver_is_online(&bob));
	cr_expect_eq(bob.onlines, 1);
	stack_client(&s, &app);
	cr_expect_eq(text_client_ask(&app, "SEND 1\r\nto bob\r\nlength 2\r\n\r\nhi").code, 200);
	RECEIVERS_UNTIL(&bob, 1, bob.count == 1);
	text_client_close(&app);
}

static void stop(void)
{
	if (r.client)
		receiver_close(&r);
	if (bob.client)
		receiver_close(&bob);
	stack_stop(&s);
}
TestSuite(refusals, .init = start, .fini = stop, .timeout = 120);
TestSuite(choice, .fini = stop, .timeout = 120);

static void expect_refused(const char *user, const char *session, unsigned code)
{
	receiver_open(&r, &s, user, session);
	RECEIVERS_UNTIL(&r, 1, receiver_is_stopped(&r));
	cr_expect_eq(restante_why(r.client), code, "%s %s: %s", user, session,
		     restante_code_text(restante_why(r.client)));
	cr_expect_eq(r.onlines, 0);
	receiver_close(&r);
}

TestThen(stop, refusals, sessions_that_are_none)
{
	char old[STACK_SESSION], carols[STACK_SESSION], bobs[STACK_SESSION];
	stack_session(&s, "alice", -1, old);
	stack_session(&s, "carol", 600, carols);
	stack_session(&s, "bob", 600, bobs);
	remember();
	expect_refused("alice", "0123456789abcdef", CLOSE_BAD_SESSION);
	expect_refused("alice", "*", CLOSE_BAD_SESSION);
	expect_refused("alice", old, CLOSE_EXPIRED);
	expect_refused("alice", carols, CLOSE_BAD_SESSION);
	expect_refused("alice", bobs, CLOSE_BAD_SESSION);
	expect_refused("bob", carols, CLOSE_BAD_SESSION);
	expect_refused("Alice", old, CLOSE_BAD_SESSION);
	expect_nothing_disturbed();
}

/* Which as a time without sign would be far away. */
TestThen(stop, refusals, session_that_ends_before_1970)
{
	char session[STACK_SESSION], key[KEY_MAX];
	stack_session(&s, "alice", 600, session);
	key_session(key, session, strlen(session));
	freeReplyObject(redisCommand(s.c, "HSET %s expires -1", key));
	remember();
	expect_refused("alice", session, CLOSE_BAD_SESSION);
	expect_nothing_disturbed();
}

/* The library says what is wrong, before anything is sent. */
TestThen(stop, refusals, names_that_are_none)
{
	static const char *const names[] = {
		"",          "al ice",
		"{alice}",   "alice}",
		"ali\r\nce", "ali\tce",
		"al\377ice", "01234567890123456789012345678901234567890123456789012345678901234"};
	char error[256];
	remember();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct restante_options o = RESTANTE_OPTIONS_INIT;
		o.balancers = stack_balancers(&s);
		o.balancer_keys = stack_balancer_key(&s);
		o.user = names[i];
		o.session = "0123456789abcdef";
		o.on_message = (restante_message_fn *)(void *)abort;
		cr_expect_null(restante_open(&o, error, sizeof error));
		cr_expect(strncmp(error, "user ", 5) == 0, "\"%s\": %s", names[i], error);
	}
	expect_nothing_disturbed();
}

/* A client of another make, that does not look at its names. */
TestThen(stop, refusals, names_that_are_none_on_the_wire)
{
	static const char *const names[] = {"al ice", "a{lice}", "a\r\nb", "a\xff"};
	char session[STACK_SESSION];
	stack_session(&s, "alice", 600, session);
	remember();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct lone_client l;
		uint64_t until = clock_mono_ms() + RECEIVER_WAIT_MS;
		lone_client_open(&l, &s, "alice", session);
		lone_client_rename(&l, names[i], strlen(names[i]));
		while (l.why == 0) {
			cr_assert(clock_mono_ms() < until && l.state != CLIENT_ONLINE);
			lone_client_turn(&l, 10);
		}
		cr_expect_eq(l.why, CLOSE_PROTOCOL, "%zu: %s", i, close_code_text(l.why));
		lone_client_close(&l);
	}
	expect_nothing_disturbed();
}

/* ---- rubbish ---- */

static void throw_at(uint16_t port, const uint8_t *data, size_t len)
{
	static int fd = -1;
	struct addr to = net_loopback(port);
	struct sockaddr_storage ss;
	socklen_t ss_len = addr_to_sockaddr(&to, &ss);
	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(sendto(fd, data, len, 0, (struct sockaddr *)&ss, ss_len), (ssize_t)len);
}

/* All types in all lengths that matter, and at random. */
static void throw_rubbish(uint16_t port)
{
	static const size_t lengths[] = {0,  1,  8,   15,  16,  17,  23,  24,  25,
					 95, 96, 127, 128, 129, 511, 512, 513, 1400};
	uint8_t data[1400];
	for (unsigned type = 0; type < 0x18; type++) {
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			random_bytes(data, sizeof data);
			data[0] = (uint8_t)type;
			data[1] = PROTOCOL_VERSION;
			data[2] = data[3] = 0;
			throw_at(port, data, lengths[i]);
		}
		receivers_turn(&bob, 1, 1);
	}
	for (unsigned i = 0; i < 2000; i++) {
		uint16_t len;
		random_bytes(&len, sizeof len);
		random_bytes(data, sizeof data);
		throw_at(port, data, len % sizeof data);
		if (i % 50 == 0)
			receivers_turn(&bob, 1, 1);
	}
}

TestThen(stop, refusals, rubbish)
{
	char session[STACK_SESSION];
	stack_session(&s, "alice", 600, session);
	remember();
	throw_rubbish(s.mb[0].front);
	throw_rubbish(s.lb[0].front);
	RECEIVERS_UNTIL(&bob, 1,
			stack_metric(&s.mb[0], "mb_bad_packets_total") > 0 &&
				stack_metric(&s.lb[0], "lb_bad_packets_total") > 0);
	expect_nothing_disturbed();
	receiver_open(&r, &s, "alice", session);
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
}

/* Packets of bob's session come twice, and altered: each is refused and counted,
 * and he is shown each message once. */
TestThen(stop, refusals, packets_that_were_repeated_or_altered)
{
	char session[STACK_SESSION], body[16];
	struct text_client app;
	stop();
	stack_start(&s, &(struct stack_options){.relays = true,
						.relay = {.seed = 3, .double_pct = 50, .corrupt_pct = 5}});
	receiver_open(&bob, &s, "bob", stack_session(&s, "bob", 600, session));
	stack_client(&s, &app);
	for (unsigned i = 0; i < 20 || stack_metric(&s.mb[0], "mb_replays_total") == 0 ||
			     stack_metric(&s.mb[0], "mb_bad_packets_total") == 0;
	     i++) {
		cr_assert_lt(i, 500, "nothing was refused");
		size_t len = (size_t)snprintf(body, sizeof body, "m%u", i);
		cr_assert_eq(
			text_client_ask(&app, "SEND 1\r\nto bob\r\nlength %zu\r\n\r\n%s", len, body).code,
			200);
		RECEIVERS_UNTIL(&bob, 1, bob.count > i);
		cr_assert(bob.count == i + 1 && receiver_was_shown(&bob, i, body, len));
	}
	text_client_close(&app);
}

/* ---- which brokers the balancer names ---- */

static bool is_named(const struct stack_daemon *mb)
{
	struct addr a = net_loopback(mb->front);
	struct frame_brokers list = lone_client_ask(&s);
	for (unsigned i = 0; i < list.count; i++)
		if (addr_equal(&list.at[i].address, &a))
			return true;
	return false;
}

static unsigned ms_until_named(const struct stack_daemon *mb, bool named)
{
	uint64_t began = clock_mono_ms();
	while (is_named(mb) != named)
		cr_assert_lt(clock_mono_ms() - began, STACK_WAIT_MS, "%s is still %s", mb->id,
			     named ? "not named" : "named");
	return (unsigned)(clock_mono_ms() - began);
}

TestThen(stop, choice, a_killed_broker_is_not_named)
{
	stack_start(&s, &(struct stack_options){.mbs = 2});
	cr_assert(is_named(&s.mb[0]) && is_named(&s.mb[1]));
	stack_kill(&s.mb[0]);
	unsigned ms = ms_until_named(&s.mb[0], false);
	cr_expect_lt(ms, 1500, "its link broke, and yet it was named for %u ms", ms);
	for (uint64_t until = clock_mono_ms() + 4000; clock_mono_ms() < until;)
		cr_assert(!is_named(&s.mb[0]) && is_named(&s.mb[1]),
			  "what Redis still says of it is believed");
	stack_restart(&s.mb[0]);
	ms_until_named(&s.mb[0], true);
}

TestThen(stop, choice, a_silent_broker_is_not_named)
{
	stack_start(&s, &(struct stack_options){.mbs = 2});
	stack_pause(&s.mb[0]);
	unsigned ms = ms_until_named(&s.mb[0], false);
	cr_expect_leq(ms, 3000, "named for %u ms", ms);
	cr_expect(is_named(&s.mb[1]));
	stack_resume(&s.mb[0]);
	ms_until_named(&s.mb[0], true);
}

TestThen(stop, choice, no_broker_at_all)
{
	char session[STACK_SESSION];
	stack_start(&s, &(struct stack_options){0});
	stack_kill(&s.mb[0]);
	ms_until_named(&s.mb[0], false);
	receiver_open(&r, &s, "alice", stack_session(&s, "alice", 600, session));
	RECEIVERS_UNTIL(&r, 1, r.codes[CLOSE_OVERLOADED] > 0);
	stack_restart(&s.mb[0]);
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
}
