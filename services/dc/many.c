/* SPDX-License-Identifier: Apache-2.0 */
#include "many.h"

#include "dc.h"
#include "fan_board.h"
#include "fan_job.h"
#include "fan_launch.h"
#include "limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a request needs until it is answered: the names, and a byte for what became of
 * each. */
struct many {
	struct answer *a;
	struct fan *fan; /* until it is on the board */
	uint64_t count;
	size_t names_len;
	uint8_t *states; /* count of enum fan_outcome; in the same memory as: */
	char *names;     /* a line each */
};

static void many_free(struct many *m)
{
	if (!m)
		return;
	fan_free(m->fan);
	free(m);
}

/* --- the names --- */

/* Takes all names off the body, so that the message is left. False: the answer was given.
 * The last name has an end, too: else a message would be taken for a name when count is
 * one too many. */
static bool take_names(struct answer *a, uint64_t count, struct text_span *body)
{
	struct text_span line;
	for (uint64_t i = 1; i <= count; i++) {
		bool there = text_take_line(body, &line) && body->at[-1] == '\n';
		const char *fault = there ? name_fault(line.at, line.len) : NULL;
		if (there && !fault)
			continue;
		if (there)
			answer_error(a, 400, "line %" PRIu64 " of the body %s; it must be " NAME_RULE, i, fault);
		else
			answer_error(a, 400, "line %" PRIu64 " of the body is missing; count is %" PRIu64
				     ", a name on a line each", i, count);
		return false;
	}
	return true;
}

/* names: `count` lines, and what comes behind them. */
static struct many *many_new(struct answer *a, uint64_t count, struct text_span names)
{
	struct text_span line;
	struct many *m = malloc(sizeof *m + count + names.len);
	if (!m)
		return NULL;
	*m = (struct many){.a = a, .count = count, .states = (uint8_t *)(m + 1)};
	m->names = (char *)m->states + count;
	memset(m->states, FAN_UNAVAILABLE, count);
	for (uint64_t i = 0; i < count && text_take_line(&names, &line); i++) {
		memcpy(m->names + m->names_len, line.at, line.len);
		m->names_len += line.len;
		m->names[m->names_len++] = '\n';
	}
	return m;
}

/* --- the answer --- */

/* "name state", a line each; NULL: out of memory. */
static char *list_states(const struct many *m, size_t *len)
{
	struct text_span names = {m->names, m->names_len}, line;
	size_t cap = m->names_len;
	for (uint64_t i = 0; i < m->count; i++)
		cap += 1 + strlen(fan_outcome_words[m->states[i]]);
	char *text = malloc(cap), *out = text;
	for (uint64_t i = 0; text && text_take_line(&names, &line); i++) {
		const char *word = fan_outcome_words[m->states[i]];
		size_t word_len = strlen(word);
		memcpy(out, line.at, line.len);
		out += line.len;
		*out++ = ' ';
		memcpy(out, word, word_len);
		out += word_len;
		*out++ = '\n';
	}
	*len = text ? (size_t)(out - text) : 0;
	return text;
}

static void answer_all(struct many *m)
{
	char id[ULID_TEXT + 1], numbers[FAN_OUTCOMES + 1][24];
	struct answer_field fields[2 + FAN_OUTCOMES];
	uint64_t counts[FAN_OUTCOMES] = {0};
	size_t n = 0, len = 0;
	for (uint64_t i = 0; i < m->count; i++)
		counts[m->states[i]]++;
	fields[n++] = (struct answer_field){"message", ulid_format(&m->a->message, id), ULID_TEXT};
	fields[n++] = (struct answer_field){"count", numbers[FAN_OUTCOMES],
					    (size_t)sprintf(numbers[FAN_OUTCOMES], "%" PRIu64, m->count)};
	for (int i = 0; i < FAN_OUTCOMES; i++)
		if (counts[i])
			fields[n++] = (struct answer_field){fan_outcome_words[i], numbers[i],
							    (size_t)sprintf(numbers[i], "%" PRIu64, counts[i])};
	char *text = list_states(m, &len);
	if (text)
		answer_ok_body(m->a, fields, n, text, len);
	else
		answer_unavailable(m->a);
}

static void on_served(void *ctx, uint64_t at, enum fan_outcome outcome)
{
	struct many *m = ctx;
	if (at < m->count)
		m->states[at] = (uint8_t)outcome;
}

static void on_end(void *ctx)
{
	struct many *m = ctx;
	answer_all(m);
	many_free(m);
}

/* --- the fan-out --- */

static void run(struct many *m)
{
	struct fan *f = m->fan;
	m->fan = NULL;
	f->names.at = m->names;
	f->names.end = m->names + m->names_len;
	f->waited_for = true;
	f->on_served = on_served;
	f->on_end = on_end;
	f->ctx = m;
	fan_set_state(f, FAN_READING);
	fan_board_add(f->dc->fans, f);
}

static void refuse(struct many *m, int err)
{
	answer_redis_error(m->a, err);
	many_free(m);
}

static void answer_withdrawn(struct many *m)
{
	memset(m->states, FAN_DUPLICATE, m->count);
	on_end(m);
}

/* Of a repetition: who gets it now needs the body, and it may have been withdrawn since. */
static void on_kept(void *ctx, int err, const struct redisReply *reply)
{
	struct many *m = ctx;
	int64_t kept = 0;
	if (!err && !reply_int(reply, &kept))
		err = RS_EREMOTE;
	if (err) {
		pool_warn("the body of a message to many was not kept", err, reply);
		refuse(m, err);
	} else if (kept == -1) {
		answer_withdrawn(m);
	} else {
		run(m);
	}
}

static void on_launched(void *ctx, int err, enum launched how)
{
	struct many *m = ctx;
	m->a->message = m->fan->id;
	if (!err && how == LAUNCH_REPEATED) {
		m->fan->shared = true;
		err = fan_job_keep(m->fan, on_kept, m);
		if (!err)
			return;
	}
	if (err)
		refuse(m, err);
	else if (how == LAUNCH_WITHDRAWN)
		answer_withdrawn(m);
	else
		run(m);
}

static void launch(struct many *m, const struct send *send)
{
	struct answer *a = m->a;
	m->fan = fan_new(a->dc, FAN_LIST, send);
	int err = m->fan ? fan_set_record(m->fan, send, (struct text_span){a->id, a->id_len}) : RS_ENOMEM;
	if (!err) {
		m->fan->total = m->count;
		err = fan_launch(m->fan, (struct text_span){m->names, m->names_len}, on_launched, m);
	}
	if (!err)
		return;
	answer_redis_error(a, err);
	many_free(m);
}

static bool take_count(struct answer *a, const struct text_request *r, uint64_t *count)
{
	const struct text_span *value = text_value(r, "count");
	if (value && text_number(*value, 1, MANY_RECIPIENTS_MAX, count) == RS_OK)
		return true;
	answer_error(a, 400, "count %s a whole number from 1 to %d", value ? "is not" : "is missing; it must be",
		     MANY_RECIPIENTS_MAX);
	return false;
}

void many_send(struct conn *c, struct answer *a, const struct text_request *r, struct send *send,
	       const uint8_t *body)
{
	uint64_t count;
	struct text_span names = {(const char *)body, r->body_len}, message = names;
	answer_will_be_long(a);
	if (!take_count(a, r, &count) || !take_names(a, count, &message))
		return;
	send->body = (const uint8_t *)message.at;
	send->body_len = message.len;
	if (!limit_allows_message(a, c->app, send->body_len) || !limit_allows_rate(a, c->app, (unsigned)count))
		return;
	names.len -= message.len;
	struct many *m = many_new(a, count, names);
	if (m)
		launch(m, send);
	else
		answer_unavailable(a);
}
