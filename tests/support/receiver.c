/* SPDX-License-Identifier: Apache-2.0 */
#include "support/receiver.h"

#include "support/net_support.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int on_message(void *ctx, const struct restante_message *m)
{
	struct receiver *r = ctx;
	if (r->refuses) {
		r->offered++;
		return 1;
	}
	if (r->count == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 16;
		r->shown = realloc(r->shown, r->cap * sizeof *r->shown);
		cr_assert_not_null(r->shown);
	}
	struct shown *s = &r->shown[r->count++];
	*s = (struct shown){.stored = m->stored, .len = m->len, .body = malloc(m->len + 1)};
	cr_assert_not_null(s->body);
	if (m->len)
		memcpy(s->body, m->body, m->len);
	s->body[m->len] = '\0';
	snprintf(s->id, sizeof s->id, "%s", m->id);
	snprintf(s->app, sizeof s->app, "%s", m->app);
	snprintf(s->app_id, sizeof s->app_id, "%s", m->app_id);
	snprintf(s->topic, sizeof s->topic, "%s", m->topic);
	return 0;
}

static void on_reply(void *ctx, int number, unsigned code)
{
	struct receiver *r = ctx;
	(void)number;
	r->replies++;
	r->reply = code;
}

static void on_missed(void *ctx, const char *app, uint64_t count)
{
	struct receiver *r = ctx;
	size_t i = 0;
	while (i < RECEIVER_APPS_MAX && r->missed[i].notices && strcmp(r->missed[i].app, app) != 0)
		i++;
	cr_assert_lt(i, RECEIVER_APPS_MAX);
	snprintf(r->missed[i].app, sizeof r->missed[i].app, "%s", app);
	r->missed[i].notices++;
	r->missed[i].count += count;
}

struct missed receiver_missed(const struct receiver *r, const char *app)
{
	for (size_t i = 0; i < RECEIVER_APPS_MAX; i++)
		if (r->missed[i].notices && strcmp(r->missed[i].app, app) == 0)
			return r->missed[i];
	return (struct missed){0};
}

static void on_state(void *ctx, enum restante_state state, unsigned code)
{
	struct receiver *r = ctx;
	if (state == RESTANTE_ONLINE)
		r->onlines++;
	else if ((state == RESTANTE_WAITING || state == RESTANTE_STOPPED) && code < 16)
		r->codes[code]++;
}

void receiver_open_again(struct receiver *r, const struct stack *s, const char *user, const char *session,
			 const char *seen_file)
{
	char error[256] = "";
	struct restante_options o = RESTANTE_OPTIONS_INIT;
	*r = (struct receiver){.stack = s};
	o.balancers = stack_balancers(s);
	o.balancer_keys = stack_balancer_key(s);
	o.user = user;
	o.session = session;
	o.seen_file = seen_file;
	o.on_message = on_message;
	o.on_missed = on_missed;
	o.on_state = on_state;
	o.on_reply = on_reply;
	o.ctx = r;
	r->client = restante_open(&o, error, sizeof error);
	cr_assert(r->client, "no client: %s", error);
}

void receiver_open(struct receiver *r, const struct stack *s, const char *user, const char *session)
{
	receiver_open_again(r, s, user, session, NULL);
}

void receiver_close(struct receiver *r)
{
	restante_close(r->client);
	for (size_t i = 0; i < r->count; i++)
		free(r->shown[i].body);
	free(r->shown);
	*r = (struct receiver){0};
}

bool receiver_is_online(const struct receiver *r) { return restante_state(r->client) == RESTANTE_ONLINE; }
bool receiver_is_stopped(const struct receiver *r) { return restante_state(r->client) == RESTANTE_STOPPED; }

bool receiver_is_at(const struct receiver *r, const struct stack_daemon *mb)
{
	char text[ADDR_TEXT_MAX];
	struct addr a = net_loopback(mb->front);
	return receiver_is_online(r) && strcmp(restante_broker(r->client), addr_format(&a, text)) == 0;
}

bool receiver_was_shown(const struct receiver *r, size_t at, const void *body, size_t len)
{
	return at < r->count && r->shown[at].len == len && memcmp(r->shown[at].body, body, len) == 0;
}

void receivers_turn(struct receiver *all, size_t count, unsigned wait_ms)
{
	static struct pollfd *p;
	static size_t places;
	int wait = (int)wait_ms;
	if (count > places) {
		p = realloc(p, count * sizeof *p);
		cr_assert_not_null(p);
		places = count;
	}
	for (size_t i = 0; i < count; i++) {
		int due = restante_timeout_ms(all[i].client);
		p[i] = (struct pollfd){.fd = restante_fd(all[i].client), .events = POLLIN};
		if (due >= 0 && due < wait)
			wait = due;
	}
	poll(p, count, wait);
	for (size_t i = 0; i < count; i++)
		if (p[i].revents || restante_timeout_ms(all[i].client) == 0)
			restante_process(all[i].client);
}

void receivers_turn_for(struct receiver *all, size_t count, unsigned ms)
{
	for (uint64_t until = clock_mono_ms() + ms; clock_mono_ms() < until;)
		receivers_turn(all, count, 10);
}

void receivers_must_be_in_time(const struct receiver *all, size_t count, uint64_t until_ms,
			       const char *condition)
{
	if (clock_mono_ms() < until_ms)
		return;
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "receiver %zu: %s, %s; %zu shown, %u offered, online %u times\n", i,
			restante_state_text(restante_state(all[i].client)),
			restante_code_text(restante_why(all[i].client)), all[i].count, all[i].offered,
			all[i].onlines);
	if (count)
		stack_show_logs(all[0].stack);
	cr_assert_fail("not in time: %s", condition);
}
