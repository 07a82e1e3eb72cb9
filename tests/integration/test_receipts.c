/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts over the real daemons, two Data Centers: each message for which one was
 * asked gets exactly one, whoever dies, and a stream that breaks is taken up again
 * without loss or doubles. The DCs look for what is owed after 1 s instead of 30. */
#include "base/ulid.h"
#include "support/cli_run.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEEN_MAX = 100000, CURSOR = 48, ONE_LOOK_MS = 4000 };

static struct stack s;
static struct receiver r;
static struct text_client app[2]; /* at each DC */

/* What came out of the stream. */
struct stream_of {
	struct text_client c;
	unsigned dc;
	char cursor[CURSOR];
	size_t count;
	struct {
		char id[ULID_TEXT + 1], to[16], state[16];
	} *seen;
};
static struct stream_of t;

static void open_app(unsigned dc)
{
	struct addr at = net_loopback(s.dc[dc].front);
	text_client_open(&app[dc], &at);
	text_client_auth(&app[dc], "chat", STACK_KEY);
}

static void start(void)
{
	static const char *const flags[] = {"--receipt-look-s=1", NULL};
	stack_start(&s, &(struct stack_options){.dcs = 2, .dc_flags = flags});
	for (unsigned i = 0; i < 2; i++) {
		open_app(i);
		RECEIVERS_UNTIL(&r, 0, stack_metric(&s.dc[i], "dc_links") == 1);
	}
	t = (struct stream_of){.c = {.fd = -1}, .seen = calloc(SEEN_MAX, sizeof *t.seen)};
}

static void stop(void)
{
	if (r.client)
		receiver_close(&r);
	text_client_close(&t.c);
	for (int i = 0; i < 2; i++)
		text_client_close(&app[i]);
	stack_stop(&s);
	free(t.seen);
	t.seen = NULL;
}
TestSuite(receipts, .init = start, .fini = stop, .timeout = 240);

/* ---- the stream ---- */

static struct text_answer begin_at(unsigned dc, const char *after)
{
	struct addr at = net_loopback(s.dc[dc].front);
	text_client_close(&t.c);
	t.dc = dc;
	text_client_open(&t.c, &at);
	text_client_auth(&t.c, "chat", STACK_KEY);
	return text_client_ask(&t.c, "RECEIPTS 1\r\n%s%s%s\r\n", after ? "after " : "", after ? after : "",
			       after ? "\r\n" : "");
}

static void begin(unsigned dc, const char *after)
{
	struct text_answer a = begin_at(dc, after);
	cr_assert_eq(a.code, 200, "%s", a.text);
	snprintf(t.cursor, sizeof t.cursor, "%s", text_answer_value(&a, "cursor"));
}

static void note(const struct text_answer *a)
{
	cr_assert(strncmp(a->text, "RECEIPT 1\r\n", 11) == 0, "%s", a->text);
	cr_assert_lt(t.count, (size_t)SEEN_MAX);
	snprintf(t.seen[t.count].id, sizeof t.seen->id, "%s", text_answer_value(a, "message"));
	snprintf(t.seen[t.count].to, sizeof t.seen->to, "%s", text_answer_value(a, "to"));
	snprintf(t.seen[t.count].state, sizeof t.seen->state, "%s", text_answer_value(a, "state"));
	snprintf(t.cursor, sizeof t.cursor, "%s", text_answer_value(a, "cursor"));
	cr_assert_eq(strlen(text_answer_value(a, "at")), 13, "%s", a->text);
	t.count++;
}

/* All that is there now. */
static bool take(void)
{
	struct text_answer a;
	while (text_client_read_within(&t.c, &a, 1))
		note(&a);
	return true;
}

static void take_until(size_t count)
{
	RECEIVERS_UNTIL(&r, r.client ? 1 : 0, take() && t.count >= count);
}

/* How often it came; the state of the last time. */
static unsigned times(const char *id, const char **state)
{
	unsigned n = 0;
	for (size_t i = 0; i < t.count; i++)
		if (strcmp(t.seen[i].id, id) == 0) {
			n++;
			*state = t.seen[i].state;
		}
	return n;
}

static void expect_once(const char *id, const char *state)
{
	const char *was = "none";
	unsigned n = times(id, &was);
	cr_expect_eq(n, 1, "%s (%s) came %u times", id, state, n);
	if (n)
		cr_expect_str_eq(was, state, "%s", id);
}

/* ---- messages ---- */

static const char *awaited(void) { return redis_text(s.c, "ZCARD rs:app:{chat}:awaited"); }

static bool is_awaited(const char *user, const char *id)
{
	char member[96];
	snprintf(member, sizeof member, "%s %s", user, id);
	redisReply *x = redisCommand(s.c, "ZSCORE rs:app:{chat}:awaited %b", member, strlen(member));
	bool is = x && x->type == REDIS_REPLY_STRING;
	freeReplyObject(x);
	return is;
}

static struct text_answer ask(unsigned dc, const char *user, const char *fields)
{
	return text_client_ask(&app[dc], "SEND 1\r\nto %s\r\nreceipt yes\r\n%slength 5\r\n\r\nhello", user, fields);
}

static void send_to(unsigned dc, const char *user, const char *fields, char id[ULID_TEXT + 1])
{
	struct text_answer a = ask(dc, user, fields);
	cr_assert_eq(a.code, 200, "%s", a.text);
	snprintf(id, ULID_TEXT + 1, "%s", text_answer_value(&a, "message"));
}

static void log_in(const char *user)
{
	char session[STACK_SESSION];
	receiver_open(&r, &s, user, stack_session(&s, user, 600, session));
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
}

/* For long enough that a second receipt would have come. */
static void take_more(void)
{
	receivers_turn_for(&r, r.client ? 1 : 0, ONE_LOOK_MS);
	take();
}

TestThen(stop, receipts, each_end_gives_exactly_one)
{
	char acknowledged[27], expired[27], replaced[27], newer[27], withdrawn[27], purged[27];
	begin(1, NULL);
	send_to(0, "carol", "collapse price\r\n", replaced);
	send_to(1, "carol", "collapse price\r\n", newer);
	send_to(0, "carol", "ttl 1\r\n", expired);
	send_to(0, "bob", "", withdrawn);
	struct text_answer a = text_client_ask(&app[1], "WITHDRAW 1\r\nmessage %s\r\nto bob\r\n\r\n", withdrawn);
	cr_assert_eq(a.code, 200, "%s", a.text);
	send_to(0, "bob", "", purged);
	/* As an operator does: no DC hears of it. */
	lua(s.c, SCRIPT_MESSAGE_WITHDRAW, 5, "rs:{bob}:queue", "rs:{bob}:queue:high", "rs:{bob}:queue:low",
	    "rs:{bob}:journal", "rs:{bob}:presence", "", purged, lua_num(lua_now_ms(s.c)), "60000");
	log_in("alice");
	send_to(0, "alice", "", acknowledged);
	take_until(5);
	take_more();
	cr_expect_eq(t.count, 5, "%zu came", t.count);
	expect_once(acknowledged, "acknowledged");
	expect_once(expired, "expired");
	expect_once(replaced, "replaced");
	expect_once(withdrawn, "withdrawn");
	expect_once(purged, "withdrawn");
	cr_expect_str_eq(awaited(), "1", "the newer one still waits");
}

TestThen(stop, receipts, displaced)
{
	char first[27], second[27];
	begin(0, NULL);
	cr_assert(strcmp(redis_text(s.c, "HSET rs:app:chat queue_messages 1 overflow drop-oldest"), "2") == 0);
	text_client_auth(&app[0], "chat", STACK_KEY);
	send_to(0, "bob", "", first);
	send_to(0, "bob", "", second);
	take_until(1);
	expect_once(first, "displaced");
	cr_expect_str_eq(awaited(), "1");
}

TestThen(stop, receipts, at_once_when_a_script_says_so)
{
	char id[27];
	begin(0, NULL);
	log_in("alice");
	for (unsigned i = 1; i <= 20; i++) {
		send_to(i % 2, "alice", "", id);
		take_until(i);
		expect_once(id, "acknowledged");
	}
	cr_expect_eq(stack_metric(&s.dc[0], "dc_receipts_total{state=\"acknowledged\"}") +
			     stack_metric(&s.dc[1], "dc_receipts_total{state=\"acknowledged\"}"), 20);
	cr_expect_str_eq(awaited(), "0");
}

TestThen(stop, receipts, none_for_what_is_not_stored)
{
	char id[27];
	send_to(0, "bob", "id order-1\r\n", id);
	struct text_answer a = ask(1, "bob", "id order-1\r\n");
	cr_expect_str_eq(text_answer_value(&a, "state"), "duplicate");
	cr_expect_str_eq(text_answer_value(&a, "message"), id);
	cr_expect_eq(ask(0, "bob", "store no\r\n").code, 400);
	redis_text(s.c, "HSET rs:{carol}:settings off:chat 1");
	a = ask(0, "carol", "");
	cr_expect_str_eq(text_answer_value(&a, "state"), "dropped", "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "receipt"), "no");
	redis_text(s.c, "HSET rs:app:chat queue_messages 1");
	text_client_auth(&app[0], "chat", STACK_KEY);
	cr_expect_eq(ask(0, "bob", "").code, 429);
	RECEIVERS_UNTIL(&r, 0, strcmp(awaited(), "1") == 0);
	cr_expect(is_awaited("bob", id));
}

TestThen(stop, receipts, what_was_never_stored_is_forgotten_in_time)
{
	/* The DC died before it stored: two days ago, and a moment ago. */
	char old[96], young[96], now[ULID_TEXT + 1];
	struct ulid id = ulid_make((uint64_t)lua_now_ms(s.c), (const uint8_t[10]){1});
	snprintf(old, sizeof old, "bob 01JDCF3K7Q9R8W2ZT5XV6YB4NM");
	snprintf(young, sizeof young, "bob %s", ulid_format(&id, now));
	redisReply *x = redisCommand(s.c, "ZADD rs:app:{chat}:awaited 1 %b 1 %b", old, strlen(old), young, strlen(young));
	freeReplyObject(x);
	redis_text(s.c, "ZADD rs:awaiting %s chat", lua_num(lua_now_ms(s.c)));
	begin(0, "0");
	RECEIVERS_UNTIL(&r, 0, strcmp(awaited(), "1") == 0);
	take_more();
	cr_expect_eq(t.count, 0);
	cr_expect(is_awaited("bob", now), "it may be on its way yet");
}

/* ---- the stream that breaks ---- */

TestThen(stop, receipts, a_stream_taken_up_again_loses_and_doubles_nothing)
{
	enum { COUNT = 300 };
	static char ids[COUNT][27];
	begin(0, NULL);
	log_in("alice");
	srand(4);
	for (unsigned i = 0; i < COUNT; i++) {
		send_to(i % 2, "alice", "", ids[i]);
		receivers_turn(&r, 1, 0);
		if (rand() % 10 == 0) {
			struct text_answer a;
			if (rand() % 2 && text_client_read_within(&t.c, &a, 5))
				note(&a);
			begin((unsigned)rand() % 2, t.cursor);
		}
	}
	take_until(COUNT);
	take_more();
	cr_expect_eq(t.count, COUNT);
	for (unsigned i = 0; i < COUNT; i++)
		expect_once(ids[i], "acknowledged");
	/* All that is kept, once more, in the same order. */
	size_t first = t.count;
	begin(1, "0");
	take_until(2 * COUNT);
	for (size_t i = 0; i < COUNT; i++)
		cr_assert_str_eq(t.seen[i].id, t.seen[first + i].id);
}

static void wait_for_dc(unsigned dc)
{
	RECEIVERS_UNTIL(&r, 1, stack_is_ready(&s.dc[dc]) && stack_metric(&s.dc[dc], "dc_links") == 1);
}

/* Sends what has no OK yet by that DC; with `dies` it is killed in the middle. */
static void send_burst(unsigned dc, unsigned from, unsigned to, char (*ids)[27], bool dies)
{
	struct text_answer a;
	for (unsigned i = from; i < to; i++)
		text_client_printf(&app[dc], "SEND 1\r\nto alice\r\nreceipt yes\r\nid n-%u\r\n\r\n", i);
	if (dies) {
		for (int turns = rand() % 4; turns > 0; turns--)
			receivers_turn(&r, 1, 0);
		usleep((useconds_t)(rand() % 4000));
		stack_kill(&s.dc[dc]);
		if (t.dc == dc)
			take();
	}
	for (unsigned i = from; i < to && text_client_read(&app[dc], &a); i++)
		snprintf(ids[i], sizeof ids[i], "%s", text_answer_value(&a, "message"));
}

TestThen(stop, receipts, a_dc_that_is_killed_loses_none)
{
	enum { ROUNDS = 12, BURST = 40, COUNT = ROUNDS * BURST };
	static char ids[COUNT][27];
	begin(0, NULL);
	log_in("alice");
	srand(7);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned dies = round % 2, from = round * BURST, to = from + BURST;
		send_burst(dies, from, to, ids, true);
		if (t.dc == dies)
			begin(1 - dies, t.cursor);
		while (from < to && ids[from][0])
			from++;
		send_burst(1 - dies, from, to, ids, false);
		stack_restart(&s.dc[dies]);
		wait_for_dc(dies);
		text_client_close(&app[dies]);
		open_app(dies);
		take();
	}
	RECEIVERS_UNTIL(&r, 1, r.count >= COUNT);
	take_until(COUNT);
	take_more();
	cr_expect_eq(t.count, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		expect_once(ids[i], "acknowledged");
		cr_expect_not(is_awaited("alice", ids[i])); /* others may be: of those that were not stored */
	}
}

static void send_to_many(const char *id, const char *state)
{
	struct text_answer a;
	text_client_printf(&app[0], "SENDMANY 1\r\nid %s\r\nreceipt yes\r\ncount 1\r\nlength 11\r\n\r\nalice\nhello", id);
	cr_assert(text_client_read(&app[0], &a));
	cr_expect_str_eq(text_answer_value(&a, state), "1", "%s", a.text);
	free(text_client_body(&app[0], &a));
}

/* Who has it, and gave the receipt, is not awaited again, not even until the answer
 * "duplicate": the word that takes it back may be lost. */
TestThen(stop, receipts, a_fan_out_that_is_repeated_gives_no_second_one)
{
	begin(0, NULL);
	log_in("alice");
	send_to_many("fan-7", "pushed");
	take_until(1);
	RECEIVERS_UNTIL(&r, 1, strcmp(redis_text(s.c, "ZCARD rs:fans"), "0") == 0);
	redis_text(s.c, "ACL SETUSER default -zrem");
	send_to_many("fan-7", "duplicate");
	cr_expect_str_eq(awaited(), "0");
	receivers_turn_for(&r, 1, 100);
	redis_text(s.c, "ACL SETUSER default +zrem");
	take_more();
	cr_expect_eq(t.count, 1, "%zu came", t.count);
}

/* A fan-out is finished by another DC, which comes by those again who have it already:
 * alice, who has taken it, and others for whom it waits. */
TestThen(stop, receipts, a_fan_out_that_is_taken_over_gives_one_for_each)
{
	enum { USERS = 1500 };
	static char names[USERS * 8 + 16];
	size_t len = (size_t)snprintf(names, sizeof names, "alice\n");
	for (unsigned i = 1; i < USERS; i++)
		len += (size_t)snprintf(names + len, sizeof names - len, "u%04u\n", i);
	begin(0, NULL);
	log_in("alice");
	text_client_printf(&app[1], "SENDMANY 1\r\nid fan-1\r\nreceipt yes\r\nttl 15\r\ncount %d\r\nlength %zu\r\n\r\n%shello",
			   USERS, len + 5, names);
	RECEIVERS_UNTIL(&r, 1, r.count == 1);
	stack_kill(&s.dc[1]);
	take_until(USERS);
	take_more();
	cr_expect_eq(t.count, USERS);
	static unsigned times_to[USERS];
	for (size_t i = 0; i < t.count; i++)
		times_to[t.seen[i].to[0] == 'a' ? 0 : strtoul(t.seen[i].to + 1, NULL, 10)]++;
	for (unsigned i = 0; i < USERS; i++)
		cr_assert_eq(times_to[i], 1, "u%u has %u", i, times_to[i]);
	stack_restart(&s.dc[1]);
	stack_wait_ready(&s.dc[1]);
}

/* Reads nothing for a while: the DC stops reading, too, and goes on later. */
TestThen(stop, receipts, a_slow_reader_gets_all_in_the_end)
{
	enum { MANY = 80000 };
	freeReplyObject(redisCommand(s.c,
		"EVAL %s 1 rs:app:{chat}:receipts " "%d",
		"for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'message', string.format('01JDCF3K7Q9R8W2ZT5XV%06d', i), "
		"'to', 'alice', 'state', 'expired', 'at', '1795471644473') end", MANY));
	cr_assert_str_eq(redis_text(s.c, "XLEN rs:app:{chat}:receipts"), "80000");
	begin(0, "0");
	receivers_turn_for(&r, 0, 1500);
	double sent = stack_metric(&s.dc[0], "dc_receipts_sent_total");
	cr_expect_gt(sent, 0);
	cr_expect_lt(sent, MANY, "the DC read on for one who does not");
	struct text_answer a = text_client_ask(&app[0], "PING 1\r\n\r\n");
	cr_expect_eq(a.code, 200);
	take_until(MANY);
	cr_assert_eq(t.count, (size_t)MANY);
	for (unsigned i = 0; i < MANY; i++)
		cr_assert_eq(strtoul(t.seen[i].id + 20, NULL, 10), i + 1);
}

/* ---- the connection ---- */

TestThen(stop, receipts, cursors)
{
	static const char *const wrong[] = {"x", "-", "1-", "-1", "1-2-3", "1 2", "99999999999999-0", "+1-1", "$"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		cr_expect_eq(begin_at(0, wrong[i]).code, 400, "%s", wrong[i]);
	struct text_answer a = begin_at(0, NULL);
	cr_expect_str_eq(a.text, "OK 200\r\ncursor 0-0\r\n");
	a = begin_at(0, "9999999999999-7");
	cr_expect_str_eq(text_answer_value(&a, "missed"), "");
	a = begin_at(0, "1495471644473-7");
	cr_expect_str_eq(text_answer_value(&a, "missed"), "maybe", "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "cursor"), "1495471644473-7");
	a = text_client_ask(&app[0], "RECEIPTS 1\r\nfrom 0\r\n\r\n");
	cr_expect_eq(a.code, 400);
}

TestThen(stop, receipts, ping_only_on_a_stream)
{
	begin(0, NULL);
	struct text_answer a = text_client_ask(&t.c, "PING 1\r\nid 7\r\n\r\n");
	cr_expect_str_eq(a.text, "OK 200\r\nid 7\r\n");
	cr_expect_eq(stack_metric(&s.dc[0], "dc_receipt_streams"), 1);
	a = text_client_ask(&t.c, "SEND 1\r\nto bob\r\n\r\n");
	cr_expect_eq(a.code, 400, "%s", a.text);
	cr_expect(text_client_is_closed(&t.c));
	cr_expect_eq(stack_metric(&s.dc[0], "dc_receipt_streams"), 0);
	cr_expect_str_eq(redis_text(s.c, "EXISTS rs:{bob}:queue"), "0");
}

TestThen(stop, receipts, a_removed_app_is_told_so)
{
	struct text_answer a;
	begin(0, NULL);
	redis_text(s.c, "DEL rs:app:chat");
	cr_assert(text_client_read(&t.c, &a));
	cr_expect_eq(a.code, 401, "%s", a.text);
	cr_expect(text_client_is_closed(&t.c));
}

TestThen(stop, receipts, another_app_gets_none_of_them)
{
	char id[27];
	struct text_client other;
	struct text_answer a;
	struct addr at = net_loopback(s.dc[0].front);
	stack_app(&s, "shop");
	text_client_open(&other, &at);
	text_client_auth(&other, "shop", STACK_KEY);
	a = text_client_ask(&other, "RECEIPTS 1\r\nafter 0\r\n\r\n");
	cr_assert_eq(a.code, 200);
	begin(0, NULL);
	send_to(0, "bob", "ttl 1\r\n", id);
	take_until(1);
	cr_expect_not(text_client_read_within(&other, &a, 500));
	text_client_close(&other);
}

TestThen(stop, receipts, an_orderly_stop_ends_the_stream)
{
	begin(0, NULL);
	cr_expect_eq(daemon_process_stop(&s.dc[0].process), 0);
	cr_expect(text_client_is_closed(&t.c));
	stack_restart(&s.dc[0]);
	stack_wait_ready(&s.dc[0]);
}

/* ---- the command line ---- */

TestThen(stop, receipts, by_the_command_line)
{
	char key[TEMP_PATH_MAX], who[TEMP_PATH_MAX + 96], id[ULID_TEXT + 1], cursor[CURSOR] = "", line[128];
	temp_file(&s.dir, "chat.key", STACK_KEY "\n", 0600, key);
	snprintf(who, sizeof who, "--dc 127.0.0.1:%u --app chat --app-key-file %s", (unsigned)s.dc[1].front, key);
	struct cli_result c = cli_run(&s.redis, "%s send --to bob --ttl 1 --receipt hello", who);
	cr_assert_eq(c.code, 0, "%s", c.out);
	snprintf(id, sizeof id, "%.26s", c.out);
	c = cli_run(&s.redis, "%s receipts --after 0 -C 1 -W 30", who);
	cr_expect_eq(c.code, 0, "%s", c.out);
	snprintf(line, sizeof line, " expired %s bob\n", id);
	cr_expect_not_null(strstr(c.out, line), "%s", c.out);
	const char *at = strchr(c.out, '\n'); /* before it: from cursor ... */
	cr_assert(at && sscanf(at + 1, "%47s", cursor) == 1, "%s", c.out);
	c = cli_run(&s.redis, "%s receipts --after %s -C 1 -W 1", who, cursor);
	cr_expect_eq(c.code, 3, "%s", c.out);
	c = cli_run(&s.redis, "%s receipts -W 1", who);
	cr_expect_eq(c.code, 0, "%s", c.out);
	snprintf(line, sizeof line, "restante: from cursor %s\n", cursor);
	cr_expect_str_eq(c.out, line);
}
