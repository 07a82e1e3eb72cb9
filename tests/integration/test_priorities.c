/* SPDX-License-Identifier: Apache-2.0 */
/* Three queues a user: what is high comes first, what is low last, and each keeps its
 * order, whatever fails on the way. */
#include "support/mail.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(priorities, .init = mail_start, .fini = mail_stop, .timeout = 180);

#define HIGH "priority high\r\n"
#define LOW "priority low\r\n"

/* The place of the first one shown that begins with this word; the count if none does. */
static size_t place_of(const char *word)
{
	size_t i = 0;
	while (i < mail_client[0].count && strncmp((const char *)mail_client[0].shown[i].body, word, strlen(word)) != 0)
		i++;
	return i;
}

/* Those that begin with this word are "<word>0", "<word>1", ... up to `count`, in order. */
static void expect_in_order(const char *word, unsigned count)
{
	unsigned n = 0;
	size_t len = strlen(word);
	for (size_t i = 0; i < mail_client[0].count; i++) {
		const char *body = (const char *)mail_client[0].shown[i].body;
		if (strncmp(body, word, len) == 0)
			cr_assert_eq((unsigned)atoi(body + len), n++, "at %zu: %s", i, body);
	}
	cr_expect_eq(n, count, "%u of %s", n, word);
}

static void expect_all_in_order(unsigned count)
{
	expect_in_order("high", count);
	expect_in_order("normal", count);
	expect_in_order("low", count);
}

static void send_to_all_lanes(unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n += 10) {
		mail_send_many(LOW, "low", n, n + 10);
		mail_send_many("", "normal", n, n + 10);
		mail_send_many(HIGH, "high", n, n + 10);
	}
}

TestThen(mail_stop, priorities, high_then_normal_then_low_at_login)
{
	enum { EACH = 200 }; /* three pages of a fetch */
	send_to_all_lanes(0, EACH);
	mail_log_in(0, "alice");
	MAIL_UNTIL(mail_client[0].count >= 3 * EACH);
	expect_all_in_order(EACH);
	cr_expect_eq(place_of("normal0"), EACH);
	cr_expect_eq(place_of("low0"), 2 * EACH);
	MAIL_UNTIL(mail_all_gone());
	cr_expect_eq(mail_client[0].count, 3 * EACH);
}

/* 64 are under way at most; the high one comes right behind these. */
TestThen(mail_stop, priorities, a_high_one_overtakes_what_was_not_handed_over)
{
	enum { MANY = 1000, UNDER_WAY = 64 };
	mail_send_many("", "normal", 0, MANY);
	mail_log_in(0, "alice");
	mail_client[0].refuses = true;
	size_t before = mail_client[0].count;
	MAIL_UNTIL(mail_client[0].offered > 0);
	mail_send_many(HIGH, "high", 0, 2);
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].count >= MANY + 2);
	expect_in_order("normal", MANY);
	expect_in_order("high", 2);
	cr_expect_leq(place_of("high0"), before + 2 * UNDER_WAY, "it came at %zu", place_of("high0"));
	MAIL_UNTIL(mail_all_gone());
}

TestThen(mail_stop, priorities, an_online_user_gets_all_kinds)
{
	mail_log_in(0, "alice");
	send_to_all_lanes(0, 100);
	MAIL_UNTIL(mail_client[0].count >= 300);
	expect_all_in_order(100);
	MAIL_UNTIL(mail_all_gone());
}

/* The broker asks one of the two, each dies once. */
TestThen(mail_stop, priorities, all_queues_survive_the_loss_of_a_dc)
{
	enum { EACH = 150 };
	mail_log_in(0, "alice");
	for (unsigned dc = 0; dc < 2; dc++) {
		mail_client[0].refuses = true;
		send_to_all_lanes(dc * EACH, (dc + 1) * EACH);
		MAIL_UNTIL(mail_client[0].offered > dc);
		stack_kill(&mail_stack.dc[dc]);
		mail_client[0].refuses = false;
		MAIL_UNTIL(mail_client[0].count >= 3 * EACH * (dc + 1));
		MAIL_UNTIL(mail_all_gone());
		stack_restart(&mail_stack.dc[dc]);
		stack_wait_ready(&mail_stack.dc[dc]);
		MAIL_UNTIL(stack_metric(&mail_stack.dc[dc], "dc_links") == 1);
		mail_connect(dc);
	}
	expect_all_in_order(2 * EACH);
	cr_expect_eq(mail_client[0].count, 6 * EACH);
	cr_expect_eq(mail_client[0].onlines, 1);
}

/* Stored by a DC that died before it could push: the next one in the same queue tells. */
TestThen(mail_stop, priorities, a_push_that_is_lacking_is_fetched_in_each_queue)
{
	static const struct {
		const char *key, *words, *fields;
	} lanes[] = {{LUA_QUEUE, "", "to alice\r\n"},
		     {LUA_HIGH, " p=high", "to alice\r\n" HIGH},
		     {LUA_LOW, " p=low", "to alice\r\n" LOW}};
	mail_log_in(0, "alice");
	for (unsigned i = 0; i < 3; i++)
		mail_send(CHAT, lanes[i].fields, "first", NULL);
	MAIL_UNTIL(mail_client[0].count == 3 && mail_all_gone());
	mail_client[0].refuses = true;
	for (unsigned i = 0; i < 3; i++) {
		const char *record = lua_record_of("chat", i, lua_now_ms(mail_stack.c) + 600000, lanes[i].words, "lost");
		double gaps = stack_metric(&mail_stack.mb[0], "mb_push_gaps_total");
		mail_send(CHAT, lanes[i].fields, "before", NULL);
		cr_assert_str_neq(redis_text(mail_stack.c, "RPUSH %s %s", lanes[i].key, record), "1");
		mail_send(CHAT, lanes[i].fields, "after", NULL);
		MAIL_UNTIL(stack_metric(&mail_stack.mb[0], "mb_push_gaps_total") == gaps + 1);
	}
	mail_client[0].refuses = false;
	MAIL_UNTIL(mail_client[0].count == 12);
	cr_expect_str_eq(mail_shown(0), "first first first before lost after before lost after before lost after");
	MAIL_UNTIL(mail_all_gone());
}
