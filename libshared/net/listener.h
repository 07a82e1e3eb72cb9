/* SPDX-License-Identifier: Apache-2.0 */
/* A listening TCP socket in the event loop: hands accepted connections on, and
 * bounds their number, in all and per address. When the process runs out of
 * descriptors it stops accepting for a while instead of spinning. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/addr.h"

#include <stdint.h>

struct ev_loop;
struct listener;

struct listener_config {
	struct addr local;            /* port 0 takes a free one; [::] takes IPv4 as well */
	uint32_t max_connections;     /* 0: 1024; more are closed at once and counted */
	uint32_t max_per_address;     /* 0: unlimited; IPv6 is counted by /64 */
};
struct listener_stats {
	uint64_t accepted, refused_total, refused_address;
	uint32_t open;
};
/* on_accept owns fd (non-blocking, close-on-exec); it must call listener_release()
 * with the same address when that connection is gone. */
typedef void listener_fn(void *ctx, int fd, const struct addr *from);
RS_MUST_CHECK int listener_open(struct listener **out, struct ev_loop *loop,
				const struct listener_config *config, listener_fn *on_accept, void *ctx);
/* Also after listener_close(). NULL is fine. */
void listener_release(struct listener *l, const struct addr *from);
/* Stops listening; NULL is fine. The memory goes when the last connection that was
 * handed on has been released. */
void listener_close(struct listener *l);
struct addr listener_local(const struct listener *l);
const struct listener_stats *listener_stats(const struct listener *l);

#endif
