/* SPDX-License-Identifier: Apache-2.0 */
#include "app/hub.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/link.h"
#include "net/listener.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWEEP_S 1.0

struct hub {
	struct ev_loop *loop;
	struct hub_config config;
	struct hub_handler handler;
	void *ctx;
	struct listener *listener; /* lives until the last listener_release() */
	bool closed;
	struct listener_stats last; /* once closed */
	struct list links;         /* struct hub_link */
	struct {
		uint64_t taken, replaced, no_hello, full;
		uint32_t links;
	} stats;
	ev_timer sweep;
	uint8_t out[LINK_MESSAGE_MAX]; /* holds nothing between two calls */
};

/* The boot number first: it is random, and differs where the rest may not. */
struct hub_link *hub_find(const struct hub *h, struct link_name id, uint64_t boot)
{
	for (struct list *n = h->links.next; n != &h->links; n = n->next) {
		struct hub_link *l = LIST_ENTRY(n, struct hub_link, in_hub);
		if (l->known && l->boot == boot && strlen(l->id) == id.len &&
		    memcmp(l->id, id.text, id.len) == 0)
			return l;
	}
	return NULL;
}

int hub_pass_on(struct hub_link *l, const uint8_t *data, size_t len)
{
	int err = link_send(l->link, data, len);
	l->hub->stats.full += err == RS_EBUSY;
	return err;
}

int hub_send(struct hub_link *l, const struct link_message *m)
{
	uint8_t *out = l->hub->out;
	int len = link_encode(m, out, sizeof l->hub->out);
	return len < 0 ? len : hub_pass_on(l, out, (size_t)len);
}

size_t hub_send_all(struct hub *h, const struct link_message *m)
{
	int len = link_encode(m, h->out, sizeof h->out);
	size_t told = 0;
	for (struct list *n = h->links.next; len >= 0 && n != &h->links;) {
		struct hub_link *l = LIST_ENTRY(n, struct hub_link, in_hub);
		n = n->next;
		told += l->known && hub_pass_on(l, h->out, (size_t)len) == RS_OK;
	}
	return told;
}

/* Without the link itself, which is gone or goes with the caller. */
static void forget(struct hub_link *l)
{
	struct hub *h = l->hub;
	if (l->known)
		h->handler.on_gone(h->ctx, l);
	list_remove(&l->in_hub);
	h->stats.links--;
	listener_release(h->listener, &l->from);
	free(l);
}

/* One that never said who it is, is nobody's news: anyone can knock. */
static void log_end(const struct hub_link *l, const char *what, const char *why)
{
	char from[ADDR_TEXT_MAX];
	LOG_AT(l->known ? LOG_INFO : LOG_DEBUG, what, LOG_STR("broker", l->id), LOG_STR("from", addr_format(&l->from, from)),
		 LOG_STR("why", why));
}

static void drop(struct hub_link *l, const char *why)
{
	log_end(l, "link closed", why);
	link_free(l->link);
	forget(l);
}

void hub_drop(struct hub_link *l, const char *why) { drop(l, why); }

static void replace_older(struct hub_link *l)
{
	struct hub *h = l->hub;
	for (struct list *n = h->links.next; n != &h->links;) {
		struct hub_link *other = LIST_ENTRY(n, struct hub_link, in_hub);
		n = n->next;
		if (other == l || !other->known || strcmp(other->id, l->id) != 0)
			continue;
		h->stats.replaced++;
		if (other->boot != l->boot)
			log_warn("a broker came back before its old link was gone, or two have one id",
				 LOG_STR("broker", l->id));
		drop(other, "replaced by a newer link of this broker");
	}
}

static int take_hello(struct hub_link *l, const struct link_hello *hello)
{
	struct hub *h = l->hub;
	char from[ADDR_TEXT_MAX];
	struct link_message m = {.type = LINK_WELCOME};
	if (l->known)
		return RS_EINVAL;
	memcpy(l->id, hello->id.text, hello->id.len);
	l->boot = hello->boot;
	l->known = true;
	replace_older(l);
	log_info("broker linked", LOG_STR("broker", l->id), LOG_STR("from", addr_format(&l->from, from)));
	m.hello.boot = h->config.boot;
	m.hello.id = (struct link_name){h->config.id, strlen(h->config.id)};
	int err = hub_send(l, &m);
	return err ? err : h->handler.on_known(h->ctx, l);
}

static int on_message(void *ctx, const uint8_t *data, size_t len)
{
	struct hub_link *l = ctx;
	struct hub *h = l->hub;
	struct link_message m;
	if (link_decode(data, len, &m))
		return RS_EINVAL;
	if (m.type == LINK_HELLO)
		return take_hello(l, &m.hello);
	return l->known ? h->handler.on_message(h->ctx, l, &m, data, len) : RS_EINVAL;
}

static void on_up(void *ctx)
{
	(void)ctx; /* nothing to say before HELLO */
}

static void on_down(void *ctx, const char *why)
{
	struct hub_link *l = ctx;
	log_end(l, "link lost", why);
	forget(l);
}

static const struct link_handler link_events = {on_up, on_message, on_down};

static void on_accept(void *ctx, int fd, const struct addr *from)
{
	struct hub *h = ctx;
	struct hub_link *l = calloc(1, sizeof *l);
	if (!l) {
		close(fd);
		listener_release(h->listener, from);
		return;
	}
	l->hub = h;
	l->from = *from;
	l->since_ms = clock_mono_ms();
	if (link_accept(&l->link, h->loop, fd, h->config.tls, &link_events, l)) {
		log_warn("link not accepted");
		listener_release(h->listener, from);
		free(l);
		return;
	}
	list_append(&h->links, &l->in_hub);
	h->stats.links++;
	h->stats.taken++;
}

static void on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop, (void)events;
	struct hub *h = w->data;
	uint64_t now = clock_mono_ms();
	for (struct list *n = h->links.next; n != &h->links;) {
		struct hub_link *l = LIST_ENTRY(n, struct hub_link, in_hub);
		n = n->next;
		if (l->known || now - l->since_ms < HUB_HELLO_MS)
			continue;
		h->stats.no_hello++;
		drop(l, "no HELLO");
	}
}

int hub_new(struct hub **out, struct ev_loop *loop, const struct hub_config *config,
	    const struct hub_handler *handler, void *ctx)
{
	struct listener_config listen = {.local = config->local, .max_connections = HUB_LINKS_MAX,
					 .max_per_address = HUB_PER_ADDRESS_MAX};
	struct hub *h = calloc(1, sizeof *h);
	if (!h)
		return RS_ENOMEM;
	h->loop = loop;
	h->config = *config;
	h->handler = *handler;
	h->ctx = ctx;
	list_init(&h->links);
	int err = listener_open(&h->listener, loop, &listen, on_accept, h);
	if (err) {
		free(h);
		return err;
	}
	ev_timer_init(&h->sweep, on_sweep, SWEEP_S, SWEEP_S);
	h->sweep.data = h;
	ev_timer_start(loop, &h->sweep);
	*out = h;
	return RS_OK;
}

struct addr hub_local(const struct hub *h) { return listener_local(h->listener); }

void hub_stop(struct hub *h)
{
	if (h->closed)
		return;
	h->last = *listener_stats(h->listener);
	h->closed = true;
	listener_close(h->listener);
}

void hub_free(struct hub *h)
{
	if (!h)
		return;
	hub_stop(h);
	ev_timer_stop(h->loop, &h->sweep);
	while (!list_empty(&h->links)) {
		struct hub_link *l = LIST_ENTRY(h->links.next, struct hub_link, in_hub);
		link_free(l->link);
		forget(l);
	}
	free(h);
}

static void put_refused(const struct hub *h, const char *name, struct metrics *m)
{
	const struct listener_stats *l = h->closed ? &h->last : listener_stats(h->listener);
	metrics_labelled(m, true, "counter", name, "Links refused or closed, by the limit that was reached.",
			 "limit", "links", (double)l->refused_total);
	metrics_labelled(m, false, "counter", name, "", "limit", "links_per_address", (double)l->refused_address);
	metrics_labelled(m, false, "counter", name, "", "limit", "hello_time", (double)h->stats.no_hello);
}

void hub_metrics(const struct hub *h, const char *daemon, struct metrics *m)
{
	char name[64];
	snprintf(name, sizeof name, "%s_links", daemon);
	metrics_gauge(m, name, "Links with brokers.", h->stats.links);
	snprintf(name, sizeof name, "%s_links_total", daemon);
	metrics_counter(m, name, "Links with brokers that were taken.", h->stats.taken);
	snprintf(name, sizeof name, "%s_links_replaced_total", daemon);
	metrics_counter(m, name, "Links replaced by a newer one of the same broker.", h->stats.replaced);
	snprintf(name, sizeof name, "%s_links_full_total", daemon);
	metrics_counter(m, name, "Messages not sent: the queue of a link was full.", h->stats.full);
	snprintf(name, sizeof name, "%s_links_refused_total", daemon);
	put_refused(h, name, m);
}
