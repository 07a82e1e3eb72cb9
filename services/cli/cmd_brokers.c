/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "operator.h"
#include "option.h"
#include "output.h"
#include "say.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
	bool json;
};

static const struct option options[] = {
	{.name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct options, json),
	 .doc = "one JSON object a line, with the key, boot number and last beat as well"},
	{.name = NULL},
};

static const char *state(const struct member *m)
{
	if (!m->alive)
		return "silent";
	return m->draining ? "draining" : "alive";
}

static int print_json(const struct member *m)
{
	char address[ADDR_TEXT_MAX], key[65], boot[24];
	snprintf(boot, sizeof boot, "%" PRIu64, m->boot); /* a string: it may be over 2^53 */
	return output_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:I}", "id", m->id, "address",
				     addr_format(&m->address, address), "zone", m->zone, "sessions",
				     (json_int_t)m->sessions, "capacity", (json_int_t)m->capacity, "state",
				     state(m), "key", hex_encode(m->key, sizeof m->key, key), "boot", boot,
				     "beat", (json_int_t)m->beat_ms));
}

static void print(const struct member *m)
{
	char address[ADDR_TEXT_MAX];
	printf("%s %s %s %" PRIu32 "/%" PRIu32 " %s\n", m->id, addr_format(&m->address, address),
	       m->zone[0] ? m->zone : "-", m->sessions, m->capacity, state(m));
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {false};
	struct operator op;
	size_t count = 0;
	if (option_parse(&cmd_brokers, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc != 1)
		return option_usage(&cmd_brokers, "takes no arguments");
	struct member *members = calloc(REGISTRY_MEMBERS_MAX, sizeof *members);
	if (!members)
		return say("out of memory"), EXIT_FAILED;
	int err = operator_open(&op, s, false);
	if (!err)
		err = operator_members(&op, "broker", members, &count);
	operator_close(&op);
	for (size_t i = 0; i < count && !err; i++) {
		if (o.json)
			err = print_json(&members[i]);
		else
			print(&members[i]);
	}
	if (!err && count == 0)
		say("no broker has registered itself of late");
	free(members);
	return err ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_brokers = {
	.name = "brokers",
	.usage = "[--json]",
	.summary = "list the brokers and their load",
	.text = "Lists the brokers from the registry in Redis (redis), one line each: id, address, zone\n"
		"(- if none), sessions/capacity, and the state: alive, silent (no beat for 2.5 s: no\n"
		"longer handed out) or draining (takes no new sessions).\n\n"
		"Exit codes: " EXIT_HELP ".\nNo brokers: 0.",
	.options = options,
	.run = run,
};
