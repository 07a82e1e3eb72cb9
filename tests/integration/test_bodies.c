/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of all sizes and bytes arrive unchanged and in order, from the queue
 * and pushed, over a good network and bad ones. */
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 16384, KINDS = 2 };

/* 448 bytes of a record go in one packet: the edges of one and two are here too. */
static const size_t sizes[] = {0, 1, 256, 380, 448, 511, 512, 513, 896, 1024, 16383, BODY_MAX};
enum { SIZES = sizeof sizes / sizeof *sizes, COUNT = SIZES * KINDS };

static struct stack s;
static struct receiver r;

static void stop(void)
{
	if (r.client)
		receiver_close(&r);
	stack_stop(&s);
}
TestSuite(bodies, .fini = stop, .timeout = 200);

/* kind 0: text, with line ends and what looks like a request. kind 1: all bytes. */
static const uint8_t *body_of(size_t n)
{
	static const char text[] = "D\xc3\xa4mmerung\r\n\r\nSEND 1\r\nto bob\r\nlength 0\r\n\r\n";
	static uint8_t body[BODY_MAX];
	for (size_t i = 0; i < BODY_MAX; i++)
		body[i] = n % KINDS ? net_pattern(i + 7 * n) : (uint8_t)text[(i + n) % (sizeof text - 1)];
	return body;
}

static size_t size_of(size_t n) { return sizes[n / KINDS]; }

static void send_all(const char *state)
{
	struct text_client app;
	struct text_answer a;
	stack_client(&s, &app);
	for (size_t n = 0; n < COUNT; n++) {
		text_client_printf(&app, "SEND 1\r\nid %s-%zu\r\nto alice\r\nlength %zu\r\n\r\n", state, n,
				   size_of(n));
		text_client_write(&app, body_of(n), size_of(n));
	}
	for (size_t n = 0; n < COUNT; n++) {
		cr_assert(text_client_read(&app, &a));
		/* A bad network may have made the client look dead, at that moment. */
		cr_assert(strcmp(text_answer_value(&a, "state"), state) == 0 ||
				  (s.options.relays && a.code == 200),
			  "%s", a.text);
	}
	text_client_close(&app);
}

static void expect_all(size_t from)
{
	RECEIVERS_UNTIL(&r, 1, r.count == from + COUNT);
	for (size_t n = 0; n < COUNT; n++)
		cr_assert(receiver_was_shown(&r, from + n, body_of(n), size_of(n)),
			  "message %zu of %zu bytes", n, size_of(n));
	RECEIVERS_UNTIL(&r, 1, strcmp(redis_text(s.c, "EXISTS rs:{alice}:queue"), "0") == 0);
}

static void play(void)
{
	char session[STACK_SESSION];
	stack_session(&s, "alice", 600, session);
	send_all("stored");
	receiver_open(&r, &s, "alice", session);
	expect_all(0);
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
	send_all("pushed");
	expect_all(COUNT);
	cr_expect_eq(r.count, 2 * COUNT);
}

TestThen(stop, bodies, arrive_unchanged)
{
	stack_start(&s, &(struct stack_options){0});
	play();
}

TestThen(stop, bodies, arrive_unchanged_when_every_fifth_packet_is_lost)
{
	stack_start(&s, &(struct stack_options){.relays = true, .relay = {.seed = 1, .loss_pct = 20}});
	play();
	struct relay_counts c = relay_counts(&s.mb[0].relay);
	cr_expect_gt(c.lost, 20, "%zu lost of %zu", (size_t)c.lost, (size_t)(c.passed + c.lost));
}

TestThen(stop, bodies, arrive_unchanged_over_a_network_with_all_faults)
{
	stack_start(&s, &(struct stack_options){.relays = true,
						.relay = {.seed = 2,
							  .loss_pct = 5,
							  .double_pct = 10,
							  .corrupt_pct = 5,
							  .delay_pct = 20,
							  .delay_ms = 40,
							  .move_every_ms = 200}});
	play();
	struct relay_counts c = relay_counts(&s.mb[0].relay);
	cr_expect(c.doubled && c.corrupted && c.delayed && c.moves, "the network was too good");
}
