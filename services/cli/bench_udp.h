/* SPDX-License-Identifier: Apache-2.0 */
/* One UDP socket that stands for many clients. On loopback each client sends from
 * an address of its own in 127.64.0.0/10, so that a server sees as many peers as it
 * would in life. In batches of 64 both ways. */
#ifndef CLI_BENCH_UDP_H
#define CLI_BENCH_UDP_H

#include "base/addr.h"

#include <stddef.h>

struct bench_udp;

struct bench_datagram {
	struct addr from;
	uint8_t *data;
	size_t len;
	uint64_t came_us; /* mono: when the kernel had it, however late it is looked at */
};

typedef void bench_udp_fn(void *ctx, const struct bench_datagram *d);

/* For servers of the kind of `server`: loopback or not, IPv4 or IPv6. RS_ESYS with errno. */
RS_MUST_CHECK int bench_udp_open(struct bench_udp **out, const struct addr *server);
void bench_udp_close(struct bench_udp *u); /* NULL is fine */
int bench_udp_fd(const struct bench_udp *u);
/* From client `source`; sent when 64 are there, or by bench_udp_flush(). */
void bench_udp_send(struct bench_udp *u, uint32_t source, const struct addr *to, const void *data, size_t len);
void bench_udp_flush(struct bench_udp *u);
/* One batch, waited for that long at most. Returns how many datagrams came. */
unsigned bench_udp_receive(struct bench_udp *u, int wait_ms, bench_udp_fn *fn, void *ctx);

#endif
