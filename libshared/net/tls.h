/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.3 with an external pre-shared key (RFC 8446, 4.2.11), psk_dhe_ke only,
 * TLS_AES_128_GCM_SHA256: both sides prove that they know the cluster secret;
 * there are no certificates, tickets or resumption. The PSK is HMAC-SHA-256(secret, "restante link psk 1"). */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_context; /* one a process; both roles */

RS_MUST_CHECK int tls_context_new(struct tls_context **out, const void *secret, size_t len);
void tls_context_free(struct tls_context *t); /* NULL is fine */

/* One connection, for stream.c: no I/O. Bytes from the socket go in by tls_feed(),
 * bytes for the socket come out by tls_take(), after any call. */
struct tls;

RS_MUST_CHECK int tls_new(struct tls **out, struct tls_context *c, bool server);
void tls_free(struct tls *t); /* NULL is fine */
RS_MUST_CHECK int tls_feed(struct tls *t, const uint8_t *raw, size_t len);
/* RS_EAGAIN: needs more from the other side. RS_EAUTH: see tls_fault(). */
RS_MUST_CHECK int tls_handshake(struct tls *t);
/* Appends up to max bytes of plaintext. RS_OK: there may be more; RS_EAGAIN: that
 * was all there is; RS_EDOWN: the other side ended it; RS_EAUTH, RS_ENOMEM. */
RS_MUST_CHECK int tls_read(struct tls *t, struct buf *in, size_t max);
RS_MUST_CHECK int tls_write(struct tls *t, const void *data, size_t len);
void tls_finish(struct tls *t); /* makes the notice that nothing more comes */
RS_MUST_CHECK int tls_take(struct tls *t, struct buf *wire);
/* Why the last call failed, for logs; until the next call for any connection. */
const char *tls_fault(const struct tls *t);

#endif
