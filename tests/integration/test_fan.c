/* SPDX-License-Identifier: Apache-2.0 */
/* SENDMANY and SEND to a topic at a DC: what is answered, and what is in Redis then. */
#include "support/dc_fixture.h"
#include "support/lua_call.h"
#include "wire/record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct dc_fixture f;
static struct text_client c;
static struct text_answer last;
static char *body; /* of the last answer */

static void start(void)
{
	dc_fixture_start(&f, NULL, NULL);
	dc_fixture_client(&f, &c);
}

static void stop(void)
{
	text_client_close(&c);
	dc_fixture_stop(&f);
	free(body);
	body = NULL;
}

TestSuite(fan, .init = start, .fini = stop, .timeout = 120);

static void take_body(struct text_client *from)
{
	free(body);
	body = text_client_body(from, &last);
}

static const char *value(const char *name) { return text_answer_value(&last, name); }

/* names: with their line ends. */
static int send_many(const char *fields, unsigned count, const char *names, const char *message)
{
	text_client_printf(&c, "SENDMANY 1\r\n%scount %u\r\nlength %zu\r\n\r\n", fields, count,
			   strlen(names) + strlen(message));
	text_client_write(&c, names, strlen(names));
	text_client_write(&c, message, strlen(message));
	cr_assert(text_client_read(&c, &last));
	take_body(&c);
	return last.code;
}

static int publish(const char *fields, const char *topic)
{
	last = text_client_ask(&c, "SEND 1\r\n%stopic %s\r\nlength 5\r\n\r\nhello", fields, topic);
	return last.code;
}

static void subscribe(const char *user, const char *filter)
{
	last = text_client_ask(&c, "SUBSCRIBE 1\r\nuser %s\r\ntopic %s\r\n\r\n", user, filter);
	cr_assert_eq(last.code, 200, "%s", last.text);
}

static long queued(const char *user) { return atol(redis_text(f.c, "LLEN rs:{%s}:queue", user)); }

/* Waits until no fan-out is listed. */
static void wait_done(void)
{
	for (int i = 0; i < 1000 && strcmp(redis_text(f.c, "ZCARD rs:fans"), "0") != 0; i++)
		usleep(10000);
	cr_assert_str_eq(redis_text(f.c, "ZCARD rs:fans"), "0");
}

TestThen(stop, fan, each_gets_it_and_is_answered_for)
{
	cr_assert_eq(send_many("id order-1\r\n", 3, "alice\r\nbob\ncarol\r\n", "hello"), 200, "%s", last.text);
	cr_expect_str_eq(body, "alice stored\nbob stored\ncarol stored\n");
	cr_expect_str_eq(value("count"), "3");
	cr_expect_str_eq(value("stored"), "3");
	cr_expect_str_eq(value("duplicate"), "");
	cr_expect_str_eq(value("id"), "order-1");
	cr_expect(queued("alice") == 1 && queued("bob") == 1 && queued("carol") == 1);
	cr_expect_str_eq(redis_text(f.c, "GET rs:fan:{%s}:body", value("message")), "hello");
	const char *record = redis_text(f.c, "LINDEX rs:{bob}:queue 0");
	cr_expect_eq(strncmp(record, value("message"), ULID_TEXT), 0);
	cr_expect_str_eq(strrchr(record, ' '), " f\n", "the record has no body of its own");
	wait_done();
	cr_expect_str_eq(redis_text(f.c, "HGET rs:fan:{%s} state", value("message")), "done");
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:fan:{%s}:to", value("message")), "0");
}

TestThen(stop, fan, a_repeated_id_is_a_duplicate_for_each)
{
	char first[ULID_TEXT + 1];
	send_many("id order-1\r\n", 2, "alice\nbob\n", "hello");
	snprintf(first, sizeof first, "%s", value("message"));
	send_many("id order-1\r\n", 3, "alice\nbob\ncarol\n", "hello");
	cr_expect_str_eq(value("message"), first);
	cr_expect_str_eq(body, "alice duplicate\nbob duplicate\ncarol stored\n");
	cr_expect(queued("alice") == 1 && queued("bob") == 1 && queued("carol") == 1);
}

TestThen(stop, fan, a_name_twice_is_served_once)
{
	send_many("", 3, "alice\nbob\nalice\n", "hello");
	cr_expect_str_eq(value("stored"), "2");
	cr_expect_str_eq(value("duplicate"), "1");
	cr_expect_eq(queued("alice"), 1);
}

TestThen(stop, fan, what_is_wrong_is_named_and_nothing_is_stored)
{
	cr_expect_eq(send_many("", 2, "alice\nbo b\n", "hello"), 400);
	cr_expect(strstr(value("reason"), "line 2 of the body contains a space"), "%s", last.text);
	cr_expect_eq(send_many("", 3, "alice\nbob\n", "hello"), 400);
	cr_expect(strstr(value("reason"), "line 3 of the body is missing"), "%s", last.text);
	cr_expect_eq(send_many("", 1, "\n", "hello"), 400);
	cr_expect_eq(send_many("", 2, "alice\n", "bob"), 400);
	cr_expect_eq(send_many("", 0, "alice\n", "hello"), 400);
	cr_expect_eq(send_many("", 10001, "alice\n", "hello"), 400);
	cr_expect_eq(send_many("tll 5\r\n", 1, "alice\n", "hello"), 400);
	cr_expect_eq(publish("", "a/+"), 400);
	cr_expect(strstr(value("reason"), "topic contains + or #"), "%s", last.text);
	cr_expect_eq(publish("to alice\r\n", "a"), 400);
	cr_expect_eq(queued("alice"), 0);
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:fans"), "0");
}

enum { MANY = 10000 };
#define LONG_NAME "somebody-whose-name-is-as-long-as-a-name-may-be-64-bytes--%06d"

static char *many_names(void)
{
	char *names = malloc(MANY * 65 + 1), *at = names;
	for (int i = 0; i < MANY; i++)
		at += sprintf(at, LONG_NAME "\n", i);
	return names;
}

TestThen(stop, fan, ten_thousand_names)
{
	char *names = many_names(), *expected = malloc(MANY * 80), *at = expected;
	for (int i = 0; i < MANY; i++)
		at += sprintf(at, LONG_NAME " stored\n", i);
	char *message = malloc(16385);
	memset(message, 'x', 16384);
	message[16384] = '\0';
	cr_assert_eq(send_many("", MANY, names, message), 200, "%s", last.text);
	cr_expect_str_eq(value("stored"), "10000");
	cr_expect(strcmp(body, expected) == 0);
	message[0] = '\0';
	cr_assert_eq(send_many("", MANY, names, "y"), 200, "%s", last.text);
	cr_expect_str_eq(value("stored"), "10000");
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_fan_recipients_total{state=\"stored\"}"), 20000);
	free(names);
	free(expected);
	free(message);
}

static long memory(void)
{
	const char *info = redis_text(f.c, "INFO memory");
	const char *at = strstr(info, "used_memory:");
	cr_assert(at, "%.200s", info);
	return atol(at + strlen("used_memory:"));
}

/* One body of 4 KB: ten thousand of them would be 40 MB. */
TestThen(stop, fan, a_body_is_stored_once)
{
	char *names = many_names(), message[4097];
	memset(message, 'x', 4096);
	message[4096] = '\0';
	long before = memory();
	cr_assert_eq(send_many("id one\r\n", MANY, names, message), 200, "%s", last.text);
	wait_done();
	long each = (memory() - before) / MANY;
	cr_log_info("%ld bytes a recipient", each);
	cr_expect_lt(each, 1000, "%ld bytes a recipient", each);
	free(names);
}

TestThen(stop, fan, a_message_that_is_too_long)
{
	char *message = malloc(16386);
	memset(message, 'x', 16385);
	message[16385] = '\0';
	cr_expect_eq(send_many("", 1, "alice\n", message), 413, "%s", last.text);
	cr_expect_eq(queued("alice"), 0);
	free(message);
	cr_expect_eq(text_client_ask(&c, "PING 1\r\n\r\n").code, 200, "and the connection goes on");
}

TestThen(stop, fan, a_topic_reaches_who_subscribed_once)
{
	subscribe("alice", "news/sport");
	subscribe("alice", "news/#");
	subscribe("alice", "+/sport");
	subscribe("bob", "news/+");
	subscribe("carol", "news/music");
	subscribe("dave", "news");
	cr_assert_eq(publish("id n1\r\n", "news/sport"), 200, "%s", last.text);
	cr_expect_str_eq(value("state"), "accepted");
	cr_expect_str_eq(value("subscribers"), "4", "counted by filter");
	wait_done();
	cr_expect(queued("alice") == 1 && queued("bob") == 1 && queued("carol") == 0 && queued("dave") == 0);
	cr_expect(strstr(redis_text(f.c, "LINDEX rs:{bob}:queue 0"), " t=news/sport f\n"));
	char first[ULID_TEXT + 1];
	snprintf(first, sizeof first, "%s", value("message"));
	cr_assert_eq(publish("id n1\r\n", "news/sport"), 200);
	cr_expect_str_eq(value("state"), "duplicate");
	cr_expect_str_eq(value("message"), first);
	cr_expect_eq(queued("alice"), 1);
	cr_expect_str_eq(redis_text(f.c, "HMGET rs:fan:{%s} state stored total", first), "[done 2 4]");
}

TestThen(stop, fan, subscriptions_of_a_user)
{
	subscribe("alice", "b/+");
	subscribe("alice", "a/#");
	subscribe("alice", "a/#");
	subscribe("bob", "a/#");
	last = text_client_ask(&c, "TOPICS 1\r\nuser alice\r\n\r\n");
	take_body(&c);
	cr_expect_str_eq(body, "a/#\nb/+\n");
	cr_expect_str_eq(redis_text(f.c, "SCARD rs:topic:{a/#}"), "2");
	cr_expect_str_eq(redis_text(f.c, "SCARD rs:topics"), "2");
	last = text_client_ask(&c, "UNSUBSCRIBE 1\r\nuser alice\r\ntopic a/#\r\n\r\n");
	cr_expect_eq(last.code, 200);
	last = text_client_ask(&c, "UNSUBSCRIBE 1\r\nuser alice\r\ntopic b/+\r\n\r\n");
	cr_expect_eq(last.code, 200);
	cr_expect_str_eq(redis_text(f.c, "SMEMBERS rs:topics"), "[a/#]", "the other filter has nobody left");
	last = text_client_ask(&c, "SUBSCRIBE 1\r\nuser alice\r\ntopic a/#/b\r\n\r\n");
	cr_expect_eq(last.code, 400);
	for (int i = 0; i < 100; i++) {
		char filter[16];
		snprintf(filter, sizeof filter, "t/%d", i);
		subscribe("eve", filter);
	}
	cr_expect_eq(text_client_ask(&c, "SUBSCRIBE 1\r\nuser eve\r\ntopic one-more\r\n\r\n").code, 429);
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:topic:{one-more}"), "0");
}

TestThen(stop, fan, a_fan_out_that_nobody_runs_is_taken_over)
{
	subscribe("alice", "a");
	int64_t now = lua_now_ms(f.c);
	const char *id = lua_id(1);
	char record[256];
	snprintf(record, sizeof record, "%s chat %lld %lld - t=a f\n", id, (long long)now, (long long)now + 60000);
	char fan[64], text[64], to[64];
	snprintf(fan, sizeof fan, "rs:fan:{%s}", id);
	snprintf(text, sizeof text, "rs:fan:{%s}:body", id);
	snprintf(to, sizeof to, "rs:fan:{%s}:to", id);
	cr_assert_str_eq(lua(f.c, SCRIPT_FAN_CREATE, 3, fan, text, to, "hello", lua_num(now + 60000), lua_num(now + 60000),
			     "dc9:1", "500", "app", "chat", "kind", "topic", "topic", "a", "record", record, "store", "1",
			     "total", "1", "at", "1:0:0"), "1");
	redis_text(f.c, "ZADD rs:fans %s %s", lua_num(now + 500), id);
	wait_done();
	cr_expect_eq(queued("alice"), 1);
	cr_expect_str_eq(redis_text(f.c, "HMGET %s state stored", fan), "[done 1]");
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_fans_taken_over_total"), 1);
}

TestThen(stop, fan, withdrawn)
{
	char id[ULID_TEXT + 1];
	send_many("id w1\r\n", 1, "alice\n", "hello");
	snprintf(id, sizeof id, "%s", value("message"));
	wait_done();
	last = text_client_ask(&c, "WITHDRAW 1\r\nmessage %s\r\n\r\n", id);
	cr_expect_str_eq(value("state"), "withdrawn", "%s", last.text);
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:fan:{%s}:body", id), "0");
	send_many("id w1\r\n", 2, "alice\nbob\n", "hello");
	cr_expect_str_eq(body, "alice duplicate\nbob duplicate\n", "it does not come back");
	cr_expect_eq(queued("bob"), 0);
	last = text_client_ask(&c, "WITHDRAW 1\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\n\r\n");
	cr_expect_eq(last.code, 404);
}

TestThen(stop, fan, more_at_once_than_may_be_wait_their_turn)
{
	enum { CONNECTIONS = 20 };
	struct text_client all[CONNECTIONS];
	for (int i = 0; i < CONNECTIONS; i++) {
		dc_fixture_client(&f, &all[i]);
		text_client_printf(&all[i], "SENDMANY 1\r\ncount 2\r\nlength 9\r\n\r\na\nb\n");
	}
	usleep(200000); /* the first sixteen hold a place, with half of their bodies */
	for (int i = 0; i < CONNECTIONS; i++)
		text_client_printf(&all[i], "hello");
	for (int i = 0; i < CONNECTIONS; i++) {
		cr_assert(text_client_read(&all[i], &last));
		cr_expect_str_eq(value("stored"), "2", "%s", last.text);
		take_body(&all[i]);
		text_client_close(&all[i]);
	}
	cr_expect_gt(dc_fixture_metric(&f, "restante_dc_app_refused_total{limit=\"many_under_way\"}"), 0);
}
