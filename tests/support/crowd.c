/* SPDX-License-Identifier: Apache-2.0 */
#include "support/crowd.h"

#include "support/lua_call.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USER_MAX = 60 };

static const char *const lane_words[PRIORITIES] = {"normal", "high", "low"};

/* ---- limits: each policy once ---- */

static void set_limits(struct crowd *w)
{
	struct app_limits *l = w->model.limits;
	w->model.user_max = USER_MAX;
	l[0] = (struct app_limits){.overflow = OVERFLOW_REJECT};
	l[1] = (struct app_limits){.queue_messages = 12, .overflow = OVERFLOW_DROP_OLDEST};
	l[2] = (struct app_limits){.queue_messages = 16, .queue_bytes = 3000, .overflow = OVERFLOW_DROP_LOWEST};
	cr_assert_str_eq(redis_text(w->stack.c, "HSET rs:app:shop queue_messages 12 overflow drop-oldest"), "2");
	cr_assert_str_eq(redis_text(w->stack.c, "HSET rs:app:news queue_messages 16 queue_bytes 3000 overflow drop-lowest"), "3");
}

void crowd_start(struct crowd *w)
{
	static const char *const flags[] = {"--queue-max-messages=60", "--status-s=60", NULL};
	char user[16], name[32];
	memset(w, 0, sizeof *w);
	model_init(&w->model);
	stack_start(&w->stack, &(struct stack_options){
		.dcs = CROWD_DCS, .mbs = 2, .dc_flags = flags, .in_memory = true});
	for (unsigned i = 1; i < MODEL_APPS; i++)
		stack_app(&w->stack, model_apps[i]);
	set_limits(w);
	for (unsigned dc = 0; dc < CROWD_DCS; dc++) {
		for (unsigned i = 0; i < MODEL_APPS; i++)
			stack_client_of(&w->stack, dc, model_apps[i], &w->app[dc][i].c);
		RECEIVERS_UNTIL(&w->client->r, 0, stack_metric(&w->stack.dc[dc], "dc_links") == 2);
	}
	for (unsigned i = 0; i < MODEL_USERS; i++) {
		snprintf(user, sizeof user, "u%u", i);
		snprintf(name, sizeof name, "%s.seen", user);
		stack_session(&w->stack, user, 3600, w->client[i].session);
		temp_path(&w->stack.dir, name, w->client[i].seen);
	}
}

void crowd_stop(struct crowd *w)
{
	for (unsigned i = 0; i < MODEL_USERS; i++)
		if (w->client[i].r.client)
			receiver_close(&w->client[i].r);
	for (unsigned i = 0; i < CROWD_DCS * MODEL_APPS; i++)
		if (w->app[i / MODEL_APPS][i % MODEL_APPS].c.fd > 0)
			text_client_close(&w->app[i / MODEL_APPS][i % MODEL_APPS].c);
	stack_stop(&w->stack);
	model_deinit(&w->model);
	memset(w, 0, sizeof *w);
}

/* ---- answers ---- */

static void take_answer(struct crowd *w, struct crowd_app *app, const struct text_answer *a)
{
	const struct crowd_ask *ask = &app->ask[app->head];
	struct model_answer said = {
		.code = a->code, .state = text_answer_value(a, "state"), .id = text_answer_value(a, "message"),
		.first = text_answer_value(a, "first"), .from_ms = ask->from_ms, .to_ms = clock_wall_ms(),
	};
	cr_assert_gt(app->count, 0, "an answer too many: %s", a->text);
	app->head = (app->head + 1) % CROWD_ASKS_MAX;
	app->count--;
	switch (ask->kind) {
	case CROWD_SEND: model_sent(&w->model, ask->message, &said); break;
	case CROWD_WITHDRAW: model_withdrawn(&w->model, ask->message, &said); break;
	case CROWD_STATUS: model_status(&w->model, ask->message, &said); return;
	}
	w->client[w->model.message[ask->message].user].busy = false;
}

static void take_shown(struct crowd *w, uint32_t user)
{
	struct crowd_client *c = &w->client[user];
	bool late_ok = clock_mono_ms() - c->heard_ms < MODEL_SLACK_MS;
	for (; c->read < c->r.count; c->read++) {
		const struct shown *s = &c->r.shown[c->read];
		uint32_t n = (uint32_t)strtoul((const char *)s->body, NULL, 10);
		model_shown(&w->model, user, n, s->id, clock_wall_ms(), late_ok);
		if (n < w->model.count)
			w->model.message[n].shown_in = c->life;
	}
}

/* What waits on a connection is read after what clients were shown: an answer may say
 * that a message was taken. */
void crowd_turn(struct crowd *w, unsigned wait_ms)
{
	enum { APPS = CROWD_DCS * MODEL_APPS };
	struct pollfd p[APPS + MODEL_USERS];
	struct text_answer a;
	int wait = (int)wait_ms;
	for (unsigned i = 0; i < APPS; i++)
		p[i] = (struct pollfd){.fd = w->app[i / MODEL_APPS][i % MODEL_APPS].c.fd, .events = POLLIN};
	for (unsigned i = 0; i < MODEL_USERS; i++) {
		bool turns = crowd_is_open(w, i) && !w->client[i].deaf;
		int due = turns ? restante_timeout_ms(w->client[i].r.client) : -1;
		p[APPS + i] = (struct pollfd){.fd = turns ? restante_fd(w->client[i].r.client) : -1, .events = POLLIN};
		if (due >= 0 && due < wait)
			wait = due;
	}
	poll(p, APPS + MODEL_USERS, wait);
	for (unsigned i = 0; i < MODEL_USERS; i++) {
		struct restante *client = p[APPS + i].fd >= 0 ? w->client[i].r.client : NULL;
		if (client && (p[APPS + i].revents || restante_timeout_ms(client) == 0)) {
			restante_process(client);
			take_shown(w, i);
		}
	}
	for (unsigned i = 0; i < APPS; i++) {
		struct crowd_app *app = &w->app[i / MODEL_APPS][i % MODEL_APPS];
		while (p[i].revents && text_client_try(&app->c, &a))
			take_answer(w, app, &a);
	}
}

/* ---- requests ---- */

static struct crowd_app *begin(struct crowd *w, unsigned dc, enum crowd_kind kind, uint32_t message)
{
	const struct model_message *x = &w->model.message[message];
	struct crowd_app *app = &w->app[dc][x->app];
	while (app->count == CROWD_ASKS_MAX)
		crowd_turn(w, 10);
	app->ask[(app->head + app->count++) % CROWD_ASKS_MAX] = (struct crowd_ask){kind, message, clock_wall_ms()};
	if (kind != CROWD_STATUS)
		w->client[x->user].busy = true;
	return app;
}

void crowd_send(struct crowd *w, unsigned dc, const struct model_message *draft)
{
	char head[256], body[1024];
	crowd_finish(w, draft->user);
	uint32_t n = model_add(&w->model, draft);
	const struct model_message *x = &w->model.message[n];
	int len = snprintf(body, sizeof body, "%u ", n);
	w->model.message[n].body_len += (uint32_t)len;
	cr_assert_lt(x->body_len, sizeof body);
	memset(body + len, 'x', x->body_len - (uint32_t)len);
	len = snprintf(head, sizeof head, "SEND 1\r\nto u%u\r\nttl %u\r\nlength %u\r\n", x->user, x->ttl_s, x->body_len);
	if (x->name)
		len += snprintf(head + len, sizeof head - (size_t)len, "id n%u\r\n", x->name);
	if (x->key)
		len += snprintf(head + len, sizeof head - (size_t)len, "collapse %c\r\n", 'a' + x->key);
	if (x->lane != PRIORITY_NORMAL)
		len += snprintf(head + len, sizeof head - (size_t)len, "priority %s\r\n", lane_words[x->lane]);
	text_client_printf(&begin(w, dc, CROWD_SEND, n)->c, "%s%s\r\n%.*s", head, x->store ? "" : "store no\r\n",
			   (int)x->body_len, body);
}

void crowd_withdraw(struct crowd *w, unsigned dc, uint32_t n)
{
	crowd_finish(w, w->model.message[n].user);
	text_client_printf(&begin(w, dc, CROWD_WITHDRAW, n)->c, "WITHDRAW 1\r\nto u%u\r\nmessage %s\r\n\r\n",
			   w->model.message[n].user, w->model.message[n].id);
}

void crowd_status(struct crowd *w, unsigned dc, uint32_t n)
{
	text_client_printf(&begin(w, dc, CROWD_STATUS, n)->c, "STATUS 1\r\nto u%u\r\nmessage %s\r\n\r\n",
			   w->model.message[n].user, w->model.message[n].id);
}

static void must_be_soon(uint64_t until_ms, const char *what)
{
	cr_assert_lt(clock_mono_ms(), until_ms, "not in time: %s", what);
}

void crowd_finish(struct crowd *w, uint32_t user)
{
	for (uint64_t until = clock_mono_ms() + RECEIVER_WAIT_MS; w->client[user].busy; crowd_turn(w, 10))
		must_be_soon(until, "an answer to an App");
}

void crowd_finish_all(struct crowd *w)
{
	uint64_t until = clock_mono_ms() + RECEIVER_WAIT_MS;
	for (unsigned i = 0; i < CROWD_DCS * MODEL_APPS; i++)
		for (; w->app[i / MODEL_APPS][i % MODEL_APPS].count > 0; crowd_turn(w, 10))
			must_be_soon(until, "the answers to an App");
}

/* ---- clients ---- */

bool crowd_is_open(const struct crowd *w, uint32_t user) { return w->client[user].r.client != NULL; }

void crowd_log_in(struct crowd *w, uint32_t user)
{
	char name[16];
	struct crowd_client *c = &w->client[user];
	snprintf(name, sizeof name, "u%u", user);
	crowd_finish(w, user);
	model_loosen(&w->model, user);
	receiver_open_again(&c->r, &w->stack, name, c->session, c->seen);
	c->life++;
	c->read = 0;
	c->deaf = false;
	c->heard_ms = clock_mono_ms();
}

void crowd_log_out(struct crowd *w, uint32_t user)
{
	struct crowd_client *c = &w->client[user];
	for (unsigned i = 0; i < MODEL_APPS; i++)
		c->told[i] += receiver_missed(&c->r, model_apps[i]).count;
	receiver_close(&c->r);
	c->deaf = false;
}

void crowd_set_deaf(struct crowd *w, uint32_t user, bool deaf)
{
	w->client[user].deaf = deaf;
	w->client[user].heard_ms = clock_mono_ms();
}
