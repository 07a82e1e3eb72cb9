/* SPDX-License-Identifier: Apache-2.0 */
/* PRESENCE-EVENTS of a DC, with a broker that is played by the test: more changes than
 * a watcher takes. */
#include "support/dc_fixture.h"
#include "support/fake_broker.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1000, CHUNKS_MAX = 500 };

static struct dc_fixture f;
static struct ev_loop *loop;
static struct text_client slow, quick;
static struct fake_broker mb1;

static void watch(struct text_client *c)
{
	dc_fixture_client(&f, c);
	struct text_answer a = text_client_ask(c, "PRESENCE-EVENTS 1\r\n\r\n");
	cr_assert_str_eq(a.text, "OK 200\r\n");
}

static void start(void)
{
	dc_fixture_start(&f, NULL, NULL);
	loop = ev_loop_new(EVFLAG_AUTO);
	fake_broker_open(&mb1, loop, &f.brokers, NULL, "mb1", 5);
	watch(&slow);
	watch(&quick);
}

static void stop(void)
{
	fake_broker_close(&mb1);
	if (loop)
		ev_loop_destroy(loop);
	loop = NULL;
	text_client_close(&slow);
	text_client_close(&quick);
	dc_fixture_stop(&f);
}
TestSuite(dc_watch, .init = start, .fini = stop, .timeout = 120);

static void change(unsigned n)
{
	char user[16];
	struct link_message m = {.type = LINK_PRESENCE};
	m.presence = (struct link_presence){n % 2, 1795471644473, {user, (size_t)snprintf(user, sizeof user, "u%u", n)}};
	fake_broker_send(&mb1, &m);
}

/* Takes a block; the number of its user, or after LAGGED how many are to be added. */
static unsigned take(struct text_client *c, unsigned expected, bool *lagged)
{
	struct text_answer a;
	cr_assert(text_client_read(c, &a));
	*lagged = strncmp(a.text, "LAGGED 1\r\n", 10) == 0;
	if (*lagged)
		return (unsigned)strtoul(text_answer_value(&a, "missed"), NULL, 10);
	cr_assert_eq(strncmp(a.text, "PRESENCE 1\r\n", 12), 0, "%s", a.text);
	unsigned n = (unsigned)strtoul(text_answer_value(&a, "user") + 1, NULL, 10);
	cr_assert_eq(n, expected, "%s instead of u%u", a.text, expected);
	cr_assert_str_eq(text_answer_value(&a, "state"), n % 2 ? "online" : "offline");
	return 1;
}

TestThen(stop, dc_watch, a_slow_one_is_told_what_it_missed_and_holds_nobody_up)
{
	unsigned sent = 0, at = 0, read = 0, gaps = 0;
	bool lagged;
	while (dc_fixture_metric(&f, "restante_dc_presence_missed_total") == 0) {
		cr_assert_lt(sent, CHUNK * CHUNKS_MAX);
		for (unsigned i = 0; i < CHUNK; i++)
			change(sent++);
		cr_assert(fake_broker_is_quiet(&mb1));
		for (unsigned i = 0; i < CHUNK; i++)
			cr_assert_eq(take(&quick, read++, &lagged), 1);
	}
	while (at < sent) {
		at += take(&slow, at, &lagged);
		gaps += lagged;
	}
	cr_expect_eq(at, sent);
	cr_expect_eq(gaps, 1);
	change(sent);
	cr_assert(fake_broker_is_quiet(&mb1));
	cr_expect_eq(take(&slow, sent, &lagged), 1);
	cr_expect_eq(take(&quick, sent, &lagged), 1);
}

TestThen(stop, dc_watch, no_more_than_that_many_bytes_wait)
{
	double sent = 0, before;
	do {
		before = sent;
		for (unsigned i = 0; i < 20 * CHUNK; i++)
			change(i);
		cr_assert(fake_broker_is_quiet(&mb1));
		sent = dc_fixture_metric(&f, "restante_dc_presence_events_total");
	} while (sent > before);
	cr_expect_gt(dc_fixture_metric(&f, "restante_dc_presence_missed_total"), 0);
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_presence_streams"), 2);
}
