/* SPDX-License-Identifier: Apache-2.0 */
/* A message with a collapse key takes the place of the waiting one of the same App with
 * the same key, wherever that is on its way. */
#include "support/mail.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(collapse, .init = mail_start, .fini = mail_stop, .timeout = 120);

#define PRICE "to alice\r\ncollapse price\r\n"

TestThen(mail_stop, collapse, only_the_newest_waits)
{
	char id[4][MAIL_ID];
	cr_expect_str_eq(mail_send(CHAT, PRICE, "100", id[0]), "stored");
	mail_send(CHAT, "to alice\r\n", "hello", id[1]);
	mail_send(CHAT, PRICE, "101", id[2]);
	mail_send(CHAT, "to alice\r\ncollapse volume\r\n", "7", NULL);
	mail_send(CHAT, PRICE, "102", id[3]);
	cr_expect_str_eq(mail_waiting(), "hello 7 102||");
	cr_expect(mail_status_is(CHAT, id[0], "replaced"));
	cr_expect(mail_status_is(CHAT, id[2], "replaced"));
	cr_expect(mail_status_is(CHAT, id[3], "stored"));
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 3 && mail_all_gone());
	cr_expect_str_eq(mail_shown(0), "hello 7 102");
	cr_expect(mail_status_is(CHAT, id[3], "acknowledged"));
	cr_expect(mail_status_is(CHAT, id[0], "replaced"));
}

TestThen(mail_stop, collapse, the_key_is_the_apps_own)
{
	char id[MAIL_ID];
	mail_send(CHAT, PRICE, "of chat", id);
	mail_send(SHOP, PRICE, "of shop", NULL);
	cr_expect_str_eq(mail_waiting(), "of chat of shop||");
	cr_expect(mail_status_is(CHAT, id, "stored"));
}

TestThen(mail_stop, collapse, across_priorities)
{
	char id[2][MAIL_ID];
	mail_send(CHAT, PRICE "priority low\r\n", "100", id[0]);
	mail_send(CHAT, "to alice\r\npriority low\r\n", "hello", NULL);
	mail_send(CHAT, PRICE "priority high\r\n", "101", id[1]);
	cr_expect_str_eq(mail_waiting(), "|101|hello");
	mail_send(CHAT, PRICE, "102", NULL);
	cr_expect_str_eq(mail_waiting(), "102||hello");
	cr_expect(mail_status_is(CHAT, id[0], "replaced"));
	cr_expect(mail_status_is(CHAT, id[1], "replaced"));
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count == 2 && mail_all_gone());
	cr_expect_str_eq(mail_shown(0), "102 hello");
}

/* What was shown and is gone is not replaced. */
TestThen(mail_stop, collapse, an_online_user_sees_each)
{
	char id[2][MAIL_ID];
	mail_log_in(0, "alice");
	for (unsigned i = 0; i < 2; i++) {
		cr_expect_str_eq(mail_send(CHAT, PRICE, i ? "101" : "100", id[i]), "pushed");
		MAIL_UNTIL(mail_client[0].count == i + 1 && mail_all_gone());
	}
	cr_expect_str_eq(mail_shown(0), "100 101");
	cr_expect(mail_status_is(CHAT, id[0], "acknowledged"));
	cr_expect(mail_status_is(CHAT, id[1], "acknowledged"));
}

/* The client has the old one and has not taken it: it is told not to show it. */
static void replace_in_flight(const char *fields, const char *newer)
{
	char id[3][MAIL_ID];
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	cr_expect_str_eq(mail_send(CHAT, PRICE, "100", id[0]), "pushed");
	mail_send(CHAT, "to alice\r\n", "hello", id[1]);
	MAIL_UNTIL(mail_client[0].offered > 0);
	cr_expect_str_eq(mail_send(CHAT, fields, newer, id[2]), "pushed");
	cr_expect(mail_status_is(CHAT, id[0], "replaced"));
	MAIL_UNTIL(stack_metric(&mail_stack.mb[0], "mb_withdrawn_total") == 1);
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].count >= 2 && mail_all_gone());
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_str_eq(mail_shown(0), "hello 101");
	cr_expect(mail_status_is(CHAT, id[0], "replaced"));
	cr_expect(mail_status_is(CHAT, id[2], "acknowledged"));
	mail_log_out(0);
	mail_log_in(0, "alice");
	receivers_turn_for(mail_client, 1, 300);
	cr_expect_eq(mail_client[0].count, 0);
}

TestThen(mail_stop, collapse, in_flight) { replace_in_flight(PRICE, "101"); }
TestThen(mail_stop, collapse, in_flight_and_across_priorities) { replace_in_flight(PRICE "priority low\r\n", "101"); }

/* By two DCs in turn, under the hands of a client that takes what comes: the newest is
 * shown in the end, and never an older one after it. */
TestThen(mail_stop, collapse, many_in_a_row_by_two_dcs)
{
	enum { MANY = 400 };
	char body[16];
	struct text_answer a;
	mail_log_in(0, "alice");
	for (int n = 1; n <= MANY; n++) {
		snprintf(body, sizeof body, "%d", n);
		a = mail_try_by((unsigned)n % 2, CHAT, PRICE, body);
		cr_assert_eq(a.code, 200, "%s", a.text);
		receivers_turn(mail_client, 1, 0);
	}
	MAIL_UNTIL(mail_all_gone() && mail_client[0].count > 0);
	receivers_turn_for(mail_client, 1, 300);
	for (size_t i = 1; i < mail_client[0].count; i++)
		cr_expect_lt(atoi((const char *)mail_client[0].shown[i - 1].body),
			     atoi((const char *)mail_client[0].shown[i].body));
	cr_expect_eq(atoi((const char *)mail_client[0].shown[mail_client[0].count - 1].body), MANY);
}
