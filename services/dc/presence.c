/* SPDX-License-Identifier: Apache-2.0 */
#include "presence.h"

#include "brokers.h"
#include "dc.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct link_name read_name(const struct redisReply *reply)
{
	struct link_name name = {NULL, 0};
	const char *text = reply_str(reply, &name.len);
	if (!text || name_fault(text, name.len))
		return (struct link_name){NULL, 0};
	name.text = text;
	return name;
}

struct holder holder_read(const struct redisReply *reply, size_t first)
{
	struct holder h = {.broker = read_name(reply_at(reply, first))};
	uint64_t conn = 0;
	if (h.broker.len == 0 || !reply_uint(reply_at(reply, first + 1), UINT64_MAX, &h.boot) ||
	    !reply_uint(reply_at(reply, first + 2), UINT32_MAX, &conn) ||
	    !reply_uint(reply_at(reply, first + 3), UINT64_MAX, &h.owner.owner))
		return (struct holder){0};
	h.owner.conn = (uint32_t)conn;
	return h;
}

int presence_get_holder(struct dc *dc, const char *user, size_t user_len, rds_reply_fn *fn, void *ctx)
{
	char key[KEY_MAX];
	size_t len = key_presence(key, user, user_len);
	struct rds_arg argv[] = {RDS_STR("HMGET"), RDS_MEM(key, len), RDS_STR("broker"),
				 RDS_STR("boot"),  RDS_STR("conn"),   RDS_STR("owner")};
	return pool_command(dc->redis, user, user_len, 6, argv, fn, ctx);
}

struct whereabouts whereabouts_read(const struct dc *dc, const struct redisReply *reply)
{
	enum { AT_BROKER, AT_BOOT, AT_SINCE, AT_SEEN };
	struct whereabouts w = {.broker = read_name(reply_at(reply, AT_BROKER))};
	uint64_t boot = 0;
	if (w.broker.len && (!reply_uint(reply_at(reply, AT_BOOT), UINT64_MAX, &boot) ||
			     !brokers_alive(dc->brokers, w.broker, boot)))
		w.broker.len = 0;
	if (!reply_uint(reply_at(reply, AT_SINCE), UINT64_MAX, &w.since_ms))
		w.since_ms = 0;
	if (!reply_uint(reply_at(reply, AT_SEEN), UINT64_MAX, &w.seen_ms))
		w.seen_ms = 0;
	return w;
}

static void on_presence(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	char text[24];
	if (err) {
		answer_unavailable(a);
		return;
	}
	struct whereabouts w = whereabouts_read(a->dc, reply);
	bool online = w.broker.len > 0;
	uint64_t ms = online ? w.since_ms : w.seen_ms;
	struct answer_field fields[4] = {{"user", a->name, a->name_len}, {"state", online ? "online" : "offline", online ? 6 : 7}};
	size_t n = 2;
	if (online)
		fields[n++] = (struct answer_field){"broker", w.broker.text, w.broker.len};
	if (ms)
		fields[n++] = (struct answer_field){online ? "since" : "seen", text,
						    (size_t)snprintf(text, sizeof text, "%" PRIu64, ms)};
	answer_ok(a, fields, n);
}

void presence_ask(struct answer *a)
{
	char key[KEY_MAX];
	size_t len = key_presence(key, a->name, a->name_len);
	struct rds_arg argv[] = {RDS_STR("HMGET"), RDS_MEM(key, len), PRESENCE_FIELDS};
	if (pool_command(a->dc->redis, a->name, a->name_len, 6, argv, on_presence, a))
		answer_unavailable(a);
}
