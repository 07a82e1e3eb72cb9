/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in a row over one TCP connection, a bounded number of them in flight,
 * answers in order. The same for a Data Center and for Redis, so that a
 * comparison of the two sees the same load. */
#ifndef CLI_BENCH_PIPE_H
#define CLI_BENCH_PIPE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define PIPES_MAX 32

struct pipe_handler {
	/* Length of the first answer in data; 0: not whole yet; SIZE_MAX: no answer. */
	size_t (*whole)(const uint8_t *data, size_t len);
	/* Appends request i. */
	int (*make)(void *ctx, uint64_t i, struct buf *out);
	/* The answer to request i. Not 0 ends the run. May be NULL. */
	int (*take)(void *ctx, uint64_t i, const uint8_t *data, size_t len);
};

struct pipe {
	int fd;                /* borrowed, non-blocking */
	const struct pipe_handler *handler;
	void *ctx;
	struct buf in, out;
	uint64_t count;        /* requests there are */
	uint64_t made, done;
	unsigned depth;        /* the most in flight */
	uint64_t *sent_us;     /* of request i at i % depth */
	uint32_t *latency_us;  /* of all, or NULL */
};

RS_MUST_CHECK int pipe_init(struct pipe *p, int fd, const struct pipe_handler *handler, void *ctx,
			    uint64_t count, unsigned depth);
void pipe_deinit(struct pipe *p);
/* Makes requests while fewer than depth and `most` are in flight, and writes. */
RS_MUST_CHECK int pipe_fill(struct pipe *p, uint64_t most);
/* Takes what has arrived. */
RS_MUST_CHECK int pipe_drain(struct pipe *p);
bool pipe_is_done(const struct pipe *p);
/* `count` of them side by side until all is answered. RS_ETIMEOUT: nothing came for
 * a while. */
RS_MUST_CHECK int pipe_run(struct pipe *p, size_t count);

#endif
