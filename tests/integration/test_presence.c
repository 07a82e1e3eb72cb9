/* SPDX-License-Identifier: Apache-2.0 */
/* PRESENCE and PRESENCE-EVENTS over the real daemons, two brokers. */
#include "support/cli_run.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 8, BODY_MAX = 256 * 1024 };

static struct stack s;
static struct receiver r[MAX];
static struct text_client app, events; /* at the two DCs */

static void start(void)
{
	stack_start(&s, &(struct stack_options){.dcs = 2, .mbs = 2});
	struct addr at[2] = {net_loopback(s.dc[0].front), net_loopback(s.dc[1].front)};
	text_client_open(&app, &at[0]);
	text_client_auth(&app, "chat", STACK_KEY);
	text_client_open(&events, &at[1]);
	text_client_auth(&events, "chat", STACK_KEY);
	for (int i = 0; i < 2; i++)
		RECEIVERS_UNTIL(r, 0, stack_metric(&s.dc[i], "dc_links") == 2);
}

static void stop(void)
{
	for (int i = 0; i < MAX; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	text_client_close(&app);
	text_client_close(&events);
	stack_stop(&s);
}
TestSuite(presence, .init = start, .fini = stop, .timeout = 120);

static void log_in(unsigned i, const char *user)
{
	char session[STACK_SESSION];
	receiver_open(&r[i], &s, user, stack_session(&s, user, 600, session));
	RECEIVERS_UNTIL(&r[i], 1, receiver_is_online(&r[i]));
}

static const char *broker_of(const char *user)
{
	return redis_text(s.c, "HGET rs:{%s}:presence broker", user);
}

/* ---- lists ---- */

static struct text_answer ask_list(const char *count, const char *body)
{
	return text_client_ask(&app, "PRESENCE 1\r\ncount %s\r\nlength %zu\r\n\r\n%s", count, strlen(body), body);
}

TestThen(stop, presence, a_list_in_its_order)
{
	char want[1024];
	log_in(0, "alice");
	log_in(1, "carol");
	receiver_close(&r[1]);
	RECEIVERS_UNTIL(r, 1, strcmp(broker_of("carol"), "nil") == 0);
	struct text_answer a = ask_list("4", "carol\nalice\r\nbob\nalice");
	cr_assert_eq(a.code, 200, "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "count"), "4");
	char *body = text_client_body(&app, &a);
	char seen[32], since[32];
	snprintf(seen, sizeof seen, "%s", redis_text(s.c, "HGET rs:{carol}:presence seen"));
	snprintf(since, sizeof since, "%s", redis_text(s.c, "HGET rs:{alice}:presence since"));
	snprintf(want, sizeof want, "carol offline %s\nalice online %s %s\nbob offline -\nalice online %s %s\n", seen,
		 broker_of("alice"), since, broker_of("alice"), since);
	cr_expect_str_eq(body, want);
	free(body);
	a = text_client_ask(&app, "PING 1\r\n\r\n");
	cr_expect_str_eq(a.text, "OK 200\r\n", "the connection is in step");
}

TestThen(stop, presence, lists_that_are_refused)
{
	static const struct {
		const char *count, *body, *reason;
	} bad[] = {
		{"0", "", "count"}, {"1001", "a\n", "count"}, {"x", "a\n", "count"}, {"2", "a\n", "fewer"},
		{"1", "a\nb\n", "more"}, {"1", "", "fewer"}, {"2", "a\n\n", "line 2"}, {"1", "a b\n", "line 1"},
		{"1", "{a}\n", "line 1"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct text_answer a = ask_list(bad[i].count, bad[i].body);
		cr_expect_eq(a.code, 400, "case %zu", i);
		cr_expect_not_null(strstr(text_answer_value(&a, "reason"), bad[i].reason), "case %zu: %s", i, a.text);
	}
	struct text_answer a = text_client_ask(&app, "PRESENCE 1\r\nuser bob\r\ncount 1\r\nlength 2\r\n\r\na\n");
	cr_expect_eq(a.code, 400);
	a = text_client_ask(&app, "PRESENCE 1\r\nuser bob\r\nlength 2\r\n\r\na\n");
	cr_expect_eq(a.code, 400);
	a = text_client_ask(&app, "PRESENCE 1\r\nuser bob\r\n\r\n");
	cr_expect_str_eq(a.text, "OK 200\r\nuser bob\r\nstate offline\r\n");
}

/* More than may be due at a time, with nobody to take the answers at first. */
TestThen(stop, presence, long_lists_one_after_the_other)
{
	enum { NAMES = 1000, LISTS = 30 };
	static char body[NAMES * 16 + 1], want[BODY_MAX];
	size_t len = 0, want_len = 0;
	for (unsigned i = 0; i < NAMES; i++) {
		len += (size_t)snprintf(body + len, sizeof body - len, "user%08u-%u\n", i, i % 10);
		want_len += (size_t)snprintf(want + want_len, sizeof want - want_len, "user%08u-%u offline -\n", i, i % 10);
	}
	for (unsigned n = 0; n < LISTS; n++)
		text_client_printf(&app, "PRESENCE 1\r\nid %u\r\ncount %u\r\nlength %zu\r\n\r\n%s", n, NAMES, len, body);
	for (unsigned n = 0; n < LISTS; n++) {
		struct text_answer a;
		cr_assert(text_client_read(&app, &a));
		cr_assert_eq(a.code, 200, "%s", a.text);
		cr_expect_eq(atoi(text_answer_value(&a, "id")), (int)n);
		char *got = text_client_body(&app, &a);
		cr_assert_str_eq(got, want);
		free(got);
	}
}

/* ---- changes ---- */

static void watch(void)
{
	struct text_answer a = text_client_ask(&events, "PRESENCE-EVENTS 1\r\nid 1\r\n\r\n");
	cr_assert_str_eq(a.text, "OK 200\r\nid 1\r\n");
}

/* The next block must be of that user and state; at which broker. */
static const char *next(unsigned clients, const char *user, const char *state)
{
	struct text_answer a;
	do /* the brokers of the start may be heard of late */
		RECEIVERS_UNTIL(r, clients, text_client_read_within(&events, &a, 1));
	while (strcmp(text_answer_value(&a, "state"), "linked") == 0);
	cr_assert(strncmp(a.text, "PRESENCE 1\r\n", 12) == 0, "%s", a.text);
	cr_assert_str_eq(text_answer_value(&a, "user"), user, "%s", a.text);
	cr_assert_str_eq(text_answer_value(&a, "state"), state, "%s", a.text);
	cr_assert_eq(strlen(text_answer_value(&a, "at")), 13);
	return text_answer_value(&a, "broker");
}

TestThen(stop, presence, who_comes_and_goes)
{
	char broker[64];
	watch();
	log_in(0, "alice");
	snprintf(broker, sizeof broker, "%s", next(1, "alice", "online"));
	cr_expect_str_eq(broker, broker_of("alice"));
	receiver_close(&r[0]);
	cr_expect_str_eq(next(0, "alice", "offline"), broker);
	struct text_answer a = text_client_ask(&events, "PING 1\r\n\r\n");
	cr_expect_str_eq(a.text, "OK 200\r\n");
	a = text_client_ask(&events, "PRESENCE 1\r\nuser alice\r\n\r\n");
	cr_expect_eq(a.code, 400);
	cr_expect(text_client_is_closed(&events));
}

TestThen(stop, presence, a_login_that_takes_over_is_no_offline)
{
	struct text_answer a;
	watch();
	log_in(0, "alice");
	next(1, "alice", "online");
	log_in(1, "alice");
	next(2, "alice", "online");
	RECEIVERS_UNTIL(r, 2, receiver_is_stopped(&r[0]));
	receivers_turn_for(r, 2, 500);
	cr_expect_not(text_client_read_within(&events, &a, 1));
	receiver_close(&r[1]);
	next(0, "alice", "offline");
}

/* That word of that broker; those of the start may be heard of late. */
static bool is_word_of(const struct text_answer *a, const char *broker, const char *state)
{
	return strncmp(a->text, "BROKER 1\r\n", 10) == 0 && strcmp(text_answer_value(a, "broker"), broker) == 0 &&
	       strcmp(text_answer_value(a, "state"), state) == 0;
}

static void expect_broker(unsigned clients, const char *broker, const char *state)
{
	struct text_answer a;
	RECEIVERS_UNTIL(r, clients, text_client_read_within(&events, &a, 1) && is_word_of(&a, broker, state));
	cr_expect_eq(strlen(text_answer_value(&a, "at")), 13);
}

static bool is_offline(const char *user)
{
	struct text_answer a = text_client_ask(&app, "PRESENCE 1\r\nuser %s\r\n\r\n", user);
	return strcmp(text_answer_value(&a, "state"), "offline") == 0;
}

TestThen(stop, presence, a_broker_that_is_killed_is_gone)
{
	char broker[64];
	watch();
	log_in(0, "alice");
	snprintf(broker, sizeof broker, "%s", next(1, "alice", "online"));
	struct stack_daemon *mb = strcmp(broker, s.mb[0].id) == 0 ? &s.mb[0] : &s.mb[1];
	stack_kill(mb);
	expect_broker(0, broker, "gone");
	RECEIVERS_UNTIL(r, 0, is_offline("alice")); /* the other DC may see it a moment later */
	struct text_answer a;
	stack_restart(mb);
	expect_broker(0, broker, "linked");
	RECEIVERS_UNTIL(r, 1, text_client_read_within(&events, &a, 1));
	cr_expect_str_eq(text_answer_value(&a, "user"), "alice", "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "state"), "online");
}

/* It comes back before the registry knows that it was gone. */
TestThen(stop, presence, a_broker_that_restarts_at_once_is_gone_first)
{
	watch();
	stack_kill(&s.mb[0]);
	stack_restart(&s.mb[0]);
	expect_broker(0, "mb1", "gone");
	expect_broker(0, "mb1", "linked");
}

/* ---- the command line ---- */

TestThen(stop, presence, by_the_command_line)
{
	char key[TEMP_PATH_MAX], who[TEMP_PATH_MAX + 96], want[256];
	temp_file(&s.dir, "chat.key", STACK_KEY "\n", 0600, key);
	snprintf(who, sizeof who, "--dc 127.0.0.1:%u --app chat --app-key-file %s", (unsigned)s.dc[0].front, key);
	log_in(0, "alice");
	struct cli_result c = cli_run(&s.redis, "%s presence bob alice", who);
	cr_expect_eq(c.code, 0);
	snprintf(want, sizeof want, "bob offline\nalice online broker %s since ", broker_of("alice"));
	cr_expect_eq(strncmp(c.out, want, strlen(want)), 0, "%s", c.out);
	c = cli_run(&s.redis, "%s presence bob alice --json", who);
	cr_expect_not_null(strstr(c.out, "\"bob\""), "%s", c.out);
	cr_expect_not_null(strstr(c.out, "\"online\""), "%s", c.out);
	receiver_close(&r[0]); /* it will not be turned from here on */
	RECEIVERS_UNTIL(r, 0, strcmp(broker_of("alice"), "nil") == 0);
	c = cli_run(&s.redis, "%s presence --events -C 1 -W 1", who);
	cr_expect_eq(c.code, 3, "%s", c.out);
	stack_kill(&s.mb[1]); /* and seconds later it counts as gone */
	c = cli_run(&s.redis, "%s presence --events -C 1 -W 30", who);
	cr_expect_eq(c.code, 0, "%s", c.out);
	cr_expect_not_null(strstr(c.out, " gone - mb2\n"), "%s", c.out);
	stack_restart(&s.mb[1]);
	stack_wait_ready(&s.mb[1]);
}
