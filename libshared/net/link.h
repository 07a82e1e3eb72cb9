/* SPDX-License-Identifier: Apache-2.0 */
/* Links inside the cluster: messages of wire/link.h, each with a 4-byte
 * big-endian length in front, over a stream. A link that has been silent for
 * LINK_PING_MS is pinged; one silent for LINK_DEAD_MS is closed. The connecting
 * side comes back by itself with jittered backoff (100 ms to 5 s).
 *
 *   LINK_CONNECTING  no usable connection (also while waiting to retry)
 *   LINK_UP          on_up was called; messages flow
 *   LINK_CLOSED      accepted links only: gone for good */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "net/stream.h"

#define LINK_MESSAGE_MAX (1024 * 1024)
#define LINK_SHORT_MAX 64 /* bytes of a message for which a full queue has some room left */
#define LINK_PING_MS 500
#define LINK_DEAD_MS 2500

struct link;

struct link_handler {
	void (*on_up)(void *ctx);
	/* A whole message, without the length; PING and PONG never come up here.
	 * Not 0: the link is closed, as by a message that cannot be decoded. */
	int (*on_message)(void *ctx, const uint8_t *data, size_t len);
	/* Lost. A connecting link tries again by itself; it tells of the loss of what
	 * was up, failed attempts only go to the log. An accepted one is freed after
	 * this call, which comes also when it never was up. */
	void (*on_down)(void *ctx, const char *why);
};

RS_MUST_CHECK int link_connect(struct link **out, struct ev_loop *loop, const struct addr *to,
			       struct tls_context *tls, const struct link_handler *handler, void *ctx);
RS_MUST_CHECK int link_accept(struct link **out, struct ev_loop *loop, int fd,
			      struct tls_context *tls, const struct link_handler *handler, void *ctx);
bool link_is_up(const struct link *l);
/* RS_EDOWN, RS_EBUSY (over 16 MiB queued; 256 KiB more for short ones), RS_ELIMIT (over LINK_MESSAGE_MAX). */
RS_MUST_CHECK int link_send(struct link *l, const void *data, size_t len);
void link_free(struct link *l); /* no more callbacks; NULL is fine */

#endif
