/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include "base/clock.h"
#include "base/log.h"
#include "bodies.h"
#include "dc.h"
#include "rds/keys.h"
#include "wire/link.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

enum { WAVE_MAX = 32 }; /* bodies asked for at a time */

struct item {
	size_t at, len;       /* in page.data */
	bool wants_body, gone;
	struct ulid id;
	struct body *body;    /* a reference; NULL: not asked for */
	struct body_wait wait;
};

struct page {
	struct dc *dc;
	page_fn *fn;
	void *ctx;
	char user[NAME_MAX_BYTES];
	size_t user_len, max_bytes;
	uint64_t left;
	size_t count, decided; /* items; of these, those of which it is known what becomes of them */
	size_t given, bytes;   /* of those, the ones that go into the batch */
	bool failed;
	struct item *items;
	uint8_t *data;
};

/* What goes into one BATCH is put together here, in one call. */
static uint8_t blobs[LINK_BATCH_BYTES + 2 * RECORD_MAX + 4 * LINK_BATCH_MAX];

static uint64_t left_of(const struct redisReply *reply)
{
	int64_t left = 0;
	return reply_int(reply_at(reply, 1), &left) && left > 0 ? (uint64_t)left : 0;
}

/* A record of the reply, NULL: that is none. */
static const char *record_of(const struct redisReply *reply, size_t i, size_t *len)
{
	const char *record = reply_str(reply_at(reply, i), len);
	if (record && *len <= RECORD_MAX)
		return record;
	log_warn("not a record in a queue", LOG_INT("bytes", *len));
	return NULL;
}

static bool wants_body(const char *record, size_t len, struct ulid *id)
{
	struct record r;
	if (record_parse(record, len, &r) || !r.body_elsewhere || r.body_len)
		return false;
	*id = r.id;
	return true;
}

/* Most pages have no such record: they go as they are. */
static bool fill_plain(const struct redisReply *reply, page_fn *fn, void *ctx)
{
	struct writer w = writer_over(blobs, sizeof blobs);
	struct page_result result = {.left = left_of(reply)};
	for (size_t i = 3; i < reply_count(reply) && result.count < LINK_BATCH_MAX; i++) {
		struct ulid id;
		size_t len = 0;
		const char *record = record_of(reply, i, &len);
		if (!record || len + 4 > writer_left(&w))
			continue;
		if (wants_body(record, len, &id))
			return false;
		link_add_record(&w, record, len);
		result.count++;
	}
	result.records = reader_over(blobs, writer_len(&w));
	fn(ctx, &result);
	return true;
}

static void page_free(struct page *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].body)
			body_put(p->items[i].body, &p->items[i].wait);
	free(p->items);
	free(p->data);
	free(p);
}

/* The reply is borrowed, and the bodies take their time: a copy. */
static struct page *copy(const struct redisReply *reply)
{
	size_t bytes = 0, n = reply_count(reply), len = 0;
	struct page *p = calloc(1, sizeof *p);
	for (size_t i = 3; i < n; i++)
		if (reply_str(reply_at(reply, i), &len))
			bytes += len;
	if (!p)
		return NULL;
	p->items = calloc(n, sizeof *p->items);
	p->data = malloc(bytes + 1);
	if (!p->items || !p->data) {
		page_free(p);
		return NULL;
	}
	bytes = 0;
	for (size_t i = 3; i < n && p->count < LINK_BATCH_MAX; i++) {
		const char *record = record_of(reply, i, &len);
		if (!record)
			continue;
		struct item *it = &p->items[p->count++];
		*it = (struct item){.at = bytes, .len = len};
		it->wants_body = wants_body(record, len, &it->id);
		memcpy(p->data + bytes, record, len);
		bytes += len;
	}
	return p;
}

/* --- one whose body is gone --- */

struct removal {
	struct dc *dc;
	size_t user_len;
	char user[NAME_MAX_BYTES];
};

/* {count, broker, boot, conn, owner, event...} */
static void on_removed(void *ctx, int err, const struct redisReply *reply)
{
	struct removal *r = ctx;
	if (!err)
		ended_take_all(r->dc, reply, 1, r->user, r->user_len);
	free(r);
}

/* On the user's connection, so before whatever the broker asks for next. */
static void take_out(struct page *p, const struct ulid *id)
{
	char keys[KEYS_OF_MAIL][KEY_MAX], id_text[ULID_TEXT + 1], now[RDS_NUM_MAX], keep[RDS_NUM_MAX];
	struct rds_arg argv[KEYS_OF_MAIL + 4];
	struct removal *r = malloc(sizeof *r);
	if (!r)
		return;
	r->dc = p->dc;
	r->user_len = p->user_len;
	memcpy(r->user, p->user, p->user_len);
	keys_of_mail(argv, keys, p->user, p->user_len);
	argv[KEYS_OF_MAIL] = RDS_STR("");
	argv[KEYS_OF_MAIL + 1] = RDS_MEM(ulid_format(id, id_text), ULID_TEXT);
	argv[KEYS_OF_MAIL + 2] = rds_num((int64_t)clock_wall_ms(), now);
	argv[KEYS_OF_MAIL + 3] = rds_num(p->dc->config->status_s * 1000, keep);
	if (pool_script(p->dc->redis, p->user, p->user_len, SCRIPT_MESSAGE_WITHDRAW, KEYS_OF_MAIL, KEYS_OF_MAIL + 4, argv,
			on_removed, r))
		free(r); /* met again at the next fetch */
}

/* --- the batch --- */

static void add_item(struct writer *w, const struct page *p, const struct item *it)
{
	static uint8_t whole[RECORD_MAX];
	if (!it->body) {
		link_add_record(w, p->data + it->at, it->len);
		return;
	}
	memcpy(whole, p->data + it->at, it->len);
	memcpy(whole + it->len, it->body->data, it->body->len);
	link_add_record(w, whole, it->len + it->body->len);
}

static void finish(struct page *p)
{
	struct writer w = writer_over(blobs, sizeof blobs);
	struct page_result result = {.failed = p->failed && p->given == 0, .count = (uint16_t)p->given,
				     .left = p->left + (p->count - p->decided)};
	for (size_t i = 0; i < p->decided; i++)
		if (p->items[i].gone)
			take_out(p, &p->items[i].id);
		else
			add_item(&w, p, &p->items[i]);
	result.records = reader_over(blobs, writer_len(&w));
	p->fn(p->ctx, &result);
	page_free(p);
}

/* False: not yet, or not any more. */
static bool decide(struct page *p, struct item *it)
{
	size_t len = it->len + (it->body ? it->body->len : 0);
	if (it->body && it->body->state == BODY_GONE) {
		it->gone = true;
		return true;
	}
	p->failed = (it->body && it->body->state == BODY_FAILED) || len > RECORD_MAX;
	if (p->failed || (p->given > 0 && p->bytes + len > p->max_bytes))
		return false;
	p->bytes += len;
	p->given++;
	return true;
}

static void go_on(void *ctx);

/* Asks for the bodies of the next items that want one. */
static void ask_wave(struct page *p)
{
	size_t asked = 0;
	for (size_t i = p->decided; i < p->count && asked < WAVE_MAX && !p->failed; i++) {
		struct item *it = &p->items[i];
		if (!it->wants_body || it->body)
			continue;
		it->wait.fn = go_on;
		it->wait.ctx = p;
		it->body = bodies_get(p->dc->bodies, &it->id, &it->wait);
		p->failed = !it->body;
		asked++;
	}
}

static void go_on(void *ctx)
{
	struct page *p = ctx;
	while (p->decided < p->count) {
		struct item *it = &p->items[p->decided];
		if (it->wants_body && !it->body)
			ask_wave(p);
		if (p->failed)
			break;
		if (it->body && it->body->state == BODY_ASKED)
			return; /* called again when it is there */
		if (!decide(p, it))
			break;
		p->decided++;
	}
	finish(p);
}

void page_fill(struct dc *dc, struct text_span user, const struct redisReply *reply, size_t max_bytes,
	       page_fn *fn, void *ctx)
{
	static const struct page_result failed = {.failed = true};
	if (fill_plain(reply, fn, ctx))
		return;
	struct page *p = copy(reply);
	if (!p) {
		fn(ctx, &failed);
		return;
	}
	p->dc = dc;
	p->fn = fn;
	p->ctx = ctx;
	p->user_len = user.len;
	memcpy(p->user, user.at, user.len);
	p->max_bytes = max_bytes;
	p->left = left_of(reply);
	go_on(p);
}
