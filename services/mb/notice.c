/* SPDX-License-Identifier: Apache-2.0 */
#include "notice.h"

#include "base/log.h"
#include "crypto/random.h"
#include "delivery.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NOTICES_MAX = 16,               /* Apps a client is told of at a login */
	LIFE_MS = 24 * 60 * 60 * 1000,
};

struct notice {
	struct list node; /* in mb.notices */
	struct ulid id;
	uint32_t conn;
	uint64_t count;
	uint8_t app_len;
	char app[NAME_MAX_BYTES];
};

static struct record make_record(const struct notice *n, uint64_t wall_ms, char body[32])
{
	int len = snprintf(body, 32, "missed %" PRIu64, n->count);
	return (struct record){.id = n->id, .sent_ms = wall_ms, .expires_ms = wall_ms + LIFE_MS,
			       .app = n->app, .app_len = n->app_len,
			       .body = (const uint8_t *)body, .body_len = (size_t)len};
}

static void give_one(struct mb *m, const struct user *u, const char *app, size_t len, uint64_t count)
{
	uint8_t chance[10];
	char body[32];
	uint64_t wall_ms = mb_time().wall_ms;
	struct notice *n = malloc(sizeof *n);
	if (!n)
		return; /* the next login gives it again */
	random_bytes(chance, sizeof chance);
	*n = (struct notice){.id = ulid_make(wall_ms, chance), .conn = u->conn, .count = count, .app_len = (uint8_t)len};
	memcpy(n->app, app, len);
	struct record r = make_record(n, wall_ms, body);
	if (server_push(m->server, u->conn, &r, OBJECT_NOTICE, TAG_NOTICE, wall_ms)) {
		free(n);
		return;
	}
	m->counts.notices++;
	list_append(&m->notices, &n->node);
}

void notice_give(struct mb *m, struct user *u, const struct redisReply *missed)
{
	for (size_t i = 0; i + 1 < reply_count(missed) && i < 2 * NOTICES_MAX; i += 2) {
		size_t len;
		uint64_t count;
		const char *app = reply_str(reply_at(missed, i), &len);
		if (app && !name_fault(app, len) && reply_uint(reply_at(missed, i + 1), UINT64_MAX, &count) && count)
			give_one(m, u, app, len, count);
	}
}

static void drop(struct notice *n)
{
	list_remove(&n->node);
	free(n);
}

static void on_told(void *ctx, int err, const struct redisReply *reply)
{
	(void)ctx, (void)reply;
	if (err)
		log_debug("a notice was taken, but Redis did not hear of it", LOG_STR("err", err_str(err)));
}

static void forget_in_redis(struct mb *m, const struct user *u, const struct notice *n)
{
	char keys[2][KEY_MAX], owner[24], count[RDS_NUM_MAX];
	snprintf(owner, sizeof owner, "%" PRIu64, user_owner(m, u));
	struct rds_arg argv[] = {
		RDS_MEM(keys[0], key_missed(keys[0], u->name, u->name_len)),
		RDS_MEM(keys[1], key_presence(keys[1], u->name, u->name_len)),
		RDS_STR(owner), RDS_MEM(n->app, n->app_len), rds_num((int64_t)n->count, count),
	};
	if (rds_script(m->rds, SCRIPT_MISSED_TOLD, 2, 5, argv, on_told, NULL))
		on_told(NULL, RS_EDOWN, NULL);
}

void notice_taken(struct mb *m, struct user *u, const struct ulid *id)
{
	for (struct list *at = m->notices.next; at != &m->notices; at = at->next) {
		struct notice *n = LIST_ENTRY(at, struct notice, node);
		if (n->conn != u->conn || !ulid_equal(&n->id, id))
			continue;
		m->counts.notices_taken++;
		forget_in_redis(m, u, n);
		drop(n);
		return;
	}
}

void notice_forget(struct mb *m, struct user *u)
{
	for (struct list *at = m->notices.next, *next; at != &m->notices; at = next) {
		next = at->next;
		struct notice *n = LIST_ENTRY(at, struct notice, node);
		if (n->conn == u->conn)
			drop(n);
	}
}
