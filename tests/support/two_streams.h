/* SPDX-License-Identifier: Apache-2.0 */
/* Two streams of one process on loopback, plain or with TLS: a server that takes one
 * connection, and a client for it; and all that happened to each. A raw socket may
 * come instead of the client.
 *
 *   two_start(&w, true);
 *   w.server.echoes = true;
 *   two_open(&w);
 *   ...
 *   two_stop(&w); */
#ifndef SUPPORT_TWO_STREAMS_H
#define SUPPORT_TWO_STREAMS_H

#include "net/listener.h"
#include "net/stream.h"
#include "net/tls.h"

#define TWO_DEADLINE_MS 10000

enum two_where { TWO_NOWHERE, TWO_IN_OPEN, TWO_IN_DATA, TWO_IN_DRAIN, TWO_IN_CLOSE };

/* One end and all that happened to it. */
struct two_end {
	struct stream *s;
	struct buf got;
	bool echoes, counts;   /* counts: checks the pattern instead of keeping bytes */
	size_t received;
	unsigned opens, datas, drains, closes;
	int err;
	char why[256];
	enum two_where free_in; /* stream_free() inside that callback */
	bool finish_on_data;
	bool keeps;            /* consumes nothing */
	bool pauses;           /* stream_pause() in each on_data */
	size_t held;           /* what it was shown and kept */
	size_t send_left, sent; /* a pattern to be sent as fast as it goes */
	unsigned refused;
};

/* A server that takes one connection, and a client for it. */
struct two_streams {
	struct ev_loop *loop;
	struct tls_context *client_tls, *server_tls;
	struct listener *listener;
	struct addr at, peer;
	struct stream_limits client_limits, server_limits;
	struct two_end client, server;
	int accepted;
};

/* The callbacks of both ends; ctx is the struct two_end. */
extern const struct stream_handler two_handler;

void two_start(struct two_streams *w, bool with_tls); /* zeroes *w; the server listens */
void two_dial(struct two_streams *w);                 /* the client begins to connect */
void two_open(struct two_streams *w);                 /* two_dial(), and both are open */
void two_stop(struct two_streams *w);
/* Sends what is left of the pattern, as far as it goes now. */
void two_pump(struct two_end *e);

/* For net_run_until(); ctx is the struct two_streams. */
bool two_both_closed(void *ctx);
bool two_client_closed(void *ctx);
bool two_server_closed(void *ctx);

#endif
