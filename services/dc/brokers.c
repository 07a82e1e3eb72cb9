/* SPDX-License-Identifier: Apache-2.0 */
#include "brokers.h"

#include "app/registry.h"
#include "base/clock.h"
#include "base/log.h"
#include "dc.h"
#include "delivery.h"
#include "watch.h"

#include <stdlib.h>
#include <string.h>

struct living {
	char id[NAME_MAX_BYTES + 1];
	uint64_t boot;
};

/* A broker whose link broke is gone, whatever the registry still says of that boot,
 * until it beats again. */
struct lost {
	uint64_t boot;
	uint64_t broke_ms; /* Redis's time */
};

enum {
	LOST_MAX = 64,
	SLACK_MS = REGISTRY_BEAT_MS / 2, /* a listing tells Redis's time late, by how long it took */
};

struct brokers {
	struct dc *dc;
	struct hub *hub;
	struct registry_watch *watch;
	struct living living[REGISTRY_MEMBERS_MAX]; /* as the registry said last */
	size_t living_count;
	struct lost lost[LOST_MAX]; /* the latest */
	size_t lost_at;
	uint64_t redis_ahead_ms;    /* Redis's clock minus our monotonic one, as last seen */
};

bool brokers_alive(const struct brokers *p, struct link_name id, uint64_t boot)
{
	if (hub_find(p->hub, id, boot))
		return true;
	for (size_t i = 0; i < p->living_count; i++) {
		const struct living *l = &p->living[i];
		if (l->boot == boot && strlen(l->id) == id.len && memcmp(l->id, id.text, id.len) == 0)
			return true;
	}
	return false;
}

static bool is_lost(const struct brokers *p, const struct member *m)
{
	for (size_t i = 0; i < LOST_MAX; i++)
		if (p->lost[i].boot == m->boot && m->beat_ms <= p->lost[i].broke_ms)
			return true;
	return false;
}

/* Its users are offline from now on, and not when its last beat is old. */
static void note_lost(struct brokers *p, uint64_t boot)
{
	p->lost[p->lost_at++ % LOST_MAX] = (struct lost){boot, clock_mono_ms() + p->redis_ahead_ms + SLACK_MS};
	for (size_t i = 0; i < p->living_count;)
		if (p->living[i].boot == boot)
			p->living[i] = p->living[--p->living_count];
		else
			i++;
}

int brokers_send(struct brokers *p, struct link_name id, uint64_t boot, const struct link_message *m)
{
	struct hub_link *l = hub_find(p->hub, id, boot);
	return l ? hub_send(l, m) : RS_ENOENT;
}

size_t brokers_send_all(struct brokers *p, const struct link_message *m) { return hub_send_all(p->hub, m); }

/* Passed on as it came, to the broker that held the user. If there is no link
 * with it, that login ends when its lease does. */
static void take_kick(struct brokers *p, const struct link_kick *kick, const uint8_t *data, size_t len)
{
	struct hub_link *to = hub_find(p->hub, kick->broker, kick->boot);
	p->dc->counts.kicks++;
	if (to && hub_pass_on(to, data, len))
		log_warn("kick not passed on", LOG_STR("broker", to->id));
}

static int on_known(void *ctx, struct hub_link *l)
{
	struct brokers *p = ctx;
	struct broker *b = malloc(sizeof *b);
	if (!b)
		return RS_ENOMEM;
	*b = (struct broker){.link = l, .dc = p->dc};
	list_init(&b->errands);
	l->user = b;
	watch_linked(p->dc->watchers, l->id, l->boot);
	return RS_OK;
}

static int on_message(void *ctx, struct hub_link *l, const struct link_message *m, const uint8_t *data,
		      size_t len)
{
	struct broker *b = l->user;
	switch (m->type) {
	case LINK_FETCH: delivery_fetch(b, &m->fetch); return RS_OK;
	case LINK_ACK: delivery_ack(b, &m->ack); return RS_OK;
	case LINK_KICK: take_kick(ctx, &m->kick, data, len); return RS_OK;
	case LINK_PRESENCE: watch_presence(b->dc->watchers, l->id, &m->presence); return RS_OK;
	default: return RS_EINVAL; /* a DC is never sent the others */
	}
}

static void on_gone(void *ctx, struct hub_link *l)
{
	struct brokers *p = ctx;
	if (!l->user)
		return;
	note_lost(p, l->boot); /* if another link of it is there, that one counts */
	watch_unlinked(p->dc->watchers, l->id, l->boot);
	delivery_orphan(l->user);
	free(l->user);
}

static void on_members(void *ctx, const struct member *members, size_t count, uint64_t redis_now_ms)
{
	struct brokers *p = ctx;
	p->redis_ahead_ms = redis_now_ms - clock_mono_ms();
	p->living_count = 0;
	for (size_t i = 0; i < count && p->living_count < REGISTRY_MEMBERS_MAX; i++) {
		struct living *l = &p->living[p->living_count];
		if (!members[i].alive || is_lost(p, &members[i]))
			continue;
		memcpy(l->id, members[i].id, sizeof l->id);
		l->boot = members[i].boot;
		p->living_count++;
	}
	watch_look(p->dc->watchers);
}

int brokers_new(struct brokers **out, struct dc *dc)
{
	static const struct hub_handler handler = {on_known, on_message, on_gone};
	struct hub_config config = {.local = dc->config->listen_brokers, .id = dc->config->common.id,
				    .boot = dc->boot, .tls = dc->tls};
	struct brokers *p = calloc(1, sizeof *p);
	if (!p)
		return RS_ENOMEM;
	p->dc = dc;
	int err = hub_new(&p->hub, dc->loop, &config, &handler, p);
	if (err) {
		free(p);
		return err;
	}
	*out = p;
	return RS_OK;
}

int brokers_watch(struct brokers *p)
{
	return registry_watch(&p->watch, p->dc->loop, pool_first(p->dc->redis), "broker", on_members, p);
}

struct addr brokers_local(const struct brokers *p) { return hub_local(p->hub); }

void brokers_stop(struct brokers *p) { hub_stop(p->hub); }

void brokers_free(struct brokers *p)
{
	if (!p)
		return;
	registry_watch_free(p->watch);
	hub_free(p->hub);
	free(p);
}

void brokers_metrics(const struct brokers *p, struct metrics *m) { hub_metrics(p->hub, "dc", m); }
