/* SPDX-License-Identifier: Apache-2.0 */
#include "support/mail.h"

#include "base/ulid.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 65536 };

struct stack mail_stack;
struct receiver mail_client[MAIL_CLIENTS];
struct text_client mail_app[2][MAIL_APPS];

static const char *const names[MAIL_APPS] = {"chat", "shop"};

void mail_connect(unsigned dc)
{
	for (unsigned i = 0; i < MAIL_APPS; i++) {
		if (mail_app[dc][i].fd > 0)
			text_client_close(&mail_app[dc][i]);
		stack_client_of(&mail_stack, dc, names[i], &mail_app[dc][i]);
	}
}

void mail_start_with(const struct stack_options *options)
{
	struct stack_options o = *options;
	o.dcs = 2;
	stack_start(&mail_stack, &o);
	stack_app(&mail_stack, "shop");
	for (unsigned dc = 0; dc < 2; dc++) {
		mail_connect(dc);
		RECEIVERS_UNTIL(mail_client, 0, stack_metric(&mail_stack.dc[dc], "dc_links") == mail_stack.options.mbs);
	}
}

void mail_start(void) { mail_start_with(&(struct stack_options){0}); }

void mail_stop(void)
{
	for (unsigned i = 0; i < MAIL_CLIENTS; i++)
		if (mail_client[i].client)
			receiver_close(&mail_client[i]);
	for (unsigned i = 0; i < 2 * MAIL_APPS; i++)
		if (mail_app[i / MAIL_APPS][i % MAIL_APPS].fd > 0)
			text_client_close(&mail_app[i / MAIL_APPS][i % MAIL_APPS]);
	stack_stop(&mail_stack);
}

void mail_limit(enum mail_app app, const char *fields)
{
	char command[256];
	snprintf(command, sizeof command, "HSET rs:app:%s %s", names[app], fields);
	redisReply *r = redisCommand(mail_stack.c, command);
	cr_assert(r && r->type == REDIS_REPLY_INTEGER, "%s", command);
	freeReplyObject(r);
	for (unsigned dc = 0; dc < 2; dc++)
		text_client_auth(&mail_app[dc][app], names[app], STACK_KEY);
}

/* ---- what Apps ask ---- */

struct text_answer mail_try_by(unsigned dc, enum mail_app app, const char *fields, const char *body)
{
	return text_client_ask(&mail_app[dc][app], "SEND 1\r\n%slength %zu\r\n\r\n%s", fields, strlen(body), body);
}

struct text_answer mail_try(enum mail_app app, const char *fields, const char *body)
{
	return mail_try_by(0, app, fields, body);
}

const char *mail_send(enum mail_app app, const char *fields, const char *body, char id[MAIL_ID])
{
	struct text_answer a = mail_try(app, fields, body);
	cr_assert_eq(a.code, 200, "%s", a.text);
	if (id)
		snprintf(id, MAIL_ID, "%s", text_answer_value(&a, "message"));
	return text_answer_value(&a, "state");
}

void mail_send_many(const char *fields, const char *word, unsigned from, unsigned to)
{
	char body[32];
	struct text_answer a;
	for (unsigned n = from; n < to; n++) {
		int len = snprintf(body, sizeof body, "%s%u", word, n);
		text_client_printf(&mail_app[0][CHAT], "SEND 1\r\nto alice\r\n%slength %d\r\n\r\n%s", fields, len, body);
	}
	for (unsigned n = from; n < to; n++) {
		cr_assert(text_client_read(&mail_app[0][CHAT], &a));
		cr_assert_eq(a.code, 200, "%s", a.text);
	}
}

struct text_answer mail_withdraw(enum mail_app app, const char *id)
{
	return text_client_ask(&mail_app[0][app], "WITHDRAW 1\r\nto alice\r\nmessage %s\r\n\r\n", id);
}

struct text_answer mail_status(enum mail_app app, const char *id)
{
	return text_client_ask(&mail_app[0][app], "STATUS 1\r\nto alice\r\nmessage %s\r\n\r\n", id);
}

bool mail_status_is(enum mail_app app, const char *id, const char *state)
{
	struct text_answer a = mail_status(app, id);
	return a.code == 200 && strcmp(text_answer_value(&a, "state"), state) == 0;
}

int64_t mail_time(const struct text_answer *a, const char *field)
{
	const char *value = text_answer_value(a, field);
	return *value ? atoll(value) : -1;
}

uint64_t mail_end_ms(const char *id, unsigned ttl_s)
{
	struct ulid u;
	cr_assert_eq(ulid_parse(id, &u), RS_OK);
	return ulid_time_ms(&u) + 1000u * ttl_s;
}

/* ---- clients ---- */

size_t mail_clients(void)
{
	size_t n = 0;
	while (n < MAIL_CLIENTS && mail_client[n].client)
		n++;
	return n;
}

void mail_log_in(unsigned at, const char *user)
{
	char session[STACK_SESSION];
	struct receiver *r = &mail_client[at];
	receiver_open(r, &mail_stack, user, stack_session(&mail_stack, user, 600, session));
	RECEIVERS_UNTIL(r, 1, receiver_is_online(r));
}

void mail_log_out(unsigned at)
{
	receiver_close(&mail_client[at]);
	MAIL_UNTIL(MAIL_IN_REDIS("0", "HEXISTS rs:{alice}:presence broker"));
}

const char *mail_shown(unsigned at)
{
	static char texts[2][TEXT_MAX];
	static unsigned turn;
	char *out = texts[turn++ % 2];
	size_t len = 0;
	out[0] = '\0';
	for (size_t i = 0; i < mail_client[at].count && len < TEXT_MAX; i++)
		len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s%s", i ? " " : "",
					(const char *)mail_client[at].shown[i].body);
	return out;
}

static size_t add_lane(char *out, size_t cap, const char *key)
{
	size_t len = 0;
	redisReply *r = redisCommand(mail_stack.c, "LRANGE %s 0 -1", key);
	cr_assert(r && r->type == REDIS_REPLY_ARRAY);
	for (size_t i = 0; i < r->elements && len < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%s%s", i ? " " : "", strchr(r->element[i]->str, '\n') + 1);
	freeReplyObject(r);
	return len;
}

const char *mail_waiting(void)
{
	static const char *const lanes[] = {LUA_LANES};
	static char texts[2][TEXT_MAX];
	static unsigned turn;
	char *out = texts[turn++ % 2];
	size_t len = 0;
	for (unsigned i = 0; i < 3; i++) {
		len += add_lane(out + len, TEXT_MAX - len, lanes[i]);
		len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s", i < 2 ? "|" : "");
	}
	return out;
}

bool mail_all_gone(void)
{
	return MAIL_IN_REDIS("0", "EXISTS rs:{alice}:queue rs:{alice}:queue:high rs:{alice}:queue:low");
}
