/* SPDX-License-Identifier: Apache-2.0 */
#include "bodies.h"

#include "base/clock.h"
#include "dc.h"
#include "rds/keys.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1024 };

struct bodies {
	struct dc *dc;
	struct list slots[SLOTS];
	struct list lru; /* the one used last is the last */
	size_t bytes;
	uint64_t hits, asked, gone;
};

int bodies_new(struct bodies **out, struct dc *dc)
{
	struct bodies *b = calloc(1, sizeof *b);
	if (!b)
		return RS_ENOMEM;
	b->dc = dc;
	list_init(&b->lru);
	for (size_t i = 0; i < SLOTS; i++)
		list_init(&b->slots[i]);
	*out = b;
	return RS_OK;
}

/* The end of an id is random. */
static struct list *slot_of(struct bodies *b, const struct ulid *id)
{
	return &b->slots[(id->b[ULID_BYTES - 2] << 8 | id->b[ULID_BYTES - 1]) % SLOTS];
}

static void release(struct body *body)
{
	if (--body->refs)
		return;
	list_remove(&body->in_slot);
	free(body->data);
	free(body);
}

static size_t weight(const struct body *body) { return body->len + BODIES_OVERHEAD; }

static void put_out(struct body *body)
{
	body->bodies->bytes -= weight(body);
	list_remove(&body->lru);
	list_remove(&body->in_slot); /* whoever asks for it now, asks Redis */
	release(body);
}

void bodies_free(struct bodies *b)
{
	if (!b)
		return;
	while (!list_empty(&b->lru))
		put_out(LIST_ENTRY(b->lru.next, struct body, lru));
	free(b);
}

static struct body *find(struct bodies *b, const struct ulid *id)
{
	struct list *slot = slot_of(b, id);
	for (struct list *n = slot->next; n != slot; n = n->next) {
		struct body *body = LIST_ENTRY(n, struct body, in_slot);
		if (ulid_equal(&body->id, id))
			return body;
	}
	return NULL;
}

/* With one reference. */
static struct body *add(struct bodies *b, const struct ulid *id)
{
	struct body *body = calloc(1, sizeof *body);
	if (!body)
		return NULL;
	*body = (struct body){.bodies = b, .id = *id, .refs = 1, .state = BODY_ASKED};
	list_init(&body->lru);
	list_init(&body->waiting);
	list_init(&body->in_slot);
	list_append(slot_of(b, id), &body->in_slot);
	return body;
}

static void fill(struct body *body, const void *data, size_t len)
{
	body->data = malloc(len ? len : 1);
	body->state = body->data ? BODY_READY : BODY_FAILED;
	if (!body->data)
		return;
	if (len)
		memcpy(body->data, data, len);
	body->len = len;
	body->known_ms = clock_mono_ms();
}

/* The cache keeps it, and puts out what was not used for the longest time. */
static void keep(struct body *body)
{
	struct bodies *b = body->bodies;
	body->refs++;
	list_append(&b->lru, &body->lru);
	b->bytes += weight(body);
	while (b->bytes > BODIES_MAX_BYTES && b->lru.next != &body->lru)
		put_out(LIST_ENTRY(b->lru.next, struct body, lru));
}

void bodies_put(struct bodies *b, const struct ulid *id, const void *data, size_t len)
{
	struct body *body = find(b, id) ? NULL : add(b, id);
	if (!body)
		return;
	fill(body, data, len);
	if (body->state == BODY_READY)
		keep(body);
	release(body);
}

void bodies_forget(struct bodies *b, const struct ulid *id)
{
	struct body *body = find(b, id);
	if (body && !list_empty(&body->lru))
		put_out(body);
}

static void wake(struct body *body)
{
	while (!list_empty(&body->waiting)) {
		struct body_wait *w = LIST_ENTRY(body->waiting.next, struct body_wait, node);
		list_remove(&w->node);
		w->fn(w->ctx);
	}
}

static void on_body(void *ctx, int err, const struct redisReply *reply)
{
	struct body *body = ctx;
	size_t len = 0;
	const char *data = err ? NULL : reply_str(reply, &len);
	if (data)
		fill(body, data, len);
	else
		body->state = err || !reply_is_nil(reply) ? BODY_FAILED : BODY_GONE;
	if (body->state == BODY_READY)
		keep(body);
	else
		list_remove(&body->in_slot); /* asked for again by the next who wants it */
	body->bodies->gone += body->state == BODY_GONE;
	wake(body);
	release(body);
}

static int ask(struct body *body)
{
	char key[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR("GET"), RDS_MEM(key, key_fan_body(key, &body->id))};
	int err = rds_command(pool_first(body->bodies->dc->redis), 2, argv, on_body, body);
	if (err)
		return err;
	body->bodies->asked++;
	body->refs++;
	return RS_OK;
}

struct body *bodies_get(struct bodies *b, const struct ulid *id, struct body_wait *wait)
{
	struct body *body = find(b, id);
	list_init(&wait->node);
	if (body && body->state == BODY_READY && clock_mono_ms() - body->known_ms > BODIES_FRESH_MS) {
		put_out(body);
		body = NULL;
	}
	if (body) {
		body->refs++;
		b->hits++;
		if (!list_empty(&body->lru)) {
			list_remove(&body->lru);
			list_append(&b->lru, &body->lru);
		}
	} else {
		body = add(b, id);
		if (body && ask(body)) {
			body->state = BODY_FAILED;
			list_remove(&body->in_slot);
		}
	}
	if (body && body->state == BODY_ASKED)
		list_append(&body->waiting, &wait->node);
	return body;
}

void body_put(struct body *body, struct body_wait *wait)
{
	list_remove(&wait->node);
	release(body);
}

void bodies_metrics(const struct bodies *b, struct metrics *m)
{
	metrics_gauge(m, "dc_bodies_bytes", "Bytes of bodies of fan-outs that are kept at hand.", (double)b->bytes);
	metrics_counter(m, "dc_bodies_hits_total", "Bodies of fan-outs that were at hand for a fetch.", b->hits);
	metrics_counter(m, "dc_bodies_asked_total", "Bodies of fan-outs that Redis was asked for.", b->asked);
	metrics_counter(m, "dc_bodies_gone_total", "Of these, bodies that are gone: withdrawn, or expired.", b->gone);
}
