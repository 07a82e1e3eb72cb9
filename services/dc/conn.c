/* SPDX-License-Identifier: Apache-2.0 */
/* A connection is read only while its answers have room: at most
 * CONN_ANSWERS_MAX due, the output queue not over its half, no AUTH under way. Bodies
 * of answers go out in pieces, as the queue has room for them. */
#include "conn.h"

#include "apps.h"
#include "base/clock.h"
#include "base/log.h"
#include "dc.h"
#include "limit.h"
#include "net/stream.h"
#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a request that did not become whole. */
static void give_place_back(struct conn *c)
{
	if (c->many)
		many_release(c->dc, c->many);
	c->many = NULL;
	c->waits_many = false;
}

void conn_begin_feed(struct conn *c, struct feed *f)
{
	f->conn = c;
	c->feed = f;
}

void conn_end_feed(struct conn *c)
{
	struct feed *f = c->feed;
	c->feed = NULL;
	if (f)
		f->kind->end(f);
}

/* The stream is gone or goes with this. The memory stays until the sweep, for
 * callers further up. */
void conn_end(struct conn *c)
{
	if (c->state == CONN_DEAD)
		return;
	c->state = CONN_DEAD;
	conn_end_feed(c);
	stream_free(c->stream);
	c->stream = NULL;
	for (struct list *n = c->answers.next; n != &c->answers;) {
		struct answer *a = LIST_ENTRY(n, struct answer, in_conn);
		n = n->next;
		list_remove(&a->in_conn);
		a->conn = NULL;
		if (a->ready)
			answer_free(a);
	}
	c->answer_count = 0;
	give_place_back(c);
	app_put(c->app);
	c->app = NULL;
	apps_conn_ended(c->apps, &c->from);
}

static void finish_conn(struct conn *c)
{
	c->state = CONN_FINISHING;
	conn_end_feed(c);
	c->deadline_ms = clock_mono_ms() + CONN_FINISH_MS;
	stream_finish(c->stream);
}

static bool may_read(const struct conn *c)
{
	return !c->auth_waits && !c->waits_many && c->answer_count < CONN_ANSWERS_MAX &&
	       c->long_answers < CONN_LONG_MAX && stream_out_len(c->stream) <= CONN_OUT_MAX / 2;
}

bool conn_has_room(const struct conn *c)
{
	return c->state == CONN_OPEN && list_empty(&c->answers) && stream_out_len(c->stream) <= CONN_OUT_MAX / 2;
}

void conn_feed(struct conn *c)
{
	if (c->feed && conn_has_room(c))
		c->feed->kind->go_on(c->feed);
}

int conn_write(struct conn *c, const void *data, size_t len)
{
	int err = stream_write(c->stream, data, len);
	c->out_total += len;
	if (err)
		conn_end(c);
	return err;
}

static void pause_conn(struct conn *c)
{
	c->paused = true;
	c->part = PART_NONE; /* the wait is ours: no deadline runs */
	if (c->waits_many)
		c->stats->refused_many++;
	else if (!c->auth_waits)
		c->stats->refused_answers++;
	stream_pause(c->stream);
}

void conn_go_on(struct conn *c)
{
	if (c->state != CONN_OPEN || !c->paused || !may_read(c) ||
	    c->answer_count > CONN_ANSWERS_MAX / 2)
		return;
	c->paused = false;
	stream_resume(c->stream);
}

void conn_forget_app(struct conn *c)
{
	if (!c->app)
		return;
	c->auth_by_ms = clock_mono_ms() + CONN_AUTH_MS;
	app_put(c->app);
	c->app = NULL;
}

void conn_last(struct conn *c)
{
	if (c->state == CONN_OPEN)
		c->state = CONN_LAST;
}

static void write_piece(struct conn *c, struct answer *a, const void *data, size_t len)
{
	a->handed += len;
	if (conn_write(c, data, len))
		log_debug("app is gone before its answer was out");
}

/* The text, or the next piece of the body. Frees an answer that is handed over. */
static void hand_over(struct conn *c, struct answer *a)
{
	size_t left = a->text_len + a->body_len - a->handed;
	if (a->handed == 0)
		write_piece(c, a, a->text, a->text_len);
	else
		write_piece(c, a, a->body + a->body_len - left, left < CONN_PIECE_MAX ? left : CONN_PIECE_MAX);
	if (c->state == CONN_DEAD || a->handed < a->text_len + a->body_len)
		return;
	c->answer_count--;
	c->long_answers -= a->is_long;
	answer_free(a);
}

/* What there is no room for now follows when the stream has drained. */
void conn_flush(struct conn *c)
{
	while (c->state != CONN_DEAD && !list_empty(&c->answers)) {
		struct answer *a = LIST_ENTRY(c->answers.next, struct answer, in_conn);
		if (!a->ready || stream_out_len(c->stream) > CONN_OUT_MAX - CONN_PIECE_MAX)
			break;
		hand_over(c, a);
	}
	if (c->state == CONN_LAST && list_empty(&c->answers))
		finish_conn(c);
	else
		conn_go_on(c);
	conn_feed(c);
}

static struct answer *next_answer(struct conn *c)
{
	struct answer *a = answer_new(c->dc, c);
	if (!a) {
		log_error("out of memory for an answer");
		conn_end(c);
		return NULL;
	}
	list_append(&c->answers, &a->in_conn);
	c->answer_count++;
	return a;
}

static void set_part(struct conn *c, enum conn_part part)
{
	if (c->part == part)
		return;
	c->part = part;
	c->deadline_ms = clock_mono_ms() + (part == PART_HEADER ? CONN_HEADER_MS : CONN_BODY_MS);
}

/* Line ends before a request, as they stay behind when a body was typed by hand. */
static void skip_blank(struct buf *in)
{
	size_t n = 0;
	const uint8_t *p = buf_head(in);
	while (n < buf_len(in) && (p[n] == '\n' || (p[n] == '\r' && n + 1 < buf_len(in) && p[n + 1] == '\n')))
		n++;
	buf_consume(in, n);
}

static bool skip_body(struct conn *c, struct buf *in)
{
	size_t n = c->skip < buf_len(in) ? c->skip : buf_len(in);
	buf_consume(in, n);
	c->skip -= n;
	if (c->skip)
		set_part(c, PART_BODY);
	else
		c->part = PART_NONE;
	return c->skip == 0;
}

static void refuse_header(struct conn *c, const struct text_request *r, int err, const char *fault)
{
	struct answer *a = next_answer(c);
	if (!a)
		return;
	conn_last(c);
	if (r->at_fault.len)
		answer_error(a, 400, "%.*s: %s", (int)(r->at_fault.len < 64 ? r->at_fault.len : 64),
			     r->at_fault.at, fault);
	else
		answer_error(a, err == RS_ELIMIT ? 431 : 400, "%s", fault);
}

/* The body is too long. What can be skipped is, so that the stream stays in step. */
static void refuse_body(struct conn *c, struct buf *in, const struct text_request *r)
{
	struct answer *a = next_answer(c);
	if (!a)
		return;
	request_take_id(a, r);
	c->need = 0; /* the App may have been removed while a long body came */
	give_place_back(c);
	if (r->body_len > TEXT_BODY_SKIP_MAX)
		conn_last(c);
	else
		c->skip = r->body_len;
	buf_consume(in, r->header_len);
	if (request_is_many(c, r))
		answer_error(a, 413, "length is over %d bytes", TEXT_MANY_MAX);
	else
		limit_refuse_body(a, c->app);
}

static void take_whole(struct conn *c, struct buf *in, const struct text_request *r)
{
	struct answer *a = next_answer(c);
	if (!a)
		return;
	a->many = c->many;
	c->many = NULL;
	request_handle(c, a, r, buf_head(in) + r->header_len);
	c->need = 0;
	c->part = PART_NONE;
	if (c->state == CONN_DEAD)
		return;
	buf_consume(in, r->header_len + r->body_len);
	stream_set_in_max(c->stream, 0);
}

/* A request of many recipients takes a place before its body is read: these may be
 * long. False: there is none, and the connection waits. */
static bool take_place(struct conn *c, const struct text_request *r)
{
	if (c->many || !request_is_many(c, r))
		return true;
	if (!many_take(c->dc, c->app)) {
		c->waits_many = true;
		pause_conn(c);
		return false;
	}
	c->many = c->app;
	stream_set_in_max(c->stream, TEXT_HEADER_MAX + TEXT_MANY_MAX);
	return true;
}

/* Takes one request off `in`; false if there is none that is whole. */
static bool take_request(struct conn *c, struct buf *in)
{
	struct text_request r;
	const char *fault = NULL;
	if (c->skip && !skip_body(c, in))
		return false;
	if (!c->need)
		skip_blank(in);
	if (buf_len(in) == 0 || buf_len(in) < c->need) {
		set_part(c, c->need ? PART_BODY : PART_NONE);
		return false;
	}
	int err = text_parse(buf_head(in), buf_len(in), &r, &fault);
	if (err == RS_EAGAIN) {
		set_part(c, PART_HEADER);
		return false;
	}
	if (err) {
		refuse_header(c, &r, err, fault);
	} else if (r.body_len > (request_is_many(c, &r) ? TEXT_MANY_MAX : TEXT_BODY_MAX)) {
		c->part = PART_NONE;
		refuse_body(c, in, &r);
	} else if (!take_place(c, &r)) {
		return false;
	} else if (buf_len(in) < r.header_len + r.body_len) {
		c->need = r.header_len + r.body_len;
		set_part(c, PART_BODY);
		return false;
	} else {
		take_whole(c, in, &r);
	}
	return true;
}

static void on_data(void *ctx, struct buf *in)
{
	struct conn *c = ctx;
	while (c->state == CONN_OPEN) {
		if (!may_read(c)) {
			pause_conn(c);
			return;
		}
		if (!take_request(c, in))
			return;
	}
	if (c->state != CONN_DEAD)
		buf_consume(in, buf_len(in)); /* nothing after the last answer counts */
}

static void on_drain(void *ctx)
{
	conn_flush(ctx);
}

/* The App sends no more, but may wait for its answers. */
static void on_end(void *ctx)
{
	struct conn *c = ctx;
	struct answer *a;
	if (c->state != CONN_OPEN)
		return;
	if (c->part != PART_NONE && !c->skip && (a = next_answer(c)) != NULL) {
		conn_last(c);
		c->part = PART_NONE;
		answer_error(a, 400, "the connection was ended before the request was whole");
		return;
	}
	conn_last(c);
	conn_flush(c);
}

static void on_close(void *ctx, int err, const char *why)
{
	struct conn *c = ctx;
	char from[ADDR_TEXT_MAX];
	struct text_span app = app_name(c->app);
	log_debug("app disconnected", LOG_STR("from", addr_format(&c->from, from)),
		  LOG_BYTES("app", app.at, app.len), LOG_STR("err", err_str(err)), LOG_STR("why", why));
	conn_end(c);
}

static const struct stream_handler handler = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_end = on_end,
	.on_close = on_close,
};

int conn_new(struct conn **out, struct apps *apps, struct dc *dc, struct conn_stats *stats, int fd,
	     const struct addr *from)
{
	static const struct stream_limits limits = {.out_max = CONN_OUT_MAX};
	struct conn *c = calloc(1, sizeof *c);
	if (!c) {
		close(fd);
		return RS_ENOMEM;
	}
	c->apps = apps;
	c->dc = dc;
	c->stats = stats;
	c->from = *from;
	c->auth_by_ms = clock_mono_ms() + CONN_AUTH_MS;
	list_init(&c->answers);
	int err = stream_accept(&c->stream, dc->loop, fd, NULL, &limits, &handler, c);
	if (err)
		free(c);
	else
		*out = c;
	return err;
}

static void end_unauthenticated(struct conn *c)
{
	struct answer *a = next_answer(c);
	c->stats->no_auth++;
	if (!a)
		return;
	conn_last(c);
	c->part = PART_NONE;
	answer_error(a, 408, "no AUTH succeeded within %d s", CONN_AUTH_MS / 1000);
}

/* Reading stopped for the answers, and the other side takes none of them. */
static bool has_stalled(struct conn *c, uint64_t now)
{
	size_t queued = stream_out_len(c->stream);
	uint64_t taken = c->out_total - queued;
	if (!c->paused || queued == 0 || taken != c->taken) {
		c->taken = taken;
		c->taken_ms = now;
	}
	return now - c->taken_ms >= CONN_STALL_MS;
}

static void end_stalled(struct conn *c)
{
	char from[ADDR_TEXT_MAX];
	struct text_span app = app_name(c->app);
	c->stats->stalled++;
	log_info("app does not take its answers", LOG_STR("from", addr_format(&c->from, from)),
		 LOG_BYTES("app", app.at, app.len), LOG_INT("answers", c->answer_count),
		 LOG_INT("bytes", stream_out_len(c->stream)));
	conn_end(c);
}

static void time_out(struct conn *c)
{
	bool header = c->part == PART_HEADER;
	struct answer *a = next_answer(c);
	if (!a)
		return;
	conn_last(c);
	c->part = PART_NONE;
	answer_error(a, 408, header ? "the header was not finished within 10 s"
				    : "the body was not finished within 30 s");
}

static void sweep_open(struct conn *c, uint64_t now)
{
	if (has_stalled(c, now))
		end_stalled(c);
	else if (!c->app && !c->auth_waits && now >= c->auth_by_ms)
		end_unauthenticated(c);
	else if (c->part != PART_NONE && now >= c->deadline_ms)
		time_out(c);
}

void conn_sweep(struct conn *c, uint64_t now_ms)
{
	if (c->state == CONN_OPEN)
		sweep_open(c, now_ms);
	else if (c->state == CONN_FINISHING && now_ms >= c->deadline_ms)
		conn_end(c);
}

void conn_end_stream(struct conn *c)
{
	struct answer *a = next_answer(c);
	if (!a)
		return;
	conn_last(c);
	answer_error(a, 401, "this App was removed");
}
