/* SPDX-License-Identifier: Apache-2.0 */
#include "session/rtt.h"

void rtt_sample(struct rtt *r, uint32_t ms)
{
	r->backoff = 0;
	if (ms == 0)
		ms = 1;
	if (r->smoothed_x8 == 0) {
		r->smoothed_x8 = 8 * ms;
		r->variance_x4 = 2 * ms;
		return;
	}
	int32_t delta = (int32_t)ms - (int32_t)(r->smoothed_x8 / 8);
	uint32_t deviation = (uint32_t)(delta < 0 ? -delta : delta);
	r->smoothed_x8 = (uint32_t)((int32_t)r->smoothed_x8 + delta);
	r->variance_x4 += deviation - r->variance_x4 / 4;
	if (r->smoothed_x8 < 8)
		r->smoothed_x8 = 8;
}

uint32_t rtt_smoothed_ms(const struct rtt *r) { return r->smoothed_x8 / 8; }

uint32_t rtt_timeout_ms(const struct rtt *r)
{
	uint32_t rto = r->smoothed_x8 ? r->smoothed_x8 / 8 + r->variance_x4 : RTO_FIRST_MS;
	if (rto < RTO_MIN_MS)
		rto = RTO_MIN_MS;
	for (unsigned i = 0; i < r->backoff && rto < RTO_MAX_MS; i++)
		rto *= 2;
	return rto < RTO_MAX_MS ? rto : RTO_MAX_MS;
}
