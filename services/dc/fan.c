/* SPDX-License-Identifier: Apache-2.0 */
#include "fan.h"

#include "base/clock.h"
#include "dc.h"
#include "fan_board.h"
#include "fan_job.h"

#include <stdlib.h>
#include <string.h>

const char *const fan_outcome_words[FAN_OUTCOMES] = {
	"stored", "pushed", "dropped", "duplicate", "full", "unavailable", "unknown",
};
const char *const fan_kind_words[2] = {"list", "topic"};

struct fan *fan_new(struct dc *dc, enum fan_kind kind, const struct send *send)
{
	struct fan *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	list_init(&f->on_board);
	f->dc = dc;
	f->kind = kind;
	f->source = kind == FAN_LIST ? &fan_list : &fan_topic;
	if (kind == FAN_TOPIC)
		f->filters = (struct fan_filters){.pass = 1, .cursor = "0"};
	f->store = send->store;
	f->limits = send->limits;
	f->app_len = (uint8_t)send->app.len;
	memcpy(f->app, send->app.at, send->app.len);
	f->topic_len = (uint8_t)send->topic.len;
	if (send->topic.len)
		memcpy(f->topic, send->topic.at, send->topic.len);
	return f;
}

int fan_set_record(struct fan *f, const struct send *send, struct text_span app_id)
{
	size_t cap = RECORD_HEADER_MAX + send->body_len;
	f->record = malloc(cap);
	if (!f->record)
		return RS_ENOMEM;
	int len = message_format(send, app_id, true, &f->id, f->record, cap);
	if (len < 0)
		return len;
	if (send->body_len)
		memcpy(f->record + len, send->body, send->body_len);
	f->header_len = (size_t)len;
	f->record_len = f->header_len + send->body_len;
	f->app_id_len = (uint8_t)app_id.len;
	if (app_id.len)
		memcpy(f->app_id, app_id.at, app_id.len);
	f->expires_ms = clock_wall_ms() + send->ttl_s * 1000;
	return RS_OK;
}

void fan_set_id(struct fan *f, const struct ulid *id)
{
	char text[ULID_TEXT + 1];
	f->id = *id;
	memcpy(f->record, ulid_format(id, text), ULID_TEXT);
}

void fan_free(struct fan *f)
{
	if (!f)
		return;
	list_remove(&f->on_board);
	free(f->record);
	free(f->chunk);
	free(f);
}

static void tell_end(struct fan *f)
{
	void (*on_end)(void *ctx) = f->on_end;
	void *ctx = f->ctx;
	fan_forget_waiter(f);
	if (on_end)
		on_end(ctx);
}

void fan_set_state(struct fan *f, enum fan_state state)
{
	f->state = state;
	if (state == FAN_ENDING || state == FAN_OVER)
		tell_end(f);
}

void fan_forget_waiter(struct fan *f)
{
	f->on_served = NULL;
	f->on_end = NULL;
	f->waited_for = false;
}

/* --- what a source says --- */

int fan_add(struct fan *f, const char *name, size_t len)
{
	if (f->chunk_len == f->chunk_cap) {
		size_t cap = f->chunk_cap ? 2 * f->chunk_cap : FAN_CHUNK;
		struct recipient *grown = realloc(f->chunk, cap * sizeof *grown);
		if (!grown)
			return RS_ENOMEM;
		f->chunk = grown;
		f->chunk_cap = cap;
	}
	struct recipient *r = &f->chunk[f->chunk_len++];
	r->done = r->busy = false;
	r->refusals = 0;
	r->len = (uint8_t)len;
	memcpy(r->name, name, len);
	return RS_OK;
}

static void end_chunk(struct fan *f)
{
	f->at += f->chunk_len;
	f->chunk_len = 0;
	if (f->taken_over)
		f->taken_over--;
	f->source->advance(f);
	fan_set_state(f, FAN_READING);
	if (f->durable)
		fan_job_save(f, false);
	else if (f->shared)
		fan_job_look(f);
}

void fan_read(struct fan *f)
{
	f->asked = false;
	f->next = 0;
	f->chunk_left = f->chunk_len;
	fan_set_state(f, FAN_SERVING);
	if (f->chunk_left == 0)
		end_chunk(f);
	fan_board_turn(f->dc->fans);
}

void fan_read_failed(struct fan *f)
{
	f->asked = false;
	f->chunk_len = 0;
	f->again_ms = clock_mono_ms() + FAN_RETRY_MS;
}

void fan_served_all(struct fan *f)
{
	f->asked = false;
	fan_set_state(f, f->durable ? FAN_ENDING : FAN_OVER);
	fan_board_turn(f->dc->fans);
}

/* --- what the board does --- */

struct recipient *fan_next(struct fan *f, uint64_t now_ms)
{
	if (f->state != FAN_SERVING || now_ms < f->again_ms)
		return NULL;
	while (f->next < f->chunk_len) {
		struct recipient *r = &f->chunk[f->next++];
		if (r->done || r->busy)
			continue;
		r->busy = true;
		f->chunk_busy++;
		return r;
	}
	return NULL;
}

static void rest(struct fan *f, struct recipient *r)
{
	r->busy = false;
	f->chunk_busy--;
}

void fan_put_back(struct fan *f, struct recipient *r, uint64_t now_ms)
{
	rest(f, r);
	f->next = (size_t)(r - f->chunk);
	f->again_ms = now_ms + FAN_RETRY_MS / 10;
}

static bool is_too_late(const struct fan *f) { return !f->waited_for && clock_wall_ms() >= f->expires_ms; }

static void settle(struct fan *f, struct recipient *r, enum fan_outcome outcome)
{
	r->done = true;
	f->chunk_left--;
	if (outcome >= FAN_OUTCOMES)
		return;
	f->counts[outcome]++;
	fan_board_count(f->dc->fans, outcome);
	if (f->on_served)
		f->on_served(f->ctx, f->at + (uint64_t)(r - f->chunk), outcome);
}

/* Those who could not be served are tried again when the others are through, unless the
 * message has expired by then. */
static void try_again(struct fan *f)
{
	bool late = is_too_late(f);
	f->next = 0;
	f->again_ms = clock_mono_ms() + FAN_RETRY_MS;
	for (size_t i = 0; late && i < f->chunk_len; i++)
		if (!f->chunk[i].done)
			settle(f, &f->chunk[i], FAN_UNAVAILABLE);
}

/* Redis may be back soon; what it has against one recipient may stay for ever. */
static bool is_worth_another_try(const struct fan *f, const struct recipient *r, enum fan_outcome outcome)
{
	return !f->waited_for && (outcome == FAN_UNAVAILABLE || outcome == FAN_UNKNOWN) && r->refusals < FAN_REFUSALS_MAX;
}

void fan_done(struct fan *f, struct recipient *r, enum fan_outcome outcome)
{
	if (f->state != FAN_SERVING)
		return;
	rest(f, r);
	if (outcome == FAN_REFUSED) {
		r->refusals++;
		outcome = FAN_UNAVAILABLE;
	}
	if (!is_worth_another_try(f, r, outcome))
		settle(f, r, outcome);
	if (f->chunk_left > 0 && f->next == f->chunk_len && f->chunk_busy == 0)
		try_again(f);
	if (f->chunk_left == 0)
		end_chunk(f);
}

void fan_note_placed(struct fan *f, const struct placed *r)
{
	bool unknown = r->err == RS_ETIMEOUT || r->err == RS_ELOST || r->err == RS_EREMOTE;
	if (unknown || r->kept || (!r->err && !r->full && r->state == SEND_DUPLICATE))
		f->waits = f->store;
}

/* One who was served by the DC before counts as what he was then. Of a topic, who was
 * served before was counted: in the first pass, or by another filter. */
enum fan_outcome fan_outcome_of(const struct fan *f, const struct placed *r)
{
	if (r->err == RS_EREMOTE)
		return FAN_REFUSED;
	if (r->err)
		return r->err == RS_ETIMEOUT || r->err == RS_ELOST ? FAN_UNKNOWN : FAN_UNAVAILABLE;
	if (r->full)
		return FAN_FULL;
	if (r->state != SEND_DUPLICATE || !ulid_equal(&r->first, &f->id))
		return (enum fan_outcome)r->state;
	if (f->taken_over && strcmp(r->first_state, "pushed") == 0)
		return FAN_PUSHED;
	if (f->taken_over && strcmp(r->first_state, "dropped") == 0)
		return FAN_DROPPED;
	if (f->taken_over)
		return FAN_STORED;
	return f->kind == FAN_TOPIC ? FAN_OUTCOMES : FAN_DUPLICATE;
}

void fan_go_on(struct fan *f, uint64_t now_ms)
{
	if (f->state == FAN_READING && !f->asked && now_ms >= f->again_ms) {
		if (is_too_late(f)) {
			fan_served_all(f);
			return;
		}
		f->asked = true;
		if (f->source->read(f))
			fan_read_failed(f);
	} else if (f->state == FAN_ENDING && f->under_way == 0 && now_ms >= f->again_ms) {
		f->again_ms = now_ms + FAN_RETRY_MS;
		f->asked = true;
		fan_job_save(f, true);
	}
}
