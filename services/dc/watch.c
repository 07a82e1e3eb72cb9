/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include "base/clock.h"
#include "brokers.h"
#include "dc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOST_MAX = REGISTRY_MEMBERS_MAX, BLOCK_MAX = 256 + NAME_MAX_BYTES };

/* A broker whose link was lost. Whether it is gone the registry tells. */
struct lost {
	char id[NAME_MAX_BYTES + 1];
	uint64_t boot;
};

struct watchers {
	struct dc *dc;
	struct list feeds;
	size_t count;
	struct lost lost[LOST_MAX];
	size_t lost_count;
	uint64_t sent, missed;
};

struct watcher {
	struct feed feed;
	struct watchers *all;
	bool open;        /* its OK is out */
	uint64_t missed;  /* since its queue had no room */
};

static struct watcher *of(struct feed *f) { return (struct watcher *)f; }

/* ---- one watcher ---- */

static void go_on(struct feed *feed)
{
	struct watcher *w = of(feed);
	char text[64];
	w->open = true;
	if (w->missed == 0)
		return;
	int len = snprintf(text, sizeof text, "LAGGED 1\r\nmissed %" PRIu64 "\r\n\r\n", w->missed);
	w->missed = 0;
	if (conn_write(feed->conn, text, (size_t)len))
		return; /* and w with it */
}

static void end(struct feed *feed)
{
	struct watcher *w = of(feed);
	list_remove(&feed->in_kind);
	w->all->count--;
	free(w);
}

void watch_begin(struct conn *c, struct answer *a)
{
	static const struct feed_kind kind = {go_on, end};
	struct watcher *w = calloc(1, sizeof *w);
	if (!w) {
		answer_unavailable(a);
		return;
	}
	w->feed.kind = &kind;
	w->all = c->dc->watchers;
	list_append(&w->all->feeds, &w->feed.in_kind);
	w->all->count++;
	conn_begin_feed(c, &w->feed);
	answer_ok(a, NULL, 0);
}

/* ---- to all ---- */

static void tell(struct watcher *w, const char *text, size_t len)
{
	if (!w->open)
		return;
	if (w->missed || !conn_has_room(w->feed.conn)) {
		w->missed++;
		w->all->missed++;
		return;
	}
	w->all->sent++;
	if (conn_write(w->feed.conn, text, len))
		return; /* and w with it */
}

static void tell_all(struct watchers *p, const char *fmt, ...) RS_PRINTF(2, 3);
static void tell_all(struct watchers *p, const char *fmt, ...)
{
	char text[BLOCK_MAX];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (struct list *n = p->feeds.next; n != &p->feeds;) {
		struct watcher *w = of(LIST_ENTRY(n, struct feed, in_kind));
		n = n->next;
		tell(w, text, (size_t)len);
	}
}

void watch_presence(struct watchers *p, const char *broker, const struct link_presence *presence)
{
	p->dc->counts.presences++;
	tell_all(p, "PRESENCE 1\r\nuser %.*s\r\nstate %s\r\nbroker %s\r\nat %" PRIu64 "\r\n\r\n",
		 (int)presence->user.len, presence->user.text, presence->online ? "online" : "offline", broker,
		 presence->at_ms);
}

static void tell_broker(struct watchers *p, const char *broker, const char *state)
{
	tell_all(p, "BROKER 1\r\nbroker %s\r\nstate %s\r\nat %" PRIu64 "\r\n\r\n", broker, state, clock_wall_ms());
}

/* ---- brokers ---- */

static void forget_lost(struct watchers *p, size_t i)
{
	p->lost[i] = p->lost[--p->lost_count];
}

/* If it is there with another boot, the former one is gone, and that must be said
 * before anything of the new one. */
void watch_linked(struct watchers *p, const char *broker, uint64_t boot)
{
	for (size_t i = p->lost_count; i-- > 0;) {
		if (strcmp(p->lost[i].id, broker) != 0)
			continue;
		if (p->lost[i].boot != boot)
			tell_broker(p, broker, "gone");
		forget_lost(p, i);
	}
	tell_broker(p, broker, "linked");
}

void watch_unlinked(struct watchers *p, const char *broker, uint64_t boot)
{
	if (p->lost_count == LOST_MAX) {
		tell_broker(p, broker, "gone"); /* nobody can be sure of its users */
		return;
	}
	struct lost *l = &p->lost[p->lost_count++];
	snprintf(l->id, sizeof l->id, "%s", broker);
	l->boot = boot;
}

void watch_look(struct watchers *p)
{
	for (size_t i = p->lost_count; i-- > 0;) {
		struct lost l = p->lost[i];
		if (brokers_alive(p->dc->brokers, (struct link_name){l.id, strlen(l.id)}, l.boot))
			continue;
		forget_lost(p, i);
		tell_broker(p, l.id, "gone");
	}
}

int watchers_new(struct watchers **out, struct dc *dc)
{
	struct watchers *p = calloc(1, sizeof *p);
	if (!p)
		return RS_ENOMEM;
	p->dc = dc;
	list_init(&p->feeds);
	*out = p;
	return RS_OK;
}

void watchers_free(struct watchers *p) { free(p); }

void watchers_metrics(const struct watchers *p, struct metrics *m)
{
	metrics_gauge(m, "dc_presence_streams", "Connections that get changes of presence.", (double)p->count);
	metrics_counter(m, "dc_presences_total", "Users that came or went, as brokers said.", p->dc->counts.presences);
	metrics_counter(m, "dc_presence_events_total", "Changes written to connections.", p->sent);
	metrics_counter(m, "dc_presence_missed_total", "Changes left out because a connection did not take them.",
			p->missed);
}
