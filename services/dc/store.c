/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "base/clock.h"
#include "base/log.h"
#include "brokers.h"
#include "crypto/random.h"
#include "dc.h"
#include "presence.h"
#include "rds/keys.h"

#include <string.h>

enum { ONCE_TTL_MS = 24 * 60 * 60 * 1000, RANDOM_BYTES = 10, WARN_MS = 1000 };

const char *const send_state_words[] = {"stored", "pushed", "dropped", "duplicate"};

/* Random bytes taken ahead: one call of the generator serves 64 messages. */
static struct ulid make_id(uint64_t now_ms)
{
	static uint8_t pool[64 * RANDOM_BYTES];
	static size_t used = sizeof pool;
	if (used == sizeof pool) {
		random_bytes(pool, sizeof pool);
		used = 0;
	}
	struct ulid id = ulid_make(now_ms, pool + used);
	used += RANDOM_BYTES;
	return id;
}

static int make_record(struct answer *a, const struct send *send)
{
	uint64_t now = clock_wall_ms();
	struct record r = {
		.id = make_id(now),
		.sent_ms = now,
		.expires_ms = now + send->ttl_s * 1000,
		.app = send->app.at,
		.app_len = send->app.len,
		.app_id = a->id,
		.app_id_len = a->id_len,
		.body = send->body,
		.body_len = send->body_len,
	};
	size_t cap = RECORD_HEADER_MAX + send->body_len;
	int len = answer_reserve_record(a, cap);
	if (len == RS_OK)
		len = record_format(&r, a->record, cap);
	if (len < 0)
		return len;
	a->record_len = (size_t)len;
	a->message = r.id;
	return RS_OK;
}

static void answer_state(struct answer *a, enum send_state state, const char *id)
{
	const char *word = send_state_words[state];
	struct answer_field fields[] = {{"message", id, ULID_TEXT}, {"state", word, strlen(word)}};
	a->dc->counts.sends[state]++;
	answer_ok(a, fields, 2);
}

static void answer_own_state(struct answer *a, enum send_state state)
{
	char id[ULID_TEXT + 1];
	answer_state(a, state, ulid_format(&a->message, id));
}

static bool push(struct answer *a, const struct holder *h, bool stored, struct ulid prev)
{
	struct link_message m = {.type = LINK_PUSH};
	m.push.to = h->owner;
	m.push.stored = stored;
	m.push.prev = prev;
	m.push.record = a->record;
	m.push.record_len = a->record_len;
	if (h->broker.len == 0 || brokers_send(a->dc->brokers, h->broker, h->boot, &m))
		return false;
	a->dc->counts.pushes++;
	return true;
}

/* {'stored', count, prev, broker, boot, conn, owner} */
static void take_stored(struct answer *a, const struct redisReply *reply)
{
	struct holder h = holder_read(reply, 3);
	struct ulid prev = {{0}};
	size_t len = 0;
	const char *text = reply_str(reply_at(reply, 2), &len);
	if (text && len == ULID_TEXT && ulid_parse(text, &prev))
		prev = (struct ulid){{0}};
	answer_own_state(a, push(a, &h, true, prev) ? SEND_PUSHED : SEND_STORED);
}

/* {'duplicate', id, '', broker, boot, conn, owner}: the push of the first time
 * may have been lost with another DC, so the broker is told to look. */
static void take_duplicate(struct answer *a, const struct redisReply *reply)
{
	struct holder h = holder_read(reply, 3);
	struct link_message m = {.type = LINK_NUDGE};
	struct ulid first;
	size_t len = 0;
	const char *id = reply_str(reply_at(reply, 1), &len);
	if (!id || len != ULID_TEXT || ulid_parse(id, &first)) { /* it goes into the answer as it is */
		answer_unavailable(a);
		return;
	}
	m.nudge = h.owner;
	if (h.broker.len && brokers_send(a->dc->brokers, h.broker, h.boot, &m) == RS_OK)
		a->dc->counts.nudges++;
	answer_state(a, SEND_DUPLICATE, id);
}

static int send_store(struct answer *a);

static void on_expired(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	int64_t removed = 0;
	if (!err && reply_int(reply, &removed) && removed > 0)
		a->dc->counts.expired += (uint64_t)removed;
	if (err)
		answer_unavailable(a);
	else if (removed <= 0)
		answer_error(a, 429, "the user's queue is full");
	else if ((err = send_store(a)) != RS_OK)
		answer_redis_error(a, err);
}

/* Full, maybe of messages that have expired behind one that has not: those are
 * cleared once, then the store is tried again. */
static void take_full(struct answer *a)
{
	char key[KEY_MAX], now[RDS_NUM_MAX];
	if (a->retried) {
		answer_error(a, 429, "the user's queue is full");
		return;
	}
	a->retried = true;
	size_t len = key_queue(key, a->name, a->name_len);
	struct rds_arg argv[] = {RDS_MEM(key, len), rds_num((int64_t)clock_wall_ms(), now)};
	if (pool_script(a->dc->redis, a->name, a->name_len, SCRIPT_MESSAGE_EXPIRE, 1, 2, argv, on_expired, a))
		answer_unavailable(a);
}

/* At most once a second, whatever the rate of the sends. */
static void warn_of(const char *msg, int err, const struct redisReply *reply)
{
	static uint64_t next_ms;
	uint64_t now = clock_mono_ms();
	size_t len = 0;
	const char *text = reply ? reply_str(reply, &len) : NULL;
	if (now < next_ms)
		return;
	next_ms = now + WARN_MS;
	log_warn(msg, LOG_STR("err", err_str(err)), LOG_BYTES("redis", text ? text : "", len));
}

static void on_stored(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	size_t len = 0;
	const char *state = err ? NULL : reply_str(reply_at(reply, 0), &len);
	if (!state) {
		warn_of("message not stored", err, reply);
		answer_redis_error(a, err);
	} else if (strcmp(state, "stored") == 0) {
		take_stored(a, reply);
	} else if (strcmp(state, "duplicate") == 0) {
		take_duplicate(a, reply);
	} else if (strcmp(state, "full") == 0) {
		take_full(a);
	} else {
		warn_of("message_store gave an unknown answer", RS_EREMOTE, reply);
		answer_unavailable(a);
	}
}

static int send_store(struct answer *a)
{
	char keys[3][KEY_MAX], nums[4][RDS_NUM_MAX];
	struct rds_arg argv[8];
	struct record r;
	size_t n = 0;
	int err = record_parse(a->record, a->record_len, &r);
	if (err)
		return err;
	argv[n++] = RDS_MEM(keys[0], key_queue(keys[0], a->name, a->name_len));
	argv[n++] = RDS_MEM(keys[1], key_presence(keys[1], a->name, a->name_len));
	if (a->id_len)
		argv[n++] = RDS_MEM(keys[2], key_once(keys[2], a->name, a->name_len, r.app, r.app_len,
						      a->id, a->id_len));
	size_t key_count = n;
	argv[n++] = RDS_MEM(a->record, a->record_len);
	argv[n++] = rds_num((int64_t)r.expires_ms, nums[0]);
	argv[n++] = rds_num((int64_t)r.sent_ms, nums[1]);
	argv[n++] = rds_num(a->dc->config->queue_max_messages, nums[2]);
	argv[n++] = rds_num(ONCE_TTL_MS, nums[3]);
	return pool_script(a->dc->redis, a->name, a->name_len, SCRIPT_MESSAGE_STORE, key_count, n, argv,
			   on_stored, a);
}

static void on_holder(void *ctx, int err, const struct redisReply *reply)
{
	static const struct ulid none;
	struct answer *a = ctx;
	if (err) {
		answer_unavailable(a); /* nothing was sent, so the outcome is known */
		return;
	}
	struct holder h = holder_read(reply, 0);
	answer_own_state(a, push(a, &h, false, none) ? SEND_PUSHED : SEND_DROPPED);
}

void store_message(struct answer *a, const struct send *send)
{
	int err = make_record(a, send);
	if (!err)
		err = send->store ? send_store(a) : presence_get_holder(a, on_holder);
	if (err)
		answer_redis_error(a, err);
}
