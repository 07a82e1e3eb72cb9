/* SPDX-License-Identifier: Apache-2.0 */
/* The same App and id is one message, whatever died between the request and its
 * answer: the connection, the Data Center, or Redis. */
#include "support/mail.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(repeated, .init = mail_start, .fini = mail_stop, .timeout = 120);

#define TO "to alice\r\nid order-17\r\n"

static void expect_duplicate(const struct text_answer *a, const char *id, const char *first)
{
	cr_expect_str_eq(text_answer_value(a, "state"), "duplicate", "%s", a->text);
	cr_expect_str_eq(text_answer_value(a, "message"), id, "%s", a->text);
	cr_expect_str_eq(text_answer_value(a, "first"), first, "%s", a->text);
}

TestThen(mail_stop, repeated, by_another_dc)
{
	char id[MAIL_ID];
	mail_send(CHAT, TO, "hello", id);
	struct text_answer a = mail_try_by(1, CHAT, TO "priority high\r\ncollapse k\r\n", "other words");
	expect_duplicate(&a, id, "stored");
	mail_send(SHOP, TO, "of shop", NULL);
	cr_expect_str_eq(mail_waiting(), "hello of shop||");
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 2 && mail_all_gone());
	a = mail_try_by(1, CHAT, TO, "hello");
	expect_duplicate(&a, id, "stored");
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_eq(mail_client[0].count, 2, "also when it was acknowledged");
}

TestThen(mail_stop, repeated, of_one_that_was_pushed)
{
	char id[MAIL_ID];
	mail_log_in(0, "alice");
	cr_expect_str_eq(mail_send(CHAT, TO "priority low\r\n", "hello", id), "pushed");
	struct text_answer a = mail_try_by(1, CHAT, TO, "hello");
	expect_duplicate(&a, id, "pushed");
	MAIL_UNTIL(mail_client[0].count == 1 && mail_all_gone());
}

TestThen(mail_stop, repeated, after_it_was_withdrawn_or_expired)
{
	char id[MAIL_ID], short_lived[MAIL_ID];
	mail_send(CHAT, TO, "hello", id);
	cr_assert_eq(mail_withdraw(CHAT, id).code, 200);
	struct text_answer a = mail_try_by(1, CHAT, TO, "hello");
	expect_duplicate(&a, id, "stored");
	mail_send(CHAT, "to alice\r\nid brief\r\nttl 1\r\n", "hello", short_lived);
	MAIL_UNTIL(mail_status_is(CHAT, short_lived, "expired"));
	a = mail_try_by(1, CHAT, "to alice\r\nid brief\r\nttl 1\r\n", "hello");
	expect_duplicate(&a, short_lived, "stored");
}

/* Redis stands still, so that the answer cannot come. */
TestThen(mail_stop, repeated, after_the_dc_died_before_its_answer)
{
	redis_server_pause(&mail_stack.redis);
	double asked = stack_metric(&mail_stack.dc[0], "dc_redis_in_flight");
	text_client_printf(&mail_app[0][CHAT], "SEND 1\r\n" TO "length 5\r\n\r\nhello");
	RECEIVERS_UNTIL(mail_client, 0, stack_metric(&mail_stack.dc[0], "dc_redis_in_flight") > asked);
	text_client_printf(&mail_app[0][CHAT], "SEND 1\r\nto alice\r\nid high-1\r\npriority high\r\nlength 5\r\n\r\nhello");
	stack_kill(&mail_stack.dc[0]);
	redis_server_resume(&mail_stack.redis);
	struct text_answer a = mail_try_by(1, CHAT, TO, "hello");
	cr_assert_eq(a.code, 200, "%s", a.text);
	a = mail_try_by(1, CHAT, "to alice\r\nid high-1\r\npriority high\r\n", "hello");
	cr_assert_eq(a.code, 200, "%s", a.text);
	cr_expect_str_eq(mail_waiting(), "hello|hello|");
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 2 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_eq(mail_client[0].count, 2);
}

/* ---- another Redis takes over ---- */

static void start_replica(struct redis_server *replica)
{
	char port[8];
	snprintf(port, sizeof port, "%u", mail_stack.redis.port);
	struct redis_options o = {.append_always = true, .extra = {"--replicaof", "127.0.0.1", port}};
	redis_server_start(replica, &o);
}

/* WAIT speaks of what this connection has written: so it writes something. */
static bool replica_has_all(void)
{
	return strcmp(redis_text(mail_stack.c, "SET written last"), "OK") == 0 && MAIL_IN_REDIS("1", "WAIT 1 100");
}

/* The replica becomes the master, at the port of the one that died. */
static void take_over(struct redis_server *replica)
{
	struct redis_server dead = mail_stack.redis;
	redisContext *c = lua_connect(replica->port);
	redisFree(mail_stack.c);
	redis_server_kill(&dead);
	cr_assert_str_eq(redis_text(c, "REPLICAOF NO ONE"), "OK");
	cr_assert_str_eq(redis_text(c, "CONFIG SET port %u", dead.port), "OK");
	replica->port = dead.port;
	mail_stack.redis = *replica;
	mail_stack.c = c;
	redis_server_stop(&dead); /* its files */
}

TestThen(mail_stop, repeated, after_a_failover_of_redis)
{
	static struct redis_server replica;
	char id[2][MAIL_ID];
	start_replica(&replica);
	RECEIVERS_UNTIL(mail_client, 0, replica_has_all());
	mail_send(CHAT, TO, "hello", id[0]);
	mail_send(CHAT, "to alice\r\nid high-1\r\npriority high\r\ncollapse k\r\n", "hello", id[1]);
	RECEIVERS_UNTIL(mail_client, 0, replica_has_all());
	take_over(&replica);
	for (unsigned dc = 0; dc < 2; dc++) {
		stack_wait_ready(&mail_stack.dc[dc]);
		mail_connect(dc);
		struct text_answer a = mail_try_by(dc, CHAT, TO, "hello");
		expect_duplicate(&a, id[0], "stored");
		a = mail_try_by(dc, CHAT, "to alice\r\nid high-1\r\npriority high\r\n", "hello");
		expect_duplicate(&a, id[1], "stored");
	}
	cr_expect_str_eq(mail_waiting(), "hello|hello|");
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 2 && mail_all_gone());
}
