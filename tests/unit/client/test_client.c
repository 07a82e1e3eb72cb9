/* SPDX-License-Identifier: Apache-2.0 */
/* librestante against a balancer and a broker made of the engines and a socket
 * each, in this process: no daemons. */
#include "client/restante.h"

#include "base/clock.h"
#include "base/bytes.h"
#include "client/seen_file.h"
#include "crypto/random.h"
#include "session/balancer.h"
#include "session/server.h"
#include "support/net_support.h"
#include "support/temp_dir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGES_MAX = 16, WAIT_MS = 30000, REQUESTS_MAX = 32 };

/* ---- the other side ---- */

struct message {
	struct ulid id;
	const uint8_t *body;
	size_t len;
	const char *topic;
	bool notice;
	bool acked;
};

struct asked {
	uint8_t kind;
	char text[65];
};

struct world {
	struct balancer balancer;
	struct keypair balancer_key, broker_key;
	struct server *broker;
	int balancer_fd, broker_fd;
	struct addr balancer_at, broker_at;
	struct message queue[MESSAGES_MAX];
	size_t count;
	uint32_t conn;        /* of the login that was accepted */
	unsigned logins, gone;
	struct asked asked[MESSAGES_MAX];
	unsigned asks;
	bool forgets_acks;    /* as if each acknowledgement were lost behind the broker */
};

static struct world w;
static struct temp_dir dir;

static int open_udp(const char *at, struct addr *bound)
{
	struct sockaddr_storage ss;
	struct addr a;
	cr_assert_eq(addr_parse(at, &a), 0);
	socklen_t len = addr_to_sockaddr(&a, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	len = sizeof ss;
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	cr_assert_eq(addr_from_sockaddr(&ss, bound), 0);
	return fd;
}

static void send_from(int fd, const struct addr *to, const uint8_t *data, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = addr_to_sockaddr(to, &ss);
	if (sendto(fd, data, len, 0, (struct sockaddr *)&ss, ss_len) < 0)
		errno = 0; /* a client that has gone */
}

static void balancer_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	(void)ctx;
	send_from(w.balancer_fd, to, data, len);
}

static void choose(void *ctx, const struct addr *from, const struct ask_payload *ask,
		   struct answer_payload *out)
{
	(void)ctx, (void)from, (void)ask;
	*out = (struct answer_payload){.count = 1};
	out->broker[0].address = w.broker_at;
	memcpy(out->broker[0].key, w.broker_key.pub, 32);
}

static void broker_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	(void)ctx;
	send_from(w.broker_fd, to, data, len);
}

static void hand_over(void)
{
	for (size_t i = 0; i < w.count; i++) {
		struct record r = {.id = w.queue[i].id, .sent_ms = 1000 + i, .expires_ms = 4102444800000, .app = "chat",
				   .app_len = 4, .app_id = "order-17", .app_id_len = i == 0 ? 8 : 0,
				   .body = w.queue[i].body, .body_len = w.queue[i].len};
		uint8_t flags = w.queue[i].notice ? OBJECT_NOTICE : OBJECT_STORED;
		r.topic = w.queue[i].topic;
		r.topic_len = r.topic ? strlen(r.topic) : 0;
		if (!w.queue[i].acked)
			cr_assert_eq(server_push(w.broker, w.conn, &r, flags, 0, 2000 + i), 0);
	}
}

static void on_login(void *ctx, uint32_t conn, const struct frame_login *login, const struct addr *from)
{
	(void)ctx, (void)from;
	uint64_t now = clock_mono_ms();
	w.logins++;
	if (login->session_len != 4 || memcmp(login->session, "good", 4) != 0) {
		cr_assert_eq(server_reject(w.broker, conn, now, CLOSE_BAD_SESSION, 0), 0);
		return;
	}
	w.conn = conn;
	cr_assert_eq(server_accept(w.broker, conn, now, 1, &w), 0);
	hand_over();
}

static void on_acked(void *ctx, uint32_t conn, void *user, const struct outbox_done *done)
{
	(void)ctx, (void)conn, (void)user;
	for (size_t i = 0; i < w.count && !w.forgets_acks; i++)
		if (ulid_equal(&w.queue[i].id, &done->id))
			w.queue[i].acked = true;
}

static void on_gone(void *ctx, uint32_t conn, void *user, enum close_code why)
{
	(void)ctx, (void)conn, (void)user, (void)why;
	w.gone++;
}

static void on_request(void *ctx, uint32_t conn, void *user, const struct frame_request *f)
{
	(void)ctx, (void)user;
	cr_assert_lt(w.asks, MESSAGES_MAX);
	w.asked[w.asks].kind = f->kind;
	memcpy(w.asked[w.asks].text, f->text, f->text_len);
	w.asks++;
	server_reply(w.broker, conn, f->number, f->number == 2 ? REPLY_TOO_MANY : REPLY_DONE);
}

static void start_broker(void)
{
	static const struct server_handler handler = {broker_sends, on_login, on_acked, on_gone, on_request};
	struct server_config c = {.key = w.broker_key, .boot = 1 + w.logins, .heartbeat_s = 1, .sessions_max = 16,
				  .cookie_above = 100, .gate = {.random = random_bytes}};
	w.broker_fd = open_udp("127.0.0.1:0", &w.broker_at);
	cr_assert_geq(w.broker_fd, 0);
	cr_assert_eq(server_new(&w.broker, &c, &handler, NULL, clock_mono_ms()), 0);
}

static void stop_broker(void)
{
	server_free(w.broker);
	close(w.broker_fd);
	w.broker = NULL;
	w.broker_fd = -1;
}

static void start_balancer(const char *at)
{
	static const struct balancer_handler handler = {balancer_sends, choose};
	struct balancer_config c = {.key = w.balancer_key, .gate = {.random = random_bytes}};
	w.balancer_fd = open_udp(at, &w.balancer_at);
	cr_assert_eq(balancer_init(&w.balancer, &c, &handler, NULL, clock_mono_ms()), 0);
}

static void set_up(void)
{
	memset(&w, 0, sizeof w);
	temp_dir_make(&dir);
	cr_assert_eq(x25519_generate(random_bytes, &w.balancer_key), 0);
	cr_assert_eq(x25519_generate(random_bytes, &w.broker_key), 0);
	start_balancer("127.0.0.1:0");
	start_broker();
}

static void tear_down(void)
{
	if (w.broker)
		stop_broker();
	balancer_deinit(&w.balancer);
	if (w.balancer_fd >= 0)
		close(w.balancer_fd);
	temp_dir_remove(&dir);
}

TestSuite(client, .init = set_up, .fini = tear_down, .timeout = 120);

static void add_message(const void *body, size_t len)
{
	uint8_t random[10];
	random_bytes(random, sizeof random);
	cr_assert_lt(w.count, MESSAGES_MAX);
	w.queue[w.count++] = (struct message){.id = ulid_make(1000 + w.count, random), .body = body, .len = len};
}

static size_t acked(void)
{
	size_t n = 0;
	for (size_t i = 0; i < w.count; i++)
		n += w.queue[i].acked;
	return n;
}

static void serve(void)
{
	uint8_t data[2048];
	struct sockaddr_storage ss;
	struct addr from;
	ssize_t n;
	uint64_t now = clock_mono_ms(), wall = clock_wall_ms();
	socklen_t len = sizeof ss;
	while (w.balancer_fd >= 0 && (n = recvfrom(w.balancer_fd, data, sizeof data, 0, (struct sockaddr *)&ss, &len)) >= 0) {
		cr_assert_eq(addr_from_sockaddr(&ss, &from), 0);
		balancer_recv(&w.balancer, now, &from, data, (size_t)n);
		len = sizeof ss;
	}
	while (w.broker && (n = recvfrom(w.broker_fd, data, sizeof data, 0, (struct sockaddr *)&ss, &len)) >= 0) {
		cr_assert_eq(addr_from_sockaddr(&ss, &from), 0);
		server_recv(w.broker, now, wall, &from, data, (size_t)n);
		len = sizeof ss;
	}
	if (!w.broker)
		return;
	server_flush(w.broker, now, wall);
	if (server_deadline(w.broker) <= now)
		server_tick(w.broker, now, wall);
}

/* ---- our side ---- */

struct shown {
	struct restante *client;
	size_t count;
	size_t of[MESSAGES_MAX * 2]; /* which message of the queue */
	unsigned refusals;           /* so many are refused first */
	size_t stop_at;              /* stops from inside at this one */
	bool saw[RESTANTE_ONLINE + 1];
	unsigned why;
	unsigned states;
	unsigned replies;
	int reply_number[MESSAGES_MAX];
	unsigned reply_code[MESSAGES_MAX];
	int asks_at;                 /* makes a request from inside its answer's callback */
	unsigned notices;
	uint64_t missed;
};

static struct shown shown;

static int show(void *ctx, const struct restante_message *m)
{
	struct shown *s = ctx;
	struct ulid id;
	size_t i = 0;
	if (s->refusals > 0) {
		s->refusals--;
		return 1;
	}
	cr_assert_eq(strlen(m->id), ULID_TEXT);
	cr_assert_eq(ulid_parse(m->id, &id), 0);
	while (i < w.count && !ulid_equal(&id, &w.queue[i].id))
		i++;
	cr_assert_lt(i, w.count);
	cr_assert_str_eq(m->app, "chat");
	cr_assert_str_eq(m->app_id, i == 0 ? "order-17" : "");
	cr_assert_not(w.queue[i].notice);
	cr_assert_str_eq(m->topic, w.queue[i].topic ? w.queue[i].topic : "");
	cr_assert_eq(m->stored, 1);
	cr_assert_eq(m->sent_ms, 1000 + (int64_t)i);
	cr_assert_eq(m->expires_ms, 4102444800000);
	cr_assert_eq(m->len, w.queue[i].len);
	cr_assert(m->len == 0 || memcmp(m->body, w.queue[i].body, m->len) == 0);
	s->of[s->count++] = i;
	if (s->count == s->stop_at) {
		restante_stop(s->client);
		restante_process(s->client); /* does nothing from here */
	}
	return 0;
}

static void note_state(void *ctx, enum restante_state state, unsigned code)
{
	struct shown *s = ctx;
	s->saw[state] = true;
	s->why = code;
	s->states++;
}

static void note_reply(void *ctx, int number, unsigned code)
{
	struct shown *s = ctx;
	cr_assert_lt(s->replies, MESSAGES_MAX);
	s->reply_number[s->replies] = number;
	s->reply_code[s->replies++] = code;
	if (number == s->asks_at)
		cr_assert_gt(restante_unsubscribe(s->client, "from/inside"), number);
}

static void note_missed(void *ctx, const char *app, uint64_t count)
{
	struct shown *s = ctx;
	cr_assert_str_eq(app, "chat");
	s->notices++;
	s->missed = count;
}

static struct restante_options options(void)
{
	static char at[ADDR_TEXT_MAX], key[65];
	struct restante_options o = RESTANTE_OPTIONS_INIT;
	o.balancers = addr_format(&w.balancer_at, at);
	o.balancer_keys = hex_encode(w.balancer_key.pub, 32, key);
	o.user = "alice";
	o.session = "good";
	o.on_message = show;
	o.on_state = note_state;
	o.on_reply = note_reply;
	o.on_missed = note_missed;
	o.ctx = &shown;
	return o;
}

static struct restante *open_client(const struct restante_options *o)
{
	char error[256] = "";
	memset(&shown, 0, sizeof shown);
	shown.client = restante_open(o, error, sizeof error);
	cr_assert_not_null(shown.client, "%s", error);
	return shown.client;
}

typedef bool done_fn(void);

/* Runs both sides until done() or the deadline; says whether it was done. */
static bool run_for(struct restante *r, done_fn *done, unsigned ms)
{
	uint64_t end = clock_mono_ms() + ms;
	while (!done() && clock_mono_ms() < end) {
		int due = r ? restante_timeout_ms(r) : 5;
		struct pollfd p[] = {{r ? restante_fd(r) : -1, POLLIN, 0}, {w.balancer_fd, POLLIN, 0},
				     {w.broker_fd, POLLIN, 0}};
		poll(p, 3, due >= 0 && due < 5 ? due : 5);
		if (r)
			restante_process(r);
		serve();
	}
	return done();
}

static bool run_until(struct restante *r, done_fn *done) { return run_for(r, done, WAIT_MS); }

static bool never(void) { return false; }
static bool all_acked(void) { return acked() == w.count; }
static bool all_shown(void) { return shown.count == w.count; }
static bool one_acked(void) { return acked() == 1; }
static bool stopped(void) { return restante_state(shown.client) == RESTANTE_STOPPED; }
static bool online(void) { return restante_state(shown.client) == RESTANTE_ONLINE; }
static bool waiting(void) { return restante_state(shown.client) == RESTANTE_WAITING && shown.states > 0; }
static bool asking(void) { return restante_state(shown.client) == RESTANTE_ASKING; }
static bool four_replies(void) { return shown.replies == 4; }
static bool gone(void) { return w.gone > 0; }
static bool second_login(void) { return w.logins == 2 && online(); }

/* ---- messages ---- */

Test(client, messages_of_all_lengths_come_in_order_and_unchanged)
{
	static const size_t lengths[] = {0, 1, 447, 511, 512, 513, 4096, 16384};
	static uint8_t bytes[16384];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = net_pattern(i);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		add_message(bytes, lengths[i]);
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	cr_assert_eq(restante_state(r), RESTANTE_WAITING);
	cr_assert_eq(restante_timeout_ms(r), 0);
	int fd = restante_fd(r);
	cr_assert(run_until(r, all_acked));
	cr_assert_eq(shown.count, w.count);
	for (size_t i = 0; i < w.count; i++)
		cr_assert_eq(shown.of[i], i);
	char at[ADDR_TEXT_MAX];
	cr_assert_str_eq(restante_broker(r), addr_format(&w.broker_at, at));
	cr_assert_eq(restante_fd(r), fd);
	cr_assert(shown.saw[RESTANTE_ASKING] && shown.saw[RESTANTE_HELLO] && shown.saw[RESTANTE_LOGIN]);
	restante_close(r);
	cr_assert(run_until(NULL, gone), "closing logs out");
}

Test(client, a_balancer_over_ipv6_and_a_broker_over_ipv4)
{
	close(w.balancer_fd);
	balancer_deinit(&w.balancer);
	start_balancer("[::1]:0");
	if (w.balancer_fd < 0)
		cr_skip_test("no IPv6 on this host");
	add_message("hello", 5);
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	cr_assert(run_until(r, all_acked));
	restante_close(r);
}

Test(client, what_is_refused_is_offered_again_before_what_comes_behind_it)
{
	add_message("first", 5);
	add_message("second", 6);
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	shown.refusals = 1;
	uint64_t start = clock_mono_ms();
	cr_assert(run_until(r, all_acked));
	cr_assert_geq(clock_mono_ms() - start, 900);
	cr_assert_eq(shown.count, 2);
	cr_assert_eq(shown.of[0], 0);
	cr_assert_eq(shown.of[1], 1);
	restante_close(r);
}

Test(client, stop_from_inside_the_callback_acknowledges_that_message_and_shows_no_other)
{
	for (int i = 0; i < 5; i++)
		add_message("hello", 5);
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	shown.stop_at = 1;
	cr_assert(run_until(r, stopped));
	cr_assert(run_until(r, gone));
	cr_assert(one_acked());
	cr_assert(w.queue[0].acked);
	cr_assert_eq(shown.count, 1);
	cr_assert_eq(restante_why(r), CLOSE_NORMAL);
	cr_assert_eq(restante_timeout_ms(r), -1);
	restante_process(r);
	restante_stop(r);
	restante_close(r);
}

Test(client, stop_before_anything_was_processed)
{
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	restante_stop(r);
	cr_assert_eq(restante_state(r), RESTANTE_STOPPED);
	restante_process(r);
	cr_assert_eq(restante_state(r), RESTANTE_STOPPED);
	restante_close(r);
	cr_assert_eq(w.logins, 0);
}

static void stop_when(void *ctx, enum restante_state state, unsigned code)
{
	(void)code;
	enum restante_state *at = ctx;
	if (state == *at)
		restante_stop(shown.client);
}

static int take(void *ctx, const struct restante_message *m)
{
	(void)ctx, (void)m;
	return 0;
}

Test(client, stop_from_inside_each_change_of_state)
{
	for (enum restante_state at = RESTANTE_ASKING; at <= RESTANTE_ONLINE; at++) {
		struct restante_options o = options();
		o.on_message = take;
		o.on_state = stop_when;
		o.ctx = &at;
		struct restante *r = open_client(&o);
		cr_assert(run_until(r, stopped), "in state %s", restante_state_text(at));
		restante_close(r);
	}
}

Test(client, close_in_each_state)
{
	for (unsigned steps = 0; steps < 8; steps++) {
		struct restante_options o = options();
		struct restante *r = open_client(&o);
		for (unsigned i = 0; i < steps; i++) {
			restante_process(r);
			serve();
		}
		unsigned states = shown.states;
		restante_close(r);
		cr_assert_eq(shown.states, states, "close calls nobody back");
	}
	restante_close(NULL);
}

/* ---- failures ---- */

Test(client, a_wrong_session_stops_it_and_says_why)
{
	struct restante_options o = options();
	o.session = "wrong";
	struct restante *r = open_client(&o);
	cr_assert(run_until(r, stopped));
	cr_assert_eq(restante_why(r), 1);
	cr_assert_eq(shown.why, 1);
	cr_assert_not_null(strstr(restante_code_text(1), "session"));
	cr_assert_eq(w.logins, 1);
	restante_close(r);
}

Test(client, an_unreachable_balancer_is_asked_again_and_again)
{
	close(w.balancer_fd); /* its port answers with ICMP now */
	w.balancer_fd = -1;
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	cr_assert(run_until(r, waiting));
	cr_assert_eq(restante_why(r), CLOSE_TIMEOUT);
	cr_assert_geq(restante_timeout_ms(r), 0);
	cr_assert(run_until(r, asking));
	cr_assert(run_until(r, waiting));
	restante_close(r);
}

Test(client, a_balancer_with_another_key_is_not_believed)
{
	struct restante_options o = options();
	o.balancer_keys = "00000000000000000000000000000000000000000000000000000000000000aa";
	struct restante *r = open_client(&o);
	cr_assert(run_until(r, waiting));
	cr_assert_not(shown.saw[RESTANTE_HELLO]);
	restante_close(r);
}

Test(client, goes_back_to_the_balancer_when_its_broker_is_gone)
{
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	cr_assert(run_until(r, online));
	stop_broker(); /* its port answers with ICMP now */
	run_for(r, never, 100);
	start_broker();
	cr_assert(run_until(r, second_login));
	add_message("after", 5);
	hand_over();
	cr_assert(run_until(r, all_acked));
	restante_close(r);
}

/* ---- options ---- */

struct bad_option {
	const char *balancers, *keys, *user, *session, *says;
};

#define KEY "9f3c00000000000000000000000000000000000000000000000000000000aabb"
static const struct bad_option bad_options[] = {
	{NULL, KEY, "alice", "s", "balancers is missing"},
	{"", KEY, "alice", "s", "balancers is missing"},
	{"localhost:7300", KEY, "alice", "s", "\"localhost:7300\" is not an address"},
	{"127.0.0.1:7300,", KEY, "alice", "s", "\"\" is not an address"},
	{"127.0.0.1:0", KEY, "alice", "s", "is not an address"},
	{"1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,1.1.1.1:8,1.1.1.1:9", KEY,
	 "alice", "s", "too many"},
	{"127.0.0.1:7300", NULL, "alice", "s", "balancer_keys is missing"},
	{"127.0.0.1:7300", "abc", "alice", "s", "\"abc\" is not a key"},
	{"127.0.0.1:7300", KEY "0", "alice", "s", "is not a key"},
	{"127.0.0.1:7300", KEY "," KEY "," KEY, "alice", "s", "too many"},
	{"127.0.0.1:7300", KEY, NULL, "s", "user is missing"},
	{"127.0.0.1:7300", KEY, "", "s", "user is empty"},
	{"127.0.0.1:7300", KEY, "a b", "s", "user contains a space"},
	{"127.0.0.1:7300", KEY, "a{b}", "s", "user contains a brace"},
	{"127.0.0.1:7300", KEY, "a\r\nb", "s", "user contains"},
	{"127.0.0.1:7300", KEY, "alice", NULL, "session is missing"},
	{"127.0.0.1:7300", KEY, "alice", "", "session is missing"},
	{"127.0.0.1:7300", KEY, "alice", "a b", "session must be"},
	{"127.0.0.1:7300", KEY, "alice",
	 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
	 "01234567890123456789012345678", "session is too long"},
};

Test(client, bad_options_each_get_a_clear_error)
{
	char error[256];
	for (size_t i = 0; i < sizeof bad_options / sizeof *bad_options; i++) {
		const struct bad_option *b = &bad_options[i];
		struct restante_options o = RESTANTE_OPTIONS_INIT;
		o.balancers = b->balancers;
		o.balancer_keys = b->keys;
		o.user = b->user;
		o.session = b->session;
		o.on_message = take;
		cr_assert_null(restante_open(&o, error, sizeof error), "case %zu", i);
		cr_assert_not_null(strstr(error, b->says), "case %zu: %s", i, error);
	}
}

Test(client, options_of_another_size_or_without_a_callback)
{
	char error[256];
	struct restante_options o = options();
	o.on_message = NULL;
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "on_message"), "%s", error);
	o = options();
	o.heartbeat_s = 65536;
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "heartbeat_s"), "%s", error);
	o.size = 0;
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "RESTANTE_OPTIONS_INIT"), "%s", error);
	cr_assert_null(restante_open(NULL, error, sizeof error));
	cr_assert_null(restante_open(NULL, NULL, 0));
}

Test(client, options_of_a_later_version_that_are_not_used)
{
	struct {
		struct restante_options known;
		void *later;
	} o = {options(), NULL};
	char error[256];
	o.known.size = sizeof o;
	struct restante *r = restante_open(&o.known, error, sizeof error);
	cr_assert_not_null(r, "%s", error);
	restante_close(r);
	o.later = &o;
	cr_assert_null(restante_open(&o.known, error, sizeof error));
	cr_assert_not_null(strstr(error, "does not know"), "%s", error);
}

/* ---- requests and notices ---- */

Test(client, requests_are_carried_out_in_order_also_those_made_before_it_is_online)
{
	static const struct asked want[] = {
		{REQUEST_SUBSCRIBE, "news/+"}, {REQUEST_STORE_OFF, "*"}, {REQUEST_STORE_ON, "chat"},
		{REQUEST_UNSUBSCRIBE, "from/inside"}};
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	shown.asks_at = 3;
	cr_assert_eq(restante_subscribe(r, "news/+"), 1);
	cr_assert_eq(restante_set_storage(r, NULL, 0), 2);
	cr_assert_eq(restante_set_storage(r, "chat", 1), 3);
	cr_assert(run_until(r, four_replies));
	cr_assert_eq(w.asks, 4);
	for (unsigned i = 0; i < 4; i++) {
		cr_expect_eq(w.asked[i].kind, want[i].kind);
		cr_expect_str_eq(w.asked[i].text, want[i].text);
		cr_expect_eq(shown.reply_number[i], (int)i + 1);
		cr_expect_eq(shown.reply_code[i], i == 1 ? RESTANTE_REPLY_TOO_MANY : RESTANTE_REPLY_DONE);
	}
	restante_close(r);
}

Test(client, requests_that_are_refused)
{
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	cr_expect_eq(restante_subscribe(r, "a b"), RESTANTE_ERROR_NAME);
	cr_expect_eq(restante_unsubscribe(r, ""), RESTANTE_ERROR_NAME);
	cr_expect_eq(restante_subscribe(r, NULL), RESTANTE_ERROR_NAME);
	cr_expect_eq(restante_set_storage(r, "{}", 1), RESTANTE_ERROR_NAME);
	for (int i = 1; i <= REQUESTS_MAX; i++)
		cr_assert_eq(restante_subscribe(r, "a"), i);
	cr_expect_eq(restante_subscribe(r, "a"), RESTANTE_ERROR_MANY);
	restante_stop(r);
	cr_expect_eq(restante_subscribe(r, "a"), RESTANTE_ERROR_STOPPED);
	for (int e = RESTANTE_ERROR_STOPPED; e < 0; e++)
		cr_expect(strlen(restante_error_text(e)) > 0);
	cr_expect_str_eq(restante_reply_text(RESTANTE_REPLY_TOO_MANY), "too many");
	cr_expect_str_eq(restante_reply_text(77), "refused");
	restante_close(r);
}

static void add_notice(const char *body)
{
	add_message(body, strlen(body));
	w.queue[w.count - 1].notice = true;
}

/* A notice that is not understood is acknowledged, and nobody hears of it. */
Test(client, notices_are_no_messages)
{
	struct restante_options o = options();
	add_message("first", 5);
	add_notice("missed 3");
	add_notice("missed all");
	add_notice("");
	add_message("of a topic", 10);
	w.queue[4].topic = "news/today";
	struct restante *r = open_client(&o);
	cr_assert(run_until(r, all_acked));
	cr_assert_eq(shown.count, 2);
	cr_assert(shown.notices == 1 && shown.missed == 3);
	restante_close(r);
}

Test(client, notices_that_nobody_wants_to_hear)
{
	struct restante_options o = options();
	o.on_missed = NULL;
	add_notice("missed 3");
	struct restante *r = open_client(&o);
	cr_assert(run_until(r, all_acked));
	cr_assert(shown.count == 0 && shown.notices == 0);
	restante_close(r);
}

/* ---- the seen file ---- */

static char seen[TEMP_PATH_MAX];

static struct restante_options options_with_seen(void)
{
	struct restante_options o = options();
	o.seen_file = temp_path(&dir, "seen", seen);
	return o;
}

static off_t size_of(const char *path)
{
	struct stat st;
	cr_assert_eq(stat(path, &st), 0);
	return st.st_size;
}

Test(client, what_was_shown_is_not_shown_again_after_a_restart)
{
	struct stat st;
	w.forgets_acks = true;
	add_message("one", 3);
	add_message("two", 3);
	struct restante_options o = options_with_seen();
	struct restante *r = open_client(&o);
	cr_assert(run_until(r, all_shown));
	restante_close(r);
	cr_assert_eq(stat(seen, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(st.st_size, 2 * (ULID_TEXT + 1));

	add_message("three", 5);
	w.forgets_acks = false;
	r = open_client(&o);
	cr_assert(run_until(r, all_acked), "the doubles are acknowledged too");
	cr_assert_eq(shown.count, 1);
	cr_assert_eq(shown.of[0], 2);
	cr_assert_eq(restante_seen_errno(r), 0);
	restante_close(r);
	cr_assert_eq(size_of(seen), 3 * (ULID_TEXT + 1));
}

Test(client, a_notice_is_told_once_after_a_restart_too)
{
	struct restante_options o = options_with_seen();
	add_notice("missed 1");
	add_message("hello", 5);
	for (int i = 0; i < 2; i++) {
		w.queue[0].acked = w.queue[1].acked = false;
		struct restante *r = open_client(&o);
		cr_assert(run_until(r, all_acked));
		cr_expect_eq(shown.notices, i == 0);
		restante_close(r);
		run_until(NULL, gone);
	}
}

Test(client, without_a_seen_file_it_is_shown_again)
{
	w.forgets_acks = true;
	add_message("one", 3);
	struct restante_options o = options();
	struct restante *r = open_client(&o);
	cr_assert(run_until(r, all_shown));
	restante_close(r);
	r = open_client(&o);
	cr_assert(run_until(r, all_shown));
	restante_close(r);
}

Test(client, two_clients_cannot_share_a_seen_file)
{
	char error[256];
	struct restante_options o = options_with_seen();
	struct restante *r = open_client(&o);
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "in use by another client"), "%s", error);
	restante_close(r);
	r = open_client(&o);
	restante_close(r);
}

Test(client, a_torn_last_line_is_cut_off)
{
	char text[64], id[ULID_TEXT + 1];
	add_message("one", 3);
	snprintf(text, sizeof text, "%s\n01JDCF3K7Q9", ulid_format(&w.queue[0].id, id));
	temp_file(&dir, "seen", text, 0600, seen);
	struct restante_options o = options_with_seen();
	struct restante *r = open_client(&o);
	cr_assert_eq(size_of(seen), ULID_TEXT + 1);
	add_message("two", 3);
	cr_assert(run_until(r, all_acked));
	cr_assert_eq(shown.count, 1);
	cr_assert_eq(shown.of[0], 1);
	restante_close(r);
	cr_assert_eq(size_of(seen), 2 * (ULID_TEXT + 1));
}

Test(client, a_file_that_is_something_else_is_left_alone)
{
	static const char *const texts[] = {"Dear diary,\ntoday\n", "01JDCF3K7Q9R8W2ZT5XV6YB4NM and more\n", "root\n"};
	char error[256];
	struct restante_options o = options_with_seen();
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		temp_file(&dir, "seen", texts[i], 0600, seen);
		cr_assert_null(restante_open(&o, error, sizeof error), "case %zu", i);
		cr_assert_not_null(strstr(error, "is not a list of message ids"), "%s", error);
		cr_assert_eq((size_t)size_of(seen), strlen(texts[i]));
	}
	o.seen_file = dir.path;
	cr_assert_null(restante_open(&o, error, sizeof error));
	o.seen_file = "/dev/null";
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "not a regular file"), "%s", error);
	o.seen_file = "/no/such/folder/seen";
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "No such file"), "%s", error);
}

/* Line i of a long seen file; the last one is the id of the message that waits. */
static void write_many(size_t lines, const struct ulid *last)
{
	char id[ULID_TEXT + 1];
	FILE *f = fopen(temp_path(&dir, "seen", seen), "w");
	cr_assert_not_null(f);
	for (size_t i = 0; i + 1 < lines; i++) {
		struct ulid u = {{0}};
		be_put(u.b + 8, i + 1, 8);
		fprintf(f, "%s\n", ulid_format(&u, id));
	}
	fprintf(f, "%s\n", ulid_format(last, id));
	fclose(f);
}

Test(client, a_long_seen_file_is_written_anew_through_a_link_too)
{
	char link[TEMP_PATH_MAX];
	struct stat st;
	add_message("seen before", 11);
	write_many(SEEN_FILE_LINES_MAX, &w.queue[0].id);
	cr_assert_eq(symlink(seen, temp_path(&dir, "link", link)), 0);
	struct restante_options o = options();
	o.seen_file = link;
	struct restante *r = open_client(&o);
	add_message("new", 3);
	cr_assert(run_until(r, all_acked));
	cr_assert_eq(shown.count, 1);
	cr_assert_eq(size_of(seen), SEEN_MAX * (ULID_TEXT + 1));
	cr_assert_eq(lstat(link, &st), 0);
	cr_assert(S_ISLNK(st.st_mode));
	cr_assert_eq(stat(seen, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	char error[256];
	cr_assert_null(restante_open(&o, error, sizeof error), "the new file is locked as well");
	restante_close(r);

	w.queue[0].acked = w.queue[1].acked = false;
	r = open_client(&o);
	cr_assert(run_until(r, all_acked));
	cr_assert_eq(shown.count, 0);
	restante_close(r);
}

Test(client, a_seen_file_that_cannot_be_written_is_told_and_holds_nothing_up)
{
	add_message("one", 3);
	add_message("two", 3);
	struct restante_options o = options_with_seen();
	struct restante *r = open_client(&o);
	struct rlimit old, none;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = (struct rlimit){10, old.rlim_max}; /* so that the line is torn, too */
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	bool done = run_until(r, all_acked);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	cr_assert(done);
	cr_assert_eq(shown.count, 2);
	cr_assert_eq(restante_seen_errno(r), EFBIG);
	cr_assert_eq(size_of(seen), 0);
	add_message("three", 5);
	hand_over();
	cr_assert(run_until(r, all_acked));
	cr_assert_eq(restante_seen_errno(r), 0);
	cr_assert_eq(size_of(seen), ULID_TEXT + 1);
	restante_close(r);
}
