/* SPDX-License-Identifier: Apache-2.0 */
#include "rds/rds.h"

#include "base/clock.h"
#include "support/lua_call.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 300, WAIT_MS = 15000 };

static struct ev_loop *loop;
static struct rds *rds;
static unsigned ups, downs;

/* What came back, in the order in which it came. */
static struct {
	unsigned count, ok, remote, timeout, lost, out_of_order;
	int first_err;
	int64_t last_int;
	char last_text[256];
} got;

static void on_state(void *ctx, bool up)
{
	(void)ctx;
	if (up)
		ups++;
	else
		downs++;
}

static void on_reply(void *ctx, int err, const struct redisReply *reply)
{
	uintptr_t number = (uintptr_t)ctx;
	if (got.count == 0)
		got.first_err = err;
	if (number && number != got.count + 1)
		got.out_of_order++;
	got.count++;
	got.ok += err == RS_OK;
	got.remote += err == RS_EREMOTE;
	got.timeout += err == RS_ETIMEOUT;
	got.lost += err == RS_ELOST;
	cr_expect_eq(reply == NULL, err == RS_ETIMEOUT || err == RS_ELOST);
	const char *text = reply_str(reply, NULL);
	snprintf(got.last_text, sizeof got.last_text, "%s", text ? text : "");
	reply_int(reply, &got.last_int);
}

static void wake(struct ev_loop *l, ev_timer *w, int revents) { (void)l, (void)w, (void)revents; }

/* Runs the loop until *what has reached n, or the time is over. */
static void wait_for_within(const unsigned *what, unsigned n, uint64_t ms)
{
	uint64_t until = clock_mono_ms() + ms;
	ev_timer tick;
	ev_timer_init(&tick, wake, .02, .02);
	ev_timer_start(loop, &tick);
	while (*what < n && clock_mono_ms() < until)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &tick);
}

static void wait_for(const unsigned *what, unsigned n)
{
	wait_for_within(what, n, WAIT_MS);
	cr_assert_geq(*what, n, "waited for %u, have %u", n, *what);
}

static void open_config(const struct rds_config *config)
{
	memset(&got, 0, sizeof got);
	ups = downs = 0;
	loop = ev_loop_new(0);
	cr_assert_eq(rds_new(&rds, loop, config, on_state, NULL), RS_OK);
}

static void open_rds(uint32_t max_in_flight)
{
	open_config(&(struct rds_config){.addr = redis_server_addr(&lua_server),
					 .command_timeout_ms = TIMEOUT_MS,
					 .connect_timeout_ms = TIMEOUT_MS,
					 .max_in_flight = max_in_flight});
	cr_assert_not(rds_is_up(rds));
	wait_for(&ups, 1);
	cr_assert(rds_is_up(rds));
}

static void close_rds(void)
{
	rds_free(rds);
	ev_loop_destroy(loop);
}

#define ARGS(...) sizeof((struct rds_arg[]){__VA_ARGS__}) / sizeof(struct rds_arg), (struct rds_arg[]){__VA_ARGS__}
#define SEND(...) rds_command(rds, ARGS(__VA_ARGS__), on_reply, NULL)

/* Numbered from 1: on_reply() checks the order of the answers. */
static int store(uintptr_t number, const char *record)
{
	return rds_script(rds, SCRIPT_MESSAGE_STORE, 5,
			  ARGS(RDS_STR(LUA_QUEUE), RDS_STR(LUA_PRESENCE), RDS_STR(LUA_SETTINGS), RDS_STR(LUA_INDEX),
			       RDS_STR(LUA_JOURNAL), RDS_STR(record), RDS_STR("9999999999999"),
			       RDS_STR("1700000000000"), RDS_STR("100000"), RDS_STR("1000"), RDS_STR("1000")),
			  on_reply, (void *)number);
}

TestSuite(rds, .init = lua_setup, .fini = lua_teardown);

Test(rds, refuses_at_once_when_down)
{
	redis_server_kill(&lua_server);
	open_config(&(struct rds_config){.addr = redis_server_addr(&lua_server)});
	cr_assert_eq(SEND(RDS_STR("PING")), RS_EDOWN);
	wait_for_within(&ups, 1, 400);
	cr_assert_eq(SEND(RDS_STR("PING")), RS_EDOWN);
	cr_assert_eq(rds_stats(rds)->refused, 2);
	cr_assert_eq(ups + downs, 0);
	redis_server_run(&lua_server);
	wait_for(&ups, 1);
	cr_assert_eq(SEND(RDS_STR("PING")), RS_OK);
	cr_assert_eq(got.count, 0, "no answer from inside the call");
	wait_for(&got.count, 1);
	cr_assert_str_eq(got.last_text, "PONG");
	close_rds();
}

Test(rds, arguments_may_hold_any_bytes)
{
	open_rds(0);
	cr_assert_eq(SEND(RDS_STR("SET"), RDS_MEM("k\0y", 3), RDS_MEM("\r\n\0%s", 5)), RS_OK);
	cr_assert_eq(SEND(RDS_STR("STRLEN"), RDS_MEM("k\0y", 3)), RS_OK);
	wait_for(&got.count, 2);
	cr_assert_eq(got.last_int, 5);
	cr_assert_eq(SEND(RDS_STR("ECHO"), RDS_MEM(NULL, 0)), RS_OK);
	wait_for(&got.ok, 3);
	cr_assert_eq(rds_command(rds, 0, NULL, on_reply, NULL), RS_EINVAL);
	close_rds();
}

Test(rds, error_replies_are_handed_on)
{
	open_rds(0);
	cr_assert_eq(SEND(RDS_STR("NONSENSE")), RS_OK);
	wait_for(&got.remote, 1);
	cr_assert_eq(strncmp(got.last_text, "ERR unknown command", 19), 0);
	cr_assert(rds_is_up(rds));
	cr_assert_eq(rds_stats(rds)->errors, 1);
	close_rds();
}

Test(rds, all_scripts_are_loaded_before_it_is_up)
{
	open_rds(0);
	for (size_t i = 0; i < SCRIPT_COUNT; i++)
		cr_expect_str_eq(redis_text(lua_redis, "SCRIPT EXISTS %s", scripts[i].sha1), "[1]", "%s",
				 scripts[i].name);
	close_rds();
}

Test(rds, ten_thousand_answers_in_order)
{
	enum { MANY = 10000 };
	open_rds(MANY);
	for (uintptr_t i = 1; i <= MANY; i++)
		cr_assert_eq(store(i, lua_record((unsigned)i % 10000, 9999999999999)), RS_OK);
	cr_assert_eq(rds_stats(rds)->in_flight, MANY);
	wait_for(&got.count, MANY);
	cr_assert_eq(got.ok, MANY);
	cr_assert_eq(got.out_of_order, 0);
	cr_assert_eq(rds_stats(rds)->in_flight, 0);
	cr_assert_str_eq(redis_text(lua_redis, "LLEN %s", LUA_QUEUE), "10000");
	close_rds();
}

Test(rds, noscript_is_repaired_unseen_and_in_order)
{
	enum { MANY = 200 };
	open_rds(0);
	redis_text(lua_redis, "SCRIPT FLUSH");
	for (uintptr_t i = 1; i <= MANY; i++)
		cr_assert_eq(store(i, lua_record((unsigned)i, 9999999999999)), RS_OK);
	wait_for(&got.count, MANY);
	cr_assert_eq(got.ok, MANY);
	cr_assert_eq(got.out_of_order, 0);
	cr_assert_geq(rds_stats(rds)->noscript, 1);
	cr_assert_eq(downs, 0);
	for (unsigned i = 1; i <= MANY; i++)
		cr_assert_str_eq(redis_text(lua_redis, "LINDEX %s %u", LUA_QUEUE, i - 1),
				 lua_record(i, 9999999999999));
	redis_text(lua_redis, "SCRIPT FLUSH");
	cr_assert_eq(store(0, lua_record(1, 9999999999999)), RS_OK);
	wait_for(&got.ok, MANY + 1);
	close_rds();
}

Test(rds, killed_server_answers_each_request_once_as_lost)
{
	enum { MANY = 500 };
	open_rds(0);
	redis_server_pause(&lua_server);
	for (uintptr_t i = 1; i <= MANY; i++)
		cr_assert_eq(store(i, lua_record(1, 9999999999999)), RS_OK);
	ev_run(loop, EVRUN_NOWAIT);
	redis_server_kill(&lua_server);
	wait_for(&downs, 1);
	cr_assert_eq(got.count, MANY);
	cr_assert_eq(got.lost, MANY);
	cr_assert_eq(got.out_of_order, 0);
	cr_assert_eq(SEND(RDS_STR("PING")), RS_EDOWN);

	redis_server_run(&lua_server);
	wait_for(&ups, 2);
	cr_assert_eq(store(MANY + 1, lua_record(2, 9999999999999)), RS_OK);
	wait_for(&got.ok, 1);
	cr_assert_eq(got.count, MANY + 1);
	cr_assert_eq(rds_stats(rds)->reconnects, 1);
	close_rds();
}

Test(rds, idle_connection_notices_the_end_of_the_server)
{
	open_rds(0);
	redis_server_kill(&lua_server);
	wait_for(&downs, 1);
	cr_assert_not(rds_is_up(rds));
	close_rds();
}

Test(rds, hung_server_times_out_and_cannot_mix_up_answers)
{
	open_rds(0);
	redis_server_pause(&lua_server);
	uint64_t start = clock_mono_ms();
	cr_assert_eq(SEND(RDS_STR("ECHO"), RDS_STR("old")), RS_OK);
	cr_assert_eq(SEND(RDS_STR("ECHO"), RDS_STR("old")), RS_OK);
	wait_for(&downs, 1);
	uint64_t took = clock_mono_ms() - start;
	cr_assert(took >= TIMEOUT_MS - 50 && took < TIMEOUT_MS + 2000, "%llu ms", (unsigned long long)took);
	cr_assert_eq(got.first_err, RS_ETIMEOUT);
	cr_assert_eq(got.timeout, 1);
	cr_assert_eq(got.lost, 1);
	cr_assert_eq(rds_stats(rds)->timeouts, 1);

	redis_server_resume(&lua_server);
	wait_for(&ups, 2);
	cr_assert_eq(SEND(RDS_STR("ECHO"), RDS_STR("new")), RS_OK);
	wait_for(&got.count, 3);
	cr_assert_str_eq(got.last_text, "new");
	close_rds();
}

Test(rds, requests_spread_in_time_keep_their_own_deadline)
{
	open_rds(0);
	for (unsigned i = 1; i <= 5; i++) { /* the timer runs over several answered ones */
		cr_assert_eq(SEND(RDS_STR("PING")), RS_OK);
		wait_for(&got.ok, i);
		wait_for_within(&downs, 1, TIMEOUT_MS / 3);
	}
	cr_assert_eq(downs, 0);
	close_rds();
}

Test(rds, requests_in_flight_are_bounded)
{
	open_rds(3);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(SEND(RDS_STR("PING")), RS_OK);
	cr_assert_eq(SEND(RDS_STR("PING")), RS_EBUSY);
	cr_assert_eq(rds_stats(rds)->refused, 1);
	wait_for(&got.ok, 3);
	cr_assert_eq(SEND(RDS_STR("PING")), RS_OK);
	wait_for(&got.ok, 4);
	close_rds();
}

Test(rds, replica_is_left_alone_until_it_is_master)
{
	open_rds(0);
	redis_text(lua_redis, "REPLICAOF 127.0.0.1 1");
	cr_assert_eq(store(0, lua_record(1, 9999999999999)), RS_OK);
	wait_for(&downs, 1);
	cr_assert_eq(got.remote, 1);
	cr_assert_eq(strncmp(got.last_text, "READONLY", 8), 0, "%s", got.last_text);
	wait_for_within(&ups, 2, 500);
	cr_assert_eq(ups, 1);
	redis_text(lua_redis, "REPLICAOF NO ONE");
	wait_for(&ups, 2);
	close_rds();
}

/* ---- rds_free() at bad moments ---- */

static void free_in_reply(void *ctx, int err, const struct redisReply *reply)
{
	on_reply(NULL, err, reply);
	if (got.count == 1) {
		rds_free(rds);
		*(unsigned *)ctx = got.count;
	}
}

static void free_when_lost(void *ctx, bool up)
{
	if (up) {
		on_state(ctx, up);
		return;
	}
	rds_free(rds);
	downs++;
}

Test(rds, free_answers_what_is_open)
{
	open_rds(0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(SEND(RDS_STR("PING")), RS_OK);
	rds_free(rds);
	cr_assert_eq(got.lost, 10);
	ev_run(loop, EVRUN_NOWAIT);
	cr_assert_eq(got.count, 10);
	cr_assert_eq(downs, 0);
	ev_loop_destroy(loop);
}

Test(rds, free_inside_a_reply)
{
	unsigned seen = 0;
	open_rds(0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(rds_command(rds, ARGS(RDS_STR("PING")), free_in_reply, &seen), RS_OK);
	wait_for(&seen, 1);
	cr_assert_eq(seen, 10, "all were answered before rds_free() returned");
	cr_assert_eq(got.ok, 1);
	cr_assert_eq(got.lost, 9);
	ev_loop_destroy(loop);
}

Test(rds, free_inside_a_lost_reply_and_inside_the_state_callback)
{
	unsigned seen = 0;
	open_rds(0);
	redis_server_pause(&lua_server);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(rds_command(rds, ARGS(RDS_STR("PING")), free_in_reply, &seen), RS_OK);
	ev_run(loop, EVRUN_NOWAIT);
	redis_server_kill(&lua_server);
	wait_for(&seen, 1);
	cr_assert_eq(got.lost, 10);
	ev_loop_destroy(loop);

	redis_server_run(&lua_server);
	ups = downs = 0;
	loop = ev_loop_new(0);
	cr_assert_eq(rds_new(&rds, loop, &(struct rds_config){.addr = redis_server_addr(&lua_server)},
			     free_when_lost, NULL), RS_OK);
	wait_for(&ups, 1);
	redis_server_kill(&lua_server);
	wait_for(&downs, 1);
	ev_loop_destroy(loop);
}

Test(rds, free_while_connecting)
{
	open_config(&(struct rds_config){.addr = redis_server_addr(&lua_server)});
	rds_free(rds);
	ev_run(loop, EVRUN_NOWAIT);
	cr_assert_eq(ups + downs, 0);
	ev_loop_destroy(loop);
}

static void send_again(void *ctx, int err, const struct redisReply *reply)
{
	(void)ctx;
	on_reply(NULL, err, reply);
	cr_expect_eq(SEND(RDS_STR("PING")), RS_EDOWN);
}

Test(rds, lost_reply_may_not_send_on_the_dying_connection)
{
	open_rds(0);
	redis_server_pause(&lua_server);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(rds_command(rds, ARGS(RDS_STR("PING")), send_again, NULL), RS_OK);
	wait_for(&downs, 1);
	cr_assert_eq(got.count, 3);
	close_rds();
}

/* ---- passwords ---- */

Test(rds_password, right_and_wrong)
{
	redis_server_start(&lua_server, &(struct redis_options){.password = "open sesame"});
	struct rds_config config = {.addr = redis_server_addr(&lua_server), .password = "open sesame"};
	open_config(&config);
	wait_for(&ups, 1);
	cr_assert_eq(SEND(RDS_STR("PING")), RS_OK);
	wait_for(&got.ok, 1);
	close_rds();
	static const char *const wrong[] = {"close sesame", NULL};
	for (size_t i = 0; i < 2; i++) {
		config.password = wrong[i];
		open_config(&config);
		wait_for_within(&ups, 1, 400);
		cr_assert_eq(ups, 0);
		cr_assert_eq(SEND(RDS_STR("PING")), RS_EDOWN);
		close_rds();
	}
	redis_server_stop(&lua_server);
}

/* ---- a false server that always says the same ---- */

static struct fake {
	int fd, peer;
	ev_io accept, read;
	const char *says; /* to whatever it is told; NULL: nothing */
	unsigned accepted;
} fake = {.fd = -1, .peer = -1};

static void fake_read(struct ev_loop *l, ev_io *w, int revents)
{
	char junk[65536];
	(void)revents;
	ssize_t n = read(w->fd, junk, sizeof junk);
	if (n > 0 && fake.says)
		n = write(w->fd, fake.says, strlen(fake.says));
	if (n <= 0)
		ev_io_stop(l, w);
}

static void fake_accept(struct ev_loop *l, ev_io *w, int revents)
{
	(void)revents;
	if (fake.peer >= 0) {
		ev_io_stop(l, &fake.read);
		close(fake.peer);
	}
	fake.peer = accept(w->fd, NULL, NULL);
	fake.accepted++;
	ev_io_init(&fake.read, fake_read, fake.peer, EV_READ);
	ev_io_start(l, &fake.read);
}

static void open_fake(const char *says)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sin;
	fake.says = says;
	fake.fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(!bind(fake.fd, (struct sockaddr *)&sin, len) && !listen(fake.fd, 8) &&
		  !getsockname(fake.fd, (struct sockaddr *)&sin, &len));
	struct sockaddr_storage ss;
	memcpy(&ss, &sin, sizeof sin);
	struct rds_config config = {.connect_timeout_ms = 100};
	cr_assert_eq(addr_from_sockaddr(&ss, &config.addr), RS_OK);
	open_config(&config);
	ev_io_init(&fake.accept, fake_accept, fake.fd, EV_READ);
	ev_io_start(loop, &fake.accept);
}

static void close_fake(void)
{
	ev_io_stop(loop, &fake.read);
	ev_io_stop(loop, &fake.accept);
	close_rds();
	close(fake.peer);
	close(fake.fd);
}

/* Each of these is tried again and again, and never taken for a Redis. */
static const char *const bad_servers[] = {
	NULL,
	"-LOADING Redis is loading the dataset in memory\r\n",
	"-ERR max number of clients reached\r\n",
	"HTTP/1.1 400 Bad Request\r\n\r\n",
	"*3\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:1\r\n",
};

Test(rds_fake, bad_servers_are_retried)
{
	for (size_t i = 0; i < sizeof bad_servers / sizeof *bad_servers; i++) {
		fake.accepted = 0;
		open_fake(bad_servers[i]);
		wait_for(&fake.accepted, 3);
		cr_assert_eq(ups + downs, 0);
		close_fake();
		fake.peer = -1;
	}
}

/* ---- reading replies ---- */

static const char reply_script[] =
	"return {1, '-12', 'text', '', false, {'a', '1', 'b', {}}, '12x', ' 3', "
	"'9223372036854775807', '9223372036854775808', '+4'}";

static void check_reply(void *ctx, int err, const struct redisReply *r)
{
	int64_t v = 77;
	size_t len;
	cr_assert_eq(err, RS_OK);
	cr_assert_eq(reply_count(r), 11);
	cr_expect(reply_int(reply_at(r, 0), &v) && v == 1);
	cr_expect(reply_int(reply_at(r, 1), &v) && v == -12);
	cr_expect(reply_int(reply_at(r, 8), &v) && v == INT64_MAX);
	static const size_t not_numbers[] = {2, 3, 4, 5, 6, 7, 9, 10, 11};
	for (size_t i = 0; i < sizeof not_numbers / sizeof *not_numbers; i++)
		cr_expect_not(reply_int(reply_at(r, not_numbers[i]), &v), "%zu", not_numbers[i]);
	cr_expect_eq(v, INT64_MAX, "left alone");
	cr_expect_str_eq(reply_str(reply_at(r, 2), &len), "text");
	cr_expect_eq(len, 4);
	cr_expect_null(reply_str(reply_at(r, 0), &len));
	cr_expect_eq(len, 0);
	cr_expect(reply_is_nil(reply_at(r, 4)) && reply_is_nil(NULL) && !reply_is_nil(r));
	cr_expect_null(reply_at(r, 11));
	cr_expect_null(reply_at(reply_at(r, 0), 0));
	const struct redisReply *map = reply_at(r, 5);
	cr_expect(reply_int(reply_field(map, "a"), &v) && v == 1);
	cr_expect_eq(reply_count(reply_field(map, "b")), 0);
	cr_expect_null(reply_field(map, "1"), "a value is no name");
	cr_expect_null(reply_field(map, "c"));
	cr_expect_null(reply_field(NULL, "a"));
	++*(unsigned *)ctx;
}

Test(rds, replies_are_read_with_suspicion)
{
	unsigned seen = 0;
	open_rds(0);
	cr_assert_eq(rds_command(rds, ARGS(RDS_STR("EVAL"), RDS_STR(reply_script), RDS_STR("0")),
				 check_reply, &seen), RS_OK);
	wait_for(&seen, 1);
	close_rds();
}

Test(numbers, as_arguments)
{
	static const struct {
		int64_t v;
		const char *text;
	} cases[] = {
		{0, "0"}, {7, "7"}, {-7, "-7"}, {1700000000000, "1700000000000"},
		{INT64_MAX, "9223372036854775807"}, {INT64_MIN, "-9223372036854775808"},
	};
	char buf[RDS_NUM_MAX];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rds_arg a = rds_num(cases[i].v, buf);
		cr_expect_eq(a.len, strlen(cases[i].text));
		cr_expect_eq(memcmp(a.data, cases[i].text, a.len), 0, "%s", cases[i].text);
	}
}
