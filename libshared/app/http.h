/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP inside the event loop, for operators:
 *
 *   GET /metrics  text exposition of what `metrics` writes
 *   GET /healthz  200 "ok": the loop turns
 *   GET /readyz   200 "ready", or 503 with the reason
 *
 * and one page of the daemon's own, if it has one. HEAD too. Any other path is 404, any other method 405. At most
 * HTTP_CONNECTIONS_MAX at a time; one idle for HTTP_IDLE_S is closed. Runs no
 * thread: libmicrohttpd's epoll set is watched by the loop. */
#ifndef APP_HTTP_H
#define APP_HTTP_H

#include "app/metrics.h"
#include "base/addr.h"

#include <stddef.h>

#define HTTP_CONNECTIONS_MAX 64
#define HTTP_IDLE_S 10

struct ev_loop;
struct http;

/* A page of text for a question in the address: GET <path>?<argument>=... */
struct http_page {
	const char *path, *argument;
	/* value: NULL if it was not given. RS_EINVAL: 400, and out says what is wrong. */
	int (*write)(void *ctx, const char *value, struct buf *out);
};

struct http_handler {
	void (*metrics)(void *ctx, struct metrics *m);
	const char *(*not_ready)(void *ctx); /* NULL: ready, else why not */
	struct http_page page;               /* path NULL: none */
};

/* Port 0 takes a free one; http_local() says which. RS_ESYS with errno, when the
 * address cannot be had. `handler` is borrowed. */
RS_MUST_CHECK int http_open(struct http **out, struct ev_loop *loop, const struct addr *local,
			    const struct http_handler *handler, void *ctx);
struct addr http_local(const struct http *h);
void http_close(struct http *h); /* NULL is fine */

#endif
