/* SPDX-License-Identifier: Apache-2.0 */
#include "durability.h"

#include "base/log.h"
#include "dc.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_S 5.0 /* always: CONFIG SET changes it while Redis runs */

static const char no_file[] =
	"Redis is not durable: durability is fsync, but Redis runs without appendonly yes";
static const char no_sync[] =
	"Redis is not durable: durability is fsync, but Redis runs without appendfsync always";
static const char no_look[] =
	"Redis does not let its durability be checked (CONFIG GET appendonly appendfsync)";

struct durability {
	struct dc *dc;
	ev_timer again;
	const char *fault;  /* NULL: none known */
	const char *logged; /* the fault that was logged last */
};

static void set_fault(struct durability *d, const char *fault)
{
	d->fault = fault;
	if (fault && fault != d->logged)
		log_error(fault, LOG_STR("risk", "messages answered with OK may be lost when Redis stops"));
	if (!fault && d->logged)
		log_info("Redis is durable now");
	d->logged = fault;
}

/* The answer to CONFIG GET: {name, value}. */
static void take(struct durability *d, int err, const struct redisReply *reply, const char *name,
		 const char *wanted, const char *fault)
{
	size_t len = 0;
	if (err == RS_ELOST || err == RS_ETIMEOUT)
		return;
	const char *value = err ? NULL : reply_str(reply_field(reply, name), &len);
	if (!value)
		set_fault(d, no_look);
	else if (strcmp(value, wanted) != 0)
		set_fault(d, fault);
	else if (d->fault == fault || d->fault == no_look)
		set_fault(d, NULL);
}

static void on_fsync(void *ctx, int err, const struct redisReply *reply)
{
	struct durability *d = ctx;
	if (d->fault != no_file)
		take(d, err, reply, "appendfsync", "always", no_sync);
}

static void on_file(void *ctx, int err, const struct redisReply *reply)
{
	take(ctx, err, reply, "appendonly", "yes", no_file);
}

static void ask(struct durability *d, const char *name, rds_reply_fn *fn)
{
	struct rds_arg argv[] = {RDS_STR("CONFIG"), RDS_STR("GET"), RDS_STR(name)};
	if (rds_command(pool_first(d->dc->redis), 3, argv, fn, d))
		log_debug("durability not checked: Redis is away or busy");
}

void durability_check(struct durability *d)
{
	if (strcmp(d->dc->config->durability, "fsync") != 0)
		return;
	ask(d, "appendonly", on_file);
	ask(d, "appendfsync", on_fsync);
}

static void on_again(struct ev_loop *loop, ev_timer *w, int events)
{
	struct durability *d = w->data;
	(void)loop;
	(void)events;
	if (rds_is_up(pool_first(d->dc->redis)))
		durability_check(d);
}

int durability_new(struct durability **out, struct dc *dc)
{
	struct durability *d = calloc(1, sizeof *d);
	if (!d)
		return RS_ENOMEM;
	d->dc = dc;
	ev_timer_init(&d->again, on_again, AGAIN_S, AGAIN_S);
	d->again.data = d;
	ev_timer_start(dc->loop, &d->again);
	*out = d;
	return RS_OK;
}

void durability_free(struct durability *d)
{
	if (!d)
		return;
	ev_timer_stop(d->dc->loop, &d->again);
	free(d);
}

const char *durability_fault(const struct durability *d)
{
	return d->fault;
}

void durability_metrics(const struct durability *d, struct metrics *m)
{
	metrics_gauge(m, "dc_durable", "1: Redis keeps what the setting durability promises.",
		      d->fault ? 0 : 1);
}
