/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_udp.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM_MAX = 2048, SOCKET_BUFFER = 32 * 1024 * 1024 };

union control {
	struct cmsghdr head;
	uint8_t pktinfo[CMSG_SPACE(sizeof(struct in_pktinfo))];
	uint8_t timestamp[CMSG_SPACE(sizeof(struct timespec))];
};

struct slots {
	struct mmsghdr msgs[BATCH];
	struct iovec iovs[BATCH];
	union control controls[BATCH];
	struct sockaddr_storage peers[BATCH];
	uint8_t data[BATCH][DATAGRAM_MAX];
};

struct bench_udp {
	int fd;
	bool many; /* a source address for each client */
	unsigned queued;
	struct slots rx, tx;
};

static void init_slots(struct bench_udp *u)
{
	for (unsigned i = 0; i < BATCH; i++) {
		u->rx.iovs[i] = (struct iovec){u->rx.data[i], DATAGRAM_MAX};
		u->tx.iovs[i] = (struct iovec){u->tx.data[i], 0};
		u->rx.msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &u->rx.peers[i], .msg_iov = &u->rx.iovs[i], .msg_iovlen = 1,
			.msg_control = &u->rx.controls[i]};
		u->tx.msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &u->tx.peers[i], .msg_iov = &u->tx.iovs[i], .msg_iovlen = 1};
		if (!u->many)
			continue;
		u->tx.msgs[i].msg_hdr.msg_control = &u->tx.controls[i];
		u->tx.msgs[i].msg_hdr.msg_controllen = sizeof u->tx.controls[i].pktinfo;
		struct cmsghdr *c = CMSG_FIRSTHDR(&u->tx.msgs[i].msg_hdr);
		*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)),
				      .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
	}
}

static int open_socket(struct bench_udp *u, const struct addr *server)
{
	struct sockaddr_storage peer;
	socklen_t len = addr_to_sockaddr(server, &peer);
	struct sockaddr_storage any = {.ss_family = peer.ss_family};
	int size = SOCKET_BUFFER, one = 1;
	u->fd = socket(any.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->fd < 0)
		return RS_ESYS;
	if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	setsockopt(u->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
	return bind(u->fd, (struct sockaddr *)&any, len) ? RS_ESYS : RS_OK;
}

int bench_udp_open(struct bench_udp **out, const struct addr *server)
{
	struct bench_udp *u = calloc(1, sizeof *u);
	if (!u)
		return RS_ENOMEM;
	u->many = addr_is_v4(server) && server->ip[12] == 127;
	int err = open_socket(u, server);
	if (err) {
		int saved = errno;
		bench_udp_close(u);
		errno = saved;
		return err;
	}
	init_slots(u);
	*out = u;
	return RS_OK;
}

void bench_udp_close(struct bench_udp *u)
{
	if (u && u->fd >= 0)
		close(u->fd);
	free(u);
}

int bench_udp_fd(const struct bench_udp *u) { return u->fd; }

/* Waits while the kernel's queue is full: the load must not thin out by itself. */
void bench_udp_flush(struct bench_udp *u)
{
	for (unsigned at = 0; at < u->queued;) {
		int n = sendmmsg(u->fd, u->tx.msgs + at, u->queued - at, MSG_NOSIGNAL);
		if (n > 0) {
			at += (unsigned)n;
		} else if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			struct pollfd w = {u->fd, POLLOUT, 0};
			poll(&w, 1, 10);
		} else if (n == 0 || errno != EINTR) {
			at++; /* this one cannot be sent */
		}
	}
	u->queued = 0;
}

void bench_udp_send(struct bench_udp *u, uint32_t source, const struct addr *to, const void *data, size_t len)
{
	unsigned i = u->queued;
	if (len > DATAGRAM_MAX)
		return;
	memcpy(u->tx.data[i], data, len);
	u->tx.iovs[i].iov_len = len;
	u->tx.msgs[i].msg_hdr.msg_namelen = addr_to_sockaddr(to, &u->tx.peers[i]);
	if (u->many) {
		struct in_pktinfo from = {.ipi_spec_dst = {htonl(0x7f400000 | (source & 0x3fffff))}};
		memcpy(CMSG_DATA(&u->tx.controls[i].head), &from, sizeof from);
	}
	if (++u->queued == BATCH)
		bench_udp_flush(u);
}

static int receive(struct bench_udp *u)
{
	for (unsigned i = 0; i < BATCH; i++) {
		u->rx.msgs[i].msg_hdr.msg_namelen = sizeof u->rx.peers[i];
		u->rx.msgs[i].msg_hdr.msg_controllen = sizeof u->rx.controls[i];
	}
	return recvmmsg(u->fd, u->rx.msgs, BATCH, MSG_DONTWAIT, NULL);
}

/* The kernel's time stamps are of the wall clock: how long ago, then. mono_us, wall: now. */
static uint64_t came_us(struct msghdr *m, uint64_t mono_us, const struct timespec *wall)
{
	struct timespec at;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&at, CMSG_DATA(c), sizeof at);
		int64_t ago_us = (wall->tv_sec - at.tv_sec) * 1000000ll + (wall->tv_nsec - at.tv_nsec) / 1000;
		return ago_us > 0 ? mono_us - (uint64_t)ago_us : mono_us;
	}
	return mono_us;
}

unsigned bench_udp_receive(struct bench_udp *u, int wait_ms, bench_udp_fn *fn, void *ctx)
{
	int n = receive(u);
	if (n < 0 && wait_ms > 0) {
		struct pollfd w = {u->fd, POLLIN, 0};
		poll(&w, 1, wait_ms);
		n = receive(u);
	}
	struct timespec wall;
	uint64_t mono_us = clock_mono_us();
	clock_gettime(CLOCK_REALTIME, &wall);
	for (int i = 0; i < n; i++) {
		struct bench_datagram d = {.data = u->rx.data[i], .len = u->rx.msgs[i].msg_len,
					   .came_us = came_us(&u->rx.msgs[i].msg_hdr, mono_us, &wall)};
		if (addr_from_sockaddr(&u->rx.peers[i], &d.from) == RS_OK)
			fn(ctx, &d);
	}
	return n > 0 ? (unsigned)n : 0;
}
