/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "operator.h"
#include "option.h"
#include "output.h"
#include "page.h"
#include "say.h"

#include "base/buf.h"
#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
	bool json;
	const char *explain;
};

static const struct option options[] = {
	{.name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct options, json),
	 .doc = "one JSON object a line; besides whether it is ready (or why not), key, boot number, last beat"},
	{.name = "explain", .kind = OPTION_TEXT, .offset = offsetof(struct options, explain), .value = "ADDRESS",
	 .doc = "why a client at ADDRESS is told which brokers, as a balancer sees it now"},
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
	return output_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:I}", "id", m->id, "address",
				     addr_format(&m->address, address), "zone", m->zone, "sessions",
				     (json_int_t)m->sessions, "capacity", (json_int_t)m->capacity, "state",
				     state(m), "ready", m->fault[0] ? m->fault : "yes", "key",
				     hex_encode(m->key, sizeof m->key, key), "boot", boot, "beat",
				     (json_int_t)m->beat_ms));
}

static void print(const struct member *m)
{
	char address[ADDR_TEXT_MAX];
	printf("%s %s %s %" PRIu32 "/%" PRIu32 " %s\n", m->id, addr_format(&m->address, address),
	       m->zone[0] ? m->zone : "-", m->sessions, m->capacity, state(m));
}

static int print_list(const struct options *o, const struct member *members, size_t count)
{
	int err = RS_OK;
	for (size_t i = 0; i < count && !err; i++) {
		if (o->json)
			err = print_json(&members[i]);
		else
			print(&members[i]);
	}
	if (!err && count == 0)
		say("no broker has registered itself of late");
	return err;
}

/* The answer of a balancer; not 0: it was said why there is none. */
static int ask_balancer(const struct member *lb, const struct addr *client)
{
	char host[ADDR_TEXT_MAX], at[ADDR_TEXT_MAX], path[ADDR_TEXT_MAX + 32];
	const char *why;
	struct buf page = {0};
	int code = 0;
	snprintf(path, sizeof path, "/explain?address=%s", addr_format(client, host));
	int err = page_get(&lb->http, path, &code, &page, &why);
	if (err)
		say("balancer %s at http://%s: %s", lb->id, addr_format(&lb->http, at), why);
	else if (code != 200)
		say("balancer %s at http://%s does not explain: it answers %d", lb->id, addr_format(&lb->http, at), code);
	else
		printf("balancer %s\n%s", lb->id, (const char *)buf_head(&page));
	buf_deinit(&page);
	return err || code != 200 ? RS_EREMOTE : RS_OK;
}

/* The first balancer that answers. */
static int explain(const struct addr *client, const struct member *lbs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (lbs[i].alive && addr_port(&lbs[i].http) && ask_balancer(&lbs[i], client) == RS_OK)
			return RS_OK;
	say("no balancer could be asked; they answer on their listen_http, and only where it listens");
	return RS_EREMOTE;
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {0};
	struct addr client;
	size_t count = 0;
	if (option_parse(&cmd_brokers, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc != 1)
		return option_usage(&cmd_brokers, "takes no arguments");
	if (o.explain && addr_parse_host(o.explain, &client))
		return option_usage(&cmd_brokers, "--explain wants the IP address of a client, for example 203.0.113.7");
	struct member *members = calloc(REGISTRY_MEMBERS_MAX, sizeof *members);
	if (!members)
		return say("out of memory"), EXIT_FAILED;
	int err = operator_list(s, o.explain ? "lb" : "broker", members, &count);
	if (!err)
		err = o.explain ? explain(&client, members, count) : print_list(&o, members, count);
	free(members);
	return err ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_brokers = {
	.name = "brokers",
	.usage = "[--json]\n--explain ADDRESS",
	.summary = "list the brokers and their load",
	.text = "Lists the brokers from the registry in Redis (redis), one line each: id, address, zone\n"
		"(- if none), sessions/capacity, and the state: alive, silent (no beat for 2.5 s: no\n"
		"longer handed out) or draining (takes no new sessions).\n\n"
		"With --explain asks a balancer, the first in the registry that answers, which brokers it\n"
		"tells a client at ADDRESS, and why: the ISP and zone it takes the client to be in, and for\n"
		"each broker the points (less is better; a point is a millisecond) and the load.\n\n"
		"Exit codes: " EXIT_HELP ".\nNo brokers: 0.",
	.options = options,
	.run = run,
};
