/* SPDX-License-Identifier: Apache-2.0 */
#include "fan_claim.h"

#include "base/clock.h"
#include "base/log.h"
#include "dc.h"

#include <stdlib.h>
#include <string.h>

/* Chunks that another DC may have served in part: the one after the last that it saved,
 * and one more if that word did not reach Redis. */
enum { TAKEN_OVER_CHUNKS = 2, CLOCKS_DIFFER_MS = 10000 };

static struct text_span text_of(const struct redisReply *fields, const char *name)
{
	size_t len = 0;
	const char *at = reply_str(reply_field(fields, name), &len);
	return (struct text_span){at ? at : "", len};
}

static uint64_t number_of(const struct redisReply *fields, const char *name, uint64_t max)
{
	uint64_t v = 0;
	return reply_uint(reply_field(fields, name), max, &v) ? v : 0;
}

static bool read_kind(const struct redisReply *fields, enum fan_kind *kind)
{
	struct text_span word = text_of(fields, "kind");
	*kind = text_is(word, fan_kind_words[FAN_TOPIC]) ? FAN_TOPIC : FAN_LIST;
	return text_is(word, fan_kind_words[*kind]);
}

/* The header line, and what follows from it. */
static int read_record(struct fan *f, struct text_span line)
{
	struct record r;
	int err = record_parse(line.at, line.len, &r);
	if (err)
		return err;
	if (r.body_len || !r.body_elsewhere || !ulid_equal(&r.id, &f->id))
		return RS_EINVAL;
	f->record = malloc(line.len);
	if (!f->record)
		return RS_ENOMEM;
	memcpy(f->record, line.at, line.len);
	f->header_len = f->record_len = line.len;
	f->expires_ms = r.expires_ms;
	f->app_id_len = (uint8_t)r.app_id_len;
	if (r.app_id_len)
		memcpy(f->app_id, r.app_id, r.app_id_len);
	return RS_OK;
}

/* Whether Redis has not been away since the fan-out was saved. */
static bool is_same_redis(const struct dc *dc, uint64_t lease_end_ms)
{
	return dc->redis_up_ms && dc->redis_up_ms + CLOCKS_DIFFER_MS + FAN_LEASE_MS < lease_end_ms;
}

static int read_all(struct fan *f, const struct redisReply *fields)
{
	char at[FAN_AT_MAX];
	struct text_span progress = text_of(fields, "at");
	int err = read_record(f, text_of(fields, "record"));
	if (err)
		return err;
	if (progress.len >= sizeof at)
		return RS_EINVAL;
	memcpy(at, progress.at, progress.len);
	at[progress.len] = '\0';
	f->total = number_of(fields, "total", UINT64_MAX);
	for (int i = 0; i < FAN_OUTCOMES; i++)
		f->counts[i] = number_of(fields, fan_outcome_words[i], UINT64_MAX);
	f->durable = true;
	f->waits = f->store; /* the DC before may have stored it */
	f->taken_over = TAKEN_OVER_CHUNKS;
	err = f->source->resume(f, at);
	if (err || f->kind == FAN_LIST || is_same_redis(f->dc, number_of(fields, "lease", UINT64_MAX)))
		return err;
	fan_topic_begin_anew(f);
	f->taken_over = 0; /* what comes as a duplicate was counted, nearly all of it */
	return RS_OK;
}

struct fan *fan_claim_read(struct dc *dc, const struct ulid *id, const struct redisReply *fields)
{
	struct fan *f = NULL;
	char text[ULID_TEXT + 1];
	enum fan_kind kind;
	struct send send = {
		.app = text_of(fields, "app"),
		.topic = text_of(fields, "topic"),
		.store = number_of(fields, "store", 1) == 1,
		.limits = {
			.queue_messages = (uint32_t)number_of(fields, "queue_messages", UINT32_MAX),
			.queue_bytes = number_of(fields, "queue_bytes", UINT64_MAX),
			.overflow = (enum overflow)number_of(fields, "overflow", OVERFLOW_DROP_LOWEST),
		},
	};
	bool good = read_kind(fields, &kind) && !name_fault(send.app.at, send.app.len) &&
		    (kind == FAN_TOPIC ? !topic_fault(send.topic.at, send.topic.len) : send.topic.len == 0);
	if (good)
		f = fan_new(dc, kind, &send);
	if (f) {
		f->id = *id;
		if (read_all(f, fields) == RS_OK)
			return f;
	}
	log_warn("a fan-out cannot be taken over: it cannot be read", LOG_STR("id", ulid_format(id, text)));
	fan_free(f);
	return NULL;
}

bool fan_claim_is_too_late(const struct redisReply *fields)
{
	uint64_t expires_ms = number_of(fields, "expires", UINT64_MAX);
	return expires_ms && clock_wall_ms() >= expires_ms;
}

int fan_claim_body(struct fan *f, const char *body, size_t len)
{
	if (!body || len == 0)
		return RS_OK;
	if (len > RECORD_BODY_MAX)
		return RS_ELIMIT;
	uint8_t *whole = realloc(f->record, f->header_len + len);
	if (!whole)
		return RS_ENOMEM;
	memcpy(whole + f->header_len, body, len);
	f->record = whole;
	f->record_len = f->header_len + len;
	return RS_OK;
}
