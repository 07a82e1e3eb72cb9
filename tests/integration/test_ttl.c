/* SPDX-License-Identifier: Apache-2.0 */
/* A message is not shown after its time, wherever it is then; and it is before. */
#include "support/mail.h"

#include <criterion/criterion.h>

TestSuite(ttl, .init = mail_start, .fini = mail_stop, .timeout = 120);

/* Half a second beyond its end: what is not to be shown a second later, is not by then. */
static void wait_past(const char *id, unsigned ttl_s)
{
	MAIL_UNTIL(clock_wall_ms() >= mail_end_ms(id, ttl_s) + 500);
}

static void expect_expired(const char *id, unsigned ttl_s, bool was_pushed)
{
	struct text_answer a = mail_status(CHAT, id);
	cr_assert_str_eq(text_answer_value(&a, "state"), "expired", "%s", a.text);
	cr_expect_eq(mail_time(&a, "expired"), mail_time(&a, "stored") + ttl_s * 1000, "%s", a.text);
	cr_expect_eq(mail_time(&a, "pushed") > 0, was_pushed, "%s", a.text);
}

TestThen(mail_stop, ttl, expired_before_the_login)
{
	char id[MAIL_ID], high[MAIL_ID];
	mail_send(CHAT, "to alice\r\nttl 1\r\n", "short", id);
	mail_send(CHAT, "to alice\r\nttl 1\r\npriority high\r\n", "short", high);
	mail_send(CHAT, "to alice\r\nttl 600\r\n", "long", NULL);
	wait_past(high, 1);
	expect_expired(id, 1, false);
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 1 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_str_eq(mail_shown(0), "long");
	expect_expired(id, 1, false); /* also now that it was taken out */
	expect_expired(high, 1, false);
}

TestThen(mail_stop, ttl, shown_a_second_before_its_end)
{
	char id[MAIL_ID];
	mail_send(CHAT, "to alice\r\nttl 3\r\n", "in time", id);
	MAIL_UNTIL(clock_wall_ms() >= mail_end_ms(id, 3) - 1500);
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 1);
	cr_expect(mail_status_is(CHAT, id, "pushed") || mail_status_is(CHAT, id, "acknowledged"));
}

/* The client has it, and does not take it in time. By then the broker asks only every
 * four seconds whether it has: that would be too late. */
TestThen(mail_stop, ttl, expired_in_flight)
{
	char id[MAIL_ID];
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	mail_send(CHAT, "to alice\r\nttl 4\r\n", "short", id);
	mail_send(CHAT, "to alice\r\nttl 600\r\n", "long", NULL);
	MAIL_UNTIL(mail_client[0].offered > 0);
	wait_past(id, 4);
	expect_expired(id, 4, true);
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].count >= 1 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_str_eq(mail_shown(0), "long");
	expect_expired(id, 4, true); /* and not acknowledged: nobody saw it */
}

/* Handed to the broker, but behind others, and not yet sent to the client. */
TestThen(mail_stop, ttl, expired_behind_many_others)
{
	char id[MAIL_ID];
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	mail_send_many("", "m", 0, 200);
	mail_send(CHAT, "to alice\r\nttl 1\r\n", "short", id);
	mail_send_many("", "m", 200, 201);
	wait_past(id, 1);
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].count >= 201 && mail_all_gone());
	cr_expect_eq(mail_client[0].count, 201);
	cr_expect_null(strstr(mail_shown(0), "short"));
	cr_expect(mail_status_is(CHAT, id, "expired"));
}

TestThen(mail_stop, ttl, not_stored_and_expired_in_flight)
{
	char id[MAIL_ID];
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	cr_expect_str_eq(mail_send(CHAT, "to alice\r\nttl 1\r\nstore no\r\n", "short", id), "pushed");
	MAIL_UNTIL(mail_client[0].offered > 0);
	wait_past(id, 1);
	mail_client[0].refuses = false;
	mail_send(CHAT, "to alice\r\n", "next", NULL);
	MAIL_UNTIL(mail_client[0].count >= 1 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 1500);
	cr_expect_str_eq(mail_shown(0), "next");
}

/* It slept until its session was gone, and the message was, too. */
TestThen(mail_stop, ttl, a_client_that_fell_silent_does_not_show_it_later)
{
	char id[MAIL_ID];
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	mail_send(CHAT, "to alice\r\nttl 2\r\n", "short", id);
	MAIL_UNTIL(mail_client[0].offered > 0);
	RECEIVERS_UNTIL(mail_client, 0, MAIL_IN_REDIS("0", "HEXISTS rs:{alice}:presence broker"));
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].onlines == 2);
	mail_send(CHAT, "to alice\r\n", "next", NULL);
	MAIL_UNTIL(mail_client[0].count >= 1 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_str_eq(mail_shown(0), "next");
	expect_expired(id, 2, false);
}
