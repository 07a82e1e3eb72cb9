/* SPDX-License-Identifier: Apache-2.0 */
#include "app.h"

#include "apps.h"
#include "base/clock.h"
#include "base/log.h"
#include "dc.h"
#include "rds/keys.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

enum { THOUSAND = 1000 };
#define LOOK_S 1.0 /* at who is due: so they are not read all at once */

struct app_table {
	struct dc *dc;
	struct list apps;
	size_t count;
	ev_timer look;
};

struct app *app_get(struct app *app)
{
	app->refs++;
	return app;
}

void app_put(struct app *app)
{
	if (app && --app->refs == 0)
		free(app);
}

struct text_span app_name(const struct app *app)
{
	return app ? (struct text_span){app->name, app->name_len} : (struct text_span){"", 0};
}

static void leave_table(struct app *app)
{
	list_remove(&app->in_table);
	app->table->count--;
	app_put(app);
}

/* ---- the rate ---- */

static int64_t burst_of(const struct app_limits *l)
{
	return (int64_t)(l->burst ? l->burst : l->rate) * THOUSAND;
}

/* A message a second is a thousandth in each millisecond. */
static void refill(struct app *app, uint64_t now_ms)
{
	int64_t room = burst_of(&app->limits) - app->tokens;
	uint64_t passed = now_ms > app->tokens_ms ? now_ms - app->tokens_ms : 0;
	app->tokens_ms = now_ms;
	if (room <= 0 || app->limits.rate == 0 || passed > (uint64_t)room / app->limits.rate)
		app->tokens += room;
	else
		app->tokens += (int64_t)(passed * app->limits.rate);
}

bool app_may_send(struct app *app, uint64_t now_ms, unsigned count, unsigned *retry_after_s)
{
	uint32_t rate = app->limits.rate;
	if (rate == 0)
		return true;
	refill(app, now_ms);
	int64_t cost = (int64_t)count * THOUSAND, burst = burst_of(&app->limits);
	int64_t lacking = (cost < burst ? cost : burst) - app->tokens;
	if (lacking <= 0) {
		app->tokens -= cost;
		return true;
	}
	int64_t wait_ms = (lacking + rate - 1) / rate;
	*retry_after_s = (unsigned)((wait_ms + THOUSAND - 1) / THOUSAND);
	return false;
}

/* ---- what Redis says of it ---- */

static uint64_t created_of(const struct redisReply *reply)
{
	uint64_t ms = 0;
	return reply_uint(reply_at(reply, APP_AT_CREATED), UINT64_MAX, &ms) ? ms : 0;
}

static void log_invalid(struct app *app, enum app_limit which, struct text_span text)
{
	if (app->invalid & 1u << which)
		return;
	app->invalid |= 1u << which;
	log_warn("a limit of an App is not valid and counts as absent",
		 LOG_BYTES("app", app->name, app->name_len), LOG_STR("field", app_limit_fields[which].name),
		 LOG_BYTES("value", text.at, text.len < 64 ? text.len : 64));
}

static void set_limit(struct app *app, enum app_limit which, const struct redisReply *reply)
{
	uint64_t value = app_limit_fields[which].absent;
	struct text_span text = {NULL, 0};
	text.at = reply_str(reply, &text.len);
	if (!text.at && !reply_is_nil(reply))
		text.at = "";
	if (text.at && app_limit_parse(which, text, &value))
		log_invalid(app, which, text);
	else
		app->invalid &= ~(1u << which);
	app_limit_put(&app->limits, which, value);
}

static void set_limits(struct app *app, const struct redisReply *reply)
{
	uint32_t rate = app->limits.rate;
	for (unsigned i = 0; i < APP_LIMITS; i++)
		set_limit(app, (enum app_limit)i, reply_at(reply, APP_AT_LIMITS + i));
	if (rate == 0) /* nothing was counted until now */
		app->tokens = burst_of(&app->limits);
}

static bool is_gone(const struct app *app, const struct redisReply *reply)
{
	return reply_is_nil(reply_at(reply, APP_AT_KEY)) || created_of(reply) != app->created_ms;
}

/* Removed, or removed and made anew: who is connected must show the new key. */
static void remove_app(struct app *app)
{
	app->table->dc->counts.apps_removed++;
	log_info("app removed", LOG_BYTES("app", app->name, app->name_len));
	apps_forget(app->table->dc->apps, app);
	leave_table(app);
}

static void on_read(void *ctx, int err, const struct redisReply *reply)
{
	struct app *app = ctx;
	bool known = !list_empty(&app->in_table) && !err && reply_count(reply) == APP_AT_END;
	if (known && is_gone(app, reply))
		remove_app(app);
	else if (known)
		set_limits(app, reply);
	app_put(app);
}

int app_read(struct dc *dc, struct text_span name, rds_reply_fn *fn, void *ctx)
{
	char key[KEY_MAX];
	struct rds_arg argv[2 + APP_AT_END] = {
		RDS_STR("HMGET"), RDS_MEM(key, key_app(key, name.at, name.len)),
		RDS_STR("key"), RDS_STR("key2"), RDS_STR("key2_until"), RDS_STR("created"),
	};
	for (unsigned i = 0; i < APP_LIMITS; i++)
		argv[2 + APP_AT_LIMITS + i] = RDS_STR(app_limit_fields[i].name);
	return rds_command(pool_first(dc->redis), 2 + APP_AT_END, argv, fn, ctx);
}

/* ---- the table ---- */

static struct app *find(struct app_table *t, struct text_span name)
{
	for (struct list *n = t->apps.next; n != &t->apps; n = n->next) {
		struct app *app = LIST_ENTRY(n, struct app, in_table);
		if (app->name_len == name.len && memcmp(app->name, name.at, name.len) == 0)
			return app;
	}
	return NULL;
}

static struct app *make(struct app_table *t, struct text_span name)
{
	struct app *app = calloc(1, sizeof *app);
	if (!app)
		return NULL;
	app->table = t;
	app->refs = 1; /* the table's */
	memcpy(app->name, name.at, name.len);
	app->name_len = name.len;
	app->tokens_ms = clock_mono_ms();
	list_append(&t->apps, &app->in_table);
	t->count++;
	return app;
}

struct app *app_take(struct app_table *t, struct text_span name, const struct redisReply *reply)
{
	struct app *app = find(t, name);
	if (app && is_gone(app, reply)) {
		remove_app(app);
		app = NULL;
	}
	if (!app)
		app = make(t, name);
	if (!app)
		return NULL;
	app->created_ms = created_of(reply);
	app->read_ms = clock_mono_ms();
	set_limits(app, reply);
	return app_get(app);
}

/* Metrics do not name Apps, since there may be many; the log does. */
static void log_refused(struct app *app)
{
	if (app->refused_rate + app->refused_size == 0)
		return;
	log_info("app is over its limits", LOG_BYTES("app", app->name, app->name_len),
		 LOG_INT("over_rate", app->refused_rate), LOG_INT("over_size", app->refused_size));
	app->refused_rate = app->refused_size = 0;
}

static void look_at(struct app *app, uint64_t now_ms)
{
	if (now_ms - app->read_ms < APP_READ_MS)
		return;
	log_refused(app);
	refill(app, now_ms);
	if (app->refs == 1 && app->tokens == burst_of(&app->limits)) {
		leave_table(app);
		return;
	}
	app->read_ms = now_ms;
	if (app_read(app->table->dc, app_name(app), on_read, app) == RS_OK)
		app_get(app);
}

static void on_look(struct ev_loop *loop, ev_timer *w, int events)
{
	struct app_table *t = w->data;
	uint64_t now = clock_mono_ms();
	(void)loop;
	(void)events;
	for (struct list *n = t->apps.next; n != &t->apps;) {
		struct app *app = LIST_ENTRY(n, struct app, in_table);
		n = n->next;
		look_at(app, now);
	}
}

int app_table_new(struct app_table **out, struct dc *dc)
{
	struct app_table *t = calloc(1, sizeof *t);
	if (!t)
		return RS_ENOMEM;
	t->dc = dc;
	list_init(&t->apps);
	ev_timer_init(&t->look, on_look, LOOK_S, LOOK_S);
	t->look.data = t;
	ev_timer_start(dc->loop, &t->look);
	*out = t;
	return RS_OK;
}

void app_table_free(struct app_table *t)
{
	if (!t)
		return;
	while (!list_empty(&t->apps))
		leave_table(LIST_ENTRY(t->apps.next, struct app, in_table));
	ev_timer_stop(t->dc->loop, &t->look);
	free(t);
}

void app_table_metrics(const struct app_table *t, struct metrics *m)
{
	metrics_gauge(m, "dc_apps_known", "Apps that are connected or were of late.", (double)t->count);
	metrics_counter(m, "dc_apps_removed_total", "Apps that were removed while this DC knew them.",
			t->dc->counts.apps_removed);
}
