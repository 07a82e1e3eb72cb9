/* SPDX-License-Identifier: Apache-2.0 */
/* Who has subscribed to what, as it is in Redis. */
#include "command.h"

#include "operator.h"
#include "option.h"
#include "say.h"

#include "base/buf.h"
#include "rds/keys.h"
#include "wire/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct filter {
	size_t len;
	char text[NAME_MAX_BYTES];
};

/* The members of a set that are filters. */
struct filters {
	struct buf found; /* of struct filter */
	size_t count;
	int err;
};

static void on_members(void *ctx, const struct redisReply *reply)
{
	struct filters *f = ctx;
	for (size_t i = 0; i < reply_count(reply) && !f->err; i++) {
		struct filter one = {0};
		const char *text = reply_str(reply_at(reply, i), &one.len);
		if (!text || topic_filter_fault(text, one.len))
			continue;
		memcpy(one.text, text, one.len);
		f->err = buf_append(&f->found, &one, sizeof one);
		f->count++;
	}
}

static int by_name(const void *a, const void *b)
{
	const struct filter *x = a, *y = b;
	int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
	return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int read_set(struct operator *op, struct filters *f, const char *key, size_t len)
{
	struct rds_arg argv[] = {RDS_STR("SMEMBERS"), RDS_MEM(key, len)};
	int err = operator_command(op, 2, argv, on_members, f);
	if (!err && f->err)
		say("out of memory");
	if (!err && !f->err && f->count)
		qsort(f->found.data + f->found.start, f->count, sizeof(struct filter), by_name);
	return err ? err : f->err;
}

static void on_count(void *ctx, const struct redisReply *reply)
{
	int64_t *count = ctx;
	if (!reply_int(reply, count))
		*count = 0;
}

static int print_count(struct operator *op, const struct filter *one)
{
	char key[KEY_MAX];
	int64_t count = 0;
	struct rds_arg argv[] = {RDS_STR("SCARD"), RDS_MEM(key, key_topic(key, one->text, one->len))};
	int err = operator_command(op, 2, argv, on_count, &count);
	if (!err && count > 0) /* the last one may just have left */
		printf("%.*s %" PRId64 "\n", (int)one->len, one->text, count);
	return err;
}

static int list(struct operator *op, const char *user)
{
	char key[KEY_MAX];
	struct filters f = {0};
	int err = read_set(op, &f, key, user ? key_topics_of(key, user, strlen(user)) : key_topics(key));
	for (size_t i = 0; i < f.count && !err; i++) {
		struct filter one;
		memcpy(&one, f.found.data + f.found.start + i * sizeof one, sizeof one);
		if (user)
			printf("%.*s\n", (int)one.len, one.text);
		else
			err = print_count(op, &one);
	}
	buf_deinit(&f.found);
	return err;
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct operator op;
	if (option_parse(&cmd_topics, &argc, argv, NULL))
		return EXIT_USAGE;
	if (argc > 2)
		return option_usage(&cmd_topics, "wants one USER, or nothing");
	if (argc == 2 && !option_name_ok("user", argv[1]))
		return EXIT_USAGE;
	int err = operator_open(&op, s, false);
	if (!err)
		err = list(&op, argc == 2 ? argv[1] : NULL);
	operator_close(&op);
	return err ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_topics = {
	.name = "topics",
	.usage = "\nUSER",
	.summary = "list the filters that somebody has subscribed to, or those of a user",
	.text = "Reads Redis (redis). Standard output: a line for each filter, sorted, with the number of\n"
		"its subscribers; of a user, the filters alone. A filter is a topic, of levels parted by /,\n"
		"in which + stands for any one level and # at the end for any number of them.\n\n"
		"Exit codes: " EXIT_HELP ".\nNo filter: 0.",
	.run = run,
};
