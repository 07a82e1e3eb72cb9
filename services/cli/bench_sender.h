/* SPDX-License-Identifier: Apache-2.0 */
/* An App that sends to a Data Center as fast as it answers, pipelined. Message i
 * goes to user (i % users) of those from `first_user` on; its body begins with i. */
#ifndef CLI_BENCH_SENDER_H
#define CLI_BENCH_SENDER_H

#include "bench.h"
#include "bench_pipe.h"
#include "textclient.h"

struct sender {
	const struct bench *bench; /* borrowed */
	struct textclient dc;
	struct pipe pipe;
	uint32_t users, first_user;
	size_t size;
	uint64_t taken, pushed;    /* answers with OK; of these to users online */
	uint64_t *sent_us;         /* when message i was sent, or NULL */
};

/* Failures are said. sender_close() is due in any case. */
RS_MUST_CHECK int sender_open(struct sender *s, const struct bench *b, uint32_t users, uint64_t count,
			      size_t size, unsigned depth);
/* So that the next `count` messages are sent, to users from `first_user` on. */
RS_MUST_CHECK int sender_restart(struct sender *s, uint32_t first_user, uint64_t count, unsigned depth);
void sender_close(struct sender *s);
/* Sends all and waits for all answers. */
RS_MUST_CHECK int sender_run(struct sender *s);
/* Says what an error of the pipe means. Returns it. */
int sender_say(const struct sender *s, int err);
/* The number in a body. False: not one of ours. */
bool sender_read_body(const void *body, size_t len, uint64_t *i);
/* Writes it. body: at least BENCH_BODY_MIN bytes. */
void sender_write_body(void *body, size_t len, uint64_t i);

#endif
