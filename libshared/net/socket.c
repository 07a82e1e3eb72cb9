/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

static int close_failed(int fd)
{
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int socket_bound(int type, const struct addr *local, struct addr *bound)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(local, &ss);
	int on = 1, off = 0, fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (ss.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, (struct sockaddr *)&ss, len))
		return close_failed(fd);
	len = sizeof ss;
	if (getsockname(fd, (struct sockaddr *)&ss, &len) || addr_from_sockaddr(&ss, bound))
		return close_failed(fd);
	return fd;
}

int socket_listening(const struct addr *local, struct addr *bound)
{
	int fd = socket_bound(SOCK_STREAM, local, bound);
	if (fd >= 0 && listen(fd, SOMAXCONN))
		return close_failed(fd);
	return fd;
}
