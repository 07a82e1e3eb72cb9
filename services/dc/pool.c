/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum { WARN_MS = 1000 };

struct pool {
	struct rds *at[POOL_MAX];
	size_t count;
	uint32_t max_in_flight, peak;
	uint64_t refused; /* for max_in_flight; beside what each connection counts */
};

int pool_new(struct pool **out, struct ev_loop *loop, const struct rds_config *config, size_t count,
	     rds_state_fn *on_state, void *ctx)
{
	struct pool *p = calloc(1, sizeof *p);
	int err = p ? RS_OK : RS_ENOMEM;
	if (err)
		return err;
	p->max_in_flight = config->max_in_flight;
	*out = p;
	for (p->count = 0; p->count < count && p->count < POOL_MAX; p->count++) {
		err = rds_new(&p->at[p->count], loop, config, p->count == 0 ? on_state : NULL, ctx);
		if (err)
			break;
	}
	if (err) {
		pool_free(p);
		*out = NULL;
	}
	return err;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		rds_free(p->at[i]);
	free(p);
}

bool pool_is_up(const struct pool *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (!rds_is_up(p->at[i]))
			return false;
	return true;
}

struct rds *pool_first(const struct pool *p)
{
	return p->at[0];
}

/* FNV-1a. */
struct rds *pool_of(const struct pool *p, const char *user, size_t len)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)user[i]) * 16777619u;
	return p->at[hash % p->count];
}

static uint32_t in_flight(const struct pool *p)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < p->count; i++)
		sum += rds_stats(p->at[i])->in_flight;
	return sum;
}

static bool is_busy(struct pool *p)
{
	uint32_t with_this = in_flight(p) + 1;
	if (with_this <= p->max_in_flight) {
		p->peak = with_this > p->peak ? with_this : p->peak;
		return false;
	}
	p->refused++;
	return true;
}

int pool_command(struct pool *p, const char *user, size_t len, size_t argc,
		 const struct rds_arg *argv, rds_reply_fn *fn, void *ctx)
{
	if (is_busy(p))
		return RS_EBUSY;
	return rds_command(pool_of(p, user, len), argc, argv, fn, ctx);
}

int pool_script(struct pool *p, const char *user, size_t len, enum script_id script, size_t keys,
		size_t argc, const struct rds_arg *argv, rds_reply_fn *fn, void *ctx)
{
	if (is_busy(p))
		return RS_EBUSY;
	return rds_script(pool_of(p, user, len), script, keys, argc, argv, fn, ctx);
}

void pool_warn(const char *msg, int err, const struct redisReply *reply)
{
	static uint64_t next_ms;
	uint64_t now = clock_mono_ms();
	size_t len = 0;
	const char *text = reply ? reply_str(reply, &len) : NULL;
	if (now < next_ms)
		return;
	next_ms = now + WARN_MS;
	log_warn(msg, LOG_STR("err", err_str(err)), LOG_BYTES("redis", text ? text : "", len));
}

void pool_metrics(const struct pool *p, struct metrics *m)
{
	struct rds_stats sum = {.refused = p->refused};
	size_t up = 0;
	for (size_t i = 0; i < p->count; i++) {
		const struct rds_stats *s = rds_stats(p->at[i]);
		up += rds_is_up(p->at[i]);
		sum.requests += s->requests;
		sum.errors += s->errors;
		sum.timeouts += s->timeouts;
		sum.refused += s->refused;
		sum.reconnects += s->reconnects;
		sum.noscript += s->noscript;
	}
	metrics_gauge(m, "dc_redis_up", "1: all connections to Redis are there.", up == p->count);
	metrics_gauge(m, "dc_redis_connections", "Connections to Redis that are there.", (double)up);
	metrics_gauge(m, "dc_redis_in_flight", "Requests to Redis without an answer yet.", in_flight(p));
	metrics_gauge(m, "dc_redis_in_flight_peak", "The most of them since the start.", p->peak);
	metrics_counter(m, "dc_redis_requests_total", "Requests to Redis.", sum.requests);
	metrics_counter(m, "dc_redis_errors_total", "Requests that Redis refused.", sum.errors);
	metrics_counter(m, "dc_redis_timeouts_total", "Times that Redis did not answer in time.", sum.timeouts);
	metrics_counter(m, "dc_redis_refused_total", "Requests not sent: Redis away, or redis_max_in_flight reached.",
			sum.refused);
	metrics_counter(m, "dc_redis_reconnects_total", "Times that a connection came back.", sum.reconnects);
	metrics_counter(m, "dc_redis_noscript_total", "Requests repeated after a script was loaded again.",
			sum.noscript);
}
