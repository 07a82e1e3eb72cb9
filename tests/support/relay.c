/* SPDX-License-Identifier: Apache-2.0 */
/* The test and the relay's process share a page: the plan, which the one writes
 * and the other reads, and the counts the other way round. */
#include "support/relay.h"

#include "base/clock.h"
#include "support/net_support.h"
#include "support/ports.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATHS_MAX = 256, HELD_MAX = 1024, DATAGRAM_MAX = 2048, PIECE_LEAST = 400 };

struct relay_shared {
	struct relay_plan plan;
	struct relay_counts counts;
};

/* One client and its socket towards the server. */
struct path {
	struct addr client;
	int fd;
};

struct held {
	uint64_t until_ms; /* 0: the place is free */
	size_t path;
	bool to_server;
	size_t len;
	uint8_t data[DATAGRAM_MAX];
};

struct wire {
	volatile struct relay_shared *shared;
	struct addr server;
	int front;
	struct path path[PATHS_MAX];
	size_t path_count;
	struct held held[HELD_MAX];
	uint64_t rng, move_ms;
	uint64_t moved_at; /* the move_at that was done */
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	abort();
}

static uint64_t draw(struct wire *w, unsigned below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return below ? (w->rng >> 16) % below : 0;
}

static bool chance(struct wire *w, unsigned pct) { return draw(w, 100) < pct; }

static int open_socket(const struct addr *local, const struct addr *peer)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(local, &ss);
	int room = 4 * 1024 * 1024;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len))
		fail("bind");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	len = addr_to_sockaddr(peer ? peer : local, &ss);
	if (peer && connect(fd, (struct sockaddr *)&ss, len))
		fail("connect");
	return fd;
}

static int open_path(const struct wire *w)
{
	struct addr any = net_loopback(0);
	return open_socket(&any, &w->server);
}

static size_t path_of(struct wire *w, const struct addr *client)
{
	size_t i = 0;
	while (i < w->path_count && !addr_equal(&w->path[i].client, client))
		i++;
	if (i == w->path_count) {
		if (i == PATHS_MAX)
			fail("too many clients");
		w->path[w->path_count++] = (struct path){*client, open_path(w)};
	}
	return i;
}

/* What the kernel does not take is lost, as it may be. */
static void pass(struct wire *w, size_t path, bool to_server, const uint8_t *data, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = addr_to_sockaddr(&w->path[path].client, &ss);
	ssize_t n = to_server ? send(w->path[path].fd, data, len, 0)
			      : sendto(w->front, data, len, 0, (struct sockaddr *)&ss, ss_len);
	w->shared->counts.passed += n >= 0;
	w->shared->counts.pieces += n >= PIECE_LEAST && !to_server;
}

/* From then on, what is on its way to the old port is lost, too. */
static bool is_move_due(const struct wire *w)
{
	uint64_t at = w->shared->plan.move_at;
	return at != w->moved_at && at != 0 && w->shared->counts.pieces >= at;
}

static void hold(struct wire *w, size_t path, bool to_server, const uint8_t *data, size_t len)
{
	size_t i = 0;
	while (i < HELD_MAX && w->held[i].until_ms)
		i++;
	if (i == HELD_MAX)
		return; /* lost: so be it */
	w->held[i] = (struct held){.until_ms = clock_mono_ms() + 1 + draw(w, w->shared->plan.delay_ms),
				   .path = path,
				   .to_server = to_server,
				   .len = len};
	memcpy(w->held[i].data, data, len);
	w->shared->counts.delayed++;
}

static void treat(struct wire *w, size_t path, bool to_server, uint8_t *data, size_t len)
{
	struct relay_plan plan = w->shared->plan;
	if (plan.cut || chance(w, plan.loss_pct)) {
		w->shared->counts.lost++;
		return;
	}
	if (chance(w, plan.corrupt_pct) && len > 0) {
		data[draw(w, (unsigned)len)] ^= (uint8_t)(1 << draw(w, 8));
		w->shared->counts.corrupted++;
	}
	if (chance(w, plan.double_pct)) {
		pass(w, path, to_server, data, len);
		w->shared->counts.doubled++;
	}
	if (chance(w, plan.delay_pct))
		hold(w, path, to_server, data, len);
	else
		pass(w, path, to_server, data, len);
}

static void from_clients(struct wire *w)
{
	uint8_t data[DATAGRAM_MAX];
	struct sockaddr_storage ss;
	struct addr client;
	for (;;) {
		socklen_t ss_len = sizeof ss;
		ssize_t n = recvfrom(w->front, data, sizeof data, 0, (struct sockaddr *)&ss, &ss_len);
		if (n < 0)
			return;
		if (addr_from_sockaddr(&ss, &client) == RS_OK)
			treat(w, path_of(w, &client), true, data, (size_t)n);
	}
}

/* Nobody behind it shows as an error, once: it is passed over. */
static void from_server(struct wire *w, size_t path)
{
	uint8_t data[DATAGRAM_MAX];
	ssize_t n;
	while (!is_move_due(w) && (n = recv(w->path[path].fd, data, sizeof data, 0)) >= 0)
		treat(w, path, false, data, (size_t)n);
}

static void let_go(struct wire *w, uint64_t now_ms)
{
	for (size_t i = 0; i < HELD_MAX; i++) {
		struct held *h = &w->held[i];
		if (h->until_ms == 0 || h->until_ms > now_ms)
			continue;
		h->until_ms = 0;
		pass(w, h->path, h->to_server, h->data, h->len);
	}
}

/* As when a NAT forgets: the same clients come from other ports. */
static void move_all(struct wire *w)
{
	for (size_t i = 0; i < w->path_count; i++) {
		int old = w->path[i].fd;
		w->path[i].fd = open_path(w); /* before the close, or it is the same port */
		close(old);
	}
	w->shared->counts.moves++;
}

static void move(struct wire *w, uint64_t now_ms)
{
	unsigned every_ms = w->shared->plan.move_every_ms;
	if (is_move_due(w)) {
		w->moved_at = w->shared->plan.move_at;
		move_all(w);
	}
	if (every_ms == 0 || now_ms < w->move_ms)
		return;
	if (w->move_ms != 0)
		move_all(w);
	w->move_ms = now_ms + every_ms;
}

static _Noreturn void run(struct wire *w)
{
	struct pollfd p[1 + PATHS_MAX];
	for (;;) {
		uint64_t now_ms = clock_mono_ms();
		move(w, now_ms);
		let_go(w, now_ms);
		p[0] = (struct pollfd){.fd = w->front, .events = POLLIN};
		for (size_t i = 0; i < w->path_count; i++)
			p[1 + i] = (struct pollfd){.fd = w->path[i].fd, .events = POLLIN};
		size_t count = w->path_count;
		poll(p, 1 + count, 5);
		for (size_t i = 0; i < count; i++)
			if (p[1 + i].revents)
				from_server(w, i);
		from_clients(w);
	}
}

/* Forked, not executed: nothing of the test but the socket and the page is used. */
static _Noreturn void live(struct relay *r, int front, uint16_t server_port, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "test-relay");
	if (getppid() != parent)
		_exit(126);
	signal(SIGTERM, SIG_DFL);
	struct wire *w = calloc(1, sizeof *w);
	if (!w)
		fail("calloc");
	dup2(front, 3);
	close_range(4, ~0u, 0);
	w->front = 3;
	w->shared = r->shared;
	w->server = net_loopback(server_port);
	w->rng = 0x9e3779b97f4a7c15u * (r->shared->plan.seed + 1);
	run(w);
}

void relay_start(struct relay *r, uint16_t server_port, const struct relay_plan *plan)
{
	pid_t parent = getpid();
	*r = (struct relay){.port = port_take()};
	r->shared = mmap(NULL, sizeof *r->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r->shared == MAP_FAILED)
		fail("mmap");
	if (plan)
		r->shared->plan = *plan;
	struct addr local = relay_addr(r);
	int front = open_socket(&local, NULL);
	r->pid = fork();
	if (r->pid < 0)
		fail("fork");
	if (r->pid == 0)
		live(r, front, server_port, parent);
	close(front);
}

void relay_stop(struct relay *r)
{
	if (r->pid <= 0)
		return;
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	munmap(r->shared, sizeof *r->shared);
	*r = (struct relay){0};
}

void relay_change(struct relay *r, const struct relay_plan *plan) { r->shared->plan = *plan; }
struct relay_counts relay_counts(const struct relay *r) { return r->shared->counts; }
struct addr relay_addr(const struct relay *r) { return net_loopback(r->port); }
