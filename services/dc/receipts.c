/* SPDX-License-Identifier: Apache-2.0 */
/* A stream asks Redis for a page after its cursor: every POLL_S, at once when this DC
 * gave a receipt to its App, and again as long as pages are full. One page is under way
 * at a time, and none while the connection's queue is over its half. */
#include "receipts.h"

#include "base/clock.h"
#include "dc.h"
#include "rds/keys.h"
#include "wire/cursor.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 256, CURSOR_MAX = 36, BLOCK_MAX = 256, MS_DIGITS_MAX = 13 };
#define POLL_S 0.1
#define START "0-0" /* before all that is kept */

struct receipts {
	struct dc *dc;
	struct list feeds;
	size_t count;
	ev_timer poll;
};

struct receipts_feed {
	struct feed feed;       /* conn NULL: gone; freed when Redis has answered */
	struct dc *dc;
	struct answer *answer;  /* of RECEIPTS, as long as it is due */
	bool asked;             /* of Redis, which has not answered */
	bool again;             /* there may be more than that answer has */
	size_t app_len, cursor_len;
	char app[NAME_MAX_BYTES], cursor[CURSOR_MAX];
};

static struct receipts_feed *of(struct feed *f) { return (struct receipts_feed *)f; }

static void set_cursor(struct receipts_feed *f, const char *at, size_t len)
{
	memcpy(f->cursor, at, len);
	f->cursor_len = len;
}

/* ---- a page ---- */

/* "message", id, "to", user, "state", word, "at", ms. False: it is no receipt. */
static bool write_block(struct writer *w, const char *cursor, size_t cursor_len, const struct redisReply *fields)
{
	struct text_span id = {NULL, 0}, user = {NULL, 0}, state = {NULL, 0};
	struct ulid ulid;
	uint64_t at = 0;
	char text[BLOCK_MAX + NAME_MAX_BYTES];
	id.at = reply_str(reply_field(fields, "message"), &id.len);
	user.at = reply_str(reply_field(fields, "to"), &user.len);
	state.at = reply_str(reply_field(fields, "state"), &state.len);
	if (!id.at || id.len != ULID_TEXT || ulid_parse(id.at, &ulid) || !user.at || name_fault(user.at, user.len) ||
	    !state.at || ended_how_of(state) == ENDED_HOWS ||
	    !reply_uint(reply_field(fields, "at"), INT64_MAX, &at))
		return false;
	int len = snprintf(text, sizeof text,
			   "RECEIPT 1\r\ncursor %.*s\r\nmessage %.*s\r\nto %.*s\r\nstate %.*s\r\nat %llu\r\n\r\n",
			   (int)cursor_len, cursor, ULID_TEXT, id.at, (int)user.len, user.at, (int)state.len,
			   state.at, (unsigned long long)at);
	write_bytes(w, text, (size_t)len);
	return true;
}

/* [id, [field, value...]] of each. */
static int write_page(struct receipts_feed *f, const struct redisReply *reply)
{
	static uint8_t text[PAGE * (BLOCK_MAX + NAME_MAX_BYTES)];
	struct writer w = writer_over(text, sizeof text);
	for (size_t i = 0; i < reply_count(reply) && i < PAGE; i++) {
		const struct redisReply *entry = reply_at(reply, i);
		size_t len = 0;
		const char *cursor = reply_str(reply_at(entry, 0), &len);
		if (!cursor || len >= CURSOR_MAX)
			continue;
		set_cursor(f, cursor, len);
		if (write_block(&w, cursor, len, reply_at(entry, 1)))
			f->dc->counts.receipts_sent++;
		else
			pool_warn("not a receipt in a stream of receipts", RS_EINVAL, NULL);
	}
	return writer_len(&w) ? conn_write(f->feed.conn, text, writer_len(&w)) : RS_OK;
}

/* Redis has answered. False: the connection has gone meanwhile, and f with it. */
static bool take_up(struct receipts_feed *f)
{
	f->asked = false;
	if (f->feed.conn)
		return true;
	free(f);
	return false;
}

static void on_page(void *ctx, int err, const struct redisReply *reply)
{
	struct receipts_feed *f = ctx;
	bool full = !err && reply_count(reply) >= PAGE;
	if (!take_up(f))
		return;
	if (err)
		pool_warn("receipts not read", err, reply);
	else if (write_page(f, reply))
		return;
	if (!err && (full || f->again))
		conn_feed(f->feed.conn);
}

static void go_on(struct feed *feed)
{
	struct receipts_feed *f = of(feed);
	char key[KEY_MAX], from[CURSOR_MAX + 1] = "(", count[RDS_NUM_MAX];
	if (f->asked) {
		f->again = true;
		return;
	}
	size_t len = key_receipts(key, f->app, f->app_len);
	memcpy(from + 1, f->cursor, f->cursor_len);
	struct rds_arg argv[] = {RDS_STR("XRANGE"), RDS_MEM(key, len), RDS_MEM(from, f->cursor_len + 1), RDS_STR("+"),
				 RDS_STR("COUNT"), rds_num(PAGE, count)};
	f->again = false;
	f->asked = pool_command(f->dc->redis, f->app, f->app_len, 6, argv, on_page, f) == RS_OK;
}

static void end(struct feed *feed)
{
	struct receipts_feed *f = of(feed);
	list_remove(&feed->in_kind);
	f->dc->receipts->count--;
	feed->conn = NULL;
	if (!f->asked)
		free(f);
}

/* ---- the beginning ---- */

/* What is older is not kept, so there may be a gap. Not after START: who has seen
 * nothing misses nothing that he could know of. */
static bool may_have_missed(const struct receipts_feed *f)
{
	const char *dash = memchr(f->cursor, '-', f->cursor_len);
	uint64_t ms = 0, kept = (uint64_t)f->dc->config->status_s * 1000;
	int err = text_number((struct text_span){f->cursor, (size_t)(dash - f->cursor)}, 0, UINT64_MAX, &ms);
	return !err && ms > 0 && ms + kept < clock_wall_ms();
}

static void answer_begun(struct receipts_feed *f)
{
	struct answer *a = f->answer;
	struct answer_field fields[] = {{"cursor", f->cursor, f->cursor_len}, {"missed", "maybe", 5}};
	f->answer = NULL;
	answer_ok(a, fields, may_have_missed(f) ? 2 : 1);
}

/* [[id, fields]] of the last one, or [] */
static void on_last(void *ctx, int err, const struct redisReply *reply)
{
	struct receipts_feed *f = ctx;
	struct answer *a = f->answer;
	size_t len = 0;
	const char *cursor = reply_str(reply_at(reply_at(reply, 0), 0), &len);
	if (!take_up(f)) {
		answer_unavailable(a);
		return;
	}
	if (!err && cursor && len < CURSOR_MAX && memchr(cursor, '-', len))
		set_cursor(f, cursor, len);
	if (!err) {
		answer_begun(f);
		return;
	}
	conn_end_feed(f->feed.conn);
	answer_unavailable(a);
}

static int ask_last(struct receipts_feed *f)
{
	char key[KEY_MAX];
	size_t len = key_receipts(key, f->app, f->app_len);
	struct rds_arg argv[] = {RDS_STR("XREVRANGE"), RDS_MEM(key, len), RDS_STR("+"), RDS_STR("-"),
				 RDS_STR("COUNT"), RDS_STR("1")};
	int err = pool_command(f->dc->redis, f->app, f->app_len, 6, argv, on_last, f);
	f->asked = !err;
	return err;
}

/* "<ms>-<number>" as Redis gives them, or "0". */
static bool is_cursor(struct text_span s)
{
	const char *dash = memchr(s.at, '-', s.len);
	uint64_t v;
	if (!dash)
		return text_is(s, "0");
	struct text_span ms = {s.at, (size_t)(dash - s.at)}, number = {dash + 1, s.len - ms.len - 1};
	return ms.len <= MS_DIGITS_MAX && text_number(ms, 0, UINT64_MAX, &v) == RS_OK && number.len <= 20 &&
	       text_number(number, 0, UINT64_MAX, &v) == RS_OK;
}

static struct receipts_feed *make(struct conn *c, struct answer *a)
{
	static const struct feed_kind kind = {go_on, end};
	struct receipts_feed *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->feed.kind = &kind;
	f->dc = c->dc;
	f->answer = a;
	f->app_len = c->app->name_len;
	memcpy(f->app, c->app->name, f->app_len);
	set_cursor(f, START, strlen(START));
	list_append(&c->dc->receipts->feeds, &f->feed.in_kind);
	c->dc->receipts->count++;
	conn_begin_feed(c, &f->feed);
	return f;
}

void receipts_begin(struct conn *c, struct answer *a, const struct text_span *after)
{
	if (after && !is_cursor(*after)) {
		answer_error(a, 400, "after is not a cursor as a receipt has it, nor 0");
		return;
	}
	struct receipts_feed *f = make(c, a);
	if (!f) {
		answer_unavailable(a);
	} else if (after) {
		if (!text_is(*after, "0"))
			set_cursor(f, after->at, after->len);
		answer_begun(f);
	} else if (ask_last(f)) {
		conn_end_feed(c);
		answer_unavailable(a);
	}
}

/* ---- all of them ---- */

void receipts_given(struct receipts *p, struct text_span app)
{
	for (struct list *n = p->feeds.next; n != &p->feeds;) {
		struct receipts_feed *f = of(LIST_ENTRY(n, struct feed, in_kind));
		n = n->next;
		if (f->app_len == app.len && memcmp(f->app, app.at, app.len) == 0)
			conn_feed(f->feed.conn);
	}
}

static void on_poll(struct ev_loop *loop, ev_timer *w, int events)
{
	struct receipts *p = w->data;
	(void)loop, (void)events;
	for (struct list *n = p->feeds.next; n != &p->feeds;) {
		struct feed *f = LIST_ENTRY(n, struct feed, in_kind);
		n = n->next;
		conn_feed(f->conn);
	}
}

int receipts_new(struct receipts **out, struct dc *dc)
{
	struct receipts *p = calloc(1, sizeof *p);
	if (!p)
		return RS_ENOMEM;
	p->dc = dc;
	list_init(&p->feeds);
	ev_timer_init(&p->poll, on_poll, POLL_S, POLL_S);
	p->poll.data = p;
	ev_timer_start(dc->loop, &p->poll);
	*out = p;
	return RS_OK;
}

void receipts_free(struct receipts *p)
{
	if (!p)
		return;
	ev_timer_stop(p->dc->loop, &p->poll);
	free(p);
}

void receipts_metrics(const struct receipts *p, struct metrics *m)
{
	const struct dc_counts *c = &p->dc->counts;
	metrics_gauge(m, "dc_receipt_streams", "Connections that get receipts.", (double)p->count);
	for (int i = 0; i < ENDED_HOWS; i++)
		metrics_labelled(m, i == 0, "counter", "dc_receipts_total", "Receipts given to Apps, by state.", "state",
				 ended_words[i], (double)c->receipts[i]);
	metrics_counter(m, "dc_receipts_awaited_total", "Messages whose App wants a receipt.", c->receipts_awaited);
	metrics_counter(m, "dc_receipts_looked_total", "Times that it was looked up what became of a message whose "
			"receipt had not come.", c->receipts_looked);
	metrics_counter(m, "dc_receipts_late_total", "Receipts that could not be given, or put off, at once.",
			c->receipts_late);
	metrics_counter(m, "dc_receipts_sent_total", "Receipts written to connections.", c->receipts_sent);
}
