/* SPDX-License-Identifier: Apache-2.0 */
/* A UDP socket in the event loop that receives and sends in batches
 * (recvmmsg/sendmmsg, 64 each). Where datagrams take long, as handshakes do, batches
 * are smaller and end after a millisecond, so that the rest of the loop has its turn.
 * When thousands a second come one by one, it lets them gather for a millisecond
 * instead of waking for each. */
#ifndef NET_UDP_H
#define NET_UDP_H

#include "base/addr.h"

#include <stddef.h>
#include <stdint.h>

#define UDP_DATAGRAM_MAX 2048 /* a longer datagram is dropped and counted */

struct ev_loop;
struct udp;

struct udp_handler {
	/* data is borrowed and may be changed in place. */
	void (*on_datagram)(void *ctx, const struct addr *from, uint8_t *data, size_t len);
	/* After each batch of datagrams; may be NULL. */
	void (*on_batch_end)(void *ctx);
};

struct udp_stats {
	uint64_t rx_packets, rx_bytes, rx_oversize, tx_packets, tx_bytes, tx_dropped;
	uint64_t rx_emptied, rx_cut; /* times the socket was read to its end; left with more in it */
	uint64_t rx_lost;            /* datagrams that the kernel dropped, as its buffer was full */
};

/* [::] takes IPv4 as well. Port 0 takes a free one; udp_local() says which. RS_ESYS with errno. */
RS_MUST_CHECK int udp_open(struct udp **out, struct ev_loop *loop, const struct addr *local,
			   const struct udp_handler *handler, void *ctx);
/* Sends what is queued first. From inside callbacks too; NULL is fine. */
void udp_close(struct udp *u);
struct addr udp_local(const struct udp *u);
/* Queues a datagram; sent when the queue is full, at the end of the batch, at the
 * end of the loop turn or by udp_flush(). What the kernel does not take is dropped and counted: the
 * protocol repeats what matters. */
void udp_send(struct udp *u, const struct addr *to, const void *data, size_t len);
void udp_flush(struct udp *u);
const struct udp_stats *udp_stats(struct udp *u);

#endif
