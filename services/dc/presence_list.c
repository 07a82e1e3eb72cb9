/* SPDX-License-Identifier: Apache-2.0 */
/* PRESENCE with a list of users: each is asked for by itself, a few at a time, so that
 * one list does not take all that the DC may ask of Redis. */
#include "presence.h"

#include "dc.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 1000, AT_ONCE = 64, LINE_MAX = 2 * NAME_MAX_BYTES + 40 };

struct asked {
	struct roll *roll;
	size_t user_len, broker_len;
	uint64_t ms; /* since, or last seen; 0: not known */
	char user[NAME_MAX_BYTES], broker[NAME_MAX_BYTES];
};

struct roll {
	struct answer *answer;
	size_t count, sent, answered;
	bool failed;
	struct asked at[];
};

/* False: the list is not good, and the answer was given. */
static bool read_names(struct roll *r, struct text_span left)
{
	struct text_span line;
	size_t n = 0;
	for (; n < r->count && text_take_line(&left, &line); n++) {
		const char *fault = name_fault(line.at, line.len);
		if (fault) {
			answer_error(r->answer, 400, "line %zu of the body %s; it must be " NAME_RULE, n + 1, fault);
			return false;
		}
		r->at[n].roll = r;
		r->at[n].user_len = line.len;
		memcpy(r->at[n].user, line.at, line.len);
	}
	if (n == r->count && left.len == 0)
		return true;
	answer_error(r->answer, 400, "the body has %s lines than count says", n < r->count ? "fewer" : "more");
	return false;
}

/* ---- the answer ---- */

static size_t format_line(const struct asked *u, char *out)
{
	char ms[24] = "-";
	if (u->ms)
		snprintf(ms, sizeof ms, "%" PRIu64, u->ms);
	int len = u->broker_len
			  ? snprintf(out, LINE_MAX, "%.*s online %.*s %s\n", (int)u->user_len, u->user,
				     (int)u->broker_len, u->broker, ms)
			  : snprintf(out, LINE_MAX, "%.*s offline %s\n", (int)u->user_len, u->user, ms);
	return (size_t)len;
}

static void finish(struct roll *r)
{
	struct answer *a = r->answer;
	char text[24], *body = r->failed ? NULL : malloc(r->count * LINE_MAX);
	struct answer_field field = {"count", text, (size_t)snprintf(text, sizeof text, "%zu", r->count)};
	size_t len = 0;
	for (size_t i = 0; body && i < r->count; i++)
		len += format_line(&r->at[i], body + len);
	free(r);
	if (body)
		answer_ok_body(a, &field, 1, body, len);
	else
		answer_unavailable(a);
}

/* ---- asking ---- */

static void ask_more(struct roll *r);

static void on_presence(void *ctx, int err, const struct redisReply *reply)
{
	struct asked *u = ctx;
	struct roll *r = u->roll;
	struct whereabouts w = {.broker = {NULL, 0}};
	if (err)
		r->failed = true;
	else
		w = whereabouts_read(r->answer->dc, reply);
	u->ms = w.broker.len ? w.since_ms : w.seen_ms;
	u->broker_len = w.broker.len;
	if (w.broker.len)
		memcpy(u->broker, w.broker.text, w.broker.len);
	r->answered++;
	ask_more(r);
}

static int ask(struct asked *u)
{
	char key[KEY_MAX];
	size_t len = key_presence(key, u->user, u->user_len);
	struct rds_arg argv[] = {RDS_STR("HMGET"), RDS_MEM(key, len), PRESENCE_FIELDS};
	return pool_command(u->roll->answer->dc->redis, u->user, u->user_len, 6, argv, on_presence, u);
}

/* Ends r when there is nothing more to ask and all has been answered. */
static void ask_more(struct roll *r)
{
	while (!r->failed && r->sent < r->count && r->sent - r->answered < AT_ONCE) {
		if (ask(&r->at[r->sent]))
			r->failed = true;
		else
			r->sent++;
	}
	if (r->sent == r->answered && (r->failed || r->sent == r->count))
		finish(r);
}

void presence_list(struct answer *a, struct text_span count, const uint8_t *body, size_t len)
{
	uint64_t n = 0;
	if (text_number(count, 1, LIST_MAX, &n)) {
		answer_error(a, 400, "count is not a whole number from 1 to %d", LIST_MAX);
		return;
	}
	struct roll *r = calloc(1, sizeof *r + n * sizeof *r->at);
	if (!r) {
		answer_unavailable(a);
		return;
	}
	r->answer = a;
	r->count = (size_t)n;
	if (!read_names(r, (struct text_span){(const char *)body, len})) {
		free(r);
		return;
	}
	answer_will_be_long(a);
	ask_more(r);
}
