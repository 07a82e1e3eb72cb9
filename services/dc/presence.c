/* SPDX-License-Identifier: Apache-2.0 */
#include "presence.h"

#include "brokers.h"
#include "dc.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TIME_TEXT = 24 };

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

/* Fields of the reply, in the order in which presence_ask() asks for them. */
enum { AT_BROKER, AT_BOOT, AT_SINCE, AT_SEEN };

/* A time as it goes into an answer: no longer than it must be, whatever Redis has.
 * Length 0: it is none. */
static size_t time_text(const struct redisReply *reply, char out[TIME_TEXT])
{
	uint64_t ms;
	return reply_uint(reply, UINT64_MAX, &ms) ? (size_t)snprintf(out, TIME_TEXT, "%" PRIu64, ms) : 0;
}

static void answer_online(struct answer *a, struct link_name broker, const struct redisReply *since)
{
	char text[TIME_TEXT];
	struct answer_field fields[] = {
		{"user", a->name, a->name_len},
		{"state", "online", 6},
		{"broker", broker.text, broker.len},
		{"since", text, time_text(since, text)},
	};
	answer_ok(a, fields, fields[3].value_len ? 4 : 3);
}

static void answer_offline(struct answer *a, const struct redisReply *seen)
{
	char text[TIME_TEXT];
	struct answer_field fields[] = {
		{"user", a->name, a->name_len},
		{"state", "offline", 7},
		{"seen", text, time_text(seen, text)},
	};
	answer_ok(a, fields, fields[2].value_len ? 3 : 2);
}

static void on_presence(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	uint64_t boot = 0;
	if (err) {
		answer_unavailable(a);
		return;
	}
	struct link_name broker = read_name(reply_at(reply, AT_BROKER));
	if (broker.len && reply_uint(reply_at(reply, AT_BOOT), UINT64_MAX, &boot) &&
	    brokers_alive(a->dc->brokers, broker, boot))
		answer_online(a, broker, reply_at(reply, AT_SINCE));
	else
		answer_offline(a, reply_at(reply, AT_SEEN));
}

void presence_ask(struct answer *a)
{
	char key[KEY_MAX];
	size_t len = key_presence(key, a->name, a->name_len);
	struct rds_arg argv[] = {RDS_STR("HMGET"), RDS_MEM(key, len), RDS_STR("broker"),
				 RDS_STR("boot"),  RDS_STR("since"),  RDS_STR("seen")};
	if (pool_command(a->dc->redis, a->name, a->name_len, 6, argv, on_presence, a))
		answer_unavailable(a);
}
