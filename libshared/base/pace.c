/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pace.h"

enum { US = 1000 };

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t step_us(uint32_t per_s) { return 1000000u / per_s + (1000000u % per_s > 0); }

bool pace_admits(struct pace *p, uint32_t per_s, uint64_t now_ms)
{
	if (per_s == 0)
		return true;
	uint64_t due_us = later(p->taken_us, now_ms * US) + step_us(per_s);
	if (due_us > (now_ms + PACE_BURST_MS) * US)
		return false;
	p->taken_us = due_us;
	return true;
}

uint32_t pace_defer(struct pace *p, uint32_t per_s, uint64_t now_ms, uint32_t least_ms)
{
	uint64_t now_us = now_ms * US, most_us = now_us + (uint64_t)PACE_MOST_MS * US;
	if (per_s == 0)
		return least_ms;
	p->line_us = later(p->line_us, later(p->taken_us, now_us)) + step_us(per_s);
	if (p->line_us > most_us)
		p->line_us = most_us;
	return (uint32_t)later((p->line_us - now_us) / US, least_ms);
}
