/* SPDX-License-Identifier: Apache-2.0 */
#include "withdraw.h"

#include "base/clock.h"
#include "broadcast.h"
#include "dc.h"
#include "fan_ask.h"
#include "rds/keys.h"
#include "status.h"

static void answer_withdrawn(struct answer *a)
{
	char id[ULID_TEXT + 1];
	struct answer_field fields[] = {
		{"message", ulid_format(&a->message, id), ULID_TEXT},
		{"state", "withdrawn", 9},
	};
	a->dc->counts.withdrawn++;
	answer_ok(a, fields, 2);
}

/* {count, broker, boot, conn, owner, event...} */
static void on_taken(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	int64_t count = 0;
	if (err || !reply_int(reply_at(reply, 0), &count)) {
		pool_warn("message not withdrawn", err, reply);
		answer_redis_error(a, err);
		return;
	}
	ended_take_all(a->dc, reply, 1, a->name, a->name_len);
	if (count > 0)
		answer_withdrawn(a);
	else
		answer_error(a, 404, "no message of this App with this id waits for this user");
}

void withdraw_message(struct answer *a, struct text_span app)
{
	char keys[KEYS_OF_MAIL][KEY_MAX], id[ULID_TEXT + 1], now[RDS_NUM_MAX], keep[RDS_NUM_MAX];
	struct rds_arg argv[KEYS_OF_MAIL + 4];
	keys_of_mail(argv, keys, a->name, a->name_len);
	argv[KEYS_OF_MAIL] = RDS_MEM(app.at, app.len);
	argv[KEYS_OF_MAIL + 1] = RDS_MEM(ulid_format(&a->message, id), ULID_TEXT);
	argv[KEYS_OF_MAIL + 2] = rds_num((int64_t)clock_wall_ms(), now);
	argv[KEYS_OF_MAIL + 3] = rds_num(a->dc->config->status_s * 1000, keep);
	int err = pool_script(a->dc->redis, a->name, a->name_len, SCRIPT_MESSAGE_WITHDRAW, KEYS_OF_MAIL,
			      KEYS_OF_MAIL + 4, argv, on_taken, a);
	if (err)
		answer_redis_error(a, err);
}

static void on_withdrawn(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	int64_t withdrawn = 0;
	if (err || !reply_int(reply, &withdrawn)) {
		pool_warn("broadcast not withdrawn", err, reply);
		answer_redis_error(a, err);
		return;
	}
	if (withdrawn != 1) { /* then it is a message to many, or none of this App's */
		fan_withdraw(a, (struct text_span){a->name, a->name_len});
		return;
	}
	broadcast_tell_kept(a->dc);
	answer_withdrawn(a);
}

void withdraw_all(struct answer *a, struct text_span app)
{
	char kept[KEY_MAX], version[KEY_MAX], id[ULID_TEXT + 1];
	size_t kept_len = key_broadcasts(kept), version_len = key_broadcasts_version(version);
	struct rds_arg argv[] = {RDS_MEM(kept, kept_len), RDS_MEM(version, version_len), RDS_MEM(app.at, app.len),
				 RDS_MEM(ulid_format(&a->message, id), ULID_TEXT)};
	answer_set_name(a, app);
	int err = rds_script(pool_first(a->dc->redis), SCRIPT_BROADCAST_WITHDRAW, 2, 4, argv, on_withdrawn, a);
	if (err)
		answer_redis_error(a, err);
}
