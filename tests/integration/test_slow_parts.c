/* SPDX-License-Identifier: Apache-2.0 */
/* A client, a broker, a Data Center or Redis stands still: nobody else waits for it,
 * and when it goes on nothing is lost. "Meanwhile" is an order of events: the others
 * have theirs before the part goes on. docs/operations.md, "What is full, and what
 * happens then". An App that does not read: test_dc.c, who_does_not_read_is_not_read. */
#include "support/lua_call.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { MAX = 12, LARGE = 16384, BATCH = 200, LINK_BYTES = 16 * 1024 * 1024 };

static struct stack s;
static struct receiver r[MAX];
static unsigned users;
static struct text_client app;
static bool app_is_open;

static void stop(void)
{
	for (unsigned i = 0; i < MAX; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	users = 0;
	if (app_is_open)
		text_client_close(&app);
	app_is_open = false;
	stack_stop(&s);
}
TestSuite(slow_parts, .fini = stop, .timeout = 240);

static void open_user(void)
{
	char user[16], session[STACK_SESSION];
	cr_assert_lt(users, MAX);
	snprintf(user, sizeof user, "user%u", users);
	receiver_open(&r[users], &s, user, stack_session(&s, user, 3600, session));
	users++;
}

static bool all_online(void)
{
	for (unsigned i = 0; i < users; i++)
		if (!receiver_is_online(&r[i]))
			return false;
	return true;
}

static void start(const struct stack_options *options, unsigned count, unsigned dc_of_app)
{
	stack_start(&s, options);
	for (unsigned i = 0; i < s.options.dcs; i++)
		RECEIVERS_UNTIL(NULL, 0, stack_metric(&s.dc[i], "dc_links") == s.options.mbs);
	while (users < count)
		open_user();
	RECEIVERS_UNTIL(r, users, all_online());
	stack_client_of(&s, dc_of_app, "chat", &app);
	app_is_open = true;
}

/* The body begins with the number. */
static void write_send(unsigned user, unsigned number, unsigned len)
{
	text_client_printf(&app, "SEND 1\r\nto user%u\r\nid %u\r\nlength %u\r\n\r\n%04u%0*u", user, number, len, number,
			   (int)len - 4, 0u);
}

/* Numbers from..to-1 for one user, all OK'd when it returns. */
static void send_some(unsigned user, unsigned from, unsigned to, unsigned len)
{
	struct text_answer a;
	for (unsigned n = from; n < to;) {
		unsigned count = to - n < BATCH ? to - n : BATCH;
		for (unsigned i = 0; i < count; i++)
			write_send(user, n + i, len);
		for (unsigned i = 0; i < count; i++, n++) {
			cr_assert(text_client_read(&app, &a));
			cr_assert_eq(a.code, 200, "user%u, %u: %s", user, n, a.text);
		}
	}
}

/* Broadcasts come between. */
static unsigned shown_of(unsigned user, bool *in_order)
{
	char number[8];
	unsigned n = 0;
	for (size_t i = 0; i < r[user].count; i++) {
		const struct shown *m = &r[user].shown[i];
		if (!m->stored)
			continue;
		snprintf(number, sizeof number, "%04u", n++);
		*in_order &= m->len >= 4 && memcmp(m->body, number, 4) == 0;
	}
	return n;
}

/* Each once, in order; nothing stays in the queue, from where it could come again. */
static void expect_shown(unsigned user, unsigned count)
{
	bool in_order = true;
	RECEIVERS_UNTIL(r, users, shown_of(user, &in_order) >= count);
	RECEIVERS_UNTIL(r, users, strcmp(redis_text(s.c, "EXISTS rs:{user%u}:queue", user), "0") == 0);
	in_order = true;
	cr_expect_eq(shown_of(user, &in_order), count, "user%u was shown %u", user, shown_of(user, &in_order));
	cr_expect(in_order, "user%u: not in order", user);
}

static unsigned held_by(const struct stack_daemon *d)
{
	unsigned set = 0;
	for (unsigned i = 0; i < users; i++)
		if (receiver_is_at(&r[i], d))
			set |= 1u << i;
	return set;
}

/* ---- clients ---- */

enum { MANY = 400, PATIENT_S = 30 };

/* To the first user many, to the two others as many; these have all of them before the
 * first has any. */
static void others_first(struct receiver *turned, size_t count)
{
	for (unsigned n = 0; n < MANY; n += MANY / 4)
		for (unsigned i = 0; i < 3; i++)
			send_some(i, n, n + MANY / 4, 1000);
	RECEIVERS_UNTIL(turned, count, r[1].count == MANY && r[2].count == MANY);
	cr_assert_eq(r[0].count, 0);
	cr_assert_str_eq(redis_text(s.c, "LLEN rs:{user0}:queue"), "400");
}

static void expect_all_shown(void)
{
	for (unsigned i = 0; i < users; i++) {
		expect_shown(i, MANY);
		cr_expect_eq(r[i].onlines, 1, "user%u was online %u times", i, r[i].onlines);
	}
}

TestThen(stop, slow_parts, a_client_that_stands_still)
{
	start(&(struct stack_options){.heartbeat_s = PATIENT_S}, 3, 0);
	others_first(&r[1], 2); /* the first is not turned */
	expect_all_shown();
}

TestThen(stop, slow_parts, a_client_that_says_not_now)
{
	start(&(struct stack_options){.heartbeat_s = PATIENT_S}, 3, 0);
	r[0].refuses = true;
	others_first(r, 3);
	cr_expect_gt(r[0].offered, 0);
	r[0].refuses = false;
	expect_all_shown();
}

/* ---- a broker ---- */

/* More for its users than its link and the sockets take. Those of the other broker have
 * theirs while it stands; those whom it held may go there meanwhile. */
TestThen(stop, slow_parts, a_broker_that_stands_still)
{
	enum { EACH = 450, SMALL = 100 };
	static const char *const roomy[] = {"--queue-max-bytes=67108864", NULL};
	start(&(struct stack_options){.mbs = 2, .heartbeat_s = 3, .in_memory = true, .dc_flags = roomy}, 0, 0);
	while (users < MAX && !(held_by(&s.mb[0]) && held_by(&s.mb[1]) && users >= 8)) {
		open_user();
		RECEIVERS_UNTIL(r, users, all_online());
	}
	unsigned stopped = held_by(&s.mb[0]), sent[MAX] = {0};
	cr_assert(stopped && held_by(&s.mb[1]), "all are at one broker");
	stack_pause(&s.mb[0]);
	for (unsigned i = 0; i < users; i++) {
		sent[i] = stopped & 1u << i ? EACH : SMALL;
		send_some(i, 0, sent[i], stopped & 1u << i ? LARGE : SMALL); /* OK'd, all of them */
	}
	fprintf(stderr, "  %.0f messages did not fit into the link\n", stack_metric(&s.dc[0], "dc_links_full_total"));
	for (unsigned i = 0; i < users; i++)
		if (!(stopped & 1u << i))
			expect_shown(i, SMALL);
	stack_resume(&s.mb[0]);
	stack_wait_ready(&s.mb[0]);
	for (unsigned i = 0; i < users; i++) { /* behind those that its link had no room for */
		send_some(i, sent[i], sent[i] + 1, SMALL);
		sent[i]++;
	}
	for (unsigned i = 0; i < users; i++)
		expect_shown(i, sent[i]);
}

/* Its link is full when a fetch of it is answered: it asks again. Only broadcasts fill
 * a link while Redis stands still. On a machine so busy that the link is lost before
 * that (2.5 s), this shows nothing more than the others. */
TestThen(stop, slow_parts, answers_that_do_not_fit_into_a_link)
{
	enum { WAITING = 300, PADDING = 2 * LINK_BYTES / LARGE };
	struct text_answer a;
	start(&(struct stack_options){.heartbeat_s = PATIENT_S, .lease_s = 600}, 1, 0);
	r[0].refuses = true;
	send_some(0, 0, WAITING, 100);
	RECEIVERS_UNTIL(r, users, r[0].offered > 0);
	double fetches = stack_metric(&s.dc[0], "dc_fetches_total"), acks = stack_metric(&s.dc[0], "dc_acks_total");
	redis_server_pause(&s.redis);
	r[0].refuses = false;
	RECEIVERS_UNTIL(r, users, stack_metric(&s.dc[0], "dc_fetches_total") > fetches &&
					  stack_metric(&s.dc[0], "dc_acks_total") > acks);
	stack_pause(&s.mb[0]);
	for (unsigned i = 0; i < PADDING; i++) {
		text_client_printf(&app, "BROADCAST 1\r\nlength %d\r\n\r\n%0*d", LARGE, LARGE, 0);
		cr_assert(text_client_read(&app, &a));
		cr_assert_eq(a.code, 200, "%s", a.text);
		if (stack_metric(&s.dc[0], "dc_links_full_total") > 0)
			break;
	}
	cr_expect(stack_metric(&s.dc[0], "dc_links_full_total") > 0 || stack_metric(&s.dc[0], "dc_links") == 0);
	redis_server_resume(&s.redis);
	RECEIVERS_UNTIL(NULL, 0, stack_metric(&s.dc[0], "dc_redis_in_flight") == 0);
	stack_resume(&s.mb[0]);
	expect_shown(0, WAITING);
}

/* ---- a Data Center ---- */

/* Some users' fetches and reports go by way of the one that stands, some by the other. */
TestThen(stop, slow_parts, a_dc_that_stands_still)
{
	enum { EACH = 200, USERS = 8 };
	start(&(struct stack_options){.dcs = 2, .mbs = 2, .heartbeat_s = 3}, USERS, 1);
	send_some(USERS, 0, EACH, 1000); /* who is not here yet */
	stack_pause(&s.dc[0]);
	for (unsigned i = 0; i < USERS; i++)
		send_some(i, 0, EACH, 1000);
	open_user();
	for (unsigned i = 0; i < users; i++)
		expect_shown(i, EACH);
	stack_resume(&s.dc[0]);
	stack_wait_ready(&s.dc[0]);
	send_some(0, EACH, 2 * EACH, 1000);
	expect_shown(0, 2 * EACH);
	for (unsigned i = 0; i < users; i++) {
		expect_shown(i, i ? EACH : 2 * EACH);
		cr_expect_eq(r[i].onlines, 1, "user%u was online %u times", i, r[i].onlines);
	}
}

/* ---- Redis ---- */

/* Apps are answered, and brokers fail to renew leases, while it stands; no session ends
 * for that. What was said to be unknown or refused is sent again with its id. */
TestThen(stop, slow_parts, redis_that_stands_still)
{
	enum { EACH = 20, USERS = 3, STILL_MS = 3000 };
	static const char *const hasty[] = {"--redis-timeout-ms=1000", NULL};
	struct text_answer a;
	start(&(struct stack_options){.dc_flags = hasty, .mb_flags = hasty, .lease_s = 4}, USERS, 0);
	for (unsigned i = 0; i < USERS; i++)
		send_some(i, 0, EACH, 100);
	for (unsigned i = 0; i < USERS; i++)
		expect_shown(i, EACH);
	redis_server_pause(&s.redis);
	uint64_t since_ms = clock_mono_ms();
	for (unsigned n = EACH; n < 2 * EACH; n++)
		for (unsigned i = 0; i < USERS; i++)
			write_send(i, n, 100);
	for (unsigned n = 0; n < EACH * USERS; n++) {
		while (!text_client_try(&app, &a)) {
			receivers_turn(r, users, 10);
			cr_assert_lt(clock_mono_ms(), since_ms + RECEIVER_WAIT_MS, "an App is left without an answer");
		}
		cr_assert(a.code == 503 || a.code == 504, "%s", a.text);
	}
	RECEIVERS_UNTIL(r, users, clock_mono_ms() >= since_ms + STILL_MS &&
					  stack_metric(&s.mb[0], "mb_leases_failed_total") > 0);
	cr_expect(all_online());
	redis_server_resume(&s.redis);
	RECEIVERS_UNTIL(r, users, stack_is_ready(&s.dc[0]) && stack_is_ready(&s.mb[0]));
	for (unsigned i = 0; i < USERS; i++)
		send_some(i, EACH, 2 * EACH, 100);
	for (unsigned i = 0; i < USERS; i++) {
		expect_shown(i, 2 * EACH);
		cr_expect_eq(r[i].onlines, 1, "user%u was online %u times", i, r[i].onlines);
	}
}
