/* SPDX-License-Identifier: Apache-2.0 */
/* One round at a time: the Apps of rs:awaiting a page after the other, of each App what
 * is due a page after the other, of each page all messages at once. */
#include "owed.h"

#include "base/clock.h"
#include "dc.h"
#include "receipt.h"
#include "rds/keys.h"
#include "status.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

enum {
	APPS = 64,      /* read at a time */
	DUE = 256,      /* messages looked up at a time */
	PAGES = 16,     /* of an App in a round: then it is the next one's turn */
	AGAIN_MS = 10000, /* when a look came to nothing */
	DAY_MS = 24 * 3600 * 1000,
};
static const uint64_t forget_app_ms = 32ull * DAY_MS; /* no message lives longer */
#define ROUND_S 1.0

struct app_text {
	size_t len;
	char at[NAME_MAX_BYTES];
};

struct owed {
	struct dc *dc;
	ev_timer tick;
	bool running;            /* a round is under way */
	struct app_text apps[APPS];
	size_t count, at;        /* of these, and which one's turn it is */
	uint64_t offset;         /* of the page in rs:awaiting */
	unsigned pages;          /* of this App, in this round */
	unsigned pending;        /* messages whose state was asked for */
	bool full;               /* there may be more due */
	bool failed;             /* Redis did not answer: the round ends; it may be going */
};

/* A message whose state was asked for. */
struct look {
	struct owed *owed;
	struct ulid id;
	size_t user_len;
	char user[NAME_MAX_BYTES];
};

static void ask_apps(struct owed *o);
static void ask_due(struct owed *o);

static struct text_span app_of(const struct owed *o)
{
	return (struct text_span){o->apps[o->at].at, o->apps[o->at].len};
}

static void next_app(struct owed *o)
{
	o->at++;
	o->pages = 0;
	if (o->at < o->count)
		ask_due(o);
	else if (o->count == APPS)
		ask_apps(o);
	else
		o->running = false;
}

static void next_page(struct owed *o)
{
	if (o->failed)
		o->running = false;
	else if (o->full && ++o->pages < PAGES)
		ask_due(o);
	else
		next_app(o);
}

/* ---- one message ---- */

static struct text_span user_of(const struct look *l) { return (struct text_span){l->user, l->user_len}; }

/* Never stored, or so long ago that nobody remembers. It may be on its way to Redis
 * yet, if that stood still. */
static void take_unknown(const struct look *l, uint64_t now)
{
	struct dc *dc = l->owed->dc;
	struct text_span app = app_of(l->owed);
	if (now > ulid_time(&l->id) + (uint64_t)dc->config->status_s * 1000)
		receipt_forget(dc, app, user_of(l), &l->id);
	else
		receipt_postpone(dc, app, user_of(l), &l->id, receipt_next_look(dc, &l->id, INT64_MAX / 2, now));
}

/* {state, ms, ...} of message_status: of one that waits, the time is when it expires. */
static void take_status(const struct look *l, const struct redisReply *reply)
{
	struct dc *dc = l->owed->dc;
	struct text_span app = app_of(l->owed), word = {NULL, 0};
	uint64_t at = 0, now = clock_wall_ms();
	word.at = reply_str(reply_at(reply, 0), &word.len);
	bool timed = reply_uint(reply_at(reply, 1), INT64_MAX / 2, &at);
	if (!word.at)
		return;
	enum ended_how how = ended_how_of(word);
	dc->counts.receipts_looked++;
	if (how != ENDED_HOWS)
		receipt_give(dc, app, user_of(l), &l->id, how, timed ? at : now);
	else if (timed)
		receipt_postpone(dc, app, user_of(l), &l->id, receipt_next_look(dc, &l->id, at, now));
	else
		take_unknown(l, now);
}

static void on_status(void *ctx, int err, const struct redisReply *reply)
{
	struct look *l = ctx;
	struct owed *o = l->owed;
	if (err == RS_OK)
		take_status(l, reply);
	else if (err != RS_EREMOTE)
		o->failed = true;
	free(l);
	if (--o->pending == 0)
		next_page(o);
}

static int ask_status(struct look *l)
{
	struct dc *dc = l->owed->dc;
	struct text_span app = app_of(l->owed);
	char keys[KEYS_OF_MAIL][KEY_MAX], now[RDS_NUM_MAX], id[ULID_TEXT + 1];
	struct rds_arg argv[KEYS_OF_MAIL + 3];
	keys_of_mail(argv, keys, l->user, l->user_len);
	argv[KEYS_OF_MAIL] = RDS_MEM(app.at, app.len);
	argv[KEYS_OF_MAIL + 1] = RDS_MEM(ulid_format(&l->id, id), ULID_TEXT);
	argv[KEYS_OF_MAIL + 2] = rds_num((int64_t)clock_wall_ms(), now);
	return pool_script(dc->redis, l->user, l->user_len, SCRIPT_MESSAGE_STATUS, KEYS_OF_MAIL, KEYS_OF_MAIL + 3, argv,
			   on_status, l);
}

/* ---- a page of an App ---- */

/* "<user> <id>"; NULL: it is none, or out of memory. */
static struct look *read_member(struct owed *o, const struct redisReply *reply)
{
	size_t len = 0;
	const char *text = reply_str(reply, &len);
	struct ulid id;
	if (!text || len < ULID_TEXT + 2 || text[len - ULID_TEXT - 1] != ' ' || ulid_parse(text + len - ULID_TEXT, &id))
		return NULL;
	size_t user_len = len - ULID_TEXT - 1;
	struct look *l = name_fault(text, user_len) ? NULL : malloc(sizeof *l);
	if (!l)
		return NULL;
	*l = (struct look){.owed = o, .id = id, .user_len = user_len};
	memcpy(l->user, text, user_len);
	return l;
}

static void on_due(void *ctx, int err, const struct redisReply *reply)
{
	struct owed *o = ctx;
	o->full = !err && reply_count(reply) == DUE;
	o->failed = err && err != RS_EREMOTE;
	o->pending = 0;
	for (size_t i = 0; !err && i < reply_count(reply); i++) {
		struct look *l = read_member(o, reply_at(reply, i));
		if (l && ask_status(l) == RS_OK)
			o->pending++;
		else
			free(l);
	}
	if (o->pending > 0)
		return;
	o->full = false; /* none of these could be asked for */
	next_page(o);
}

static void ask_due(struct owed *o)
{
	struct text_span app = app_of(o);
	char key[KEY_MAX], nums[3][RDS_NUM_MAX];
	size_t len = key_awaited(key, app.at, app.len);
	int64_t now = (int64_t)clock_wall_ms();
	struct rds_arg argv[] = {RDS_MEM(key, len), rds_num(now, nums[0]), rds_num(now + AGAIN_MS, nums[1]),
				 rds_num(DUE, nums[2])};
	if (pool_script(o->dc->redis, app.at, app.len, SCRIPT_RECEIPT_DUE, 1, 4, argv, on_due, o))
		o->running = false;
}

/* ---- the Apps ---- */

static void on_apps(void *ctx, int err, const struct redisReply *reply)
{
	struct owed *o = ctx;
	o->count = 0;
	for (size_t i = 0; !err && i < reply_count(reply) && i < APPS; i++) {
		size_t len = 0;
		const char *text = reply_str(reply_at(reply, i), &len);
		if (!text || name_fault(text, len))
			text = "-", len = 1; /* so that the count is right; nobody awaits anything in its name */
		o->apps[i].len = len;
		memcpy(o->apps[i].at, text, len);
		o->count++;
	}
	o->offset += o->count;
	o->at = 0;
	o->pages = 0;
	if (o->count)
		ask_due(o);
	else
		o->running = false;
}

static void ask_apps(struct owed *o)
{
	char key[KEY_MAX], from[RDS_NUM_MAX], to[RDS_NUM_MAX];
	size_t len = key_awaiting(key);
	struct rds_arg argv[] = {RDS_STR("ZRANGE"), RDS_MEM(key, len), rds_num((int64_t)o->offset, from),
				 rds_num((int64_t)o->offset + APPS - 1, to)};
	if (rds_command(pool_first(o->dc->redis), 4, argv, on_apps, o))
		o->running = false;
}

/* An App that asked for no receipt in so long has none to get any more. */
static int forget_apps(struct owed *o)
{
	char key[KEY_MAX], until[RDS_NUM_MAX];
	size_t len = key_awaiting(key);
	struct rds_arg argv[] = {RDS_STR("ZREMRANGEBYSCORE"), RDS_MEM(key, len), RDS_STR("-inf"),
				 rds_num((int64_t)(clock_wall_ms() - forget_app_ms), until)};
	return rds_command(pool_first(o->dc->redis), 4, argv, NULL, NULL);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct owed *o = w->data;
	(void)loop, (void)events;
	if (o->running || forget_apps(o))
		return;
	o->running = true;
	o->offset = 0;
	ask_apps(o);
}

int owed_new(struct owed **out, struct dc *dc)
{
	struct owed *o = calloc(1, sizeof *o);
	if (!o)
		return RS_ENOMEM;
	o->dc = dc;
	ev_timer_init(&o->tick, on_tick, ROUND_S, ROUND_S);
	o->tick.data = o;
	ev_timer_start(dc->loop, &o->tick);
	*out = o;
	return RS_OK;
}

void owed_free(struct owed *o)
{
	if (!o)
		return;
	ev_timer_stop(o->dc->loop, &o->tick);
	free(o);
}
