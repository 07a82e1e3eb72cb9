/* SPDX-License-Identifier: Apache-2.0 */
/* restante-dc and its links: a broker played by the test is pushed to, fetches,
 * acknowledges, kicks and is fenced. Logins are made by the script that a real
 * broker would call. */
#include "base/clock.h"
#include "net/tls.h"
#include "support/dc_fixture.h"
#include "support/fake_broker.h"
#include "support/lua_call.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONN = 77 };
#define BOOT 18000000000000000001ull /* needs all 64 bits */

static struct dc_fixture f;
static struct ev_loop *loop;
static struct text_client c;
static struct fake_broker mb1;

static void start(void)
{
	dc_fixture_start(&f, NULL, NULL);
	dc_fixture_client(&f, &c);
	loop = ev_loop_new(EVFLAG_AUTO);
	fake_broker_open(&mb1, loop, &f.brokers, NULL, "mb1", BOOT);
}

static void stop(void)
{
	fake_broker_close(&mb1);
	if (loop)
		ev_loop_destroy(loop);
	loop = NULL;
	text_client_close(&c);
	dc_fixture_stop(&f);
}

TestSuite(dc_brokers, .init = start, .fini = stop, .timeout = 60);

/* alice logs in at a broker; her owner token. */
static struct link_owner log_in(const char *broker, uint64_t boot, uint32_t conn)
{
	char boot_text[24], conn_text[16];
	struct link_owner owner = {.conn = conn};
	snprintf(boot_text, sizeof boot_text, "%llu", (unsigned long long)boot);
	snprintf(conn_text, sizeof conn_text, "%u", conn);
	const char *claim = lua(f.c, SCRIPT_PRESENCE_CLAIM, 6, LUA_PRESENCE, LUA_QUEUE, LUA_HIGH, LUA_LOW, LUA_CURSOR, LUA_MISSED, broker, boot_text,
				conn_text, "127.0.0.1:9", "60000");
	unsigned long long token = 0;
	cr_assert_eq(sscanf(claim, "[%llu", &token), 1, "%s", claim);
	owner.owner = token;
	return owner;
}

static struct text_answer send_alice(const char *fields, const char *body)
{
	return text_client_ask(&c, "SEND 1\r\nto alice\r\n%slength %zu\r\n\r\n%s", fields, strlen(body), body);
}

static bool state_is(const struct text_answer *a, const char *state)
{
	return a->code == 200 && strcmp(text_answer_value(a, "state"), state) == 0;
}

static bool is_owner(struct link_owner a, struct link_owner b)
{
	return a.conn == b.conn && a.owner == b.owner;
}

static struct ulid message_of(const struct text_answer *a)
{
	struct ulid id;
	cr_assert_eq(ulid_parse(text_answer_value(a, "message"), &id), RS_OK);
	return id;
}

static void fetch(struct fake_broker *b, struct link_owner owner, struct ulid after, unsigned max_count)
{
	struct link_message m = {.type = LINK_FETCH};
	m.fetch.to = owner;
	m.fetch.after = after;
	m.fetch.max_count = (uint16_t)max_count;
	m.fetch.max_bytes = 1 << 20;
	m.fetch.user = (struct link_name){"alice", 5};
	fake_broker_send(b, &m);
}

static void ack(struct fake_broker *b, struct link_owner owner, const struct ulid *ids, unsigned count)
{
	struct link_message m = {.type = LINK_ACK};
	m.ack.from = owner;
	m.ack.user = (struct link_name){"alice", 5};
	m.ack.count = (uint16_t)count;
	uint8_t with_times[8 * LINK_ACK_BYTES] = {0};
	for (unsigned i = 0; i < count && i < 8; i++)
		memcpy(with_times + i * LINK_ACK_BYTES, ids[i].b, ULID_BYTES);
	m.ack.ids = with_times;
	fake_broker_send(b, &m);
}

static const struct ulid none;

TestThen(stop, dc_brokers, online_is_stored_and_pushed)
{
	struct record r;
	struct link_owner owner = log_in("mb1", BOOT, CONN);
	struct text_answer first = send_alice("id 1\r\n", "hello");
	struct text_answer second = send_alice("", "again");
	cr_expect(state_is(&first, "pushed"));
	struct link_message m = fake_broker_next(&mb1, LINK_PUSH);
	cr_assert_eq(record_parse(m.push.record, m.push.record_len, &r), RS_OK);
	struct ulid id = message_of(&first);
	cr_expect(m.push.stored && is_owner(m.push.to, owner));
	cr_expect(ulid_is_zero(&m.push.prev), "the queue was empty");
	cr_expect(ulid_equal(&r.id, &id) && r.body_len == 5 && memcmp(r.body, "hello", 5) == 0);
	m = fake_broker_next(&mb1, LINK_PUSH);
	cr_expect(ulid_equal(&m.push.prev, &id), "the one before is named");
	cr_expect(state_is(&second, "pushed"));
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "2", "kept until acknowledged");
}

TestThen(stop, dc_brokers, not_stored_is_pushed_only)
{
	log_in("mb1", BOOT, CONN);
	struct text_answer a = send_alice("store no\r\n", "now");
	cr_expect(state_is(&a, "pushed"));
	struct link_message m = fake_broker_next(&mb1, LINK_PUSH);
	cr_expect_not(m.push.stored);
	cr_expect(ulid_is_zero(&m.push.prev));
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:{alice}:queue"), "0");
}

TestThen(stop, dc_brokers, long_records_are_pushed_whole)
{
	static char body[RECORD_BODY_MAX + 1];
	struct record r;
	memset(body, 'x', RECORD_BODY_MAX);
	log_in("mb1", BOOT, CONN);
	struct text_answer a = send_alice("", body);
	cr_expect(state_is(&a, "pushed"));
	struct link_message m = fake_broker_next(&mb1, LINK_PUSH);
	cr_assert_eq(record_parse(m.push.record, m.push.record_len, &r), RS_OK);
	cr_expect(r.body_len == RECORD_BODY_MAX && memcmp(r.body, body, RECORD_BODY_MAX) == 0);
}

/* The same id at a broker of another boot, or another id: not this link. */
TestThen(stop, dc_brokers, only_the_broker_of_that_boot_is_pushed_to)
{
	log_in("mb1", BOOT + 1, CONN);
	struct text_answer a = send_alice("", "hello");
	cr_expect(state_is(&a, "stored"));
	a = send_alice("store no\r\n", "hello");
	cr_expect(state_is(&a, "dropped"));
	log_in("mb2", BOOT, CONN);
	a = send_alice("", "hello");
	cr_expect(state_is(&a, "stored"));
	cr_expect(fake_broker_is_quiet(&mb1));
}

TestThen(stop, dc_brokers, a_duplicate_nudges)
{
	struct link_owner owner = log_in("mb1", BOOT, CONN);
	struct text_answer first = send_alice("id 1\r\n", "hello");
	fake_broker_next(&mb1, LINK_PUSH);
	struct text_answer again = send_alice("id 1\r\n", "hello");
	cr_expect(state_is(&again, "duplicate"));
	cr_expect_str_eq(text_answer_value(&again, "message"), text_answer_value(&first, "message"));
	struct link_message m = fake_broker_next(&mb1, LINK_NUDGE);
	cr_expect(is_owner(m.nudge, owner));
	cr_expect(fake_broker_is_quiet(&mb1));
}

TestThen(stop, dc_brokers, fetch_and_acknowledge)
{
	struct ulid ids[5];
	struct record r;
	size_t len;
	for (int i = 0; i < 5; i++) {
		struct text_answer a = send_alice("", (const char *[]){"0", "1", "2", "3", "4"}[i]);
		ids[i] = message_of(&a);
	}
	struct link_owner owner = log_in("mb1", BOOT, CONN);
	fetch(&mb1, owner, none, 3);
	struct link_message m = fake_broker_next(&mb1, LINK_BATCH);
	cr_expect(is_owner(m.batch.to, owner) && m.batch.status == LINK_DONE);
	cr_assert_eq(m.batch.count, 3);
	cr_expect_eq(m.batch.left, 2);
	for (int i = 0; i < 3; i++) {
		const uint8_t *record = link_next_record(&m.batch.records, &len);
		cr_assert_eq(record_parse(record, len, &r), RS_OK);
		cr_expect(ulid_equal(&r.id, &ids[i]) && r.body[0] == '0' + i);
	}
	fetch(&mb1, owner, ids[2], 100);
	m = fake_broker_next(&mb1, LINK_BATCH);
	cr_expect(m.batch.count == 2 && m.batch.left == 0);
	ack(&mb1, owner, ids, 3);
	m = fake_broker_next(&mb1, LINK_ACKED);
	cr_expect(is_owner(m.acked.to, owner) && m.acked.status == LINK_DONE);
	cr_expect(m.acked.removed == 3 && m.acked.left == 2);
	ack(&mb1, owner, &ids[4], 1);
	m = fake_broker_next(&mb1, LINK_ACKED);
	cr_expect(m.acked.removed == 1 && m.acked.left == 1);
	redisReply *left = redisCommand(f.c, "LRANGE rs:{alice}:queue 0 -1");
	cr_assert_eq(left->elements, 1);
	cr_assert_eq(record_parse(left->element[0]->str, left->element[0]->len, &r), RS_OK);
	cr_expect(ulid_equal(&r.id, &ids[3]), "exactly those that were acknowledged are gone");
	freeReplyObject(left);
}

/* However much is asked for, a batch stays within its bounds, and all comes. */
TestThen(stop, dc_brokers, a_long_queue_comes_in_batches)
{
	enum { COUNT = 60 };
	static char body[RECORD_BODY_MAX + 1];
	unsigned seen = 0, batches = 0;
	struct ulid last = none;
	struct record r;
	size_t len;
	memset(body, 'x', RECORD_BODY_MAX);
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(send_alice("", body).code, 200);
	struct link_owner owner = log_in("mb1", BOOT, CONN);
	for (uint32_t left = 1; left > 0; batches++) {
		fetch(&mb1, owner, last, 65535);
		struct link_message m = fake_broker_next(&mb1, LINK_BATCH);
		size_t bytes = 0;
		left = m.batch.left;
		cr_assert_gt(m.batch.count, 0);
		for (unsigned i = 0; i < m.batch.count; i++, seen++) {
			const uint8_t *record = link_next_record(&m.batch.records, &len);
			cr_assert_eq(record_parse(record, len, &r), RS_OK);
			bytes += len;
			last = r.id;
		}
		cr_expect_leq(bytes, LINK_BATCH_BYTES + RECORD_MAX);
	}
	cr_expect_eq(seen, COUNT);
	cr_expect_gt(batches, 3);
}

TestThen(stop, dc_brokers, who_was_followed_by_another_login_is_fenced)
{
	struct text_answer a = send_alice("", "hello");
	struct ulid id = message_of(&a);
	struct link_owner old = log_in("mb1", BOOT, CONN), new = log_in("mb2", 5, 1);
	fetch(&mb1, old, none, 10);
	struct link_message m = fake_broker_next(&mb1, LINK_BATCH);
	cr_expect(is_owner(m.batch.to, old) && m.batch.status == LINK_FENCED && m.batch.count == 0);
	ack(&mb1, old, &id, 1);
	m = fake_broker_next(&mb1, LINK_ACKED);
	cr_expect(is_owner(m.acked.to, old) && m.acked.status == LINK_FENCED && m.acked.removed == 0);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1");
	ack(&mb1, new, &id, 1);
	m = fake_broker_next(&mb1, LINK_ACKED);
	cr_expect(m.acked.status == LINK_DONE && m.acked.removed == 1);
}

TestThen(stop, dc_brokers, expired_messages_are_not_handed_over)
{
	cr_assert_eq(send_alice("ttl 1\r\n", "gone").code, 200);
	cr_assert_eq(send_alice("", "stays").code, 200);
	struct link_owner owner = log_in("mb1", BOOT, CONN);
	struct link_message m = {0};
	uint64_t until = clock_mono_ms() + 5000;
	do {
		fetch(&mb1, owner, none, 10);
		m = fake_broker_next(&mb1, LINK_BATCH);
	} while (m.batch.count == 2 && clock_mono_ms() < until);
	cr_expect_eq(m.batch.count, 1);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1");
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_expired_total"), 1);
}

/* What somebody else put into a queue is passed over, and blocks nobody. */
TestThen(stop, dc_brokers, what_is_no_record_blocks_nobody)
{
	static char junk[RECORD_MAX + 100];
	size_t len;
	memset(junk, 'j', sizeof junk);
	freeReplyObject(redisCommand(f.c, "RPUSH rs:{alice}:queue %b", junk, sizeof junk));
	cr_assert_eq(send_alice("", "hello").code, 200);
	struct link_owner owner = log_in("mb1", BOOT, CONN);
	fetch(&mb1, owner, none, 10);
	struct link_message m = fake_broker_next(&mb1, LINK_BATCH);
	cr_assert_eq(m.batch.count, 1);
	const uint8_t *record = link_next_record(&m.batch.records, &len);
	struct record r;
	cr_expect_eq(record_parse(record, len, &r), RS_OK);
}

TestThen(stop, dc_brokers, redis_away_is_said)
{
	struct link_owner owner = log_in("mb1", BOOT, CONN);
	struct ulid id = {{1}};
	redis_server_kill(&f.redis);
	dc_fixture_wait_redis(&f, false);
	fetch(&mb1, owner, none, 10);
	struct link_message m = fake_broker_next(&mb1, LINK_BATCH);
	cr_expect(is_owner(m.batch.to, owner) && m.batch.status == LINK_UNAVAILABLE);
	ack(&mb1, owner, &id, 1);
	m = fake_broker_next(&mb1, LINK_ACKED);
	cr_expect(is_owner(m.acked.to, owner) && m.acked.status == LINK_UNAVAILABLE);
}

TestThen(stop, dc_brokers, redis_lost_on_the_way_is_said)
{
	struct link_owner owner = log_in("mb1", BOOT, CONN);
	redis_server_pause(&f.redis);
	fetch(&mb1, owner, none, 10);
	net_run_for(loop, 50);
	redis_server_kill(&f.redis);
	struct link_message m = fake_broker_next(&mb1, LINK_BATCH);
	cr_expect(m.batch.status == LINK_UNAVAILABLE);
}

TestThen(stop, dc_brokers, a_kick_is_passed_on)
{
	struct fake_broker mb2;
	struct link_message kick = {.type = LINK_KICK};
	fake_broker_open(&mb2, loop, &f.brokers, NULL, "mb2", 42);
	kick.kick.boot = 42;
	kick.kick.of = (struct link_owner){9, 1234567890123456789ull};
	kick.kick.broker = (struct link_name){"mb2", 3};
	fake_broker_send(&mb1, &kick);
	struct link_message m = fake_broker_next(&mb2, LINK_KICK);
	cr_expect(m.kick.boot == 42 && is_owner(m.kick.of, kick.kick.of));
	kick.kick.boot = 41; /* an earlier life of mb2 */
	fake_broker_send(&mb1, &kick);
	kick.kick.broker = (struct link_name){"mb3", 3};
	fake_broker_send(&mb1, &kick);
	cr_expect(fake_broker_is_quiet(&mb1)); /* by then the kicks were seen */
	cr_expect(fake_broker_is_quiet(&mb2));
	fake_broker_close(&mb2);
}

TestThen(stop, dc_brokers, a_newer_link_replaces_the_older)
{
	struct fake_broker again;
	fake_broker_open(&again, loop, &f.brokers, NULL, "mb1", BOOT + 1);
	fake_broker_wait_down(&mb1);
	link_free(mb1.link); /* or it would come back and replace in its turn */
	mb1.link = NULL;
	log_in("mb1", BOOT + 1, CONN);
	struct text_answer a = send_alice("", "hello");
	cr_expect(state_is(&a, "pushed"));
	fake_broker_next(&again, LINK_PUSH);
	log_in("mb1", BOOT, CONN);
	a = send_alice("", "hello");
	cr_expect(state_is(&a, "stored"), "the old boot is gone");
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_links"), 1);
	fake_broker_close(&again);
}

TestThen(stop, dc_brokers, a_lost_link_with_questions_under_way)
{
	struct link_owner owner = log_in("mb1", BOOT, CONN);
	redis_server_pause(&f.redis);
	for (int i = 0; i < 10; i++)
		fetch(&mb1, owner, none, 10);
	net_run_for(loop, 50);
	fake_broker_close(&mb1);
	uint64_t until = clock_mono_ms() + 10000;
	while (dc_fixture_metric(&f, "restante_dc_links") != 0)
		cr_assert(clock_mono_ms() < until);
	redis_server_resume(&f.redis);
	struct text_answer a = send_alice("", "hello");
	cr_expect(state_is(&a, "stored"));
}

TestThen(stop, dc_brokers, presence_while_online)
{
	log_in("mb1", BOOT, CONN);
	struct text_answer a = text_client_ask(&c, "PRESENCE 1\r\nuser alice\r\n\r\n");
	cr_expect_eq(a.code, 200);
	cr_expect_str_eq(text_answer_value(&a, "state"), "online");
	cr_expect_str_eq(text_answer_value(&a, "broker"), "mb1");
	cr_expect_eq(strlen(text_answer_value(&a, "since")), 13);
	cr_expect_str_eq(text_answer_value(&a, "seen"), "");
}

static void beat(const char *id, const char *boot)
{
	char key[64];
	snprintf(key, sizeof key, "rs:broker:%s", id);
	lua(f.c, SCRIPT_REGISTRY_BEAT, 1, key, "5000", "boot", boot, "address", "127.0.0.1:7200", "key",
	    "0101010101010101010101010101010101010101010101010101010101010101");
	redis_text(f.c, "ZADD rs:brokers %s %s", redis_text(f.c, "HGET %s beat", key), id);
}

/* No link here, but the registry says that it lives. */
TestThen(stop, dc_brokers, presence_by_the_registry)
{
	uint64_t until = clock_mono_ms() + 10000;
	struct text_answer a;
	log_in("mb7", 99, CONN);
	a = text_client_ask(&c, "PRESENCE 1\r\nuser alice\r\n\r\n");
	cr_expect_str_eq(text_answer_value(&a, "state"), "offline");
	do {
		beat("mb7", "99");
		a = text_client_ask(&c, "PRESENCE 1\r\nuser alice\r\n\r\n");
		cr_assert(clock_mono_ms() < until, "%s", a.text);
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	} while (strcmp(text_answer_value(&a, "state"), "online") != 0);
	cr_expect_str_eq(text_answer_value(&a, "broker"), "mb7");
	a = send_alice("", "hello");
	cr_expect(state_is(&a, "stored"), "not linked here: it fetches when it is told or asks");
}

static bool is_online(void)
{
	struct text_answer a = text_client_ask(&c, "PRESENCE 1\r\nuser alice\r\n\r\n");
	cr_assert_eq(a.code, 200, "%s", a.text);
	return strcmp(text_answer_value(&a, "state"), "online") == 0;
}

/* It was killed: what it said last in Redis is young enough to be believed, but its
 * link broke after that. */
TestThen(stop, dc_brokers, users_of_a_dead_broker_are_offline_at_once)
{
	char boot[24];
	uint64_t until = clock_mono_ms() + 10000;
	snprintf(boot, sizeof boot, "%llu", (unsigned long long)BOOT);
	beat("mb1", boot);
	net_run_for(loop, 1500); /* a listing of the registry */
	log_in("mb1", BOOT, CONN);
	cr_assert(is_online());
	beat("mb1", boot);
	fake_broker_close(&mb1);
	while (dc_fixture_metric(&f, "restante_dc_links") != 0)
		cr_assert(clock_mono_ms() < until);
	cr_expect_not(is_online());
	struct text_answer a = send_alice("", "hello");
	cr_expect(state_is(&a, "stored"));
	for (int i = 0; i < 15; i++) { /* the next listings have its last beat */
		cr_expect_not(is_online());
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	until = clock_mono_ms() + 10000;
	while (!is_online()) { /* only its link was lost: it goes on */
		cr_assert(clock_mono_ms() < until);
		beat("mb1", boot);
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
}

/* --- what is no broker --- */

static bool is_closed(void *ctx)
{
	char bytes[256];
	ssize_t n = recv(*(int *)ctx, bytes, sizeof bytes, MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void expect_closed_after(const void *data, size_t len)
{
	int fd = net_raw_connect(&f.brokers);
	cr_assert_eq(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
	cr_expect(net_run_until(loop, is_closed, &fd, 20000), "not closed after %zu bytes", len);
	close(fd);
}

TestThen(stop, dc_brokers, what_is_no_broker_is_closed)
{
	expect_closed_after("GET / HTTP/1.1\r\n\r\n", 18);
	expect_closed_after("\0\0\0\1\x0f", 5);           /* a malformed NUDGE */
	expect_closed_after("\0\0\0\xd\x0f" "123456789012", 17); /* whole, before HELLO */
	expect_closed_after("\0\0\0\xd\1\2" "12345678\2m{", 17); /* a name that is none */
	expect_closed_after("\0\0\0\xd\1\1" "12345678\2mb", 17); /* another version */
	expect_closed_after("", 0);                       /* no HELLO in five seconds */
	cr_expect_not(daemon_process_logged(&f.dc, "msg=\"broker linked\" broker=mb "), "one was taken for a broker");
	cr_expect(fake_broker_is_quiet(&mb1));
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_links"), 1);
}

/* --- a broker that asks and does not read --- */

static void say(int fd, const void *message, size_t len)
{
	uint8_t framed[4 + 128] = {0};
	cr_assert_lt(len, 128);
	framed[3] = (uint8_t)len;
	memcpy(framed + 4, message, len);
	if (send(fd, framed, 4 + len, MSG_NOSIGNAL) < 0)
		cr_assert(errno == EPIPE || errno == ECONNRESET, "%s", strerror(errno));
}

/* Where not even a short answer has room the link is given up: a broker waits for each
 * answer until it comes or the link is lost. */
TestThen(stop, dc_brokers, who_cannot_be_answered_is_closed)
{
	enum { LARGE = 16384 };
	uint8_t question[128];
	struct link_message m = {.type = LINK_FETCH};
	m.fetch = (struct link_fetch){.to = {CONN, 1}, .max_count = 1, .max_bytes = 1000, .user = {"alice", 5}};
	int len = link_encode(&m, question, sizeof question);
	fake_broker_close(&mb1); /* else its link is full as well */
	int deaf = net_raw_connect(&f.brokers);
	say(deaf, "\1\2" "12345678\2mb", 13);
	while (dc_fixture_metric(&f, "restante_dc_links_full_total") == 0) {
		for (int i = 0; i < 50; i++)
			cr_assert_eq(text_client_ask(&c, "BROADCAST 1\r\nlength %d\r\n\r\n%0*d", LARGE, LARGE, 0).code, 200);
		say(deaf, &(uint8_t){LINK_PING}, 1); /* it lives */
	}
	uint64_t until = clock_mono_ms() + 20000;
	while (!daemon_process_logged(&f.dc, "an answer could not be sent")) {
		cr_assert(clock_mono_ms() < until, "it is not closed");
		for (int i = 0; i < 200; i++)
			say(deaf, question, (size_t)len);
	}
	cr_expect_eq(text_client_ask(&c, "PING 1\r\n\r\n").code, 200);
	close(deaf);
}

/* --- with TLS, as it runs outside of tests --- */

static char secret_file[] = "/tmp/rs-secret-XXXXXX";
static const char secret[] = "a secret of the whole cluster";

static void start_tls(void)
{
	const char *const args[] = {"--cluster-plaintext", "no", "--cluster-secret-file", secret_file, NULL};
	int fd = mkstemp(secret_file);
	cr_assert_eq(write(fd, secret, strlen(secret)), (ssize_t)strlen(secret));
	close(fd);
	dc_fixture_start(&f, NULL, args);
	dc_fixture_client(&f, &c);
	loop = ev_loop_new(EVFLAG_AUTO);
}

static void stop_tls(void)
{
	unlink(secret_file);
	stop();
}

TestSuite(dc_brokers_tls, .init = start_tls, .fini = stop_tls, .timeout = 60);

TestThen(stop_tls, dc_brokers_tls, who_knows_the_secret_is_linked)
{
	struct tls_context *tls;
	cr_assert_eq(tls_context_new(&tls, secret, strlen(secret)), RS_OK);
	fake_broker_open(&mb1, loop, &f.brokers, tls, "mb1", BOOT);
	log_in("mb1", BOOT, CONN);
	struct text_answer a = send_alice("", "hello");
	cr_expect(state_is(&a, "pushed"));
	fake_broker_next(&mb1, LINK_PUSH);
	link_free(mb1.link);
	mb1.link = NULL;
	tls_context_free(tls);
}

TestThen(stop_tls, dc_brokers_tls, who_does_not_know_it_is_not)
{
	expect_closed_after("\0\0\0\xd\1\2" "12345678\2mb", 17);
	cr_expect_eq(dc_fixture_metric(&f, "restante_dc_links"), 0);
}
