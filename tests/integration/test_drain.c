/* SPDX-License-Identifier: Apache-2.0 */
/* A broker is drained, by an operator and by SIGTERM, while messages come: its
 * clients end up elsewhere, nothing is lost, nothing is shown twice, and it exits
 * with 0. */
#include "support/cli_run.h"
#include "support/lone_client.h"
#include "support/lua_call.h"
#include "support/receiver.h"
#include "support/stack.h"
#include "wire/packet.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { CLIENTS = 12, ROUNDS = 40 };

static struct stack s;
static struct receiver r[CLIENTS];
static struct text_client app;
static FILE *cli;

static void stop(void)
{
	if (cli)
		pclose(cli);
	cli = NULL;
	for (int i = 0; i < CLIENTS; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	stack_stop(&s);
}
TestSuite(drain, .fini = stop, .timeout = 150);

static unsigned online(void)
{
	unsigned n = 0;
	for (int i = 0; i < CLIENTS; i++)
		n += receiver_is_online(&r[i]);
	return n;
}

static unsigned held_by(const struct stack_daemon *d)
{
	unsigned n = 0;
	for (int i = 0; i < CLIENTS; i++)
		n += receiver_is_at(&r[i], d);
	return n;
}

/* The one to drain: which one it is is the balancer's affair. */
static struct stack_daemon *fullest(void)
{
	struct stack_daemon *d = &s.mb[0];
	for (unsigned i = 1; i < s.options.mbs; i++)
		if (held_by(&s.mb[i]) > held_by(d))
			d = &s.mb[i];
	return d;
}

static void start(unsigned mbs, const char *drain_s)
{
	static const char *flags[2];
	char user[16], session[STACK_SESSION];
	flags[0] = drain_s;
	stack_start(&s, &(struct stack_options){.mbs = mbs, .dcs = 2, .heartbeat_s = 3, .mb_flags = drain_s ? flags : NULL});
	RECEIVERS_UNTIL(NULL, 0, lone_client_ask(&s).count == mbs); /* it has heard of all */
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(user, sizeof user, "user%d", i);
		receiver_open(&r[i], &s, user, stack_session(&s, user, 600, session));
		RECEIVERS_UNTIL(r, (size_t)i + 1, receiver_is_online(&r[i]));
	}
	stack_client(&s, &app);
}

/* A message to each; what they are numbered by tells later what was lost. */
static void send_round(unsigned round)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct text_answer a = text_client_ask(&app, "SEND 1\r\nto user%d\r\nlength 4\r\n\r\n%04u", i, round);
		cr_assert_eq(a.code, 200, "%s", a.text);
	}
}

static bool all_have(size_t count)
{
	for (int i = 0; i < CLIENTS; i++)
		if (r[i].count < count)
			return false;
	return true;
}

/* Each message once, in the order of sending. */
static void expect_all(unsigned rounds)
{
	char body[16];
	RECEIVERS_UNTIL(r, CLIENTS, online() == CLIENTS && all_have(rounds));
	receivers_turn_for(r, CLIENTS, 500);
	for (int i = 0; i < CLIENTS; i++) {
		cr_expect_eq(r[i].count, rounds, "user%d was shown %zu", i, r[i].count);
		for (unsigned n = 0; n < rounds && n < r[i].count; n++) {
			snprintf(body, sizeof body, "%04u", n);
			cr_expect(receiver_was_shown(&r[i], n, body, 4), "user%d: %u", i, n);
		}
		RECEIVERS_UNTIL(r, CLIENTS, strcmp(redis_text(s.c, "EXISTS rs:{user%d}:queue", i), "0") == 0);
	}
}

static void say_drain(const char *id, const char *options)
{
	char command[512];
	snprintf(command, sizeof command, "exec %s/restante --redis 127.0.0.1:%u drain %s %s 2>&1",
		 RESTANTE_BIN_DIR, (unsigned)s.redis.port, id, options);
	cli = popen(command, "re");
	cr_assert_not_null(cli);
}

static int said(char out[CLI_OUT_MAX])
{
	out[fread(out, 1, CLI_OUT_MAX - 1, cli)] = '\0';
	int status = pclose(cli);
	cli = NULL;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_gone(struct stack_daemon *d)
{
	RECEIVERS_UNTIL(r, CLIENTS, !daemon_process_runs(&d->process));
	cr_expect_eq(daemon_process_wait(&d->process, 1000), 0);
	cr_expect_str_eq(redis_text(s.c, "EXISTS rs:broker:%s", d->id), "0");
}

TestThen(stop, drain, by_an_operator_while_messages_come)
{
	char out[CLI_OUT_MAX];
	unsigned sent = 0;
	start(3, NULL);
	struct stack_daemon *d = fullest();
	char gone[32];
	snprintf(gone, sizeof gone, "%s gone\n", d->id);
	say_drain(d->id, "--over 4");
	for (; sent < ROUNDS || daemon_process_runs(&d->process); sent++) {
		send_round(sent);
		receivers_turn(r, CLIENTS, 50);
		cr_assert_lt(sent, 2000, "it does not end");
	}
	expect_gone(d);
	cr_expect_eq(said(out), 0, "%s", out);
	cr_expect(strstr(out, gone), "%s", out);
	expect_all(sent);
	cr_expect_eq(held_by(d), 0);
	for (int i = 0; i < CLIENTS; i++)
		cr_expect_leq(r[i].onlines, 2, "user%d was online %u times", i, r[i].onlines);
}

TestThen(stop, drain, by_sigterm_within_its_bound)
{
	unsigned sent = 0;
	start(2, "--drain-s=3");
	struct stack_daemon *d = fullest();
	stack_terminate(d);
	uint64_t before = clock_mono_ms();
	for (; daemon_process_runs(&d->process); sent++) {
		send_round(sent);
		receivers_turn(r, CLIENTS, 50);
		cr_assert_lt(clock_mono_ms(), before + 30000, "it does not end");
	}
	expect_gone(d);
	expect_all(sent);
	cr_expect_eq(held_by(&s.mb[d == &s.mb[0]]), CLIENTS);
}

TestThen(stop, drain, by_sigterm_at_once)
{
	start(2, "--drain-s=0");
	struct stack_daemon *d = fullest();
	unsigned held = held_by(d), told = 0;
	stack_terminate(d);
	expect_gone(d);
	send_round(0);
	expect_all(1);
	for (int i = 0; i < CLIENTS; i++)
		told += r[i].codes[CLOSE_SHUTDOWN];
	cr_expect_eq(told, held);
}

/* The second gives it less time; it takes no one in between. */
TestThen(stop, drain, told_twice)
{
	struct lone_client late;
	char session[STACK_SESSION];
	start(2, NULL);
	struct stack_daemon *d = fullest();
	unsigned held = held_by(d);
	struct cli_result c = cli_run(&s.redis, "drain %s --over 600 --no-wait", d->id);
	cr_assert_eq(c.code, 0, "%s", c.out);
	RECEIVERS_UNTIL(r, CLIENTS, strcmp(redis_text(s.c, "HGET rs:broker:%s draining", d->id), "yes") == 0);
	cr_expect_not(stack_is_ready(d));
	receivers_turn_for(r, CLIENTS, 1500);
	cr_expect(held_by(d) + 1 >= held && held > 2, "%u of %u: they have ten minutes", held_by(d), held);
	RECEIVERS_UNTIL(r, CLIENTS, strstr(cli_run(&s.redis, "brokers").out, "draining"));

	lone_client_open_at(&late, &s, d, "late", stack_session(&s, "late", 600, session));
	RECEIVERS_UNTIL(r, CLIENTS, (lone_client_turn(&late, 10), late.why == CLOSE_OVERLOADED));
	lone_client_close(&late);

	c = cli_run(&s.redis, "drain %s --over 600 --no-wait", d->id);
	cr_expect_eq(c.code, 0, "%s", c.out);
	cr_expect(strstr(c.out, "drains already"), "%s", c.out);
	say_drain(d->id, "--over 1");
	char out[CLI_OUT_MAX];
	expect_gone(d);
	cr_expect_eq(said(out), 0, "%s", out);
	send_round(0);
	expect_all(1);
}

TestThen(stop, drain, of_a_broker_that_is_not_there)
{
	stack_start(&s, &(struct stack_options){0});
	struct cli_result c = cli_run(&s.redis, "drain mb7");
	cr_expect_eq(c.code, 1);
	cr_expect(strstr(c.out, "no broker mb7 is alive"), "%s", c.out);
	cr_expect_str_eq(redis_text(s.c, "EXISTS rs:broker:mb7"), "0");
	c = cli_run(&s.redis, "drain");
	cr_expect_eq(c.code, 2);
	c = cli_run(&s.redis, "drain mb1 --over never");
	cr_expect_eq(c.code, 2);
	cr_expect(stack_is_ready(&s.mb[0]));
}

/* It goes when the last one is told, though nobody else is there to take them. */
TestThen(stop, drain, of_the_only_broker)
{
	start(1, NULL);
	struct cli_result c = cli_run(&s.redis, "drain mb1 --over 1 --no-wait");
	cr_expect_eq(c.code, 0);
	cr_expect(strstr(c.out, "no other broker takes clients"), "%s", c.out);
	expect_gone(&s.mb[0]);
	send_round(0);
	stack_restart(&s.mb[0]);
	expect_all(1);
	cr_expect_str_eq(redis_text(s.c, "HGET rs:broker:mb1 draining"), "no", "the word was for its former life");
}
