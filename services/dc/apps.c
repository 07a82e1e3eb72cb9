/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines are looked at by one sweep for all, twice a second: a timer for
 * each request would cost more than the request. */
#include "apps.h"

#include "base/clock.h"
#include "base/log.h"
#include "dc.h"
#include "net/listener.h"

#include <ev.h>
#include <stdlib.h>

#define SWEEP_S 0.5

struct apps {
	struct dc *dc;
	struct listener *listener; /* lives until the last listener_release() */
	bool closed;
	struct listener_stats last; /* once closed */
	struct list conns;
	size_t open;
	ev_timer sweep;
	ev_prepare wake;           /* never started, fed: apps_wake() */
	struct conn_stats stats;
};

static void on_accept(void *ctx, int fd, const struct addr *from)
{
	struct apps *p = ctx;
	char text[ADDR_TEXT_MAX];
	struct conn *c;
	int err = conn_new(&c, p, p->dc, &p->stats, fd, from);
	if (err) {
		log_warn("app not accepted", LOG_STR("from", addr_format(from, text)),
			 LOG_STR("err", err_str(err)));
		listener_release(p->listener, from);
		return;
	}
	list_append(&p->conns, &c->in_apps);
	p->open++;
	log_debug("app connected", LOG_STR("from", addr_format(from, text)));
}

void apps_conn_ended(struct apps *p, const struct addr *from)
{
	p->open--;
	listener_release(p->listener, from);
}

static void on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
	struct apps *p = w->data;
	uint64_t now = clock_mono_ms();
	(void)loop;
	(void)events;
	for (struct list *n = p->conns.next; n != &p->conns;) {
		struct conn *c = LIST_ENTRY(n, struct conn, in_apps);
		n = n->next;
		conn_sweep(c, now);
		if (c->state == CONN_DEAD) {
			list_remove(&c->in_apps);
			free(c);
		}
	}
}

void apps_wake(struct apps *p) { ev_feed_event(p->dc->loop, &p->wake, EV_CUSTOM); }

static void on_wake(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct apps *p = w->data;
	(void)loop;
	(void)events;
	for (struct list *n = p->conns.next; n != &p->conns; n = n->next) {
		struct conn *c = LIST_ENTRY(n, struct conn, in_apps);
		if (!c->waits_many || p->dc->many == MANY_MAX)
			continue;
		c->waits_many = false;
		conn_go_on(c);
	}
}

int apps_new(struct apps **out, struct dc *dc)
{
	struct listener_config config = {
		.local = dc->config->listen_apps,
		.max_connections = (uint32_t)dc->config->max_connections,
		.max_per_address = (uint32_t)dc->config->max_connections_per_address,
	};
	struct apps *p = calloc(1, sizeof *p);
	if (!p)
		return RS_ENOMEM;
	p->dc = dc;
	list_init(&p->conns);
	int err = listener_open(&p->listener, dc->loop, &config, on_accept, p);
	if (err) {
		free(p);
		return err;
	}
	ev_timer_init(&p->sweep, on_sweep, SWEEP_S, SWEEP_S);
	p->sweep.data = p;
	ev_prepare_init(&p->wake, on_wake);
	p->wake.data = p;
	ev_timer_start(dc->loop, &p->sweep);
	*out = p;
	return RS_OK;
}

struct addr apps_local(const struct apps *p)
{
	return listener_local(p->listener);
}

static void close_listener(struct apps *p)
{
	if (p->closed)
		return;
	p->last = *listener_stats(p->listener);
	p->closed = true;
	listener_close(p->listener);
}

void apps_stop(struct apps *p)
{
	close_listener(p);
	for (struct list *n = p->conns.next; n != &p->conns; n = n->next) {
		struct conn *c = LIST_ENTRY(n, struct conn, in_apps);
		if (c->state != CONN_OPEN)
			continue;
		conn_last(c);
		conn_flush(c);
	}
}

size_t apps_open_count(const struct apps *p)
{
	return p->open;
}

void apps_forget(struct apps *p, const struct app *app)
{
	for (struct list *n = p->conns.next; n != &p->conns; n = n->next) {
		struct conn *c = LIST_ENTRY(n, struct conn, in_apps);
		if (c->app != app)
			continue;
		conn_forget_app(c);
		if (c->feed)
			conn_end_stream(c);
	}
}

void apps_free(struct apps *p)
{
	if (!p)
		return;
	close_listener(p);
	for (struct list *n = p->conns.next; n != &p->conns;) {
		struct conn *c = LIST_ENTRY(n, struct conn, in_apps);
		n = n->next;
		conn_end(c);
		free(c);
	}
	ev_timer_stop(p->dc->loop, &p->sweep);
	ev_clear_pending(p->dc->loop, &p->wake);
	p->dc->apps = NULL; /* answers that come later have nobody to wake */
	free(p);
}

void apps_metrics(const struct apps *p, struct metrics *m)
{
	const struct listener_stats *s = p->closed ? &p->last : listener_stats(p->listener);
	metrics_gauge(m, "dc_app_connections", "Connections of Apps.", (double)p->open);
	metrics_counter(m, "dc_app_connections_total", "Connections of Apps that were taken.",
			s->accepted);
	metrics_labelled(m, true, "counter", "dc_app_refused_total",
			 "Connections refused or closed and reading stopped, by the limit that was reached.",
			 "limit", "max_connections", (double)s->refused_total);
	metrics_labelled(m, false, "counter", "dc_app_refused_total", "", "limit",
			 "max_connections_per_address",
			 (double)s->refused_address);
	metrics_labelled(m, false, "counter", "dc_app_refused_total", "", "limit", "answers_due",
			 (double)p->stats.refused_answers);
	metrics_labelled(m, false, "counter", "dc_app_refused_total", "", "limit", "many_under_way",
			 (double)p->stats.refused_many);
	metrics_labelled(m, false, "counter", "dc_app_refused_total", "", "limit", "auth_time",
			 (double)p->stats.no_auth);
	metrics_labelled(m, false, "counter", "dc_app_refused_total", "", "limit", "stall_time",
			 (double)p->stats.stalled);
}
