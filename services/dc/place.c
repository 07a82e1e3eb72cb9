/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include "base/clock.h"
#include "brokers.h"
#include "dc.h"
#include "presence.h"
#include "receipt.h"
#include "rds/keys.h"

#include <string.h>

const char *const send_state_words[SEND_STATES] = {"stored", "pushed", "dropped", "duplicate"};

/* Nothing will ever end that could give a receipt. If it is not known, owed.c finds out. */
static void forget_receipt(struct place *p, const struct placed *result)
{
	struct record r;
	bool unknown = result->err == RS_ETIMEOUT || result->err == RS_ELOST || result->err == RS_EREMOTE;
	if (!p->awaits_anew || result->kept || unknown || record_parse(p->record, p->record_len, &r))
		return;
	receipt_forget(p->dc, (struct text_span){r.app, r.app_len}, (struct text_span){p->user, p->user_len}, &r.id);
}

static void on_awaited_late(void *ctx, int err, bool is_new)
{
	(void)is_new;
	if (err)
		((struct dc *)ctx)->counts.receipts_late++;
}

/* It was taken for one that was placed before, and that was forgotten in this moment. If
 * it has ended already, owed.c finds it. */
static void await_after_all(struct place *p, const struct placed *result)
{
	struct record r;
	if (!p->was_placed || !result->kept || record_parse(p->record, p->record_len, &r))
		return;
	if (receipt_await(p->dc, (struct text_span){r.app, r.app_len}, (struct text_span){p->user, p->user_len}, &r.id,
			  r.expires_ms, on_awaited_late, p->dc))
		p->dc->counts.receipts_late++;
}

static void finish(struct place *p, struct placed result)
{
	forget_receipt(p, &result);
	await_after_all(p, &result);
	if (!result.err && !result.full)
		p->dc->counts.sends[result.state]++;
	p->done(p, &result);
}

static bool push(struct place *p, const struct holder *h, bool stored, struct ulid prev)
{
	struct link_message m = {.type = LINK_PUSH};
	struct record r;
	if (h->broker.len == 0 || record_parse(p->record, p->record_len, &r))
		return false;
	m.push = (struct link_push){.to = h->owner, .lane = r.priority, .stored = stored, .prev = prev,
				    .record = p->pushed, .record_len = p->pushed_len};
	if (brokers_send(p->dc->brokers, h->broker, h->boot, &m))
		return false;
	p->dc->counts.pushes++;
	return true;
}

/* {'stored', count, prev, broker, boot, conn, owner} */
static void take_stored(struct place *p, const struct redisReply *reply)
{
	struct holder h = holder_read(reply, 3);
	struct ulid prev = {{0}};
	size_t len = 0;
	const char *text = reply_str(reply_at(reply, 2), &len);
	if (text && len == ULID_TEXT && ulid_parse(text, &prev))
		prev = (struct ulid){{0}};
	finish(p, (struct placed){.state = push(p, &h, true, prev) ? SEND_PUSHED : SEND_STORED, .kept = true});
}

/* The id given the first time, and its state, as a `once` key has them. False: it is none. */
static bool read_first(const char *id, const char *state, struct placed *out)
{
	*out = (struct placed){.state = SEND_DUPLICATE, .first_state = ""};
	if (!id || ulid_parse(id, &out->first))
		return false;
	for (int i = 0; state && i < SEND_STATES; i++)
		if (strcmp(state, send_state_words[i]) == 0)
			out->first_state = send_state_words[i];
	return true;
}

/* {'duplicate', id, state[, broker, boot, conn, owner]}: the push of the first time
 * may have been lost with another DC, so the broker is told to look. */
static void take_duplicate(struct place *p, const struct redisReply *reply)
{
	struct holder h = holder_read(reply, 3);
	struct link_message m = {.type = LINK_NUDGE};
	struct placed result;
	size_t len = 0, state_len = 0;
	const char *id = reply_str(reply_at(reply, 1), &len), *state = reply_str(reply_at(reply, 2), &state_len);
	if (len != ULID_TEXT || !read_first(id, state, &result)) {
		finish(p, (struct placed){.err = RS_EREMOTE});
		return;
	}
	m.nudge = h.owner;
	if (h.broker.len && brokers_send(p->dc->brokers, h.broker, h.boot, &m) == RS_OK)
		p->dc->counts.nudges++;
	finish(p, result);
}

/* The user may be online, and is not stored for. */
static void push_unstored(struct place *p, const struct holder *h)
{
	static const struct ulid none;
	finish(p, (struct placed){.state = push(p, h, false, none) ? SEND_PUSHED : SEND_DROPPED});
}

static int send_place(struct place *p);

/* The script's word for what is full, as one of ours: it goes into an answer. */
static const char *full_of(const struct redisReply *reply)
{
	static const char *const words[] = {"messages", "bytes", "messages of the App", "bytes of the App"};
	size_t len = 0;
	const char *word = reply_str(reply, &len);
	for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0)
			return words[i];
	return "messages";
}

/* RS_EREMOTE: Redis has something against this user's keys. What else it refuses (no memory,
 * a replica, a file that it cannot write), it refuses whoever it is for, before it begins. */
static int refusal(int err, const struct redisReply *reply)
{
	size_t len = 0;
	const char *text = err == RS_EREMOTE ? reply_str(reply, &len) : NULL;
	if (!text || strncmp(text, "ERR ", 4) == 0 || strncmp(text, "WRONGTYPE ", 10) == 0)
		return err;
	return RS_EDOWN;
}

static void on_stored(void *ctx, int err, const struct redisReply *reply)
{
	struct place *p = ctx;
	size_t len = 0;
	const char *state = err ? NULL : reply_str(reply_at(reply, 0), &len);
	if (!state) {
		pool_warn("message not stored", err, reply);
		finish(p, (struct placed){.err = err ? refusal(err, reply) : RS_EREMOTE});
	} else if (strcmp(state, "stored") == 0) {
		ended_take_all(p->dc, reply, 3, p->user, p->user_len);
		take_stored(p, reply);
	} else if (strcmp(state, "duplicate") == 0) {
		take_duplicate(p, reply);
	} else if (strcmp(state, "off") == 0) {
		struct holder h = holder_read(reply, 3);
		push_unstored(p, &h);
	} else if (strcmp(state, "more") == 0) {
		err = send_place(p);
		if (err)
			finish(p, (struct placed){.err = err});
	} else if (strcmp(state, "full") == 0) {
		finish(p, (struct placed){.full = full_of(reply_at(reply, 1))});
	} else {
		pool_warn("Redis gave an unknown answer to a store", RS_EREMOTE, reply);
		finish(p, (struct placed){.err = RS_EREMOTE});
	}
}

struct call {
	char keys[9][KEY_MAX], nums[10][RDS_NUM_MAX];
	struct rds_arg argv[9 + 12];
	size_t argc, nums_used;
};

static void add_num(struct call *c, uint64_t v)
{
	c->argv[c->argc++] = rds_num((int64_t)v, c->nums[c->nums_used++]);
}

static void add_key(struct call *c, size_t len)
{
	c->argv[c->argc] = RDS_MEM(c->keys[c->argc], len);
	c->argc++;
}

#define ADD_KEY(c, fn, ...) add_key((c), fn((c)->keys[(c)->argc], __VA_ARGS__))

static void add_once(struct call *c, const struct place *p, const struct record *r)
{
	if (p->once_len)
		ADD_KEY(c, key_once, p->user, p->user_len, r->app, r->app_len, p->once, p->once_len);
}

/* What message_store decides by itself: where the bytes cannot be too many yet. */
static uint64_t plain_max(const struct dc_config *c)
{
	uint64_t by_bytes = (uint64_t)c->queue_max_bytes / RECORD_MAX;
	uint64_t by_count = (uint64_t)c->queue_max_messages;
	return by_bytes < by_count ? by_bytes : by_count;
}

static int send_store(struct place *p, const struct record *r)
{
	const struct dc_config *config = p->dc->config;
	struct call c = {.argc = 0};
	ADD_KEY(&c, key_queue, p->user, p->user_len, PRIORITY_NORMAL);
	ADD_KEY(&c, key_presence, p->user, p->user_len);
	ADD_KEY(&c, key_settings, p->user, p->user_len);
	ADD_KEY(&c, key_index, p->user, p->user_len);
	ADD_KEY(&c, key_journal, p->user, p->user_len);
	add_once(&c, p, r);
	size_t keys = c.argc;
	c.argv[c.argc++] = RDS_MEM(p->record, p->record_len);
	add_num(&c, r->expires_ms);
	add_num(&c, clock_wall_ms());
	add_num(&c, plain_max(config));
	add_num(&c, (uint64_t)config->status_s * 1000);
	add_num(&c, p->once_ms);
	return pool_script(p->dc->redis, p->user, p->user_len, SCRIPT_MESSAGE_STORE, keys, c.argc, c.argv,
			   on_stored, p);
}

static int send_place(struct place *p)
{
	static const char *const policy[] = {"reject", "drop-oldest", "drop-lowest"};
	const struct dc_config *config = p->dc->config;
	struct call c = {.argc = 0};
	struct record r;
	int err = record_parse(p->record, p->record_len, &r);
	if (err)
		return err;
	ADD_KEY(&c, key_presence, p->user, p->user_len);
	ADD_KEY(&c, key_settings, p->user, p->user_len);
	ADD_KEY(&c, key_queue, p->user, p->user_len, PRIORITY_NORMAL);
	ADD_KEY(&c, key_queue, p->user, p->user_len, PRIORITY_HIGH);
	ADD_KEY(&c, key_queue, p->user, p->user_len, PRIORITY_LOW);
	ADD_KEY(&c, key_index, p->user, p->user_len);
	ADD_KEY(&c, key_journal, p->user, p->user_len);
	ADD_KEY(&c, key_missed, p->user, p->user_len);
	add_once(&c, p, &r);
	size_t keys = c.argc;
	c.argv[c.argc++] = RDS_MEM(p->record, p->record_len);
	add_num(&c, (uint64_t)r.priority + 1);
	add_num(&c, r.expires_ms);
	add_num(&c, clock_wall_ms());
	add_num(&c, (uint64_t)config->status_s * 1000);
	add_num(&c, p->once_ms);
	add_num(&c, (uint64_t)config->queue_max_messages);
	add_num(&c, (uint64_t)config->queue_max_bytes);
	add_num(&c, p->limits.queue_messages);
	add_num(&c, p->limits.queue_bytes);
	c.argv[c.argc++] = RDS_STR(policy[p->limits.overflow]);
	c.argv[c.argc++] = RDS_MEM(r.collapse_len ? r.collapse : "", r.collapse_len);
	return pool_script(p->dc->redis, p->user, p->user_len, SCRIPT_MESSAGE_PLACE, keys, c.argc, c.argv,
			   on_stored, p);
}

/* Nil, or what was noted the first time: "<id> <state>". */
static void on_noted(void *ctx, int err, const struct redisReply *reply)
{
	struct place *p = ctx;
	struct placed result = {.err = err};
	size_t len = 0;
	if (!err && reply_is_nil(reply)) {
		struct holder h = {{p->held.broker, p->held.broker_len}, p->held.boot, p->held.owner};
		push_unstored(p, &h);
		return;
	}
	const char *first = err ? NULL : reply_str(reply, &len);
	if (!err && (!first || len <= ULID_TEXT || !read_first(first, first + ULID_TEXT + 1, &result)))
		result.err = RS_EREMOTE;
	finish(p, result);
}

/* A fan-out that comes by again, also by another filter of a topic, is to find who was
 * served. */
static int note_unstored(struct place *p)
{
	struct record r;
	struct call c = {.argc = 1, .argv = {RDS_STR("SET")}};
	char value[ULID_TEXT + 16];
	int err = record_parse(p->record, p->record_len, &r);
	if (err)
		return err;
	ulid_format(&r.id, value);
	strcpy(value + ULID_TEXT, p->held.broker_len ? " pushed" : " dropped");
	add_once(&c, p, &r);
	c.argv[c.argc++] = RDS_STR(value);
	c.argv[c.argc++] = RDS_STR("NX");
	c.argv[c.argc++] = RDS_STR("GET");
	c.argv[c.argc++] = RDS_STR("PX");
	add_num(&c, p->once_ms);
	return pool_command(p->dc->redis, p->user, p->user_len, c.argc, c.argv, on_noted, p);
}

static void on_holder(void *ctx, int err, const struct redisReply *reply)
{
	struct place *p = ctx;
	if (err) { /* nothing was sent, so the outcome is known */
		bool refused = refusal(err, reply) == RS_EREMOTE;
		finish(p, (struct placed){.err = refused ? RS_EREMOTE : RS_EDOWN});
		return;
	}
	struct holder h = holder_read(reply, 0);
	if (!p->repeats) {
		push_unstored(p, &h);
		return;
	}
	p->held.broker_len = h.broker.len;
	p->held.boot = h.boot;
	p->held.owner = h.owner;
	if (h.broker.len)
		memcpy(p->held.broker, h.broker.text, h.broker.len);
	err = note_unstored(p);
	if (err)
		finish(p, (struct placed){.err = err});
}

static int store(struct place *p)
{
	struct record r;
	int err = record_parse(p->record, p->record_len, &r);
	if (err)
		return err;
	if (r.priority != PRIORITY_NORMAL || r.collapse_len || p->limits.queue_messages || p->limits.queue_bytes)
		return send_place(p);
	return send_store(p, &r);
}

/* Only what is awaited is stored, so that no end goes unnoticed. */
static void on_awaited(void *ctx, int err, bool is_new)
{
	struct place *p = ctx;
	p->awaits_anew = is_new;
	/* Whatever became of an error, this was not stored; owed.c sees to the rest. */
	err = err ? RS_EDOWN : store(p);
	if (err)
		finish(p, (struct placed){.err = err});
}

static int await(struct place *p, const struct record *r)
{
	return receipt_await(p->dc, (struct text_span){r->app, r->app_len}, (struct text_span){p->user, p->user_len},
			     &r->id, r->expires_ms, on_awaited, p);
}

/* What was placed before was awaited then. Awaited again it would have a second receipt,
 * if the first one was given meanwhile and this DC dies before it takes it back. */
static void on_once(void *ctx, int err, const struct redisReply *reply)
{
	struct place *p = ctx;
	struct record r;
	p->was_placed = !err && !reply_is_nil(reply);
	if (err)
		err = RS_EDOWN; /* nothing was sent, so the outcome is known */
	else if (p->was_placed)
		err = store(p);
	else
		err = record_parse(p->record, p->record_len, &r) ? RS_EINVAL : await(p, &r);
	if (err)
		finish(p, (struct placed){.err = err});
}

static int ask_once(struct place *p, const struct record *r)
{
	struct call c = {.argc = 1, .argv = {RDS_STR("GET")}};
	add_once(&c, p, r);
	return pool_command(p->dc->redis, p->user, p->user_len, c.argc, c.argv, on_once, p);
}

int place_begin(struct place *p)
{
	struct record r;
	int err = record_parse(p->record, p->record_len, &r);
	if (err)
		return err;
	p->awaits = p->store && r.receipt;
	p->awaits_anew = false;
	if (!p->store)
		return presence_get_holder(p->dc, p->user, p->user_len, on_holder, p);
	if (!p->awaits)
		return store(p);
	return p->repeats ? ask_once(p, &r) : await(p, &r);
}
