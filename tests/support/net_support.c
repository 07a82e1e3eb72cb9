/* SPDX-License-Identifier: Apache-2.0 */
#include "support/net_support.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Does nothing but bound how long the loop sleeps. */
static void on_tick(struct ev_loop *loop, ev_timer *w, int revents) { (void)loop, (void)w, (void)revents; }

bool net_run_until(struct ev_loop *loop, bool (*done)(void *ctx), void *ctx, unsigned timeout_ms)
{
	uint64_t end = clock_mono_ms() + timeout_ms;
	ev_timer tick;
	ev_timer_init(&tick, on_tick, 0.005, 0.005);
	ev_timer_start(loop, &tick);
	bool is_done = done(ctx);
	while (!is_done && clock_mono_ms() < end) {
		ev_run(loop, EVRUN_ONCE);
		is_done = done(ctx);
	}
	ev_timer_stop(loop, &tick);
	return is_done;
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

void net_run_for(struct ev_loop *loop, unsigned ms) { (void)net_run_until(loop, never, NULL, ms); }

struct addr net_loopback(uint16_t port)
{
	char text[32];
	struct addr a;
	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	cr_assert_eq(addr_parse(text, &a), RS_OK);
	return a;
}

int net_raw_connect(const struct addr *to)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static int bind_free(struct addr *bound)
{
	struct sockaddr_storage ss;
	struct addr any = net_loopback(0);
	socklen_t len = addr_to_sockaddr(&any, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = sizeof ss;
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	cr_assert_eq(addr_from_sockaddr(&ss, bound), RS_OK);
	return fd;
}

int net_raw_listen(struct addr *bound)
{
	int fd = bind_free(bound);
	cr_assert_eq(listen(fd, 16), 0);
	return fd;
}

struct addr net_unused_port(void)
{
	struct addr a;
	close(bind_free(&a));
	return a;
}
