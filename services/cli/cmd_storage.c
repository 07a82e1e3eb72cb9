/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "option.h"
#include "question.h"

#include <string.h>

static int run(const struct settings *s, int argc, char **argv)
{
	static const char *const words[] = {"on", "off", NULL};
	if (option_parse(&cmd_storage, &argc, argv, NULL))
		return EXIT_USAGE;
	if (argc != 3)
		return option_usage(&cmd_storage, "wants: USER on, or USER off");
	if (!option_name_ok("user", argv[1]))
		return EXIT_USAGE;
	if (strcmp(argv[2], "on") != 0 && strcmp(argv[2], "off") != 0)
		return option_unknown_word(&cmd_storage, words, argv[2]);
	return question_ask(s, NULL, EXIT_FAILED, "STORAGE 1\r\nuser %s\r\nstorage %s\r\n\r\n", argv[1], argv[2]);
}

const struct command cmd_storage = {
	.name = "storage",
	.usage = "USER on|off",
	.summary = "switch whether an App's messages are stored for a user",
	.text = "Asks a Data Center (dc), in the name of the App that app and app_key_file name. Off: what\n"
		"this App sends the user is delivered if the user is online, and dropped otherwise. What\n"
		"waits already stays. On is how it begins. The user's client has such a switch, too.\n\n"
		"Standard output: the user, and storage on or off.\n\n"
		"Exit codes: " EXIT_HELP ".",
	.run = run,
};
