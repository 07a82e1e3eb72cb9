/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to Redis inside the event loop. It connects by itself, comes
 * back with jittered backoff, and answers every request exactly once.
 *
 *   RDS_DOWN        waiting to connect; requests are refused with RS_EDOWN
 *   RDS_CONNECTING  the connect timer runs; requests are refused with RS_EDOWN
 *   RDS_UP          connected, scripts loaded, requests are taken
 *
 * Scripts go by EVALSHA; NOSCRIPT is repaired by loading that script and
 * sending the same request again, unseen by the caller. Each request has a
 * deadline; when one passes it, the connection is given up, since the answers
 * of a server that hung could no longer be told apart. At most max_in_flight
 * wait at a time. This is the only layer that sees hiredis.
 *
 * Requests are carried out in the order in which they were made, except that
 * one which met NOSCRIPT comes after those for other scripts that were already
 * on their way. Callbacks may make requests and may call rds_free(). Commands
 * with more or fewer answers than one (SUBSCRIBE, MONITOR, QUIT) are not for
 * this connection. A server that is a replica or still loads its file counts
 * as down. */
#ifndef RDS_RDS_H
#define RDS_RDS_H

#include "base/addr.h"
#include "base/err.h"
#include "rds/scripts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct rds;
struct redisReply; /* opaque here; read it through the functions below */

struct rds_config {
	struct addr addr;
	const char *password;       /* NULL: none; borrowed, must outlive the rds */
	uint32_t connect_timeout_ms; /* 0: 2000 */
	uint32_t command_timeout_ms; /* 0: 5000 */
	uint32_t max_in_flight;      /* 0: 4096 */
};

/* Called when the connection comes up (true) or is lost (false). May be NULL. */
typedef void rds_state_fn(void *ctx, bool up);

/* The answer to one request, called exactly once, never from inside rds_*():
 * err RS_OK: reply is there (and is not an error reply), borrowed for the call;
 * RS_EREMOTE: Redis refused, reply is the error reply;
 * RS_ETIMEOUT, RS_ELOST: outcome unknown, reply is NULL. */
typedef void rds_reply_fn(void *ctx, int err, const struct redisReply *reply);

/* An argument, by length: never by format string. */
struct rds_arg {
	const void *data;
	size_t len;
};
#define RDS_STR(s) ((struct rds_arg){(s), strlen(s)})
#define RDS_MEM(p, n) ((struct rds_arg){(p), (n)})
#define RDS_NUM_MAX 24
/* Formats v into buf and returns the argument that borrows it. */
struct rds_arg rds_num(int64_t v, char buf[RDS_NUM_MAX]);

RS_MUST_CHECK int rds_new(struct rds **out, struct ev_loop *loop, const struct rds_config *config,
			  rds_state_fn *on_state, void *ctx);
/* Outstanding requests are answered with RS_ELOST before it returns. */
void rds_free(struct rds *r);
bool rds_is_up(const struct rds *r);

/* Arguments are copied. Return 0, RS_EDOWN, RS_EBUSY, RS_ENOMEM, or RS_EINVAL for
 * no argument at all; when not 0, fn is not called. fn may be NULL. */
RS_MUST_CHECK int rds_command(struct rds *r, size_t argc, const struct rds_arg *argv,
			      rds_reply_fn *fn, void *ctx);
/* argv: first `keys` KEYS, then the ARGV: argc in all. */
RS_MUST_CHECK int rds_script(struct rds *r, enum script_id script, size_t keys, size_t argc,
			     const struct rds_arg *argv, rds_reply_fn *fn, void *ctx);

struct rds_stats {
	uint64_t requests, errors, timeouts, refused, reconnects, noscript;
	uint32_t in_flight, in_flight_peak;
};
const struct rds_stats *rds_stats(const struct rds *r);

/* Reading a reply. A wrong type gives 0, NULL or false: answers from Redis are
 * checked like all that comes from outside. */
bool reply_is_nil(const struct redisReply *r);
bool reply_int(const struct redisReply *r, int64_t *out);     /* also from a numeric string */
/* A whole decimal number from 0 to max, up to all 64 bits (boot numbers, owner tokens). */
bool reply_uint(const struct redisReply *r, uint64_t max, uint64_t *out);
const char *reply_str(const struct redisReply *r, size_t *len); /* string, status or error; NUL-terminated */
size_t reply_count(const struct redisReply *r);               /* elements of an array, else 0 */
const struct redisReply *reply_at(const struct redisReply *r, size_t i); /* NULL past the end */
/* In a flat array name, value, name, value (HGETALL): the value, or NULL. */
const struct redisReply *reply_field(const struct redisReply *r, const char *name);

#endif
