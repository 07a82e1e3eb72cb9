/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include "app/topics.h"
#include "base/log.h"
#include "lease.h"
#include "rds/keys.h"
#include "wire/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request that Redis was asked to carry out. Its session may end before. */
struct asked {
	struct mb *mb;
	struct link_owner of;
	uint32_t number;
};

static void reply(struct mb *m, uint32_t conn, uint32_t number, enum reply_code code)
{
	switch (code) {
	case REPLY_DONE:
		m->counts.requests_done++;
		break;
	case REPLY_LATER:
		m->counts.requests_failed++;
		break;
	default:
		m->counts.requests_refused++;
	}
	server_reply(m->server, conn, number, code);
	mb_flush_later(m);
}

/* Another login owns the user, as far as Redis knows: the renewal decides about that
 * (lease.h), and if this session stays, the client asks again. */
static void doubt(const struct asked *a)
{
	struct user *u = server_user(a->mb->server, a->of.conn);
	a->mb->counts.fenced++;
	if (u && user_owner(a->mb, u) == a->of.owner)
		lease_doubt(a->mb, u);
}

static void finish(struct asked *a, enum topics_result result)
{
	static const enum reply_code codes[] = {
		[TOPICS_DONE] = REPLY_DONE, [TOPICS_FENCED] = REPLY_LATER,
		[TOPICS_TOO_MANY] = REPLY_TOO_MANY, [TOPICS_FAILED] = REPLY_LATER,
	};
	if (result == TOPICS_FENCED)
		doubt(a);
	reply(a->mb, a->of.conn, a->number, codes[result]);
	free(a);
}

static void on_subscribed(void *ctx, enum topics_result result) { finish(ctx, result); }

static int subscribe(struct mb *m, const struct user *u, const struct frame_request *f, struct asked *a)
{
	return topics_change(m->rds, (struct text_span){u->name, u->name_len}, (struct text_span){f->text, f->text_len},
			     a->of.owner, f->kind == REQUEST_SUBSCRIBE, on_subscribed, a);
}

/* 1 or 0; -1 fenced; -2 too many. */
static void on_storage(void *ctx, int err, const struct redisReply *answer)
{
	int64_t said;
	if (err || !reply_int(answer, &said))
		finish(ctx, TOPICS_FAILED);
	else
		finish(ctx, said == -1 ? TOPICS_FENCED : said == -2 ? TOPICS_TOO_MANY : TOPICS_DONE);
}

static int set_storage(struct mb *m, const struct user *u, const struct frame_request *f, struct asked *a)
{
	char settings[KEY_MAX], presence[KEY_MAX], owner[24], nums[2][RDS_NUM_MAX];
	size_t settings_len = key_settings(settings, u->name, u->name_len);
	size_t presence_len = key_presence(presence, u->name, u->name_len);
	snprintf(owner, sizeof owner, "%" PRIu64, a->of.owner);
	struct rds_arg argv[] = {
		RDS_MEM(settings, settings_len), RDS_MEM(presence, presence_len), RDS_STR(owner),
		RDS_MEM(f->text, f->text_len), RDS_STR(f->kind == REQUEST_STORE_ON ? "1" : "0"),
		rds_num((int64_t)mb_time().wall_ms, nums[0]), rds_num(SETTINGS_OF_USER_MAX, nums[1]),
	};
	return rds_script(m->rds, SCRIPT_SETTINGS_STORE, 2, 7, argv, on_storage, a);
}

static bool is_valid(const struct frame_request *f)
{
	switch (f->kind) {
	case REQUEST_SUBSCRIBE:
	case REQUEST_UNSUBSCRIBE:
		return !topic_filter_fault(f->text, f->text_len);
	case REQUEST_STORE_ON:
	case REQUEST_STORE_OFF:
		return !name_fault(f->text, f->text_len); /* `*` is one, too */
	default:
		return false;
	}
}

void request_take(struct mb *m, struct user *u, const struct frame_request *f)
{
	bool of_topics = f->kind == REQUEST_SUBSCRIBE || f->kind == REQUEST_UNSUBSCRIBE;
	if (!is_valid(f)) {
		reply(m, u->conn, f->number, REPLY_INVALID);
		return;
	}
	struct asked *a = malloc(sizeof *a);
	if (a)
		*a = (struct asked){m, {u->conn, user_owner(m, u)}, f->number};
	if (a && (of_topics ? subscribe(m, u, f, a) : set_storage(m, u, f, a)) == RS_OK)
		return;
	free(a);
	reply(m, u->conn, f->number, REPLY_LATER);
}
