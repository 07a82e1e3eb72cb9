/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "operator.h"
#include "option.h"
#include "say.h"

#include "base/clock.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	OVER_DEFAULT_S = 30,
	PATIENCE_S = 30,   /* beyond the time that the broker was given */
	LOOK_MS = 300,
};

struct options {
	int64_t over_s;
	bool no_wait;
};

static const struct option options[] = {
	{.name = "over", .kind = OPTION_NUMBER, .offset = offsetof(struct options, over_s), .value = "SECONDS",
	 .doc = "time over which the clients are sent away; 30 if not given; 0: all at once", .min = 0,
	 .max = REGISTRY_DRAIN_MAX_S},
	{.name = "no-wait", .kind = OPTION_FLAG, .offset = offsetof(struct options, no_wait),
	 .doc = "return when the broker has been told"},
	{.name = NULL},
};

struct drain {
	struct operator op;
	const struct options *options;
	const char *id;
	uint64_t boot;            /* of the life that was told */
	struct member *members;
	size_t count;
};

static const struct member *find(const struct drain *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->members[i].id, d->id) == 0 && d->members[i].alive)
			return &d->members[i];
	return NULL;
}

static bool has_others(const struct drain *d)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct member *m = &d->members[i];
		if (m->alive && !m->draining && m->sessions < m->capacity && strcmp(m->id, d->id) != 0)
			return true;
	}
	return false;
}

static int tell(struct drain *d)
{
	char key[KEY_MAX], over[RDS_NUM_MAX];
	struct rds_arg argv[] = {RDS_MEM(key, key_member(key, "broker", d->id)),
				 rds_num(d->options->over_s, over)};
	int64_t told = 0;
	const struct member *m = find(d);
	if (m)
		d->boot = m->boot;
	int err = m ? operator_number(&d->op, SCRIPT_REGISTRY_DRAIN, 1, 2, argv, &told) : RS_OK;
	if (err)
		return err;
	if (told == 0) {
		say("no broker %s is alive; `restante brokers` lists those that are", d->id);
		return RS_ENOENT;
	}
	if (told == 2)
		say("broker %s drains already; it has %" PRId64 " s from now", d->id, d->options->over_s);
	if (!has_others(d))
		say("no other broker takes clients: those of %s have to wait for one", d->id);
	return RS_OK;
}

/* Prints how many are left whenever that has changed, until the broker is gone. */
static int watch(struct drain *d)
{
	uint64_t until_ms = clock_mono_ms() + 1000 * (uint64_t)(d->options->over_s + PATIENCE_S);
	uint32_t shown = UINT32_MAX;
	for (;;) {
		const struct member *m = find(d);
		if (!m || m->boot != d->boot)
			return RS_OK;
		if (m->sessions != shown) {
			printf("%s %" PRIu32 "\n", d->id, m->sessions);
			fflush(stdout);
		}
		shown = m->sessions;
		if (clock_mono_ms() > until_ms) {
			say("broker %s is still there, with %" PRIu32 " clients; its log may say why", d->id, shown);
			return RS_ETIMEOUT;
		}
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
		int err = operator_members(&d->op, "broker", d->members, &d->count);
		if (err)
			return err;
	}
}

static int drain(const struct settings *s, const struct options *o, const char *id)
{
	struct drain d = {.options = o, .id = id, .members = calloc(REGISTRY_MEMBERS_MAX, sizeof *d.members)};
	if (!d.members)
		return say("out of memory"), EXIT_FAILED;
	int err = operator_open(&d.op, s, false);
	if (!err)
		err = operator_members(&d.op, "broker", d.members, &d.count);
	if (!err)
		err = tell(&d);
	if (!err && !o->no_wait)
		err = watch(&d);
	if (!err && !o->no_wait)
		printf("%s gone\n", id);
	operator_close(&d.op);
	free(d.members);
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {.over_s = OVER_DEFAULT_S};
	if (option_parse(&cmd_drain, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc != 2)
		return option_usage(&cmd_drain, "wants: BROKER");
	if (!option_name_ok("broker", argv[1]))
		return EXIT_USAGE;
	return drain(s, &o, argv[1]);
}

const struct command cmd_drain = {
	.name = "drain",
	.usage = "BROKER [--over SECONDS] [--no-wait]",
	.summary = "send a broker's clients to the others, and end it",
	.text = "Tells BROKER, through Redis (redis), to take no new clients and to send those that it\n"
		"has to the other brokers, a few at a time; then it ends, with exit code 0. Nothing is\n"
		"lost: what a client has not taken waits in Redis, and it gets it from its new broker.\n"
		"Told again, the broker takes the new time, counted from then.\n\n"
		"Standard output: a line `BROKER CLIENTS` whenever the number of clients has changed,\n"
		"and `BROKER gone` at the end.\n\n"
		"Exit codes: " EXIT_HELP ".\n1 also if BROKER is not alive, or still there half a minute after the time.",
	.options = options,
	.run = run,
};
