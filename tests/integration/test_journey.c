/* SPDX-License-Identifier: Apache-2.0 */
/* The offline journey, end to end: an App speaks the raw text protocol, the
 * message waits in Redis, the client comes through the balancer and a broker. */
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct stack s;
static struct receiver r;

static void start(void) { stack_start(&s, &(struct stack_options){0}); }

static void stop(void)
{
	if (r.client)
		receiver_close(&r);
	stack_stop(&s);
}
TestSuite(journey, .init = start, .fini = stop, .timeout = 120);
TestSuite(journey_other, .fini = stop, .timeout = 120);

static void log_in(const char *user)
{
	char session[STACK_SESSION];
	receiver_open(&r, &s, user, stack_session(&s, user, 600, session));
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
}

static bool answer_is(const struct text_answer *a, const char *name, const char *value)
{
	return strcmp(text_answer_value(a, name), value) == 0;
}

static bool presence_is(struct text_client *app, const char *user, const char *state)
{
	struct text_answer a = text_client_ask(app, "PRESENCE 1\r\nuser %s\r\n\r\n", user);
	cr_assert_eq(a.code, 200);
	return answer_is(&a, "state", state);
}

#define in_redis(command, is) (strcmp(redis_text(s.c, command), is) == 0)

/* A record as docs/redis.md promises it to a person at redis-cli. */
static void expect_readable_record(const char *id, const char *app_id, const char *body)
{
	char got_id[32], app[32], got_app_id[80], text[256];
	long long sent, expires;
	snprintf(text, sizeof text, "%s", redis_text(s.c, "LINDEX rs:{alice}:queue 0"));
	cr_assert_eq(sscanf(text, "%26s %31s %13lld %13lld %64s", got_id, app, &sent, &expires, got_app_id),
		     5, "%s", text);
	cr_expect_str_eq(got_id, id);
	cr_expect_str_eq(app, "chat");
	cr_expect_str_eq(got_app_id, app_id);
	cr_expect_eq(expires - sent, 3600 * 1000);
	cr_expect_str_eq(strchr(text, '\n') + 1, body);
}

TestThen(stop, journey, a_message_waits_for_its_user)
{
	struct text_client app;
	stack_client(&s, &app);
	cr_expect(presence_is(&app, "alice", "offline"));
	struct text_answer a = text_client_ask(
		&app, "SEND 1\r\nid order-17\r\nto alice\r\nttl 3600\r\nlength 5\r\n\r\nhello");
	cr_assert(answer_is(&a, "state", "stored"), "%s", a.text);
	cr_expect(in_redis("TYPE rs:{alice}:queue", "list"));
	cr_expect(in_redis("LLEN rs:{alice}:queue", "1"));
	cr_expect(in_redis("EXISTS rs:{alice}:presence", "0"));
	expect_readable_record(text_answer_value(&a, "message"), "order-17", "hello");

	log_in("alice");
	RECEIVERS_UNTIL(&r, 1, r.count == 1);
	cr_expect(receiver_was_shown(&r, 0, "hello", 5));
	cr_expect_str_eq(r.shown[0].id, text_answer_value(&a, "message"));
	cr_expect_str_eq(r.shown[0].app_id, "order-17");
	cr_expect_eq(r.shown[0].stored, 1);
	RECEIVERS_UNTIL(&r, 1, in_redis("EXISTS rs:{alice}:queue", "0"));
	cr_expect(in_redis("TYPE rs:{alice}:presence", "hash"));
	cr_expect(in_redis("HGET rs:{alice}:presence broker", "mb1"));
	cr_expect(in_redis("HEXISTS rs:{alice}:presence lease", "1"));
	cr_expect(presence_is(&app, "alice", "online"));

	receiver_close(&r);
	RECEIVERS_UNTIL(&r, 0, presence_is(&app, "alice", "offline"));
	cr_expect(in_redis("HEXISTS rs:{alice}:presence broker", "0"));
	cr_expect(in_redis("HEXISTS rs:{alice}:presence seen", "1"));
	text_client_close(&app);
}

TestThen(stop, journey, a_message_is_pushed_to_who_is_online)
{
	struct text_client app;
	stack_client(&s, &app);
	log_in("alice");
	for (unsigned i = 0; i < 3; i++) {
		struct text_answer a = text_client_ask(&app, "SEND 1\r\nto alice\r\nlength 2\r\n\r\nm%u", i);
		cr_expect(answer_is(&a, "state", "pushed"), "%s", a.text);
	}
	struct text_answer a = text_client_ask(&app, "SEND 1\r\nto alice\r\nstore no\r\nlength 2\r\n\r\nm3");
	cr_expect_eq(a.code, 200);
	RECEIVERS_UNTIL(&r, 1, r.count == 4);
	for (unsigned i = 0; i < 4; i++) {
		char body[] = {'m', (char)('0' + i)};
		cr_expect(receiver_was_shown(&r, i, body, 2));
		cr_expect_eq(r.shown[i].stored, i < 3);
	}
	RECEIVERS_UNTIL(&r, 1, in_redis("EXISTS rs:{alice}:queue", "0"));
	text_client_close(&app);
}

/* What was pushed and not taken stays, and is offered again. */
TestThen(stop, journey, a_message_that_is_not_taken_stays)
{
	struct text_client app;
	stack_client(&s, &app);
	log_in("alice");
	r.refuses = true;
	cr_assert_eq(text_client_ask(&app, "SEND 1\r\nto alice\r\nlength 2\r\n\r\nhi").code, 200);
	RECEIVERS_UNTIL(&r, 1, r.offered == 2);
	cr_expect(in_redis("LLEN rs:{alice}:queue", "1"));
	r.refuses = false;
	RECEIVERS_UNTIL(&r, 1, r.count == 1);
	RECEIVERS_UNTIL(&r, 1, in_redis("EXISTS rs:{alice}:queue", "0"));
	text_client_close(&app);
}

TestThen(stop, journey, silence_means_offline)
{
	struct text_client app;
	stack_client(&s, &app);
	log_in("alice");
	RECEIVERS_UNTIL(&r, 0, presence_is(&app, "alice", "offline")); /* and is not turned */
	struct text_answer a = text_client_ask(&app, "SEND 1\r\nto alice\r\nlength 2\r\n\r\nhi");
	cr_expect(answer_is(&a, "state", "stored"));
	RECEIVERS_UNTIL(&r, 1, r.count == 1);
	cr_expect(receiver_is_online(&r));
	cr_expect_eq(r.onlines, 2);
	cr_expect(presence_is(&app, "alice", "online"));
	text_client_close(&app);
}

/* ---- with nc ---- */

static void run_nc(const char *input, char *out, size_t cap)
{
	char command[1024];
	snprintf(command, sizeof command, "printf '%s' | nc -N 127.0.0.1 %u", input, s.dc[0].front);
	FILE *f = popen(command, "re");
	cr_assert_not_null(f);
	size_t n = fread(out, 1, cap - 1, f);
	out[n] = '\0';
	cr_expect_eq(pclose(f), 0);
}

TestThen(stop, journey, nc_gets_its_answers)
{
	char out[4096];
	run_nc("AUTH 1\\r\\napp chat\\r\\nkey " STACK_KEY "\\r\\n\\r\\n"
	       "SEND 1\\r\\nto alice\\r\\nlength 5\\r\\n\\r\\nhello"
	       "PRESENCE 1\\r\\nuser alice\\r\\n\\r\\n",
	       out, sizeof out);
	cr_expect(strstr(out, "OK 200\r\napp chat\r\n\r\n") == out, "%s", out);
	cr_expect(strstr(out, "state stored\r\n\r\n"), "%s", out);
	cr_expect(strstr(out, "state offline\r\n"), "%s", out);
	log_in("alice");
	RECEIVERS_UNTIL(&r, 1, r.count == 1);
	cr_expect(receiver_was_shown(&r, 0, "hello", 5));
}

/* Lines may end as a terminal ends them. */
TestThen(stop, journey, nc_with_plain_line_ends)
{
	char out[4096];
	run_nc("AUTH 1\\napp chat\\nkey " STACK_KEY "\\n\\nSEND 1\\nto alice\\nlength 5\\n\\nhello\\n", out,
	       sizeof out);
	cr_expect(strstr(out, "state stored\r\n\r\n"), "%s", out);
	cr_expect(in_redis("LLEN rs:{alice}:queue", "1"));
}

TestThen(stop, journey, a_request_that_ends_half_way_is_refused)
{
	static const char *const half[] = {"SEND 1\\r\\nto alice\\r\\nlength 6\\r\\n\\r\\nhello",
					   "SEND 1\\r\\nto alice\\r\\n", "SEND"};
	char out[4096], in[512];
	for (size_t i = 0; i < sizeof half / sizeof *half; i++) {
		snprintf(in, sizeof in, "AUTH 1\\r\\napp chat\\r\\nkey " STACK_KEY "\\r\\n\\r\\n%s", half[i]);
		run_nc(in, out, sizeof out);
		cr_expect(strstr(out, "ERR 400\r\n"), "%zu: %s", i, out);
	}
	cr_expect(in_redis("EXISTS rs:{alice}:queue", "0"));
}

/* A thousand answers are due when the sending side ends: all come. */
TestThen(stop, journey, answers_outlive_the_half_closed_connection)
{
	enum { COUNT = 1500 };
	struct text_client app;
	struct text_answer a;
	stack_client(&s, &app);
	for (unsigned i = 0; i < COUNT; i++)
		text_client_printf(&app, "SEND 1\r\nid n%u\r\nto bob\r\nlength 1\r\n\r\nx", i);
	cr_assert_eq(shutdown(app.fd, SHUT_WR), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		char id[16];
		snprintf(id, sizeof id, "n%u", i);
		cr_assert(text_client_read(&app, &a), "no answer %u", i);
		cr_assert(answer_is(&a, "id", id) && answer_is(&a, "state", "stored"), "%s", a.text);
	}
	cr_expect(text_client_is_closed(&app));
	text_client_close(&app);
}

/* ---- other set-ups ---- */

TestThen(stop, journey_other, without_tls_inside)
{
	struct text_client app;
	stack_start(&s, &(struct stack_options){.plaintext = true});
	stack_client(&s, &app);
	cr_assert_eq(text_client_ask(&app, "SEND 1\r\nto alice\r\nlength 2\r\n\r\nhi").code, 200);
	log_in("alice");
	RECEIVERS_UNTIL(&r, 1, r.count == 1);
	text_client_close(&app);
}

/* One of two balancers is dead: whichever the client asks first, it gets in. */
TestThen(stop, journey_other, a_balancer_is_dead)
{
	stack_start(&s, &(struct stack_options){.lbs = 2});
	stack_kill(&s.lb[0]);
	for (unsigned i = 0; i < 4; i++) {
		log_in("alice");
		receiver_close(&r);
	}
}
