/* SPDX-License-Identifier: Apache-2.0 */
/* What an App hears of its messages, how it takes them back, and users who do not want
 * that anything is kept for them. */
#include "support/mail.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void start_short(void)
{
	static const char *const flags[] = {"--status-s=2", NULL};
	mail_start_with(&(struct stack_options){.dc_flags = flags});
}

TestSuite(status, .init = mail_start, .fini = mail_stop, .timeout = 120);
TestSuite(status_short, .init = start_short, .fini = mail_stop, .timeout = 120);
TestSuite(withdraw, .init = mail_start, .fini = mail_stop, .timeout = 120);
TestSuite(storage_off, .init = mail_start, .fini = mail_stop, .timeout = 120);

#define TO "to alice\r\n"

static void expect_state(const char *id, const char *state)
{
	struct text_answer a = mail_status(CHAT, id);
	cr_expect_str_eq(text_answer_value(&a, "state"), state, "%s", a.text);
}

/* The times of these fields, each within the test and not before the one before. */
static void expect_times(const struct text_answer *a, const char *const *fields)
{
	int64_t before = clock_wall_ms() - 60000, time;
	for (; *fields; fields++, before = time) {
		time = mail_time(a, *fields);
		cr_expect_geq(time, before, "%s in %s", *fields, a->text);
		cr_expect_leq(time, (int64_t)clock_wall_ms(), "%s in %s", *fields, a->text);
	}
}

TestThen(mail_stop, status, stored_pushed_acknowledged)
{
	char id[MAIL_ID], state[16];
	mail_send(CHAT, TO "ttl 600\r\n", "hello", id);
	struct text_answer a = mail_status(CHAT, id);
	cr_expect_str_eq(text_answer_value(&a, "state"), "stored", "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "message"), id);
	cr_expect_str_eq(text_answer_value(&a, "to"), "alice");
	cr_expect_eq(mail_time(&a, "expires"), mail_time(&a, "stored") + 600000);
	cr_expect_eq(mail_time(&a, "pushed"), -1);

	char session[STACK_SESSION];
	receiver_open(&mail_client[0], &mail_stack, "alice", stack_session(&mail_stack, "alice", 600, session));
	mail_client[0].refuses = true;
	MAIL_UNTIL(mail_client[0].offered > 0);
	a = mail_status(CHAT, id);
	cr_expect_str_eq(text_answer_value(&a, "state"), "pushed", "%s", a.text);
	expect_times(&a, (const char *const[]){"stored", "pushed", NULL});
	int64_t pushed = mail_time(&a, "pushed");

	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_all_gone());
	a = mail_status(CHAT, id);
	snprintf(state, sizeof state, "%s", text_answer_value(&a, "state"));
	cr_expect_str_eq(state, "acknowledged", "%s", a.text);
	expect_times(&a, (const char *const[]){"stored", "pushed", "acknowledged", NULL});
	cr_expect_leq(llabs(mail_time(&a, "pushed") - pushed), 1000);
	cr_expect_eq(mail_time(&a, "expires"), -1);
}

TestThen(mail_stop, status, pushed_at_once)
{
	char id[MAIL_ID];
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	cr_expect_str_eq(mail_send(CHAT, TO, "hello", id), "pushed");
	struct text_answer a = mail_status(CHAT, id);
	cr_expect_str_eq(text_answer_value(&a, "state"), "pushed", "%s", a.text);
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_all_gone());
	a = mail_status(CHAT, id);
	expect_times(&a, (const char *const[]){"stored", "pushed", "acknowledged", NULL});
}

/* The client went away with it: it waits again. */
TestThen(mail_stop, status, stored_again_after_a_logout)
{
	char id[MAIL_ID];
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	mail_send(CHAT, TO, "hello", id);
	MAIL_UNTIL(mail_client[0].offered > 0);
	mail_log_out(0);
	expect_state(id, "stored");
}

TestThen(mail_stop, status, of_others_and_of_nobody_is_404)
{
	char id[MAIL_ID];
	mail_send(CHAT, TO, "hello", id);
	cr_expect_eq(mail_status(SHOP, id).code, 404);
	cr_expect_eq(mail_status(CHAT, "01JDCF3K7Q9R8W2ZT5XV6YB4NM").code, 404);
	cr_expect_eq(text_client_ask(&mail_app[0][CHAT], "STATUS 1\r\nto bob\r\nmessage %s\r\n\r\n", id).code, 404);
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 1 && mail_all_gone());
	cr_expect_eq(mail_status(SHOP, id).code, 404);
	expect_state(id, "acknowledged");
}

TestThen(mail_stop, status, outlives_the_dc)
{
	char waits[MAIL_ID], gone[MAIL_ID];
	mail_send(CHAT, TO, "hello", gone);
	cr_assert_eq(mail_withdraw(CHAT, gone).code, 200);
	mail_send(CHAT, TO, "hello", waits);
	stack_kill(&mail_stack.dc[0]);
	stack_restart(&mail_stack.dc[0]);
	stack_wait_ready(&mail_stack.dc[0]);
	mail_connect(0);
	expect_state(gone, "withdrawn");
	expect_state(waits, "stored");
}

TestThen(mail_stop, status_short, forgotten_in_time)
{
	char gone[MAIL_ID], expired[MAIL_ID];
	mail_send(CHAT, TO, "hello", gone);
	cr_assert_eq(mail_withdraw(CHAT, gone).code, 200);
	mail_send(CHAT, TO "ttl 1\r\n", "hello", expired);
	uint64_t since = clock_wall_ms();
	expect_state(gone, "withdrawn");
	MAIL_UNTIL(mail_status_is(CHAT, expired, "expired"));
	MAIL_UNTIL(mail_status(CHAT, gone).code == 404);
	cr_expect_geq(clock_wall_ms() - since, 1500);
	MAIL_UNTIL(mail_status(CHAT, expired).code == 404);
	cr_expect_geq(clock_wall_ms() - since, 2500);
	cr_expect(MAIL_IN_REDIS("[]", "KEYS rs:{alice}:*"), "nothing stays: %s",
		  redis_text(mail_stack.c, "KEYS rs:{alice}:*"));
}

/* ---- taking back ---- */

TestThen(mail_stop, withdraw, one_that_waits)
{
	char id[3][MAIL_ID];
	mail_send(CHAT, TO, "a", id[0]);
	mail_send(CHAT, TO "priority low\r\n", "b", id[1]);
	mail_send(CHAT, TO, "c", id[2]);
	struct text_answer a = mail_withdraw(CHAT, id[1]);
	cr_expect_str_eq(text_answer_value(&a, "state"), "withdrawn", "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "message"), id[1]);
	cr_expect_eq(mail_withdraw(CHAT, id[0]).code, 200);
	cr_expect_str_eq(mail_waiting(), "c||");
	expect_state(id[0], "withdrawn");
	expect_state(id[1], "withdrawn");
	a = mail_status(CHAT, id[1]);
	expect_times(&a, (const char *const[]){"stored", "withdrawn", NULL});
	cr_expect_eq(mail_withdraw(CHAT, id[0]).code, 404, "a second time");
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 1 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_str_eq(mail_shown(0), "c");
	cr_expect_eq(mail_withdraw(CHAT, id[2]).code, 404, "the user has it");
	expect_state(id[2], "acknowledged");
}

TestThen(mail_stop, withdraw, not_of_another_app)
{
	char id[MAIL_ID];
	mail_send(CHAT, TO, "hello", id);
	cr_expect_eq(mail_withdraw(SHOP, id).code, 404);
	cr_expect_eq(mail_withdraw(CHAT, "01JDCF3K7Q9R8W2ZT5XV6YB4NM").code, 404);
	cr_expect_str_eq(mail_waiting(), "hello||");
	expect_state(id, "stored");
}

TestThen(mail_stop, withdraw, in_flight)
{
	char id[3][MAIL_ID];
	static char large[9000];
	memset(large, 'x', sizeof large - 1); /* many pieces */
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	mail_send(CHAT, TO, "a", id[0]);
	mail_send(CHAT, TO, large, id[1]);
	mail_send(CHAT, TO, "c", id[2]);
	MAIL_UNTIL(mail_client[0].offered > 0);
	cr_expect_eq(mail_withdraw(CHAT, id[0]).code, 200);
	cr_expect_eq(mail_withdraw(CHAT, id[1]).code, 200);
	MAIL_UNTIL(stack_metric(&mail_stack.mb[0], "mb_withdrawn_total") == 2);
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].count >= 1 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_str_eq(mail_shown(0), "c");
	expect_state(id[0], "withdrawn");
	expect_state(id[1], "withdrawn");
	expect_state(id[2], "acknowledged");
	mail_send(CHAT, TO, "d", NULL);
	MAIL_UNTIL(mail_client[0].count == 2 && mail_all_gone());
}

/* By the other DC, as fast as can be: never shown once the word of it was given and had
 * the time to arrive, and the queue goes on behind. */
TestThen(mail_stop, withdraw, in_flight_by_the_other_dc)
{
	enum { MANY = 100 };
	char id[MAIL_ID];
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	for (unsigned i = 0; i < MANY; i++) {
		mail_send(CHAT, TO, "withdrawn", id);
		struct text_answer a = text_client_ask(&mail_app[1][CHAT], "WITHDRAW 1\r\nto alice\r\nmessage %s\r\n\r\n", id);
		cr_assert_eq(a.code, 200, "%s", a.text);
	}
	mail_send(CHAT, TO, "last", NULL);
	MAIL_UNTIL(mail_client[0].offered > 2);
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].count >= 1 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_str_eq(mail_shown(0), "last");
}

/* ---- nothing is kept for this user ---- */

static void set_off(const char *field)
{
	freeReplyObject(redisCommand(mail_stack.c, "DEL rs:{alice}:settings"));
	if (field)
		freeReplyObject(redisCommand(mail_stack.c, "HSET rs:{alice}:settings %s 1700000000000", field));
}

TestThen(mail_stop, storage_off, offline_it_is_dropped)
{
	set_off("off:chat");
	cr_expect_str_eq(mail_send(CHAT, TO "id x-1\r\n", "a", NULL), "dropped");
	cr_expect_str_eq(mail_send(CHAT, TO "collapse k\r\npriority high\r\n", "b", NULL), "dropped");
	cr_expect_str_eq(mail_send(SHOP, TO, "of shop", NULL), "stored");
	cr_expect_str_eq(mail_waiting(), "of shop||");
	set_off("off:*");
	cr_expect_str_eq(mail_send(SHOP, TO, "of shop", NULL), "dropped");
	set_off(NULL);
	cr_expect_str_eq(mail_send(CHAT, TO "id x-1\r\n", "c", NULL), "stored", "its id was not remembered");
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 2 && mail_all_gone());
	cr_expect_str_eq(mail_shown(0), "of shop c");
}

TestThen(mail_stop, storage_off, online_it_is_pushed_and_not_kept)
{
	char id[MAIL_ID];
	set_off("off:chat");
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	cr_expect_str_eq(mail_send(CHAT, TO, "a", id), "pushed");
	cr_expect_str_eq(mail_send(CHAT, TO "priority high\r\n", "b", NULL), "pushed");
	cr_expect(mail_all_gone());
	MAIL_UNTIL(mail_client[0].offered > 0);
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].count == 2);
	cr_expect_eq(mail_client[0].shown[0].stored, 0);
	cr_expect_eq(mail_status(CHAT, id).code, 404, "nothing was stored of it");
}

/* All copies of a message to many have one id: taking back one leaves the others. */
TestThen(mail_stop, status, withdrawn_from_one_of_many)
{
	char id[MAIL_ID];
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	struct text_answer a = text_client_ask(&mail_app[0][CHAT], "SENDMANY 1\r\ncount 2\r\nlength 12\r\n\r\nalice\nbob\nhi");
	cr_assert_eq(a.code, 200, "%s", a.text);
	free(text_client_body(&mail_app[0][CHAT], &a));
	snprintf(id, sizeof id, "%s", text_answer_value(&a, "message"));
	MAIL_UNTIL(mail_client[0].offered > 0);
	cr_assert_eq(mail_withdraw(CHAT, id).code, 200);
	mail_log_in(1, "bob");
	MAIL_UNTIL(mail_client[1].count == 1);
	cr_expect_str_eq(mail_shown(1), "hi");
	cr_expect_str_eq(mail_shown(0), "");
}
