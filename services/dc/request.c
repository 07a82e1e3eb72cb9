/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include "auth.h"
#include "dc.h"
#include "presence.h"
#include "store.h"

#include <string.h>

enum { FIELDS_OF_VERB_MAX = 6, TTL_MAX_S = 2592000 };

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

static bool take_ttl(struct answer *a, const struct text_request *r, uint64_t *ttl_s)
{
	const struct text_span *value = text_value(r, "ttl");
	if (!value || text_number(*value, 1, TTL_MAX_S, ttl_s) == RS_OK)
		return true;
	answer_error(a, 400, "ttl is not a whole number of seconds from 1 to %d", TTL_MAX_S);
	return false;
}

static bool take_store(struct answer *a, const struct text_request *r, bool *store)
{
	const struct text_span *value = text_value(r, "store");
	if (!value || text_is(*value, "yes"))
		return true;
	if (!text_is(*value, "no")) {
		answer_error(a, 400, "store is neither yes nor no");
		return false;
	}
	*store = false;
	return true;
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
	struct send send = {
		.app = {c->app, c->app_len},
		.ttl_s = (uint64_t)c->dc->config->ttl_default_s,
		.store = true,
		.body = body,
		.body_len = r->body_len,
	};
	const struct text_span *to;
	if (!check_id(a, r))
		return;
	to = need_name(a, r, "to");
	if (!to || !take_ttl(a, r, &send.ttl_s) || !take_store(a, r, &send.store))
		return;
	answer_set_name(a, *to);
	store_message(a, &send);
}

/* The most frequent first. */
static const struct verb verbs[] = {
	{"SEND", true, {"id", "to", "ttl", "store", "length"}, handle_send},
	{"PRESENCE", true, {"id", "user"}, handle_presence},
	{"PING", false, {"id"}, handle_ping},
	{"AUTH", false, {"id", "app", "key"}, handle_auth},
};
#define VERB_WORDS "AUTH, SEND, PRESENCE, PING"

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
		answer_error(a, 501, "unknown verb; there are " VERB_WORDS);
	else if (!text_is(r->version, "1"))
		answer_error(a, 505, "version %.*s of %s is not supported; version 1 is",
			     (int)r->version.len, r->version.at, v->name);
	else if (v->needs_app && c->app_len == 0)
		answer_error(a, 401, "not authenticated; send AUTH first");
	else if (check_fields(v, a, r))
		v->handle(c, a, r, body);
}
