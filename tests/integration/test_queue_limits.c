/* SPDX-License-Identifier: Apache-2.0 */
/* How much may wait for a user, of all Apps and of one, and what goes when it is too
 * much; and that the user is told of what did. */
#include "support/mail.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void start_small(void)
{
	static const char *const flags[] = {"--queue-max-messages=5", "--queue-max-bytes=65536", NULL};
	mail_start_with(&(struct stack_options){.dc_flags = flags});
}

TestSuite(queue_limits, .init = mail_start, .fini = mail_stop, .timeout = 120);
TestSuite(queue_limits_user, .init = start_small, .fini = mail_stop, .timeout = 120);

#define TO "to alice\r\n"

/* "a", "b", ... to alice, with these fields. */
static void send_letters(const char *fields, const char *letters, char id[][MAIL_ID])
{
	for (size_t i = 0; letters[i]; i++)
		mail_send(CHAT, fields, (const char[]){letters[i], '\0'}, id ? id[i] : NULL);
}

static void expect_full(const struct text_answer *a)
{
	cr_expect_eq(a->code, 429, "%s", a->text);
	cr_expect_str_eq(text_answer_value(a, "retry-after"), "60");
}

TestThen(mail_stop, queue_limits, reject)
{
	mail_limit(CHAT, "queue_messages 3");
	send_letters(TO, "abc", NULL);
	struct text_answer a = mail_try(CHAT, TO "id d-1\r\n", "d");
	expect_full(&a);
	cr_expect_not_null(strstr(a.text, "messages of the App"), "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "id"), "d-1");
	mail_send(SHOP, TO, "other", NULL);
	cr_expect_str_eq(mail_waiting(), "a b c other||");
	cr_expect(MAIL_IN_REDIS("0", "EXISTS rs:{alice}:missed"));
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 4 && mail_all_gone());
	cr_expect_eq(mail_try(CHAT, TO "id d-1\r\n", "d").code, 200, "its id was not remembered");
	MAIL_UNTIL(mail_client[0].count == 5);
	cr_expect_eq(receiver_missed(&mail_client[0], "chat").notices, 0);
}

TestThen(mail_stop, queue_limits, drop_oldest)
{
	char id[5][MAIL_ID];
	mail_limit(CHAT, "queue_messages 3 overflow drop-oldest");
	mail_send(SHOP, TO, "other", NULL);
	send_letters(TO, "ab", id);
	receivers_turn_for(mail_client, 0, 3); /* c is younger by its time, too */
	mail_send(CHAT, TO "priority high\r\n", "c", id[2]);
	receivers_turn_for(mail_client, 0, 3);
	send_letters(TO, "de", id + 3);
	cr_expect_str_eq(mail_waiting(), "other d e|c|");
	for (unsigned i = 0; i < 5; i++)
		cr_expect(mail_status_is(CHAT, id[i], i < 2 ? "displaced" : "stored"), "%u", i);
	send_letters(TO, "f", NULL);
	cr_expect_str_eq(mail_waiting(), "other d e f||", "the oldest, whatever its priority");
	cr_expect(MAIL_IN_REDIS("[chat 3]", "HGETALL rs:{alice}:missed"));
	cr_expect_eq(stack_metric(&mail_stack.dc[0], "dc_ended_total{how=\"displaced\"}"), 3);
}

TestThen(mail_stop, queue_limits, drop_lowest)
{
	mail_limit(CHAT, "queue_messages 4 overflow drop-lowest");
	send_letters(TO "priority high\r\n", "H", NULL);
	send_letters(TO "priority low\r\n", "xy", NULL);
	send_letters(TO, "n", NULL);
	send_letters(TO, "o", NULL);
	cr_expect_str_eq(mail_waiting(), "n o|H|y");
	send_letters(TO "priority low\r\n", "z", NULL);
	cr_expect_str_eq(mail_waiting(), "n o|H|z", "one of its own priority");
	send_letters(TO "priority high\r\n", "IJKL", NULL);
	cr_expect_str_eq(mail_waiting(), "|I J K L|");
	struct text_answer a = mail_try(CHAT, TO, "p");
	expect_full(&a);
	a = mail_try(CHAT, TO "priority low\r\n", "p");
	expect_full(&a);
	cr_expect_str_eq(mail_waiting(), "|I J K L|", "never one of a higher priority");
	cr_expect(MAIL_IN_REDIS("[chat 6]", "HGETALL rs:{alice}:missed"));
}

TestThen(mail_stop, queue_limits, bytes_of_an_app)
{
	static char body[801];
	memset(body, 'x', 800);
	mail_limit(CHAT, "queue_bytes 2000 overflow reject");
	mail_send(CHAT, TO, body, NULL);
	mail_send(CHAT, TO, body, NULL);
	struct text_answer a = mail_try(CHAT, TO, body);
	expect_full(&a);
	cr_expect_not_null(strstr(a.text, "bytes of the App"), "%s", a.text);
	mail_send(CHAT, TO, "small", NULL);
	mail_send(SHOP, TO, body, NULL);
	cr_expect(MAIL_IN_REDIS("4", "LLEN rs:{alice}:queue"));

	mail_limit(CHAT, "overflow drop-oldest");
	body[400] = '\0';
	mail_send(CHAT, TO, body, NULL);
	cr_expect(MAIL_IN_REDIS("4", "LLEN rs:{alice}:queue"), "one went for it");
	static char large[2001];
	memset(large, 'y', 2000);
	a = mail_try(CHAT, TO, large);
	expect_full(&a);
	cr_expect(MAIL_IN_REDIS("4", "LLEN rs:{alice}:queue"), "none went for what has no room at all");
	cr_expect(MAIL_IN_REDIS("[chat 1]", "HGETALL rs:{alice}:missed"));
}

/* No connection anew: read within five seconds. */
TestThen(mail_stop, queue_limits, a_change_is_obeyed_soon)
{
	send_letters(TO, "abcd", NULL);
	freeReplyObject(redisCommand(mail_stack.c, "HSET rs:app:chat queue_messages 3 overflow drop-oldest"));
	uint64_t since = clock_mono_ms();
	MAIL_UNTIL((mail_send(CHAT, TO, "e", NULL), MAIL_IN_REDIS("3", "LLEN rs:{alice}:queue")));
	cr_expect_lt(clock_mono_ms() - since, 15000);
}

/* ---- of the user ---- */

TestThen(mail_stop, queue_limits_user, messages_of_all_apps)
{
	mail_send(SHOP, TO, "1", NULL);
	mail_send(SHOP, TO "priority low\r\n", "2", NULL);
	send_letters(TO "priority high\r\n", "a", NULL);
	receivers_turn_for(mail_client, 0, 3); /* by their times, a is older than b */
	send_letters(TO, "bc", NULL);
	struct text_answer a = mail_try(CHAT, TO, "d");
	expect_full(&a);
	a = mail_try(SHOP, TO "priority high\r\n", "3");
	expect_full(&a);
	mail_limit(CHAT, "overflow drop-oldest");
	mail_limit(SHOP, "overflow drop-lowest");
	send_letters(TO, "d", NULL);
	cr_expect_str_eq(mail_waiting(), "1 b c d||2", "an App displaces its own");
	mail_send(SHOP, TO, "3", NULL);
	cr_expect_str_eq(mail_waiting(), "1 b c d 3||");
	cr_expect(MAIL_IN_REDIS("1", "HGET rs:{alice}:missed chat"));
	cr_expect(MAIL_IN_REDIS("1", "HGET rs:{alice}:missed shop"));
}

TestThen(mail_stop, queue_limits_user, bytes_of_all_apps)
{
	static char body[16001];
	memset(body, 'x', 16000);
	for (unsigned i = 0; i < 4; i++)
		mail_send(i % 2 ? CHAT : SHOP, TO, body, NULL);
	struct text_answer a = mail_try(CHAT, TO, body);
	expect_full(&a);
	cr_expect_not_null(strstr(a.text, "(bytes)"), "%s", a.text);
	cr_expect(MAIL_IN_REDIS("4", "LLEN rs:{alice}:queue"));
	mail_send(CHAT, TO, "small", NULL);
}

TestThen(mail_stop, queue_limits_user, what_has_expired_makes_room)
{
	char id[MAIL_ID];
	for (unsigned i = 0; i < 5; i++)
		mail_send(CHAT, i == 3 ? TO "ttl 1\r\n" : i % 2 ? TO "priority low\r\n" : TO, "m", i == 3 ? id : NULL);
	struct text_answer a = mail_try(CHAT, TO, "n");
	expect_full(&a);
	MAIL_UNTIL(clock_wall_ms() > mail_end_ms(id, 1));
	send_letters(TO, "n", NULL);
	cr_expect(mail_status_is(CHAT, id, "expired"));
	a = mail_try(CHAT, TO, "o");
	expect_full(&a);
}

/* ---- the notice ---- */

static void expect_missed(const char *app, unsigned notices, unsigned count)
{
	struct missed m = receiver_missed(&mail_client[0], app);
	cr_expect_eq(m.notices, notices, "%s: %u notices", app, m.notices);
	cr_expect_eq(m.count, count, "%s: %lu missed", app, (unsigned long)m.count);
}

static void displace(void)
{
	mail_limit(CHAT, "queue_messages 2 overflow drop-oldest");
	mail_limit(SHOP, "queue_messages 1 overflow drop-lowest");
	send_letters(TO, "abcde", NULL);
	mail_send(SHOP, TO, "1", NULL);
	mail_send(SHOP, TO, "2", NULL);
}

TestThen(mail_stop, queue_limits, the_client_is_told_once_of_each_app)
{
	displace();
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 3 && receiver_missed(&mail_client[0], "shop").notices == 1 &&
		   receiver_missed(&mail_client[0], "chat").notices == 1);
	expect_missed("chat", 1, 3);
	expect_missed("shop", 1, 1);
	MAIL_UNTIL(MAIL_IN_REDIS("0", "EXISTS rs:{alice}:missed"));
	cr_expect_str_eq(mail_shown(0), "d e 2");
	mail_log_out(0);
	mail_log_in(0, "alice");
	send_letters(TO, "f", NULL);
	MAIL_UNTIL(mail_client[0].count == 1 && mail_all_gone());
	expect_missed("chat", 0, 0);
	expect_missed("shop", 0, 0);
}

/* A client that dies with the notice under way: no word of it, no CLOSE. */
TestThen(mail_stop, queue_limits, a_notice_that_was_not_taken_comes_again)
{
	char session[STACK_SESSION];
	displace();
	receiver_open(&mail_client[0], &mail_stack, "alice", stack_session(&mail_stack, "alice", 600, session));
	MAIL_UNTIL(restante_state(mail_client[0].client) == RESTANTE_LOGIN);
	RECEIVERS_UNTIL(mail_client, 0, stack_metric(&mail_stack.mb[0], "mb_notices_total") == 2);
	cr_assert_eq(restante_state(mail_client[0].client), RESTANTE_LOGIN);
	receiver_close(&mail_client[0]);
	cr_expect(MAIL_IN_REDIS("3", "HGET rs:{alice}:missed chat"));
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 3 && MAIL_IN_REDIS("0", "EXISTS rs:{alice}:missed"));
	expect_missed("chat", 1, 3);
	expect_missed("shop", 1, 1);
}

/* Displaced under the eyes of a client that does not take them: not shown, and told of
 * at the next login. */
TestThen(mail_stop, queue_limits, displaced_in_flight)
{
	char id[6][MAIL_ID];
	mail_limit(CHAT, "queue_messages 3 overflow drop-oldest");
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	send_letters(TO, "abc", id);
	MAIL_UNTIL(mail_client[0].offered > 0);
	send_letters(TO, "def", id + 3);
	for (unsigned i = 0; i < 6; i++)
		cr_expect(mail_status_is(CHAT, id[i], i < 3 ? "displaced" : "pushed"), "%u", i);
	MAIL_UNTIL(stack_metric(&mail_stack.mb[0], "mb_withdrawn_total") == 3);
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].count >= 3 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_str_eq(mail_shown(0), "d e f");
	expect_missed("chat", 0, 0);
	mail_log_out(0);
	mail_log_in(0, "alice");
	MAIL_UNTIL(MAIL_IN_REDIS("0", "EXISTS rs:{alice}:missed"));
	expect_missed("chat", 1, 3);
	cr_expect_eq(mail_client[0].count, 0);
}
