/* SPDX-License-Identifier: Apache-2.0 */
/* A bound socket, the same for UDP, the listeners and HTTP. */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "base/addr.h"

/* type: SOCK_DGRAM or SOCK_STREAM; non-blocking, close-on-exec. [::] takes IPv4 as
 * well. *bound is where it is bound (port 0 takes a free one). -1 with errno. */
RS_MUST_CHECK int socket_bound(int type, const struct addr *local, struct addr *bound);
/* The same, listening. */
RS_MUST_CHECK int socket_listening(const struct addr *local, struct addr *bound);

#endif
