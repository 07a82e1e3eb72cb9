/* SPDX-License-Identifier: Apache-2.0 */
/* A command of the command line, as its main() would run it. */
#ifndef FUZZ_RUN_COMMAND_H
#define FUZZ_RUN_COMMAND_H

#include "cli/command.h"

/* words: its name and arguments, at most 7, then NULL. It must end in one of the ways
 * that a command may end. */
void run_command(const struct command *c, const struct settings *s, const char *const *words);

#endif
