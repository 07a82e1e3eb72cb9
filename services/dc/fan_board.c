/* SPDX-License-Identifier: Apache-2.0 */
#include "fan_board.h"

#include "base/clock.h"
#include "base/log.h"
#include "bodies.h"
#include "dc.h"
#include "fan_job.h"
#include "presence.h"
#include "rds/keys.h"
#include "store.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#define TICK_S 0.1
enum { TICKS_OF_SECOND = 10, CLAIMS_AT_ONCE = 16 };
/* What a request counts for, of fan_in_flight * STORE_WEIGHT: to look where somebody is
 * costs Redis far less than to store. */
enum { LOOK_WEIGHT = 1, STORE_WEIGHT = 4 };

/* A recipient being served. */
struct serving {
	struct list node; /* in spare, when it is not used */
	struct fan *fan;
	size_t at;        /* in its chunk, which may move */
	unsigned weight;
	struct place place;
};

struct fan_board {
	struct dc *dc;
	struct list fans;
	size_t count;
	struct serving *all;
	struct list spare;
	unsigned load, load_max;
	ev_timer tick;
	ev_prepare turn; /* never started, fed */
	unsigned ticks, claims;
	bool looks, stopped;
	uint64_t outcomes[FAN_OUTCOMES], ended, taken_over;
};

void fan_board_turn(struct fan_board *b) { ev_feed_event(b->dc->loop, &b->turn, EV_CUSTOM); }

void fan_board_count(struct fan_board *b, enum fan_outcome outcome) { b->outcomes[outcome]++; }

bool fan_board_has_room(const struct fan_board *b) { return !b->stopped && b->count + b->claims < FAN_BOARD_MAX; }

void fan_board_add(struct fan_board *b, struct fan *f)
{
	list_append(&b->fans, &f->on_board);
	b->count++;
	if (f->state != FAN_ENDING) /* else its body is gone: an empty one would be delivered */
		bodies_put(b->dc->bodies, &f->id, f->record + f->header_len, f->record_len - f->header_len);
	fan_board_turn(b);
}

void fan_board_claims(struct fan_board *b) { b->claims++; }

void fan_board_claimed(struct fan_board *b, struct fan *f)
{
	char id[ULID_TEXT + 1];
	b->claims--;
	if (!f)
		return;
	b->taken_over++;
	log_info("fan-out taken over", LOG_STR("id", ulid_format(&f->id, id)), LOG_BYTES("app", f->app, f->app_len));
	if (f->state == FAN_MAKING)
		fan_set_state(f, FAN_READING);
	fan_board_add(b, f);
}

/* --- serving --- */

static struct serving *take(struct fan_board *b, struct fan *f, struct recipient *r)
{
	struct serving *s = LIST_ENTRY(b->spare.next, struct serving, node);
	list_remove(&s->node);
	s->fan = f;
	s->at = (size_t)(r - f->chunk);
	s->weight = 0;
	f->under_way++;
	return s;
}

static struct fan *give_back(struct fan_board *b, struct serving *s)
{
	struct fan *f = s->fan;
	list_append(&b->spare, &s->node);
	b->load -= s->weight;
	f->under_way--;
	return f;
}

static void end_serving(struct serving *s, enum fan_outcome outcome)
{
	struct fan_board *b = s->fan->dc->fans;
	struct fan *f = give_back(b, s);
	fan_done(f, &f->chunk[s->at], outcome);
	fan_board_turn(b);
}

static void on_placed(struct place *p, const struct placed *r)
{
	struct serving *s = p->ctx;
	fan_note_placed(s->fan, r);
	end_serving(s, fan_outcome_of(s->fan, r));
}

static void weigh(struct serving *s, unsigned weight)
{
	s->fan->dc->fans->load += weight - s->weight;
	s->weight = weight;
}

static int place(struct serving *s)
{
	struct fan *f = s->fan;
	const struct recipient *r = &f->chunk[s->at];
	struct place *p = &s->place;
	weigh(s, STORE_WEIGHT);
	*p = (struct place){
		.dc = f->dc, .user = r->name, .user_len = r->len, .record = f->record, .record_len = f->header_len,
		.pushed = f->record, .pushed_len = f->record_len, .store = f->store, .limits = f->limits,
		.repeats = true, .done = on_placed, .ctx = s,
	};
	if (f->app_id_len) {
		p->once = f->app_id;
		p->once_len = f->app_id_len;
		p->once_ms = STORE_ONCE_MS;
	} else {
		p->once = (const char *)f->record; /* begins with the id */
		p->once_len = ULID_TEXT;
		p->once_ms = FAN_ID_ONCE_MS;
	}
	return place_begin(p);
}

/* Where the recipient is: who is not online has time. */
static void on_holder(void *ctx, int err, const struct redisReply *reply)
{
	struct serving *s = ctx;
	struct holder h = holder_read(err ? NULL : reply, 0);
	if (h.broker.len == 0 || s->fan->state != FAN_SERVING)
		end_serving(s, FAN_OUTCOMES);
	else if (place(s))
		end_serving(s, FAN_UNAVAILABLE);
}

static int begin(struct serving *s)
{
	struct fan *f = s->fan;
	const struct recipient *r = &f->chunk[s->at];
	if (!f->store || !f->source->online_only(f))
		return place(s);
	weigh(s, LOOK_WEIGHT);
	return presence_get_holder(f->dc, r->name, r->len, on_holder, s);
}

/* False: it has nobody to serve now. */
static bool serve_one(struct fan_board *b, struct fan *f, uint64_t now_ms)
{
	struct recipient *r = fan_next(f, now_ms);
	if (!r)
		return false;
	struct serving *s = take(b, f, r);
	int err = begin(s);
	if (!err)
		return true;
	give_back(b, s);
	if (err == RS_EBUSY || !f->waited_for)
		fan_put_back(f, r, now_ms);
	else
		fan_done(f, r, FAN_UNAVAILABLE);
	return err != RS_EBUSY;
}

static void serve(struct fan_board *b, uint64_t now_ms)
{
	size_t idle = 0;
	while (idle < b->count && b->load < b->load_max && !list_empty(&b->spare)) {
		struct fan *f = LIST_ENTRY(b->fans.next, struct fan, on_board);
		list_remove(&f->on_board);
		list_append(&b->fans, &f->on_board);
		idle = serve_one(b, f, now_ms) ? 0 : idle + 1;
	}
}

static void end_fan(struct fan_board *b, struct fan *f)
{
	b->count--;
	b->ended++;
	fan_free(f);
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct fan_board *b = w->data;
	uint64_t now_ms = clock_mono_ms();
	(void)loop, (void)events;
	for (struct list *n = b->fans.next; n != &b->fans;) {
		struct fan *f = LIST_ENTRY(n, struct fan, on_board);
		n = n->next;
		fan_go_on(f, now_ms);
		if (f->state == FAN_OVER && f->under_way == 0)
			end_fan(b, f);
	}
	serve(b, now_ms);
}

/* --- leases --- */

static void renew(struct fan_board *b)
{
	for (struct list *n = b->fans.next; n != &b->fans; n = n->next) {
		struct fan *f = LIST_ENTRY(n, struct fan, on_board);
		if (f->durable && (f->state == FAN_READING || f->state == FAN_SERVING))
			fan_job_save(f, false);
	}
}

static bool is_here(const struct fan_board *b, const struct ulid *id)
{
	for (struct list *n = b->fans.next; n != &b->fans; n = n->next)
		if (ulid_equal(&LIST_ENTRY(n, struct fan, on_board)->id, id))
			return true;
	return false;
}

static void on_due(void *ctx, int err, const struct redisReply *reply)
{
	struct fan_board *b = ctx;
	b->looks = false;
	for (size_t i = 0; !err && i < reply_count(reply) && fan_board_has_room(b); i++) {
		struct ulid id;
		size_t len = 0;
		const char *text = reply_str(reply_at(reply, i), &len);
		if (!text)
			continue;
		if (len != ULID_TEXT || ulid_parse(text, &id))
			fan_job_unlist(b->dc, text, len);
		else if (!is_here(b, &id))
			fan_job_claim(b->dc, &id);
	}
}

/* Which leases have ended. */
static void look(struct fan_board *b)
{
	char key[KEY_MAX], count[RDS_NUM_MAX];
	struct rds_arg argv[] = {RDS_MEM(key, key_fans(key)), rds_num(CLAIMS_AT_ONCE, count)};
	if (b->looks || b->claims || !fan_board_has_room(b))
		return;
	b->looks = rds_script(pool_first(b->dc->redis), SCRIPT_FAN_DUE, 1, 2, argv, on_due, b) == RS_OK;
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct fan_board *b = w->data;
	(void)loop, (void)events;
	if (++b->ticks % TICKS_OF_SECOND == 0 && !b->stopped) {
		renew(b);
		look(b);
	}
	if (b->count)
		fan_board_turn(b);
}

/* --- beginning and end --- */

int fan_board_new(struct fan_board **out, struct dc *dc)
{
	struct fan_board *b = calloc(1, sizeof *b);
	size_t slots = (size_t)dc->config->fan_in_flight * STORE_WEIGHT / LOOK_WEIGHT;
	if (!b)
		return RS_ENOMEM;
	b->all = calloc(slots, sizeof *b->all);
	if (!b->all) {
		free(b);
		return RS_ENOMEM;
	}
	b->dc = dc;
	b->load_max = (unsigned)dc->config->fan_in_flight * STORE_WEIGHT;
	list_init(&b->fans);
	list_init(&b->spare);
	for (size_t i = 0; i < slots; i++)
		list_append(&b->spare, &b->all[i].node);
	ev_timer_init(&b->tick, on_tick, TICK_S, TICK_S);
	b->tick.data = b;
	ev_timer_start(dc->loop, &b->tick);
	ev_prepare_init(&b->turn, on_turn);
	b->turn.data = b;
	*out = b;
	return RS_OK;
}

void fan_board_redis_is_back(struct fan_board *b)
{
	for (struct list *n = b->fans.next; n != &b->fans; n = n->next)
		fan_topic_begin_anew(LIST_ENTRY(n, struct fan, on_board));
}

void fan_board_stop(struct fan_board *b)
{
	b->stopped = true;
	for (struct list *n = b->fans.next; n != &b->fans; n = n->next) {
		struct fan *f = LIST_ENTRY(n, struct fan, on_board);
		if (f->waited_for || !f->durable || f->state == FAN_OVER)
			continue;
		fan_job_leave(f);
		fan_set_state(f, FAN_OVER); /* not a word to Redis any more */
	}
}

void fan_board_free(struct fan_board *b)
{
	if (!b)
		return;
	while (!list_empty(&b->fans)) {
		struct fan *f = LIST_ENTRY(b->fans.next, struct fan, on_board);
		fan_set_state(f, FAN_OVER); /* whoever waits for it hears */
		fan_free(f);
	}
	ev_timer_stop(b->dc->loop, &b->tick);
	ev_clear_pending(b->dc->loop, &b->turn);
	free(b->all);
	free(b);
}

void fan_board_metrics(const struct fan_board *b, struct metrics *m)
{
	metrics_gauge(m, "dc_fans", "Fan-outs that this DC carries out now.", (double)b->count);
	metrics_counter(m, "dc_fans_ended_total", "Fan-outs that came to their end here.", b->ended);
	metrics_counter(m, "dc_fans_taken_over_total", "Fan-outs taken over from a DC that was gone.", b->taken_over);
	for (int i = 0; i < FAN_OUTCOMES; i++)
		metrics_labelled(m, i == 0, "counter", "dc_fan_recipients_total",
				 "Recipients of fan-outs, by what became of the message.", "state", fan_outcome_words[i],
				 (double)b->outcomes[i]);
}
