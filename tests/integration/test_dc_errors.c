/* SPDX-License-Identifier: Apache-2.0 */
/* What restante-dc refuses. After each refusal: nothing was written to Redis,
 * and another connection goes on undisturbed. */
#include "base/clock.h"
#include "support/dc_fixture.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "wire/record.h"
#include "wire/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static struct dc_fixture f;
static struct text_client witness; /* open all the time */
static char before[65536];

static void start_with(const char *const *args)
{
	dc_fixture_start(&f, NULL, args);
	dc_fixture_client(&f, &witness);
	cr_assert_eq(text_client_ask(&witness, "SEND 1\r\nid 1\r\nto witness\r\n\r\n").code, 200);
	snprintf(before, sizeof before, "%s", dc_fixture_stored(&f));
}

static void start(void) { start_with(NULL); }

static void stop(void)
{
	text_client_close(&witness);
	dc_fixture_stop(&f);
}

TestSuite(dc_errors, .init = start, .fini = stop, .timeout = 60);

static void expect_nothing_happened(void)
{
	cr_expect_str_eq(dc_fixture_stored(&f), before, "something was written");
	cr_expect_eq(text_client_ask(&witness, "PING 1\r\n\r\n").code, 200, "the other connection");
	struct text_answer a = text_client_ask(&witness, "SEND 1\r\nid 1\r\nto witness\r\n\r\n");
	cr_expect_str_eq(text_answer_value(&a, "state"), "duplicate");
}

#define BYTES(s) s, sizeof(s) - 1
/* Each on an authenticated connection of its own. */
static const struct {
	const char *in;
	size_t len;
	int code;
	bool closes;
	const char *reason; /* a part of it */
	const char *id;
} cases[] = {
	/* 0: verbs and versions */
	{BYTES("PUSH 1\r\nto alice\r\nid 7\r\n\r\n"), 501, false, "unknown verb; there are SEND, ", "7"},
	{BYTES("SENDING 1\r\nto alice\r\n\r\n"), 501, false, "unknown verb", ""},
	{BYTES("SEND 2\r\nto alice\r\nid 7\r\n\r\n"), 505, false, "version 1 is", "7"},
	{BYTES("SEND 01\r\nto alice\r\n\r\n"), 505, false, "version 01", ""},
	/* 4: fields */
	{BYTES("SEND 1\r\nto alice\r\ntll 5\r\nid 7\r\n\r\n"), 400, false, "tll is not a field of SEND", "7"},
	{BYTES("SEND 1\r\nto alice\r\nuser bob\r\n\r\n"), 400, false, "user is not a field", ""},
	{BYTES("RECEIPTS 1\r\nafter 0\r\nlength 5\r\n\r\nhello"), 400, false, "length is not a field", ""},
	{BYTES("PRESENCE 1\r\n\r\n"), 400, false, "user is missing", ""},
	{BYTES("SEND 1\r\n\r\n"), 400, false, "to is missing", ""},
	{BYTES("SEND 1\r\nto alice\r\nto alice\r\n\r\n"), 400, true, "to: a field is given twice", ""},
	{BYTES("SEND 1\r\nto alice\r\nlength 1\r\nlength 2\r\n\r\nab"), 400, true, "given twice", ""},
	/* 11: names */
	{BYTES("SEND 1\r\nto \r\n\r\n"), 400, false, "to is empty", ""},
	{BYTES("SEND 1\r\nto al ice\r\nid 7\r\n\r\n"), 400, false, "to contains a space; it must be 1 to 64", "7"},
	{BYTES("SEND 1\r\nto alice \r\n\r\n"), 400, false, "contains a space", ""},
	{BYTES("SEND 1\r\nto {alice}\r\n\r\n"), 400, false, "contains a brace", ""},
	{BYTES("SEND 1\r\nto al}ice\r\n\r\n"), 400, false, "contains a brace", ""},
	{BYTES("SEND 1\r\nto al\x07ice\r\n\r\n"), 400, false, "control", ""},
	{BYTES("SEND 1\r\nto al\xff\r\n\r\n"), 400, false, "UTF-8", ""},
	{BYTES("SEND 1\r\nto 12345678901234567890123456789012345678901234567890123456789012345\r\n\r\n"),
	 400, false, "longer than 64", ""},
	{BYTES("SEND 1\r\nto al\r\nice\r\n\r\n"), 400, true, "header line", ""},
	{BYTES("SEND 1\r\nto al\nice\r\n\r\n"), 400, true, "header line", ""},
	{BYTES("SEND 1\r\nto al\rice\r\n\r\n"), 400, true, "CR", ""},
	{BYTES("SEND 1\r\nto al\0ice\r\n\r\n"), 400, true, "NUL", ""},
	{BYTES("SEND 1\r\nid a b\r\nto alice\r\n\r\n"), 400, false, "id contains a space", ""},
	{BYTES("SEND 1\r\nid \r\nto alice\r\n\r\n"), 400, false, "id is empty", ""},
	{BYTES("SEND 1\r\nid -\r\nto alice\r\n\r\n"), 400, false, "id is a lone -", ""},
	{BYTES("PRESENCE 1\r\nuser a{b\r\n\r\n"), 400, false, "user contains a brace", ""},
	{BYTES("AUTH 1\r\napp a{b\r\nkey x\r\n\r\n"), 400, false, "app contains a brace", ""},
	{BYTES("AUTH 1\r\napp chat\r\n\r\n"), 400, false, "key is missing", ""},
	/* 29: values */
	{BYTES("SEND 1\r\nto alice\r\nttl 0\r\n\r\n"), 400, false, "1 to 2592000", ""},
	{BYTES("SEND 1\r\nto alice\r\nttl 2592001\r\n\r\n"), 400, false, "1 to 2592000", ""},
	{BYTES("SEND 1\r\nto alice\r\nttl 1h\r\n\r\n"), 400, false, "1 to 2592000", ""},
	{BYTES("SEND 1\r\nto alice\r\nttl -1\r\n\r\n"), 400, false, "1 to 2592000", ""},
	{BYTES("SEND 1\r\nto alice\r\nstore maybe\r\n\r\n"), 400, false, "neither yes nor no", ""},
	{BYTES("SEND 1\r\nto alice\r\nlength ten\r\n\r\n"), 400, true, "length", ""},
	/* 35: what is no request */
	{BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 400, true, "first line", ""},
	{BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\r\n"), 400, true, "NUL", ""},
	{BYTES("send 1\r\nto alice\r\n\r\n"), 400, true, "first line", ""},
	{BYTES("SEND 1\r\nto: alice\r\n\r\n"), 400, true, "header line", ""},
	/* 39: bodies */
	{BYTES("SEND 1\r\nid 7\r\nto alice\r\nlength 1048577\r\n\r\n"), 413, true, "16384", "7"},
	{BYTES("SEND 1\r\nto alice\r\nlength 99999999999999999999\r\n\r\n"), 413, true, "16384", ""},
};

TestThen(stop, dc_errors, each_is_refused_and_harms_nothing)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct text_client c;
		struct text_answer a;
		dc_fixture_client(&f, &c);
		text_client_write(&c, cases[i].in, cases[i].len);
		cr_assert(text_client_read(&c, &a), "case %zu", i);
		cr_expect_eq(a.code, cases[i].code, "case %zu: %s", i, a.text);
		cr_expect(strstr(text_answer_value(&a, "reason"), cases[i].reason), "case %zu: %s", i, a.text);
		cr_expect_str_eq(text_answer_value(&a, "id"), cases[i].id, "case %zu: %s", i, a.text);
		if (cases[i].closes)
			cr_expect(text_client_is_closed(&c), "case %zu", i);
		else
			cr_expect_eq(text_client_ask(&c, "PING 1\r\n\r\n").code, 200, "case %zu", i);
		text_client_close(&c);
	}
	expect_nothing_happened();
}

TestThen(stop, dc_errors, nothing_without_auth)
{
	struct text_client c;
	text_client_open(&c, &f.apps);
	struct text_answer a = text_client_ask(&c, "SEND 1\r\nid 7\r\nto alice\r\nlength 2\r\n\r\nhi");
	cr_expect_str_eq(a.text, "ERR 401\r\nid 7\r\nreason not authenticated; send AUTH first\r\n");
	a = text_client_ask(&c, "PRESENCE 1\r\nuser witness\r\n\r\n");
	cr_expect_eq(a.code, 401);
	text_client_close(&c);
	expect_nothing_happened();
}

/* An unknown App and a wrong key look the same; the third wrong one closes. */
TestThen(stop, dc_errors, wrong_app_or_key)
{
	struct text_client c;
	struct text_answer a, b;
	redis_text(f.c, "HSET rs:app:odd key tooshort");
	text_client_open(&c, &f.apps);
	a = text_client_ask(&c, "AUTH 1\r\napp chat\r\nkey wrong\r\n\r\n");
	cr_expect_str_eq(a.text, "ERR 401\r\nreason wrong App or key\r\n");
	b = text_client_ask(&c, "AUTH 1\r\napp nosuchapp\r\nkey " DC_KEY "\r\n\r\n");
	cr_expect_str_eq(a.text, b.text);
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n").code, 401);
	text_client_printf(&c, "AUTH 1\r\napp odd\r\nkey tooshort\r\n\r\n"
			       "AUTH 1\r\napp chat\r\nkey " DC_KEY "\r\n\r\nSEND 1\r\nto alice\r\n\r\n");
	cr_assert(text_client_read(&c, &b));
	cr_expect_str_eq(a.text, b.text);
	cr_expect(text_client_is_closed(&c));
	cr_expect(daemon_process_logged(&f.dc, "level=warn prog=restante-dc msg=\"app refused\""));
	cr_expect_not(daemon_process_logged(&f.dc, "app=odd left_out="), "more than one line a second");
	cr_expect_not(daemon_process_logged(&f.dc, DC_KEY), "a key in the log");
	text_client_close(&c);
	expect_nothing_happened();
}

TestThen(stop, dc_errors, header_over_its_limit)
{
	struct text_client c;
	struct text_answer a;
	char *header = malloc(9 * 1024);
	cr_assert_not_null(header);
	memset(header, 'x', 9 * 1024);
	memcpy(header, "SEND 1\r\nto ", 11);
	dc_fixture_client(&f, &c);
	text_client_write(&c, header, 9 * 1024);
	cr_assert(text_client_read(&c, &a));
	cr_expect_eq(a.code, 431);
	cr_expect(strstr(a.text, "8192"));
	cr_expect(text_client_is_closed(&c));
	text_client_close(&c);
	free(header);
	expect_nothing_happened();
}

TestThen(stop, dc_errors, too_many_fields)
{
	struct text_client c;
	struct text_answer a;
	dc_fixture_client(&f, &c);
	text_client_printf(&c, "SEND 1\r\n");
	for (int i = 0; i <= TEXT_FIELDS_MAX; i++)
		text_client_printf(&c, "f%d x\r\n", i);
	cr_assert(text_client_read(&c, &a));
	cr_expect_eq(a.code, 431);
	cr_expect(text_client_is_closed(&c));
	text_client_close(&c);
	expect_nothing_happened();
}

static void refuse_body_of(size_t len)
{
	struct text_client c;
	struct text_answer a;
	char *body = malloc(len);
	cr_assert_not_null(body);
	memset(body, 'x', len);
	dc_fixture_client(&f, &c);
	text_client_printf(&c, "SEND 1\r\nid 7\r\nto alice\r\nlength %zu\r\n\r\n", len);
	text_client_write(&c, body, len);
	text_client_printf(&c, "PING 1\r\nid 8\r\n\r\n");
	cr_assert(text_client_read(&c, &a));
	cr_expect_eq(a.code, 413);
	cr_expect_str_eq(text_answer_value(&a, "id"), "7");
	cr_assert(text_client_read(&c, &a));
	cr_expect_str_eq(a.text, "OK 200\r\nid 8\r\n", "the stream is in step");
	text_client_close(&c);
	free(body);
}

TestThen(stop, dc_errors, body_over_its_limit_is_skipped)
{
	refuse_body_of(RECORD_BODY_MAX + 1);
	refuse_body_of(TEXT_BODY_SKIP_MAX);
	expect_nothing_happened();
}

/* The client is still writing when the answer and the close come. */
TestThen(stop, dc_errors, answer_before_the_close_arrives)
{
	struct text_client c;
	struct text_answer a;
	char *body = calloc(1, 2 * TEXT_BODY_SKIP_MAX);
	cr_assert_not_null(body);
	dc_fixture_client(&f, &c);
	text_client_printf(&c, "SEND 1\r\nto alice\r\nlength %d\r\n\r\n", 2 * TEXT_BODY_SKIP_MAX);
	text_client_write(&c, body, 2 * TEXT_BODY_SKIP_MAX);
	cr_assert(text_client_read(&c, &a));
	cr_expect_eq(a.code, 413);
	cr_expect(text_client_is_closed(&c));
	text_client_close(&c);
	free(body);
	expect_nothing_happened();
}

/* Ten seconds for a header, thirty for a body; blank lines are no header. */
TestThen(stop, dc_errors, slow_requests, .timeout = 120)
{
	struct text_client header, body, idle, pinging;
	struct text_answer a;
	uint64_t began = clock_mono_ms();
	dc_fixture_client(&f, &header);
	dc_fixture_client(&f, &body);
	dc_fixture_client(&f, &idle);
	dc_fixture_client(&f, &pinging);
	text_client_printf(&header, "SEND 1\r\nid 7\r\nto ali");
	text_client_printf(&body, "SEND 1\r\nid 7\r\nto alice\r\nlength 5\r\n\r\nhell");
	text_client_printf(&idle, "\r\n\n\r\n");
	text_client_printf(&pinging, "PING 1\r\n");
	cr_assert(text_client_read(&header, &a));
	uint64_t took = clock_mono_ms() - began;
	cr_expect(a.code == 408 && strstr(a.text, "10 s"), "%s", a.text);
	cr_expect(took >= 10000 && took < 25000, "%llu ms", (unsigned long long)took);
	cr_expect(text_client_is_closed(&header));
	cr_assert(text_client_read(&pinging, &a) && a.code == 408);
	cr_assert(text_client_read_within(&body, &a, 60000), "no answer in a minute");
	took = clock_mono_ms() - began;
	cr_expect(a.code == 408 && strstr(a.text, "30 s"), "%s", a.text);
	cr_expect(took >= 30000, "%llu ms", (unsigned long long)took);
	cr_expect(text_client_is_closed(&body));
	cr_expect_eq(text_client_ask(&idle, "PING 1\r\n\r\n").code, 200, "idle is not slow");
	text_client_close(&header);
	text_client_close(&body);
	text_client_close(&idle);
	text_client_close(&pinging);
	expect_nothing_happened();
}

/* PING is answered, but does not keep the connection; an AUTH that takes the App
 * away begins the time anew. */
TestThen(stop, dc_errors, no_auth_in_time)
{
	struct text_client silent, pinging, forgotten;
	struct text_answer a;
	uint64_t began = clock_mono_ms();
	text_client_open(&silent, &f.apps);
	text_client_open(&pinging, &f.apps);
	dc_fixture_client(&f, &forgotten);
	nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
	cr_expect_eq(text_client_ask(&pinging, "PING 1\r\n\r\n").code, 200);
	cr_expect_eq(text_client_ask(&forgotten, "AUTH 1\r\napp chat\r\nkey wrong\r\n\r\n").code, 401);
	cr_assert(text_client_read(&silent, &a));
	uint64_t took = clock_mono_ms() - began;
	cr_expect_str_eq(a.text, "ERR 408\r\nreason no AUTH succeeded within 10 s\r\n");
	cr_expect(took >= 9900, "%llu ms", (unsigned long long)took);
	cr_expect(text_client_is_closed(&silent));
	cr_assert(text_client_read(&pinging, &a) && a.code == 408);
	cr_expect(text_client_is_closed(&pinging));
	cr_expect_eq(text_client_ask(&forgotten, "PING 1\r\n\r\n").code, 200);
	cr_assert(text_client_read(&forgotten, &a) && a.code == 408);
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_app_refused_total{limit=\"auth_time\"}"), 3);
	text_client_close(&silent);
	text_client_close(&pinging);
	text_client_close(&forgotten);
	expect_nothing_happened();
}

/* Writes requests until for a second there was no room for more. */
static void fill(struct text_client *c)
{
	static const char ask[] = "PING 1\r\nid 1234567890123456789012345678901234567890123456789012345678901234\r\n\r\n";
	size_t at = 0;
	uint64_t room_ms = clock_mono_ms();
	while (clock_mono_ms() < room_ms + 1000) {
		ssize_t n = send(c->fd, ask + at, sizeof ask - 1 - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			at = (at + (size_t)n) % (sizeof ask - 1);
			room_ms = clock_mono_ms();
		} else {
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		}
	}
}

/* Who is not read for its answers and takes none is closed in the end. */
TestThen(stop, dc_errors, answers_not_taken, .timeout = 120)
{
	static const char metric[] = "restante_dc_app_refused_total{limit=\"stall_time\"}";
	struct text_client c;
	dc_fixture_client(&f, &c);
	fill(&c);
	uint64_t full_ms = clock_mono_ms(), until = full_ms + 60000;
	cr_expect_eq(dc_fixture_metric(&f, metric), 0);
	while (dc_fixture_metric(&f, metric) != 1) {
		cr_assert(clock_mono_ms() < until, "it is not closed");
		nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
	}
	cr_expect(clock_mono_ms() - full_ms > 25000);
	text_client_close(&c);
	expect_nothing_happened();
}

/* --- limits that are settings --- */

static void start_small(void)
{
	static const char *const args[] = {"--queue-max-messages", "3", "--max-connections-per-address", "4",
					   "--ttl-default-s", "100", NULL};
	start_with(args);
}

TestSuite(dc_limits, .init = start_small, .fini = stop, .timeout = 60);

TestThen(stop, dc_limits, a_full_queue_refuses)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n").code, 200);
	struct text_answer a = text_client_ask(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\n");
	cr_expect_str_eq(a.text, "ERR 429\r\nid 7\r\nretry-after 60\r\nreason the user's queue is full (messages)\r\n");
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "3");
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:{alice}:once:{chat}:7"), "0", "it may be sent again later");
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nto bob\r\n\r\n").code, 200);
	text_client_close(&c);
}

/* Those that have expired stand behind one that has not: they count no more. */
TestThen(stop, dc_limits, expired_messages_make_room)
{
	struct text_client c;
	struct text_answer a;
	dc_fixture_client(&f, &c);
	cr_assert_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\nttl 60\r\n\r\n").code, 200);
	cr_assert_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\nttl 1\r\n\r\n").code, 200);
	cr_assert_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\nttl 1\r\n\r\n").code, 200);
	cr_assert_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n").code, 429);
	nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 100000000}, NULL); /* the ttl */
	a = text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n");
	cr_expect_eq(a.code, 200, "%s", a.text);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "2");
	cr_expect_not_null(strstr(redis_text(f.c, "LRANGE rs:{alice}:journal 0 -1"), " expired chat 01"));
	text_client_close(&c);
}

/* The witness is one of the four. */
TestThen(stop, dc_limits, connections_of_an_address)
{
	struct text_client c[3], more;
	uint64_t until = clock_mono_ms() + 10000;
	struct text_answer a;
	for (size_t i = 0; i < 3; i++)
		dc_fixture_client(&f, &c[i]);
	text_client_open(&more, &f.apps);
	cr_expect(text_client_is_closed(&more));
	text_client_close(&more);
	text_client_close(&c[0]);
	for (bool taken = false; !taken; text_client_close(&more)) {
		cr_assert(clock_mono_ms() < until, "the place does not become free");
		text_client_open(&more, &f.apps);
		text_client_printf(&more, "PING 1\r\n\r\n");
		taken = text_client_read(&more, &a);
	}
	cr_expect_gt(dc_fixture_metric(&f, "restante_dc_app_refused_total{limit=\"max_connections_per_address\"}"), 0);
	text_client_close(&c[1]);
	text_client_close(&c[2]);
	expect_nothing_happened();
}
