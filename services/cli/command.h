/* SPDX-License-Identifier: Apache-2.0 */
/* What a command of the program is: its help, its options, its function. A new
 * one is a file cmd_<name>.c with `const struct command cmd_<name>` and one line
 * in COMMANDS. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "settings.h"

#define COMMANDS(X) \
	X(send) \
	X(broadcast) \
	X(listen) \
	X(session) \
	X(app) \
	X(status) \
	X(withdraw) \
	X(storage) \
	X(topics) \
	X(presence) \
	X(receipts) \
	X(queue) \
	X(brokers) \
	X(drain) \
	X(doctor) \
	X(bench)

/* Of all commands; a command's own begin at EXIT_OWN and stand in its help. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_OWN = 3 };
#define EXIT_HELP "0 done, 1 failed (standard error says why), 2 wrong usage or configuration"

struct option;

struct command {
	const char *name;
	const char *usage;   /* what follows the name, one form a line */
	const char *summary; /* one line */
	const char *text;    /* the rest of its help, exit codes included */
	const struct option *options; /* ends with one without a name; NULL: none */
	/* argv[0] is the command's name; settings were taken out. The exit code. */
	int (*run)(const struct settings *s, int argc, char **argv);
};

#define DECLARE_COMMAND(name) extern const struct command cmd_##name;
COMMANDS(DECLARE_COMMAND)
#undef DECLARE_COMMAND

#endif
