/* SPDX-License-Identifier: Apache-2.0 */
#include "session/gate.h"

#include "base/bytes.h"

#include <string.h>

enum { ATTEMPT_AT = 4, COOKIE_AT = HELLO_HEADER, ADDRESS_BURST_S = 10 };

int gate_init(struct gate *g, const struct gate_config *config, uint64_t now_ms)
{
	uint64_t seed[2];
	*g = (struct gate){.config = *config, .second_ms = now_ms};
	if (g->config.free_per_s == 0)
		g->config.free_per_s = GATE_FREE_PER_S;
	if (g->config.most_per_s == 0)
		g->config.most_per_s = GATE_MOST_PER_S;
	uint32_t most = g->config.most_per_s, slices = 1000 / GATE_SLICE_MS;
	g->slice_most = most / slices + (most % slices > 0);
	if (g->config.bad_burst == 0)
		g->config.bad_burst = GATE_BAD_BURST;
	config->random(seed, sizeof seed);
	cookie_jar_init(&g->jar, config->random, now_ms);
	int err = budget_init(&g->bad, GATE_ADDRESSES, g->config.bad_burst, GATE_BAD_PER_MINUTE, seed[0]);
	if (!err)
		err = budget_init(&g->hellos, GATE_ADDRESSES, config->address_per_s * ADDRESS_BURST_S,
				  config->address_per_s * 60, seed[1]);
	return err;
}

void gate_deinit(struct gate *g)
{
	budget_deinit(&g->bad);
	budget_deinit(&g->hellos);
	explicit_bzero(g, sizeof *g);
}

void gate_bad(struct gate *g, uint64_t now_ms, const struct addr *from)
{
	budget_spend_addr(&g->bad, from, 1, now_ms);
}

void gate_bad_hello(struct gate *g, uint64_t now_ms, const struct addr *from)
{
	gate_bad(g, now_ms, from);
	if (g->paid) /* for one, so far */
		budget_spend_addr(&g->hellos, from, GATE_BAD_COST - 1, now_ms);
}

bool gate_distrusts(const struct gate *g, uint64_t now_ms, const struct addr *from)
{
	return budget_over_addr(&g->bad, from, now_ms);
}

static enum gate_verdict check_cookie(struct gate *g, uint64_t now_ms, const struct addr *from,
				      const uint8_t *hello, uint8_t cookie[COOKIE_BYTES])
{
	static const uint8_t none[COOKIE_LEN];
	uint32_t attempt = (uint32_t)be_get(hello + ATTEMPT_AT, 4);
	if (bytes_equal_ct(hello + COOKIE_AT, none, COOKIE_LEN)) {
		cookie_packet(&g->jar, now_ms, from, attempt, cookie);
		g->stats.cookies_sent++;
		return GATE_ASK_COOKIE;
	}
	if (cookie_check(&g->jar, now_ms, from, attempt, hello + COOKIE_AT))
		return GATE_PASS;
	g->stats.cookies_bad++;
	gate_bad(g, now_ms, from);
	return GATE_DROP;
}

/* Of an address that its cookie proved. */
static enum gate_verdict pay(struct gate *g, uint64_t now_ms, const struct addr *from)
{
	if (budget_over_addr(&g->hellos, from, now_ms)) {
		g->stats.refused_address++;
		return GATE_DROP;
	}
	budget_spend_addr(&g->hellos, from, 1, now_ms);
	g->paid = true;
	return GATE_PASS;
}

static void turn_clock(struct gate *g, uint64_t now_ms)
{
	if (now_ms - g->second_ms >= 1000) {
		g->second_ms = now_ms;
		g->in_second = 0;
	}
	if (now_ms - g->slice_ms >= GATE_SLICE_MS) {
		g->slice_ms = now_ms;
		g->in_slice = 0;
	}
}

enum gate_verdict gate_check(struct gate *g, uint64_t now_ms, const struct addr *from,
			     const uint8_t *hello, bool need_cookie, uint8_t cookie[COOKIE_BYTES])
{
	turn_clock(g, now_ms);
	g->paid = false;
	if (g->shut || g->in_slice >= g->slice_most) {
		g->stats.shed++;
		return GATE_DROP;
	}
	bool load = need_cookie || g->in_second >= g->config.free_per_s ||
		    g->in_slice >= g->slice_most / 2;
	enum gate_verdict v = GATE_PASS;
	if (load || gate_distrusts(g, now_ms, from))
		v = check_cookie(g, now_ms, from, hello, cookie);
	if (v == GATE_PASS && load)
		v = pay(g, now_ms, from);
	if (v != GATE_PASS)
		return v;
	g->in_second++;
	g->in_slice++;
	return GATE_PASS;
}

bool gate_lets_in(struct gate *g, uint64_t now_ms, const struct addr *from, const uint8_t *hello,
		  bool need_cookie, gate_send_fn *answer, void *ctx)
{
	uint8_t cookie[COOKIE_BYTES];
	enum gate_verdict v = gate_check(g, now_ms, from, hello, need_cookie, cookie);
	if (v == GATE_ASK_COOKIE)
		answer(ctx, from, cookie, sizeof cookie);
	return v == GATE_PASS;
}
