/* SPDX-License-Identifier: Apache-2.0 */
/* SENDMANY and SEND to a topic at a DC: what is answered, and what is in Redis then. */
#include "base/clock.h"
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
	cr_expect_str_eq(strrchr(record, ' '), " f=5\n", "the record has no body of its own");
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

static const char *kept_of(const char *id) { return redis_text(f.c, "EXISTS rs:fan:{%s}:body", id); }

TestThen(stop, fan, a_body_that_nobody_got_is_not_kept)
{
	char full[ULID_TEXT + 1], pushed[ULID_TEXT + 1];
	redis_text(f.c, "HSET rs:app:chat queue_messages 1");
	text_client_auth(&c, "chat", DC_KEY);
	send_many("", 1, "alice\n", "hello");
	cr_expect_str_eq(kept_of(value("message")), "1");
	send_many("id full-1\r\nttl 604800\r\n", 1, "alice\n", "hello");
	cr_expect_str_eq(value("full"), "1", "%s", last.text);
	snprintf(full, sizeof full, "%s", value("message"));
	send_many("store no\r\nttl 604800\r\n", 2, "bob\ncarol\n", "hello");
	cr_expect_str_eq(value("dropped"), "2", "%s", last.text);
	snprintf(pushed, sizeof pushed, "%s", value("message"));
	wait_done();
	cr_expect_str_eq(kept_of(full), "0");
	cr_expect_str_eq(kept_of(pushed), "0");
	cr_expect_leq(atoll(redis_text(f.c, "PTTL rs:fan:{%s}", full)), 86400000);
	cr_expect_str_eq(redis_text(f.c, "HMGET rs:fan:{%s} state full", full), "[done 1]");
	redis_text(f.c, "DEL rs:{alice}:queue rs:{alice}:index");
	send_many("id full-1\r\n", 1, "alice\n", "hello");
	cr_expect_str_eq(value("stored"), "1", "%s", last.text);
	cr_expect_str_eq(value("message"), full);
	cr_expect_str_eq(redis_text(f.c, "GET rs:fan:{%s}:body", full), "hello", "and it is there again");
}

TestThen(stop, fan, its_body_counts_for_the_bytes_of_a_queue)
{
	static char message[4001];
	memset(message, 'x', sizeof message - 1);
	redis_text(f.c, "HSET rs:app:chat queue_bytes 10000");
	text_client_auth(&c, "chat", DC_KEY);
	for (int i = 0; i < 3; i++)
		send_many("", 2, "alice\nbob\n", message);
	cr_expect_str_eq(value("full"), "2", "%s", last.text);
	cr_expect(queued("alice") == 2 && queued("bob") == 2);
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
	cr_expect(strstr(redis_text(f.c, "LINDEX rs:{bob}:queue 0"), " t=news/sport f=5\n"));
	char first[ULID_TEXT + 1];
	snprintf(first, sizeof first, "%s", value("message"));
	cr_assert_eq(publish("id n1\r\n", "news/sport"), 200);
	cr_expect_str_eq(value("state"), "duplicate");
	cr_expect_str_eq(value("message"), first);
	cr_expect_eq(queued("alice"), 1);
	cr_expect_str_eq(redis_text(f.c, "HMGET rs:fan:{%s} state stored total", first), "[done 2 4]");
}

TestThen(stop, fan, a_topic_without_subscribers_leaves_nothing)
{
	char first[ULID_TEXT + 1];
	cr_assert_eq(publish("id n1\r\nttl 86400\r\n", "news/sport"), 200, "%s", last.text);
	cr_expect_str_eq(value("state"), "accepted");
	cr_expect_str_eq(value("subscribers"), "0");
	snprintf(first, sizeof first, "%s", value("message"));
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:fan:{%s} rs:fan:{%s}:body rs:fans", first, first), "0");
	cr_expect_eq(text_client_ask(&c, "STATUS 1\r\nmessage %s\r\n\r\n", first).code, 404);
	subscribe("alice", "news/#");
	cr_assert_eq(publish("id n1\r\n", "news/sport"), 200, "%s", last.text);
	cr_expect_str_eq(value("state"), "accepted", "nobody has got it so far");
	cr_expect_str_eq(value("message"), first);
	wait_done();
	cr_expect_eq(queued("alice"), 1);
}

/* By three filters, and not stored for: counted once all the same. */
TestThen(stop, fan, who_is_not_stored_for_counts_once)
{
	char stored[ULID_TEXT + 1];
	subscribe("alice", "news/sport");
	subscribe("alice", "news/#");
	subscribe("alice", "+/sport");
	redis_text(f.c, "HSET rs:{alice}:settings off:chat 1");
	publish("", "news/sport");
	snprintf(stored, sizeof stored, "%s", value("message"));
	publish("store no\r\n", "news/sport");
	wait_done();
	cr_expect_str_eq(redis_text(f.c, "HMGET rs:fan:{%s} state dropped total", stored), "[done 1 3]");
	cr_expect_str_eq(redis_text(f.c, "HMGET rs:fan:{%s} state dropped total", value("message")), "[done 1 3]");
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

/* A job as a DC that died may have left it, for the subscribers of "a", or for a list of
 * two, which is not there. lease_ms: until it is taken. Its key. */
static const char *leave(const char *kind, int64_t ttl_ms, int64_t lease_ms)
{
	static char fan[64];
	char record[256], text[80], to[80];
	int64_t now = lua_now_ms(f.c);
	const char *id = lua_id(1);
	bool topic = strcmp(kind, "topic") == 0;
	snprintf(record, sizeof record, "%s chat %lld %lld -%s f\n", id, (long long)now, (long long)(now + ttl_ms),
		 topic ? " t=a" : "");
	snprintf(fan, sizeof fan, "rs:fan:{%s}", id);
	snprintf(text, sizeof text, "%s:body", fan);
	snprintf(to, sizeof to, "%s:to", fan);
	cr_assert_str_eq(lua(f.c, SCRIPT_FAN_CREATE, 3, fan, text, to, "hello", lua_num(now + 60000), lua_num(now + 60000),
			     "dc9:1", lua_num(lease_ms), "app", "chat", "kind", kind, "topic", topic ? "a" : "", "record",
			     record, "store", "1", "total", topic ? "1" : "2", "at", topic ? "1:0:0" : "0"), "1");
	redis_text(f.c, "ZADD rs:fans %s %s", lua_num(now + lease_ms), id);
	return fan;
}

static const char *leave_job(int64_t ttl_ms, int64_t lease_ms) { return leave("topic", ttl_ms, lease_ms); }

TestThen(stop, fan, a_fan_out_that_nobody_runs_is_taken_over)
{
	subscribe("alice", "a");
	const char *fan = leave_job(60000, 500);
	wait_done();
	cr_expect_eq(queued("alice"), 1);
	cr_expect_str_eq(redis_text(f.c, "HMGET %s state stored", fan), "[done 1]");
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_fans_taken_over_total"), 1);
}

/* More than are looked at together. */
TestThen(stop, fan, jobs_that_cannot_be_taken_over_are_not_in_the_way)
{
	enum { STUCK = 20 };
	subscribe("alice", "a");
	for (unsigned i = 0; i < STUCK; i++) {
		redis_text(f.c, "HSET rs:fan:{%s} state running lease 9999999999999", lua_id(100 + i));
		redis_text(f.c, "ZADD rs:fans 1 %s", lua_id(100 + i));
		redis_text(f.c, "HSET rs:fan:{%s} state running lease 0 kind nonsense", lua_id(200 + i));
		redis_text(f.c, "ZADD rs:fans 2 %s", lua_id(200 + i));
		redis_text(f.c, "HSET rs:fan:{%s} state running lease 0 kind nonsense expires 1", lua_id(300 + i));
		redis_text(f.c, "ZADD rs:fans 3 %s", lua_id(300 + i));
		redis_text(f.c, "ZADD rs:fans 4 nonsense-%d", (int)i);
	}
	const char *fan = leave_job(60000, 0);
	for (int i = 0; i < 1500 && strcmp(redis_text(f.c, "HGET %s state", fan), "done") != 0; i++)
		usleep(10000);
	cr_expect_str_eq(redis_text(f.c, "HGET %s state", fan), "done");
	cr_expect_eq(queued("alice"), 1);
	cr_expect_str_eq(redis_text(f.c, "ZCARD rs:fans"), "40", "what has expired, or is no id, is gone");
}

TestThen(stop, fan, one_whom_redis_refuses_does_not_hold_up_the_others)
{
	redis_text(f.c, "SET rs:{bob}:queue nonsense");
	subscribe("alice", "a/b");
	subscribe("bob", "a/b");
	subscribe("carol", "a/#");
	cr_assert_eq(publish("", "a/b"), 200, "%s", last.text);
	wait_done();
	cr_expect(queued("alice") == 1 && queued("carol") == 1);
	cr_expect_str_eq(redis_text(f.c, "HMGET rs:fan:{%s} state stored unavailable", value("message")), "[done 2 1]");
}

/* Redis is full all the time: that is no refusal of hers, but comes to an end, too. */
TestThen(stop, fan, who_cannot_be_served_in_time_is_unavailable)
{
	subscribe("alice", "a");
	const char *fan = leave_job(6000, 1000);
	redis_text(f.c, "CONFIG SET maxmemory 1");
	for (int i = 0; i < 50; i++) {
		usleep(100000);
		cr_assert_str_eq(redis_text(f.c, "HGET %s state", fan), "running", "tried until it expires");
	}
	wait_done();
	cr_expect_str_eq(redis_text(f.c, "HMGET %s state stored unavailable", fan), "[done 0 1]");
	cr_expect_eq(queued("alice"), 0);
}

/* 511 filters match each topic: all at once they would take the room of everybody else. */
TestThen(stop, fan, counting_subscribers_leaves_redis_to_others)
{
	enum { PUBLISHED = 300, COUNTED = 260 };
	struct text_client other;
	int good = 0, refused = 0;
	dc_fixture_client(&f, &other);
	subscribe("alice", "1/+/3/#");
	redis_server_pause(&f.redis);
	for (int i = 0; i < PUBLISHED; i++)
		text_client_printf(&c, "SEND 1\r\ntopic 1/2/3/4/5/6/7/8\r\nlength 5\r\n\r\nhello");
	usleep(300000);
	double under_way = dc_fixture_metric(&f, "restante_dc_redis_in_flight");
	text_client_printf(&other, "SEND 1\r\nto bob\r\nlength 5\r\n\r\nhello");
	usleep(100000);
	redis_server_resume(&f.redis);
	cr_expect_leq(under_way, 100, "%.0f", under_way);
	cr_assert(text_client_read(&other, &last));
	cr_expect_eq(last.code, 200, "%s", last.text);
	for (int i = 0; i < PUBLISHED; i++) {
		cr_assert(text_client_read(&c, &last));
		good += last.code == 200 && strcmp(value("subscribers"), "1") == 0;
		refused += last.code == 503;
	}
	cr_expect(good == COUNTED && refused == PUBLISHED - COUNTED, "%d, %d", good, refused);
	text_client_close(&other);
	wait_done();
	cr_expect_eq(queued("alice"), COUNTED);
}

TestThen(stop, fan, a_list_that_was_lost_is_not_one_that_was_served)
{
	const char *fan = leave("list", 60000, 0);
	for (int i = 0; i < 1000 && dc_fixture_metric(&f, "restante_dc_fans_taken_over_total") < 1; i++)
		usleep(10000);
	usleep(300000);
	cr_expect_str_eq(redis_text(f.c, "HGET %s state", fan), "running");
	redis_text(f.c, "RPUSH %s:to alice bob", fan);
	wait_done();
	cr_expect(queued("alice") == 1 && queued("bob") == 1);
}

/* Redis stands still, so that both are at the same step all the time. */
TestThen(stop, fan, two_attempts_at_once)
{
	enum { ATTEMPTS = 8 };
	struct text_client all[ATTEMPTS];
	for (int i = 0; i < ATTEMPTS; i++)
		dc_fixture_client(&f, &all[i]);
	redis_server_pause(&f.redis);
	for (int i = 0; i < ATTEMPTS; i++)
		text_client_printf(&all[i], "SENDMANY 1\r\nid two\r\ncount 2\r\nlength 15\r\n\r\nalice\nbob\nhello");
	usleep(200000);
	redis_server_resume(&f.redis);
	for (int i = 0; i < ATTEMPTS; i++) {
		cr_assert(text_client_read(&all[i], &last));
		cr_expect_eq(last.code, 200, "%s", last.text);
		take_body(&all[i]);
		text_client_close(&all[i]);
	}
	wait_done();
	cr_expect(queued("alice") == 1 && queued("bob") == 1);
	cr_expect_str_eq(redis_text(f.c, "KEYS rs:fan:{*}:to*"), "[]", "no list is left");
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

/* Connections with half of a SENDMANY each; waits until so many of them wait for a place. */
static void begin_many(struct text_client *all, unsigned count, unsigned waiting)
{
	for (unsigned i = 0; i < count; i++) {
		dc_fixture_client(&f, &all[i]);
		text_client_printf(&all[i], "SENDMANY 1\r\ncount 2\r\nlength 9\r\n\r\na\nb\n");
	}
	uint64_t until = clock_mono_ms() + 20000;
	while (dc_fixture_metric(&f, "restante_dc_app_refused_total{limit=\"many_under_way\"}") < waiting)
		cr_assert_lt(clock_mono_ms(), until);
}

/* An App that never ends what it began holds no more than its share. */
TestThen(stop, fan, one_app_leaves_places_for_others)
{
	enum { CONNECTIONS = 6 };
	struct text_client all[CONNECTIONS], other;
	begin_many(all, CONNECTIONS, 2);
	dc_fixture_add_app(&f, "shop");
	text_client_open(&other, &f.apps);
	text_client_auth(&other, "shop", DC_KEY);
	last = text_client_ask(&other, "SENDMANY 1\r\ncount 2\r\nlength 9\r\n\r\na\nb\nhello");
	cr_expect_eq(last.code, 200, "%s", last.text);
	take_body(&other);
	text_client_close(&other);
	for (int i = 0; i < CONNECTIONS; i++)
		text_client_close(&all[i]);
}

/* Withdrawn while a repetition serves those who had not got it: it stops there. */
TestThen(stop, fan, withdrawn_while_it_is_repeated)
{
	char id[ULID_TEXT + 1], *names = many_names();
	struct text_client other;
	dc_fixture_client(&f, &other);
	send_many("id w2\r\n", 1, "alice\n", "hello");
	snprintf(id, sizeof id, "%s", value("message"));
	wait_done();
	text_client_printf(&c, "SENDMANY 1\r\nid w2\r\ncount %d\r\nlength %zu\r\n\r\n", MANY, strlen(names) + 5);
	text_client_write(&c, names, strlen(names));
	text_client_write(&c, "hello", 5);
	for (int i = 0; i < 10000 && atol(redis_text(f.c, "LLEN rs:{" LONG_NAME "}:queue", 0)) == 0; i++)
		usleep(1000);
	last = text_client_ask(&other, "WITHDRAW 1\r\nmessage %s\r\n\r\n", id);
	cr_expect_str_eq(value("state"), "withdrawn", "%s", last.text);
	cr_assert(text_client_read(&c, &last));
	take_body(&c);
	cr_expect_lt(atol(value("stored")), MANY, "%s", last.text);
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:fan:{%s}:body", id), "0");
	text_client_close(&other);
	free(names);
}

TestThen(stop, fan, more_at_once_than_may_be_wait_their_turn)
{
	enum { CONNECTIONS = 20 };
	struct text_client all[CONNECTIONS];
	begin_many(all, CONNECTIONS, CONNECTIONS - 4); /* four hold a place, with half of their bodies */
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
