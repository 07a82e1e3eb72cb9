/* SPDX-License-Identifier: Apache-2.0 */
/* restante-dc and broadcasts: what its brokers are told, and the limits. The brokers
 * are played by the test. */
#include "net/tls.h"
#include "support/dc_fixture.h"
#include "support/fake_broker.h"
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>

static struct dc_fixture f;
static struct ev_loop *loop;
static struct text_client c;
static struct fake_broker mb[2];

static void start(void)
{
	static const char *const args[] = {"--broadcasts-max", "2", NULL};
	dc_fixture_start(&f, NULL, args);
	dc_fixture_client(&f, &c);
	loop = ev_loop_new(EVFLAG_AUTO);
}

static void link_brokers(void)
{
	fake_broker_open(&mb[0], loop, &f.brokers, NULL, "mb1", 11);
	fake_broker_open(&mb[1], loop, &f.brokers, NULL, "mb2", 12);
}

static void stop(void)
{
	for (int i = 0; i < 2; i++)
		if (mb[i].link)
			fake_broker_close(&mb[i]);
	if (loop)
		ev_loop_destroy(loop);
	loop = NULL;
	text_client_close(&c);
	dc_fixture_stop(&f);
}

TestSuite(dc_broadcast, .init = start, .fini = stop, .timeout = 60);

static struct text_answer ask(const char *fields)
{
	return text_client_ask(&c, "BROADCAST 1\r\n%slength 5\r\n\r\nhello", fields);
}

static void expect(const struct text_answer *a, const char *state, const char *brokers)
{
	cr_expect_eq(a->code, 200, "%s", a->text);
	cr_expect_str_eq(text_answer_value(a, "state"), state);
	cr_expect_str_eq(text_answer_value(a, "brokers"), brokers);
}

TestThen(stop, dc_broadcast, without_a_broker_it_is_dropped_unless_it_is_kept)
{
	struct text_answer a = ask("");
	expect(&a, "dropped", "0");
	a = ask("lifetime 60\r\n");
	expect(&a, "kept", "0");
	cr_expect_str_eq(redis_text(f.c, "ZCARD %s", LUA_KEPT), "1");
}

TestThen(stop, dc_broadcast, each_broker_is_told)
{
	struct record r;
	struct ulid id;
	link_brokers();
	struct text_answer a = ask("id news-3\r\n");
	expect(&a, "sent", "2");
	cr_assert_eq(ulid_parse(text_answer_value(&a, "message"), &id), RS_OK);
	for (int i = 0; i < 2; i++) {
		struct link_message m = fake_broker_next(&mb[i], LINK_BROADCAST);
		cr_assert_eq(record_parse(m.broadcast.record, m.broadcast.record_len, &r), RS_OK);
		cr_expect(ulid_equal(&r.id, &id) && r.body_len == 5 && r.app_id_len == 6);
		cr_expect_eq(r.expires_ms - r.sent_ms, 60000);
	}
	a = ask("lifetime 60\r\nid news-4\r\n");
	expect(&a, "kept", "2");
	a = ask("lifetime 60\r\nid news-4\r\n");
	cr_expect_str_eq(text_answer_value(&a, "state"), "duplicate");
	a = text_client_ask(&c, "WITHDRAW 1\r\nmessage %s\r\n\r\n", text_answer_value(&a, "message"));
	cr_expect_str_eq(text_answer_value(&a, "state"), "withdrawn", "%s", a.text);
	for (int i = 0; i < 2; i++)
		for (int told = 0; told < 3; told++)
			fake_broker_next(&mb[i], LINK_KEPT);
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_broadcasts_total{state=\"kept\"}"), 1);
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_withdrawn_total"), 1);
}

TestThen(stop, dc_broadcast, no_more_are_kept_than_may_be)
{
	struct text_answer a = ask("lifetime 60\r\n");
	expect(&a, "kept", "0");
	a = ask("lifetime 60\r\n");
	expect(&a, "kept", "0");
	const char *kept = dc_fixture_stored(&f);
	a = ask("lifetime 60\r\nid news-3\r\n");
	cr_expect_eq(a.code, 429, "%s", a.text);
	cr_expect_str_eq(dc_fixture_stored(&f), kept, "and its id is not used up");
}

TestThen(stop, dc_broadcast, nobody_broadcasts_before_auth)
{
	struct text_client stranger;
	text_client_open(&stranger, &f.apps);
	cr_expect_eq(text_client_ask(&stranger, "BROADCAST 1\r\n\r\n").code, 401);
	cr_expect_eq(text_client_ask(&stranger, "WITHDRAW 1\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\n\r\n").code, 401);
	text_client_close(&stranger);
}
