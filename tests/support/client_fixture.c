/* SPDX-License-Identifier: Apache-2.0 */
#include "support/client_fixture.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/random.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 30000, DATAGRAM_MAX = 2048 };

struct client_fixture fixture;

/* ---- the other side ---- */

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
	send_from(fixture.balancer_fd, to, data, len);
}

static void choose(void *ctx, const struct addr *from, const struct ask_payload *ask,
		   struct answer_payload *out)
{
	(void)ctx, (void)from, (void)ask;
	*out = (struct answer_payload){.count = 1};
	out->broker[0].address = fixture.broker_at;
	memcpy(out->broker[0].key, fixture.broker_key.pub, 32);
}

static void broker_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	(void)ctx;
	send_from(fixture.broker_fd, to, data, len);
}

void fixture_hand_over(void)
{
	for (size_t i = 0; i < fixture.count; i++) {
		const struct fixture_message *m = &fixture.queue[i];
		struct record r = {.id = m->id, .sent_ms = 1000 + i, .expires_ms = 4102444800000, .app = "chat",
				   .app_len = 4, .app_id = "order-17", .app_id_len = i == 0 ? 8 : 0,
				   .body = m->body, .body_len = m->len};
		r.topic = m->topic;
		r.topic_len = r.topic ? strlen(r.topic) : 0;
		if (!m->acked)
			cr_assert_eq(server_push(fixture.broker, fixture.conn, &r,
						 m->notice ? OBJECT_NOTICE : OBJECT_STORED, 0, 2000 + i), 0);
	}
}

static void on_login(void *ctx, uint32_t conn, const struct frame_login *login, const struct addr *from)
{
	(void)ctx, (void)from;
	uint64_t now = clock_mono_ms();
	fixture.logins++;
	if (login->session_len != 4 || memcmp(login->session, "good", 4) != 0) {
		cr_assert_eq(server_reject(fixture.broker, conn, now, CLOSE_BAD_SESSION, 0), 0);
		return;
	}
	fixture.conn = conn;
	cr_assert_eq(server_accept(fixture.broker, conn, now, 1, &fixture), 0);
	fixture_hand_over();
}

static void on_acked(void *ctx, uint32_t conn, void *user, const struct outbox_done *done)
{
	(void)ctx, (void)conn, (void)user;
	for (size_t i = 0; i < fixture.count && !fixture.forgets_acks; i++)
		if (ulid_equal(&fixture.queue[i].id, &done->id))
			fixture.queue[i].acked = true;
}

static void on_gone(void *ctx, uint32_t conn, void *user, enum close_code why)
{
	(void)ctx, (void)conn, (void)user, (void)why;
	fixture.gone++;
}

static void on_request(void *ctx, uint32_t conn, void *user, const struct frame_request *f)
{
	(void)ctx, (void)user;
	cr_assert_lt(fixture.asks, FIXTURE_MESSAGES_MAX);
	fixture.asked[fixture.asks].kind = f->kind;
	memcpy(fixture.asked[fixture.asks].text, f->text, f->text_len);
	fixture.asks++;
	server_reply(fixture.broker, conn, f->number, f->number == 2 ? REPLY_TOO_MANY : REPLY_DONE);
}

void fixture_start_broker(void)
{
	static const struct server_handler handler = {broker_sends, on_login, on_acked, on_gone, on_request};
	struct server_config c = {.key = fixture.broker_key, .boot = 1 + fixture.logins, .heartbeat_s = 1,
				  .sessions_max = 16, .cookie_above = 100, .gate = {.random = random_bytes}};
	fixture.broker_fd = open_udp("127.0.0.1:0", &fixture.broker_at);
	cr_assert_geq(fixture.broker_fd, 0);
	cr_assert_eq(server_new(&fixture.broker, &c, &handler, NULL, clock_mono_ms()), 0);
}

void fixture_stop_broker(void)
{
	server_free(fixture.broker);
	close(fixture.broker_fd);
	fixture.broker = NULL;
	fixture.broker_fd = -1;
}

void fixture_start_balancer(const char *at)
{
	static const struct balancer_handler handler = {balancer_sends, choose};
	struct balancer_config c = {.key = fixture.balancer_key, .gate = {.random = random_bytes}};
	fixture.balancer_fd = open_udp(at, &fixture.balancer_at);
	cr_assert_eq(balancer_init(&fixture.balancer, &c, &handler, NULL, clock_mono_ms()), 0);
}

void fixture_start(void)
{
	memset(&fixture, 0, sizeof fixture);
	temp_dir_make(&fixture.dir);
	cr_assert_eq(x25519_generate(random_bytes, &fixture.balancer_key), 0);
	cr_assert_eq(x25519_generate(random_bytes, &fixture.broker_key), 0);
	fixture_start_balancer("127.0.0.1:0");
	fixture_start_broker();
}

void fixture_stop(void)
{
	if (fixture.broker)
		fixture_stop_broker();
	balancer_deinit(&fixture.balancer);
	if (fixture.balancer_fd >= 0)
		close(fixture.balancer_fd);
	temp_dir_remove(&fixture.dir);
}

void fixture_add(const void *body, size_t len)
{
	uint8_t random[10];
	random_bytes(random, sizeof random);
	cr_assert_lt(fixture.count, FIXTURE_MESSAGES_MAX);
	struct fixture_message *m = &fixture.queue[fixture.count++];
	*m = (struct fixture_message){.id = ulid_make(1000 + fixture.count, random), .body = body, .len = len};
}

void fixture_add_notice(const char *body)
{
	fixture_add(body, strlen(body));
	fixture.queue[fixture.count - 1].notice = true;
}

size_t fixture_acked(void)
{
	size_t n = 0;
	for (size_t i = 0; i < fixture.count; i++)
		n += fixture.queue[i].acked;
	return n;
}

/* The next datagram, if fd is a socket and there is one. */
static bool receive(int fd, uint8_t data[DATAGRAM_MAX], size_t *len, struct addr *from)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = sizeof ss;
	ssize_t n = fd < 0 ? -1 : recvfrom(fd, data, DATAGRAM_MAX, 0, (struct sockaddr *)&ss, &ss_len);
	if (n < 0)
		return false;
	cr_assert_eq(addr_from_sockaddr(&ss, from), 0);
	*len = (size_t)n;
	return true;
}

void fixture_serve(void)
{
	uint8_t data[DATAGRAM_MAX];
	struct addr from;
	size_t len;
	uint64_t now = clock_mono_ms(), wall = clock_wall_ms();
	while (receive(fixture.balancer_fd, data, &len, &from))
		balancer_recv(&fixture.balancer, now, &from, data, len);
	while (receive(fixture.broker_fd, data, &len, &from))
		server_recv(fixture.broker, now, wall, &from, data, len);
	if (!fixture.broker)
		return;
	server_flush(fixture.broker, now, wall);
	if (server_deadline(fixture.broker) <= now)
		server_tick(fixture.broker, now, wall);
}

/* ---- our side ---- */

static int show(void *ctx, const struct restante_message *m)
{
	struct fixture_shown *s = ctx;
	struct ulid id;
	size_t i = 0;
	if (s->refusals > 0) {
		s->refusals--;
		return 1;
	}
	cr_assert_eq(strlen(m->id), ULID_TEXT);
	cr_assert_eq(ulid_parse(m->id, &id), 0);
	while (i < fixture.count && !ulid_equal(&id, &fixture.queue[i].id))
		i++;
	cr_assert_lt(i, fixture.count);
	cr_assert_str_eq(m->app, "chat");
	cr_assert_str_eq(m->app_id, i == 0 ? "order-17" : "");
	cr_assert_not(fixture.queue[i].notice);
	cr_assert_str_eq(m->topic, fixture.queue[i].topic ? fixture.queue[i].topic : "");
	cr_assert_eq(m->stored, 1);
	cr_assert_eq(m->sent_ms, 1000 + (int64_t)i);
	cr_assert_eq(m->expires_ms, 4102444800000);
	cr_assert_eq(m->len, fixture.queue[i].len);
	cr_assert(m->len == 0 || memcmp(m->body, fixture.queue[i].body, m->len) == 0);
	s->of[s->count++] = i;
	if (s->count == s->stop_at) {
		restante_stop(s->client);
		restante_process(s->client); /* does nothing from here */
	}
	return 0;
}

static void note_state(void *ctx, enum restante_state state, unsigned code)
{
	struct fixture_shown *s = ctx;
	s->saw[state] = true;
	s->why = code;
	s->states++;
}

static void note_reply(void *ctx, int number, unsigned code)
{
	struct fixture_shown *s = ctx;
	cr_assert_lt(s->replies, FIXTURE_MESSAGES_MAX);
	s->reply_number[s->replies] = number;
	s->reply_code[s->replies++] = code;
	if (number == s->asks_at)
		cr_assert_gt(restante_unsubscribe(s->client, "from/inside"), number);
}

static void note_missed(void *ctx, const char *app, uint64_t count)
{
	struct fixture_shown *s = ctx;
	cr_assert_str_eq(app, "chat");
	s->notices++;
	s->missed = count;
}

struct restante_options fixture_options(void)
{
	static char at[ADDR_TEXT_MAX], key[65];
	struct restante_options o = RESTANTE_OPTIONS_INIT;
	o.balancers = addr_format(&fixture.balancer_at, at);
	o.balancer_keys = hex_encode(fixture.balancer_key.pub, 32, key);
	o.user = "alice";
	o.session = "good";
	o.on_message = show;
	o.on_state = note_state;
	o.on_reply = note_reply;
	o.on_missed = note_missed;
	o.ctx = &fixture.shown;
	return o;
}

struct restante *fixture_open(const struct restante_options *o)
{
	char error[256] = "";
	memset(&fixture.shown, 0, sizeof fixture.shown);
	fixture.shown.client = restante_open(o, error, sizeof error);
	cr_assert_not_null(fixture.shown.client, "%s", error);
	return fixture.shown.client;
}

bool fixture_run_for(struct restante *r, fixture_done_fn *done, unsigned ms)
{
	uint64_t end = clock_mono_ms() + ms;
	while (!done() && clock_mono_ms() < end) {
		int due = r ? restante_timeout_ms(r) : 5;
		struct pollfd p[] = {{r ? restante_fd(r) : -1, POLLIN, 0}, {fixture.balancer_fd, POLLIN, 0},
				     {fixture.broker_fd, POLLIN, 0}};
		poll(p, 3, due >= 0 && due < 5 ? due : 5);
		if (r)
			restante_process(r);
		fixture_serve();
	}
	return done();
}

bool fixture_run(struct restante *r, fixture_done_fn *done) { return fixture_run_for(r, done, WAIT_MS); }

static bool is_in(enum restante_state state) { return restante_state(fixture.shown.client) == state; }

bool fixture_all_acked(void) { return fixture_acked() == fixture.count; }
bool fixture_stopped(void) { return is_in(RESTANTE_STOPPED); }
bool fixture_online(void) { return is_in(RESTANTE_ONLINE); }
bool fixture_waiting(void) { return is_in(RESTANTE_WAITING) && fixture.shown.states > 0; }
bool fixture_gone(void) { return fixture.gone > 0; }
