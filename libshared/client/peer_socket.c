/* SPDX-License-Identifier: Apache-2.0 */
#include "client/peer_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int peer_socket_init(struct peer_socket *s)
{
	const int type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, no = 0;
	*s = (struct peer_socket){.family = AF_INET6};
	s->fd = socket(AF_INET6, type, 0);
	if (s->fd >= 0 && setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) < 0) {
		close(s->fd);
		s->fd = -1;
	}
	if (s->fd < 0) {
		s->family = AF_INET;
		s->fd = socket(AF_INET, type, 0);
	}
	return s->fd < 0 ? RS_ESYS : RS_OK;
}

void peer_socket_deinit(struct peer_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static socklen_t to_sockaddr(const struct peer_socket *s, const struct addr *a, struct sockaddr_storage *ss)
{
	if (s->family == AF_INET)
		return addr_to_sockaddr(a, ss);
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	memcpy(&in6.sin6_addr, a->ip, sizeof a->ip);
	memcpy(&in6.sin6_port, a->port, sizeof a->port);
	memset(ss, 0, sizeof *ss);
	memcpy(ss, &in6, sizeof in6);
	return sizeof in6;
}

/* Disconnecting first gives up the source address, which may not reach the new
 * peer, and an error that is still due from the old one. */
static int connect_to(struct peer_socket *s, const struct addr *to)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage ss;
	int old;
	socklen_t len = sizeof old;
	if (addr_port(&s->peer) != 0 && addr_equal(&s->peer, to))
		return RS_OK;
	if (addr_port(&s->peer) != 0 && connect(s->fd, &nobody, sizeof nobody) < 0)
		return RS_ESYS;
	s->peer = (struct addr){{0}, {0}};
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &old, &len);
	len = to_sockaddr(s, to, &ss);
	if (connect(s->fd, (const struct sockaddr *)&ss, len) < 0)
		return RS_ESYS;
	s->peer = *to;
	return RS_OK;
}

static bool says_nobody(int e)
{
	return e == ECONNREFUSED || e == EHOSTUNREACH || e == ENETUNREACH || e == EHOSTDOWN;
}

int peer_socket_send(struct peer_socket *s, const struct addr *to, const void *data, size_t len)
{
	if (connect_to(s, to))
		return says_nobody(errno) ? RS_EDOWN : RS_ESYS;
	if (send(s->fd, data, len, MSG_NOSIGNAL) >= 0)
		return RS_OK;
	if (!says_nobody(errno))
		return RS_ESYS;
	/* That was the answer to an earlier datagram; this one has not been sent. */
	if (send(s->fd, data, len, MSG_NOSIGNAL) < 0 && !says_nobody(errno))
		return RS_ESYS;
	return RS_EDOWN;
}

int peer_socket_recv(struct peer_socket *s, struct addr *from, void *data, size_t cap)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	ssize_t n = recvfrom(s->fd, data, cap, MSG_TRUNC, (struct sockaddr *)&ss, &len);
	if (n >= 0) /* one that was cut is no packet of ours: 0 bytes are none either */
		return (size_t)n <= cap && addr_from_sockaddr(&ss, from) == RS_OK ? (int)n : 0;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return RS_EAGAIN;
	return says_nobody(errno) ? RS_EDOWN : RS_ESYS;
}
