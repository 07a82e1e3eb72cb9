/* SPDX-License-Identifier: Apache-2.0 */
/* Watchers of a stream:
 *   readable   while there is room in `in` and nobody paused it
 *   writable   while connecting, and while the kernel takes no more
 *   deadline   connecting, TLS handshake, and the rest of stream_finish()
 *   turn       fed by hand: comes, at the lowest priority, after all that this turn
 *              of the loop brought; then what was queued is written
 *
 * Bytes: socket -> scratch -> in (TLS: by way of tls_feed and tls_read)
 *        out -> socket (TLS: out -> tls_write, tls_take -> wire -> socket)
 *
 * Every entry from the loop is bracketed by hold() and release(): a stream that
 * dies inside is freed at the release. */
#include "net/stream.h"

#include "net/tls.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	OUT_MAX_DEFAULT = 4 * 1024 * 1024,
	IN_MAX_DEFAULT = 256 * 1024,
	OPEN_TIMEOUT_DEFAULT_MS = 5000,
	READ_CHUNK = 64 * 1024,       /* read in one turn, so that all get theirs */
	SEAL_CHUNK = 64 * 1024,       /* encrypted at a time */
	WRITE_PER_TURN = 1024 * 1024,
	KEEP_CAP = 128 * 1024,        /* an empty buffer larger than this is given back */
};
static const double linger_s = 1.0;

enum stream_state { STREAM_CONNECTING, STREAM_OPEN, STREAM_CLOSING, STREAM_DEAD };

struct stream {
	struct ev_loop *loop;
	const struct stream_handler *handler;
	void *ctx;
	struct tls *tls; /* NULL: plaintext */
	struct buf in, out, wire;
	struct stream_limits limits;
	ev_io readable, writable;
	ev_timer deadline;
	ev_prepare turn; /* never started, only fed */
	int fd;
	int connect_errno;   /* connect() failed at once; told in the next turn */
	enum stream_state state;
	unsigned busy;       /* entries from the loop that are on the stack */
	bool tcp_up;         /* connect() is done */
	bool was_open;       /* on_open was called, or would have been */
	bool paused;
	bool redeliver;      /* stream_resume(): call on_data for what is held */
	bool above_half;     /* on_drain is due */
	bool flushing;
	bool ended;          /* on_end was called: there is nothing more to read */
	bool shut;           /* our side was shut down; waiting for the other's end */
};

static uint8_t scratch[READ_CHUNK]; /* holds nothing between two calls */

/* --- life and death --- */

static void destroy(struct stream *s)
{
	tls_free(s->tls);
	buf_deinit(&s->in);
	buf_deinit(&s->out);
	buf_deinit(&s->wire);
	free(s);
}

static void hold(struct stream *s) { s->busy++; }

static void release(struct stream *s)
{
	if (--s->busy == 0 && s->state == STREAM_DEAD)
		destroy(s);
}

static void die(struct stream *s)
{
	s->state = STREAM_DEAD;
	ev_io_stop(s->loop, &s->readable);
	ev_io_stop(s->loop, &s->writable);
	ev_timer_stop(s->loop, &s->deadline);
	ev_clear_pending(s->loop, &s->turn);
	close(s->fd);
	s->fd = -1;
}

/* Only from inside hold() and release(). */
static void close_with(struct stream *s, int err, const char *why)
{
	if (s->state == STREAM_DEAD)
		return;
	die(s);
	s->handler->on_close(s->ctx, err, why);
}

void stream_free(struct stream *s)
{
	if (!s || s->state == STREAM_DEAD)
		return;
	die(s);
	if (s->busy == 0)
		destroy(s);
}

static void set_deadline(struct stream *s, double after_s)
{
	ev_timer_stop(s->loop, &s->deadline);
	ev_timer_set(&s->deadline, after_s, 0.);
	ev_timer_start(s->loop, &s->deadline);
}

static void give_back(struct buf *b)
{
	if (buf_len(b) == 0 && b->cap > KEEP_CAP)
		buf_deinit(b);
}

/* Whether reading from the socket makes sense now. */
static void watch_input(struct stream *s)
{
	bool want = s->tcp_up && s->state != STREAM_DEAD;
	if (s->state == STREAM_OPEN)
		want = !s->paused && !s->ended && buf_len(&s->in) < s->limits.in_max;
	else if (s->state == STREAM_CLOSING)
		want = s->shut;
	if (want)
		ev_io_start(s->loop, &s->readable);
	else
		ev_io_stop(s->loop, &s->readable);
}

/* What is queued goes out when all else of this turn is done. From inside a flush
 * (on_drain wrote more) it waits for the next one, or two fast ends of a
 * connection would keep the loop from everybody else. */
static void schedule(struct stream *s)
{
	if (s->flushing)
		ev_io_start(s->loop, &s->writable);
	else
		ev_feed_event(s->loop, &s->turn, EV_CUSTOM);
}

/* --- writing --- */

size_t stream_out_len(const struct stream *s) { return buf_len(&s->out) + buf_len(&s->wire); }

/* The buffer whose head goes to the socket next, or NULL after an error. */
static struct buf *next_output(struct stream *s)
{
	if (!s->tls)
		return &s->out;
	if (buf_len(&s->wire) > 0)
		return &s->wire;
	size_t len = buf_len(&s->out);
	if (len > 0 && s->was_open) {
		if (len > SEAL_CHUNK)
			len = SEAL_CHUNK;
		if (tls_write(s->tls, buf_head(&s->out), len)) {
			close_with(s, RS_EAUTH, tls_fault(s->tls));
			return NULL;
		}
		buf_consume(&s->out, len);
	}
	if (tls_take(s->tls, &s->wire)) {
		close_with(s, RS_ENOMEM, "out of memory");
		return NULL;
	}
	return &s->wire;
}

/* Writes until all is gone, the kernel takes no more or the turn's share is
 * used up. An error closes the stream. */
static void write_queued(struct stream *s)
{
	struct buf *b;
	size_t sent = 0;
	while (sent < WRITE_PER_TURN && (b = next_output(s)) && buf_len(b) > 0) {
		ssize_t n = send(s->fd, buf_head(b), buf_len(b), MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				close_with(s, RS_ESYS, strerror(errno));
			break;
		}
		buf_consume(b, (size_t)n);
		sent += (size_t)n;
	}
}

/* stream_finish() and all is written: end our side, then wait for the other's. */
static void shut_down(struct stream *s)
{
	if (s->shut)
		return;
	s->shut = true;
	if (!s->was_open) {
		close_with(s, RS_OK, "finished before it was open");
		return;
	}
	if (s->tls) {
		tls_finish(s->tls);
		write_queued(s);
		if (s->state == STREAM_DEAD)
			return;
	}
	shutdown(s->fd, SHUT_WR);
	set_deadline(s, linger_s);
	watch_input(s);
}

static void tell_drain(struct stream *s)
{
	if (!s->above_half || stream_out_len(s) >= s->limits.out_max / 2)
		return;
	s->above_half = false;
	if (s->handler->on_drain && s->state == STREAM_OPEN)
		s->handler->on_drain(s->ctx);
}

static void flush(struct stream *s)
{
	write_queued(s);
	if (s->state == STREAM_DEAD)
		return;
	if (stream_out_len(s) > 0) {
		ev_io_start(s->loop, &s->writable);
	} else {
		ev_io_stop(s->loop, &s->writable);
		give_back(&s->out);
		give_back(&s->wire);
	}
	s->flushing = true;
	tell_drain(s);
	s->flushing = false;
	if (s->state == STREAM_CLOSING && stream_out_len(s) == 0)
		shut_down(s);
}

int stream_write_parts(struct stream *s, const struct iovec *parts, size_t count)
{
	size_t len = 0, held = stream_out_len(s);
	if (s->state != STREAM_OPEN)
		return RS_EDOWN;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].iov_len > s->limits.out_max - len)
			return RS_ELIMIT;
		len += parts[i].iov_len;
	}
	if (held + len > s->limits.out_max / 2)
		s->above_half = true;
	if (held + len > s->limits.out_max)
		return RS_EBUSY;
	int err = buf_reserve(&s->out, len);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].iov_len)
			memcpy(buf_tail(&s->out), parts[i].iov_base, parts[i].iov_len);
		buf_commit(&s->out, parts[i].iov_len);
	}
	schedule(s);
	return RS_OK;
}

int stream_write(struct stream *s, const void *data, size_t len)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	return stream_write_parts(s, &part, 1);
}

/* --- reading --- */

/* The other side has ended. An owner who has no on_end has nothing more to say, but
 * what was queued in answer gets one more chance. */
static void take_end(struct stream *s, const char *why)
{
	if (s->handler->on_end && s->state == STREAM_OPEN) {
		s->ended = true;
		s->handler->on_end(s->ctx);
		return;
	}
	write_queued(s);
	close_with(s, RS_OK, why);
}

static void deliver(struct stream *s)
{
	if (buf_len(&s->in) > 0)
		s->handler->on_data(s->ctx, &s->in);
	if (s->state != STREAM_DEAD)
		give_back(&s->in);
}

static bool takes_input(const struct stream *s)
{
	return s->state == STREAM_OPEN && !s->paused && !s->ended &&
	       buf_len(&s->in) < s->limits.in_max;
}

/* Decrypts and hands over all that was fed, or as much as is wanted. */
static void deliver_tls(struct stream *s)
{
	int err = RS_OK;
	while (err == RS_OK && takes_input(s)) {
		size_t held = buf_len(&s->in);
		do
			err = tls_read(s->tls, &s->in, s->limits.in_max - buf_len(&s->in));
		while (err == RS_OK && buf_len(&s->in) < s->limits.in_max);
		if (buf_len(&s->in) > held)
			deliver(s);
	}
	if (s->state == STREAM_DEAD)
		return;
	if (err == RS_EDOWN && !s->paused)
		take_end(s, "closed by the other side");
	else if (err && err != RS_EAGAIN && err != RS_EDOWN)
		close_with(s, err, err == RS_EAUTH ? tls_fault(s->tls) : err_str(err));
}

/* After stream_resume(): what `in` holds, and what TLS still holds. */
static void deliver_held(struct stream *s)
{
	s->redeliver = false;
	deliver(s);
	if (s->tls && s->state == STREAM_OPEN)
		deliver_tls(s);
}

static void become_open(struct stream *s)
{
	s->was_open = true;
	if (s->state != STREAM_CONNECTING)
		return;
	s->state = STREAM_OPEN;
	ev_timer_stop(s->loop, &s->deadline);
	if (s->handler->on_open)
		s->handler->on_open(s->ctx);
}

static void shake_hands(struct stream *s)
{
	int err = tls_handshake(s->tls);
	if (err == RS_OK) {
		become_open(s);
	} else if (err != RS_EAGAIN) {
		write_queued(s); /* the alert that tells the other side why */
		close_with(s, err, tls_fault(s->tls));
	}
}

static void take_input(struct stream *s, const uint8_t *data, size_t len)
{
	int err = s->tls ? tls_feed(s->tls, data, len) : buf_append(&s->in, data, len);
	if (err) {
		close_with(s, err, err_str(err));
		return;
	}
	if (!s->tls) {
		deliver(s);
		return;
	}
	if (!s->was_open)
		shake_hands(s);
	if (s->state == STREAM_OPEN)
		deliver_tls(s);
	if (s->state != STREAM_DEAD)
		schedule(s); /* TLS may have something to say */
}

static void read_socket(struct stream *s)
{
	size_t room = sizeof scratch, held = buf_len(&s->in);
	if (!s->tls && s->state == STREAM_OPEN && room > s->limits.in_max - held)
		room = s->limits.in_max - held;
	ssize_t n = recv(s->fd, scratch, room, 0);
	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			close_with(s, RS_ESYS, strerror(errno));
	} else if (n == 0 && s->shut) {
		close_with(s, RS_OK, "finished");
	} else if (n == 0) {
		take_end(s, s->was_open ? "closed by the other side"
					: "closed by the other side before it was open");
	} else if (s->state != STREAM_CLOSING) {
		take_input(s, scratch, (size_t)n);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	struct stream *s = w->data;
	hold(s);
	read_socket(s);
	if (s->state != STREAM_DEAD)
		watch_input(s);
	release(s);
}

void stream_pause(struct stream *s)
{
	s->paused = true;
	if (s->state == STREAM_OPEN)
		watch_input(s);
}

void stream_resume(struct stream *s)
{
	s->paused = false;
	if (s->state != STREAM_OPEN)
		return;
	s->redeliver = true;
	watch_input(s);
	schedule(s);
}

void stream_set_in_max(struct stream *s, size_t in_max)
{
	s->limits.in_max = in_max ? in_max : IN_MAX_DEFAULT;
	if (s->state == STREAM_OPEN)
		watch_input(s);
}

/* --- opening, finishing, and the end of a turn --- */

/* TCP is connected. */
static void tcp_opened(struct stream *s)
{
	s->tcp_up = true;
	if (s->tls)
		shake_hands(s);
	else
		become_open(s);
	if (s->state != STREAM_DEAD)
		watch_input(s);
}

static void connect_done(struct stream *s)
{
	int err = 0;
	socklen_t len = sizeof err;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err) {
		close_with(s, RS_ESYS, strerror(err));
		return;
	}
	ev_io_stop(s->loop, &s->writable);
	tcp_opened(s);
}

/* A fresh stream's first turn: connect() that failed at once, or an accepted fd. */
static void first_turn(struct stream *s)
{
	if (s->connect_errno)
		close_with(s, RS_ESYS, strerror(s->connect_errno));
	else if (s->state == STREAM_CLOSING)
		close_with(s, RS_OK, "finished before it was open");
	else if (!ev_is_active(&s->writable))
		tcp_opened(s);
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop, (void)revents;
	struct stream *s = w->data;
	hold(s);
	if (!s->tcp_up)
		first_turn(s);
	if (s->redeliver && s->state == STREAM_OPEN && !s->paused)
		deliver_held(s);
	if (s->tcp_up && s->state != STREAM_DEAD) {
		watch_input(s);
		flush(s);
	}
	release(s);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	struct stream *s = w->data;
	hold(s);
	if (!s->tcp_up)
		connect_done(s);
	if (s->tcp_up && s->state != STREAM_DEAD)
		flush(s);
	release(s);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	struct stream *s = w->data;
	hold(s);
	if (s->state == STREAM_CONNECTING)
		close_with(s, RS_ETIMEOUT,
			   s->tcp_up ? "no TLS handshake in time" : "no connection in time");
	else if (s->shut)
		close_with(s, RS_OK, "finished");
	else
		close_with(s, RS_ETIMEOUT, "the other side did not take the rest in time");
	release(s);
}

void stream_finish(struct stream *s)
{
	if (s->state != STREAM_OPEN && s->state != STREAM_CONNECTING)
		return;
	s->state = STREAM_CLOSING;
	set_deadline(s, s->limits.open_timeout_ms / 1000.);
	watch_input(s);
	schedule(s);
}

static struct stream_limits with_defaults(const struct stream_limits *given)
{
	struct stream_limits l = given ? *given : (struct stream_limits){0};
	if (l.out_max == 0)
		l.out_max = OUT_MAX_DEFAULT;
	if (l.in_max == 0)
		l.in_max = IN_MAX_DEFAULT;
	if (l.open_timeout_ms == 0)
		l.open_timeout_ms = OPEN_TIMEOUT_DEFAULT_MS;
	return l;
}

static void start_watchers(struct stream *s)
{
	int on = 1;
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	ev_io_init(&s->readable, on_readable, s->fd, EV_READ);
	ev_io_init(&s->writable, on_writable, s->fd, EV_WRITE);
	ev_timer_init(&s->deadline, on_deadline, 0., 0.);
	ev_prepare_init(&s->turn, on_turn);
	ev_set_priority(&s->turn, EV_MINPRI);
	s->readable.data = s->writable.data = s->deadline.data = s->turn.data = s;
	ev_now_update(s->loop); /* or the deadline counts from before a long pause */
	set_deadline(s, s->limits.open_timeout_ms / 1000.);
	schedule(s);
}

/* Takes fd, also on failure. */
static int make(struct stream **out, struct ev_loop *loop, int fd, struct tls_context *tls,
		bool server, const struct stream_limits *limits,
		const struct stream_handler *handler, void *ctx)
{
	struct stream *s = calloc(1, sizeof *s);
	if (!s || (tls && tls_new(&s->tls, tls, server))) {
		free(s);
		close(fd);
		return RS_ENOMEM;
	}
	s->loop = loop;
	s->fd = fd;
	s->limits = with_defaults(limits);
	s->handler = handler;
	s->ctx = ctx;
	start_watchers(s);
	*out = s;
	return RS_OK;
}

int stream_accept(struct stream **out, struct ev_loop *loop, int fd, struct tls_context *tls,
		  const struct stream_limits *limits, const struct stream_handler *handler, void *ctx)
{
	return make(out, loop, fd, tls, true, limits, handler, ctx);
}

int stream_connect(struct stream **out, struct ev_loop *loop, const struct addr *to,
		   struct tls_context *tls, const struct stream_limits *limits,
		   const struct stream_handler *handler, void *ctx)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return RS_ESYS;
	int err = make(out, loop, fd, tls, false, limits, handler, ctx);
	if (err)
		return err;
	struct stream *s = *out;
	if (connect(fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
		s->connect_errno = errno;
	else
		ev_io_start(loop, &s->writable);
	return RS_OK;
}
