/* SPDX-License-Identifier: Apache-2.0 */
/* The client's one UDP socket, connected to the peer it talks to at the time, so
 * that the network's "nobody is there" comes back as an error. To talk to another
 * peer it is connected anew; the descriptor and what epoll knows of it stay. */
#ifndef CLIENT_PEER_SOCKET_H
#define CLIENT_PEER_SOCKET_H

#include "base/addr.h"

#include <stddef.h>

struct peer_socket {
	int fd;
	int family;       /* AF_INET6 takes IPv4 as well; AF_INET where there is no IPv6 */
	struct addr peer; /* port 0: not connected */
};

/* Non-blocking. RS_ESYS with errno. */
RS_MUST_CHECK int peer_socket_init(struct peer_socket *s);
void peer_socket_deinit(struct peer_socket *s);
/* RS_EDOWN: the network says that nobody is there (maybe of an earlier datagram;
 * this one was sent then, if it can be sent at all). RS_ESYS: not sent. */
RS_MUST_CHECK int peer_socket_send(struct peer_socket *s, const struct addr *to, const void *data,
				   size_t len);
/* Length of a datagram, RS_EAGAIN: none there, RS_EDOWN as above, RS_ESYS. */
RS_MUST_CHECK int peer_socket_recv(struct peer_socket *s, struct addr *from, void *data, size_t cap);

#endif
