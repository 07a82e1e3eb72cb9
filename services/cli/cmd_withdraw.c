/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "option.h"
#include "question.h"

#include "base/ulid.h"

#include <stddef.h>
#include <string.h>

enum { EXIT_NOT_THERE = EXIT_OWN };

struct options {
	const char *to;
};

static const struct option options[] = {
	{.name = "to", .letter = 't', .kind = OPTION_NAME, .offset = offsetof(struct options, to),
	 .value = "USER", .doc = "for whom the message waits; without: a broadcast, or what was sent to many"},
	{.name = NULL},
};

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {NULL};
	struct ulid id;
	if (option_parse(&cmd_withdraw, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc != 2)
		return option_usage(&cmd_withdraw, "wants: ID [--to USER]");
	if (strlen(argv[1]) != ULID_TEXT || ulid_parse(argv[1], &id))
		return option_usage(&cmd_withdraw, "ID is a message id, 26 characters, as send prints it");
	return question_ask(s, NULL, EXIT_NOT_THERE, "WITHDRAW 1\r\nmessage %s\r\n%s%s%s\r\n", argv[1],
			    o.to ? "to " : "", o.to ? o.to : "", o.to ? "\r\n" : "");
}

const struct command cmd_withdraw = {
	.name = "withdraw",
	.usage = "ID [--to USER]",
	.summary = "take back a message that was not delivered yet",
	.text = "Asks a Data Center (dc), in the name of the App that sent the message (app,\n"
		"app_key_file). A client that has been sent the message already, and has not acknowledged\n"
		"it, is told not to show it; it may have done so.\n\n"
		"Standard output: the id, and \"state withdrawn\".\n\n"
		"Exit codes: " EXIT_HELP ",\n3 no such message of this App waits.",
	.options = options,
	.run = run,
};
