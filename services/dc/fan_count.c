/* SPDX-License-Identifier: Apache-2.0 */
#include "fan_count.h"

#include "dc.h"
#include "fan.h"
#include "rds/keys.h"

#include <stdlib.h>
#include <string.h>

struct filter {
	struct counting *at;
	uint8_t len;
	char name[NAME_MAX_BYTES];
};

/* A topic being counted. */
struct counting {
	struct fan_counter *counter;
	struct fan_count *of; /* NULL: nobody's */
	int err;
	unsigned count, next, under_way;
	struct filter filters[TOPIC_FILTERS_MAX];
};

struct fan_counter {
	struct dc *dc;
	struct list line;
	unsigned waiting;
	bool stopped;
	struct counting places[FAN_COUNT_TOPICS];
};

int fan_counter_new(struct fan_counter **out, struct dc *dc)
{
	struct fan_counter *c = calloc(1, sizeof *c);
	if (!c)
		return RS_ENOMEM;
	c->dc = dc;
	list_init(&c->line);
	for (size_t i = 0; i < FAN_COUNT_TOPICS; i++)
		c->places[i].counter = c;
	*out = c;
	return RS_OK;
}

static struct fan_count *take_first(struct fan_counter *c)
{
	struct fan_count *first = LIST_ENTRY(c->line.next, struct fan_count, node);
	list_remove(&first->node);
	c->waiting--;
	return first;
}

void fan_counter_stop(struct fan_counter *c)
{
	if (!c)
		return;
	c->stopped = true;
	while (!list_empty(&c->line)) {
		struct fan_count *of = take_first(c);
		of->fn(of->ctx, RS_EDOWN);
	}
}

void fan_counter_free(struct fan_counter *c) { free(c); }

static bool take_filter(void *ctx, const char *name, size_t len)
{
	struct counting *p = ctx;
	struct filter *f = &p->filters[p->count++];
	f->at = p;
	f->len = (uint8_t)len;
	memcpy(f->name, name, len);
	return true;
}

static void on_counted(void *ctx, int err, const struct redisReply *reply);

static int ask(struct filter *f)
{
	char key[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR("SCARD"), RDS_MEM(key, key_topic(key, f->name, f->len))};
	return pool_command(f->at->counter->dc->redis, f->name, f->len, 2, argv, on_counted, f);
}

/* As many as may be under way. When Redis has too many of others, those of its own that
 * come back make room. */
static void ask_more(struct counting *p)
{
	while (!p->err && p->next < p->count && p->under_way < FAN_COUNT_IN_FLIGHT) {
		int err = ask(&p->filters[p->next]);
		if (err == RS_EBUSY && p->under_way)
			return;
		if (err) {
			p->err = err;
		} else {
			p->next++;
			p->under_way++;
		}
	}
}

/* Not 0: nothing is under way. */
static int begin(struct counting *p, struct fan_count *of)
{
	struct fan *f = of->fan;
	p->of = of;
	p->err = RS_OK;
	p->count = p->next = 0;
	f->total = 0;
	memset(f->filters.absent, 0xff, sizeof f->filters.absent); /* those that the topic does not have, too */
	topic_each_filter(f->topic, f->topic_len, take_filter, p);
	ask_more(p);
	if (p->under_way)
		return RS_OK;
	p->of = NULL;
	return p->err ? p->err : RS_EINVAL;
}

static struct counting *free_place(struct fan_counter *c)
{
	for (size_t i = 0; i < FAN_COUNT_TOPICS; i++)
		if (!c->places[i].of)
			return &c->places[i];
	return NULL;
}

static void let_next_begin(struct fan_counter *c)
{
	struct counting *p;
	while (!list_empty(&c->line) && (p = free_place(c))) {
		struct fan_count *of = take_first(c);
		int err = begin(p, of);
		if (err)
			of->fn(of->ctx, err);
	}
}

static void end(struct counting *p)
{
	struct fan_count *of = p->of;
	int err = p->err;
	p->of = NULL;
	let_next_begin(p->counter); /* perhaps in this place */
	of->fn(of->ctx, err);
}

static void on_counted(void *ctx, int err, const struct redisReply *reply)
{
	struct filter *f = ctx;
	struct counting *p = f->at;
	struct fan *fan = p->of->fan;
	size_t i = (size_t)(f - p->filters);
	int64_t users = 0;
	p->under_way--;
	if (!err && (!reply_int(reply, &users) || users < 0))
		err = RS_EREMOTE;
	if (err && !p->err)
		p->err = err;
	if (!err && users > 0) {
		fan->filters.absent[i / 8] &= (uint8_t)~(1u << (i % 8));
		fan->total += (uint64_t)users;
	}
	ask_more(p);
	if (p->under_way == 0)
		end(p);
}

int fan_count(struct fan_counter *c, struct fan_count *of)
{
	struct counting *p = free_place(c);
	if (c->stopped)
		return RS_EDOWN;
	if (p)
		return begin(p, of);
	if (c->waiting == FAN_COUNT_WAITING)
		return RS_EBUSY;
	list_append(&c->line, &of->node);
	c->waiting++;
	return RS_OK;
}
