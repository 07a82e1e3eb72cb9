/* SPDX-License-Identifier: Apache-2.0 */
/* What a client asks of the service, and what that tells it beside messages. */
#include "support/client_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

enum { REQUESTS_MAX = 32 };

TestSuite(requests, .init = fixture_start, .fini = fixture_stop, .timeout = 120);

static bool four_replies(void) { return fixture.shown.replies == 4; }

Test(requests, requests_are_carried_out_in_order_also_those_made_before_it_is_online)
{
	static const struct fixture_asked want[] = {
		{REQUEST_SUBSCRIBE, "news/+"}, {REQUEST_STORE_OFF, "*"}, {REQUEST_STORE_ON, "chat"},
		{REQUEST_UNSUBSCRIBE, "from/inside"}};
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	fixture.shown.asks_at = 3;
	cr_assert_eq(restante_subscribe(r, "news/+"), 1);
	cr_assert_eq(restante_set_storage(r, NULL, 0), 2);
	cr_assert_eq(restante_set_storage(r, "chat", 1), 3);
	cr_assert(fixture_run(r, four_replies));
	cr_assert_eq(fixture.asks, 4);
	for (unsigned i = 0; i < 4; i++) {
		cr_expect_eq(fixture.asked[i].kind, want[i].kind);
		cr_expect_str_eq(fixture.asked[i].text, want[i].text);
		cr_expect_eq(fixture.shown.reply_number[i], (int)i + 1);
		cr_expect_eq(fixture.shown.reply_code[i], i == 1 ? RESTANTE_REPLY_TOO_MANY : RESTANTE_REPLY_DONE);
	}
	restante_close(r);
}

Test(requests, requests_that_are_refused)
{
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	cr_expect_eq(restante_subscribe(r, "a b"), RESTANTE_ERROR_NAME);
	cr_expect_eq(restante_unsubscribe(r, ""), RESTANTE_ERROR_NAME);
	cr_expect_eq(restante_subscribe(r, NULL), RESTANTE_ERROR_NAME);
	cr_expect_eq(restante_set_storage(r, "{}", 1), RESTANTE_ERROR_NAME);
	for (int i = 1; i <= REQUESTS_MAX; i++)
		cr_assert_eq(restante_subscribe(r, "a"), i);
	cr_expect_eq(restante_subscribe(r, "a"), RESTANTE_ERROR_MANY);
	restante_stop(r);
	cr_expect_eq(restante_subscribe(r, "a"), RESTANTE_ERROR_STOPPED);
	for (int e = RESTANTE_ERROR_STOPPED; e < 0; e++)
		cr_expect(strlen(restante_error_text(e)) > 0);
	cr_expect_str_eq(restante_reply_text(RESTANTE_REPLY_TOO_MANY), "too many");
	cr_expect_str_eq(restante_reply_text(77), "refused");
	restante_close(r);
}

/* A notice that is not understood is acknowledged, and nobody hears of it. */
Test(requests, notices_are_no_messages)
{
	struct restante_options o = fixture_options();
	fixture_add("first", 5);
	fixture_add_notice("missed 3");
	fixture_add_notice("missed all");
	fixture_add_notice("");
	fixture_add("of a topic", 10);
	fixture.queue[4].topic = "news/today";
	struct restante *r = fixture_open(&o);
	cr_assert(fixture_run(r, fixture_all_acked));
	cr_assert_eq(fixture.shown.count, 2);
	cr_assert(fixture.shown.notices == 1 && fixture.shown.missed == 3);
	restante_close(r);
}

Test(requests, notices_that_nobody_wants_to_hear)
{
	struct restante_options o = fixture_options();
	o.on_missed = NULL;
	fixture_add_notice("missed 3");
	struct restante *r = fixture_open(&o);
	cr_assert(fixture_run(r, fixture_all_acked));
	cr_assert(fixture.shown.count == 0 && fixture.shown.notices == 0);
	restante_close(r);
}
