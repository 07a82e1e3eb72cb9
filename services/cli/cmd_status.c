/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "option.h"
#include "question.h"

#include "base/ulid.h"

#include <string.h>

enum { EXIT_UNKNOWN = EXIT_OWN };

static int run(const struct settings *s, int argc, char **argv)
{
	static const char *const times[] = {"stored",   "pushed",    "expires",   "acknowledged", "expired",
					    "replaced", "displaced", "withdrawn", NULL};
	struct ulid id;
	if (option_parse(&cmd_status, &argc, argv, NULL))
		return EXIT_USAGE;
	if (argc != 3)
		return option_usage(&cmd_status, "wants: USER ID");
	if (!option_name_ok("user", argv[1]))
		return EXIT_USAGE;
	if (strlen(argv[2]) != ULID_TEXT || ulid_parse(argv[2], &id))
		return option_usage(&cmd_status, "ID is a message id, 26 characters, as send prints it");
	return question_ask(s, times, EXIT_UNKNOWN, "STATUS 1\r\nmessage %s\r\nto %s\r\n\r\n", argv[2], argv[1]);
}

const struct command cmd_status = {
	.name = "status",
	.usage = "USER ID",
	.summary = "say what became of a message",
	.text = "Asks a Data Center (dc), in the name of the App that sent the message (app,\n"
		"app_key_file).\n\n"
		"Standard output: a line for each field of the answer. state is stored (it waits), pushed\n"
		"(it waits, and a broker has it), acknowledged, expired, replaced, displaced or withdrawn;\n"
		"the others are times. Known for a day after the end, unless the DC is set otherwise.\n\n"
		"Exit codes: " EXIT_HELP ",\n3 no such message of this App is known.",
	.run = run,
};
