/* SPDX-License-Identifier: Apache-2.0 */
/* Recipients that subscribed to a topic: filter by filter of those that match it, with
 * SSCAN, whose cursor says how far it has come; the sets are not copied. Twice: first who
 * is online, so that they have it soon, then all. Who subscribes or leaves meanwhile may
 * be served or not; everybody else is. */
#include "fan.h"

#include "dc.h"
#include "fan_board.h"
#include "rds/keys.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_PASS = 1, LAST_PASS = 2 };

struct wanted {
	unsigned index, at;
	char *filter;
	size_t len;
};

static bool take_filter(void *ctx, const char *filter, size_t len)
{
	struct wanted *w = ctx;
	if (w->at++ != w->index)
		return true;
	memcpy(w->filter, filter, len);
	w->len = len;
	return false;
}

/* The filter of that number; length 0: there are no more. */
static size_t filter_of(const struct fan *f, unsigned index, char out[NAME_MAX_BYTES])
{
	struct wanted w = {.index = index, .filter = out};
	topic_each_filter(f->topic, f->topic_len, take_filter, &w);
	return w.len;
}

static bool is_absent(const struct fan_filters *at, unsigned i) { return at->absent[i / 8] >> (i % 8) & 1; }

static void begin_filter(struct fan_filters *at, unsigned index)
{
	at->index = index;
	memcpy(at->cursor, "0", 2);
}

static bool is_cursor(const char *text, size_t len)
{
	uint64_t v;
	return len < sizeof ((struct fan_filters *)0)->cursor &&
	       text_number((struct text_span){text, len}, 0, UINT64_MAX, &v) == RS_OK;
}

/* [cursor, [name...]] */
static int take_page(struct fan *f, const struct redisReply *reply)
{
	const struct redisReply *names = reply_at(reply, 1);
	size_t len = 0;
	const char *cursor = reply_str(reply_at(reply, 0), &len);
	if (!cursor || !is_cursor(cursor, len))
		return RS_EREMOTE;
	memcpy(f->filters.next, cursor, len + 1);
	for (size_t i = 0; i < reply_count(names); i++) {
		const char *name = reply_str(reply_at(names, i), &len);
		if (name && !name_fault(name, len) && fan_add(f, name, len))
			return RS_ENOMEM;
	}
	return RS_OK;
}

static void on_page(void *ctx, int err, const struct redisReply *reply)
{
	struct fan *f = ctx;
	f->under_way--;
	if (f->state != FAN_READING)
		return;
	if (err || take_page(f, reply))
		fan_read_failed(f);
	else
		fan_read(f);
}

/* Steps over those without users. False: there are none behind them. */
static bool skip_absent(struct fan_filters *at)
{
	unsigned i = at->index;
	while (i < TOPIC_FILTERS_MAX && is_absent(at, i))
		i++;
	if (i != at->index)
		begin_filter(at, i);
	return i < TOPIC_FILTERS_MAX;
}

static bool begin_next_pass(struct fan *f)
{
	if (f->filters.pass == LAST_PASS || !f->store)
		return false;
	begin_filter(&f->filters, 0);
	f->filters.pass = LAST_PASS;
	return true;
}

/* Goes on to a filter that may have users. False: that was the last one. To make one takes
 * making all before it: it is done for the one that is wanted only. */
static bool find_filter(struct fan *f, char filter[NAME_MAX_BYTES], size_t *len)
{
	do {
		*len = skip_absent(&f->filters) ? filter_of(f, f->filters.index, filter) : 0;
		if (*len)
			return true;
	} while (begin_next_pass(f));
	return false;
}

void fan_topic_begin_anew(struct fan *f)
{
	if (f->kind == FAN_TOPIC)
		f->filters.anew = true;
}

static int read_more(struct fan *f)
{
	char filter[NAME_MAX_BYTES], key[KEY_MAX], count[RDS_NUM_MAX];
	size_t len;
	if (f->filters.anew)
		begin_filter(&f->filters, f->filters.index);
	f->filters.anew = false;
	if (!find_filter(f, filter, &len)) {
		fan_served_all(f);
		return RS_OK;
	}
	struct rds_arg argv[] = {RDS_STR("SSCAN"), RDS_MEM(key, key_topic(key, filter, len)),
				 RDS_STR(f->filters.cursor), RDS_STR("COUNT"), rds_num(FAN_CHUNK, count)};
	int err = rds_command(pool_first(f->dc->redis), 5, argv, on_page, f);
	if (!err)
		f->under_way++;
	return err;
}

static void advance(struct fan *f)
{
	struct fan_filters *at = &f->filters;
	if (at->anew)
		return; /* read_more() begins it again */
	if (strcmp(at->next, "0") == 0)
		begin_filter(at, at->index + 1);
	else
		memcpy(at->cursor, at->next, sizeof at->cursor);
}

static void say(const struct fan *f, char out[FAN_AT_MAX])
{
	snprintf(out, FAN_AT_MAX, "%u:%u:%s", f->filters.pass, f->filters.index, f->filters.cursor);
}

static int resume(struct fan *f, const char *at)
{
	struct fan_filters *to = &f->filters;
	unsigned pass, index;
	int used = 0;
	if (sscanf(at, "%u:%u:%n", &pass, &index, &used) != 2 || used == 0 || pass < FIRST_PASS || pass > LAST_PASS ||
	    index > TOPIC_FILTERS_MAX || !is_cursor(at + used, strlen(at + used)))
		return RS_EINVAL;
	to->pass = pass;
	to->index = index;
	memcpy(to->cursor, at + used, strlen(at + used) + 1);
	return RS_OK;
}

static bool online_only(const struct fan *f) { return f->filters.pass == FIRST_PASS; }

const struct fan_source fan_topic = {read_more, advance, say, resume, online_only};
