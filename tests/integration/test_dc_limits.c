/* SPDX-License-Identifier: Apache-2.0 */
/* What an App may do is said by `restante app`, and obeyed by restante-dc, also on
 * connections that are open. Waiting is for a condition, with a deadline; where time
 * gives something back, what it can have given is counted. */
#include "base/clock.h"
#include "support/cli_run.h"
#include "support/dc_fixture.h"
#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 20000, BURST = 5 };

static struct dc_fixture f;
static char key[CLI_KEY_MAX];

static void start(void) { dc_fixture_start(&f, NULL, NULL); }
static void stop(void) { dc_fixture_stop(&f); }
TestSuite(limits, .init = start, .fini = stop, .timeout = 90);

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); }

/* An App "shop" and a connection of it. */
static void open_shop(struct text_client *c, const char *limits)
{
	char arguments[256];
	snprintf(arguments, sizeof arguments, "app create shop %s", limits);
	cli_run_key(&f.redis, key, arguments);
	text_client_open(c, &f.apps);
	text_client_auth(c, "shop", key);
}

static void cli_ok(const char *arguments)
{
	struct cli_result r = cli_run(&f.redis, "%s", arguments);
	cr_assert_eq(r.code, 0, "%s: %s", arguments, r.out);
}

/* Sends so many at once; how many were let through. The others were told to wait. */
static unsigned burst(struct text_client *c, unsigned count)
{
	struct text_answer a;
	unsigned passed = 0;
	for (unsigned i = 0; i < count; i++)
		text_client_printf(c, "SEND 1\r\nid %u\r\nto alice\r\nstore no\r\n\r\n", i);
	for (unsigned i = 0; i < count; i++) {
		char refused[160];
		snprintf(refused, sizeof refused, "ERR 429\r\nid %u\r\nretry-after 1\r\n"
			 "reason over the 1 messages a second of this App\r\n", i);
		cr_assert(text_client_read(c, &a));
		passed += a.code == 200;
		if (a.code != 200)
			cr_expect_str_eq(a.text, refused);
	}
	return passed;
}

static double limited(const char *by)
{
	char name[80];
	snprintf(name, sizeof name, "restante_dc_app_limited_total{limit=\"%s\"}", by);
	return dc_fixture_metric(&f, name);
}

/* One bucket for all connections of the App, those to come as well. */
TestThen(stop, limits, rate)
{
	struct text_client c, second, other;
	uint64_t began = clock_mono_ms();
	open_shop(&c, "--rate 1 --burst 5");
	text_client_open(&second, &f.apps);
	text_client_auth(&second, "shop", key);
	dc_fixture_client(&f, &other);
	unsigned passed = burst(&c, 20);
	cr_expect_geq(passed, BURST);
	passed += burst(&second, 20);
	text_client_close(&c);
	text_client_close(&second);
	text_client_open(&c, &f.apps);
	text_client_auth(&c, "shop", key);
	passed += burst(&c, 20);
	unsigned back = (unsigned)((clock_mono_ms() - began) / 1000) + 1;
	cr_expect_leq(passed, BURST + back, "%u passed", passed);
	cr_expect_eq(limited("rate"), 60 - passed);
	cr_expect_eq(burst(&other, 20), 20, "another App");
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_apps_known"), 2);
	text_client_close(&c);
	text_client_close(&other);
}

/* What was refused comes through when the time is over that was told. */
TestThen(stop, limits, retry_after_holds)
{
	struct text_client c;
	open_shop(&c, "--rate 1 --burst 1");
	burst(&c, 5);
	struct text_answer a = text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n");
	if (a.code == 429) {
		unsigned wait_s = (unsigned)strtoul(text_answer_value(&a, "retry-after"), NULL, 10);
		cr_assert_eq(wait_s, 1);
		nanosleep(&(struct timespec){.tv_sec = wait_s}, NULL);
		a = text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n");
	}
	cr_expect_eq(a.code, 200, "%s", a.text);
	text_client_close(&c);
}

/* True: the 20 in one pipeline were all let through; with a limit of 1 they cannot be. */
static bool is_unlimited(struct text_client *c) { return burst(c, 20) == 20; }

TestThen(stop, limits, set_takes_effect_without_a_new_connection)
{
	struct text_client c;
	open_shop(&c, "--rate 1 --burst 1");
	cr_expect_not(is_unlimited(&c));
	cli_ok("app set shop --rate none --body-max 3");
	uint64_t until = clock_mono_ms() + WAIT_MS;
	while (!is_unlimited(&c)) {
		cr_assert(clock_mono_ms() < until, "the limit stays");
		nap();
	}
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\nlength 4\r\n\r\n1234").code, 413);
	cli_ok("app set shop --rate 1");
	until = clock_mono_ms() + WAIT_MS;
	while (is_unlimited(&c)) {
		cr_assert(clock_mono_ms() < until, "no limit comes");
		nap();
	}
	cr_expect(daemon_process_logged(&f.dc, "msg=\"app is over its limits\" app=shop"));
	text_client_close(&c);
}

TestThen(stop, limits, body_max)
{
	static const struct {
		size_t len;
		int code;
	} cases[] = {{0, 200}, {100, 200}, {101, 413}, {16384, 413}, {20000, 413}, {100, 200}};
	struct text_client c;
	struct text_answer a;
	char *body = calloc(1, 20000);
	cr_assert_not_null(body);
	open_shop(&c, "--body-max 100");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		text_client_printf(&c, "SEND 1\r\nid %zu\r\nto alice\r\nlength %zu\r\n\r\n", i, cases[i].len);
		text_client_write(&c, body, cases[i].len);
		text_client_printf(&c, "PING 1\r\n\r\n");
		cr_assert(text_client_read(&c, &a));
		cr_expect_eq(a.code, cases[i].code, "%zu: %s", i, a.text);
		if (a.code == 413)
			cr_expect_str_eq(text_answer_value(&a, "reason"), "length is over 100 bytes, the limit of this App");
		cr_assert(text_client_read(&c, &a));
		cr_expect_eq(a.code, 200, "%zu: out of step", i);
	}
	cr_expect_eq(limited("body_max"), 3);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "3");
	text_client_close(&c);
	free(body);
}

/* Somebody wrote them by hand. */
TestThen(stop, limits, values_that_are_none_count_as_absent)
{
	struct text_client c;
	redis_text(f.c, "HSET rs:app:chat rate many burst 0 body_max 99999 overflow maybe broadcast -");
	dc_fixture_client(&f, &c);
	cr_expect_eq(burst(&c, 20), 20);
	cr_expect(daemon_process_logged(&f.dc, "app=chat field=rate value=many"));
	cr_expect(daemon_process_logged(&f.dc, "app=chat field=body_max value=99999"));
	text_client_close(&c);
}

/* Until the connection is refused: it speaks for nobody. */
static void wait_for_401(struct text_client *c)
{
	uint64_t until = clock_mono_ms() + WAIT_MS;
	struct text_answer a = {.code = 0};
	while (a.code != 401) {
		cr_assert(clock_mono_ms() < until, "it is still heard: %s", a.text);
		nap();
		a = text_client_ask(c, "SEND 1\r\nto alice\r\nstore no\r\n\r\n");
	}
	cr_expect_str_eq(text_answer_value(&a, "reason"), "not authenticated; send AUTH first");
}

TestThen(stop, limits, rm_ends_the_connections)
{
	struct text_client c, silent, other;
	struct text_answer a;
	open_shop(&c, "");
	text_client_open(&silent, &f.apps);
	text_client_auth(&silent, "shop", key);
	dc_fixture_client(&f, &other);
	cli_ok("app rm shop");
	wait_for_401(&c);
	cr_expect_eq(text_client_ask(&c, "AUTH 1\r\napp shop\r\nkey %s\r\n\r\n", key).code, 401);
	cr_assert(text_client_read(&c, &a));
	cr_expect_eq(a.code, 408);
	cr_expect(text_client_is_closed(&c));
	cr_assert(text_client_read(&silent, &a));
	cr_expect_eq(a.code, 408);
	cr_expect(text_client_is_closed(&silent));
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_apps_removed_total"), 1);
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_apps_known"), 1);
	cr_expect_eq(text_client_ask(&other, "SEND 1\r\nto alice\r\n\r\n").code, 200, "another App");
	text_client_close(&c);
	text_client_close(&silent);
	text_client_close(&other);
}

/* Who had the former key is out, although there is an App of that name. */
TestThen(stop, limits, removed_and_made_anew)
{
	struct text_client former, c;
	open_shop(&former, "");
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* another time of creation */
	cli_ok("app rm shop");
	open_shop(&c, ""); /* this AUTH already tells */
	wait_for_401(&former);
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n").code, 200);
	cr_expect_eq(text_client_ask(&former, "AUTH 1\r\napp shop\r\nkey %s\r\n\r\n", key).code, 200);
	text_client_close(&former);
	text_client_close(&c);
}

static bool is_good(const char *k)
{
	struct text_client c;
	text_client_open(&c, &f.apps);
	int code = text_client_ask(&c, "AUTH 1\r\napp shop\r\nkey %s\r\n\r\n", k).code;
	cr_assert(code == 200 || code == 401, "%d", code);
	text_client_close(&c);
	return code == 200;
}

TestThen(stop, limits, a_former_key_is_good_for_its_grace)
{
	char first[CLI_KEY_MAX], second[CLI_KEY_MAX], third[CLI_KEY_MAX];
	struct text_client open;
	open_shop(&open, "");
	memcpy(first, key, sizeof first);
	cli_run_key(&f.redis, second, "app rotate shop");
	cr_expect(is_good(first) && is_good(second));
	cli_run_key(&f.redis, third, "app rotate shop --grace 1");
	cr_expect_not(is_good(first), "the one before the former");
	uint64_t until = clock_mono_ms() + WAIT_MS;
	while (is_good(second)) {
		cr_assert(clock_mono_ms() < until, "the former key stays good");
		nap();
	}
	cr_expect(is_good(third));
	cr_expect_eq(text_client_ask(&open, "SEND 1\r\nto alice\r\n\r\n").code, 200, "who was in stays in");
	text_client_close(&open);
}
