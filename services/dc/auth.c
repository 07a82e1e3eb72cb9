/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "dc.h"

#include <string.h>

enum { HASH_TEXT = 2 * SHA256_BYTES, LOG_PAUSE_MS = 1000 };

/* An unknown App takes as long as a wrong key. */
static bool hash_matches(const struct answer *a, const struct redisReply *reply)
{
	static const char nothing[HASH_TEXT + 1] =
		"----------------------------------------------------------------";
	size_t len = 0;
	const char *stored = reply_str(reply, &len);
	bool known = stored && len == HASH_TEXT;
	return bytes_equal_ct(known ? stored : nothing, a->key_hash, HASH_TEXT) && known;
}

/* The key, or the former one while it is still good; both are looked at always. */
static bool key_matches(const struct answer *a, const struct redisReply *reply)
{
	uint64_t until = 0;
	bool first = hash_matches(a, reply_at(reply, APP_AT_KEY));
	bool second = hash_matches(a, reply_at(reply, APP_AT_KEY2));
	bool in_time = reply_uint(reply_at(reply, APP_AT_KEY2_UNTIL), UINT64_MAX, &until) &&
		       clock_wall_ms() < until;
	return first || (second && in_time);
}

/* Whoever guesses keys must not fill the log: the rest is there at level debug. */
static void log_refusal(const struct answer *a)
{
	struct auth_log *l = &a->dc->auth_log;
	uint64_t now = clock_mono_ms();
	char buf[ADDR_TEXT_MAX];
	const char *from = a->conn ? addr_format(&a->conn->from, buf) : "gone";
	if (now < l->next_ms) {
		l->left_out++;
		log_debug("app refused", LOG_STR("from", from), LOG_BYTES("app", a->name, a->name_len));
		return;
	}
	log_warn("app refused", LOG_STR("from", from), LOG_BYTES("app", a->name, a->name_len),
		 LOG_INT("left_out", l->left_out));
	l->left_out = 0;
	l->next_ms = now + LOG_PAUSE_MS;
}

/* True: the address has brought too many wrong keys; Redis is not asked. */
static bool is_guessing(struct conn *c, struct answer *a)
{
	if (!budget_over_addr(&a->dc->wrong_keys, &c->from, clock_mono_ms()))
		return false;
	a->dc->counts.auth_limited++;
	conn_last(c);
	answer_retry(a, 429, 60, "too many wrong keys came from this address");
	return true;
}

static void refuse(struct answer *a)
{
	struct conn *c = a->conn;
	a->dc->counts.auth_failed++;
	log_refusal(a);
	if (c)
		budget_spend_addr(&a->dc->wrong_keys, &c->from, 1, clock_mono_ms());
	if (c && ++c->wrong_keys >= CONN_WRONG_KEYS_MAX)
		conn_last(c);
	answer_error(a, 401, "wrong App or key");
}

static void accept_app(struct answer *a, const struct redisReply *reply)
{
	struct answer_field field = {"app", a->name, a->name_len};
	struct app *app = app_take(a->dc->known, (struct text_span){a->name, a->name_len}, reply);
	if (!app) {
		answer_unavailable(a);
		return;
	}
	if (a->conn)
		a->conn->app = app;
	else
		app_put(app);
	log_debug("app authenticated", LOG_BYTES("app", a->name, a->name_len));
	answer_ok(a, &field, 1);
}

static void on_key(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	bool right = !err && key_matches(a, reply);
	explicit_bzero(a->key_hash, sizeof a->key_hash);
	if (a->conn)
		a->conn->auth_waits = false;
	if (err)
		answer_unavailable(a);
	else if (right)
		accept_app(a, reply);
	else
		refuse(a);
}

void auth_check(struct conn *c, struct answer *a, struct text_span key)
{
	if (is_guessing(c, a))
		return;
	sha256_hex(key.at, key.len, a->key_hash);
	c->auth_waits = true;
	if (app_read(a->dc, (struct text_span){a->name, a->name_len}, on_key, a) == RS_OK)
		return;
	c->auth_waits = false;
	answer_unavailable(a);
}
