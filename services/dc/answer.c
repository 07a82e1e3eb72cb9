/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include "apps.h"
#include "dc.h"
#include "wire/cursor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE_MAX = 4096 };

static const int codes[] = {400, 401, 403, 404, 408, 413, 429, 431, 501, 503, 504, 505};
enum { CODES = sizeof codes / sizeof *codes };

struct answers {
	struct list spare;
	size_t spare_count;
	uint64_t ok, errors[CODES];
};

int answers_new(struct answers **out)
{
	struct answers *p = calloc(1, sizeof *p);
	if (!p)
		return RS_ENOMEM;
	list_init(&p->spare);
	*out = p;
	return RS_OK;
}

void answers_free(struct answers *p)
{
	if (!p)
		return;
	while (!list_empty(&p->spare)) {
		struct answer *a = LIST_ENTRY(p->spare.next, struct answer, in_conn);
		list_remove(&a->in_conn);
		free(a);
	}
	free(p);
}

static void count_error(struct answers *p, int code)
{
	for (size_t i = 0; i < CODES; i++)
		if (codes[i] == code)
			p->errors[i]++;
}

void answers_metrics(const struct answers *p, struct metrics *m)
{
	metrics_counter(m, "dc_answers_ok_total", "Requests answered with OK.", p->ok);
	for (size_t i = 0; i < CODES; i++) {
		char code[8];
		snprintf(code, sizeof code, "%d", codes[i]);
		metrics_labelled(m, i == 0, "counter", "dc_answers_error_total",
				 "Requests answered with an error, by code.", "code", code,
				 (double)p->errors[i]);
	}
}

struct answer *answer_new(struct dc *dc, struct conn *conn)
{
	struct answers *p = dc->answers;
	struct answer *a;
	if (list_empty(&p->spare)) {
		a = malloc(sizeof *a);
		if (!a)
			return NULL;
	} else {
		a = LIST_ENTRY(p->spare.next, struct answer, in_conn);
		list_remove(&a->in_conn);
		p->spare_count--;
	}
	list_init(&a->in_conn);
	a->dc = dc;
	a->conn = conn;
	a->ready = a->is_long = false;
	a->body = NULL;
	a->body_len = a->handed = 0;
	a->id_len = a->text_len = a->name_len = a->record_len = 0;
	a->record = NULL;
	a->many = NULL;
	return a;
}

void answer_free(struct answer *a)
{
	struct answers *p = a->dc->answers;
	list_remove(&a->in_conn);
	if (a->record != a->small)
		free(a->record);
	free(a->body);
	if (p->spare_count == SPARE_MAX) {
		free(a);
		return;
	}
	/* To the front: the memory that was touched last is used next. */
	list_append(p->spare.next, &a->in_conn);
	p->spare_count++;
}

bool many_take(struct dc *dc, struct app *app)
{
	if (dc->many == MANY_MAX || app->many == MANY_APP_MAX)
		return false;
	dc->many++;
	app_get(app)->many++;
	return true;
}

void many_release(struct dc *dc, struct app *app)
{
	dc->many--;
	app->many--;
	app_put(app);
	if (dc->apps)
		apps_wake(dc->apps);
}

void answer_will_be_long(struct answer *a)
{
	a->is_long = true;
	if (a->conn)
		a->conn->long_answers++;
}

void answer_set_name(struct answer *a, struct text_span name)
{
	memcpy(a->name, name.at, name.len);
	a->name_len = name.len;
}

int answer_reserve_record(struct answer *a, size_t len)
{
	a->record = len <= sizeof a->small ? a->small : malloc(len);
	return a->record ? RS_OK : RS_ENOMEM;
}

static void put_field(struct writer *w, const char *name, const char *value, size_t len)
{
	write_bytes(w, name, strlen(name));
	write_bytes(w, " ", 1);
	write_bytes(w, value, len);
	write_bytes(w, "\r\n", 2);
}

static struct writer begin(struct answer *a, const char *first_line)
{
	struct writer w = writer_over(a->text, sizeof a->text);
	write_bytes(&w, first_line, strlen(first_line));
	if (a->id_len)
		put_field(&w, "id", a->id, a->id_len);
	return w;
}

static void become_ready(struct answer *a, struct writer *w)
{
	write_bytes(w, "\r\n", 2);
	a->text_len = writer_len(w);
	a->ready = true;
	if (a->many) /* what it needs from here on counts with the connection's answers */
		many_release(a->dc, a->many);
	a->many = NULL;
	if (a->conn)
		conn_flush(a->conn);
	else
		answer_free(a);
}

static struct writer begin_ok(struct answer *a, const struct answer_field *fields, size_t count)
{
	struct writer w = begin(a, "OK 200\r\n");
	for (size_t i = 0; i < count; i++)
		put_field(&w, fields[i].name, fields[i].value, fields[i].value_len);
	a->dc->answers->ok++;
	return w;
}

void answer_ok(struct answer *a, const struct answer_field *fields, size_t count)
{
	struct writer w = begin_ok(a, fields, count);
	become_ready(a, &w);
}

void answer_ok_body(struct answer *a, const struct answer_field *fields, size_t count, void *body, size_t len)
{
	char text[24];
	struct writer w = begin_ok(a, fields, count);
	put_field(&w, "length", text, (size_t)snprintf(text, sizeof text, "%zu", len));
	a->body = body;
	a->body_len = len;
	become_ready(a, &w);
}

/* after_s 0: no word of when it may be tried again. */
static void fail(struct answer *a, int code, unsigned after_s, const char *fmt, va_list ap) RS_PRINTF(4, 0);
static void fail(struct answer *a, int code, unsigned after_s, const char *fmt, va_list ap)
{
	char line[24], after[12], reason[ANSWER_TEXT_MAX - 128]; /* an id and the rest fit beside it */
	int len = vsnprintf(reason, sizeof reason, fmt, ap);
	if (len < 0)
		len = 0;
	if ((size_t)len >= sizeof reason)
		len = sizeof reason - 1;
	snprintf(line, sizeof line, "ERR %d\r\n", code);
	struct writer w = begin(a, line);
	if (after_s)
		put_field(&w, "retry-after", after, (size_t)snprintf(after, sizeof after, "%u", after_s));
	put_field(&w, "reason", reason, (size_t)len);
	count_error(a->dc->answers, code);
	become_ready(a, &w);
}

void answer_error(struct answer *a, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail(a, code, 0, fmt, ap);
	va_end(ap);
}

void answer_retry(struct answer *a, int code, unsigned after_s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail(a, code, after_s, fmt, ap);
	va_end(ap);
}

void answer_unavailable(struct answer *a)
{
	answer_error(a, 503, "unavailable, try again");
}

void answer_redis_error(struct answer *a, int err)
{
	if (err == RS_ETIMEOUT || err == RS_ELOST)
		answer_error(a, 504, "unknown, send again with the same id");
	else
		answer_unavailable(a);
}
