/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <string.h>

enum { FORGET_MS = 60000 };

static struct entry *find(struct table *t, const char *id)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->at[i].is.id, id) == 0)
			return &t->at[i];
	return NULL;
}

/* A new broker, or a known one: a new boot starts with a clean record. NULL: full. */
static struct entry *get(struct table *t, const char *id, uint64_t boot)
{
	struct entry *e = find(t, id);
	if (!e && t->count == TABLE_MAX)
		return NULL;
	if (!e)
		e = &t->at[t->count++];
	else if (e->is.boot == boot)
		return e;
	*e = (struct entry){.is.boot = boot};
	memcpy(e->is.id, id, strlen(id) + 1);
	return e;
}

/* Lists too: they stand for themselves, not beside what was said before. */
static void take_lists(struct entry *e, const struct link_load *load)
{
	struct reader isps = load->isps, paths = load->paths;
	memset(&e->is.isps, 0, sizeof e->is.isps);
	for (unsigned i = 0; i < load->isp_count; i++) {
		struct link_isp x = link_next_isp(&isps);
		if (isps_add(&e->is.isps, x.isp.text, x.isp.len, &x.address))
			continue; /* named twice: the first counts */
	}
	e->path_count = load->path_count;
	for (unsigned i = 0; i < load->path_count; i++) {
		struct link_path x = link_next_path(&paths);
		e->path[i] = (struct path){.rtt_ms = x.rtt_ms, .loss = x.loss};
		memcpy(e->path[i].isp, x.isp.text, x.isp.len);
	}
}

void table_on_load(struct table *t, const char *id, uint64_t boot, const struct link_load *load,
		   uint64_t now_ms)
{
	struct entry *e = get(t, id, boot);
	if (!e)
		return;
	e->is.address = load->address;
	memcpy(e->is.key, load->key, sizeof e->is.key);
	memset(e->is.zone, 0, sizeof e->is.zone);
	memcpy(e->is.zone, load->zone.text, load->zone.len);
	e->is.sessions = load->sessions;
	e->is.capacity = load->capacity;
	e->is.draining = load->draining;
	e->packets = load->packets;
	e->lag_ms = load->lag_ms;
	take_lists(e, load);
	e->linked = true;
	e->heard_ms = now_ms;
	e->broke_ms = 0;
	e->handed_out = 0;
	t->alive_until_ms = 0;
}

void table_on_link_lost(struct table *t, const char *id, uint64_t boot, uint64_t now_ms)
{
	struct entry *e = find(t, id);
	if (!e || e->is.boot != boot)
		return;
	e->linked = false;
	e->heard_ms = 0;
	e->broke_ms = t->redis_ahead_ms + now_ms;
	t->alive_until_ms = 0;
}

static void on_member(struct table *t, const struct member *m, uint64_t now_ms)
{
	struct entry *e = find(t, m->id);
	if (!m->alive || (e && e->is.boot != m->boot && m->beat_ms <= e->beat_ms))
		return; /* silent, or the remains of an earlier boot */
	e = get(t, m->id, m->boot);
	if (!e || m->beat_ms <= e->beat_ms)
		return;
	e->beat_ms = m->beat_ms;
	if (m->beat_ms <= e->broke_ms)
		return;
	if (!e->linked) {
		e->is = *m;
		e->heard_ms = now_ms;
		e->handed_out = 0;
	}
}

static void forget_old(struct table *t, uint64_t now_ms)
{
	for (size_t i = 0; i < t->count;) {
		struct entry *e = &t->at[i];
		bool old = !e->linked && now_ms - e->heard_ms > FORGET_MS &&
			   t->redis_ahead_ms + now_ms - e->broke_ms > FORGET_MS;
		if (old)
			*e = t->at[--t->count];
		else
			i++;
	}
}

void table_on_members(struct table *t, const struct member *members, size_t count,
		      uint64_t redis_now_ms, uint64_t now_ms)
{
	t->redis_ahead_ms = redis_now_ms - now_ms;
	t->alive_until_ms = 0;
	for (size_t i = 0; i < count; i++)
		on_member(t, &members[i], now_ms);
	forget_old(t, now_ms);
}

bool table_is_alive(const struct entry *e, uint64_t now_ms)
{
	return e->heard_ms != 0 && now_ms - e->heard_ms <= TABLE_ALIVE_MS;
}

size_t table_alive_count(struct table *t, uint64_t now_ms)
{
	if (now_ms <= t->alive_until_ms)
		return t->alive;
	t->alive = 0;
	t->alive_until_ms = UINT64_MAX;
	for (size_t i = 0; i < t->count; i++) {
		const struct entry *e = &t->at[i];
		if (!table_is_alive(e, now_ms))
			continue;
		t->alive++;
		if (e->heard_ms + TABLE_ALIVE_MS < t->alive_until_ms)
			t->alive_until_ms = e->heard_ms + TABLE_ALIVE_MS;
	}
	return t->alive;
}
