/* SPDX-License-Identifier: Apache-2.0 */
#include "support/model.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLUR_MS = 50 }; /* when something expires, seen from another process */

const char *const model_fates[FATES] = {
	[FATE_ACKNOWLEDGED] = "acknowledged", [FATE_EXPIRED] = "expired", [FATE_REPLACED] = "replaced",
	[FATE_DISPLACED] = "displaced", [FATE_WITHDRAWN] = "withdrawn",
};
const char *const model_apps[MODEL_APPS] = {"chat", "shop", "news"};

void model_init(struct model *m) { *m = (struct model){.count = 1}; /* so that no body begins with 0 */ }

void model_deinit(struct model *m)
{
	for (size_t i = 0; i < MODEL_USERS; i++) {
		free(m->user[i].waiting);
		free(m->user[i].named);
	}
	free(m->message);
}

void model_fail(struct model *m, const char *fmt, ...)
{
	va_list ap;
	if (*m->fault)
		return;
	va_start(ap, fmt);
	vsnprintf(m->fault, sizeof m->fault, fmt, ap);
	va_end(ap);
}

static void fail_about(struct model *m, uint32_t n, const char *what)
{
	static const char *const fates[FATES] = {"is asked for", "was not stored", "waits", "was acknowledged",
						 "expired", "was replaced", "was displaced", "was withdrawn"};
	const struct model_message *x = &m->message[n];
	model_fail(m, "u%u%s: message %u (%s of %s, lane %u, key %u) %s; in the model it %s (may %#x), %u times shown",
		   x->user, m->user[x->user].loose ? " (loose)" : "", n, x->id, model_apps[x->app], x->lane, x->key,
		   what, fates[x->fate], x->may, x->shown);
}

/* ---- lists ---- */

static void append(uint32_t **list, size_t *count, size_t *cap, uint32_t n)
{
	if (*count == *cap) {
		*cap = *cap ? 2 * *cap : 64;
		*list = realloc(*list, *cap * sizeof **list);
		cr_assert_not_null(*list);
	}
	(*list)[(*count)++] = n;
}

/* What has ended waits no more. */
static void tidy(struct model *m, struct model_user *u)
{
	size_t kept = 0;
	for (size_t i = 0; i < u->waiting_count; i++)
		if (m->message[u->waiting[i]].fate == FATE_WAITS)
			u->waiting[kept++] = u->waiting[i];
	u->waiting_count = kept;
}

static void end(struct model *m, uint32_t n, enum model_fate fate, uint64_t now_ms)
{
	struct model_message *x = &m->message[n];
	x->fate = fate;
	x->ended_ms = now_ms;
	x->hidden = !m->user[x->user].loose;
	m->user[x->user].missed[x->app] += fate == FATE_DISPLACED;
}

uint32_t model_add(struct model *m, const struct model_message *draft)
{
	if (m->count >= m->cap) {
		m->cap = m->cap ? 2 * m->cap : 4096;
		m->message = realloc(m->message, m->cap * sizeof *m->message);
		cr_assert_not_null(m->message);
	}
	m->message[m->count] = *draft;
	struct model_user *u = &m->user[draft->user];
	if (draft->name)
		append(&u->named, &u->named_count, &u->named_cap, m->count);
	return m->count++;
}

/* The one that was stored with this name, or nothing. */
static uint32_t find_named(const struct model *m, const struct model_message *x)
{
	const struct model_user *u = &m->user[x->user];
	for (size_t i = 0; x->name && i < u->named_count; i++) {
		const struct model_message *y = &m->message[u->named[i]];
		if (y->name == x->name && y->app == x->app && y->fate > FATE_NONE)
			return u->named[i];
	}
	return MODEL_NOTHING;
}

/* ---- what a limit allows ---- */

struct load {
	size_t count, app_count, app_bytes;
};

/* Of what waits and does not leave. all: also what may have gone, or has expired. */
static struct load load_of(const struct model *m, const struct model_message *x, uint64_t now_ms, bool all)
{
	const struct model_user *u = &m->user[x->user];
	struct load l = {0};
	for (size_t i = 0; i < u->waiting_count; i++) {
		const struct model_message *y = &m->message[u->waiting[i]];
		if (y->leaves || (!all && y->expires_ms <= now_ms))
			continue;
		l.count++;
		l.app_count += y->app == x->app;
		l.app_bytes += y->app == x->app ? y->bytes : 0;
	}
	return l;
}

static bool is_over(const struct model *m, const struct model_message *x, struct load l)
{
	const struct app_limits *a = &m->limits[x->app];
	return l.count + 1 > m->user_max || (a->queue_messages && l.app_count + 1 > a->queue_messages) ||
	       (a->queue_bytes && l.app_bytes + x->bytes > a->queue_bytes);
}

static unsigned rank(unsigned lane)
{
	return lane == PRIORITY_HIGH ? 3 : lane == PRIORITY_NORMAL ? 2 : 1;
}

static bool may_displace(const struct model *m, const struct model_message *x, const struct model_message *y)
{
	if (y->app != x->app)
		return false;
	return m->limits[x->app].overflow == OVERFLOW_DROP_OLDEST || rank(y->lane) <= rank(x->lane);
}

/* The next to be displaced for x, or NULL. In a queue it is always the first. */
static struct model_message *next_displaced(struct model *m, const struct model_message *x, uint64_t now_ms)
{
	struct model_user *u = &m->user[x->user];
	struct model_message *of_lane[PRIORITIES] = {NULL}, *pick = NULL;
	bool oldest = m->limits[x->app].overflow == OVERFLOW_DROP_OLDEST;
	for (size_t i = 0; i < u->waiting_count; i++) {
		struct model_message *y = &m->message[u->waiting[i]];
		if (!y->leaves && y->expires_ms > now_ms && may_displace(m, x, y) && !of_lane[y->lane])
			of_lane[y->lane] = y;
	}
	for (unsigned i = 0; i < PRIORITIES; i++) {
		struct model_message *y = of_lane[i];
		if (y && (!pick || (oldest ? strcmp(y->id, pick->id) < 0 : rank(i) < rank(pick->lane))))
			pick = y;
	}
	return pick;
}

static struct model_message *same_key(struct model *m, const struct model_message *x)
{
	const struct model_user *u = &m->user[x->user];
	for (size_t i = u->waiting_count; x->key && i-- > 0;) {
		struct model_message *y = &m->message[u->waiting[i]];
		if (y->app == x->app && y->key == x->key)
			return y;
	}
	return NULL;
}

static void stay(struct model *m, const struct model_user *u)
{
	for (size_t i = 0; i < u->waiting_count; i++)
		m->message[u->waiting[i]].leaves = FATE_ASKED;
}

/* Whether x has room; if so, what leaves for it has `leaves` set. */
static bool foretell(struct model *m, const struct model_message *x, uint64_t now_ms)
{
	struct model_message *old = same_key(m, x), *y;
	if (old && old->expires_ms > now_ms)
		old->leaves = FATE_REPLACED;
	if (!is_over(m, x, load_of(m, x, now_ms, false)))
		return true;
	bool displaces = m->limits[x->app].overflow != OVERFLOW_REJECT;
	while (displaces && is_over(m, x, load_of(m, x, now_ms, false)) && (y = next_displaced(m, x, now_ms)))
		y->leaves = FATE_DISPLACED;
	if (!is_over(m, x, load_of(m, x, now_ms, false)))
		return true;
	stay(m, &m->user[x->user]);
	return false;
}

/* ---- SEND ---- */

static uint32_t record_bytes(const struct model_message *x)
{
	char name[16];
	size_t len = ULID_TEXT + 1 + strlen(model_apps[x->app]) + 1 + 13 + 1 + 13 + 1;
	len += x->name ? (size_t)snprintf(name, sizeof name, "n%u", x->name) : 1;
	len += (x->lane == PRIORITY_HIGH ? 7 : x->lane == PRIORITY_LOW ? 6 : 0) + (x->key ? 4 : 0) + 1;
	return (uint32_t)(len + x->body_len);
}

/* Something may expire before or after the script looks. */
static bool is_blurred(const struct model *m, const struct model_user *u, const struct model_answer *a)
{
	for (size_t i = 0; i < u->waiting_count; i++) {
		uint64_t ends = m->message[u->waiting[i]].expires_ms;
		if (ends + BLUR_MS >= a->from_ms && ends <= a->to_ms + BLUR_MS)
			return true;
	}
	return false;
}

void model_loosen(struct model *m, uint32_t user) { m->user[user].loose = true; }

static void sent_strict(struct model *m, uint32_t n, bool stored, const struct model_answer *a)
{
	struct model_message *x = &m->message[n];
	struct model_user *u = &m->user[x->user];
	bool fits = foretell(m, x, a->to_ms);
	if (fits != stored)
		fail_about(m, n, stored ? "was stored, though there is no room" : "was refused, though there is room");
	if (stored && strcmp(a->state, "stored") != 0)
		fail_about(m, n, "was pushed, and nobody is logged in");
	for (size_t i = 0; i < u->waiting_count; i++) {
		struct model_message *y = &m->message[u->waiting[i]];
		if (y->leaves)
			end(m, u->waiting[i], y->leaves, a->to_ms);
		y->leaves = FATE_ASKED;
	}
}

/* What may have left for x, if it was stored; whether it can have been refused, if not. */
static void sent_loose(struct model *m, uint32_t n, bool stored)
{
	struct model_message *x = &m->message[n], *old = same_key(m, x);
	struct model_user *u = &m->user[x->user];
	bool over = is_over(m, x, load_of(m, x, 0, true)), displaces = m->limits[x->app].overflow != OVERFLOW_REJECT;
	if (stored && old) {
		old->may |= 1u << FATE_REPLACED;
		old->must_go = true;
	}
	for (size_t i = 0; i < u->waiting_count && over && displaces; i++) {
		struct model_message *y = &m->message[u->waiting[i]];
		if (stored && may_displace(m, x, y))
			y->may |= 1u << FATE_DISPLACED;
		y->leaves = !stored && may_displace(m, x, y) ? FATE_DISPLACED : FATE_ASKED;
	}
	if (!stored && !is_over(m, x, load_of(m, x, 0, true)))
		fail_about(m, n, "was refused, though there is room");
	stay(m, u);
}

/* Not stored, as it was not wanted or the first was. */
static bool sent_elsewhere(struct model *m, uint32_t n, const struct model_answer *a)
{
	struct model_message *x = &m->message[n];
	const struct model_user *u = &m->user[x->user];
	uint32_t first = x->store ? find_named(m, x) : MODEL_NOTHING;
	if (first == MODEL_NOTHING && x->store && !u->off[x->app])
		return false;
	x->fate = FATE_NONE;
	if (first != MODEL_NOTHING) {
		bool same = strcmp(a->id, m->message[first].id) == 0;
		if (a->code != 200 || strcmp(a->state, "duplicate") != 0 || !same)
			fail_about(m, n, "has a name that was used before, and is no duplicate of that");
		return true;
	}
	bool dropped = a->code == 200 && strcmp(a->state, "dropped") == 0;
	bool pushed = a->code == 200 && strcmp(a->state, "pushed") == 0 && u->loose;
	x->pushed = pushed;
	if (!dropped && !pushed)
		fail_about(m, n, "was not to be stored, and neither dropped nor pushed");
	return true;
}

void model_sent(struct model *m, uint32_t n, const struct model_answer *a)
{
	struct model_message *x = &m->message[n];
	struct model_user *u = &m->user[x->user];
	bool stored = a->code == 200 && (strcmp(a->state, "stored") == 0 || strcmp(a->state, "pushed") == 0);
	struct ulid id;
	if (is_blurred(m, u, a))
		model_loosen(m, x->user);
	if (strcmp(a->state, "duplicate") != 0)
		snprintf(x->id, sizeof x->id, "%s", a->id);
	if (sent_elsewhere(m, n, a))
		return;
	if ((a->code != 200 && a->code != 429) || (a->code == 200 && (!stored || ulid_parse(a->id, &id)))) {
		fail_about(m, n, a->code == 200 ? a->state : "was answered with a strange code");
		return;
	}
	x->bytes = record_bytes(x);
	if (u->loose)
		sent_loose(m, n, stored);
	else
		sent_strict(m, n, stored, a);
	tidy(m, u);
	x->fate = stored ? FATE_WAITS : FATE_NONE;
	if (!stored && x->shown)
		fail_about(m, n, "was refused, and shown");
	if (!stored)
		return;
	x->expires_ms = ulid_time_ms(&id) + 1000ull * x->ttl_s;
	append(&u->waiting, &u->waiting_count, &u->waiting_cap, n);
}

/* ---- the others ---- */

void model_withdrawn(struct model *m, uint32_t n, const struct model_answer *a)
{
	struct model_message *x = &m->message[n];
	bool waits = x->fate == FATE_WAITS && x->expires_ms + BLUR_MS > a->from_ms;
	bool surely = waits && x->expires_ms > a->to_ms + BLUR_MS && !x->may && !x->must_go && !x->shown;
	if (a->code == 200) {
		if (!waits || x->must_go)
			fail_about(m, n, "was withdrawn, and does not wait");
		end(m, n, FATE_WITHDRAWN, a->to_ms);
		tidy(m, &m->user[x->user]);
	} else if (a->code != 404 || surely) {
		fail_about(m, n, "waits, and was not withdrawn");
	}
}

void model_shown(struct model *m, uint32_t user, uint32_t n, const char *id, uint64_t now_ms, bool late_ok)
{
	if (n == 0 || n >= m->count || m->message[n].user != user) {
		model_fail(m, "u%u was shown %s, which is nothing that was sent to it", user, id);
		return;
	}
	struct model_message *x = &m->message[n];
	struct model_user *u = &m->user[user];
	bool is_stored = x->fate != FATE_NONE && (x->fate != FATE_ASKED || (x->store && !u->off[x->app]));
	x->shown++;
	if (x->fate == FATE_NONE && !x->pushed)
		fail_about(m, n, "was refused, and shown");
	if (x->shown > 1)
		fail_about(m, n, "was shown twice");
	if (x->fate != FATE_ASKED && strcmp(x->id, id) != 0)
		fail_about(m, n, "was shown with another id");
	if (x->hidden)
		fail_about(m, n, "was shown after its end");
	if (x->expires_ms && now_ms > x->expires_ms + MODEL_SLACK_MS && !late_ok)
		fail_about(m, n, "was shown after its time");
	if (x->ended_ms && now_ms > x->ended_ms + MODEL_SLACK_MS && !late_ok)
		fail_about(m, n, "was shown long after its end");
	if (is_stored && n < u->last_shown[x->lane])
		fail_about(m, n, "was shown after a later one");
	if (is_stored)
		u->last_shown[x->lane] = n;
}

static bool may_be(const struct model_message *x, enum model_fate fate, uint64_t now_ms)
{
	switch (fate) {
	case FATE_ACKNOWLEDGED:
		return x->shown == 1;
	case FATE_EXPIRED:
		return x->expires_ms <= now_ms + BLUR_MS;
	default:
		return x->may >> fate & 1;
	}
}

void model_status(struct model *m, uint32_t n, const struct model_answer *a)
{
	struct model_message *x = &m->message[n];
	enum model_fate said = FATE_NONE;
	for (unsigned i = 0; i < FATES; i++)
		if (model_fates[i] && strcmp(a->state, model_fates[i]) == 0)
			said = (enum model_fate)i;
	if (strcmp(a->state, "stored") == 0 || strcmp(a->state, "pushed") == 0)
		said = FATE_WAITS;
	char text[64];
	snprintf(text, sizeof text, "is, says STATUS (%d), %s", a->code, *a->state ? a->state : "unknown");
	bool loose = m->user[x->user].loose || said == FATE_EXPIRED;
	x->told = said > FATE_WAITS;
	if (said == FATE_WAITS && (x->must_go || x->expires_ms + BLUR_MS < a->from_ms))
		fail_about(m, n, text);
	if (said == FATE_WAITS)
		x->may = 0;
	if (said == x->fate)
		return;
	if (a->code != 200 || x->fate != FATE_WAITS || !loose || !may_be(x, said, a->from_ms))
		fail_about(m, n, text);
	end(m, n, said, x->expires_ms && said == FATE_EXPIRED ? x->expires_ms : 0);
	tidy(m, &m->user[x->user]);
}

/* The message of a record, by its body. Not FATE_EXPIRED: that may lie there until
 * somebody comes across it. */
static struct model_message *take_record(struct model *m, uint32_t user, enum priority lane, const char *record,
					 uint32_t *last)
{
	const char *body = strchr(record, '\n');
	uint32_t n = body ? (uint32_t)strtoul(body + 1, NULL, 10) : 0;
	struct model_message *x = n > 0 && n < m->count ? &m->message[n] : NULL;
	if (!x || x->user != user || x->lane != lane || strncmp(record, x->id, ULID_TEXT) != 0) {
		model_fail(m, "u%u, lane %u: %.26s has no place in Redis", user, lane, record);
		return NULL;
	}
	if (n <= *last)
		fail_about(m, n, "stands behind a later one in Redis");
	if (x->fate != FATE_WAITS && x->fate != FATE_EXPIRED)
		fail_about(m, n, "is in Redis");
	*last = n;
	return x;
}

void model_compare(struct model *m, uint32_t user, enum priority lane, const char *const *records, size_t count,
		   uint64_t now_ms)
{
	const struct model_user *u = &m->user[user];
	uint32_t last = 0;
	for (size_t i = 0; i < count; i++) {
		struct model_message *x = take_record(m, user, lane, records[i], &last);
		if (x)
			x->there = true;
	}
	for (size_t i = 0; i < u->waiting_count; i++) {
		struct model_message *x = &m->message[u->waiting[i]];
		if (x->lane == lane && !x->there && x->expires_ms > now_ms + BLUR_MS)
			fail_about(m, u->waiting[i], "is not in Redis");
		if (x->lane == lane)
			x->there = false;
	}
}
