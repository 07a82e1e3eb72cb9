/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include "auth.h"
#include "broadcast.h"
#include "dc.h"
#include "limit.h"
#include "presence.h"
#include "status.h"
#include "storage.h"
#include "store.h"
#include "withdraw.h"

#include <stdio.h>
#include <string.h>

enum { FIELDS_OF_VERB_MAX = 10 };

struct verb {
	const char *name;
	bool needs_app; /* refused before AUTH */
	const char *fields[FIELDS_OF_VERB_MAX];
	void (*handle)(struct conn *c, struct answer *a, const struct text_request *r,
		       const uint8_t *body);
};

void request_take_id(struct answer *a, const struct text_request *r)
{
	const struct text_span *id = text_value(r, "id");
	if (!id || name_fault(id->at, id->len))
		return;
	memcpy(a->id, id->at, id->len);
	a->id_len = id->len;
}

/* A field that must be there and hold a name; NULL: the answer was given. */
static const struct text_span *need_name(struct answer *a, const struct text_request *r,
					 const char *field)
{
	const struct text_span *value = text_value(r, field);
	const char *fault = value ? name_fault(value->at, value->len) : "is missing";
	if (!fault)
		return value;
	answer_error(a, 400, "%s %s; it must be " NAME_RULE, field, fault);
	return NULL;
}

static void handle_ping(struct conn *c, struct answer *a, const struct text_request *r,
			const uint8_t *body)
{
	(void)c;
	(void)r;
	(void)body;
	answer_ok(a, NULL, 0);
}

static void handle_auth(struct conn *c, struct answer *a, const struct text_request *r,
			const uint8_t *body)
{
	const struct text_span *app, *key = text_value(r, "key");
	(void)body;
	conn_forget_app(c); /* what comes next must not go out under another name */
	app = need_name(a, r, "app");
	if (!app)
		return;
	if (!key || key->len == 0) {
		answer_error(a, 400, "key is missing; it must be the App's key");
		return;
	}
	answer_set_name(a, *app);
	auth_check(c, a, *key);
}

static void handle_presence(struct conn *c, struct answer *a, const struct text_request *r,
			    const uint8_t *body)
{
	const struct text_span *user = need_name(a, r, "user");
	(void)c;
	(void)body;
	if (!user)
		return;
	answer_set_name(a, *user);
	presence_ask(a);
}

static bool check_id(struct answer *a, const struct text_request *r)
{
	const struct text_span *id = text_value(r, "id");
	if (!id)
		return true;
	if (!text_is(*id, "-"))
		return need_name(a, r, "id") != NULL;
	a->id_len = 0; /* in a record it says that there is none */
	answer_error(a, 400, "id is a lone -, which stands for none; leave the field out");
	return false;
}

static void handle_send(struct conn *c, struct answer *a, const struct text_request *r,
			const uint8_t *body)
{
	struct send send;
	const struct text_span *to;
	if (!check_id(a, r))
		return;
	to = need_name(a, r, "to");
	if (!to || !message_take(c, a, r, &send))
		return;
	if (!limit_allows_body(a, c->app, r->body_len) || !limit_allows_rate(a, c->app, 1))
		return;
	send.body = body;
	send.body_len = r->body_len;
	answer_set_name(a, *to);
	store_message(a, &send);
}

static void handle_broadcast(struct conn *c, struct answer *a, const struct text_request *r,
			     const uint8_t *body)
{
	struct send send = {
		.app = app_name(c->app),
		.ttl_s = BROADCAST_UNKEPT_S,
		.store = text_value(r, "lifetime") != NULL,
		.body = body,
		.body_len = r->body_len,
	};
	if (!check_id(a, r) || !message_take_seconds(a, r, "lifetime", &send.ttl_s))
		return;
	if (!may_broadcast(c))
		answer_error(a, 403, "this App may not broadcast");
	else if (limit_allows_body(a, c->app, r->body_len) && limit_allows_rate(a, c->app, 1))
		broadcast_send(a, &send);
}

/* The field `message` into a->message; false: the answer was given. */
static bool take_message(struct answer *a, const struct text_request *r)
{
	const struct text_span *message = text_value(r, "message");
	if (message && message->len == ULID_TEXT && ulid_parse(message->at, &a->message) == RS_OK)
		return true;
	answer_error(a, 400, "message is not an id as SEND and BROADCAST answer it, %d characters", ULID_TEXT);
	return false;
}

static void handle_withdraw(struct conn *c, struct answer *a, const struct text_request *r,
			    const uint8_t *body)
{
	const struct text_span *to = NULL;
	(void)body;
	if (!take_message(a, r) || (text_value(r, "to") && !(to = need_name(a, r, "to"))))
		return;
	if (!to) {
		withdraw_broadcast(a, app_name(c->app));
		return;
	}
	answer_set_name(a, *to);
	withdraw_message(a, app_name(c->app));
}

static void handle_status(struct conn *c, struct answer *a, const struct text_request *r,
			  const uint8_t *body)
{
	const struct text_span *to;
	(void)body;
	if (!take_message(a, r) || !(to = need_name(a, r, "to")))
		return;
	answer_set_name(a, *to);
	status_ask(a, app_name(c->app));
}

static void handle_storage(struct conn *c, struct answer *a, const struct text_request *r,
			   const uint8_t *body)
{
	const struct text_span *user = need_name(a, r, "user"), *storage = text_value(r, "storage");
	(void)body;
	if (!user)
		return;
	if (!storage || (!text_is(*storage, "on") && !text_is(*storage, "off"))) {
		answer_error(a, 400, "storage is neither on nor off");
		return;
	}
	answer_set_name(a, *user);
	storage_set(a, app_name(c->app), text_is(*storage, "on"));
}

/* The most frequent first. */
static const struct verb verbs[] = {
	{"SEND", true, {"id", "to", MESSAGE_FIELDS}, handle_send},
	{"PRESENCE", true, {"id", "user"}, handle_presence},
	{"BROADCAST", true, {"id", "lifetime", "length"}, handle_broadcast},
	{"WITHDRAW", true, {"id", "message", "to"}, handle_withdraw},
	{"STORAGE", true, {"id", "user", "storage"}, handle_storage},
	{"STATUS", true, {"id", "message", "to"}, handle_status},
	{"PING", false, {"id"}, handle_ping},
	{"AUTH", false, {"id", "app", "key"}, handle_auth},
};

/* "AUTH, SEND, ...": for whoever mistypes one. */
static const char *verb_words(void)
{
	static char words[256];
	size_t len = 0;
	if (*words)
		return words;
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs && len < sizeof words; i++)
		len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", i ? ", " : "", verbs[i].name);
	return words;
}

static const struct verb *find_verb(struct text_span name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (text_is(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static bool has_field(const struct verb *v, struct text_span name)
{
	for (size_t i = 0; i < FIELDS_OF_VERB_MAX && v->fields[i]; i++)
		if (text_is(name, v->fields[i]))
			return true;
	return false;
}

/* A field nobody reads is a mistake that would go unseen: `tll 60`. */
static bool check_fields(const struct verb *v, struct answer *a, const struct text_request *r)
{
	for (size_t i = 0; i < r->field_count; i++) {
		struct text_span name = r->fields[i].name;
		if (has_field(v, name))
			continue;
		answer_error(a, 400, "%.*s is not a field of %s", (int)(name.len < 64 ? name.len : 64),
			     name.at, v->name);
		return false;
	}
	return true;
}

void request_handle(struct conn *c, struct answer *a, const struct text_request *r,
		    const uint8_t *body)
{
	const struct verb *v = find_verb(r->verb);
	request_take_id(a, r);
	if (!v)
		answer_error(a, 501, "unknown verb; there are %s", verb_words());
	else if (!text_is(r->version, "1"))
		answer_error(a, 505, "version %.*s of %s is not supported; version 1 is",
			     (int)r->version.len, r->version.at, v->name);
	else if (v->needs_app && !c->app)
		answer_error(a, 401, "not authenticated; send AUTH first");
	else if (check_fields(v, a, r))
		v->handle(c, a, r, body);
}
