/* SPDX-License-Identifier: Apache-2.0 */
/* What changes an App in Redis: a script on its hash, and its name in the set of all,
 * which is elsewhere on a cluster and so not the script's. The name comes before the
 * hash and goes after it: a name alone does no harm, an App without one is not listed. */
#include "app.h"

#include "say.h"

#include "base/clock.h"
#include "rds/keys.h"

#include <string.h>

enum { ARGS_MAX = 3 + 2 * APP_LIMITS };

/* One script for one App. */
struct change {
	struct operator op;
	const char *name;
	char key[KEY_MAX], num[RDS_NUM_MAX];
	struct rds_arg argv[ARGS_MAX];
	size_t argc;
};

static void add(struct change *c, struct rds_arg arg) { c->argv[c->argc++] = arg; }

static void add_limits(struct change *c, const struct app_options *o)
{
	for (unsigned i = 0; i < APP_LIMITS; i++) {
		const char *value = o->limits[i];
		if (!value)
			continue;
		add(c, RDS_STR(app_limit_fields[i].name));
		add(c, RDS_STR(strcmp(value, APP_NONE) == 0 ? "" : value));
	}
}

static int open_change(struct change *c, const struct settings *s, const char *name)
{
	*c = (struct change){.name = name};
	add(c, RDS_MEM(c->key, key_app(c->key, name, strlen(name))));
	return operator_open(&c->op, s, false);
}

/* SADD or SREM of the name. */
static int change_names(struct change *c, const char *command)
{
	char apps[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR(command), RDS_MEM(apps, key_apps(apps)), RDS_STR(c->name)};
	return operator_command(&c->op, 3, argv, NULL, NULL);
}

/* Of an App that is gone: one that is later made with its name must not see them. */
static int forget_receipts(struct change *c)
{
	char keys[3][KEY_MAX];
	size_t len = strlen(c->name);
	struct rds_arg del[] = {RDS_STR("DEL"), RDS_MEM(keys[0], key_awaited(keys[0], c->name, len)),
				RDS_MEM(keys[1], key_receipts(keys[1], c->name, len))};
	struct rds_arg rem[] = {RDS_STR("ZREM"), RDS_MEM(keys[2], key_awaiting(keys[2])), RDS_STR(c->name)};
	int err = operator_command(&c->op, 3, del, NULL, NULL);
	return err ? err : operator_command(&c->op, 3, rem, NULL, NULL);
}

static int say_unknown(const struct change *c)
{
	say("there is no App \"%s\"; restante app ls lists them", c->name);
	return RS_ENOENT;
}

static int run_change(struct change *c, enum script_id script)
{
	int64_t done = 0;
	int err = operator_number(&c->op, script, 1, c->argc, c->argv, &done);
	return !err && done != 1 ? RS_ENOENT : err;
}

int app_create(const struct settings *s, const char *name, const char hash[APP_KEY_HASH],
	       const struct app_options *o)
{
	struct change c;
	int err = open_change(&c, s, name);
	add(&c, RDS_STR(hash));
	add(&c, rds_num((int64_t)clock_wall_ms(), c.num));
	add_limits(&c, o);
	if (!err)
		err = change_names(&c, "SADD");
	if (!err)
		err = run_change(&c, SCRIPT_APP_CREATE);
	if (err == RS_ENOENT)
		say("the App \"%s\" exists already; its key and limits stay as they are", name);
	operator_close(&c.op);
	return err;
}

int app_set(const struct settings *s, const char *name, const struct app_options *o)
{
	struct change c;
	int err = open_change(&c, s, name);
	add_limits(&c, o);
	if (!err)
		err = run_change(&c, SCRIPT_APP_SET);
	if (err == RS_ENOENT)
		say_unknown(&c);
	operator_close(&c.op);
	return err;
}

int app_rotate(const struct settings *s, const char *name, const char hash[APP_KEY_HASH], int64_t grace_s)
{
	struct change c;
	int64_t until = grace_s ? (int64_t)clock_wall_ms() + grace_s * 1000 : 0;
	int err = open_change(&c, s, name);
	add(&c, RDS_STR(hash));
	add(&c, rds_num(until, c.num));
	if (!err)
		err = run_change(&c, SCRIPT_APP_ROTATE);
	if (err == RS_ENOENT)
		say_unknown(&c);
	operator_close(&c.op);
	return err;
}

int app_remove(const struct settings *s, const char *name)
{
	struct change c;
	int err = open_change(&c, s, name), gone = RS_OK;
	if (!err)
		err = run_change(&c, SCRIPT_APP_REMOVE);
	if (!err || err == RS_ENOENT) /* of a create that did not get to its end, too */
		gone = forget_receipts(&c);
	if ((!err || err == RS_ENOENT) && !gone)
		gone = change_names(&c, "SREM");
	if (err == RS_ENOENT)
		say_unknown(&c);
	operator_close(&c.op);
	return err ? err : gone;
}
