/* SPDX-License-Identifier: Apache-2.0 */
#include "broadcast.h"

#include "conn.h"
#include "brokers.h"
#include "dc.h"
#include "rds/keys.h"

#include <stdio.h>
#include <string.h>

const char *const broadcast_state_words[] = {"kept", "sent", "dropped", "duplicate"};

bool may_broadcast(const struct conn *c) { return c->app && c->app->limits.broadcast; }

size_t broadcast_tell_kept(struct dc *dc)
{
	struct link_message m = {.type = LINK_KEPT};
	return brokers_send_all(dc->brokers, &m);
}

static void answer_state(struct answer *a, enum broadcast_state state, size_t brokers)
{
	char id[ULID_TEXT + 1], count[24];
	const char *word = broadcast_state_words[state];
	struct answer_field fields[] = {
		{"message", ulid_format(&a->message, id), ULID_TEXT},
		{"state", word, strlen(word)},
		{"brokers", count, (size_t)snprintf(count, sizeof count, "%zu", brokers)},
	};
	a->dc->counts.broadcasts[state]++;
	answer_ok(a, fields, state == BROADCAST_DUPLICATE ? 2 : 3);
}

/* {'duplicate', id}: the brokers may not have heard of the first time, if the DC
 * that was asked then died, so they are told again. */
static void take_duplicate(struct answer *a, const struct redisReply *reply)
{
	size_t len = 0;
	const char *id = reply_str(reply_at(reply, 1), &len);
	if (!id || len != ULID_TEXT || ulid_parse(id, &a->message)) {
		answer_unavailable(a);
		return;
	}
	answer_state(a, BROADCAST_DUPLICATE, broadcast_tell_kept(a->dc));
}

static void on_added(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	size_t len = 0;
	const char *state = err ? NULL : reply_str(reply_at(reply, 0), &len);
	if (!state) {
		pool_warn("broadcast not kept", err, reply);
		answer_redis_error(a, err);
	} else if (strcmp(state, "kept") == 0) {
		answer_state(a, BROADCAST_KEPT, broadcast_tell_kept(a->dc));
	} else if (strcmp(state, "duplicate") == 0) {
		take_duplicate(a, reply);
	} else if (strcmp(state, "full") == 0) {
		answer_retry(a, 429, STORE_FULL_RETRY_S, "too many broadcasts are kept");
	} else {
		pool_warn("broadcast_add gave an unknown answer", RS_EREMOTE, reply);
		answer_unavailable(a);
	}
}

static int keep(struct answer *a)
{
	char keys[3][KEY_MAX], nums[4][RDS_NUM_MAX];
	struct rds_arg argv[8];
	struct record r;
	size_t n = 0;
	int err = record_parse(a->record, a->record_len, &r);
	if (err)
		return err;
	argv[n++] = RDS_MEM(keys[0], key_broadcasts(keys[0]));
	argv[n++] = RDS_MEM(keys[1], key_broadcasts_version(keys[1]));
	if (a->id_len)
		argv[n++] = RDS_MEM(keys[2], key_broadcast_once(keys[2], r.app, r.app_len, a->id, a->id_len));
	size_t key_count = n;
	argv[n++] = RDS_MEM(a->record, a->record_len);
	argv[n++] = rds_num((int64_t)r.expires_ms, nums[0]);
	argv[n++] = rds_num((int64_t)r.sent_ms, nums[1]);
	argv[n++] = rds_num(a->dc->config->broadcasts_max, nums[2]);
	argv[n++] = rds_num(STORE_ONCE_MS, nums[3]);
	return rds_script(pool_first(a->dc->redis), SCRIPT_BROADCAST_ADD, key_count, n, argv, on_added, a);
}

static void send_now(struct answer *a)
{
	struct link_message m = {.type = LINK_BROADCAST};
	m.broadcast = (struct link_broadcast){a->record, a->record_len};
	size_t told = brokers_send_all(a->dc->brokers, &m);
	answer_state(a, told ? BROADCAST_SENT : BROADCAST_DROPPED, told);
}

void broadcast_send(struct answer *a, const struct send *send)
{
	int err = message_put(a, send);
	if (!err && !send->store) {
		send_now(a);
		return;
	}
	if (!err)
		err = keep(a);
	if (err)
		answer_redis_error(a, err);
}
