/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include "auth.h"
#include "broadcast.h"
#include "dc.h"
#include "fan_ask.h"
#include "limit.h"
#include "many.h"
#include "presence.h"
#include "publish.h"
#include "receipts.h"
#include "status.h"
#include "storage.h"
#include "store.h"
#include "subscribe.h"
#include "watch.h"
#include "wire/topic.h"
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
	const struct text_span *count = text_value(r, "count"), *user = text_value(r, "user");
	(void)c;
	if (count && user) {
		answer_error(a, 400, "user and count are given; one of them is wanted");
		return;
	}
	if (count) {
		presence_list(a, *count, body, r->body_len);
		return;
	}
	if (r->body_len) {
		answer_error(a, 400, "a body is for a list of users, and count is missing");
		return;
	}
	user = need_name(a, r, "user");
	if (!user)
		return;
	answer_set_name(a, *user);
	presence_ask(a);
}

static void handle_receipts(struct conn *c, struct answer *a, const struct text_request *r,
			    const uint8_t *body)
{
	(void)body;
	receipts_begin(c, a, text_value(r, "after"));
}

static void handle_events(struct conn *c, struct answer *a, const struct text_request *r, const uint8_t *body)
{
	(void)r, (void)body;
	watch_begin(c, a);
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

/* A field that must be there and hold a topic, or a filter; NULL: the answer was given. */
static const struct text_span *need_topic(struct answer *a, const struct text_request *r, bool is_filter)
{
	const struct text_span *value = text_value(r, "topic");
	const char *fault = "is missing";
	if (value)
		fault = is_filter ? topic_filter_fault(value->at, value->len) : topic_fault(value->at, value->len);
	if (!fault)
		return value;
	answer_error(a, 400, "topic %s; it must be %s", fault, is_filter ? FILTER_RULE : TOPIC_RULE);
	return NULL;
}

static void handle_send(struct conn *c, struct answer *a, const struct text_request *r,
			const uint8_t *body)
{
	struct send send;
	const struct text_span *to = NULL, *topic = text_value(r, "topic");
	if (!check_id(a, r))
		return;
	if (topic && text_value(r, "to")) {
		answer_error(a, 400, "to and topic are both there; a message has one of them");
		return;
	}
	if (topic)
		topic = need_topic(a, r, false);
	else
		to = need_name(a, r, "to");
	if ((!to && !topic) || !message_take(c, a, r, &send))
		return;
	if (!limit_allows_body(a, c->app, r->body_len) || !limit_allows_rate(a, c->app, 1))
		return;
	send.body = body;
	send.body_len = r->body_len;
	if (topic) {
		send.topic = *topic;
		publish_send(a, &send);
	} else {
		answer_set_name(a, *to);
		store_message(a, &send);
	}
}

static void handle_sendmany(struct conn *c, struct answer *a, const struct text_request *r,
			    const uint8_t *body)
{
	struct send send;
	if (check_id(a, r) && message_take(c, a, r, &send))
		many_send(c, a, r, &send, body);
}

static void change_subscription(struct answer *a, const struct text_request *r, bool subscribe)
{
	const struct text_span *user = need_name(a, r, "user");
	const struct text_span *filter = user ? need_topic(a, r, true) : NULL;
	if (!filter)
		return;
	answer_set_name(a, *user);
	subscribe_user(a, *filter, subscribe);
}

static void handle_subscribe(struct conn *c, struct answer *a, const struct text_request *r,
			     const uint8_t *body)
{
	(void)c;
	(void)body;
	change_subscription(a, r, true);
}

static void handle_unsubscribe(struct conn *c, struct answer *a, const struct text_request *r,
			       const uint8_t *body)
{
	(void)c;
	(void)body;
	change_subscription(a, r, false);
}

static void handle_topics(struct conn *c, struct answer *a, const struct text_request *r,
			  const uint8_t *body)
{
	const struct text_span *user = need_name(a, r, "user");
	(void)c;
	(void)body;
	if (!user)
		return;
	answer_set_name(a, *user);
	subscribe_list(a);
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
		withdraw_all(a, app_name(c->app));
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
	if (!take_message(a, r))
		return;
	if (!text_value(r, "to")) {
		fan_status(a, app_name(c->app));
		return;
	}
	to = need_name(a, r, "to");
	if (!to)
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
	{"SEND", true, {"id", "to", "topic", MESSAGE_FIELDS}, handle_send},
	{"SENDMANY", true, {"id", "count", MESSAGE_FIELDS}, handle_sendmany},
	{"PRESENCE", true, {"id", "user", "count", "length"}, handle_presence},
	{"BROADCAST", true, {"id", "lifetime", "length"}, handle_broadcast},
	{"WITHDRAW", true, {"id", "message", "to"}, handle_withdraw},
	{"STATUS", true, {"id", "message", "to"}, handle_status},
	{"SUBSCRIBE", true, {"id", "user", "topic"}, handle_subscribe},
	{"UNSUBSCRIBE", true, {"id", "user", "topic"}, handle_unsubscribe},
	{"TOPICS", true, {"id", "user"}, handle_topics},
	{"STORAGE", true, {"id", "user", "storage"}, handle_storage},
	{"RECEIPTS", true, {"id", "after"}, handle_receipts},
	{"PRESENCE-EVENTS", true, {"id"}, handle_events},
	{"PING", false, {"id"}, handle_ping},
	{"AUTH", false, {"id", "app", "key"}, handle_auth},
};

/* Lists like "SEND, PRESENCE, ...": for whoever mistypes a word of it. */
struct words {
	char text[256];
	size_t len;
};

static void add_word(struct words *w, const char *word)
{
	if (w->len < sizeof w->text)
		w->len += (size_t)snprintf(w->text + w->len, sizeof w->text - w->len, "%s%s", w->len ? ", " : "", word);
}

static const char *verb_words(void)
{
	static struct words words;
	words.len = 0;
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		add_word(&words, verbs[i].name);
	return words.text;
}

static void refuse_field(struct answer *a, const struct verb *v, struct text_span name)
{
	struct words words = {.len = 0};
	for (size_t i = 0; i < FIELDS_OF_VERB_MAX && v->fields[i]; i++)
		add_word(&words, v->fields[i]);
	answer_error(a, 400, "%.*s is not a field of %s; there are %s", (int)(name.len < 64 ? name.len : 64),
		     name.at, v->name, words.text);
}

bool request_is_many(const struct conn *c, const struct text_request *r)
{
	return c->app && text_is(r->verb, "SENDMANY") && text_is(r->version, "1");
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
		refuse_field(a, v, name);
		return false;
	}
	return true;
}

static void refuse_in_stream(struct conn *c, struct answer *a)
{
	conn_last(c);
	answer_error(a, 400, "this connection is a stream now; only PING is answered on it");
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
	else if (c->feed && v->handle != handle_ping)
		refuse_in_stream(c, a);
	else if (check_fields(v, a, r))
		v->handle(c, a, r, body);
}
