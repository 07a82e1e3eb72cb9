/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_stream.h"

#include "fake_loop.h"

#include "net/listener.h"

#include <stdlib.h>
#include <string.h>

enum { STREAMS_MAX = 16, OUT_MAX_DEFAULT = 4 * 1024 * 1024, IN_MAX_DEFAULT = 256 * 1024, READ_MAX = 64 * 1024,
       LISTENERS_MAX = FAKE_STREAM_OUT };

struct stream {
	const struct stream_handler *handler;
	void *ctx;
	struct stream_limits limits;
	struct buf wire, in, queued; /* not read yet; handed over; not taken by the other side */
	bool paused, redeliver, finishing, dead, stuck, above_half;
	unsigned busy;
	struct buf *sink;
};

struct listener {
	listener_fn *fn;
	void *ctx;
	struct listener_stats stats;
	unsigned n;
	bool closed;
};

static struct stream *alive[STREAMS_MAX];
static struct stream *last_made;
static struct listener *listening[LISTENERS_MAX];
static unsigned listeners, accepting;
static struct buf output[FAKE_STREAM_OUT + 1];

static bool is_alive(const struct stream *s)
{
	for (size_t i = 0; i < STREAMS_MAX; i++)
		if (s && alive[i] == s)
			return true;
	return false;
}

bool fake_stream_alive(const struct stream *s) { return is_alive(s); }
const struct buf *fake_stream_output(unsigned n) { return &output[n]; }
void fake_stream_forget_output(unsigned n) { output[n].start = output[n].end = 0; }

void fake_stream_reset(void)
{
	memset(alive, 0, sizeof alive);
	last_made = NULL;
	listeners = 0;
	accepting = FAKE_STREAM_OUT;
	for (size_t i = 0; i <= FAKE_STREAM_OUT; i++)
		buf_deinit(&output[i]);
}

/* ---- life ---- */

static void destroy(struct stream *s)
{
	buf_deinit(&s->wire);
	buf_deinit(&s->in);
	buf_deinit(&s->queued);
	free(s);
}

static void die(struct stream *s)
{
	s->dead = true;
	for (size_t i = 0; i < STREAMS_MAX; i++)
		if (alive[i] == s)
			alive[i] = NULL;
}

static void release(struct stream *s)
{
	if (--s->busy == 0 && s->dead)
		destroy(s);
}

void stream_free(struct stream *s)
{
	if (!s || s->dead)
		return;
	die(s);
	if (s->busy == 0)
		destroy(s);
}

static void close_with(struct stream *s, int err)
{
	if (s->dead)
		return;
	die(s);
	s->handler->on_close(s->ctx, err, "the input says so");
}

static int make(struct stream **out, const struct stream_limits *limits, const struct stream_handler *handler,
		void *ctx)
{
	struct stream *s = calloc(1, sizeof *s);
	fuzz_check(s != NULL, "out of memory");
	s->handler = handler;
	s->ctx = ctx;
	s->sink = &output[accepting];
	s->limits = limits ? *limits : (struct stream_limits){0};
	if (!s->limits.out_max)
		s->limits.out_max = OUT_MAX_DEFAULT;
	if (!s->limits.in_max)
		s->limits.in_max = IN_MAX_DEFAULT;
	for (size_t i = 0; i < STREAMS_MAX; i++)
		if (!alive[i]) {
			alive[i] = *out = last_made = s;
			return RS_OK;
		}
	free(s);
	return RS_ENOMEM;
}

int stream_accept(struct stream **out, struct ev_loop *loop, int fd, struct tls_context *tls,
		  const struct stream_limits *limits, const struct stream_handler *handler, void *ctx)
{
	(void)loop, (void)fd, (void)tls;
	return make(out, limits, handler, ctx);
}

int stream_connect(struct stream **out, struct ev_loop *loop, const struct addr *to,
		   struct tls_context *tls, const struct stream_limits *limits,
		   const struct stream_handler *handler, void *ctx)
{
	(void)loop, (void)to, (void)tls;
	return make(out, limits, handler, ctx);
}

/* ---- writing ---- */

size_t stream_out_len(const struct stream *s) { return buf_len(&s->queued); }

static void take_queued(struct stream *s)
{
	if (s->stuck || buf_len(&s->queued) == 0)
		return;
	fuzz_check(buf_append(s->sink, buf_head(&s->queued), buf_len(&s->queued)) == RS_OK, "out of memory");
	buf_consume(&s->queued, buf_len(&s->queued));
}

int stream_write_parts(struct stream *s, const struct iovec *parts, size_t count)
{
	size_t len = 0;
	fuzz_check(!s->dead, "written to what is gone");
	if (s->finishing)
		return RS_EDOWN;
	for (size_t i = 0; i < count; i++)
		len += parts[i].iov_len;
	if (len > s->limits.out_max)
		return RS_ELIMIT;
	if (buf_len(&s->queued) + len > s->limits.out_max / 2)
		s->above_half = true;
	if (buf_len(&s->queued) + len > s->limits.out_max)
		return RS_EBUSY;
	for (size_t i = 0; i < count; i++)
		fuzz_check(buf_append(&s->queued, parts[i].iov_base, parts[i].iov_len) == RS_OK, "out of memory");
	return RS_OK;
}

int stream_write(struct stream *s, const void *data, size_t len)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	return stream_write_parts(s, &part, 1);
}

void stream_pause(struct stream *s) { s->paused = true; }

void stream_resume(struct stream *s)
{
	s->paused = false;
	s->redeliver = true;
}

void stream_set_in_max(struct stream *s, size_t in_max) { s->limits.in_max = in_max ? in_max : IN_MAX_DEFAULT; }

void stream_finish(struct stream *s) { s->finishing = true; }

/* ---- turns of the loop ---- */

static bool reads(const struct stream *s)
{
	return !s->dead && !s->paused && !s->finishing && buf_len(&s->in) < s->limits.in_max;
}

static void read_some(struct stream *s)
{
	size_t len = buf_len(&s->wire), held = buf_len(&s->in);
	size_t room = held < s->limits.in_max ? s->limits.in_max - held : 0;
	len = len < READ_MAX ? len : READ_MAX;
	len = len < room ? len : room;
	fuzz_check(buf_append(&s->in, buf_head(&s->wire), len) == RS_OK, "out of memory");
	buf_consume(&s->wire, len);
}

static void turn(struct stream *s)
{
	s->busy++;
	while (reads(s) && (s->redeliver || buf_len(&s->wire) > 0)) {
		s->redeliver = false;
		if (buf_len(&s->wire) > 0)
			read_some(s);
		if (buf_len(&s->in) > 0)
			s->handler->on_data(s->ctx, &s->in);
	}
	take_queued(s);
	if (!s->dead && s->above_half && buf_len(&s->queued) < s->limits.out_max / 2) {
		s->above_half = false;
		if (s->handler->on_drain)
			s->handler->on_drain(s->ctx);
	}
	if (!s->dead && s->finishing && buf_len(&s->queued) == 0)
		close_with(s, RS_OK);
	release(s);
}

bool fake_stream_feed(struct stream *s, const void *data, size_t len)
{
	if (!is_alive(s))
		return false;
	fuzz_check(buf_append(&s->wire, data, len) == RS_OK, "out of memory");
	turn(s);
	fake_loop_end_turn();
	return is_alive(s);
}

bool fake_stream_end(struct stream *s)
{
	if (!is_alive(s))
		return false;
	s->busy++;
	if (!s->finishing && !s->handler->on_end)
		close_with(s, RS_OK);
	else if (!s->finishing && buf_len(&s->wire) == 0)
		s->handler->on_end(s->ctx);
	if (!s->dead)
		turn(s);
	release(s);
	return is_alive(s);
}

bool fake_stream_break(struct stream *s)
{
	if (!is_alive(s))
		return false;
	s->busy++;
	close_with(s, RS_ESYS);
	release(s);
	return false;
}

void fake_stream_take(struct stream *s, bool takes)
{
	if (is_alive(s))
		s->stuck = !takes;
}

struct stream *fake_stream_connected(void)
{
	struct stream *s = is_alive(last_made) ? last_made : NULL;
	if (s && s->handler->on_open) {
		s->busy++;
		s->handler->on_open(s->ctx);
		release(s);
	}
	return is_alive(s) ? s : NULL;
}

void fake_stream_refused(void)
{
	struct stream *s = is_alive(last_made) ? last_made : NULL;
	if (!s)
		return;
	s->busy++;
	close_with(s, RS_ESYS);
	release(s);
}

/* ---- net/listener.h ---- */

int listener_open(struct listener **out, struct ev_loop *loop, const struct listener_config *config,
		  listener_fn *on_accept, void *ctx)
{
	(void)loop, (void)config;
	struct listener *l = *out = calloc(1, sizeof *l);
	fuzz_check(l != NULL && listeners < LISTENERS_MAX, "too many listeners");
	*l = (struct listener){.fn = on_accept, .ctx = ctx, .n = listeners};
	listening[listeners++] = l;
	return RS_OK;
}

static void free_if_unused(struct listener *l)
{
	if (!l->closed || l->stats.open > 0)
		return;
	listening[l->n] = NULL;
	free(l);
}

void listener_release(struct listener *l, const struct addr *from)
{
	(void)from;
	if (!l)
		return;
	fuzz_check(l->stats.open > 0, "a connection is released twice");
	l->stats.open--;
	free_if_unused(l);
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	l->closed = true;
	free_if_unused(l);
}

struct addr listener_local(const struct listener *l)
{
	(void)l;
	return fuzz_addr(0);
}

const struct listener_stats *listener_stats(const struct listener *l) { return &l->stats; }

struct stream *fake_stream_accepted(unsigned n, const struct addr *from)
{
	struct listener *l = listening[n];
	last_made = NULL;
	l->stats.open++;
	l->stats.accepted++;
	accepting = n;
	l->fn(l->ctx, -1, from);
	accepting = FAKE_STREAM_OUT;
	return fake_stream_connected();
}
