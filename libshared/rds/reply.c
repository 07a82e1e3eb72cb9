/* SPDX-License-Identifier: Apache-2.0 */
/* Reading replies, and numbers as arguments. Every function takes NULL and any
 * type of reply: what comes from Redis is checked like all that comes from outside. */
#include "rds/rds.h"

#include "wire/text.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

struct rds_arg rds_num(int64_t v, char buf[RDS_NUM_MAX])
{
	char *p = buf + RDS_NUM_MAX;
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	do {
		*--p = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (v < 0)
		*--p = '-';
	return RDS_MEM(p, (size_t)(buf + RDS_NUM_MAX - p));
}

bool reply_is_nil(const struct redisReply *r) { return !r || r->type == REDIS_REPLY_NIL; }

const char *reply_str(const struct redisReply *r, size_t *len)
{
	bool text = r && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
			  r->type == REDIS_REPLY_ERROR);
	if (len)
		*len = text ? r->len : 0;
	return text ? r->str : NULL;
}

static bool parse_int(const char *text, size_t len, int64_t *out)
{
	/* strtoll would pass over leading blanks and a plus sign. */
	if (len == 0 || !(text[0] == '-' || (text[0] >= '0' && text[0] <= '9')))
		return false;
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (errno || end != text + len)
		return false;
	*out = v;
	return true;
}

bool reply_int(const struct redisReply *r, int64_t *out)
{
	if (!r)
		return false;
	if (r->type == REDIS_REPLY_INTEGER) {
		*out = r->integer;
		return true;
	}
	return r->type == REDIS_REPLY_STRING && parse_int(r->str, r->len, out);
}

size_t reply_count(const struct redisReply *r)
{
	return r && r->type == REDIS_REPLY_ARRAY ? r->elements : 0;
}

const struct redisReply *reply_at(const struct redisReply *r, size_t i)
{
	return i < reply_count(r) ? r->element[i] : NULL;
}

const struct redisReply *reply_field(const struct redisReply *r, const char *name)
{
	size_t len, want = strlen(name);
	for (size_t i = 0; i + 1 < reply_count(r); i += 2) {
		const char *s = reply_str(r->element[i], &len);
		if (s && len == want && memcmp(s, name, len) == 0)
			return r->element[i + 1];
	}
	return NULL;
}

bool reply_uint(const struct redisReply *r, uint64_t max, uint64_t *out)
{
	size_t len = 0;
	const char *text = reply_str(r, &len);
	return text && text_number((struct text_span){text, len}, 0, max, out) == RS_OK;
}
