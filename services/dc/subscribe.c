/* SPDX-License-Identifier: Apache-2.0 */
#include "subscribe.h"

#include "app/topics.h"
#include "dc.h"
#include "rds/keys.h"
#include "store.h"
#include "wire/topic.h"

#include <stdlib.h>
#include <string.h>

static void on_changed(void *ctx, enum topics_result result)
{
	struct answer *a = ctx;
	struct answer_field fields[] = {{"user", a->name, a->name_len}};
	if (result == TOPICS_DONE)
		answer_ok(a, fields, 1);
	else if (result == TOPICS_TOO_MANY)
		answer_retry(a, 429, STORE_FULL_RETRY_S, "the user has %d subscriptions already", TOPICS_OF_USER_MAX);
	else
		answer_redis_error(a, RS_ELOST);
}

void subscribe_user(struct answer *a, struct text_span filter, bool subscribe)
{
	int err = topics_change(pool_of(a->dc->redis, a->name, a->name_len), (struct text_span){a->name, a->name_len},
				filter, 0, subscribe, on_changed, a);
	if (err)
		answer_redis_error(a, err);
}

static int by_name(const void *a, const void *b)
{
	const struct text_span *x = a, *y = b;
	int order = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);
	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* A filter a line, sorted: a set of Redis has no order. */
static void answer_list(struct answer *a, const struct redisReply *reply)
{
	struct text_span filters[TOPICS_OF_USER_MAX];
	struct answer_field fields[] = {{"user", a->name, a->name_len}};
	size_t count = 0, len = 0;
	for (size_t i = 0; i < reply_count(reply) && count < TOPICS_OF_USER_MAX; i++) {
		struct text_span *f = &filters[count];
		f->at = reply_str(reply_at(reply, i), &f->len);
		if (f->at && !topic_filter_fault(f->at, f->len)) {
			len += f->len + 1;
			count++;
		}
	}
	qsort(filters, count, sizeof *filters, by_name);
	char *body = malloc(len + 1), *out = body;
	for (size_t i = 0; body && i < count; i++) {
		memcpy(out, filters[i].at, filters[i].len);
		out += filters[i].len;
		*out++ = '\n';
	}
	if (body)
		answer_ok_body(a, fields, 1, body, len);
	else
		answer_unavailable(a);
}

static void on_members(void *ctx, int err, const struct redisReply *reply)
{
	if (err)
		answer_unavailable(ctx);
	else
		answer_list(ctx, reply);
}

void subscribe_list(struct answer *a)
{
	char key[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR("SMEMBERS"), RDS_MEM(key, key_topics_of(key, a->name, a->name_len))};
	answer_will_be_long(a);
	if (pool_command(a->dc->redis, a->name, a->name_len, 2, argv, on_members, a))
		answer_unavailable(a);
}
