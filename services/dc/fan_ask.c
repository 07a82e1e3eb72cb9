/* SPDX-License-Identifier: Apache-2.0 */
#include "fan_ask.h"

#include "bodies.h"
#include "dc.h"
#include "fan.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void refuse(struct answer *a, const char *what)
{
	answer_error(a, 404, "no %s of this App has this id", what);
}

static void on_withdrawn(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	char id[ULID_TEXT + 1];
	int64_t withdrawn = 0;
	if (err || !reply_int(reply, &withdrawn)) {
		pool_warn("fan-out not withdrawn", err, reply);
		answer_redis_error(a, err);
		return;
	}
	if (withdrawn != 1) {
		refuse(a, "kept broadcast and no message to many");
		return;
	}
	struct answer_field fields[] = {
		{"message", ulid_format(&a->message, id), ULID_TEXT},
		{"state", "withdrawn", 9},
	};
	bodies_forget(a->dc->bodies, &a->message);
	a->dc->counts.withdrawn++;
	answer_ok(a, fields, 2);
}

void fan_withdraw(struct answer *a, struct text_span app)
{
	char keys[3][KEY_MAX];
	struct rds_arg argv[] = {
		RDS_MEM(keys[0], key_fan(keys[0], &a->message)), RDS_MEM(keys[1], key_fan_body(keys[1], &a->message)),
		RDS_MEM(keys[2], key_fan_to(keys[2], &a->message)), RDS_MEM(app.at, app.len),
	};
	int err = rds_script(pool_first(a->dc->redis), SCRIPT_FAN_WITHDRAW, 3, 4, argv, on_withdrawn, a);
	if (err)
		answer_redis_error(a, err);
}

/* --- STATUS --- */

enum { AT_APP, AT_STATE, AT_TOTAL, AT_COUNTS, AT_END = AT_COUNTS + FAN_OUTCOMES };

/* RS_ENOENT: no number, or none. */
static int take_count(const struct redisReply *reply, char text[24], struct answer_field *field)
{
	uint64_t count;
	if (!reply_uint(reply, UINT64_MAX, &count) || count == 0)
		return RS_ENOENT;
	field->value = text;
	field->value_len = (size_t)snprintf(text, 24, "%" PRIu64, count);
	return RS_OK;
}

static void on_status(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	char id[ULID_TEXT + 1], numbers[FAN_OUTCOMES + 1][24];
	struct answer_field fields[3 + FAN_OUTCOMES] = {{"message", ulid_format(&a->message, id), ULID_TEXT}};
	size_t n = 2, len = 0, state_len = 0;
	const char *app = err ? NULL : reply_str(reply_at(reply, AT_APP), &len);
	const char *state = err ? NULL : reply_str(reply_at(reply, AT_STATE), &state_len);
	if (err) {
		answer_unavailable(a);
		return;
	}
	if (!app || !state || len != a->name_len || memcmp(app, a->name, len) != 0 || name_fault(state, state_len)) {
		refuse(a, "message to many");
		return;
	}
	fields[1] = (struct answer_field){"state", state, state_len};
	for (size_t i = AT_TOTAL; i < AT_END; i++) {
		fields[n].name = i == AT_TOTAL ? "total" : fan_outcome_words[i - AT_COUNTS];
		if (take_count(reply_at(reply, i), numbers[i - AT_TOTAL], &fields[n]) == RS_OK)
			n++;
	}
	answer_ok(a, fields, n);
}

void fan_status(struct answer *a, struct text_span app)
{
	char key[KEY_MAX];
	struct rds_arg argv[2 + AT_END] = {RDS_STR("HMGET"), RDS_MEM(key, key_fan(key, &a->message)), RDS_STR("app"),
					   RDS_STR("state"), RDS_STR("total")};
	for (int i = 0; i < FAN_OUTCOMES; i++)
		argv[2 + AT_COUNTS + i] = RDS_STR(fan_outcome_words[i]);
	answer_set_name(a, app); /* whose it must be, when the answer comes */
	if (rds_command(pool_first(a->dc->redis), 2 + AT_END, argv, on_status, a))
		answer_unavailable(a);
}
