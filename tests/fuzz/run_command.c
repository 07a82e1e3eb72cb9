/* SPDX-License-Identifier: Apache-2.0 */
#include "run_command.h"

#include "fuzz.h"

#include "cli/follow.h"

#include <stdlib.h>
#include <string.h>

void run_command(const struct command *c, const struct settings *s, const char *const *words)
{
	char *argv[8], *kept[8];
	int argc = 0;
	for (; words[argc]; argc++)
		kept[argc] = argv[argc] = fuzz_copy(words[argc], strlen(words[argc]) + 1);
	argv[argc] = NULL;
	int code = c->run(s, argc, argv);
	fuzz_check(code == EXIT_DONE || code == EXIT_FAILED || code == FOLLOW_EARLY, "exit code %d", code);
	for (int i = 0; i < argc; i++)
		free(kept[i]);
}
