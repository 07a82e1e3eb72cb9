/* SPDX-License-Identifier: Apache-2.0 */
#include "counts.h"

#include "broadcast.h"
#include "dc.h"

static void sends_metrics(const struct dc_counts *c, struct metrics *m)
{
	for (size_t i = 0; i < SEND_STATES; i++)
		metrics_labelled(m, i == 0, "counter", "dc_sends_total",
				 "Messages answered with OK, by state.", "state", send_state_words[i],
				 (double)c->sends[i]);
}

static void broadcasts_metrics(const struct dc_counts *c, struct metrics *m)
{
	for (size_t i = 0; i < BROADCAST_STATES; i++)
		metrics_labelled(m, i == 0, "counter", "dc_broadcasts_total",
				 "Broadcasts answered with OK, by state.", "state", broadcast_state_words[i],
				 (double)c->broadcasts[i]);
	metrics_counter(m, "dc_withdrawn_total", "Broadcasts that their App took back.", c->withdrawn);
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
	metrics_counter(m, "dc_expired_total", "Messages found expired by a fetch (the journals know of those "
			"found otherwise).", c->expired);
	metrics_counter(m, "dc_fenced_total", "Fetches and acknowledgements of a login that was followed by another.",
			c->fenced);
	metrics_counter(m, "dc_unavailable_total", "Fetches and acknowledgements that Redis did not answer.",
			c->unavailable);
}

static void ended_metrics(const struct dc_counts *c, struct metrics *m)
{
	for (size_t i = 0; i < ENDED_HOWS; i++)
		metrics_labelled(m, i == 0, "counter", "dc_ended_total",
				 "Messages that left a queue to make room, or because they were withdrawn.", "how",
				 ended_words[i], (double)c->ended[i]);
	metrics_counter(m, "dc_recalls_total", "Brokers told not to show a message any more.", c->recalls);
}

void counts_metrics(const struct dc *dc, struct metrics *m)
{
	sends_metrics(&dc->counts, m);
	broadcasts_metrics(&dc->counts, m);
	metrics_counter(m, "dc_auth_failed_total", "AUTH with a wrong App or key.", dc->counts.auth_failed);
	metrics_counter(m, "dc_auth_limited_total", "AUTH refused: too many wrong keys from the address.",
			dc->counts.auth_limited);
	metrics_labelled(m, true, "counter", "dc_app_limited_total",
			 "Requests refused by a limit of their App.", "limit", "rate",
			 (double)dc->counts.limited_rate);
	metrics_labelled(m, false, "counter", "dc_app_limited_total", "", "limit", "body_max",
			 (double)dc->counts.limited_size);
	delivery_metrics(&dc->counts, m);
	ended_metrics(&dc->counts, m);
}
