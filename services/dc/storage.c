/* SPDX-License-Identifier: Apache-2.0 */
#include "storage.h"

#include "base/clock.h"
#include "dc.h"
#include "rds/keys.h"
#include "store.h"

#include <string.h>

enum { TOO_MANY = -2 };

static void answer_set(struct answer *a, const char *storage)
{
	struct answer_field fields[] = {{"user", a->name, a->name_len}, {"storage", storage, strlen(storage)}};
	answer_ok(a, fields, 2);
}

static void take(struct answer *a, int err, const struct redisReply *reply, const char *storage)
{
	int64_t said = 0;
	if (err || !reply_int(reply, &said)) {
		pool_warn("storage not switched", err, reply);
		answer_redis_error(a, err);
	} else if (said == TOO_MANY) {
		answer_retry(a, 429, STORE_FULL_RETRY_S, "storing is switched off for %d Apps of this user already",
			     SETTINGS_OF_USER_MAX);
	} else {
		answer_set(a, storage);
	}
}

static void on_switched_on(void *ctx, int err, const struct redisReply *reply) { take(ctx, err, reply, "on"); }

static void on_switched_off(void *ctx, int err, const struct redisReply *reply) { take(ctx, err, reply, "off"); }

void storage_set(struct answer *a, struct text_span app, bool on)
{
	char keys[2][KEY_MAX], nums[2][RDS_NUM_MAX];
	struct rds_arg argv[] = {
		RDS_MEM(keys[0], key_settings(keys[0], a->name, a->name_len)),
		RDS_MEM(keys[1], key_presence(keys[1], a->name, a->name_len)),
		RDS_STR(""), RDS_MEM(app.at, app.len), RDS_STR(on ? "1" : "0"),
		rds_num((int64_t)clock_wall_ms(), nums[0]), rds_num(SETTINGS_OF_USER_MAX, nums[1]),
	};
	int err = pool_script(a->dc->redis, a->name, a->name_len, SCRIPT_SETTINGS_STORE, 2, 7, argv,
			      on ? on_switched_on : on_switched_off, a);
	if (err)
		answer_redis_error(a, err);
}
