/* SPDX-License-Identifier: Apache-2.0 */
#include "shed.h"

#include "base/log.h"

/* Since the last tick the socket was never read to its end. */
static bool is_flooded(const struct shed *s, const struct udp_stats *u)
{
	return u->rx_cut > s->before.rx_cut && u->rx_emptied == s->before.rx_emptied;
}

void shed_tick(struct shed *s, struct server *server, const struct udp_stats *u, uint64_t now_ms,
	       uint32_t period_ms)
{
	uint64_t passed = s->tick_ms ? now_ms - s->tick_ms : 0;
	uint64_t late_ms = passed > period_ms ? passed - period_ms : 0;
	s->late_ms = late_ms < UINT32_MAX ? (uint32_t)late_ms : UINT32_MAX;
	bool was = now_ms < s->handshakes_until;
	if (late_ms >= SHED_HANDSHAKES_MS || is_flooded(s, u))
		s->handshakes_until = now_ms + SHED_HOLD_MS;
	if (late_ms >= SHED_LOGINS_MS)
		s->logins_until = now_ms + SHED_HOLD_MS;
	bool is = now_ms < s->handshakes_until;
	if (is && !was) {
		s->times++;
		log_warn("overloaded: new handshakes are dropped", LOG_INT("late_ms", (int64_t)late_ms));
	}
	server_shut(server, is);
	s->tick_ms = now_ms;
	s->before = *u;
}

bool shed_logins(const struct shed *s, uint64_t now_ms) { return now_ms < s->logins_until; }
