/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd gathers its sockets in one epoll set; that set is readable when
 * there is work, and MHD_get_timeout() says when to look in anyway. */
#include "app/http.h"

#include "base/log.h"
#include "net/socket.h"

#include <errno.h>
#include <ev.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_MEMORY = 16 * 1024 };

struct http {
	struct ev_loop *loop;
	struct MHD_Daemon *mhd;
	ev_io io;
	ev_timer timer;
	unsigned connections; /* after the last run */
	struct addr local;
	const struct http_handler *handler;
	void *ctx;
};

/* Takes the body when it is malloced (`owned`). */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type, void *body,
			      size_t len, bool owned)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
		len, body, owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_MUST_COPY);
	if (!r) {
		if (owned)
			free(body);
		return MHD_NO;
	}
	enum MHD_Result ok = MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (ok == MHD_YES && status == MHD_HTTP_METHOD_NOT_ALLOWED)
		ok = MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (ok == MHD_YES)
		ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result answer_line(struct MHD_Connection *c, unsigned status, const char *line)
{
	char body[512];
	int len = snprintf(body, sizeof body - 1, "%s", line);
	size_t held = len < (int)sizeof body - 1 ? (size_t)len : sizeof body - 2;
	body[held++] = '\n';
	return answer(c, status, "text/plain; charset=utf-8", body, held, false);
}

static enum MHD_Result answer_metrics(const struct http *h, struct MHD_Connection *c)
{
	struct metrics m = {.failed = false};
	h->handler->metrics(h->ctx, &m);
	if (m.failed || m.text.start != 0) {
		buf_deinit(&m.text);
		return answer_line(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	}
	return answer(c, MHD_HTTP_OK, "text/plain; version=0.0.4", m.text.data, buf_len(&m.text), true);
}

static enum MHD_Result answer_ready(const struct http *h, struct MHD_Connection *c)
{
	const char *why = h->handler->not_ready(h->ctx);
	return why ? answer_line(c, MHD_HTTP_SERVICE_UNAVAILABLE, why) : answer_line(c, MHD_HTTP_OK, "ready");
}

static bool is_page(const struct http *h, const char *path)
{
	return h->handler->page.path && strcmp(path, h->handler->page.path) == 0;
}

static enum MHD_Result answer_page(const struct http *h, struct MHD_Connection *c)
{
	const struct http_page *page = &h->handler->page;
	struct buf text = {0};
	int err = page->write(h->ctx, MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, page->argument), &text);
	if (buf_len(&text) == 0 || text.start != 0 || (err && err != RS_EINVAL)) {
		buf_deinit(&text);
		return answer_line(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	}
	return answer(c, err ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_OK, "text/plain; charset=utf-8", text.data,
		      buf_len(&text), true);
}

static bool is_known(const struct http *h, const char *path)
{
	return is_page(h, path) || !strcmp(path, "/metrics") || !strcmp(path, "/healthz") || !strcmp(path, "/readyz");
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *path, const char *method,
				  const char *version, const char *upload, size_t *upload_len, void **state)
{
	static int header_seen;
	const struct http *h = cls;
	(void)version, (void)upload;
	if (!is_known(h, path))
		return answer_line(c, MHD_HTTP_NOT_FOUND, "not found; there are /metrics, /healthz and /readyz");
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_line(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered here");
	if (!*state) {
		/* Answering on this first call would end the connection after each request. */
		*state = &header_seen;
		return MHD_YES;
	}
	if (*upload_len > 0)
		return MHD_NO;
	if (strcmp(path, "/metrics") == 0)
		return answer_metrics(h, c);
	if (strcmp(path, "/readyz") == 0)
		return answer_ready(h, c);
	if (is_page(h, path))
		return answer_page(h, c);
	return answer_line(c, MHD_HTTP_OK, "ok");
}

static void RS_PRINTF(2, 0) on_mhd_log(void *cls, const char *fmt, va_list ap)
{
	char text[256];
	(void)cls;
	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\r\n")] = '\0';
	log_debug("http", LOG_STR("detail", text));
}

/* libmicrohttpd stops listening when it has as many connections as it may, and
 * looks whether it may again only at the start of a run: so the run in which
 * some of them ended needs another one after it. */
static void run_daemon(struct http *h)
{
	unsigned before;
	do {
		before = h->connections;
		MHD_run(h->mhd);
		h->connections = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
	} while (h->connections < before);
}

static void run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;
	run_daemon(h);
	ev_timer_stop(h->loop, &h->timer);
	if (MHD_get_timeout(h->mhd, &ms) != MHD_YES)
		return;
	ev_timer_set(&h->timer, (double)ms / 1000.0, 0.0);
	ev_timer_start(h->loop, &h->timer);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	run(w->data);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	run(w->data);
}

static struct MHD_Daemon *start_mhd(struct http *h, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h,
				MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,
				MHD_OPTION_LISTEN_SOCKET, fd,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
				MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MEMORY,
				MHD_OPTION_END);
}

int http_open(struct http **out, struct ev_loop *loop, const struct addr *local,
	      const struct http_handler *handler, void *ctx)
{
	struct http *h = calloc(1, sizeof *h);
	if (!h)
		return RS_ENOMEM;
	h->loop = loop;
	h->handler = handler;
	h->ctx = ctx;
	/* A socket of our own rather than libmicrohttpd's, so that a failure leaves the
	 * errno of what failed. */
	int fd = socket_listening(local, &h->local);
	if (fd < 0)
		goto fail;
	h->mhd = start_mhd(h, fd); /* the socket is its own from now on */
	if (!h->mhd) {
		close(fd);
		errno = ENOMEM;
		goto fail;
	}
	ev_io_init(&h->io, on_readable, MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EV_READ);
	ev_timer_init(&h->timer, on_timer, 0.0, 0.0);
	h->io.data = h->timer.data = h;
	ev_io_start(loop, &h->io);
	run(h);
	*out = h;
	return RS_OK;
fail:
	free(h);
	return RS_ESYS;
}

struct addr http_local(const struct http *h) { return h->local; }

void http_close(struct http *h)
{
	if (!h)
		return;
	ev_io_stop(h->loop, &h->io);
	ev_timer_stop(h->loop, &h->timer);
	MHD_stop_daemon(h->mhd);
	free(h);
}
