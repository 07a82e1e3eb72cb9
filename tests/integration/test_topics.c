/* SPDX-License-Identifier: Apache-2.0 */
/* Topics and messages to many through the whole: clients that subscribe, what they are
 * shown, and Data Centers that die in the middle of it. */
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ONLINE = 8, USERS = 20000 };

static struct stack s;
static struct receiver r[ONLINE];
static struct text_client app;

static void stop(void)
{
	for (int i = 0; i < ONLINE; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	text_client_close(&app);
	stack_stop(&s);
}
TestSuite(topics, .fini = stop, .timeout = 200);

static void start(unsigned dcs)
{
	stack_start(&s, &(struct stack_options){.dcs = dcs});
	stack_client(&s, &app);
}

static void log_in(unsigned i, const char *user)
{
	char session[STACK_SESSION];
	stack_session(&s, user, 600, session);
	receiver_open(&r[i], &s, user, session);
	RECEIVERS_UNTIL(r, i + 1, receiver_is_online(&r[i]));
}

static struct text_answer publish(const char *fields, const char *topic, const char *body)
{
	struct text_answer a = text_client_ask(&app, "SEND 1\r\n%stopic %s\r\nlength %zu\r\n\r\n%s", fields, topic,
					       strlen(body), body);
	cr_assert_eq(a.code, 200, "%s", a.text);
	return a;
}

static void subscribe(const char *user, const char *filter)
{
	cr_assert_eq(text_client_ask(&app, "SUBSCRIBE 1\r\nuser %s\r\ntopic %s\r\n\r\n", user, filter).code, 200);
}

#define in_redis(command, is) (strcmp(redis_text(s.c, command), is) == 0)

static void ask_done(int number)
{
	unsigned before = r[0].replies;
	cr_assert_gt(number, 0);
	RECEIVERS_UNTIL(r, 1, r[0].replies > before);
}

TestThen(stop, topics, a_client_subscribes_over_its_session)
{
	start(1);
	log_in(0, "alice");
	ask_done(restante_subscribe(r[0].client, "news/+"));
	cr_assert_eq(r[0].reply, RESTANTE_REPLY_DONE);
	cr_assert(in_redis("SMEMBERS rs:{alice}:topics", "[news/+]"));
	cr_assert(in_redis("SMEMBERS rs:topic:{news/+}", "[alice]"));
	publish("", "news/sport", "goal");
	publish("", "news", "nobody hears this");
	RECEIVERS_UNTIL(r, 1, r[0].count == 1);
	cr_expect(receiver_was_shown(&r[0], 0, "goal", 4));
	cr_expect_str_eq(r[0].shown[0].topic, "news/sport");
	RECEIVERS_UNTIL(r, 1, in_redis("EXISTS rs:{alice}:queue", "0"));
	ask_done(restante_subscribe(r[0].client, "news/#/sport"));
	cr_expect_eq(r[0].reply, RESTANTE_REPLY_INVALID);
	ask_done(restante_unsubscribe(r[0].client, "news/+"));
	cr_expect_eq(r[0].reply, RESTANTE_REPLY_DONE);
	cr_expect(in_redis("EXISTS rs:topics", "0"));
	publish("", "news/sport", "again");
	receivers_turn_for(r, 1, 500);
	cr_expect_eq(r[0].count, 1);
}

TestThen(stop, topics, a_client_switches_storing_off)
{
	start(1);
	log_in(0, "alice");
	ask_done(restante_set_storage(r[0].client, "chat", 0));
	cr_assert_eq(r[0].reply, RESTANTE_REPLY_DONE);
	stack_send(&s, "alice", "online");
	RECEIVERS_UNTIL(r, 1, r[0].count == 1);
	cr_expect_eq(r[0].shown[0].stored, 0);
	ask_done(restante_set_storage(r[0].client, "chat", 1));
	stack_send(&s, "alice", "stored");
	RECEIVERS_UNTIL(r, 1, r[0].count == 2);
	cr_expect_eq(r[0].shown[1].stored, 1);
	cr_expect(in_redis("EXISTS rs:{alice}:settings", "0"));
}

/* More than the bodies that a DC asks for at a time, and of different sizes, so that they
 * come in several batches. */
TestThen(stop, topics, who_was_away_gets_all_at_login)
{
	enum { COUNT = 100, PLAIN = 5 };
	static char body[4001];
	start(1);
	subscribe("alice", "news/#");
	for (int i = 0; i < COUNT; i++) {
		memset(body, 'a' + i % 26, 4000);
		body[1 + i * 40] = '\0';
		publish("", "news/sport", body);
		RECEIVERS_UNTIL(r, 0, in_redis("EXISTS rs:fans", "0"));
		if (i % (COUNT / PLAIN) == 0)
			stack_send(&s, "alice", "to you alone");
	}
	stack_kill(&s.dc[0]); /* so that it has no body at hand */
	stack_restart(&s.dc[0]);
	stack_wait_ready(&s.dc[0]);
	log_in(0, "alice");
	RECEIVERS_UNTIL(r, 1, r[0].count == COUNT + PLAIN);
	for (int i = 0, at = 0; i < COUNT; i++) {
		memset(body, 'a' + i % 26, 4000);
		cr_expect(receiver_was_shown(&r[0], (size_t)at++, body, (size_t)(1 + i * 40)), "message %d", i);
		if (i % (COUNT / PLAIN) == 0)
			cr_expect(receiver_was_shown(&r[0], (size_t)at++, "to you alone", 12));
	}
	RECEIVERS_UNTIL(r, 1, in_redis("EXISTS rs:{alice}:queue", "0"));
}

TestThen(stop, topics, what_was_withdrawn_is_not_shown)
{
	start(1);
	subscribe("alice", "news");
	for (int i = 0; i < 3; i++) {
		char text[16];
		snprintf(text, sizeof text, "number %d", i);
		struct text_answer a = publish("", "news", text);
		RECEIVERS_UNTIL(r, 0, in_redis("EXISTS rs:fans", "0"));
		if (i == 1) {
			a = text_client_ask(&app, "WITHDRAW 1\r\nmessage %s\r\n\r\n", text_answer_value(&a, "message"));
			cr_assert_eq(a.code, 200, "%s", a.text);
		}
	}
	cr_assert(in_redis("LLEN rs:{alice}:queue", "3"));
	log_in(0, "alice");
	RECEIVERS_UNTIL(r, 1, r[0].count == 2);
	cr_expect(receiver_was_shown(&r[0], 0, "number 0", 8));
	cr_expect(receiver_was_shown(&r[0], 1, "number 2", 8));
	RECEIVERS_UNTIL(r, 1, in_redis("EXISTS rs:{alice}:queue", "0"));
	cr_expect(strstr(redis_text(s.c, "LRANGE rs:{alice}:journal 0 -1"), " withdrawn chat "));
}

/* --- a DC dies --- */

/* Users u0, u1, ... subscribe to "news"; the first few are online. */
static void fill_topic(void)
{
	for (int i = 0; i < ONLINE; i++) {
		char user[16];
		snprintf(user, sizeof user, "u%d", i);
		log_in((unsigned)i, user);
	}
	redis_text(s.c, "EVAL %s 1 rs:topic:{news} %d",
		   "for i = 0, ARGV[1] - 1 do redis.call('SADD', KEYS[1], 'u' .. i) end", USERS);
	cr_assert(in_redis("SCARD rs:topic:{news}", "20000"));
}

/* How many users have so many messages waiting, "[none one more]", of those who are
 * not online. */
static const char *waiting(void)
{
	return redis_text(s.c, "EVAL %s 0 %d %d",
			  "local n = {0, 0, 0} for i = ARGV[1], ARGV[2] - 1 do "
			  "local l = math.min(redis.call('LLEN', 'rs:{u' .. i .. '}:queue'), 2) n[l + 1] = n[l + 1] + 1 "
			  "end return n", ONLINE, USERS);
}

static unsigned shown(void)
{
	unsigned n = 0;
	for (int i = 0; i < ONLINE; i++)
		n += r[i].count == 1;
	return n;
}

static long served(void) { return atol(redis_text(s.c, "EVAL %s 0", "local n = 0 for i = 0, 19999 do n = n + redis.call('LLEN', 'rs:{u' .. i .. '}:queue') end return n")); }

static void expect_each_once(void)
{
	char all[32];
	snprintf(all, sizeof all, "[0 %d 0]", USERS - ONLINE);
	RECEIVERS_UNTIL(r, ONLINE, in_redis("EXISTS rs:fans", "0"));
	RECEIVERS_UNTIL(r, ONLINE, shown() == ONLINE);
	receivers_turn_for(r, ONLINE, 500);
	cr_expect_eq(shown(), ONLINE, "each once");
	cr_expect_str_eq(waiting(), all);
}

TestThen(stop, topics, a_dc_dies_in_the_middle_of_a_fan_out)
{
	start(2);
	fill_topic();
	struct text_answer a = publish("", "news", "all shall have it");
	cr_expect_str_eq(text_answer_value(&a, "subscribers"), "20000");
	RECEIVERS_UNTIL(r, ONLINE, served() > USERS / 10);
	stack_kill(&s.dc[0]);
	long before = served();
	cr_expect_lt(before, USERS * 9 / 10, "it was too fast for this test: %ld", before);
	expect_each_once();
	cr_expect_eq(stack_metric(&s.dc[1], "dc_fans_taken_over_total"), 1);
	const char *fan = redis_text(s.c, "HMGET rs:fan:{%s} state stored pushed", text_answer_value(&a, "message"));
	cr_expect_eq(strncmp(fan, "[done ", 6), 0, "%s", fan);
}

/* Redis hashes otherwise when it comes back; and whoever could not be served meanwhile is
 * served then. */
TestThen(stop, topics, redis_dies_in_the_middle_of_a_fan_out)
{
	start(1);
	fill_topic();
	publish("", "news", "all shall have it");
	RECEIVERS_UNTIL(r, ONLINE, served() > USERS / 10);
	redis_server_kill(&s.redis);
	receivers_turn_for(r, ONLINE, 300);
	redis_server_run(&s.redis);
	redisFree(s.c);
	s.c = lua_connect(s.redis.port);
	cr_expect_lt(served(), USERS * 9 / 10, "it was too fast for this test");
	expect_each_once();
}

/* The App hears nothing, and sends again with the same id to the other one. */
TestThen(stop, topics, a_dc_dies_in_the_middle_of_a_sendmany)
{
	enum { NAMES = 10000 };
	static char names[NAMES * 8], *at = names;
	struct text_answer a;
	start(2);
	for (int i = 0; i < NAMES; i++)
		at += sprintf(at, "u%d\n", i);
	text_client_printf(&app, "SENDMANY 1\r\nid m1\r\ncount %d\r\nlength %zu\r\n\r\n%shello", NAMES,
			   strlen(names) + 5, names);
	RECEIVERS_UNTIL(r, 0, served() > NAMES / 10);
	stack_kill(&s.dc[0]);
	cr_expect_lt(served(), NAMES, "it was too fast for this test");
	cr_expect_not(text_client_read(&app, &a));
	text_client_close(&app);
	struct addr other = net_loopback(s.dc[1].front);
	text_client_open(&app, &other);
	text_client_auth(&app, "chat", STACK_KEY);
	text_client_printf(&app, "SENDMANY 1\r\nid m1\r\ncount %d\r\nlength %zu\r\n\r\n%shello", NAMES,
			   strlen(names) + 5, names);
	cr_assert(text_client_read(&app, &a));
	cr_expect_eq(a.code, 200, "%s", a.text);
	cr_expect_eq(atoi(text_answer_value(&a, "stored")) + atoi(text_answer_value(&a, "duplicate")), NAMES);
	free(text_client_body(&app, &a));
	RECEIVERS_UNTIL(r, 0, in_redis("EXISTS rs:fans", "0"));
	cr_expect_str_eq(redis_text(s.c, "EVAL %s 0",
				    "local n = 0 for i = 0, 9999 do if redis.call('LLEN', 'rs:{u' .. i .. '}:queue') == 1 then "
				    "n = n + 1 end end return n"), "10000");
}
