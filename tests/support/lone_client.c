/* SPDX-License-Identifier: Apache-2.0 */
#include "support/lone_client.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "session/client_state.h"
#include "support/lua_call.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_send(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct lone_client *l = ctx;
	struct sockaddr_storage ss;
	socklen_t ss_len = addr_to_sockaddr(to, &ss);
	(void)!sendto(l->fd, data, len, 0, (struct sockaddr *)&ss, ss_len);
}

static int on_message(void *ctx, const struct client_message *m)
{
	(void)ctx, (void)m;
	return 1;
}

static void on_state(void *ctx, enum client_state state, unsigned why)
{
	struct lone_client *l = ctx;
	if (l->state == CLIENT_ASKING && (state == CLIENT_HELLO || why == CLOSE_OVERLOADED)) {
		l->answered = true;
		l->answer = state == CLIENT_HELLO ? l->engine->choice : (struct frame_brokers){0};
	}
	l->state = state;
	l->why = why;
}

void lone_client_open(struct lone_client *l, const struct stack *s, const char *user, const char *session)
{
	lone_client_open_from(l, s, 1, user, session);
}

static int open_socket(uint8_t host)
{
	struct sockaddr_storage ss;
	struct addr local = net_loopback(0);
	local.ip[15] = host;
	socklen_t len = addr_to_sockaddr(&local, &ss);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&ss, len) == 0);
	return fd;
}

static void begin(struct lone_client *l, const struct client_config *c)
{
	static const struct client_handler handler = {on_send, on_message, on_state, NULL};
	cr_assert_eq(client_new(&l->engine, c, &handler, l), RS_OK);
	client_start(l->engine, clock_mono_ms(), clock_wall_ms());
}

void lone_client_open_from(struct lone_client *l, const struct stack *s, uint8_t host, const char *user,
			   const char *session)
{
	struct client_config c = {
		.balancer_count = 1, .user = user, .session = session, .random = random_bytes};
	*l = (struct lone_client){.fd = open_socket(host)};
	c.balancer[0].address = net_loopback(s->lb[0].front);
	c.balancer[0].key_count = 1;
	cr_assert_eq(hex_decode(stack_balancer_key(s), c.balancer[0].key[0], 32), RS_OK);
	begin(l, &c);
}

void lone_client_open_at(struct lone_client *l, const struct stack *s, const struct stack_daemon *mb,
			 const char *user, const char *session)
{
	struct client_config c = {.user = user, .session = session, .random = random_bytes};
	*l = (struct lone_client){.fd = open_socket(1)};
	c.broker.address = net_loopback(mb->front);
	cr_assert_eq(hex_decode(redis_text(s->c, "HGET rs:broker:%s key", mb->id), c.broker.key, 32), RS_OK);
	begin(l, &c);
}

void lone_client_close(struct lone_client *l)
{
	client_stop(l->engine);
	client_free(l->engine);
	close(l->fd);
}

void lone_client_rename(struct lone_client *l, const void *user, size_t len)
{
	cr_assert_lt(len, sizeof l->engine->user);
	memcpy(l->engine->user, user, len);
	l->engine->user[len] = '\0';
}

void lone_client_turn(struct lone_client *l, unsigned wait_ms)
{
	uint8_t data[2048];
	struct sockaddr_storage ss;
	struct addr from;
	struct pollfd p = {.fd = l->fd, .events = POLLIN};
	poll(&p, 1, (int)wait_ms);
	for (;;) {
		socklen_t ss_len = sizeof ss;
		ssize_t n = recvfrom(l->fd, data, sizeof data, 0, (struct sockaddr *)&ss, &ss_len);
		if (n < 0)
			break;
		if (addr_from_sockaddr(&ss, &from) == RS_OK)
			client_recv(l->engine, clock_mono_ms(), clock_wall_ms(), &from, data, (size_t)n);
	}
	client_flush(l->engine, clock_mono_ms());
	client_tick(l->engine, clock_mono_ms(), clock_wall_ms());
}

struct frame_brokers lone_client_ask(const struct stack *s)
{
	struct lone_client l;
	uint64_t until = clock_mono_ms() + STACK_WAIT_MS;
	lone_client_open(&l, s, "nobody", "nothing");
	while (!l.answered) {
		cr_assert_lt(clock_mono_ms(), until, "the balancer does not answer");
		lone_client_turn(&l, 10);
	}
	lone_client_close(&l);
	return l.answer;
}
