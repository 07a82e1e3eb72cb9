/* SPDX-License-Identifier: Apache-2.0 */
/* restante-dc and its text protocol, verb by verb, on a real Redis. What is
 * refused stands in test_dc_errors.c, what happens without Redis in
 * test_dc_redis.c, brokers in test_dc_brokers.c. */
#include "base/clock.h"
#include "support/dc_fixture.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "wire/record.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static struct dc_fixture f;

/* What became of a message is remembered for a second only, so that nothing of it
 * stays for long. */
static void start(void) { dc_fixture_start(&f, NULL, (const char *[]){"--status_s", "1", NULL}); }
static void stop(void) { dc_fixture_stop(&f); }
TestSuite(dc, .init = start, .fini = stop, .timeout = 60);

static bool field_is(const struct text_answer *a, const char *name, const char *value)
{
	return strcmp(text_answer_value(a, name), value) == 0;
}

TestThen(stop, dc, ping_needs_no_app)
{
	struct text_client c;
	text_client_open(&c, &f.apps);
	struct text_answer a = text_client_ask(&c, "PING 1\r\n\r\n");
	cr_expect_str_eq(a.text, "OK 200\r\n");
	a = text_client_ask(&c, "PING 1\r\nid 7\r\n\r\n");
	cr_expect_str_eq(a.text, "OK 200\r\nid 7\r\n");
	text_client_close(&c);
}

TestThen(stop, dc, auth_names_the_app)
{
	struct text_client c;
	text_client_open(&c, &f.apps);
	struct text_answer a = text_client_ask(&c, "AUTH 1\r\napp chat\r\nkey " DC_KEY "\r\n\r\n");
	cr_expect_str_eq(a.text, "OK 200\r\napp chat\r\n");
	text_client_close(&c);
}

TestThen(stop, dc, what_follows_an_auth_waits_for_it)
{
	struct text_client c;
	struct text_answer a;
	text_client_open(&c, &f.apps);
	text_client_printf(&c, "SEND 1\r\nid early\r\nto alice\r\n\r\n"
			       "AUTH 1\r\napp chat\r\nkey " DC_KEY "\r\n\r\n"
			       "SEND 1\r\nid late\r\nto alice\r\n\r\n"
			       "PING 1\r\n\r\n");
	cr_assert(text_client_read(&c, &a) && a.code == 401 && field_is(&a, "id", "early"));
	cr_assert(text_client_read(&c, &a) && a.code == 200 && field_is(&a, "app", "chat"));
	cr_assert(text_client_read(&c, &a) && a.code == 200 && field_is(&a, "id", "late"));
	cr_assert(text_client_read(&c, &a) && strcmp(a.text, "OK 200\r\n") == 0);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1");
	text_client_close(&c);
}

/* The one record of a user's queue. */
static struct record record_of(const char *user, redisReply **keep)
{
	struct record r;
	*keep = redisCommand(f.c, "LRANGE rs:{%s}:queue 0 -1", user);
	cr_assert(*keep && (*keep)->type == REDIS_REPLY_ARRAY && (*keep)->elements == 1);
	cr_assert_eq(record_parse((*keep)->element[0]->str, (*keep)->element[0]->len, &r), RS_OK);
	return r;
}

TestThen(stop, dc, a_second_auth_replaces_the_first)
{
	struct text_client c;
	redisReply *keep;
	dc_fixture_add_app(&f, "shop");
	dc_fixture_client(&f, &c);
	text_client_auth(&c, "shop", DC_KEY);
	cr_assert_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n").code, 200);
	struct record r = record_of("alice", &keep);
	cr_expect(r.app_len == 4 && memcmp(r.app, "shop", 4) == 0);
	freeReplyObject(keep);
	text_client_close(&c);
}

/* Pipelined behind it, a message must not go out under the App before. */
TestThen(stop, dc, a_failed_auth_leaves_no_app)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	cr_expect_eq(text_client_ask(&c, "AUTH 1\r\napp shop\r\nkey " DC_KEY "\r\n\r\n").code, 401);
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n").code, 401);
	text_client_auth(&c, "chat", DC_KEY);
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n").code, 200);
	text_client_close(&c);
}

TestThen(stop, dc, send_stores_what_was_sent)
{
	static const char body[] = "he\0llo\r\n\r\nSEND 1\r\nto bob\r\n\r\n";
	struct text_client c;
	struct text_answer a;
	redisReply *keep;
	char id[ULID_TEXT + 1];
	dc_fixture_client(&f, &c);
	text_client_printf(&c, "SEND 1\r\nid order-17\r\nto alice\r\nttl 60\r\nstore yes\r\nlength %zu\r\n\r\n",
			   sizeof body);
	text_client_write(&c, body, sizeof body);
	cr_assert(text_client_read(&c, &a));
	cr_expect_eq(a.code, 200);
	cr_expect(field_is(&a, "id", "order-17") && field_is(&a, "state", "stored"));
	struct record r = record_of("alice", &keep);
	cr_expect_str_eq(text_answer_value(&a, "message"), ulid_format(&r.id, id));
	cr_expect(r.app_len == 4 && memcmp(r.app, "chat", 4) == 0);
	cr_expect(r.app_id_len == 8 && memcmp(r.app_id, "order-17", 8) == 0);
	cr_expect(r.body_len == sizeof body && memcmp(r.body, body, sizeof body) == 0);
	cr_expect_eq(r.expires_ms - r.sent_ms, 60000);
	freeReplyObject(keep);
	cr_expect_eq(text_client_ask(&c, "PING 1\r\n\r\n").code, 200, "the stream is in step");
	text_client_close(&c);
}

TestThen(stop, dc, send_has_defaults)
{
	struct text_client c;
	redisReply *keep;
	dc_fixture_client(&f, &c);
	struct text_answer a = text_client_ask(&c, "SEND 1\nto alice\n\n");
	cr_expect_eq(a.code, 200);
	cr_expect_null(strstr(a.text, "\r\nid "));
	struct record r = record_of("alice", &keep);
	cr_expect_eq(r.expires_ms - r.sent_ms, 604800000);
	cr_expect_eq(r.body_len, 0);
	cr_expect_eq(r.app_id_len, 0);
	freeReplyObject(keep);
	text_client_close(&c);
}

TestThen(stop, dc, the_largest_body_is_taken)
{
	struct text_client c;
	struct text_answer a;
	redisReply *keep;
	char *body = malloc(RECORD_BODY_MAX);
	cr_assert_not_null(body);
	for (size_t i = 0; i < RECORD_BODY_MAX; i++)
		body[i] = (char)net_pattern(i);
	dc_fixture_client(&f, &c);
	text_client_printf(&c, "SEND 1\r\nto alice\r\nlength %d\r\n\r\n", RECORD_BODY_MAX);
	text_client_write(&c, body, RECORD_BODY_MAX);
	cr_assert(text_client_read(&c, &a) && a.code == 200);
	struct record r = record_of("alice", &keep);
	cr_expect(r.body_len == RECORD_BODY_MAX && memcmp(r.body, body, RECORD_BODY_MAX) == 0);
	freeReplyObject(keep);
	free(body);
	text_client_close(&c);
}

TestThen(stop, dc, same_id_is_stored_once)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	struct text_answer first = text_client_ask(&c, "SEND 1\r\nid 1\r\nto alice\r\nlength 1\r\n\r\na");
	struct text_answer again = text_client_ask(&c, "SEND 1\r\nid 1\r\nto alice\r\nlength 1\r\n\r\na");
	struct text_answer other = text_client_ask(&c, "SEND 1\r\nid 1\r\nto bob\r\nlength 1\r\n\r\na");
	cr_expect(field_is(&first, "state", "stored"));
	cr_expect_eq(again.code, 200);
	cr_expect(field_is(&again, "state", "duplicate"));
	cr_expect_str_eq(text_answer_value(&again, "message"), text_answer_value(&first, "message"));
	cr_expect(field_is(&other, "state", "stored"), "an id is of one user");
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1");
	text_client_close(&c);
}

TestThen(stop, dc, not_stored_and_offline_is_dropped)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	struct text_answer a = text_client_ask(&c, "SEND 1\r\nto alice\r\nstore no\r\nlength 1\r\n\r\na");
	cr_expect_eq(a.code, 200);
	cr_expect(field_is(&a, "state", "dropped"));
	cr_expect_eq(strlen(text_answer_value(&a, "message")), ULID_TEXT);
	cr_expect_str_eq(dc_fixture_stored(&f), "");
	text_client_close(&c);
}

TestThen(stop, dc, presence_of_one_who_never_came)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	struct text_answer a = text_client_ask(&c, "PRESENCE 1\r\nuser alice\r\n\r\n");
	cr_expect_str_eq(a.text, "OK 200\r\nuser alice\r\nstate offline\r\n");
	text_client_close(&c);
}

/* A lease that says a broker holds the user counts only while that broker lives. */
TestThen(stop, dc, presence_of_a_dead_broker_counts_for_nothing)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	redis_text(f.c, "HSET rs:{alice}:presence broker mb9 boot 7 conn 1 owner 3 since 5");
	struct text_answer a = text_client_ask(&c, "PRESENCE 1\r\nuser alice\r\n\r\n");
	cr_expect(field_is(&a, "state", "offline"));
	redis_text(f.c, "HSET rs:{bob}:presence owner 3 seen 1700000000000");
	a = text_client_ask(&c, "PRESENCE 1\r\nuser bob\r\n\r\n");
	cr_expect_str_eq(a.text, "OK 200\r\nuser bob\r\nstate offline\r\nseen 1700000000000\r\n");
	text_client_close(&c);
}

TestThen(stop, dc, thousand_pipelined_are_answered_and_stored_in_order)
{
	enum { COUNT = 1000 };
	struct text_client c;
	struct text_answer a;
	char expected[16];
	char (*ids)[ULID_TEXT + 1] = calloc(COUNT, sizeof *ids);
	struct buf all = {0};
	cr_assert_not_null(ids);
	dc_fixture_client(&f, &c);
	/* Errors between them are ready at once and must wait for their turn. */
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(i % 10 == 9 ? buf_printf(&all, "SEND 1\r\nid n%d\r\nto a b\r\n\r\n", i)
					 : buf_printf(&all, "SEND 1\r\nid n%d\r\nto alice\r\nlength 3\r\n\r\nabc", i), RS_OK);
	text_client_write(&c, buf_head(&all), buf_len(&all));
	for (int i = 0; i < COUNT; i++) {
		cr_assert(text_client_read(&c, &a));
		snprintf(expected, sizeof expected, "n%d", i);
		cr_assert(field_is(&a, "id", expected), "answer %d is %s", i, a.text);
		cr_assert_eq(a.code, i % 10 == 9 ? 400 : 200);
		snprintf(ids[i], sizeof *ids, "%s", text_answer_value(&a, "message"));
	}
	redisReply *r = redisCommand(f.c, "LRANGE rs:{alice}:queue 0 -1");
	cr_assert(r && r->elements == COUNT - COUNT / 10);
	for (size_t i = 0, at = 0; i < COUNT; i++)
		if (i % 10 != 9)
			cr_assert_eq(memcmp(r->element[at++]->str, ids[i], ULID_TEXT), 0);
	freeReplyObject(r);
	buf_deinit(&all);
	free(ids);
	text_client_close(&c);
}

/* More than are answered at a time: reading stops and goes on. */
TestThen(stop, dc, far_more_requests_than_may_be_due)
{
	enum { COUNT = 20000 };
	struct text_client c;
	struct text_answer a;
	struct buf all = {0};
	char expected[16];
	dc_fixture_client(&f, &c);
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(buf_printf(&all, "PRESENCE 1\r\nid n%d\r\nuser u%d\r\n\r\n", i, i % 7), RS_OK);
	text_client_write(&c, buf_head(&all), buf_len(&all));
	for (int i = 0; i < COUNT; i++) {
		cr_assert(text_client_read(&c, &a));
		snprintf(expected, sizeof expected, "n%d", i);
		cr_assert(a.code == 200 && field_is(&a, "id", expected), "answer %d is %s", i, a.text);
	}
	buf_deinit(&all);
	text_client_close(&c);
}

TestThen(stop, dc, a_request_may_come_byte_by_byte)
{
	static const char request[] = "SEND 1\r\nto alice\r\nlength 5\r\n\r\nhello\r\nPING 1\r\n\r\n";
	struct text_client c;
	struct text_answer a;
	dc_fixture_client(&f, &c);
	for (size_t i = 0; i < sizeof request - 1; i++) {
		text_client_write(&c, request + i, 1);
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	}
	cr_assert(text_client_read(&c, &a) && field_is(&a, "state", "stored"));
	cr_assert(text_client_read(&c, &a) && a.code == 200);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1");
	text_client_close(&c);
}

/* PINGs in a pipeline, each with a number for an id and all equally long. */
enum { PING_ID = 64, PING_LEN = sizeof "PING 1\r\nid \r\n\r\n" - 1 + PING_ID };

/* Writes number i from its byte `from` on, as far as it goes now; as send(). */
static ssize_t send_ping(const struct text_client *c, size_t i, size_t from)
{
	char ping[PING_LEN + 1];
	snprintf(ping, sizeof ping, "PING 1\r\nid %0*zu\r\n\r\n", PING_ID, i);
	return send(c->fd, ping + from, PING_LEN - from, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static double reading_stopped(void)
{
	return dc_fixture_metric(&f, "restante_dc_app_refused_total{limit=\"answers_due\"}");
}

/* Writes PINGs until for a second there was no room, and the DC says why. Bytes written. */
static size_t ping_until_unread(struct text_client *c)
{
	size_t written = 0;
	uint64_t room_ms = clock_mono_ms();
	for (;;) {
		ssize_t n = send_ping(c, written / PING_LEN, written % PING_LEN);
		if (n > 0) {
			written += (size_t)n;
			room_ms = clock_mono_ms();
		} else if (clock_mono_ms() - room_ms > 1000 && reading_stopped() > 0) {
			return written;
		} else {
			poll(NULL, 0, 10);
		}
		cr_assert(written < 64 * 1024 * 1024 && clock_mono_ms() - room_ms < 10000, "reading does not stop");
	}
}

static void expect_pong(struct text_client *c, size_t i)
{
	struct text_answer a;
	char id[PING_ID + 1];
	snprintf(id, sizeof id, "%0*zu", PING_ID, i);
	cr_assert(text_client_read(c, &a) && a.code == 200 && field_is(&a, "id", id), "answer %zu is %s", i, a.text);
}

/* One who asks and does not read is not read any more, and harms nobody; when it reads
 * again, nothing is lacking. */
TestThen(stop, dc, who_does_not_read_is_not_read)
{
	struct text_client deaf, other;
	dc_fixture_client(&f, &deaf);
	dc_fixture_client(&f, &other);
	cr_expect_eq(reading_stopped(), 0);
	size_t written = ping_until_unread(&deaf), cut = written % PING_LEN, i = 0;
	cr_expect_eq(text_client_ask(&other, "SEND 1\r\nto alice\r\n\r\n").code, 200);
	for (; i < written / PING_LEN; i++)
		expect_pong(&deaf, i);
	if (cut) {
		cr_assert_eq(send_ping(&deaf, i, cut), (ssize_t)(PING_LEN - cut));
		expect_pong(&deaf, i);
	}
	cr_expect_eq(text_client_ask(&deaf, "SEND 1\r\nto alice\r\n\r\n").code, 200);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "2");
	text_client_close(&deaf);
	text_client_close(&other);
}

/* The same, when it goes without having read anything. */
TestThen(stop, dc, who_does_not_read_may_go)
{
	struct text_client deaf, other;
	dc_fixture_client(&f, &deaf);
	dc_fixture_client(&f, &other);
	ping_until_unread(&deaf);
	text_client_close(&deaf);
	cr_expect_eq(text_client_ask(&other, "PING 1\r\n\r\n").code, 200);
	text_client_close(&other);
}

TestThen(stop, dc, a_short_ttl_leaves_nothing_behind)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	cr_assert_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\nttl 1\r\n\r\n").code, 200);
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:{alice}:queue"), "1");
	uint64_t until = clock_mono_ms() + 5000;
	while (strcmp(redis_text(f.c, "EXISTS rs:{alice}:queue"), "0") != 0) {
		cr_assert(clock_mono_ms() < until, "still there");
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	cr_expect_str_eq(dc_fixture_stored(&f), "");
	text_client_close(&c);
}

static void wait_for(const char *what, double (*value)(void), double wanted)
{
	uint64_t until = clock_mono_ms() + 10000;
	while (value() != wanted) {
		cr_assert(clock_mono_ms() < until, "%s is %g, not %g", what, value(), wanted);
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
}

static double connections(void) { return dc_fixture_metric(&f, "restante_dc_app_connections"); }
static double in_flight(void) { return dc_fixture_metric(&f, "restante_dc_redis_in_flight"); }
static double alices(void) { return atof(redis_text(f.c, "LLEN rs:{alice}:queue")); }

static void send_hundred(struct text_client *c)
{
	for (int i = 0; i < 100; i++)
		text_client_printf(c, "SEND 1\r\nid n%d\r\nto alice\r\nlength 3000\r\n\r\n%3000d", i, i);
}

static void wait_until_asked(void)
{
	uint64_t until = clock_mono_ms() + 10000;
	while (in_flight() < 100)
		cr_assert(clock_mono_ms() < until, "the requests are not taken");
}

TestThen(stop, dc, clients_that_vanish_with_answers_due)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct text_client c, other;
	dc_fixture_client(&f, &c);
	dc_fixture_client(&f, &other);
	redis_server_pause(&f.redis);
	send_hundred(&c);
	wait_until_asked();
	setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	text_client_close(&c);
	wait_for("connections", connections, 1);
	cr_expect_geq(in_flight(), 100, "the answers are still due");
	redis_server_resume(&f.redis);
	cr_expect_eq(text_client_ask(&other, "SEND 1\r\nto alice\r\n\r\n").code, 200);
	wait_for("stored", alices, 101);
	text_client_close(&other);
}

/* As `nc -N` does: it has said all and waits for the answers. */
TestThen(stop, dc, a_client_that_ends_its_side_gets_its_answers)
{
	struct text_client c;
	struct text_answer a;
	char id[16];
	dc_fixture_client(&f, &c);
	redis_server_pause(&f.redis);
	send_hundred(&c);
	shutdown(c.fd, SHUT_WR);
	wait_until_asked();
	redis_server_resume(&f.redis);
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof id, "n%d", i);
		cr_assert(text_client_read(&c, &a) && a.code == 200 && field_is(&a, "id", id), "answer %d", i);
	}
	cr_expect(text_client_is_closed(&c));
	text_client_close(&c);
	wait_for("connections", connections, 0);
}

TestThen(stop, dc, a_client_that_ends_within_a_request_is_told)
{
	static const char *const cut[] = {"SEND 1\r\nto al", "SEND 1\r\nto alice\r\nlength 5\r\n\r\nhell",
					  "PING 1\r\n"};
	for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
		struct text_client c;
		struct text_answer a;
		dc_fixture_client(&f, &c);
		text_client_printf(&c, "PING 1\r\n\r\n%s", cut[i]);
		shutdown(c.fd, SHUT_WR);
		cr_assert(text_client_read(&c, &a) && a.code == 200);
		cr_assert(text_client_read(&c, &a) && a.code == 400, "case %zu", i);
		cr_expect(text_client_is_closed(&c));
		text_client_close(&c);
	}
	cr_expect_str_eq(dc_fixture_stored(&f), "");
}

TestThen(stop, dc, a_client_that_leaves_while_its_key_is_looked_up)
{
	struct text_client c;
	text_client_open(&c, &f.apps);
	redis_server_pause(&f.redis);
	text_client_printf(&c, "AUTH 1\r\napp chat\r\nkey " DC_KEY "\r\n\r\nSEND 1\r\nto alice\r\n\r\n");
	text_client_close(&c);
	redis_server_resume(&f.redis);
	wait_for("connections", connections, 0);
}

TestThen(stop, dc, is_known_while_it_runs_and_forgotten_in_order)
{
	char apps[ADDR_TEXT_MAX];
	uint64_t until = clock_mono_ms() + 10000;
	while (strcmp(redis_text(f.c, "ZRANGE rs:dcs 0 -1"), "[dc1]") != 0)
		cr_assert(clock_mono_ms() < until, "not registered");
	cr_expect_str_eq(redis_text(f.c, "HGET rs:dc:dc1 address"), addr_format(&f.apps, apps));
	cr_expect_str_eq(redis_text(f.c, "HGET rs:dc:dc1 link"), addr_format(&f.brokers, apps));
	cr_expect_eq(daemon_process_stop(&f.dc), 0);
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:dc:dc1 rs:dcs"), "0");
}

TestThen(stop, dc, the_stop_waits_for_answers_that_are_due)
{
	struct text_client c;
	struct text_answer a;
	dc_fixture_client(&f, &c);
	redis_server_pause(&f.redis);
	text_client_printf(&c, "SEND 1\r\nto alice\r\n\r\nPING 1\r\n\r\n");
	struct text_client probe; /* its answer shows that the SEND was read */
	text_client_open(&probe, &f.apps);
	cr_assert_eq(text_client_ask(&probe, "PING 1\r\n\r\n").code, 200);
	kill(f.dc.pid, SIGTERM);
	daemon_process_wait_log(&f.dc, "stopping");
	redis_server_resume(&f.redis);
	cr_assert(text_client_read(&c, &a) && field_is(&a, "state", "stored"));
	cr_assert(text_client_read(&c, &a) && a.code == 200);
	cr_expect(text_client_is_closed(&c));
	cr_expect_eq(daemon_process_wait(&f.dc, 2500), 0);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1");
	text_client_close(&c);
	text_client_close(&probe);
}

TestThen(stop, dc, the_stop_does_not_wait_for_ever)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	redis_server_pause(&f.redis);
	text_client_printf(&c, "SEND 1\r\nto alice\r\n\r\n");
	uint64_t began = clock_mono_ms();
	kill(f.dc.pid, SIGTERM);
	cr_expect_eq(daemon_process_wait(&f.dc, 4000), 0);
	cr_expect_geq(clock_mono_ms() - began, 1500);
	redis_server_resume(&f.redis);
	text_client_close(&c);
}
