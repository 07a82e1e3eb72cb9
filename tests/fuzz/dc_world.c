/* SPDX-License-Identifier: Apache-2.0 */
#include "dc_world.h"

#include "base/bytes.h"
#include "crypto/hash.h"
#include "dc/app.h"
#include "dc/apps.h"
#include "dc/answer.h"
#include "dc/bodies.h"
#include "dc/brokers.h"
#include "dc/counts.h"
#include "dc/durability.h"
#include "dc/fan_board.h"
#include "dc/fan_count.h"
#include "dc/owed.h"
#include "dc/receipts.h"
#include "dc/watch.h"
#include "resp.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void dc_world_open(struct dc_world *w)
{
	struct rds_config redis = {.max_in_flight = 4096};
	fake_redis_reset();
	fake_stream_reset();
	fake_loop_reset();
	memset(w, 0, sizeof *w);
	w->config = (struct dc_config){.queue_max_messages = 1000, .queue_max_bytes = 16777216,
				       .status_s = 86400, .receipt_look_s = 30, .broadcasts_max = 256, .ttl_default_s = 86400, .max_connections = 10,
				       .redis_connections = 1, .fan_in_flight = 16, .durability = "fsync"};
	memcpy(w->config.common.id, "dc1", 4);
	w->dc.loop = fake_loop;
	w->dc.config = &w->config;
	w->dc.boot = 3;
	int err = budget_init(&w->dc.wrong_keys, 16, 2, 2, 1);
	if (!err)
		err = answers_new(&w->dc.answers);
	if (!err)
		err = app_table_new(&w->dc.known, &w->dc);
	if (!err)
		err = receipts_new(&w->dc.receipts, &w->dc);
	if (!err)
		err = owed_new(&w->dc.owed, &w->dc);
	if (!err)
		err = watchers_new(&w->dc.watchers, &w->dc);
	if (!err)
		err = durability_new(&w->dc.durability, &w->dc);
	if (!err)
		err = pool_new(&w->dc.redis, w->dc.loop, &redis, 1, NULL, NULL);
	if (!err)
		err = bodies_new(&w->dc.bodies, &w->dc);
	if (!err)
		err = fan_board_new(&w->dc.fans, &w->dc);
	if (!err)
		err = fan_counter_new(&w->dc.counter, &w->dc);
	if (!err)
		err = apps_new(&w->dc.apps, &w->dc);
	if (!err)
		err = brokers_new(&w->dc.brokers, &w->dc);
	if (!err)
		err = brokers_watch(w->dc.brokers);
	fuzz_check(err == RS_OK, "no DC");
}

void dc_world_close(struct dc_world *w)
{
	apps_stop(w->dc.apps);
	brokers_stop(w->dc.brokers);
	registry_free(w->dc.registry);
	apps_free(w->dc.apps);
	brokers_free(w->dc.brokers);
	fan_counter_stop(w->dc.counter);
	pool_free(w->dc.redis);
	fan_board_free(w->dc.fans);
	fan_counter_free(w->dc.counter);
	bodies_free(w->dc.bodies);
	watchers_free(w->dc.watchers);
	owed_free(w->dc.owed);
	receipts_free(w->dc.receipts);
	app_table_free(w->dc.known);
	durability_free(w->dc.durability);
	answers_free(w->dc.answers);
	budget_deinit(&w->dc.wrong_keys);
	fuzz_check(fake_redis_open() == 0 && fake_redis_waiting() == 0, "Redis is still asked");
	fuzz_check(fake_loop_timers() == 0, "%zu timers still run", fake_loop_timers());
	fake_stream_reset();
}

/* A key and a rate; no former key, and no other limit. Or it was removed. */
static void describe_app(char *out, size_t cap, bool removed)
{
	char hash[2 * SHA256_BYTES + 1];
	sha256_hex(DC_KEY, strlen(DC_KEY), hash);
	int len = removed ? snprintf(out, cap, "*%d\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n", APP_AT_END)
			  : snprintf(out, cap, "*%d\r\n$64\r\n%s\r\n$-1\r\n$-1\r\n$1\r\n7\r\n$1\r\n2\r\n", APP_AT_END, hash);
	for (int i = APP_AT_LIMITS + 1; i < APP_AT_END; i++)
		len += snprintf(out + len, cap - (size_t)len, "$-1\r\n");
}

#define ID "01JDCF3K7Q9R8W2ZT5XV6YB4NM"
#define HOLDER " mb1 5 9 77 "
#define LINE ID "_chat_1800000000000_1800000100000_-"
#define FAN "app chat store 1 queue_messages 5 stored 1 total 3 record " LINE "_f~ "

/* What Redis may say to each command, and key, in the words of resp.h. The first one is
 * good, and ends what it begins. */
static const struct says {
	const char *command, *key;
	const char *say[9];
} says[] = {
	{"message_store", "", {"[ stored :1 ]", "[ stored :2 " ID HOLDER "]", "[ duplicate " ID " ]", "[ more ]",
			       "[ stored :2 " ID HOLDER "replaced_chat_" ID "_r expired_chat_" ID " odd ]",
			       "[ off - -" HOLDER "]", "[ duplicate " ID " stored" HOLDER "]", "[ full messages ]",
			       "[ what ]"}},
	{"message_place", "", {"[ full bytes ]", "[ stored :2 " ID HOLDER "replaced_chat_" ID "_r ]", "[ full x ]"}},
	{"message_withdraw", "", {"[ :1" HOLDER "withdrawn_chat_" ID "_r ]", "[ :0 - - - - ]", ":1"}},
	{"message_status", "", {"[ acknowledged 1800000000000 1800000000000 ]", "[ stored 1800000100000 ]",
				"[ pushed 1800000100000 1800000000000 ]", "[ unknown ]", "[ expired x ]", "[ what ]", "[ ]"}},
	{"message_fetch", "", {"[ ok :3 :1 " LINE "~hello " LINE "~ ]", "[ ok :3 :0 " LINE "_f~ " LINE "~x - " LINE "_f~ ]",
			       "[ fenced ]", "[ ok :0 :0 ]"}},
	{"message_ack", "", {"[ ok :2 :5 acknowledged_chat_" ID "_r odd ]", "[ fenced ]", "[ ok :-1 :5 ]"}},
	{"HMGET", "rs:{", {"[ - - - - ]", "[" HOLDER "]", "[ mb1 5 1800000000000 - ]", "[ - - - 1800000000000 ]",
			   "[ mb9 5 1800000000000 1800000000000 ]"}},
	{"HMGET", "rs:fan:", {"[ chat running 5 1 1 1 0 - 2 ]", "[ other done 5 ]", "[ ]"}},
	{"HGETALL", "", {"[ boot 5 address 127.0.0.1:7200 link 127.0.0.1:7201 ]", "[ boot 6 link 127.0.0.1:7201 ]", "[ ]"}},
	{"HGET", "", {"-", "running", "withdrawn", "done"}},
	{"GET", "", {"hello", "-", ":1", "''"}},
	{"SET", "", {"-", ID, "odd"}},
	{"TIME", "", {"[ 1800000001 5 ]", "[ ]"}},
	{"CONFIG", "", {"[ appendonly yes ]", "[ appendfsync always ]", "[ appendonly no ]"}},
	{"ZRANGE", "rs:awaiting", {"[ chat a_b ]", "[ ]"}},
	{"ZRANGE", "", {"[ ]", "[ mb1 1800000000900 ]", "[ mb1 1700000000000 ]"}},
	{"ZRANGEBYSCORE", "", {"[ ]", "[ " ID " ]", "[ x ]"}},
	{"receipt_due", "", {"[ alice_" ID " bob_" ID " a_b_" ID " x ]", "[ alice_" ID " ]", "[ ]"}},
	{"receipt_give", "", {"1800000000000-5", "''", "-"}},
	{"XRANGE", "", {"[ ]", "[ [ 1800000000000-0 [ message " ID " to alice state acknowledged at 1800000000000 ] ] "
			"[ 1-1 [ message x ] ] [ ] ]"}},
	{"XREVRANGE", "", {"[ ]", "[ [ 1700000000000-7 [ message " ID " ] ] ]", "[ [ odd ] ]"}},
	{"broadcast_add", "", {"[ kept 1795471644540688 ]", "[ duplicate " ID " ]", "[ full :256 ]"}},
	{"broadcast_withdraw", "", {":1", ":0", "x"}},
	{"fan_create", "", {":1", ":0", "x"}},
	{"fan_withdraw", "", {":1", ":0", "x"}},
	{"fan_lease", "", {":1", ":0", ":-1"}},
	{"fan_claim", "", {"[ ok [ kind list at 1 " FAN "] ]", "[ leased ]", "[ gone ]",
			   "[ ok [ kind topic topic a/b at 1:0:0 lease 9 " FAN "] ]", "[ ok [ kind what ] ]",
			   "[ ok [ kind topic topic a/b at 3:0:0 " FAN "] ]", "[ ok [ kind list at 1 app chat record x ] ]",
			   "[ ok [ kind list at 99999999999999999999999999999999999999999999999999999999 " FAN "] ]"}},
	{"settings_store", "", {":1", ":-2", "x"}},
	{"topic_subscribe", "", {":1", ":-2", ":-1"}},
	{"SISMEMBER", "", {":1", ":0"}},
	{"SCARD", "", {":2", ":0", "x"}},
	{"SMEMBERS", "", {"[ b/+ a a/# a/b + x/#/y ]", "[ ]"}},
	{"SSCAN", "", {"[ 0 [ alice bob a_b ] ]", "[ 17 [ carol ] ]", "[ x [ ] ]"}},
	{"LRANGE", "", {"[ ]", "[ alice bob a_b - ]"}},
};

static const struct says *find_says(void)
{
	const char *command = fake_redis_command(), *key = fake_redis_key();
	for (size_t i = 0; i < sizeof says / sizeof *says; i++)
		if (strcmp(command, says[i].command) == 0 && strncmp(key, says[i].key, strlen(says[i].key)) == 0)
			return &says[i];
	return NULL;
}

void dc_world_answer_one(unsigned which)
{
	char text[1024];
	const struct says *s = find_says();
	unsigned n = 0;
	if (strncmp(fake_redis_key(), "rs:app:", 7) == 0 && fake_redis_key()[7] != '{') {
		describe_app(text, sizeof text, which == APP_REMOVED);
	} else {
		while (s && n < sizeof s->say / sizeof *s->say && s->say[n])
			n++;
		text[resp_of(s ? s->say[which % n] : which % 4 == 3 ? ":0" : ":1", text, sizeof text - 1)] = '\0';
	}
	fake_redis_say(text);
}

void dc_world_answer(void)
{
	while (fake_redis_waiting() > 0) /* rs:{alice}:queue */
		dc_world_answer_one(strncmp(fake_redis_key(), "rs:{", 4) == 0 ? (unsigned char)fake_redis_key()[4] : 0);
}

void dc_world_auth(struct stream *s)
{
	static const char auth[] = "AUTH 1\r\napp chat\r\nkey " DC_KEY "\r\n\r\n";
	fake_stream_feed(s, auth, sizeof auth - 1);
	dc_world_answer();
	fake_stream_feed(s, "", 0); /* the next turn */
	fuzz_check(dc_world_check_answers() == 1, "AUTH was not answered");
	fake_stream_forget_output(DC_APPS);
}

static uint8_t message[256 * 1024];

void dc_world_say(struct dc_world *w, const struct link_message *m)
{
	int len = link_encode(m, message + 4, sizeof message - 4);
	fuzz_check(len > 0, "a message that cannot be encoded");
	be_put(message, (uint64_t)len, 4);
	fake_stream_feed(w->broker, message, (size_t)len + 4);
}

void dc_world_link(struct dc_world *w)
{
	struct link_message m = {.type = LINK_HELLO, .hello = {5, {"mb1", 3}}};
	struct addr from = fuzz_addr(2);
	w->broker = fake_stream_accepted(DC_BROKERS, &from);
	dc_world_say(w, &m);
}

static void check_messages(void)
{
	const struct buf *out = fake_stream_output(DC_BROKERS);
	for (size_t at = 0, len; at < buf_len(out); at += 4 + len) {
		struct link_message m;
		fuzz_check(at + 4 <= buf_len(out), "a message without its length");
		len = (size_t)be_get(buf_head(out) + at, 4);
		fuzz_check(at + 4 + len <= buf_len(out) && link_decode(buf_head(out) + at + 4, len, &m) == RS_OK,
			   "a malformed message goes to a broker");
	}
}

static const char *take_line(const char **at, const char *end, size_t *len)
{
	const char *line = *at;
	const char *lf = memchr(line, '\n', (size_t)(end - line));
	fuzz_check(lf && lf > line && lf[-1] == '\r', "an answer without its end");
	*len = (size_t)(lf - line) - 1;
	*at = lf + 1;
	return line;
}

/* A block of a stream is no answer: false. */
static bool check_first(const char *line, size_t len)
{
	static const char *const blocks[] = {"RECEIPT 1", "PRESENCE 1", "BROKER 1", "LAGGED 1"};
	for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
		if (len == strlen(blocks[i]) && memcmp(line, blocks[i], len) == 0)
			return false;
	fuzz_check((len == 6 && memcmp(line, "OK 200", 6) == 0) ||
			   (len == 7 && memcmp(line, "ERR ", 4) == 0 && isdigit((unsigned char)line[4])),
		   "an answer begins with \"%.*s\"", (int)len, line);
	return true;
}

static void check_field(const char *line, size_t len)
{
	size_t name = 0;
	while (name < len && ((line[name] >= 'a' && line[name] <= 'z') || line[name] == '-'))
		name++;
	fuzz_check(name > 0 && name < len && line[name] == ' ', "an answer has the line \"%.*s\"", (int)len, line);
	fuzz_check(!memchr(line, '\r', len), "a CR in an answer");
	fuzz_check_printable(line, len);
}

unsigned dc_world_check_answers(void)
{
	const struct buf *out = fake_stream_output(DC_APPS);
	const char *at = (const char *)buf_head(out);
	const char *end = at ? at + buf_len(out) : NULL;
	unsigned count = 0;
	check_messages();
	while (at && at < end) {
		size_t len;
		const char *line = take_line(&at, end, &len);
		unsigned long long body = 0;
		count += check_first(line, len);
		for (line = take_line(&at, end, &len); len > 0; line = take_line(&at, end, &len)) {
			check_field(line, len);
			if (len > 7 && memcmp(line, "length ", 7) == 0)
				body = strtoull(line + 7, NULL, 10);
		}
		fuzz_check(body <= (size_t)(end - at), "a body of %llu bytes that does not come", body);
		at += body;
	}
	return count;
}
