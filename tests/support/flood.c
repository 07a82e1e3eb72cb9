/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets are bound to no address: each datagram says itself which of
 * 127.0.0.0/8 it comes from, and the answer finds the socket by its port. */
#include "support/flood.h"

#include "base/clock.h"
#include "crypto/noise.h"
#include "crypto/random.h"
#include "wire/packet.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SOCKETS = 128,
	BATCH = 32,
	POOL = 4096,        /* packets made ahead */
	RUBBISH_EVERY = 10,
	VICTIM_EVERY = 16,  /* from 127.0.0.1, where the clients are */
	DEBT_MS = 20,       /* what was not sent in time is made up for, up to this */
	DRAIN_MS = 200,
	LIFE_MS = 120000,
	NOISE_AT = HELLO_HEADER + COOKIE_LEN,
};

struct flood_shared {
	struct flood_counts counts;
	bool begun, stop;
};

struct made {
	size_t len;
	uint8_t data[PACKET_MAX];
};

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct forger {
	volatile struct flood_shared *shared;
	struct flood_plan plan;
	struct sockaddr_in to;
	int fd[SOCKETS];
	unsigned socket, next; /* whose turn it is */
	uint64_t rng;
	struct mmsghdr msgs[BATCH];
	struct iovec iovs[BATCH];
	union control controls[BATCH];
	struct made pool[POOL];
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	abort();
}

static uint64_t draw(struct forger *f, uint64_t below)
{
	f->rng ^= f->rng << 13;
	f->rng ^= f->rng >> 7;
	f->rng ^= f->rng << 17;
	return (f->rng >> 16) % below;
}

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); }

/* ---- made ahead ---- */

static void seal(const struct forger *f, uint8_t *hello)
{
	uint8_t prologue[NOISE_PROLOGUE], payload[ASK_PAYLOAD];
	struct ask_payload ask = {.client_ms = clock_wall_ms()};
	struct init_payload init = {.client_ms = clock_wall_ms(), .window = 65536};
	struct noise noise;
	struct keypair e;
	packet_prologue(hello, prologue);
	init_payload_write(&init, payload);
	if ((f->plan.asks && ask_payload_write(&ask, payload)) || x25519_generate(random_bytes, &e) ||
	    noise_write_init(&noise, &e, f->plan.key, prologue, sizeof prologue, payload,
			     f->plan.asks ? ASK_PAYLOAD : INIT_PAYLOAD, hello + NOISE_AT))
		fail("a handshake");
}

static void make_hello(const struct forger *f, struct made *m)
{
	uint32_t attempt;
	m->len = f->plan.asks ? ASK_BYTES : INIT_BYTES;
	random_bytes(&attempt, sizeof attempt);
	random_bytes(m->data, m->len);
	packet_write_hello(m->data, f->plan.asks ? PACKET_ASK : PACKET_INIT, attempt);
	if (f->plan.kind != FLOOD_COOKIES)
		memset(m->data + HELLO_HEADER, 0, COOKIE_LEN);
	if (f->plan.kind != FLOOD_RANDOM)
		seal(f, m->data);
}

static void make_rubbish(struct forger *f, struct made *m, size_t turn)
{
	m->len = draw(f, PACKET_MAX + 1);
	random_bytes(m->data, sizeof m->data);
	if (turn % 3 == 0)
		return;
	m->data[0] = turn % 3 == 1 ? PACKET_HEARTBEAT : PACKET_DATA;
	m->len = turn % 3 == 1 ? HEARTBEAT_BYTES : PACKET_MAX - draw(f, 400);
}

static void make_all(struct forger *f)
{
	for (size_t i = 0; i < POOL; i++) {
		if (i % RUBBISH_EVERY == 0)
			make_rubbish(f, &f->pool[i], i / RUBBISH_EVERY);
		else
			make_hello(f, &f->pool[i]);
	}
}

/* ---- sockets ---- */

static void open_sockets(struct forger *f)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int room = 1024 * 1024;
	for (unsigned i = 0; i < SOCKETS; i++) {
		f->fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (f->fd[i] < 0 || bind(f->fd[i], (struct sockaddr *)&any, sizeof any))
			fail("bind");
		setsockopt(f->fd[i], SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	}
}

static void init_messages(struct forger *f)
{
	for (unsigned i = 0; i < BATCH; i++) {
		struct msghdr *h = &f->msgs[i].msg_hdr;
		*h = (struct msghdr){.msg_name = &f->to, .msg_namelen = sizeof f->to, .msg_iov = &f->iovs[i],
				     .msg_iovlen = 1, .msg_control = &f->controls[i],
				     .msg_controllen = sizeof f->controls[i]};
		struct cmsghdr *c = CMSG_FIRSTHDR(h);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
	}
}

static void choose_source(struct forger *f, unsigned i)
{
	struct in_pktinfo from = {0};
	uint32_t host = draw(f, VICTIM_EVERY) ? (uint32_t)draw(f, 1 << 20) + (1 << 20) : 1;
	from.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&f->msgs[i].msg_hdr)), &from, sizeof from);
}

static void throw(struct forger *f, int fd)
{
	volatile struct flood_counts *c = &f->shared->counts;
	for (unsigned i = 0; i < BATCH; i++) {
		struct made *m = &f->pool[f->next++ % POOL];
		f->iovs[i] = (struct iovec){m->data, m->len};
		choose_source(f, i);
	}
	int n = sendmmsg(fd, f->msgs, BATCH, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (int i = 0; i < n; i++) {
		c->sent++;
		c->sent_bytes += f->iovs[i].iov_len;
	}
}

static void hear(struct forger *f, int fd)
{
	uint8_t data[2048];
	ssize_t n;
	while ((n = recv(fd, data, sizeof data, MSG_DONTWAIT)) >= 0) {
		f->shared->counts.back++;
		f->shared->counts.back_bytes += (uint64_t)n;
	}
}

static void turn(struct forger *f)
{
	int fd = f->fd[f->socket++ % SOCKETS];
	hear(f, fd);
	throw(f, fd);
}

static void hear_the_last(struct forger *f)
{
	for (uint64_t until = clock_mono_ms() + DRAIN_MS; clock_mono_ms() < until; nap())
		for (unsigned i = 0; i < SOCKETS; i++)
			hear(f, f->fd[i]);
}

static void run(struct forger *f)
{
	uint64_t began = clock_mono_ms(), done = 0, per_s = f->plan.per_s;
	f->shared->begun = true;
	while (!f->shared->stop) {
		uint64_t ms = clock_mono_ms() - began, due = ms * per_s / 1000;
		if (ms > LIFE_MS)
			fail("nobody ended it");
		if (due > done + DEBT_MS * per_s / 1000)
			done = due - DEBT_MS * per_s / 1000;
		f->shared->counts.ms = ms;
		if (due < done + BATCH) {
			nap();
			continue;
		}
		turn(f);
		done += BATCH;
	}
	hear_the_last(f);
}

/* Forked, not executed: nothing of the test but the plan and the page is used. */
static _Noreturn void live(struct flood *flood, const struct flood_plan *plan, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "test-flood");
	if (getppid() != parent)
		_exit(126);
	signal(SIGTERM, SIG_DFL);
	close_range(3, ~0u, 0);
	struct forger *f = calloc(1, sizeof *f);
	if (!f)
		fail("calloc");
	f->shared = flood->shared;
	f->plan = *plan;
	f->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(plan->port)};
	f->to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->rng = 0x9e3779b97f4a7c15u;
	make_all(f);
	open_sockets(f);
	init_messages(f);
	run(f);
	_exit(0);
}

void flood_start(struct flood *f, const struct flood_plan *plan)
{
	pid_t parent = getpid();
	f->shared = mmap(NULL, sizeof *f->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f->shared == MAP_FAILED)
		fail("mmap");
	f->pid = fork();
	if (f->pid < 0)
		fail("fork");
	if (f->pid == 0)
		live(f, plan, parent);
	while (!((volatile struct flood_shared *)f->shared)->begun) {
		if (waitpid(f->pid, NULL, WNOHANG) != 0)
			fail("the forger died");
		nap();
	}
}

static void forget(struct flood *f)
{
	munmap(f->shared, sizeof *f->shared);
	*f = (struct flood){0};
}

struct flood_counts flood_end(struct flood *f)
{
	int status;
	((volatile struct flood_shared *)f->shared)->stop = true;
	if (waitpid(f->pid, &status, 0) != f->pid || status != 0)
		fail("the forger did not end in order");
	struct flood_counts c = f->shared->counts;
	forget(f);
	return c;
}

void flood_kill(struct flood *f)
{
	if (f->pid <= 0)
		return;
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	forget(f);
}
