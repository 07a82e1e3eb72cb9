/* SPDX-License-Identifier: Apache-2.0 */
/* Timers: `beat` twice per LINK_PING_MS while there is a stream: pings and notices
 * silence. `retry` while a connecting link waits for its next attempt.
 *
 * on_message and on_down may free the link: as in stream.c, it then goes when the
 * entry that called them has returned. */
#include "net/link.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "wire/link.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LENGTH_BYTES = 4,
	BEAT_MS = LINK_PING_MS / 2,
	RETRY_LEAST_MS = 100,
	RETRY_FIRST_MS = 200,
	RETRY_LAST_MS = 5000,
	QUEUE_MAX = 16 * 1024 * 1024,
	SHORT_ROOM = 256 * 1024, /* beyond QUEUE_MAX, for short messages: that the rest is refused, for one */
	PING_ROOM = 4096,        /* beyond both, so that a full queue can still be pinged */
};

enum link_state { LINK_CONNECTING, LINK_UP, LINK_CLOSED };

struct link {
	struct ev_loop *loop;
	const struct link_handler *handler;
	void *ctx;
	struct tls_context *tls;
	struct addr to;          /* connecting links */
	struct stream *stream;   /* NULL: waiting to retry, or closed */
	ev_timer beat, retry;
	uint64_t heard_ms, beat_ms, pinged_ms;
	uint32_t retry_ms;       /* the next wait is RETRY_LEAST_MS to this */
	enum link_state state;
	unsigned busy;
	bool accepted;
	bool complained;         /* the log knows why it cannot be made */
};

static const struct stream_limits limits = {
	.out_max = QUEUE_MAX + SHORT_ROOM + PING_ROOM,
	.in_max = LENGTH_BYTES + LINK_MESSAGE_MAX + 64 * 1024,
};

/* --- life and death --- */

static void hold(struct link *l) { l->busy++; }

static void release(struct link *l)
{
	if (--l->busy == 0 && l->state == LINK_CLOSED)
		free(l);
}

static void drop_stream(struct link *l)
{
	ev_timer_stop(l->loop, &l->beat);
	stream_free(l->stream);
	l->stream = NULL;
}

void link_free(struct link *l)
{
	if (!l || l->state == LINK_CLOSED)
		return;
	l->state = LINK_CLOSED;
	ev_timer_stop(l->loop, &l->retry);
	drop_stream(l);
	if (l->busy == 0)
		free(l);
}

/* Spread, so that the brokers do not all come at once to a DC that has just
 * started. */
static void schedule_retry(struct link *l)
{
	uint16_t random;
	random_bytes(&random, sizeof random);
	double wait_ms = RETRY_LEAST_MS + (l->retry_ms - RETRY_LEAST_MS) * (random / 65536.);
	ev_timer_stop(l->loop, &l->retry);
	ev_timer_set(&l->retry, wait_ms / 1000., 0.);
	ev_timer_start(l->loop, &l->retry);
	l->retry_ms = l->retry_ms * 2 < RETRY_LAST_MS ? l->retry_ms * 2 : RETRY_LAST_MS;
}

static void complain(struct link *l, const char *why)
{
	char text[ADDR_TEXT_MAX];
	enum log_level level = l->complained ? LOG_DEBUG : LOG_WARN;
	l->complained = true;
	LOG_AT(level, "link cannot be made, trying on", LOG_STR("to", addr_format(&l->to, text)),
	       LOG_STR("why", why));
}

/* The stream is gone or no good. Only from inside hold() and release(). */
static void lose(struct link *l, const char *why)
{
	bool was_up = l->state == LINK_UP;
	if (l->state == LINK_CLOSED)
		return;
	drop_stream(l);
	if (l->accepted) {
		l->state = LINK_CLOSED;
	} else {
		l->state = LINK_CONNECTING;
		schedule_retry(l);
		if (!was_up)
			complain(l, why);
	}
	if (was_up || l->accepted)
		l->handler->on_down(l->ctx, why);
}

/* --- messages --- */

static int send_framed(struct link *l, const void *data, size_t len)
{
	uint8_t length[LENGTH_BYTES];
	be_put(length, len, LENGTH_BYTES);
	struct iovec parts[2] = {
		{.iov_base = length, .iov_len = sizeof length},
		{.iov_base = (void *)(uintptr_t)data, .iov_len = len},
	};
	return stream_write_parts(l->stream, parts, 2);
}

int link_send(struct link *l, const void *data, size_t len)
{
	if (l->state != LINK_UP)
		return RS_EDOWN;
	if (len == 0 || len > LINK_MESSAGE_MAX)
		return RS_ELIMIT;
	size_t most = len <= LINK_SHORT_MAX ? QUEUE_MAX + SHORT_ROOM : QUEUE_MAX;
	if (stream_out_len(l->stream) + LENGTH_BYTES + len > most)
		return RS_EBUSY;
	return send_framed(l, data, len);
}

bool link_is_up(const struct link *l) { return l->state == LINK_UP; }

/* What cannot be sent now need not be: there is traffic enough. */
static void send_bare(struct link *l, enum link_type type)
{
	uint8_t byte = (uint8_t)type;
	if (send_framed(l, &byte, 1))
		return;
}

static void take_message(struct link *l, const uint8_t *data, size_t len)
{
	bool bare = data[0] == LINK_PING || data[0] == LINK_PONG;
	if (bare && len != 1)
		lose(l, "malformed ping");
	else if (data[0] == LINK_PING)
		send_bare(l, LINK_PONG);
	else if (!bare && l->handler->on_message(l->ctx, data, len))
		lose(l, "message refused");
}

static void on_data(void *ctx, struct buf *in)
{
	struct link *l = ctx;
	struct stream *s = l->stream;
	hold(l);
	l->heard_ms = clock_mono_ms();
	while (l->stream == s && buf_len(in) >= LENGTH_BYTES) {
		size_t len = (size_t)be_get(buf_head(in), LENGTH_BYTES);
		if (len == 0 || len > LINK_MESSAGE_MAX) {
			lose(l, "message length out of range");
			break;
		}
		if (buf_len(in) - LENGTH_BYTES < len)
			break;
		l->retry_ms = RETRY_FIRST_MS; /* the other side means it */
		take_message(l, buf_head(in) + LENGTH_BYTES, len);
		buf_consume(in, LENGTH_BYTES + len);
	}
	release(l);
}

static void on_open(void *ctx)
{
	struct link *l = ctx;
	hold(l);
	l->state = LINK_UP;
	l->complained = false;
	l->heard_ms = l->beat_ms = clock_mono_ms();
	ev_timer_again(l->loop, &l->beat);
	l->handler->on_up(l->ctx);
	release(l);
}

static void on_close(void *ctx, int err, const char *why)
{
	struct link *l = ctx;
	(void)err;
	hold(l);
	l->stream = NULL; /* stream.c frees it */
	lose(l, why);
	release(l);
}

static const struct stream_handler stream_callbacks = {
	.on_open = on_open, .on_data = on_data, .on_close = on_close};

/* --- timers --- */

static void on_beat(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	struct link *l = w->data;
	uint64_t now = clock_mono_ms();
	hold(l);
	/* If this process slept, the silence is its own: what came meanwhile is
	 * waiting in the socket. */
	if (now - l->beat_ms > LINK_DEAD_MS / 2)
		l->heard_ms = now;
	l->beat_ms = now;
	uint64_t silent_ms = now - l->heard_ms;
	if (silent_ms >= LINK_DEAD_MS) {
		lose(l, "silent for too long");
	} else if (silent_ms >= LINK_PING_MS - BEAT_MS / 2 && now - l->pinged_ms >= LINK_PING_MS - BEAT_MS / 2) {
		l->pinged_ms = now;
		send_bare(l, LINK_PING);
	}
	release(l);
}

static void dial(struct link *l)
{
	int err = stream_connect(&l->stream, l->loop, &l->to, l->tls, &limits, &stream_callbacks, l);
	if (err) {
		complain(l, err == RS_ESYS ? strerror(errno) : err_str(err));
		schedule_retry(l);
	}
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	dial(w->data);
}

/* --- making --- */

static struct link *make(struct ev_loop *loop, struct tls_context *tls,
			 const struct link_handler *handler, void *ctx)
{
	struct link *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	*l = (struct link){.loop = loop, .tls = tls, .handler = handler, .ctx = ctx};
	l->retry_ms = RETRY_FIRST_MS;
	ev_timer_init(&l->beat, on_beat, 0., BEAT_MS / 1000.);
	ev_timer_init(&l->retry, on_retry, 0., 0.);
	l->beat.data = l->retry.data = l;
	return l;
}

int link_connect(struct link **out, struct ev_loop *loop, const struct addr *to,
		 struct tls_context *tls, const struct link_handler *handler, void *ctx)
{
	struct link *l = make(loop, tls, handler, ctx);
	if (!l)
		return RS_ENOMEM;
	l->to = *to;
	dial(l);
	*out = l;
	return RS_OK;
}

int link_accept(struct link **out, struct ev_loop *loop, int fd, struct tls_context *tls,
		const struct link_handler *handler, void *ctx)
{
	struct link *l = make(loop, tls, handler, ctx);
	if (!l) {
		close(fd);
		return RS_ENOMEM;
	}
	l->accepted = true;
	int err = stream_accept(&l->stream, loop, fd, tls, &limits, &stream_callbacks, l);
	if (err) {
		free(l);
		return err;
	}
	*out = l;
	return RS_OK;
}
