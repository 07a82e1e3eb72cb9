/* SPDX-License-Identifier: Apache-2.0 */
#include "rds/keys.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A key as it is being written. What does not fit makes the whole key empty:
 * half a key would be somebody else's. */
struct writer {
	char *out;
	size_t len;
	bool over;
};

static void put(struct writer *w, const char *data, size_t len)
{
	if (w->over || len >= KEY_MAX - w->len) {
		w->over = true;
		return;
	}
	memcpy(w->out + w->len, data, len);
	w->len += len;
}

static void put_str(struct writer *w, const char *s) { put(w, s, strlen(s)); }

static struct writer begin(char *out, const char *prefix)
{
	struct writer w = {.out = out};
	put_str(&w, prefix);
	return w;
}

static size_t finish(struct writer *w)
{
	if (w->over)
		w->len = 0;
	w->out[w->len] = '\0';
	return w->len;
}

static size_t user_key(char *out, const char *user, size_t len, const char *what)
{
	struct writer w = begin(out, "rs:{");
	put(&w, user, len);
	put_str(&w, what);
	return finish(&w);
}

static void put_once(struct writer *w, const char *app, size_t app_len, const char *id, size_t id_len)
{
	put_str(w, ":once:{");
	put(w, app, app_len);
	put_str(w, "}:");
	put(w, id, id_len);
}

size_t key_queue(char out[KEY_MAX], const char *user, size_t len, enum priority lane)
{
	static const char *const queue[PRIORITIES] = {
		[PRIORITY_NORMAL] = "}:queue", [PRIORITY_HIGH] = "}:queue:high", [PRIORITY_LOW] = "}:queue:low",
	};
	return user_key(out, user, len, queue[lane]);
}

void keys_of_mail(struct rds_arg argv[KEYS_OF_MAIL], char keys[KEYS_OF_MAIL][KEY_MAX], const char *user,
		  size_t len)
{
	for (int lane = 0; lane < PRIORITIES; lane++)
		argv[lane] = RDS_MEM(keys[lane], key_queue(keys[lane], user, len, (enum priority)lane));
	argv[PRIORITIES] = RDS_MEM(keys[PRIORITIES], key_journal(keys[PRIORITIES], user, len));
	argv[PRIORITIES + 1] = RDS_MEM(keys[PRIORITIES + 1], key_presence(keys[PRIORITIES + 1], user, len));
}

size_t key_settings(char out[KEY_MAX], const char *user, size_t len)
{
	return user_key(out, user, len, "}:settings");
}

size_t key_index(char out[KEY_MAX], const char *user, size_t len)
{
	return user_key(out, user, len, "}:index");
}

size_t key_journal(char out[KEY_MAX], const char *user, size_t len)
{
	return user_key(out, user, len, "}:journal");
}

size_t key_missed(char out[KEY_MAX], const char *user, size_t len)
{
	return user_key(out, user, len, "}:missed");
}

size_t key_presence(char out[KEY_MAX], const char *user, size_t len)
{
	return user_key(out, user, len, "}:presence");
}

size_t key_cursor(char out[KEY_MAX], const char *user, size_t len)
{
	return user_key(out, user, len, "}:cursor");
}

size_t key_once(char out[KEY_MAX], const char *user, size_t len, const char *app, size_t app_len,
		const char *id, size_t id_len)
{
	struct writer w = begin(out, "rs:{");
	put(&w, user, len);
	put_str(&w, "}");
	put_once(&w, app, app_len, id, id_len);
	return finish(&w);
}

static size_t whole_key(char *out, const char *name)
{
	struct writer w = begin(out, name);
	return finish(&w);
}

size_t key_broadcasts(char out[KEY_MAX]) { return whole_key(out, "rs:broadcast:{all}:kept"); }

size_t key_broadcasts_version(char out[KEY_MAX]) { return whole_key(out, "rs:broadcast:{all}:version"); }

size_t key_broadcast_once(char out[KEY_MAX], const char *app, size_t app_len, const char *id, size_t id_len)
{
	struct writer w = begin(out, "rs:broadcast:{all}");
	put_once(&w, app, app_len, id, id_len);
	return finish(&w);
}

size_t key_topics_of(char out[KEY_MAX], const char *user, size_t len)
{
	return user_key(out, user, len, "}:topics");
}

size_t key_topic(char out[KEY_MAX], const char *filter, size_t len)
{
	struct writer w = begin(out, "rs:topic:{");
	put(&w, filter, len);
	put_str(&w, "}");
	return finish(&w);
}

size_t key_topics(char out[KEY_MAX]) { return whole_key(out, "rs:topics"); }

static size_t fan_key(char *out, const struct ulid *id, const char *what)
{
	char text[ULID_TEXT + 1];
	struct writer w = begin(out, "rs:fan:{");
	put_str(&w, ulid_format(id, text));
	put_str(&w, what);
	return finish(&w);
}

size_t key_fan(char out[KEY_MAX], const struct ulid *id) { return fan_key(out, id, "}"); }
size_t key_fan_to(char out[KEY_MAX], const struct ulid *id) { return fan_key(out, id, "}:to"); }
size_t key_fan_body(char out[KEY_MAX], const struct ulid *id) { return fan_key(out, id, "}:body"); }

size_t key_fan_names(char out[KEY_MAX], const struct ulid *id, uint64_t attempt)
{
	char what[32];
	snprintf(what, sizeof what, "}:to:%" PRIu64, attempt);
	return fan_key(out, id, what);
}

size_t key_fans(char out[KEY_MAX]) { return whole_key(out, "rs:fans"); }

size_t key_fan_once(char out[KEY_MAX], const char *app, size_t app_len, const char *id, size_t id_len)
{
	struct writer w = begin(out, "rs:fan");
	put_once(&w, app, app_len, id, id_len);
	return finish(&w);
}

size_t key_session(char out[KEY_MAX], const char *session_id, size_t len)
{
	char hash[2 * SHA256_BYTES + 1];
	sha256_hex(session_id, len, hash);
	struct writer w = begin(out, "rs:session:");
	put_str(&w, hash);
	return finish(&w);
}

size_t key_app(char out[KEY_MAX], const char *app, size_t len)
{
	struct writer w = begin(out, "rs:app:");
	put(&w, app, len);
	return finish(&w);
}

static size_t app_part_key(char *out, const char *app, size_t len, const char *what)
{
	struct writer w = begin(out, "rs:app:{");
	put(&w, app, len);
	put_str(&w, what);
	return finish(&w);
}

size_t key_awaited(char out[KEY_MAX], const char *app, size_t len)
{
	return app_part_key(out, app, len, "}:awaited");
}

size_t key_receipts(char out[KEY_MAX], const char *app, size_t len)
{
	return app_part_key(out, app, len, "}:receipts");
}

size_t key_awaiting(char out[KEY_MAX]) { return whole_key(out, "rs:awaiting"); }

size_t key_apps(char out[KEY_MAX])
{
	struct writer w = begin(out, "rs:apps");
	return finish(&w);
}

size_t key_member(char out[KEY_MAX], const char *kind, const char *id)
{
	struct writer w = begin(out, "rs:");
	put_str(&w, kind);
	put_str(&w, ":");
	put_str(&w, id);
	return finish(&w);
}

size_t key_members(char out[KEY_MAX], const char *kind)
{
	struct writer w = begin(out, "rs:");
	put_str(&w, kind);
	put_str(&w, "s");
	return finish(&w);
}
