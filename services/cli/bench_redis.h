/* SPDX-License-Identifier: Apache-2.0 */
/* Redis spoken to directly, pipelined, with nothing between a benchmark and the
 * socket: the bare limit, and the way in which its users come and go. */
#ifndef CLI_BENCH_REDIS_H
#define CLI_BENCH_REDIS_H

#include "bench.h"
#include "bench_pipe.h"

#include "base/ulid.h"
#include "rds/rds.h"

#define BENCH_SESSION_MAX 64
#define BENCH_USER_MAX 48

struct bench_redis {
	const struct bench *bench; /* borrowed */
	int fd;
	uint64_t errors;           /* error replies */
};

/* Failures are said. bench_redis_close() is due in any case. */
RS_MUST_CHECK int bench_redis_open(struct bench_redis *r, const struct bench *b);
void bench_redis_close(struct bench_redis *r);

/* Appends a command in Redis's own form. */
RS_MUST_CHECK int bench_redis_command(struct buf *out, size_t argc, const struct rds_arg *argv);
/* Length of the reply at the beginning of data; 0: not whole yet; SIZE_MAX: no reply. */
size_t bench_redis_whole(const uint8_t *data, size_t len);
/* So that EVALSHA finds it. */
RS_MUST_CHECK int bench_redis_load(struct bench_redis *r, enum script_id script);

/* User i of a run, the name and the session id. Return the length. */
size_t bench_user(const struct bench *b, uint32_t i, char out[BENCH_USER_MAX]);
size_t bench_session(const struct bench *b, uint32_t i, char out[BENCH_SESSION_MAX]);
/* Session ids for users 0..count-1; they expire by themselves in 15 minutes. */
RS_MUST_CHECK int bench_redis_make_sessions(struct bench_redis *r, uint32_t count);
/* All that users from..to-1 left: queue, presence, session. */
RS_MUST_CHECK int bench_redis_clean(struct bench_redis *r, uint32_t from, uint32_t to);
/* How many of users 0..count-1 have a queue. */
RS_MUST_CHECK int bench_redis_queues(struct bench_redis *r, uint32_t count, uint32_t *left);
/* Users 0..count-1 subscribe to a topic, in the set that a fan-out reads. */
RS_MUST_CHECK int bench_redis_subscribe(struct bench_redis *r, const char *topic, uint32_t count);
/* That set goes, with what a message to it has left, for the users and by itself. */
RS_MUST_CHECK int bench_redis_forget_topic(struct bench_redis *r, const char *topic);
RS_MUST_CHECK int bench_redis_forget_fan(struct bench_redis *r, const struct ulid *id, uint32_t count);
/* What Redis holds now, in bytes (used_memory of INFO). */
RS_MUST_CHECK int bench_redis_memory(struct bench_redis *r, int64_t *bytes);

#endif
