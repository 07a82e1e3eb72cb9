/* SPDX-License-Identifier: Apache-2.0 */
#include "app.h"

#include "output.h"
#include "say.h"

#include "base/name.h"
#include "rds/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct name {
	char text[NAME_MAX_BYTES + 1];
};

struct names {
	struct name *at;
	size_t count, unreadable;
	bool no_memory;
};

static void on_names(void *ctx, const struct redisReply *reply)
{
	struct names *names = ctx;
	size_t count = reply_count(reply);
	names->at = calloc(count ? count : 1, sizeof *names->at);
	names->no_memory = !names->at;
	for (size_t i = 0; names->at && i < count; i++) {
		size_t len = 0;
		const char *text = reply_str(reply_at(reply, i), &len);
		if (text && !name_fault(text, len))
			memcpy(names->at[names->count++].text, text, len);
		else
			names->unreadable++;
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* As it stands in Redis, if that is a value the DC takes. */
static void print_limit(enum app_limit which, const struct redisReply *reply)
{
	struct text_span text;
	uint64_t value;
	text.at = reply_str(reply, &text.len);
	if (!text.at)
		return;
	if (app_limit_parse(which, text, &value) == RS_OK)
		printf(" %s=%.*s", app_options[which].name, (int)text.len, text.at);
	else
		printf(" %s=?", app_options[which].name);
}

/* The reply to HMGET created and the limits. Nothing of an App whose hash is gone. */
static void on_app(void *ctx, const struct redisReply *reply)
{
	const struct name *name = ctx;
	char created[OUTPUT_TIME_MAX];
	uint64_t created_ms = 0;
	if (reply_is_nil(reply_at(reply, 0)))
		return;
	if (!reply_uint(reply_at(reply, 0), INT64_MAX, &created_ms))
		created_ms = 0;
	printf("%s %s", name->text, output_time(created_ms, created));
	for (unsigned i = 0; i < APP_LIMITS; i++)
		print_limit((enum app_limit)i, reply_at(reply, 1 + i));
	printf("\n");
}

static int list_app(struct operator *op, struct name *name)
{
	char key[KEY_MAX];
	struct rds_arg argv[3 + APP_LIMITS] = {
		RDS_STR("HMGET"), RDS_MEM(key, key_app(key, name->text, strlen(name->text))), RDS_STR("created"),
	};
	for (unsigned i = 0; i < APP_LIMITS; i++)
		argv[3 + i] = RDS_STR(app_limit_fields[i].name);
	return operator_command(op, 3 + APP_LIMITS, argv, on_app, name);
}

int app_list(const struct settings *s)
{
	struct operator op;
	struct names names = {.count = 0};
	char apps[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR("SMEMBERS"), RDS_MEM(apps, key_apps(apps))};
	int err = operator_open(&op, s, false);
	if (!err)
		err = operator_command(&op, 2, argv, on_names, &names);
	if (names.no_memory) {
		say("out of memory");
		err = RS_ENOMEM;
	}
	if (names.count)
		qsort(names.at, names.count, sizeof *names.at, by_name);
	for (size_t i = 0; i < names.count && !err; i++)
		err = list_app(&op, &names.at[i]);
	if (names.unreadable)
		say("%zu members of rs:apps are no names; passed over", names.unreadable);
	operator_close(&op);
	free(names.at);
	return err;
}
