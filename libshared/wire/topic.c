/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/topic.h"

#include "wire/cursor.h"

#include <string.h>

struct levels {
	size_t count;
	struct {
		const char *at;
		size_t len;
	} at[TOPIC_LEVELS_MAX];
};

/* False: too many. */
static bool part(const char *name, size_t len, struct levels *out)
{
	const char *end = name + len;
	for (out->count = 0; out->count < TOPIC_LEVELS_MAX; name++) {
		const char *slash = memchr(name, '/', (size_t)(end - name));
		out->at[out->count].at = name;
		out->at[out->count++].len = (size_t)((slash ? slash : end) - name);
		if (!slash)
			return true;
		name = slash;
	}
	return false;
}

static bool has(const struct levels *l, size_t i, char wild) { return memchr(l->at[i].at, wild, l->at[i].len); }
static bool is(const struct levels *l, size_t i, char wild) { return l->at[i].len == 1 && *l->at[i].at == wild; }

const char *topic_fault(const char *topic, size_t len)
{
	struct levels l;
	const char *fault = name_fault(topic, len);
	if (fault)
		return fault;
	if (memchr(topic, '+', len) || memchr(topic, '#', len))
		return "contains + or #, which are for filters";
	return part(topic, len, &l) ? NULL : "has more than 8 levels";
}

const char *topic_filter_fault(const char *filter, size_t len)
{
	struct levels l;
	const char *fault = name_fault(filter, len);
	if (fault)
		return fault;
	if (!part(filter, len, &l))
		return "has more than 8 levels";
	for (size_t i = 0; i < l.count; i++) {
		if ((has(&l, i, '+') && !is(&l, i, '+')) || (has(&l, i, '#') && !is(&l, i, '#')))
			return "has a + or # that is not a whole level";
		if (is(&l, i, '#') && i + 1 < l.count)
			return "has a # that is not the last level";
	}
	return NULL;
}

static bool is_equal(const struct levels *a, const struct levels *b, size_t i)
{
	return a->at[i].len == b->at[i].len && memcmp(a->at[i].at, b->at[i].at, a->at[i].len) == 0;
}

bool topic_matches(const char *filter, size_t filter_len, const char *topic, size_t topic_len)
{
	struct levels f, t;
	size_t i = 0;
	if (!part(filter, filter_len, &f) || !part(topic, topic_len, &t))
		return false;
	if (*topic == '$' && (is(&f, 0, '+') || is(&f, 0, '#')))
		return false;
	for (; i < f.count && i < t.count; i++) {
		if (is(&f, i, '#'))
			return true;
		if (!is(&f, i, '+') && !is_equal(&f, &t, i))
			return false;
	}
	return i == t.count && (i == f.count || is(&f, i, '#'));
}

static void put_level(struct writer *w, size_t i, const char *at, size_t len)
{
	write_bytes(w, "/", i > 0);
	write_bytes(w, at, len);
}

/* The first `count` levels, of which those in `wild` are '+'; and '#'. False: enough. */
static bool give(const struct levels *l, size_t count, unsigned wild, bool rest, topic_filter_fn *fn, void *ctx)
{
	char filter[NAME_MAX_BYTES];
	struct writer w = writer_over(filter, sizeof filter);
	for (size_t i = 0; i < count; i++)
		if (wild >> i & 1)
			put_level(&w, i, "+", 1);
		else
			put_level(&w, i, l->at[i].at, l->at[i].len);
	if (rest)
		put_level(&w, count, "#", 1);
	if (w.failed || writer_len(&w) == 0) /* what is too long was never subscribed to */
		return true;
	return fn(ctx, filter, writer_len(&w));
}

void topic_each_filter(const char *topic, size_t len, topic_filter_fn *fn, void *ctx)
{
	struct levels l;
	if (!part(topic, len, &l))
		return;
	bool no_wild = *topic == '$';
	for (size_t count = no_wild ? 1 : 0; count <= l.count; count++)
		for (unsigned wild = 0; wild < 1u << count; wild++) {
			if (no_wild && (wild & 1))
				continue;
			if (count == l.count && !give(&l, count, wild, false, fn, ctx))
				return;
			/* a filter has no ninth level */
			if (count < TOPIC_LEVELS_MAX && !give(&l, count, wild, true, fn, ctx))
				return;
		}
}
