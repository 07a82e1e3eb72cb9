/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include "base/clock.h"
#include "crypto/random.h"
#include "dc.h"

#include <string.h>

enum { RANDOM_BYTES = 10 };

bool message_take_seconds(struct answer *a, const struct text_request *r, const char *field, uint64_t *seconds)
{
	const struct text_span *value = text_value(r, field);
	if (!value || text_number(*value, 1, MESSAGE_TTL_MAX_S, seconds) == RS_OK)
		return true;
	answer_error(a, 400, "%s is not a whole number of seconds from 1 to %d", field, MESSAGE_TTL_MAX_S);
	return false;
}

static bool take_flag(struct answer *a, const struct text_request *r, const char *field, bool *flag)
{
	const struct text_span *value = text_value(r, field);
	if (!value)
		return true;
	if (!text_is(*value, "yes") && !text_is(*value, "no")) {
		answer_error(a, 400, "%s is neither yes nor no", field);
		return false;
	}
	*flag = text_is(*value, "yes");
	return true;
}

static bool take_priority(struct answer *a, const struct text_request *r, enum priority *priority)
{
	const struct text_span *value = text_value(r, "priority");
	for (int i = 0; value && i < PRIORITIES; i++)
		if (text_is(*value, priority_words[i])) {
			*priority = (enum priority)i;
			return true;
		}
	if (value)
		answer_error(a, 400, "priority is none of low, normal, high");
	return !value;
}

static bool take_collapse(struct answer *a, const struct text_request *r, struct text_span *collapse)
{
	const struct text_span *value = text_value(r, "collapse");
	const char *fault = value ? name_fault(value->at, value->len) : NULL;
	if (fault)
		answer_error(a, 400, "collapse %s; it must be " NAME_RULE, fault);
	else if (value)
		*collapse = *value;
	return !fault;
}

bool message_take(struct conn *c, struct answer *a, const struct text_request *r, struct send *out)
{
	*out = (struct send){
		.app = app_name(c->app),
		.limits = c->app->limits,
		.ttl_s = (uint64_t)c->dc->config->ttl_default_s,
		.store = true,
	};
	if (!message_take_seconds(a, r, "ttl", &out->ttl_s) || !take_flag(a, r, "store", &out->store) ||
	    !take_flag(a, r, "receipt", &out->receipt) || !take_priority(a, r, &out->priority) ||
	    !take_collapse(a, r, &out->collapse))
		return false;
	if (!out->store && (out->collapse.len || out->receipt)) {
		answer_error(a, 400, "%s is for messages that are stored, and store is no",
			     out->collapse.len ? "collapse" : "receipt");
		return false;
	}
	return true;
}

/* Random bytes taken ahead: one call of the generator serves 64 messages. */
struct ulid message_id(uint64_t now_ms)
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

int message_format(const struct send *s, struct text_span app_id, bool elsewhere, struct ulid *id,
		   uint8_t *out, size_t cap)
{
	uint64_t now = clock_wall_ms();
	struct record r = {
		.id = message_id(now),
		.sent_ms = now,
		.expires_ms = now + s->ttl_s * 1000,
		.app = s->app.at,
		.app_len = s->app.len,
		.app_id = app_id.at,
		.app_id_len = app_id.len,
		.priority = s->priority,
		.collapse = s->collapse.at,
		.collapse_len = s->collapse.len,
		.topic = s->topic.at,
		.topic_len = s->topic.len,
		.receipt = s->receipt,
		.body_elsewhere = elsewhere,
		.elsewhere_len = elsewhere ? s->body_len : 0,
		.body = elsewhere ? NULL : s->body,
		.body_len = elsewhere ? 0 : s->body_len,
	};
	*id = r.id;
	return record_format(&r, out, cap);
}

int message_put(struct answer *a, const struct send *send)
{
	size_t cap = RECORD_HEADER_MAX + send->body_len;
	int len = answer_reserve_record(a, cap);
	if (len == RS_OK)
		len = message_format(send, (struct text_span){a->id, a->id_len}, false, &a->message, a->record, cap);
	if (len < 0)
		return len;
	a->record_len = (size_t)len;
	return RS_OK;
}
