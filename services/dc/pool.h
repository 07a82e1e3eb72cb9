/* SPDX-License-Identifier: Apache-2.0 */
/* The connections to Redis. All that concerns one user goes over the same one, so
 * that its order is kept; users are spread over all of them. Redis reads some 16 KB
 * of a connection at a time and syncs its file once for what it has read: with
 * several connections one sync serves more messages, and where syncing is slow
 * that is what sets the pace. */
#ifndef DC_POOL_H
#define DC_POOL_H

#include "app/metrics.h"
#include "rds/rds.h"

#define POOL_MAX 32

struct pool;

/* config is that of each connection; its max_in_flight holds for all together.
 * on_state: the first connection came up or was lost. */
RS_MUST_CHECK int pool_new(struct pool **out, struct ev_loop *loop, const struct rds_config *config,
			   size_t count, rds_state_fn *on_state, void *ctx);
void pool_free(struct pool *p);
bool pool_is_up(const struct pool *p); /* all of it */
/* For what concerns no user. */
struct rds *pool_first(const struct pool *p);
/* For what concerns this user. */
struct rds *pool_of(const struct pool *p, const char *user, size_t len);
void pool_metrics(const struct pool *p, struct metrics *m);

/* Tells the log that Redis refused; at most once a second, whatever the rate. */
void pool_warn(const char *msg, int err, const struct redisReply *reply);

/* As rds_command() and rds_script(), on the connection of that user. */
RS_MUST_CHECK int pool_command(struct pool *p, const char *user, size_t len, size_t argc,
			       const struct rds_arg *argv, rds_reply_fn *fn, void *ctx);
RS_MUST_CHECK int pool_script(struct pool *p, const char *user, size_t len, enum script_id script,
			      size_t keys, size_t argc, const struct rds_arg *argv, rds_reply_fn *fn,
			      void *ctx);

#endif
