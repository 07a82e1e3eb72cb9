/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP connection in the event loop, plain or TLS, with bounded buffers.
 *
 *   STREAM_CONNECTING  TCP or TLS handshake under way (a deadline runs)
 *   STREAM_OPEN        on_open was called; data flows
 *   STREAM_CLOSING     stream_finish(): what is queued is still written, nothing is read
 *   STREAM_DEAD        on_close was called or stream_free(); the memory goes at once, or
 *                      when the callback that is under way has returned
 *
 * Every stream gets exactly one on_close unless its owner called stream_free(),
 * after which no callback comes any more. All functions may be called from
 * inside callbacks, stream_free() too. A tls_context must outlive its streams.
 * Nothing here raises SIGPIPE. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/addr.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ev_loop;
struct stream;
struct tls_context;

struct stream_handler {
	void (*on_open)(void *ctx);                 /* may be NULL */
	/* Consume from `in` what is whole; the rest stays. Called after each read. */
	void (*on_data)(void *ctx, struct buf *in);
	/* The output queue fell below half of its limit; may be NULL. */
	void (*on_drain)(void *ctx);
	/* The other side sends no more, but may still read (`nc -N`); on_data had all it
	 * sent. The stream stays open for writing until stream_finish() or stream_free().
	 * NULL: what is queued is written as far as it goes at once, then on_close. */
	void (*on_end)(void *ctx);
	/* err: RS_OK the other side closed, RS_ESYS, RS_ETIMEOUT, RS_EAUTH (TLS). The
	 * stream must not be used after this returns. `why` is for logs. */
	void (*on_close)(void *ctx, int err, const char *why);
};

struct stream_limits {
	size_t out_max;               /* bytes queued for writing; 0: 4 MiB */
	size_t in_max;                /* bytes held unread; reading stops at it; 0: 256 KiB */
	uint32_t open_timeout_ms;     /* connect and TLS; 0: 5000 */
};

/* tls NULL: plaintext. Fails at once for want of memory or sockets only; that the
 * other side cannot be reached is told by on_close. */
RS_MUST_CHECK int stream_connect(struct stream **out, struct ev_loop *loop, const struct addr *to,
				 struct tls_context *tls, const struct stream_limits *limits,
				 const struct stream_handler *handler, void *ctx);
/* fd comes from a listener and belongs to the stream, also on failure. */
RS_MUST_CHECK int stream_accept(struct stream **out, struct ev_loop *loop, int fd,
				struct tls_context *tls, const struct stream_limits *limits,
				const struct stream_handler *handler, void *ctx);
/* RS_EBUSY: over out_max, nothing was queued; on_drain follows. RS_ELIMIT: len alone
 * is over out_max. RS_EDOWN: not open. Written at the end of the loop turn, so
 * that many small writes cost one system call. */
RS_MUST_CHECK int stream_write(struct stream *s, const void *data, size_t len);
/* The same of several pieces: all of them or none. */
RS_MUST_CHECK int stream_write_parts(struct stream *s, const struct iovec *parts, size_t count);
size_t stream_out_len(const struct stream *s); /* bytes queued */
void stream_pause(struct stream *s);           /* stop reading ... */
void stream_resume(struct stream *s);          /* ... and go on; on_data is called for what is held */
/* limits.in_max from now on; 0: the default again. */
void stream_set_in_max(struct stream *s, size_t in_max);
/* Writes what is queued, then closes; on_close follows: RS_OK, or RS_ETIMEOUT when
 * the other side does not take it within open_timeout_ms. What the other side
 * still sends is thrown away, for up to a second, so that a reset does not
 * destroy the last answer on its way. */
void stream_finish(struct stream *s);
void stream_free(struct stream *s);            /* close now, no more callbacks; NULL is fine */

#endif
