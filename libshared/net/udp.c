/* SPDX-License-Identifier: Apache-2.0 */
/* All memory is in struct udp, made once. A datagram goes from its receive slot
 * to the handler and from the handler into a send slot: nothing is allocated on
 * the way. The socket may be closed from inside a callback; the memory then goes
 * when the callback has returned. */
#include "net/udp.h"

#include "base/clock.h"
#include "net/socket.h"

#include <errno.h>
#include <ev.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BATCH = 64,
	BATCHES_PER_TURN = 16, /* then the rest of the loop has its turn, ... */
	TURN_US = 1000,        /* ... or when that long has passed; a batch is smaller if it takes longer, */
	BATCH_LEAST = 4,       /* down to this: handshakes, for one, take a hundred times what a heartbeat takes */
	SOCKET_BUFFER = 4 * 1024 * 1024,
	FEW = 8,              /* datagrams in a batch that was hardly worth waking for ... */
	FEW_US = 100,         /* ... this soon after the one before ... */
	FEW_IN_A_ROW = 64,    /* ... again and again: then it naps between batches */
};
#define NAP_S 0.001

union name {
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct slots {
	struct mmsghdr msgs[BATCH];
	struct iovec iovs[BATCH];
	union name names[BATCH];
	uint8_t data[BATCH][UDP_DATAGRAM_MAX];
};

struct udp {
	struct ev_loop *loop;
	int fd;
	bool is_v6;        /* the socket's family: what names it wants */
	unsigned busy;
	unsigned most;     /* datagrams that the next batch takes at most */
	ev_io readable;
	ev_timer nap;      /* while it runs nothing is received */
	bool naps;
	unsigned few_in_a_row;
	double woke;
	ev_prepare turn;   /* never started, fed: sends what is queued at the end of a turn */
	const struct udp_handler *handler;
	void *ctx;
	struct udp_stats stats;
	struct addr local;
	unsigned queued;   /* send slots in use */
	struct slots rx, tx;
};

/* --- names of the socket's family --- */

static void addr_from_name(const struct udp *u, const union name *n, struct addr *a)
{
	if (u->is_v6) {
		memcpy(a->ip, &n->v6.sin6_addr, 16);
		memcpy(a->port, &n->v6.sin6_port, 2);
	} else {
		static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};
		memcpy(a->ip, v4_prefix, 12);
		memcpy(a->ip + 12, &n->v4.sin_addr, 4);
		memcpy(a->port, &n->v4.sin_port, 2);
	}
}

/* An IPv6 socket takes IPv4 addresses in their mapped form, as struct addr has them. */
static bool name_from_addr(const struct udp *u, const struct addr *a, union name *n, socklen_t *len)
{
	if (u->is_v6) {
		n->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
		memcpy(&n->v6.sin6_addr, a->ip, 16);
		memcpy(&n->v6.sin6_port, a->port, 2);
		*len = sizeof n->v6;
		return true;
	}
	n->v4 = (struct sockaddr_in){.sin_family = AF_INET};
	memcpy(&n->v4.sin_addr, a->ip + 12, 4);
	memcpy(&n->v4.sin_port, a->port, 2);
	*len = sizeof n->v4;
	return addr_is_v4(a);
}

static void init_slots(struct slots *s)
{
	for (unsigned i = 0; i < BATCH; i++) {
		s->iovs[i] = (struct iovec){.iov_base = s->data[i], .iov_len = UDP_DATAGRAM_MAX};
		s->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &s->names[i],
			.msg_namelen = sizeof s->names[i],
			.msg_iov = &s->iovs[i],
			.msg_iovlen = 1,
		};
	}
}

/* --- sending --- */

/* Hands slots to the kernel. A datagram that it refuses is left out; when its
 * queue is full, all the rest are. */
void udp_flush(struct udp *u)
{
	unsigned at = 0;
	while (at < u->queued) {
		int n = sendmmsg(u->fd, u->tx.msgs + at, u->queued - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
			break;
		if (n <= 0) {
			u->stats.tx_dropped++;
			at++;
			continue;
		}
		for (unsigned end = at + (unsigned)n; at < end; at++) {
			u->stats.tx_packets++;
			u->stats.tx_bytes += u->tx.iovs[at].iov_len;
		}
	}
	u->stats.tx_dropped += u->queued - at;
	u->queued = 0;
}

void udp_send(struct udp *u, const struct addr *to, const void *data, size_t len)
{
	unsigned i = u->queued;
	struct msghdr *h = &u->tx.msgs[i].msg_hdr;
	if (u->fd < 0 || len > UDP_DATAGRAM_MAX ||
	    !name_from_addr(u, to, &u->tx.names[i], &h->msg_namelen)) {
		u->stats.tx_dropped++;
		return;
	}
	if (len)
		memcpy(u->tx.data[i], data, len);
	u->tx.iovs[i].iov_len = len;
	if (i == 0)
		ev_feed_event(u->loop, &u->turn, EV_CUSTOM);
	if (++u->queued == BATCH)
		udp_flush(u);
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop, (void)revents;
	udp_flush(w->data);
}

/* --- receiving --- */

static void deliver(struct udp *u, unsigned i)
{
	struct addr from;
	size_t len = u->rx.msgs[i].msg_len;
	u->stats.rx_packets++;
	u->stats.rx_bytes += len;
	if (u->rx.msgs[i].msg_hdr.msg_flags & MSG_TRUNC) {
		u->stats.rx_oversize++;
		return;
	}
	addr_from_name(u, &u->rx.names[i], &from);
	u->handler->on_datagram(u->ctx, &from, u->rx.data[i], len);
}

/* Some ten thousand datagrams a second or more that come one by one, as heartbeats
 * do: waking for each costs more than all else. A nap lets them gather, and ends
 * for good when there are few again, or so many that they gather by themselves. */
static void choose_nap(struct udp *u, unsigned received)
{
	double now = ev_now(u->loop);
	if (u->naps) {
		u->naps = received >= FEW && received < BATCH;
		u->few_in_a_row = 0;
	} else {
		bool few = received > 0 && received < FEW && now - u->woke < FEW_US / 1e6;
		u->few_in_a_row = few ? u->few_in_a_row + 1 : 0;
		u->naps = u->few_in_a_row >= FEW_IN_A_ROW;
	}
	u->woke = now;
	if (!u->naps)
		return;
	ev_io_stop(u->loop, &u->readable);
	ev_timer_set(&u->nap, NAP_S, 0.);
	ev_timer_start(u->loop, &u->nap);
}

/* A batch that takes too long keeps the rest of the loop from its turn. */
static void choose_most(struct udp *u, uint64_t took_us)
{
	if (took_us > TURN_US)
		u->most = u->most / 2 > BATCH_LEAST ? u->most / 2 : BATCH_LEAST;
	else
		u->most = 2 * u->most < BATCH ? 2 * u->most : BATCH;
}

/* How many datagrams came; *more: there may be others. */
static unsigned receive_batch(struct udp *u, bool *more)
{
	for (unsigned i = 0; i < u->most; i++)
		u->rx.msgs[i].msg_hdr.msg_namelen = sizeof u->rx.names[i];
	int n = recvmmsg(u->fd, u->rx.msgs, u->most, MSG_DONTWAIT, NULL);
	/* an error that some datagram of ours met on its way is no concern here */
	*more = n < 0 ? errno != EAGAIN && errno != EWOULDBLOCK : (unsigned)n == u->most;
	if (n < 0)
		return 0;
	for (unsigned i = 0; i < (unsigned)n && u->fd >= 0; i++)
		deliver(u, i);
	if (u->fd >= 0 && u->handler->on_batch_end)
		u->handler->on_batch_end(u->ctx);
	if (u->fd >= 0)
		udp_flush(u);
	return (unsigned)n;
}

static void receive(struct udp *u)
{
	uint64_t began_us = clock_mono_us(), now_us = began_us;
	unsigned all = 0;
	bool more = true;
	u->busy++;
	for (int i = 0; i < BATCHES_PER_TURN && more && u->fd >= 0 && now_us - began_us < TURN_US; i++) {
		uint64_t before_us = now_us;
		all += receive_batch(u, &more);
		now_us = clock_mono_us();
		choose_most(u, now_us - before_us);
	}
	if (more)
		u->stats.rx_cut++;
	else
		u->stats.rx_emptied++;
	if (u->fd >= 0)
		choose_nap(u, more ? BATCH : all);
	if (--u->busy == 0 && u->fd < 0)
		free(u);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	receive(w->data);
}

static void on_nap_over(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)revents;
	struct udp *u = w->data;
	ev_io_start(loop, &u->readable);
	receive(u);
}

/* --- opening and closing --- */

static void set_buffer(int fd, int force, int plain)
{
	int size = SOCKET_BUFFER;
	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof size))
		setsockopt(fd, SOL_SOCKET, plain, &size, sizeof size);
}

static int open_socket(const struct addr *local, struct addr *bound)
{
	/* Never cut into fragments, and so without the counter for their ids, which is
	 * shared by all sockets of the host. What is sent here is far below any MTU. */
	int whole = IP_PMTUDISC_PROBE, fd = socket_bound(SOCK_DGRAM, local, bound);
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof whole);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	return fd;
}

int udp_open(struct udp **out, struct ev_loop *loop, const struct addr *local,
	     const struct udp_handler *handler, void *ctx)
{
	struct udp *u = calloc(1, sizeof *u);
	if (!u)
		return RS_ENOMEM;
	u->loop = loop;
	u->handler = handler;
	u->ctx = ctx;
	u->is_v6 = !addr_is_v4(local);
	u->fd = open_socket(local, &u->local);
	if (u->fd < 0) {
		int saved = errno;
		free(u);
		errno = saved;
		return RS_ESYS;
	}
	init_slots(&u->rx);
	init_slots(&u->tx);
	u->most = BATCH;
	ev_prepare_init(&u->turn, on_turn);
	ev_set_priority(&u->turn, EV_MINPRI);
	ev_io_init(&u->readable, on_readable, u->fd, EV_READ);
	ev_init(&u->nap, on_nap_over);
	u->readable.data = u->turn.data = u->nap.data = u;
	ev_io_start(loop, &u->readable);
	*out = u;
	return RS_OK;
}

void udp_close(struct udp *u)
{
	if (!u || u->fd < 0)
		return;
	udp_flush(u);
	ev_io_stop(u->loop, &u->readable);
	ev_timer_stop(u->loop, &u->nap);
	ev_clear_pending(u->loop, &u->turn);
	close(u->fd);
	u->fd = -1;
	if (u->busy == 0)
		free(u);
}

struct addr udp_local(const struct udp *u) { return u->local; }

const struct udp_stats *udp_stats(struct udp *u)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof info;
	if (u->fd >= 0 && getsockopt(u->fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 && len == sizeof info)
		u->stats.rx_lost = info[SK_MEMINFO_DROPS];
	return &u->stats;
}
