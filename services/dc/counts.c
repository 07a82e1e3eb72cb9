/* SPDX-License-Identifier: Apache-2.0 */
#include "counts.h"

#include "store.h"

static void sends_metrics(const struct dc_counts *c, struct metrics *m)
{
	for (size_t i = 0; i < SEND_STATES; i++)
		metrics_labelled(m, i == 0, "counter", "dc_sends_total",
				 "Messages answered with OK, by state.", "state", send_state_words[i],
				 (double)c->sends[i]);
}

static void delivery_metrics(const struct dc_counts *c, struct metrics *m)
{
	metrics_counter(m, "dc_pushes_total", "Messages pushed to brokers.", c->pushes);
	metrics_counter(m, "dc_nudges_total", "Brokers told to fetch.", c->nudges);
	metrics_counter(m, "dc_kicks_total", "Kicks that came from brokers.", c->kicks);
	metrics_counter(m, "dc_fetches_total", "Fetches of brokers.", c->fetches);
	metrics_counter(m, "dc_fetched_total", "Messages handed over in batches.", c->fetched);
	metrics_counter(m, "dc_acks_total", "Acknowledgements of brokers.", c->acks);
	metrics_counter(m, "dc_acked_total", "Messages deleted because they were acknowledged.", c->acked);
	metrics_counter(m, "dc_expired_total", "Messages found expired and deleted by a script (a queue that "
			"expires whole is not seen here).", c->expired);
	metrics_counter(m, "dc_fenced_total", "Fetches and acknowledgements of a login that was followed by another.",
			c->fenced);
	metrics_counter(m, "dc_unavailable_total", "Fetches and acknowledgements that Redis did not answer.",
			c->unavailable);
}

static void redis_metrics(const struct rds *redis, struct metrics *m)
{
	const struct rds_stats *s = rds_stats(redis);
	metrics_gauge(m, "dc_redis_up", "1: connected to Redis.", rds_is_up(redis) ? 1 : 0);
	metrics_gauge(m, "dc_redis_in_flight", "Requests to Redis without an answer yet.", s->in_flight);
	metrics_counter(m, "dc_redis_requests_total", "Requests to Redis.", s->requests);
	metrics_counter(m, "dc_redis_errors_total", "Requests that Redis refused.", s->errors);
	metrics_counter(m, "dc_redis_timeouts_total", "Times that Redis did not answer in time.", s->timeouts);
	metrics_counter(m, "dc_redis_refused_total", "Requests not sent: Redis away, or redis_max_in_flight reached.",
			s->refused);
	metrics_counter(m, "dc_redis_reconnects_total", "Times that the connection came back.", s->reconnects);
	metrics_counter(m, "dc_redis_noscript_total", "Requests repeated after a script was loaded again.", s->noscript);
}

void counts_metrics(const struct dc *dc, struct metrics *m)
{
	sends_metrics(&dc->counts, m);
	metrics_counter(m, "dc_auth_failed_total", "AUTH with a wrong App or key.", dc->counts.auth_failed);
	delivery_metrics(&dc->counts, m);
	redis_metrics(dc->redis, m);
}
