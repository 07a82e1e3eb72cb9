/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of Redis through the functions that read them: every type where every other
 * was expected. */
#include "fuzz.h"
#include "resp.h"

#include "app/member.h"
#include "rds/rds.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

void fuzz_start(void) {}

static void read_scalar(const struct redisReply *r)
{
	int64_t number = 0;
	uint64_t whole = 0;
	size_t len = 0;
	char text[RDS_NUM_MAX];
	const char *s = reply_str(r, &len);
	fuzz_check(s != NULL || len == 0, "a length of nothing");
	if (s)
		free(fuzz_copy(s, len + 1)); /* the NUL behind it as well */
	if (reply_int(r, &number) && s) {
		struct rds_arg again = rds_num(number, text);
		fuzz_check(again.len <= len, "a number grows");
	}
	if (reply_uint(r, 1000, &whole))
		fuzz_check(s && whole <= 1000, "a number out of its range");
	fuzz_check(!reply_is_nil(r) || !s, "nothing has a text");
}

static void read_any(const struct redisReply *r, unsigned depth)
{
	static const char *const names[] = {"user", "expires", "appendonly", ""};
	read_scalar(r);
	fuzz_check(reply_at(r, reply_count(r)) == NULL, "an element behind the end");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		read_scalar(reply_field(r, names[i]));
	for (size_t i = 0; i < reply_count(r) && depth < 9; i++)
		read_any(reply_at(r, i), depth + 1);
}

static void read_member(const struct redisReply *r)
{
	struct member m, same;
	struct member_fields fields;
	const char *field = NULL;
	memset(&m, 0, sizeof m);
	if (member_read(r, &m, &field)) {
		fuzz_check(field != NULL, "no word of what is wrong");
		return;
	}
	memset(m.zone + strlen(m.zone), 0, sizeof m.zone - strlen(m.zone)); /* of a field given twice */
	fuzz_check(!m.zone[0] || !name_fault(m.zone, strlen(m.zone)), "a zone that is no name");
	member_write(&m, true, &fields);
	redisReply *text = calloc(fields.count, sizeof *text), **at = calloc(fields.count, sizeof *at);
	fuzz_check(text && at, "out of memory");
	for (size_t i = 0; i < fields.count; i++) {
		text[i].type = REDIS_REPLY_STRING;
		text[i].str = (char *)(uintptr_t)fields.at[i].data;
		text[i].len = fields.at[i].len;
		at[i] = &text[i];
	}
	redisReply hash = {.type = REDIS_REPLY_ARRAY, .elements = fields.count, .element = at};
	memset(&same, 0, sizeof same);
	fuzz_check(member_read(&hash, &same, &field) == RS_OK && memcmp(&m, &same, sizeof m) == 0,
		   "a member is another when written again");
	free(text);
	free(at);
}

void fuzz_one(struct fuzz *in)
{
	struct piece p = fuzz_rest(in);
	void *reply;
	p.len = resp_sane(p.data, p.len);
	redisReader *r = redisReaderCreate();
	fuzz_check(r && redisReaderFeed(r, (const char *)p.data, p.len) == REDIS_OK, "no reader");
	while (redisReaderGetReply(r, &reply) == REDIS_OK && reply) {
		read_any(reply, 0);
		read_member(reply);
		freeReplyObject(reply);
	}
	redisReaderFree(r);
	read_any(NULL, 0);
}
