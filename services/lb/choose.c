/* SPDX-License-Identifier: Apache-2.0 */
#include "choose.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- judging ---- */

static bool is_avoided(const struct ask_payload *ask, const struct addr *a)
{
	for (unsigned i = 0; i < ask->avoid_count; i++)
		if (addr_equal(&ask->avoid[i], a))
			return true;
	return false;
}

static const struct path *find_path(const struct entry *e, const struct place *place)
{
	for (unsigned i = 0; place && i < e->path_count; i++)
		if (strcmp(e->path[i].isp, place->isp) == 0)
			return &e->path[i];
	return NULL;
}

/* Whether it may be told at all. */
static enum verdict look(const struct entry *e, uint64_t now_ms)
{
	if (!table_is_alive(e, now_ms))
		return CHOOSE_SILENT;
	if (e->is.draining)
		return CHOOSE_DRAINING;
	return e->is.sessions >= e->is.capacity ? CHOOSE_FULL_UP : CHOOSE_GOOD;
}

static uint32_t beyond(uint32_t value, uint32_t limit) { return value > limit ? value - limit : 0; }

static struct candidate judge(struct entry *e, const struct place *place, uint64_t now_ms)
{
	struct candidate c = {.entry = e, .told = e->is.address, .verdict = look(e, now_ms)};
	const struct addr *there = place ? isps_find(&e->is.isps, place->isp) : NULL;
	const struct path *path = find_path(e, place);
	uint64_t taken = (uint64_t)e->is.sessions + e->handed_out;
	if (e->is.capacity)
		c.load = taken < e->is.capacity ? (uint32_t)(taken * 1000000 / e->is.capacity) : 1000000;
	if (there)
		c.told = *there;
	c.measured = path != NULL;
	if (path) {
		c.points.rtt = path->rtt_ms;
		c.points.loss = path->loss;
	} else if (place) {
		c.points.isp = there ? 0 : CHOOSE_ISP;
		c.points.zone = place->zone[0] && strcmp(place->zone, e->is.zone) != 0 ? CHOOSE_ZONE : 0;
	}
	c.points.full = CHOOSE_FULL * beyond(c.load / 1000, CHOOSE_FULL_ABOVE);
	c.points.lag = beyond(e->lag_ms, CHOOSE_LAG_ABOVE_MS);
	return c;
}

static bool may_be_told(const struct candidate *c) { return c->verdict <= CHOOSE_AVOIDED; }

/* Those without figures count as the best of those with them. */
static void assume_figures(struct candidate *list, size_t count)
{
	const struct candidate *best = NULL;
	for (size_t i = 0; i < count; i++) {
		const struct candidate *c = &list[i];
		if (may_be_told(c) && c->measured &&
		    (!best || c->points.rtt + c->points.loss < best->points.rtt + best->points.loss))
			best = c;
	}
	for (size_t i = 0; i < count; i++) {
		struct points *p = &list[i].points;
		if (best && !list[i].measured) {
			p->rtt = best->points.rtt;
			p->loss = best->points.loss;
		}
		list[i].sum = p->rtt + p->loss + p->zone + p->isp + p->full + p->lag;
	}
}

static void find_good(struct candidate *list, size_t count, const struct ask_payload *ask)
{
	uint32_t best = UINT32_MAX;
	for (size_t i = 0; i < count; i++) {
		struct candidate *c = &list[i];
		if (c->verdict == CHOOSE_GOOD && is_avoided(ask, &c->told))
			c->verdict = CHOOSE_AVOIDED;
		if (c->verdict == CHOOSE_GOOD && c->sum < best)
			best = c->sum;
	}
	for (size_t i = 0; i < count; i++)
		if (list[i].verdict == CHOOSE_GOOD && list[i].sum - best > CHOOSE_MARGIN)
			list[i].verdict = CHOOSE_FAR;
}

static int by_verdict(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->verdict != y->verdict)
		return x->verdict < y->verdict ? -1 : 1;
	if (x->sum != y->sum)
		return x->sum < y->sum ? -1 : 1;
	return strcmp(x->entry->is.id, y->entry->is.id);
}

size_t choose_judge(const struct chooser *c, const struct place *place, const struct ask_payload *ask,
		    uint64_t now_ms, struct candidate out[TABLE_MAX])
{
	size_t count = c->table->count;
	for (size_t i = 0; i < count; i++)
		out[i] = judge(&c->table->at[i], place, now_ms);
	assume_figures(out, count);
	find_good(out, count, ask);
	qsort(out, count, sizeof *out, by_verdict);
	return count;
}

/* ---- choosing ---- */

static bool is_emptier(const struct candidate *x, const struct candidate *y)
{
	return x->load != y->load ? x->load < y->load : x->entry->packets < y->entry->packets;
}

/* Brings one of the first `count` to the front: the emptier of two that are drawn. */
static void draw(struct candidate *list, size_t count, random_fn *random)
{
	uint32_t dice[2];
	random(dice, sizeof dice);
	size_t i = dice[0] % count, k = dice[1] % (count - 1);
	k += k >= i; /* another one */
	size_t to = is_emptier(&list[k], &list[i]) ? k : i;
	struct candidate chosen = list[to];
	list[to] = list[0];
	list[0] = chosen;
}

static void draw_places(struct candidate *list, size_t count, random_fn *random)
{
	size_t good = 0;
	while (good < count && list[good].verdict == CHOOSE_GOOD)
		good++;
	for (size_t i = 0; i + 1 < good && i < ANSWER_BROKERS_MAX; i++)
		draw(list + i, good - i, random);
}

void choose_brokers(const struct chooser *c, const struct addr *from, const struct ask_payload *ask,
		    uint64_t now_ms, struct answer_payload *out)
{
	struct candidate list[TABLE_MAX];
	size_t count = choose_judge(c, prefixes_find(c->prefixes, from), ask, now_ms, list);
	draw_places(list, count, c->random);
	*out = (struct answer_payload){.status = 1, .retry_ms = CHOOSE_RETRY_MS};
	for (size_t i = 0; i < count && may_be_told(&list[i]) && out->count < ANSWER_BROKERS_MAX; i++) {
		struct broker_entry *b = &out->broker[out->count++];
		b->address = list[i].told;
		memcpy(b->key, list[i].entry->is.key, sizeof b->key);
	}
	if (out->count == 0)
		return;
	list[0].entry->handed_out++;
	out->status = 0;
	out->retry_ms = 0;
}

/* ---- explaining ---- */

static const char *verdict_text(enum verdict v)
{
	switch (v) {
	case CHOOSE_GOOD: return "good: one of these is told, by load";
	case CHOOSE_FAR: return "far: told after the good ones";
	case CHOOSE_AVOIDED: return "found dead by the client: told last";
	case CHOOSE_FULL_UP: return "passed over: full";
	case CHOOSE_DRAINING: return "passed over: draining";
	case CHOOSE_SILENT: return "passed over: silent";
	}
	return "?";
}

static int explain_one(const struct candidate *c, struct buf *out)
{
	const struct points *p = &c->points;
	const struct entry *e = c->entry;
	char told[ADDR_TEXT_MAX];
	int err = buf_printf(out, "\n%s\n  verdict %s\n  points %" PRIu32 " = rtt %" PRIu32 " + loss %" PRIu32
			     " (%s) + zone %" PRIu32 " + isp %" PRIu32 " + full %" PRIu32 " + lag %" PRIu32 "\n",
			     e->is.id, verdict_text(c->verdict), c->sum, p->rtt, p->loss,
			     c->measured ? "measured" : "assumed", p->zone, p->isp, p->full, p->lag);
	if (!err)
		err = buf_printf(out, "  load %" PRIu32 ".%04" PRIu32 " %% of %" PRIu32 ", %" PRIu32
				 " packets a second, loop %u ms late\n  zone %s\n  told %s\n",
				 c->load / 10000, c->load % 10000, e->is.capacity, e->packets, e->lag_ms,
				 e->is.zone[0] ? e->is.zone : "-", addr_format(&c->told, told));
	return err;
}

int choose_explain(const struct chooser *c, const struct addr *from, uint64_t now_ms, struct buf *out)
{
	static const struct ask_payload nothing;
	struct candidate list[TABLE_MAX];
	char text[ADDR_TEXT_MAX];
	const struct place *place = prefixes_find(c->prefixes, from);
	size_t count = choose_judge(c, place, &nothing, now_ms, list);
	addr_format(from, text);
	*strrchr(text, ':') = '\0'; /* the port says nothing here */
	int err = buf_printf(out, "address %s\nisp %s\nzone %s\n", text, place ? place->isp : "- (in no prefix)",
			     place && place->zone[0] ? place->zone : "-");
	for (size_t i = 0; i < count && !err; i++)
		err = explain_one(&list[i], out);
	if (!err && count == 0)
		err = buf_printf(out, "\nno broker is known\n");
	return err;
}
