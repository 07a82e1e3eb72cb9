/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 5000, MOST = 256 };

struct server {
	struct ev_loop *loop;
	struct listener *l;
	struct addr at;
	int fds[MOST];
	struct addr from[MOST];
	unsigned count, want;
	uint64_t want_refused;
	bool close_in_accept;
};

static void on_accept(void *ctx, int fd, const struct addr *from)
{
	struct server *s = ctx;
	cr_assert_lt(s->count, MOST);
	s->fds[s->count] = fd;
	s->from[s->count++] = *from;
	if (s->close_in_accept)
		listener_close(s->l);
}

static void setup(struct server *s, const char *local, uint32_t max, uint32_t per_address)
{
	struct listener_config config = {.max_connections = max, .max_per_address = per_address};
	log_setup("test", LOG_ERROR, LOG_LOGFMT);
	*s = (struct server){.loop = ev_loop_new(EVFLAG_AUTO)};
	cr_assert_eq(addr_parse(local, &config.local), RS_OK);
	cr_assert_eq(listener_open(&s->l, s->loop, &config, on_accept, s), RS_OK);
	s->at = listener_local(s->l);
	cr_assert_neq(addr_port(&s->at), 0);
}

static void hang_up(struct server *s)
{
	s->count--;
	close(s->fds[s->count]);
	listener_release(s->l, &s->from[s->count]);
}

static void teardown(struct server *s)
{
	while (s->count > 0)
		hang_up(s);
	listener_close(s->l);
	ev_loop_destroy(s->loop);
}

static bool has_wanted(void *ctx)
{
	struct server *s = ctx;
	const struct listener_stats *st = listener_stats(s->l);
	return s->count >= s->want && st->refused_total + st->refused_address >= s->want_refused;
}

static int connect_from(const char *local, const struct addr *to)
{
	struct sockaddr_storage ss;
	struct addr a;
	cr_assert_eq(addr_parse(local, &a), RS_OK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = addr_to_sockaddr(&a, &ss);
	cr_assert_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = addr_to_sockaddr(to, &ss);
	cr_assert_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

Test(listener, hands_on_what_comes)
{
	struct server s;
	int raw[100];
	setup(&s, "127.0.0.1:0", 0, 0);
	for (int i = 0; i < 100; i++)
		raw[i] = net_raw_connect(&s.at);
	s.want = 100;
	cr_assert(net_run_until(s.loop, has_wanted, &s, DEADLINE_MS));
	cr_assert_eq(listener_stats(s.l)->accepted, 100);
	cr_assert_eq(listener_stats(s.l)->open, 100);
	cr_assert(fcntl(s.fds[0], F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(s.fds[0], F_GETFD) & FD_CLOEXEC);
	cr_assert(addr_is_v4(&s.from[0]));
	for (int i = 0; i < 100; i++)
		close(raw[i]);
	teardown(&s);
}

Test(listener, refuses_more_than_its_maximum_and_takes_more_after_a_release)
{
	struct server s;
	int raw[4];
	char byte;
	setup(&s, "127.0.0.1:0", 2, 0);
	for (int i = 0; i < 3; i++)
		raw[i] = net_raw_connect(&s.at);
	s.want = 2;
	s.want_refused = 1;
	cr_assert(net_run_until(s.loop, has_wanted, &s, DEADLINE_MS));
	cr_assert_eq(listener_stats(s.l)->refused_total, 1);
	cr_assert_eq(recv(raw[2], &byte, 1, 0), 0, "the third was closed");
	hang_up(&s);
	raw[3] = net_raw_connect(&s.at);
	cr_assert(net_run_until(s.loop, has_wanted, &s, DEADLINE_MS));
	cr_assert_eq(listener_stats(s.l)->accepted, 3);
	for (int i = 0; i < 4; i++)
		close(raw[i]);
	teardown(&s);
}

Test(listener, limits_each_address_by_itself)
{
	struct server s;
	int raw[6];
	setup(&s, "127.0.0.1:0", 0, 2);
	for (int i = 0; i < 3; i++)
		raw[i] = connect_from("127.0.0.2:0", &s.at);
	for (int i = 3; i < 5; i++)
		raw[i] = connect_from("127.0.0.3:0", &s.at);
	s.want = 4;
	s.want_refused = 1;
	cr_assert(net_run_until(s.loop, has_wanted, &s, DEADLINE_MS));
	cr_assert_eq(listener_stats(s.l)->refused_address, 1);
	cr_assert_eq(listener_stats(s.l)->refused_total, 0);
	while (s.count > 0)
		hang_up(&s);
	raw[5] = connect_from("127.0.0.2:0", &s.at);
	s.want = 1;
	cr_assert(net_run_until(s.loop, has_wanted, &s, DEADLINE_MS), "a release makes room");
	for (int i = 0; i < 6; i++)
		close(raw[i]);
	teardown(&s);
}

Test(listener, the_any_address_of_ipv6_serves_both)
{
	static const char *const to[] = {"127.0.0.1:0", "[::1]:0"};
	struct server s;
	setup(&s, "[::]:0", 0, 5);
	for (unsigned i = 0; i < 2; i++) {
		struct addr a;
		cr_assert_eq(addr_parse(to[i], &a), RS_OK);
		memcpy(a.port, s.at.port, 2);
		int raw = net_raw_connect(&a);
		s.want = i + 1;
		cr_assert(net_run_until(s.loop, has_wanted, &s, DEADLINE_MS), "%s", to[i]);
		cr_assert_eq(addr_is_v4(&s.from[i]), i == 0);
		close(raw);
	}
	teardown(&s);
}

/* How often the loop turns while the process is out of descriptors. */
Test(listener, waits_instead_of_spinning_when_out_of_descriptors)
{
	struct server s;
	struct rlimit was, now;
	setup(&s, "127.0.0.1:0", 0, 0);
	int raw = net_raw_connect(&s.at);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	int spare = dup(0);
	now = was;
	now.rlim_cur = (rlim_t)spare;
	close(spare);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
	unsigned turns = 0;
	uint64_t end = clock_mono_ms() + 300;
	while (clock_mono_ms() < end && turns < 1000) {
		ev_run(s.loop, EVRUN_ONCE);
		turns++;
	}
	cr_assert_eq(s.count, 0);
	cr_assert_lt(turns, 20, "%u turns in 300 ms", turns);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	s.want = 1;
	cr_assert(net_run_until(s.loop, has_wanted, &s, DEADLINE_MS), "it comes back");
	close(raw);
	teardown(&s);
}

Test(listener, a_release_after_the_close_is_allowed)
{
	struct server s;
	setup(&s, "127.0.0.1:0", 0, 3);
	s.close_in_accept = true; /* with the second one still waiting */
	int raw = net_raw_connect(&s.at), second = net_raw_connect(&s.at);
	for (uint64_t end = clock_mono_ms() + DEADLINE_MS; s.count == 0 && clock_mono_ms() < end;)
		net_run_for(s.loop, 1);
	cr_assert_eq(s.count, 1);
	hang_up(&s);
	s.l = NULL;
	listener_release(NULL, &s.at);
	close(raw);
	close(second);
	teardown(&s);
}

Test(listener, a_port_that_is_taken_is_refused)
{
	struct server s;
	struct listener *second = NULL;
	setup(&s, "127.0.0.1:0", 0, 4);
	struct listener_config config = {.local = s.at, .max_per_address = 1};
	cr_assert_eq(listener_open(&second, s.loop, &config, on_accept, &s), RS_ESYS);
	cr_assert_null(second);
	teardown(&s);
}
