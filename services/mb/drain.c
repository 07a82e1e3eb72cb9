/* SPDX-License-Identifier: Apache-2.0 */
#include "drain.h"

#include "base/log.h"
#include "report.h"

/* How long a redirected client waits at most: a tick's share is spread by it, and
 * ticks already spread the whole. */
#define SPREAD_MS (5 * MB_TICK_MS)
/* After the last one the broker stays so long: a client that lost its REDIRECT and
 * speaks hears it again, and reports on their way to a DC get there. */
#define LINGER_MS 1000u

static void plan(struct mb *m, uint64_t over_ms, const char *why)
{
	struct drain *d = &m->drain;
	uint64_t now_ms = mb_time().mono_ms;
	d->on = true;
	d->from_ms = now_ms;
	d->over_ms = over_ms;
	d->users = m->user_count;
	log_info("draining", LOG_STR("why", why), LOG_INT("over_ms", over_ms), LOG_INT("clients", m->user_count));
	report_load(m); /* so that nobody is sent here any more */
}

static void on_word(void *ctx, uint32_t over_s)
{
	struct mb *m = ctx;
	if (m->drain.word == (int64_t)over_s || m->drain.stopping)
		return; /* it is said again with each beat */
	m->drain.word = over_s;
	plan(m, over_s * 1000ull, "an operator said so");
	drain_tick(m);
}

void drain_listen(struct mb *m)
{
	m->drain.word = -1;
	registry_on_drain(m->registry, on_word, m);
}

void drain_stop(struct mb *m)
{
	struct drain *d = &m->drain;
	uint64_t over_ms = (uint64_t)m->config->drain_s * 1000, now_ms = mb_time().mono_ms;
	d->stopping = true;
	if (!d->on || d->from_ms + d->over_ms > now_ms + over_ms)
		plan(m, over_ms, "the broker was told to stop");
	drain_tick(m);
}

/* How many may still be here now. */
static uint32_t allowed(const struct drain *d, uint64_t now_ms)
{
	uint64_t end_ms = d->from_ms + d->over_ms;
	return now_ms >= end_ms ? 0 : (uint32_t)(d->users * (end_ms - now_ms) / d->over_ms);
}

static void send_away(struct mb *m, const struct user *u, uint64_t now_ms)
{
	m->drain.sent_ms = now_ms;
	if (m->drain.over_ms == 0 || server_redirect(m->server, u->conn, now_ms, SPREAD_MS))
		server_close_session(m->server, u->conn, now_ms, CLOSE_SHUTDOWN);
}

/* No more at a time than Redis can follow. */
static void send_some_away(struct mb *m, uint64_t now_ms)
{
	int64_t room = m->config->redis_max_in_flight - rds_stats(m->rds)->in_flight;
	bool redis = rds_is_up(m->rds);
	uint32_t most = allowed(&m->drain, now_ms);
	while ((room-- > 0 || !redis) && m->user_count > most && !list_empty(&m->users))
		send_away(m, LIST_ENTRY(m->users.next, struct user, node), now_ms);
	mb_flush_later(m);
}

static void on_left(void *ctx)
{
	struct mb *m = ctx;
	daemon_stopped(m->loop);
}

void drain_tick(struct mb *m)
{
	struct drain *d = &m->drain;
	uint64_t now_ms = mb_time().mono_ms;
	if (!d->on || d->leaving)
		return;
	send_some_away(m, now_ms);
	bool lingers = d->over_ms > 0 && d->sent_ms > 0 && now_ms < d->sent_ms + LINGER_MS;
	if (!list_empty(&m->users) || m->logins_pending > 0 || lingers)
		return;
	d->leaving = true;
	log_info("drained");
	registry_leave(m->registry, on_left, m);
}
