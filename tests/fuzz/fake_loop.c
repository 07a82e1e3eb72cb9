/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_loop.h"

#include "fuzz.h"

#include <ev.h>
#include <string.h>

enum { TIMERS_MAX = 64, FED_MAX = 16, TURNS_MAX = 100000 };

struct slot {
	ev_timer *timer;
	double due_ms;
};

static struct slot slots[TIMERS_MAX];
static size_t used;
static ev_watcher *fed[FED_MAX];
static size_t fed_count;
static char place;
struct ev_loop *const fake_loop = (struct ev_loop *)(void *)&place;

void fake_loop_reset(void) { used = fed_count = 0; }
size_t fake_loop_timers(void) { return used; }

static void put(ev_timer *w, double after_s)
{
	fuzz_check(used < TIMERS_MAX, "too many timers");
	w->active = 1;
	slots[used++] = (struct slot){w, (double)fuzz_now_ms + after_s * 1000};
}

/* ---- ev.h ---- */

void ev_timer_stop(struct ev_loop *loop, ev_timer *w) EV_NOEXCEPT
{
	(void)loop;
	w->active = 0;
	for (size_t i = 0; i < used; i++)
		if (slots[i].timer == w)
			slots[i--] = slots[--used];
}

void ev_timer_start(struct ev_loop *loop, ev_timer *w) EV_NOEXCEPT
{
	(void)loop;
	if (!w->active)
		put(w, w->at);
}

void ev_timer_again(struct ev_loop *loop, ev_timer *w) EV_NOEXCEPT
{
	ev_timer_stop(loop, w);
	if (w->repeat > 0)
		put(w, w->repeat);
}

void ev_feed_event(struct ev_loop *loop, void *w, int events) EV_NOEXCEPT
{
	(void)loop, (void)events;
	for (size_t i = 0; i < fed_count; i++)
		if (fed[i] == w)
			return;
	fuzz_check(fed_count < FED_MAX, "too much is fed");
	fed[fed_count++] = w;
}

int ev_clear_pending(struct ev_loop *loop, void *w) EV_NOEXCEPT
{
	(void)loop;
	for (size_t i = 0; i < fed_count; i++)
		if (fed[i] == w)
			fed[i--] = fed[--fed_count];
	return 0;
}

void fake_loop_end_turn(void)
{
	for (unsigned turns = 0; fed_count > 0; turns++) {
		ev_watcher *w = fed[--fed_count];
		fuzz_check(turns < TURNS_MAX, "a turn without end");
		w->cb(fake_loop, w, EV_CUSTOM);
	}
}

/* ---- time ---- */

static struct slot *first_due(void)
{
	struct slot *first = NULL;
	for (size_t i = 0; i < used; i++)
		if (slots[i].due_ms <= (double)fuzz_now_ms && (!first || slots[i].due_ms < first->due_ms))
			first = &slots[i];
	return first;
}

void fake_loop_advance(uint64_t ms)
{
	unsigned turns = 0;
	fuzz_now_ms += ms;
	for (struct slot *s; (s = first_due());) {
		ev_timer *w = s->timer;
		fuzz_check(++turns < TURNS_MAX, "a timer without end");
		if (w->repeat > 0)
			s->due_ms = (double)fuzz_now_ms + w->repeat * 1000;
		else
			ev_timer_stop(fake_loop, w);
		w->cb(fake_loop, w, EV_TIMER);
		fake_loop_end_turn();
	}
}
