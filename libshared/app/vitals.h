/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon says of its own process on /metrics: version, uptime, memory,
 * descriptors, and how late its event loop is. */
#ifndef APP_VITALS_H
#define APP_VITALS_H

#include "app/metrics.h"

#include <ev.h>

struct vitals {
	struct ev_loop *loop;
	ev_timer timer;
	uint64_t start_ms, tick_us, period_ms;
	/* The worst lag in this period of 10 s and in the one before. */
	uint64_t worst_us, worst_before_us;
};

void vitals_start(struct vitals *v, struct ev_loop *loop);
void vitals_stop(struct vitals *v);
void vitals_metrics(const struct vitals *v, struct metrics *m);

#endif
