/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery.h"

#include "base/clock.h"
#include "base/log.h"
#include "dc.h"
#include "page.h"
#include "receipt.h"
#include "rds/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A question to Redis on behalf of a broker. */
struct errand {
	struct list in_broker;
	struct dc *dc;
	struct broker *broker; /* NULL: its link is gone */
	struct link_owner owner;
	enum priority lane;
	uint32_t max_bytes; /* of a FETCH */
	char user[NAME_MAX_BYTES];
	size_t user_len;
};

static struct errand *errand_new(struct broker *b, struct link_owner owner, enum priority lane,
				 struct link_name user)
{
	struct errand *e = malloc(sizeof *e);
	if (!e)
		return NULL;
	*e = (struct errand){.dc = b->dc, .broker = b, .owner = owner, .lane = lane, .user_len = user.len};
	memcpy(e->user, user.text, user.len);
	list_append(&b->errands, &e->in_broker);
	return e;
}

static void errand_free(struct errand *e)
{
	if (!e)
		return;
	list_remove(&e->in_broker);
	free(e);
}

void delivery_orphan(struct broker *b)
{
	while (!list_empty(&b->errands)) {
		struct errand *e = LIST_ENTRY(b->errands.next, struct errand, in_broker);
		list_remove(&e->in_broker);
		e->broker = NULL;
	}
}

/* The broker waits for each answer until one comes or the link is lost. So the link is
 * given up where not even a short one can be sent; b may be gone then. */
static void send_to(struct broker *b, const struct link_message *m)
{
	if (b && hub_send(b->link, m))
		hub_drop(b->link, "an answer could not be sent");
}

/* --- FETCH --- */

static void send_batch(struct broker *b, struct link_owner to, enum priority lane, enum link_status status)
{
	struct link_message m = {.type = LINK_BATCH};
	m.batch.to = to;
	m.batch.lane = lane;
	m.batch.status = status;
	m.batch.records = reader_over("", 0);
	send_to(b, &m);
}

static void send_records(struct errand *e, struct reader records, uint16_t count, uint64_t left)
{
	struct link_message m = {.type = LINK_BATCH};
	m.batch.to = e->owner;
	m.batch.lane = e->lane;
	m.batch.left = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
	m.batch.count = count;
	m.batch.records = records;
	if (e->broker && hub_send(e->broker->link, &m)) {
		e->dc->counts.unavailable++;
		send_batch(e->broker, e->owner, e->lane, LINK_UNAVAILABLE); /* it asks again, later */
		return;
	}
	e->dc->counts.fetched += count;
}

static void on_page(void *ctx, const struct page_result *r)
{
	struct errand *e = ctx;
	if (r->failed) {
		e->dc->counts.unavailable++;
		send_batch(e->broker, e->owner, e->lane, LINK_UNAVAILABLE);
	} else {
		send_records(e, r->records, r->count, r->left);
	}
	errand_free(e);
}

/* {'ok', left, expired, record...} */
static void take_records(struct errand *e, const struct redisReply *reply)
{
	int64_t expired = 0;
	if (reply_int(reply_at(reply, 2), &expired) && expired > 0)
		e->dc->counts.expired += (uint64_t)expired;
	page_fill(e->dc, (struct text_span){e->user, e->user_len}, reply, e->max_bytes, on_page, e);
}

static bool is_word(const struct redisReply *reply, const char *word)
{
	size_t len = 0;
	const char *text = reply_str(reply_at(reply, 0), &len);
	return text && strcmp(text, word) == 0;
}

static void on_fetched(void *ctx, int err, const struct redisReply *reply)
{
	struct errand *e = ctx;
	if (!err && is_word(reply, "ok")) {
		take_records(e, reply);
		return;
	}
	if (!err && is_word(reply, "fenced")) {
		e->dc->counts.fenced++;
		send_batch(e->broker, e->owner, e->lane, LINK_FENCED);
	} else {
		e->dc->counts.unavailable++;
		send_batch(e->broker, e->owner, e->lane, LINK_UNAVAILABLE);
	}
	errand_free(e);
}

void delivery_fetch(struct broker *b, const struct link_fetch *f)
{
	char keys[3][KEY_MAX], nums[5][RDS_NUM_MAX], after[ULID_TEXT + 1] = "";
	uint32_t max_count = f->max_count < LINK_BATCH_MAX ? f->max_count : LINK_BATCH_MAX;
	uint32_t max_bytes = f->max_bytes < LINK_BATCH_BYTES ? f->max_bytes : LINK_BATCH_BYTES;
	char owner[24];
	if (!ulid_is_zero(&f->after))
		ulid_format(&f->after, after);
	int owner_len = snprintf(owner, sizeof owner, "%llu", (unsigned long long)f->to.owner);
	struct rds_arg argv[] = {
		RDS_MEM(keys[0], key_queue(keys[0], f->user.text, f->user.len, f->lane)),
		RDS_MEM(keys[1], key_presence(keys[1], f->user.text, f->user.len)),
		RDS_MEM(keys[2], key_journal(keys[2], f->user.text, f->user.len)),
		RDS_MEM(owner, (size_t)owner_len),
		RDS_STR(after),
		rds_num(f->skip, nums[0]),
		rds_num(max_count, nums[1]),
		rds_num(max_bytes, nums[2]),
		rds_num((int64_t)clock_wall_ms(), nums[3]),
		rds_num(b->dc->config->status_s * 1000, nums[4]),
		RDS_STR(priority_words[f->lane]),
	};
	struct errand *e = errand_new(b, f->to, f->lane, f->user);
	if (e)
		e->max_bytes = max_bytes;
	b->dc->counts.fetches++;
	if (e && pool_script(b->dc->redis, f->user.text, f->user.len, SCRIPT_MESSAGE_FETCH, 3, 11, argv,
			     on_fetched, e) == RS_OK)
		return;
	errand_free(e);
	b->dc->counts.unavailable++;
	send_batch(b, f->to, f->lane, LINK_UNAVAILABLE);
}

/* --- ACK --- */

static void send_acked(struct broker *b, struct link_owner to, enum priority lane, enum link_status status,
		       uint16_t removed, uint32_t left)
{
	struct link_message m = {.type = LINK_ACKED};
	m.acked.to = to;
	m.acked.lane = lane;
	m.acked.status = status;
	m.acked.removed = removed;
	m.acked.left = left;
	send_to(b, &m);
}

/* "acknowledged <app> <id>" of each message whose App wants to know. */
static void give_receipts(const struct errand *e, const struct redisReply *reply, size_t at)
{
	for (; at < reply_count(reply); at++) {
		size_t len = 0;
		const char *text = reply_str(reply_at(reply, at), &len);
		struct ended end;
		if (text && ended_parse(text, len, &end) == RS_OK)
			receipt_give(e->dc, end.app, (struct text_span){e->user, e->user_len}, &end.id, end.how,
				     clock_wall_ms());
	}
}

/* {'ok', removed, left, receipt...} */
static void on_acked(void *ctx, int err, const struct redisReply *reply)
{
	struct errand *e = ctx;
	int64_t removed = 0, left = 0;
	if (!err && is_word(reply, "ok") && reply_int(reply_at(reply, 1), &removed) &&
	    reply_int(reply_at(reply, 2), &left) && removed >= 0 && removed <= LINK_ACK_MAX && left >= 0) {
		e->dc->counts.acked += (uint64_t)removed;
		give_receipts(e, reply, 3);
		send_acked(e->broker, e->owner, e->lane, LINK_DONE, (uint16_t)removed,
			   left < UINT32_MAX ? (uint32_t)left : UINT32_MAX);
	} else if (!err && is_word(reply, "fenced")) {
		e->dc->counts.fenced++;
		send_acked(e->broker, e->owner, e->lane, LINK_FENCED, 0, 0);
	} else {
		e->dc->counts.unavailable++;
		send_acked(e->broker, e->owner, e->lane, LINK_UNAVAILABLE, 0, 0);
	}
	errand_free(e);
}

static int ask_ack(struct errand *e, const struct link_ack *a)
{
	static char ids[LINK_ACK_MAX][ULID_TEXT + 1], times[LINK_ACK_MAX][RDS_NUM_MAX];
	static struct rds_arg argv[2 * LINK_ACK_MAX + 6];
	char keys[3][KEY_MAX], nums[2][RDS_NUM_MAX], owner[24];
	struct reader r = reader_over(a->ids, (size_t)a->count * LINK_ACK_BYTES);
	size_t n = 0;
	int owner_len = snprintf(owner, sizeof owner, "%llu", (unsigned long long)a->from.owner);
	argv[n++] = RDS_MEM(keys[0], key_queue(keys[0], a->user.text, a->user.len, a->lane));
	argv[n++] = RDS_MEM(keys[1], key_presence(keys[1], a->user.text, a->user.len));
	argv[n++] = RDS_MEM(keys[2], key_journal(keys[2], a->user.text, a->user.len));
	argv[n++] = RDS_MEM(owner, (size_t)owner_len);
	argv[n++] = rds_num((int64_t)clock_wall_ms(), nums[0]);
	argv[n++] = rds_num(e->dc->config->status_s * 1000, nums[1]);
	for (size_t i = 0; i < a->count && i < LINK_ACK_MAX; i++) {
		struct ulid id;
		read_copy(&r, id.b, ULID_BYTES);
		argv[n++] = RDS_MEM(ulid_format(&id, ids[i]), ULID_TEXT);
		uint64_t handed = read_uint(&r, 8);
		int64_t ms = (int64_t)(handed & ~LINK_ACK_VOID);
		argv[n++] = rds_num(handed & LINK_ACK_VOID ? -ms : ms, times[i]);
	}
	return pool_script(e->dc->redis, a->user.text, a->user.len, SCRIPT_MESSAGE_ACK, 3, n, argv, on_acked, e);
}

void delivery_ack(struct broker *b, const struct link_ack *a)
{
	struct errand *e;
	b->dc->counts.acks++;
	e = errand_new(b, a->from, a->lane, a->user);
	if (e && ask_ack(e, a) == RS_OK)
		return;
	errand_free(e);
	b->dc->counts.unavailable++;
	send_acked(b, a->from, a->lane, LINK_UNAVAILABLE, 0, 0);
}
