/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_pipe.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { READ_MAX = 256 * 1024, STALL_MS = 15000 };

int pipe_init(struct pipe *p, int fd, const struct pipe_handler *handler, void *ctx, uint64_t count,
	      unsigned depth)
{
	*p = (struct pipe){.fd = fd, .handler = handler, .ctx = ctx, .count = count, .depth = depth};
	p->sent_us = calloc(depth, sizeof *p->sent_us);
	p->latency_us = calloc(count ? count : 1, sizeof *p->latency_us);
	return p->sent_us && p->latency_us ? RS_OK : RS_ENOMEM;
}

void pipe_deinit(struct pipe *p)
{
	free(p->sent_us);
	free(p->latency_us);
	buf_deinit(&p->in);
	buf_deinit(&p->out);
	*p = (struct pipe){.fd = -1};
}

static int write_out(struct pipe *p)
{
	while (buf_len(&p->out)) {
		ssize_t n = send(p->fd, buf_head(&p->out), buf_len(&p->out), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? RS_OK : RS_ELOST;
		buf_consume(&p->out, (size_t)n);
	}
	return RS_OK;
}

int pipe_fill(struct pipe *p, uint64_t most)
{
	uint64_t now = clock_mono_us();
	if (most > p->depth)
		most = p->depth;
	while (p->made < p->count && p->made - p->done < most) {
		p->sent_us[p->made % p->depth] = now;
		int err = p->handler->make(p->ctx, p->made, &p->out);
		if (err)
			return err;
		p->made++;
	}
	return write_out(p);
}

static int take_answers(struct pipe *p)
{
	uint64_t now = clock_mono_us();
	while (buf_len(&p->in)) {
		size_t len = p->handler->whole(buf_head(&p->in), buf_len(&p->in));
		if (len == 0)
			return RS_OK;
		if (len == SIZE_MAX || p->done == p->made)
			return RS_EINVAL;
		uint64_t i = p->done++;
		p->latency_us[i] = (uint32_t)(now - p->sent_us[i % p->depth]);
		int err = p->handler->take ? p->handler->take(p->ctx, i, buf_head(&p->in), len) : RS_OK;
		if (err)
			return err;
		buf_consume(&p->in, len);
	}
	return RS_OK;
}

int pipe_drain(struct pipe *p)
{
	if (buf_reserve(&p->in, READ_MAX))
		return RS_ENOMEM;
	ssize_t n = recv(p->fd, buf_tail(&p->in), READ_MAX, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return RS_OK;
	if (n <= 0)
		return RS_ELOST;
	buf_commit(&p->in, (size_t)n);
	return take_answers(p);
}

bool pipe_is_done(const struct pipe *p) { return p->done == p->count; }

/* 0 and all is done, or an error; else at least one has got something. */
static int turn(struct pipe *p, size_t count, bool *done)
{
	struct pollfd w[PIPES_MAX];
	*done = true;
	for (size_t k = 0; k < count; k++) {
		int err = pipe_fill(&p[k], UINT64_MAX);
		if (err)
			return err;
		w[k] = (struct pollfd){pipe_is_done(&p[k]) ? -1 : p[k].fd,
				       (short)(POLLIN | (buf_len(&p[k].out) ? POLLOUT : 0)), 0};
		*done &= pipe_is_done(&p[k]);
	}
	if (*done)
		return RS_OK;
	if (poll(w, count, STALL_MS) == 0)
		return RS_ETIMEOUT;
	for (size_t k = 0; k < count; k++) {
		int err = w[k].revents ? pipe_drain(&p[k]) : RS_OK;
		if (err)
			return err;
	}
	return RS_OK;
}

int pipe_run(struct pipe *p, size_t count)
{
	bool done = false;
	int err = count <= PIPES_MAX ? RS_OK : RS_ELIMIT;
	while (!err && !done)
		err = turn(p, count, &done);
	return err;
}
