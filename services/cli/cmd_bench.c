/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "bench.h"
#include "bench_pipe.h"
#include "option.h"
#include "say.h"

#include "crypto/random.h"
#include "wire/record.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define AT(field) offsetof(struct bench_options, field)
#define NUMBER(n, field, lo, hi, what, text) \
	{.name = n, .kind = OPTION_NUMBER, .offset = AT(field), .value = what, .doc = text, .min = lo, .max = hi}

static const struct option options[] = {
	NUMBER("count", count, 1, 10000000, "N", "clients, failover: how many (1000; 3000); store, push: messages a round (100000; 20000)"),
	NUMBER("seconds", seconds, 1, 3600, "S", "clients: how long each measurement takes (10); failover: before the kill (15)"),
	NUMBER("pace", pace, 1, 1000000, "N", "clients: heartbeats a second, evenly spaced (count / 30); failover: messages (500)"),
	NUMBER("size", size, BENCH_BODY_MIN, RECORD_BODY_MAX, "BYTES", "store, push, drain, fan, failover: length of a body (200)"),
	NUMBER("depth", depth, 1, 100000, "N", "store, push: the most messages on the way (256)"),
	NUMBER("connections", connections, 1, PIPES_MAX, "N", "store: straight to Redis, depth in all (8, as the DC has)"),
	NUMBER("users", users, 1, 1000000, "N", "store: whom messages go to (10000); drain: how many log in (100); fan: subscribers (100000)"),
	NUMBER("clients", clients, 1, 100000, "N", "push: how many are online (50); fan: of the subscribers (1000)"),
	NUMBER("messages", messages, 1, 10000, "N", "drain: how many wait for each (100)"),
	NUMBER("rounds", rounds, 1, BENCH_ROUNDS_MAX, "N", "how often; medians are told (3; clients 5)"),
	{.name = "broker", .kind = OPTION_NAME, .offset = AT(broker), .value = "ID",
	 .doc = "the broker to load (the one with the fewest sessions); failover: to be killed (the one with the most)"},
	{.name = "metrics", .kind = OPTION_TEXT, .offset = AT(metrics), .value = "ADDR",
	 .doc = "clients, failover: that broker's listen_http (its port for clients + 80)"},
	{.name = "json", .kind = OPTION_FLAG, .offset = AT(json), .doc = "one line of JSON"},
	{.name = NULL},
};

static const struct {
	const char *name;
	int (*run)(struct bench *b);
} benches[] = {
	{"clients", bench_clients}, {"store", bench_store}, {"push", bench_push}, {"drain", bench_drain}, {"fan", bench_fan},
	{"failover", bench_failover},
};

static int run(const struct settings *s, int argc, char **argv)
{
	static const char *const words[] = {"clients", "store", "push", "drain", "fan", "failover", NULL};
	struct bench_options o = {.count = 0};
	struct bench b = {.settings = s, .options = &o};
	uint8_t random[3];
	if (option_parse(&cmd_bench, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc != 2)
		return option_usage(&cmd_bench, "wants one of: clients, store, push, drain, fan, failover");
	random_bytes(random, sizeof random);
	snprintf(b.prefix, sizeof b.prefix, "bench-%02x%02x%02x-", random[0], random[1], random[2]);
	for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
		if (strcmp(argv[1], benches[i].name) == 0)
			return benches[i].run(&b);
	return option_unknown_word(&cmd_bench, words, argv[1]);
}

const struct command cmd_bench = {
	.name = "bench",
	.usage = "clients [--count N] [--seconds S] [--pace N]\n"
		 "store [--count N] [--size BYTES] [--depth N] [--users N] [--connections N]\n"
		 "push [--clients N] [--count N] [--size BYTES] [--depth N]\n"
		 "drain [--users N] [--messages N] [--size BYTES]\n"
		 "fan [--users N] [--clients N] [--size BYTES]\n"
		 "failover [--count N] [--broker ID] [--pace N] [--seconds S] [--size BYTES]",
	.summary = "measure a running installation",
	.text = "clients logs N clients in at one broker from this one process: the broker's memory a\n"
		"client, handshakes and logins a second, heartbeats at full speed in turns with a bare UDP\n"
		"echo, and the broker's processor time at an even pace. For 100000 clients the broker's\n"
		"capacity must allow for them; no more than a socket is opened.\n"
		"store sends through a Data Center (dc, app, app_key_file) in turns with the same script\n"
		"called straight in Redis, as deep, to as many users.\n"
		"push sends to clients that are online, and counts what was shown, acknowledged and\n"
		"deleted. drain stores for users who are away, and lets all of them log in.\n"
		"fan sends to a topic with N subscribers (users), of whom some are online (clients), and\n"
		"tells when the last of these has it, and how long single messages take beside it.\n"
		"failover logs N clients in by way of the balancers, sends to all of them at an even pace,\n"
		"says which broker you are to kill, and tells when its clients were served again and what\n"
		"those at other brokers noticed.\n\n"
		"All that is made is named bench-<random>-<number> and taken out at the end; what a run\n"
		"that is killed leaves behind expires, sessions in 15 minutes. It loads the installation\n"
		"as far as it goes: not for one in use.\n"
		"What it means is told in docs/benchmarks.md.\n\n"
		"Exit codes: " EXIT_HELP ".",
	.options = options,
	.run = run,
};
