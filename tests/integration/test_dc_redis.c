/* SPDX-License-Identifier: Apache-2.0 */
/* restante-dc while Redis is away, stuck or full: OK only for what is stored. */
#include "base/clock.h"
#include "support/dc_fixture.h"
#include "support/lua_call.h"
#include "wire/record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct dc_fixture f;

static void start(void)
{
	static const struct redis_options durable = {.append_always = true};
	static const char *const args[] = {"--redis-timeout-ms", "700", "--redis-max-in-flight", "64", NULL};
	dc_fixture_start(&f, &durable, args);
}

static void stop(void) { dc_fixture_stop(&f); }
TestSuite(dc_redis, .init = start, .fini = stop, .timeout = 90);

TestThen(stop, dc_redis, away_and_back)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	redis_server_kill(&f.redis);
	dc_fixture_wait_redis(&f, false);
	struct text_answer a = text_client_ask(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\n");
	cr_expect_str_eq(a.text, "ERR 503\r\nid 7\r\nreason unavailable, try again\r\n");
	cr_expect_eq(text_client_ask(&c, "PRESENCE 1\r\nuser alice\r\n\r\n").code, 503);
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\nstore no\r\n\r\n").code, 503);
	cr_expect_eq(text_client_ask(&c, "PING 1\r\n\r\n").code, 200);
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_redis_up"), 0);
	redis_server_run(&f.redis);
	dc_fixture_wait_redis(&f, true);
	dc_fixture_reconnect(&f);
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\n").code, 200);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1");
	text_client_close(&c);
}

/* AUTH without Redis is no wrong key, and does not close. */
TestThen(stop, dc_redis, auth_while_away)
{
	struct text_client c;
	text_client_open(&c, &f.apps);
	redis_server_kill(&f.redis);
	for (int i = 0; i < 5; i++)
		cr_expect_eq(text_client_ask(&c, "AUTH 1\r\napp chat\r\nkey " DC_KEY "\r\n\r\n").code, 503);
	redis_server_run(&f.redis);
	uint64_t until = clock_mono_ms() + 20000;
	while (text_client_ask(&c, "AUTH 1\r\napp chat\r\nkey " DC_KEY "\r\n\r\n").code != 200)
		cr_assert(clock_mono_ms() < until);
	text_client_close(&c);
}

/* The message may be stored or not: the App is told to use the same id. */
TestThen(stop, dc_redis, stuck_means_unknown_and_the_id_decides)
{
	struct text_client c;
	struct text_answer a;
	dc_fixture_client(&f, &c);
	redis_server_pause(&f.redis);
	text_client_printf(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\nPING 1\r\nid 8\r\n\r\n");
	cr_assert(text_client_read(&c, &a));
	cr_expect_str_eq(a.text, "ERR 504\r\nid 7\r\nreason unknown, send again with the same id\r\n");
	cr_assert(text_client_read(&c, &a));
	cr_expect_str_eq(a.text, "OK 200\r\nid 8\r\n");
	redis_server_resume(&f.redis);
	dc_fixture_wait_redis(&f, true);
	a = text_client_ask(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\n");
	cr_expect_eq(a.code, 200);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1", "stored once, now or before");
	text_client_close(&c);
}

TestThen(stop, dc_redis, cut_off_means_unknown)
{
	struct text_client c;
	struct text_answer a;
	dc_fixture_client(&f, &c);
	redis_server_pause(&f.redis);
	text_client_printf(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\n");
	struct text_client probe; /* its answer shows that the SEND was read */
	text_client_open(&probe, &f.apps);
	cr_assert_eq(text_client_ask(&probe, "PING 1\r\n\r\n").code, 200);
	redis_server_kill(&f.redis);
	cr_assert(text_client_read(&c, &a));
	cr_expect_eq(a.code, 504);
	redis_server_run(&f.redis);
	text_client_close(&probe);
	text_client_close(&c);
}

/* What goes beyond redis_max_in_flight is refused at once, and in its turn. */
TestThen(stop, dc_redis, busy)
{
	struct text_client c;
	struct text_answer a;
	int refused = 0, unknown = 0;
	dc_fixture_client(&f, &c);
	redis_server_pause(&f.redis);
	for (int i = 0; i < 100; i++)
		text_client_printf(&c, "SEND 1\r\nid n%d\r\nto alice\r\n\r\n", i);
	for (int i = 0; i < 100; i++) {
		char id[16];
		snprintf(id, sizeof id, "n%d", i);
		cr_assert(text_client_read(&c, &a));
		cr_assert_str_eq(text_answer_value(&a, "id"), id);
		refused += a.code == 503;
		unknown += a.code == 504;
	}
	cr_expect(unknown > 0 && unknown <= 64, "%d", unknown);
	cr_expect_eq(refused, 100 - unknown);
	redis_server_resume(&f.redis);
	text_client_close(&c);
}

TestThen(stop, dc_redis, full)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	cr_assert_eq(text_client_ask(&c, "SEND 1\r\nto bob\r\n\r\n").code, 200);
	redis_text(f.c, "CONFIG SET maxmemory 1");
	struct text_answer a = text_client_ask(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\n");
	cr_expect_eq(a.code, 503);
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:{alice}:queue rs:{alice}:once:{chat}:7"), "0");
	redis_text(f.c, "CONFIG SET maxmemory 0");
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\n").code, 200);
	text_client_close(&c);
}

/* What the once key holds goes into the answer: it must not be able to end a line there. */
TestThen(stop, dc_redis, damaged_id_of_the_first_time_is_not_answered)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\n").code, 200);
	freeReplyObject(redisCommand(f.c, "SET rs:{alice}:once:{chat}:7 %b", "01JDCF3K7\r\nstate x\r\n\r\nOK 2", (size_t)26));
	struct text_answer a = text_client_ask(&c, "SEND 1\r\nid 7\r\nto alice\r\n\r\n");
	cr_expect_str_eq(a.text, "ERR 503\r\nid 7\r\nreason unavailable, try again\r\n");
	cr_expect_str_eq(text_client_ask(&c, "PING 1\r\n\r\n").text, "OK 200\r\n");
	text_client_close(&c);
}

TestThen(stop, dc_redis, time_of_many_digits_does_not_cut_the_answer)
{
	struct text_client c;
	char seen[601];
	memset(seen, '0', sizeof seen - 1);
	memcpy(seen + sizeof seen - 3, "17", 3);
	dc_fixture_client(&f, &c);
	freeReplyObject(redisCommand(f.c, "HSET rs:{alice}:presence seen %s", seen));
	cr_expect_str_eq(text_client_ask(&c, "PRESENCE 1\r\nuser alice\r\n\r\n").text,
			 "OK 200\r\nuser alice\r\nstate offline\r\nseen 17\r\n");
	text_client_close(&c);
}

TestThen(stop, dc_redis, forgotten_scripts_cost_nothing)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	redis_text(f.c, "SCRIPT FLUSH");
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n").code, 200);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1");
	text_client_close(&c);
}

/* --- kill -9 of Redis, again and again, under load --- */

enum { WINDOW = 32, STORED_MAX = 200000 };
static char (*stored)[ULID_TEXT + 1]; /* ids that were answered with OK */
static size_t stored_count;

static void send_window(struct text_client *c)
{
	struct text_answer a;
	for (int i = 0; i < WINDOW; i++)
		text_client_printf(c, "SEND 1\r\nto alice\r\nlength 5\r\n\r\nhello");
	for (int i = 0; i < WINDOW; i++) {
		cr_assert(text_client_read(c, &a));
		cr_assert(a.code == 200 || a.code == 503 || a.code == 504, "%s", a.text);
		if (a.code == 200 && stored_count < STORED_MAX)
			memcpy(stored[stored_count++], text_answer_value(&a, "message"), ULID_TEXT + 1);
	}
}

static int compare(const void *a, const void *b) { return memcmp(a, b, ULID_TEXT); }

TestThen(stop, dc_redis, what_was_answered_ok_survives_kills)
{
	struct text_client c;
	stored = calloc(STORED_MAX, sizeof *stored);
	cr_assert_not_null(stored);
	dc_fixture_client(&f, &c);
	for (int round = 0; round < 3; round++) {
		for (size_t goal = stored_count + 500; stored_count < goal;)
			send_window(&c);
		for (int i = 0; i < WINDOW; i++) /* under way when it dies */
			text_client_printf(&c, "SEND 1\r\nto alice\r\nlength 5\r\n\r\nhello");
		redis_server_kill(&f.redis);
		for (int i = 0; i < WINDOW; i++) {
			struct text_answer a;
			cr_assert(text_client_read(&c, &a));
			if (a.code == 200)
				memcpy(stored[stored_count++], text_answer_value(&a, "message"), ULID_TEXT + 1);
		}
		send_window(&c);
		redis_server_run(&f.redis);
	}
	dc_fixture_wait_redis(&f, true);
	dc_fixture_reconnect(&f);
	redisReply *r = redisCommand(f.c, "LRANGE rs:{alice}:queue 0 -1");
	cr_assert(r && r->type == REDIS_REPLY_ARRAY);
	cr_expect_geq(r->elements, stored_count);
	char (*there)[ULID_TEXT + 1] = calloc(r->elements + 1, sizeof *there);
	for (size_t i = 0; i < r->elements; i++)
		memcpy(there[i], r->element[i]->str, ULID_TEXT);
	qsort(there, r->elements, sizeof *there, compare);
	for (size_t i = 0; i < stored_count; i++)
		cr_assert(bsearch(stored[i], there, r->elements, sizeof *there, compare),
			  "%s was answered with OK and is not there", stored[i]);
	freeReplyObject(r);
	free(there);
	free(stored);
	text_client_close(&c);
}

/* --- durability --- */

static void wait_durable(double value)
{
	uint64_t until = clock_mono_ms() + 20000;
	while (dc_fixture_metric(&f, "restante_dc_durable") != value) {
		cr_assert(clock_mono_ms() < until, "durable does not become %g", value);
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
}

/* It looks when it connects and every few seconds; it runs on, and says when all is
 * well again. */
TestThen(stop, dc_redis, says_when_redis_is_not_durable)
{
	struct text_client c;
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_durable"), 1);
	dc_fixture_client(&f, &c);
	redis_text(f.c, "CONFIG SET appendfsync everysec");
	redis_text(f.c, "CLIENT KILL TYPE normal SKIPME yes");
	wait_durable(0);
	cr_expect(daemon_process_logged(&f.dc, "Redis is not durable"));
	dc_fixture_wait_redis(&f, true);
	cr_expect_eq(text_client_ask(&c, "SEND 1\r\nto alice\r\n\r\n").code, 200);
	redis_text(f.c, "CONFIG SET appendfsync always");
	wait_durable(1);
	redis_text(f.c, "CONFIG SET appendfsync everysec"); /* and the connections stay */
	wait_durable(0);
	text_client_close(&c);
}
