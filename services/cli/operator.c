/* SPDX-License-Identifier: Apache-2.0 */
/* rds/ is made for daemons: it tries again until it works. Somebody who waits at a
 * prompt wants to know at once why it does not, so the server is probed before. */
#include "operator.h"

#include "probe.h"
#include "say.h"

#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UP_WAIT_S 3.0
#define ANSWER_WAIT_S 10.0 /* rds gives up before */

struct wait {
	struct operator *op;
	operator_reply_fn *fn;
	void *ctx;
	bool done;
	int err;
};

static int fail(struct operator *op, int err, const char *fmt, ...) RS_PRINTF(3, 4);
static int fail(struct operator *op, int err, const char *fmt, ...)
{
	char at[ADDR_TEXT_MAX];
	int len = snprintf(op->fault, sizeof op->fault, "Redis at %s ", addr_format(&op->settings->redis, at));
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(op->fault + len, sizeof op->fault - (size_t)len, fmt, ap);
	va_end(ap);
	if (!op->quiet)
		say("%s", op->fault);
	return err;
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop, (void)w, (void)events;
}

/* Runs the loop until *done or the time is up. */
static bool run_until(struct operator *op, const bool *done, double seconds)
{
	ev_timer timer;
	ev_timer_init(&timer, on_timeout, seconds, 0.);
	ev_now_update(op->loop);
	ev_timer_start(op->loop, &timer);
	while (!*done && ev_is_active(&timer))
		ev_run(op->loop, EVRUN_ONCE);
	ev_timer_stop(op->loop, &timer);
	return *done;
}

static void on_redis(void *ctx, bool up)
{
	struct operator *op = ctx;
	op->up = up;
}

static int connect_redis(struct operator *op)
{
	const struct settings *s = op->settings;
	struct rds_config config = {.addr = s->redis, .password = op->password[0] ? op->password : NULL};
	op->loop = ev_loop_new(EVFLAG_AUTO);
	if (!op->loop || rds_new(&op->rds, op->loop, &config, on_redis, op))
		return fail(op, RS_ENOMEM, "cannot be used: no event loop");
	if (run_until(op, &op->up, UP_WAIT_S))
		return RS_OK;
	return fail(op, RS_EDOWN, "does not take the connection; %s",
		    config.password ? "is the password in redis_password_file right?"
				    : "is the program on this port a Redis 7?");
}

static int read_password(struct operator *op)
{
	size_t len;
	if (!op->settings->redis_password_file[0])
		return RS_OK;
	char why[400];
	int err = keyfile_read_secret(op->settings->redis_password_file, op->password,
				      sizeof op->password, &len, why, sizeof why);
	if (err)
		snprintf(op->fault, sizeof op->fault, "redis_password_file: %s", why);
	if (err && !op->quiet)
		say("%s", op->fault);
	return err;
}

int operator_open(struct operator *op, const struct settings *s, bool quiet)
{
	char why[PROBE_WHY_MAX];
	*op = (struct operator){.settings = s, .quiet = quiet};
	int err = read_password(op);
	if (err)
		return err;
	err = probe_redis(&s->redis, op->password[0] != '\0', why);
	if (err)
		return fail(op, err, "%s", why);
	return connect_redis(op);
}

void operator_close(struct operator *op)
{
	rds_free(op->rds);
	if (op->loop)
		ev_loop_destroy(op->loop);
	explicit_bzero(op->password, sizeof op->password);
	op->rds = NULL;
	op->loop = NULL;
}

/* ---- requests ---- */

static void on_reply(void *ctx, int err, const struct redisReply *reply)
{
	struct wait *w = ctx;
	size_t len = 0;
	const char *text = err == RS_EREMOTE ? reply_str(reply, &len) : NULL;
	char shown[SAY_WORD_MAX];
	w->done = true;
	w->err = err;
	if (text)
		fail(w->op, err, "refuses: %s", say_word(text, shown));
	else if (err)
		fail(w->op, err, "did not answer: %s", err_str(err));
	else if (w->fn)
		w->fn(w->ctx, reply);
}

static int wait_for(struct operator *op, struct wait *w, int err)
{
	if (err)
		return fail(op, err, "cannot be asked: %s", err_str(err));
	if (!run_until(op, &w->done, ANSWER_WAIT_S)) {
		rds_free(op->rds); /* answers what is due, so that nothing comes later */
		op->rds = NULL;
	}
	return w->err;
}

int operator_command(struct operator *op, size_t argc, const struct rds_arg *argv,
		     operator_reply_fn *fn, void *ctx)
{
	struct wait w = {.op = op, .fn = fn, .ctx = ctx};
	if (!op->rds)
		return fail(op, RS_EDOWN, "is not connected");
	return wait_for(op, &w, rds_command(op->rds, argc, argv, on_reply, &w));
}

int operator_script(struct operator *op, enum script_id script, size_t keys, size_t argc,
		    const struct rds_arg *argv, operator_reply_fn *fn, void *ctx)
{
	struct wait w = {.op = op, .fn = fn, .ctx = ctx};
	if (!op->rds)
		return fail(op, RS_EDOWN, "is not connected");
	return wait_for(op, &w, rds_script(op->rds, script, keys, argc, argv, on_reply, &w));
}

struct number {
	int64_t value;
	bool good;
};

static void on_number(void *ctx, const struct redisReply *reply)
{
	struct number *n = ctx;
	n->good = reply_int(reply, &n->value);
}

int operator_number(struct operator *op, enum script_id script, size_t keys, size_t argc,
		    const struct rds_arg *argv, int64_t *out)
{
	struct number n = {0, false};
	int err = operator_script(op, script, keys, argc, argv, on_number, &n);
	if (!err && !n.good)
		err = fail(op, RS_EREMOTE, "gave an answer that is no number");
	*out = n.value;
	return err;
}

/* ---- registry ---- */

struct listing {
	struct member *members;
	size_t count;
	bool done;
};

static void on_members(void *ctx, const struct member *members, size_t count, uint64_t redis_now_ms)
{
	struct listing *l = ctx;
	(void)redis_now_ms;
	if (l->done)
		return;
	memcpy(l->members, members, count * sizeof *members);
	l->count = count;
	l->done = true;
}

static int compare_ids(const void *a, const void *b)
{
	return strverscmp(((const struct member *)a)->id, ((const struct member *)b)->id);
}

int operator_members(struct operator *op, const char *kind, struct member *members, size_t *count)
{
	struct listing l = {.members = members};
	struct registry_watch *w = NULL;
	if (!op->rds || registry_watch(&w, op->loop, op->rds, kind, on_members, &l))
		return fail(op, RS_EDOWN, "cannot be asked for the registry");
	bool done = run_until(op, &l.done, ANSWER_WAIT_S);
	registry_watch_free(w);
	*count = l.count;
	qsort(members, l.count, sizeof *members, compare_ids);
	return done ? RS_OK : fail(op, RS_ETIMEOUT, "did not answer in time");
}

int operator_list(const struct settings *s, const char *kind, struct member *members, size_t *count)
{
	struct operator op;
	*count = 0;
	int err = operator_open(&op, s, false);
	if (!err)
		err = operator_members(&op, kind, members, count);
	operator_close(&op);
	return err;
}
