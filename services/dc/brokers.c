/* SPDX-License-Identifier: Apache-2.0 */
/* A link is made by a broker, says HELLO, and is found from then on by id and
 * boot. One that comes later with the same id replaces it: the broker knows
 * best which of its links lives. */
#include "brokers.h"

#include "base/clock.h"
#include "base/log.h"
#include "dc.h"
#include "delivery.h"
#include "net/listener.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWEEP_S 1.0

struct living {
	char id[NAME_MAX_BYTES];
	size_t id_len;
	uint64_t boot;
};

struct brokers {
	struct dc *dc;
	struct listener *listener; /* lives until the last listener_release() */
	bool closed;
	struct list links;         /* struct broker */
	size_t count;
	uint64_t taken, replaced;
	ev_timer sweep;
	struct registry_watch *watch;
	struct living living[REGISTRY_MEMBERS_MAX]; /* as the registry said last */
	size_t living_count;
	uint8_t out[LINK_MESSAGE_MAX]; /* holds nothing between two calls */
};

/* The boot number first: it is random, and differs where the rest may not. */
static bool is_broker(const struct broker *b, struct link_name id, uint64_t boot)
{
	return b->known && b->boot == boot && b->id_len == id.len && memcmp(b->id, id.text, id.len) == 0;
}

static struct broker *find(const struct brokers *p, struct link_name id, uint64_t boot)
{
	for (struct list *n = p->links.next; n != &p->links; n = n->next) {
		struct broker *b = LIST_ENTRY(n, struct broker, in_brokers);
		if (is_broker(b, id, boot))
			return b;
	}
	return NULL;
}

bool brokers_alive(const struct brokers *p, struct link_name id, uint64_t boot)
{
	if (find(p, id, boot))
		return true;
	for (size_t i = 0; i < p->living_count; i++) {
		const struct living *l = &p->living[i];
		if (l->boot == boot && l->id_len == id.len && memcmp(l->id, id.text, id.len) == 0)
			return true;
	}
	return false;
}

int broker_send(struct broker *b, const struct link_message *m)
{
	uint8_t *out = b->brokers->out;
	int len = link_encode(m, out, sizeof b->brokers->out);
	return len < 0 ? len : link_send(b->link, out, (size_t)len);
}

int brokers_send(struct brokers *p, struct link_name id, uint64_t boot, const struct link_message *m)
{
	struct broker *b = find(p, id, boot);
	return b ? broker_send(b, m) : RS_ENOENT;
}

/* Without the link itself, which is gone or goes with the caller. */
static void forget(struct broker *b)
{
	struct brokers *p = b->brokers;
	delivery_orphan(b);
	list_remove(&b->in_brokers);
	p->count--;
	listener_release(p->listener, &b->from);
	free(b);
}

static void drop(struct broker *b, const char *why)
{
	char from[ADDR_TEXT_MAX];
	log_info("link closed", LOG_BYTES("broker", b->id, b->id_len),
		 LOG_STR("from", addr_format(&b->from, from)), LOG_STR("why", why));
	link_free(b->link);
	forget(b);
}

static void replace_older(struct broker *b)
{
	struct brokers *p = b->brokers;
	for (struct list *n = p->links.next; n != &p->links;) {
		struct broker *other = LIST_ENTRY(n, struct broker, in_brokers);
		n = n->next;
		if (other == b || !other->known || other->id_len != b->id_len ||
		    memcmp(other->id, b->id, b->id_len) != 0)
			continue;
		p->replaced++;
		drop(other, "replaced by a newer link of this broker");
	}
}

static int take_hello(struct broker *b, const struct link_hello *hello)
{
	char from[ADDR_TEXT_MAX];
	const char *id = b->dc->config->common.id;
	struct link_message m = {.type = LINK_WELCOME};
	if (b->known)
		return RS_EINVAL;
	memcpy(b->id, hello->id.text, hello->id.len);
	b->id_len = hello->id.len;
	b->boot = hello->boot;
	b->known = true;
	replace_older(b);
	log_info("broker linked", LOG_BYTES("broker", b->id, b->id_len),
		 LOG_STR("from", addr_format(&b->from, from)));
	m.hello.boot = b->dc->boot;
	m.hello.id = (struct link_name){id, strlen(id)};
	return broker_send(b, &m);
}

/* Passed on as it came, to the broker that held the user. If there is no link
 * with it, that login ends when its lease does. */
static int take_kick(struct broker *b, const struct link_kick *kick, const uint8_t *data, size_t len)
{
	struct broker *to = find(b->brokers, kick->broker, kick->boot);
	b->dc->counts.kicks++;
	if (to && link_send(to->link, data, len))
		log_warn("kick not passed on", LOG_BYTES("broker", to->id, to->id_len));
	return RS_OK;
}

static int on_message(void *ctx, const uint8_t *data, size_t len)
{
	struct broker *b = ctx;
	struct link_message m;
	int err = link_decode(data, len, &m);
	if (err || (!b->known && m.type != LINK_HELLO))
		return RS_EINVAL;
	switch (m.type) {
	case LINK_HELLO: return take_hello(b, &m.hello);
	case LINK_FETCH: delivery_fetch(b, &m.fetch); return RS_OK;
	case LINK_ACK: delivery_ack(b, &m.ack); return RS_OK;
	case LINK_KICK: return take_kick(b, &m.kick, data, len);
	default: return RS_EINVAL; /* a DC is never sent the others */
	}
}

static void on_up(void *ctx)
{
	(void)ctx; /* nothing to say before HELLO */
}

static void on_down(void *ctx, const char *why)
{
	struct broker *b = ctx;
	char from[ADDR_TEXT_MAX];
	log_info("link lost", LOG_BYTES("broker", b->id, b->id_len),
		 LOG_STR("from", addr_format(&b->from, from)), LOG_STR("why", why));
	forget(b);
}

static const struct link_handler handler = {on_up, on_message, on_down};

static void on_accept(void *ctx, int fd, const struct addr *from)
{
	struct brokers *p = ctx;
	struct broker *b = calloc(1, sizeof *b);
	if (!b) {
		close(fd);
		listener_release(p->listener, from);
		return;
	}
	b->brokers = p;
	b->dc = p->dc;
	b->from = *from;
	b->since_ms = clock_mono_ms();
	list_init(&b->errands);
	if (link_accept(&b->link, p->dc->loop, fd, p->dc->tls, &handler, b)) {
		log_warn("link not accepted");
		listener_release(p->listener, from);
		free(b);
		return;
	}
	list_append(&p->links, &b->in_brokers);
	p->count++;
	p->taken++;
}

static void on_sweep(struct ev_loop *loop, ev_timer *w, int events)
{
	struct brokers *p = w->data;
	uint64_t now = clock_mono_ms();
	(void)loop;
	(void)events;
	for (struct list *n = p->links.next; n != &p->links;) {
		struct broker *b = LIST_ENTRY(n, struct broker, in_brokers);
		n = n->next;
		if (!b->known && now - b->since_ms >= BROKER_HELLO_MS)
			drop(b, "no HELLO");
	}
}

static void on_members(void *ctx, const struct member *members, size_t count, uint64_t redis_now_ms)
{
	struct brokers *p = ctx;
	(void)redis_now_ms;
	p->living_count = 0;
	for (size_t i = 0; i < count && p->living_count < REGISTRY_MEMBERS_MAX; i++) {
		struct living *l = &p->living[p->living_count];
		if (!members[i].alive)
			continue;
		l->id_len = strlen(members[i].id);
		memcpy(l->id, members[i].id, l->id_len);
		l->boot = members[i].boot;
		p->living_count++;
	}
}

int brokers_new(struct brokers **out, struct dc *dc)
{
	struct listener_config config = {
		.local = dc->config->listen_brokers,
		.max_connections = BROKER_LINKS_MAX,
	};
	struct brokers *p = calloc(1, sizeof *p);
	if (!p)
		return RS_ENOMEM;
	p->dc = dc;
	list_init(&p->links);
	int err = listener_open(&p->listener, dc->loop, &config, on_accept, p);
	if (err) {
		free(p);
		return err;
	}
	ev_timer_init(&p->sweep, on_sweep, SWEEP_S, SWEEP_S);
	p->sweep.data = p;
	ev_timer_start(dc->loop, &p->sweep);
	*out = p;
	return RS_OK;
}

int brokers_watch(struct brokers *p)
{
	return registry_watch(&p->watch, p->dc->loop, p->dc->redis, "broker", on_members, p);
}

struct addr brokers_local(const struct brokers *p)
{
	return listener_local(p->listener);
}

void brokers_stop(struct brokers *p)
{
	if (p->closed)
		return;
	p->closed = true;
	listener_close(p->listener);
}

void brokers_free(struct brokers *p)
{
	if (!p)
		return;
	brokers_stop(p);
	registry_watch_free(p->watch);
	ev_timer_stop(p->dc->loop, &p->sweep);
	while (!list_empty(&p->links)) {
		struct broker *b = LIST_ENTRY(p->links.next, struct broker, in_brokers);
		link_free(b->link);
		forget(b);
	}
	free(p);
}

void brokers_metrics(const struct brokers *p, struct metrics *m)
{
	metrics_gauge(m, "dc_links", "Links with brokers.", (double)p->count);
	metrics_counter(m, "dc_links_total", "Links with brokers that were taken.", p->taken);
	metrics_counter(m, "dc_links_replaced_total", "Links replaced by a newer one of the same broker.",
			p->replaced);
}
