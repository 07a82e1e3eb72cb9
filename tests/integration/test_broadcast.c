/* SPDX-License-Identifier: Apache-2.0 */
/* Broadcasts over the real daemons, two Data Centers and two brokers: who is online
 * gets them once; what is kept, those who log in before it ends, too, and once. What
 * a client was shown is not remembered here from one login to the next: a second
 * time would be seen. */
#include "base/ulid.h"
#include "support/chance.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { MAX = 16 };

static struct stack s;
static struct receiver r[MAX];
static struct text_client app[2]; /* at each DC */

static void start(void)
{
	stack_start(&s, &(struct stack_options){.dcs = 2, .mbs = 2});
	for (int i = 0; i < 2; i++) {
		struct addr at = net_loopback(s.dc[i].front);
		text_client_open(&app[i], &at);
		text_client_auth(&app[i], "chat", STACK_KEY);
		RECEIVERS_UNTIL(r, 0, stack_metric(&s.dc[i], "dc_links") == 2);
	}
}

static void stop(void)
{
	for (int i = 0; i < MAX; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	for (int i = 0; i < 2; i++)
		text_client_close(&app[i]);
	stack_stop(&s);
}
TestSuite(broadcast, .init = start, .fini = stop, .timeout = 180);

#define in_redis(is, ...) (strcmp(redis_text(s.c, __VA_ARGS__), is) == 0)

static void log_in_as(unsigned i, const char *user)
{
	char session[STACK_SESSION];
	receiver_open(&r[i], &s, user, stack_session(&s, user, 600, session));
	RECEIVERS_UNTIL(&r[i], 1, receiver_is_online(&r[i]));
}

/* As user "u<i>". */
static void log_in(unsigned i)
{
	char user[16];
	snprintf(user, sizeof user, "u%u", i);
	log_in_as(i, user);
}

/* At both brokers: the balancer sends the next to the one with fewer. */
static void log_in_everywhere(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		log_in(i);
		RECEIVERS_UNTIL(r, i + 1, stack_has_sessions(&s.mb[0], i / 2 + 1) || stack_has_sessions(&s.mb[1], i / 2 + 1));
	}
	RECEIVERS_UNTIL(r, count, stack_has_sessions(&s.mb[0], count / 2) && stack_has_sessions(&s.mb[1], count / 2));
}

/* fields: lines with their ends. */
static struct text_answer ask(unsigned dc, const char *fields, const char *body)
{
	return text_client_ask(&app[dc], "BROADCAST 1\r\n%slength %zu\r\n\r\n%s", fields, strlen(body), body);
}

/* Waits until a metric of both brokers is that high. */
static void wait_for_both(const char *metric, double value)
{
	for (int i = 0; i < 2; i++)
		RECEIVERS_UNTIL(r, 0, stack_metric(&s.mb[i], metric) == value);
}

/* The id of one that is kept, and known to both brokers. */
static const char *keep(const char *fields, const char *body)
{
	double known = stack_metric(&s.mb[0], "mb_broadcasts_kept_total");
	struct text_answer a = ask(0, fields, body);
	cr_assert_str_eq(text_answer_value(&a, "state"), "kept", "%s", a.text);
	cr_assert_str_eq(text_answer_value(&a, "brokers"), "2");
	wait_for_both("mb_broadcasts_kept_total", known + 1);
	return text_answer_value(&a, "message");
}

static bool all_have(unsigned from, unsigned to, size_t count)
{
	for (unsigned i = from; i < to; i++)
		if (r[i].count < count)
			return false;
	return true;
}

static bool cursor_is(const char *user, const char *id)
{
	char number[64] = "";
	redisReply *all = redisCommand(s.c, "ZRANGE rs:broadcast:{all}:kept 0 -1 WITHSCORES");
	for (size_t i = 0; i + 1 < all->elements; i += 2)
		if (strncmp(all->element[i]->str, id, ULID_TEXT) == 0)
			snprintf(number, sizeof number, "%s", all->element[i + 1]->str);
	freeReplyObject(all);
	return in_redis(number, "GET rs:{%s}:cursor", user);
}

static double handed(void)
{
	return stack_metric(&s.mb[0], "mb_broadcasts_handed_total") + stack_metric(&s.mb[1], "mb_broadcasts_handed_total");
}

TestThen(stop, broadcast, unkept_goes_to_all_who_are_online_and_to_nobody_later)
{
	log_in_everywhere(4);
	struct text_answer a = ask(1, "id now-1\r\n", "maintenance in five minutes");
	cr_assert_str_eq(text_answer_value(&a, "state"), "sent", "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "brokers"), "2");
	cr_expect_str_eq(text_answer_value(&a, "id"), "now-1");
	RECEIVERS_UNTIL(r, 4, all_have(0, 4, 1));
	log_in(4);
	receivers_turn_for(r, 5, 1500);
	for (unsigned i = 0; i < 4; i++) {
		cr_expect_eq(r[i].count, 1, "u%u has %zu", i, r[i].count);
		cr_expect_str_eq(r[i].shown[0].id, text_answer_value(&a, "message"));
		cr_expect(receiver_was_shown(&r[i], 0, "maintenance in five minutes", 27));
	}
	cr_expect_eq(r[4].count, 0);
	cr_expect(in_redis("0", "EXISTS rs:broadcast:{all}:kept"), "nothing is kept");
	cr_expect_eq(handed(), 4);
}

TestThen(stop, broadcast, kept_reaches_everybody_once)
{
	char id[32];
	log_in_everywhere(2);
	snprintf(id, sizeof id, "%s", keep("lifetime 600\r\n", "hello, all"));
	RECEIVERS_UNTIL(r, 2, all_have(0, 2, 1));
	RECEIVERS_UNTIL(r, 2, cursor_is("u0", id) && cursor_is("u1", id));
	log_in(2);
	log_in(3);
	RECEIVERS_UNTIL(r, 4, all_have(0, 4, 1));
	RECEIVERS_UNTIL(r, 4, cursor_is("u2", id) && cursor_is("u3", id));
	for (unsigned i = 0; i < 4; i++)
		receiver_close(&r[i]);
	for (unsigned i = 0; i < 4; i++)
		log_in(i);
	receivers_turn_for(r, 4, 1500);
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(r[i].count, 0, "u%u has acknowledged it before", i);
	cr_expect_eq(handed(), 4);
	const char *ends = redis_text(s.c, "PEXPIRETIME rs:broadcast:{all}:kept");
	cr_expect(in_redis(ends, "PEXPIRETIME rs:{u0}:cursor"), "the cursor goes with what it is about");
}

/* The other broker may not have heard of what the user has already. */
TestThen(stop, broadcast, kept_is_not_given_again_by_another_broker)
{
	char id[32];
	log_in(0);
	RECEIVERS_UNTIL(r, 1, stack_has_sessions(&s.mb[0], 1) || stack_has_sessions(&s.mb[1], 1));
	unsigned at = stack_has_sessions(&s.mb[0], 1) ? 0 : 1;
	stack_pause(&s.mb[!at]);
	struct text_answer a = ask(0, "lifetime 600\r\n", "hello");
	snprintf(id, sizeof id, "%s", text_answer_value(&a, "message"));
	RECEIVERS_UNTIL(r, 1, r[0].count == 1 && cursor_is("u0", id));
	receiver_close(&r[0]);
	stack_kill(&s.mb[at]);
	stack_resume(&s.mb[!at]);
	log_in(0);
	log_in(1);
	RECEIVERS_UNTIL(r, 2, r[1].count == 1);
	receivers_turn_for(r, 2, 1500);
	cr_expect_eq(r[0].count, 0);
	cr_expect_eq(r[1].count, 1);
}

TestThen(stop, broadcast, not_after_its_lifetime)
{
	keep("lifetime 600\r\n", "long");
	keep("lifetime 1\r\n", "short");
	receivers_turn_for(r, 0, 1200);
	log_in(0);
	RECEIVERS_UNTIL(r, 1, r[0].count == 1);
	receivers_turn_for(r, 1, 500);
	cr_expect_eq(r[0].count, 1);
	cr_expect(receiver_was_shown(&r[0], 0, "long", 4));
}

TestThen(stop, broadcast, with_the_last_lifetime_all_traces_go)
{
	log_in(0);
	keep("lifetime 2\r\n", "short");
	RECEIVERS_UNTIL(r, 1, r[0].count == 1 && in_redis("1", "EXISTS rs:{u0}:cursor"));
	RECEIVERS_UNTIL(r, 1, in_redis("0", "EXISTS rs:{u0}:cursor rs:broadcast:{all}:kept"));
	RECEIVERS_UNTIL(r, 1, stack_metric(&s.mb[0], "mb_broadcasts") + stack_metric(&s.mb[1], "mb_broadcasts") == 0);
}

static struct text_answer withdraw(struct text_client *c, const char *id)
{
	return text_client_ask(c, "WITHDRAW 1\r\nmessage %s\r\n\r\n", id);
}

TestThen(stop, broadcast, withdrawn_is_not_given_any_more)
{
	char id[32];
	struct text_client other;
	struct addr at = net_loopback(s.dc[1].front);
	snprintf(id, sizeof id, "%s", keep("lifetime 600\r\n", "wrong"));
	log_in(0);
	RECEIVERS_UNTIL(r, 1, r[0].count == 1);

	stack_app(&s, "shop");
	text_client_open(&other, &at);
	text_client_auth(&other, "shop", STACK_KEY);
	cr_expect_eq(withdraw(&other, id).code, 404, "not its own");
	text_client_close(&other);

	struct text_answer a = withdraw(&app[1], id);
	cr_expect_str_eq(text_answer_value(&a, "state"), "withdrawn", "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "message"), id);
	cr_expect_eq(withdraw(&app[1], id).code, 404, "a second time");
	cr_expect_eq(withdraw(&app[1], "01JDCF3K7Q").code, 400);
	wait_for_both("mb_broadcasts_withdrawn_total", 1);
	log_in(1);
	receivers_turn_for(r, 2, 1000);
	cr_expect_eq(r[1].count, 0);
	cr_expect_eq(r[0].count, 1);
}

/* Withdrawn in Redis, as the operator does: no DC says a word. */
TestThen(stop, broadcast, withdrawn_in_redis_is_seen_by_its_version)
{
	char id[32];
	snprintf(id, sizeof id, "%s", keep("lifetime 600\r\n", "wrong"));
	cr_assert_str_eq(lua(s.c, SCRIPT_BROADCAST_WITHDRAW, 2, LUA_KEPT, LUA_VERSION, "", id), "1");
	uint64_t since_ms = clock_mono_ms();
	wait_for_both("mb_broadcasts_withdrawn_total", 1);
	cr_expect_lt(clock_mono_ms() - since_ms, 5000);
	log_in(0);
	receivers_turn_for(r, 1, 1000);
	cr_expect_eq(r[0].count, 0);
}

TestThen(stop, broadcast, withdrawn_on_its_way_is_not_shown)
{
	char id[32];
	log_in(0);
	r[0].refuses = true;
	snprintf(id, sizeof id, "%s", keep("lifetime 600\r\n", "wrong"));
	RECEIVERS_UNTIL(r, 1, r[0].offered > 0);
	cr_assert_eq(withdraw(&app[0], id).code, 200);
	RECEIVERS_UNTIL(r, 1, stack_metric(&s.mb[0], "mb_messages_voided_total") +
				      stack_metric(&s.mb[1], "mb_messages_voided_total") == 1);
	r[0].refuses = false;
	receivers_turn_for(r, 1, 1500);
	cr_expect_eq(r[0].count, 0);
}

TestThen(stop, broadcast, a_repeated_id_is_one_broadcast)
{
	char id[32];
	log_in(0);
	snprintf(id, sizeof id, "%s", keep("lifetime 600\r\nid news-3\r\n", "once"));
	struct text_answer a = ask(1, "lifetime 600\r\nid news-3\r\n", "once");
	cr_expect_str_eq(text_answer_value(&a, "state"), "duplicate", "%s", a.text);
	cr_expect_str_eq(text_answer_value(&a, "message"), id);
	cr_expect(in_redis("1", "ZCARD rs:broadcast:{all}:kept"));
	RECEIVERS_UNTIL(r, 1, r[0].count == 1);
	receivers_turn_for(r, 1, 1000);
	cr_expect_eq(r[0].count, 1);
}

/* More than a session takes at a time: the rest comes as there is room, in order. */
TestThen(stop, broadcast, many_come_in_order_and_once)
{
	enum { MANY = 200 };
	static char body[1500];
	log_in(0);
	for (unsigned n = 0; n < MANY; n++) {
		snprintf(body, sizeof body, "%03u %0*d", n, n % 7 ? 4 : 1400, 0);
		struct text_answer a = ask(n % 2, "lifetime 600\r\n", body);
		cr_assert_eq(a.code, 200, "%s", a.text);
	}
	log_in(1);
	stack_send(&s, "u1", "and one of her own");
	RECEIVERS_UNTIL(r, 2, r[0].count >= MANY && r[1].count >= MANY + 1);
	receivers_turn_for(r, 2, 500);
	cr_expect_eq(r[0].count, MANY);
	cr_expect_eq(r[1].count, MANY + 1);
	cr_expect_eq(handed(), 2 * MANY, "and no broker handed one over twice");
	for (unsigned i = 0; i < 2; i++)
		for (unsigned n = 0, at = 0; n < MANY && at < r[i].count; at++) {
			if (r[i].shown[at].body[0] == 'a')
				continue; /* her own: no order between the two is promised */
			cr_assert_eq((unsigned)atoi((const char *)r[i].shown[at].body), n, "u%u at %u", i, at);
			n++;
		}
	RECEIVERS_UNTIL(r, 2, cursor_is("u0", r[0].shown[MANY - 1].id));
	double calls = stack_metric(&s.mb[0], "mb_cursors_advanced_total") + stack_metric(&s.mb[1], "mb_cursors_advanced_total");
	cr_expect_lt(calls, 2 * MANY, "acknowledged together, noted together");
}

TestThen(stop, broadcast, a_restarted_broker_gives_what_is_kept)
{
	keep("lifetime 600\r\n", "still there");
	for (int i = 0; i < 2; i++)
		stack_kill(&s.mb[i]);
	for (int i = 0; i < 2; i++)
		stack_restart(&s.mb[i]);
	for (int i = 0; i < 2; i++)
		stack_wait_ready(&s.mb[i]);
	log_in(0);
	RECEIVERS_UNTIL(r, 1, r[0].count == 1);
	cr_expect(receiver_was_shown(&r[0], 0, "still there", 11));
}

/* It comes again, since nothing says that it was taken; a client that remembers what
 * it was shown does not show it twice. */
TestThen(stop, broadcast, taken_while_redis_was_away_is_noted_when_it_is_back)
{
	char id[32];
	log_in(0);
	r[0].refuses = true;
	snprintf(id, sizeof id, "%s", keep("lifetime 600\r\n", "hello"));
	RECEIVERS_UNTIL(r, 1, r[0].offered > 0);
	redis_server_pause(&s.redis);
	r[0].refuses = false;
	RECEIVERS_UNTIL(r, 1, r[0].count == 1);
	receivers_turn_for(r, 1, 500);
	redis_server_resume(&s.redis);
	RECEIVERS_UNTIL(r, 1, cursor_is("u0", id));
}

TestThen(stop, broadcast, what_is_wrong_is_refused)
{
	static const struct {
		const char *fields, *says;
		int code;
	} wrongs[] = {
		{"lifetime 0\r\n", "lifetime is not a whole number of seconds", 400},
		{"lifetime 2592001\r\n", "lifetime is not", 400},
		{"lifetime soon\r\n", "lifetime is not", 400},
		{"id a b\r\n", "id contains a space", 400},
		{"id -\r\n", "id is a lone -", 400},
		{"to alice\r\n", "to is not a field of BROADCAST", 400},
	};
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		struct text_answer a = ask(0, wrongs[i].fields, "x");
		cr_expect_eq(a.code, wrongs[i].code, "%s", a.text);
		cr_expect_not_null(strstr(a.text, wrongs[i].says), "%s", a.text);
	}
	cr_expect(in_redis("0", "EXISTS rs:broadcast:{all}:kept"));
}

/* ---- the command line ---- */

/* Runs `restante broadcast ...` and says how it ended; what it printed is in `out`. */
static int run(const char *arguments, char *out, size_t cap)
{
	char command[2048], path[TEMP_PATH_MAX];
	temp_file(&s.dir, "chat.key", STACK_KEY, 0600, path);
	snprintf(command, sizeof command, "%s/restante --redis 127.0.0.1:%u --dc 127.0.0.1:%u --app chat "
		 "--app-key-file %s broadcast %s", RESTANTE_BIN_DIR, s.redis.port, s.dc[0].front, path, arguments);
	FILE *f = popen(command, "re");
	cr_assert_not_null(f);
	out[fread(out, 1, cap - 1, f)] = '\0';
	int status = pclose(f);
	cr_assert(WIFEXITED(status), "%s", command);
	return WEXITSTATUS(status);
}

TestThen(stop, broadcast, the_command_line_sends_lists_and_withdraws)
{
	char out[1024], id[32], state[16], line[128];
	long long bytes = 0;
	log_in(0);
	cr_expect_eq(run("send 'to those who are here'", out, sizeof out), 0);
	cr_assert_eq(sscanf(out, "%26s %15s", id, state), 2, "%s", out);
	cr_expect_str_eq(state, "sent");
	cr_expect_eq(run("ls", out, sizeof out), 0);
	cr_expect_str_empty(out);

	cr_expect_eq(run("send --lifetime 600 --id news-3 'to all'", out, sizeof out), 0);
	cr_assert_eq(sscanf(out, "%26s %15s", id, state), 2, "%s", out);
	cr_expect_str_eq(state, "kept");
	RECEIVERS_UNTIL(r, 1, r[0].count == 2);
	cr_expect_eq(run("ls", out, sizeof out), 0);
	cr_expect_eq(strncmp(out, id, ULID_TEXT), 0, "%s", out);
	cr_assert_eq(sscanf(out, "%*s chat %*s %*s %lld %64s", &bytes, line), 2, "%s", out);
	cr_expect_eq(bytes, 6);
	cr_expect_str_eq(line, "news-3");

	snprintf(line, sizeof line, "withdraw %s", id);
	cr_expect_eq(run(line, out, sizeof out), 0);
	cr_expect_eq(run(line, out, sizeof out), 1, "a second time");
	cr_expect_eq(run("ls", out, sizeof out), 0);
	cr_expect_str_empty(out);
}

/* ---- the cost ---- */

/* Everybody whom Redis knows: a presence hash each, as a logout leaves it. */
static void know_users(unsigned count)
{
	for (unsigned n = 0; n < count; n++)
		redisAppendCommand(s.c, "HSET rs:{known-%u}:presence owner 1795471644540688 seen 1795471644553", n);
	for (unsigned n = 0; n < count; n++) {
		void *reply = NULL;
		cr_assert_eq(redisGetReply(s.c, &reply), REDIS_OK);
		freeReplyObject(reply);
	}
}

static long long memory_used(void)
{
	long long bytes = 0;
	redisReply *info = redisCommand(s.c, "INFO memory");
	cr_assert_eq(sscanf(strstr(info->str, "used_memory_dataset:"), "used_memory_dataset:%lld", &bytes), 1);
	freeReplyObject(info);
	return bytes;
}

/* What Redis holds of all broadcasts, and how many keys. */
static long long memory_of_broadcasts(unsigned *keys)
{
	long long bytes = 0;
	redisReply *all = redisCommand(s.c, "KEYS rs:broadcast:*");
	*keys = (unsigned)all->elements;
	for (size_t i = 0; i < all->elements; i++)
		bytes += atoll(redis_text(s.c, "MEMORY USAGE %s SAMPLES 0", all->element[i]->str));
	freeReplyObject(all);
	return bytes;
}

/* RESTANTE_BROADCAST_USERS=1000000: known users, none of them online. */
TestThen(stop, broadcast, one_costs_the_same_however_many_users_there_are)
{
	enum { TIMES = 5 };
	unsigned users = (unsigned)from_env("RESTANTE_BROADCAST_USERS", 20000), keys;
	long long before = memory_used();
	keep("lifetime 600\r\nid first\r\n", "to a few");
	long long few = memory_used() - before, of_few = memory_of_broadcasts(&keys);
	know_users(users);
	long long many = LLONG_MAX; /* the least: Redis makes room for other things when it likes */
	for (int i = 0; i < TIMES; i++) {
		char fields[64];
		snprintf(fields, sizeof fields, "lifetime 600\r\nid again-%d\r\n", i);
		before = memory_used();
		keep(fields, "to many");
		long long grew = memory_used() - before;
		many = grew < many ? grew : many;
	}
	long long of_many = (memory_of_broadcasts(&keys) - of_few) / TIMES;
	fprintf(stderr, "a kept broadcast: %lld bytes of keys among few users, %lld among %u; Redis grew by %lld and %lld\n",
		of_few, of_many, users, few, many);
	cr_expect_lt(of_few, 2048);
	cr_expect_leq(of_many, of_few);
	cr_expect_lt(many, 10 * 1024);
	cr_expect_eq(keys, 3 + TIMES, "kept, version, and one for each id");
}

/* RESTANTE_BROADCAST_LOGINS: how many, sixteen at a time. */
TestThen(stop, broadcast, each_who_logs_in_gets_it_once)
{
	unsigned logins = (unsigned)from_env("RESTANTE_BROADCAST_LOGINS", 2 * MAX);
	char user[24];
	keep("lifetime 600\r\n", "welcome");
	for (unsigned done = 0; done < logins; done += MAX) {
		for (unsigned i = 0; i < MAX; i++) {
			snprintf(user, sizeof user, "m%u", done + i);
			log_in_as(i, user);
		}
		RECEIVERS_UNTIL(r, MAX, all_have(0, MAX, 1));
		receivers_turn_for(r, MAX, 200);
		for (unsigned i = 0; i < MAX; i++) {
			cr_expect_eq(r[i].count, 1);
			receiver_close(&r[i]);
		}
	}
	cr_expect_eq(handed(), (logins + MAX - 1) / MAX * MAX);
}
